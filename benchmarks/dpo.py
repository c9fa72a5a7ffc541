"""Preferences on the story world: DPO and best-of-n with a rule as the judge.

    python benchmarks/dpo.py --out benchmarks/results/dpo.csv
    python benchmarks/dpo.py --short

The shipped model writes four stories to each of some prompts. A judge says which is the
best and which the worst of the four, and direct preference optimisation (Rafailov et
al. 2023) trains the model on these pairs. There are three judges:

right   the world could have told the story, to the last word;
happy   its evening says that the lost thing is back, whether it is or not;
short   the fewer tokens the better: a cheap judge, which has never read a story.

On prompts that were not trained on it then measures what the training was for, what it
was not for, and how far the model has moved from the one that it began as. Each run of
a judge, a beta and a seed leaves a row, and some leave rows on the way, too; best-of-n,
which trains nothing, leaves a row for each n and judge.
"""

from __future__ import annotations

import argparse
import copy
import csv
import datetime
import math
import os
import re
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from gptbook import tales, torch_gpt  # noqa: E402
from gptbook.evaluation import fault, held_out, task_score  # noqa: E402
from gptbook.numpy_gpt import GPT  # noqa: E402
from gptbook.tokenizer import Tokenizer  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TALES = ROOT / "book" / "models" / "tales"
TRAIN, TEST = 2**44, 2**45  # seeds that neither the model nor another page has used
BEST_OF = 1, 2, 4, 8
RUNS = [("right", 0.1), ("short", 0.1), ("right", 0.03), ("right", 0.3), ("happy", 0.1)]
EARLY, ON_THE_WAY = 20, (10, 20, 35)  # steps at which a run is measured before its end
LOG = "train_loss", "better_gain", "worse_gain", "won"
LIMIT = 256  # tokens of a text
VERBS = sorted({
    "went", "ran", "walked", "found", "gave", "put", "hid", "took", "asked", "showed",
    "called", "told", "ate", "shared", "swapped", "sang", "danced", "had", "watched",
    "carried", "came",
})  # fmt: skip


# Stories


def prompts(n, start=TEST):
    """n prompts, all of the same number of tokens: Write a story about ..."""
    return [tales.document(start + i, "write").exchanges[0][0] for i in range(n)]


@torch.no_grad()
def write(model, tokenizer, texts, seed=0, size=250):
    """A story to each prompt, drawn at temperature 1: prompt, story and end."""
    generator = torch.Generator().manual_seed(seed)
    end, written = tokenizer.special_tokens[tales.END], []
    for start in range(0, len(texts), size):
        rows = torch.tensor([tokenizer.encode(t) for t in texts[start : start + size]])
        cache, unread, alive = model.new_cache(), rows, torch.arange(len(rows))
        done = [None] * len(rows)
        ids = rows  # those that have not ended, (b, T)
        while len(alive):
            p = model(unread, cache=cache, last=True)[:, -1].softmax(dim=-1)  # (b, V)
            unread = torch.multinomial(p, 1, generator=generator)  # (b, 1)
            ids = torch.cat([ids, unread], dim=1)
            full = ids.shape[1] == model.config.block_size
            over = (unread[:, 0] == end) | full  # (b)
            for row, place in zip(
                ids[over].tolist(), alive[over].tolist(), strict=True
            ):
                done[place] = tokenizer.decode(row)
            if over.any():
                left = ~over
                ids, unread, alive = ids[left], unread[left], alive[left]
                cache = [
                    {name: block[name][left].clone() for name in ("key", "value")}
                    for block in cache
                ]
        written += done
    return written


def stories(texts):
    """The stories alone, without their prompts."""
    return [text.split(tales.ASSISTANT)[1] for text in texts]


# Judges: a text -> a score, the higher the better


def right(text):
    return float(fault(text) is None)


def happy(text):
    """By the words of the evening alone."""
    return float(bool(re.search(r"In the evening, \w+ (fell asleep|was glad)", text)))


def short(text):
    """Less its length, in words and signs: no need to understand anything."""
    return -float(len(re.findall(r"\w+|[^\w\s]", text.split(tales.ASSISTANT)[1])))


JUDGES = {"right": right, "happy": happy, "short": short}


def make_pairs(texts, judge, k):
    """(better, worse) of each k texts to one prompt: the best and the worst of them.

    Where all have the same score there is no pair. Of equal ones the first counts.
    """
    pairs = []
    for start in range(0, len(texts), k):
        group = sorted(texts[start : start + k], key=judge, reverse=True)
        if judge(group[0]) > judge(group[-1]):
            worst = judge(group[-1])
            pairs.append((group[0], next(t for t in group if judge(t) == worst)))
    return pairs


# Direct preference optimisation


