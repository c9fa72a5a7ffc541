"""Answers that look right and are not, each with what the check must say."""

COMBINE = """
def combine(gradients, counts):
    return {result}
"""
ONLY = (
    "(12 / n if stage == 1 else 12) * N + (2 / n if stage == 2 else 2) * N "
    "+ (2 / n if stage == 3 else 2) * N"
)
MEMORY = """
def memory(N, n, stage):
    optimiser = {optimiser} * N / (n if stage >= {first} else 1)
    gradients = 2 * N / (n if stage >= {second} else 1)
    weights = 2 * N / (n if stage >= {third} else 1)
    return {result}
"""
BATCH = """
def smallest_batch(n, size, flops, bandwidth):
    one = {one}
    return {result}
"""
PART = """
from gptbook.layers import gelu

def part(x, w1, b1, w2, rank, n):
    width = w1.shape[1] // n
    own = {own}
    return {result}
"""


def combine(result):
    return COMBINE.format(result=result)


def memory(optimiser=12, first=1, second=2, third=3, result=None):
    result = result or "optimiser + gradients + weights"
    return MEMORY.format(
        optimiser=optimiser, first=first, second=second, third=third, result=result
    )


def batch(one="(n - 1) / n * size / 2 * flops / bandwidth", result="n * one"):
    return BATCH.format(one=one, result=result)


def part(own="slice(rank * width, (rank + 1) * width)", result=None):
    result = result or "gelu(x @ w1[:, own] + b1[own]) @ w2[own]"
    return PART.format(own=own, result=result)


WRONG_ANSWERS = {
    "combine": [
        ("combine = 0.5", "give the function itself"),
        (combine("gradients.mean(axis=0)"), "plain mean"),
        (combine("gradients.sum(axis=0)"), "divide by the number of all tokens"),
        (combine("counts @ gradients"), "divide it by the number of all tokens"),
        (combine("counts @ gradients / len(counts)"), "not of tokens"),
        (combine("(1 / counts) @ gradients / (1 / counts).sum()"), "upside down"),
        (combine("gradients[0]"), "one process alone"),
        (combine("gradients * counts[:, None] / counts.sum()"), "the shape is"),
    ],
    "memory": [
        (memory(result="16 * N"), "depend on the stage"),
        (memory(first=0, second=0, third=0), "in stage 3 alone"),
        (memory(first=2, second=3, third=4), "too little is shared"),
        (memory(third=4), "too little is shared"),
        (
            memory(result="(16 * N, 8*N + 8*N/n, 4*N + 12*N/n, 16*N/n)[stage]"),
            "too little is shared",
        ),
        (memory(first=3, third=1), "the largest first"),
        (memory(optimiser=8), "takes 12 bytes"),
        (memory(result="n * (optimiser + gradients + weights)"), "divide what is"),
        (memory(result=ONLY), "the stages before it"),
        (memory(second=1), "is right"),
    ],
    "smallest_batch": [
        (batch(result="one"), "of one process"),
        (batch(one="(n - 1) / n * size / 3 * flops / bandwidth"), "is 4 N D"),
        (batch(one="(n - 1) / n * size * flops / bandwidth"), "twice its FLOPs"),
        (batch(one="(n - 1) / n * size / 4 * flops / bandwidth"), "almost twice"),
        (batch(one="size / 2 * flops / bandwidth"), "not all of it twice"),
        (batch(one="2 * (n - 1) / n * size * flops / bandwidth"), "N drops out"),
        (batch(one="(n - 1) / n * size / 2 * bandwidth / flops"), "upside down"),
        (batch(one="(n - 1) / n / 2 * flops / bandwidth"), "size of a number"),
        (batch(result="int(n * one) // n * n * 2"), "twice its FLOPs"),
        (batch(result="(n + 1) * one"), "is right"),
        (batch(one="2 / n * size / 2 * flops / bandwidth"), "is right"),
        (batch(result="max(n * one, 1)"), "is right"),
    ],
    "part": [
        (part(own="slice(None)"), "the whole layer"),
        (part(result="gelu(x @ w1[:, own]) @ w2[own]"), "b1 is missing"),
        (part(result="(x @ w1[:, own] + b1[own]) @ w2[own]"), "GELU is missing"),
        (part(result="gelu((x @ w1[:, own] + b1[own]) @ w2[own])"), "too late"),
        (part(own="slice(0, width)"), "use rank"),
        (part(own="slice(rank, None, n)"), "not every n-th"),
        (part(result="gelu(x @ w1[:, own] + b1[own]) @ w2[:width]"), "rows of w2"),
        (part(result="gelu(x @ w1[:, own] + b1[own])"), "the shape is"),
    ],
}  # fmt: skip
