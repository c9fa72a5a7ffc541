"""Training: the batches, the optimisers, and a run that nothing can derail."""

import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gptbook import tales, training
from gptbook.checkpoint import Config, read_safetensors
from gptbook.tokenizer import Tokenizer
from gptbook.torch_gpt import GPT

TINY = training.CONFIGS["tiny"]


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


def test_a_killed_run_goes_on_to_the_same_weights(finished, tmp_path):
    """SIGKILL at random moments, as often as it takes to get through."""
    folder = tmp_path / "run"
    fresh(finished, folder)
    command = [sys.executable, "-m", "gptbook.training", "--config", "tiny"]
    dice, kills = random.Random(0), 0
    while not (folder / "losses.png").exists():
        process = subprocess.Popen(
            [*command, "--out", str(folder)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        if kills < 4:
            # Wait for the first steps, then strike anywhere in what follows.
            while b"step/s" not in process.stderr.read1():
                assert process.poll() is None
            time.sleep(dice.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills >= 1
    resumed = training.Trainer(TINY, folder)
    assert resumed.step == TINY.steps
    assert_same_state(resumed, finished)
    leftovers = {p.name for p in folder.iterdir()} - {
        "checkpoint.safetensors", "losses.csv", "losses.png", "model", "tokenizer.json",
    }  # fmt: skip
    assert all(name.endswith(".tmp") for name in leftovers)


def test_the_checkpoint_of_another_config_is_refused(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=1)
    other = dataclasses.replace(TINY, batch_size=6)
    with pytest.raises(ValueError, match="batch_size 4 there, 6 here"):
        training.Trainer(other, tmp_path / "run")


def test_a_damaged_checkpoint_is_refused(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=1)
    data = trainer.checkpoint.read_bytes()
    trainer.checkpoint.write_bytes(data[:-100])
    with pytest.raises(ValueError, match="checkpoint.safetensors"):
        training.Trainer(TINY, tmp_path / "run")


def test_a_loss_that_is_no_number_stops_the_run(finished, tmp_path):
    trainer = fresh(finished, tmp_path / "run")
    trainer.run(until=5)
    before = trainer.checkpoint.read_bytes()
    with torch.no_grad():
        trainer.model.transformer["ln_f"].weight[0] = float("nan")
    with pytest.raises(FloatingPointError, match="nan at step 5"):
        trainer.run()
    assert trainer.checkpoint.read_bytes() == before


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
