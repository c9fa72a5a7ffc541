"""Choosing the next token: probabilities by hand, samples by count, whole texts."""

import math

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from test_models import CONFIGS, both, load_all, random_folder, random_ids

from gptbook.sampling import generate, greedy, next_token_probabilities, sample

P = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
LOGITS = np.log(P) + 3  # a constant changes nothing
VECTORS = st.lists(st.floats(-50, 50), min_size=1, max_size=20).map(np.array)


def generator(seed=0):
    return np.random.default_rng(seed)


# The probabilities


def test_plain_probabilities_are_the_softmax():
    p = next_token_probabilities(LOGITS)
    assert p.dtype == np.float64
    assert p == pytest.approx(P, abs=1e-15)
    p = next_token_probabilities(LOGITS.astype("float32"))
    assert p.dtype == np.float64
    assert p == pytest.approx(P, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.7, 10])
def test_temperature_is_a_power_of_the_probabilities(temperature):
    p = next_token_probabilities(LOGITS, temperature)
    expected = P ** (1 / temperature)
    assert p == pytest.approx(expected / expected.sum(), abs=1e-14)


@pytest.mark.parametrize("temperature", [1e-4, 1e-300, 5e-324])
def test_towards_temperature_0_is_greedy(temperature):
    assert np.array_equal(next_token_probabilities(LOGITS, temperature), P == 0.4)


def test_towards_infinite_temperature_is_uniform():
    assert next_token_probabilities(LOGITS, 1e12) == pytest.approx(0.2, abs=1e-10)


@pytest.mark.parametrize(
    ("k", "kept"), [(1, [1]), (2, [1, 3]), (3, [1, 3, 4]), (5, [0, 1, 2, 3, 4])]
)
def test_top_k_keeps_the_k_likeliest(k, kept):
    expected = np.where(np.isin(np.arange(5), kept), P, 0)
    p = next_token_probabilities(LOGITS, top_k=k)
    assert p == pytest.approx(expected / expected.sum(), abs=1e-15)
    assert np.count_nonzero(p) == k


def test_top_k_takes_the_lowest_ids_of_equal_tokens():
    p = next_token_probabilities(np.array([1.0, 2.0, 1.0, 1.0]), top_k=2)
    assert np.flatnonzero(p).tolist() == [0, 1]
    p = next_token_probabilities(np.tile([0.0, 1.0, 0.5], 100), top_k=103)
    assert np.flatnonzero(p).tolist() == sorted([*range(1, 300, 3), 2, 5, 8])
    assert greedy(np.zeros(4)) == 0


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (1e-9, [1]),
        (0.39, [1]),
        (0.41, [1, 3]),
        (0.64, [1, 3]),
        (0.66, [1, 3, 4]),
        (0.86, [1, 3, 4, 0]),
        (0.96, [0, 1, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4]),
        (1, [0, 1, 2, 3, 4]),
    ],
)
def test_top_p_keeps_the_likeliest_that_reach_p(top_p, kept):
    expected = np.where(np.isin(np.arange(5), kept), P, 0)
    p = next_token_probabilities(LOGITS, top_p=top_p)
    assert p == pytest.approx(expected / expected.sum(), abs=1e-15)
    assert np.count_nonzero(p) == len(kept)


def test_top_p_that_is_reached_exactly_needs_no_more():
    logits = np.log2([0.5, 0.25, 0.125, 0.125]) * math.log(2)
    p = next_token_probabilities(logits, top_p=0.75)
    assert np.flatnonzero(p).tolist() == [0, 1]


@given(VECTORS, st.floats(0.05, 20), st.floats(0.01, 1), st.data())
def test_the_kept_set_is_the_smallest_that_reaches_p(logits, temperature, top_p, data):
    full = next_token_probabilities(logits, temperature)
    p = next_token_probabilities(logits, temperature, top_p=top_p)
    kept = p > 0
    assert p.sum() == pytest.approx(1)
    assert full[kept].sum() >= top_p - 1e-12
    assert full[kept].sum() - full[kept].min() < top_p + 1e-12
    if not kept.all():
        assert full[kept].min() >= full[~kept].max()
    assert p[kept] == pytest.approx(full[kept] / full[kept].sum())
    k = data.draw(st.integers(1, len(logits)))
    p = next_token_probabilities(logits, temperature, top_k=k)
    assert np.count_nonzero(p) <= k and p.sum() == pytest.approx(1)
    assert p[greedy(logits)] == p.max()


