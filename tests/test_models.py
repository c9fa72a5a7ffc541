"""The GPT in NumPy, in PyTorch and in transformers: one model, the same numbers.

`python tests/test_models.py` prints how far apart they are.
"""

import math
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers

from gptbook import layers, numpy_gpt, tales, torch_gpt
from gptbook.checkpoint import Config, parameter_shapes, write_safetensors
from gptbook.tokenizer import Tokenizer

transformers.utils.logging.disable_progress_bar()

TALES = Path(__file__).parents[1] / "book" / "models" / "tales"
CONFIGS = [
    Config(vocab_size=97, block_size=24, n_layer=3, n_head=4, d_model=32),
    Config(vocab_size=64, block_size=17, n_layer=2, n_head=1, d_model=16),
    Config(vocab_size=33, block_size=9, n_layer=2, n_head=7, d_model=21),
    Config(211, 40, n_layer=1, n_head=8, d_model=64, layer_norm_epsilon=1e-2),
]
BOUNDS = {"float32": 1e-5, "float64": 1e-10}


def random_params(config, seed=0, dtype="float32"):
    """Weights far from the initial ones, so that no bias or gain is without effect."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, shape in parameter_shapes(config).items():
        std = shape[0] ** -0.5 if len(shape) == 2 and name[0] == "h" else 0.4
        std = 1.5 if name == "wpe.weight" else std  # or greedy texts repeat one token
        mean = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
        params[name] = rng.normal(mean, std, shape).astype(dtype)
    return params


def random_folder(config, folder, seed=0, dtype="float32"):
    """A model folder with random weights, written without any of the models."""
    config.save(folder, bos_token_id=0, eos_token_id=0)
    arrays = random_params(config, seed, dtype)
    arrays = {f"transformer.{name}": array for name, array in arrays.items()}
    write_safetensors(Path(folder) / "model.safetensors", arrays, {"format": "pt"})
    return folder


def random_ids(config, shape, seed=0):
    return np.random.default_rng(seed).integers(config.vocab_size, size=shape)


def load_all(folder, dtype="float32"):
    """The model of a folder as NumPy, PyTorch and transformers have it."""
    ours = numpy_gpt.GPT.load(folder)
    ours.params = {name: a.astype(dtype) for name, a in ours.params.items()}
    in_torch = torch_gpt.GPT.load(folder).to(getattr(torch, dtype))
    theirs = transformers.GPT2LMHeadModel.from_pretrained(
        folder, attn_implementation="eager", dtype=getattr(torch, dtype)
    )
    return ours, in_torch.eval(), theirs.eval()


def hooked(model, ids, **options):
    """What a PyTorch model or transformers' computes on the way, under our names."""
    found, handles = {}, []

    def after(name, module, inputs, output):
        found[name] = output[0] if isinstance(output, tuple) else output

    def before(name, module, inputs):
        found[name] = inputs[0]

    def watch(name, module, hook=after):
        register = module.register_forward_hook
        if hook is before:
            register = module.register_forward_pre_hook
        handles.append(register(partial(hook, name)))

    part = model.transformer.get_submodule
    for name in ("wte", "wpe", "ln_f"):
        watch(name, part(name))
    for i in range(len(part("h"))):
        h = f"h.{i}"
        watch(f"{h}.input", part(h), before)
        watch(f"{h}.ln_1", part(f"{h}.ln_1"))
        watch(f"{h}.attn.qkv", part(f"{h}.attn.c_attn"))
        watch(f"{h}.attn.heads", part(f"{h}.attn.c_proj"), before)
        watch(f"{h}.attn", part(f"{h}.attn"))
        watch(f"{h}.middle", part(f"{h}.ln_2"), before)
        watch(f"{h}.ln_2", part(f"{h}.ln_2"))
        watch(f"{h}.mlp.c_fc", part(f"{h}.mlp.c_fc"))
        watch(f"{h}.mlp.gelu", part(f"{h}.mlp.act"))
        watch(f"{h}.mlp", part(f"{h}.mlp"))
        watch(f"{h}.output", part(h))
    with torch.no_grad():
        result = model(torch.tensor(ids), **options)
    for handle in handles:
        handle.remove()
    n_head = model.config.n_head
    for i in range(len(part("h"))):
        name = f"h.{i}.attn"
        split = [
            x.unflatten(-1, (n_head, -1)).transpose(-3, -2)
            for x in (*found.pop(f"{name}.qkv").chunk(3, -1), found[f"{name}.heads"])
        ]
        names = ("query", "key", "value", "heads")
        found |= {f"{name}.{n}": x for n, x in zip(names, split, strict=True)}
        d_head = split[0].shape[-1]
        found[f"{name}.scores"] = split[0] @ split[1].mT / math.sqrt(d_head)
        if "output_attentions" in options:
            found[f"{name}.weights"] = result.attentions[i]
            # What transformers itself calls the hidden states.
            assert torch.equal(result.hidden_states[i], found[f"h.{i}.input"])
    if "output_attentions" in options:
        assert torch.equal(result.hidden_states[-1], found["ln_f"])
    found["logits"] = result.logits if hasattr(result, "logits") else result
    return {name: x.numpy() for name, x in found.items()}


