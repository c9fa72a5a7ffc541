"""The figures that recur in the book, in one style.

Figures have no background and grey ink, so that they read on a light and on a dark
page. Query, key and value keep their colours throughout (Okabe and Ito's palette, which
colour-blind readers can tell apart).
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch

QUERY, KEY, VALUE = "#D55E00", "#0072B2", "#009E73"
WEIGHT = "#8A5CC2"  # attention weights
LIGHT = "#E69F00"  # the piece that a chapter is about
INK = "#7a7a7a"  # reads on white and on black


def use_style():
    """The book's style for all figures of a notebook."""
    plt.rcParams.update({
        "figure.figsize": (4.5, 3.0),
        "figure.dpi": 200,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.bbox": "tight",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": plt.cycler(color=[KEY, QUERY, VALUE, "#CC79A7", LIGHT]),
        "lines.linewidth": 1.5,
        "legend.frameon": False,
        **{name: INK for name in (
            "text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color",
            "ytick.color", "axes.titlecolor",
        )},
    })  # fmt: skip


def readable(token):
    """A token as a label: GPT-2's sign for a space is left out."""
    return token.replace("Ġ", "").replace("Ċ", "\\n")


def attention_map(weights, tokens=None, ax=None):
    """One head's attention: row = query, column = key, the deeper the larger.

    weights: (T, T), each row sums to 1; tokens: the T labels, or None for none.
    The empty triangle is the future. Returns the axes.
    """
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise ValueError(f"weights must have shape (T, T), not {weights.shape}")
    T = len(weights)
    if tokens is not None and len(tokens) != T:
        raise ValueError(f"{T} rows of weights need {T} tokens, not {len(tokens)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(4.5, 4.5))
    image = np.empty((T, T, 4))
    image[..., :3] = to_rgb(WEIGHT)
    image[..., 3] = np.clip(weights, 0, 1)  # no weight, no colour
    ax.imshow(image, aspect="equal", interpolation="nearest")
    steps = np.repeat(np.arange(T + 1), 2) - 0.5  # the edge of the future
    ax.plot(steps[1:-1], steps[:-2], color=INK, lw=0.5)
    ax.set(xticks=[], yticks=[])
    if tokens is not None:
        labels = [readable(token) for token in tokens]
        ax.set_xticks(range(T), labels, rotation=90)
        ax.set_yticks(range(T), labels)
    ax.tick_params(length=0, pad=2)
    ax.spines[:].set_visible(False)
    return ax


def attention_grid(weights):
    """Many heads at a glance: weights (n, m, T, T) as n rows of m small maps."""
    weights = np.asarray(weights)
    if weights.ndim != 4:
        raise ValueError(f"weights must have shape (n, m, T, T), not {weights.shape}")
    n, m = weights.shape[:2]
    figure, axes = plt.subplots(n, m, figsize=(4.5, 4.5 * n / m), squeeze=False)
    for i in range(n):
        for j in range(m):
            attention_map(weights[i, j], ax=axes[i, j])
            axes[i, j].set_title(f"{i}.{j}", pad=2)
    figure.tight_layout(pad=0.3)
    return figure


# The parts of a GPT from the bottom up: name, height; a block holds those indented.
_MAP = {
    "wte": 0.0, "wpe": 0.0, "ln_1": 1.5, "attn": 2.3, "ln_2": 3.6, "mlp": 4.4,
    "ln_f": 5.9, "logits": 6.7,
}  # fmt: skip


def gpt_map(lit=()):
    """The map of the GPT, bottom to top, with the pieces named in `lit` lit.

    Names are GPT-2's own: wte, wpe, ln_1, attn, ln_2, mlp, ln_f, logits.
    """
    lit = {lit} if isinstance(lit, str) else set(lit)
    if unknown := lit - _MAP.keys():
        raise ValueError(f"no piece {sorted(unknown)}; there are {', '.join(_MAP)}")
    _, ax = plt.subplots(figsize=(2.4, 3.9))
    ax.set(xlim=(-1.9, 2.3), ylim=(-0.7, 7.6), aspect="equal")
    ax.axis("off")
    ax.add_patch(FancyBboxPatch(
        (-1.15, 1.15), 2.9, 4.1, boxstyle="round,pad=0.05,rounding_size=0.2",
        fill=False, ec=INK, lw=0.8, ls=":",
    ))  # fmt: skip
    ax.text(1.95, 3.2, r"$\times L$", va="center")
    arrow = {"arrowstyle": "->", "color": INK, "lw": 1}
    for start, stop in ((0.9, 5.85), (6.43, 6.68), (7.23, 7.6)):
        ax.annotate("", (0, stop), (0, start), arrowprops=arrow)
    for x in (-0.5, 0.5):
        ax.annotate("", (0.25 * x, 0.75), (1.5 * x, 0.55), arrowprops=arrow)
    for name, y in _MAP.items():
        on, side = name in lit, name in ("attn", "mlp")
        x = {"wte": -0.75, "wpe": 0.75, "ln_1": 0.9, "ln_2": 0.9}.get(name, 0.9 * side)
        face = (*to_rgb(LIGHT), 0.9) if on else (*to_rgb(INK), 0.12)
        ax.add_patch(FancyBboxPatch(
            (x - 0.55, y), 1.1, 0.5, boxstyle="round,pad=0.04,rounding_size=0.1",
            fc=face, ec=LIGHT if on else INK, lw=1.2 if on else 0.8,
        ))  # fmt: skip
        ax.text(x, y + 0.25, name, ha="center", va="center", family="monospace",
                fontsize=8, color="black" if on else INK)  # fmt: skip
    for low, high in ((1.3, 3.2), (3.4, 5.3)):  # the two branches of a block
        ax.annotate("", (0.9, low + 0.2), (0, low), arrowprops={
            **arrow, "connectionstyle": "angle,angleA=0,angleB=90,rad=3"})  # fmt: skip
        ax.annotate("", (0.08, high - 0.1), (0.9, high - 0.4), arrowprops={
            **arrow, "connectionstyle": "angle,angleA=90,angleB=0,rad=3"})  # fmt: skip
        ax.text(0, high - 0.1, r"$\oplus$", ha="center", va="center", fontsize=11)
    ax.text(0, 0.75, r"$\oplus$", ha="center", va="center", fontsize=11)
    return ax
