"""The exercises of 5.1, the environment."""

from __future__ import annotations

from gptbook.environment import satisfies
from gptbook.exercises import OPEN, check, verdict


def by_case(answer, name, cases, kind):
    """Compares the answer with what is expected, case by case.

    cases: tuples (arguments, expected, why); `why` is what to say where it differs.
    kind: the type of the result, bool or int.
    """
    if not callable(answer):
        return verdict(name, f"give the function itself, not {type(answer).__name__}")
    for arguments, expected, why in cases:
        call = f"{name}({', '.join(map(repr, arguments))})"
        before = repr(arguments)
        try:
            got = answer(*arguments)
        except Exception as error:  # whatever it is, the reader wants to know
            first_line = str(error).split("\n")[0]
            return verdict(name, f"{call} raises {type(error).__name__}: {first_line}")
        if got is None:
            return verdict(name, OPEN)
        wrong_kind = type(got).__name__.rstrip("_") != kind.__name__ and (
            kind is bool or not hasattr(got, "__index__") or isinstance(got, bool)
        )  # NumPy's whole numbers and truth values will do
        if wrong_kind:
            right = {bool: "True or False", int: "a whole number"}[kind]
            return verdict(name, f"it returns {got!r}; it should be {right}")
        if got != expected:
            return verdict(name, f"{call} should be {expected}, not {got}: {why}")
        if repr(arguments) != before:
            return verdict(name, "it changes its arguments; work on copies")
    return verdict(name, None)


def at_least(answer):
    """at_least(installed, minimum): two versions as text -> True or False."""
    cases = [
        (("2.4.6", "2.2"), "newer is enough"),
        (("2.1.9", "2.2"), "the first number in which they differ decides"),
        (("2.2", "2.2"), "the minimum itself is enough"),
        (("2.13.0", "2.9"), "13 is more than 9: compare numbers, not text"),
        (("2.9.1", "2.13"), "9 is less than 13: compare numbers, not text"),
        (("2.13.1", "2.13.2"), "the third number counts, too"),
        (("3.0.0", "2.13.5"), "the first number in which they differ decides"),
        (("2.13", "2.13.0"), "a number that is not there is 0"),
        (("2.13.0", "2.13"), "a number that is not there is 0"),
        (("2.13", "2.13.1"), "a number that is not there is 0"),
        (("2.13.0+cpu", "2.13.0"), "what follows + says how it was built, no more"),
        (("2.9.1+cu130", "2.13.0"), "what follows + says how it was built, no more"),
        (("10.0", "9.1"), "10 is more than 9: compare numbers, not text"),
        (("1.100", "1.20"), "100 is more than 20: these are no decimal fractions"),
        (("1.0.4.1", "1.0.4.2"), "the fourth number counts, too"),
        (("2.13.0", "2.13.0+cpu"), "what follows + says how it was built, no more"),
    ]
    cases = [(a, satisfies(a[0], f">={a[1]}"), why) for a, why in cases]
    return by_case(answer, "at_least", cases, bool)


def step_seconds(answer):
    """step_seconds(N, B, T, n_layer, d_model, gflops): seconds."""

    def count(weight=6, attended=12, scale=1e9, batch=True, times=True):
        def answer(N, B, T, n_layer, d_model, gflops):
            token = weight * N + attended * n_layer * T * d_model
            return token * (B if batch else 1) * (T if times else 1) / gflops / scale

        return answer

    reference = count()

    def upside_down(*case):
        return 1 / reference(*case)

    def per_gflop(N, B, T, n_layer, d_model, gflops):
        return reference(N, B, T, n_layer, d_model, 1) * gflops

    cases = [
        (124_439_808, 8, 1024, 12, 768, 50.0),
        (957_184, 64, 256, 4, 128, 0.5),
        (10_000_000, 1, 4096, 6, 384, 2.0),
    ]
    return check(answer, "step_seconds", reference, cases, {
        "that is the forward pass alone; with the backward pass it is three times that":
            count(weight=2, attended=4),
        "the part of attention that grows with T is missing, 12LTC a token":
            count(attended=0),
        "12LTC counts forward and backward; the forward pass alone has 4LTC":
            count(attended=4),
        "that is for one sequence of the B": count(batch=False),
        "that is for one token of each sequence": count(times=False),
        "that is for one token": count(batch=False, times=False),
        "a GFLOP is 10^9 operations: divide by 1e9 as well": count(scale=1),
        "the G stands for 10^9, not for 10^6": count(scale=1e6),
        "the G stands for 10^9, not for 10^12": count(scale=1e12),
        "that is steps a second; seconds a step is 1 over it": upside_down,
        "the faster the machine, the less time: divide by gflops": per_gflop,
    })  # fmt: skip


