"""The exercises of 2.3, the idea of self-attention."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import OPEN, check, random, verdict
from gptbook.layers import softmax


def weighted_mean(answer):
    """weighted_mean(x, weights): rows (T, C), weights (T,) of any sum -> (C,)."""

    def reference(x, weights):
        return weights / weights.sum() @ x

    def weights_for(T):
        return np.abs(random(T, seed=1))

    cases = [
        (random(4, 3), np.array([0.0, 2, 0, 0])),  # one row comes back
        (random(1, 3), np.array([4.0])),
        (random(4, 3), np.ones(4)),
        (random(5, 2), weights_for(5)),
        (random(3, 3), weights_for(3)),
        (random(6, 4), weights_for(6) / weights_for(6).sum()),
        (random(4, 2), np.array([0.1, 0.3, 0.0, 0.2])),  # a sum below 1
    ]
    return check(answer, "weighted_mean", reference, cases, {
        "the weights are not divided by their sum": lambda x, w: w @ x,
        "the sum is divided by T, not by the sum of the weights":
            lambda x, w: w @ x / len(w),
        "that is the plain mean: the weights are not used": lambda x, w: x.mean(axis=0),
        "softmax changes the shares; here the weights only need to be divided":
            lambda x, w: softmax(w) @ x,
        "the weights were divided by their length, not by their sum":
            lambda x, w: w / np.linalg.norm(w) @ x,
        "each row has its weight, but the rows are not added up":
            lambda x, w: (w / w.sum())[:, None] * x,
    })  # fmt: skip


def soft_get(answer):
    """soft_get(pairs, query, sharpness): {key (d,): number}, (d,), number -> number."""

    def parts(pairs):
        return np.array(list(pairs)), np.array(list(pairs.values()))

    def variant(weigh):
        def lookup(pairs, query, sharpness):
            keys, values = parts(pairs)
            return weigh(keys @ query, sharpness) @ values

        return lookup

    reference = variant(lambda s, sharpness: softmax(sharpness * s))

    def powers_only(s, sharpness):
        return np.exp(sharpness * s)

    def by_key(pairs, query, sharpness):
        keys, _ = parts(pairs)
        return softmax(sharpness * (keys @ query)) @ keys

    def hard(pairs, query, sharpness):
        keys, values = parts(pairs)
        return values[(keys @ query).argmax()]

    def unit(pairs, query, sharpness):
        keys, values = parts(pairs)
        keys = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        return softmax(sharpness * (keys @ query)) @ values

    def case(n, d, sharpness):
        keys = [tuple(key) for key in random(n, d).round(2).tolist()]
        values = (10 * random(n, seed=1)).round(1).tolist()
        return dict(zip(keys, values, strict=True)), random(d, seed=2), sharpness

    near = {(1.0, 0.0): 5.0, (0.99, 0.0): 7.0}
    close = {(1.0, 0.0): 5.0, (0.9999, 0.0): 7.0}
    large = {(3.0, 1.0): 5.0, (2.0, 2.0): 7.0, (1.0, 0.0): -2.0}
    cases = [
        case(1, 2, 1.0),
        case(3, 2, 1.0),
        case(4, 3, 2.5),
        case(5, 2, 0.5),
        case(3, 2, 0.0),  # the mean
        (near, np.array([1.0, 0]), 100.0),  # still a mix
        case(4, 3, 10_000.0),  # the best match alone, and no overflow
        (large, np.array([1.0, 0.5]), 10_000.0),  # several large scores
        (large, np.array([-1.0, -0.5]), 10_000.0),  # all scores far below 0
        (close, np.array([1.0, 0]), 10_000.0),  # a mix at this sharpness too
    ]
    return check(answer, "soft_get", reference, cases, {
        "the sharpness is not used": variant(lambda s, sharpness: softmax(s)),
        "the scores are divided by the sharpness; multiply":
            variant(lambda s, sharpness: softmax(s / sharpness)),
        "the sharpness multiplies the shares, not the scores":
            variant(lambda s, sharpness: sharpness * softmax(s)),
        "the powers are not divided by their sum": variant(powers_only),
        "the scores are used as shares: softmax is missing":
            variant(lambda s, sharpness: sharpness * s),
        "the keys are mixed, not the values": by_key,
        "only the best match counts, at any sharpness: that is the hard lookup": hard,
        "the keys were made equally long; here their length counts": unit,
    })  # fmt: skip


# name, gender, thing, stands for a person, stands for a thing
MIA, ROSA, BEN = (1, 1, 0, 0, 0), (1, 1, 0, 0, 0), (1, -1, 0, 0, 0)
HER, HIM, IT = (0, 1, 0, 1, 0), (0, -1, 0, 1, 0), (0, 0, 0, 0, 1)
BALL, WORD = (0, 0, 1, 0, 0), (0, 0, 0, 0, 0)
SENTENCES = [
    [MIA, WORD, BALL, WORD, HER],
    [MIA, HER],
    [BALL, WORD, BEN, IT],
    [MIA, WORD, BALL, BEN, WORD, HER],  # the other name is nearer
    [MIA, WORD, BALL, BEN, WORD, HIM],
    [BEN, WORD, ROSA, WORD, HER, WORD, BALL, HER, IT, HIM],
    [BALL, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD, IT],
    [BEN, BALL, WORD, MIA, IT, WORD, HIM, IT, HER],
]


def right_token(x, i):
    """The place of the token for which the one at place i stands, or None."""
    person, thing = x[i, 3], x[i, 4]
    for j in range(i):
        if (person and x[j, 0] and x[j, 1] == x[i, 1]) or (thing and x[j, 2]):
            return j
    return None


def match(answer):
    """match(x): features (T, 5) -> queries and keys (T, n)."""
    name = "match"
    if not callable(answer):
        return verdict(name, f"give the function itself, not {type(answer).__name__}")
    for sentence in SENTENCES:
        x = np.array(sentence, dtype=float)  # (T, 5)
        given = x.copy()
        try:
            with np.errstate(all="ignore"):
                made = answer(given)
            if made is None:
                return verdict(name, OPEN)
            queries, keys = (np.asarray(part, dtype=float) for part in made)
        except Exception as error:  # whatever it is, the reader wants to know
            first_line = str(error).split("\n")[0]
            return verdict(name, f"raises {type(error).__name__}: {first_line}")
        if problem := find_mismatch(x, given, queries, keys):
            return verdict(name, problem)
    return verdict(name, None)


def find_mismatch(x, given, queries, keys):
    if not np.array_equal(given, x):
        return "it changes its arguments; work on copies"
    if queries.ndim != 2 or queries.shape != keys.shape or len(queries) != len(x):
        return (
            f"queries {queries.shape} and keys {keys.shape} for {len(x)} tokens: "
            "both must have the same shape (T, n)"
        )
    if not (np.isfinite(queries).all() and np.isfinite(keys).all()):
        return "there is a nan or an infinite number in the queries or keys"
    for i in range(len(x)):
        right = right_token(x, i)
        if right is None:
            continue
        weights = softmax(keys[: i + 1] @ queries[i])  # (i + 1,)
        if weights[right] < 0.9:
            return describe(x, i, right, weights)
    return None


def describe(x, i, right, weights):
    """What the pronoun at place i finds beside or in the place of what it should."""
    others = weights.copy()
    others[right] = -1
    rival = int(others.argmax())
    asks, wants, gets = (tuple(map(int, x[place])) for place in (i, right, rival))
    if weights[rival] < 0.99 * weights[right]:
        return (
            f"the pronoun {asks} finds the right token, but puts only "
            f"{weights[right]:.2f} on it: make the scores larger"
        )
    found = "itself" if rival == i else f"token {rival}, {gets}"
    return (
        f"the pronoun {asks} puts {weights[rival]:.2f} on {found}, and "
        f"{weights[right]:.2f} on token {right}, {wants}"
    )


def causal_shares(answer):
    """causal_shares(importance): (T,) -> (T, T), rows that sum to 1."""

    def reference(w):
        seen = np.tril(np.tile(w, (len(w), 1)))
        return seen / seen.sum(axis=1, keepdims=True)

    def tiled(w):
        return np.tile(w, (len(w), 1))

    def by_columns(w):
        seen = np.tril(tiled(w))
        return seen / seen.sum(axis=0)

    def by_asker(w):
        seen = np.tril(tiled(w).T)
        return seen / seen.sum(axis=1, keepdims=True)

    def late(w):
        return np.tril(tiled(w) / w.sum())

    def upper(w):
        seen = np.triu(tiled(w))
        return seen / seen.sum(axis=1, keepdims=True)

    def before(w):
        seen = np.tril(tiled(w), -1)
        return seen / np.maximum(seen.sum(axis=1, keepdims=True), 1e-300)

    def soft(w):
        scores = np.where(np.tril(np.ones((len(w), len(w)))) == 1, tiled(w), -np.inf)
        return softmax(scores)

    cases = [
        (np.array([2.0]),),
        (np.ones(3),),
        (np.array([1.0, 2.0]),),
        (np.array([1.0, 3, 4]),),
        (np.abs(random(6)) + 0.1,),
    ]
    return check(answer, "causal_shares", reference, cases, {
        "the rows don't sum to 1: divide each row by its sum":
            lambda w: np.tril(tiled(w)),
        "the future is not cut off": lambda w: tiled(w) / w.sum(),
        "the future was cut off after the division, so rows don't sum to 1": late,
        "the columns sum to 1 instead of the rows": by_columns,
        "the importance must be that of the column j, which is read; this makes the "
        "running mean": by_asker,
        "this is the upper triangle: a row reads the future and not the past": upper,
        "a token does not read itself: j = i belongs to it": before,
        "that is the softmax of the importances: divide them by their sum": soft,
    })  # fmt: skip
