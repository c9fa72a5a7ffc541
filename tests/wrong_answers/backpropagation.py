"""Answers that look right and are not, each with what the check must say."""

LOSS = """
def loss_gradient(logits, targets):
    N = len(targets)
    grad = {p}
    {subtract}
    return {result}
"""
NORM = """
def norm_gradient(grad, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse = {inverse}
    normed = {normed}
    along = {along}
    return {result}
"""
STREAM = """
def through_stream(grad, branches):
    for branch in {order}:
        grad = {grad}
    return grad
"""
ADAM = """
def adamw(w, g, m, u, k, rate=0.1, beta1=0.9, beta2=0.99, decay=0.1):
    m = {m}
    u = {u}
    m_hat, u_hat = {hat}
    w = {w}
    return {result}
"""
TABLE = """
def table_gradient(grad, ids, gain, table):
    by_table = {head}
    by_rows = {rows}
    {add}
    return by_table
"""


def loss(**parts):
    defaults = {
        "p": "softmax(logits)",
        "subtract": "grad[np.arange(N), targets] -= 1",
        "result": "grad / N",
    }
    return LOSS.format(**defaults | parts)


def norm(**parts):
    defaults = {
        "inverse": "1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)",
        "normed": "centred * inverse",
        "along": "(grad * normed).mean(axis=-1, keepdims=True)",
        "result": "inverse * (grad - grad.mean(axis=-1, keepdims=True) "
        "- normed * along)",
    }
    return NORM.format(**defaults | parts)


def stream(order="reversed(branches)", grad="grad + branch(grad)"):
    return STREAM.format(order=order, grad=grad)


def adam(**parts):
    defaults = {
        "m": "beta1 * m + (1 - beta1) * g",
        "u": "beta2 * u + (1 - beta2) * g**2",
        "hat": "m / (1 - beta1**k), u / (1 - beta2**k)",
        "w": "w - rate * (m_hat / (np.sqrt(u_hat) + 1e-8) + decay * w)",
        "result": "w, m, u",
    }
    return ADAM.format(**defaults | parts)


def table(**parts):
    defaults = {
        "head": "grad.T @ (table[ids] * gain)",
        "rows": "grad @ table * gain",
        "add": "np.add.at(by_table, ids, by_rows)",
    }
    return TABLE.format(**defaults | parts)


