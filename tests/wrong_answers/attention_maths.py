"""Answers that look right and are not, each with what the check must say."""


def jacobian(result):
    return f"def softmax_jacobian(p):\n    return {result}"


SAFE = """
def safe_weights(scores, mask):
    s = {s}
    top = s.max(axis={axis}, keepdims=True)
    exp = np.exp(s - {top})
    total = exp.sum(axis={axis}, keepdims=True)
    return {result}
"""
BACKWARD = """
def attend_backward(grad, query, keys, values):
    root = math.sqrt(len(query))
    weights = softmax({scores})
    by_scores = {by_scores}
    return {result}
"""
FLOPS = """
def writing_flops(n_prompt, n_new, C):
    prompt = {prompt}
    new = [{one} for n in range({span})]
    return prompt + sum(new)
"""
STREAM = """
def streaming_attend(query, blocks):
    m, z, u = -np.inf, 0.0, 0.0
    for keys, values in blocks:
        scores = {scores}
        new = {new}
        powers = np.exp(scores - new)
        z = {z} + powers.sum()
        u = {u} + powers @ values
        m = new
    return {result}
"""


def safe(
    s="scores + mask",
    axis="-1",
    top="np.where(np.isfinite(top), top, 0)",
    result="exp / np.where(total == 0, 1, total)",
):
    return SAFE.format(s=s, axis=axis, top=top, result=result)


def backward(
    scores="keys @ query / root",
    by_scores="softmax_backward(values @ grad, weights) / root",
    result="by_scores @ keys, np.outer(by_scores, query), np.outer(weights, grad)",
):
    return BACKWARD.format(scores=scores, by_scores=by_scores, result=result)


def flops(
    prompt="8 * n_prompt * C**2 + 4 * n_prompt**2 * C",
    one="8 * C**2 + 4 * n * C",
    span="n_prompt + 1, n_prompt + n_new + 1",
):
    return FLOPS.format(prompt=prompt, one=one, span=span)


def stream(
    scores="keys @ query / math.sqrt(len(query))",
    new="max(m, scores.max())",
    z="z * math.exp(m - new)",
    u="u * math.exp(m - new)",
    result="u / z",
):
    return STREAM.format(scores=scores, new=new, z=z, u=u, result=result)


