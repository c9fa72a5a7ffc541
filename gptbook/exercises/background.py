"""The exercises of 1, background."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random


def text(length, vocab_size, seed=0):
    """Token ids (length,), the same for the same arguments."""
    return np.random.default_rng([seed, length]).integers(vocab_size, size=length)


def pair_counts(ids, vocab_size):
    counts = np.zeros((vocab_size, vocab_size))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


def share(counts, total):
    return counts / np.where(total == 0, 1, total)


def bigram_probabilities(answer):
    """bigram_probabilities(ids, vocab_size) -> (V, V): row s holds p(t | s)."""

    def reference(ids, vocab_size):
        counts = pair_counts(ids, vocab_size)
        return share(counts, counts.sum(axis=1, keepdims=True))

    def columns(ids, vocab_size):
        counts = pair_counts(ids, vocab_size)
        return share(counts, counts.sum(axis=0, keepdims=True))

    def of_all(ids, vocab_size):
        counts = pair_counts(ids, vocab_size)
        return counts / counts.sum()

    def by_occurrence(ids, vocab_size):
        total = np.bincount(ids, minlength=vocab_size)[:, None]
        return share(pair_counts(ids, vocab_size), total)

    def once(ids, vocab_size):
        counts = np.minimum(pair_counts(ids, vocab_size), 1)
        return share(counts, counts.sum(axis=1, keepdims=True))

    cases = [
        (np.array([0, 1, 0, 1, 0, 0, 2, 1]), 3),
        (np.array([2, 0, 0, 1, 0, 2]), 5),  # tokens 3 and 4 never occur
        (np.array([1, 1, 1, 0]), 2),  # 0 occurs, and nothing follows it
        (text(60, 4), 4),
    ]
    return check(answer, "bigram_probabilities", reference, cases, {
        "these are counts: divide each row by its sum": pair_counts,
        "rows and columns have changed places: row s is the token that comes first":
            lambda ids, V: reference(ids, V).T,
        "the columns sum to 1; divide each row by the sum of the row": columns,
        "divided by the number of all pairs; divide each row by its own sum": of_all,
        "divided by how often s occurs; nothing follows the last token of the text":
            by_occurrence,
        "each pair is counted once, however often it comes: use np.add.at or a loop":
            once,
    })  # fmt: skip


def mean_loss(answer):
    """mean_loss(p, ids): the mean of -ln p(t | s) over the pairs of the text."""

    def given(p, ids):
        return p[ids[:-1], ids[1:]]

    def reference(p, ids):
        return -np.log(given(p, ids)).mean()

    def case(length, vocab_size, seed=0):
        p = np.exp(random(vocab_size, vocab_size, seed=seed))
        return p / p.sum(axis=1, keepdims=True), text(length, vocab_size, seed)

    cases = [
        (np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([0, 1])),
        case(6, 3), case(9, 4, seed=1), case(40, 5, seed=2),
    ]  # fmt: skip
    return check(answer, "mean_loss", reference, cases, {
        "the sign is wrong: the loss is the mean of minus ln p":
            lambda p, ids: np.log(given(p, ids)).mean(),
        "that is in bits; take the natural logarithm":
            lambda p, ids: -np.log2(given(p, ids)).mean(),
        "that is the sum; divide it by the number of predicted tokens":
            lambda p, ids: -np.log(given(p, ids)).sum(),
        "divided by all tokens; the first one is given, so there is one less":
            lambda p, ids: -np.log(given(p, ids)).sum() / len(ids),
        "that is ln of the mean probability; take the mean of the logarithms":
            lambda p, ids: -np.log(given(p, ids).mean()),
        "row and column have changed places: p[s, t] is that of t after s":
            lambda p, ids: reference(p.T, ids),
        "that is the perplexity; the loss is its logarithm":
            lambda p, ids: np.exp(reference(p, ids)),
    })  # fmt: skip


def smoothed(answer):
    """smoothed(counts, alpha): (rows, V) -> (rows, V), each row sums to 1."""

    def total(counts):
        return counts.sum(axis=1, keepdims=True)

    def reference(counts, alpha):
        return (counts + alpha) / total(counts + alpha)

    def only_unseen(counts, alpha):
        plus = np.where(counts == 0, alpha, counts)
        return plus / total(plus)

    def columns(counts, alpha):
        plus = counts + alpha
        return plus / plus.sum(axis=0, keepdims=True)

    cases = [
        (np.array([[3.0, 1, 0, 0], [0, 0, 2, 0]]), 0.5),
        (np.array([[2.0, 0, 0], [0, 0, 0]]), 1.0),  # never seen: equal chances
        (np.array([[5.0, 0, 1, 0, 0], [0, 2, 0, 0, 0]]), 0.01),
        (np.array([[1.0, 0], [4, 4], [0, 3]]), 2.0),
    ]
    return check(answer, "smoothed", reference, cases, {
        "not smoothed: alpha is not added":
            lambda counts, alpha: share(counts, total(counts)),
        "every entry gets 1; it should get alpha":
            lambda counts, alpha: reference(counts, 1),
        "the rows sum to more than 1: divide by the sum after alpha was added":
            lambda counts, alpha: (counts + alpha) / total(counts),
        "alpha was added once to the sum; each of the V entries has received it":
            lambda counts, alpha: (counts + alpha) / (total(counts) + alpha),
        "V is the number of columns, not of rows":
            lambda counts, alpha:
                (counts + alpha) / (total(counts) + alpha * len(counts)),
        "alpha goes to every entry, not to the unseen ones alone": only_unseen,
        "the columns sum to 1; each row is a distribution": columns,
        "these are counts: divide each row by its sum":
            lambda counts, alpha: counts + alpha,
    })  # fmt: skip


def network_size(answer):
    """network_size(vocab_size, window, width, hidden): a number of parameters."""

    def reference(V, window, width, hidden):
        return V * width + window * width * hidden + hidden + hidden * V + V

    def one_place(V, window, width, hidden):
        return reference(V, 1, width, hidden)

    def tables(V, window, width, hidden):
        return reference(V, window, width, hidden) + (window - 1) * V * width

    cases = [(7, 3, 4, 5), (5, 1, 3, 2), (11, 4, 3, 6), (1024, 8, 16, 64)]
    return check(answer, "network_size", reference, cases, {
        "the biases are missing":
            lambda V, w, c, m: reference(V, w, c, m) - m - V,
        "the bias of the hidden layer is missing":
            lambda V, w, c, m: reference(V, w, c, m) - m,
        "the bias of the output is missing":
            lambda V, w, c, m: reference(V, w, c, m) - V,
        "the table E is missing": lambda V, w, c, m: reference(V, w, c, m) - V * c,
        "x holds the rows of all tokens of the window: W_1 has window * width rows":
            one_place,
        "there is one table E, which all places of the window read": tables,
        "the output layer is missing: W_2 and b_2":
            lambda V, w, c, m: reference(V, w, c, m) - m * V - V,
    })  # fmt: skip


def backed_off(answer):
    """backed_off(ids, context, vocab_size, alpha) -> (V,): p_n of every token."""

    def followers(ids, c, V):
        counts = np.zeros(V)
        for i in range(len(c), len(ids)):
            if (ids[i - len(c) : i] == c).all():
                counts[ids[i]] += 1
        return counts

    def chain(contexts, ids, V, invisible):
        p = np.full(V, 1 / V)
        for c in contexts:
            counts = followers(ids, c, V)
            p = (counts + invisible * p) / (counts.sum() + invisible)
        return p

    def ends(context, first=0):
        return [context[len(context) - k :] for k in range(first, len(context) + 1)]

    def reference(ids, context, V, alpha):
        return chain(ends(context), ids, V, alpha * V)

    def wrong_end(ids, context, V, alpha):
        contexts = [context[:k] for k in range(len(context) + 1)]
        return chain(contexts, ids, V, alpha * V)

    def no_unigram(ids, context, V, alpha):
        return chain(ends(context, 1), ids, V, alpha * V)

    def unsmoothed(ids, context, V, alpha):
        counts = followers(ids, context, V)
        return share(counts, counts.sum())

    ids = np.array([0, 1, 2, 0, 1, 2, 2, 0, 3, 2, 0, 1, 0])
    cases = [
        (ids, np.array([2, 0]), 5, 0.1),
        (ids, np.array([1]), 5, 0.2),
        (ids, np.array([], int), 5, 0.2),  # no context: the unigram model
        (ids, np.array([4, 1]), 6, 0.3),  # never seen: back to the last token
        (text(80, 3), np.array([0, 2, 1]), 3, 0.5),
    ]
    return check(answer, "backed_off", reference, cases, {
        "that is add-alpha for the whole context: the shorter contexts are missing":
            lambda ids, c, V, alpha: chain([c], ids, V, alpha * V),
        "the contexts are shortened at the wrong end: the last tokens must stay":
            wrong_end,
        "the whole context is missing: the longest one has all of its tokens":
            lambda ids, c, V, alpha: chain(ends(c)[:-1], ids, V, alpha * V),
        "the context of no token is missing: p_1 counts every token": no_unigram,
        "nothing is smoothed: where are the invisible counts?": unsmoothed,
        "there are alpha * V invisible counts, not alpha":
            lambda ids, c, V, alpha: chain(ends(c), ids, V, alpha),
        "that is the uniform p_0: nothing was counted":
            lambda ids, c, V, alpha: np.full(V, 1 / V),
    })  # fmt: skip