def test_temperature_comes_first_then_top_k_then_top_p():
    """As in transformers, whose own filters give the same probabilities."""
    logits = np.random.default_rng(0).normal(0, 3, 50)
    processors = transformers.LogitsProcessorList([
        transformers.TemperatureLogitsWarper(1.5),
        transformers.TopKLogitsWarper(12),
        transformers.TopPLogitsWarper(0.8),
    ])  # fmt: skip
    theirs = processors(None, torch.tensor(logits)[None])[0].softmax(0).numpy()
    p = next_token_probabilities(logits, 1.5, top_k=12, top_p=0.8)
    assert 2 < np.count_nonzero(p) < 12
    assert p == pytest.approx(theirs, abs=1e-14)


def test_a_forbidden_token_is_never_drawn():
    logits = np.array([-np.inf, 0.0, -np.inf, 1.0])
    for settings in ({}, {"top_k": 4}, {"top_p": 1.0}, {"temperature": 1e-310}):
        p = next_token_probabilities(logits, **settings)
        assert p[0] == p[2] == 0 and p.sum() == pytest.approx(1)


def test_logits_stay_as_they_are():
    logits = LOGITS.copy()
    next_token_probabilities(logits, 0.5, top_k=2, top_p=0.5)
    assert np.array_equal(logits, LOGITS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, "temperature must be positive and finite, not 0"),
        ({"temperature": -1.0}, "finite, not -1.0"),
        ({"temperature": math.nan}, "finite, not nan"),
        ({"temperature": math.inf}, "finite, not inf"),
        ({"top_k": 0}, "top_k must be a whole number from 1 to 5, not 0"),
        ({"top_k": 6}, "from 1 to 5, not 6"),
        ({"top_k": 2.0}, "from 1 to 5, not 2.0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, not 0"),
        ({"top_p": 1.1}, "at most 1, not 1.1"),
        ({"top_p": math.nan}, "at most 1, not nan"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        next_token_probabilities(LOGITS, **settings)


@pytest.mark.parametrize("function", [next_token_probabilities, greedy])
@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (np.zeros((1, 5)), r"shape \(V,\), not \(1, 5\)"),
        (np.zeros(0), r"shape \(V,\), not \(0,\)"),
        (np.array([0, math.nan]), "NaN"),
        (np.array([0, math.inf]), "inf"),
        (np.full(3, -math.inf), "all of them -inf"),
    ],
)
def test_what_is_no_logits_is_refused(function, logits, message):
    with pytest.raises(ValueError, match=message):
        function(logits)


# Samples


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 2.0}, {"top_k": 3}, {"top_p": 0.7}],
    ids=str,
)
def test_samples_follow_the_probabilities(settings):
    n, rng = 4000, generator(1)
    counts = np.bincount(
        [sample(LOGITS, rng, **settings) for _ in range(n)], minlength=5
    )
    p = next_token_probabilities(LOGITS, **settings)
    assert (counts[p == 0] == 0).all()
    # Chi-squared with at most 4 degrees of freedom: above 18.5 once in 1000.
    assert (((counts - n * p) ** 2)[p > 0] / (n * p[p > 0])).sum() < 18.5


def test_seeds_reproduce_samples():
    def draws(rng):
        return [sample(LOGITS, rng) for _ in range(50)]

    assert draws(generator(3)) == draws(generator(3)) != draws(generator(4))


def test_a_seed_is_no_generator():
    for rng in (0, None, np.random.RandomState(0)):
        with pytest.raises(TypeError, match="default_rng"):
            sample(LOGITS, rng)


# Texts


class Counter:
    """A stand-in for a model: after token n comes n + 1."""

    config = CONFIGS[0]  # 97 tokens, block_size 24

    def new_cache(self):
        return []

    def next_logits(self, ids, cache=None):
        if cache is not None:
            cache.extend(ids.tolist())
            ids = cache
        assert len(ids) < self.config.block_size
        logits = np.zeros(97)
        logits[(ids[-1] + 1) % 97] = 50 + len(ids)
        return logits


@pytest.mark.parametrize("cache", [True, False])
def test_generation_returns_the_new_ids(cache):
    model = Counter()
    assert generate(model, [5], 4, cache=cache) == [6, 7, 8, 9]
    assert generate(model, np.array([1, 95]), 3, cache=cache) == [96, 0, 1]
    assert generate(model, [5], 0, cache=cache) == []
    assert all(type(i) is int for i in generate(model, [5], 4, generator()))


