"""The exercises of 8.2, looking inside."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def shares_by_norm(answer):
    """shares_by_norm(weights, value, w_out): (T, T), (T, d), (d, C) -> (T, T)."""

    def shares(adds):
        return adds / adds.sum(axis=-1, keepdims=True)

    def norm(rows, axis=-1):
        return np.linalg.norm(rows, axis=axis)

    def reference(weights, value, w_out):
        return shares(weights * norm(value @ w_out))

    cases = []
    for T, d, C in ((3, 2, 2), (4, 4, 4), (5, 3, 6), (1, 2, 2)):
        scores = np.where(np.tri(T) == 1, random(T, T), -np.inf)
        cases.append((softmax(scores), random(T, d), random(d, C)))
    return check(answer, "shares_by_norm", reference, cases, {
        "these are the weights: the lengths are missing, or cancel, one for each row":
            lambda a, v, w: a,
        "the rows do not sum to 1: divide by the sum":
            lambda a, v, w: a * norm(v @ w),
        "the lengths are those of v, before w_out":
            lambda a, v, w: shares(a * norm(v)),
        "the lengths belong to the columns, and each row is divided by its own sum":
            lambda a, v, w: a * norm(v @ w)[:, None],
        "the columns were made to sum to 1: divide each row by its sum":
            lambda a, v, w: a * norm(v @ w) / (a * norm(v @ w)).sum(0),
        "all of the matrix was divided by one sum: each row has its own":
            lambda a, v, w: a * norm(v @ w) / (a * norm(v @ w)).sum(),
        "the lengths are squared: take the root":
            lambda a, v, w: shares(a * norm(v @ w) ** 2),
    })  # fmt: skip


def induction_score(answer):
    """induction_score(weights): (n_head, 2n, 2n) -> (n_head,)."""

    def mean(weights, rows, shift):
        return weights[:, rows, rows - shift].mean(axis=-1)

    def half(weights):
        return weights.shape[-1] // 2

    def second(weights):
        return np.arange(half(weights), 2 * half(weights))

    def reference(weights):
        return mean(weights, second(weights), half(weights) - 1)

    def case(n_head, n):
        scores = np.where(np.tri(2 * n) == 1, random(n_head, 2 * n, 2 * n), -np.inf)
        return (softmax(scores),)

    def without_last(weights):
        return mean(weights, second(weights)[:-1], half(weights) - 1)

    return check(answer, "induction_score", reference,
                 [case(3, 4), case(1, 2), case(2, 7)], {
        "that is the weight on the earlier same token; take the one after it":
            lambda w: mean(w, second(w), half(w)),
        "that is the weight on the token before the earlier same one; after is + 1":
            lambda w: mean(w, second(w), half(w) + 1),
        "that is the weight on the previous token":
            lambda w: mean(w, second(w), 1),
        "all heads were averaged together: one number for each":
            lambda w: np.full(len(w), reference(w).mean()),
        "the sum over the rows must be a mean":
            lambda w: reference(w) * half(w),
        "the last row of the second half counts, too": without_last,
        "rows of the first half have nothing to repeat: take the second half":
            lambda w: mean(w, np.arange(half(w) - 1, 2 * half(w)), half(w) - 1),
        "row and column have changed places: a column after its row is the future":
            lambda w: reference(w.swapaxes(-1, -2)),
    })  # fmt: skip


def mean_ablated(answer):
    """mean_ablated(heads, real, n): heads (B, n_head, T, d), real (B, T), head n."""

    def put(heads, n, value):
        result = heads.copy()
        result[:, n] = value
        return result

    def reference(heads, real, n):
        return put(heads, n, heads[:, n][real].mean(axis=0))

    def by_story(heads, real, n):
        value = (heads[:, n] * real[..., None]).sum(axis=1, keepdims=True)
        return put(heads, n, value / real.sum(axis=1)[:, None, None])

    def by_place(heads, real, n):
        value = (heads[:, n] * real[..., None]).sum(axis=0)
        return put(heads, n, value / np.maximum(real.sum(axis=0), 1)[:, None])

    def only_real(heads, real, n):
        value = reference(heads, real, n)[:, n]
        return put(heads, n, np.where(real[..., None], value, heads[:, n]))

    def every_head(heads, real, n):
        value = heads.swapaxes(1, 2)[real].mean(axis=0)  # (n_head, d)
        return np.broadcast_to(value[:, None], heads.shape)

    def one_number(heads, real, n):
        return put(heads, n, heads[:, n][real].mean())

    def all_heads_mean(heads, real, n):
        return put(heads, n, heads.swapaxes(1, 2)[real].mean(axis=(0, 1)))

    def case(B, n_head, T, d, n):
        lengths = T - np.arange(B)
        return random(B, n_head, T, d), np.arange(T) < lengths[:, None], n

    cases = [case(3, 2, 5, 4, 1), case(2, 3, 4, 2, 2), case(1, 2, 3, 2, 0)]
    return check(answer, "mean_ablated", reference, cases, {
        "that is zero ablation: put the head's mean":
            lambda heads, real, n: put(heads, n, 0),
        "the filling is in the mean: only real tokens count":
            lambda heads, real, n: put(heads, n, heads[:, n].mean(axis=(0, 1))),
        "the filling counts in the division: divide by the number of real tokens":
            lambda heads, real, n: put(
                heads, n, (heads[:, n] * real[..., None]).mean(axis=(0, 1))),
        "each story has its own mean; take one over all stories": by_story,
        "each place has its own mean; take one over all places": by_place,
        "the mean goes to every token, real or not": only_real,
        "every head was replaced, not head n alone": every_head,
        "that is one number: the mean is a vector of d numbers": one_number,
        "that is the mean over all heads: take that of head n": all_heads_mean,
        "nothing has changed: return the copy with the mean in it":
            lambda heads, real, n: heads,
    })  # fmt: skip


def attribution(answer):
    """attribution(terms, gain, bias, e, epsilon): (m, C) and (C,) -> (m + 1,)."""

    def centre(terms):
        return terms - terms.mean(axis=1, keepdims=True)

    def root(terms, epsilon):
        return np.sqrt(terms.sum(axis=0).var() + epsilon)

    def reference(terms, gain, bias, e, epsilon):
        parts = centre(terms) / root(terms, epsilon) * gain @ e
        return np.append(parts, bias @ e)

    def own_root(terms, gain, bias, e, epsilon):
        sigma = np.sqrt(terms.var(axis=1, keepdims=True) + epsilon)
        return np.append(centre(terms) / sigma * gain @ e, bias @ e)

    def not_centred(terms, gain, bias, e, epsilon):
        return np.append(terms / root(terms, epsilon) * gain @ e, bias @ e)

    def no_gain(terms, gain, bias, e, epsilon):
        return np.append(centre(terms) / root(terms, epsilon) @ e, bias @ e)

    def no_epsilon(terms, gain, bias, e, epsilon):
        return reference(terms, gain, bias, e, 0)

    def outside(terms, gain, bias, e, epsilon):
        sigma = root(terms, 0) + epsilon
        return np.append(centre(terms) / sigma * gain @ e, bias @ e)

    def by_variance(terms, gain, bias, e, epsilon):
        sigma = root(terms, epsilon) ** 2
        return np.append(centre(terms) / sigma * gain @ e, bias @ e)

    def bias_everywhere(terms, gain, bias, e, epsilon):
        parts = (centre(terms) / root(terms, epsilon) * gain + bias) @ e
        return np.append(parts, bias @ e)

    def bias_first(*case):
        return np.roll(reference(*case), 1)

    def mean_of_terms(terms, gain, bias, e, epsilon):
        parts = (terms - terms.mean(axis=0)) / root(terms, epsilon) * gain @ e
        return np.append(parts, bias @ e)

    def unbiased(terms, gain, bias, e, epsilon):
        sigma = np.sqrt(terms.sum(axis=0).var(ddof=1) + epsilon)
        return np.append(centre(terms) / sigma * gain @ e, bias @ e)

    cases = [
        (random(m, C), random(C), random(C, seed=1), random(C, seed=2), epsilon)
        for m, C, epsilon in ((1, 4, 0.5), (3, 4, 0.1), (5, 8, 1e-5), (2, 6, 1.0))
    ]
    return check(answer, "attribution", reference, cases, {
        "each term was divided by its own deviation: there is one, that of the sum":
            own_root,
        "each term must lose its own mean": not_centred,
        "the mean is over the C entries of a term, not over the terms": mean_of_terms,
        "the gain is missing": no_gain,
        "epsilon is missing under the root": no_epsilon,
        "epsilon belongs under the root": outside,
        "it was divided by the variance: take the root": by_variance,
        "the variance divides by C, not by C - 1": unbiased,
        "the bias was added to each term: it comes once, as the last number":
            bias_everywhere,
        "the bias's number comes last": bias_first,
    })  # fmt: skip