WRONG_ANSWERS = {
    "softmax_jacobian": [
        (jacobian("np.diag(p * (1 - p))"), "the diagonal alone is right"),
        (jacobian("np.diag(p)"), "product of p with itself is missing"),
        (jacobian("np.outer(p, p) - np.diag(p)"), "the sign is turned"),
        (jacobian("-np.outer(p, p)"), "it is -p_i p_i"),
        (jacobian("np.diag(p) + np.outer(p, p)"), "must be subtracted"),
        (jacobian("np.eye(len(p)) - np.outer(p, p)"), "where a 1 belongs"),
        (jacobian("np.eye(len(p)) - p"), "the factor p_i is missing"),
        (jacobian("p * (1 - p)"), "the shape is (1,)"),
    ],
    "safe_weights": [
        (safe(top="top"), "there is a nan"),
        (safe(s="np.maximum(scores + mask, -1e10)", top="top"), "evenly"),
        (safe(axis="0"), "columns sum to 1"),
        (safe(s="scores"), "the mask is not used"),
        (
            "def safe_weights(scores, mask):\n"
            "    return softmax(scores) * np.exp(mask)",
            "rows don't sum to 1",
        ),
        (safe(result="exp"), "is right"),
        (
            "def safe_weights(scores, mask):\n"
            "    return np.nan_to_num(softmax(scores + mask), nan=1 / scores.shape[1])",
            "evenly",
        ),
        (safe(top="0"), "there is a nan"),
        (safe(top="s[np.isfinite(s)].max(initial=-1e300)"), "its own maximum; with"),
        (safe(top="np.maximum(top, 0)"), "far below 0 is not empty"),
        (
            "def safe_weights(scores, mask):\n"
            "    weights = np.nan_to_num(softmax(scores + mask))\n"
            "    n = min(mask.shape)\n"
            "    weights[:n][np.isneginf(np.diag(mask))] = 0\n"
            "    return weights",
            "is right",
        ),
    ],
    "attend_backward": [
        (backward(by_scores="softmax_backward(values @ grad, weights)"), "is missing"),
        (
            backward(by_scores="softmax_backward(values @ grad, weights) / root**2"),
            "is there twice",
        ),
        (
            backward(
                scores="keys @ query",
                by_scores="softmax_backward(values @ grad, weights)",
            ),
            "forwards or backwards",
        ),
        (
            backward(by_scores="weights * (1 - weights) * (values @ grad) / root"),
            "only the diagonal",
        ),
        (backward(by_scores="values @ grad / root"), "softmax_backward is missing"),
        (
            backward(
                result="by_scores @ keys, np.outer(by_scores, query), "
                "np.outer(np.ones(len(keys)), grad)"
            ),
            "by its weight",
        ),
        (
            backward(
                result="by_scores @ keys, np.outer(weights, grad), "
                "np.outer(by_scores, query)"
            ),
            "changed places",
        ),
        (backward(result="by_scores @ keys"), "3 things"),
        (
            backward(result="(by_scores @ keys)[None], np.outer(by_scores, query), 0"),
            "result 1: the shape",
        ),
    ],
    "writing_flops": [
        (flops(span="n_prompt, n_prompt + n_new"), "attends to itself"),
        (flops(one="8 * C**2 + 4 * n_prompt * C"), "one token more"),
        (
            flops(
                one="8 * n * C**2 + 4 * n**2 * C",
                span="n_prompt + 1, n_prompt + n_new + 1",
            ),
            "without the cache",
        ),
        (
            "def writing_flops(n_prompt, n_new, C):\n"
            "    T = n_prompt + n_new\n"
            "    return 8 * T * C**2 + 4 * T**2 * C",
            "all tokens at once",
        ),
        (flops(prompt="0"), "the prompt is missing"),
        (
            flops(
                prompt="4 * n_prompt * C**2 + 2 * n_prompt**2 * C",
                one="4 * C**2 + 2 * n * C",
            ),
            "each comes with an addition",
        ),
        (
            flops(
                prompt="6 * n_prompt * C**2 + 4 * n_prompt**2 * C",
                one="6 * C**2 + 4 * n * C",
            ),
            "c_proj is missing",
        ),
        (
            flops(
                prompt="8 * n_prompt * C**2 + 2 * n_prompt**2 * C",
                one="8 * C**2 + 2 * n * C",
            ),
            "two products",
        ),
        (
            flops(prompt="8 * n_prompt * C**2 + 2 * n_prompt**2 * C"),
            "the masked half",
        ),
        (flops(one="8 * C**2"), "is right"),
    ],
    "streaming_attend": [
        (stream(scores="keys @ query"), "not divided by sqrt(d)"),
        (stream(result="u"), "not divided by zeta"),
        (stream(z="z", u="u"), "multiply both"),
        (stream(z="z"), "zeta keeps its old scale"),
        (stream(u="u"), "u keeps its old scale"),
        (stream(new="scores.max()", z="z", u="u"), "its own maximum"),
        (stream(new="0.0"), "there is a nan"),
        (stream(new="max(m, scores[0])"), "there is a nan"),
        (stream(new="max(m, scores[-1])"), "there is a nan"),
        (stream(new="0.0", z="z", u="u"), "there is a nan"),
        (stream(z="0", u="0"), "only the last block"),
        (
            "def streaming_attend(query, blocks):\n"
            "    root = math.sqrt(len(query))\n"
            "    parts = [softmax(k @ query / root) @ v for k, v in blocks]\n"
            "    return np.mean(parts, axis=0)",
            "every block the same weight",
        ),
    ],
}
