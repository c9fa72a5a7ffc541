"""Training with several processes: the same as with one, and none waits for the dead.

Most processes here are forked from one that has loaded PyTorch, which saves the seconds
that it takes (on Windows they are started anew); one test uses torchrun itself.
"""

import contextlib
import dataclasses
import datetime
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gptbook import processes, runs, tales, training
from gptbook.checkpoint import Config
from gptbook.torch_gpt import GPT

STORIES = training.TrainingConfig(
    model=Config(vocab_size=512, block_size=512, n_layer=1, n_head=2, d_model=16),
    steps=12, batch_size=5, matrix_rate=0.02, token_rate=0.004, position_rate=0.001,
    vector_rate=0.002, warmup=4, micro_batches=4, tokenizer_documents=100,
    validation_documents=5, validate_every=4, checkpoint_every=2,
)  # fmt: skip


def number(rank, world, port, timeout=60):
    """Makes this process one of several, as torchrun would."""
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )  # fmt: skip
    sys.stderr = open(os.devnull, "w")
    torch.set_num_threads(1)
    processes.TIMEOUT = datetime.timedelta(seconds=timeout)


def run(rank, world, port, folder, config=STORIES, until=None, timeout=60):
    """The work of one process among several."""
    number(rank, world, port, timeout)
    trainer = Told(config, folder)
    trainer.run(until)
    sums = [float(p.detach().double().sum()) for p in trainer.model.parameters()]
    for total in sums:  # all have the same weights, to the last bit
        assert len(set(trainer.processes.gather(total))) == 1
    shared = trainer.validate()
    trainer.validation = trainer.validation[:1]  # the others have nothing to do
    assert abs(trainer.validate() - shared) < 1
    trainer.close()


class Told(training.Trainer):
    """Leaves a note of each file that it saves, and of its process at each step."""

    def train_step(self):
        note = self.folder / f"rank{self.processes.rank}.txt"
        with open(note, "a") as file:
            file.write(f"{os.getpid()} {self.step} {len(self.lengths or ())}\n")
        return super().train_step()

    lengths = None

    def save(self):
        assert self.processes.rank == 0
        super().save()

    def export(self):
        assert self.processes.rank == 0
        super().export()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(world, folder, target=run, **options):
    """Starts `target` in `world` processes."""
    if sys.platform == "win32":
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["gptbook.training", "torch._dynamo", "pytest"])
    port = free_port()
    started = [
        context.Process(
            target=target, args=(r, world, port, folder), kwargs=options, daemon=True
        )
        for r in range(world)
    ]
    for process in started:
        process.start()
    return started


def together(world, folder, **options):
    started = start(world, folder, **options)
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * world


def losses(folder):
    """(training losses, validation losses) in the checkpoint of a folder."""
    _, metadata = runs.load_checkpoint(folder / "checkpoint.safetensors")
    rows = json.loads(metadata["progress"])["losses"]
    return [row[2] for row in rows], [row[3] for row in rows if row[3] is not None]


