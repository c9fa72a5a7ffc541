"""Answers that look right and are not, each with what the check must say."""

PROBABILITY = """
def answer_probability(p, ids, ends):
    chosen = p[np.arange(len(ids)), ids]
    {last}
    return {result}
"""
FIT = """
def turns_that_fit(story, turns, question, answer, limit):
    left = {left}
    n = 0
    for length in {order}:
        if {fits}:
            n, left = n + 1, left - length
        {otherwise}
    return n
"""
SEPARATES = "def separates(told, untold):\n    return {result}"
ENCODE = """
def encode_messages(tokenizer, messages):
    special, ids = tokenizer.special_tokens, []
    for role, text in messages:
        {body}
    return {result}
"""


def probability(last="chosen[-1] = p[-1, ends].sum()", result="chosen.prod()"):
    return PROBABILITY.format(last=last, result=result)


def fit(**parts):
    defaults = {
        "left": "limit - story - question - answer",
        "order": "reversed(turns)",
        "fits": "length <= left",
        "otherwise": "else:\n            break",
    }
    return FIT.format(**defaults | parts)


def encode(
    body="ids.append(special[f'<|{role}|>']); "
    "ids += tokenizer.encode(text, allow_special=False)",
    result="ids + [special['<|assistant|>']]",
):
    return ENCODE.format(body=body, result=result)


WRONG_ANSWERS = {
    "answer_probability": [
        ("answer_probability = 0.5", "give the function itself, not float"),
        (probability(last="pass"), "add them up in the last row"),
        (probability(last="chosen = chosen[:-1]"), "the end is missing"),
        (probability(result="chosen.sum()"), "probabilities of steps multiply"),
        (probability(result="chosen.mean()"), "that is the mean"),
        (probability(last="chosen += p[:, ends].sum(axis=1)"), "only the last row"),
        (probability(result="p.max(axis=1).prod()"), "not the likeliest"),
        (probability(result="np.log(chosen).sum()"), "the logarithm of it"),
        (probability(result="chosen"), "the shape is (3,), and () is right"),
        (probability(result="chosen.prod() ** (1 / len(ids))"), "is right"),
        (probability(last="chosen[-1] = p[-1, ends].max()"), "add them up"),
        (probability(last="chosen[-1] = p[0, ends].sum()"), "is right"),
        (
            "def answer_probability(p, ids, ends):\n"
            "    p[-1, ids[-1]] = p[-1, ends].sum()\n"
            "    return p[np.arange(len(ids)), ids].prod()",
            "changes its arguments",
        ),
    ],
    "turns_that_fit": [
        (fit(order="turns"), "these are the oldest turns"),
        (fit(left="limit - story - question"), "the answer needs room"),
        (fit(fits="length < left"), "exactly is not too long"),
        (fit(otherwise=""), "nothing older may stay"),
        (fit(left="limit - story - answer"), "the question is missing"),
        (fit(left="limit - question - answer"), "the story is missing"),
        (fit(left="limit"), "the story is missing"),
        (fit(order="sorted(turns)"), "nothing older may stay"),
        (fit(otherwise="else:\n            return n - 1"), "exactly is not too long"),
        (
            "def turns_that_fit(story, turns, question, answer, limit):\n"
            "    return len(turns)",
            "the story is missing",
        ),
        (
            "def turns_that_fit(story, turns, question, answer, limit):\n"
            "    left = limit - story - question - answer\n"
            "    return int(left // (np.mean(turns) if turns else 1))",
            "exactly is not too long",
        ),
    ],
    "separates": [
        (SEPARATES.format(result="(told[:, None] > untold).mean()"), "one half"),
        (SEPARATES.format(result="(told[:, None] >= untold).mean()"), "not 1"),
        (
            SEPARATES.format(
                result="((told[:, None] < untold) + 0.5 * (told[:, None] == untold))"
                ".mean()"
            ),
            "changed places",
        ),
        (
            "def separates(told, untold):\n"
            "    n = min(len(told), len(untold))\n"
            "    return (told[:n] > untold[:n]).mean()",
            "each told one with each untold one",
        ),
        (SEPARATES.format(result="told.mean() - untold.mean()"), "the means"),
        (SEPARATES.format(result="(told > untold.mean()).mean()"), "one half"),
        (SEPARATES.format(result="(told > untold).mean()"), "raises ValueError"),
        (
            SEPARATES.format(result="float(told.min() > untold.max())"),
            "each untold one",
        ),
        (SEPARATES.format(result="told[:, None] > untold"), "not of bool"),
        (
            SEPARATES.format(result="(np.median(told) > untold).mean()"),
            "each untold one",
        ),
    ],
    "encode_messages": [
        (
            encode("ids += [special[f'<|{role}|>'], *tokenizer.encode(text)]"),
            "text became a special token",
        ),
        (
            "def encode_messages(tokenizer, messages):\n"
            "    text = ''.join(f'<|{role}|>{text}' for role, text in messages)\n"
            "    return tokenizer.encode(text + '<|assistant|>')",
            "text became a special token",
        ),
        (
            encode(
                "ids += [special[f'<|{role}|>'], *tokenizer.encode(text, "
                "allow_special=role == 'assistant')]"
            ),
            "an answer can hold a mark as well",
        ),
        (
            encode(
                "ids += [special[f'<|{role}|>'], *tokenizer.encode(text, "
                "allow_special=role == 'user')]"
            ),
            "a user's text became a special token",
        ),
        (encode(result="ids"), "the mark at the end is missing"),
        (
            encode("ids += tokenizer.encode(text, allow_special=False)"),
            "begins with the mark of its role",
        ),
        (
            "def encode_messages(tokenizer, messages):\n"
            "    text = ''.join(f'<|{role}|>{text}' for role, text in messages)\n"
            "    return tokenizer.encode(text + '<|assistant|>', allow_special=False)",
            "and only they",
        ),
        (
            "def encode_messages(tokenizer, messages):\n"
            "    special, ids = tokenizer.special_tokens, []\n"
            "    for role, text in messages:\n"
            "        for mark in special:\n"
            "            text = text.replace(mark, '')\n"
            "        ids += [special[f'<|{role}|>'], *tokenizer.encode(text)]\n"
            "    return ids + [special['<|assistant|>']]",
            "removing marks can even make new ones",
        ),
        (
            encode(
                "ids += [special[f'<|{role}|>'], "
                "*tokenizer.encode(text.strip(), allow_special=False)]"
            ),
            "is right",
        ),
        (
            "def encode_messages(tokenizer, messages):\n"
            "    special, ids = tokenizer.special_tokens, []\n"
            "    for n, (_, text) in enumerate(messages):\n"
            "        role = ('user', 'assistant')[n % 2]\n"
            "        ids += [special[f'<|{role}|>'], "
            "*tokenizer.encode(text, allow_special=False)]\n"
            "    return ids + [special['<|assistant|>']]",
            "is right",
        ),
        (encode(result="[ids, special['<|assistant|>']]"), "raises TypeError"),
        (encode(result="ids + [special['<|user|>']]"), "is right"),
    ],
}
