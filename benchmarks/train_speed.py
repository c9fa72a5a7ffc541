"""How much sooner the fast recipes reach the loss of the plain one, on any text.

    python benchmarks/train_speed.py --text shakespeare.txt
    python benchmarks/train_speed.py --tales --longer 2.25

The recipes are those of `gptbook.fast`. All read the same characters, the last tenth of
the text validates, and the loss is that of every validation character once, in windows
of the same length. The steps of each recipe are fixed beforehand, with other seeds;
nothing looks at the validation loss to decide when to stop. The recipes take turns,
seed by seed, each run in a process of its own.

A ratio is the plain recipe's median time by the other's. It is given only where the
other's median loss is no higher. The time is that of training alone: batches, forward,
backward, optimiser. Start-up and validation are left out; the time of the whole
process, start-up and one validation included, is given beside it.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

STORIES = 2300  # about as many characters as Shakespeare's in the usual extract
CURVE_POINTS = 10


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", type=Path, help="a text file in UTF-8")
    source.add_argument("--tales", action="store_true",
                        help="the story world (default)")  # fmt: skip
    add("--recipes", help="some of them, with commas; plain is always there")
    add("--longer", type=float, default=1,
        help="times as many steps for all but the plain recipe (1)")  # fmt: skip
    add("--seeds", type=int, default=5, help="runs of each recipe (5)")
    add("--levers", action="store_true",
        help="also the small recipe with one lever undone, each in turn")
    add("--threads", type=int, default=1, help="of each run (1)")
    add("--short", action="store_true",
        help="3 steps, 1 seed, 10,000 characters: to try it, not to tell")
    add("--out", type=Path, help="a folder for the CSV files and the picture")
    add("--child", help=argparse.SUPPRESS)  # one run, as the parent asks for it
    chosen = parser.parse_args(arguments)
    for name in ("seeds", "threads"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(chosen, name)}")
    if not chosen.longer > 0:
        parser.error(f"--longer must be above 0, not {chosen.longer}")
    if chosen.short:
        chosen.seeds = 1
    if chosen.child:
        return chosen
    from gptbook import fast
    from gptbook.data import read_text

    names = chosen.recipes.split(",") if chosen.recipes else list(fast.RECIPES)
    if unknown := [name for name in names if name not in fast.RECIPES]:
        parser.error(f"no recipe {unknown[0]!r}; there are {', '.join(fast.RECIPES)}")
    chosen.recipes = ["plain", *(name for name in names if name != "plain")]
    try:
        chosen.characters = read_text(chosen.text) if chosen.text else stories()
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if chosen.short:
        chosen.characters = chosen.characters[:10_000]
    if len(chosen.characters) < 5000:
        parser.error(f"the text has {len(chosen.characters)} characters, and 5,000 are "
                     "the least")  # fmt: skip
    return chosen


def stories():
    from gptbook import tales

    texts = (tales.document(seed, "story").text for seed in range(STORIES))
    return "".join(text + "\n" for text in texts)


# One run, in a process of its own


def run(task):
    """Trains one recipe on the text in a file; the result is a row, and its curve."""
    import torch

    from gptbook import fast
    from gptbook.data import read_text, split

    torch.set_num_threads(task["threads"])
    ids, vocabulary = fast.encode(read_text(task["path"]))
    training, validation = split(ids)
    config = fast.FastConfig(**task["config"])
    torch.manual_seed(task["seed"])
    model = fast.FastGPT(config)
    cpu = wall = aside = 0.0
    curve, steps = [], fast.train(model, training, task["seed"])
    for step in range(1, config.steps + 1):
        begin = time.process_time(), time.perf_counter()
        next(steps)
        cpu += time.process_time() - begin[0]
        wall += time.perf_counter() - begin[1]
        if task["points"] and step % max(1, config.steps // task["points"]) == 0:
            begin = time.process_time()
            loss = fast.validation_loss(model, validation)
            aside += time.process_time() - begin
            curve.append((step, cpu, loss))
    return {
        "parameters": fast.count(config),
        "loss": fast.validation_loss(model, validation),
        "cpu": cpu,
        "wall": wall,
        "process": time.process_time() - aside,
        "curve": curve,
    }


def run_apart(task):
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"a run of {task['recipe']} failed:\n{done.stderr}")
    return json.loads(done.stdout)


# All runs


def configs(chosen):
    """{name: recipe}, for this text; the levers' are named "without ..."."""
    from gptbook import fast

    vocab_size = len(set(chosen.characters))
    found = {name: fast.recipe(name, vocab_size) for name in chosen.recipes}
    if chosen.levers:
        small = fast.recipe("small", vocab_size)
        for name, change in fast.UNDONE.items():
            found[f"without {name}"] = dataclasses.replace(small, **change)
    for name, config in found.items():
        if name != "plain":
            steps = round(config.steps * chosen.longer)
            found[name] = dataclasses.replace(config, steps=steps)
    if chosen.short:
        found = {n: dataclasses.replace(c, steps=3) for n, c in found.items()}
    return found


