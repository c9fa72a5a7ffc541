"""Answers that look right and are not, each with what the check must say."""

SHARE = "share_heads = lambda key, n_head: {}"
MOE = """
def moe_parameters(C, F, E, k):
    expert = {expert}
    return {result}
"""
ROUTE = """
def route(scores, k):
    best = np.argsort({order}, axis=-1)[:, :{k}]
    kept = np.full(scores.shape, {other})
    np.put_along_axis(kept, best, np.take_along_axis(scores, best, -1), -1)
    return {result}
"""
BALANCE = """
def balance(scores, k):
    E = scores.shape[-1]
    best = np.argsort(-scores, axis=-1)[:, :{k}]
    share = np.bincount(best.ravel(), minlength=E) / {count}
    return {result}
"""


def moe(expert="3 * C * F", result="E * expert + C * E, k * expert + C * E"):
    return MOE.format(expert=expert, result=result)


def route(**parts):
    defaults = {"order": "-scores", "k": "k", "other": "-np.inf",
                "result": "softmax(kept)"}  # fmt: skip
    return ROUTE.format(**defaults | parts)


def balance(**parts):
    result = "E * (share * softmax(scores).mean(axis=0)).sum()"
    defaults = {"k": "k", "count": "best.size", "result": result}
    return BALANCE.format(**defaults | parts)


WRONG_ANSWERS = {
    "share_heads": [
        (SHARE.format("np.tile(key, (n_head // len(key), 1, 1))"), "take turns"),
        (
            SHARE.format("key.repeat(n_head // len(key), axis=1)"),
            "the shape is (1, 12, 2)",
        ),
        (SHARE.format("key.repeat(n_head // len(key), axis=-1)"), "the shape is"),
        (SHARE.format("key.repeat(n_head, axis=0)"), "the shape is"),
        (SHARE.format("key[[0] * n_head]"), "every head got the first key"),
        (SHARE.format("key"), "the shape is (1, 3, 2)"),
        (SHARE.format("key[::-1].repeat(n_head // len(key), axis=0)"), "comes first"),
        (SHARE.format("key.repeat(n_head // len(key), axis=0)[:, ::-1]"), "is right"),
    ],
    "moe_parameters": [
        (moe(expert="2 * C * F"), "three matrices"),
        (moe(result="E * expert, k * expert"), "the router is missing"),
        (moe(result="k * expert + C * E, E * expert + C * E"), "changed places"),
        (moe(result="E * expert + C * E, k * expert"), "belongs to the second"),
        (moe(result="E * expert + C * E, expert + C * E"), "k experts work"),
        (moe(result="E * expert + C * E, k * expert + C * k"), "all E experts"),
        (moe(result="E * expert + C * E"), "2 things"),
        (moe(expert="3 * C * F + 2 * F + C"), "is right"),
    ],
    "route": [
        (route(result="softmax(scores) * (kept > -np.inf)"), "over all experts"),
        (route(other="0.0"), "still gets weight"),
        (route(order="scores"), "the k worst"),
        (route(result="softmax(scores)"), "none was left out"),
        (route(result="(kept > -np.inf) / k"), "the softmax is missing"),
        (route(result="1.0 * (kept > -np.inf)"), "without weights"),
        (route(k="1"), "whatever k is"),
        (route(result="softmax(kept.T).T"), "nan"),
        (route(result="kept"), "is right"),
        ("def route(scores, k):\n    scores[:] = 0\n    return scores", "is right"),
        (
            "def route(scores, k):\n"
            "    weights = np.exp(scores)\n"
            "    limit = np.sort(weights)[:, -k, None]\n"
            "    weights[weights < limit] = 0\n"
            "    return weights / weights.sum(axis=-1, keepdims=True)",
            "nan",
        ),
    ],
    "balance": [
        (balance(result="(share * softmax(scores).mean(axis=0)).sum()"), "factor E"),
        (balance(count="len(scores)"), "sum to k"),
        (balance(result="E * (share**2).sum()"), "squared shares"),
        (
            balance(result="E * (softmax(scores).mean(axis=0) ** 2).sum()"),
            "squared probabilities",
        ),
        (
            balance(result="(share * softmax(scores).mean(axis=0)).mean()"),
            "the mean over the experts",
        ),
        (balance(k="1"), "only each token's best"),
        (balance(result="share"), "the shape is (4,)"),
        (balance(result="E * share.max()"), "is right"),
    ],
}
