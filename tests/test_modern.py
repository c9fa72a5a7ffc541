"""Each switch of a body against a known layer, and the benchmark. No time is judged."""

import csv
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gptbook import modern

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "architectures.py"
RESULTS = ROOT / "benchmarks" / "results"
TINY = modern.BodyConfig(
    vocab_size=7, block_size=16, n_layer=2, n_head=4, d_model=16, hidden=24
)
SWITCHES = {
    "none": {},
    "rms": {"rms": True},
    "bias": {"bias": False},
    "rotary": {"positions": "rotary"},
    "no positions": {"positions": "none"},
    "gated": {"gated": True},
    "n_kv": {"n_kv": 2},
    "window": {"window": 3},
    "experts": {"experts": 4, "top": 2},
    "qk_norm": {"qk_norm": True},
    "head": {"tied": False},
    "all": {**modern.LLAMA, "n_kv": 1, "window": 3, "experts": 4, "top": 2,
            "qk_norm": True, "tied": False},
}  # fmt: skip


def body(seed=0, noise=0.2, **switches):
    """A body whose weights are none of them 0 or 1."""
    torch.manual_seed(seed)
    model = modern.Body(replace(TINY, **switches))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(noise * torch.randn_like(p))
    return model


def some_ids(*shape, seed=0):
    return torch.randint(7, shape, generator=torch.Generator().manual_seed(seed))


# The switches


@torch.no_grad()
def test_without_a_switch_it_is_gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    ours = body()
    theirs = GPT2LMHeadModel(GPT2Config(
        vocab_size=7, n_positions=16, n_layer=2, n_head=4, n_embd=16, n_inner=24,
        bos_token_id=0, eos_token_id=0,
    )).eval()  # fmt: skip
    state = {}
    for name, p in ours.state_dict().items():
        if "attn." not in name or "c_proj" in name:
            state[f"transformer.{name}"] = p
    for i, block in enumerate(ours.h):
        parts = (block.attn.query, block.attn.key, block.attn.value)
        for kind in ("weight", "bias"):
            joined = torch.cat([getattr(part, kind) for part in parts], dim=-1)
            state[f"transformer.h.{i}.attn.c_attn.{kind}"] = joined
    state["lm_head.weight"] = state["transformer.wte.weight"]
    theirs.load_state_dict(state)
    ids = some_ids(3, 8)
    assert torch.allclose(ours(ids), theirs(ids).logits, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("family", ["Llama", "Qwen3", "Mixtral", "Mistral"])
def test_with_switches_it_is_a_model_of_today(family):
    import transformers

    switches = {**modern.LLAMA, "n_kv": 2, "tied": False}
    more = {}
    if family == "Qwen3":
        switches["qk_norm"] = True
    if family == "Mistral":
        switches["window"] = more["sliding_window"] = 3
    if family == "Mixtral":
        switches |= {"experts": 4, "top": 2}
        more = {"num_local_experts": 4, "num_experts_per_tok": 2}
    ours = body(**switches)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=7, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=4, rms_norm_eps=1e-5,
        max_position_embeddings=8, rope_theta=10_000.0, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=0, eos_token_id=0, **more,
    )  # fmt: skip
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    state = {
        "model.embed_tokens.weight": ours.wte.weight,
        "model.norm.weight": ours.ln_f.weight,
        "lm_head.weight": ours.head.weight.mT,
    }
    names = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "c_proj": "o_proj"}
    for i, block in enumerate(ours.h):
        to = f"model.layers.{i}"
        state[f"{to}.input_layernorm.weight"] = block.ln_1.weight
        state[f"{to}.post_attention_layernorm.weight"] = block.ln_2.weight
        for mine, name in names.items():
            weight = getattr(block.attn, mine).weight
            state[f"{to}.self_attn.{name}.weight"] = weight.mT
        if family == "Qwen3":
            state[f"{to}.self_attn.q_norm.weight"] = block.attn.query_norm.weight
            state[f"{to}.self_attn.k_norm.weight"] = block.attn.key_norm.weight
        if family == "Mixtral":
            experts = block.mlp.experts
            both = [torch.cat([e.gate.weight.mT, e.c_fc.weight.mT]) for e in experts]
            down = [e.c_proj.weight.mT for e in experts]
            state[f"{to}.mlp.gate.weight"] = block.mlp.router.weight.mT
            state[f"{to}.mlp.experts.gate_up_proj"] = torch.stack(both)
            state[f"{to}.mlp.experts.down_proj"] = torch.stack(down)
        else:
            state[f"{to}.mlp.gate_proj.weight"] = block.mlp.gate.weight.mT
            state[f"{to}.mlp.up_proj.weight"] = block.mlp.c_fc.weight.mT
            state[f"{to}.mlp.down_proj.weight"] = block.mlp.c_proj.weight.mT
    theirs.load_state_dict(state)
    ids = some_ids(3, 8)
    assert torch.allclose(ours(ids), theirs(ids).logits, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", SWITCHES)
def test_the_future_does_not_matter(name):
    model, ids = body(**SWITCHES[name]), some_ids(2, 8)
    changed = ids.clone()
    changed[:, 5] = (ids[:, 5] + 1) % 7
    before, after = model(ids), model(changed)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)


