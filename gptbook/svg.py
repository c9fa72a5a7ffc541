"""The part of matplotlib that the book's figures use, drawn as SVG.

There is no matplotlib in a browser. `stand_in()` puts modules of its names in its
place, so that the plotting code of a cell runs there unchanged; what they lack raises
NotImplementedError. Defaults, proportions and the choice of ticks are matplotlib's.

Lengths are in points, 72 to an inch, from the upper left corner of the figure. Where
a function takes `at`, this turns data into points: at(x (n,), y (n,)) is (n, 2). `box`
and `clip` are (left, top, right, bottom).
"""

from __future__ import annotations

import base64
import functools
import inspect
import itertools
import math
import re
import struct
import sys
import types
import zlib
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

ALIASES = {
    "linewidth": "lw", "linestyle": "ls", "edgecolor": "ec", "edgecolors": "ec",
    "facecolor": "fc", "c": "color", "markersize": "ms", "markerfacecolor": "mfc",
    "markeredgecolor": "mec", "markeredgewidth": "mew", "size": "fontsize",
    "horizontalalignment": "ha", "verticalalignment": "va", "ncol": "ncols",
}  # fmt: skip


def unsupported(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"{what} is not among what this page can draw; "
        "the notebook on your own machine has all of matplotlib"
    )


def strict(function):
    """The function, for long and short names; it refuses arguments it doesn't know."""
    known = inspect.signature(function).parameters
    passes_on = any(p.kind is p.VAR_KEYWORD for p in known.values())
    shown = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args, **named):
        short = {name: ALIASES.get(name) for name in named}
        named = {
            short[name] if short[name] in known else name: value
            for name, value in named.items()
        }
        unknown = sorted(named.keys() - known.keys())
        if unknown and not passes_on:
            raise unsupported(f"{shown}({unknown[0]}=...)")
        return function(*args, **named)

    return call


class Part:
    """Something of a figure; says so when it is asked for what it can't do."""

    def __init_subclass__(cls):
        for name, member in list(vars(cls).items()):
            public = name == "__init__" or not name.startswith("_")
            if public and inspect.isfunction(member):
                setattr(cls, name, strict(member))

    def __getattr__(self, name):
        if name.startswith("_"):  # Python and IPython look for many of these
            raise AttributeError(name)
        raise unsupported(f"{type(self).__name__}.{name}")


class Settings(dict):
    """The settings in rcParams; those of `savefig` and `legend` change nothing here."""

    def __setitem__(self, name, value):
        if name not in self:
            raise unsupported(f"rcParams[{name!r}]")
        super().__setitem__(name, value)

    def update(self, settings):
        for name, value in settings.items():
            self[name] = value


