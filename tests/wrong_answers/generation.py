"""Answers that look right and are not, each with what the check must say."""

WARM = """
def warm(p, tau):
    q = {power}
    return {result}
"""
NUCLEUS = """
def nucleus(p, top_p):
    order = np.argsort({key}, kind="stable")
    sums = p[order].cumsum()
    keep = order[{stay}]
    q = np.zeros_like(p)
    q[keep] = p[keep]
    return {result}
"""
USERS = """
def users(memory, N, L, h, h_kv, C, T, itemsize):
    one_text = {one}
    return {result}
"""
VERIFY = """
def verify(p, q, token, u):
    if {accept}:
        one_hot = np.zeros_like(p)
        one_hot[token] = 1
        return one_hot
    rest = {rest}
    return {result}
"""


def warm(power="(p / p.max()) ** (1 / tau)", result="q / q.sum()"):
    return WARM.format(power=power, result=result)


def nucleus(key="-p", stay="sums - p[order] < top_p", result="q / q.sum()"):
    return NUCLEUS.format(key=key, stay=stay, result=result)


def users(one="2 * L * h_kv * (C // h) * T * itemsize",
          result="max(0, int((memory - N * itemsize) // one_text))"):  # fmt: skip
    return USERS.format(one=one, result=result)


def verify(accept="u < p[token] / q[token]", rest="np.maximum(p - q, 0)",
           result="rest / rest.sum()"):  # fmt: skip
    return VERIFY.format(accept=accept, rest=rest, result=result)


WRONG_ANSWERS = {
    "warm": [
        (warm(power="p**tau"), "1 / tau is right"),
        (warm(result="q").replace("p / p.max()", "p"), "divide by it"),
        (warm(power="p / tau", result="q"), "changes no odds"),
        (warm(power="p", result="softmax(q / tau)"), "softmax wants logits"),
        (warm(power="p ** (1 / tau)"), "there is a nan"),
        (warm(power="p", result="q"), "nothing has changed"),
        (warm(power="np.exp(np.log(p) / tau) + 1e-3"), "is right"),
        (warm(power="(p + 1e-12) ** (1 / tau)"), "there is a nan"),
        (warm(power="((p + 1e-12) / p.max()) ** (1 / tau)"), "is right"),
        (warm(result="(q / q.sum()).tolist()[:2]"), "the shape is (2,)"),
        (warm(power="p.__ipow__(1 / tau)"), "changes its arguments"),
    ],
    "nucleus": [
        (nucleus(stay="sums <= top_p"), "the token that crosses the line"),
        (nucleus(stay="sums - p[order] <= top_p"), "one token too many"),
        (nucleus(result="q"), "the sum is not 1"),
        (nucleus(key="p"), "the unlikeliest tokens are kept"),
        (nucleus(result="-np.sort(-q / q.sum())"), "put each at its own place"),
        (nucleus(stay="p[order] >= top_p"), "there is a nan"),
        (nucleus(stay="p[order] >= 1 - top_p"), "above 1 - top_p"),
        (nucleus(result="q[keep] / q.sum()"), "the shape is"),
        (nucleus(stay="np.arange(len(p)) < 3"), "is right"),
        (nucleus(stay="p[order] >= p[order][(sums < top_p).sum()]"), "is right"),
    ],
    "users": [
        (users(one="L * h_kv * (C // h) * T * itemsize"), "the 2 is missing"),
        (users(one="2 * L * h_kv * (C // h_kv) * T * itemsize"), "each C // h wide"),
        (users(one="2 * L * h_kv * C * T * itemsize"), "has C // h numbers, not C"),
        (users(one="2 * L * h * (C // h) * T * itemsize"), "only h_kv heads"),
        (users(result="int(memory // one_text)"), "the weights need memory too"),
        (
            users(result="max(0, int((memory - N) // one_text))"),
            "the weights have itemsize bytes",
        ),
        (
            users(result="int((memory - N * itemsize) // one_text)"),
            "no negative number of users",
        ),
        (users(result="max(0, (memory - N * itemsize) / one_text)"), "rounded down"),
        (users(one="2 * L * h_kv * (C // h) * itemsize"), "is right"),
    ],
    "verify": [
        (verify(accept="u < q[token] / p[token]"), "not q / p"),
        (verify(accept="u < p[token]"), "so p / q is right"),
        (verify(accept="True"), "always accepted"),
        (verify(accept="u <= p[token] / q[token]"), "< and not <="),
        (verify(accept="p[token] > q[token]"), "so p / q is right"),
        (verify(rest="p"), "after a refusal it draws from p, and"),
        (verify(rest="np.where(np.arange(len(p)) == token, 0, p)"), "without the"),
        (verify(rest="np.maximum(q - p, 0)"), "p - q is right"),
        (verify(rest="p - q"), "negative probabilities"),
        (verify(result="rest"), "divide by its sum"),
        (verify(accept="u >= p[token] / q[token]"), "changed places"),
        ("def verify(p, q, token, u):\n    return p", "p is returned"),
        (verify(rest="np.abs(p - q)"), "is right"),
    ],
}
