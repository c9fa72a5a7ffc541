"""Answers that look right and are not, each with what the check must say."""

PAIR = """
def most_frequent_pair(tokens):
    pairs = Counter({pairs})
    return {best}
"""
MERGE = """
def merge_ids(ids, pair, new_id):
    merged, place = [], 0
    while place < {end}:
        if {test}:
            merged.append(new_id)
            place += {step}
        else:
            merged.append(ids[place])
            place += 1
    return merged
"""
ENCODE = """
def encode_word(word, merges):
    tokens = list(word)
    for pair in {merges}:
        {step}
    return {result}
"""
LONGEST = """
def encode_word(word, merges):
    known, tokens = {a + b for a, b in merges}, []
    while word:
        n = len(word)
        while n > 1 and word[:n] not in known:
            n -= 1
        tokens.append(word[:n])
        word = word[n:]
    return tokens
"""
LEFTMOST = """
def encode_word(word, merges):
    tokens, place = list(word), 0
    while place < len(tokens) - 1:
        if (tokens[place], tokens[place + 1]) in merges:
            tokens[place : place + 2] = [tokens[place] + tokens[place + 1]]
            place = 0
        else:
            place += 1
    return tokens
"""
ONCE = """
def encode_word(word, merges):
    tokens = list(word)
    for a, b in merges:
        for place in range(len(tokens) - 1):
            if tokens[place] == a and tokens[place + 1] == b:
                tokens[place : place + 2] = [a + b]
                break
    return tokens
"""
RIGHTMOST = """
def encode_word(word, merges):
    tokens = list(word)
    for a, b in merges:
        for place in range(len(tokens) - 2, -1, -1):
            if tokens[place] == a and tokens[place + 1 : place + 2] == [b]:
                tokens[place : place + 2] = [a + b]
    return tokens
"""
ONE_HOT = """
def one_hot_embedding(ids, table):
    one_hot = np.zeros({shape})
    one_hot[{place}] = {value}
    return {result}
"""
CUT = """
def safe_cut(text, n):
    return {result}
"""


def pair(pairs="pairwise(tokens)", best="max(pairs, key=pairs.get)"):
    return PAIR.format(pairs=pairs, best=best)


def merge(end="len(ids)", test="tuple(ids[place : place + 2]) == pair", step="2"):
    return MERGE.format(end=end, test=test, step=step)


def encode(merges="merges", step="tokens = merge(tokens, pair)", result="tokens"):
    return ENCODE.format(merges=merges, step=step, result=result)


def one_hot(**parts):
    defaults = {
        "shape": "(len(ids), len(table))",
        "place": "np.arange(len(ids)), ids",
        "value": "1",
        "result": "one_hot, one_hot @ table",
    }
    return ONE_HOT.format(**defaults | parts)


def cut(result):
    return CUT.format(result=result)


EITHER = "place + 1 < len(ids) and {ids[place], ids[place + 1]} == set(pair)"
BACK = """
def safe_cut(text, n):
    cut = text.encode()[:n]
    while cut:
        if cut[-1] < 128:
            return cut.decode()
        cut = cut[:-1]
    return ""
"""

