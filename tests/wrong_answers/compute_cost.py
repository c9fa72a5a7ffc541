"""Answers that look right and are not, each with what the check must say."""

EXPONENT = """
import math

def exponent(x, loss, floor):
    return {result}
"""
FIT = """
import math

def tokens_that_fit(memory, N, n_layer, d_model, n_head, vocab_size):
    block = 16 * d_model + n_head + 4
    numbers = {numbers}
    return {result}
"""
SPLIT = """
def best_split(flops, a, alpha, b, beta):
    N = {N}
    D = {D}
    return {result}
"""
LIFE = """
import numpy as np

def lifetime(target, served, floor, a, alpha, b, beta):
    least = (a / (target - floor)) ** (1 / alpha)
    N = least * np.exp(np.linspace(1e-4, 12, 400_001))
    D = (b / (target - floor - a / N**alpha)) ** (1 / beta)
    total = {total}
    return {result}
"""


def exponent(result):
    return EXPONENT.format(result=result)


def fit(numbers="n_layer * block + 2 * d_model + vocab_size + 2", result=None):
    result = result or "max(0, int((memory - 16 * N) // (4 * numbers)))"
    return FIT.format(numbers=numbers, result=result)


def split(N, D="flops / 6 / N", result="(N, D)"):
    return SPLIT.format(N=N, D=D, result=result)


def life(total="6 * N * D + 2 * N * served", result="total.min()"):
    return LIFE.format(total=total, result=result)


BEST = "(alpha * a / (beta * b) * (flops / 6) ** beta) ** (1 / (alpha + beta))"

WRONG_ANSWERS = {
    "exponent": [
        ("exponent = 0.5", "give the function itself"),
        (exponent("math.log(loss[0] / loss[1]) / math.log(x[1] / x[0])"), "floor is"),
        (exponent("math.log((loss[1] - floor) / (loss[0] - floor))"
                  " / math.log(x[1] / x[0])"), "sign"),
        (exponent("math.log(x[1] / x[0])"
                  " / math.log((loss[0] - floor) / (loss[1] - floor))"), "upside down"),
        (exponent("(loss[0] - loss[1]) / math.log(x[1] / x[0])"), "logarithms of the"),
        (exponent("(math.log(loss[0]) - floor - math.log(loss[1]))"
                  " / math.log(x[1] / x[0])"), "after the logarithm"),
        (exponent("0.5"), "is right"),
    ],
    "tokens_that_fit": [
        (fit(result="max(0, int((memory - 4 * N) // (4 * numbers)))"), "16 bytes each"),
        (fit(result="max(0, int((memory - 12 * N) // (4 * numbers)))"), "not 12"),
        (fit(result="max(0, int((memory - 16 * N) // numbers))"), "4 bytes"),
        (fit(numbers="n_layer * block + 2 * d_model + 2"), "logits are missing"),
        (fit(numbers="block + 2 * d_model + vocab_size + 2"), "all blocks"),
        (fit(result="int((memory - 16 * N) // (4 * numbers))"), "return 0"),
        (fit(result="max(0, (memory - 16 * N) / (4 * numbers))"), "round down"),
        (fit(result="None"), "not written yet"),
    ],
    "best_split": [
        (split(BEST.replace("flops / 6", "flops"), "flops / N"), "the 6 is missing"),
        (split(BEST, result="(D, N)"), "swapped"),
        (split("(a / b * (flops / 6) ** beta) ** (1 / (alpha + beta))"), "slopes"),
        (split("(flops / 120) ** 0.5"), "20 tokens"),
        (split("(flops / 6) ** 0.5"), "only where both terms"),
        (split(BEST.replace("** beta", "** alpha")), "exponents are swapped"),
        (split(BEST, result="N"), "return 2 things"),
    ],
    "lifetime": [
        (life(result="(6 * N * D)[total.argmin()]"), "training alone"),
        (life(result="total[(N * D).argmin()]"), "search again"),
        (life("6 * N * D + 6 * N * served"), "not 6 N"),
        (life("2 * N * D + 2 * N * served"), "not 2 N D"),
        (life(result="N[total.argmin()]"), "FLOPs are asked"),
        (life(result="6 * N[0] * D[0]"), "is right"),
    ],
}  # fmt: skip
