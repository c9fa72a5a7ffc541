"""Answers that look right and are not, each with what the check must say."""

INPUT = """
def input_vectors(ids, token_table, position_table):
    T = ids.shape[-1]
    return {result}
"""
GAP = """
def order_gap(layer, x, order):
    return {result}
"""
NEXT = """
def next_input(new_ids, n_cached, token_table, position_table):
    positions = {positions}
    return token_table[new_ids] + position_table[positions]
"""
POSITIONS = """
def position_ids(mask):
    count = {count}
    return {result}
"""


def vectors(result):
    return INPUT.format(result=result)


def gap(result):
    return GAP.format(result=result)


def behind(positions):
    return NEXT.format(positions=positions)


def positions(count="np.cumsum(mask, axis=-1)", result="np.maximum(count - 1, 0)"):
    return POSITIONS.format(count=count, result=result)


BY_LENGTH = """
def input_vectors(ids, token_table, position_table):
    if ids.ndim == 1:
        return token_table[ids] + position_table[: len(ids)]
    return token_table[ids] + position_table[: len(ids)][:, None]
"""
WHOLE = """
def next_input(new_ids, n_cached, token_table, position_table):
    ids = np.concatenate([np.zeros(n_cached, int), new_ids])
    return token_table[ids] + position_table[: len(ids)]
"""

WRONG_ANSWERS = {
    "input_vectors": [
        (vectors("token_table[ids]"), "the positions are missing"),
        (
            vectors("token_table[ids] * 0 + position_table[:T]"),
            "the tokens are missing",
        ),
        (
            vectors("token_table[ids] + position_table[ids % len(position_table)]"),
            "looked up with the token ids",
        ),
        (vectors("token_table[ids] + position_table[0]"), "the row of position 0"),
        (vectors("token_table[ids] * position_table[:T]"), "multiplied"),
        (
            vectors("token_table[ids] + np.roll(position_table, -1, axis=0)[:T]"),
            "count from 1",
        ),
        (vectors("token_table[ids] + position_table[len(position_table) - T:]"), "is"),
        (vectors("token_table[ids] + position_table[: len(ids)]"), "ValueError"),
        (BY_LENGTH, "along the last axis"),
        (
            vectors("np.concatenate([token_table[ids], position_table[:T]], axis=-1)"),
            "the shape is",
        ),
        (vectors("token_table[ids] + position_table"), "the shape is"),
    ],
    "order_gap": [
        (gap("np.abs(layer(x[order]) - layer(x)).max()"), "must be permuted too"),
        (gap("np.abs(layer(x) - layer(x)[order]).max()"), "before the layer"),
        (gap("np.abs(layer(x[order]) - layer(x[order])).max()"), "the same thing"),
        (
            gap("np.abs(layer(x[order]) - layer(x)[np.argsort(order)]).max()"),
            "other way round",
        ),
        (gap("(layer(x[order]) - layer(x)[order]).max()"), "abs is missing"),
        (gap("np.abs(layer(x[order]) - layer(x)[order]).mean()"), "not the mean"),
        (gap("np.abs(layer(x[order]) - layer(x)[order]).sum()"), "not the sum"),
        (gap("np.abs(layer(x[order]) - layer(x)[order])"), "the shape is"),
        (gap("np.abs(layer(x[order])[0] - layer(x)[order][0]).max()"),
         "not the first alone"),
        (gap("np.ptp(layer(x[order]) - layer(x)[order])"), "is right"),
        (gap("np.allclose(layer(x[order]), layer(x)[order])"), "of bool"),
    ],
    "next_input": [
        (behind("np.arange(len(new_ids))"), "not at 0 again"),
        (behind("n_cached"), "the same row"),
        (behind("n_cached + 1 + np.arange(len(new_ids))"), "one place too far"),
        (behind("n_cached + len(new_ids) + np.arange(len(new_ids))"), "is right"),
        (behind("n_cached - 1 + np.arange(len(new_ids))"), "one place too early"),
        (behind("n_cached * np.arange(len(new_ids))"), "the same row"),
        (WHOLE, "the shape is"),
    ],
    "position_ids": [
        (positions(result="np.arange(mask.shape[1]) + 0 * mask"), "is counted"),
        (positions(result="count"), "count from 1"),
        (positions(result="count - 1"), "a pad gets -1"),
        (positions(count="np.cumsum(mask, axis=0)"), "downwards"),
        (positions(count="np.cumsum(mask).reshape(mask.shape)"), "runs on"),
        (positions(result="np.maximum(count - 1, 0)[:1] + 0 * mask"), "first row"),
        (positions(result="np.maximum(count - 1, 1)"), "is right"),
        (positions(result="(count - 1) * (1 - mask)"), "is right"),
        (positions(result="np.maximum(count - 1, 0)[0]"), "the shape is"),
    ],
}
