"""Answers that look right and are not, each with what the check must say."""

BIGRAM = """
def bigram_probabilities(ids, vocab_size):
    counts = np.zeros((vocab_size, vocab_size))
    {count}
    total = {total}
    return {result}
"""
ADD = "np.add.at(counts, (ids[:-1], ids[1:]), 1)"
ROWS = "counts.sum(axis=1, keepdims=True)"
DIVIDE = "counts / np.where(total == 0, 1, total)"

LOSS = """
def mean_loss(p, ids):
    given = {given}
    return {result}
"""
GIVEN = "p[ids[:-1], ids[1:]]"

SMOOTH = """
def smoothed(counts, alpha):
    n, V = counts.shape
    return {result}
"""

SIZE = """
def network_size(vocab_size, window, width, hidden):
    return {table} + {first} + {last}
"""

BACK = """
def backed_off(ids, context, vocab_size, alpha):
    p = np.full(vocab_size, 1 / vocab_size)
    for k in {lengths}:
        c = {context}
        counts = np.zeros(vocab_size)
        for i in range(k, len(ids)):
            if (ids[i - k : i] == c).all():
                counts[ids[i]] += 1
        p = {mix}
    return p
"""
MIX = "(counts + {0} * p) / (counts.sum() + {0})"
RIGHT_MIX = MIX.format("alpha * vocab_size")


def bigram(count=ADD, total=ROWS, result=DIVIDE):
    return BIGRAM.format(count=count, total=total, result=result)


def mean_loss(result, given=GIVEN):
    return LOSS.format(given=given, result=result)


def smooth(result):
    return SMOOTH.format(result=result)


def size(
    table="vocab_size * width",
    first="window * width * hidden + hidden",
    last="hidden * vocab_size + vocab_size",
):
    return SIZE.format(table=table, first=first, last=last)


def back(
    lengths="range(len(context) + 1)",
    context="context[len(context) - k :]",
    mix=RIGHT_MIX,
):
    return BACK.format(lengths=lengths, context=context, mix=mix)


WRONG_ANSWERS = {
    "bigram_probabilities": [
        (bigram(result="counts"), "these are counts"),
        (bigram(count="np.add.at(counts, (ids[1:], ids[:-1]), 1)"), "is right"),
        (bigram(result=f"({DIVIDE}).T"), "changed places"),
        (bigram(total="counts.sum(axis=0, keepdims=True)"), "the columns sum to 1"),
        (bigram(total="counts.sum()"), "of all pairs"),
        (
            bigram(total="np.bincount(ids, minlength=vocab_size)[:, None]"),
            "how often s occurs",
        ),
        (bigram(count="counts[ids[:-1], ids[1:]] += 1"), "counted once"),
        (bigram(result="counts / total"), "there is a nan"),
        (bigram(count="np.add.at(counts, (ids, np.roll(ids, -1)), 1)"), "is right"),
        (bigram(result="(counts / np.maximum(total, 1))[:-1]"), "the shape is (2, 3)"),
    ],
    "mean_loss": [
        (mean_loss("np.log(given).mean()"), "the sign is wrong"),
        (mean_loss("-np.log2(given).mean()"), "in bits"),
        (mean_loss("-np.log(given).sum()"), "that is the sum"),
        (mean_loss("-np.log(given).sum() / len(ids)"), "the first one is given"),
        (mean_loss("-np.log(given.mean())"), "the mean of the logarithms"),
        (
            mean_loss("-np.log(given).mean()", given="p[ids[1:], ids[:-1]]"),
            "changed places",
        ),
        (mean_loss("np.exp(-np.log(given).mean())"), "that is the perplexity"),
        (mean_loss("-np.log(given)"), "the shape is (1,)"),
        (mean_loss("-np.log(given).mean()", given="p[ids, ids]"), "is right"),
    ],
    "smoothed": [
        (smooth("counts / counts.sum(axis=1, keepdims=True)"), "alpha is not added"),
        (
            smooth("counts / counts.sum(axis=1, keepdims=True).clip(min=1)"),
            "alpha is not added",
        ),
        (
            smooth("(counts + 1) / (counts + 1).sum(axis=1, keepdims=True)"),
            "gets 1; it should get alpha",
        ),
        (
            smooth("(counts + alpha) / counts.sum(axis=1, keepdims=True)"),
            "sum to more than 1",
        ),
        (
            smooth("(counts + alpha) / (counts.sum(axis=1, keepdims=True) + alpha)"),
            "added once to the sum",
        ),
        (
            smooth(
                "(counts + alpha) / (counts.sum(axis=1, keepdims=True) + alpha * n)"
            ),
            "the number of columns",
        ),
        (
            smooth(
                "np.where(counts == 0, alpha, counts)"
                " / np.where(counts == 0, alpha, counts).sum(axis=1, keepdims=True)"
            ),
            "not to the unseen ones alone",
        ),
        (smooth("(counts + alpha) / (counts + alpha).sum(axis=0)"), "columns sum to 1"),
        (smooth("counts + alpha"), "these are counts"),
        (
            smooth("(counts + alpha/V) / (counts.sum(axis=1, keepdims=True) + alpha)"),
            "is right",
        ),
        (
            "def smoothed(counts, alpha):\n"
            "    counts += alpha\n"
            "    return counts / counts.sum(axis=1, keepdims=True)",
            "changes its arguments",
        ),
    ],
    "network_size": [
        (
            size(first="window * width * hidden", last="hidden * vocab_size"),
            "the biases are missing",
        ),
        (size(first="window * width * hidden"), "bias of the hidden layer"),
        (size(last="hidden * vocab_size"), "bias of the output"),
        (size(table="0"), "the table E is missing"),
        (size(first="width * hidden + hidden"), "window * width rows"),
        (size(table="window * vocab_size * width"), "one table E"),
        (size(last="0"), "the output layer is missing"),
        (size(first="window * width * hidden + window * width"), "is right"),
        (size(first="window * vocab_size * hidden + hidden"), "is right"),
        (size(first="(window + width) * hidden + hidden"), "is right"),
        (size(first="window * (width * hidden + hidden)"), "is right"),
    ],
    "backed_off": [
        (back(lengths="[len(context)]"), "the shorter contexts are missing"),
        (back(context="context[:k]"), "at the wrong end"),
        (back(lengths="range(1, len(context) + 1)"), "no token is missing"),
        (
            back(mix="counts / counts.sum() if counts.sum() else 0 * p"),
            "nothing is smoothed",
        ),
        (back(mix=MIX.format("alpha")), "not alpha"),
        (back(lengths="[]"), "nothing was counted"),
        (back(context="context[-k:]"), "raises ValueError"),
        (back(mix="(counts + alpha * vocab_size * p) / counts.sum()"), "is right"),
        (
            back(mix="(counts + alpha) / (counts.sum() + alpha * vocab_size)"),
            "the shorter contexts are missing",
        ),
        (back(lengths="range(len(context))"), "the whole context is missing"),
    ],
}
