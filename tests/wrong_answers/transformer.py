"""Answers that look right and are not, each with what the check must say."""

STATE = """
def last_state(x, W_x, W_r, b, start):
    state = {start}
    for row in {rows}:
        state = {step}
    return {result}
"""
PREFIX = """
def prefix_mask(T, prefix):
    i, j = np.indices((T, T))
    return np.where({seen}, {yes}, {no})
"""
CROSS = """
def padded_cross_attention(x, memory, n, W_q, W_k, W_v):
    mask = np.where({real}, 0.0, {no})
    query, key, value = {parts}
    scores = query @ key.T / {scale}
    return {result}
"""
BLOCKS = """
def blocks_needed(seen):
    T = len(seen)
    depends = np.arange(T) == 0
    for blocks in range({most}):
        if {done}:
            return {found}
        depends = {step}
    return {never}
"""


def state(**parts):
    defaults = {
        "start": "start",
        "rows": "x",
        "step": "np.tanh(row @ W_x + state @ W_r + b)",
        "result": "state",
    }
    return STATE.format(**defaults | parts)


def prefix(seen="(j <= i) | (j < prefix)", yes="0.0", no="-np.inf"):
    return PREFIX.format(seen=seen, yes=yes, no=no)


def cross(**parts):
    defaults = {
        "real": "np.arange(len(memory)) < n",
        "no": "-np.inf",
        "parts": "x @ W_q, memory @ W_k, memory @ W_v",
        "scale": "math.sqrt(key.shape[1])",
        "result": "softmax(scores + mask) @ value",
    }
    return CROSS.format(**defaults | parts)


def blocks(**parts):
    defaults = {
        "most": "T",
        "done": "depends[-1]",
        "found": "blocks",
        "step": "(seen & depends).any(axis=1)",
        "never": "-1",
    }
    return BLOCKS.format(**defaults | parts)


WRONG_ANSWERS = {
    "last_state": [
        (state(step="np.tanh(row @ W_x + b)"), "the state of before is forgotten"),
        (state(step="np.tanh(row @ W_x + state @ W_r)"), "the bias is missing"),
        (state(step="row @ W_x + state @ W_r + b"), "tanh is missing"),
        (
            state(step="row @ W_x + state @ W_r + b", result="np.tanh(state)"),
            "into each step",
        ),
        (state(step="np.tanh(row @ W_x + state + b)"), "without W_r"),
        (state(step="np.tanh(row @ W_x + W_r @ state + b)"), "W_r is transposed"),
        (state(start="np.zeros(len(b))"), "begin with start"),
        (state(rows="x[::-1]"), "from the last to the first"),
        (state(result="state[None]"), "the shape is"),
        (state(result="state if len(x) else np.zeros(len(b))"), "begin with start"),
        (
            "def last_state(x, W_x, W_r, b, start):\n"
            "    for row in x:\n"
            "        start[:] = np.tanh(row @ W_x + start @ W_r + b)\n"
            "    return start.copy()",
            "changes its arguments",
        ),
    ],
    "prefix_mask": [
        (prefix(seen="j <= i"), "it is causal everywhere"),
        (prefix(seen="j < prefix"), "only the prefix is seen"),
        (prefix(seen="(j <= i) | (i < prefix)"), "it is the first columns"),
        (prefix(seen="(j <= i) | (j <= prefix)"), "one token too many"),
        (prefix(seen="(j < i) | (j < prefix)"), "does not see itself"),
        (prefix(seen="(j >= i) | (j < prefix)"), "the wrong one"),
        (prefix(seen="j >= 0"), "nothing is hidden"),
        (prefix(seen="(j <= i) | (j == prefix - 1)"), "is right"),
        (prefix(yes="1.0", no="0.0"), "it must hold 0 and -inf"),
        (prefix(yes="-np.inf", no="0.0"), "changed places"),
        (prefix(no="-10.0"), "is right"),
        (prefix(yes="True", no="False"), "not of bool"),
    ],
    "padded_cross_attention": [
        (cross(real="memory[:, 0] == memory[:, 0]"), "the padding is read"),
        (cross(no="0.0"), "the padding is read"),
        (cross(result="softmax(np.where(mask == 0, scores, 0)) @ value"), "are 0"),
        (cross(result="softmax(scores)[:, :n] @ value[:n]"), "after the softmax"),
        (cross(scale="1"), "not divided by sqrt(d)"),
        (cross(scale="math.sqrt(len(W_k))"), "is right"),
        (cross(real="np.arange(len(memory)) >= len(memory) - n"), "the last n rows"),
        (cross(real="np.arange(len(memory)) <= n"), "is right"),
        (cross(parts="x @ W_k, memory @ W_q, memory @ W_v"), "W_q and W_k"),
        (cross(parts="x @ W_q, memory @ W_k, x @ W_v"), "the values come from x"),
        (
            "def padded_cross_attention(x, memory, n, W_q, W_k, W_v):\n"
            "    return cross_attention(x, x[:n], W_q, W_k, W_v)",
            "x reads itself",
        ),
        (
            cross(result="softmax(np.where(np.tri(*scores.shape) == 1, scores + mask, "
                  "-np.inf)) @ value"),
            "it is causal",
        ),
    ],
    "blocks_needed": [
        (
            "def blocks_needed(seen):\n"
            "    return 0 if len(seen) == 1 else 1 if seen[-1, 0] else -1",
            "only the direct way",
        ),
        ("def blocks_needed(seen):\n    return len(seen) - 1", "that is the chain"),
        (blocks(found="blocks + 1"), "one too many"),
        (blocks(found="blocks - 1"), "one too few"),
        (blocks(found="max(blocks, 1)"), "no block is needed"),
        (blocks(never="T"), "return -1"),
        (blocks(step="(seen.T & depends).any(axis=1)"), "the wrong way round"),
        (blocks(most="T - 1"), "too early"),
        (blocks(step="(seen & depends).sum(axis=1) == 1"), "goes on to i"),
        (blocks(step="(np.tril(seen) & depends).any(axis=1)"), "need not be causal"),
        (
            "def blocks_needed(seen):\n"
            "    depends = np.arange(len(seen)) == 0\n"
            "    for blocks in range(len(seen)):\n"
            "        if depends[-1]:\n"
            "            return blocks\n"
            "        for i in range(len(seen)):\n"
            "            depends[i] = (seen[i] & depends).any()\n"
            "    return -1",
            "before the block",
        ),
        (
            "def blocks_needed(seen):\n"
            "    depends = np.arange(len(seen)) == 0\n"
            "    for blocks in range(len(seen)):\n"
            "        if depends[-1]:\n"
            "            return blocks\n"
            "        for i in reversed(range(len(seen))):\n"
            "            depends[i] = (seen[i] & depends).any()\n"
            "    return -1",
            "one too few",
        ),
        (
            "def blocks_needed(seen):\n"
            "    place = len(seen) - 1\n"
            "    for blocks in range(len(seen)):\n"
            "        if place == 0:\n"
            "            return blocks\n"
            "        place = int(np.argmax(seen[place]))\n"
            "    return -1",
            "farthest reach",
        ),
    ],
}  # fmt: skip