def differences(a, b):
    """(max |difference|, max |value|) of each array that two dictionaries share."""
    result = {}
    for name in a.keys() & b.keys():
        # transformers keeps a batch dimension on its positions.
        assert a[name].shape == b[name].shape or name == "wpe", name
        assert a[name].dtype == b[name].dtype, name
        result[name] = float(abs(a[name] - b[name]).max()), float(abs(a[name]).max())
    return result


def all_activations(folder, dtype, ids):
    """Every activation in NumPy, torch and transformers."""
    ours, in_torch, theirs = load_all(folder, dtype)
    a, b = {}, hooked(in_torch, ids)
    ours(ids, activations=a)
    c = hooked(theirs, ids, output_attentions=True, output_hidden_states=True)
    assert a.keys() == c.keys()
    # torch's fused attention keeps its weights to itself.
    assert a.keys() - b.keys() == {n for n in a if n.endswith(".attn.weights")}
    assert {x.dtype for x in a.values()} == {np.dtype(dtype)}
    return a, b, c


def equality(folder, dtype, ids):
    """The `differences` of all activations, for each pair of the three models."""
    a, b, c = all_activations(folder, dtype, ids)
    return {
        "NumPy, torch": differences(a, b),
        "NumPy, transformers": differences(a, c),
        "torch, transformers": differences(b, c),
    }


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_three_models_agree_on_every_activation(config, dtype, tmp_path):
    random_folder(config, tmp_path, dtype=dtype)
    ids = random_ids(config, (3, config.block_size))
    for pair, arrays in equality(tmp_path, dtype, ids).items():
        for name, (difference, _) in arrays.items():
            assert difference < BOUNDS[dtype], (pair, name)


def tales_ids(kind):
    """Two sequences of random ids, or a story that the model was not trained on."""
    if kind == "random":
        config = Config.load(TALES)
        return random_ids(config, (2, config.block_size))
    text = tales.document(2**41).text
    return np.array([Tokenizer.load(TALES / "tokenizer.json").encode(text)])


@pytest.mark.parametrize("kind", ["random", "story"])
def test_three_models_agree_on_the_shipped_model(kind):
    assert (TALES / "model.safetensors").exists(), f"{TALES} has no model"
    ids = tales_ids(kind)
    for pair, arrays in equality(TALES, "float64", ids).items():
        for name, (difference, _) in arrays.items():
            assert difference < BOUNDS["float64"], (pair, name)
    # In float32 rounding alone exceeds 1e-5 where a trained model's numbers are large,
    # and no two programs round alike. There ours must be about as near to the float64
    # result as transformers is.
    *ours, theirs = all_activations(TALES, "float32", ids)
    *_, exact = all_activations(TALES, "float64", ids)
    for model in ours:
        for name in model:
            error = abs(model[name] - exact[name]).max()
            their_error = abs(theirs[name] - exact[name]).max()
            assert error < max(BOUNDS["float32"], 8 * their_error), name


# A test that passes whatever the model does would be of no use: each of these mistakes,
# small as some are, must exceed the bound.


def erf_gelu(x):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)).astype(x.dtype)) / 2


def unbiased_layer_norm(x, gain, bias, epsilon):
    C = x.shape[-1]
    return layers.layer_norm(x, gain * math.sqrt((C - 1) / C), bias, epsilon)


