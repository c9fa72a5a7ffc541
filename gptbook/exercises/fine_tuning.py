"""The exercises of 5.3.4, fine-tuning."""

from __future__ import annotations

import copy

import numpy as np

from gptbook.exercises import check, random


def on_copies(answer):
    """The answer, with lists of its own: one that appends to them does no harm."""
    if not callable(answer):
        return answer
    return lambda *arguments: answer(*copy.deepcopy(arguments))


def answer_labels(answer):
    """answer_labels(prompt, reply, end): two lists of ids, an id -> (ids, labels)."""

    def variant(first=0, last=True, filler=-100, shift=0):
        def labels_of(prompt, reply, end):
            ids = np.array([*prompt, *reply, end])
            labels = np.full(len(ids), filler)
            start = max(0, len(prompt) + first)
            labels[start:] = ids[start:]
            if not last:
                labels[-1] = filler
            if shift:
                labels = np.array([*labels[shift:]] + [filler] * shift)
            return ids, labels

        return labels_of

    def all_of_it(prompt, reply, end):
        ids = np.array([*prompt, *reply, end])
        return ids, ids

    cases = [
        ([5, 6, 7], [8, 9], 1),
        ([4], [3], 2),
        ([9, 9, 2, 9], [9, 9, 9], 0),  # the same ids on both sides
        ([1, 2], [3, 4, 5, 6], 7),
    ]
    return check(on_copies(answer), "answer_labels", variant(), cases, {
        "the prompt has labels: it is given, not to be learnt": all_of_it,
        "the end has no label, so the model never learns to stop": variant(last=False),
        "the first token of the answer has no label; the last token of the prompt "
        "predicts it": variant(first=1),
        "the last token of the prompt has a label": variant(first=-1),
        "the labels are shifted; the model shifts them itself": variant(shift=1),
        "what is left out must be -100, which the loss knows": variant(filler=0),
        "what is left out must be -100, not -1": variant(filler=-1),
    })  # fmt: skip


def pad_left(answer):
    """pad_left(sequences, pad) -> (ids, mask, positions), each (B, T)."""

    def arrays(sequences, pad, side="left"):
        T = max(map(len, sequences))
        ids = np.full((len(sequences), T), pad)
        mask = np.zeros_like(ids)
        for i, sequence in enumerate(sequences):
            n = len(sequence)
            place = slice(T - n, T) if side == "left" else slice(0, n)
            ids[i, place], mask[i, place] = sequence, 1
        return ids, mask

    def reference(sequences, pad):
        ids, mask = arrays(sequences, pad)
        return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)

    def on_the_right(sequences, pad):
        ids, mask = arrays(sequences, pad, "right")
        return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0) * mask

    def on_the_right_counted(sequences, pad):
        ids, mask = arrays(sequences, pad, "right")
        return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)

    def counted_from_the_left(sequences, pad):
        ids, mask = arrays(sequences, pad)
        return ids, mask, np.zeros_like(ids) + np.arange(ids.shape[1])

    def from_one(sequences, pad):
        ids, mask, positions = reference(sequences, pad)
        return ids, mask, mask.cumsum(axis=1)

    def below_zero(sequences, pad):
        ids, mask = arrays(sequences, pad)
        return ids, mask, mask.cumsum(axis=1) - 1

    def inverted(sequences, pad):
        ids, mask, positions = reference(sequences, pad)
        return ids, 1 - mask, positions

    def no_mask(sequences, pad):
        ids, mask, positions = reference(sequences, pad)
        return ids, np.ones_like(mask), positions

    def by_id(sequences, pad):
        ids, _ = arrays(sequences, pad)
        mask = (ids != pad).astype(int)
        return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)

    cases = [
        ([[5, 6, 7], [8]], 0),
        ([[3, 4]], 9),
        ([[2, 2], [4, 5, 6, 7], [1, 3, 1]], 2),  # the pad's id is a token, too
        ([[7], [8, 9]], 1),
    ]
    return check(on_copies(answer), "pad_left", reference, cases, {
        "the pads are on the right; a model writes on behind the last token":
            on_the_right,
        "the pads are on the right; they belong on the left": on_the_right_counted,
        "the positions count the pads; the first token of a text has position 0":
            counted_from_the_left,
        "the positions begin at 1, and they must begin at 0": from_one,
        "a pad has position -1; give it 0, which exists": below_zero,
        "the mask is the wrong way round: 1 is a token, 0 a pad": inverted,
        "the mask lets the pads be seen: it must be 0 there": no_mask,
        "a token that has the pad's id was taken for a pad: go by the lengths": by_id,
    })  # fmt: skip


