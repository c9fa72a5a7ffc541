"""The exercises of 3.6, the whole model."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import layer_norm, softmax


def parameters(answer):
    """parameters(V, T_max, L, C, tied) -> the number of parameters."""

    def count(V, T_max, L, C, tied, squares=12, vectors=13, last=2, positions=1):
        tables = (1 if tied else 2) * V * C + positions * T_max * C
        return tables + L * (squares * C**2 + vectors * C) + last * C

    def variant(**options):
        return lambda *sizes: count(*sizes, **options)

    cases = [
        (1024, 256, 4, 128, True),
        (1024, 256, 4, 128, False),
        (50257, 1024, 12, 768, True),
        (50257, 1024, 12, 768, False),
        (11, 7, 1, 3, False),
        (50257, 2048, 96, 12288, True),
    ]
    function = exactly(answer) if callable(answer) else answer
    return check(function, "parameters", exactly(count), cases, {
        "with a tied head, wte is counted once":
            exactly(lambda V, T, L, C, tied: count(V, T, L, C, False)),
        "a head that is not tied has a matrix of its own":
            exactly(lambda V, T, L, C, tied: count(V, T, L, C, True)),
        "ln_f is missing": exactly(variant(last=0)),
        "ln_f has a gain and a bias": exactly(variant(last=1)),
        "the position table is missing": exactly(variant(positions=0)),
        "the biases and the norms of the blocks are missing":
            exactly(variant(vectors=0)),
        "the two norms of each block are missing": exactly(variant(vectors=9)),
        "the norms have gains and biases: 4 C in each block":
            exactly(variant(vectors=11)),
        "the biases of the linear layers are missing": exactly(variant(vectors=4)),
        "attention has 4 C**2 in its matrices, c_proj included":
            exactly(variant(squares=11)),
        "the feed-forward layer has two matrices: 8 C**2": exactly(variant(squares=8)),
        "there are L blocks, not one":
            exactly(lambda V, T, L, C, tied: count(V, T, 1, C, tied)),
        "the head that is not tied has no bias":
            exactly(lambda V, T, L, C, tied: count(V, T, L, C, tied) + (not tied) * V),
    })  # fmt: skip


def exactly(count):
    """A count as text: `same` would take large numbers one apart for equal."""
    return lambda *sizes: written(count(*sizes))


def written(number):
    if number is None:
        return None
    if np.ndim(number) or number != int(number):
        raise TypeError(f"return one whole number, not {number}")
    return f"{int(number):,}"


def assemble(answer):
    """assemble(ids, wte, wpe, blocks, ln_f) -> logits (T, V)."""

    def reference(ids, wte, wpe, blocks, ln_f):
        return run(ids, wte, wpe[: len(ids)], blocks, ln_f)

    def run(ids, wte, positions, blocks, ln_f):
        x = wte[ids] + positions
        for block in blocks:
            x = block(x)
        return ln_f(x) @ wte.T

    def first(ids, wte, wpe, blocks, ln_f):
        x = ln_f(wte[ids] + wpe[: len(ids)])
        for block in blocks:
            x = block(x)
        return x @ wte.T

    def added(ids, wte, wpe, blocks, ln_f):
        x = wte[ids] + wpe[: len(ids)]
        for block in blocks:
            x = x + block(x)
        return ln_f(x) @ wte.T

    def parallel(ids, wte, wpe, blocks, ln_f):
        x = wte[ids] + wpe[: len(ids)]
        return ln_f(sum([block(x) for block in blocks], 0 * x)) @ wte.T

    def separate(ids, wte, wpe, blocks, ln_f):
        x = wte[ids] + wpe[: len(ids)]
        y = x
        for block in blocks:
            y = block(x)
        return ln_f(y) @ wte.T

    def always(ids, wte, wpe, blocks, ln_f):
        x = wte[ids] + wpe[: len(ids)]
        for block in blocks:
            x = ln_f(block(x))
        return ln_f(x) @ wte.T

    def block(C, seed):
        matrix = random(C, C, seed=seed)
        return lambda x: x + np.tanh(x @ matrix)

    def norm(C):
        gain, bias = random(C, seed=7), random(C, seed=8)
        return lambda x: layer_norm(x, gain, bias)

    def case(T, C, V, T_max, n):
        ids = np.random.default_rng([T, C]).integers(0, min(V, T_max), T)
        blocks = [block(C, seed) for seed in range(n)]
        return ids, random(V, C), random(T_max, C, seed=1), blocks, norm(C)

    def same_ln(x):
        return x

    cases = [case(4, 6, 9, 8, 5), case(4, 4, 9, 8, 0), case(8, 6, 20, 8, 1)]
    return check(answer, "assemble", reference, cases, {
        "the positions are missing":
            lambda ids, wte, wpe, blocks, ln_f: run(ids, wte, 0, blocks, ln_f),
        "wpe is looked up by the ids; its row is the place":
            lambda ids, wte, wpe, blocks, ln_f: run(ids, wte, wpe[ids], blocks, ln_f),
        "all tokens have the position 0":
            lambda ids, wte, wpe, blocks, ln_f: run(ids, wte, wpe[0], blocks, ln_f),
        "the positions count from 1; they count from 0":
            lambda ids, wte, wpe, blocks, ln_f: run(
                ids, wte, np.roll(wpe, -1, axis=0)[: len(ids)], blocks, ln_f),
        "ln_f is missing": lambda ids, wte, wpe, blocks, ln_f: reference(
            ids, wte, wpe, blocks, same_ln),
        "ln_f stands before the blocks; it comes after them": first,
        "ln_f comes after each block; it comes once, after the last": always,
        "the blocks are left out": lambda ids, wte, wpe, blocks, ln_f: reference(
            ids, wte, wpe, [], ln_f),
        "the blocks are in the wrong order": lambda ids, wte, wpe, blocks, ln_f:
            reference(ids, wte, wpe, blocks[::-1], ln_f),
        "the sum is inside the blocks already: x = block(x)": added,
        "every block reads the tables; each must read what the one before it returns":
            separate,
        "the blocks are added up; each must read what the one before it returns":
            parallel,
        "these are probabilities; logits were asked for":
            lambda *pieces: softmax(reference(*pieces)),
    })  # fmt: skip


def lens_ranks(answer):
    """lens_ranks(streams, ln_f, wte, target) -> the target's rank at each stage."""

    def logits_of(streams, ln_f, wte):
        return ln_f(streams) @ wte.T

    def reference(streams, ln_f, wte, target):
        z = logits_of(streams, ln_f, wte)
        return (z > z[:, [target]]).sum(axis=-1)

    def plain(x):
        return x

    def norm(C):
        gain, bias = random(C, seed=7), random(C, seed=8)
        return lambda x: layer_norm(x, gain, bias)

    def case(n, C, V, target):
        return random(n, C, scale=3.0), norm(C), random(V, C, seed=1), target

    def column(streams, ln_f, wte, target):
        z = logits_of(streams, ln_f, wte)
        return (z > z[-1, target]).sum(axis=-1)

    def places(streams, ln_f, wte, target):  # argsort without its inverse
        return np.argsort(-logits_of(streams, ln_f, wte), axis=-1)[:, target]

    cases = [case(5, 8, 30, 4), case(1, 4, 12, 0), case(3, 6, 50, 49)]
    return check(answer, "lens_ranks", reference, cases, {
        "ln_f is missing": lambda streams, ln_f, wte, target:
            reference(streams, plain, wte, target),
        "the ranks count from 1; the likeliest has rank 0":
            lambda *case: reference(*case) + 1,
        "the smaller logits are counted; count the larger ones":
            lambda streams, ln_f, wte, target:
            len(wte) - 1 - reference(streams, ln_f, wte, target),
        "smaller and equal logits are counted; count the larger ones":
            lambda streams, ln_f, wte, target:
            len(wte) - reference(streams, ln_f, wte, target),
        "these are logits; count how many are larger":
            lambda streams, ln_f, wte, target:
            logits_of(streams, ln_f, wte)[:, target],
        "these are probabilities; a rank was asked for":
            lambda streams, ln_f, wte, target:
            softmax(logits_of(streams, ln_f, wte))[:, target],
        "every row is compared with the logit of the last stage; take its own": column,
        "argsort gives the token at each rank; the rank is where the target stands":
            places,
        "these are the likeliest tokens; the rank of the target was asked for":
            lambda streams, ln_f, wte, target:
            logits_of(streams, ln_f, wte).argmax(axis=-1),
    })  # fmt: skip


