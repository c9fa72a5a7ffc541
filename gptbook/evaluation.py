"""How good is a model of the story world? Loss against the floor, stories, tasks.

    python -m gptbook.evaluation book/models/tales

Everything is measured on seeds that training never sees.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from gptbook import tales
from gptbook.layers import cross_entropy
from gptbook.numpy_gpt import GPT
from gptbook.sampling import generate
from gptbook.tokenizer import Tokenizer

EVALUATION_SEED = 2**41  # behind the documents of training and validation


def held_out(kind, n, start=EVALUATION_SEED):
    """`n` documents of a kind that no training run has seen."""
    return [tales.document(start + i, kind) for i in range(n)]


def interval(k, n, z=1.96):
    """Wilson's interval for a share of which k of n have been seen.

    With z = 1.96 it holds the true share in about 19 of 20 such experiments.
    """
    p, shrink = k / n, 1 / (1 + z**2 / n)
    half = shrink * z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    middle = shrink * (p + z**2 / (2 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def loss_and_floor(model, tokenizer, documents):
    """The model's loss on documents and the floor, both in nats a predicted token."""
    total, count = 0.0, 0
    for document in documents:
        ids = np.array(tokenizer.encode(document.text))  # (T + 1,)
        loss = cross_entropy(model(ids[:-1]), ids[1:])
        total, count = total + float(loss) * (len(ids) - 1), count + len(ids) - 1
    return total / count, tales.entropy_floor(documents, tokenizer)


def complete(model, tokenizer, text, rng=None, **options):
    """The text with what the model adds up to the next special token but `<|story|>`.

    Greedy without `rng`; `options` go to `sampling.generate`.
    """
    ids = tokenizer.encode(text)
    room = model.config.block_size - len(ids)
    stops = {tokenizer.special_tokens[t] for t in (tales.END, tales.USER)}
    new = generate(model, ids, room, rng=rng, stop=stops, **options)
    return text + tokenizer.decode(new)


def fault(text):
    """What is wrong with a document, or None."""
    try:
        tales.read(text)
    except tales.TaleError as error:
        return str(error)


def sample_stories(model, tokenizer, n, rng, **options):
    """`n` sampled stories, each with its fault or None."""
    stories = [
        complete(model, tokenizer, tales.STORY, rng, **options) for _ in range(n)
    ]
    return [(story, fault(story)) for story in stories]


def task_score(model, tokenizer, documents, rng=None):
    """The number of right answers, the number of answers, and the wrong ones.

    An answer is right if it equals the document's own (greedy); a story written to a
    prompt (sampled) is right if the world can tell it to that prompt.
    """
    right, wrong = 0, []
    exchanges = [(d.kind, *exchange) for d in documents for exchange in d.exchanges]
    for kind, prompt, answer in exchanges:
        writes = kind == "write"
        text = complete(model, tokenizer, prompt, rng if writes else None)
        given = text[len(prompt) :].split("<|")[0]
        if fault(text) is None if writes else given == answer:
            right += 1
        else:
            wrong.append((prompt, answer, given))
    return right, len(exchanges), wrong


def evaluate(model, tokenizer, n=200, seed=0):
    """All of it as a dictionary: losses and floors, faults of stories, task scores."""
    report = {"seed": seed, "documents": n, "loss": {}, "tasks": {}}
    for kind in tales.KINDS:
        documents = held_out(kind, n)
        loss, floor = loss_and_floor(model, tokenizer, documents)
        report["loss"][kind] = {
            "loss": round(loss, 4),
            "floor": round(floor, 4),
            "percent_above": round(100 * (loss / floor - 1), 2),
        }
        if kind != "story":
            rng = np.random.default_rng(seed)
            right, total, _ = task_score(model, tokenizer, documents, rng)
            report["tasks"][kind] = {"right": right, "of": total}
    stories = sample_stories(model, tokenizer, n, np.random.default_rng(seed))
    faults = [why for _, why in stories if why]
    report["tasks"]["story"] = {"right": n - len(faults), "of": n}
    report["faults"] = faults[:10]
    return report


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a folder with the model and its tokenizer")
    parser.add_argument("--documents", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the sampling")
    options = parser.parse_args(arguments)
    model = GPT.load(options.model)
    tokenizer = Tokenizer.load(f"{options.model}/tokenizer.json")
    report = evaluate(model, tokenizer, options.documents, options.seed)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
