"""Answers that look right and are not, each with what the check must say."""

RELU = """
def relu_backward(grad, x):
    return {result}
"""
SILU = """
def silu_backward(grad, x):
    s = sigmoid(x)
    return {result}
"""
FLOPS = """
def forward_flops(T, C, n_layer, vocab_size):
    block = {block}
    return {result}
"""
POINTS = """
def through_points(x, y):
    slopes = {slopes}
    return {result}
"""
GATE = """
def gate_backward(grad, a, b):
    s = sigmoid(a)
    return {by_a}, {by_b}
"""


def relu(result):
    return RELU.format(result=result)


def silu(result):
    return SILU.format(result=result)


def flops(block="24 * T * C**2 + 4 * T**2 * C", result=None):
    result = result or "n_layer * block + 2 * T * C * vocab_size"
    return FLOPS.format(block=block, result=result)


def points(result, slopes="np.diff(y) / np.diff(x)"):
    return POINTS.format(slopes=slopes, result=result)


def gate(by_a="grad * b * (s + a * s * (1 - s))", by_b="grad * a * s"):
    return GATE.format(by_a=by_a, by_b=by_b)


WRONG_ANSWERS = {
    "relu_backward": [
        (relu("np.maximum(x, 0)"), "ReLU of x itself"),
        (relu("np.maximum(grad, 0)"), "x that opens the gate"),
        (relu("(x > 0) * 1.0"), "the slope alone"),
        (relu("grad * np.maximum(x, 0)"), "its slope, 0 or 1"),
        (relu("grad"), "passes unchanged"),
        (relu("grad * (x < 0)"), "the wrong way round"),
        (relu("grad * np.sign(x)"), "that is |x|"),
        (relu("grad * (x >= 0)"), "exactly 0"),
        (relu("grad * (grad > 0)"), "x that opens the gate"),
        (relu("x > 0"), "not of bool"),
        (relu("grad[x > 0]"), "the shape is"),
        (
            "def relu_backward(grad, x):\n    grad[x <= 0] = 0\n    return grad",
            "changes its arguments",
        ),
    ],
    "silu_backward": [
        (silu("s + x * s * (1 - s)"), "multiply it by grad"),
        (silu("grad * s"), "slope of the sigmoid is missing"),
        (silu("grad * x * s * (1 - s)"), "the term sigmoid(x) is missing"),
        (silu("grad * s * (1 - s)"), "SiLU is x times"),
        (silu("grad * (s + s * (1 - s))"), "lacks its factor x"),
        (silu("grad * x * s"), "SiLU itself"),
        (silu("grad * (s + x * s)"), "s * (1 - s), not s"),
        (silu("grad * (s + x * (1 - s))"), "not 1 - s"),
        (silu("gelu_backward(grad, x)"), "is right"),
        (silu("grad * (x > 0)"), "is right"),
    ],
    "forward_flops": [
        (flops(result="(n_layer * block + 2 * T * C * vocab_size) // 2"), "as 1"),
        (flops(result="3 * (n_layer * block + 2 * T * C * vocab_size)"), "backward"),
        (flops(block="24 * T * C**2"), "T^2 part of attention is missing"),
        (flops(block="24 * T * C**2 + 2 * T**2 * C"), "two products"),
        (flops(result="n_layer * block"), "the logits are missing"),
        (flops(result="n_layer * block + 2 * C * vocab_size"), "at every position"),
        (flops(result="n_layer * block + T * C * vocab_size"), "in the logits too"),
        (flops(block="8 * T * C**2 + 4 * T**2 * C"), "layers are missing"),
        (flops(block="16 * T * C**2 + 4 * T**2 * C"), "8TC^2 are missing"),
        (flops(block="22 * T * C**2 + 4 * T**2 * C"), "c_proj of attention"),
        (flops(result="block + 2 * T * C * vocab_size"), "multiply by n_layer"),
        (flops(block="24 * T * C**2 + 4 * T * C"), "is right"),
    ],
    "through_points": [
        (points("slopes, y[0]"), "these are the slopes"),
        (points("np.diff(slopes, prepend=0.0), 0.0"), "where all units are 0"),
        (points("np.diff(slopes, prepend=slopes[0]), y[0]"), "the first slope"),
        (points("np.diff(slopes, prepend=0.0), y[0]", "np.diff(y)"), "divide by them"),
        (
            points("np.diff(slopes, prepend=0.0), y[0]", "np.diff(x) / np.diff(y)"),
            "not the other way",
        ),
        (points("np.diff(slopes, prepend=0.0), y.mean()"), "not the mean"),
        (points("np.diff(slopes), y[0]"), "result 1: the shape is (1,)"),
        (points("np.diff(slopes, prepend=0.0)"), "it should return 2 things"),
        (points("np.diff(slopes, prepend=0.0), y[-1]"), "is right"),
    ],
    "gate_backward": [
        (
            gate("grad * a * s", "grad * b * (s + a * s * (1 - s))"),
            "changed places",
        ),
        (gate("grad * (s + a * s * (1 - s))"), "the other factor h is missing"),
        (gate("b * (s + a * s * (1 - s))", "a * s"), "multiply both by it"),
        (gate("grad * b"), "slope of SiLU is missing"),
        (gate("grad * b * a * s"), "SiLU itself"),
        (gate("grad * b * s"), "slope of the sigmoid is missing"),
        (gate(by_b="grad * (s + a * s * (1 - s))"), "not its slope"),
        (gate(by_b="grad * s"), "not the sigmoid"),
        (gate(by_b="grad * a"), "not h_gate"),
        (gate(by_b="grad * b"), "is right"),
    ],
}
