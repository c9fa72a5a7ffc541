"""Answers that look right and are not, each with what the check must say."""

NEXT = """
def next_logits(x, gain, bias, table):
    return {result}
"""
LOG = """
def log_softmax(z):
    return {result}
"""
LOSS = """
def mean_loss(logits, targets):
    counted = {counted}
    z, y = logits[counted], targets[counted]
    top = {top}
    log_sum = {log_sum}
    return {result}
"""
GAPS = """
def calibration_error(p, targets, n_bins):
    said = {said}
    came = {came}
    bins = {bins}
    total = 0.0
    for b in {every}:
        inside = bins == b
        total += {term}
    return {result}
"""
CHANCE = """
def chance_and_ignorance(truth, logits):
    log_p = {log_p}
    log_truth = {log_truth}
    entropy = {entropy}
    kl = {kl}
    return {result}
"""


def following(result):
    return NEXT.format(result=result)


def log(result):
    return LOG.format(result=result)


def loss(**parts):
    defaults = {
        "counted": "targets >= 0",
        "top": "z.max(axis=-1)",
        "log_sum": "top + np.log(np.exp(z - top[:, None]).sum(axis=-1))",
        "result": "(log_sum - z[np.arange(len(y)), y]).mean()",
    }
    return LOSS.format(**defaults | parts)


def gaps(**parts):
    defaults = {
        "said": "p.max(axis=-1)",
        "came": "p.argmax(axis=-1) == targets",
        "bins": "np.minimum((said * n_bins).astype(int), n_bins - 1)",
        "every": "np.unique(bins)",
        "term": "abs(said[inside].mean() - came[inside].mean()) * inside.sum()",
        "result": "total / len(targets)",
    }
    return GAPS.format(**defaults | parts)


def chance(**parts):
    defaults = {
        "log_p": "z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
        "log_truth": "np.log(np.where(truth > 0, truth, 1))",
        "entropy": "-(truth * log_truth).sum(axis=-1)",
        "kl": "(truth * (log_truth - log_p)).sum(axis=-1)",
        "result": "entropy.mean(), kl.mean()",
    }
    code = CHANCE.format(**defaults | parts)
    shift = "    z = logits - logits.max(axis=-1, keepdims=True)\n"
    return code.replace("    log_p =", shift + "    log_p =", 1)


EVERY = "np.ones(len(targets), bool)"

