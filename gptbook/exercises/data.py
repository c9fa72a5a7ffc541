"""The exercises of 5.2, data."""

from __future__ import annotations

import numpy as np

from gptbook.exercises import check


def epochs(answer):
    """epochs(n_tokens, block_size, batch_size, steps) -> float."""

    def reference(n_tokens, T, B, steps):
        return steps * B / (n_tokens // T - 1)

    cases = [(26, 5, 2, 2), (1000, 10, 4, 33), (1007, 10, 3, 50), (40, 1, 1, 200)]
    return check(answer, "epochs", reference, cases, {
        "one block less than fit is read, to leave room for the offset":
            lambda n, T, B, steps: steps * B / (n // T),
        "take whole blocks only: n_tokens // block_size - 1":
            lambda n, T, B, steps: steps * B / (n / T - 1),
        "that counts every token; take whole blocks, and one less than fit":
            lambda n, T, B, steps: steps * B / (n / T),
        "blocks overlap by one id only: the last target doesn't use up an input":
            lambda n, T, B, steps: steps * B / (n // (T + 1) - 1),
        "each step reads batch_size sequences":
            lambda n, T, B, steps: steps / (n // T - 1),
        "an epoch is a number of blocks, not of tokens":
            lambda n, T, B, steps: steps * B / n,
        "don't round: a part of an epoch counts too":
            lambda n, T, B, steps: steps * B // (n // T - 1),
        "that is its inverse: divide what was read by what there is":
            lambda n, T, B, steps: (n // T - 1) / (steps * B),
    })  # fmt: skip


def cut_blocks(answer):
    """cut_blocks(stream, T) -> (inputs, targets), both (n, T)."""

    def fold(ids, n, T):
        return ids[: n * T].reshape(n, T)

    def reference(stream, T):
        n = (len(stream) - 1) // T
        return fold(stream, n, T), fold(stream[1:], n, T)

    def fewer(stream, T):
        n = len(stream) // T - 1
        return fold(stream, n, T), fold(stream[1:], n, T)

    def rolled(stream, T):
        inputs, _ = reference(stream, T)
        return inputs, np.roll(inputs, -1, axis=1)

    def same_ids(stream, T):
        inputs, _ = reference(stream, T)
        return inputs, inputs

    def turned(stream, T):
        return tuple(part.reshape(T, -1).T for part in reference(stream, T))

    def swapped(stream, T):
        return reference(stream, T)[::-1]

    rng = np.random.default_rng(0)
    cases = [
        (rng.permutation(n), T)
        for n, T in ((9, 4), (10, 4), (12, 4), (13, 4), (7, 1), (50, 8), (5, 4))
    ]
    return check(answer, "cut_blocks", reference, cases, {
        "the last target of a block is the first id of the NEXT block, not of its own":
            rolled,
        "the targets are the inputs: move them by one": same_ids,
        "a block is missing: there is no offset here, so (len(stream) - 1) // T fit":
            fewer,
        "the ids run down the columns: a row must be T neighbours": turned,
        "inputs and targets have changed places": swapped,
    })  # fmt: skip


def overlap(answer):
    """overlap(training, test, n) -> the share of the places in `test`."""

    def grams(ids, n):
        return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]

    def share(known, wanted):
        return sum(gram in known for gram in wanted) / max(1, len(wanted))

    def reference(training, test, n):
        return share(set(grams(training, n)), grams(test, n))

    def distinct(training, test, n):
        return share(set(grams(training, n)), set(grams(test, n)))

    def hits_once(training, test, n):
        known, wanted = grams(training, n), grams(test, n)
        return len(set(known) & set(wanted)) / max(1, len(wanted))

    def other_way(training, test, n):
        return share(set(grams(test, n)), grams(training, n))

    def tokens(training, test, n):
        return share(set(training), test)

    def in_any_order(training, test, n):
        known = {tuple(sorted(gram)) for gram in grams(training, n)}
        return share(known, [tuple(sorted(gram)) for gram in grams(test, n)])

    def last_left_out(training, test, n):
        return share(set(grams(training, n)), grams(test, n)[:-1])

    def last_of_training(training, test, n):
        return share(set(grams(training, n)[:-1]), grams(test, n))

    def of_tokens(training, test, n):
        known = set(grams(training, n))
        return sum(gram in known for gram in grams(test, n)) / len(test)

    def in_step(training, test, n):
        return share(set(grams(training, n)[::n]), grams(test, n))

    def blocks(training, test, n):
        return share(set(grams(training, n)), grams(test, n)[::n])

    def round_the_end(training, test, n):
        return share(set(grams([*training, *training], n)), grams(test, n))

    def ends_only(training, test, n):
        known = {(gram[0], gram[-1]) for gram in grams(training, n)}
        return share(known, [(gram[0], gram[-1]) for gram in grams(test, n)])

    def digits(training, test, n):
        text = "".join(map(str, training))
        return share(text, ["".join(map(str, gram)) for gram in grams(test, n)])

    cases = [
        ([1, 2, 3, 4, 5, 6], [2, 3, 4, 9, 3, 4, 8, 1, 4, 9], 2),
        ([1, 2, 3, 4], [3, 4, 3, 4, 3, 4, 9, 1], 2),
        ([5, 6, 7], [7, 6, 5, 6, 8], 2),
        ([1, 2, 3], [2, 3], 2),
        ([1, 2, 3, 1], [9, 9, 3, 1], 2),
        ([4, 5], [4, 5, 6, 4], 3),
        ([1, 2, 3, 4, 5, 6], [0, 3, 4, 5, 0, 1], 3),
        ([8, 9], [8, 7, 9, 9], 1),
        ([1, 2, 3], [3, 1, 7], 2),
        ([1, 2, 3, 4], [1, 9, 3, 4], 3),
        ([11, 12, 3], [1, 1, 2, 3], 2),
    ]
    return check(answer, "overlap", reference, cases, {
        "count an n-gram of the test as often as it stands there": distinct,
        "an n-gram that stands twice in the test counts twice": hits_once,
        "the other way round: which of the TEST's n-grams are in the training text?":
            other_way,
        "compare n tokens in a row, not single tokens": tokens,
        "the order of the tokens matters": in_any_order,
        "the last n-gram of the test is missing: there are len(test) - n + 1":
            last_left_out,
        "the last n-gram of the training text is missing: there are "
        "len(training) - n + 1": last_of_training,
        "divide by the number of n-grams, not of tokens": of_tokens,
        "n-grams of the training text start at every place, not at every n-th":
            in_step,
        "n-grams of the test start at every place, not at every n-th": blocks,
        "no n-gram runs from the end of the training text to its beginning":
            round_the_end,
        "all n tokens must agree, not the first and the last only": ends_only,
        "compare ids, not digits: 11, 2 is not 1, 12": digits,
    })  # fmt: skip


def document_mask(answer):
    """document_mask(ids, end) -> (T, T)."""

    def mask(number, causal=True):
        same = number[:, None] == number
        return np.where(same & np.tril(same) if causal else same, 0.0, -np.inf)

    def before(ids, end):
        return np.cumsum(ids == end) - (ids == end)

    def reference(ids, end):
        return mask(before(ids, end))

    def begins_the_next(ids, end):
        return mask(np.cumsum(ids == end))

    def no_future(ids, end):
        return mask(before(ids, end), causal=False)

    def plain(ids, end):
        return mask(np.zeros(len(ids)))

    def not_itself(ids, end):
        return np.where(np.eye(len(ids)) > 0, -np.inf, reference(ids, end))

    def upper(ids, end):
        return reference(ids, end).T

    def ones(ids, end):
        return np.where(reference(ids, end) == 0, 1.0, 0.0)

    def minus(ids, end):
        return np.where(reference(ids, end) == 0, 1.0, -np.inf)

    def no_marks(ids, end):
        return np.where((ids == end) & ~np.eye(len(ids), dtype=bool), -np.inf,
                        plain(ids, end))  # fmt: skip

    cases = [
        (np.array(ids), end)
        for ids, end in (
            ([4, 5, 6], 0), ([4, 0, 5], 0), ([4, 5, 0, 6, 7, 0, 8], 0),
            ([0, 4, 4, 0, 0, 5], 0), ([1, 2, 9, 9, 3, 1, 9], 9), ([3], 3),
        )
    ]  # fmt: skip
    return check(answer, "document_mask", reference, cases, {
        "the mark belongs to the document that it ends, not to the next":
            begins_the_next,
        "a token sees the future: the mask must be causal too": no_future,
        "a token sees other documents: that is the plain causal mask": plain,
        "a token sees itself too: the diagonal is 0": not_itself,
        "rows and columns have changed places: row i is the token that looks": upper,
        "these are ones and zeros; the mask is added: 0 and -inf": ones,
        "where a key may be seen, the mask is 0, not 1": minus,
        "only the marks are hidden; hide all that stands before them": no_marks,
    })  # fmt: skip