def assert_same_curve(a, b, bound=1e-4):
    for one, two in zip(losses(a), losses(b), strict=True):
        assert len(one) == len(two) > 0
        assert max(abs(x - y) for x, y in zip(one, two, strict=True)) < bound


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run with one process."""
    folder = tmp_path_factory.mktemp("alone")
    training.Trainer(STORIES, folder).run()
    return folder


def test_rows_are_shared_out_without_overlap(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(tales.document(seed).text for seed in range(8)))
    config = dataclasses.replace(
        STORIES, batch_size=7, model=Config(300, 16, 1, 1, 8), tokenizer_documents=20
    )
    for source in (training.Tales(config), training.Text(config, path)):
        source.prepare(tmp_path)
        for step in (0, 3):
            whole = [list(row) for row in source.sequences(step)]
            assert len(whole) == 7
            for world in range(1, 8):
                shares = [source.sequences(step, rank, world) for rank in range(world)]
                sizes = [len(share) for share in shares]
                assert max(sizes) - min(sizes) <= 1 and sum(sizes) == 7
                rows = [list(row) for share in shares for row in share]
                assert sorted(rows) == sorted(whole)
        for path_ in tmp_path.glob("tok*"):  # the next source makes its own
            path_.unlink()


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_learn_what_one_does(alone, tmp_path, world):
    """5 rows are shared unequally, and with 2 processes in two micro-batches each."""
    together(world, tmp_path)
    assert_same_curve(alone, tmp_path)
    one, two = (GPT.load(folder / "model") for folder in (alone, tmp_path))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-3)
    names = {path.name for path in tmp_path.iterdir() if path.name[:4] != "rank"}
    assert names == {path.name for path in alone.iterdir()}


def test_gradients_are_those_of_the_whole_batch(tmp_path):
    """Not the mean of the processes' means: their rows have unequal lengths."""
    trainer = training.Trainer(STORIES, tmp_path)
    ids = trainer.source.sequences(0)
    shares = [trainer.source.sequences(0, rank, 2) for rank in range(2)]
    counts = [sum(len(row) - 1 for row in share) for share in shares]
    assert abs(counts[0] / counts[1] - 1) > 0.1

    def gradient(rows):
        trainer.model.zero_grad()
        [(inputs, targets)] = training.micro_batches(rows, 1)
        trainer.model(inputs, targets)[1].backward()
        return trainer.model.transformer["wte"].weight.grad.clone()

    whole, parts = gradient(ids), [gradient(share) for share in shares]
    naive = sum(parts) / 2
    weighted = sum(n * part for n, part in zip(counts, parts, strict=True))
    assert (weighted / sum(counts) - whole).abs().max() < 1e-7
    assert (naive - whole).abs().max() > 1e-4


def test_a_run_goes_on_with_another_number_of_processes(alone, tmp_path):
    for world, until in [(2, 3), (1, 5), (3, 8), (2, None)]:
        together(world, tmp_path, until=until)
    assert_same_curve_but_stops(alone, tmp_path)


def test_two_processes_go_on_to_the_same_bits(tmp_path):
    """A sum of two numbers has no order; one of three has, and may come out another."""
    together(2, tmp_path / "straight")
    together(2, tmp_path / "stopped", until=5)
    together(2, tmp_path / "stopped")
    (one, _), (two, _) = (
        runs.load_checkpoint(tmp_path / name / "checkpoint.safetensors")
        for name in ("straight", "stopped")
    )
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def assert_same_curve_but_stops(a, b):
    """Each stop validated once more; the training losses are the same."""
    (one, _), (two, _) = losses(a), losses(b)
    assert len(one) == len(two) == STORIES.steps
    assert max(abs(x - y) for x, y in zip(one, two, strict=True)) < 1e-4


def test_a_process_that_is_killed_stops_the_others(alone, tmp_path):
    started = start(2, tmp_path, timeout=600)
    note = tmp_path / "rank1.txt"
    while not note.exists() or note.read_text().count("\n") < 5:
        time.sleep(0.01)
    started[1].kill()
    started[0].join(120)  # far below the timeout
    assert started[0].exitcode not in (0, None)
    runs.load_checkpoint(tmp_path / "checkpoint.safetensors")
    training.Trainer(STORIES, tmp_path).run()  # by one
    assert_same_curve(alone, tmp_path)


class Full(training.Trainer):
    """A run whose process 1 meets an error of the disk."""

    def train_step(self):
        if self.step == 7 and self.processes.rank == 1:
            raise OSError(28, "No space left on device")
        return super().train_step()


def fail(rank, world, port, folder):
    """The command, in a process of which one fails; it leaves a note of its end."""
    number(rank, world, port, timeout=600)
    training.Trainer = Full
    options = ["--config", "tiny", "--device", "cpu", "--peak", "1", "--out", folder]
    try:
        training.main([str(option) for option in options])
    except SystemExit as stopped:
        note = f"{stopped} {torch.distributed.is_initialized()}"
        (folder / f"end{rank}.txt").write_text(note)
        raise


def test_an_error_of_one_process_stops_the_others(tmp_path):
    """The one says what it was and leaves the group; the others don't wait for it."""
    started = start(2, tmp_path, target=fail)
    for process in started:
        process.join(120)  # far below the timeout
    assert [process.exitcode for process in started] == [1, 1]
    note = (tmp_path / "end1.txt").read_text()
    assert note == "OSError: [Errno 28] No space left on device False"
    _, metadata = runs.load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert json.loads(metadata["progress"])["step"] == 5


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGSTOP")
def test_nobody_waits_for_ever(tmp_path):
    """A process that is frozen is given up after the timeout."""
    started = start(2, tmp_path, timeout=5)
    note = tmp_path / "rank1.txt"
    while not note.exists() or note.read_text().count("\n") < 3:
        time.sleep(0.01)
    os.kill(started[1].pid, signal.SIGSTOP)
    try:
        started[0].join(60)
        assert started[0].exitcode not in (0, None)
    finally:
        started[1].kill()
        started[1].join()
    assert training.Trainer(STORIES, tmp_path).step >= 2


