"""Configurations, parameter shapes, and safetensors files, sound and damaged."""

import json
import os
import pickle
import re

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gptbook.checkpoint import (
    DTYPES,
    Config,
    check_parameters,
    count_parameters,
    load_parameters,
    parameter_shapes,
    read_safetensors,
    write_safetensors,
)

SMALL = Config(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, d_model=768)
XL = Config(vocab_size=50257, block_size=1024, n_layer=48, n_head=25, d_model=1600)
TINY = Config(vocab_size=11, block_size=5, n_layer=2, n_head=2, d_model=4)


# The configuration


def test_d_head_is_the_width_of_one_head():
    assert (SMALL.d_head, XL.d_head, TINY.d_head) == (64, 64, 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"d_model": 6, "n_head": 4}, ValueError, "d_model 6 .* multiple of n_head 4"),
        ({"n_layer": 0}, ValueError, "n_layer must be at least 1, not 0"),
        ({"vocab_size": -3}, ValueError, "vocab_size must be at least 1, not -3"),
        ({"block_size": 2.0}, TypeError, "block_size must be an integer, not 2.0"),
        ({"n_head": True}, TypeError, "n_head must be an integer, not True"),
        ({"layer_norm_epsilon": 0}, ValueError, "epsilon must be positive, not 0"),
        ({"layer_norm_epsilon": float("nan")}, ValueError, "positive, not nan"),
    ],
)
def test_impossible_sizes_are_refused(change, error, message):
    sizes = {"vocab_size": 8, "block_size": 8, "n_layer": 1, "n_head": 1, "d_model": 8}
    with pytest.raises(error, match=message):
        Config(**(sizes | change))


def test_config_survives_its_file(tmp_path):
    config = Config(11, 5, 2, 2, 4, layer_norm_epsilon=1e-3)
    config.save(tmp_path / "a" / "b", bos_token_id=3, eos_token_id=4)
    assert Config.load(tmp_path / "a" / "b") == config
    theirs = transformers.GPT2Config.from_pretrained(tmp_path / "a" / "b")
    assert theirs.n_positions == 5 and theirs.n_embd == 4 and theirs.n_inner is None
    assert theirs.layer_norm_epsilon == 1e-3
    assert theirs.attn_pdrop == theirs.embd_pdrop == theirs.resid_pdrop == 0
    assert (theirs.bos_token_id, theirs.eos_token_id) == (3, 4)
    assert theirs.architectures == ["GPT2LMHeadModel"]
    theirs.save_pretrained(tmp_path)
    assert Config.load(tmp_path) == config


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model_type", "llama", "model_type is 'llama', not 'gpt2'"),
        ("activation_function", "gelu", "activation_function is 'gelu', not 'gelu_new"),
        ("scale_attn_by_inverse_layer_idx", True, "inverse_layer_idx is True"),
        ("scale_attn_weights", False, "scale_attn_weights is False, not True"),
        ("tie_word_embeddings", False, "tie_word_embeddings is False, not True"),
        ("n_head", 3, "d_model 4 is not a multiple of n_head 3"),
        ("n_embd", None, "lacks n_embd"),
        ("model_type", None, "lacks model_type"),
    ],
)
def test_another_model_is_refused(name, value, message, tmp_path):
    TINY.save(tmp_path)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text()) | {name: value}
    if value is None:
        del settings[name]
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=message):
        Config.load(tmp_path)


# The parameters


def test_parameters_of_gpt2_are_counted_right():
    assert count_parameters(SMALL) == 124_439_808
    assert count_parameters(XL) == 1_557_611_200


def test_shapes_are_those_of_transformers():
    theirs = transformers.GPT2Model(
        transformers.GPT2Config(
            vocab_size=11, n_positions=5, n_layer=2, n_head=2, n_embd=4
        )
    )
    expected = {n: tuple(p.shape) for n, p in theirs.named_parameters()}
    assert parameter_shapes(TINY) == expected
    assert list(parameter_shapes(TINY)) == list(expected)


def tiny_params():
    rng = np.random.default_rng(0)
    shapes = parameter_shapes(TINY).items()
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes}


