"""The exercises of 7, tools and resources."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatch

import numpy as np

from gptbook.exercises import check, random


def pointer(answer):
    """pointer(content): bytes -> the text of the Git LFS pointer."""

    def variant(oid=lambda content: hashlib.sha256(content).hexdigest(), end="\n",
                size=len, sign="sha256:"):  # fmt: skip
        def text(content):
            return (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid {sign}{oid(content)}\nsize {size(content)}{end}"
            )

        return text

    def as_git(content):
        return hashlib.sha256(b"blob %d\0" % len(content) + content).hexdigest()

    cases = [(b"0.1 0.2",), (b"",), (bytes(range(256)) * 40,), ("Mía".encode(),)]
    return check(answer, "pointer", variant(), cases, {
        "the last line ends with a newline, too": variant(end=""),
        "that is SHA-1; the pointer has SHA-256":
            variant(lambda content: hashlib.sha1(content).hexdigest()),
        "the hash is of the content alone, without `blob` and the length":
            variant(as_git),
        "size is that of the content, not of its hash": variant(size=lambda _: 64),
        "`sha256:` stands before the hash": variant(sign=""),
    })  # fmt: skip


def to_fetch(answer):
    """to_fetch(tree, blobs, patterns) -> the set of hashes that are missing."""

    def variant(match=any, known=True, none=("*",)):
        def missing(tree, blobs, patterns=None):
            patterns = none if patterns is None else patterns
            wanted = {
                blob
                for path, blob in tree.items()
                if match(fnmatch(path, pattern) for pattern in patterns)
            }
            return wanted - set(blobs) if known else wanted

        return missing

    def paths(tree, blobs, patterns=None):
        wanted = variant(known=False)(tree, blobs, patterns)
        return {p for p, blob in tree.items() if blob in wanted and blob not in blobs}

    def already(tree, blobs, patterns=None):
        return variant(known=False)(tree, blobs, patterns) & set(blobs)

    def empty(tree, blobs, patterns=None):
        return variant()(tree, blobs, patterns or None)

    def by_name(tree, blobs, patterns=None):
        """Each file by the last part of its path."""
        names = [path.split("/")[-1] for path in tree]
        wanted = patterns or ["*"]
        return {blob for name, blob in zip(names, tree.values(), strict=True)
                if any(fnmatch(name, p) for p in wanted)} - set(blobs)  # fmt: skip

    tree = {"README.md": "gh", "config.json": "cd", "model.safetensors": "ef",
            "tokenizer.json": "ij", "old/config.json": "cd",
            "old/tokenizer.json": "kl"}  # fmt: skip
    cases = [
        (tree, ["cd", "ef", "zz"]),
        (tree, []),
        (tree, ["cd"], ["*.json"]),
        (tree, [], ["*.json", "*.safetensors"]),
        (tree, ["ef"], ["README.md"]),
        (tree, [], ["tokenizer.json"]),
        (tree, [], ["old/*", "R*"]),
        (tree, [], ["*.bin"]),
        (tree, [], []),
    ]
    return check(answer, "to_fetch", variant(), cases, {
        "what is in the cache is fetched again: leave it out": variant(known=False),
        "return the hashes, not the paths": paths,
        "an empty list matches no path; only None stands for all": empty,
        "the pattern is for the whole path, not for its last part": by_name,
        "a path is wanted if it matches one of the patterns, not all of them":
            variant(match=all),
        "without patterns every path is wanted": variant(none=()),
        "that is what the cache has; return what it lacks": already,
    })  # fmt: skip


def no_repeat(answer):
    """no_repeat(ids, logits, n): logits (V,) -> new logits (V,)."""

    def variant(first=0, value=-np.inf, longer=0, last=1, most=None):
        def forbid(ids, logits, n):
            ids = list(ids)
            n = n + longer
            tail = ids[len(ids) - n + 1 :]
            result = logits.copy()
            places = range(first, len(ids) - n + last)
            for i in [i for i in places if ids[i : i + n - 1] == tail][:most]:
                result[ids[i + n - 1]] = value
            return result

        return forbid

    def all_seen(ids, logits, n):
        return variant()(ids, logits, 1)

    def last_alone(ids, logits, n):
        return variant()(ids, logits, min(n, 2))

    def anywhere(ids, logits, n):
        """Every token that completes any n-gram, whatever stands before it."""
        result = logits.copy()
        for i in range(len(ids) - n + 1):
            result[ids[i + n - 1]] = -np.inf
        return result

    logits = random(9)
    cases = [
        ([0, 1, 2, 3, 7, 1, 2, 4, 8, 1, 2, 5, 7, 1, 2], logits, 3),
        ([8, 0, 1, 2, 3, 7, 1, 2, 4, 0, 1, 2], logits, 3),
        ([1, 2, 3, 5, 2, 4, 1, 6, 1, 2], logits, 3),
        ([1, 2, 3, 1, 2], logits, 3),
        ([4, 5, 4, 6, 4], logits, 2),
        ([7, 0, 8], logits, 1),
        ([3, 3], logits, 2),
        ([1, 2], logits, 3),  # too short
        ([2, 5, 2, 5, 2, 6, 2, 5], logits, 3),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2], logits, 4),
    ]
    return check(answer, "no_repeat", variant(), cases, {
        "every token that has come is forbidden; what stands before it counts":
            all_seen,
        "the last n - 1 ids must be the same as those before the token": anywhere,
        "all n - 1 tokens before it must be the same, not the last alone": last_alone,
        "more than one token can be forbidden: go on after the first": variant(most=1),
        "a logit of 0 is a logit like any other: forbidden is -inf": variant(value=0.0),
        "the very first place is left out": variant(first=1),
        "the last place is left out": variant(last=0),
        "nothing has changed": lambda ids, logits, n: logits,
        "that is n + 1 tokens in a row": variant(longer=1),
    })  # fmt: skip


def shards(answer):
    """shards(sizes, limit) -> {name: file}."""

    def variant(full=lambda filled, size, limit: filled + size > limit, start=1,
                single=True, empty=False, digits=5):  # fmt: skip
        def index(sizes, limit):
            files, filled = [[]], 0
            for name, size in sizes.items():
                if (files[-1] or empty) and full(filled, size, limit):
                    files.append([])
                    filled = 0
                files[-1].append(name)
                filled += size
            n, result = len(files), {}
            for i, names in enumerate(files, start=start):
                numbered = f"model-{i:0{digits}d}-of-{n:0{digits}d}.safetensors"
                file = "model.safetensors" if n == 1 and single else numbered
                result.update(dict.fromkeys(names, file))
            return result

        return index

    def largest_first(sizes, limit):
        sizes = dict(sorted(sizes.items(), key=lambda pair: -pair[1]))
        return variant()(sizes, limit)

    cases = [
        ({"a": 3, "b": 3, "c": 3, "d": 3}, 7),
        ({"a": 2, "b": 2}, 10),
        ({"a": 5, "b": 1}, 6),  # exactly full
        ({"big": 9, "a": 1, "b": 1}, 4),
        ({"a": 1, "big": 9, "b": 1}, 4),
        ({"big": 9}, 4),
        ({"wte": 7, "wpe": 2, "h.0": 6, "h.1": 6, "ln_f": 1}, 8),
    ]
    return check(answer, "shards", variant(), cases, {
        "an array that fills a file exactly still fits":
            variant(lambda filled, size, limit: filled + size >= limit),
        "a file is over the limit: look before you put the array in":
            variant(lambda filled, size, limit: filled >= limit),
        "files count from 1": variant(start=0),
        "a model in one file is plain model.safetensors": variant(single=False),
        "there is an empty file before an array that is larger than the limit":
            variant(empty=True),
        "five digits each: 00001": variant(digits=1),
        "keep the order that is given, don't sort": largest_first,
    })  # fmt: skip
