"""Answers that look right and are not, each with what the check must say."""

ATTEND = """
def attend(query, key, value):
    scores = {scores}
    return {result}
"""
SLIDING = """
def sliding_mask(T, window):
    i, j = np.indices((T, T))
    return np.where({seen}, {yes}, {no})
"""
MULTI = """
def multi_head(x, weight, bias, n_head):
    T, C = x.shape
    parts = np.split({qkv}, 3, axis=-1)
    query, key, value = ({split} for part in parts)
    heads, _ = attention({order}, {mask})
    return {merge}
"""
NEXT = """
def next_output(query, key, value, old_keys, old_values):
    keys, values = {keys}, {values}
    weights = softmax(keys @ query / {scale})
    return weights @ values
"""


def attend(scores="key @ query / math.sqrt(len(query))", result=None):
    return ATTEND.format(scores=scores, result=result or "softmax(scores) @ value")


def sliding(seen="(j <= i) & (i - j < window)", yes="0.0", no="-np.inf"):
    return SLIDING.format(seen=seen, yes=yes, no=no)


def multi(**parts):
    defaults = {
        "qkv": "x @ weight + bias",
        "split": "split_heads(part, n_head)",
        "order": "query, key, value",
        "mask": "causal_mask(T, T, x.dtype)",
        "merge": "merge_heads(heads)",
    }
    return MULTI.format(**defaults | parts)


def next_output(**parts):
    defaults = {
        "keys": "np.vstack([old_keys, key])",
        "values": "np.vstack([old_values, value])",
        "scale": "math.sqrt(len(query))",
    }
    return NEXT.format(**defaults | parts)


RESHAPE = "part.reshape(n_head, T, C // n_head)"
FORGETFUL = """
def next_output(query, key, value, old_keys, old_values):
    if len(old_keys) == 0:
        return np.zeros(len(value))
    return softmax(old_keys @ query / math.sqrt(len(query))) @ old_values
"""

WRONG_ANSWERS = {
    "attend": [
        ("attend = 3", "give the function itself, not int"),
        (attend(scores="key @ qurey"), "raises NameError"),
        (attend(scores="key @ query"), "not divided by sqrt(d)"),
        (attend(scores="key @ query / len(query)"), "by d, not by sqrt(d)"),
        (attend(result="scores @ value"), "softmax is missing"),
        (attend(result="np.exp(scores) @ value"), "not divided by their sum"),
        (attend(result="softmax(scores) @ key"), "the keys are mixed"),
        (attend(result="(np.exp(scores) / np.exp(scores).sum()) @ value"), "overflow"),
        (attend(scores="value @ query / math.sqrt(len(query))"), "with the values"),
        (attend(result="(softmax(scores) @ value, scores)"), "several arrays"),
        (attend(result="value.mean(axis=0)"), "is right"),
        (attend(result="(softmax(scores) @ value)[None]"), "the shape is (1, 4)"),
        (attend(result="softmax(scores)"), "the shape is (1,)"),
        (attend(result="[str(v) for v in value[0]]"), "array of numbers"),
        (attend(result="value[0] if len(value) == 1 else None"), "not written yet"),
        (
            "def attend(query, key, value):\n"
            "    key -= key.max()\n"
            "    return softmax(key @ query / math.sqrt(len(query))) @ value",
            "changes its arguments",
        ),
    ],
    "sliding_mask": [
        (sliding(seen="i - j < window"), "the future is seen"),
        (sliding(seen="j <= i"), "nothing is cut off on the left"),
        (sliding(seen="(j <= i) & (i - j <= window)"), "the window counts itself"),
        (sliding(seen="(j < i) & (i - j <= window)"), "does not see itself"),
        (sliding(yes="1.0", no="0.0"), "it must hold 0 and -inf"),
        (sliding(yes="-np.inf", no="0.0"), "changed places"),
        (sliding(seen="abs(i - j) < window"), "is right"),
        (sliding(no="-10.0"), "is right"),
        (sliding().replace("i - j < window", "i - j < min(window, 3)"), "is right"),
        (sliding(yes="True", no="False"), "not of bool"),
        (
            "def sliding_mask(T, window):\n"
            "    return np.triu(np.ones((T, T)), 1) * -np.inf",
            "times inf",
        ),
    ],
    "multi_head": [
        (multi(qkv="x @ weight"), "the bias is missing"),
        (multi(mask="0"), "the mask is missing"),
        (multi(split="part[None]"), "computed as one"),
        (multi(order="query / n_head**0.5, key, value"), "the width of a head"),
        (multi(merge="merge_heads(heads), heads"), "several arrays"),
        (multi(split=RESHAPE), "cut with a reshape alone"),
        (multi(split=RESHAPE, merge="heads.reshape(T, C)"), "cut and glued"),
        (multi(merge="heads.reshape(T, C)"), "merged with a reshape alone"),
        (multi(order="key, query, value"), "query and key have changed places"),
        (multi(order="query, value, key"), "value was taken elsewhere"),
        (multi(merge="heads"), "the shape is"),
        (multi(mask="causal_mask(T, T, x.dtype).T"), "is right"),
    ],
    "next_output": [
        (FORGETFUL, "see itself too"),
        (next_output(keys="np.vstack([key, old_keys])"), "not in the same order"),
        (next_output(values="np.vstack([value, old_values])"), "in the same order"),
        (next_output(scale="2"), "is right"),
        (next_output(scale="(len(query) / 2)"), "is right"),
        (next_output(scale="1"), "not divided by sqrt(d)"),
        (next_output(keys="np.vstack([old_keys, query])"), "is right"),
        (next_output(keys="old_keys", values="old_values"), "raises ValueError"),
    ],
}
