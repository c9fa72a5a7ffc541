"""Answers that look right and are not, each with what the check must say."""

LABELS = """
def answer_labels(prompt, reply, end):
    ids = np.array({ids})
    labels = ids.copy()
    labels[{out}] = {filler}
    {then}
    return ids, labels
"""
PAD = """
def pad_left(sequences, pad):
    T = max(len(sequence) for sequence in sequences)
    ids = np.array([{row} for s in sequences])
    mask = np.array([{seen} for s in sequences])
    return ids, {mask}, {positions}
"""
MERGE = "def merge_lora(W, A, B, alpha):\n    return {result}"
GRADIENTS = """
def lora_gradients(x, down, up, alpha, grad):
    s = {s}
    by_down = {by_down}
    by_up = {by_up}
    return {result}
"""


def labels(ids="[*prompt, *reply, end]", out=": len(prompt)", filler="-100", then=""):
    return LABELS.format(ids=ids, out=out, filler=filler, then=then or "pass")


def pad(**parts):
    defaults = {
        "row": "[pad] * (T - len(s)) + s",
        "seen": "[0] * (T - len(s)) + [1] * len(s)",
        "mask": "mask",
        "positions": "np.maximum(mask.cumsum(axis=1) - 1, 0)",
    }
    return PAD.format(**defaults | parts)


def gradients(**parts):
    defaults = {
        "s": "alpha / up.shape[0]",
        "by_down": "s * x.T @ (grad @ up.T)",
        "by_up": "s * (x @ down).T @ grad",
        "result": "by_down, by_up",
    }
    return GRADIENTS.format(**defaults | parts)


RIGHT_SIDE = {
    "row": "s + [pad] * (T - len(s))",
    "seen": "[1] * len(s) + [0] * (T - len(s))",
}
BY_ID = """
def pad_left(sequences, pad):
    T = max(len(sequence) for sequence in sequences)
    ids = np.array([[pad] * (T - len(s)) + s for s in sequences])
    mask = (ids != pad).astype(int)
    return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)
"""

WRONG_ANSWERS = {
    "answer_labels": [
        ("answer_labels = [1, 2]", "give the function itself, not list"),
        (labels(ids="[*prompt, *reply]"), "the shape is (5,), and (6,) is right"),
        (labels(then="labels[-1] = -100"), "never learns to stop"),
        (labels(out=": len(prompt) + 1"), "the first token of the answer has no label"),
        (labels(out=": len(prompt) - 1"), "the last token of the prompt has a label"),
        (labels(out=":0"), "the prompt has labels"),
        (labels(filler="0"), "must be -100, which the loss knows"),
        (labels(filler="-1"), "must be -100, not -1"),
        (labels(then="labels = np.append(labels[1:], -100)"), "labels are shifted"),
        (labels(ids="[*reply, end]", out=":0"), "the shape is (3,)"),
        (labels(then="labels = labels[len(prompt):]"), "the shape is"),
        (labels(then="return labels"), "it should return 2 things"),
        (labels(then="return ids[:-1], labels[1:]"), "the shape is"),
        (labels(ids="[*reply, *prompt, end]"), "is right"),
        (labels(then="labels = np.where(np.isin(ids, prompt), -100, ids)"), "is right"),
    ],
    "pad_left": [
        (pad(**RIGHT_SIDE), "the pads are on the right"),
        (
            pad(**RIGHT_SIDE, positions="(mask.cumsum(axis=1) - 1) * mask"),
            "the pads are on the right",
        ),
        (pad(positions="np.arange(T) + 0 * ids"), "the positions count the pads"),
        (pad(positions="mask.cumsum(axis=1)"), "must begin at 0"),
        (pad(positions="mask.cumsum(axis=1) - 1"), "a pad has position -1"),
        (pad(mask="1 - mask"), "wrong way round"),
        (pad(mask="np.ones_like(mask)"), "lets the pads be seen"),
        (BY_ID, "taken for a pad"),
        (pad(mask="(np.cumsum(ids != pad, axis=1) > 0) * 1"), "is right"),
        (pad(mask="mask == 1"), "not of bool"),
        (pad(positions="np.arange(T)"), "the shape is"),
        (pad(row="s"), "raises ValueError"),
    ],
    "merge_lora": [
        (MERGE.format(result="W + alpha / len(A) * B @ A"), "not transposed"),
        (MERGE.format(result="alpha / len(A) * (B @ A).T"), "W itself is missing"),
        (MERGE.format(result="W + (B @ A).T / len(A)"), "alpha is missing"),
        (MERGE.format(result="W + alpha * (B @ A).T"), "not divided by r"),
        (MERGE.format(result="W + (B @ A).T"), "alpha / r is missing"),
        (MERGE.format(result="W + alpha / len(W) * (B @ A).T"), "divided by the width"),
        (MERGE.format(result="W + alpha / len(A)**0.5 * (B @ A).T"), "the root of r"),
        (MERGE.format(result="W + alpha / len(A) * A @ B"), "raises ValueError"),
        (MERGE.format(result="W - alpha / len(A) * (B @ A).T"), "is right"),
        (MERGE.format(result="W + alpha / len(B) * (B @ A).T"), "divided by the width"),
        (
            "def merge_lora(W, A, B, alpha):\n"
            "    W += alpha / len(A) * (B @ A).T\n"
            "    return W",
            "changes its arguments",
        ),
    ],
    "lora_gradients": [
        (gradients(result="by_up, by_down"), "the shape is"),
        (gradients(s="1"), "alpha / r is missing"),
        (gradients(s="alpha"), "alpha is not divided by r"),
        (gradients(by_down="x.T @ (grad @ up.T)"), "missing from by_down"),
        (gradients(by_up="(x @ down).T @ grad"), "missing from by_up"),
        (gradients(result="by_down / len(x), by_up / len(x)"), "the rows add up"),
        (gradients(by_down="s * (x @ down).T @ grad"), "the shape is"),
        (gradients(by_down="s * x.T @ grad @ up"), "raises ValueError"),
        (gradients(by_up="s * down.T @ grad"), "raises ValueError"),
        (gradients(by_down="0 * down"), "is right"),
        (gradients(result="by_down"), "it should return 2 things"),
    ],
}
