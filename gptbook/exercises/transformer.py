"""The exercises of 2.2, the Transformer."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def last_state(answer):
    """last_state(x, W_x, W_r, b, start): x (T, C) -> the last state (d,)."""

    def variant(mix=lambda old, W_x, W_r, b, row: row @ W_x + old @ W_r + b,
                bend=np.tanh, order=1, whole=False):  # fmt: skip
        def run(x, W_x, W_r, b, start):
            state, states = start, []
            for row in x[::order]:
                state = bend(mix(state, W_x, W_r, b, row))
                states.append(state)
            return np.array(states) if whole else state

        return run

    def ends_with_tanh(x, W_x, W_r, b, start):  # one tanh, at the very end
        return np.tanh(variant(bend=lambda s: s)(x, W_x, W_r, b, start))

    def from_zero(x, W_x, W_r, b, start):
        return variant()(x, W_x, W_r, b, 0 * start)

    cases = [
        (random(T, C), random(C, d, scale=s), random(d, d, scale=s), random(d),
         random(d, seed=1))
        for T, C, d, s in
        [(2, 3, 2, 0.5), (5, 3, 4, 0.4), (4, 4, 4, 0.3), (1, 2, 3, 0.5), (0, 3, 2, 1.0)]
    ]  # fmt: skip
    return check(answer, "last_state", variant(), cases, {
        "the state of before is forgotten: state @ W_r is missing":
            variant(lambda old, W_x, W_r, b, row: row @ W_x + b),
        "the bias is missing":
            variant(lambda old, W_x, W_r, b, row: row @ W_x + old @ W_r),
        "tanh is missing": variant(bend=lambda s: s),
        "tanh belongs into each step, not only at the end": ends_with_tanh,
        "the old state goes in without W_r":
            variant(lambda old, W_x, W_r, b, row: row @ W_x + old + b),
        "W_r is transposed: a state is a row, state @ W_r":
            variant(lambda old, W_x, W_r, b, row: row @ W_x + W_r @ old + b),
        "it begins with zeros; begin with start": from_zero,
        "the tokens are read from the last to the first": variant(order=-1),
    })  # fmt: skip


def prefix_mask(answer):
    """prefix_mask(T, prefix) -> (T, T): all see the prefix, the rest is causal."""

    def mask(seen, yes=0.0, no=-np.inf):
        def run(T, prefix):
            i, j = np.indices((T, T))
            return np.where(seen(i, j, prefix), yes, no)

        return run

    def right(i, j, p):
        return (j <= i) | (j < p)

    cases = [(5, 2), (6, 3), (7, 1), (4, 0), (4, 4), (1, 0), (1, 1)]
    return check(answer, "prefix_mask", mask(right), cases, {
        "it is causal everywhere: the prefix must be seen by all":
            mask(lambda i, j, p: j <= i),
        "only the prefix is seen: the rest must see itself and what is before":
            mask(lambda i, j, p: j < p),
        "nothing is hidden: outside the prefix the future must be -inf":
            mask(lambda i, j, p: j >= 0),
        "the first rows see everything; it is the first columns that all may see":
            mask(lambda i, j, p: (j <= i) | (i < p)),
        "one token too many is in the prefix: its columns are those below prefix":
            mask(lambda i, j, p: (j <= i) | (j <= p)),
        "a token does not see itself": mask(lambda i, j, p: (j < i) | (j < p)),
        "the triangle is the wrong one: a token must see what is before it":
            mask(lambda i, j, p: (j >= i) | (j < p)),
        "it holds 1 and 0; as a term of the scores it must hold 0 and -inf":
            mask(right, 1.0, 0.0),
        "the -inf and the 0 have changed places": mask(right, -np.inf, 0.0),
    })  # fmt: skip


def padded_cross_attention(answer):
    """padded_cross_attention(x, memory, n, W_q, W_k, W_v) -> (T, d)."""

    def reference(x, memory, n, W_q, W_k, W_v):
        scores = x @ W_q @ (memory[:n] @ W_k).T / math.sqrt(W_k.shape[1])
        return softmax(scores) @ (memory[:n] @ W_v)

    def scores(x, memory, W_q, W_k):
        return x @ W_q @ (memory @ W_k).T / math.sqrt(W_k.shape[1])

    def unmasked(x, memory, n, *matrices):
        return reference(x, memory, len(memory), *matrices)

    def zeroed(x, memory, n, W_q, W_k, W_v):
        kept = np.where(np.arange(len(memory)) < n, scores(x, memory, W_q, W_k), 0)
        return softmax(kept) @ (memory @ W_v)

    def late(x, memory, n, W_q, W_k, W_v):
        weights = softmax(scores(x, memory, W_q, W_k))[:, :n]
        return weights @ (memory[:n] @ W_v)

    def unscaled(x, memory, n, W_q, W_k, W_v):
        return reference(x, memory, n, W_q * math.sqrt(W_k.shape[1]), W_k, W_v)

    def last_ones(x, memory, n, *matrices):
        return reference(x, memory[len(memory) - n :], n, *matrices)

    def values_of_x(x, memory, n, W_q, W_k, W_v):
        if len(x) != len(memory):
            return x  # this mistake raises an error there
        return softmax(scores(x, memory[:n], W_q, W_k)) @ (x[:n] @ W_v)

    def itself(x, memory, n, *matrices):
        return reference(x, x, min(n, len(x)), *matrices)

    def swapped(x, memory, n, W_q, W_k, W_v):
        return reference(x, memory, n, W_k, W_q, W_v)

    def causal(x, memory, n, W_q, W_k, W_v):
        seen = np.tri(len(x), len(memory)) * (np.arange(len(memory)) < n)
        masked = np.where(seen == 1, scores(x, memory, W_q, W_k), -np.inf)
        return softmax(masked) @ (memory @ W_v)

    cases = [
        (random(T, C), random(n_key, C, seed=1), n,
         random(C, d), random(C, d, seed=1), random(C, d, seed=2))
        for T, n_key, n, C, d in [
            (3, 3, 3, 4, 4), (2, 5, 5, 4, 3), (4, 4, 2, 4, 4), (3, 6, 4, 5, 2),
            (1, 4, 1, 3, 2), (5, 3, 2, 4, 9),
        ]
    ]  # fmt: skip
    return check(answer, "padded_cross_attention", reference, cases, {
        "the padding is read: rows of memory from n on must get no weight": unmasked,
        "the scores of the padding are 0; they must be -inf": zeroed,
        "the padding is cut off after the softmax: the rows don't sum to 1": late,
        "the scores are not divided by sqrt(d)": unscaled,
        "the last n rows are read; the real ones are the first n": last_ones,
        "the values come from x; they belong to the one that is read": values_of_x,
        "x reads itself: keys and values must come from memory": itself,
        "W_q and W_k have changed places": swapped,
        "it is causal; a token may read every real row of memory": causal,
    })  # fmt: skip


def blocks_needed(answer):
    """blocks_needed(seen): (T, T) of bool -> blocks until the last hears the first."""

    def reference(seen):
        depends = np.arange(len(seen)) == 0
        for blocks in range(len(seen)):
            if depends[-1]:
                return blocks
            depends = (seen & depends).any(axis=1)
        return -1

    def direct(seen):
        if len(seen) == 1:
            return 0
        return 1 if seen[-1, 0] else -1

    def chain(seen):
        return len(seen) - 1

    def shifted(by):
        return lambda seen: reference(seen) + by * (reference(seen) >= 0)

    def at_least_one(seen):
        return reference(seen) or 1

    def too_early(seen):
        return -1 if reference(seen) == len(seen) - 1 else reference(seen)

    def lost(seen):  # says how far it got in place of -1
        return reference(seen) if reference(seen) >= 0 else len(seen)

    def one_step_back(seen):  # follows the longest reach from the end, token by token
        place = len(seen) - 1
        for blocks in range(len(seen)):
            if place == 0:
                return blocks
            place = int(np.argmax(seen[place]))
        return -1

    def in_place(seen):  # a block reads what the same block has just written
        depends = np.arange(len(seen)) == 0
        for blocks in range(len(seen)):
            if depends[-1]:
                return blocks
            for i, row in enumerate(seen):
                depends[i] = (row & depends).any()
        return -1

    def window(T, w):
        i, j = np.indices((T, T))
        return (j <= i) & (i - j < w)

    def with_self(T, *pairs):
        seen = np.eye(T, dtype=bool)
        for i, j in pairs:
            seen[i, j] = True
        return seen

    short, long = [(7, 6), (6, 5), (5, 0)], [(7, 4), (4, 3), (3, 2), (2, 1), (1, 0)]
    back = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7)]  # read the future
    cases = [(seen,) for seen in (
        with_self(8, *short, *long, *back),
        np.tri(1, dtype=bool),
        np.tri(4, dtype=bool),
        window(5, 2),
        window(8, 2),
        window(9, 3),
        window(8, 4),
        with_self(4, (1, 0), (2, 1)),  # nobody tells the last
        with_self(4, (3, 1), (3, 2), (2, 0)),  # the farthest reach is a dead end
        with_self(4, (1, 0), (2, 0), (3, 1), (3, 2)),  # two ways of one length
        with_self(5, (0, 4), (1, 4), (4, 3), (3, 0)),  # some read the future
        with_self(4, (3, 1), (1, 2), (2, 0)),  # the only way leads through it
        np.ones((3, 3), dtype=bool),
    )]  # fmt: skip
    return check(answer, "blocks_needed", reference, cases, {
        "i reads what j had before the block: don't change the array in between":
            in_place,
        "a token may read a later one: seen need not be causal":
            lambda seen: reference(np.tril(seen)),
        "only the direct way counts: what j has gathered goes on to i": direct,
        "that is the chain, whatever seen says": chain,
        "with one token no block is needed: 0": at_least_one,
        "it stops too early: the way may take T - 1 blocks": too_early,
        "one too many: count the blocks, not the tokens on the way": shifted(1),
        "one too few": shifted(-1),
        "where the last token never depends on the first, return -1": lost,
        "seen is read the wrong way round: row i reads column j":
            lambda seen: reference(seen.T),
        "it follows one token's farthest reach; all that are seen count": one_step_back,
    })  # fmt: skip
