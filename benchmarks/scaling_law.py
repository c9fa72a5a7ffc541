"""Models of several sizes, trained on several numbers of tokens, against a known floor.

    python benchmarks/scaling_law.py --rates --widths 8,32,64 --out benchmarks/results
    python benchmarks/scaling_law.py --out benchmarks/results

Each run trains one model on stories of the story world, none of which comes twice, and
is judged on stories that no run trains on. Their entropy is known: the loss above the
floor is measured, not fitted. All runs have the same depth, the same batch and the same
recipe, that of `gptbook.fast`; only the width and the number of steps differ. The rate
of each falls to 0 at its own last step, so each run has finished.

A finished run is a line of `scaling_law.csv`, added at once; the same command, started
again, goes on with the runs that are missing. `--rates` tries learning rates instead:
for each size, on one number of tokens and with a seed of its own, all rates times a
factor. The main runs take the factor that was best (of the nearest size), from
`scaling_law_rates.csv` in the same folder, and 1 where there is no such file.
"""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
import sys
import time
from pathlib import Path

from stories import FIRST_JUDGE, append, judges, read, story, world

WIDTHS = (8, 16, 24, 32, 48, 64, 96)
TOKENS = (250_000, 500_000, 1_000_000, 2_000_000)
LARGEST = 2.6e12  # FLOPs of one run: a wide model isn't given the most tokens
FACTORS = (0.5, 1, 2, 4)
TRIED_ON = 250_000  # tokens, for the rates
N_LAYER, BLOCK_SIZE, BATCH_SIZE = 3, 256, 16
JUDGES = 400  # stories
OWN_SEED = 900  # of the runs that try rates


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--widths", help=f"with commas ({','.join(map(str, WIDTHS))})")
    add("--tokens", help=f"to train on, with commas ({','.join(map(str, TOKENS))})")
    add("--seeds", type=int, default=1, help="runs of each pair (1)")
    add("--largest", type=float, default=LARGEST,
        help=f"FLOPs of one run at most ({LARGEST:.1e})")  # fmt: skip
    add("--rates", action="store_true", help="try learning rates instead")
    add("--short", action="store_true",
        help="2 widths, some thousand tokens, 1 seed: to try it, not to tell"
        )  # fmt: skip
    add("--out", type=Path, help="a folder for the CSV file; without it, print only")
    chosen = parser.parse_args(arguments)
    for name, default in ("widths", WIDTHS), ("tokens", TOKENS):
        given = getattr(chosen, name)
        try:
            numbers = tuple(int(x) for x in given.split(",")) if given else default
        except ValueError:
            parser.error(f"--{name} must be whole numbers with commas, not {given}")
        if min(numbers) < 1:
            parser.error(f"--{name} must be at least 1, not {min(numbers)}")
        setattr(chosen, name, numbers)
    if odd := [width for width in chosen.widths if width % 4]:
        parser.error(f"a width must be a multiple of 4, not {odd[0]}")
    if chosen.seeds < 1:
        parser.error(f"--seeds must be at least 1, not {chosen.seeds}")
    if not chosen.largest > 0:
        parser.error(f"--largest must be above 0, not {chosen.largest}")
    chosen.judges = JUDGES
    if chosen.short:
        chosen.widths, chosen.tokens, chosen.seeds = (8, 16), (8000, 16000), 1
        chosen.judges = 8
    return chosen


# The text


def pad(rows):
    """Rows of ids as (inputs, targets), (B, T) each; targets of the padding are -1."""
    import torch

    ids = torch.full((len(rows), max(map(len, rows))), -1)  # (B, T + 1)
    for row, numbers in zip(ids, rows, strict=True):
        row[: len(numbers)] = torch.tensor(numbers)
    return ids[:, :-1].clamp(min=0), ids[:, 1:]


# One run


