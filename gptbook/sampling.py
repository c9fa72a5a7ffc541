"""From logits to text: how the next token is chosen, and how a model goes on.

Works on the logits of any of the models, as a NumPy vector (V,).
"""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np

from gptbook.layers import softmax
from gptbook.numpy_gpt import check_ids


def next_token_probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """The probabilities (V,) that the next token is drawn from; float64, sum 1.

    temperature: divides the logits; below 1 sharpens, above 1 flattens.
    top_k: only the k likeliest tokens; of equal ones, those with the lowest ids.
    top_p: of what is left, only the smallest set of likeliest tokens whose probability
    is at least p (Holtzman et al. 2020, "nucleus sampling").
    Raises ValueError for a setting out of its range, or logits that are no vector, NaN
    or +inf; a token with -inf is never drawn.
    """
    logits = _checked(logits)
    V = len(logits)
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, not {temperature}")
    if top_k is not None and not (isinstance(top_k, Integral) and 1 <= top_k <= V):
        raise ValueError(f"top_k must be a whole number from 1 to {V}, not {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p}")
    with np.errstate(over="ignore"):  # near temperature 0, all but the top: -inf
        p = softmax((logits - logits.max()) / temperature)
    if top_k is None and top_p is None:
        return p
    likeliest_first = np.argsort(-logits, kind="stable")
    if top_k is not None:
        p[likeliest_first[top_k:]] = 0
        p /= p.sum()
    if top_p is not None:
        n = 1 + np.searchsorted(np.cumsum(p[likeliest_first]), top_p)
        p[likeliest_first[n:]] = 0
        p /= p.sum()
    return p


def greedy(logits):
    """The id of the largest logit; of equal ones, the lowest id."""
    return int(np.argmax(_checked(logits)))


def sample(logits, rng, temperature=1.0, top_k=None, top_p=None):
    """An id drawn from `next_token_probabilities` with a NumPy random generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be like np.random.default_rng(0), not {rng!r}")
    p = next_token_probabilities(logits, temperature, top_k, top_p)
    return int(rng.choice(len(p), p=p))


def generate(
    model,
    ids,
    max_new_tokens,
    rng=None,
    temperature=1.0,
    top_k=None,
    top_p=None,
    stop=None,
    cache=True,
):
    """Continues ids (T,) token by token; returns the list of the new ids.

    model: a NumPy or PyTorch GPT, with `config`, `new_cache` and `next_logits`.
    rng: the source of chance for `sample`; without it the choice is `greedy`.
    stop: an id, or several, that end the text; the one that came is returned too.
    cache: with the KV cache each step reads one token, without it the whole sequence;
    the result is the same.
    It also ends, with fewer tokens, when the sequence fills block_size.
    Raises TypeError or ValueError for ids that `check_ids` refuses, settings out of
    their range, and settings of `sample` without `rng`.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"the prompt must be one sequence (T,), not {ids.shape}")
    check_ids(ids, model.config)
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must be at least 0, not {max_new_tokens}")
    if rng is None and (temperature, top_k, top_p) != (1.0, None, None):
        raise ValueError("temperature, top_k and top_p need rng: without it, greedy")
    stops = {stop} if isinstance(stop, Integral) else set(stop or ())
    if any(not 0 <= s < model.config.vocab_size for s in stops):
        raise ValueError(
            f"stop {stop} is outside the vocabulary of {model.config.vocab_size} tokens"
        )
    room = model.config.block_size - len(ids)
    kv_cache = model.new_cache() if cache else None
    new, unread = [], ids
    for _ in range(min(max_new_tokens, room)):
        logits = model.next_logits(unread, kv_cache)
        if rng is None:
            new.append(greedy(logits))
        else:
            new.append(sample(logits, rng, temperature, top_k, top_p))
        if new[-1] in stops:
            break
        unread = np.array(new[-1:]) if cache else np.append(ids, new)
    return new


def _checked(logits):
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim != 1 or not len(logits):
        raise ValueError(f"logits must have shape (V,), not {logits.shape}")
    if np.isnan(logits).any() or logits.max() in (math.inf, -math.inf):
        raise ValueError("logits must not be NaN or +inf, nor all of them -inf")
    return logits
