"""From a text to batches: reading, splitting, a file of tokens, blocks by seed.

A long text is one stream of token ids. It may lie in memory or, where it is larger than
that, in a `.npy` file that is mapped into memory: the reader is the same.
"""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path

import numpy as np


def read_text(path, encoding="utf-8-sig"):
    """The text of a file as a str; every kind of line end becomes "\\n".

    "utf-8-sig" is UTF-8, less the mark that some editors put at its start. Raises
    FileNotFoundError for no file, and ValueError for a folder, an unknown encoding,
    bytes that are not in the encoding, a NUL, and a file with nothing but white space.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the path of one text file")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; a relative path starts in "
                                "the folder that os.getcwd() names")  # fmt: skip
    found = path.read_bytes()
    try:
        text = found.decode(encoding)
    except LookupError as error:
        raise ValueError(f"{error}: try 'utf-8-sig', 'utf-16' or 'cp1252'") from None
    except UnicodeDecodeError as error:
        place = len(found) - len(error.object) + error.start  # a mark counts, too
        line = _line(found[:place].decode(encoding, errors="replace"))
        likely = "utf-16" if found[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        raise ValueError(
            f"{path} is not {encoding}: byte 0x{found[place]:02x} at position {place}, "
            f"in line {line}. Save it as UTF-8, or name its encoding, perhaps "
            f"encoding={likely!r}"
        ) from None
    text = _newlines(text)
    if (place := text.find("\0")) >= 0:
        raise ValueError(
            f"{path} has a NUL in line {_line(text[:place])}: it is no plain text, or "
            f"it is not {encoding}, perhaps encoding='utf-16'"
        )
    if not text.strip():
        raise ValueError(f"{path} has no text: {len(found)} bytes, all white space")
    return text


def _newlines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(before):
    """The number of the line, from 1, that follows the text `before`."""
    return _newlines(before).count("\n") + 1


def split(text, share=0.1):
    """(training, validation): the last `share` of a text, or of tokens, validates.

    In one piece, not shuffled: a passage beside its own neighbours is no test. Raises
    ValueError for a share outside 0 to 1 and where one part would be empty.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    cut = len(text) - round(len(text) * share)
    if not 0 < cut < len(text):
        raise ValueError(f"a text of length {len(text)} has no share of {share}")
    return text[:cut], text[cut:]


def write_tokens(path, sequences, vocab_size):
    """Writes one stream of ids as a `.npy` file and returns the number of tokens.

    sequences: an iterable of sequences of ids, of which one at a time is in memory;
    two bytes a token where vocab_size is at most 65,536, else four. An old file stays
    until the new one is whole. Raises TypeError for what is no sequence of integers,
    ValueError for an id outside the vocabulary and for no tokens at all.
    """
    path, vocab_size, n_tokens = Path(path), operator.index(vocab_size), 0
    if not 1 <= vocab_size <= 2**32:
        raise ValueError(f"vocab_size must be 1 to {2**32}, not {vocab_size}")
    dtype = np.dtype("<u2" if vocab_size <= 2**16 else "<u4")
    header = {"descr": dtype.str, "fortran_order": False}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            # NumPy leaves room in the header for any length: it is written again below.
            np.lib.format.write_array_header_1_0(file, {**header, "shape": (0,)})
            for sequence in sequences:
                ids = _ids(sequence, vocab_size)  # (n,)
                file.write(ids.astype(dtype).tobytes())
                n_tokens += len(ids)
            file.seek(0)
            np.lib.format.write_array_header_1_0(file, {**header, "shape": (n_tokens,)})
            file.flush()
            os.fsync(file.fileno())
        if n_tokens == 0:
            raise ValueError(f"no tokens to write to {path}")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return n_tokens


def _ids(sequence, vocab_size=math.inf):
    """A sequence of ids as an array (n,), or the error that says what it is instead."""
    ids = np.asarray(sequence)
    if ids.ndim != 1:
        raise TypeError(f"ids must be a sequence, not {type(sequence).__name__} "
                        f"of shape {ids.shape}")  # fmt: skip
    if len(ids) == 0:
        return ids.astype(np.int64)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"token ids must be integers, not {ids.dtype}")
    if vocab_size < math.inf:
        for extreme in (ids.min(), ids.max()):
            if not 0 <= extreme < vocab_size:
                raise ValueError(f"token id {extreme} is outside the vocabulary of "
                                 f"{vocab_size} tokens")  # fmt: skip
    return ids


def open_tokens(path):
    """The tokens of a file as an array (n,) that is read from disk where it is used.

    Raises ValueError for a file that is damaged, or holds no 1-D array of uint16 or
    uint32; OSError where there is no such file.
    """
    try:
        tokens = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:  # NumPy meets a broken header with many kinds
        raise ValueError(f"{path} is not a whole token file: {error}") from error
    if tokens.ndim != 1 or tokens.dtype not in (np.uint16, np.uint32):
        raise ValueError(f"{path} holds {tokens.dtype} of shape {tokens.shape}, not "
                         "uint16 or uint32 of shape (n,)")  # fmt: skip
    return tokens


class Blocks:
    """Training sequences of block_size + 1 ids out of one long stream, by seed.

    In each epoch every block comes once, in an order of its own, and the cuts between
    blocks are moved by an offset of its own. All follows from the seed and a number: a
    run can stop and go on anywhere, and processes can share the work.

    tokens: (n,), in memory or from `open_tokens`; never copied as a whole.
    Raises TypeError for tokens that are no integers, ValueError for fewer than
    block_size + 1 of them, a block_size below 1 and a negative seed.
    """

    def __init__(self, tokens, block_size, seed=0):
        self.tokens = _ids(tokens)
        self.block_size, self.seed = operator.index(block_size), operator.index(seed)
        if self.block_size < 1 or self.seed < 0:
            raise ValueError("block_size must be at least 1 and the seed at least 0, "
                             f"not {block_size} and {seed}")  # fmt: skip
        n, T = len(self.tokens), self.block_size
        if n < T + 1:
            raise ValueError(
                f"{n} tokens are too few for a block of {T} and its targets: at "
                f"least {T + 1} are needed, so take more text or a smaller block_size"
            )
        # With one block fewer than fit, the offset can be anything below T.
        self.n_blocks = max(1, n // T - 1)
        self.n_offsets = min(T, n - self.n_blocks * T)
        self._epoch, self._starts = None, None

    def starts(self, epoch):
        """Where the blocks of an epoch start, in their order: (n_blocks,)."""
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            offset = rng.integers(self.n_offsets)
            order = rng.permutation(self.n_blocks)
            self._epoch, self._starts = epoch, offset + order * self.block_size
        return self._starts

    def sequence(self, i):
        """The i-th sequence of the run, counted on through the epochs: (T + 1,)."""
        i = operator.index(i)
        if i < 0:
            raise ValueError(f"sequences count from 0, and {i} is below it")
        epoch, place = divmod(i, self.n_blocks)
        start = self.starts(epoch)[place]
        return self.tokens[start : start + self.block_size + 1].astype(np.int64)

    def batch(self, step, batch_size):
        """(inputs, targets), each (B, T) int64: sequences step * B to step * B + B - 1.

        The targets are the next ids. Of n processes, number r takes
        batch(step * n + r, B // n): its share of the same B sequences.
        """
        batch_size = operator.index(batch_size)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        rows = range(step * batch_size, (step + 1) * batch_size)
        ids = np.stack([self.sequence(i) for i in rows])  # (B, T + 1)
        return ids[:, :-1], ids[:, 1:]
