"""The exercises of 6.2, summarisation."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def on_copies(answer):
    """The answer, with lists of its own: one that changes them does no harm."""
    if not callable(answer):
        return answer
    return lambda *arguments: answer(*copy.deepcopy(arguments))


def novelty(answer):
    """novelty(summary, text, n): the share of the summary's n-grams not in the text."""

    def variant(known=False, once=False, whose="summary", short=0.0):
        def share(summary, text, n):
            own, other = (
                [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
                for words in (summary, text)
            )
            if whose == "text":
                own, other = other, own
            own = sorted(set(own)) if once else own
            new = [(gram in other) == known for gram in own]
            return sum(new) / len(new) if new else short

        return share

    def single(summary, text, n):
        return variant()(summary, text, 1)

    def of_all_words(summary, text, n):
        new = variant()(summary, text, n) * max(0, len(summary) - n + 1)
        return new / len(summary) if summary else 0.0

    def clipped(summary, text, n):
        own, other = (
            Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
            for words in (summary, text)
        )
        return (own - other).total() / own.total() if own else 0.0

    cases = [
        ("mia lost the red ball".split(), "mia the mouse lost her red ball".split(), 1),
        (
            "ben found ben found it today again".split(),
            "it was ben found who".split(),
            2,
        ),
        ("a b a b c".split(), "a b d".split(), 2),
        ("a b c d".split(), "b c d a".split(), 3),
        ("red".split(), "the red ball".split(), 2),  # too short
        ("red ball".split(), "red".split(), 2),  # the text is too short
        ([], "the red ball".split(), 1),
        ("x y x x z".split(), "x z".split(), 1),
        ("he lost a hat".split(), "she lost a hat box".split(), 2),  # he, not she
        ("mia lost ball again today".split(), "mia lost the red ball".split(), 2),
    ]
    return check(on_copies(answer), "novelty", variant(), cases, {
        "that is the share of the known ones": variant(known=True),
        "one that the summary has twice counts twice": variant(once=True),
        "n is ignored: these are single words": single,
        "divide by the number of n-grams, not of words": of_all_words,
        "one that the text has is not new, however often the summary has it": clipped,
        "a summary that is too short has a share of 0": variant(short=1.0),
        "summary and text have changed places": variant(whose="text"),
    })  # fmt: skip


def how_often_better(answer):
    """how_often_better(a, b, draws): the share of the rows in which a is better."""

    def variant(tie=0.5, flip=False):
        def share(a, b, draws):
            gap = (b - a if flip else a - b)[draws].sum(axis=1)
            return float(((gap > 1e-9) + tie * (abs(gap) < 1e-9)).mean())

        return share

    def story_by_story(a, b, draws):
        gap = (a - b)[draws]
        return float(((gap > 0) + 0.5 * (gap == 0)).mean())

    def once(a, b, draws):
        gap = (a - b).mean()
        return float((gap > 0) + 0.5 * (gap == 0))

    def mean_gap(a, b, draws):
        return float((a - b)[draws].mean())

    def unpaired(a, b, draws):
        gap = a[draws].sum(axis=1) - b[draws[::-1]].sum(axis=1)
        return float(((gap > 0) + 0.5 * (gap == 0)).mean())

    rng = np.random.default_rng(0)
    cases = [
        *((random(n, seed=n), random(n, seed=n + 50), rng.integers(n, size=(B, n)))
          for n, B in ((8, 25), (5, 40), (12, 17))),
        (np.array([1.0, 0, 1]), np.array([0.0, 1, 0]),
         np.array([[0, 1, 2], [1, 1, 0], [1, 1, 2], [0, 0, 2], [2, 1, 1]])),
        (np.array([1.0, 0, 0.5, 0.5]), np.array([0.0, 1, 0.5, 0.5]),
         np.array([[0, 1, 2, 3], [2, 2, 3, 3], [0, 0, 1, 2], [1, 1, 1, 0],
                   [0, 2, 3, 3]])),
    ]  # fmt: skip
    return check(answer, "how_often_better", variant(), cases, {
        "a tie counts one half": variant(tie=0.0),
        "a tie counts one half, not 1": variant(tie=1.0),
        "a and b have changed places": variant(flip=True),
        "compare the means of a repetition, not single stories": story_by_story,
        "the stories drawn are ignored": once,
        "that is the mean difference; count the repetitions": mean_gap,
        "a and b must be compared on the same stories": unpaired,
    })  # fmt: skip


def context_aware(answer):
    """context_aware(with_text, without, alpha): the probabilities (V,)."""

    def logits(scale_with, scale_without):
        def mixed(with_text, without, alpha):
            z = scale_with(alpha) * with_text - scale_without(alpha) * without
            return softmax(z)

        return mixed

    def no_softmax(with_text, without, alpha):
        return (1 + alpha) * with_text - alpha * without

    def of_probabilities(with_text, without, alpha):
        return (1 + alpha) * softmax(with_text) - alpha * softmax(without)

    def softmax_of_probabilities(with_text, without, alpha):
        return softmax(of_probabilities(with_text, without, alpha))

    def swapped(with_text, without, alpha):
        return reference(without, with_text, alpha)

    reference = logits(lambda a: 1 + a, lambda a: a)
    cases = [
        (random(V, scale=2.0, seed=V), random(V, scale=2.0, seed=V + 9), alpha)
        for V, alpha in ((5, 0.5), (7, 1.0), (6, 0.0), (9, 2.5))
    ]
    cases.append((np.array([1000.0, 999, 0]), np.array([1000.0, 998, 0]), 1.0))
    return check(answer, "context_aware", reference, cases, {
        "these are logits; probabilities come out of softmax": no_softmax,
        "combine the logits, not the probabilities": of_probabilities,
        "softmax comes last, and only once": softmax_of_probabilities,
        "with and without the text have changed places": swapped,
        "the prediction without the text is subtracted": logits(
            lambda a: 1 + a, lambda a: -a),
        "the text has the factor 1 + alpha": logits(lambda a: 1, lambda a: a),
        "that is a mean of the two": logits(lambda a: 1 - a, lambda a: -a),
    })  # fmt: skip


class Numbers:
    """A list of whole numbers that is compared as a whole, whatever its length."""

    def __init__(self, numbers):
        self.numbers = [int(i) for i in numbers]

    def __eq__(self, other):
        return self.numbers == other.numbers

    def __repr__(self):
        return repr(self.numbers)


Numbers.__name__ = "list of numbers"  # as the verdict calls it


def with_numbers(answer):
    """The answer on lists of its own; what it returns as Numbers, where it can be."""
    if not callable(answer):
        return answer

    def wrapped(*arguments):
        got = on_copies(answer)(*arguments)
        try:
            array = np.asarray(got)
        except ValueError:
            return got
        whole = np.issubdtype(array.dtype, np.integer) or not array.size
        return Numbers(array) if array.ndim == 1 and whole else got

    return wrapped


def best_extract(answer):
    """best_extract(sentences, reference, k): numbers of sentences, ascending."""

    def variant(stop=True, ordered=True, greedy=True, last=False, measure="F"):
        def extract(sentences, reference, k):
            def score(numbers):
                words = [word for i in numbers for word in sentences[i]]
                m = (Counter(words) & Counter(reference)).total()
                if m == 0:
                    return 0.0
                P, R = m / len(words), m / len(reference)
                return {"F": 2 * P * R / (P + R), "P": P, "R": R}[measure]

            chosen = []
            while len(chosen) < min(k, len(sentences)):
                left = [i for i in range(len(sentences)) if i not in chosen]
                left = left[::-1] if last else left
                best = max(left, key=lambda i: score([*chosen, i] if greedy else [i]))
                if stop and score([*chosen, best]) <= score(chosen) + 1e-12:
                    break
                chosen.append(best)
            return sorted(chosen) if ordered else chosen

        return extract

    def first_ones(sentences, reference, k):
        return list(range(min(k, len(sentences))))

    def one_less(sentences, reference, k):
        return variant()(sentences, reference, k - 1)

    def told(text):
        return [sentence.split() for sentence in text.split(".")]

    cases = [
        (told("it rained.ben found the ball.mia lost the red ball"),
         "mia lost the red ball ben found it".split(), 2),
        (told("mia lost a ball.she cried.ben found it"),
         "mia lost a ball".split(), 3),  # one is enough
        (told("a b.a b.c d"), "a b c d".split(), 2),  # two that are equal
        (told("x y z w v.a b c.c d e f.a"), "a b c d e f".split(), 2),
        (told("the end.red hat.the red hat of ben"), "ben the red hat".split(), 5),
        (told("x.y z"), "a b".split(), 2),  # nothing in common
        (told("d e f q.a b c.g h.a g"), "a b c d e f g h".split(), 3),
        (told("a"), "a".split(), 0),
        (told("a.b"), "a b".split(), 5),
        (told("p q r a b c d e.a b.c d"), "a b c d e".split(), 1),
        (told("a b c x y z.a b c.d"), "a b c d e f".split(), 3),
        (told("a b c d x.c d e.a b"), "a b c d e".split(), 2),
        (told("a.c"), "a a".split(), 2),  # twice the same would be larger
    ]  # fmt: skip
    mistakes = {
        "stop when no sentence makes it larger": variant(stop=False),
        "return the numbers in ascending order": variant(ordered=False),
        "score each sentence together with those chosen before": variant(greedy=False),
        "of equal sentences take the first": variant(last=True),
        "that is by recall; ROUGE-1 F is asked for": variant(measure="R"),
        "that is by precision; ROUGE-1 F is asked for": variant(measure="P"),
        "these are the first ones": first_ones,
        "k sentences may be chosen": one_less,
    }
    mistakes = {message: with_numbers(wrong) for message, wrong in mistakes.items()}
    reference = with_numbers(variant())
    return check(with_numbers(answer), "best_extract", reference, cases, mistakes)
