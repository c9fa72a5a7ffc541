"""What the site needs beyond Jupyter Book: captions, first uses, MathJax by itself.

A paragraph that begins with a bold "Figure 1." becomes the caption of the figure above
it. Where a page first uses a term that the glossary says it explains, the word links to
the glossary, and the place gets into the index. In plain Jupyter both stay plain text,
so a notebook needs no directive for them.
"""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.jinja2glue import BuiltinTemplateLoader
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from gptbook.checkpoint import Config, load_parameters, write_safetensors

# The parts of MathJax that a page can ask for. All of it would be 24 MB.
MATHJAX = (
    "tex-chtml.js",
    "a11y",
    "input/tex/extensions",
    "output/chtml/fonts/woff-v2",
    "sre/mathmaps/base.json",
    "sre/mathmaps/en.json",
)


logger = logging.getLogger(__name__)
GLOSSARY = "book/glossary.md"
WEB, MODEL = "_web", "book/models/tales"
# One or more terms, and below them a definition that ends with the page: ([1](a.ipynb))
ENTRY = re.compile(r"((?:^\S.*\n)+)((?:^ +.*\n)+)", re.MULTILINE)
OTHER_FORM = re.compile(r"^% (.+): (.+)$", re.MULTILINE)
HOME = re.compile(r"\]\(([\w-]+)\.(?:ipynb|md)\)\)\s*$")
NO_PROSE = (
    nodes.comment,
    nodes.title,
    nodes.reference,
    addnodes.pending_xref,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
)
# What the theme leaves unclear to those who listen to a page, and on every page has.
THEME = (
    # The name of a fold in the contents is its chapter's.
    (
        r"(<a [^>]*>([^<]*)</a><details[^>]*><summary)>",
        r'\1 aria-label="Pages of \2">',
    ),
    # A button's name has all the words that it shows, and the switch's what is on.
    (r'(search-button-field [^>]*) aria-label="Search"', r"\1"),
    (
        r'(theme-switch-button [^>]*) aria-label="Color mode"[^>]*>',
        r'\1 data-bs-title="Colour mode" data-bs-toggle="tooltip">'
        '<span class="visually-hidden">Colour mode:</span>',
    ),
    # The title of the book is in a region of the page too.
    (r'<div id="pst-primary-sidebar"', r'\g<0> role="complementary" aria-label="Book"'),
    # The icons are in a font already; the program that draws them is half a megabyte.
    (r'<script src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
    (r"(theme-switch fa-solid [\w-]+) +fa-lg", r"\1"),
    # An icon would be read as the letter that it is in the font.
    (r'<(?:i|span) class="fa[s-][^>]*', r'\g<0> aria-hidden="true"'),
    (
        r'<i class="theme-switch [^>]*title="([^"]*)"',
        r'\g<0> role="img" aria-label="\1"',
    ),
)
# The same in the text, where a page has it: these keep the words that can be seen, or
# have a role that has gone from the standard, or head a column with nothing.
TEXT = (
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
    (' role="doc-biblioentry"', ' role="listitem"'),
    ('<th class="head"><p></p></th>', '<td class="head"></td>'),
    # Figures are fetched when the page is scrolled to them.
    ("<img alt=", '<img loading="lazy" alt='),
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


class FirstUses(SphinxTransform):
    default_priority = 840  # before the domains collect the entries of the index

    def apply(self):
        self.env.note_dependency(str(Path(self.app.srcdir) / GLOSSARY))
        page = self.env.docname.rpartition("/")[2]
        terms = self.app.first_uses.get(page, [])
        # A longer term first: "attention map" is no use of "attention".
        for forms in sorted(terms, key=lambda forms: -max(map(len, forms))):
            if not self.link(forms):
                message = f"{page} never uses {forms[0]!r}, which the glossary has"
                logger.warning(message, location=self.env.docname)

    def link(self, forms):
        """Links the first use of a term, in one of its forms, to the glossary."""
        pattern = re.compile(
            r"(?<!\w)(?:" + "|".join(map(any_space, forms)) + r")(?:e?s)?(?!\w)", re.I
        )
        texts = [text for text in self.document.findall(nodes.Text) if is_prose(text)]
        # A name in code font only where no sentence has the term.
        for text in sorted(texts, key=lambda t: isinstance(t.parent, nodes.literal)):
            if found := pattern.search(text):
                parent, place = text.parent, text.parent.index(text)
                before, after = text[: found.start()], text[found.end() :]
                parts = [nodes.Text(before), *self.use(forms[0], found[0])]
                parent[place : place + 1] = [*parts, nodes.Text(after)]
                return True
        return False

    def use(self, term, word):
        identifier = "use-" + nodes.make_id(term)
        label = nodes.inline(word, word, classes=["term"], ids=[identifier])
        yield addnodes.index(entries=[("single", term, identifier, "", None)])
        yield addnodes.pending_xref(
            "", label, refdomain="std", reftype="term", reftarget=term,
            refdoc=self.env.docname, refexplicit=True, refwarn=True,
        )  # fmt: skip


def any_space(form):
    pattern = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", form)))
    return pattern.replace("'", "['’]")


def is_prose(node):
    while node := node.parent:
        if isinstance(node, NO_PROSE):
            return False
    return True


def read_glossary(app):
    """The terms by the page that explains them, each with the forms that it has."""
    app.first_uses = {}
    text = (Path(app.srcdir) / GLOSSARY).read_text(encoding="utf-8")
    other_forms = dict(OTHER_FORM.findall(text))
    body = text.split(":sorted:\n")[1].split("\n```")[0] + "\n"
    for terms, definition in ENTRY.findall(body):
        names = terms.strip().split("\n")
        parts = [part for name in names for part in name.split(", ")]
        forms = names + [re.sub(r" \(.*\)", "", part) for part in parts]
        forms += [other_forms[name] for name in names if name in other_forms]
        home = HOME.search(definition)
        if home is None:
            raise ExtensionError(f"{GLOSSARY}: {names[0]!r} names no page at its end")
        app.first_uses.setdefault(home[1], []).append(forms)


class Pages(BuiltinTemplateLoader):
    """The pages as the theme has them, mended where they would be unclear by ear."""

    single = False

    def init(self, builder, *args, **named):
        super().init(builder, *args, **named)
        self.single = builder.name not in ("html", "dirhtml")

    def render(self, template, context):
        page = super().render(template, context)
        # The theme also renders parts of pages; another builder has other pages.
        if "</html>" not in page or self.single:
            return page
        for pattern, mended in THEME:
            page, count = re.subn(pattern, mended, page)
            if not count:
                raise ExtensionError(f"{template}: the theme has no more {pattern}")
        for found, mended in TEXT:
            page = page.replace(found, mended)
        return page


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


def copy_playground(app, exception):
    """The playground's program, and the model in half precision: half the bytes."""
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / WEB
        shutil.copytree(Path(app.srcdir) / WEB, target, dirs_exist_ok=True)
        source, folder = Path(app.srcdir) / MODEL, target / "tales"
        folder.mkdir(exist_ok=True)
        for file in ("config.json", "tokenizer.json"):
            shutil.copy(source / file, folder)
        params = load_parameters(source, Config.load(source))
        halves = {name: array.astype(np.float16) for name, array in params.items()}
        write_safetensors(folder / "model.safetensors", halves)


def add_parts(app, pagename, templatename, context, doctree):
    """The program and the style of the playground's parts, where a page has some."""
    if "<gpt-" in context.get("body", ""):
        # Named as from _static, and after the book's own style.
        app.add_css_file(f"../{WEB}/playground.css", priority=900)
        program = context["pathto"](f"{WEB}/parts.js", 1)
        context["metatags"] += f'<script type="module" src="{program}"></script>'


def setup(app):
    app.config.template_bridge = "book_site.Pages"
    app.add_transform(Captions)
    app.add_transform(FirstUses)
    app.connect("builder-inited", read_glossary)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", copy_playground)
    app.connect("html-page-context", add_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
