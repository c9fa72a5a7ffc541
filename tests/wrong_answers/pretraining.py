"""Answers that look right and are not, each with what the check must say."""

RATE = """
def learning_rate(k, steps, warmup, peak):
    {first}
    {clamp}
    s = {share}
    return {result}
"""
CLIP = """
def clip(grads, limit):
    length = {length}
    {factor}
    return {result}
"""
COUNT = """
def count_decayed(shapes):
    counts = [0, 0]
    for name, shape in shapes.items():
        if {skip}:
            continue
        counts[{place}] += {unit}
    return tuple(counts)
"""
ADAM = """
def adam(w, slopes, state=None):
    {start}
    for g in slopes:
        k += 1
        {update}
        m_hat, u_hat = {hat}
        w = {w}
    return {result}
"""


def rate(**parts):
    defaults = {
        "first": "if k <= warmup: return peak * k / warmup",
        "clamp": "k = min(k, steps)",
        "share": "0.5 + 0.5 * math.cos(math.pi * (k - warmup) / (steps - warmup))",
        "result": "peak * (0.1 + 0.9 * s)",
    }
    return RATE.format(**defaults | parts)


def clip(**parts):
    defaults = {
        "length": "math.sqrt(sum((g * g).sum() for g in grads.values()))",
        "factor": "factor = limit / length if length > limit else 1.0",
        "result": "{n: factor * g for n, g in grads.items()}, length",
    }
    return CLIP.format(**defaults | parts)


def count(**parts):
    defaults = {
        "skip": "name == 'lm_head.weight' and 'transformer.wte.weight' in shapes",
        "place": "len(shape) != 2",
        "unit": "math.prod(shape)",
    }
    return COUNT.format(**defaults | parts)


def adam(**parts):
    defaults = {
        "start": "m, u, k = state or (0 * w, 0 * w, 0)",
        "update": "m, u = 0.9 * m + 0.1 * g, 0.99 * u + 0.01 * g**2",
        "hat": "m / (1 - 0.9**k), u / (1 - 0.99**k)",
        "w": "w - 0.1 * m_hat / (np.sqrt(u_hat) + 1e-8)",
        "result": "w, (m, u, k)",
    }
    return ADAM.format(**defaults | parts)


WRONG_ANSWERS = {
    "learning_rate": [
        (rate(first="if k <= warmup: return peak * (k - 1) / warmup"), "late by a"),
        (rate(first="if k <= warmup: return peak * (k + 1) / warmup"), "early by a"),
        (rate(first="pass"), "no warm-up"),
        (rate(share="1 - (k - warmup) / (steps - warmup)"), "straight line"),
        (rate(result="peak * s"), "falls to 0"),
        (rate(result="max(peak * s, peak / 10)"), "cut off at a tenth"),
        (rate(clamp="pass"), "rises again"),
        (rate(share="0.5 + 0.5 * math.cos(math.pi * k / steps)"), "counted from step"),
        (
            rate(
                share="0.5 + 0.5 * math.cos(2 * math.pi * (k - warmup) "
                "/ (steps - warmup))"
            ),
            "a whole wave",
        ),
        (rate(result="peak * (0.1 + s)"), "is right"),
    ],
    "clip": [
        (
            clip(
                factor="cut = lambda g: min(1, limit / (np.linalg.norm(g) or 1))",
                result="{n: cut(g) * g for n, g in grads.items()}, length",
            ),
            "array was clipped for itself",
        ),
        (
            clip(
                result="{n: np.clip(g, -limit, limit) for n, g in grads.items()}, "
                "length"
            ),
            "entry was clipped for itself",
        ),
        (clip(factor="factor = limit / (length or 1)"), "should stay as it is"),
        (clip(factor="factor = 1.0"), "nothing was clipped"),
        (
            clip(length="sum(math.sqrt((g * g).sum()) for g in grads.values())"),
            "add the squares",
        ),
        (
            clip(length="sum((g * g).sum() for g in grads.values())"),
            "the root is missing",
        ),
        (
            clip(length="max(math.sqrt((g * g).sum()) for g in grads.values())"),
            "not of the longest",
        ),
        (
            clip(
                result="{n: factor * g for n, g in grads.items()}, min(length, limit)"
            ),
            "the length that the gradient had before",
        ),
        (
            clip(
                result="{n: g / length * min(length, limit) for n, g in "
                "grads.items()}, length"
            ),
            "nan",
        ),
        (
            clip(
                factor="factor = limit / length if length > limit else 1.0\n"
                "    for g in grads.values(): g *= factor",
                result="grads, length",
            ),
            "changes the arrays",
        ),
        (
            clip(
                factor="factor = limit / length if length > limit else 1.0\n"
                "    for n in grads: grads[n] = factor * grads[n]",
                result="grads, length",
            ),
            "make a new dictionary",
        ),
        (clip(result="[factor * g for g in grads.values()], length"), "dictionary"),
        (clip(result="{n: factor * g for n, g in grads.items()}"), "two things"),
    ],
    "count_decayed": [
        (count(skip="False"), "counted twice"),
        (count(skip="name == 'lm_head.weight'"), "where there is no token table"),
        (count(place="not name.endswith('weight')"), "has one dimension"),
        (count(place="len(shape) == 2"), "changed places"),
        (count(unit="1"), "those are arrays"),
        (
            count(place="len(shape) != 2 or '.wte.' in name or '.wpe.' in name"),
            "the tables have two dimensions",
        ),
        (count(unit="sum(shape)"), "not their sum"),
        (
            count().replace("[0, 0]", "[0, 0]; shapes.pop('lm_head.weight', None)"),
            "it changes shapes",
        ),
    ],
    "adam": [
        (adam(start="m, u, k = 0 * w, 0 * w, 0"), "is the state used"),
        (
            adam(
                start="(m, u), k = state or (0 * w, 0 * w), 0",
                result="w, (m, u)",
            ),
            "k begins anew",
        ),
        (
            adam(start="m, (u, k) = 0 * w, state or (0 * w, 0)", result="w, (u, k)"),
            "m begins anew",
        ),
        (
            adam(start="u, (m, k) = 0 * w, state or (0 * w, 0)", result="w, (m, k)"),
            "u begins anew",
        ),
        (
            adam(start="m, u, k = 0 * w, 0 * w, state or 0", result="w, k"),
            "m and u begin anew",
        ),
        (adam(hat="m, u"), "the bias correction is missing"),
        (adam(w="w - 0.1 * m_hat / (u_hat + 1e-8)"), "divide by the root"),
        (adam(w="w + 0.1 * m_hat / (np.sqrt(u_hat) + 1e-8)"), "uphill"),
        (adam(w="w - 0.1 * m_hat / np.sqrt(u_hat + 1e-8)"), "not under it"),
        (adam(w="w - 0.1 * m_hat / np.sqrt(u_hat)"), "nan"),
        (
            adam(
                update="m *= 0.9; m += 0.1 * g; u *= 0.99; u += 0.01 * g**2",
            ),
            "changes it",
        ),
        (
            adam(w="np.subtract(w, 0.1 * m_hat / (np.sqrt(u_hat) + 1e-8), out=w)"),
            "changes w",
        ),
        (adam(result="w"), "two things"),
        (adam(result="w, (m, u, k - 1)"), "is right"),
    ],
}
