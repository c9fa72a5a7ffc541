"""The site builds without a warning, and its pages work on a desk and on a phone.

The site is built once, by the README's command with warnings as errors. Checks that
need no browser read the HTML; the others open each page in Chromium.
"""

import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def toc_files(entry):
    """The pages of the table of contents, in its order."""
    files = [entry[key] for key in ("root", "file") if key in entry]
    for key in ("parts", "chapters", "sections"):
        for child in entry.get(key, []):
            files += toc_files(child)
    return files


def notebook(page):
    """The notebook that a page is made of, if it is made of one."""
    path = (ROOT / page).with_suffix(".ipynb")
    return path if path.exists() else None


PAGES = [f"{file}.html" for file in toc_files(TOC)]
each_page = pytest.mark.parametrize("page", PAGES)


@functools.cache
def parse(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


# What can be read in the HTML.


def broken_links(path):
    """Links and sources on the page that lead nowhere in the site."""
    for tag in parse(path).find_all(["a", "img", "link", "script", "source"]):
        url = urlsplit(tag.get("href") or tag.get("src") or "")
        if url.scheme or url.netloc or not (url.path or url.fragment):
            continue
        target = (path.parent / unquote(url.path)).resolve() if url.path else path
        if not target.is_file():
            yield f"{url.geturl()} is not there"
        elif url.fragment and target.suffix == ".html":
            if parse(target).find(id=unquote(url.fragment)) is None:
                yield f"{url.geturl()} has no such place"


def loads_from_elsewhere(path):
    """What the page itself would fetch from another server."""
    soup = parse(path)
    for tag in soup.find_all(["script", "img", "link", "iframe", "source", "video"]):
        address = tag.get("src") or tag.get("href") or ""
        if urlsplit(address).netloc:
            yield f"<{tag.name}> {address}"
    for style in soup.find_all("style"):
        yield from imports(style.get_text())
    for tag in soup.find_all(style=True):
        yield from imports(tag["style"])


def imports(css):
    return re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"']+", css)


def images_without_text(path):
    for image in parse(path).find_all("img"):
        # An empty text means a decoration. In the article no picture is one.
        decoration = image.get("alt") == "" and not image.find_parent("article")
        if not (image.get("alt") or decoration):
            yield str(image)


def titles(path):
    return [h1.get_text() for h1 in parse(path).select("article h1")]


def test_first_page_leads_to_the_book(site):
    refresh = parse(site / "index.html").find("meta", {"http-equiv": "Refresh"})
    assert refresh["content"] == f"0; url={PAGES[0]}"


def test_every_page_is_in_the_table_of_contents(site):
    built = {str(path.relative_to(site)) for path in site.glob("book/*.html")}
    assert built | {"genindex.html"} == set(PAGES)


@pytest.mark.parametrize("page", [*PAGES, "search.html"])
def test_links_lead_somewhere(site, page):
    found = list(broken_links(site / page))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", [*PAGES, "search.html"])
def test_page_names_no_other_server(site, page):
    found = list(loads_from_elsewhere(site / page))
    assert not found, "\n".join(found)


def test_styles_name_no_other_server(site):
    styles = list(site.glob("_static/**/*.css"))
    assert styles
    assert not [found for css in styles for found in imports(css.read_text("utf-8"))]


@each_page
def test_images_have_text(site, page):
    found = list(images_without_text(site / page))
    assert not found, "\n".join(found)


@each_page
def test_page_has_one_title(site, page):
    assert len(titles(site / page)) == 1


def test_chapter_numbers_follow_the_table_of_contents(site):
    """A number is part of the title, so that a notebook shows it too."""

    def number(entry):
        title = titles(site / f"{entry['file']}.html")[0]
        found = re.match(r"[\d.]+(?= )", title)
        return found and found[0]

    def follow(entries, above):
        for count, entry in enumerate(entries, start=1):
            assert number(entry) == f"{above}{count}", entry["file"]
            follow(entry.get("sections", []), f"{above}{count}.")

    chapters, back = TOC["parts"]
    follow(chapters["chapters"], "")
    assert not any(number(entry) for entry in back["chapters"])


@pytest.mark.parametrize("page", [p for p in PAGES if notebook(p)])
def test_chapter_leads_to_its_terms_and_symbols(site, page):
    links = {a["href"] for a in parse(site / page).select("article a[href]")}
    assert {"glossary.html", "notation.html"} <= links