@pytest.mark.parametrize("stop", [8, np.int64(8), {8, 50}, [8], (50, 8)], ids=repr)
def test_generation_stops_at_a_stop_token_and_returns_it(stop):
    assert generate(Counter(), [5], 10, stop=stop) == [6, 7, 8]


def test_stop_token_0_and_stops_in_the_prompt():
    assert generate(Counter(), [95], 9, stop=0) == [96, 0]
    assert generate(Counter(), [8, 5], 2, stop=8) == [6, 7]
    assert generate(Counter(), [5], 2, stop=set()) == [6, 7]


@pytest.mark.parametrize("cache", [True, False])
def test_generation_ends_when_the_context_is_full(cache):
    assert generate(Counter(), [0] * 22, 10, cache=cache) == [1, 2]
    assert generate(Counter(), [0] * 24, 10, cache=cache) == []
    for model, _ in both(CONFIGS[0]):
        ids = random_ids(CONFIGS[0], (20,))
        assert len(generate(model, ids, 99, cache=cache)) == 4


@pytest.mark.parametrize("cache", [True, False])
def test_greedy_generation_is_that_of_transformers(cache, tmp_path):
    config = CONFIGS[0]
    seen = set()
    for seed in range(6):
        *ours, theirs = load_all(random_folder(config, tmp_path, seed), "float64")
        prompt = random_ids(config, (3,), seed)
        expected = theirs.generate(
            torch.tensor(prompt)[None],
            attention_mask=torch.ones(1, 3, dtype=torch.long),
            max_length=config.block_size,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )[0, 3:].tolist()
        seen.update(expected)
        for model in ours:
            assert generate(model, prompt, 21, cache=cache) == expected
            end = expected.index(expected[7])
            stopped = generate(model, prompt, 21, stop=expected[7], cache=cache)
            assert stopped == expected[: end + 1]
    assert len(seen) > 20  # not one token again and again


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 0.7, "top_k": 9}, {"temperature": 3.0, "top_p": 0.9}],
    ids=str,
)
def test_sampled_generation_is_the_same_for_each_model_and_cache(settings):
    config = CONFIGS[0]
    prompt = random_ids(config, (2,))
    texts = [
        generate(model, prompt, 20, generator(seed), cache=cache, **settings)
        for seed in range(3)
        for model, _ in both(config, dtype="float64")
        for cache in (True, False)
    ]
    assert [texts[0]] * 4 + [texts[4]] * 4 + [texts[8]] * 4 == texts
    assert texts[0] != texts[4]


def test_a_model_in_bfloat16_generates():
    _, (model, _) = both(CONFIGS[0])
    assert len(generate(model.bfloat16(), [1, 2], 5, generator())) == 5


def test_near_temperature_0_generation_is_greedy():
    for model, _ in both(CONFIGS[0]):
        cold = generate(model, [1, 2], 20, generator(), temperature=1e-9)
        assert cold == generate(model, [1, 2], 20)
        assert cold == generate(model, [1, 2], 20, generator(), top_k=1)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([], ValueError, "no token ids"),
        ([[1, 2]], ValueError, r"one sequence \(T,\), not \(1, 2\)"),
        ([1.5], TypeError, "integers, not float64"),
        ([97], ValueError, "token id 97 is outside the vocabulary of 97"),
        ([-1], ValueError, "token id -1 is outside"),
        ([0] * 25, ValueError, "25 tokens is longer than block_size 24"),
    ],
    ids=str,
)
def test_bad_prompts_are_refused(ids, error, message):
    with pytest.raises(error, match=message):
        generate(Counter(), ids, 5)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"max_new_tokens": -1}, ValueError, "at least 0, not -1"),
        ({"stop": 97}, ValueError, "stop 97 is outside the vocabulary of 97"),
        ({"stop": {3, -1}}, ValueError, "outside the vocabulary of 97"),
        ({"temperature": 0.5}, ValueError, "need rng"),
        ({"top_k": 5}, ValueError, "need rng"),
        ({"top_p": 0.5}, ValueError, "need rng"),
        ({"rng": 0}, TypeError, "default_rng"),
        ({"rng": generator(), "temperature": 0}, ValueError, "positive and finite"),
        ({"rng": generator(), "top_k": 98}, ValueError, "from 1 to 97, not 98"),
    ],
)
def test_bad_settings_of_generation_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        generate(Counter(), [1], **({"max_new_tokens": 3} | settings))
