"""Answers that look right and are not, each with what the check must say."""

SHARES = """
def shares_by_norm(weights, value, w_out):
    length = np.linalg.norm({rows}, axis=-1)
    adds = weights * {length}
    return adds / {total}
"""
INDUCTION = """
def induction_score(weights):
    n = weights.shape[-1] // 2
    i = {rows}
    return {result}
"""
MEAN = """
def mean_ablated(heads, real, n):
    result = {start}
    {place} = {value}
    return result
"""
ATTRIBUTION = """
def attribution(terms, gain, bias, e, epsilon):
    sigma = {sigma}
    centred = terms - {mean}
    return {result}
"""


def shares(rows="value @ w_out", length="length", total=None):
    total = total or "adds.sum(axis=-1, keepdims=True)"
    return SHARES.format(rows=rows, length=length, total=total)


def induction(rows="np.arange(n, 2 * n)", result=None):
    result = result or "weights[:, i, i - n + 1].mean(axis=-1)"
    return INDUCTION.format(rows=rows, result=result)


def ablated(start="heads.copy()", place="result[:, n]", value=None):
    value = value or "heads[:, n][real].mean(axis=0)"
    return MEAN.format(start=start, place=place, value=value)


def attribution(sigma=None, mean="terms.mean(axis=1, keepdims=True)", result=None):
    return ATTRIBUTION.format(
        sigma=sigma or "np.sqrt(terms.sum(axis=0).var() + epsilon)",
        mean=mean,
        result=result or "np.append(centred / sigma * gain @ e, bias @ e)",
    )


WRONG_ANSWERS = {
    "shares_by_norm": [
        ("shares_by_norm = 3", "give the function itself, not int"),
        (shares(length="1"), "the lengths are missing"),
        (shares(total="1"), "do not sum to 1"),
        (shares(rows="value"), "before w_out"),
        (shares(length="length[:, None]"), "or cancel"),
        (shares(length="length[:, None]", total="1"), "belong to the columns"),
        (shares(total="adds.sum(axis=0)"), "the columns were made to sum to 1"),
        (shares(total="adds.sum()"), "each row has its own"),
        (shares(length="length**2"), "squared"),
        (shares(total="adds.sum(axis=-1)"), "is right"),
        (shares().replace("axis=-1)", "axis=-1, ord=1)"), "is right"),
        (
            "def shares_by_norm(weights, value, w_out):\n"
            "    return np.linalg.norm(value @ w_out, axis=-1)",
            "the shape is",
        ),
    ],
    "induction_score": [
        (induction(result="weights[:, i, i - n].mean(axis=-1)"), "the one after it"),
        (induction(result="weights[:, i, i - n - 1].mean(axis=-1)"), "after is + 1"),
        (induction(result="weights[:, i, i - 1].mean(axis=-1)"), "previous token"),
        (induction(result="weights[:, i, i - n + 1].mean()"), "the shape is ()"),
        (
            induction(result="np.full(len(weights), weights[:, i, i - n + 1].mean())"),
            "averaged together",
        ),
        (induction(result="weights[:, i, i - n + 1].sum(axis=-1)"), "must be a mean"),
        (induction(rows="np.arange(n, 2 * n - 1)"), "the last row"),
        (induction(rows="np.arange(n - 1, 2 * n)"), "nothing to repeat"),
        (induction(result="weights[:, i - n + 1, i].mean(axis=-1)"), "changed places"),
        (induction(result="weights[:, i, i - n + 1].max(axis=-1)"), "is right"),
        (induction(result="weights[:, n:, 1 : n + 1].mean(axis=(1, 2))"), "is right"),
    ],
    "mean_ablated": [
        (ablated(value="0"), "zero ablation"),
        (ablated(value="heads[:, n].mean(axis=(0, 1))"), "the filling is in the mean"),
        (
            ablated(value="(heads[:, n] * real[..., None]).mean(axis=(0, 1))"),
            "counts in the division",
        ),
        (
            ablated(value="np.array([h[r].mean(axis=0)[None]\n"
                    "        for h, r in zip(heads[:, n], real)])"),
            "each story has its own mean",
        ),
        (
            ablated(place="result[:, n][real]"),
            "to every token",
        ),
        (
            ablated(place="result[:]",
                    value="heads.swapaxes(1, 2)[real].mean(axis=0)[:, None]"),
            "every head was replaced",
        ),
        (ablated(value="heads[:, n][real].mean()"), "one number"),
        (
            ablated(value="heads.swapaxes(1, 2)[real].mean(axis=(0, 1))"),
            "over all heads",
        ),
        (ablated(start="heads"), "changes its arguments"),
        (
            "def mean_ablated(heads, real, n):\n"
            "    result = heads.copy()\n"
            "    result[:, n] = heads[:, n][real].mean(axis=0)\n"
            "    return heads",
            "nothing has changed",
        ),
        (ablated(value="heads[:, 0][real].mean(axis=0)"), "is right"),
        (ablated(value="np.median(heads[:, n][real], axis=0)"), "is right"),
    ],
    "attribution": [
        (
            attribution(sigma="np.sqrt(terms.var(axis=1, keepdims=True) + epsilon)"),
            "its own deviation",
        ),
        (attribution(mean="0"), "lose its own mean"),
        (attribution(mean="terms.mean(axis=0)"), "not over the terms"),
        (
            attribution(result="np.append(centred / sigma @ e, bias @ e)"),
            "the gain is missing",
        ),
        (attribution(sigma="terms.sum(axis=0).std()"), "epsilon is missing"),
        (attribution(sigma="terms.sum(axis=0).std() + epsilon"), "under the root"),
        (attribution(sigma="terms.sum(axis=0).var() + epsilon"), "take the root"),
        (
            attribution(sigma="np.sqrt(terms.sum(axis=0).var(ddof=1) + epsilon)"),
            "not by C - 1",
        ),
        (
            attribution(
                result="np.append((centred / sigma * gain + bias) @ e, bias @ e)"
            ),
            "added to each term",
        ),
        (
            attribution(result="np.append(bias @ e, centred / sigma * gain @ e)"),
            "comes last",
        ),
        (attribution(result="centred / sigma * gain @ e"), "the shape is"),
        (attribution(sigma="np.sqrt(terms.var() + epsilon)"), "is right"),
    ],
}
