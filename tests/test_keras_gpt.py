"""The GPT in Keras has the weights and the logits of the GPT in NumPy.

Keras takes its backend at the import, so each runs in a process of its own. PyTorch is
always there. TensorFlow and JAX are the extra of requirements-extra.txt; the variable
GPTBOOK_KERAS_PYTHON may name a Python that has them.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gptbook.checkpoint import Config, parameter_shapes, write_safetensors
from gptbook.numpy_gpt import GPT

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "book" / "models" / "tales"


def run(backend, *arguments):
    python = os.environ.get("GPTBOOK_KERAS_PYTHON", sys.executable)
    python = sys.executable if backend == "torch" else python
    env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    return subprocess.run([python, *arguments], env=env, capture_output=True, text=True)


@pytest.fixture(params=["torch", "tensorflow", "jax"])
def backend(request):
    find = "import importlib.util as u; exit(not all(map(u.find_spec, ['keras', %r])))"
    if run(request.param, "-c", find % request.param).returncode:
        pytest.skip(f"Keras or {request.param} is not installed")
    return request.param


def keras_logits(backend, folder, ids, tmp_path):
    files = [tmp_path / "ids.npy", tmp_path / "logits.npy"]
    np.save(files[0], ids)
    done = run(backend, "-m", "gptbook.keras_gpt", str(folder), *map(str, files))
    assert done.returncode == 0, done.stderr
    return np.load(files[1])


def test_the_logits_of_the_shipped_model(backend, tmp_path):
    model = GPT.load(MODEL)
    shape = (2, model.config.block_size)  # a batch of the longest sequences
    ids = np.random.default_rng(0).integers(0, model.config.vocab_size, shape)
    logits = keras_logits(backend, MODEL, ids.astype("int32"), tmp_path)
    assert logits.shape == (*shape, model.config.vocab_size)
    assert logits.dtype == np.float32
    assert np.abs(logits - model(ids)).max() < 1e-4


def test_another_shape_and_every_array_counts(tmp_path):
    """Random gains and biases, three heads, another epsilon: nothing is left out."""
    config = Config(vocab_size=11, block_size=7, n_layer=2, n_head=3, d_model=12,
                    layer_norm_epsilon=0.1)  # fmt: skip
    rng = np.random.default_rng(1)
    params = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }
    config.save(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", params)
    ids = rng.integers(0, 11, (1, 7)).astype("int32")
    logits = keras_logits("torch", tmp_path, ids, tmp_path)
    assert np.abs(logits - GPT(config, params)(ids)).max() < 1e-4


def test_the_number_of_parameters_and_causality():
    program = f"""
import numpy as np
from keras import ops
from gptbook.keras_gpt import GPT
model = GPT.load({str(MODEL)!r})
ids = np.arange(20)[None]
other = ids.copy()
other[0, -1] = 500
a, b = (ops.convert_to_numpy(model(i)) for i in (ids, other))
moved = np.abs(a - b)[0].max(axis=-1)
print(model.count_params(), moved[:-1].max(), moved[-1] > 0.01)
"""
    done = run("torch", "-c", program)
    assert done.stdout.split() == ["957184", "0.0", "True"], done.stderr