WRONG_ANSWERS = {
    "loss_gradient": [
        (loss(result="grad"), "the mean divides by N"),
        (loss(result="-grad / N"), "the sign is wrong"),
        (loss(subtract="pass"), "the target is not subtracted"),
        (loss(result="grad / grad.size"), "divided by all entries"),
        (loss(p="logits.copy()"), "the softmax is missing"),
        (loss(p="logits"), "the softmax is missing"),
        (loss(subtract="grad[:, targets] -= 1"), "from whole columns"),
        (loss(p="softmax(logits.T).T"), "the wrong axis"),
        (
            loss(p="np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)"),
            "there is a nan",
        ),
        (
            loss(p="np.exp(logits - logits.max()) / np.exp(logits - logits.max())"
                 ".sum(axis=-1, keepdims=True)"),
            "there is a nan",
        ),
        (loss(subtract="grad[targets] -= 1"), "raises IndexError"),
        (loss(subtract="grad[np.arange(N), targets] -= 0.5"), "is right"),
        (loss(result="(grad * (grad < 0)) / N"), "only the targets have a gradient"),
        (
            "def loss_gradient(logits, targets):\n"
            "    logits[np.arange(len(targets)), targets] -= 0\n"
            "    logits -= 1\n"
            "    grad = softmax(logits)\n"
            "    grad[np.arange(len(targets)), targets] -= 1\n"
            "    return grad / len(targets)",
            "changes its arguments",
        ),
    ],
    "norm_gradient": [
        (norm(result="inverse * grad"), "two terms are missing"),
        (norm(result="inverse * (grad - normed * along)"), "through the mean too"),
        (
            norm(result="inverse * (grad - grad.mean(axis=-1, keepdims=True))"),
            "through the variance too",
        ),
        (
            norm(result="grad - grad.mean(axis=-1, keepdims=True) - normed * along"),
            "the factor 1 / sqrt",
        ),
        (
            norm(along="(grad * normed).sum(axis=-1, keepdims=True)"),
            "take the mean over the C numbers",
        ),
        (
            norm(inverse="1 / ((centred**2).mean(axis=-1, keepdims=True) + 1e-5)"),
            "not by its root",
        ),
        (
            norm(inverse="1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True))"),
            "epsilon is missing",
        ),
        (
            norm(inverse="1 / np.sqrt(x.var(axis=-1, ddof=1, keepdims=True) + 1e-5)"),
            "divides by C - 1",
        ),
        (norm().replace("axis=-1", "axis=0"), "each row is on its own"),
        (norm(normed="x * 1", inverse="1 / np.sqrt(x.var(axis=-1, keepdims=True) "
              "+ 1e-5)"), "not along x"),
        (norm(along="grad.mean() * normed"), "is right"),
        (
            norm(inverse="1 / (centred.std(axis=-1, keepdims=True) + 1e-5)"),
            "is right",
        ),
    ],
    "through_stream": [
        (stream(order="branches"), "in the order of the forward pass"),
        (stream(grad="branch(grad)"), "the straight way is missing"),
        (
            "def through_stream(grad, branches):\n"
            "    return grad + sum([b(grad) for b in branches], 0 * grad)",
            "each needs that above itself",
        ),
        (
            "def through_stream(grad, branches):\n"
            "    return grad + branches[-1](grad) if branches else grad",
            "only the last branch",
        ),
        (stream(grad="2 * grad + branch(grad)"), "counted twice"),
        (
            "def through_stream(grad, branches):\n"
            "    start = grad\n"
            "    for branch in reversed(branches):\n"
            "        grad = grad + branch(grad)\n"
            "    return grad - start",
            "of the end itself is missing",
        ),
        (
            "def through_stream(grad, branches):\n"
            "    for branch in reversed(branches):\n"
            "        grad += branch(grad)\n"
            "    return grad",
            "changes its arguments",
        ),
        (stream(grad="grad - branch(grad)"), "is right"),
    ],
    "adamw": [
        (adam(hat="m, u"), "the bias correction is missing"),
        (
            adam(hat="m / (1 - beta1**(k + 1)), u / (1 - beta2**(k + 1))"),
            "takes k as it is",
        ),
        (adam(u="beta2 * u + (1 - beta2) * g"), "there is a nan"),
        (adam(w="w - rate * (m_hat / (u_hat + 1e-8) + decay * w)"), "the root of u"),
        (adam(w="w - rate * m_hat / (np.sqrt(u_hat) + 1e-8)"), "decay is missing"),
        (
            adam(w="w - rate * m_hat / (np.sqrt(u_hat) + 1e-8) - decay * w"),
            "multiplied by the rate",
        ),
        (
            adam(w="w + rate * (m_hat / (np.sqrt(u_hat) + 1e-8) - decay * w)"),
            "uphill",
        ),
        (
            adam(w="w - rate * (m_hat / (np.sqrt(u_hat) + 1e-8) - decay * w)"),
            "away from 0",
        ),
        (
            adam(w="(w - rate * m_hat / (np.sqrt(u_hat) + 1e-8)) * (1 - rate * decay)"),
            "takes the old w",
        ),
        (adam(result="w, m_hat, u_hat"), "return the means as they are"),
        (
            adam(m="(1 - beta1) * m + beta1 * g", u="(1 - beta2) * u + beta2 * g**2",
                 hat="m / (1 - (1 - beta1)**k), u / (1 - (1 - beta2)**k)"),
            "have changed places",
        ),
        (
            adam(m="beta1 * m + (1 - beta1) * (g + decay * w)",
                 u="beta2 * u + (1 - beta2) * (g + decay * w)**2",
                 w="w - rate * m_hat / (np.sqrt(u_hat) + 1e-8)"),
            "AdamW keeps it apart",
        ),
        (
            adam(w="w - rate * (m_hat / np.sqrt(u_hat) + decay * w)"),
            "epsilon is missing",
        ),
        (
            adam(w="w - rate * (m_hat / np.sqrt(u_hat + 1e-8) + decay * w)"),
            "not under it",
        ),
        (
            adam(w="w - rate * (m_hat / (np.sqrt(u) + 1e-8)"
                 " * np.sqrt(1 - beta2**k) + decay * w)"),
            "of the corrected u",
        ),
        (
            adam(w="w - rate * (m_hat / (np.sqrt(u_hat) + 1e-5) + decay * w)"),
            "is right",
        ),
        (adam(result="w"), "return 3 things"),
        (
            adam().replace("    w = w - rate", "    w -= rate", 1),
            "changes its arguments",
        ),
    ],
    "table_gradient": [
        (table(add="by_table[ids] += by_rows"), "gets only one of its gradients"),
        (table(rows="grad @ table"), "does not go through the gain"),
        (table(head="grad.T @ table[ids]"), "the head's gradient lacks the gain"),
        (table(add="pass"), "the use as input is missing"),
        (table(head="np.zeros_like(table)"), "the use as head is missing"),
        (table(rows="grad @ (table * gain)", add="by_table[ids] += by_rows"),
         "only one of its gradients"),
        (table(rows="grad @ table / gain"), "is right"),
        (table(rows="grad @ table.T"), "raises ValueError"),
    ],
}