def batch(tokenizer, texts):
    """Texts as (ids, answer), (B, T) each: the answer is True from its first token."""
    rows = [torch.tensor(tokenizer.encode(text)[:LIMIT]) for text in texts]
    mark = tokenizer.special_tokens[tales.ASSISTANT]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # (B, T)
    place = torch.arange(ids.shape[1])
    lengths = torch.tensor([len(row) for row in rows])[:, None]
    begins = torch.tensor([row.tolist().index(mark) for row in rows])[:, None]
    return ids, (place > begins) & (place < lengths)


def log_p(model, ids, answer):
    """ln p of each answer, (B,): the sum over its tokens."""
    logits = model(ids[:, :-1])  # (B, T - 1, V)
    each = -F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (each * answer[:, 1:]).sum(dim=1)


def dpo_loss(better, worse, ref_better, ref_worse, beta):
    """-ln sigmoid of the margin; all but beta are ln p of answers, (B,)."""
    margin = beta * ((better - ref_better) - (worse - ref_worse))
    return -F.logsigmoid(margin).mean()


@torch.no_grad()
def log_ps(model, tokenizer, texts, size=100):
    parts = range(0, len(texts), size)
    return torch.cat([
        log_p(model, *batch(tokenizer, texts[i : i + size])) for i in parts
    ])  # fmt: skip


def train(model, tokenizer, pairs, beta, steps, rate=2e-4, size=8, seed=0, at=()):
    """Trains the model; yields (step, means over the last 10 steps) at those of `at`.

    The means: the loss, how much likelier the better and the worse stories have become
    (in nats), and how often the better has gained more. Before any step the model is
    its own reference. The rate rises for 10 steps.
    """
    reference = [log_ps(model, tokenizer, [p[i] for p in pairs]) for i in (0, 1)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    generator = torch.Generator().manual_seed(seed)
    order, log = [], []
    for step in range(steps + 1):
        if step in at:
            means = (
                np.mean(log[-10:], axis=0).round(4) if log else [math.log(2), 0, 0, 0]
            )
            yield step, dict(zip(LOG, map(float, means), strict=True))
        if step == steps:
            return
        if len(order) < size:
            order = torch.randperm(len(pairs), generator=generator).tolist()
        chosen, order = order[:size], order[size:]
        texts = [pairs[n][0] for n in chosen] + [pairs[n][1] for n in chosen]
        better, worse = log_p(model, *batch(tokenizer, texts)).chunk(2)
        before = [r[chosen] for r in reference]
        loss = dpo_loss(better, worse, *before, beta)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 10)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        gains = [(better - before[0]).detach(), (worse - before[1]).detach()]
        won = (gains[0] > gains[1]).float().mean()
        log.append([loss.item(), *(g.mean().item() for g in gains), won.item()])


# What came of it


def interval(k, n, z=1.96):
    """Wilson's interval of a share k of n, as (low, high)."""
    centre, width = (k + z * z / 2) / (n + z * z), z / (n + z * z)
    width *= math.sqrt(k * (n - k) / n + z * z / 4)
    return centre - width, centre + width


def plot_of(story):
    """The verbs of a story in their order: what happens, without names and things."""
    return tuple(re.findall(rf"\b({'|'.join(VERBS)})\b", story))


def effective(counts):
    """exp of the entropy: how many equally frequent kinds would be as diverse."""
    p = np.array(list(counts), dtype=float)
    p = p[p > 0] / p.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def judge_stories(texts):
    """What can be said of stories without a model."""
    told = stories(texts)
    plots = [plot_of(story) for story in told]
    verbs = [verb for plot in plots for verb in plot]
    ok = [right(text) for text in texts]
    glad = [happy(text) for text in texts]
    return {
        "stories": len(texts),
        "right": int(sum(ok)),
        "happy": int(sum(glad)),
        "both": int(sum(a * b for a, b in zip(ok, glad, strict=True))),
        "length": round(-float(np.mean([short(text) for text in texts])), 2),
        "distinct": len(set(told)),
        "plots": len(set(plots)),
        "verbs": round(effective([verbs.count(v) for v in set(verbs)]), 2),
    }


@torch.no_grad()
def mean_loss(model, tokenizer, documents):
    """Nats a predicted token, over all tokens of all documents."""
    total = count = 0
    for document in documents:
        ids = torch.tensor(tokenizer.encode(document.text))  # (T + 1)
        total += F.cross_entropy(model(ids[:-1]), ids[1:], reduction="sum").item()
        count += len(ids) - 1
    return total / count


