"""Answers that look right and are not, each with what the check must say."""

RMS = """
def rms_norm(x, gain, epsilon=1e-5):
    return {result}
"""
UNIT = """
def contribution(x, m, w_1, b_1, w_2):
    return {result}
"""
COUNT = """
def block_parameters(C, ratio=4):
    attention = {attention}
    fed = {fed}
    return attention + fed + {norms}
"""
ORDERED = """
def ordered_block(x, attn, mlp, ln_1, ln_2, order):
    if order == "pre":
        x = {pre_1}
        return {pre_2}
    if order == "post":
        x = {post_1}
        return {post_2}
    return {parallel}
"""
FOLD = """
def fold(gain, bias, weight, layer_bias):
    return {weight}, {bias}
"""


def rms(result):
    return RMS.format(result=result)


def unit(result):
    return UNIT.format(result=result)


def count(**parts):
    defaults = {
        "attention": "4 * C * C + 4 * C",
        "fed": "2 * ratio * C * C + ratio * C + C",
        "norms": "4 * C",
    }
    return COUNT.format(**defaults | parts)


def ordered(**parts):
    defaults = {
        "pre_1": "x + attn(ln_1(x))",
        "pre_2": "x + mlp(ln_2(x))",
        "post_1": "ln_1(x + attn(x))",
        "post_2": "ln_2(x + mlp(x))",
        "parallel": "x + attn(ln_1(x)) + mlp(ln_1(x))",
    }
    return ORDERED.format(**defaults | parts)


def fold(weight="gain[:, None] * weight", bias="layer_bias + bias @ weight"):
    return FOLD.format(weight=weight, bias=bias)


SQUARE = "(x**2).mean(axis=-1, keepdims=True)"

WRONG_ANSWERS = {
    "rms_norm": [
        ("rms_norm = 3", "give the function itself, not int"),
        (rms("layer_norm(x, gain, 0, epsilon)"), "that is LayerNorm"),
        (rms(f"x / ({SQUARE} + epsilon) * gain"), "the root is missing"),
        (
            rms("x / np.sqrt((x**2).sum(-1, keepdims=True) + epsilon) * gain"),
            "the sum of the squares",
        ),
        (rms("x / np.sqrt((x**2).mean(0) + epsilon) * gain"), "over the tokens"),
        (rms("x / np.sqrt((x**2).mean() + epsilon) * gain"), "over all of x"),
        (rms("x / np.sqrt((x**2).mean(-1) + epsilon) * gain"), "keepdims=True"),
        (rms(f"x / np.sqrt({SQUARE} + epsilon)"), "the gain is missing"),
        (rms(f"x / (np.sqrt({SQUARE}) + epsilon) * gain"), "outside the root"),
        (rms(f"x / np.sqrt({SQUARE}) * gain"), "epsilon is missing"),
        (rms(f"x / np.sqrt({SQUARE} + 1e-5) * gain"), "use the argument"),
        (rms(f"x / np.sqrt({SQUARE} + epsilon) + gain"), "is right"),
        (rms("gain"), "the shape is (2,)"),
    ],
    "contribution": [
        (unit("np.outer(x @ w_1[:, m] + b_1[m], w_2[m])"), "GELU is missing"),
        (unit("np.outer(np.maximum(x @ w_1[:, m] + b_1[m], 0), w_2[m])"), "ReLU"),
        (unit("np.outer(gelu(x @ w_1[:, m]), w_2[m])"), "bias of the unit"),
        (unit("feed_forward(x, w_1, b_1, w_2, 0)"), "take unit m alone"),
        (unit("gelu(x @ w_1[:, m] + b_1[m])"), "the shape is (9,)"),
        (unit("np.outer(gelu(x @ w_1[:, m]) + b_1[m], w_2[m])"), "is right"),
        (unit("np.outer(w_2[m], gelu(x @ w_1[:, m] + b_1[m]))"), "the shape is (3, 9)"),
        (
            unit(
                "np.outer(gelu(x @ (w_1[m] if w_1.shape[0] == w_1.shape[1] else "
                "w_1[:, m]) + b_1[m]), w_2[m])"
            ),
            "it is column m",
        ),
        (
            unit(
                "np.outer(gelu(x @ w_1[:, m] + b_1[m]), "
                "w_2[:, m] if w_2.shape[0] == w_2.shape[1] else w_2[m])"
            ),
            "it is row m",
        ),
        (
            unit("np.outer(gelu(x[0] @ w_1[:, m] + b_1[m]) * np.ones(len(x)), w_2[m])"),
            "the first token",
        ),
    ],
    "block_parameters": [
        (count(norms="0"), "gain and bias of both norms"),
        (count(norms="2 * C"), "two norms"),
        (count(attention="4 * C * C", fed="2 * ratio * C * C"), "of the linear layers"),
        (count(attention="4 * C * C"), "or attention's biases"),
        (count(fed="2 * ratio * C * C"), "biases of the feed-forward"),
        (count(attention="3 * C * C + 3 * C"), "c_proj of attention"),
        (count(fed="ratio * C * C + ratio * C + C"), "one of the two matrices"),
        (count(fed="8 * C * C + 5 * C"), "use the argument"),
        (count(fed="2 * ratio * C * C + 2 * C"), "is right"),
        (count(norms="6 * C"), "is right"),
    ],
    "ordered_block": [
        (
            "def ordered_block(x, a, m, n, k, order):\n    return block(x, a, m, n, k)",
            "pre-LN whatever the order",
        ),
        (ordered(pre_1="attn(ln_1(x))", pre_2="mlp(ln_2(x))"), "pre: the residual"),
        (
            ordered(pre_1="ln_1(x) + attn(ln_1(x))", pre_2="ln_2(x) + mlp(ln_2(x))"),
            "x itself stays in the sum, not the normed",
        ),
        (ordered(pre_2="x + mlp(ln_1(x))"), "the second has ln_2"),
        (
            ordered(post_1="x + ln_1(attn(x))", post_2="x + ln_2(mlp(x))"),
            "after the sum, not on the branch",
        ),
        (ordered(post_1="ln_1(attn(x))", post_2="ln_2(mlp(x))"), "post: the residual"),
        (
            ordered(post_1="ln_2(x + attn(x))", post_2="ln_1(x + mlp(x))"),
            "ln_1 follows attention",
        ),
        (ordered(parallel="x + attn(ln_1(x)) + mlp(ln_2(x))"), "both branches read"),
        (
            ordered(parallel="block(x, attn, mlp, ln_1, ln_1)"),
            "not what attn has written",
        ),
        (ordered(parallel="x + attn(x) + mlp(x)"), "read ln_1(x), not x"),
        (ordered(parallel="attn(ln_1(x)) + mlp(ln_1(x))"), "x itself stays"),
        (ordered(pre_1="x + attn(x)"), "is right"),
        (ordered(post_2="x + mlp(x)"), "is right"),
    ],
    "fold": [
        ("fold = None", "give the function itself"),
        (
            fold(weight="gain * weight if weight.shape[1] == len(gain) else weight"),
            "number c belongs to row c",
        ),
        (fold(weight="weight"), "the gain belongs into it"),
        (fold(bias="layer_bias"), "the bias of the norm is missing"),
        (fold(bias="bias @ weight"), "the layer's own bias is missing"),
        (fold(bias="layer_bias + (gain * bias) @ weight"), "it comes after it"),
        (fold(bias="layer_bias + bias.sum()"), "is right"),
        (fold(weight="weight.T"), "is right"),
        (
            "def fold(gain, bias, weight, layer_bias):\n"
            "    return gain[:, None] * weight",
            "it should return 2 things",
        ),
    ],
}