def write_cached(answer):
    """write_cached(step, ids, n) -> the n new ids; nothing is read twice."""
    V = 7

    def counting_step():
        read = []

        def step(ids, cache):
            rows = []
            for i in map(int, ids):
                cache.append(i)
                read.append(i)
                rows.append(np.random.default_rng([len(cache), *cache]).normal(size=V))
            return np.array(rows).reshape(-1, V)  # a row depends on all before it

        return step, read

    def run(write, ids, n):
        """What it writes, as text, and whether it read more than it needed."""
        step, read = counting_step()
        new = write(step, list(ids), n)
        if new is None:
            return None
        if not isinstance(new, list | tuple | np.ndarray):
            raise TypeError(f"return a list of ids, not {type(new).__name__}")
        text = "[" + ", ".join(str(int(i)) for i in new) + "]"
        needed = len(ids) + n  # the last one need not be read, but it may
        return text if len(read) <= needed else f"{text} after reading {len(read)} ids"

    def loop(step, ids, n, unread=None, fresh=False, row=-1, best=np.argmax):
        cache, new, now = [], [], ids
        while len(new) < n:
            if fresh:
                cache = []
            new.append(int(best(step(now, cache)[row])))
            now = unread(ids, new) if unread else new[-1:]
        return new

    def everything(ids, new):
        return ids + new

    def twice(step, ids, n):
        cache, new = [], []
        step(ids, cache)
        unread = ids[-1:]
        while len(new) < n:
            new.append(int(np.argmax(step(unread, cache)[-1])))
            unread = new[-1:]
        return new

    def all_but_last(step, ids, n):
        return loop(step, ids[:-1], n)

    def variant(**options):
        return lambda ids, n: run(
            lambda step, ids, n: loop(step, ids, n, **options), ids, n
        )

    function = (lambda ids, n: run(answer, ids, n)) if callable(answer) else answer
    cases = [((3, 1, 4), 5), ((2,), 4), ((5, 5, 0, 6), 1), ((1, 2), 12)]
    return check(function, "write_cached", variant(), cases, {
        "everything is read again, with a cache that holds it already: read the new id "
        "alone": variant(unread=everything),
        "right ids, but each round begins an empty cache and reads everything: keep "
        "the cache": variant(unread=everything, fresh=True),
        "each round begins an empty cache: the model forgets what it has read":
            variant(fresh=True),
        "the prompt is read in every round": variant(unread=lambda ids, new: ids),
        "all new ids are read in every round; only the newest is unread":
            variant(unread=lambda ids, new: new),
        "the last id of the prompt is read twice": lambda ids, n: run(twice, ids, n),
        "the last id of the prompt is not read":
            lambda ids, n: run(all_but_last, ids, n),
        "that is the row of the first id; the last row predicts what comes next":
            variant(row=0),
        "it takes the smallest logit": variant(best=np.argmin),
        "the prompt comes back too; return the new ids alone": lambda ids, n: run(
            lambda step, ids, n: ids + loop(step, ids, n), ids, n),
        "there is one id too few": lambda ids, n: run(
            lambda step, ids, n: loop(step, ids, n - 1), ids, n),
        "there is one id too many": lambda ids, n: run(
            lambda step, ids, n: loop(step, ids, n + 1), ids, n),
    })  # fmt: skip
