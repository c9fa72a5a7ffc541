"""GPT-2's body against bodies with one part swapped, on the story world.

    python benchmarks/architectures.py --rates --out benchmarks/results
    python benchmarks/architectures.py --out benchmarks/results

Every run trains a small model (`gptbook.modern.Body`) for the same number of steps on
the same stories, none of which comes twice, with the same optimisers. It is judged on
stories that no run trains on. Their entropy is known, so the loss above the floor is
measured. A swap gets the width that gives it the FLOPs a token of GPT-2's body; where
its parameters then differ, the result says so.

With the same seed all bodies see the same stories in the same order, so differences are
taken seed by seed. A finished run is a line of `architectures.csv`, added at once; the
same command, started again, goes on with the runs that are missing. `--rates` tries
learning rates instead, for the bodies of `--bodies` (`architectures_rates.csv`).
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path
from statistics import fmean

from stories import append, judges, read, story, world

STEPS, BATCH_SIZE, SEEDS = 300, 16, 5
JUDGES = 300  # stories
OWN_SEED = 900  # the first of the runs that try rates
FACTORS = (1.0, 2.0)  # on the rates of `gptbook.modern`
ROTARY = {"positions": "rotary", "base": 100.0}  # for texts of some hundred tokens
LLAMA = {**ROTARY, "rms": True, "bias": False, "gated": True, "n_kv": 2, "hidden": 192}
EXPERTS = {"experts": 8, "top": 2, "hidden": 128}
BODIES = {
    "GPT-2": {},
    "RMSNorm": {"rms": True},
    "no biases": {"bias": False},
    "rotary": ROTARY,
    "no positions": {"positions": "none"},
    "SwiGLU": {"gated": True, "hidden": 170},
    "2 kv heads": {"n_kv": 2, "hidden": 288},
    "window 32": {"window": 32},
    "8 experts": EXPERTS,
    "8 experts, unbalanced": EXPERTS,
    "Llama": LLAMA,
}


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    every = "; ".join(BODIES)
    add("--bodies", default=every, help=f"some of them, with semicolons ({every})")
    add("--steps", type=int, default=STEPS, help=f"of training ({STEPS})")
    add("--seeds", type=int, default=SEEDS, help=f"runs of each body ({SEEDS})")
    add("--rates", action="store_true", help="try learning rates instead")
    add("--short", action="store_true",
        help="3 steps, 8 stories to judge, 1 seed: to try it, not to tell")  # fmt: skip
    add("--out", type=Path, help="a folder for the CSV file; without it, print only")
    chosen = parser.parse_args(arguments)
    chosen.judges = JUDGES
    if chosen.short:
        chosen.steps, chosen.seeds, chosen.judges = 3, 1, 8
    names = [name.strip() for name in chosen.bodies.split(";")]
    if unknown := [name for name in names if name not in BODIES]:
        parser.error(f"no body {unknown[0]!r}; there are {every}")
    chosen.bodies = names
    for name in ("steps", "seeds"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(chosen, name)}")
    return chosen


# One run


def config_of(name):
    from gptbook.modern import BodyConfig

    return BodyConfig(len(world()[1]), n_layer=2, **BODIES[name])


def count(config):
    """(all parameters, those that work on one token)."""
    from gptbook import modern

    body = modern.Body(config)
    total = sum(p.numel() for p in body.parameters())
    idle = config.experts - config.top
    return total, total - idle * sum(
        p.numel() for b in body.h if config.experts > 1
        for p in b.mlp.experts[0].parameters()
    )  # fmt: skip


def flops(config, T):
    """Forward FLOPs a token, in a text of T tokens: 2 for each weight of a product, and
    4 C for each key that a token may see, in each block."""
    _, active = count(config)
    table = config.block_size * config.d_model * (config.positions == "table")
    table += config.vocab_size * config.d_model * (not config.tied)  # wte is looked up
    seen = sum(min(i + 1, config.window or T) for i in range(T)) / T
    return 2 * (active - table) + 4 * config.n_layer * config.d_model * seen


def cached(config, T):
    """The numbers that a KV cache holds for a text of T tokens."""
    numbers = (config.n_kv or config.n_head) * config.d_model // config.n_head
    return 2 * config.n_layer * numbers * min(T, config.window or T)


def fullest(model, rows):
    """The largest share of the tokens that one expert gets, in any block; or None."""
    from gptbook.modern import Mixture, judge

    mixtures = [part for part in model.modules() if isinstance(part, Mixture)]
    judge(model, rows[:32])  # one batch
    return max((part.share.max().item() for part in mixtures), default=None)


def run(name, seed, steps=STEPS, factor=1.0, n_judges=JUDGES):
    """One row of the result."""
    import torch

    from gptbook import modern

    rows, floor = judges(n_judges)
    config = config_of(name)
    T = round(sum(len(row) - 1 for row in rows) / len(rows))
    total, active = count(config)
    balance = 0.0 if "unbalanced" in name else 0.01
    first = seed * 10**6  # no two seeds share a story

    def batch(step):
        start = first + step * BATCH_SIZE
        return [story(start + i) for i in range(BATCH_SIZE)]

    torch.manual_seed(seed)
    model = modern.Body(config)
    begin = time.process_time()
    for _ in modern.train(model, batch, steps, factor, balance=balance):
        pass
    seconds = time.process_time() - begin
    share = fullest(model, rows)
    return {
        "body": name, "seed": seed, "steps": steps, "factor": factor,
        "parameters": total, "active": active,
        "flops": round(flops(config, T)), "T": T,
        "kv_a_token": cached(config, 1), "kv": cached(config, T),
        "loss": round(modern.judge(model, rows), 5), "floor": round(floor, 5),
        "fullest": "" if share is None else round(share, 4),
        "cpu_seconds": round(seconds, 1), "date": datetime.date.today().isoformat(),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }  # fmt: skip


# All runs


def best_factor(body, tried):
    """The factor on the rates with the lowest mean loss, of the body or of GPT-2's."""
    of_factor = {}
    name = body if any(row["body"] == body for row in tried) else "GPT-2"
    for row in tried:
        if row["body"] == name:
            losses = of_factor.setdefault(float(row["factor"]), [])
            losses.append(float(row["loss"]))
    return min(of_factor, key=lambda f: fmean(of_factor[f]), default=1.0)