rcParams = Settings({
    "figure.figsize": (6.4, 4.8), "figure.dpi": 100, "figure.facecolor": "white",
    "axes.facecolor": "white", "savefig.facecolor": "auto", "savefig.bbox": None,
    "font.size": 10, "axes.spines.top": True, "axes.spines.right": True,
    "axes.prop_cycle": {"color": ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728"]},
    "lines.linewidth": 1.5, "legend.frameon": False, "text.color": "black",
    "axes.labelcolor": "black", "axes.edgecolor": "black", "xtick.color": "black",
    "ytick.color": "black", "axes.titlecolor": "black",
})  # fmt: skip


# Colours

NAMES = {
    "black": "#000000", "k": "#000000", "white": "#ffffff", "w": "#ffffff",
    "red": "#ff0000", "r": "#ff0000", "green": "#008000", "g": "#008000",
    "blue": "#0000ff", "b": "#0000ff", "cyan": "#00ffff", "c": "#00bfbf",
    "magenta": "#ff00ff", "m": "#bf00bf", "yellow": "#ffff00", "y": "#bfbf00",
    "gray": "#808080", "grey": "#808080", "orange": "#ffa500", "purple": "#800080",
    "brown": "#a52a2a", "pink": "#ffc0cb", "none": "#00000000",
}  # fmt: skip


def to_rgba(color, alpha=None) -> tuple:
    """(red, green, blue, alpha) from 0 to 1; `alpha` replaces the colour's own."""
    if isinstance(color, str):
        text = NAMES.get(color, color)
        if re.fullmatch(r"C\d", text):
            cycle = rcParams["axes.prop_cycle"]["color"]
            text = cycle[int(text[1]) % len(cycle)]
        if re.fullmatch(r"#[0-9a-fA-F]{3}", text):
            text = "#" + "".join(2 * digit for digit in text[1:])
        if not re.fullmatch(r"#([0-9a-fA-F]{2}){3,4}", text):
            raise unsupported(f"the colour {color!r}")
        values = [int(text[i : i + 2], 16) / 255 for i in range(1, len(text), 2)]
    else:
        values = [float(value) for value in color]
    red, green, blue, own = [*values, 1.0][:4]
    return red, green, blue, own if alpha is None or own == 0 else float(alpha)


def to_rgb(color) -> tuple:
    return to_rgba(color)[:3]


COLORMAPS = {  # ColorBrewer's, and matplotlib's own viridis
    "RdBu": "67001f b2182b d6604d f4a582 fddbc7 f7f7f7 d1e5f0 92c5de 4393c3 2166ac "
    "053061",
    "PuOr": "7f3b08 b35806 e08214 fdb863 fee0b6 f7f7f7 d8daeb b2abd2 8073ac 542788 "
    "2d004b",
    "Oranges": "fff5eb fee6ce fdd0a2 fdae6b fd8d3c f16913 d94801 a63603 7f2704",
    "Greys": "ffffff f0f0f0 d9d9d9 bdbdbd 969696 737373 525252 252525 000000",
    "viridis": "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
}


class LinearSegmentedColormap(Part):
    """A colour for each number from 0 to 1, one of N."""

    def __init__(self, colors, N=256):
        rows = np.array([to_rgba(color) for color in colors])  # (n, 4)
        places, steps = np.linspace(0, 1, len(rows)), np.linspace(0, 1, N)
        columns = [np.interp(steps, places, column) for column in rows.T]
        self.table = np.stack(columns, axis=-1)  # (N, 4)

    @classmethod
    def from_list(cls, name, colors, N=256):
        return cls(colors, N)

    def __call__(self, values):
        """values: any shape S; returns colours (*S, 4), NaN without colour."""
        values, N = np.asarray(values, dtype=float), len(self.table)
        rows = np.clip(np.nan_to_num(values) * N, 0, N - 1).astype(int)
        return np.where(np.isnan(values)[..., None], 0.0, self.table[rows])


def get_cmap(name="viridis", lut=256) -> LinearSegmentedColormap:
    if isinstance(name, LinearSegmentedColormap):
        return name
    if name.removesuffix("_r") not in COLORMAPS:
        raise unsupported(f"the colour map {name!r}")
    colors = [f"#{color}" for color in COLORMAPS[name.removesuffix("_r")].split()]
    return LinearSegmentedColormap(colors[:: -1 if name.endswith("_r") else 1], lut)


# Elements of the picture


class Canvas:
    """The elements of a picture, and how far they reach."""

    def __init__(self):
        self.elements = []
        self.low, self.high = np.full(2, np.inf), np.full(2, -np.inf)

    def cover(self, *points):
        self.low = np.minimum(self.low, np.min(points, axis=0))
        self.high = np.maximum(self.high, np.max(points, axis=0))

    def add(self, element, points, pad=0.0, clip=None):
        """An element that reaches `pad` beyond its points (n, 2); cut off at `clip`."""
        low, high = points.min(axis=0) - pad, points.max(axis=0) + pad
        if clip is not None:
            seen = np.maximum(low, clip[:2]), np.minimum(high, clip[2:])
            if (seen[0] > seen[1]).any():
                return
            if (seen[0] > low + 0.01).any() or (seen[1] < high - 0.01).any():
                # An inner picture needs no id, which had to be unique on the page. Its
                # style is safe from the rules of a page for its pictures.
                style = f"height:{clip[3] - clip[1]:.2f}px"
                frame = f'{box_attributes(clip)} viewBox="{view(clip)}" style="{style}"'
                element = f"<svg{frame}>{element}</svg>"
            low, high = seen
        self.elements.append(element)
        self.cover(low, high)


def view(box) -> str:
    left, top, right, bottom = box
    return f"{left:.2f} {top:.2f} {right - left:.2f} {bottom - top:.2f}"


def box_attributes(box) -> str:
    x, y, width, height = view(box).split()
    return f' x="{x}" y="{y}" width="{width}" height="{height}"'


DASHES = {
    "-": (), "--": (3.7, 1.6), ":": (1, 1.65), "-.": (6.4, 1.6, 1, 1.6),
    "solid": (), "dashed": (3.7, 1.6), "dotted": (1, 1.65),
}  # fmt: skip


def paint(fill=None, stroke=None, lw=0.0, ls="-") -> str:
    """The attributes of an element; colours are (red, green, blue, alpha) or None."""
    if ls not in DASHES:
        raise unsupported(f"the line style {ls!r}")
    out = ""
    for name, color in (("fill", fill), ("stroke", stroke if lw else None)):
        if color is not None and color[3] > 0:
            out += f' {name}="#{"".join(f"{round(255 * c):02x}" for c in color[:3])}"'
            out += f' {name}-opacity="{color[3]:.3g}"' if color[3] < 1 else ""
        elif name == "fill":
            out += ' fill="none"'
    if "stroke=" in out:
        out += f' stroke-width="{lw:g}" stroke-linejoin="round"'
        if dashes := " ".join(f"{lw * length:.3g}" for length in DASHES[ls]):
            out += f' stroke-dasharray="{dashes}"'
    return out


def path(points, closed=False) -> str:
    """Path data through points (n, 2); one that is not finite leaves a gap."""
    data, pen, last = [], "M", (0, 0)
    for x, y in points.tolist():
        if not (math.isfinite(x) and math.isfinite(y)):
            pen = "M"
        elif pen == "M" or abs(x - last[0]) + abs(y - last[1]) > 0.1:
            data.append(f"{pen}{x:.2f} {y:.2f}")
            pen, last = "L", (x, y)
    return "".join(data) + "Z" * closed


def _finite(points):
    return points[np.isfinite(points).all(axis=-1)]


# Text

# The widths of the characters from space to ~ in hundredths of the font size, in DejaVu
# Sans, a wide font: a narrower one leaves some room.
WIDTHS = (
    "3240468464957827393950843236323464646464646464646464343484848453"
    "9969687077635878753030665786757960796964617368997069613934395084"
    "50616355636236636328285828976361636341523963598259595364346484"
)
SYMBOLS = {
    r"\cdot": "·", r"\times": "×", r"\oplus": "⊕", r"\sum": "∑", r"\partial": "∂",
    r"\top": "⊤", r"\ell": "ℓ", r"\epsilon": "ε", r"\eta": "η", r"\kappa": "κ",
    r"\lambda": "λ", r"\rho": "ρ", r"\sigma": "σ", r"\tau": "τ", r"\Delta": "Δ",
    r"\Vert": "‖", r"\|": "‖", r"\,": "\u2009", r"\;": "\u2005", "'": "′", "-": "−",
    ",": ",\u2009",
}  # fmt: skip
SCRIPT = {"L": "ℒ", "V": "𝒱"}
FUNCTIONS = ("cos", "ln", "max")


@dataclass
class Run:
    """A piece of a line: its style; size, height and way back in the line's size."""

    text: str
    style: str = ""  # italic, over
    scale: float = 1.0
    rise: float = 0.0
    back: float = 0.0

    def width(self, family=""):
        widths = (0.6 if family == "monospace" else _width(c) for c in self.text)
        return self.scale * sum(widths)


def _width(character):
    place = 2 * (ord(character) - 32)
    if 0 <= place < len(WIDTHS):
        return int(WIDTHS[place : place + 2]) / 100
    return {"\u2009": 0.17, "\u2005": 0.25, "·": 0.32, "\u0304": 0}.get(character, 0.7)


def runs(text: str) -> list[Run]:
    """The runs of a text with formulas between dollar signs.

    NotImplementedError for a command that the book's figures don't use.
    """
    if text.count("$") % 2:
        return [Run(text)]
    found = []
    for n, piece in enumerate(text.split("$")):
        if n % 2:
            found += _formula(re.findall(r"\\[A-Za-z]+|\\.|[^ ]", piece))
        elif piece:
            found.append(Run(piece))
    return found


def _formula(tokens, style="italic", scale=1.0, rise=0.0):
    """The runs of a formula; takes its tokens off the list, up to a closing brace."""
    found, script = [], []  # the runs of a sub- or superscript just before
    while tokens and (token := tokens.pop(0)) != "}":
        name = token.removeprefix("\\")
        if token in "^_":
            up = rise + scale * (0.38 if token == "^" else -0.2)
            new = _argument(tokens, style, 0.7 * scale, up)
            if script:  # one above the other, the narrower one first
                del found[-len(script) :]
                narrow, new = sorted((script, new), key=_length)
                new[0].back = _length(narrow)
                new = narrow + new
            found, script = found + new, new
            continue
        script = []
        if token == "{":
            found += _formula(tokens, style, scale, rise)
        elif name == "mathrm":
            found += _argument(tokens, "", scale, rise)
        elif name == "mathcal":
            found += _argument(tokens, "script", scale, rise)
        elif name == "bar":
            inner = _argument(tokens, style, scale, rise)
            inner[0].text += "\u0304"
            found += inner
        elif name == "sqrt":
            inner = _argument(tokens, "over", scale, rise)
            found += [Run("√", "", scale, rise), *inner]
        elif name in FUNCTIONS:
            gap = "" if tokens[:1] in (["("], ["_"], ["^"]) else "\u2009"
            found.append(Run(name + gap, "", scale, rise))
        else:
            found.append(_sign(token, style, scale, rise, bool(found)))
    return found


def _sign(token, style, scale, rise, inside):
    signs = SCRIPT if style == "script" else SYMBOLS
    if token not in signs and (token[0] == "\\" or style == "script"):
        raise unsupported(f"{token} in a formula")
    sign = signs.get(token, token)
    if sign in "+−·×=<>" and inside and scale == 1:  # between two others
        sign = f"\u2009{sign}\u2009"
    slanted = style == "over" or (style == "italic" and sign.isalpha() and sign != "Δ")
    return Run(sign, style if slanted else "", scale, rise)


def _argument(tokens, *style):
    """What a script or a command applies to: one token or the group in braces."""
    token = tokens.pop(0)
    return _formula(tokens if token == "{" else [token], *style)


def _length(parts, family=""):
    return sum(run.width(family) - run.back for run in parts)


class Text(Part):
    """A text at a place in the data, or moved from there by an offset in points."""

    zorder, label = 3, ""

    def __init__(
        self, text, x=0.0, y=0.0, offset=(0, 0), fontsize=None, color=None, ha="left",
        va="baseline", rotation=0, weight="normal", family="", bbox=None,
    ):  # fmt: skip
        self.text, self.x, self.y, self.offset = str(text), x, y, offset
        self.fontsize = rcParams["font.size"] if fontsize is None else fontsize
        self.color = rcParams["text.color"] if color is None else color
        self.ha, self.va, self.rotation, self.weight = ha, va, rotation, weight
        self.family, self.bbox = family, bbox

    def set(self, **style):
        for name, value in style.items():
            if name not in vars(self):
                raise unsupported(f"Text.set({name}=...)")
            setattr(self, name, value)

    def width(self):
        return self.fontsize * _length(runs(self.text), self.family)

    def draw(self, canvas, at, clip):
        [(x, y)] = at([self.x], [self.y])
        self.write(canvas, x + self.offset[0], y - self.offset[1])

    def write(self, canvas, x, y):
        """Draws it at a point; returns the corners (2, 2) of the box around it."""
        size, width, va = self.fontsize, self.width(), self.va
        up, down = 0.76 * size, 0.24 * size
        if va == "center_baseline":
            va, down = "center", 0.0
        turn = math.radians(self.rotation)
        right = np.array([math.cos(turn), -math.sin(turn)])
        below = np.array([math.sin(turn), math.cos(turn)])
        corners = np.array([
            along * right + across * below
            for along in (0, width) for across in (-up, down)
        ])  # fmt: skip
        low, high = corners.min(axis=0), corners.max(axis=0)
        shares = {"left": 0, "center": 0.5, "right": 1, "top": 0, "bottom": 1}
        across, upright = shares[self.ha], shares.get(va, 1)
        start = np.array([x, y]) - low - (high - low) * (across, upright)
        if va == "baseline":
            start[1] = y
        if self.bbox:
            style = {"boxstyle": "square", **self.bbox}
            frame = _rounded(start + low, start + high, style.pop("boxstyle"), size)
            Patch(frame, **style).draw(canvas, lambda *xy: np.stack(xy, axis=-1), None)
        # The reader's font may be narrower: the end by which it is aligned stays.
        share = across if self.rotation % 180 == 0 else 1 - upright
        x, y = start + share * width * right
        look = f' font-size="{size:g}"{paint(to_rgba(self.color))}'
        look += {0: "", 0.5: ' text-anchor="middle"', 1: ' text-anchor="end"'}[share]
        look += f' font-weight="{self.weight}"' if self.weight != "normal" else ""
        look += f' font-family="{self.family}"' if self.family else ""
        if self.rotation:
            look += f' transform="rotate({-self.rotation:g} {x:.2f} {y:.2f})"'
        if self.text:
            element = f'<text x="{x:.2f}" y="{y:.2f}"{look}>{self._spans()}</text>'
            canvas.add(element, start + corners)
        return np.stack([start + low, start + high])

    def _spans(self):
        out, rise = "", 0.0
        for run in runs(self.text):
            style = {"italic": ' font-style="italic"'}.get(run.style, "")
            style += ' text-decoration="overline"' if run.style == "over" else ""
            if run.scale != 1:
                style += f' font-size="{run.scale * self.fontsize:.2f}"'
            if run.rise != rise:
                style += f' dy="{(rise - run.rise) * self.fontsize:.2f}"'
            if run.back:
                style += f' dx="{-run.back * self.fontsize:.2f}"'
            # SVG would drop a space, XML forbids control characters
            text = re.sub(r"[\x00-\x1f\x7f]", "\ufffd", run.text).replace(" ", "\u00a0")
            out += f"<tspan{style}>{escape(text)}</tspan>" if style else escape(text)
            rise = run.rise
        return out


# What an axes shows


MARKERS = {  # the path of a marker of width 2 from its centre
    "o": "m-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0z",
    ".": "m-.5 0a.5 .5 0 1 0 1 0a.5 .5 0 1 0 -1 0z",
    "s": "m-1 -1h2v2h-2z",
    "D": "m0 -1.414l1.414 1.414l-1.414 1.414l-1.414 -1.414z",
    "^": "m0 -1l1 2h-2z",
    "v": "m0 1l1 -2h-2z",
    "x": "m-1 -1l2 2m0 -2l-2 2",
    "|": "m0 -1v2",
    "_": "m-1 0h2",
}


class Line(Part):
    """A line, markers, or both; x or y None: from edge to edge."""

    zorder = 2

    def __init__(
        self, x, y, color=None, ls="-", lw=None, marker="", ms=6.0, mfc=None, mec=None,
        mew=1.0, alpha=None, label="",
    ):  # fmt: skip
        if marker and marker not in MARKERS:
            raise unsupported(f"the marker {marker!r}")
        self.x, self.y, self.label = x, y, label
        self.color, self.ls = to_rgba(color, alpha), ls
        self.lw = rcParams["lines.linewidth"] if lw is None else lw
        self.marker, self.ms, self.mew = marker, ms, mew
        self.mfc = self.color if mfc is None else to_rgba(mfc, alpha)
        self.mec = self.color if mec is None else to_rgba(mec, alpha)

    def points(self, at):
        return at(self.x, self.y)

    def draw(self, canvas, at, clip):
        points = self.points(at)
        self.trace(canvas, points, points, clip)

    def trace(self, canvas, points, marks, clip=None):
        """The line through points (n, 2), with a marker at each of marks (m, 2)."""
        finite, marks = _finite(points), _finite(marks)
        if self.ls not in ("", "none", "None") and len(finite) > 1:
            look = paint(None, self.color, self.lw, self.ls)
            look += "" if DASHES[self.ls] else ' stroke-linecap="square"'
            canvas.add(f'<path d="{path(points)}"{look}/>', finite, self.lw / 2, clip)
        if self.marker and len(marks):
            look = paint(None if self.marker in "x|_" else self.mfc, self.mec, self.mew)
            outline = self._outline()
            each = [f'<path d="M{x:.2f} {y:.2f}{outline}"/>' for x, y in marks]
            pad = self.ms * (0.71 if self.marker == "D" else 0.5) + self.mew / 2
            canvas.add(f"<g{look}>{''.join(each)}</g>", marks, pad, clip)

    def _outline(self):
        def scaled(match):  # all but an arc's flags
            return match[1] or f"{self.ms / 2 * float(match[0]):.3g}"

        return re.sub(r"( 0 1 0 )|-?[\d.]+", scaled, MARKERS[self.marker])


class Patch(Part):
    """An area or its outline, given by points (n, 2) of the data."""

    zorder, crisp = 1, ""

    def __init__(
        self, outline, closed=True, color=None, fc=None, ec=None, lw=1.0, ls="-",
        alpha=None, fill=True, label="",
    ):  # fmt: skip
        self.outline, self.closed = np.asarray(outline, dtype=float), closed
        self.label, self.lw, self.ls = label, lw, ls
        face = "C0" if color is None else color
        edge = ("none" if fill else "black") if color is None else color
        self.fc = to_rgba(face if fc is None else fc, alpha) if fill else None
        self.ec = to_rgba(edge if ec is None else ec, alpha)

    def points(self, at):
        return at(*self.outline.T)

    def draw(self, canvas, at, clip):
        points = self.points(at)
        look = paint(self.fc, self.ec, self.lw, self.ls)
        if "stroke=" not in look:
            look += self.crisp
        if look != ' fill="none"':
            element = f'<path d="{path(points, self.closed)}"{look}/>'
            pad = self.lw / 2 if "stroke=" in look else 0.0
            canvas.add(element, _finite(points), pad, clip)


class Rectangle(Patch):
    crisp = ' shape-rendering="crispEdges"'  # no seam to a neighbour

    def __init__(self, xy, width, height, **style):
        x, y = xy
        right, top = x + width, y + height
        super().__init__([(x, y), (right, y), (right, top), (x, top)], **style)


class Polygon(Patch):
    def __init__(self, xy, **style):
        super().__init__(xy, **style)


class Circle(Patch):
    def __init__(self, xy, radius=5, **style):
        super().__init__(_arc(xy, radius, radius, 0, 360), **style)


class Arc(Patch):
    def __init__(self, xy, width, height, theta1=0.0, theta2=360.0, **style):
        points = _arc(xy, width / 2, height / 2, theta1, theta2)
        super().__init__(points, closed=False, fill=False, **style)


class FancyBboxPatch(Patch):
    def __init__(self, xy, width, height, boxstyle="round", **style):
        high = np.add(xy, (width, height))
        super().__init__(_rounded(np.array(xy), high, boxstyle), **style)


def _arc(centre, across, up, start, stop):
    """Points (n, 2) on an ellipse, from angle to angle in degrees."""
    angles = np.radians(np.linspace(start, stop, round(abs(stop - start) / 6) + 2))
    return np.stack([across * np.cos(angles), up * np.sin(angles)], axis=-1) + centre


def _rounded(low, high, boxstyle, scale=1.0):
    """Points (n, 2) on the box around two corners, as matplotlib's boxstyle says."""
    name, sizes = _style(boxstyle)
    pad = scale * sizes.get("pad", 0.3)
    radius = scale * sizes.get("rounding_size", pad / scale)
    if name not in ("round", "square") or sizes.keys() - {"pad", "rounding_size"}:
        raise unsupported(f"the boxstyle {boxstyle!r}")
    radius = radius if name == "round" else 0.0
    (left, bottom), (right, top) = low - pad + radius, high + pad - radius
    corners = [(right, top), (left, top), (left, bottom), (right, bottom)]
    return np.concatenate([
        _arc(corner, radius, radius, 90 * n, 90 * n + 90)
        for n, corner in enumerate(corners)
    ])  # fmt: skip


def _style(text):
    """("round", {"pad": 0.3}) of "round,pad=0.3"."""
    name, *options = text.split(",")
    sizes = (option.split("=") for option in options)
    return name, {key: float(value) for key, value in sizes}


class Picture(Part):
    """An image: colours (rows, columns, 4) from 0 to 1, the first row at the top."""

    zorder, label = 0, ""

    def __init__(self, colors, extent):
        self.colors, self.extent = colors, extent  # left, right, bottom, top

    def draw(self, canvas, at, clip):
        corners = at(self.extent[:2], self.extent[2:])
        (x0, y0), (x1, y1) = corners
        colors = self.colors[:: -1 if y1 > y0 else 1, :: -1 if x1 < x0 else 1]
        data = base64.b64encode(png(colors)).decode()
        box = *corners.min(axis=0), *corners.max(axis=0)
        cells = np.abs(corners[1] - corners[0]) / colors.shape[1::-1]
        look = ' preserveAspectRatio="none"'
        look += ' style="image-rendering:pixelated"' if min(cells) > 1.5 else ""
        href = f' href="data:image/png;base64,{data}"'
        canvas.add(f"<image{box_attributes(box)}{look}{href}/>", corners, clip=clip)


def png(colors) -> bytes:
    """The PNG of colours (rows, columns, 4) from 0 to 1."""
    values = np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8)
    height, width, _ = values.shape
    lines = np.pad(values.reshape(height, -1), ((0, 0), (1, 0)))  # filter 0: none

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


