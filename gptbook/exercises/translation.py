"""The exercises of 6.3, translation."""

from __future__ import annotations

from collections import Counter

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def precision(answer):
    """precision(candidate, reference, n): the clipped share of shared n-grams."""

    def variant(clip=True, over="candidate", sets=False, shift=0):
        def share(candidate, reference, n):
            mine, theirs = (
                Counter(tuple(x[i : i + n + shift]) for i in range(len(x) - n + 1))
                for x in (candidate, reference)
            )
            if sets:
                mine, theirs = Counter(set(mine)), Counter(set(theirs))
            shared = (mine & theirs).total()
            if not clip:
                shared = sum(k for gram, k in mine.items() if gram in theirs)
            all_of = mine if over == "candidate" else theirs
            return shared / all_of.total() if all_of else 0.0

        return share

    def single(candidate, reference, n):
        return variant()(candidate, reference, 1)

    def joined(candidate, reference, n):
        mine, theirs = (
            Counter("".join(x[i : i + n]) for i in range(len(x) - n + 1))
            for x in (candidate, reference)
        )
        return (mine & theirs).total() / mine.total() if mine else 0.0

    def in_any_order(candidate, reference, n):
        mine, theirs = (
            Counter(tuple(sorted(x[i : i + n])) for i in range(len(x) - n + 1))
            for x in (candidate, reference)
        )
        return (mine & theirs).total() / mine.total() if mine else 0.0

    def in_place(candidate, reference, n):
        grams = range(len(candidate) - n + 1)
        same = sum(candidate[i : i + n] == reference[i : i + n] for i in grams)
        return same / len(grams) if grams else 0.0

    cases = [
        ([*candidate], [*reference], n)  # a str becomes a list of its letters
        for candidate, reference, n in [
            ("abcde", "bacdx", 2),  # the same tokens in another order
            ("abcab", "abxab", 2),
            ("aaaa", "ab", 1),  # clipped
            ("abab", "babababa", 2),
            ("ab", "abc", 3),  # no n-gram
            ("aab", "abaa", 1),
            ("xabcabc", "abcabcy", 3),
            ("", "ab", 1),
            ("aaaaab", "baaaaa", 2),  # n-grams that overlap themselves
            (["ab", "c", "d"], ["a", "bc", "d"], 2),  # the same text, cut elsewhere
        ]
    ]
    return check(answer, "precision", variant(), cases, {
        "an n-gram counts no more often than the reference has it":
            variant(clip=False),
        "that is the recall: divide by the candidate's n-grams":
            variant(over="reference"),
        "an n-gram that occurs twice counts twice": variant(sets=True),
        "these n-grams are one too long": variant(shift=1),
        "these are single tokens; take rows of n": single,
        "a shared n-gram may stand at another place": in_place,
        "the order of the tokens matters": in_any_order,
        "keep the tokens apart: compare tuples, not joined text": joined,
    })  # fmt: skip


def bleu_of(answer):
    """bleu_of(m, c, length, wanted): BLEU, from 0 to 100."""

    def variant(mean="geometric", penalty="min", scale=100, flip=False):
        def score(m, c, length, wanted):
            if min(m) == 0 and mean == "geometric":
                return 0.0
            ratio = length / wanted if flip else wanted / length
            factor = np.exp(1 - ratio)
            if penalty == "min":
                factor = min(1, factor)
            elif penalty == "none":
                factor = 1
            elif penalty == "ratio":
                factor = min(1, length / wanted)
            shares = m / c
            means = {
                "geometric": lambda: np.prod(shares) ** 0.25,
                "product": lambda: np.prod(shares),
                "arithmetic": lambda: np.mean(shares),
                "pooled": lambda: m.sum() / c.sum(),
            }
            return float(scale * factor * means[mean]())

        return score

    cases = [
        (np.array(m, dtype=float), np.array(c, dtype=float), length, wanted)
        for m, c, length, wanted in [
            ([8, 6, 4, 3], [9, 8, 7, 6], 9, 9),
            ([7, 5, 4, 2], [12, 11, 10, 9], 12, 8),  # too long
            ([8, 6, 4, 3], [9, 8, 7, 6], 9, 12),  # too short
            ([4, 2, 1, 0], [6, 5, 4, 3], 6, 6),  # nothing of length 4
            ([5, 4, 3, 2], [5, 4, 3, 2], 5, 10),
        ]
    ]
    return check(answer, "bleu_of", variant(), cases, {
        "the penalty is at most 1: a long candidate gets no bonus":
            variant(penalty="none-at-all"),
        "the brevity penalty is missing": variant(penalty="none"),
        "the penalty is e to the power of 1 - r/c, not the ratio of the lengths":
            variant(penalty="ratio"),
        "length and wanted have changed places": variant(flip=True),
        "that is the product; take its fourth root": variant(mean="product"),
        "take the geometric mean of the precisions, not the arithmetic":
            variant(mean="arithmetic"),
        "divide for each n first, then take the geometric mean":
            variant(mean="pooled"),
        "BLEU goes from 0 to 100": variant(scale=1),
    })  # fmt: skip


