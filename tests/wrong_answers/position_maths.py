"""Answers that look right and are not, each with what the check must say."""

TABLE = """
def sinusoid_table(T, d, base=10000.0, first=0):
    frequency = {frequency}
    angle = {places}[:, None] * frequency
    table = np.empty((T, d))
    {fill}
    return table
"""
SHIFT = """
def shift_matrix(delta, d, base=10000.0):
    R = np.zeros((d, d))
    for m in range(d // 2):
        c = {angle}
        rows = {rows}
        R[np.ix_(rows, rows)] = {block}
    return R
"""
GRADIENT = """
def position_gradient(by_x, n_positions, start=0):
    B, T, C = by_x.shape
    grad = np.zeros((n_positions, C))
    {collect}
    return grad
"""
ROTATE = """
def rotate_halves(x, positions, base=10000.0):
    d = x.shape[-1]
    angle = {places}[:, None] * {frequency}
    cos, sin = np.cos(angle), np.sin(angle)
    u, v = {pairs}
    return {result}
"""
ALIBI = """
def alibi_mask(n_query, n_key, n_head):
    query_position = {queries}[:, None]
    distance = query_position - np.arange(n_key)
    slopes = {slopes}
    bias = {bias}
    return {result}
"""


def table(
    frequency="base ** (-np.arange(0, d, 2) / d)",
    places="(first + np.arange(T))",
    fill="table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)",
):
    return TABLE.format(frequency=frequency, places=places, fill=fill)


def shift(
    angle="delta * base ** (-2 * m / d)",
    rows="[2 * m, 2 * m + 1]",
    block="[[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]]",
):
    return SHIFT.format(angle=angle, rows=rows, block=block)


def gradient(collect):
    return GRADIENT.format(collect=collect)


def rotate(**parts):
    defaults = {
        "places": "positions",
        "frequency": "base ** (-np.arange(0, d, 2) / d)",
        "pairs": "x[:, : d // 2], x[:, d // 2 :]",
        "result": "np.concatenate([u * cos - v * sin, u * sin + v * cos], axis=-1)",
    }
    return ROTATE.format(**defaults | parts)


def alibi(**parts):
    defaults = {
        "queries": "np.arange(n_key - n_query, n_key)",
        "slopes": "2.0 ** (-8 * np.arange(1, n_head + 1) / n_head)",
        "bias": "-slopes[:, None, None] * distance",
        "result": "np.where(distance < 0, -np.inf, bias)",
    }
    return ALIBI.format(**defaults | parts)


INTERLEAVED = "np.stack([u * cos - v * sin, u * sin + v * cos], axis=-1)"
OVERWRITTEN = """
def rotate_halves(x, positions, base=10000.0):
    d = x.shape[-1]
    angle = positions[:, None] * base ** (-np.arange(0, d, 2) / d)
    u, v = x[:, : d // 2], x[:, d // 2 :]
    u = u * np.cos(angle) - v * np.sin(angle)
    v = u * np.sin(angle) + v * np.cos(angle)
    return np.concatenate([u, v], axis=-1)
"""
IN_PLACE = """
def rotate_halves(x, positions, base=10000.0):
    d = x.shape[-1]
    angle = positions[:, None] * base ** (-np.arange(0, d, 2) / d)
    u, v = x[:, : d // 2].copy(), x[:, d // 2 :].copy()
    x[:, : d // 2] = u * np.cos(angle) - v * np.sin(angle)
    x[:, d // 2 :] = u * np.sin(angle) + v * np.cos(angle)
    return x
"""

