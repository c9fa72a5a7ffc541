"""The fast recipes, each lever by itself, and the benchmark. No test asserts a time."""

import csv
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gptbook import fast, training

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "train_speed.py"
RESULT = ROOT / "benchmarks" / "results" / "train_speed.csv"
TINY = fast.FastConfig(
    vocab_size=7, block_size=8, n_layer=2, n_head=2, d_model=8, steps=4, batch_size=3
)
ALL = replace(
    fast.SMALL, vocab_size=7, block_size=8, d_model=8, steps=4, batch_size=3, warmup=2
)
EACH = {name: replace(ALL, **change) for name, change in fast.UNDONE.items()}
EACH |= {"plain": TINY, "all": ALL}


def model_of(config, seed=0, noise=0.1):
    """A model whose weights are none of them zero."""
    torch.manual_seed(seed)
    model = fast.FastGPT(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(noise * torch.randn_like(p))
    return model


def some_ids(*shape, seed=0):
    return torch.randint(7, shape, generator=torch.Generator().manual_seed(seed))


# The model


def test_the_plain_recipe_is_the_reference():
    config = fast.PLAIN
    assert fast.count(config) == 804_096
    assert config.steps * config.batch_size * config.block_size == 1_536_000
    weights = dict(fast.FastGPT(config).named_parameters())
    assert "head" not in weights and not any("bias" in name for name in weights)
    assert weights["blocks.0.fc"].std().item() == pytest.approx(0.02, rel=0.02)
    last = weights["blocks.3.mlp_proj"].std().item()
    assert last == pytest.approx(0.02 / 8**0.5, rel=0.02)


def test_the_plain_recipe_is_gpt2():
    """transformers' GPT-2 with biases of 0 and the exact GELU gives the same logits."""
    from transformers import GPT2Config, GPT2LMHeadModel

    ours = model_of(TINY)
    theirs = GPT2LMHeadModel(GPT2Config(
        vocab_size=7, n_positions=8, n_layer=2, n_head=2, n_embd=8,
        activation_function="gelu", bos_token_id=0, eos_token_id=0,
    )).eval()  # fmt: skip
    own = dict(ours.named_parameters())
    with torch.no_grad():
        for name, p in theirs.named_parameters():
            if name.endswith("bias"):
                p.zero_()
        transformer = theirs.transformer
        transformer.wte.weight.copy_(own["wte"])
        transformer.wpe.weight.copy_(own["wpe"])
        transformer.ln_f.weight.copy_(own["ln_f.weight"])
        for block, copy in zip(ours.blocks, transformer.h, strict=True):
            qkv = torch.cat([block.query, block.key, block.value], dim=1)
            copy.attn.c_attn.weight.copy_(qkv)
            copy.attn.c_proj.weight.copy_(block.attn_proj)
            copy.mlp.c_fc.weight.copy_(block.fc)
            copy.mlp.c_proj.weight.copy_(block.mlp_proj)
            copy.ln_1.weight.copy_(block.ln_1.weight)
            copy.ln_2.weight.copy_(block.ln_2.weight)
        ids = some_ids(2, 8)
        torch.testing.assert_close(ours(ids), theirs(ids).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EACH)
def test_the_future_does_not_matter(name):
    model = model_of(EACH[name])
    ids = some_ids(2, 8)
    changed = ids.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 7
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :-1], after[:, :-1], rtol=0, atol=1e-6)
    assert (before[:, -1] - after[:, -1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", EACH)
def test_the_past_and_its_order_matter(name):
    model, ids = model_of(EACH[name]), torch.tensor([[1, 2, 3, 4, 5, 6, 0, 1]])
    swapped = ids[:, [0, 2, 1, 3, 4, 5, 6, 7]]
    assert (model(ids)[:, -1] - model(swapped)[:, -1]).abs().max() > 1e-5


@pytest.mark.parametrize("name", EACH)
def test_the_parameters_are_counted(name):
    model = fast.FastGPT(EACH[name])
    assert fast.count(EACH[name]) == sum(p.numel() for p in model.parameters())


def test_attention_is_the_librarys():
    query, key, value = torch.randn(3, 2, 4, 8, 6).unbind()
    theirs = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True
    )
    torch.testing.assert_close(fast.attend(query, key, value), theirs)


def test_rotated_scores_depend_on_the_distance_alone():
    turns = fast.rotations(12, 6)
    query, key = torch.randn(6).expand(1, 1, 12, 6), torch.randn(6).expand(1, 1, 12, 6)
    turned = fast.rotate(query, turns)
    scores = (turned @ fast.rotate(key, turns).mT)[0, 0]  # (T, T)
    torch.testing.assert_close(turned.norm(dim=-1), query.norm(dim=-1))
    for distance in range(-11, 12):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores[5].std() > 0.01


def test_each_pair_has_a_row_of_its_own():
    model = model_of(ALL)
    assert len(model.pair) == 8 * 7
    seen = []
    for before in range(7):
        for after in range(7):
            model.zero_grad()
            model(torch.tensor([[before, after]]))[0, -1, 0].backward()
            touched = model.pair.grad.norm(dim=1).nonzero().flatten()
            seen.append(tuple(touched.tolist()))
    assert len(set(seen)) == 49 and all(len(rows) == 2 for rows in seen)
    assert max(map(max, seen)) == 8 * 7 - 1  # row V * V + t: t at the beginning


def test_a_large_vocabulary_shares_rows():
    config = replace(ALL, vocab_size=5000)
    model = fast.FastGPT(config)
    assert len(model.pair) == 32_749
    assert model(torch.tensor([[4999, 4999, 0]])).shape == (1, 3, 5000)


def test_the_start():
    model = fast.FastGPT(replace(ALL, vocab_size=65, d_model=64))
    ids = torch.randint(65, (2, 8))
    logits = model(ids)
    assert (logits == 0).all()  # every token is as likely
    assert model.wte.std().item() == pytest.approx(1, rel=0.05)
    block = model.blocks[0]
    x = torch.randn(2, 8, 64)
    assert torch.equal(block(x, model.turns), x)
    assert (x @ block.query).std().item() == pytest.approx(1, rel=0.1)


# The optimisers


def test_stacked_muon_is_muon():
    torch.manual_seed(0)
    shapes = [(8, 8), (8, 32), (32, 8), (8, 8), (8, 32)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    settings = {"lr": 0.1, "weight_decay": 0.3, "momentum": 0.9}
    both = fast.StackedMuon(ours, **settings), training.Muon(theirs, **settings)
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        for optimiser in both:
            optimiser.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


def test_orthogonalise_all_is_orthogonalise_of_each():
    torch.manual_seed(0)
    for shape in [(3, 8, 8), (2, 8, 32), (2, 32, 8)]:
        stack = torch.randn(shape)
        each = torch.stack([training.orthogonalise(matrix) for matrix in stack])
        ours = fast.orthogonalise_all(stack)
        torch.testing.assert_close(ours, each, rtol=0, atol=1e-4)
        assert 0.6 < torch.linalg.svdvals(ours).min()


@pytest.mark.parametrize("name", EACH)
def test_each_parameter_has_one_optimiser(name):
    model = fast.FastGPT(EACH[name])
    groups = [g for o in fast.optimisers(model) for g in o.param_groups]
    seen = [id(p) for group in groups for p in group["params"]]
    assert sorted(seen) == sorted(id(p) for p in model.parameters())


def test_muon_has_the_matrices_of_the_blocks():
    model = fast.FastGPT(ALL)
    adamw, muon = fast.optimisers(model)
    assert sum(len(group["params"]) for group in muon.param_groups) == 2 * 6
    tables = {id(p) for group in adamw.param_groups for p in group["params"]}
    assert tables == {id(p) for p in (model.wte, model.pair, model.head)}


def test_gains_do_not_decay():
    adamw = fast.optimisers(fast.FastGPT(TINY))[0]
    decays = {
        p.ndim: group["weight_decay"]
        for group in adamw.param_groups
        for p in group["params"]
    }
    assert decays == {1: 0.0, 2: TINY.decay}


def test_the_rates():
    plain = [fast.share_of_rate(step, fast.PLAIN) for step in range(2000)]
    assert plain[0] == pytest.approx(1 / 101) and max(plain) == plain[100] == 1
    assert plain[1050] == pytest.approx(0.55) and plain[-1] == pytest.approx(0.1, 1e-3)
    config = replace(fast.SMALL, steps=100)
    ours = [fast.share_of_rate(step, config) for step in range(100)]
    assert ours[0] == pytest.approx(1 / 11) and ours[10:30] == [1.0] * 20
    assert ours[65] == pytest.approx(0.5) and ours[-1] == pytest.approx(1 / 70)


# Batches, training, validation


def starts(config, ids, n):
    found = []
    for (inputs, targets), _ in zip(
        fast.batches(ids, config), range(n), strict=False
    ):
        assert inputs.shape == targets.shape == (config.batch_size, config.block_size)
        assert torch.equal(inputs[:, 1:], targets[:, :-1])
        assert torch.equal(targets, inputs + 1)  # for ids that count up
        found += inputs[:, 0].tolist()
    return found


def test_windows_in_turn_come_once_each():
    ids = torch.arange(8 * 30 + 9)
    found = starts(replace(ALL, in_turn=True), ids, 10)
    assert len(set(found)) == 30 and len({start % 8 for start in found}) == 1
    assert found != sorted(found)
    again = starts(replace(ALL, in_turn=True), ids, 20)[30:]
    assert len(set(again)) >= 27  # the next pass cuts elsewhere, in another order


def test_random_windows_come_again():
    ids = torch.arange(8 * 30 + 9)
    found = starts(replace(ALL, in_turn=False), ids, 400)
    assert len(set(found)) < len(found)
    assert min(found) == 0 and max(found) == len(ids) - 9  # the last target is the end


@pytest.mark.parametrize("in_turn", [True, False])
def test_too_short_a_text_is_refused(in_turn):
    config = replace(ALL, in_turn=in_turn)
    with pytest.raises(ValueError, match="32 tokens are the least, the text has 31"):
        next(fast.batches(torch.zeros(31, dtype=torch.long), config))
    next(fast.batches(torch.zeros(32, dtype=torch.long), config))


@pytest.mark.parametrize("name", EACH)
def test_it_learns_and_a_seed_says_how(name):
    config = EACH[name]
    config = replace(config, steps=60, warmup=5, rate=max(config.rate, 0.01))
    ids = torch.arange(400) % 7
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(list(fast.train(fast.FastGPT(config), ids, seed)))
    assert len(losses[0]) == 60 and losses[0] == losses[1] != losses[2]
    assert losses[0][0] == pytest.approx(math.log(7), abs=0.05)
    assert losses[0][-1] < 0.5 * losses[0][0]


@pytest.mark.parametrize("n", [2, 8, 9, 10, 100, 137])
def test_validation_counts_every_token_once(n):
    model, ids = model_of(ALL), some_ids(n)
    total = 0.0
    for start in range(0, n - 1, 8):  # one window at a time
        window = ids[start : start + 9]
        logits = model(window[None, :-1])[0]
        total += torch.nn.functional.cross_entropy(
            logits, window[1:], reduction="sum"
        ).item()
    assert fast.validation_loss(model, ids, rows=4) == pytest.approx(total / (n - 1))


def test_bfloat16_is_for_the_products_only(bfloat16):
    plain, half = model_of(ALL), model_of(replace(ALL, bfloat16=True))
    ids = some_ids(2, 8)
    ours, theirs = half(ids), plain(ids)
    assert ours.dtype == torch.float32
    assert 0 < (ours - theirs).abs().max() < 0.1


def test_equal_parameters():
    for vocab_size in (49, 65, 90):
        plain, equal = (fast.recipe(n, vocab_size) for n in ("plain", "equal"))
        assert abs(fast.count(equal) / fast.count(plain) - 1) < 0.03
    assert abs(fast.count(fast.recipe("equal")) / 804_096 - 1) < 0.01
    assert fast.recipe("equal") == fast.RECIPES["equal"]
    body = fast.RECIPES["body"]
    assert abs(fast.count(body) / 804_096 - 1) < 0.01
    assert (body.n_layer, body.d_model) == (fast.PLAIN.n_layer, fast.PLAIN.d_model)


def test_what_is_undone_was_done():
    for name, change in fast.UNDONE.items():
        lever = next(iter(change))
        assert getattr(fast.SMALL, lever) != change[lever], name
        if lever != "n_head":
            assert getattr(fast.PLAIN, lever) == change[lever] or lever == "sdpa"


def test_encode():
    ids, vocabulary = fast.encode("banana")
    assert vocabulary == ["a", "b", "n"] and ids.tolist() == [1, 0, 2, 0, 2, 0]
    assert fast.encode("nab", vocabulary)[0].tolist() == [2, 0, 1]


# The benchmark


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check(rows, recipes, seeds):
    """What makes a result valid."""
    assert {row["recipe"] for row in rows} == set(recipes)
    assert len(rows) == len(recipes) * seeds
    for row in rows:
        assert 0 < float(row["loss"]) < 20
        assert 0 < float(row["cpu_seconds"]) < float(row["process_cpu_seconds"])
        assert 0 < float(row["wall_seconds"]) < math.inf
        assert int(row["tokens"]) % int(row["steps"]) == 0
        assert row["processor"] and "torch" in row["versions"]
    for name in recipes:
        own = [row for row in rows if row["recipe"] == name]
        assert sorted(int(row["seed"]) for row in own) == list(range(seeds))


def test_short_mode_from_the_command_line(tmp_path):
    text = tmp_path / "novel.txt"
    text.write_text("It was a dark and stormy night; the rain fell. " * 150)
    out = tmp_path / "new" / "results"
    command = [sys.executable, SCRIPT, "--text", text, "--short", "--out", out]
    done = subprocess.run(
        [*command, "--recipes", "small"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = read(out / "train_speed.csv")
    check(rows, ["plain", "small"], seeds=1)
    assert {row["steps"] for row in rows} == {"3"}
    points = read(out / "train_speed_curves.csv")
    assert {p["recipe"] for p in points} == {"plain", "small"}
    for row in rows:
        last = [p for p in points if p["recipe"] == row["recipe"]][-1]
        assert last["loss"] == row["loss"] and last["step"] == "3"
    assert (out / "train_speed_novel.png").stat().st_size > 1000
    assert "novel.txt, 7,050 characters" in done.stdout and "small" in done.stdout


def test_short_mode_on_the_story_world_with_levers(
    benchmark, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(benchmark, "run_apart", benchmark.run)  # 11 starts are slow
    monkeypatch.setattr(benchmark, "STORIES", 50)
    command = ["--short", "--levers", "--recipes", "plain"]
    benchmark.main([*command, "--out", str(tmp_path)])
    rows = read(tmp_path / "train_speed.csv")
    check(rows, ["plain", *(f"without {name}" for name in fast.UNDONE)], seeds=1)
    assert {row["text"] for row in rows} == {"tales"}
    assert "without Muon" in capsys.readouterr().out


def row_of(recipe, loss, cpu, seed=0):
    return {
        "text": "t", "recipe": recipe, "parameters": 1, "steps": 2, "tokens": 3,
        "seed": seed, "loss": loss, "cpu_seconds": cpu, "wall_seconds": 2 * cpu,
        "process_cpu_seconds": cpu + 1,
    }  # fmt: skip


def test_ratios_are_of_medians_and_only_where_the_loss_is_reached(benchmark):
    rows = [row_of("plain", 2.0 + seed, 10.0 + seed, seed) for seed in (2, 0, 1)]
    rows += [row_of("good", 3.0, cpu, seed) for seed, cpu in enumerate((1, 2, 9))]
    rows += [row_of("bad", 3.0001, 1.0)]
    plain, good, bad = benchmark.summarise(rows)
    assert plain["loss"] == 3.0 and plain["cpu_seconds"] == 11.0
    assert plain["cpu_ratio"] == plain["wall_ratio"] == 1
    assert (plain["lowest"], plain["highest"]) == (2.0, 4.0)
    assert good["cpu_ratio"] == 5.5 and good["process_cpu_ratio"] == 4.0
    assert bad["cpu_ratio"] is bad["wall_ratio"] is bad["process_cpu_ratio"] is None


def test_rows_of_the_same_text_are_replaced(benchmark, tmp_path):
    path = tmp_path / "x.csv"
    other = {**row_of("plain", 1.0, 1.0), "text": "other"}
    benchmark.save([other], path)
    benchmark.save([row_of("plain", 1.0, 1.0)], path)
    benchmark.save([row_of("plain", 2.0, 1.0)], path)
    assert [(row["text"], row["loss"]) for row in read(path)] == [
        ("other", "1.0"), ("t", "2.0")
    ]  # fmt: skip


def test_each_recipe_begins_a_turn(benchmark, monkeypatch, capsys):
    order = []

    def pretend(task):
        order.append((task["seed"], task["recipe"]))
        return {"parameters": 1, "loss": 2.0, "cpu": 1.0, "wall": 1.0, "process": 2.0,
                "curve": []}  # fmt: skip

    monkeypatch.setattr(benchmark, "run_apart", pretend)
    benchmark.main(["--tales", "--seeds", "2", "--recipes", "small"])
    assert order == [(0, "plain"), (0, "small"), (1, "small"), (1, "plain")]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--text", "no-such-file"], "there is no file no-such-file"),
        (["--text", "."], "is a folder"),
        (["--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--threads", "-1"], "--threads must be at least 1, not -1"),
        (["--longer", "0"], "--longer must be above 0, not 0.0"),
        (["--recipes", "tiny"], "no recipe 'tiny'; there are plain, body"),
        (["--text", "x", "--tales"], "not allowed with"),
    ],
)
def test_bad_input_is_refused(benchmark, arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.options(arguments)
    assert message in capsys.readouterr().err


def test_too_short_a_file_is_refused(benchmark, tmp_path, capsys):
    path = tmp_path / "short.txt"
    path.write_text("abc" * 100)
    with pytest.raises(SystemExit):
        benchmark.options(["--text", str(path)])
    assert "the text has 300 characters, and 5,000" in capsys.readouterr().err


def test_a_run_that_fails_says_why(benchmark):
    task = {"path": "nowhere", "recipe": "small", "threads": 1}
    message = "a run of small failed:(.|\n)*no file nowhere"
    with pytest.raises(SystemExit, match=message):
        benchmark.run_apart(task)


def test_the_recorded_result_is_one():
    """What the page reads: 5 seeds, in full length."""
    rows = read(RESULT)
    for text, longer in (("tinyshakespeare.txt", 1), ("tales", 2.25)):
        of_text = [row for row in rows if row["text"] == text]
        recipes = list(dict.fromkeys(row["recipe"] for row in of_text))
        check(of_text, recipes, seeds=5)
        assert {"plain", "body", "equal", "small"} <= set(recipes)
        for row in of_text:
            if row["recipe"] in fast.RECIPES:
                steps = fast.recipe(row["recipe"], 65).steps
                factor = 1 if row["recipe"] == "plain" else longer
                assert int(row["steps"]) == round(steps * factor)


def test_longer_lengthens_all_but_the_plain_recipe(benchmark):
    once, thrice = (
        benchmark.configs(benchmark.options(["--levers", "--longer", longer]))
        for longer in ("1", "3")
    )
    assert once["plain"] == thrice["plain"]
    for name in once.keys() - {"plain"}:
        assert thrice[name].steps == 3 * once[name].steps
