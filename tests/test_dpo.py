"""The benchmark of preferences gives a valid result. No test here asserts a time."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gptbook import tales, torch_gpt
from gptbook.tokenizer import Tokenizer

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "dpo.py"
RESULT = ROOT / "benchmarks" / "results" / "dpo.csv"
TALES = ROOT / "book" / "models" / "tales"
RUNS = [("right", "0.03"), ("right", "0.1"), ("right", "0.3"), ("happy", "0.1"),
        ("short", "0.1")]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(TALES / "tokenizer.json")


@pytest.fixture(scope="module")
def model():
    return torch_gpt.GPT.load(TALES).eval()


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(rows, steps, seeds, stories):
    """What makes a result valid."""
    assert rows[0]["judge"] == "none"
    for row in rows:
        right, happy, both, n = (
            int(row[name]) for name in ("right", "happy", "both", "stories")
        )
        assert max(0, right + happy - n) <= both <= min(right, happy) <= n
        assert 1 <= int(row["plots"]) <= n and 1 <= int(row["distinct"]) <= n
        assert float(row["verbs"]) >= 1 and float(row["length"]) > 0
        if "best of" not in row["judge"] and row["loss"]:
            assert 0 < float(row["floor"]) < float(row["loss"])
            for task in ("chat", "summary", "translate"):
                assert 0 <= int(row[task]) <= int(row[f"{task}_of"])
    last = [row for row in rows if row["step"] == str(steps)]
    found = {(row["judge"], row["beta"], row["seed"]) for row in last}
    assert found == {(*run, str(seed)) for run in RUNS for seed in range(seeds)}
    for row in last:
        assert row["loss"] and int(row["stories"]) == stories and int(row["pairs"]) > 0


def test_short_mode_from_the_command_line(tmp_path):
    """On the book's model, as a reader would run it."""
    out = tmp_path / "new" / "dpo.csv"
    command = [sys.executable, SCRIPT, "--short", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read(out)
    check(rows, steps=2, seeds=1, stories=6)
    assert len(done.stdout.splitlines()) == len(rows)


def test_stories_begin_with_their_prompt_and_end(benchmark, model, tokenizer):
    asked = benchmark.prompts(3)
    texts = benchmark.write(model, tokenizer, asked, seed=3, size=2)
    assert texts == benchmark.write(model, tokenizer, asked, seed=3, size=2)
    for prompt, text in zip(asked, texts, strict=True):
        assert text.startswith(prompt)
        full = len(tokenizer.encode(text)) >= benchmark.LIMIT
        assert text.endswith(tales.END) or full


def test_the_judges_and_the_pairs(benchmark):
    told = [tales.document(seed, "write") for seed in range(40)]
    for document in told:
        owner = document.story.owner
        assert benchmark.right(document.text) == 1
        assert benchmark.happy(document.text) == (document.story.lost.holder is owner)
        assert benchmark.right(document.text.replace(" lost ", " found ")) == 0
    texts = [document.text for document in told[:8]]
    for better, worse in benchmark.make_pairs(texts, benchmark.short, 4):
        assert benchmark.short(better) > benchmark.short(worse)
    assert benchmark.make_pairs(texts, benchmark.right, 4) == []
    pairs = benchmark.make_pairs([3, 1, 2, 5, 5, 4], lambda x: x, 3)
    assert pairs == [(3, 1), (5, 4)]
    assert benchmark.best_of([3, 1, 2, 5, 5, 9], lambda x: x, 3, 2) == [3, 5]


def test_log_p_counts_the_answer_and_no_padding(benchmark, model, tokenizer):
    texts = [tales.document(seed, "write").text for seed in range(3)]
    together = benchmark.log_ps(model, tokenizer, texts)
    for text, value in zip(texts, together, strict=True):
        ids = torch.tensor(tokenizer.encode(text))
        begin = text.index(tales.ASSISTANT) + len(tales.ASSISTANT)
        start = len(tokenizer.encode(text[:begin]))
        with torch.no_grad():
            log_probs = model(ids[:-1]).log_softmax(dim=-1)
        each = log_probs.gather(-1, ids[1:, None])[start - 1 :]
        torch.testing.assert_close(each.sum(), value, rtol=1e-4, atol=1e-3)


def test_the_loss(benchmark):
    zero = torch.zeros(2)
    assert benchmark.dpo_loss(zero, zero, zero, zero, 0.1).item() == pytest.approx(
        math.log(2)
    )
    loss = benchmark.dpo_loss(zero + 2, zero, zero, zero + 1, 0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1.5)), rel=1e-5)


def test_statistics(benchmark):
    low, high = benchmark.interval(75, 100)
    assert (round(low, 3), round(high, 3)) == (0.657, 0.825)
    assert benchmark.effective([5, 5, 5, 0]) == pytest.approx(3)
    assert benchmark.plot_of("Mia went to the hill. Ben gave it to Mia.") == (
        "went",
        "gave",
    )


def test_rows_of_the_same_setting_are_replaced(benchmark, tmp_path):
    out = tmp_path / "dpo.csv"
    rows = [{"judge": j, "beta": "0.1", "seed": "0", "step": "2"} for j in "ab"]
    benchmark.save(rows, out)
    benchmark.save([{**rows[0], "step": "3"}], out)
    benchmark.save([rows[1]], out)
    assert read(out) == [rows[0], {**rows[0], "step": "3"}, rows[1]]


@pytest.mark.parametrize("name", ["seeds", "prompts", "steps", "stories", "documents"])
def test_settings_out_of_range_are_refused(benchmark, name, capsys):
    with pytest.raises(SystemExit):
        benchmark.options([f"--{name}", "0"])
    assert f"--{name} must be at least 1, not 0" in capsys.readouterr().err


def test_the_recorded_result_is_one(benchmark):
    """What the page on alignment reads; recorded by hand, in full length."""
    rows = read(RESULT)
    for steps in (benchmark.EARLY, 60):
        check(rows, steps, seeds=2, stories=200)
    kept = {row["judge"] for row in rows if "best of" in row["judge"]}
    assert kept == {
        f"{name}, best of {n}" for name in benchmark.JUDGES for n in benchmark.BEST_OF
    }
    lengths = [float(r["length"]) for r in rows if r["judge"].startswith("short, best")]
    assert len(lengths) == 4 and np.argmin(lengths) == 3
