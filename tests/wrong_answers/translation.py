"""Answers that look right and are not, each with what the check must say."""

PRECISION = """
def precision(candidate, reference, n):
    mine, theirs = (
        Counter(tuple(x[i : i + {width}]) for i in range(len(x) - n + 1))
        for x in (candidate, reference)
    )
    return {result}
"""
BLEU = """
def bleu_of(m, c, length, wanted):
    if min(m) == 0:
        return 0.0
    penalty = {penalty}
    return {result}
"""
MISSING = """
def bytes_missing(data):
    for back, byte in enumerate(reversed(data), start={start}):
        if not 0x80 <= byte <= 0xBF:
            length = {length}
            return {result}
    return 0
"""
ALIGNMENT = """
def alignment(weights, start, stop, pairs):
    right, chance = [], []
    for i, places in pairs:
        look = {look}
        right.append(look in places)
        chance.append({chance})
    return {result}
"""


def precise(
    width="n", result="(mine & theirs).total() / mine.total() if mine else 0.0"
):
    return PRECISION.format(width=width, result=result)


def bleu(
    penalty="min(1, np.exp(1 - wanted / length))",
    result="100 * penalty * np.prod(m / c) ** (1 / 4)",
):
    return BLEU.format(penalty=penalty, result=result)


def missing(
    start="1",
    length="1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)",
    result="length - back",
):
    return MISSING.format(start=start, length=length, result=result)


def aligned(
    look="start + weights[i - 1, start:stop].argmax()",
    chance="len(places) / (stop - start)",
    result="np.mean(right), np.mean(chance)",
):
    return ALIGNMENT.format(look=look, chance=chance, result=result)


WRONG_ANSWERS = {
    "precision": [
        ("precision = 0.5", "give the function itself, not float"),
        (
            precise(
                result="sum(k for g, k in mine.items() if g in theirs)"
                " / mine.total() if mine else 0.0"
            ),
            "no more often than the reference has it",
        ),
        (
            precise(result="(mine & theirs).total() / theirs.total() if mine else 0.0"),
            "that is the recall",
        ),
        (
            precise(result="len(mine & theirs) / len(mine) if mine else 0.0"),
            "occurs twice counts twice",
        ),
        (precise(width="n + 1"), "one too long"),
        (precise(width="1"), "is right"),
        (precise(result="(mine & theirs).total()"), "is right"),
        (
            precise(result="(mine & theirs).total() / mine.total()"),
            "raises ZeroDivisionError",
        ),
        (
            "def precision(candidate, reference, n):\n"
            "    grams = range(len(candidate) - n + 1)\n"
            "    same = [candidate[i : i + n] == reference[i : i + n] for i in grams]\n"
            "    return sum(same) / len(same) if same else 0.0",
            "may stand at another place",
        ),
        (  # counts what overlaps itself only once
            "def precision(candidate, reference, n):\n"
            "    a, b = ''.join(candidate), ''.join(reference)\n"
            "    mine = Counter(a[i : i + n] for i in range(len(a) - n + 1))\n"
            "    shared = sum(min(k, b.count(x)) for x, k in mine.items())\n"
            "    return shared / max(1, mine.total())",
            "is right",
        ),
        (
            precise().replace("tuple(x[i", "tuple(sorted(x)[i"),
            "is right",
        ),
        (
            precise().replace("tuple(x[i : i + n])", "tuple(sorted(x[i : i + n]))"),
            "the order of the tokens matters",
        ),
        (
            precise().replace("tuple(", "''.join("),
            "keep the tokens apart",
        ),
    ],
    "bleu_of": [
        (bleu(penalty="np.exp(1 - wanted / length)"), "gets no bonus"),
        (bleu(penalty="1"), "the brevity penalty is missing"),
        (bleu(penalty="min(1, length / wanted)"), "not the ratio of the lengths"),
        (bleu(penalty="min(1, np.exp(1 - length / wanted))"), "changed places"),
        (bleu(result="100 * penalty * np.prod(m / c)"), "its fourth root"),
        (bleu(result="100 * penalty * np.mean(m / c)"), "not the arithmetic"),
        (bleu(result="100 * penalty * m.sum() / c.sum()"), "divide for each n first"),
        (bleu(result="penalty * np.prod(m / c) ** (1 / 4)"), "from 0 to 100"),
        (bleu(result="100 * penalty * (m / c) ** (1 / 4)"), "the shape is (4,)"),
        (bleu(result="100 * penalty * np.prod(c / m) ** (1 / 4)"), "is right"),
    ],
    "bytes_missing": [
        (
            "def bytes_missing(data):\n    return -len(data) % 3",
            "not every character has 3 bytes",
        ),
        (missing(result="length"), "that is the length of the last character"),
        (missing(result="int(length > back)"), "not whether"),
        (missing(start="0"), "the first byte belongs to the character"),
        (
            missing(length="1 + (byte >= 0xC0) + (byte >= 0xE0)"),
            "there are characters of 4 bytes",
        ),
        (
            missing(length="3 if byte >= 0xC0 else 1"),
            "from 0xe0 3",
        ),
        (
            "def bytes_missing(data):\n"
            "    byte = data[-1] if data else 0\n"
            "    return (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0)",
            "go back to its first",
        ),
        (
            missing(result="back if length > back else 0"),
            "these are the bytes that are there",
        ),
        ("def bytes_missing(data):\n    return len(data)", "is right"),
        (missing().replace("0x80 <=", "0x80 <"), "go back to its first"),
        (missing().replace("<= 0xBF", "< 0xBF"), "go back to its first"),
        (missing().replace(">= 0xE0", "> 0xE0"), "0xe0 makes 3 bytes, too"),
        (missing().replace(">= 0xF0", "> 0xF0"), "characters of 4 bytes"),
    ],
    "alignment": [
        (aligned(look="start + weights[i, start:stop].argmax()"), "row i - 1"),
        (
            aligned(look="start + weights[i - 2, start:stop].argmax()"),
            "this is the row before",
        ),
        (aligned(look="weights[i - 1].argmax()"), "cut the row before"),
        (aligned(look="weights[i - 1, start:stop].argmax()"), "add start"),
        (aligned(chance="1 / (stop - start)"), "easier by chance"),
        (aligned(chance="len(places) / len(weights)"), "not of the whole text"),
        (aligned(look="start + weights[start:stop, i - 1].argmax()"), "column is read"),
        (aligned(look="start + weights[i - 1, start:].argmax()"), "is right"),
        (aligned(look="start + weights[i - 1, start : stop + 1].argmax()"), "is right"),
        (aligned(look="start + weights[i - 1, start : stop - 1].argmax()"), "is right"),
        (aligned(look="1 + weights[i - 1, 1:stop].argmax()"), "is right"),
        (aligned().replace("look in places", "look == places[-1]"), "is right"),
        (aligned().replace("look in places", "look == places[0]"), "is right"),
        (
            aligned().replace("look in places", "places[0] <= look <= places[-1]"),
            "is right",
        ),
        (aligned(result="np.mean(right)"), "it should return 2 things"),
        (aligned(result="np.sum(right), np.mean(chance)"), "is right"),
        (
            "def alignment(weights, start, stop, pairs):\n"
            "    mass = [weights[i - 1, places].sum() for i, places in pairs]\n"
            "    chance = [len(places) / (stop - start) for _, places in pairs]\n"
            "    return np.mean(mass), np.mean(chance)",
            "that is the mean weight",
        ),
    ],
}
