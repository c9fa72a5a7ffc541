"""The recurring figures: they show what they are given, and refuse what they can't."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gptbook import plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_depth_of_a_cell_is_its_weight():
    weights = np.array([[1.0, 0.0], [0.3, 0.7]])
    ax = plots.attention_map(weights, ["A", "\u0120b"])
    [image] = ax.get_images()
    np.testing.assert_array_equal(image.get_array()[..., 3], weights)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["A", "b"]


def test_every_head_has_its_map():
    weights = np.full((2, 3, 4, 4), 0.25)
    axes = plots.attention_grid(weights).axes
    names = ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    assert [ax.get_title() for ax in axes] == names


def test_the_lit_piece_alone_is_lit():
    def faces(lit):
        return [patch.get_facecolor() for patch in plots.gpt_map(lit).patches]

    changed = [a != b for a, b in zip(faces(()), faces("attn"), strict=True)]
    assert sum(changed) == 1


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"shape \(T, T\), not \(2, 3\)"):
        plots.attention_map(np.ones((2, 3)))
    with pytest.raises(ValueError, match="2 rows of weights need 2 tokens, not 1"):
        plots.attention_map(np.eye(2), ["A"])
    with pytest.raises(ValueError, match=r"shape \(n, m, T, T\), not \(2, 2\)"):
        plots.attention_grid(np.eye(2))
    with pytest.raises(ValueError, match="no piece \\['head'\\]; there are wte"):
        plots.gpt_map("head")
