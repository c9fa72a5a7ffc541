"""Answers that look right and are not, each with what the check must say."""

SLOPE = """
def central_difference(f, x, epsilon):
    return {result}
"""
LINEAR = """
def torch_linear_backward(grad, x, weight):
    return {by_x}, {by_weight}, {by_bias}
"""
LOOKUP = """
def lookup_gradient(grad, ids, n_tokens):
    table = np.zeros((n_tokens, grad.shape[1]))
    {step}
    return {result}
"""
TIED = """
def tied_gradient(by_logits, ids, table):
    x = table[ids]
    by_x = {by_x}
    by_table = {head}
    {lookup}
    return {result}
"""
DIRECTIONS = """
def directions_needed(table, share):
    values = np.linalg.svd({table}, compute_uv=False)
    held = np.cumsum({part}) / ({part}).sum()
    return {result}
"""


def slope(result):
    return SLOPE.format(result=result)


def linear(by_x="grad @ weight", by_weight="grad.T @ x", by_bias="grad.sum(axis=0)"):
    return LINEAR.format(by_x=by_x, by_weight=by_weight, by_bias=by_bias)


def lookup(step="np.add.at(table, ids, grad)", result="table"):
    return LOOKUP.format(step=step, result=result)


def tied(by_x="by_logits @ table", head="by_logits.T @ x",
         lookup="np.add.at(by_table, ids, by_x)", result="by_table"):  # fmt: skip
    return TIED.format(by_x=by_x, head=head, lookup=lookup, result=result)


def directions(table="table - table.mean(axis=0)", part="values**2",
               result="int(np.argmax(held >= share)) + 1"):  # fmt: skip
    return DIRECTIONS.format(table=table, part=part, result=result)


WRONG_ANSWERS = {
    "central_difference": [
        (slope("(f(x + epsilon) - f(x - epsilon)) / epsilon"), "2 epsilon apart"),
        (slope("(f(x + epsilon) - f(x - epsilon)) / 2 * epsilon"), "in brackets"),
        (slope("(f(x + epsilon) - f(x)) / epsilon"), "to the right alone"),
        (slope("(f(x) - f(x - epsilon)) / epsilon"), "to the left alone"),
        (slope("(f(x - epsilon) - f(x + epsilon)) / (2 * epsilon)"), "sign is wrong"),
        (slope("(f(x + 1e-6) - f(x - 1e-6)) / 2e-6"), "epsilon that is given"),
        (slope("abs(f(x + epsilon) - f(x - epsilon)) / (2 * epsilon)"),
         "keep the sign"),
        (slope("f(x + epsilon) - f(x - epsilon)"), "is right"),
        (slope("None"), "not written yet"),
    ],
    "torch_linear_backward": [
        (linear(by_x="grad @ weight.T"), "needs no transpose"),
        (linear(by_weight="x.T @ grad"), "turned round"),
        (linear(by_bias="grad.mean(axis=0)"), "not the mean"),
        (linear(by_bias="grad.sum(axis=1)"), "not along them"),
        (linear(by_weight="grad.T @ x / len(x)"), "not their mean"),
        (linear("grad @ weight.T", "x.T @ grad"), "here it is weight.T"),
        (linear(by_bias="grad"), "result 3: the shape"),
        (linear(by_x="x @ weight"), "result 1"),
        (
            "def torch_linear_backward(grad, x, weight):\n    return grad.T @ x",
            "return 3 things",
        ),
    ],
    "lookup_gradient": [
        (lookup(step="table[ids] += grad"), "only the last row"),
        (lookup(step="table[ids[::-1]] = grad[::-1]"), "only the first row"),
        (lookup(result="table / np.maximum(np.bincount(ids, minlength=n_tokens), 1)"
                       "[:, None]"), "not the mean"),
        (lookup(step="table += grad.sum(axis=0)"), "of its own token"),
        (lookup(step="np.add.at(table, np.arange(len(ids)) % n_tokens, grad)"),
         "their positions"),
        (lookup(step="table[0] = grad.sum(axis=0)"), "is right"),
        (lookup(result="table.T"), "the shape is"),
        (lookup(step="table[ids] = np.eye(n_tokens)[ids].T @ grad"), "ValueError"),
    ],
    "tied_gradient": [
        (tied(lookup="pass"), "the look-up adds another"),
        (tied(head="np.zeros_like(table)"), "the head adds another"),
        (tied(lookup="by_table[ids] += by_x"), "kept only one"),
        (tied(result="by_table / 2"), "not averaged"),
        (tied(lookup="np.subtract.at(by_table, ids, by_x)"), "not subtracted"),
        (tied(by_x="x"), "not x itself"),
        (tied(result="by_x"), "the shape is"),
        (tied(head="2 * by_logits.T @ x"), "is right"),
    ],
    "directions_needed": [
        (directions(part="values"), "square of a singular value"),
        (directions(result="int(np.argmax(held >= share))"), "one too few"),
        (directions(result="int(np.argmax(held >= share)) + 2"), "one too many"),
        (directions(table="table"), "subtract the mean row"),
        (directions(result="int(np.argmax(held >= 1 - share)) + 1"), "1 - share"),
        (directions(table="table - table.mean()"), "subtract the mean row"),
        (directions(result="len(values)"), "is right"),
        (directions(result="held"), "the shape is"),
    ],
}