def merge_lora(answer):
    """merge_lora(W, A, B, alpha): W (C_in, C_out), A (r, C_in), B (C_out, r)."""

    def reference(W, A, B, alpha):
        return W + alpha / len(A) * (B @ A).T

    def scaled(scale):
        return lambda W, A, B, alpha: W + scale(W, len(A), alpha) * (B @ A).T

    def untransposed(W, A, B, alpha):
        return W + alpha / len(A) * (B @ A if W.shape[0] == W.shape[1] else 0)

    def change_alone(W, A, B, alpha):
        return alpha / len(A) * (B @ A).T

    cases = [
        (random(C_in, C_out), random(r, C_in, seed=1), random(C_out, r, seed=2), alpha)
        for C_in, C_out, r, alpha in [(4, 4, 2, 3), (3, 5, 1, 2), (6, 2, 2, 1),
                                      (5, 5, 3, 16)]
    ]  # fmt: skip
    return check(answer, "merge_lora", reference, cases, {
        "the change is not transposed: A and B are made for columns": untransposed,
        "W itself is missing": change_alone,
        "alpha is missing": scaled(lambda W, r, alpha: 1 / r),
        "alpha is not divided by r": scaled(lambda W, r, alpha: alpha),
        "alpha / r is missing": scaled(lambda W, r, alpha: 1),
        "alpha is divided by the width; divide it by r":
            scaled(lambda W, r, alpha: alpha / len(W)),
        "alpha is divided by the root of r; here it is r":
            scaled(lambda W, r, alpha: alpha / r**0.5),
    })  # fmt: skip


def lora_gradients(answer):
    """lora_gradients(x, down, up, alpha, grad) -> (by_down, by_up).

    x (T, C_in), down (C_in, r), up (r, C_out), grad (T, C_out).
    """

    def variant(scale=lambda alpha, r: alpha / r):
        def both(x, down, up, alpha, grad):
            s = scale(alpha, len(up))
            return s * x.T @ (grad @ up.T), s * (x @ down).T @ grad

        return both

    def swapped(*arguments):
        return variant()(*arguments)[::-1]

    def half_scaled(x, down, up, alpha, grad):
        s = alpha / len(up)
        return x.T @ (grad @ up.T), s * (x @ down).T @ grad

    def other_half_scaled(x, down, up, alpha, grad):
        s = alpha / len(up)
        return s * x.T @ (grad @ up.T), (x @ down).T @ grad

    def means(x, down, up, alpha, grad):
        return tuple(part / len(x) for part in variant()(x, down, up, alpha, grad))

    def case(T, C_in, r, C_out, alpha, up_scale=1.0):
        return (random(T, C_in), random(C_in, r, seed=1),
                random(r, C_out, seed=2, scale=up_scale), alpha,
                random(T, C_out, seed=3))  # fmt: skip

    cases = [
        case(1, 3, 1, 2, 2.0),
        case(5, 4, 2, 3, 4.0),
        case(4, 6, 3, 6, 1.0),
        case(5, 4, 2, 3, 4.0, up_scale=0.0),  # the start of LoRA
    ]
    return check(answer, "lora_gradients", variant(), cases, {
        "the two have changed places": swapped,
        "alpha / r is missing": variant(lambda alpha, r: 1),
        "alpha is not divided by r": variant(lambda alpha, r: alpha),
        "alpha / r is missing from by_down": half_scaled,
        "alpha / r is missing from by_up": other_half_scaled,
        "the rows add up; no mean is taken over them": means,
    })  # fmt: skip