class Arrow(Part):
    """An arrow between two places in the data."""

    zorder, label = 3, ""

    def __init__(
        self, tail, tip, arrowstyle="->", color="black", lw=1.0, alpha=None,
        connectionstyle="arc3", shrinkA=2.0, shrinkB=2.0,
    ):  # fmt: skip
        if arrowstyle not in ("->", "-|>"):
            raise unsupported(f"the arrowstyle {arrowstyle!r}")
        self.ends, self.filled = np.array([tail, tip], dtype=float), arrowstyle == "-|>"
        self.color, self.lw, self.bend = to_rgba(color, alpha), lw, connectionstyle
        self.shrink = shrinkA, shrinkB

    def draw(self, canvas, at, clip):
        points = _connection(*at(*self.ends.T), self.bend)
        done = np.append(0, np.hypot(*np.diff(points, axis=0).T).cumsum())
        start, stop = self.shrink[0], done[-1] - self.shrink[1]
        stop -= 1.1 * self.lw  # the end of a stroke sticks out
        if stop <= start:
            return
        ends = [[np.interp(end, done, c) for c in points.T] for end in (start, stop)]
        inner = points[(done > start) & (done < stop)]
        shaft = np.concatenate([ends[:1], inner, ends[1:]])
        forward = points[-1] - points[-2]
        forward *= 0.2 * rcParams["font.size"] / np.hypot(*forward)
        aside = forward[::-1] * (1, -1)
        head = shaft[-1] + [aside - 2 * forward, (0, 0), -aside - 2 * forward]
        for line, closed in ((shaft, False), (head, self.filled)):
            look = paint(self.color if closed else None, self.color, self.lw)
            element = f'<path d="{path(line, closed)}"{look}/>'
            canvas.add(element, line, self.lw / 2)


