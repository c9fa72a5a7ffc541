"""The exercises of 3.5, output."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import cross_entropy, layer_norm, softmax


def next_logits(answer):
    """next_logits(x, gain, bias, table): (T, C), (C,), (C,), (V, C) -> (V,)."""

    def head(row, norm=layer_norm):
        return lambda x, gain, bias, table: table @ norm(row(x), gain, bias)

    def last(x):
        return x[-1]

    def case(T, C, V):
        x = random(T, C, scale=3.0) + 1
        return x, random(C), random(C, seed=1), random(V, C)

    def whole(x, gain, bias):
        """The mean and variance of all rows together: what axis=None would do."""
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * gain + bias

    def outside(x, gain, bias):
        return (x - x.mean()) / (x.std() + 1e-5) * gain + bias

    cases = [case(1, 4, 3), case(5, 4, 6), case(3, 8, 8)]
    cases.append((0.002 * cases[1][0], *cases[1][1:]))  # where epsilon is seen
    return check(answer, "next_logits", head(last), cases, {
        "the norm is missing: apply layer_norm to the last row first":
            head(last, lambda x, gain, bias: x),
        "gain and bias of the norm are missing":
            head(last, lambda x, gain, bias: layer_norm(x, 1, 0)),
        "the bias of the norm is missing":
            head(last, lambda x, gain, bias: layer_norm(x, gain, 0)),
        "this is the first row; the next token follows the last one":
            head(lambda x: x[0]),
        "the row before the last was taken": head(lambda x: x[-2:][0]),
        "the rows are averaged; the last one alone is asked":
            head(lambda x: x.mean(axis=0)),
        "these are probabilities; the logits come before the softmax":
            lambda *args: softmax(head(last)(*args)),
        "the norm took the mean over all rows; each row has its own":
            lambda x, gain, bias, table: table @ whole(x, gain, bias)[-1],
        "epsilon stands outside the root; layer_norm has it inside":
            head(last, outside),
    })  # fmt: skip


def log_softmax(answer):
    """log_softmax(z): ln softmax over the last axis, in the shape of z."""

    def reference(z, axis=-1):
        z = z - z.max(axis=axis, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))

    def one_top(z):  # the largest number of all rows: rows far below it underflow
        z = z - z.max()
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    def by_mean(z):
        z = z - z.mean(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    cases = [
        (np.array([2.0, 1.0, 0.0]),),
        (np.zeros((2, 4)),),
        (random(3, 5, scale=2.0),),
        (random(2, 3, 4),),
        (np.array([[0.0, 300, 1000, 0, 0, 0], [-3000, -3001, -3002, *3 * [-3e3]]]),),
    ]
    return check(answer, "log_softmax", reference, cases, {
        "this is softmax; take its logarithm, from the formula": softmax,
        "exp overflows: subtract the largest logit first":
            lambda z: z - np.log(np.exp(z).sum(axis=-1, keepdims=True)),
        "a small probability became 0: don't take the logarithm of softmax(z)":
            lambda z: np.log(softmax(z)),
        "subtract the largest logit of each row, not of the whole array": one_top,
        "exp overflows when the mean is subtracted: take the largest logit": by_mean,
        "the sum goes over the first axis; take the last": lambda z: reference(z, 0),
        "the sum goes over all numbers; take the last axis":
            lambda z: z - z.max() - np.log(np.exp(z - z.max()).sum()),
        "the sign is wrong: this is the loss of each token":
            lambda z: -reference(z),
        "only the largest logit is subtracted; the logarithm of the sum is missing":
            lambda z: z - z.max(axis=-1, keepdims=True),
        "the logarithm has base 2; take the natural one":
            lambda z: reference(z) / np.log(2),
        "the exponentials were not summed up before the logarithm":
            lambda z: z - np.log(np.exp(z - z.max(axis=-1, keepdims=True))),
    })  # fmt: skip


def mean_loss(answer):
    """mean_loss(logits, targets): (T, V), (T,) with negatives ignored -> a number."""

    def each(logits, targets):
        z = logits - logits.max(axis=-1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        return -log_p[np.arange(len(targets)), targets]

    def case(T, V, ignored=(), scale=2.0):
        targets = np.random.default_rng(T * V).integers(0, V, T)
        targets[list(ignored)] = -1
        return random(T, V, scale=scale), targets

    hundred = case(7, 5, [1, 2])
    hundred[1][1] = -100
    cases = [
        (np.array([[2.0, 1.0, 0.0]]), np.array([2])),
        case(6, 4),
        case(6, 5, [0, 3, 5]),
        hundred,
        (random(3, 4) + 1000, np.array([1, -1, 3])),
        case(4, 6, [2], scale=800.0),
    ]

    def probability(logits, targets):
        counted = targets >= 0
        p = softmax(logits[counted])
        return -p[np.arange(counted.sum()), targets[counted]].mean()

    def overflowing(logits, targets):
        counted = targets >= 0
        z, t = logits[counted], targets[counted]
        return (np.log(np.exp(z).sum(axis=-1)) - z[np.arange(len(t)), t]).mean()

    def tiny(logits, targets):
        counted = targets >= 0
        p = softmax(logits[counted])
        return -np.log(p[np.arange(len(p)), targets[counted]]).mean()

    return check(answer, "mean_loss", cross_entropy, cases, {
        "negative targets are counted: -1 is the last column for NumPy":
            lambda z, y: each(z, np.maximum(y, -1)).mean(),
        "places that don't count are counted as token 0":
            lambda z, y: each(z, y.clip(0)).mean(),
        "the sum is divided by all places; divide by those that count":
            lambda z, y: cross_entropy(z, y) * (y >= 0).mean(),
        "this is the sum; take the mean":
            lambda z, y: cross_entropy(z, y) * (y >= 0).sum(),
        "the sign is wrong: a loss is not negative": lambda z, y: -cross_entropy(z, y),
        "the logarithm is missing": probability,
        "the logarithm has base 2; take the natural one":
            lambda z, y: cross_entropy(z, y) / np.log(2),
        "a small probability became 0: use log-sum-exp": tiny,
        "exp overflows: subtract the largest logit first": overflowing,
        "softmax was applied twice": lambda z, y: cross_entropy(softmax(z), y),
        "the largest logit was left out: this is not the log of the whole sum":
            lambda z, y: cross_entropy(z, y) - z[y >= 0].max(axis=-1).mean(),
    })  # fmt: skip


def calibration_error(answer):
    """calibration_error(p, targets, n_bins): (N, V), (N,), bins -> a number."""

    def largest(p, targets):
        return p.max(axis=-1), p.argmax(axis=-1) == targets

    def of_target(p, targets):
        return p[np.arange(len(p)), targets], p.argmax(axis=-1) == targets

    def every_token(p, targets):
        return p.ravel(), (np.arange(p.shape[1]) == targets[:, None]).ravel()

    def error(parts=largest, gap=abs, weigh=None, n=None, middle=False, ones="last"):
        def measure(p, targets, n_bins):
            n_bins = n or n_bins
            said, came = parts(p, targets)
            bins = (said * n_bins).astype(int)
            bins = np.minimum(bins, n_bins - 1) if ones == "last" else bins
            found = np.unique(bins[bins < n_bins] if ones == "lost" else bins)
            gaps, counts = np.zeros(len(found)), np.zeros(len(found))
            for i, b in enumerate(found):
                inside = bins == b
                mean = (b + 0.5) / n_bins if middle else said[inside].mean()
                gaps[i], counts[i] = gap(mean - came[inside].mean()), inside.sum()
            if weigh:
                return weigh(gaps, counts, n_bins)
            return (gaps * counts).sum() / len(said)

        return measure

    def by_place(p, targets, n_bins):
        said, came = largest(p, targets)
        return np.abs(said - came).mean()

    def case(N, V, n_bins, scale=2.0, sure=0):
        p = softmax(random(N, V, scale=scale))
        p[:sure] = np.eye(V)[np.arange(sure) % V]
        targets = p.argmax(axis=-1)  # right, but for every third place
        targets[::3] = np.random.default_rng(N).integers(0, V, len(targets[::3]))
        return p, targets, n_bins

    said = np.array([0.72, 0.63, 0.78, 0.97, 0.52, 0.91, 0.96])
    by_hand = np.stack([said, 1 - said], axis=-1), np.array([0, 1, 1, 0, 0, 0, 0]), 5
    said = np.array([1, 1, 0.9, 0.9, 0.9, 0.9])  # too sure and too unsure, one bin
    one_bin = np.stack([said, 1 - said], axis=-1), np.array([1, 0, 0, 0, 0, 0]), 5
    cases = [
        by_hand,
        one_bin,
        case(60, 5, 10),
        case(40, 6, 4, sure=6),
        case(30, 4, 1),
        case(200, 8, 7, scale=4.0),
    ]
    return check(answer, "calibration_error", error(), cases, {
        "the gaps cancel each other: take their absolute values, bin by bin":
            error(gap=float),
        "the gaps are squared; take their absolute values": error(gap=np.square),
        "each bin weighs the same; weigh it by the number of its places":
            error(weigh=lambda gaps, counts, n: gaps.mean()),
        "the gaps are divided by the number of bins; weigh them by their places":
            error(weigh=lambda gaps, counts, n: gaps.sum() / n),
        "this is the sum of the gaps; take the weighted mean":
            error(weigh=lambda gaps, counts, n: gaps.sum()),
        "the total is not divided by the number of places":
            error(weigh=lambda gaps, counts, n: (gaps * counts).sum()),
        "this is the largest gap; take the weighted mean":
            error(weigh=lambda gaps, counts, n: gaps.max()),
        "places with the probability 1 got lost: they belong to the last bin":
            error(ones="lost"),
        "the probability 1 has a bin of its own: it belongs to the last bin":
            error(ones="own"),
        "take the probability of the likeliest token, not that of the target":
            error(of_target),
        "all tokens are counted; take the likeliest of each place alone":
            error(every_token),
        "take the mean of the probabilities in a bin, not the middle of the bin":
            error(middle=True),
        "each place has a gap of its own here; take the means in a bin first":
            by_place,
        "all places are in one bin; make n_bins of them": error(n=1),
        "there are always 10 bins; make n_bins of them": error(n=10),
    })  # fmt: skip


def chance_and_ignorance(answer):
    """chance_and_ignorance(truth, logits): (N, V) both -> two numbers."""

    def log_p(logits):
        z = logits - logits.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    def ln(p):
        return np.log(np.where(p > 0, p, 1))

    def each(truth, logits):
        entropy = -(truth * ln(truth)).sum(axis=-1)
        return entropy, (truth * (ln(truth) - log_p(logits))).sum(axis=-1)

    def reference(truth, logits):
        entropy, kl = each(truth, logits)
        return entropy.mean(), kl.mean()

    def crossed(truth, logits):
        entropy, kl = reference(truth, logits)
        return entropy, entropy + kl

    def swapped(truth, logits):
        return reference(truth, logits)[::-1]

    def reverse(truth, logits):
        p = softmax(logits)
        with np.errstate(all="ignore"):
            kl = (p * (log_p(logits) - np.log(truth))).sum(axis=-1)
        return reference(truth, logits)[0], kl.mean()

    def reverse_safe(truth, logits):
        p = softmax(logits)
        kl = (p * (log_p(logits) - ln(truth))).sum(axis=-1)
        return reference(truth, logits)[0], kl.mean()

    def of_model(truth, logits):
        entropy = -(softmax(logits) * log_p(logits)).sum(axis=-1)
        return entropy.mean(), reference(truth, logits)[1]

    def naive(truth, logits):
        p = softmax(logits)
        kl = (truth * (ln(truth) - np.log(p))).sum(axis=-1)
        return reference(truth, logits)[0], kl.mean()

    def bits(truth, logits):
        return tuple(part / np.log(2) for part in reference(truth, logits))

    def sums(truth, logits):
        return tuple(part.sum() for part in each(truth, logits))

    def over_all(truth, logits):
        return tuple(part.mean() / truth.shape[-1] for part in each(truth, logits))

    def negative(truth, logits):
        entropy, kl = reference(truth, logits)
        return -entropy, kl

    fair = np.array([[0.5, 0.5]])
    some = random(4, 6, scale=2.0)
    open_, closed = softmax(random(4, 6, seed=1)), np.eye(6)[[0, 2, 5, 1]]
    half = np.array([[0.5, 0.0, 0.25, 0.0, 0.25, 0.0], [0, 0, 0, 1.0, 0, 0]])
    cases = [
        (fair, np.log([[0.9, 0.1]])),
        (open_, some),
        (open_, np.log(open_)),  # the model knows the world: KL 0
        (open_, 300 * some),
        (half, some[:2]),
        (closed, 300 * some),
    ]
    return check(answer, "chance_and_ignorance", reference, cases, {
        "the second number is the cross-entropy; KL is that less the entropy": crossed,
        "the two numbers have changed places": swapped,
        "KL is the wrong way round: the world weighs, since its tokens come": reverse,
        "KL is the wrong way round: the truth must weigh the logarithms": reverse_safe,
        "this is the entropy of the model; the world's has no model in it": of_model,
        "a small probability of the model became 0: use log_softmax": naive,
        "the logarithm has base 2; take the natural one": bits,
        "these are sums over the places; take the means": sums,
        "the mean was taken over the vocabulary too; there, sum": over_all,
        "the entropy has the wrong sign": negative,
    })  # fmt: skip