def doubled_epsilon_layer_norm(x, gain, bias, epsilon):
    return layers.layer_norm(x, gain, bias, 2 * epsilon)


def width_scaled_attention(query, key, value, mask, n_head=4):
    return layers.attention(query / math.sqrt(n_head), key, value, mask)


def zero_mask(n_query, n_key, dtype):
    return np.zeros((n_query, n_key), dtype)


def shuffled_heads(x):
    return layers.merge_heads(x[..., ::-1, :, :])


@pytest.mark.parametrize(
    ("module", "name", "mistake"),
    [
        (layers, "gelu", erf_gelu),
        (numpy_gpt, "layer_norm", unbiased_layer_norm),
        (numpy_gpt, "layer_norm", doubled_epsilon_layer_norm),
        (numpy_gpt, "attention", width_scaled_attention),
        (numpy_gpt, "causal_mask", zero_mask),
        (numpy_gpt, "merge_heads", shuffled_heads),
    ],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_a_mistake_would_be_seen(module, name, mistake, tmp_path, monkeypatch):
    config = CONFIGS[0]
    ours, in_torch, _ = load_all(random_folder(config, tmp_path))
    ids = random_ids(config, (2, config.block_size))
    right = in_torch(ids).detach().numpy()
    assert abs(ours(ids) - right).max() < BOUNDS["float32"]
    monkeypatch.setattr(module, name, mistake)
    assert abs(ours(ids) - right).max() > 2 * BOUNDS["float32"]


def test_the_recorded_inside_of_a_layer_is_what_the_layer_computed():
    config = CONFIGS[0]
    model = numpy_gpt.GPT(config, random_params(config))
    a = {}
    model(random_ids(config, (2, 20)), activations=a)
    for i in range(config.n_layer):
        attn, mlp = f"h.{i}.attn", f"h.{i}.mlp"
        mask = layers.causal_mask(20, 20, np.float32)
        assert np.array_equal(
            a[f"{attn}.weights"], layers.softmax(a[f"{attn}.scores"] + mask)
        )
        assert np.array_equal(
            a[mlp], layers.linear(a[f"{mlp}.gelu"], *model.pair(f"{mlp}.c_proj"))
        )


# One sequence, and the cache


def both(config, seed=0, dtype="float32"):
    """The NumPy and the PyTorch model, called alike."""
    params = random_params(config, seed, dtype)
    in_torch = torch_gpt.GPT(config).to(getattr(torch, dtype))
    in_torch.load_state_dict(
        {f"transformer.{n}": torch.from_numpy(a.copy()) for n, a in params.items()}
    )

    def call_torch(ids, cache=None):
        with torch.no_grad():
            return in_torch(torch.as_tensor(ids), cache=cache).numpy()

    ours = numpy_gpt.GPT(config, params)
    return [(ours, ours), (in_torch, call_torch)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_one_sequence_is_a_batch_of_one_without_the_dimension(config):
    ids = random_ids(config, (config.block_size,))
    for model, call in both(config, dtype="float64"):
        assert call(ids).shape == (config.block_size, config.vocab_size)
        assert abs(call(ids) - call(ids[None])[0]).max() < BOUNDS["float64"]
        assert abs(model.next_logits(ids) - call(ids)[-1]).max() < BOUNDS["float64"]
        assert isinstance(model.next_logits(ids), np.ndarray)
    one, batch = {}, {}
    model = numpy_gpt.GPT(config, random_params(config))
    model(ids, activations=one)
    model(ids[None], activations=batch)
    for name in one.keys() - {"wpe"}:
        assert one[name].shape == batch[name].shape[1:]


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("batch", [(), (1,), (3,)], ids=str)
def test_cache_changes_nothing(config, dtype, batch):
    T = config.block_size
    ids = random_ids(config, (*batch, T))
    by_token = [T // 2] + [1] * (T - T // 2)  # the prompt in one go, then each token
    in_chunks = [2, 1, 3, T - 6]
    for model, call in both(config, dtype=dtype):
        whole = call(ids)
        for steps in (by_token, in_chunks, [1] * T):
            cache, parts = model.new_cache(), []
            for chunk in np.split(ids, np.cumsum(steps)[:-1], axis=-1):
                parts.append(call(chunk, cache))
            joined = np.concatenate(parts, axis=-2)
            assert joined.dtype == whole.dtype == dtype
            assert abs(joined - whole).max() < BOUNDS[dtype]
            assert numpy_gpt.cached_length(cache) == T
            with pytest.raises(ValueError, match=f"{T + 1} tokens.*block_size {T}"):
                call(ids[..., :1], cache)
            assert numpy_gpt.cached_length(cache) == T


def test_recorded_activations_with_a_cache_are_the_last_rows():
    config = CONFIGS[0]
    model = numpy_gpt.GPT(config, random_params(config, dtype="float64"))
    ids, whole, later = random_ids(config, (2, 10)), {}, {}
    model(ids, activations=whole)
    cache = model.new_cache()
    model(ids[:, :7], cache)
    model(ids[:, 7:], cache, later)
    assert whole.keys() == later.keys()
    for name, x in later.items():
        full = whole[name]
        if not name.endswith((".key", ".value")):  # those include the cache's
            full = full[..., 7:, :]
        assert x.shape == full.shape
        assert abs(x - full).max() < BOUNDS["float64"], name


def test_a_cache_continues_its_own_batch_only():
    config = CONFIGS[0]
    for model, call in both(config):
        cache = model.new_cache()
        call(random_ids(config, (2, 5)), cache)
        for shape in [(3, 1), (1, 1), (1,)]:
            with pytest.raises(ValueError, match="can't continue"):
                call(random_ids(config, shape), cache)
        assert numpy_gpt.cached_length(cache) == 5


def test_copies_of_a_cache_go_separate_ways():
    """As in beam search; they share the rows of the prompt and no others."""
    config = CONFIGS[0]
    prompt, *ways = np.split(random_ids(config, (20,)), [8, 11, 14, 17])
    for model, call in both(config, dtype="float64"):
        cache = model.new_cache()
        call(prompt, cache)
        copies = [[dict(block) for block in cache] for _ in ways]
        steps = [[] for _ in ways]
        for i in range(3):
            for copy, way, rows in zip(copies, ways, steps, strict=True):
                rows.append(call(way[i : i + 1], copy))
        assert numpy_gpt.cached_length(cache) == 8
        for way, rows in zip(ways, steps, strict=True):
            whole = call(np.concatenate([prompt, way]))[8:]
            assert abs(np.concatenate(rows) - whole).max() < BOUNDS["float64"]


def test_a_shortened_or_reordered_cache_goes_on_from_what_it_holds():
    config = CONFIGS[0]
    ids, other = random_ids(config, (3, 12)), random_ids(config, (3, 4), seed=1)
    order = [2, 0, 2]
    changes = {
        "cut": (lambda rows: rows[..., :7, :], ids[:, :7]),
        "reordered": (lambda rows: rows[order], ids[order]),
        "doubled": (lambda rows: rows[[1, 1, 1]], ids[[1, 1, 1]]),
    }
    for _, call in both(config, dtype="float64"):
        for name, (change, held) in changes.items():
            cache = [{} for _ in range(config.n_layer)]
            call(ids, cache)
            old = cache[0]["key"]
            before = old + 0
            for block in cache:
                block.update({n: change(block[n]) for n in ("key", "value")})
            right = call(np.concatenate([held, other], axis=-1))[:, held.shape[1] :]
            steps = [call(other[:, i : i + 1], cache) for i in range(4)]
            joined = np.concatenate(steps, axis=-2)
            assert abs(joined - right).max() < BOUNDS["float64"], name
            assert (old == before).all(), name


def test_a_cached_step_copies_no_old_rows():
    for model, call in both(CONFIGS[0]):
        cache = model.new_cache()
        call(random_ids(CONFIGS[0], (5,)), cache)
        rows = [block["key room"]["rows"] for block in cache]
        for _ in range(5):
            call(np.array([1]), cache)
        for block, array in zip(cache, rows, strict=True):
            assert block["key room"]["rows"] is array


@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_the_last_logits_alone_are_the_last_of_all(batch):
    ids = random_ids(CONFIGS[0], (*batch, 9))
    for (model, call), name in zip(both(CONFIGS[0]), ["numpy", "torch"], strict=True):
        with torch.no_grad():
            last = model(torch.tensor(ids) if name == "torch" else ids, last=True)
        assert last.shape == (*batch, 1, CONFIGS[0].vocab_size)
        difference = np.asarray(last) - call(ids)[..., -1:, :]
        assert abs(difference).max() < BOUNDS["float32"]


def test_models_without_a_cache_remember_nothing():
    config = CONFIGS[0]
    ids = random_ids(config, (2, 8))
    for _, call in both(config):
        first = call(ids)
        call(random_ids(config, (2, 20), seed=1))
        assert np.array_equal(call(ids), first)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_later_tokens_do_not_change_earlier_logits(config):
    T = config.block_size
    ids = random_ids(config, (2, T))
    for _, call in both(config):
        before = call(ids)
        for t in range(T):
            changed = ids.copy()
            changed[:, t] = (changed[:, t] + 1) % config.vocab_size
            after = call(changed)
            assert abs(after[:, :t] - before[:, :t]).max(initial=0) < 1e-6
            assert (abs(after[:, t:] - before[:, t:]).max(axis=(0, 2)) > 1e-5).all()


# Bad input


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "integers, not float"),
        ([True, False], TypeError, "integers, not bool"),
        ([3, 97], ValueError, "token id 97 is outside the vocabulary of 97 tokens"),
        ([[3], [-1]], ValueError, "token id -1 is outside the vocabulary of 97"),
        ([0] * 25, ValueError, "25 tokens is longer than block_size 24"),
        (7, ValueError, r"\(T,\) or \(B, T\), not \(\)"),
        ([[[1]]], ValueError, r"not \(1, 1, 1\)"),
        ([], ValueError, r"no token ids: shape \(0,\)"),
        ([[], []], ValueError, r"no token ids: shape \(2, 0\)"),
    ],
    ids=str,
)
def test_bad_ids_are_refused(ids, error, message):
    for model, call in both(CONFIGS[0]):
        cache = model.new_cache()
        with pytest.raises(error, match=message):
            call(ids, cache)
        assert cache == model.new_cache()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_every_integer_type_is_an_id(dtype):
    ids = random_ids(CONFIGS[0], (2, 8))
    for _, call in both(CONFIGS[0]):
        assert np.array_equal(call(ids.astype(dtype)), call(ids))


