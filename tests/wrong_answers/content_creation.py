"""Answers that look right and are not, each with what the check must say."""

DRAFTS = """
def drafts_needed(q, goal):
    n = {start}
    while {open}:
        n += 1
    return {result}
"""
COPY = """
def longest_copy(mine, source):
    n = 0
    while True:
        runs = {{tuple(source[i : i + n + 1]) for i in range({places})}}
        if not any(tuple(mine[i : i + n + 1]) in runs for i in range({mine})):
            return {result}
        n += 1
"""
AT_LEAST = "def at_least_one(n, c, k):\n    return {result}"
STRONGEST = """
def strongest(is_green, w):
    total = np.concatenate([[0], np.cumsum(is_green)])
    g = {green}
    return {result}
"""


def drafts(start="1", open="1 - (1 - q) ** n < goal", result="n"):
    return DRAFTS.format(start=start, open=open, result=result)


def longest(places="len(source) - n", mine="len(mine) - n", result="n"):
    return COPY.format(places=places, mine=mine, result=result)


def at_least(result):
    return AT_LEAST.format(result=result)


def strongest(
    green="(total[w:] - total[:-w]).max()", result="(g - w / 2) / math.sqrt(w / 4)"
):
    return STRONGEST.format(green=green, result=result)


WRONG_ANSWERS = {
    "drafts_needed": [
        ("drafts_needed = 4", "give the function itself, not int"),
        (
            "def drafts_needed(q, goal):\n    return math.ceil(goal / q)",
            "chances don't add up",
        ),
        (drafts(open="1 - (1 - q) ** n <= goal"), "exactly `goal` is enough"),
        (
            "def drafts_needed(q, goal):\n"
            "    return math.floor(math.log(1 - goal) / math.log(1 - q))",
            "one draft too few",
        ),
        (
            "def drafts_needed(q, goal):\n"
            "    return math.log(1 - goal) / math.log(1 - q)",
            "a whole number",
        ),
        (drafts(result="n - 1"), "one draft too few"),
        (drafts(open="1 - q ** n < goal"), "not with q**n"),
        (drafts(result="n + 1"), "one draft too many"),
    ],
    "longest_copy": [
        (
            "def longest_copy(mine, source):\n"
            "    old = [0] * (len(source) + 1)\n"
            "    for a in mine:\n"
            "        new = [0] * (len(source) + 1)\n"
            "        for j, b in enumerate(source):\n"
            "            gap = max(old[j + 1], new[j])\n"
            "            new[j + 1] = old[j] + 1 if a == b else gap\n"
            "        old = new\n"
            "    return old[-1]",
            "without gaps",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    n = 0\n"
            "    while n < min(len(mine), len(source)) and mine[n] == source[n]:\n"
            "        n += 1\n"
            "    return n",
            "may begin anywhere",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    best = run = 0\n"
            "    for a, b in zip(mine, source):\n"
            "        run = run + 1 if a == b else 0\n"
            "        best = max(best, run)\n"
            "    return best",
            "elsewhere in the source",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    best = run = 0\n"
            "    for a in mine:\n"
            "        run = run + 1 if a in source else 0\n"
            "        best = max(best, run)\n"
            "    return best",
            "not in this order",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    pairs = set(zip(source, source[1:]))\n"
            "    best = run = 1 if set(mine) & set(source) else 0\n"
            "    for pair in zip(mine, mine[1:]):\n"
            "        run = run + 1 if pair in pairs else 1\n"
            "        best = max(best, run)\n"
            "    return best",
            "not all in one piece",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    text = ''.join(map(str, source))\n"
            "    best = 0\n"
            "    for i in range(len(mine)):\n"
            "        for j in range(i + 1, len(mine) + 1):\n"
            "            if ''.join(map(str, mine[i:j])) in text:\n"
            "                best = max(best, j - i)\n"
            "    return best",
            "not their digits",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    best = i = 0\n"
            "    while i < len(mine):\n"
            "        n = 0\n"
            "        while i + n < len(mine) and any(\n"
            "            mine[i : i + n + 1] == source[j : j + n + 1]\n"
            "            for j in range(len(source))\n"
            "        ):\n"
            "            n += 1\n"
            "        best, i = max(best, n), i + max(n, 1)\n"
            "    return best",
            "begin within a shorter one",
        ),
        (
            "def longest_copy(mine, source):\n"
            "    best = 0\n"
            "    for n in range(1, min(len(mine), len(source)) + 1):\n"
            "        bags = [sorted(source[i : i + n])\n"
            "                for i in range(len(source) - n + 1)]\n"
            "        if any(sorted(mine[i : i + n]) in bags\n"
            "               for i in range(len(mine) - n + 1)):\n"
            "            best = n\n"
            "    return best",
            "not in this order",
        ),
        (longest(places="len(source) - n - 1"), "one too few"),
        (longest(mine="len(mine) - n - 1"), "one too few"),
        (longest(result="n + 1"), "one too many"),
    ],
    "at_least_one": [
        (at_least("1 - (1 - c / n) ** k"), "without putting back"),
        (at_least("math.comb(n - c, k) / math.comb(n, k)"), "none is right"),
        (at_least("math.comb(c, k) / math.comb(n, k)"), "all of them are right"),
        (
            at_least("c * math.comb(n - c, k - 1) / math.comb(n, k)"),
            "exactly one",
        ),
        (at_least("min(1.0, k * c / n)"), "don't add up"),
        (at_least("1 - math.comb(c, k) / math.comb(n, k)"), "wrong drafts only"),
        (at_least("c / n"), "is right"),
        (at_least("1 - math.comb(n - c, k)"), "is right"),
    ],
    "strongest": [
        (
            "def strongest(is_green, w):\n"
            "    n = len(is_green)\n"
            "    return (is_green.sum() - n / 2) / math.sqrt(n / 4)",
            "the whole text",
        ),
        (
            strongest(
                green="max(is_green[i : i + w].sum() "
                "for i in range(max(1, len(is_green) - w)))"
            ),
            "the last window is missing",
        ),
        (strongest(green="(total[w:] - total[:-w])[::2].max()"), "may overlap"),
        (strongest(result="(g - w / 2) / (w / 4)"), "the root of w / 4"),
        (strongest(result="(g - w / 2) / math.sqrt(w)"), "not sqrt(w)"),
        (strongest(result="g"), "the number of green ones"),
        (strongest(result="g / w"), "the share of green ones"),
        (
            strongest(green="(total[w:] - total[:-w]).mean()"),
            "not the mean",
        ),
        (strongest(green="total[-1] - total[-1 - w]"), "try every beginning"),
        (
            strongest(result="(total[w:] - total[:-w] - w / 2) / math.sqrt(w / 4)"),
            "shape",
        ),
    ],
}
