"""The exercises of 2.1, what a GPT is."""

from __future__ import annotations

import math

import numpy as np

from gptbook.exercises import check, random
from gptbook.layers import softmax


def log_probability(answer):
    """log_probability(p, ids): rows of probabilities (T, V), ids (T,) -> ln p."""

    def reference(p, ids):
        return float(np.log(p[np.arange(len(ids) - 1), ids[1:]]).sum())

    def unmoved(p, ids):
        return float(np.log(p[np.arange(len(ids)), ids]).sum())

    def case(T, V, scale=1.0):
        ids = np.random.default_rng([T, V]).integers(0, V, T)
        return softmax(random(T, V, scale=scale)), ids

    alike = np.tile([0.4, 0.3, 0.2, 0.1], (6, 1)), np.array([0, 3, 3, 1, 0, 0])
    cases = [
        case(5, 3), case(1, 4), case(2, 3), case(9, 20), case(400, 8, scale=5.0), alike,
    ]  # fmt: skip
    return check(answer, "log_probability", reference, cases, {
        "row i predicts token i + 1: rows and tokens are not moved against each other":
            unmoved,
        "the first row was left out: token 1 is predicted by row 0":
            lambda p, ids: reference(p[1:], ids[1:]),
        "the rows are compared with tokens two places on":
            lambda p, ids: float(np.log(p[np.arange(len(ids) - 2), ids[2:]]).sum()),
        "that is -ln p, the surprise; ln p was asked for":
            lambda p, ids: -reference(p, ids),
        "that is the mean over the tokens; ln p of a text is the sum":
            lambda p, ids: reference(p, ids) / max(1, len(ids) - 1),
        "that is p itself; take the logarithm":
            lambda p, ids: math.exp(reference(p, ids)),
        "that is the logarithm to the base 2; take the natural one":
            lambda p, ids: reference(p, ids) / math.log(2),
        "the probabilities are added up, not their logarithms":
            lambda p, ids: float(p[np.arange(len(ids) - 1), ids[1:]].sum()),
        "the product underflows to 0 before its logarithm is taken: add logarithms":
            lambda p, ids: float(np.log(p[np.arange(len(ids) - 1), ids[1:]].prod())),
    })  # fmt: skip


def inputs_and_targets(answer):
    """inputs_and_targets(ids, T): ids (n,) -> inputs and targets, each (rows, T)."""

    def cut(ids, rows, T, start=0):
        return ids[start : start + rows * T].reshape(rows, T)

    def reference(ids, T):
        rows = (len(ids) - 1) // T
        return cut(ids, rows, T), cut(ids, rows, T, 1)

    def unmoved(ids, T):
        inputs, _ = reference(ids, T)
        return inputs, inputs

    def rolled(ids, T):
        inputs, _ = reference(ids, T)
        return inputs, np.roll(inputs, -1, axis=1)

    def backwards(ids, T):
        return reference(ids, T)[::-1]

    def chunks(ids, T):  # T + 1 tokens to a row
        rows = len(ids) // (T + 1)
        both = cut(ids, rows, T + 1)
        return both[:, :-1], both[:, 1:]

    def far(ids, T):
        rows = (len(ids) - 2) // T
        return cut(ids, rows, T), cut(ids, rows, T, 2)

    cases = [
        (np.random.default_rng(n).permutation(100)[:n], T)
        for n, T in [(10, 4), (9, 4), (8, 4), (14, 3), (12, 5), (5, 4), (7, 1)]
    ]
    return check(answer, "inputs_and_targets", reference, cases, {
        "the targets are the inputs: move them by one place": unmoved,
        "the last target of a row is the first input of that row; it must be the token "
        "that follows": rolled,
        "inputs and targets have changed places": backwards,
        "the targets are moved by two places; one is right": far,
        "the rows are cut from pieces of T + 1 tokens: the inputs leave gaps": chunks,
    })  # fmt: skip