def _connection(start, stop, style):
    """Points (n, 2) of the way of an arrow, as matplotlib's connectionstyle says."""
    name, sizes = _style(style)
    t = np.linspace(0, 1, 33)[:, None]

    def curve(a, b, c):
        return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c

    if name == "arc3" and sizes.keys() <= {"rad"}:
        across, down = stop - start
        aside = sizes.get("rad", 0.0) * np.array([-down, across])
        return curve(start, (start + stop) / 2 + aside, stop)
    if name == "angle" and sizes.keys() == {"angleA", "angleB", "rad"}:
        ways = np.radians([sizes["angleA"], sizes["angleB"]])
        a, b = np.stack([np.cos(ways), -np.sin(ways)], axis=-1)
        along, _ = np.linalg.solve(np.stack([a, -b], axis=-1), stop - start)
        corner = start + along * a
        near = [
            corner + sizes["rad"] * (end - corner) / np.hypot(*(end - corner))
            for end in (start, stop)
        ]
        return np.concatenate([[start], curve(near[0], corner, near[1]), [stop]])
    raise unsupported(f"the connectionstyle {style!r}")


# Axes


class Scale:
    """What an axis spans, and how far along it a number is."""

    def __init__(self):
        self.base = None  # of the logarithm, if it is one
        self.low, self.high, self.least = np.inf, -np.inf, np.inf  # least: above 0
        self.sticky = set()  # no margin beyond these
        self.ticks = []  # the numbers that must be seen
        self.fixed, self.inverted = [None, None], False

    def include(self, values, sticky=()):
        values = np.asarray(values, dtype=float).ravel()
        values = values[np.isfinite(values)]
        self.low = min(self.low, values.min(initial=np.inf))
        self.high = max(self.high, values.max(initial=-np.inf))
        self.least = min(self.least, values[values > 0].min(initial=np.inf))
        self.sticky.update(map(float, sticky))

    def forward(self, values):
        values = np.asarray(values, dtype=float)
        if self.base is None:
            return values
        return np.log(np.maximum(values, 1e-300)) / math.log(self.base)

    def limits(self):
        """The lowest and the highest number in view, by default with 5 % margins."""
        low, high = self.least if self.base else self.low, self.high
        if not low <= high:
            low, high = (1.0, 10.0) if self.base else (0.0, 1.0)
        if low == high:
            gap = 0.05 * abs(low) or 0.05
            low, high = (low, high) if self.base else (low - gap, high + gap)
        a, b = self.forward([low, high])
        if a == b:  # to the powers around it
            a, b = math.ceil(a) - 1.0, math.floor(b) + 1.0
        margin, slack = 0.05 * (b - a), 1e-9 * (b - a)
        edges = [e for e in self.sticky if e > 0 or not self.base]
        edges = self.forward(edges)
        a = max(a - margin, edges[edges <= a + slack].max(initial=-np.inf))
        b = min(b + margin, edges[edges >= b - slack].min(initial=np.inf))
        low, high = (self.base**a, self.base**b) if self.base else (a, b)
        ends = [min([low, *self.ticks]), max([high, *self.ticks])]
        for n, end in enumerate(self.fixed):
            if end is not None and (end > 0 or not self.base):
                ends[n] = end
        low, high = sorted(ends)
        if low == high:
            gap = 0.05 * abs(low) or 0.05
            low, high = low - gap, high + gap
        return low, high

    def fix(self, first, last):
        """Sets the limits, in the order of the axis; None stays as it is."""
        if first is not None and last is not None:
            self.inverted = bool(first > last)
        ends = (last, first) if self.inverted else (first, last)
        for n, end in enumerate(ends):
            self.fixed[n] = self.fixed[n] if end is None else float(end)

    def show(self, ticks):
        """Widens the limits so that these numbers are in view."""
        self.ticks += list(ticks)
        for n, widest in enumerate((min, max)):
            if self.fixed[n] is not None:
                self.fixed[n] = widest([self.fixed[n], *ticks])

    def share(self, values):
        """How far the values are along the axis, from 0 to 1."""
        a, b = self.forward(self.limits())
        shares = (self.forward(values) - a) / (b - a)
        return 1 - shares if self.inverted else shares


def linear_ticks(low, high, room):
    """Round numbers between two, at most about `room` of them, at least two."""
    rough = (high - low) / min(max(room, 1), 9)
    size = 10.0 ** math.floor(math.log10(rough))
    steps = [size * n for n in (10, 5, 2.5, 2, 1, 0.5, 0.25, 0.2, 0.1)]
    while steps[1] >= rough * (1 - 1e-9):
        del steps[0]
    for step in steps:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last > first:
            break
    return step * np.arange(first, last + 1)


def log_ticks(low, high, room, base, minor=False):
    """Powers of the base between two numbers; minor: their multiples in between."""
    first = math.ceil(math.log(low, base) - 1e-9)
    last = math.floor(math.log(high, base) + 1e-9)
    stride = (last - first + 1) // (min(max(room, 2), 9) + 1) + 1
    if not minor:
        start = first + -first % stride
        if (last - start) // stride < (last - first) // stride:
            start = first
        return float(base) ** np.arange(start, last + 1, stride)
    if base < 3 or stride > 1 or last - first >= 9:
        return np.zeros(0)
    powers = float(base) ** np.arange(first - 1, last + 1)
    return np.outer(powers, np.arange(2, base)).ravel()


def numbers(places, span):
    """Numbers as texts, all with as many decimals as they need."""
    largest = np.abs(places).max(initial=0)
    if largest and not 1e-5 < largest < 1e6:
        return [f"{place:g}".replace("-", "−") for place in places]
    exact = 1e-3 * 10.0 ** math.floor(math.log10(span or 1))
    decimals = 0
    while np.abs(places - np.round(places, decimals)).max(initial=0) >= exact:
        decimals += 1
    places = np.round(places, decimals) + 0.0  # no -0
    return [f"{place:.{decimals}f}".replace("-", "−") for place in places]


SIDES = {  # its place in a box, outwards, and how labels are aligned
    "left": (0, -1, "right", "center_baseline"),
    "top": (1, -1, "center", "bottom"),
    "right": (2, 1, "left", "center_baseline"),
    "bottom": (3, 1, "center", "top"),
}
KINDS = {"major": [0], "minor": [1], "both": [0, 1]}


