"""The benchmark of generation gives a valid result. No test here asserts a time."""

import csv
import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "generate_speed.py"
RESULT = ROOT / "benchmarks" / "results" / "generate_speed.csv"
PROGRAMS = ["transformers", "gptbook, NumPy", "gptbook, PyTorch"]


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(rows, model, tokens, runs):
    """What makes a result valid."""
    assert [row["program"] for row in rows] == PROGRAMS
    for row in rows:
        speed, slowest, fastest, ratio = (
            float(row[name])
            for name in ("tokens_per_second", "slowest", "fastest", "ratio")
        )
        assert 0 < slowest <= speed <= fastest < math.inf
        assert 0 < ratio < math.inf
        assert row["model"] == model and row["same_ids"] == "all"
        assert int(row["tokens"]) == tokens and int(row["runs"]) == runs
        assert row["processor"] and row["versions"].count(" ") == 5
    assert float(rows[0]["ratio"]) == 1


def test_short_mode_from_the_command_line(tmp_path):
    """On the book's model, as a reader would run it."""
    out = tmp_path / "new" / "speed.csv"
    command = [sys.executable, SCRIPT, "--short", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read(out)
    check(rows, "tales", tokens=8, runs=1)
    for row in rows:
        assert row["program"] in done.stdout
        assert int(row["parameters"]) == 957_184


def test_random_weights_and_rows_that_are_replaced(benchmark, tmp_path, capsys):
    out = tmp_path / "speed.csv"
    tiny = ["--size", "tiny", "--runs", "2", "--tokens", "40", "--out", str(out)]
    for clock in ("wall", "cpu"):
        benchmark.main([*tiny, "--clock", clock])
        rows = read(out)
        check(rows, "random tiny", tokens=40, runs=2)
        assert [row["clock"] for row in rows] == [clock] * 3
    other = [{**row, "model": "other"} for row in rows]
    benchmark.save(other, out)
    more = [{**row, "threads": "2"} for row in rows]
    benchmark.save(more, out)
    assert read(out) == rows + other + more
    assert "random tiny: 30,624 parameters, float32" in capsys.readouterr().out


def test_random_text_does_not_stand_still(benchmark, tmp_path):
    benchmark.write_random_model("tiny", tmp_path)
    for write in benchmark.load_writers(tmp_path, [1, 2, 3], 50).values():
        assert len(write()) == 50 and len(set(write())) > 10


def test_a_text_that_differs_is_reported(benchmark, capsys):
    assert benchmark.first_difference([3, 1, 4], [3, 1, 4]) is None
    assert benchmark.first_difference([3, 1, 4, 1], [3, 1, 5, 1]) == 2
    with pytest.raises(ValueError):
        benchmark.first_difference([3], [3, 1])


def test_programs_take_turns_and_each_is_first(benchmark):
    order, ticks = [], itertools.count()
    writers = {name: lambda name=name: order.append(name) for name in "abc"}
    seconds = benchmark.time_in_turns(writers, 4, lambda: next(ticks))
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert seconds == {name: [1] * 4 for name in "abc"}


@pytest.mark.parametrize("name", ["prompt", "tokens", "runs", "threads"])
def test_settings_out_of_range_are_refused(benchmark, name, capsys):
    with pytest.raises(SystemExit):
        benchmark.options([f"--{name}", "0"])
    assert f"--{name} must be at least 1, not 0" in capsys.readouterr().err


def test_too_long_a_text_is_refused(benchmark):
    with pytest.raises(SystemExit, match="16 [+] 49 tokens don't fit.*context of 64"):
        benchmark.main(["--size", "tiny", "--tokens", "49"])


def test_the_recorded_result_is_one():
    """What the page on generation reads; recorded by hand, in full length."""
    rows = read(RESULT)
    for model, threads in itertools.product(("tales", "random 124M"), "12"):
        of_kind = [r for r in rows if (r["model"], r["threads"]) == (model, threads)]
        first = of_kind[0]
        check(of_kind, model, int(first["tokens"]), int(first["runs"]))
        assert int(first["runs"]) >= 5 and first["clock"] == "wall"