def bytes_missing(answer):
    """bytes_missing(data): what the last character lacks, 0 to 3."""

    def variant(lengths=(0xC0, 0xE0, 0xF0), own=True):
        def missing(data):
            for back, byte in enumerate(reversed(data), start=int(own)):
                if not 0x80 <= byte <= 0xBF:
                    length = 1 + sum(byte >= first for first in lengths)
                    return max(0, length - back)
            return 0

        return missing

    def modulo(data):
        return -len(data) % 3

    def length_of_last(data):
        for byte in reversed(data):
            if not 0x80 <= byte <= 0xBF:
                return 1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)
        return 0

    def is_open(data):
        return int(variant()(data) > 0)

    def last_byte_alone(data):
        byte = data[-1] if data else 0
        return int(byte >= 0xC0) + int(byte >= 0xE0) + int(byte >= 0xF0)

    def held_back(data):
        for back, byte in enumerate(reversed(data), start=1):
            if not 0x80 <= byte <= 0xBF:
                return back if variant()(data) else 0
        return 0

    cat = "她的猫".encode()
    cases = [
        (data,)
        for data in [
            cat,
            cat[:-1],
            cat[:-2],
            b"a cat",
            "a é".encode()[:-1],
            "é".encode(),
            "𝄞".encode()[:1],
            "a𝄞".encode()[:-2],
            "猫𝄞".encode()[:-1],
            "𝄞".encode(),
            b"",
            "猫a".encode(),
            "अ".encode()[:1],  # e0, the smallest first byte of 3
            "—".encode()[:2],  # ends with 80
            "\ufffd".encode()[:2],  # ends with bf
        ]
    ]
    return check(answer, "bytes_missing", variant(), cases, {
        "there are characters of 4 bytes": variant(lengths=(0xC0, 0xE0)),
        "there are characters of 2 bytes": variant(lengths=(0xE0, 0xE0, 0xF0)),
        "a first byte from 0xc0 makes 2 bytes, from 0xe0 3, from 0xf0 4":
            variant(lengths=(0xC0, 0xC0)),
        "a first byte of 0xe0 makes 3 bytes, too": variant(lengths=(0xC0, 0xE1, 0xF0)),
        "return how many bytes are missing, not whether": is_open,
        "the last byte may be in the middle of a character: go back to its first":
            last_byte_alone,
        "these are the bytes that are there; how many are missing?": held_back,
        "not every character has 3 bytes": modulo,
        "that is the length of the last character; how much of it is there already?":
            length_of_last,
        "the first byte belongs to the character, too": variant(own=False),
    })  # fmt: skip


def alignment(answer):
    """alignment(weights, start, stop, pairs): the share of right looks, and chance."""

    def variant(back=1, cut=True, offset=True, chance="mean"):
        def shares(weights, start, stop, pairs):
            right, by_chance = [], []
            for i, places in pairs:
                row = weights[i - back]
                if cut:
                    look = int(row[start:stop].argmax()) + (start if offset else 0)
                else:
                    look = int(row.argmax())
                right.append(look in places)
                places_seen = 1 if chance == "one" else len(places)
                all_of = len(weights) if chance == "all" else stop - start
                by_chance.append(places_seen / all_of)
            return float(np.mean(right)), float(np.mean(by_chance))

        return shares

    def mass(weights, start, stop, pairs):
        total = [weights[i - 1, places].sum() for i, places in pairs]
        return float(np.mean(total)), variant()(weights, start, stop, pairs)[1]

    def columns(weights, start, stop, pairs):
        return variant()(weights.T, start, stop, pairs)

    def case(T, start, stop, triples, seed):
        """Each triple is a token, its right places, and where the head mostly looks."""
        scores = random(T, T, scale=2.0, seed=seed)
        scores[:, [0, start - 1, stop]] += 6.0  # outside the source, as real heads
        for i, _, look in triples:
            scores[i - 1, look] += 6.0
        scores[np.triu_indices(T, 1)] = -np.inf
        weights = softmax(scores)
        return weights, start, stop, [(i, places) for i, places, _ in triples]

    cases = [
        case(21, 2, 10, [(11, [3, 4], 4), (12, [6, 8], 8), (13, [5], 2),
                         (14, [7, 9], 9), (15, [6, 8], 7), (16, [2], 2),
                         (17, [7, 9], 7), (18, [3], 9), (19, [4, 6], 6),
                         (20, [3, 5], 5)], 971),
        case(9, 1, 5, [(6, [2], 2), (7, [1], 1), (8, [4], 3)], 1),
        case(12, 3, 7, [(8, [3, 5], 3), (9, [6], 6), (10, [4], 6), (11, [4, 6], 5)], 2),
        case(10, 2, 6, [(7, [5], 5), (8, [2], 2), (9, [3], 3)], 3),
        case(14, 3, 8, [(9, [3], 3), (10, [6, 7], 6), (11, [4], 7), (12, [5], 5)], 4),
    ]  # fmt: skip
    return check(answer, "alignment", variant(), cases, {
        "token i is predicted one place earlier: row i - 1": variant(back=0),
        "row i - 1 predicts token i; this is the row before": variant(back=2),
        "compare within the source only: cut the row before the argmax":
            variant(cut=False),
        "the argmax of a part counts from its beginning: add start":
            variant(offset=False),
        "a pair with two right places is easier by chance": variant(chance="one"),
        "by chance, a place of the source is drawn, not of the whole text":
            variant(chance="all"),
        "that is the mean weight; count where the largest weight is right": mass,
        "a row asks, a column is read": columns,
    })  # fmt: skip