def first_apart(answer):
    """first_apart(a, b, digits): lists of losses -> a step, or their length."""
    nan = float("nan")
    cases = [
        (([3.5, 2.25, 1.0], [3.5, 2.25, 1.5], 2), 2, "steps count from 0"),
        (([3.5, 2.0], [3.25, 2.0], 2), 0, "it is the first step that counts"),
        (([3.0, 2.0, 1.5, 1.0], [3.0, 2.1, 1.5, 1.2], 3), 1,
         "it is the first step that counts, not the last, and not how many"),
        (([1.00001, 1.0], [1.00002, 1.0], 3), 2,
         "they print the same, as 1.000; where no step differs, return the length"),
        (([0.73149, 1.0], [0.73151, 1.0], 3), 0,
         "the difference is tiny, but they print as 0.731 and 0.732"),
        (([0.7316, 1.0], [0.7324, 1.0], 3), 2,
         "both print as 0.732, far apart as they are"),
        (([2.0, nan], [2.0, nan], 3), 2, "nan and nan print the same"),
        (([2.0, nan], [2.0, 1.0], 3), 1, "nan and a number don't print the same"),
        (([12.34, 5.0], [12.36, 5.0], 1), 0, "digits are those after the point"),
        (([12.34, 5.0], [12.36, 5.0], 0), 2, "both print as 12"),
        (([1.5], [1.5], 6), 1, "where no step differs, return the length"),
    ]  # fmt: skip
    return by_case(answer, "first_apart", cases, int)


def pick_threads(answer):
    """pick_threads(seconds): {threads: [seconds, ...]} -> a number of threads."""
    cases = [
        ({1: [4.0, 4.1], 2: [2.0, 2.1]}, 2, "its fastest run is the fastest of all"),
        ({1: [1.0, 1.1], 2: [1.5, 1.6]}, 1, "more threads can be slower"),
        ({1: [3.0, 3.0, 3.0], 4: [9.0, 1.0, 9.0]}, 4,
         "noise only adds: take each number's fastest run, not the mean or the middle"),
        ({1: [2.0, 2.0], 2: [1.0, 8.0, 1.2]}, 2,
         "noise only adds: take each number's fastest run, not its slowest"),
        ({1: [1.0] * 5, 2: [1.5, 1.5]}, 1,
         "compare the times of single runs, not their sums: one may have more runs"),
        ({1: [2.0], 2: [1.0], 4: [0.98], 8: [0.97]}, 2,
         "2 threads are within 5% of the best, and leave the other cores free"),
        ({8: [0.97], 2: [1.0], 4: [0.98], 1: [2.0]}, 2,
         "the order of the measurements does not matter"),
        ({1: [1.04], 2: [1.0]}, 1, "1.04 is within 5% of 1.00"),
        ({1: [1.06], 2: [1.0]}, 2, "1.06 is not within 5% of 1.00"),
        ({1: [1.052], 2: [1.0]}, 2, "1.052 is not within 5% of 1.00"),
        ({1: [4.0], 2: [2.0], 3: [1.97], 4: [1.94], 5: [1.91], 6: [1.88]}, 3,
         "each is compared with the best of all, not with its neighbour"),
        ({4: [0.5]}, 4, "there is no other"),
    ]  # fmt: skip
    cases = [((times,), expected, why) for times, expected, why in cases]
    return by_case(answer, "pick_threads", cases, int)
