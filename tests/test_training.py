"""Training: the batches, the optimisers, and a run that nothing can derail."""

import dataclasses
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gptbook import data, processes, runs, sources, tales, training
from gptbook.checkpoint import Config, read_safetensors, write_safetensors
from gptbook.tokenizer import Tokenizer
from gptbook.torch_gpt import GPT

TINY = training.CONFIGS["tiny"]
# A text and a model so small that a step takes milliseconds.
SMALL = training.TrainingConfig(
    model=Config(vocab_size=300, block_size=16, n_layer=1, n_head=2, d_model=8),
    steps=200, batch_size=4, matrix_rate=0.02, token_rate=0.004, position_rate=0.001,
    vector_rate=0.002, warmup=5, micro_batches=2, validation_documents=8,
    validate_every=7, checkpoint_every=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run from start to end, never interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    trainer = training.Trainer(TINY, folder)
    trainer.run()
    return trainer


def fresh(finished, folder, config=TINY):
    """A new run; the tokenizer is taken over to save its training."""
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(
        (finished.folder / "tokenizer.json").read_text()
    )
    return training.Trainer(config, folder)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """The path of a text of some 13,000 characters."""
    path = tmp_path_factory.mktemp("text") / "stories.txt"
    stories = (tales.document(seed, "story").text for seed in range(20))
    path.write_text("\n\n".join(s.split("|>")[1].split("<|")[0] for s in stories))
    return path


def small(text, folder, config=SMALL, cls=training.Trainer):
    return cls(config, folder, training.Text(config, text))


def assert_same_state(a, b):
    one, two = a.state(), b.state()
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_micro_batches_hold_each_document_once():
    sequences = [[1, 2, 3], [4, 5, 6, 7, 8], [9, 10], [11, 12, 13, 14]]
    pairs = training.micro_batches(sequences, 2)
    rows = []
    for inputs, targets in pairs:
        assert inputs.shape == targets.shape and inputs.min() >= 0
        assert inputs.shape[1] % 16 == 0  # few shapes
        for row, target in zip(inputs, targets, strict=True):
            n = int((target >= 0).sum())
            assert (target[n:] == -1).all() and (inputs[:, 1:] != -1).all()
            assert row[1:n].tolist() == target[: n - 1].tolist()
            rows.append([int(row[0]), *target[:n].tolist()])
    assert sorted(rows) == sorted(sequences)


def test_micro_batches_add_up_to_the_gradient_of_the_whole_batch(finished):
    torch.manual_seed(1)
    model = GPT(Config(50, 16, 2, 2, 8)).double()
    sequences = [torch.randint(50, (n,)).tolist() for n in (3, 9, 5, 16, 7)]
    n_targets = sum(len(s) - 1 for s in sequences)
    gradients = []
    for n in (1, 2, 5):
        model.zero_grad()
        for inputs, targets in training.micro_batches(sequences, n):
            loss = model(inputs, targets)[1] * (targets >= 0).sum() / n_targets
            loss.backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    for other in gradients[1:]:
        for a, b in zip(gradients[0], other, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_bfloat16_is_for_the_products_only(finished, tmp_path, bfloat16):
    config = dataclasses.replace(TINY, bfloat16=True)
    trainer = fresh(finished, tmp_path / "run", config)
    trainer.run(until=10)
    state = trainer.state()
    assert {array.dtype for array in state.values()} == {np.dtype(np.float32)}
    theirs = [row[2] for row in finished.losses[:10]]
    ours = [row[2] for row in trainer.losses]
    assert ours != theirs  # it is another arithmetic,
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 0.02


def test_orthogonalise_brings_singular_values_near_1():
    torch.manual_seed(0)
    for shape in [(16, 48), (64, 16), (32, 32)]:
        matrix = torch.randn(shape)
        result = training.orthogonalise(matrix)
        assert result.shape == matrix.shape
        values = torch.linalg.svdvals(result)
        # Jordan's coefficients trade exactness for speed: 0.7 to 1.2.
        assert values.min() > 0.4 and values.max() < 1.3
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        assert torch.nn.functional.cosine_similarity(
            result.flatten(), (u @ v).flatten(), dim=0
        ) > 0.95  # fmt: skip


def test_muon_agrees_with_torch_muon():
    """The library's computes in bfloat16, on matrices (out, in)."""
    torch.manual_seed(0)
    settings = {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.9}
    for shape in [(16, 8), (8, 16)]:
        start, gradients = torch.randn(shape), torch.randn(3, *shape)
        ours = torch.nn.Parameter(start.clone())
        theirs = torch.nn.Parameter(start.T.clone())
        muon = training.Muon([ours], **settings)
        reference = torch.optim.Muon([theirs], **settings)
        for gradient in gradients:
            ours.grad, theirs.grad = gradient.clone(), gradient.T.clone()
            muon.step()
            reference.step()
        torch.testing.assert_close(ours, theirs.T, rtol=0.05, atol=0.03)


def test_each_parameter_has_one_optimiser():
    model = GPT(TINY.model)
    seen = [
        id(p)
        for optimiser in training.optimisers(model, TINY)
        for group in optimiser.param_groups
        for p in group["params"]
    ]
    assert sorted(seen) == sorted(id(p) for p in model.parameters())


def test_the_learning_rate_warms_up_and_falls_to_0():
    rates = [training.learning_rate(step, TINY) for step in range(TINY.steps)]
    assert rates[0] == pytest.approx(1 / TINY.warmup)
    assert max(rates) == 1 == rates[TINY.warmup]
    assert rates[-1] == pytest.approx(1 / (TINY.steps - TINY.warmup))
    assert all(0 < rate <= 1 for rate in rates)


def test_the_first_loss_is_that_of_a_guess(finished):
    assert finished.losses[0][2] == pytest.approx(math.log(512), abs=0.1)


def test_it_learns(finished):
    assert finished.losses[-1][3] < 5.6 < finished.losses[0][2]
    assert finished.floor < finished.losses[-1][3]


def test_a_run_writes_a_model_and_its_losses(finished):
    model = finished.folder / "model"
    files = {p.name for p in model.iterdir()}
    expected = {"config.json", "model.safetensors", "tokenizer.json"}
    assert files == expected | {"generation_config.json"}
    loaded = GPT.load(model)
    for a, b in zip(loaded.parameters(), finished.model.parameters(), strict=True):
        assert torch.equal(a, b)
    rows = (finished.folder / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,tokens,training,validation,floor"
    assert len(rows) == TINY.steps + 1
    assert rows[-1].endswith(f",{finished.floor:.4f}")
    assert (finished.folder / "losses.png").stat().st_size > 1000
    tokenizer = Tokenizer.load(model / "tokenizer.json")
    text = tales.document(3).text
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_model_is_the_transformers_model(finished):
    from transformers import AutoTokenizer, GPT2LMHeadModel

    folder = finished.folder / "model"
    reference = GPT2LMHeadModel.from_pretrained(folder).eval()
    ids = finished.tokenizer.encode(tales.document(1).text)
    assert AutoTokenizer.from_pretrained(folder).encode(tales.document(1).text) == ids
    with torch.no_grad():
        theirs = reference(torch.tensor([ids])).logits
        ours = finished.model(torch.tensor([ids]))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_a_stopped_run_goes_on_to_the_same_weights(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=7)  # between two checkpoints
    resumed = training.Trainer(TINY, tmp_path / "run")
    assert resumed.step == 7
    resumed.run()
    assert_same_state(resumed, finished)
    # Stopping at step 7 validated once more; all else is the same.
    assert [row[:3] for row in resumed.losses] == [row[:3] for row in finished.losses]


def test_one_process_does_only_what_the_book_shows(finished, tmp_path):
    """The training step by hand: its weights are those of the program, bit by bit."""
    trainer = fresh(finished, tmp_path / "run")
    torch.manual_seed(TINY.seed)
    model = GPT(TINY.model)
    training.start_tables(model, TINY)
    both = training.optimisers(model, TINY)
    for step in range(5):
        seeds = range(4 * step, 4 * step + 4)
        ids = [trainer.tokenizer.encode(tales.document(seed).text) for seed in seeds]
        n_targets = sum(len(sequence) - 1 for sequence in ids)
        for inputs, targets in training.micro_batches(ids, 2):
            share = (targets >= 0).sum() / n_targets
            (model(inputs, targets)[1] * share).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in both:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * training.learning_rate(step, TINY)
            optimiser.step()
            optimiser.zero_grad()
        trainer.train_step()
    for a, b in zip(model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(a, b)


# A text of one's own


def test_passages_have_the_tokens_of_the_whole(text, finished):
    whole = text.read_text() + "\n\n \n  A  b\n\n\nc   "
    for size in (1, 7, 100, 10**6):
        parts = list(sources.passages(whole, size))
        assert "".join(parts) == whole
        assert len(parts) == 1 if size == 10**6 else len(parts) > 100 / size
        ids = [i for part in parts for i in finished.tokenizer.encode(part)]
        assert ids == finished.tokenizer.encode(whole)
    assert list(sources.passages("x" * 50, 10)) == ["x" * 50]


def test_a_text_is_learnt_from_its_first_nine_tenths(text, tmp_path):
    trainer = small(text, tmp_path)
    whole, tokenizer = text.read_text(), trainer.tokenizer
    training_text, held_out = data.split(whole)
    assert tokenizer.vocab_size == 300 and trainer.floor is None
    again = Tokenizer.train([training_text], 300)
    assert tokenizer.tokens(range(300)) == again.tokens(range(300))
    stream = data.open_tokens(tmp_path / "tokens.npy")
    assert tokenizer.decode(stream) == training_text
    learnt = [trainer.source.sequences(step) for step in range(3)]
    assert all(len(rows) == 4 for rows in learnt)
    assert all(len(row) == 17 for rows in learnt for row in rows)
    assert all(tokenizer.decode(r) in training_text for rows in learnt for r in rows)
    assert len(trainer.validation) == 8
    assert all(tokenizer.decode(row) in held_out for row in trainer.validation)
    # They come from all parts of it: the first block, and one near the end.
    places = [held_out.index(tokenizer.decode(row)) for row in trainer.validation]
    assert places == sorted(places) and places[0] == 0
    assert places[-1] > 0.8 * len(held_out)


def test_the_model_of_a_text_is_the_best_one(text, tmp_path):
    """Rates so high that it first learns and then unlearns."""
    config = dataclasses.replace(
        SMALL, matrix_rate=0.5, token_rate=0.2, vector_rate=0.2, validate_every=5
    )
    trainer = small(text, tmp_path, config)
    trainer.run()
    validated = [row for row in trainer.losses if row[3] is not None]
    best = min(validated, key=lambda row: row[3])
    assert best[0] < config.steps and best[3] < validated[-1][3] - 0.01
    kept = training.GPT.load(tmp_path / "model")
    trainer.model.load_state_dict(kept.state_dict())
    assert trainer.validate() == pytest.approx(best[3], abs=1e-6)
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,tokens,training,validation,floor"
    assert rows[5].count(",") == 4 and rows[5].endswith(f"{validated[0][3]:.4f},")
    assert (tmp_path / "losses.png").stat().st_size > 1000


def test_another_text_is_refused(text, tmp_path):
    small(text, tmp_path / "run").run(until=3)
    other = tmp_path / "other.txt"
    other.write_text(text.read_text() + "x")
    for _ in range(2):
        with pytest.raises(ValueError, match="another configuration: text .* there"):
            small(other, tmp_path / "run")
        # Where there is no checkpoint yet, its tokenizer and tokens would be taken.
        (tmp_path / "run" / "checkpoint.safetensors").unlink(missing_ok=True)
    shutil.copy(text, other)  # the name doesn't matter
    assert small(other, tmp_path / "run").step == 0


@pytest.mark.parametrize(("content", "message"), [
    ("", "has no text"),
    ("To be, or not to be.", "vocab_size 300 is too large"),
])  # fmt: skip
def test_a_text_that_is_too_short_is_refused(tmp_path, content, message):
    path = tmp_path / "short.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        small(path, tmp_path / "run")


# Whatever may happen to a run


class Watched(training.Trainer):
    """Tells through a pipe what it is about to do, so that it can be struck there."""

    pipe = None

    def train_step(self):
        self.pipe.send("step")
        return super().train_step()

    def save(self):
        self.pipe.send("save")
        super().save()


def train_watched(pipe, text, folder):
    """The work of a process that may be killed."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")
    Watched.pipe = pipe
    pipe.send("begin")
    small(text, folder, cls=Watched).run()


def test_killed_30_times_it_has_the_same_weights(text, tmp_path):
    """SIGKILL at random moments, 10 of them about the writing of a checkpoint.

    The processes are forked from one that has loaded PyTorch, which saves its seconds.
    """
    whole = small(text, tmp_path / "whole")
    whole.run()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gptbook.training", "torch._dynamo", "pytest"])
    dice, folder, steps = random.Random(0), tmp_path / "killed", []
    for kill in range(31):
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=train_watched, args=(there, text, folder))
        process.start()
        there.close()
        n, target = dice.randint(1, 7), "step"
        if kill % 3 == 0:
            n, target = dice.randint(1, 3), "save"
        if kill in (1, 2):
            n, target = 1, "begin"  # tokenizer, token file and validation
        if kill < 30:
            while n:
                n -= here.recv() == target
            time.sleep(dice.uniform(0, 0.02))
            process.kill()
        process.join()
        assert process.exitcode == (-signal.SIGKILL if kill < 30 else 0)
        here.close()
        if (folder / "checkpoint.safetensors").exists():
            _, metadata = runs.load_checkpoint(folder / "checkpoint.safetensors")
            steps.append(json.loads(metadata["progress"])["step"])
    assert steps == sorted(steps) and len(set(steps)) > 10 and steps[-2] < SMALL.steps
    resumed = small(text, folder)
    assert resumed.step == SMALL.steps
    assert_same_state(resumed, whole)
    assert resumed.losses == whole.losses
    for path in sorted((tmp_path / "whole").rglob("*.*")):
        if path.suffix != ".png":
            other = folder / path.relative_to(tmp_path / "whole")
            assert path.is_dir() or other.read_bytes() == path.read_bytes(), path
    assert not list(folder.glob(".*"))  # nothing half-written is left


def test_the_command_is_killed_and_given_again(finished, tmp_path):
    folder = tmp_path / "run"
    fresh(finished, folder)
    command = [sys.executable, "-m", "gptbook.training", "--config", "tiny"]
    command += ["--out", str(folder), "--device", "cpu", "--peak", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    said = b""
    while b"tokens/s, MFU" not in said:  # after two steps
        said = process.stderr.read1()
        assert process.poll() is None
    process.kill()
    process.communicate()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "step 20/20" in done.stderr, done.stderr
    assert f"floor {finished.floor:.4f}" in done.stderr
    resumed = training.Trainer(TINY, folder)
    assert resumed.step == TINY.steps
    assert_same_state(resumed, finished)


def test_what_the_command_refuses_is_said_in_one_line(tmp_path, capsys):
    short = tmp_path / "short.txt"
    short.write_text("so short")
    for options, message in [
        (["--config", "huge"], "unknown config 'huge'; there are tales, text, tiny"),
        (["--config", "text"], "needs a text: --text PATH"),
        (["--text", str(tmp_path / "none.txt")], "there is no file"),
        (["--text", str(short)], "too large: the texts have pairs for"),
        (["--config", "tiny", "--steps", "5"], "must be shorter than the run, 5 steps"),
    ]:
        with pytest.raises(SystemExit) as stopped:
            training.main([*options, "--out", str(tmp_path / "run"), "--peak", "1"])
        assert message in str(stopped.value) and "\n" not in str(stopped.value)


def limit_files(n_bytes):
    """From now on a file that grows beyond n_bytes fails as on a full disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


FULL_DISK = """
import sys
sys.path.insert(0, sys.argv[1])
import test_training as t
trainer = t.small(sys.argv[2], sys.argv[3])
t.limit_files(int(sys.argv[4]))
try:
    trainer.run(until=trainer.step + 6)
except OSError as error:
    print(error.errno, error)
"""


def test_a_full_disk_leaves_the_last_checkpoint(text, tmp_path):
    trainer = small(text, tmp_path)
    trainer.run(until=3)
    names = {path.name for path in tmp_path.iterdir()}
    before = trainer.checkpoint.read_bytes()
    half = len(before) // 2  # the file grows to this size and no further
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(Path(__file__).parent), str(text),
         str(tmp_path), str(half)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for words in ("File too large", "make room", "saved before is whole", "checkpoint"):
        assert words in done.stdout
    assert trainer.checkpoint.read_bytes() == before
    left = {path.name for path in tmp_path.iterdir()}
    assert left - names <= {"model"}  # step 7 had a validation
    assert not list(tmp_path.rglob(".*"))
    assert small(text, tmp_path).step == 3


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")
def test_a_disk_that_is_really_full(text, tmp_path):
    """A file system in memory, too small for a second checkpoint beside the first."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(disk)],
        capture_output=True,
    ).returncode:  # fmt: skip
        pytest.skip("no file system may be mounted here")
    try:
        trainer = small(text, disk / "run")
        trainer.run(until=3)
        before = trainer.checkpoint.read_bytes()
        filler = disk / "filler"
        with pytest.raises(OSError), open(filler, "wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises(OSError, match="No space left.*'.*model'"):
            trainer.run(until=6)  # a step too small for a file of a new name
        with pytest.raises(OSError, match="No space left.*checkpoint.safetensors"):
            trainer.save()
        assert trainer.checkpoint.read_bytes() == before
        assert not list(disk.rglob(".*"))
        filler.unlink()
        resumed = small(text, disk / "run")
        resumed.run(until=6)
        assert resumed.step == 6
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_checkpoint_of_another_config_is_refused(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=1)
    other = dataclasses.replace(TINY, batch_size=6)
    for _ in range(2):
        with pytest.raises(ValueError, match="batch_size 4 there, 6 here"):
            training.Trainer(other, tmp_path / "run")
        # Without these, the checkpoint itself says of which configuration it is.
        (tmp_path / "run" / "settings.json").unlink()


def test_another_story_world_is_refused(finished, tmp_path, monkeypatch):
    fresh(finished, tmp_path / "run").run(until=1)
    document = tales.document
    monkeypatch.setattr(tales, "document", lambda seed: document(seed + 1))
    with pytest.raises(ValueError, match="another configuration: documents .* there"):
        training.Trainer(TINY, tmp_path / "run")


def test_another_tokenizer_is_refused(text, tmp_path):
    trainer = small(text, tmp_path)
    trainer.run(until=1)
    Tokenizer.train(["abc" * 9 + text.read_text()], 300).save(
        tmp_path / "tokenizer.json"
    )
    with pytest.raises(ValueError, match="another tokenizer"):
        small(text, tmp_path)


def test_a_damaged_checkpoint_is_refused(text, tmp_path):
    """Cut off anywhere, or with one byte changed anywhere, and left as it is."""
    trainer = small(text, tmp_path)
    trainer.run(until=3)
    good = trainer.checkpoint.read_bytes()
    dice = random.Random(0)
    for n in [0, 1, 7, 8, 9, *dice.sample(range(len(good)), 30), len(good) - 1]:
        changed = bytearray(good)
        changed[n] ^= 1 << dice.randrange(8)
        for bad in (good[:n], bytes(changed), good[:n] + good[n + 1 :], good + b"\0"):
            trainer.checkpoint.write_bytes(bad)
            with pytest.raises(ValueError, match="checkpoint.safetensors.*delete it"):
                trainer.load()
            assert trainer.checkpoint.read_bytes() == bad
    trainer.checkpoint.write_bytes(good)
    assert_same_state(small(text, tmp_path), trainer)


def test_what_is_no_checkpoint_is_refused(text, tmp_path):
    trainer = small(text, tmp_path)
    trainer.run(until=1)
    write_safetensors(trainer.checkpoint, trainer.state(), {"format": "pt"})
    with pytest.raises(ValueError, match="no checkpoint of this version"):
        small(text, tmp_path)


def test_no_pickle_is_loaded():
    for path in Path(training.__file__).parent.rglob("*.py"):
        for word in ("pickle.load", "torch.load", "allow_pickle=True", "import pickle"):
            assert word not in path.read_text(encoding="utf-8"), path


def test_a_loss_that_is_no_number_stops_the_run(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=5)
    before = trainer.checkpoint.read_bytes()
    with torch.no_grad():
        trainer.model.transformer["ln_f"].weight[0] = float("nan")
    with pytest.raises(FloatingPointError, match="loss is nan .* at step 5"):
        trainer.run()
    assert trainer.checkpoint.read_bytes() == before


def test_a_gradient_that_is_no_number_stops_the_run(text, tmp_path):
    """The loss alone would let it into the weights, and these into a checkpoint."""
    trainer = small(text, tmp_path)
    trainer.run(until=3)
    before, weights = trainer.checkpoint.read_bytes(), trainer.state()
    trainer.model.transformer["wte"].weight.register_hook(lambda grad: grad * math.inf)
    with pytest.raises(FloatingPointError, match="norm of the gradient .* at step 3"):
        trainer.run()
    assert trainer.checkpoint.read_bytes() == before
    assert all(np.isfinite(array).all() for array in weights.values())


def test_weights_that_are_no_numbers_are_not_saved(text, tmp_path):
    trainer = small(text, tmp_path)
    trainer.run(until=3)
    before = trainer.checkpoint.read_bytes()
    with torch.no_grad():
        trainer.model.transformer["wpe"].weight[0] = math.inf
    with pytest.raises(FloatingPointError, match="not finite at step 3"):
        trainer.save()
    assert trainer.checkpoint.read_bytes() == before


@pytest.mark.parametrize(("settings", "message"), [
    ({"steps": 5}, "must be shorter than the run, 5 steps"),
    ({"warmup": 0}, "the warm-up, 0 steps"),
    ({"model": Config(300, 20, 1, 2, 8)}, "block_size 20 is not a multiple of 16"),
])  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **settings)


# Speed


def test_the_operations_are_those_that_pytorch_counts():
    config = Config(vocab_size=50, block_size=32, n_layer=3, n_head=2, d_model=16)
    model = GPT(config)
    for T in (7, 32):
        ids = torch.zeros(1, T, dtype=torch.long)
        # The fused kernel of CPUs is one that the counter doesn't know.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(ids, ids)[1].backward()
        vectors = sum(p.numel() for p in model.parameters() if p.ndim == 1)
        ours = processes.training_flops(config, [T])
        assert ours - 6 * vectors * T == counter.get_total_flops()
        assert processes.training_flops(config, [T, T]) == 2 * ours


def test_the_speed_leaves_out_the_first_step():
    speed = processes.Speed(peak=1000)
    assert str(speed) == ""
    speed.add(tokens=1, flops=1, seconds=100)  # which compiles, warms up, ...
    assert str(speed) == ""
    speed.add(tokens=30, flops=600, seconds=1)
    speed.add(tokens=10, flops=200, seconds=1)
    assert str(speed) == "20 tokens/s, MFU 40%"
    speed.peak = None
    assert str(speed) == "20 tokens/s"


def test_the_peak_is_of_a_likely_size():
    peak = processes.measure_peak(torch.device("cpu"), torch.float32, size=256)
    assert 1e7 < peak < 1e15


def test_an_unknown_config_is_refused():
    with pytest.raises(ValueError, match="unknown config 'huge'; there are tales"):
        training.get_config("huge")


SHIPPED = Path(__file__).parent.parent / "book" / "models" / "tales"


def test_the_shipped_tokenizer_is_the_one_its_config_trains():
    config = training.CONFIGS["tales"]
    tokenizer = training.train_tokenizer(config)
    shipped = Tokenizer.load(SHIPPED / "tokenizer.json")
    text = tales.document(10**6).text
    assert tokenizer.vocab_size == shipped.vocab_size == config.model.vocab_size
    assert tokenizer.tokens(range(1024)) == shipped.tokens(range(1024))
    assert tokenizer.encode(text) == shipped.encode(text)


def test_the_shipped_model_is_of_its_config():
    assert Config.load(SHIPPED) == training.CONFIGS["tales"].model
    size = sum(p.stat().st_size for p in SHIPPED.iterdir())
    assert size < 8e6
    arrays = read_safetensors(SHIPPED / "model.safetensors")
    assert all(np.isfinite(a).all() for a in arrays.values())


def test_the_shipped_model_is_as_good_as_its_record_says():
    """A fresh sample of held-out documents against evaluation.json."""
    from gptbook import evaluation
    from gptbook.numpy_gpt import GPT as NumpyGPT

    record = json.loads((SHIPPED / "evaluation.json").read_text())
    model = NumpyGPT.load(SHIPPED)
    tokenizer = Tokenizer.load(SHIPPED / "tokenizer.json")
    for kind in tales.KINDS:
        documents = evaluation.held_out(kind, 40, start=2**42)
        loss, floor = evaluation.loss_and_floor(model, tokenizer, documents)
        above = record["loss"][kind]["percent_above"]
        assert abs(100 * (loss / floor - 1) - above) < 1.5, kind
    # Of n new stories, about as many are right as the record lets expect.
    share = record["tasks"]["story"]["right"] / record["tasks"]["story"]["of"]
    n, rng = 30, np.random.default_rng(1)
    right = sum(
        why is None for _, why in evaluation.sample_stories(model, tokenizer, n, rng)
    )
    assert abs(right - n * share) < 1 + 3.5 * math.sqrt(n * share * (1 - share))
