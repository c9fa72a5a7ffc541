"""Answers that look right and are not, each with what the check must say."""

AT_LEAST = """
def at_least(installed, minimum):
    def numbers(version):
        parts = [int(part) for part in version.split("+")[0].split(".")]
        return parts + [0] * (5 - len(parts))
    return {result}
"""
STEP = """
def step_seconds(N, B, T, n_layer, d_model, gflops):
    return {result}
"""
APART = """
def first_apart(a, b, digits):
    for k, (x, y) in enumerate(zip(a, b)):
        if {differ}:
            return {found}
    return {none}
"""
PICK = """
def pick_threads(seconds):
    best = {{n: {of_one} for n, runs in seconds.items()}}
    return {result}
"""
PRINTED = 'f"{x:.{digits}f}" != f"{y:.{digits}f}"'
WITHIN = "[n for n in best if best[n] <= 1.05 * min(best.values())]"


def at_least(result):
    return AT_LEAST.format(result=result)


def text(result):
    return f"def at_least(installed, minimum):\n    return {result}\n"


def step(result):
    return STEP.format(result=result)


def apart(differ=PRINTED, found="k", none="len(a)"):
    return APART.format(differ=differ, found=found, none=none)


def pick(result=f"min({WITHIN})", of_one="min(runs)"):
    return PICK.format(result=result, of_one=of_one)


