"""Answers that look right and are not, each with what the check must say."""

LOG_P = """
def log_probability(p, ids):
    total = {start}
    for i in range({first}, len(ids)):
        total {step}
    return {result}
"""
ROWS = """
def inputs_and_targets(ids, T):
    rows = {rows}
    inputs = ids[: rows * T].reshape(rows, T)
    targets = {targets}
    return {result}
"""
MEASURES = """
def measures(losses, text):
    return {perplexity}, {token}, {byte}
"""
LOOP = """
def continue_text(next_logits, ids, n, stop):
    new = []
    while {more}:
        logits = next_logits({read})
        {choose}
        {end}
    return {result}
"""


def log_p(start="0.0", first="1", step="+= math.log(p[i - 1, ids[i]])", result="total"):
    return LOG_P.format(start=start, first=first, step=step, result=result)


def rows(**parts):
    defaults = {
        "rows": "(len(ids) - 1) // T",
        "targets": "ids[1 : rows * T + 1].reshape(rows, T)",
        "result": "inputs, targets",
    }
    return ROWS.format(**defaults | parts)


def measures(**parts):
    defaults = {
        "perplexity": "np.exp(losses.mean())",
        "token": "losses.mean() / math.log(2)",
        "byte": "losses.sum() / math.log(2) / len(text.encode())",
    }
    return MEASURES.format(**defaults | parts)


def loop(**parts):
    defaults = {
        "more": "len(new) < n",
        "read": "ids + new",
        "choose": "new.append(int(np.argmax(logits)))",
        "end": "if new[-1] == stop: break",
        "result": "new",
    }
    return LOOP.format(**defaults | parts)


CHUNKS = """
def inputs_and_targets(ids, T):
    rows = len(ids) // (T + 1)
    both = ids[: rows * (T + 1)].reshape(rows, T + 1)
    return both[:, :-1], both[:, 1:]
"""

WRONG_ANSWERS = {
    "log_probability": [
        ("log_probability = 0.0", "give the function itself, not float"),
        (log_p(first="0", step="+= math.log(p[i, ids[i]])"), "not moved"),
        (log_p(first="2"), "the first row was left out"),
        (log_p(first="2", step="+= math.log(p[i - 2, ids[i]])"), "two places on"),
        (log_p(result="-total"), "that is -ln p"),
        (log_p(result="total / max(1, len(ids) - 1)"), "that is the mean"),
        (log_p(start="1.0", step="*= p[i - 1, ids[i]]"), "that is p itself"),
        (log_p(step="+= math.log2(p[i - 1, ids[i]])"), "to the base 2"),
        (log_p(step="+= p[i - 1, ids[i]]"), "not their logarithms"),
        (
            log_p(start="1.0", step="*= p[i - 1, ids[i]]", result="np.log(total)"),
            "underflows to 0",
        ),
        (log_p(result="[total]"), "the shape is (1,)"),
        (
            log_p(
                start="set()",
                step="|= {p[i - 1, ids[i]]}",
                result="float(sum(map(math.log, total)))",
            ),
            "is right",
        ),
        (log_p(step="+= math.log(p[i - 1].max())"), "is right"),
        (log_p(first="1", step="+= math.log(p[i + 1, ids[i]])"), "raises IndexError"),
    ],
    "inputs_and_targets": [
        (rows(targets="inputs"), "the targets are the inputs"),
        (rows(targets="np.roll(inputs, -1, axis=1)"), "first input of that row"),
        (rows(result="targets, inputs"), "changed places"),
        (
            rows(
                rows="(len(ids) - 2) // T",
                targets="ids[2 : rows * T + 2].reshape(rows, T)",
            ),
            "moved by two places",
        ),
        (CHUNKS, "leave gaps"),
        (rows(rows="len(ids) // T"), "raises ValueError"),
        (rows(result="inputs"), "it should return 2 things"),
        (rows(result="inputs[:1], targets[:1]"), "the shape is (1, 4)"),
        (rows(targets="inputs + 1"), "is right"),
    ],
    "measures": [
        (measures(perplexity="np.exp(losses).mean()"), "the mean of e^loss"),
        (measures(perplexity="2 ** losses.mean()"), "result 1 is 2^loss"),
        (measures(perplexity="np.exp(losses.sum())"), "e to the sum"),
        (measures(token="losses.mean()"), "result 2 is still in nats"),
        (measures(token="losses.mean() * math.log(2)"), "multiplied by ln 2"),
        (measures(token="losses.sum() / math.log(2)"), "the sum of the bits"),
        (
            measures(byte="losses.sum() / math.log(2) / len(text)"),
            "result 3 counts characters",
        ),
        (
            measures(byte="losses.mean() / math.log(2) / len(text.encode())"),
            "take the sum of the losses",
        ),
        (measures(byte="losses.sum() / len(text.encode())"), "result 3 is still in"),
        (
            measures(byte="losses.sum() / math.log(2) / len(text.split())"),
            "result 3 counts the words",
        ),
        (measures(perplexity="losses.mean()"), "is right"),
        (measures(byte="losses.mean() / math.log(2)"), "is right"),
        (measures(token="losses / math.log(2)"), "result 2: the shape is"),
    ],
    "continue_text": [
        (loop(read="(ids + new)[-1:]"), "only the newest id is read"),
        (loop(read="ids"), "the new ids are not read"),
        (loop(read="new or ids"), "only the new ids are read"),
        (loop(read="new + ids"), "belong to the end"),
        (loop(end="if new[-1] == stop: return new[:-1]"), "stop is left out"),
        (loop(end="pass"), "it does not end at stop"),
        (loop(more="len(new) <= n"), "one id too many"),
        (loop(more="len(new) < n - 1"), "one id too few"),
        (loop(result="ids + new"), "the ids that were given come back"),
        (loop(choose="new.append(int(np.argmin(logits)))"), "the smallest logit"),
        (loop(result="new[-1] if new else 0"), "return a list of ids, not int"),
        (loop(end="if new[0] == stop: break"), "it does not end at stop"),
        (loop(end="if stop in new[1:]: break"), "is right"),
        (loop(choose="new.append(int(logits.max() * 10))"), "is right"),
        (loop(read="np.array(ids) + new"), "raises ValueError"),
        (
            loop(
                choose="new.append(int(np.argmax(logits))); ids.append(new[-1])",
                read="ids",
            ),
            "ids must stay as it is",
        ),
    ],
}