def test_numpy_model_checks_its_parameters():
    params = random_params(CONFIGS[0])
    params["ln_f.bias"] = params["ln_f.bias"][:-1]
    with pytest.raises(ValueError, match=r"ln_f.bias has shape \(31,\), not \(32,\)"):
        numpy_gpt.GPT(CONFIGS[0], params)


# What is PyTorch's alone


def test_state_dict_is_that_of_transformers(tmp_path):
    config = CONFIGS[0]
    torch.manual_seed(0)
    model = torch_gpt.GPT(config)
    model.save(tmp_path / "new" / "folder", bos_token_id=1, eos_token_id=2)
    theirs, info = transformers.GPT2LMHeadModel.from_pretrained(
        tmp_path / "new" / "folder", output_loading_info=True
    )
    assert not any(info.values()), info
    assert (theirs.config.bos_token_id, theirs.config.eos_token_id) == (1, 2)
    state = theirs.state_dict()
    head = state.pop("lm_head.weight")
    assert head.data_ptr() == state["transformer.wte.weight"].data_ptr()
    assert list(model.state_dict()) == list(state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    again = torch_gpt.GPT.load(tmp_path / "new" / "folder")
    assert again.config == config
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(p.requires_grad for p in again.parameters())


def test_files_of_transformers_load(tmp_path):
    config = CONFIGS[0]
    ours, in_torch, theirs = load_all(random_folder(config, tmp_path / "ours"))
    theirs.save_pretrained(tmp_path / "theirs")
    again = numpy_gpt.GPT.load(tmp_path / "theirs")
    assert again.config == config
    for name, array in ours.params.items():
        assert np.array_equal(again.params[name], array), name
    ids = random_ids(config, (1, 8))
    assert torch.equal(torch_gpt.GPT.load(tmp_path / "theirs")(ids), in_torch(ids))


def test_initial_weights():
    config = Config(vocab_size=500, block_size=100, n_layer=8, n_head=4, d_model=64)
    torch.manual_seed(0)
    for name, p in torch_gpt.GPT(config).named_parameters():
        if name.endswith("bias"):
            assert (p == 0).all(), name
        elif "ln_" in name:
            assert (p == 1).all(), name
        else:
            std = 0.02 / 4 if name.endswith("c_proj.weight") else 0.02
            error = 5 * std / math.sqrt(2 * p.numel())  # 5 standard errors
            assert abs(p.std().item() - std) < error, name
            assert abs(p.mean().item()) < 5 * std / math.sqrt(p.numel()), name


def test_loss_and_gradients_are_those_of_transformers(tmp_path):
    config = CONFIGS[0]
    ours, in_torch, theirs = load_all(random_folder(config, tmp_path), "float64")
    ids = random_ids(config, (3, 11))
    inputs, targets = ids[:, :-1], ids[:, 1:].copy()
    targets[0, 3:] = -1
    targets[1, 0] = -100  # negative is ignored, whichever it is
    logits, loss = in_torch(torch.tensor(inputs), torch.tensor(targets))
    assert logits.shape == (3, 10, config.vocab_size)
    loss.backward()
    their_logits = theirs(torch.tensor(inputs)).logits
    kept = torch.tensor(targets >= 0)
    their_loss = F.cross_entropy(their_logits[kept], torch.tensor(targets)[kept])
    their_loss.backward()
    assert abs(loss.item() - their_loss.item()) < 1e-10
    assert abs(loss.item() - layers.cross_entropy(ours(inputs), targets)) < 1e-10
    gradients = dict(theirs.named_parameters())
    our_loss, by_hand = ours.gradients(inputs, targets)
    assert abs(loss.item() - our_loss) < 1e-10
    for name, p in in_torch.named_parameters():
        assert abs(p.grad - gradients[name].grad).max() < 1e-10, name
        derived = by_hand.pop(name.removeprefix("transformer."))
        assert derived.shape == p.shape
        assert abs(derived - p.grad.numpy()).max() < 1e-10, name
    assert not by_hand
    _, of_one = in_torch(torch.tensor(inputs[2]), torch.tensor(targets[2]))
    assert abs(of_one.item() - ours.gradients(inputs[2], targets[2])[0]) < 1e-10
    assert abs(of_one - F.cross_entropy(logits[2], torch.tensor(targets[2]))) < 1e-10


@pytest.mark.parametrize("n_key", [6, 9])
def test_attention_in_bfloat16_is_the_same_attention(n_key, bfloat16):
    """On a CPU it is computed another way, from the same definition."""
    torch.manual_seed(0)
    query = torch.randn(2, 3, 6, 8)
    key, value = torch.randn(2, 2, 3, n_key, 8)
    mask = None
    if n_key > 6:
        mask = torch.ones(6, n_key, dtype=torch.bool).tril(n_key - 6)
    right = torch_gpt.attend(query, key, value, mask)
    ours = torch_gpt.attend(*(x.bfloat16() for x in (query, key, value)), mask)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), right, rtol=0, atol=0.03)