def test_index_and_pages_have_every_term(site):
    """From the first use of a term to the glossary, and from the index to both."""
    glossary = parse(site / "book" / "glossary.html")
    terms = {f"book/glossary.html#{dt['id']}" for dt in glossary.select("dt[id]")}
    assert len(terms) > 200
    indexed = {a["href"] for a in parse(site / "genindex.html").select("article a")}
    assert terms <= indexed
    uses = [link for link in indexed if "#use-" in link]
    assert len(uses) == len(glossary.select("dl.glossary > dd"))
    for page in {use.split("#")[0] for use in uses}:
        links = {a["href"] for a in parse(site / page).select("article a:has(> .term)")}
        here = [use for use in uses if use.split("#")[0] == page]
        assert len(links) == len(here) and {f"book/{a}" for a in links} <= terms


def test_every_answer_leads_to_a_page_that_shows_why(site):
    questions = parse(site / "book" / "faq.html").select("section:has(> h3)")
    assert len(questions) >= 60
    for question in questions:
        links = {a["href"].split("#")[0] for a in question.select("p a.internal[href]")}
        shown = links & {Path(page).name for page in PAGES if notebook(page)}
        assert shown, question.h3.get_text()


def test_checks_refuse_a_bad_page(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text(
        """<style>@import "https://cdn.example/a.css";</style>
        <script src="https://cdn.example/a.js"></script>
        <article><h1>A</h1><h1>B</h1>
        <a href="missing.html">x</a> <a href="#nowhere">y</a> <a href="#here">z</a>
        <p id="here" style="background: url(//cdn.example/b.png)">text</p>
        <img src="bad.html" alt=""><a href="https://example.org">elsewhere</a>
        </article>"""
    )
    assert list(broken_links(page)) == [
        "missing.html is not there",
        "#nowhere has no such place",
    ]
    assert len(list(loads_from_elsewhere(page))) == 3
    assert len(list(images_without_text(page))) == 1
    assert len(titles(page)) == 2


# What only a browser can tell.


@pytest.fixture(scope="module", params=PAGES)
def tab(browser, server, request):
    """A page in the browser, with what it asks of other servers and complains of."""
    tab = browser.new_page(color_scheme="light")
    tab.foreign, tab.complaints = [], []

    def route(route):
        if route.request.url.startswith(server):
            route.continue_()
        else:
            tab.foreign.append(route.request.url)
            route.abort()

    tab.route("**/*", route)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("console", lambda m: m.type == "error" and tab.complaints.append(m.text))
    tab.goto(server + request.param, wait_until="networkidle")
    yield tab
    tab.close()


def test_page_asks_no_other_server(tab):
    assert not tab.foreign


def test_page_has_no_error(tab):
    assert not tab.complaints


def test_formulas_are_typeset(tab):
    formulas = tab.locator("article .math").count()
    assert tab.locator("article .math > mjx-container").count() == formulas
    assert tab.locator("mjx-merror, [data-mjx-error]").count() == 0


# Text with less contrast to its ground than WCAG AA asks, 4.5 to 1.
PALE = """elements => {
    const luminance = ([r, g, b]) => [r, g, b]
        .map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const ground = e => {
        const colour = numbers(getComputedStyle(e).backgroundColor);
        return colour[3] === 0 && e.parentElement ? ground(e.parentElement) : colour;
    };
    return elements.filter(e => {
        const text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
        if (!text || !e.checkVisibility()) return false;
        const ink = luminance(numbers(getComputedStyle(e).color));
        const [dark, light] = [ink, luminance(ground(e))].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05) < 4.5;
    }).map(e => e.outerHTML);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_reads_in_light_and_dark(tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_selector(f"html[data-theme={scheme}]", state="attached")
    pale = tab.locator("article *").evaluate_all(PALE)
    assert not pale, "\n".join(pale)
    # Figures are made for both: no box behind them, and no filter.
    for image in tab.locator("article img").all():
        style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).filter]"
        assert image.evaluate(style) == ["rgba(0, 0, 0, 0)", "none"]


def test_page_fits_a_phone(tab):
    tab.set_viewport_size({"width": 390, "height": 844})
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.evaluate("document.body.scrollWidth") == 390
    # Nor is text cut off: what is wider than the page scrolls in a box of its own.
    texts = tab.locator("article :is(h1, h2, h3, p, li, img, summary)")
    cut_off = texts.evaluate_all(
        """elements => elements.filter(e =>
            e.getBoundingClientRect().right > innerWidth + 1
            && !e.closest(".pst-scrollable-table-container, mjx-container")
        ).map(e => e.outerHTML)"""
    )
    assert not cut_off, "\n".join(cut_off)