class Axis(Part):
    """The ticks, their labels and the name on a side of the axes."""

    def __init__(self, side):
        self.side, self.scale, self.level = side, Scale(), side == "bottom"
        self.color = rcParams["xtick.color" if self.level else "ytick.color"]
        self.name, self.visible, self.labelled = Text(""), True, True
        # Of major and minor ticks: places and labels, None if they are to be found;
        # length, distance of the labels, width, line of the grid
        self.places, self.labels = [None, None], [None, None]
        self.length, self.pad, self.width = [3.5, 2.0], [3.5, 3.4], [0.8, 0.6]
        self.lines = [None, None]

    def share(self, other):
        """The same limits and ticks as another."""
        self.scale, self.places, self.labels = other.scale, other.places, other.labels

    def set_lim(self, first=None, last=None):
        if np.ndim(first):
            first, last = first
        self.scale.fix(first, last)

    def set_ticks(self, ticks, labels=None, minor=False, **style):
        self.places[minor] = np.asarray(ticks, dtype=float)
        self.labels[minor] = None
        self.scale.show(self.places[minor])
        if labels is not None:
            self.set_ticklabels(labels, minor, **style)

    def set_ticklabels(self, labels, minor=False, **style):
        style = {"color": self.color, **style}
        self.labels[minor] = [Text(label, **style) for label in labels]

    def get_ticklabels(self):
        if self.labels[0] is None:
            raise unsupported("get_ticklabels before labels are set")
        return self.labels[0]

    def set_label(self, name, color=None, **style):
        color = rcParams["axes.labelcolor"] if color is None else color
        self.name = Text(name, color=color, **style)

    def set_scale(self, name, base=10, nonpositive="clip"):
        if name not in ("linear", "log") or nonpositive != "clip":
            raise unsupported(f"the scale {name!r}, {nonpositive!r}")
        self.scale.base = base if name == "log" else None

    def minorticks_off(self):
        self.places[1] = np.zeros(0)

    def tick_top(self):
        self.side = "top"

    def at(self, values, box):
        """Where values (n,) are, in points; None: both ends."""
        start, stop = box[0::2] if self.level else box[3::-2]
        shares = np.array([0.0, 1.0]) if values is None else self.scale.share(values)
        return start + shares * (stop - start)

    def ticks(self, minor, room):
        """Places (n,) and labels of the ticks in view, about `room` if not set."""
        low, high = self.scale.limits()
        places, labels, base = self.places[minor], self.labels[minor], self.scale.base
        if places is None:
            if base:
                places = log_ticks(low, high, room, base, minor)
            else:
                places = np.zeros(0) if minor else linear_ticks(low, high, room)
        a, b = self.scale.forward([low, high])
        spots, slack = self.scale.forward(places), 1e-6 * (b - a)
        seen = (a - slack <= spots) & (spots <= b + slack)
        if labels is None:
            labels = [] if minor else self._texts(places, seen, high - low)
            labels = [Text(text, color=self.color) for text in labels]
        shown = [label for label, on in zip(labels, seen, strict=False) if on]
        return places[seen], shown

    def _texts(self, places, seen, span):
        base = self.scale.base
        if base is None:
            return numbers(places, np.ptp(places[seen]) if seen.sum() > 1 else span)
        powers = np.round(self.scale.forward(places), 9)
        return [
            f"${base}^{{{power:.0f}}}$" if power % 1 == 0 else f"{place:g}"
            for place, power in zip(places, powers, strict=True)
        ]

    def draw(self, canvas, at, box):
        """Draws it; returns how far out it reaches, a coordinate across the axis."""
        edge, out, ha, va = SIDES[self.side]
        edge = reach = box[edge]
        ends, sides = box[0::2], box[1::2]
        (start, stop), sides = (ends, sides) if self.level else (sides, ends)
        size = rcParams["font.size"]
        room = int((stop - start) / (size * (3 if self.level else 2)))

        def spot(along, across):
            return (along, across) if self.level else (across, along)

        def bars(places, first, last):
            gap = (math.nan, math.nan)
            rows = [(spot(p, first), spot(p, last), gap) for p in places]
            return np.array(rows).reshape(-1, 2)

        for minor in (1, 0):
            values, labels = self.ticks(minor, room)
            places, length = self.at(values, box), self.length[minor]
            none = np.zeros((0, 2))
            if self.lines[minor]:
                self.lines[minor].trace(canvas, bars(places, *sides), none, box)
            if len(places) and length:
                tick = Line(None, None, self.color, lw=self.width[minor])
                tick.trace(canvas, bars(places, edge, edge + out * length), none)
                reach = edge + out * length
            far = edge + out * (length + self.pad[minor])
            for place, label in zip(places, labels, strict=False):
                if self.labelled and label.text:
                    label.set(ha=ha, va=va)
                    corners = label.write(canvas, *spot(place, far))
                    ends = out * corners[:, int(self.level)]
                    reach = out * max(out * reach, *ends)
        if self.name.text:
            self.name.set(**{"ha": "center", "va": va} if self.level else
                          {"ha": ha, "va": "center", "rotation": 90})  # fmt: skip
            self.name.write(canvas, *spot((start + stop) / 2, reach + 4 * out))
        return reach


class Spines(Part):
    """The edges of an axes, all of them at once: spines[:]."""

    def __init__(self, visible):
        self.visible, self.lw = visible, 0.8

    def __getitem__(self, side):
        if side != slice(None):
            raise unsupported(f"spines[{side!r}]")
        return self

    def set_visible(self, on):
        self.visible = list(SIDES) if on else []

    def set_linewidth(self, width):
        self.lw = width

    def draw(self, canvas, at, box):
        left, top, right, bottom = box
        corners = [(left, bottom), (left, top), (right, top), (right, bottom)] * 2
        line = Line(None, None, rcParams["axes.edgecolor"], lw=self.lw)
        for n, side in enumerate(SIDES):
            if side in self.visible:
                line.trace(canvas, np.array(corners[n : n + 2]), np.zeros((0, 2)))


def _pair(name):
    """The two methods of an axes that call one of its x-axis and of its y-axis."""

    def of(axis):
        return lambda self, *args, **named: getattr(getattr(self, axis), name)(
            *args, **named
        )

    return of("xaxis"), of("yaxis")