def measure(model, reference, tokenizer, texts, seed=0, documents=40):
    """A row: the stories to these prompts, KL, loss on held-out stories, the tasks."""
    written = write(model, tokenizer, texts, seed)
    gap = log_ps(model, tokenizer, written) - log_ps(reference, tokenizer, written)
    row = judge_stories(written)
    row["kl"] = round(gap.mean().item(), 3)
    row["kl_error"] = round(gap.std().item() / math.sqrt(len(gap)), 3)
    kinds = ("chat", "summary", "translate")
    if not documents:
        names = ("loss", "floor", *kinds, *(f"{kind}_of" for kind in kinds))
        return row | dict.fromkeys(names, "")
    tests = held_out("story", documents, TEST)
    row["loss"] = round(mean_loss(model, tokenizer, tests), 4)
    row["floor"] = round(tales.entropy_floor(tests, tokenizer), 4)
    ours = in_numpy(model)
    for kind in kinds:
        good, total, _ = task_score(ours, tokenizer, held_out(kind, documents, TEST))
        row[kind], row[f"{kind}_of"] = good, total
    return row


def in_numpy(model):
    """The same weights in the NumPy GPT, which is faster at one text at a time."""
    arrays = {
        name.removeprefix("transformer."): value.numpy(force=True)
        for name, value in model.state_dict().items()
    }
    return GPT(model.config, arrays)


def best_of(texts, judge, k, n):
    """From k texts to each prompt: the best of the first n by the judge."""
    groups = (texts[i : i + n] for i in range(0, len(texts), k))
    return [max(group, key=judge) for group in groups]


# The program


def options(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--seeds", type=int, default=2, help="runs of each judge and beta (2)")
    add("--prompts", type=int, default=400, help="to make pairs from (400)")
    add("--steps", type=int, default=60, help="of 8 pairs each (60)")
    add("--stories", type=int, default=200, help="to judge after training (200)")
    add("--documents", type=int, default=20, help="held-out ones of each kind (20)")
    add("--short", action="store_true", help="a few stories, 2 steps: to try it")
    add("--out", type=Path, help="a CSV file: adds the rows, or replaces their like")
    chosen = parser.parse_args(arguments)
    if chosen.short:
        chosen.seeds, chosen.prompts, chosen.steps = 1, 8, 2
        chosen.stories, chosen.documents = 6, 1
    for name in ("seeds", "prompts", "steps", "stories", "documents"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(chosen, name)}")
    return chosen


def run(chosen):
    """Yields the rows, one after the other."""
    torch.set_num_threads(1)
    tokenizer = Tokenizer.load(TALES / "tokenizer.json")
    reference = torch_gpt.GPT.load(TALES).eval()
    tests = prompts(chosen.stories)
    common = {"date": datetime.date.today().isoformat(), "torch": torch.__version__}
    blank = dict.fromkeys(("beta", "seed", "step", "pairs", *LOG), "")

    def measured(model, documents):
        return measure(model, reference, tokenizer, tests, 1, documents)

    start = measured(reference, chosen.documents)
    yield {**common, "judge": "none", **blank, **start}

    k = 4
    texts = [t for t in prompts(chosen.prompts, TRAIN) for _ in range(k)]
    texts = write(reference, tokenizer, texts, seed=0)
    for seed in range(chosen.seeds):
        for name, beta in RUNS:
            pairs, steps = make_pairs(texts, JUDGES[name], k), chosen.steps
            first = (seed, beta) == (0, 0.1)
            way = [n for n in ON_THE_WAY if n < steps and (first or n == EARLY)]
            model = copy.deepcopy(reference)
            for step, log in train(model, tokenizer, pairs, beta, steps, seed=seed,
                                   at=[*way, steps]):  # fmt: skip
                setting = {"beta": beta, "seed": seed, "step": step,
                           "pairs": len(pairs), **log}  # fmt: skip
                row = measured(model, chosen.documents * (step in (EARLY, steps)))
                yield {**common, "judge": name, **setting, **row}

    most = max(BEST_OF)
    many = [t for t in tests[: math.ceil(chosen.stories / 2)] for _ in range(most)]
    many = write(reference, tokenizer, many, seed=2)
    for n in BEST_OF:
        for name, judge in JUDGES.items():
            row = judge_stories(best_of(many, judge, most, n))
            empty = dict.fromkeys(start.keys() - row.keys(), "")
            yield {**common, "judge": f"{name}, best of {n}", **blank, **row, **empty}


def show(row):
    what = f"{row['judge']:18} beta {row['beta']!s:5} step {row['step']!s:4}"
    n = row["stories"]
    print(f"{what} right {row['right'] / n:5.2f}  happy {row['happy'] / n:5.2f}  "
          f"length {row['length']:6.1f}  KL {row['kl']!s:8} loss {row['loss']}",
          flush=True)  # fmt: skip


def save(rows, path):
    """Writes the rows to a CSV file, in the place of older ones of the same setting."""

    def setting(row):
        return tuple(str(row[name]) for name in ("judge", "beta", "seed", "step"))

    older, new = [], {setting(row) for row in rows}
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            older = [r for r in csv.DictReader(file) if setting(r) not in new]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(older + rows)


def main(arguments=None):
    chosen, rows = options(arguments), []
    for row in run(chosen):
        rows.append(row)
        show(row)
        if chosen.out:
            save(rows, chosen.out)


if __name__ == "__main__":
    main()
