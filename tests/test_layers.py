"""The layers in NumPy against loops, against PyTorch, and at their edges."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gptbook import layers

DTYPES = ["float32", "float64"]
BOUNDS = {"float32": 1e-6, "float64": 1e-14}


def normal(*shape, seed=0, dtype="float64", std=1.0):
    return np.random.default_rng(seed).normal(0, std, shape).astype(dtype)


def assert_same(array, tensor):
    tensor = tensor.numpy()
    assert array.shape == tensor.shape
    assert array.dtype == tensor.dtype
    bound = BOUNDS[str(array.dtype)] * max(1, abs(tensor).max())
    assert abs(array - tensor).max() < bound


def torched(*arrays):
    return [torch.from_numpy(a) for a in arrays]


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax(dtype):
    x = normal(3, 5, 7, dtype=dtype, std=3)
    p = layers.softmax(x)
    assert_same(p, torch.softmax(torch.from_numpy(x), -1))
    assert p == pytest.approx(layers.softmax(x + 100), rel=1e-4)
    assert layers.softmax(np.array([0.0, math.log(3)])) == pytest.approx([0.25, 0.75])


def test_softmax_of_the_very_large_and_of_minus_infinity():
    x = np.array([1e4, 1e4, -1e4, -np.inf], dtype="float32")
    assert np.array_equal(layers.softmax(x), [0.5, 0.5, 0, 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_layer_norm(dtype, epsilon):
    x = normal(2, 5, 16, dtype=dtype, std=0.5) + np.asarray(3, dtype)
    gain, bias = normal(16, dtype=dtype, seed=1), normal(16, dtype=dtype, seed=2)
    y = layers.layer_norm(x, gain, bias, epsilon)
    assert_same(y, F.layer_norm(*torched(x), (16,), *torched(gain, bias), epsilon))
    # (-1, 1) has mean 0 and biased variance 1.
    pair = layers.layer_norm(np.array([-1.0, 1.0]), np.ones(2), np.zeros(2), epsilon)
    assert pair == pytest.approx(np.array([-1, 1]) / math.sqrt(1 + epsilon), rel=1e-12)


def test_layer_norm_of_equal_numbers_is_the_bias():
    bias = np.array([1.0, 2.0, 3.0])
    assert np.array_equal(layers.layer_norm(np.full(3, 7.0), np.ones(3), bias), bias)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu(dtype):
    x = np.linspace(-8, 8, 10_001, dtype=dtype)
    tanh_form = layers.gelu(x)
    assert_same(tanh_form, F.gelu(*torched(x), approximate="tanh"))
    erf_form = F.gelu(*torched(x)).numpy()
    assert 4.6e-4 < abs(tanh_form - erf_form).max() < 4.8e-4


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear(dtype):
    x, weight = normal(2, 3, 4, dtype=dtype), normal(4, 5, dtype=dtype, seed=1)
    bias = normal(5, dtype=dtype, seed=2)
    y = layers.linear(x, weight, bias)
    assert_same(y, F.linear(*torched(x, weight.T, bias)))


def test_embedding():
    tokens, positions = normal(10, 4), normal(6, 4, seed=1)
    ids = np.array([[3, 3, 0], [9, 1, 2]])
    x = layers.embedding(ids, tokens, positions)
    later = layers.embedding(ids, tokens, positions, start=2)
    assert x.shape == (2, 3, 4)
    for b in range(2):
        for t in range(3):
            assert np.array_equal(x[b, t], tokens[ids[b, t]] + positions[t])
            assert np.array_equal(later[b, t], tokens[ids[b, t]] + positions[t + 2])
    assert np.array_equal(layers.embedding(ids[1], tokens, positions), x[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_causal_mask(dtype):
    inf = np.inf
    square = layers.causal_mask(3, 3, dtype)
    assert square.dtype == dtype
    assert np.array_equal(square, [[0, -inf, -inf], [0, 0, -inf], [0, 0, 0]])
    with_cache = layers.causal_mask(2, 4, dtype)
    assert np.array_equal(with_cache, [[0, 0, 0, -inf], [0, 0, 0, 0]])
    assert np.array_equal(layers.causal_mask(1, 5, dtype), np.zeros((1, 5)))


def test_heads_are_slices_of_the_width_and_come_together_again():
    x = normal(2, 5, 12)
    heads = layers.split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    for h in range(3):
        assert np.array_equal(heads[:, h], x[:, :, 4 * h : 4 * (h + 1)])
    assert np.array_equal(layers.merge_heads(heads), x)
    assert np.array_equal(layers.split_heads(x[0], 3), heads[0])
    assert np.array_equal(layers.merge_heads(heads[0]), x[0])


def test_attention_by_loops():
    T, n_key, d_head = 3, 5, 4
    query = normal(T, d_head)
    key, value = normal(n_key, d_head, seed=1), normal(n_key, d_head, seed=2)
    mask = layers.causal_mask(T, n_key, "float64")
    output, weights = layers.attention(query, key, value, mask)
    for i in range(T):
        seen = i + n_key - T + 1  # itself and what came before
        scores = [sum(query[i] * key[j]) / math.sqrt(d_head) for j in range(seen)]
        exps = [math.exp(score) for score in scores]
        expected = [exp / sum(exps) for exp in exps] + [0] * (n_key - seen)
        assert weights[i] == pytest.approx(expected, abs=1e-14)
        mean = sum(expected[j] * value[j] for j in range(n_key))
        assert output[i] == pytest.approx(mean, abs=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_of_many_heads(dtype):
    query, key, value = (normal(2, 3, 6, 8, dtype=dtype, seed=s) for s in range(3))
    mask = layers.causal_mask(6, 6, dtype)
    output, weights = layers.attention(query, key, value, mask)
    expected = F.scaled_dot_product_attention(
        *torched(query, key, value), is_causal=True
    )
    assert_same(output, expected)
    assert weights.shape == (2, 3, 6, 6) and weights.dtype == dtype
    assert weights.sum(axis=-1) == pytest.approx(1, abs=1e-6)
    assert (np.triu(weights, 1) == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_feed_forward(dtype):
    x, w_in = normal(2, 3, 4, dtype=dtype), normal(4, 16, dtype=dtype, seed=1)
    b_in, w_out = normal(16, dtype=dtype, seed=2), normal(16, 4, dtype=dtype, seed=3)
    b_out = normal(4, dtype=dtype, seed=4)
    hidden = F.gelu(F.linear(*torched(x, w_in.T, b_in)), approximate="tanh")
    expected = F.linear(hidden, *torched(w_out.T, b_out))
    assert_same(layers.feed_forward(x, w_in, b_in, w_out, b_out), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6,), (2, 6), (2, 3, 4)])
def test_cross_entropy(dtype, shape):
    logits = normal(*shape, 11, dtype=dtype, std=3)
    targets = np.random.default_rng(0).integers(11, size=shape)
    targets.flat[[0, 3]] = -1
    loss = layers.cross_entropy(logits, targets)
    expected = F.cross_entropy(
        *torched(logits.reshape(-1, 11), targets.ravel()), ignore_index=-1
    )
    assert_same(loss, expected)
    targets.flat[3] = -100  # any negative number is ignored
    assert layers.cross_entropy(logits, targets) == loss


def test_cross_entropy_by_hand():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]) + 7
    loss = layers.cross_entropy(logits, np.array([1, 2]))
    assert loss == pytest.approx((math.log(4) - math.log(0.8)) / 2, abs=1e-14)


def test_cross_entropy_of_the_very_large():
    logits = np.array([[1e4, 0.0], [1e4, 0.0]], dtype="float32")
    assert layers.cross_entropy(logits, np.array([0, 1])) == 5e3


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 2], r"targets \(3,\) for logits \(2, 5\)"),
        ([[0, 1]], r"targets \(1, 2\) for logits \(2, 5\)"),
        ([0, 5], "target 5 is outside the vocabulary of 5 tokens"),
        ([-1, -100], "all are negative"),
    ],
)
def test_cross_entropy_refuses(targets, message):
    with pytest.raises(ValueError, match=message):
        layers.cross_entropy(np.zeros((2, 5)), np.array(targets))


def test_no_layer_changes_its_input():
    x, ids = normal(2, 4, 8), np.array([[1, 2, 3, 0]])
    vector, square, targets = normal(8), normal(8, 8), np.array([[1, -1, 2, 0]] * 2)
    before = [a.copy() for a in (x, ids, vector, square, targets)]
    layers.softmax(x)
    layers.layer_norm(x, vector, vector)
    layers.gelu(x)
    layers.linear(x, square, vector)
    layers.embedding(ids, square, square)
    layers.attention(x, x, x, layers.causal_mask(4, 4, x.dtype))
    layers.feed_forward(x, square, vector, square, vector)
    layers.merge_heads(layers.split_heads(x, 2))
    layers.cross_entropy(x, targets)
    for a, b in zip(before, (x, ids, vector, square, targets), strict=True):
        assert np.array_equal(a, b)


# Backward: each function against finite differences of its forward.


def slopes(f, arrays, grad, step=1e-5):
    """The gradients of sum(grad * f(*arrays)) by each array, by central differences."""
    found = []
    for array in arrays:
        slope = np.empty_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = (grad * f(*arrays)).sum()
            array[place] = kept - step
            below = (grad * f(*arrays)).sum()
            array[place] = kept
            slope[place] = (above - below) / (2 * step)
        found.append(slope)
    return found


def masked_attention(query, key, value):
    mask = layers.causal_mask(query.shape[-2], key.shape[-2], query.dtype)
    return layers.attention(query, key, value, mask)


IDS = np.array([[1, 2, 1], [0, 1, 3]])  # token 1 three times, token 4 never
TARGETS = np.array([[4, -1, 0], [2, 2, -100]])
# name: (forward, the shapes of what it takes, backward of (grad, *those))
BACKWARD = {
    "linear": (
        layers.linear,
        [(2, 3, 4), (4, 5), (5,)],
        lambda grad, x, weight, bias: layers.linear_backward(grad, x, weight),
    ),
    "softmax": (
        layers.softmax,
        [(2, 3, 5)],
        lambda grad, x: [layers.softmax_backward(grad, layers.softmax(x))],
    ),
    "layer_norm": (
        lambda *arrays: layers.layer_norm(*arrays, epsilon=0.1),
        [(2, 3, 6), (6,), (6,)],
        lambda grad, x, gain, bias: layers.layer_norm_backward(grad, x, gain, 0.1),
    ),
    "gelu": (
        layers.gelu,
        [(4, 9)],
        lambda grad, x: [layers.gelu_backward(grad, x)],
    ),
    "embedding": (
        lambda wte, wpe: layers.embedding(IDS, wte, wpe),
        [(5, 4), (6, 4)],
        lambda grad, wte, wpe: layers.embedding_backward(grad, IDS, 5, 6),
    ),
    "attention": (
        lambda *arrays: masked_attention(*arrays)[0],
        [(2, 2, 4, 3)] * 3,
        lambda grad, q, k, v: layers.attention_backward(
            grad, q, k, v, masked_attention(q, k, v)[1]
        ),
    ),
    "cross_entropy": (
        lambda logits: layers.cross_entropy(logits, TARGETS),
        [(2, 3, 5)],
        lambda grad, logits: [grad * layers.cross_entropy_backward(logits, TARGETS)],
    ),
}


def backward_case(name, dtype):
    forward, shapes, backward = BACKWARD[name]
    arrays = [normal(*shape, seed=i, dtype=dtype) for i, shape in enumerate(shapes)]
    shape = np.shape(forward(*arrays))
    grad = np.asarray(normal(*shape, seed=9, dtype=dtype), dtype)
    return forward, arrays, grad, backward


@pytest.mark.parametrize("name", BACKWARD)
def test_backward_is_the_slope_of_forward(name):
    forward, arrays, grad, backward = backward_case(name, "float64")
    expected = slopes(forward, arrays, grad)
    for got, slope in zip(backward(grad, *arrays), expected, strict=True):
        assert got.shape == slope.shape
        assert abs(got - slope).max() < 1e-8


@pytest.mark.parametrize("name", BACKWARD)
def test_backward_keeps_float32_and_its_input(name):
    _, arrays, grad, backward = backward_case(name, "float32")
    before = [a.copy() for a in (grad, *arrays)]
    assert all(got.dtype == "float32" for got in backward(grad, *arrays))
    for a, b in zip(before, (grad, *arrays), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("name", BACKWARD)
def test_slopes_would_see_a_mistake(name):
    forward, arrays, grad, backward = backward_case(name, "float64")
    expected = slopes(forward, arrays, grad)
    for got, slope in zip(backward(grad, *arrays), expected, strict=True):
        assert abs(1.001 * got - slope).max() > 1e-6


def test_cross_entropy_backward_refuses_what_cross_entropy_does():
    with pytest.raises(ValueError, match="target 5 is outside the vocabulary of 5"):
        layers.cross_entropy_backward(normal(2, 5), np.array([5, 0]))
