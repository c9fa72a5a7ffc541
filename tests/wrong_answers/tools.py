"""Answers that look right and are not, each with what the check must say."""

POINTER = """
import hashlib
def pointer(content):
    oid = hashlib.{algorithm}({content}).hexdigest()
    return (
        "version https://git-lfs.github.com/spec/v1\\n"
        f"oid {sign}{{oid}}\\n"
        f"size {{{size}}}{end}"
    )
"""
TO_FETCH = """
from fnmatch import fnmatch
def to_fetch(tree, blobs, patterns=None):
    if patterns is None:
        patterns = {none}
    wanted = {{
        blob for path, blob in tree.items()
        if {match}(fnmatch(path, pattern) for pattern in patterns)
    }}
    return {result}
"""
NO_REPEAT = """
def no_repeat(ids, logits, n):
    ids = list(ids)
    tail = {tail}
    result = {copy}
    for i in range({places}):
        if {when}:
            result[ids[i + n - 1]] = {value}
    return result
"""
SHARDS = """
def shards(sizes, limit):
    files, filled = [[]], 0
    for name, size in {order}:
        if {full}:
            files.append([])
            filled = 0
        files[-1].append(name)
        filled += size
    n = len(files)
    index = {{}}
    for i, names in enumerate(files, start={start}):
        file = f"model-{{i:0{digits}d}}-of-{{n:0{digits}d}}.safetensors"
        if {single}:
            file = "model.safetensors"
        index.update(dict.fromkeys(names, file))
    return index
"""


def pointer(algorithm="sha256", content="content", sign="sha256:",
            size="len(content)", end="\\n"):  # fmt: skip
    return POINTER.format(
        algorithm=algorithm, content=content, sign=sign, size=size, end=end
    )


def to_fetch(none='["*"]', match="any", result="wanted - set(blobs)"):
    return TO_FETCH.format(none=none, match=match, result=result)


def no_repeat(tail="ids[len(ids) - n + 1 :]", copy="logits.copy()",
              places="len(ids) - n + 1", when="ids[i : i + n - 1] == tail",
              value="-np.inf"):  # fmt: skip
    return NO_REPEAT.format(tail=tail, copy=copy, places=places, when=when, value=value)


def shards(order="sizes.items()", full="files[-1] and filled + size > limit",
           start=1, digits=5, single="n == 1"):  # fmt: skip
    return SHARDS.format(
        order=order, full=full, start=start, digits=digits, single=single
    )


WRONG_ANSWERS = {
    "pointer": [
        (pointer(end=""), "the last line ends with a newline"),
        (pointer(algorithm="sha1"), "that is SHA-1"),
        (
            pointer(content='b"blob %d\\0" % len(content) + content'),
            "of the content alone",
        ),
        (pointer(size="len(oid)"), "not of its hash"),
        (pointer(sign=""), "stands before the hash"),
        (pointer(size="len(content) + 1"), "is right"),
        ("def pointer(content):\n    return content", "returns a bytes"),
    ],
    "to_fetch": [
        (to_fetch(result="wanted"), "fetched again"),
        (
            to_fetch(
                result="{path for path, blob in tree.items() "
                "if blob in wanted - set(blobs)}"
            ),
            "not the paths",
        ),
        (to_fetch(result="wanted & set(blobs)"), "what it lacks"),
        (to_fetch(match="all"), "one of the patterns"),
        (to_fetch(none="[]"), "every path is wanted"),
        (
            to_fetch().replace("patterns is None", "not patterns"),
            "only None stands for all",
        ),
        (
            to_fetch().replace("fnmatch(path,", "fnmatch(path.split('/')[-1],"),
            "for the whole path",
        ),
        (
            to_fetch().replace(
                "fnmatch(path, pattern)", "path.endswith(pattern.strip('*'))"
            ),
            "for the whole path",
        ),
        (to_fetch(result="sorted(wanted - set(blobs))"), "a set is right"),
        (to_fetch(result="wanted - set(blobs[:1])"), "is right"),
    ],
    "no_repeat": [
        (no_repeat(when="True"), "must be the same"),
        (no_repeat(value="0.0"), "forbidden is -inf"),
        (no_repeat(places="1, len(ids) - n + 1"), "the very first place"),
        (no_repeat(places="len(ids) - n"), "the last place"),
        (
            no_repeat(when="ids[max(i, i + n - 2) : i + n - 1] == tail[-1:]"),
            "not the last alone",
        ),
        (
            no_repeat().replace("-np.inf\n", "-np.inf\n            break\n"),
            "go on after the first",
        ),
        (
            "def no_repeat(ids, logits, n):\n"
            "    result = logits.copy()\n"
            "    result[list(ids)] = -np.inf\n"
            "    return result",
            "what stands before it counts",
        ),
        (no_repeat(tail="ids[len(ids) - n :]",
                   when="ids[i : i + n] == tail and i + n < len(ids)")
         .replace("i + n - 1]] =", "i + n]] ="), "n + 1 tokens"),
        (no_repeat(tail="ids[-(n - 1) :]"), "nothing has changed"),
        (no_repeat(copy="logits"), "changes its arguments"),
        (no_repeat(value="logits[ids[i + n - 1]]"), "nothing has changed"),
    ],
    "shards": [
        (shards(full="files[-1] and filled + size >= limit"), "exactly still fits"),
        (shards(full="filled >= limit"), "over the limit"),
        (shards(start=0), "count from 1"),
        (shards(single="False"), "plain model.safetensors"),
        (shards(single="sum(sizes.values()) <= limit"), "plain model.safetensors"),
        (shards(full="filled + size > limit"), "there is an empty file"),
        (shards(digits=1), "five digits"),
        (shards(order="sorted(sizes.items(), key=lambda p: -p[1])"), "don't sort"),
        (shards(full="files[-1]"), "is right"),
        ("def shards(sizes, limit):\n    return list(sizes)", "a dict is right"),
    ],
}  # fmt: skip
