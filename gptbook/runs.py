"""The files of a training run: written whole or not at all, and refused when unfit."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import zlib
from pathlib import Path

import numpy as np

from gptbook.checkpoint import read_safetensors, write_safetensors


@contextlib.contextmanager
def explained(path):
    """An error of the disk, with what it means for the run and what to do."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror}. What was saved before is whole: make room, or mend "
            "what is wrong, and give the same command again",
            str(error.filename or path),
        ) from error


def digest(texts):
    """A short name for texts: other texts have another."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()[:16]


def difference(old, new):
    """The settings that two configurations, as JSON, do not share."""
    old, new = json.loads(old or "{}"), json.loads(new)
    return ", ".join(
        f"{key} {old.get(key)} there, {new.get(key)} here"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def write_text(path, text):
    """Writes a text file that is whole or not there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# The checkpoint


def checksum(arrays, metadata):
    """A number in which a change of any name, shape or entry shows."""
    total = zlib.crc32(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        what = f"{name} {arrays[name].shape} {array.dtype}"
        total = zlib.crc32(array, zlib.crc32(what.encode(), total))
    return f"{total:08x}"


def save_checkpoint(path, arrays, metadata):
    """Writes a checkpoint; an old one stays until the new one is whole.

    metadata: str -> str. Raises OSError, which says what to do, if there is no room.
    """
    metadata = {**metadata, "checksum": checksum(arrays, metadata)}
    with explained(path):
        write_safetensors(path, arrays, metadata)


def load_checkpoint(path):
    """(arrays, metadata), as they were saved; ValueError if they are not.

    The file holds numbers and text. Nothing in it is run, as pickled objects would be.
    """
    advice = "restore a copy of it, or delete it to begin again"
    try:
        arrays, metadata = read_safetensors(path, with_metadata=True)
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from error
    written = metadata.pop("checksum", None)
    if written is None:
        raise ValueError(f"{path} is no checkpoint of this version; {advice}")
    if written != checksum(arrays, metadata):
        raise ValueError(f"{path} is damaged: it differs from its checksum; {advice}")
    return arrays, metadata


# The curve


def write_losses(folder, losses, floor):
    """`losses.csv` and its picture `losses.png`.

    losses: (step, tokens, training loss, validation loss or None); floor: or None.
    """
    folder = Path(folder)
    with open(folder / "losses.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "tokens", "training", "validation", "floor"])
        for step, tokens, *numbers in losses:
            row = ["" if n is None else f"{n:.4f}" for n in (*numbers, floor)]
            writer.writerow([step, tokens, *row])
    plot_losses(losses, floor, folder / "losses.png")


def plot_losses(losses, floor, path):
    """The loss curve, and the floor beside it where it is known."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    steps = [row[0] for row in losses]
    axes.plot(steps, [row[2] for row in losses], lw=0.5, alpha=0.5)
    validated = [row for row in losses if row[3] is not None]
    axes.plot([row[0] for row in validated], [row[3] for row in validated], "o-", ms=3)
    if floor is not None:
        axes.axhline(floor, color="black", ls="--")
    axes.set(xlabel="step", ylabel="nats a token", yscale="log")
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