WRONG_ANSWERS = {
    "sinusoid_table": [
        (
            table(fill="table[:, 0::2], table[:, 1::2] = np.cos(angle), np.sin(angle)"),
            "the paper has the sine there",
        ),
        (
            table(fill="table[:] = np.concatenate([np.sin(angle), np.cos(angle)], 1)"),
            "here they take turns",
        ),
        (table(fill="table[:, 0::2] = table[:, 1::2] = np.sin(angle)"), "sine is"),
        (table("base ** (-np.arange(d // 2) / d)"), "yours is -m / d"),
        (table("base ** (np.arange(0, d, 2) / d)"), "needs its minus"),
        (table("base ** -np.linspace(0, 1, d // 2)"), "divide 2 m by d"),
        (table(places="(1 + first + np.arange(T))"), "count from 1"),
        (table(places="np.arange(T)"), "`first` is not used"),
        (table("10000.0 ** (-np.arange(0, d, 2) / d)"), "is right"),
        (
            "def sinusoid_table(T, d, base=10000.0, first=0):\n"
            "    angle = (first + np.arange(T))[:, None]\n"
            "    angle = angle * base ** (-np.arange(d) / d)\n"
            "    return np.where(np.arange(d) % 2, np.cos(angle), np.sin(angle))",
            "a pair shares one m",
        ),
    ],
    "shift_matrix": [
        (shift(angle="-delta * base ** (-2 * m / d)"), "the wrong way"),
        (shift(rows="[m, m + d // 2]"), "yours are m and m + d/2"),
        (shift(angle="delta"), "its own frequency"),
        (
            shift(block="[[np.cos(c), np.sin(c)], [np.sin(c), np.cos(c)]]"),
            "one needs a minus",
        ),
        (
            shift(block="[[np.cos(c), np.sin(c)], [np.sin(c), -np.cos(c)]]"),
            "a reflection",
        ),
        (shift(angle="delta * base ** (-m / d)"), "is right"),
        (shift(angle="base ** (-2 * m / d)"), "is right"),
        (
            "def shift_matrix(delta, d, base=10000.0):\n"
            "    return sinusoids(delta + 1, d, base)[delta]",
            "the shape is",
        ),
    ],
    "position_gradient": [
        (gradient("grad[start : start + T] = by_x.mean(axis=0)"), "not the mean"),
        (gradient("grad[start : start + T] = by_x[0]"), "only the first sequence"),
        (
            gradient("for row in by_x: grad[start : start + T] = row"),
            "add, do not overwrite",
        ),
        (gradient("grad[:T] = by_x.sum(axis=0)"), "at `start`, not at 0"),
        (
            gradient("grad[start : start + T] = by_x.sum(axis=(0, 1))"),
            "each place has its own row",
        ),
        (gradient("grad[:] = by_x.sum(axis=(0, 1))"), "every row of the table"),
        (gradient("grad = by_x.sum(axis=0)"), "the shape is"),
        (gradient("grad[start : start + T] = by_x.sum(axis=1)"), "raises ValueError"),
    ],
    "rotate_halves": [
        (
            rotate(
                pairs="x[:, 0::2], x[:, 1::2]",
                result=f"{INTERLEAVED}.reshape(x.shape)",
            ),
            "interleaved layout",
        ),
        (rotate(result=f"{INTERLEAVED}.reshape(x.shape)"), "go back to these entries"),
        (rotate(pairs="x[:, 0::2], x[:, 1::2]"), "take the two halves"),
        (
            rotate(
                result="np.concatenate([u * cos + v * sin, v * cos - u * sin], axis=-1)"
            ),
            "the wrong way",
        ),
        (
            rotate(
                result="np.concatenate([u * cos + v * sin, u * sin + v * cos], axis=-1)"
            ),
            "no rotation",
        ),
        (OVERWRITTEN, "u was overwritten"),
        (IN_PLACE, "changes its arguments"),
        (rotate(frequency="base ** (-np.arange(d // 2) / d)"), "yours is -m / d"),
        (rotate(frequency="np.ones(d // 2)"), "its own frequency"),
        (rotate(places="np.arange(len(x))"), "the positions given are not used"),
        (rotate(result="u * cos - v * sin"), "the shape is"),
    ],
    "alibi_mask": [
        (alibi(result="bias"), "must be -inf"),
        (alibi(result="np.where(distance < 0, 0, bias)"), "the future gets 0"),
        (alibi(bias="slopes[:, None, None] * distance"), "far keys must lose"),
        (alibi(slopes="2.0 ** (-8 * np.arange(n_head) / n_head)"), "count from 0"),
        (alibi(slopes="np.full(n_head, 2.0 ** (-8 / n_head))"), "its own slope"),
        (alibi(slopes="2.0 ** -np.arange(1, n_head + 1)"), "yours are 2 ** -n"),
        (alibi(queries="np.arange(n_query)"), "yours begin at place 0"),
        (alibi(bias="-slopes[0] * distance"), "the shape is"),
        (alibi(result="np.where(distance <= 0, -np.inf, bias)"), "is right"),
    ],
}