def test_more_processes_than_rows_are_refused(tmp_path, monkeypatch):
    here = processes.Processes("cpu")
    monkeypatch.setattr(here, "world", 6)
    with pytest.raises(ValueError, match="6 processes can't share the 5 sequences"):
        training.Trainer(STORIES, tmp_path, processes=here)


def test_folders_that_differ_are_refused(tmp_path, monkeypatch):
    """As on two machines without a common disk, where one has a checkpoint."""
    training.Trainer(STORIES, tmp_path).run(until=1)
    here = processes.Processes("cpu")
    monkeypatch.setattr(here, "gather", lambda number: [number, 0])
    with pytest.raises(ValueError, match=r"at the steps \[1, 0\]: .* share"):
        training.Trainer(STORIES, tmp_path, processes=here)


@pytest.mark.parametrize("gpus", [False, True])
def test_each_process_has_its_gpu(monkeypatch, gpus):
    """And NCCL is for GPUs, gloo for CPUs."""
    made = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    join = "init_process_group"
    monkeypatch.setattr(torch.distributed, join, lambda kind, **_: made.append(kind))
    for name, value in {"RANK": "11", "LOCAL_RANK": "3", "WORLD_SIZE": "16"}.items():
        monkeypatch.setenv(name, value)
    here = processes.Processes()
    assert (here.rank, here.world) == (11, 16)
    if gpus:
        assert here.device == torch.device("cuda", 3)
        assert made == [here.device, "nccl"]
    else:
        assert here.device == torch.device("cpu") and made == ["gloo"]


# The stand-in for torchrun on Windows

TALK = """
import sys, torch, torch.distributed as dist
from gptbook.processes import Processes, leave
here = Processes("cpu")
print(f"{here.gather(here.rank)} {sys.argv[1]}\\n", end="")
leave()
"""
HANG = """
import os, sys, time
time.sleep(0 if os.environ["RANK"] == "2" else 200)
sys.exit(3)
"""


def launch(n, program, *arguments):
    command = [sys.executable, "-m", "gptbook.processes", str(n), "-c", program]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


def test_the_stand_in_starts_processes_that_find_each_other():
    done = launch(3, TALK, "told")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[0.0, 1.0, 2.0] told"] * 3


def test_the_stand_in_ends_all_when_one_fails():
    start = time.monotonic()
    assert launch(3, HANG).returncode == 3
    assert time.monotonic() - start < 150  # the others would sleep for 200 s


# With torchrun

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
COMMAND = ["-m", "gptbook.training", "--config", "tiny", "--device", "cpu"]
COMMAND += ["--steps", "100", "--peak", "1"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def children(pid):
    """The processes that a process has started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                yield int(stat.parent.name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_torchrun_gives_the_same_curve_even_after_a_death(tmp_path):
    """100 steps: with 2 processes, of which one dies; again with 2; and with 1."""
    folder = tmp_path / "two"
    command = [*TORCHRUN, "--nproc_per_node", "2", *COMMAND, "--out", str(folder)]
    first = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    while not (folder / "checkpoint.safetensors").exists():  # step 5
        assert first.poll() is None
        time.sleep(0.05)
    [_, worker] = sorted(children(first.pid))
    os.kill(worker, signal.SIGKILL)
    _, said = first.communicate(timeout=60)
    assert first.returncode != 0 and b"SIGKILL" in said
    before = len(losses(folder)[0])
    assert 5 <= before < 100
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("step 100/100") >= 1
    config = dataclasses.replace(training.CONFIGS["tiny"], steps=100)
    training.Trainer(config, tmp_path / "one").run()
    assert_same_curve(folder, tmp_path / "one")
    assert len(losses(folder)[0]) == 100
    assert np.isfinite(losses(folder)[0]).all()