def recipe(width, steps=2):
    """That of chapter 5.3.2 without the table of pairs; only the width is free."""
    from gptbook.fast import FastConfig

    return FastConfig(
        vocab_size=len(world()[1]), block_size=BLOCK_SIZE, n_layer=N_LAYER,
        n_head=max(1, width // 32), d_model=width, steps=steps,
        warmup=max(1, steps // 20), rate=0.06, decay=0.0, betas=(0.8, 0.99), clip=0,
        to_zero=True, fused=True, start=True, gains=False, muon=True, qk_norm=True,
        rotary=True,
    )  # fmt: skip


def mean_loss(model, rows):
    """The mean loss of rows of ids, in nats a token, as a tensor; and the tokens."""
    import torch.nn.functional as F

    inputs, targets = pad(rows)
    logits = model(inputs)  # (B, T, V)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    return loss, int((targets >= 0).sum())


def train(width, n_tokens, seed, factor=1.0, until=1.0):
    """A model trained on about n_tokens, and the number of them.

    until: the share of the steps after which it stops, its rate then not fallen to 0.
    """
    import torch

    from gptbook import fast

    steps, seen = max(2, round(n_tokens / mean_length() / BATCH_SIZE)), 0
    config = recipe(width, steps)
    torch.manual_seed(seed)
    model = fast.FastGPT(config)
    both, first = fast.optimisers(model), seed * 10**6  # no two seeds share a story
    for step in range(round(until * steps)):
        start = first + step * BATCH_SIZE
        rows = [story(start + i) for i in range(BATCH_SIZE)]
        loss, n = mean_loss(model, rows)
        loss.backward()
        for optimiser in both:
            for group in optimiser.param_groups:
                share = fast.share_of_rate(step, config)
                group["lr"] = factor * group["peak"] * share
            optimiser.step()
            optimiser.zero_grad()
        seen += n
    return model, seen


def judge(model, rows):
    """The mean loss of rows of ids, in nats a token."""
    import torch

    total = count = 0
    with torch.no_grad():
        for start in range(0, len(rows), 50):
            loss, n = mean_loss(model, rows[start : start + 50])
            total, count = total + n * loss.item(), count + n
    return total / count


def lengths():
    return [len(story(FIRST_JUDGE + i)) - 1 for i in range(64)]


def mean_length():
    """Targets of a story, on average."""
    return sum(lengths()) / 64


def in_blocks(width):
    """The parameters of the blocks; all of them stand in matrices."""
    return 12 * N_LAYER * width**2


def flops_a_token(width):
    """6 for each weight of a product, with the head and without the table, and
    12 L C T for attention, on average over some stories."""
    multiplied = in_blocks(width) + len(world()[1]) * width
    mean_square = sum(T * T for T in lengths()) / sum(lengths())
    return 6 * multiplied + 12 * N_LAYER * width * mean_square


def run(width, n_tokens, seed, factor=1.0, n_judges=JUDGES):
    """One row of the result."""
    import torch

    from gptbook import fast

    rows, floor = judges(n_judges)
    begin = time.process_time()
    model, seen = train(width, n_tokens, seed, factor)
    loss, seconds = judge(model, rows), time.process_time() - begin
    return {
        "width": width, "n_layer": N_LAYER, "parameters": fast.count(recipe(width)),
        "in_blocks": in_blocks(width), "asked": n_tokens, "tokens": seen,
        "flops": round(seen * flops_a_token(width)), "seed": seed, "factor": factor,
        "loss": round(loss, 4), "floor": round(floor, 4),
        "cpu_seconds": round(seconds, 1), "date": datetime.date.today().isoformat(),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }  # fmt: skip


# All runs


def best_factor(width, tried):
    """The factor with the lowest loss, at the width tried that is nearest."""
    if not tried:
        return 1.0
    widths = {int(row["width"]) for row in tried}
    nearest = min(widths, key=lambda w: (abs(math.log(w / width)), w))
    own = [row for row in tried if int(row["width"]) == nearest]
    return float(min(own, key=lambda row: float(row["loss"]))["factor"])


def plan(chosen):
    """The runs (width, tokens, seed, factor), the cheap ones first."""
    if chosen.rates:
        n = min(TRIED_ON, max(chosen.tokens))
        return [(w, n, OWN_SEED, float(f)) for w in chosen.widths for f in FACTORS]
    tried = read(chosen.out and chosen.out / "scaling_law_rates.csv")
    pairs = [
        (w, n) for n in chosen.tokens for w in chosen.widths
        if n * flops_a_token(w) <= chosen.largest
    ]  # fmt: skip
    return [
        (w, n, seed, best_factor(w, tried))
        for seed in range(chosen.seeds)
        for w, n in pairs
    ]


def main(arguments=None):
    chosen = options(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    name = "scaling_law_rates.csv" if chosen.rates else "scaling_law.csv"
    path = chosen.out and chosen.out / name
    done = {
        tuple(float(row[key]) for key in ("width", "asked", "seed", "factor"))
        for row in read(path)
    }
    for width, n_tokens, seed, factor in plan(chosen):
        if (width, n_tokens, seed, factor) in done:
            continue
        row = run(width, n_tokens, seed, factor, chosen.judges)
        print(f"width {width:3d}  {row['parameters']:7,d} parameters  "
              f"{row['tokens']:9,d} tokens  seed {seed}  rates x {factor:g}  "
              f"loss {row['loss']:.4f}, {row['loss'] - row['floor']:.4f} above "
              f"the floor  {row['cpu_seconds']:6.1f} cpu s", flush=True)  # fmt: skip
        if path:
            append(row, path)


if __name__ == "__main__":
    sys.exit(main())
