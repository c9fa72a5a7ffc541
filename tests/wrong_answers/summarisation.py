"""Answers that look right and are not, each with what the check must say."""

NOVELTY = """
def novelty(summary, text, n):
    def grams(words):
        return [tuple(words[i : i + n]) for i in range({stop})]

    known = {known}
    new = [gram {test} known for gram in {own}]
    return {result}
"""
BETTER = "def how_often_better(a, b, draws):\n    {gap}\n    return {result}"
AWARE = "def context_aware(with_text, without, alpha):\n    return {result}"
EXTRACT = """
def best_extract(sentences, reference, k):
    def score(numbers):
        words = [word for i in numbers for word in sentences[i]]
        common = (Counter(words) & Counter(reference)).total()
        return {score}

    chosen = []
    while len(chosen) < {k}:
        left = [i for i in range(len(sentences)) if i not in chosen]
        best = {best}
        if best is None{stop}:
            break
        chosen.append(best)
    return {result}
"""


def novelty(**parts):
    defaults = {
        "stop": "len(words) - n + 1",
        "known": "set(grams(text))",
        "test": "not in",
        "own": "grams(summary)",
        "result": "sum(new) / len(new) if new else 0.0",
    }
    return NOVELTY.format(**defaults | parts)


def better(
    gap="gap = (a - b)[draws].sum(axis=1)",
    result="((gap > 0) + 0.5 * (gap == 0)).mean()",
):
    return BETTER.format(gap=gap, result=result)


def extract(**parts):
    defaults = {
        "score": "f_score(common, len(words), len(reference))",
        "k": "k",
        "best": "max(left, key=lambda i: score([*chosen, i]), default=None)",
        "stop": " or score([*chosen, best]) <= score(chosen)",
        "result": "sorted(chosen)",
    }
    return EXTRACT.format(**defaults | parts)


WRONG_ANSWERS = {
    "novelty": [
        ("novelty = 0.5", "give the function itself, not float"),
        (novelty(test="in"), "the share of the known ones"),
        (novelty(own="set(grams(summary))"), "counts twice"),
        (novelty(own="grams(text)", known="set(grams(summary))"), "changed places"),
        (novelty(result="sum(new) / len(summary) if summary else 0.0"), "not of words"),
        (novelty(result="sum(new) / len(new)"), "raises ZeroDivisionError"),
        (novelty(stop="len(words) - n"), "is right"),
        (
            "def novelty(summary, text, n):\n"
            "    return sum(w not in text for w in summary) / max(1, len(summary))",
            "n is ignored",
        ),
        (
            "def novelty(summary, text, n):\n"
            "    own, other = (Counter(tuple(w[i : i + n]) "
            "for i in range(len(w) - n + 1)) for w in (summary, text))\n"
            "    return (own - other).total() / max(1, own.total())",
            "is not new, however often",
        ),
        (novelty(result="sum(new)"), "is right"),
        (novelty(result="sum(new) / len(new) if new else 1.0"), "too short"),
        (
            "def novelty(summary, text, n):\n"
            "    own = [' '.join(summary[i : i + n]) "
            "for i in range(len(summary) - n + 1)]\n"
            "    return sum(g not in ' '.join(text) for g in own) / max(1, len(own))",
            "is right",
        ),
        (
            "def novelty(summary, text, n):\n"
            "    def told(gram):\n"
            "        left = iter(text)\n"
            "        return all(word in left for word in gram)\n\n"
            "    own = [summary[i : i + n] for i in range(len(summary) - n + 1)]\n"
            "    return sum(not told(gram) for gram in own) / max(1, len(own))",
            "is right",
        ),
    ],
    "how_often_better": [
        ("how_often_better = None", "give the function itself, not NoneType"),
        (better(result="(gap > 0).mean()"), "a tie counts one half"),
        (better(result="(gap >= 0).mean()"), "one half, not 1"),
        (better(gap="gap = (b - a)[draws].sum(axis=1)"), "changed places"),
        (better(gap="gap = (a - b)[draws]"), "not single stories"),
        (better(gap="gap = np.array([(a - b).mean()])"), "drawn are ignored"),
        (better(result="gap.mean() / draws.shape[1]"), "the mean difference"),
        (
            better(gap="gap = a[draws].sum(axis=1) - b[draws[::-1]].sum(axis=1)"),
            "on the same stories",
        ),
        (better(gap="gap = (a - b)[draws].sum(axis=0)"), "is right"),
        (better(result="(gap > 0) + 0.5 * (gap == 0)"), "the shape is"),
        (
            better(gap="a -= b\n    gap = a[draws].sum(axis=1)"),
            "it changes its arguments",
        ),
    ],
    "context_aware": [
        (AWARE.format(result="(1 + alpha) * with_text - alpha * without"), "logits"),
        (
            AWARE.format(
                result="(1 + alpha) * softmax(with_text) - alpha * softmax(without)"
            ),
            "not the probabilities",
        ),
        (
            AWARE.format(
                result="softmax((1 + alpha) * softmax(with_text) "
                "- alpha * softmax(without))"
            ),
            "only once",
        ),
        (
            AWARE.format(result="softmax((1 + alpha) * without - alpha * with_text)"),
            "changed places",
        ),
        (
            AWARE.format(result="softmax((1 + alpha) * with_text + alpha * without)"),
            "is subtracted",
        ),
        (
            AWARE.format(result="softmax(with_text - alpha * without)"),
            "the factor 1 + alpha",
        ),
        (
            AWARE.format(result="softmax((1 - alpha) * with_text + alpha * without)"),
            "a mean of the two",
        ),
        (AWARE.format(result="softmax(with_text)"), "is right"),
        (
            AWARE.format(
                result="(lambda e: e / e.sum())"
                "(np.exp((1 + alpha) * with_text - alpha * without))"
            ),
            "there is a nan",
        ),
        (
            AWARE.format(
                result="int(softmax((1 + alpha) * with_text "
                "- alpha * without).argmax())"
            ),
            "the shape is",
        ),
    ],
    "best_extract": [
        (extract(stop=""), "stop when no sentence"),
        (extract(result="chosen"), "in ascending order"),
        (
            extract(best="max(left, key=lambda i: score([i]), default=None)"),
            "together with those chosen before",
        ),
        (
            extract(
                best="max(left[::-1], key=lambda i: score([*chosen, i]), default=None)"
            ),
            "of equal sentences take the first",
        ),
        (extract(score="common / len(reference)"), "by recall"),
        (extract(score="common / max(1, len(words))"), "by precision"),
        (extract(k="k - 1"), "k sentences may be chosen"),
        (
            extract().replace(" if i not in chosen", ""),
            "it returns [0, 0], and [0] is right",
        ),
        (
            "def best_extract(sentences, reference, k):\n"
            "    return list(range(min(k, len(sentences))))",
            "the first ones",
        ),
        (extract(result="[sentences[i] for i in sorted(chosen)]"), "list of numbers"),
        (extract(result="len(chosen)"), "list of numbers"),
        (
            extract(best="max(left, key=lambda i: score([*chosen, i]))"),
            "raises ValueError",
        ),
    ],
}
