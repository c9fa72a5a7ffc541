"""Answers that look right and are not, each with what the check must say."""


def mean(result):
    return f"def weighted_mean(x, weights):\n    return {result}"


SOFT = """
def soft_get(pairs, query, sharpness):
    keys = np.array(list(pairs))
    values = np.array(list(pairs.values()))
    scores = {scores}
    return {result}
"""
SAFE = "softmax(scores - scores.max())"
MATCH = """
def match(x):
    queries = {queries}
    keys = {keys}
    return queries, keys
"""
SHARES = """
def causal_shares(importance):
    T = len(importance)
    seen = {seen}
    return {result}
"""


def soft_get(scores="sharpness * (keys @ query)", result=SAFE + " @ values"):
    return SOFT.format(scores=scores, result=result)


def match(queries="10 * x[:, [3, 1, 4]]", keys="x[:, [0, 1, 2]]"):
    return MATCH.format(queries=queries, keys=keys)


def shares(
    seen="np.tril(np.tile(importance, (T, 1)))",
    result="seen / seen.sum(axis=1, keepdims=True)",
):
    return SHARES.format(seen=seen, result=result)


WRONG_ANSWERS = {
    "weighted_mean": [
        (mean("weights @ x"), "not divided by their sum"),
        (mean("weights @ x / len(weights)"), "by T, not by the sum"),
        (mean("x.mean(axis=0)"), "the plain mean"),
        (mean("softmax(weights) @ x"), "softmax changes the shares"),
        (mean("weights / np.linalg.norm(weights) @ x"), "by their length"),
        (mean("(weights / weights.sum())[:, None] * x"), "the shape is (4, 3)"),
        (mean("x @ (weights / weights.sum())"), "raises ValueError"),
        (mean("x[weights.argmax()]"), "is right"),
        (mean("weights / max(weights.sum(), 1) @ x"), "not divided by their sum"),
        (
            "def weighted_mean(x, weights):\n"
            "    weights /= weights.sum()\n"
            "    return weights @ x",
            "changes its arguments",
        ),
    ],
    "soft_get": [
        (soft_get(scores="keys @ query"), "the sharpness is not used"),
        (soft_get(scores="keys @ query / sharpness"), "divided by the sharpness"),
        (soft_get(scores="min(sharpness, 100) * (keys @ query)"), "is right"),
        (soft_get(result="softmax(scores) @ values"), "does exp overflow"),
        (soft_get(result="np.exp(scores) @ values"), "not divided by their sum"),
        (soft_get(result="softmax(scores.clip(-700, 700)) @ values"), "is right"),
        (
            soft_get(result="softmax(scores - abs(scores).max()) @ values"),
            "does exp overflow",
        ),
        (
            soft_get(
                result="(values[scores.argmax()] if sharpness >= 100 else "
                + SAFE
                + " @ values)"
            ),
            "hard lookup",
        ),
        (soft_get(result="scores @ values"), "softmax is missing"),
        (soft_get(result="values[scores.argmax()]"), "the hard lookup"),
        (soft_get(result=SAFE + " @ keys"), "the shape is (2,)"),
        (soft_get(result=SAFE), "the shape is (1,)"),
        (
            soft_get(scores="keys @ query", result="sharpness * " + SAFE + " @ values"),
            "multiplies the shares",
        ),
        (
            soft_get(
                scores="sharpness * (keys @ query) / np.linalg.norm(keys, axis=1)"
            ),
            "equally long",
        ),
    ],
    "match": [
        (match(queries="10 * x", keys="x"), "puts"),
        (match(queries="10 * x[:, [3, 3, 4]]"), "and 0.00 on token 3"),
        (match(queries="x[:, [3, 1, 4]]"), "make the scores larger"),
        (match(queries="10 * x[:, [4, 1, 3]]"), "puts"),
        (match(queries="10 * x[:, [1]]", keys="x[:, [1]]"), "on itself"),
        (match(queries="10 * x[:, [3, 4]]", keys="x[:, [0, 2]]"), "on token 0"),
        (match(queries="10 * x[:, [3, 1]]", keys="x[:, [0, 1]]"), "(0, 0, 0, 0, 1)"),
        (match(keys="x[:, [0, 1]]"), "the same shape (T, n)"),
        (match(queries="10 * x[:, [3, 1, 4]].T"), "the same shape (T, n)"),
        (match(queries="x[:, [3, 1, 4]] * np.inf"), "nan or an infinite"),
        ("def match(x):\n    return 10 * x[:, [3, 1, 4]]", "raises ValueError"),
        ("match = 3", "give the function itself"),
        (
            "def match(x):\n"
            "    q, k = 10 * x[:, [3, 1, 4]], x[:, [0, 1, 2]]\n"
            "    x *= 2\n"
            "    return q, k",
            "changes its arguments",
        ),
    ],
    "causal_shares": [
        (shares(result="seen"), "rows don't sum to 1: divide"),
        (shares(seen="np.tile(importance, (T, 1))"), "the future is not cut off"),
        (
            shares(
                seen="np.tile(importance, (T, 1))",
                result="np.tril(seen / seen.sum(axis=1, keepdims=True))",
            ),
            "after the division",
        ),
        (shares(result="seen / seen.sum(axis=0)"), "the columns sum to 1"),
        (shares(seen="np.tril(np.tile(importance, (T, 1)).T)"), "running mean"),
        (shares(seen="np.triu(np.tile(importance, (T, 1)))"), "upper triangle"),
        (
            shares(
                seen="np.tril(np.tile(importance, (T, 1)), -1)",
                result="seen / np.maximum(seen.sum(axis=1, keepdims=True), 1e-300)",
            ),
            "does not read itself",
        ),
        (shares(result="seen / (1 + seen.sum(axis=1, keepdims=True))"), "is right"),
    ],
}