@torch.no_grad()
def test_a_window_ends():
    model = body(window=3, positions="none")
    ids = some_ids(1, 8)
    changed = ids.clone()
    changed[:, 0] = (ids[:, 0] + 1) % 7
    far = 2 * (3 - 1)  # two blocks reach so many places back
    gap = (model(ids) - model(changed)).abs().amax(dim=-1)[0]
    assert gap[: far + 1].min() > 1e-4 and gap[far + 1 :].max() < 1e-6
    full, wide = body(), body(window=8)
    assert torch.equal(full(ids), wide(ids))


@torch.no_grad()
def test_all_kv_heads_are_full_attention():
    assert torch.equal(body()(some_ids(2, 8)), body(n_kv=4)(some_ids(2, 8)))


@torch.no_grad()
def test_equal_experts_are_one():
    mixture = body(experts=4, top=2).h[0].mlp
    for expert in mixture.experts:
        expert.load_state_dict(mixture.experts[0].state_dict())
    x = torch.randn(2, 5, 16)
    assert torch.allclose(mixture(x), mixture.experts[0](x), atol=1e-6)
    assert mixture.share.sum().item() == pytest.approx(1)


@torch.no_grad()
def test_balance():
    mixture = body(experts=4, top=1).h[0].mlp
    mixture.router.weight.zero_()
    mixture.router.weight[:4] = 50 * torch.eye(4)
    even = F.pad(torch.eye(4), (0, 12))
    mixture(even[None])
    assert mixture.balance.item() == pytest.approx(1)
    mixture(even[:1].repeat(6, 1)[None])
    assert mixture.balance.item() == pytest.approx(4)
    keep = torch.tensor([[True, True, True, True, False, False]])
    mixture(torch.cat([even, even[:1], even[:1]])[None], keep)
    assert mixture.balance.item() == pytest.approx(1)


def test_padding_counts_for_nothing():
    model = body(**SWITCHES["all"])
    ids = some_ids(1, 6)
    targets = some_ids(1, 6, seed=1)
    loss = model(ids, targets)
    pad = torch.full((1, 2), -1)
    longer = torch.cat([ids, pad.clamp(min=0)], dim=1)
    same = model(longer, torch.cat([targets, pad], dim=1))
    assert same.item() == pytest.approx(loss.item(), abs=1e-5)


