"""Answers that look right and are not, each with what the check must say."""

COUNT = """
def parameters(V, T_max, L, C, tied):
    return {tables} + {blocks} + {last} + {head}
"""
ASSEMBLE = """
def assemble(ids, wte, wpe, blocks, ln_f):
    x = {start}
    for block in {blocks}:
        x = {step}
    return {result}
"""
LENS = """
def lens_ranks(streams, ln_f, wte, target):
    logits = {logits}
    return {result}
"""
WRITE = """
def write_cached(step, ids, n):
    cache, unread, new = [], ids, []
    while {more}:
        {before}
        logits = step(unread, cache)[{row}]
        new.append(int(np.argmax(logits)))
        unread = {unread}
    return {result}
"""


def count(**parts):
    defaults = {
        "tables": "V * C + T_max * C",
        "blocks": "L * (12 * C**2 + 13 * C)",
        "last": "2 * C",
        "head": "(0 if tied else V * C)",
    }
    return COUNT.format(**defaults | parts)


def assemble(**parts):
    defaults = {
        "start": "wte[ids] + wpe[: len(ids)]",
        "blocks": "blocks",
        "step": "block(x)",
        "result": "ln_f(x) @ wte.T",
    }
    return ASSEMBLE.format(**defaults | parts)


def lens(logits="ln_f(streams) @ wte.T", result=None):
    right = "(logits > logits[:, [target]]).sum(axis=-1)"
    return LENS.format(logits=logits, result=result or right)


def write(**parts):
    defaults = {
        "more": "len(new) < n",
        "before": "pass",
        "row": "-1",
        "unread": "new[-1:]",
        "result": "new",
    }
    return WRITE.format(**defaults | parts)


SEPARATE = """
def assemble(ids, wte, wpe, blocks, ln_f):
    x = wte[ids] + wpe[: len(ids)]
    y = x
    for block in blocks:
        y = block(x)
    return ln_f(y) @ wte.T
"""
TWICE = """
def write_cached(step, ids, n):
    cache, new = [], []
    step(ids, cache)
    unread = ids[-1:]
    while len(new) < n:
        new.append(int(np.argmax(step(unread, cache)[-1])))
        unread = new[-1:]
    return new
"""

WRONG_ANSWERS = {
    "parameters": [
        ("parameters = 957184", "give the function itself, not int"),
        (count(head="V * C"), "wte is counted once"),
        (count(head="0"), "a matrix of its own"),
        (count(head="(V * C if tied else 0)"), "wte is counted once"),
        (count(last="0"), "ln_f is missing"),
        (count(last="C"), "ln_f has a gain and a bias"),
        (count(tables="V * C"), "the position table is missing"),
        (count(blocks="L * 12 * C**2"), "the biases and the norms"),
        (count(blocks="L * (12 * C**2 + 9 * C)"), "the two norms of each block"),
        (count(blocks="L * (12 * C**2 + 11 * C)"), "gains and biases: 4 C"),
        (count(blocks="L * (12 * C**2 + 4 * C)"), "the biases of the linear layers"),
        (count(blocks="L * (11 * C**2 + 13 * C)"), "c_proj included"),
        (count(blocks="L * (8 * C**2 + 13 * C)"), "two matrices: 8 C**2"),
        (count(blocks="12 * C**2 + 13 * C"), "there are L blocks"),
        (count(head="(0 if tied else V * C + V)"), "has no bias"),
        (count(last="2 * C + 1"), "is right"),
        (count(last="0.5"), "return one whole number"),
    ],
    "assemble": [
        (assemble(start="wte[ids]"), "the positions are missing"),
        (assemble(start="wte[ids] + wpe[ids]"), "looked up by the ids"),
        (assemble(start="wte[ids] + wpe[0]"), "the position 0"),
        (
            assemble(start="wte[ids] + np.roll(wpe, -1, axis=0)[: len(ids)]"),
            "count from 1",
        ),
        (assemble(result="x @ wte.T"), "ln_f is missing"),
        (
            assemble(start="ln_f(wte[ids] + wpe[: len(ids)])", result="x @ wte.T"),
            "ln_f stands before the blocks",
        ),
        (assemble(step="ln_f(block(x))"), "ln_f comes after each block"),
        (assemble(blocks="[]"), "the blocks are left out"),
        (assemble(blocks="blocks[:4]"), "is right"),
        (assemble(blocks="blocks[::-1]"), "in the wrong order"),
        (assemble(step="x + block(x)"), "the sum is inside the blocks"),
        (SEPARATE, "every block reads the tables"),
        (assemble(result="softmax(ln_f(x) @ wte.T)"), "these are probabilities"),
        (assemble(result="(ln_f(x) @ wte.T)[-1]"), "the shape is (9,)"),
        (assemble(result="ln_f(x) @ wpe.T"), "the shape is (4, 8)"),
        (assemble(start="wte[ids] + wpe"), "raises ValueError"),
    ],
    "lens_ranks": [
        (lens(logits="streams @ wte.T"), "ln_f is missing"),
        (
            lens(result="(logits >= logits[:, [target]]).sum(axis=-1)"),
            "the ranks count from 1",
        ),
        (
            lens(result="(logits < logits[:, [target]]).sum(axis=-1)"),
            "the smaller logits are counted",
        ),
        (
            lens(result="(logits <= logits[:, [target]]).sum(axis=-1)"),
            "smaller and equal",
        ),
        (lens(result="logits[:, target]"), "these are logits"),
        (lens(result="softmax(logits)[:, target]"), "these are probabilities"),
        (
            lens(result="(logits > logits[-1, target]).sum(axis=-1)"),
            "the logit of the last stage",
        ),
        (
            lens(result="np.argsort(-logits, axis=-1)[:, target]"),
            "the token at each rank",
        ),
        (lens(result="logits.argmax(axis=-1)"), "these are the likeliest tokens"),
        (
            lens(result="(logits > logits[:, [target]]).sum(axis=0)"),
            "the shape is",
        ),
        (lens(logits="ln_f(streams) @ wte"), "raises ValueError"),
    ],
    "write_cached": [
        (write(unread="ids + new"), "read the new id alone"),
        (write(unread="ids + new", before="cache = []"), "keep the cache"),
        (write(before="cache = []"), "the model forgets"),
        (write(unread="ids"), "the prompt is read in every round"),
        (write(unread="new"), "only the newest is unread"),
        (TWICE, "the last id of the prompt is read twice"),
        (write(row="0"), "the row of the first id"),
        (write(result="ids + new"), "the prompt comes back too"),
        (write(more="len(new) < n - 1"), "one id too few"),
        (write(more="len(new) <= n"), "one id too many"),
        (write(result="len(new)"), "return a list of ids, not int"),
        (write().replace("argmax", "argmin"), "the smallest logit"),
        (write().replace("[], ids, []", "[], ids[:-1], []"), "is not read"),
    ],
}
