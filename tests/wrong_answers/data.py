"""Answers that look right and are not, each with what the check must say."""

EPOCHS = """
def epochs(n_tokens, block_size, batch_size, steps):
    return {result}
"""
CUT = """
def cut_blocks(stream, T):
    n = {n}
    inputs = stream[: n * T].reshape(n, T)
    targets = {targets}
    return {result}
"""
NEXT = "stream[1 : n * T + 1].reshape(n, T)"
FIT = "(len(stream) - 1) // T"
OVERLAP = """
def overlap(training, test, n):
    known = {{tuple(training[i : i + n]) for i in range(len(training) - n + {a})}}
    grams = [tuple(test[i : i + n]) for i in range(len(test) - n + {b})]
    return {result}
"""
SHARE = "sum(gram in known for gram in grams) / max(1, len(grams))"
MASK = """
def document_mask(ids, end):
    number = {number}
    same = number[:, None] == number
    return np.where({seen}, {values})
"""
BEFORE = "np.cumsum(ids == end) - (ids == end)"


def cut(n=FIT, targets=NEXT, result="inputs, targets"):
    return CUT.format(n=n, targets=targets, result=result)


def overlap(result=SHARE, a=1, b=1):
    return OVERLAP.format(a=a, b=b, result=result)


def mask(number=BEFORE, seen="same & np.tril(same)", values="0.0, -np.inf"):
    return MASK.format(number=number, seen=seen, values=values)


WRONG_ANSWERS = {
    "epochs": [
        (EPOCHS.format(result="steps * batch_size / (n_tokens // block_size)"),
         "room for the offset"),
        (EPOCHS.format(result="steps * batch_size / (n_tokens / block_size - 1)"),
         "take whole blocks only"),
        (EPOCHS.format(result="steps / (n_tokens // block_size - 1)"),
         "batch_size sequences"),
        (EPOCHS.format(result="steps * batch_size / n_tokens"), "not of tokens"),
        (EPOCHS.format(result="steps * batch_size // (n_tokens // block_size - 1)"),
         "don't round"),
        (EPOCHS.format(result="steps * batch_size * block_size / n_tokens"),
         "counts every token"),
        (EPOCHS.format(result="steps * batch_size / ((n_tokens - 1) // block_size)"),
         "epochs: "),
        (EPOCHS.format(result="steps * (batch_size // (n_tokens // block_size - 1))"),
         "right"),
    ],
    "cut_blocks": [
        (cut(targets="np.roll(inputs, -1, axis=1)"), "of the NEXT block"),
        (cut(targets="inputs"), "move them by one"),
        (cut(n="len(stream) // T - 1"), "shape"),
        (cut(n="len(stream) // T"), "raises"),
        (cut(result="targets, inputs"), "changed places"),
        (cut(targets="np.vstack([inputs[1:], inputs[:1]])"), "right"),
        (cut(result="inputs"), "2 things"),
        (cut(targets="np.append(inputs.ravel()[1:], stream[-1]).reshape(n, T)"),
         "right"),
    ],
    "overlap": [
        (overlap("sum(gram in known for gram in set(grams)) / len(set(grams))"),
         "as often as it stands there"),
        (overlap("sum(gram in known for gram in grams) / len(test)"),
         "not of tokens"),
        (overlap(b=0), "last n-gram of the test"),
        (overlap(a=0), "last n-gram of the training"),
        (overlap("sum(i in set(training) for i in test) / len(test)"),
         "not single tokens"),
        (overlap("sum(gram in set(grams) for gram in known) / max(1, len(known))"),
         "the other way round"),
        (overlap("sum(set(gram) <= set(training) for gram in grams) / len(grams)"),
         "right"),
        (overlap("len(known & set(grams)) / len(grams)"), "counts twice"),
        (overlap("sum(g in known | {(*training[1 - n :], *training[:1])} "
                 "for g in grams) / len(grams)"), "end of the training"),
        (overlap("sum((g[0], g[-1]) in {(k[0], k[-1]) for k in known} "
                 "for g in grams) / len(grams)"), "the first and the last only"),
        (overlap("sum(''.join(map(str, g)) in ''.join(map(str, training)) "
                 "for g in grams) / len(grams)"), "not digits"),
        (overlap("sum(' '.join(map(str, g)) in ' '.join(map(str, training)) "
                 "for g in grams) / len(grams)"), "right"),
    ],
    "document_mask": [
        (mask(number="np.cumsum(ids == end)"), "to the document that it ends"),
        (mask(seen="same"), "the future"),
        (mask(seen="np.tril(np.ones_like(same))"), "plain causal mask"),
        (mask(seen="same & np.tril(same, -1)"), "sees itself"),
        (mask(seen="same & np.triu(same)"), "changed places"),
        (mask(values="1.0, 0.0"), "0 and -inf"),
        (mask(values="1.0, -np.inf"), "0, not 1"),
        (mask(number="0 * ids",
              seen="(np.tril(same) & (ids != end)) | np.eye(len(ids), dtype=bool)"),
         "only the marks"),
        (mask(number="ids == end"), "right"),
        (mask(values="0.0, -1e9"), "right"),
    ],
}  # fmt: skip