def test_every_misfit_is_listed():
    params = tiny_params()
    check_parameters(params, TINY)
    del params["ln_f.bias"], params["h.1.mlp.c_fc.weight"]
    params["h.2.ln_1.bias"] = np.zeros(4)
    params["wte.weight"] = params["wte.weight"].T
    with pytest.raises(ValueError) as error:
        check_parameters(params, TINY)
    for fault in (
        "ln_f.bias is missing",
        "h.1.mlp.c_fc.weight is missing",
        "h.2.ln_1.bias is unexpected",
        "wte.weight has shape (4, 11), not (11, 4)",
    ):
        assert fault in str(error.value)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_parameters_load_as_others_write_them(prefix, tmp_path):
    params = tiny_params()
    arrays = {prefix + name: array for name, array in params.items()}
    for i in range(2):
        arrays[f"{prefix}h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 5, 5), bool))
        arrays[f"{prefix}h.{i}.attn.masked_bias"] = np.float32(-1e4)
    arrays["lm_head.weight"] = params["wte.weight"].copy()
    write_safetensors(tmp_path / "model.safetensors", arrays)
    loaded = load_parameters(tmp_path, TINY)
    assert loaded.keys() == params.keys()
    for name in params:
        assert np.array_equal(loaded[name], params[name])
        assert loaded[name].flags.writeable


def test_parameters_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    params = tiny_params()
    write_safetensors(path, params | {"lm_head.weight": params["wte.weight"] + 1})
    with pytest.raises(ValueError, match="lm_head.weight differs from wte.weight"):
        load_parameters(tmp_path, TINY)
    write_safetensors(path, params | {"transformer.ln_f.bias": params["ln_f.bias"]})
    with pytest.raises(ValueError, match="ln_f.bias twice, with and without a prefix"):
        load_parameters(tmp_path, TINY)
    write_safetensors(path, params | {"h.1.attn.rotary": params["ln_f.bias"]})
    with pytest.raises(ValueError, match="h.1.attn.rotary is unexpected"):
        load_parameters(tmp_path, TINY)


# Sound files

KINDS = ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "i1", "u1", "?"]


def assert_equal_arrays(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].shape == b[name].shape and a[name].dtype == b[name].dtype
        assert a[name].tobytes() == b[name].tobytes()  # NaN too


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=8).filter(
            lambda name: name != "__metadata__"
        ),
        st.sampled_from(KINDS).flatmap(
            lambda kind: hnp.arrays(
                kind, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)
            )
        ),
        max_size=5,
    ),
    metadata=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
def test_files_are_exchanged_with_the_library(arrays, metadata, tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, arrays, metadata)
    ours, our_metadata = read_safetensors(path, with_metadata=True)
    assert_equal_arrays(ours, arrays)
    assert our_metadata == metadata
    assert_equal_arrays(safetensors.numpy.load_file(path), arrays)
    with safetensors.safe_open(path, "np") as file:
        assert (file.metadata() or {}) == metadata
    safetensors.numpy.save_file(arrays, path, metadata or None)
    assert_equal_arrays(read_safetensors(path), arrays)


def test_every_dtype_of_the_format_is_known(tmp_path):
    assert [*DTYPES] == [
        "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"
    ]  # fmt: skip
    arrays = {kind: np.array([[0, 1, 1]]).astype(kind) for kind in KINDS}
    write_safetensors(tmp_path / "a", arrays)
    assert_equal_arrays(safetensors.numpy.load_file(tmp_path / "a"), arrays)


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 0), (2, 3)])
def test_bfloat16_is_widened(shape, tmp_path):
    x = torch.randn(shape).bfloat16()
    safetensors.torch.save_file({"x": x}, tmp_path / "a")
    array = read_safetensors(tmp_path / "a")["x"]
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
    assert array.shape == shape
    assert np.array_equal(array, x.float().numpy())