def plan(chosen):
    """The runs (body, seed, factor), one seed of all bodies after the other."""
    seeds = range(chosen.seeds)
    if chosen.rates:
        pairs = [(body, f) for body in chosen.bodies for f in FACTORS]
        return [(body, OWN_SEED + seed, f) for seed in seeds for body, f in pairs]
    tried = read(chosen.out and chosen.out / "architectures_rates.csv")
    factors = {body: best_factor(body, tried) for body in chosen.bodies}
    return [(body, seed, f) for seed in seeds for body, f in factors.items()]


def key(row):
    return row["body"], int(row["seed"]), int(row["steps"]), float(row["factor"])


def main(arguments=None):
    chosen = options(arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    name = "architectures_rates.csv" if chosen.rates else "architectures.csv"
    path = chosen.out and chosen.out / name
    done = {key(row) for row in read(path)}
    for body, seed, factor in plan(chosen):
        if (body, seed, chosen.steps, factor) in done:
            continue
        row = run(body, seed, chosen.steps, factor, chosen.judges)
        print(f"{body:22s} seed {seed}  rates x {factor:g}  {row['parameters']:8,d} "
              f"parameters  {row['loss'] - row['floor']:.4f} nats above the floor  "
              f"{row['cpu_seconds']:6.1f} cpu s", flush=True)  # fmt: skip
        if path:
            append(row, path)


if __name__ == "__main__":
    sys.exit(main())