class Axes(Part):
    """A pair of axes and what is drawn in it."""

    def __init__(self, figure, slot):
        self.figure, self.slot = figure, slot
        self.place = None  # its box, if it is not that of its slot
        self.xaxis, self.yaxis = Axis("bottom"), Axis("left")
        shown = [side for side in SIDES if rcParams.get(f"axes.spines.{side}", True)]
        self.spines = Spines(shown)
        self.artists, self.key, self.others = [], [], []  # others: axes on its edge
        self.title, self.title_pad = Text(""), 0.0
        self.on, self.equal, self.ground = True, False, rcParams["axes.facecolor"]
        colors = rcParams["axes.prop_cycle"]["color"]
        self.line_colors, self.area_colors = map(itertools.cycle, (colors, colors))

    set_xlim, set_ylim = _pair("set_lim")
    set_xticks, set_yticks = _pair("set_ticks")
    set_xticklabels, set_yticklabels = _pair("set_ticklabels")
    get_xticklabels, get_yticklabels = _pair("get_ticklabels")
    set_xlabel, set_ylabel = _pair("set_label")
    set_xscale, set_yscale = _pair("set_scale")

    def set(self, **settings):
        for name, value in settings.items():
            getattr(self, f"set_{name}")(value)

    def set_title(self, title, fontsize=None, pad=6.0):
        size, color = rcParams["font.size"], rcParams["axes.titlecolor"]
        self.title = Text(
            title, fontsize=fontsize or 1.2 * size, color=color, ha="center"
        )
        self.title_pad = pad

    def set_aspect(self, aspect):
        if aspect not in ("equal", "auto"):
            raise unsupported(f"the aspect {aspect!r}")
        self.equal = aspect == "equal"

    def axis(self, what):
        if what != "off":
            raise unsupported(f"axis({what!r})")
        self.on = False

    def invert_yaxis(self):
        self.yaxis.scale.inverted ^= True

    def minorticks_off(self):
        self.xaxis.minorticks_off()
        self.yaxis.minorticks_off()

    def _axes(self, which):
        return {"x": [self.xaxis], "y": [self.yaxis], "both": [self.xaxis, self.yaxis]}[
            which
        ]

    def tick_params(
        self, axis="both", which="major", length=None, pad=None, labelbottom=True,
        labelleft=True,
    ):  # fmt: skip
        for chosen, kind in itertools.product(self._axes(axis), KINDS[which]):
            chosen.length[kind] = chosen.length[kind] if length is None else length
            chosen.pad[kind] = chosen.pad[kind] if pad is None else pad
        self.xaxis.labelled &= labelbottom
        self.yaxis.labelled &= labelleft

    def grid(self, which="major", axis="both", color="#b0b0b0", lw=0.8, **style):
        for chosen, kind in itertools.product(self._axes(axis), KINDS[which]):
            chosen.lines[kind] = Line(None, None, color, lw=lw, **style)

    def twinx(self):
        """Axes at the same place, with the same x-axis and a y-axis on the right."""
        twin = Axes(self.figure, self.slot)
        twin.place, twin.ground, twin.yaxis.side = self.place, "none", "right"
        twin.xaxis.share(self.xaxis)
        twin.xaxis.visible = False
        self.figure.axes.append(twin)
        return twin

    def secondary_xaxis(self, location):
        """Another x-axis, with ticks of its own, at the top."""
        if location != "top":
            raise unsupported(f"secondary_xaxis({location!r})")
        other = Axes(self.figure, self.slot)
        other.xaxis.scale, other.xaxis.side = self.xaxis.scale, "top"
        other.yaxis.visible, other.ground, other.spines = False, "none", Spines(["top"])
        self.others.append(other)
        return other

    # What can be drawn

    def _show(self, artist, x=(), y=(), x_sticky=(), y_sticky=()):
        self.artists.append(artist)
        self.xaxis.scale.include(x, x_sticky)
        self.yaxis.scale.include(y, y_sticky)
        return artist

    def _line(self, x, y, color=None, **style):
        color = next(self.line_colors) if color is None else color
        line = Line(x, y, color, **style)
        return self._show(line, () if x is None else x, () if y is None else y)

    def _area(self, outline, y_sticky=(), **style):
        return self._show(Patch(outline, **style), *outline.T, y_sticky=y_sticky)

    def add_patch(self, patch):
        return self._show(patch, *patch.outline.T)

    def plot(self, *data, color=None, ls=None, marker=None, **style):
        """plot(y) or plot(x, y), and then perhaps a format such as "o--"."""
        *values, form = data if isinstance(data[-1], str) else (*data, "")
        values = [np.atleast_1d(np.asarray(value, dtype=float)) for value in values]
        match = re.fullmatch(r"([bgrcmykw]?)([os^vDx|._]?)(--|-\.|-|:)?", form)
        if not match or len(values) > 2 or values[-1].ndim > 1:
            raise unsupported("plot with several lines at once or another format")
        x, y = values if len(values) == 2 else (np.arange(len(values[0])), values[0])
        if x.shape != y.shape:
            raise ValueError(f"x and y must be equally long, not {x.shape}, {y.shape}")
        letter, mark, dash = match.groups()
        color = letter or None if color is None else color
        ls = ls or dash or ("none" if mark else "-")
        marker = mark if marker is None else marker
        return [self._line(x, y, color, ls=ls, marker=marker, **style)]

    def loglog(self, *data, **style):
        self.set(xscale="log", yscale="log")
        return self.plot(*data, **style)

    def semilogx(self, *data, **style):
        self.set(xscale="log")
        return self.plot(*data, **style)

    def semilogy(self, *data, **style):
        self.set(yscale="log")
        return self.plot(*data, **style)

    def axhline(self, y=0.0, **style):
        return self._line(None, [y, y], **style)

    def axvline(self, x=0.0, **style):
        return self._line([x, x], None, **style)

    def hlines(self, y, xmin, xmax, color="C0", **style):
        y, left, right = np.broadcast_arrays(y, xmin, xmax)
        x = np.stack([left, right, np.full(len(y), np.nan)], axis=-1)
        return self._line(x.ravel(), np.repeat(y, 3), color, **style)

    def scatter(self, x, y, s=36.0, color="C0", alpha=1.0, lw=1.0):
        """Discs of area s; alpha: one for all, or one for each."""
        style = {"marker": "o", "ms": math.sqrt(s), "mew": lw}
        for a, b, depth in zip(x, y, np.broadcast_to(alpha, len(x)), strict=True):
            self._line([a], [b], color, alpha=depth, **style)

    def errorbar(self, x, y, yerr, fmt="", color=None, lw=None, capsize=0.0, **style):
        x, y, yerr = (np.asarray(values, dtype=float) for values in (x, y, yerr))
        color = next(self.line_colors) if color is None else color
        ends = np.stack([y - yerr, y + yerr, np.full(len(y), np.nan)], axis=-1).ravel()
        bars = {"marker": "_", "ms": 2 * capsize} if capsize else {}
        self._line(np.repeat(x, 3), ends, color, lw=lw, **bars)
        return self.plot(x, y, fmt, color=color, lw=lw, **style)

    def _bars(self, level, *sizes, color=None, fc=None, ec="none", label="", **style):
        """Bars from their starts, level or upright: middle, length, width, start."""
        places, *sizes = np.broadcast_arrays(*map(np.atleast_1d, sizes))
        if places.dtype.kind == "U":
            (self.yaxis if level else self.xaxis).set_ticks(range(len(places)), places)
            places = np.arange(len(places))
        if color is None and fc is None:
            color = next(self.area_colors)
        colors = itertools.cycle(color if isinstance(color, list) else [color])
        way = 1 if level else -1
        for place, length, width, start in np.stack([places, *sizes]).T:
            corner, size = (start, place - width / 2)[::way], (length, width)[::way]
            look = {"color": next(colors), "fc": fc, "ec": ec, "label": label}
            bar = Rectangle(corner, *size, **look, **style)
            x_sticky, y_sticky = ([start], [])[::way]
            self._show(bar, *bar.outline.T, x_sticky, y_sticky)
            label = ""

    def bar(self, x, height, width=0.8, bottom=0.0, **style):
        self._bars(False, x, height, width, bottom, **style)

    def barh(self, y, width, height=0.8, left=0.0, **style):
        self._bars(True, y, width, height, left, **style)

    def hist(self, x, bins=10, density=False, histtype="bar", color=None, **style):
        """Bars, or with histtype "step" their outline; returns counts and edges."""
        counts, edges = np.histogram(x, bins, density=density)
        if histtype == "bar":
            middles, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
            self._bars(False, middles, counts, widths, 0.0, color=color, **style)
        elif histtype == "step":
            heights = np.concatenate([[0], np.repeat(counts, 2), [0]])
            outline = np.stack([np.repeat(edges, 2), heights], axis=-1)
            color = next(self.area_colors) if color is None else color
            self._area(outline, [0], closed=False, fill=False, ec=color, **style)
        else:
            raise unsupported(f"the histtype {histtype!r}")
        return counts, edges

    def fill_between(self, x, y1, y2=0.0, color=None, y_sticky=(), **style):
        x, y1, y2 = np.broadcast_arrays(x, y1, y2)
        outline = np.stack([np.append(x, x[::-1]), np.append(y1, y2[::-1])], axis=-1)
        color = next(self.area_colors) if color is None else color
        return self._area(outline, y_sticky, color=color, **style)

    def stackplot(self, x, y, labels=(), colors=None, alpha=None):
        """Areas, each on top of those before: y (n, len(x))."""
        tops = np.vstack([np.zeros(len(x)), np.cumsum(y, axis=0)])  # (n + 1, len(x))
        colors = itertools.cycle(colors or self.area_colors)
        names = itertools.chain(labels, itertools.repeat(""))
        for low, high in itertools.pairwise(tops):
            look = {"color": next(colors), "alpha": alpha, "label": next(names)}
            self.fill_between(x, low, high, y_sticky=[0], lw=0, **look)

    def text(self, x, y, s, **style):
        return self._show(Text(s, x, y, **style))

    def annotate(
        self, text, xy, xytext=None, textcoords="data", arrowprops=None, **style
    ):
        """A text with an offset from a place, or an arrow to there without a text."""
        if arrowprops is not None and text == "" and textcoords == "data":
            return self._show(Arrow(xytext, xy, **arrowprops))
        if arrowprops is None and textcoords == "offset points":
            return self._show(Text(text, *xy, offset=xytext, **style))
        raise unsupported("annotate with both a text and an arrow, or with neither")

    def imshow(
        self, X, cmap=None, vmin=None, vmax=None, alpha=None, extent=None,
        origin="upper", aspect="equal", interpolation=None,
    ):  # fmt: skip
        """Numbers (rows, columns) as colours, or colours (rows, columns, 3 or 4)."""
        if interpolation not in (None, "none", "nearest"):
            raise unsupported(f"interpolation={interpolation!r}")
        colors, *norm = shades(X, cmap, vmin, vmax)
        if alpha is not None:
            colors[..., 3] *= alpha
        rows, columns = colors.shape[:2]
        down = origin == "upper"
        if extent is None:
            ends = (rows - 0.5, -0.5) if down else (-0.5, rows - 0.5)
            extent = (-0.5, columns - 0.5, *ends)
        image = Picture(colors if down else colors[::-1], extent)
        image.norm, image.axes = norm, self
        self.set_aspect(aspect)
        x, y = extent[:2], extent[2:]
        self.xaxis.scale.inverted, self.yaxis.scale.inverted = x[0] > x[1], y[0] > y[1]
        return self._show(image, x, y, x, y)

    def pcolormesh(self, C, cmap=None, vmin=None, vmax=None, ec=None, lw=1.0):
        """Numbers (rows, columns) as coloured cells, the first row at the bottom."""
        rows, columns = np.shape(C)
        mesh = self.imshow(
            C, cmap, vmin, vmax, extent=(0, columns, 0, rows), origin="lower",
            aspect="auto",
        )  # fmt: skip
        if ec is not None:
            for y in range(rows + 1):
                self._line([0, columns], [y, y], ec, lw=lw)
            for x in range(columns + 1):
                self._line([x, x], [0, rows], ec, lw=lw)
        return mesh

    def legend(self, **style):
        self.key = [Legend(self, **style)]

    # The drawing itself

    def box(self):
        """(left, top, right, bottom) of the axes in the figure."""
        left, top, right, bottom = self.place or self.figure.cell(*self.slot)
        if not self.equal:
            return left, top, right, bottom
        scales = self.xaxis.scale, self.yaxis.scale
        spans = np.array([np.ptp(s.forward(s.limits())) for s in scales])
        half = min((right - left) / spans[0], (bottom - top) / spans[1]) * spans / 2
        middle = np.array([left + right, top + bottom]) / 2
        return (*(middle - half).tolist(), *(middle + half).tolist())

    def draw(self, canvas, box=None):
        box = self.box() if box is None else box

        def at(x, y):
            return np.stack([self.xaxis.at(x, box), self.yaxis.at(y, box)], axis=-1)

        canvas.cover(box[:2], box[2:])
        layers = [(artist.zorder, artist.draw) for artist in self.artists + self.key]
        if self.on:
            axes = [axis for axis in (self.xaxis, self.yaxis) if axis.visible]
            layers += [(1.5, axis.draw) for axis in axes] + [(2.5, self.spines.draw)]
            if to_rgba(self.ground)[3]:
                look = paint(to_rgba(self.ground))
                canvas.elements.append(f"<rect{box_attributes(box)}{look}/>")
        above = box[1]
        for _, draw in sorted(layers, key=lambda layer: layer[0]):
            reach = draw(canvas, at, box)
            if draw == self.xaxis.draw and self.xaxis.side == "top":
                above = reach
        for other in self.others:
            other.draw(canvas, box)
        self.title.write(canvas, (box[0] + box[2]) / 2, above - self.title_pad)