def test_forward_is_one_graph():
    """Nothing in it stops torch.compile, cache and loss included."""
    config = CONFIGS[1]
    model = torch_gpt.GPT(config).eval()
    ids = torch.tensor(random_ids(config, (2, 8)))
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=False)
    with torch.no_grad():
        assert torch.equal(compiled(ids, ids)[1], model(ids, ids)[1])
        cache, eager = model.new_cache(), model.new_cache()
        for chunk in (ids[:, :5], ids[:, 5:]):
            assert torch.equal(compiled(chunk, None, cache), model(chunk, None, eager))


def main():
    """The table: the largest difference of any activation."""
    print(f"{'model':16}{'pair':24}{'dtype':10}max |difference|")
    for dtype in BOUNDS:
        largest = {}
        for config in CONFIGS:
            with tempfile.TemporaryDirectory() as folder:
                random_folder(config, folder, dtype=dtype)
                ids = random_ids(config, (3, config.block_size))
                for pair, arrays in equality(folder, dtype, ids).items():
                    row = ("random models", pair)
                    largest[row] = max(largest.get(row, (0, 0)), *arrays.values())
        for kind in ("random", "story"):
            for pair, arrays in equality(TALES, dtype, tales_ids(kind)).items():
                largest[f"tales, {kind}", pair] = max(arrays.values())
        for (model, pair), (difference, size) in largest.items():
            print(f"{model:16}{pair:24}{dtype:10}{difference:.1e} (at size {size:.0f})")


if __name__ == "__main__":
    main()