WRONG_ANSWERS = {
    "at_least": [
        (text("installed >= minimum"), "not text"),
        (text("float(installed[:4]) >= float(minimum[:4])"), "raises ValueError"),
        (
            text("float('.'.join(installed.split('.')[:2])) >= float(minimum)"),
            "13 is more than 9",
        ),
        (at_least("numbers(installed) > numbers(minimum)"), "the minimum itself"),
        (at_least("numbers(installed) <= numbers(minimum)"), "newer is enough"),
        (at_least("numbers(installed)[:2] >= numbers(minimum)[:2]"), "third number"),
        (
            at_least("all(a >= b for a, b in zip(numbers(installed), "
                     "numbers(minimum)))"),
            "the first number in which they differ",
        ),
        (
            text("[int(p) for p in installed.split('+')[0].split('.')] >= "
                 "[int(p) for p in minimum.split('.')]"),
            "a number that is not there is 0",
        ),
        (
            text("[int(p) for p in installed.split('.')] >= "
                 "[int(p) for p in minimum.split('.')] + [0] * "
                 "(installed.count('.') - minimum.count('.'))"),
            "a number that is not there is 0",
        ),
        (
            text("tuple(int(p) for p in (installed + '.0.0').split('.')[:3]) >= "
                 "tuple(int(p) for p in (minimum + '.0.0').split('.')[:3])"),
            "raises ValueError",
        ),
        (at_least("numbers(installed)[:3] >= numbers(minimum)[:3]"), "fourth number"),
        (
            text("__import__('packaging.version').version.Version(installed) >= "
                 "__import__('packaging.version').version.Version(minimum)"),
            "how it was built",
        ),
        (at_least("numbers(installed)"), "True or False"),
        (text("1"), "True or False"),
        (text("True"), "should be False"),
        (
            text("int(installed.split('+')[0].replace('.', '')) >= "
                 "int(minimum.replace('.', ''))"),
            "should be",
        ),
    ],
    "step_seconds": [
        (step("(2 * N + 4 * n_layer * T * d_model) * B * T / (gflops * 1e9)"),
         "forward pass alone"),
        (step("6 * N * B * T / (gflops * 1e9)"), "12LTC a token"),
        (step("(6 * N + 4 * n_layer * T * d_model) * B * T / (gflops * 1e9)"),
         "12LTC counts forward and backward"),
        (step("(6 * N + 12 * n_layer * T * d_model) * T / (gflops * 1e9)"),
         "one sequence"),
        (step("(6 * N + 12 * n_layer * T * d_model) * B / (gflops * 1e9)"),
         "one token of each"),
        (step("(6 * N + 12 * n_layer * T * d_model) / (gflops * 1e9)"),
         "for one token"),
        (step("(6 * N + 12 * n_layer * T * d_model) * B * T / gflops"), "1e9 as well"),
        (step("(6 * N + 12 * n_layer * T * d_model) * B * T / (gflops * 1e6)"),
         "not for 10^6"),
        (step("(6 * N + 12 * n_layer * T * d_model) * B * T / (gflops * 1e12)"),
         "not for 10^12"),
        (step("gflops * 1e9 / ((6 * N + 12 * n_layer * T * d_model) * B * T)"),
         "steps a second"),
        (step("(6 * N + 12 * n_layer * T * d_model) * B * T * gflops / 1e9"),
         "divide by gflops"),
        (step("(6 * N + 12 * n_layer * d_model) * B * T / (gflops * 1e9)"),
         "is right"),
        (step("(6 * N + 12 * n_layer * T * d_model * d_model) * B * T / gflops / 1e9"),
         "is right"),
    ],
    "first_apart": [
        (apart("x != y"), "they print the same, as 1.000"),
        (apart("abs(x - y) > 10**-digits"), "they print as 0.731 and 0.732"),
        (apart("abs(x - y) > 0.5 * 10**-digits"), "they print as 0.731 and 0.732"),
        (apart("round(x, digits) != round(y, digits)"), "nan and nan"),
        (apart("x == x and y == y and round(x, digits) != round(y, digits)"),
         "nan and a number"),
        (apart(found="k + 1"), "steps count from 0"),
        (apart(none="-1"), "return the length"),
        (apart(none="len(a) - 1"), "return the length"),
        (apart('f"{x:.{digits}g}" != f"{y:.{digits}g}"'), "digits are those after"),
        (apart("int(x * 10**digits) != int(y * 10**digits)"),
         "they print as 0.731 and 0.732"),
        ("def first_apart(a, b, digits):\n    return [f'{x:.{digits}f}' for x in a] =="
         " [f'{y:.{digits}f}' for y in b]\n", "a whole number"),
        ("def first_apart(a, b, digits):\n    return max([k for k in range(len(a)) if "
         "f'{a[k]:.{digits}f}' != f'{b[k]:.{digits}f}'], default=len(a))\n",
         "not the last"),
        ("def first_apart(a, b, digits):\n    return sum(f'{x:.{digits}f}' == "
         "f'{y:.{digits}f}' for x, y in zip(a, b))\n", "the first step that counts"),
        (apart(none="a.clear() or 2"), "changes its arguments"),
        (apart(none="None"), "not written yet"),
    ],
    "pick_threads": [
        (pick("max(best)"), "more threads can be slower"),
        (pick(of_one="sum(runs) / len(runs)"), "not the mean or the middle"),
        (pick(of_one="sorted(runs)[len(runs) // 2]"), "not the mean or the middle"),
        (pick(of_one="max(runs)"), "noise only adds"),
        (pick(of_one="runs[0]"), "should be"),
        (pick(of_one="sum(runs) if min(runs) > 1 or len(runs) > 4 else min(runs)"),
         "should be"),
        (pick("max(best, key=best.get)"), "the fastest of all"),
        (pick("min(best, key=best.get)"), "leave the other cores free"),
        (pick(f"max({WITHIN})"), "leave the other cores free"),
        (pick(f"{WITHIN}[0]"), "the order of the measurements"),
        (pick("min(n for n in best if best[n] <= 1.1 * min(best.values()))"),
         "1.06 is not within 5%"),
        (pick("min(n for n in best if min(best.values()) >= 0.95 * best[n])"),
         "1.052 is not within 5%"),
        (pick("min(n for n in best if best[n] <= 0.05 + min(best.values()))"),
         "should be"),
        (pick("min(n for n in best if best[n] <= 1.01 * min(best.values()))"),
         "leave the other cores free"),
        (pick("min(n for n in best if n == max(best) or "
              "best[n] <= 1.05 * best[min(m for m in best if m > n)])"),
         "should be"),
        (pick("best"), "a whole number"),
        (pick("min(best.values())"), "a whole number"),
        (pick(of_one="runs.sort() or runs.pop(0)"), "changes its arguments"),
    ],
}  # fmt: skip