@pytest.mark.parametrize("name", SWITCHES)
def test_it_learns(name):
    torch.manual_seed(0)
    model = modern.Body(replace(TINY, **SWITCHES[name]))
    rows = [[0, 1, 2, 3, 4, 5, 6, 0], [3, 4, 5, 6, 0]]
    before = modern.judge(model, rows)
    losses = list(modern.train(model, lambda step: rows, 40, warmup=4))
    assert len(losses) == 40 and all(map(math.isfinite, losses))
    assert modern.judge(model, rows) < before / 2
    for part, p in model.named_parameters():
        assert p.grad is None or p.grad.isfinite().all(), part


def test_every_parameter_is_trained():
    model = body(**SWITCHES["all"])
    before = {name: p.clone() for name, p in model.named_parameters()}
    rows = [some_ids(8, seed=s).tolist() for s in range(30)]
    for _ in modern.train(model, lambda step: rows, 3, warmup=1):
        pass
    for name, p in model.named_parameters():
        assert not torch.equal(p, before[name]), name


@pytest.mark.parametrize("steps", [3, 20, 25])
def test_a_rate_is_never_below_zero(steps, monkeypatch):
    made, optimisers = [], modern.optimisers

    def keep(*arguments):
        made.extend(optimisers(*arguments))
        return made

    monkeypatch.setattr(modern, "optimisers", keep)
    for _ in modern.train(body(), lambda step: [some_ids(8).tolist()], steps):
        assert all(g["lr"] > 0 for optimiser in made for g in optimiser.param_groups)


# The benchmark


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(rows):
    """What makes a result valid."""
    for row in rows:
        loss, floor = float(row["loss"]), float(row["floor"])
        assert 0 < floor < loss < math.inf
        assert 0 < int(row["active"]) <= int(row["parameters"])
        assert int(row["kv"]) <= int(row["kv_a_token"]) * int(row["T"])
        assert (row["fullest"] != "") == ("experts" in row["body"])
    keys = [(row["body"], row["seed"], row["factor"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_short_mode_from_the_command_line(tmp_path):
    command = [sys.executable, SCRIPT, "--short", "--out", tmp_path,
               "--bodies", "GPT-2; 8 experts"]  # fmt: skip
    for _ in range(2):  # the second time there is nothing to do
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "above the floor" not in done.stdout
    rows = read(tmp_path / "architectures.csv")
    assert [row["body"] for row in rows] == ["GPT-2", "8 experts"]
    check(rows)


def test_flops_are_equal_where_the_result_says_so(benchmark):
    plain = benchmark.flops(benchmark.config_of("GPT-2"), 111)
    for name in benchmark.BODIES:
        ratio = benchmark.flops(benchmark.config_of(name), 111) / plain
        assert abs(ratio - 1) < 0.02 or name == "window 32", name


def test_count_and_cache(benchmark):
    config = replace(TINY, experts=4, top=2)
    whole, active = benchmark.count(config)
    expert = 2 * 16 * 24 + 24 + 16
    assert whole - active == 2 * 2 * expert
    assert benchmark.cached(TINY, 5) == 2 * 2 * 16 * 5
    assert benchmark.cached(replace(TINY, n_kv=1, window=3), 5) == 2 * 2 * 4 * 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--bodies", "Llama;BERT"], "no body 'BERT'; there are GPT-2; RMSNorm"),
        (["--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--steps", "-1"], "--steps must be at least 1, not -1"),
    ],
)
def test_bad_input_is_refused(benchmark, arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.options(arguments)
    assert message in capsys.readouterr().err


def test_the_recorded_result_is_one(benchmark):
    """What the page reads: every body with the same seeds, in full length."""
    rows = read(RESULTS / "architectures.csv")
    check(rows)
    tried = read(RESULTS / "architectures_rates.csv")
    check(tried)
    seeds = {}
    for row in rows:
        assert int(row["steps"]) == benchmark.STEPS
        assert float(row["factor"]) == benchmark.best_factor(row["body"], tried)
        seeds.setdefault(row["body"], []).append(int(row["seed"]))
    assert list(seeds) == list(benchmark.BODIES)
    assert all(own == list(range(len(own))) for own in seeds.values())
    assert min(map(len, seeds.values())) >= 3