WRONG_ANSWERS = {
    "most_frequent_pair": [
        (pair("tokens", "tuple(t for t, _ in pairs.most_common(2))"), "two most"),
        (pair("tuple(sorted(p)) for p in pairwise(tokens)"), "the order counts"),
        (pair("zip(tokens[::2], tokens[1::2])"), "not at every second"),
        (pair(best="max(reversed(pairs), key=pairs.get)"), "not the last"),
        (pair(best="min(pairs, key=lambda p: (-pairs[p], p))"), "not in the alphabet"),
        (pair(best="pairs.most_common(1)[0]"), "a str is right"),
        (pair(best="max(pairs, key=pairs.get)[0]"), "return 2 things"),
        (pair(best="min(pairs, key=pairs.get)"), "is right"),
        (pair(best="max(pairs, key=lambda p: sum(''.join(tokens).startswith("
              "p[0] + p[1], n) for n in range(99)))"), "their letters"),
        (pair(best="min(pairs, key=lambda p: (-pairs[p], len(p[0] + p[1])))"),
         "is right"),
        (pair(best="max(pairs, key=lambda p: merge(tokens, p).count(p[0] + p[1]))"),
         "may overlap"),
        (pair("pairwise(tokens + tokens[:1])"), "no ring"),
        ("most_frequent_pair = ('h', 'e')", "give the function itself"),
        ("def most_frequent_pair(tokens):\n    tokens.clear()", "not written yet"),
    ],
    "merge_ids": [
        (merge(step="1"), "is still there"),
        (merge(end="len(ids) - 1"), "the last id is lost"),
        (merge(test="tuple(ids[place : place + 2]) == pair and new_id not in merged"),
         "only the first occurrence"),
        (merge(test=EITHER), "turned round"),
        (
            "def merge_ids(ids, pair, new_id):\n"
            "    back = merge(['%d ' % i for i in ids[::-1]],"
            " tuple('%d ' % i for i in pair[::-1]))\n"
            "    joined = ''.join('%d ' % i for i in pair[::-1])\n"
            "    return [new_id if t == joined else int(t) for t in back[::-1]]",
            "from left to right",
        ),
        (
            "def merge_ids(ids, pair, new_id):\n"
            "    return [new_id if i in pair else i for i in ids]",
            "each of the two ids",
        ),
        (merge(test="ids[place] == pair[0] and ids[place + 1] == pair[1]"),
         "IndexError"),
        ("def merge_ids(ids, pair, new_id):\n    ids.append(new_id)\n    return ids",
         "it changes the list"),
        (
            "def merge_ids(ids, pair, new_id):\n"
            "    text = ' '.join(map(str, ids)).replace('%d %d' % pair, str(new_id))\n"
            "    return [int(number) for number in text.split()]",
            "does not stand in 15 6",
        ),
        (
            "def merge_ids(ids, pair, new_id):\n"
            "    text = ' ' + ' '.join(map(str, ids)) + ' '\n"
            "    text = text.replace(' %d %d ' % pair, f' {new_id} ')\n"
            "    return [int(number) for number in text.split()]",
            "is right",
        ),
        ("def merge_ids(ids, pair, new_id):\n    return new_id", "raises TypeError"),
        ("merge_ids = [256, 7]", "give the function itself"),
    ],
    "encode_word": [
        (encode(merges="reversed(merges)"), "from the last to the first"),
        (LONGEST, "apply the merges in order"),
        (LEFTMOST, "the leftmost pair"),
        (ONCE, "not the first alone"),
        (encode(step="merge(tokens, pair)"), "no merge was applied"),
        (encode(merges="merges[:1]"), "is right"),
        (encode(result="''.join(tokens)"), "a list is right"),
        (encode(merges="merges[1:]"), "is right"),
        (encode(merges="sorted(merges, key=lambda p: len(p[0] + p[1]))"),
         "not by length"),
        (RIGHTMOST, "of three the first two"),
    ],
    "one_hot_embedding": [
        (one_hot(value="ids"), "the id was written"),
        (one_hot(place="np.arange(len(ids)), np.arange(len(ids))"), "on the diagonal"),
        (one_hot(place="np.arange(len(ids)), ids - 1"), "too far left"),
        (one_hot(place=":, ids"), "a row has one 1"),
        (one_hot(shape="(len(table), len(ids))", place="ids, np.arange(len(ids))",
                 result="one_hot, one_hot.T @ table"), "result 1: the shape"),
        (one_hot(result="one_hot @ table"), "return 2 things"),
        (one_hot(result="one_hot @ table, one_hot"), "the shape is"),
        (one_hot(result="one_hot, table[ids + 0 * ids.max()] * 2"), "result 2"),
    ],
    "safe_cut": [
        (cut("text[:n]"), "bytes, not characters"),
        (cut("text.encode()[:n].decode(errors='replace')"), "U+FFFD"),
        (cut("text.encode()[:n].decode('ascii', errors='ignore')"), "though they fit"),
        (cut("text.encode()[:n].decode()"), "UnicodeDecodeError"),
        (BACK, "was cut off"),
        (cut("text.encode()[: max(n - 1, 0)].decode(errors='ignore')"), "keeps fewer"),
        (cut("text.encode()[:n]"), "a str is right"),
        (cut("text.encode()[:n].decode(errors='replace').rstrip('\\ufffd')"),
         "like any other"),
        (cut("text.encode()[:n].decode(errors='ignore').strip()"), "is right"),
    ],
}
