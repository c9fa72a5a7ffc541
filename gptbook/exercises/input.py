"""The exercises of 3.1, input."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from gptbook.exercises import check, random
from gptbook.tokenizer import merge


def on_copies(answer):
    """The answer, called with copies of lists: what it does to them stays with it."""
    if not callable(answer):
        return answer
    return lambda *args: answer(*[list(a) if isinstance(a, list) else a for a in args])


def first_of_most(pairs):
    counts = Counter(pairs)
    return max(counts, key=counts.get)


def most_frequent_pair(answer):
    """most_frequent_pair(tokens): a list of str -> the most frequent pair, a tuple."""

    def reference(tokens):
        return first_of_most(pairwise(tokens))

    def last_wins(tokens):
        counts = Counter(pairwise(tokens))
        return max(reversed(counts), key=counts.get)

    def in_the_alphabet(tokens):
        counts = Counter(pairwise(tokens))
        return min(counts, key=lambda pair: (-counts[pair], pair))

    def apart(tokens):
        """Counts each pair as if its occurrences could not overlap."""

        def count(pair):
            return merge(tokens, pair).count("".join(pair))

        return max(pairwise(tokens), key=count)

    def in_the_text(tokens):
        """Counts where the letters of the two stand together, over other cuts too."""
        text = "".join(tokens)

        def count(pair):
            return sum(text.startswith("".join(pair), n) for n in range(len(text)))

        return max(pairwise(tokens), key=count)

    cases = [
        (list("herhe"),),
        (list("abcbadcb"),),  # bc and cb are two pairs
        (list("cabd"),),  # a tie: the first wins
        (list("aaabcxbc"),),  # a a a holds the pair twice
        (list("bcaba"),),  # the last token has no neighbour on its right
        (list("xabab"),),  # no pair at every second place
        (["the", " hen", " and", " the", " hen", " ran"],),
        (["a", "b"],),
        (["ab", "c", "a", "bc", "x", "y", "x", "y"],),  # ab c and a bc differ
        (list("zyxwvutsrq"),),
        (["the", " hen", "a", "b", "c"],),
    ]
    return check(on_copies(answer), "most_frequent_pair", reference, cases, {
        "those are the two most frequent tokens; count pairs of neighbours":
            lambda tokens: tuple(t for t, _ in Counter(tokens).most_common(2)),
        "a text is no ring: its last token and its first are not neighbours":
            lambda tokens: first_of_most(pairwise([*tokens, tokens[0]])),
        "the order counts: (a, b) and (b, a) are two different pairs":
            lambda tokens: first_of_most(tuple(sorted(p)) for p in pairwise(tokens)),
        "pairs overlap: count at every place, not at every second":
            lambda tokens: first_of_most(zip(tokens[::2], tokens[1::2], strict=False)),
        "pairs may overlap: a a a holds the pair a a twice": apart,
        "of equally frequent pairs the first in the text wins, not the last": last_wins,
        "of equally frequent pairs the first in the text wins, not in the alphabet":
            in_the_alphabet,
        "count pairs of tokens, not where their letters stand together": in_the_text,
    })  # fmt: skip


def merge_ids(answer):
    """merge_ids(ids, pair, new_id): each occurrence of the pair becomes new_id."""

    def spelled(f):
        """Lists of any length are compared as texts, so that it can be said why."""
        def as_text(ids, pair, new_id):
            given = list(ids)
            got = f(given, pair, new_id)
            if given != list(ids):
                raise ValueError("it changes the list of ids; return a new one")
            return None if got is None else " ".join(str(int(i)) for i in got)

        return as_text

    def walk(ids, pair, new_id, step=2, most=None, swapped=False):
        merged, place, done = [], 0, 0
        while place < len(ids):
            here = tuple(ids[place : place + 2])
            if (here == pair or (swapped and here == pair[::-1])) and done != most:
                merged.append(new_id)
                place, done = place + step, done + 1
            else:
                merged.append(ids[place])
                place += 1
        return merged

    def no_end(ids, pair, new_id):
        merged = walk(ids, pair, new_id)
        return merged if merged[-1:] == [new_id] else merged[:-1]

    def from_the_right(ids, pair, new_id):
        return walk(ids[::-1], pair[::-1], new_id)[::-1]

    def as_digits(ids, pair, new_id):
        old = " ".join(map(str, pair))
        text = " ".join(map(str, ids)).replace(old, str(new_id))
        return [int(number) for number in text.split()]

    def either(ids, pair, new_id):
        return [new_id if i in pair else i for i in ids]

    cases = [
        ((5, 6, 7), (5, 6), 256),
        ((7, 8, 9), (5, 6), 256),  # nothing to do
        ((5, 6, 1, 5, 6, 5), (5, 6), 300),
        ((5, 6, 5, 6, 5, 6), (5, 6), 256),  # one behind the other
        ((6, 5, 6), (5, 6), 256),
        ((4, 4, 4, 1), (4, 4), 256),  # the first two
        ((5, 6), (5, 6), 256),
        ((5,), (5, 6), 256),
        ((15, 6, 5, 61, 5, 6), (5, 6), 256),
    ]
    mistakes = {
        "after a merge go two places further: the second id of the pair is still there":
            lambda *args: walk(*args, step=1),
        "the last id is lost: it may stand alone": no_end,
        "only the first occurrence is replaced": lambda *args: walk(*args, most=1),
        "the order counts: the pair turned round is another pair":
            lambda *args: walk(*args, swapped=True),
        "join from left to right: of three the first two": from_the_right,
        "each of the two ids was replaced; replace the pair where it stands together":
            either,
        "ids are numbers: 5 6 does not stand in 15 6": as_digits,
    }  # fmt: skip
    return check(
        spelled(answer) if callable(answer) else answer,
        "merge_ids",
        spelled(walk),
        cases,
        {message: spelled(wrong) for message, wrong in mistakes.items()},
    )


def encode_word(answer):
    """encode_word(word, merges): the tokens of a word, a list of str."""

    def reference(word, merges):
        tokens = list(word)
        for pair in merges:
            tokens = merge(tokens, pair)
        return tokens

    def longest(word, merges):
        vocabulary, tokens = {a + b for a, b in merges}, []
        while word:
            length = next(n for n in range(len(word), 0, -1)
                          if n == 1 or word[:n] in vocabulary)  # fmt: skip
            tokens.append(word[:length])
            word = word[length:]
        return tokens

    def leftmost(word, merges):
        tokens = list(word)
        while found := [pair for pair in pairwise(tokens) if pair in merges]:
            tokens = merge(tokens, found[0])
        return tokens

    def by_length(word, merges):
        return reference(word, sorted(merges, key=lambda pair: len("".join(pair))))

    def from_the_right(word, merges):
        tokens = list(word)
        for a, b in merges:
            for place in range(len(tokens) - 2, -1, -1):
                if tokens[place : place + 2] == [a, b]:
                    tokens[place : place + 2] = [a + b]
        return tokens

    def once(word, merges):
        tokens = list(word)
        for pair in merges:
            if pair in (pairs := list(pairwise(tokens))):
                place = pairs.index(pair)
                tokens[place : place + 2] = ["".join(pair)]
        return tokens

    cases = [
        ("hello", [("l", "l"), ("h", "e")]),
        ("hello", [("l", "l"), ("h", "e"), ("he", "ll")]),  # of merged tokens
        ("abc", [("a", "b"), ("b", "c"), ("a", "bc")]),  # abc can't be reached
        ("abcxyz", [("b", "c"), ("a", "b"), ("x", "y"), ("y", "z")]),
        ("banana", [("a", "n"), ("an", "a"), ("b", "an")]),
        ("xyz", []),
        ("a", [("a", "b")]),
        ("baaa", [("a", "a"), ("b", "aa")]),
        ("abcdxyz", [("x", "y"), ("a", "b"), ("ab", "c"), ("c", "d"), ("y", "z")]),
    ]
    return check(on_copies(answer), "encode_word", reference, cases, {
        "the merges were applied from the last to the first":
            lambda word, merges: reference(word, merges[::-1]),
        "the leftmost pair was merged first; the one that was learned first goes first":
            leftmost,
        "a token of the list was taken where it fits; apply the merges in order":
            longest,
        "a merge joins every occurrence of its pair, not the first alone": once,
        "these are characters still: no merge was applied":
            lambda word, merges: list(word),
        "join from left to right: of three the first two": from_the_right,
        "the merges go in the order of the list, not by length": by_length,
    })  # fmt: skip


def one_hot_embedding(answer):
    """one_hot_embedding(ids, table): (T,), (n, C) -> (T, n) and (T, C)."""

    def given(one_hot):
        """The matrix that one_hot makes, and its product with the table."""
        return lambda ids, table: (m := one_hot(ids, len(table)), m @ table)

    cases = [
        (np.array(ids), random(n, C))
        for ids, n, C in [([0], 1, 2), ([2, 0, 2], 4, 3), ([6, 5, 1, 1], 7, 5)]
    ]
    return check(answer, "one_hot_embedding", given(lambda ids, n: np.eye(n)[ids]),
                 cases, {
        "the id was written into the matrix; write a 1 at the place of the id":
            given(lambda ids, n: np.eye(n)[ids] * ids[:, None]),
        "the ones stand on the diagonal; the column is the id, not the position":
            given(lambda ids, n: np.eye(len(ids), n)),
        "the ones stand one place too far left: ids count from 0":
            given(lambda ids, n: np.eye(n)[ids - 1]),
        "every row has the ones of all ids; a row has one 1":
            given(lambda ids, n: np.tile(np.eye(n)[ids].max(axis=0), (len(ids), 1))),
    })  # fmt: skip


def safe_cut(answer):
    """safe_cut(text, n): the longest beginning of at most n bytes, a str."""

    def reference(text, n):
        return text.encode()[:n].decode(errors="ignore")

    def too_far_back(text, n):
        cut = text.encode()[:n]
        while cut and cut[-1] >> 6 == 0b10:
            cut = cut[:-1]
        return (cut[:-1] if cut and cut[-1] >= 0b11000000 else cut).decode()

    def strip(text, n):
        return text.encode()[:n].decode(errors="replace").rstrip("\ufffd")

    cases = [
        ("Mia", 2),
        ("Mia", 10),
        ("球a", 4),
        ("a球", 4),  # fits to the byte
        ("a球", 3),
        ("球球", 5),
        ("Mia 🎈!", 7),
        ("Mia 🎈!", 8),
        ("é", 1),
        ("球", 0),
        ("", 3),
        ("a\ufffdb", 4),  # the sign itself, in the text
    ]
    return check(answer, "safe_cut", reference, cases, {
        "n counts bytes, not characters": lambda text, n: text[:n],
        "half a character became the sign U+FFFD: leave it out":
            lambda text, n: text.encode()[:n].decode(errors="replace"),
        "a U+FFFD that the text itself holds is a character like any other": strip,
        "a character that fits to the last byte was cut off": too_far_back,
        "characters of several bytes are missing, though they fit":
            lambda text, n: text.encode()[:n].decode("ascii", errors="ignore"),
        "n bytes are allowed, and this keeps fewer":
            lambda text, n: reference(text, max(n - 1, 0)),
    })  # fmt: skip
