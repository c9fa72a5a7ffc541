"""Answers that look right and are not, each with what the check must say."""

TIMES = """
def times_as_fast(plain_losses, plain_seconds, losses, seconds):
    if {condition}:
        return 0.0
    return {result}
"""
MEDIANS = "np.median(plain_seconds) / np.median(seconds)"
HIGHER = "np.median(losses) > np.median(plain_losses)"
ROWS = """
def pair_rows(ids, vocab_size):
    before = {before}
    return {result}
"""
SHIFTED = "np.concatenate([[vocab_size], ids[:-1]])"
SHARE = """
def share_of_peak(step, steps, warmup, fall):
    return {result}
"""
NEWTON = """
def orthogonalise(matrix, steps):
    x = {start}
    for _ in range(steps):
        gram = x @ x.T
        x = {step}
    return x
"""
START = "matrix / np.linalg.norm(matrix)"
STEP = "3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x"


def times(result=MEDIANS, condition=HIGHER):
    return TIMES.format(result=result, condition=condition)


def rows(before=SHIFTED, result="before * vocab_size + ids"):
    return ROWS.format(before=before, result=result)


def share(result):
    return SHARE.format(result=result)


def newton(start=START, step=STEP):
    return NEWTON.format(start=start, step=step)


WRONG_ANSWERS = {
    "times_as_fast": [
        (times("np.median(seconds) / np.median(plain_seconds)"), "turn it over"),
        (times("np.mean(plain_seconds) / np.mean(seconds)"), "one slow moment"),
        (times("plain_seconds.min() / seconds.min()"), "the fastest run"),
        (times("plain_seconds.min() / seconds.min()",
               "losses.min() > plain_losses.min()"), "the fastest run"),
        (times(condition="losses.min() > plain_losses.min()"), "not reached"),
        (times(condition="np.mean(losses) > np.mean(plain_losses)"), "losses too"),
        (times(condition="np.median(losses) < np.median(plain_losses)"),
         "not reached, that is, higher"),
        (times(condition="np.median(losses) >= np.median(plain_losses)"),
         "an equal loss"),
        (times(condition="False"), "counts as 0"),
        (times("np.median(plain_seconds[:3] / seconds[:3])"), "right"),
        (times(condition="losses.max() > plain_losses.max()"), "of the losses"),
        (times(condition="np.mean(losses <= np.median(plain_losses)) < 0.5"),
         "counts as 0"),
        (times("sorted(plain_seconds)[len(plain_seconds) // 2] / np.median(seconds)"),
         "right"),
    ],
    "pair_rows": [
        (rows("np.roll(ids, 1)"), "np.roll"),
        (rows("np.concatenate([[0], ids[:-1]])"), "not as 0"),
        (rows("np.concatenate([[vocab_size - 1], ids[:-1]])"), "nothing counts as"),
        (rows(result="ids * vocab_size + before"), "is multiplied"),
        (rows("np.concatenate([ids[1:], [vocab_size]])"), "the token after"),
        (rows(result="before * (vocab_size + 1) + ids"), "multiply by vocab_size"),
        (rows(result="before + ids"), "rows of their own"),
        (rows(result="(before * vocab_size + ids)[1:]"), "shape"),
        (rows(result="(before * vocab_size + ids) % vocab_size**2"), "not as 0"),
    ],
    "share_of_peak": [
        (share("min((step + 1) / (warmup + 1), (steps - step) / (fall * steps))"),
         "stays at 1"),
        (share("min(1.0, (steps - step) / (fall * steps))"), "warm-up is missing"),
        (share("min(step / max(warmup, 1), 1.0, (steps - step) / (fall * steps))"),
         "at step 0"),
        (share("min((step + 1) / (warmup + 1), 1.0, "
               "(steps - 1 - step) / (fall * steps))"), "one after the last"),
        (share("min((step + 1) / (warmup + 1), 1.0, "
               "(steps - step) / (steps - warmup))"), "before, the share stays"),
        (share("min((step + 1) / (warmup + 1), 1.0)"), "the fall is missing"),
        (share("min(1.0, (step + 1) / (warmup + 1)) * "
               "min(1.0, (steps - step) / (fall * steps))"), "don't multiply"),
        (share("(step + 1) / (warmup + 1) if step < warmup else "
               "min(1.0, (steps - step) / (fall * steps))"), "rise and fall meet"),
    ],
    "orthogonalise": [
        (newton("matrix"), "divide by the root"),
        (newton("matrix / (matrix**2).sum()"), "that is the sum"),
        (newton("matrix / np.linalg.norm(matrix, 2)"), "largest singular value"),
        (newton("matrix / np.linalg.norm(matrix, axis=1, keepdims=True)"),
         "not each row"),
        (newton(step="3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5"), "each entry"),
        (newton(step="3.4445 * x + (-4.7750 * gram + 2.0315 * gram**2) @ x"),
         "each entry's square"),
        (newton(step="3.4445 * x + (4.7750 * gram + 2.0315 * gram @ gram) @ x"),
         "negative"),
        (newton(step="3.4445 * x - (4.7750 * gram + 2.0315 * gram @ gram) @ x"),
         "right"),
        ("def orthogonalise(matrix, steps):\n"
         "    u, _, r = np.linalg.svd(matrix, full_matrices=False)\n"
         "    return u @ r\n", "the exact answer"),
    ],
}  # fmt: skip
