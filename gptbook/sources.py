"""What a GPT learns from: the story world, or a text. Both can be shared out by step.

A source has `prepare(folder)`, which makes `tokenizer` and `validation` (a list of
sequences of ids), and `sequences(step, rank, world)`, the ids of the rows that process
`rank` of `world` learns at a step: a function of these numbers alone. No row goes to
two processes, and together they are the rows of the step.
"""

from __future__ import annotations

import re

from gptbook import data, tales
from gptbook.runs import digest
from gptbook.tokenizer import Tokenizer

# Documents are told apart by seed: training counts up from 0, validation from here.
VALIDATION_SEED = 2**40


def train_tokenizer(config) -> Tokenizer:
    """The tokenizer of a configuration, from its first training documents."""
    texts = [tales.document(seed).text for seed in range(config.tokenizer_documents)]
    return Tokenizer.train(texts, config.model.vocab_size, tales.SPECIAL_TOKENS)


def rows_of(config, step, rank, world):
    """The numbers of the rows of a process; a step's rows follow those of the last."""
    return range(step * config.batch_size + rank, (step + 1) * config.batch_size, world)


class Tales:
    """Documents of the story world, new ones at every step."""

    repeats = False  # so no run can learn them by heart

    def __init__(self, config):
        self.config = config
        seeds = range(VALIDATION_SEED, VALIDATION_SEED + config.validation_documents)
        self.documents = [tales.document(seed) for seed in seeds]
        self.identity = {"documents": digest(d.text for d in self.documents)}

    def prepare(self, folder):
        """Makes the tokenizer, or loads it, and the validation sequences."""
        path = folder / "tokenizer.json"
        if not path.exists():
            train_tokenizer(self.config).save(path)
        self.tokenizer = Tokenizer.load(path)
        self.floor = tales.entropy_floor(self.documents, self.tokenizer)
        self.validation = [self.tokenizer.encode(d.text) for d in self.documents]

    def sequences(self, step, rank=0, world=1):
        """The ids of the documents that a process learns at a step."""
        rows = rows_of(self.config, step, rank, world)
        return [self.tokenizer.encode(tales.document(row).text) for row in rows]


class Text:
    """Blocks of a text, whose last tenth is held out for validation.

    Raises what `data.read_text` and `data.split` raise.
    """

    floor = None  # nobody knows the entropy of a text
    repeats = True

    def __init__(self, config, path):
        self.config = config
        text = data.read_text(path)
        self.identity = {"text": digest([text])}
        self.training, self.held_out = data.split(text)

    def prepare(self, folder):
        """Makes tokenizer and token file, or loads them, and the validation blocks."""
        path, tokens = folder / "tokenizer.json", folder / "tokens.npy"
        size, T = self.config.model.vocab_size, self.config.model.block_size
        if not path.exists():
            Tokenizer.train([self.training], size, [tales.END]).save(path)
        self.tokenizer = Tokenizer.load(path)
        if not tokens.exists():
            parts = map(self.tokenizer.encode, passages(self.training))
            data.write_tokens(tokens, parts, size)
        self.blocks = data.Blocks(data.open_tokens(tokens), T, self.config.seed)
        ids = self.tokenizer.encode(self.held_out)
        blocks = [ids[i : i + T + 1] for i in range(0, len(ids) - 1, T)]
        if not blocks:
            raise ValueError(f"the last tenth of the text has {len(ids)} token: too "
                             "little to validate with; take a longer text")  # fmt: skip
        n = min(len(blocks), self.config.validation_documents)
        # Spread evenly: the end of a book may differ from what stands before it.
        self.validation = [blocks[i * len(blocks) // n] for i in range(n)]

    def sequences(self, step, rank=0, world=1):
        """The blocks, each of block_size + 1 ids, that a process learns at a step."""
        rows = rows_of(self.config, step, rank, world)
        return [self.blocks.sequence(row) for row in rows]


def passages(text, size=2**20):
    """A long text in pieces, cut where white space begins: no token crosses that."""
    start, edge = 0, re.compile(r"(?<=\S)(?=\s)")
    while start < len(text):
        cut = edge.search(text, start + size)
        stop = cut.start() if cut else len(text)
        yield text[start:stop]
        start = stop