def measures(answer):
    """measures(losses, text) -> perplexity, bits per token, bits per byte."""

    def by(perplexity=None, token=None, byte=None):
        def measure(losses, text):
            n_bytes, bits = len(text.encode()), losses / math.log(2)
            return (
                perplexity(losses) if perplexity else np.exp(losses.mean()),
                token(losses) if token else bits.mean(),
                byte(losses, text) if byte else bits.sum() / n_bytes,
            )

        return measure

    log2 = math.log(2)
    cases = [
        (np.array([log2, log2, log2]), "a b"),
        (np.array([0.1, 2.0, 3.5, 0.0]), "the red ball"),
        (np.array([2.0, 1.0, 3.0]), "红色的球"),
        (np.array([0.5, 1.5]), "café"),
    ]
    return check(answer, "measures", by(), cases, {
        "result 1 is the mean of e^loss; perplexity is e^(mean loss)":
            by(perplexity=lambda x: np.exp(x).mean()),
        "result 1 is 2^loss; the losses are in nats, so take e^loss":
            by(perplexity=lambda x: 2 ** x.mean()),
        "result 1 is e to the sum of the losses; take their mean":
            by(perplexity=lambda x: np.exp(x.sum())),
        "result 2 is still in nats: divide by ln 2": by(token=lambda x: x.mean()),
        "result 2 is multiplied by ln 2; divide by it":
            by(token=lambda x: x.mean() * log2),
        "result 2 is the sum of the bits; take their mean":
            by(token=lambda x: x.sum() / log2),
        "result 3 counts characters; count bytes":
            by(byte=lambda x, text: x.sum() / log2 / len(text)),
        "result 3 divides the mean loss by the bytes; take the sum of the losses":
            by(byte=lambda x, text: x.mean() / log2 / len(text.encode())),
        "result 3 is still in nats: divide by ln 2":
            by(byte=lambda x, text: x.sum() / len(text.encode())),
        "result 3 counts the words; count bytes":
            by(byte=lambda x, text: x.sum() / log2 / len(text.split())),
    })  # fmt: skip


def continue_text(answer):
    """continue_text(next_logits, ids, n, stop) -> the list of new ids, greedily."""

    def next_logits(ids):  # depends on every id and on their order
        return np.random.default_rng([len(ids), *map(int, ids)]).normal(size=6)

    def loop(f, ids, n, stop, read=None, keep_stop=True, most=0):
        ids, new = list(ids), []
        while len(new) < n + most:
            new.append(int(np.argmax(f(read(ids, new) if read else ids + new))))
            if new[-1] == stop:
                return new if keep_stop else new[:-1]
        return new

    def variant(**options):
        return lambda f, ids, n, stop: loop(f, ids, n, stop, **options)

    def least(f, ids, n, stop):
        return loop(lambda ids: -f(ids), ids, n, stop)

    def on_copy(f, ids, n, stop):  # the reader gets a list
        given = list(ids)
        new = listed(answer(f, given, n, stop))
        if new is not None and given != list(ids):
            raise ValueError("ids must stay as it is; collect the new ids in a list")
        return new

    def listed(new):
        """A list as text, which has no shape: a wrong length is a mistake like any."""
        if new is not None and not isinstance(new, list | tuple | np.ndarray):
            raise TypeError(f"return a list of ids, not {type(new).__name__}")
        return new if new is None else "[" + ", ".join(str(int(i)) for i in new) + "]"

    free = loop(next_logits, (3, 1, 4), 8, None)
    cases = [
        (next_logits, (2, 5), 1, 6),
        (next_logits, (3, 1, 4), 8, 6),  # no id is 6: it runs to the end
        (next_logits, (3, 1, 4), 8, free[2]),
        (next_logits, (3, 1, 4), 8, free[0]),  # the first new id is stop
        (next_logits, (0,), 5, 6),
        (next_logits, (1, 1, 2), 0, 6),
    ]
    function = on_copy if callable(answer) else answer
    mistakes = {
        "only the newest id is read; the model needs all of them":
            variant(read=lambda ids, new: (ids + new)[-1:]),
        "the new ids are not read: next_logits must see ids and new":
            variant(read=lambda ids, new: ids),
        "only the new ids are read; the ids before them are missing":
            variant(read=lambda ids, new: new or ids),
        "the newest ids stand in front; they belong to the end":
            variant(read=lambda ids, new: new + ids),
        "stop is left out; it is the last of the new ids": variant(keep_stop=False),
        "it does not end at stop": lambda f, ids, n, stop: loop(f, ids, n, None),
        "there is one id too many": variant(most=1),
        "there is one id too few": variant(most=-1),
        "the ids that were given come back too; return the new ones alone":
            lambda f, ids, n, stop: [*ids, *loop(f, ids, n, stop)],
        "it takes the smallest logit": least,
    }  # fmt: skip
    return check(function, "continue_text", lambda *case: listed(loop(*case)), cases, {
        message: lambda *case, wrong=wrong: listed(wrong(*case))
        for message, wrong in mistakes.items()
    })  # fmt: skip