def measure(chosen):
    """(rows, points of the curves); a row for each run."""
    import torch

    about = {
        "text": chosen.text.name if chosen.text else "tales",
        "characters": len(chosen.characters),
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
        "threads": chosen.threads,
    }
    rows, points = [], []
    found = configs(chosen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_text(chosen.characters, encoding="utf-8")
        for seed in range(chosen.seeds):
            turn = seed % len(found)  # each turn begins with another recipe
            for name in [*found][turn:] + [*found][:turn]:
                config = found[name]
                curve = CURVE_POINTS if seed == 0 and "without" not in name else 0
                result = run_apart({
                    "path": str(path), "recipe": name, "seed": seed, "points": curve,
                    "config": dataclasses.asdict(config), "threads": chosen.threads,
                })  # fmt: skip
                tokens = config.batch_size * config.block_size
                rows.append(about | {
                    "recipe": name, "parameters": result["parameters"],
                    "steps": config.steps, "tokens": config.steps * tokens,
                    "seed": seed, "loss": round(result["loss"], 4),
                    "cpu_seconds": round(result["cpu"], 3),
                    "wall_seconds": round(result["wall"], 3),
                    "process_cpu_seconds": round(result["process"], 3),
                })  # fmt: skip
                points += [
                    {"text": about["text"], "recipe": name, "seed": seed, "step": step,
                     "tokens": step * tokens, "cpu_seconds": round(cpu, 3),
                     "loss": round(loss, 4)}
                    for step, cpu, loss in result["curve"]
                ]  # fmt: skip
                print(f"seed {seed}  {name:25} loss {result['loss']:.4f}  "
                      f"{result['cpu']:7.2f} cpu s", file=sys.stderr)  # fmt: skip
    return rows, points


def processor():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line[:10] == "model name"]
    return f"{(names or [platform.machine()])[0]}, {os.cpu_count()} cores"


# The result


def summarise(rows):
    """One row a recipe: medians over the seeds, and how many times as fast as plain."""
    recipes = {}
    for row in rows:
        recipes.setdefault(row["recipe"], []).append(row)

    def middle(name, column):
        return median(float(row[column]) for row in recipes[name])

    table = []
    for name, runs in recipes.items():
        losses = [float(row["loss"]) for row in runs]
        line = {
            "recipe": name, "parameters": int(runs[0]["parameters"]),
            "steps": int(runs[0]["steps"]), "tokens": int(runs[0]["tokens"]),
            "seeds": len(runs), "loss": median(losses),
            "lowest": min(losses), "highest": max(losses),
        }  # fmt: skip
        reached = line["loss"] <= middle("plain", "loss")
        for column in ("cpu_seconds", "wall_seconds", "process_cpu_seconds"):
            line[column] = middle(name, column)
            ratio = middle("plain", column) / max(line[column], 1e-9)
            line[column.replace("seconds", "ratio")] = ratio if reached else None
        table.append(line)
    return table


def show(rows):
    first = rows[0]
    print(f"{first['text']}, {int(first['characters']):,} characters; "
          f"{first['threads']} thread(s); {first['processor']}; "
          f"{first['versions']}; {first['date']}")  # fmt: skip
    print(f"\n{'':25}{'parameters':>11}{'tokens':>10}{'loss':>8} "
          f"{'(lowest, highest)':17}{'cpu s':>8}{'ratio':>7}{'wall':>7}{'whole':>7}"
          )  # fmt: skip
    for line in summarise(rows):
        ratios = (line[f"{kind}_ratio"] for kind in ("cpu", "wall", "process_cpu"))
        print(f"{line['recipe']:25}{line['parameters']:11,}{line['tokens']:10,}"
              f"{line['loss']:8.4f} ({line['lowest']:.4f}, {line['highest']:.4f}) "
              f"{line['cpu_seconds']:8.2f}"
              + "".join(f"{'-' if r is None else f'{r:.1f}':>7}" for r in ratios)
              )  # fmt: skip
    seeds = sorted({int(row["seed"]) for row in rows})
    print(f"\nMedians over the seeds {seeds}. Ratio: the plain recipe's seconds by "
          "these,\nby CPU time, by wall time, and by CPU time of the whole process, "
          "start-up and\none validation included. A dash: the plain recipe's loss was "
          "not reached.")  # fmt: skip


def save(rows, path):
    """Writes rows to a CSV file, in the place of older ones on the same text."""
    older = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            older = [r for r in csv.DictReader(file) if r["text"] != rows[0]["text"]]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(older + rows)


def plot(points, path):
    """The validation loss against the seconds of training, a line a recipe."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for name in dict.fromkeys(point["recipe"] for point in points):
        own = [point for point in points if point["recipe"] == name]
        axes.plot([p["cpu_seconds"] for p in own], [p["loss"] for p in own], "o-", ms=3,
                  label=name)  # fmt: skip
    axes.set(xlabel="CPU seconds of training", ylabel="validation loss", xscale="log")
    axes.legend()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(arguments=None):
    chosen = options(arguments)
    if chosen.child:
        print(json.dumps(run(json.loads(chosen.child))))
        return
    for name in ("OMP", "OPENBLAS", "MKL"):  # for the processes of the runs
        os.environ[f"{name}_NUM_THREADS"] = str(chosen.threads)
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
    rows, points = measure(chosen)
    show(rows)
    if chosen.out:
        save(rows, chosen.out / "train_speed.csv")
        save(points, chosen.out / "train_speed_curves.csv")
        plot(points, chosen.out / f"train_speed_{rows[0]['text'].split('.')[0]}.png")


if __name__ == "__main__":
    main()
