"""The runs for the scaling law give a valid result. No test here asserts a time."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from gptbook import fast
from gptbook.processes import training_flops

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "scaling_law.py"
RESULTS = ROOT / "benchmarks" / "results"


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(rows, benchmark):
    """What makes a result valid."""
    keys = [(r["width"], r["asked"], r["seed"], r["factor"]) for r in rows]
    assert len(set(keys)) == len(rows) > 0
    for row in rows:
        width, tokens = int(row["width"]), int(row["tokens"])
        assert int(row["parameters"]) == fast.count(benchmark.recipe(width))
        assert int(row["in_blocks"]) == 12 * int(row["n_layer"]) * width**2
        assert abs(tokens / int(row["asked"]) - 1) < 0.15  # whole batches
        flops = int(row["flops"]) / tokens
        assert 6 * int(row["in_blocks"]) < flops < 40 * int(row["parameters"])
        assert 0.4 < float(row["floor"]) < float(row["loss"]) < math.log(1024)
        assert "torch" in row["versions"]


def test_short_mode_from_the_command_line_goes_on(tmp_path):
    out = tmp_path / "new" / "results"
    command = [sys.executable, SCRIPT, "--short", "--out", out]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    rows = read(out / "scaling_law.csv")
    assert [(r["width"], r["asked"]) for r in rows] == [
        ("8", "8000"), ("16", "8000"), ("8", "16000"), ("16", "16000")
    ]  # fmt: skip
    assert first.stdout.count("above the floor") == 4
    # Without its last line, and started again, it makes that line and no other.
    lines = (out / "scaling_law.csv").read_text().splitlines(keepends=True)
    (out / "scaling_law.csv").write_text("".join(lines[:-1]))
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 0 and second.stdout.count("above the floor") == 1
    again = read(out / "scaling_law.csv")
    assert again[:-1] == rows[:-1]
    for key in rows[-1].keys() - {"cpu_seconds", "date"}:
        assert again[-1][key] == rows[-1][key]


def test_short_mode_gives_a_valid_result(benchmark, tmp_path, capsys):
    benchmark.main(["--short", "--out", str(tmp_path)])
    check(read(tmp_path / "scaling_law.csv"), benchmark)
    benchmark.main(["--short", "--rates", "--out", str(tmp_path)])
    tried = read(tmp_path / "scaling_law_rates.csv")
    check(tried, benchmark)
    assert {float(row["factor"]) for row in tried} == set(benchmark.FACTORS)
    assert {row["seed"] for row in tried} == {str(benchmark.OWN_SEED)}
    # The main runs of these widths now take the factor that was best.
    chosen = benchmark.options(["--short", "--out", str(tmp_path)])
    for width, _, _, factor in benchmark.plan(chosen):
        own = [row for row in tried if row["width"] == str(width)]
        assert factor == float(min(own, key=lambda r: float(r["loss"]))["factor"])


def test_without_a_folder_nothing_is_written(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    benchmark.main(["--short", "--widths", "8"])
    assert not list(tmp_path.iterdir())
    assert "above the floor" in capsys.readouterr().out


def test_best_factor(benchmark):
    tried = [
        {"width": "8", "factor": "1.0", "loss": "2.0"},
        {"width": "8", "factor": "2.0", "loss": "1.5"},
        {"width": "64", "factor": "0.5", "loss": "1.0"},
        {"width": "64", "factor": "1.0", "loss": "1.1"},
    ]
    found = [benchmark.best_factor(width, tried) for width in (4, 8, 16, 48, 96)]
    assert found == [2.0, 2.0, 2.0, 0.5, 0.5]
    assert benchmark.best_factor(8, []) == 1.0


def test_the_plan_keeps_to_the_largest_run(benchmark):
    chosen = benchmark.options(["--seeds", "1", "--largest", "1e11"])
    runs = benchmark.plan(chosen)
    assert runs and all(
        n * benchmark.flops_a_token(width) <= 1e11 for width, n, _, _ in runs
    )
    every = benchmark.plan(benchmark.options(["--seeds", "2", "--largest", "1e99"]))
    assert len(every) == 2 * len(benchmark.WIDTHS) * len(benchmark.TOKENS)


def test_flops_are_those_of_the_package(benchmark):
    """The package counts the tied table once, in the head; here the head is its own."""
    from gptbook.checkpoint import Config

    V, T = len(benchmark.world()[1]), benchmark.lengths()
    config = Config(V, 256, benchmark.N_LAYER, 1, 24)
    matrices = 12 * benchmark.N_LAYER * 24**2 + V * 24
    ours = benchmark.flops_a_token(24) * sum(T)
    vectors = benchmark.N_LAYER * 13 * 24 + 2 * 24  # biases and LayerNorm
    assert ours == pytest.approx(training_flops(config, T) - 6 * vectors * sum(T))
    assert fast.count(benchmark.recipe(24)) == matrices + V * 24


def test_seeds_share_no_story_and_judges_are_apart(benchmark, monkeypatch):
    seen, used, story = [], [], benchmark.story

    def noted(seed):
        seen.append(seed)
        return story(seed)

    monkeypatch.setattr(benchmark, "story", noted)
    for seed in (0, 1):
        benchmark.train(8, 4000, seed)
        used.append({s for s in seen if s < benchmark.FIRST_JUDGE})
        seen.clear()
    assert len(used[0]) == len(used[1]) > 16 and not used[0] & used[1]


def test_until_stops_early(benchmark):
    _, whole = benchmark.train(8, 8000, 0)
    _, half = benchmark.train(8, 8000, 0, until=0.5)
    assert 0.3 * whole < half < 0.7 * whole


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--widths", "8,x"], "--widths must be whole numbers"),
        (["--widths", "6"], "a width must be a multiple of 4, not 6"),
        (["--tokens", "0"], "--tokens must be at least 1, not 0"),
        (["--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--largest", "0"], "--largest must be above 0"),
    ],
)
def test_bad_input_is_refused(benchmark, arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.options(arguments)
    assert message in capsys.readouterr().err


def test_the_recorded_result_is_one(benchmark):
    """What the page reads: the widths and tokens of the script, finished runs alone."""
    rows = read(RESULTS / "scaling_law.csv")
    check(rows, benchmark)
    tried = read(RESULTS / "scaling_law_rates.csv")
    check(tried, benchmark)
    assert {int(row["width"]) for row in rows} == set(benchmark.WIDTHS)
    for row in rows:
        best = benchmark.best_factor(int(row["width"]), tried)
        assert float(row["factor"]) == best
    cells = {(row["width"], row["asked"]) for row in rows}
    wanted = benchmark.plan(benchmark.options(["--seeds", "1"]))
    assert {(str(w), str(n)) for w, n, _, _ in wanted} == cells