WRONG_ANSWERS = {
    "next_logits": [
        ("next_logits = 3", "give the function itself, not int"),
        (following("table @ x[-1]"), "the norm is missing"),
        (following("table @ layer_norm(x[-1], 1, 0)"), "gain and bias of the norm"),
        (following("table @ layer_norm(x[-1], gain, 0)"), "the bias of the norm is"),
        (following("table @ layer_norm(x[0], gain, bias)"), "this is the first row"),
        (
            following("table @ layer_norm(x[max(len(x) - 2, 0)], gain, bias)"),
            "the row before the last",
        ),
        (
            following("table @ layer_norm(x.mean(axis=0), gain, bias)"),
            "the rows are averaged",
        ),
        (
            following("softmax(table @ layer_norm(x[-1], gain, bias))"),
            "these are probabilities",
        ),
        (
            following(
                "table @ (gain * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + bias)[-1]"
            ),
            "each row has its own",
        ),
        (
            following(
                "table @ ((x[-1] - x[-1].mean()) / (x[-1].std() + 1e-5) * gain + bias)"
            ),
            "epsilon stands outside",
        ),
        (following("layer_norm(x, gain, bias) @ table.T"), "the shape is (1, 3)"),
        (following("layer_norm(x[-1], gain, bias) @ table"), "raises ValueError"),
        (
            following("(table @ layer_norm(x[-1], gain, bias)).argmax()"),
            "the shape is ()",
        ),
    ],
    "log_softmax": [
        (log("softmax(z)"), "this is softmax"),
        (log("np.log(softmax(z))"), "a small probability became 0"),
        (log("z - np.log(np.exp(z).sum(axis=-1, keepdims=True))"), "exp overflows"),
        (
            log("z - z.max() - np.log(np.exp(z - z.max()).sum(-1, keepdims=True))"),
            "of each row, not of the whole array",
        ),
        (log("z - np.log(np.exp(z).sum())"), "over all numbers"),
        (log("z - np.log(np.exp(z).sum(axis=0))"), "over the first axis"),
        (log("np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z"), "sign is wrong"),
        (log("z - z.max(axis=-1, keepdims=True)"), "logarithm of the sum is missing"),
        (log("np.log2(softmax(z))"), "base 2"),
        (
            "def log_softmax(z):\n"
            "    z = z - z.mean(axis=-1, keepdims=True)\n"
            "    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
            "when the mean is subtracted",
        ),
        (log("z - np.log(np.exp(z).sum(axis=-1))"), "raises ValueError"),
        (log("np.log(softmax(z) + 1e-9)"), "is right"),
        (
            "def log_softmax(z):\n"
            "    z -= z.max(axis=-1, keepdims=True)\n"
            "    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
            "changes its arguments",
        ),
    ],
    "mean_loss": [
        (
            loss(
                counted=EVERY,
                result="(log_sum - z[np.arange(len(y)), np.maximum(y, -1)]).mean()",
            ),
            "negative targets are counted",
        ),
        (
            loss(
                counted=EVERY,
                result="(log_sum - z[np.arange(len(y)), y.clip(0)]).mean()",
            ),
            "counted as token 0",
        ),
        (
            loss(result="(log_sum - z[np.arange(len(y)), y]).sum() / len(targets)"),
            "divided by all places",
        ),
        (loss(result="(log_sum - z[np.arange(len(y)), y]).sum()"), "this is the sum"),
        (loss(result="(z[np.arange(len(y)), y] - log_sum).mean()"), "sign is wrong"),
        (
            loss(result="-softmax(z)[np.arange(len(y)), y].mean()"),
            "logarithm is missing",
        ),
        (
            "def mean_loss(logits, targets):\n"
            "    y = targets[targets >= 0]\n"
            "    p = np.exp(logits[targets >= 0])\n"
            "    p = p / p.sum(axis=-1, keepdims=True)\n"
            "    return -np.log(p[np.arange(len(y)), y]).mean()",
            "there is a nan",
        ),
        (loss(log_sum="np.log(np.exp(z).sum(axis=-1))"), "exp overflows"),
        (
            loss(result="-np.log(softmax(z)[np.arange(len(y)), y]).mean()"),
            "use log-sum-exp",
        ),
        (
            loss(result="(log_sum - z[np.arange(len(y)), y]).mean() / np.log(2)"),
            "base 2",
        ),
        (
            loss(log_sum="np.log(np.exp(z - top[:, None]).sum(axis=-1))"),
            "the largest logit was left out",
        ),
        (
            "def mean_loss(logits, targets):\n"
            "    return cross_entropy(softmax(logits), targets)",
            "applied twice",
        ),
        (loss(counted="targets > 0"), "is right"),
        (loss(counted="targets != -1"), "raises IndexError"),
        (loss(result="log_sum - z[np.arange(len(y)), y]"), "the shape is (1,)"),
    ],
    "calibration_error": [
        (
            gaps(term="(said[inside].mean() - came[inside].mean()) * inside.sum()"),
            "cancel each other",
        ),
        (
            gaps(term="(said[inside] - came[inside]).sum() ** 2 / inside.sum()"),
            "squared",
        ),
        (
            gaps(
                term="abs(said[inside].mean() - came[inside].mean())",
                result="total / len(np.unique(bins))",
            ),
            "each bin weighs the same",
        ),
        (
            gaps(
                term="abs(said[inside].mean() - came[inside].mean())",
                result="total / n_bins",
            ),
            "divided by the number of bins",
        ),
        (
            gaps(term="abs(said[inside].mean() - came[inside].mean())", result="total"),
            "this is the sum of the gaps",
        ),
        (gaps(result="total"), "not divided by the number of places"),
        (
            gaps(
                bins="(said * n_bins).astype(int)",
                every="range(n_bins)",
                term="abs((said - came)[inside].sum())",
            ),
            "belong to the last bin",
        ),
        (
            gaps(
                bins="(said * n_bins).astype(int)",
                term="abs((said - came)[inside].sum())",
            ),
            "has a bin of its own",
        ),
        (gaps(said="p[np.arange(len(p)), targets]"), "not that of the target"),
        (
            gaps(term="abs((b + 0.5) / n_bins - came[inside].mean()) * inside.sum()"),
            "not the middle of the bin",
        ),
        (gaps(term="abs(said[inside] - came[inside]).sum()"), "a gap of its own"),
        (
            "def calibration_error(p, targets, n_bins):\n"
            "    said, came = p.max(axis=-1), p.argmax(axis=-1) == targets\n"
            "    return abs(said.mean() - came.mean())",
            "bin by bin",
        ),
        (gaps(bins="np.minimum((said * 10).astype(int), 9)"), "always 10 bins"),
        (gaps(every="range(n_bins)"), "there is a nan"),
        (gaps(came="p.argmax(axis=0) == targets"), "raises ValueError"),
        (gaps(result="total / len(targets), bins"), "returns several arrays"),
    ],
    "chance_and_ignorance": [
        (chance(kl="-(truth * log_p).sum(axis=-1)"), "is the cross-entropy"),
        (chance(result="kl.mean(), entropy.mean()"), "changed places"),
        (
            chance(kl="(np.exp(log_p) * (log_p - np.log(truth))).sum(axis=-1)"),
            "the wrong way round: the world weighs",
        ),
        (
            chance(
                log_truth="np.log(np.where(truth > 0, truth, 1))",
                kl="(np.exp(log_p) * (log_p - log_truth)).sum(axis=-1)",
            ),
            "the wrong way round",
        ),
        (chance(entropy="-(np.exp(log_p) * log_p).sum(axis=-1)"), "of the model"),
        (chance(log_truth="np.log(truth)"), "there is a nan"),
        (chance(log_p="np.log(softmax(logits))"), "use log_softmax"),
        (chance(entropy="(truth * log_truth).sum(axis=-1)"), "wrong sign"),
        (
            chance(result="entropy.mean() / np.log(2), kl.mean() / np.log(2)"),
            "base 2",
        ),
        (chance(result="entropy.sum(), kl.sum()"), "these are sums"),
        (
            chance(
                entropy="-(truth * log_truth).mean(axis=-1)",
                kl="(truth * (log_truth - log_p)).mean(axis=-1)",
            ),
            "over the vocabulary too",
        ),
        (chance(result="entropy, kl"), "the shape is (1,)"),
        (chance(result="entropy.mean() + kl.mean()"), "return 2 things"),
        (chance(log_p="logits"), "is right"),
    ],
}
