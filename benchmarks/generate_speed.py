"""How fast gptbook generates beside transformers: same weights, batch 1, greedy.

    python benchmarks/generate_speed.py
    python benchmarks/generate_speed.py --size 124M

All programs load the same folder, each in its own way, and compute in float32 with a KV
cache; `transformers.generate` has its default settings. They take turns in one process.
A run is timed as a whole: it reads the prompt and writes all the tokens. The ratio is
the median over the turns, each run against that of transformers in the same turn, so
that a busy moment of the machine weighs little.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
TALES = ROOT / "book" / "models" / "tales"
# Models of random weights: vocabulary, context, blocks, heads, width.
SIZES = {"124M": (50257, 1024, 12, 12, 768), "tiny": (97, 64, 2, 2, 32)}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
THEIRS = "transformers"


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", type=Path, default=TALES, help="a model folder (the book's)")
    add("--size", choices=SIZES, help="random weights of that size instead")
    add("--prompt", type=int, default=16, help="tokens to read first (16)")
    add("--tokens", type=int, default=240, help="tokens to write (240)")
    add("--runs", type=int, default=7, help="turns (7)")
    add("--threads", type=int, default=1, help="of each program (1)")
    add("--clock", choices=CLOCKS, default="wall",
        help="cpu counts this process's own seconds, for a machine that others use too")
    add("--short", action="store_true", help="8 tokens, 1 turn: to try it, not to tell")
    add("--out", type=Path,
        help="a CSV file: adds the rows, or replaces those of this model and threads")
    chosen = parser.parse_args(arguments)
    if chosen.short:
        chosen.tokens, chosen.runs = 8, 1
    for name in ("prompt", "tokens", "runs", "threads"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(chosen, name)}")
    return chosen  # fmt: skip


def write_random_model(size, folder):
    """A model folder; the weights are large, or the text would stand still."""
    import numpy as np

    from gptbook.checkpoint import Config, parameter_shapes, write_safetensors

    config, rng, arrays = Config(*SIZES[size]), np.random.default_rng(0), {}
    config.save(folder)
    for name, shape in parameter_shapes(config).items():
        if len(shape) == 1:
            array = np.full(shape, float("ln_" in name and "weight" in name), "float32")
        else:
            std = np.float32(0.5 if name == "wpe.weight" else 0.05)
            array = rng.standard_normal(shape, "float32") * std
        arrays[f"transformer.{name}"] = array
    write_safetensors(Path(folder) / "model.safetensors", arrays, {"format": "pt"})


def load_writers(folder, prompt, n):
    """{program: a function that writes n ids after the prompt and returns them}."""
    import torch
    import transformers

    from gptbook import numpy_gpt, torch_gpt
    from gptbook.sampling import generate

    transformers.utils.logging.disable_progress_bar()
    theirs = transformers.GPT2LMHeadModel.from_pretrained(folder).eval()
    in_numpy, in_torch = numpy_gpt.GPT.load(folder), torch_gpt.GPT.load(folder).eval()
    ids = torch.tensor(prompt)[None]  # (1, T)
    settings = {
        "attention_mask": torch.ones_like(ids),
        "max_new_tokens": n,
        "do_sample": False,
        "eos_token_id": None,  # all write n tokens
        "pad_token_id": 0,
    }
    return {
        THEIRS: lambda: theirs.generate(ids, **settings)[0, len(prompt) :].tolist(),
        "gptbook, NumPy": lambda: generate(in_numpy, prompt, n),
        "gptbook, PyTorch": lambda: generate(in_torch, prompt, n),
    }


def time_in_turns(writers, runs, clock):
    """{program: seconds of each run}. Each turn begins with another program."""
    names, seconds = list(writers), {name: [] for name in writers}
    for turn in range(runs):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begin = clock()
            writers[name]()
            seconds[name].append(clock() - begin)
    return seconds


def first_difference(ids, others):
    """The place where two lists of ids part, or None; ValueError for two lengths."""
    pairs = enumerate(zip(ids, others, strict=True))
    return next((place for place, (a, b) in pairs if a != b), None)


def processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line[:10] == "model name"]
    return f"{(names or [platform.machine()])[0]}, {os.cpu_count()} cores"


def measure(chosen):
    """The rows of the result, one a program."""
    import numpy as np
    import torch
    import transformers

    from gptbook.checkpoint import Config, parameter_shapes

    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.size:
            write_random_model(chosen.size, folder)
        source = folder if chosen.size else chosen.model
        config = Config.load(source)
        if chosen.prompt + chosen.tokens > config.block_size:
            sys.exit(f"{chosen.prompt} + {chosen.tokens} tokens don't fit into "
                     f"the model's context of {config.block_size}")  # fmt: skip
        rng = np.random.default_rng(0)
        prompt = rng.integers(config.vocab_size, size=chosen.prompt)
        writers = load_writers(source, prompt, chosen.tokens)
        texts = {name: write() for name, write in writers.items()}  # and a warm-up
        seconds = time_in_turns(writers, chosen.runs, CLOCKS[chosen.clock])
    common = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "versions": ", ".join(f"{m.__name__} {m.__version__}"
                              for m in (np, torch, transformers)),
        "model": f"random {chosen.size}" if chosen.size else chosen.model.name,
        "parameters": sum(map(np.prod, parameter_shapes(config).values())),
        "dtype": "float32",
        **{name: getattr(chosen, name)
           for name in ("threads", "prompt", "tokens", "runs", "clock")},
    }  # fmt: skip
    rows = []
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(seconds[THEIRS], times, strict=True)]
        place = first_difference(texts[name], texts[THEIRS])
        rows.append(common | {
            "program": name,
            "tokens_per_second": round(chosen.tokens / median(times), 2),
            "slowest": round(chosen.tokens / max(times), 2),
            "fastest": round(chosen.tokens / min(times), 2),
            "ratio": round(median(ratios), 3),
            "same_ids": "all" if place is None else place,
        })  # fmt: skip
    return rows


def show(rows):
    row = rows[0]
    print(f"{row['model']}: {row['parameters']:,} parameters, {row['dtype']}, batch 1, "
          f"greedy, {row['threads']} thread(s)")
    print(f"{row['prompt']} tokens read, {row['tokens']} written, {row['runs']} run(s) "
          f"each, {row['clock']} time; {row['processor']}; {row['versions']}")
    print(f"\n{'':18}{'tokens/s':>10}{'slowest':>10}{'fastest':>10}"
          f"{'ratio':>8}   same ids")
    for row in rows:
        numbers = (row[name] for name in ("tokens_per_second", "slowest", "fastest"))
        print(f"{row['program']:18}" + "".join(f"{x:10.1f}" for x in numbers)
              + f"{row['ratio']:8.2f}   {row['same_ids']}")
        if row["same_ids"] != "all":
            print("  (from there on the texts differ: two logits were nearly equal)")


def save(rows, path):
    """Writes the rows to a CSV file, in the place of older ones of their kind.

    Of a kind are rows on the same model with as many threads.
    """
    older, kind = [], (rows[0]["model"], str(rows[0]["threads"]))
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            older = [r for r in csv.DictReader(file)
                     if (r["model"], r["threads"]) != kind]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(older + rows)


def main(arguments=None):
    chosen = options(arguments)
    for name in ("OMP", "OPENBLAS", "MKL"):  # read when NumPy and PyTorch are imported
        os.environ[f"{name}_NUM_THREADS"] = str(chosen.threads)
    rows = measure(chosen)
    show(rows)
    if chosen.out:
        save(rows, chosen.out)


if __name__ == "__main__":
    main()
