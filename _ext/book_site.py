"""What the site needs beyond Jupyter Book: captions, and MathJax without a server.

A paragraph that begins with a bold "Figure 1." becomes the caption of the figure above
it. In plain Jupyter it stays a paragraph, so a notebook needs no directive for it.
"""

import importlib.util
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

# The parts of MathJax that a page can ask for. All of it would be 24 MB.
MATHJAX = (
    "tex-chtml.js",
    "a11y",
    "input/tex/extensions",
    "output/chtml/fonts/woff-v2",
    "sre/mathmaps/base.json",
    "sre/mathmaps/en.json",
)


class Captions(SphinxTransform):
    default_priority = 500

    def apply(self):
        for paragraph in self.document.findall(nodes.paragraph):
            # The parser leaves an empty text before a bold beginning.
            parts = [part for part in paragraph.children if part.astext()]
            if parts and isinstance(parts[0], nodes.strong):
                if re.fullmatch(r"Figure \d+\.", parts[0].astext()):
                    paragraph["classes"].append("caption")


def copy_mathjax(app, exception):
    if exception is None and app.builder.format == "html":
        # The package's name is no identifier, so it cannot be imported by name.
        package = importlib.util.find_spec("sphinx-mathjax-offline").origin
        source = Path(package).parent / "static" / "mathjax"
        target = Path(app.outdir) / "_static" / "mathjax"
        for part in MATHJAX:
            if (source / part).is_dir():
                shutil.copytree(source / part, target / part, dirs_exist_ok=True)
            else:
                (target / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / part, target / part)


def setup(app):
    app.add_transform(Captions)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
