"""What the benchmarks on the story world share: its stories, and a file of runs."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_JUDGE = 2**40  # the seed of the first story that no run trains on


@functools.cache
def world():
    """(tokenizer, {its id: ours}): ids of the tokens that occur in stories alone."""
    from gptbook import tales
    from gptbook.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(ROOT / "book" / "models" / "tales" / "tokenizer.json")
    texts = (tales.document(seed, "story").text for seed in range(10_000))
    occur = sorted({i for text in texts for i in tokenizer.encode(text)})
    return tokenizer, {old: new for new, old in enumerate(occur)}


@functools.cache
def story(seed):
    from gptbook import tales

    tokenizer, new_id = world()
    text = tales.document(seed, "story").text
    return [new_id[i] for i in tokenizer.encode(text)]


@functools.cache
def judges(n):
    """(n stories that no run trains on, their floor in nats a token)."""
    from gptbook import tales

    seeds = range(FIRST_JUDGE, FIRST_JUDGE + n)
    documents = [tales.document(seed, "story") for seed in seeds]
    return [story(seed) for seed in seeds], tales.entropy_floor(documents, world()[0])


def read(path):
    if path is None or not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(row, path):
    """Adds a row to a CSV file, and the head before the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