def test_bytes_are_always_the_same(tmp_path):
    a, b = np.arange(6, dtype="f4").reshape(2, 3), np.ones(3, "i8")
    write_safetensors(tmp_path / "1", {"a": a, "b": b}, {"x": "1", "y": "2"})
    write_safetensors(
        tmp_path / "2", {"b": b, "a": np.asfortranarray(a)}, {"y": "2", "x": "1"}
    )
    first = (tmp_path / "1").read_bytes()
    assert first == (tmp_path / "2").read_bytes()
    # Each array begins at a multiple of its width.
    length = int.from_bytes(first[:8], "little")
    header = json.loads(first[8 : 8 + length])
    assert length % 8 == 0
    assert header["b"]["data_offsets"] == [0, 24]
    assert header["a"]["data_offsets"] == [24, 48]
    write_safetensors(tmp_path / "1", {"a": a, "z": a})
    safetensors.numpy.save_file({"z": a, "a": a}, tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_arrays_of_a_file_can_be_changed_apart(tmp_path):
    write_safetensors(tmp_path / "a", {"x": np.zeros(3), "y": np.zeros(3)})
    arrays = read_safetensors(tmp_path / "a")
    arrays["x"] += 1
    assert (arrays["y"] == 0).all()


@pytest.mark.parametrize(
    ("arrays", "metadata", "message"),
    [
        ({"x": np.zeros(2, "c16")}, None, "x has dtype complex128"),
        ({"x": np.array([object()])}, None, "x has dtype object"),
        ({"x": np.zeros(2, "u2")}, None, "x has dtype uint16"),
        ({"x": np.zeros(2, ">f4")}, None, "x has dtype >f4"),
        ({"x": "text"}, None, "x has dtype <U4"),
        ({"__metadata__": np.zeros(2)}, None, "can't have the name __metadata__"),
        ({}, {"steps": 3}, "metadata must map str to str: {'steps': 3}"),
        ({}, ["steps"], "metadata must map str to str"),
    ],
)
def test_what_the_format_lacks_is_not_written(arrays, metadata, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_safetensors(tmp_path / "a", arrays, metadata)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_whole(fails, tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_safetensors(path, {"x": np.zeros(3)})
    old = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, fails, fail)
    with pytest.raises(OSError, match="no space left"):
        write_safetensors(path, {"x": np.ones(5)})
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_takes_its_place_after_it_is_on_the_disk(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda n: (calls.append("fsync"), fsync(n)))

    def watched(source, target):
        calls.append("replace")
        assert os.path.dirname(source) == os.path.dirname(target)
        assert read_safetensors(source)["x"].shape == (3,)
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_safetensors(tmp_path / "a", {"x": np.zeros(3)})
    assert calls == ["fsync", "replace"]


# Damaged files


def raw(header, data=b""):
    """A file from a header (JSON or bytes) and its data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin, end, dtype="F32", shape=None):
    shape = [(end - begin) // 4] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


DAMAGED = {
    "empty": (b"", "0 bytes can't hold a header of 0"),
    "no length": (b"\x02\0\0", "3 bytes can't hold a header of 2"),
    "header past the end": (raw({})[:-1], "9 bytes can't hold a header of 2"),
    "huge header": (b"\xff" * 16, f"header of {2**64 - 1}"),
    "no JSON": (raw(b"{nonsense}"), "Expecting property name"),
    "no UTF-8": (raw(b'{"\xff": 1}'), "utf-8"),
    "deep JSON": (raw(b"[" * 200_000), "recursion"),
    "no object": (raw([1]), r"not a JSON object: \[1\]"),
    "duplicate": (raw(b'{"x": 1, "y": 2, "x": 3}'), "twice in the header: x"),
    "duplicate key": (raw(b'{"x": {"dtype": 1, "dtype": 2}}'), "twice .*: dtype"),
    "no tensor": (raw({"x": 3}), "x lacks dtype, shape or data_offsets: 3"),
    "no dtype": (raw({"x": {"shape": [], "data_offsets": [0, 4]}}), "x lacks dtype"),
    "one offset": (raw({"x": tensor(0, 4) | {"data_offsets": [0]}}), "x lacks"),
    "unknown dtype": (raw({"x": tensor(0, 4, "F8_E4M3", [4])}, b"1234"), "F8_E4M3"),
    "negative shape": (raw({"x": tensor(0, 4, shape=[-1, -1])}, b"1234"), r"\[-1, -1"),
    "float shape": (raw({"x": tensor(0, 4, shape=[1.0])}, b"1234"), r"shape \[1.0\]"),
    "bool shape": (raw({"x": tensor(0, 4, shape=[True])}, b"1234"), r"shape \[True\]"),
    "negative offset": (raw({"x": tensor(-4, 0, shape=[1])}), "offsets -4 and 0"),
    "backwards": (raw({"x": tensor(4, 0, shape=[1])}), "needs 4 bytes, not -4"),
    "wrong size": (raw({"x": tensor(0, 8, shape=[3])}, bytes(8)), "12 bytes, not 8"),
    "huge shape": (raw({"x": tensor(0, 0, shape=[0, 2**80])}), "."),
    "many dimensions": (raw({"x": tensor(0, 4, shape=[1] * 99)}, b"1234"), "dimension"),
    "overlap": (
        raw({"x": tensor(0, 8), "y": tensor(4, 12)}, bytes(12)),
        "y overlaps another: it begins at 4, not 8",
    ),
    "hole": (
        raw({"x": tensor(0, 4), "y": tensor(8, 12)}, bytes(12)),
        "y follows a hole: it begins at 8, not 4",
    ),
    "hole at the start": (raw({"x": tensor(4, 8)}, bytes(8)), "at 4, not 0"),
    "truncated": (raw({"x": tensor(0, 8)}, bytes(7)), "7 bytes of data, .* have 8"),
    "trailing": (raw({"x": tensor(0, 8)}, bytes(9)), "9 bytes of data, .* have 8"),
    "metadata": (raw({"__metadata__": {"a": 1}}), "map str to str: {'a': 1}"),
    "metadata list": (raw({"__metadata__": []}), r"map str to str: \[\]"),
    "pickle": (pickle.dumps({"x": 1}), "can't hold a header"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_refused(damage, tmp_path):
    data, message = DAMAGED[damage]
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        read_safetensors(path)


def test_header_limit_holds_in_a_large_file(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(100_000_100)  # sparse: it takes no space
    with pytest.raises(ValueError, match="header of 100000001 .limit 100000000"):
        read_safetensors(path)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_byte_is_refused_or_changes_a_value_alone(data, tmp_path):
    """Never another error, and whatever the library refuses is refused."""
    path = tmp_path / "a"
    arrays = {"x": np.arange(4, dtype="f4"), "y": np.ones((2, 1), "i2")}
    write_safetensors(path, arrays, {"format": "pt"})
    content = bytearray(path.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), where + 1]))]
    path.write_bytes(content)
    try:
        theirs = safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError):  # KeyError: no such NumPy dtype
        theirs = None
    try:
        ours = read_safetensors(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert theirs is not None
        assert_equal_arrays(ours, theirs)
