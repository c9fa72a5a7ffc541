"""The pages keep the rules of WCAG 2.2, A and AA, that axe-core can check.

In light and dark, at a desk and on a phone, and by keyboard alone.
"""

import live
import pytest
from book_site import Pages
from sphinx.errors import ExtensionError
from sphinx.jinja2glue import BuiltinTemplateLoader
from test_site import PAGES

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
NOTEBOOK = "book/self-attention.html"  # with all that a page can have
SHORT = "book/faq.html"
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


@pytest.fixture(scope="session")
def axe():
    """The program of axe-core."""
    return (live.packages() / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def open_tab(browser, server, axe):
    """Opens a page with axe-core in it."""

    def open_tab(page, size):
        tab = browser.new_page(color_scheme="light", viewport=size)
        tab.goto(server + page, wait_until="networkidle")
        tab.evaluate(axe)
        # A text that is still fading in has not its contrast yet.
        still = "* { transition: none !important; animation: none !important }"
        tab.add_style_tag(content=still)
        return tab

    return open_tab


def turn(tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_selector(f"html[data-theme={scheme}]", state="attached")


def violations(tab):
    """The elements that break a rule, a line each."""
    program = """async rules => {
        const options = {runOnly: rules, resultTypes: ["violations"]};
        const {violations} = await axe.run(options);
        return violations.flatMap(rule =>
            rule.nodes.map(node => `${rule.id}: ${node.html}`));
    }"""
    return tab.evaluate(program, RULES)


@pytest.fixture(scope="module", params=[*PAGES, "search.html"])
def unfolded(open_tab, request):
    """A page at a desk, with all that is folded laid open, for axe-core to see it."""
    tab = open_tab(request.param, DESK)
    tab.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    yield tab
    tab.close()


@each_scheme
def test_page_keeps_the_rules(unfolded, scheme):
    turn(unfolded, scheme)
    found = violations(unfolded)
    assert not found, "\n".join(found)


@each_scheme
def test_page_keeps_the_rules_on_a_phone(open_tab, scheme):
    with open_tab(NOTEBOOK, PHONE) as tab:
        turn(tab, scheme)
        found = violations(tab)
    assert not found, "\n".join(found)


@each_scheme
@pytest.mark.parametrize(
    ("size", "button", "opened"),
    [
        (DESK, ".search-button-field", "#pst-search-dialog"),
        (DESK, ".dropdown-toggle", ".dropdown-menu"),
        (PHONE, ".primary-toggle", "#pst-primary-sidebar-modal"),
        (PHONE, ".secondary-toggle", "#pst-secondary-sidebar-modal"),
    ],
)
def test_what_a_button_opens_keeps_the_rules(open_tab, size, button, opened, scheme):
    with open_tab(SHORT, size) as tab:
        turn(tab, scheme)
        tab.locator(f"{button}:visible").click()
        tab.locator(opened).wait_for()
        found = violations(tab)
    assert not found, "\n".join(found)


def test_axe_finds_a_button_without_a_name(open_tab):
    with open_tab(SHORT, DESK) as tab:
        button = "document.createElement('button')"
        tab.evaluate(f"document.querySelector('article').append({button})")
        assert violations(tab) == ["button-name: <button></button>"]


@each_scheme
def test_keyboard_reaches_everything_and_shows_where_it_is(open_tab, scheme):
    controls = [
        "#pst-skip-link a",
        ".search-button-field",
        ".bd-links a",
        ".bd-links summary",
        ".theme-switch-button",
        "article summary",
        "article mjx-container[display]",
        ".prev-next-area a",
    ]
    # Which control has the focus, and whether a ring is around it or a part of it.
    focus = """controls => {
        const on = document.activeElement;
        const ring = [on, ...on.querySelectorAll("*")].map(e => getComputedStyle(e))
            .some(({outlineStyle, boxShadow}) =>
                outlineStyle === "solid" || boxShadow.includes("0px 0px 0px 3px"));
        return [controls.filter(control => on.matches(control)), ring, on.outerHTML];
    }"""
    with open_tab(NOTEBOOK, DESK) as tab:
        turn(tab, scheme)
        reached, ringless = [], []
        while True:
            tab.keyboard.press("Tab")
            found, ring, element = tab.evaluate(focus, controls)
            if element.startswith("<body"):
                break
            reached += [control for control in found if control not in reached]
            if not ring:
                ringless.append(element[:200])
    assert not ringless, "\n".join(ringless)
    assert reached == controls


def test_names_of_buttons_are_what_they_show(open_tab):
    with open_tab(SHORT, DESK) as tab:
        for name in ("Search Ctrl + K", "Colour mode: System Settings"):
            assert tab.get_by_role("button", name=name, exact=True).is_visible(), name


def test_build_refuses_a_theme_that_has_changed(monkeypatch):
    monkeypatch.setattr(BuiltinTemplateLoader, "render", lambda *_: "<html></html>")
    with pytest.raises(ExtensionError, match="the theme has no more"):
        Pages().render("page.html", {})