def shades(X, cmap, vmin, vmax):
    """Colours (rows, columns, 4), colour map, vmin and vmax of numbers or colours."""
    X = np.asarray(X, dtype=float)
    if X.ndim == 3:
        opaque = np.ones((*X.shape[:2], 4 - X.shape[2]))
        return np.concatenate([X, opaque], axis=-1), None, None, None
    cmap = get_cmap(cmap or "viridis")
    vmin = np.nanmin(X) if vmin is None else vmin
    vmax = np.nanmax(X) if vmax is None else vmax
    return cmap((X - vmin) / ((vmax - vmin) or 1)), cmap, vmin, vmax


class Legend(Part):
    """The labels of what an axes shows, each beside a sample."""

    zorder = 5
    PLACES = {  # how far to the right and down, the best first where all are free
        "upper right": (1, 0), "upper left": (0, 0), "lower left": (0, 1),
        "lower right": (1, 1), "center left": (0, 0.5), "center right": (1, 0.5),
        "lower center": (0.5, 1), "upper center": (0.5, 0), "center": (0.5, 0.5),
    }  # fmt: skip

    def __init__(
        self, axes, loc="best", bbox_to_anchor=None, ncols=1, handlelength=2.0,
        handletextpad=0.8, columnspacing=2.0,
    ):  # fmt: skip
        if loc != "best" and loc not in self.PLACES:
            raise unsupported(f"the place {loc!r} of a legend")
        self.axes, self.loc, self.anchor, self.ncols = axes, loc, bbox_to_anchor, ncols
        self.gaps = np.array([handlelength, handletextpad, columnspacing])

    def draw(self, canvas, at, box):
        shown = [artist for artist in self.axes.artists if artist.label]
        size, rows = rcParams["font.size"], math.ceil(len(shown) / self.ncols)
        sample, gap, space = self.gaps * size
        labels = [Text(artist.label) for artist in shown]
        widths = [
            sample + gap + space + max(label.width() for label in labels[n : n + rows])
            for n in range(0, len(labels), rows or 1)
        ]
        extent = np.array([sum(widths) - space, (1.5 * rows - 0.5) * size])
        left, top = self._corner(at, box, extent + 0.8 * size) + 0.4 * size
        for n, (artist, label) in enumerate(zip(shown, labels, strict=True)):
            column, row = divmod(n, rows)
            x, y = left + sum(widths[:column]), top + (0.5 + 1.5 * row) * size
            ends = np.array([(x, y), (x + sample, y)])
            if isinstance(artist, Line):
                artist.trace(canvas, ends, ends.mean(axis=0, keepdims=True))
            else:
                ends += [(0, -0.35 * size), (0, 0.35 * size)]
                look = paint(artist.fc, artist.ec, artist.lw, artist.ls)
                canvas.add(f"<rect{box_attributes(ends.ravel())}{look}/>", ends)
            label.write(canvas, x + sample + gap, y + 0.32 * size)

    def _corner(self, at, box, size):
        """The upper left corner (2,) for a legend of a size (2,)."""
        low, high = np.array(box).reshape(2, 2)
        if self.anchor:
            low = high = low + (high - low) * (self.anchor[0], 1 - self.anchor[1])
        pad = 0.5 * rcParams["font.size"]
        room = high - low - size - 2 * pad
        corners = {name: low + pad + room * way for name, way in self.PLACES.items()}
        if self.loc != "best":
            return corners[self.loc]
        drawn = [a for a in self.axes.artists if isinstance(a, Line | Patch)]
        points = np.concatenate([_dense(artist.points(at)) for artist in drawn])

        def crowd(corner):
            inside = (points > corner) & (points < corner + size)
            return inside.all(axis=-1).sum()

        return min(corners.values(), key=crowd)


def _dense(points):
    """Points (20 n, 2) along the line through points (n, 2)."""
    if not len(points):
        return points
    steps, n = np.linspace(0, len(points) - 1, 20 * len(points)), range(len(points))
    return np.stack([np.interp(steps, n, column) for column in points.T], axis=-1)


class Colorbar(Part):
    def __init__(self, axes):
        self.ax, self.outline = axes, axes.spines


