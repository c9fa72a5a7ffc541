"""Answers that look right and are not, each with what the check must say."""

REWARD = "def reward_loss(better, worse):\n    return {result}"
POLICY = """
def best_policy(p, r, beta):
    z = {z}
    z = z - z.max()
    {then}
    return {result}
"""
DPO = """
def dpo_slope(log_p, ref, counts, beta):
    gains = {gains}
    margin = {margin}
    loss = np.logaddexp(0, -margin)
    weight = {weight}
    by = {by}
    return {result}
"""
BEST = """
def best_of_n(p, r, n):
    order = {order}
    below = np.concatenate([[0], np.cumsum(p[order])])
    q = np.empty_like(p)
    q[{place}] = {result}
    return q
"""


def policy(z="np.log(p) + r / beta", then="pass", result="np.exp(z) / np.exp(z).sum()"):
    return POLICY.format(z=z, then=then, result=result)


def dpo(**parts):
    defaults = {
        "gains": "((log_p - ref) * counts).sum(axis=1)",
        "margin": "beta * (gains[0] - gains[1])",
        "weight": "np.exp(-np.logaddexp(0, margin))",
        "by": "-beta * weight * counts * np.array([[1.0], [-1.0]])",
        "result": "loss, by",
    }
    return DPO.format(**defaults | parts)


def best(order="np.argsort(r)", place="order", result="np.diff(below**n)"):
    return BEST.format(order=order, place=place, result=result)


WRONG_ANSWERS = {
    "reward_loss": [
        ("reward_loss = 0.69", "give the function itself, not float"),
        (REWARD.format(result="np.logaddexp(0, better - worse).mean()"), "the sign"),
        (REWARD.format(result="np.logaddexp(0, worse - better).sum()"), "the sum"),
        (REWARD.format(result="np.logaddexp(0, worse - better)"), "the shape is"),
        (REWARD.format(result="-np.logaddexp(0, worse - better).mean()"), "the minus"),
        (
            REWARD.format(result="np.log(1 + np.exp(worse - better)).mean()"),
            "exp overflows",
        ),
        (
            REWARD.format(result="(1 / (1 + np.exp(worse - better))).mean()"),
            "take -ln first",
        ),
        (
            REWARD.format(result="-np.log((1 / (1 + np.exp(worse - better))).mean())"),
            "not the other way round",
        ),
        (REWARD.format(result="(worse - better).mean()"), "is right"),
        (
            REWARD.format(result="np.logaddexp(0, worse.mean() - better.mean())"),
            "is right",
        ),
    ],
    "best_policy": [
        (policy(result="p * np.exp(r / beta)"), "divide by the sum"),
        (policy(z="r / beta"), "the reference p is missing"),
        (policy(z="np.log(p) + r * beta"), "beta divides the reward"),
        (policy(z="np.log(p) + r"), "beta is missing"),
        (policy(z="np.log(p) - r / beta"), "the sign of the reward"),
        (policy(z="p + r / beta"), "is right"),
        (policy(result="np.eye(len(p))[r.argmax()]"), "the best answer alone"),
        (
            policy(then="w = p * np.exp(r / beta)", result="w / w.sum()"),
            "does exp overflow",
        ),
        (policy(z="beta * np.log(p) + r"), "is right"),
        (policy(then="r -= r.max()"), "it changes its arguments"),
    ],
    "dpo_slope": [
        (dpo(margin="beta * (gains[1] - gains[0])"), "is right"),
        (
            dpo(
                margin="beta * (gains[1] - gains[0])",
                by="beta * weight * counts * np.array([[1.0], [-1.0]])",
            ),
            "have changed places",
        ),
        (dpo(gains="(log_p - ref).sum(axis=1)"), "is right"),
        (
            dpo(
                gains="(log_p - ref).sum(axis=1)",
                by="-beta * weight * np.ones_like(ref) * np.array([[1.0], [-1.0]])",
            ),
            "must be left out",
        ),
        (dpo(gains="(log_p * counts).sum(axis=1)"), "the reference is missing"),
        (
            dpo(by="-beta * weight * np.ones_like(ref) * np.array([[1.0], [-1.0]])"),
            "is 0 where `counts` is False",
        ),
        (dpo(weight="np.exp(-np.logaddexp(0, -margin))"), "weight is sigmoid(-margin)"),
        (
            dpo(by="-weight * counts * np.array([[1.0], [-1.0]])"),
            "beta is missing in the gradient",
        ),
        (
            dpo(by="beta * weight * counts * np.array([[1.0], [-1.0]])"),
            "the sign of the gradient",
        ),
        (dpo(by="-beta * weight * counts * 1.0"), "has the other sign"),
        (
            dpo(
                gains="((log_p - ref) * counts).sum(axis=1) / counts.sum(axis=1)",
                by="-beta * weight * counts * np.array([[1.0], [-1.0]]) "
                "/ counts.sum(axis=1, keepdims=True)",
            ),
            "that is their mean",
        ),
        (dpo(result="loss"), "it should return 2 things"),
        (dpo(weight="1 / (1 + np.exp(margin))", result="loss, by[0]"), "the shape is"),
    ],
    "best_of_n": [
        (best(order="np.argsort(-r)"), "the worst of n"),
        (best(order="np.arange(len(p))"), "sort by the reward first"),
        (best(place=":"), "back into the order"),
        (best(result="(p**n / (p**n).sum())[order]"), "n equal answers"),
        (best(result="(1 - (1 - p) ** n)[order]"), "among the n"),
        (best(result="p[order]"), "n is missing"),
        (best(result="np.diff(below)**n"), "is right"),
        (best(result="below[1:]**n"), "is right"),
        (best(result="np.diff(below*n)"), "is right"),
    ],
}