class Figure(Part):
    """A grid of axes, for IPython a picture."""

    def __init__(
        self, nrows=1, ncols=1, figsize=None, width_ratios=None, height_ratios=None,
        wspace=0.2, hspace=0.2,
    ):  # fmt: skip
        self.axes, self.size = [], tuple(figsize or rcParams["figure.figsize"])
        self.widths = np.array(width_ratios or [1.0] * ncols)
        self.heights = np.array(height_ratios or [1.0] * nrows)
        self.margins = {"left": 0.125, "bottom": 0.11, "right": 0.9, "top": 0.88,
                        "wspace": wspace, "hspace": hspace}  # fmt: skip

    def __repr__(self):
        width, height = (side * rcParams["figure.dpi"] for side in self.size)
        return f"<Figure size {width:g}x{height:g} with {len(self.axes)} Axes>"

    def _repr_svg_(self):
        canvas = Canvas()
        canvas.elements.append("")  # for the ground
        for axes in self.axes:
            axes.draw(canvas)
        if not self.axes:
            canvas.cover((0, 0), 72 * np.array(self.size))
        low, high = canvas.low - 7.2, canvas.high + 7.2  # 0.1 inches, as savefig
        box, ground = (*low, *high), to_rgba(rcParams["figure.facecolor"])
        if ground[3]:
            canvas.elements[0] = f"<rect{box_attributes(box)}{paint(ground)}/>"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="{view(box)}"'
            f' font-family="sans-serif">{"".join(canvas.elements)}</svg>'
        )

    def cell(self, row, column):
        """(left, top, right, bottom) of a place in the grid."""
        left, bottom, right, top, wspace, hspace = self.margins.values()
        x = _parts(left, right, wspace, self.widths)[column] * 72 * self.size[0]
        y = _parts(1 - top, 1 - bottom, hspace, self.heights)[row] * 72 * self.size[1]
        return x[0], y[0], x[1], y[1]

    def subplots_adjust(
        self, left=None, bottom=None, right=None, top=None, wspace=None, hspace=None
    ):
        given = left, bottom, right, top, wspace, hspace
        for name, value in zip(self.margins, given, strict=True):
            self.margins[name] = self.margins[name] if value is None else value

    def tight_layout(self, pad=1.08):
        """Moves the axes so that what belongs to them fits, `pad` font sizes apart."""
        if any(axes.place for axes in self.axes):
            raise unsupported("tight_layout with a colour bar")
        gap = pad * rcParams["font.size"]
        rows, columns = len(self.heights), len(self.widths)
        beside, above = np.zeros((rows, columns + 1)), np.zeros((columns, rows + 1))
        for row, column in {axes.slot for axes in self.axes}:
            canvas = Canvas()
            for axes in self.axes:
                if axes.slot == (row, column):
                    axes.draw(canvas)
            left, top, right, bottom = self.cell(row, column)
            low, high = (left, top) - canvas.low, canvas.high - (right, bottom)
            beside[row, column : column + 2] += low[0], high[0]
            above[column, row : row + 2] += low[1], high[1]
        ends = []
        for spaces, size in ((beside, self.size[0]), (above, self.size[1])):
            start, stop = (max(spaces[:, end].max(), 0) + gap for end in (0, -1))
            n, between = spaces.shape[1] - 1, 0.0
            if n > 1:
                inner = spaces[:, 1:-1].max() + gap
                between = inner * n / (72 * size - start - stop - inner * (n - 1))
            ends.append((start / (72 * size), 1 - stop / (72 * size), between))
        (left, right, wspace), (top, bottom, hspace) = ends
        self.subplots_adjust(left, 1 - bottom, right, 1 - top, wspace, hspace)


def _parts(start, stop, space, ratios):
    """The ends (n, 2) of n parts, with gaps of `space` times their mean size."""
    mean = (stop - start) / (len(ratios) + space * (len(ratios) - 1))
    sizes = mean * len(ratios) * ratios / ratios.sum()
    starts = start + np.cumsum(sizes) - sizes + space * mean * np.arange(len(ratios))
    return np.stack([starts, starts + sizes], axis=-1)


# pyplot

_figures = []  # those not shown yet


@strict
def subplots(
    nrows=1, ncols=1, figsize=None, sharex=False, sharey=False, squeeze=True,
    width_ratios=None, height_ratios=None, gridspec_kw=None,
):  # fmt: skip
    """A figure with a grid of axes: one, or an array of them."""
    ratios = {"width_ratios": width_ratios, "height_ratios": height_ratios}
    figure = Figure(nrows, ncols, figsize, **ratios | (gridspec_kw or {}))
    _figures.append(figure)
    grid = np.empty((nrows, ncols), dtype=object)
    for row, column in np.ndindex(grid.shape):
        grid[row, column] = axes = Axes(figure, (row, column))
        figure.axes.append(axes)
        if sharex:
            axes.xaxis.share(figure.axes[0].xaxis)
            axes.xaxis.labelled = row == nrows - 1
        if sharey:
            axes.yaxis.share(figure.axes[0].yaxis)
            axes.yaxis.labelled = column == 0
    if not squeeze:
        return figure, grid
    return figure, grid.item() if grid.size == 1 else grid.squeeze()


@strict
def colorbar(image, ax=None, shrink=1.0, pad=0.05, aspect=20.0, ticks=None):
    """A bar with the colours of an image, to the right of one axes or of several."""
    cmap, vmin, vmax = image.norm
    parents = np.atleast_1d(image.axes if ax is None else ax).ravel()
    figure = image.axes.figure
    places = np.array([p.place or figure.cell(*p.slot) for p in parents])
    left, top = places[:, :2].min(axis=0)
    right, bottom = places[:, 2:].max(axis=0)
    places[:, 0::2] = left + (0.85 - pad) * (places[:, 0::2] - left)
    for parent, place in zip(parents, places.tolist(), strict=True):
        parent.place = tuple(place)
    start, middle = right - 0.15 * (right - left), (top + bottom) / 2
    tall = shrink * (bottom - top)
    wide = min(right - start, tall / aspect)
    tall = wide * aspect
    bar = Axes(figure, (0, 0))
    bar.place = start, middle - tall / 2, start + wide, middle + tall / 2
    steps = np.linspace(0, 1, 256)[:, None]
    bar.imshow(cmap(steps), extent=(0, 1, vmin, vmax), origin="lower", aspect="auto")
    bar.xaxis.visible, bar.yaxis.side = False, "right"
    bar.spines.set_visible(True)
    if ticks is not None:
        bar.set_yticks(ticks)
    figure.axes.append(bar)
    return Colorbar(bar)


@strict
def show():
    """Displays the open figures and closes them."""
    from IPython.display import display

    figures = _figures[:]
    _figures.clear()
    for figure in figures:
        display(figure)


@strict
def close(figure=None):
    """Closes a figure, the last by default, or "all"."""
    if figure == "all":
        _figures.clear()
    elif _figures:
        _figures.remove(figure or _figures[-1])


def figure(figsize=None):
    """A new figure, with one axes."""
    return subplots(figsize=figsize)[0]


def gca():
    """The newest axes, or new ones."""
    return _figures[-1].axes[-1] if _figures else subplots()[1]


# Functions of pyplot that draw on the newest axes, and what they are called there.
ON_AXES = {name: name for name in (
    "annotate", "axhline", "axis", "axvline", "bar", "barh", "errorbar", "fill_between",
    "grid", "hist", "hlines", "imshow", "legend", "loglog", "plot", "scatter",
    "semilogx", "semilogy", "stackplot", "text", "tick_params",
)} | {name: f"set_{name}" for name in (
    "title", "xlabel", "ylabel", "xlim", "ylim", "xscale", "yscale", "xticks", "yticks",
)}  # fmt: skip


def tight_layout(*args, **named):
    for figure in _figures[-1:]:
        figure.tight_layout(*args, **named)


def subplots_adjust(*args, **named):
    for figure in _figures[-1:]:
        figure.subplots_adjust(*args, **named)


@strict
def cycler(color):
    return {"color": list(color)}


# Taking matplotlib's place


class Finder:
    """Says of matplotlib's other modules that they aren't there."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("matplotlib."):
            raise unsupported(name)


def stand_in() -> None:
    """Puts what this module draws in the place of matplotlib's modules.

    RuntimeError if the real one is imported already.
    """
    if "matplotlib" in sys.modules:
        raise RuntimeError("matplotlib is imported already")
    patches = [Arc, Circle, FancyBboxPatch, Polygon, Rectangle]
    contents = {
        "matplotlib": [],
        "matplotlib.colors": [LinearSegmentedColormap, to_rgb, to_rgba],
        "matplotlib.patches": patches,
        "matplotlib.pyplot": [*patches, close, colorbar, cycler, figure, gca, get_cmap,
                              show, subplots, subplots_adjust, tight_layout],
    }  # fmt: skip
    for name, members in contents.items():
        sys.modules[name] = module = types.ModuleType(name)
        vars(module).update({member.__name__: member for member in members})
        module.__getattr__ = functools.partial(_missing, name)
    whole, *inner = (sys.modules[name] for name in contents)
    for module in inner:
        setattr(whole, module.__name__.partition(".")[2], module)
    whole.__path__, whole.rcParams, whole.pyplot.rcParams = [], rcParams, rcParams
    whole.pyplot.matplotlib = whole
    sys.meta_path.insert(0, Finder())


def _missing(module, name):
    if name.startswith("__"):
        raise AttributeError(name)
    if module == "matplotlib.pyplot" and name in ON_AXES:
        return lambda *args, **named: getattr(gca(), ON_AXES[name])(*args, **named)
    raise unsupported(f"{module}.{name}")
