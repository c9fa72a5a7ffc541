"""The playground's parts in the chapters: they come alive, and show what NumPy says."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from test_site import PALE

from gptbook.layers import softmax
from gptbook.lesson import SENTENCE
from gptbook.numpy_gpt import GPT
from gptbook.sampling import next_token_probabilities
from gptbook.tokenizer import Tokenizer

ROOT = Path(__file__).parents[1]
# Each chapter, and what changes there when the text does.
CHAPTERS = {
    "input": "[data-part=spelled]",
    "position": "[data-part=placed]",
    "attention-idea": "[data-part=reads]",
    "self-attention": "[data-part=reads]",
    "generation": "[data-part=next]",
    "interpretability": "[data-part=lens]",
}
OPACITY = "all => all.map(e => Number(e.getAttribute('fill-opacity')))"
WEIGHTS = "model.safetensors"
WORLD = "This model has read only its little stories, in English and Chinese."
HALF = "Grey: bytes, parts of a character."


@pytest.fixture(scope="module")
def tokenizer(site):
    return Tokenizer.load(site / "_web" / "tales" / "tokenizer.json")


@pytest.fixture(scope="module")
def model(site):
    """The model with the weights of the site, which have half the precision."""
    half = GPT.load(site / "_web" / "tales")
    params = {name: array.astype(np.float32) for name, array in half.params.items()}
    return GPT(half.config, params)


@pytest.fixture(scope="module")
def open_chapter(browser, server):
    """A function that opens a chapter; it notes faults and what is fetched."""
    tabs = []

    def open_(name, **options):
        tab = browser.new_page(**{"viewport": {"width": 1000, "height": 900}} | options)
        tab.faults, tab.fetched = [], {}
        tab.on("pageerror", lambda error: tab.faults.append(str(error)))
        tab.on("dialog", lambda dialog: tab.faults.append(dialog.message))
        tab.on("console", lambda m: m.type == "error" and tab.faults.append(m.text))
        tab.on("response", lambda r: tab.fetched.update({r.url.split("/")[-1]: r}))
        tab.goto(f"{server}book/{name}.html", wait_until="networkidle")
        tabs.append(tab)
        return tab

    yield open_
    for tab in tabs:
        assert not tab.faults
        tab.close()


def wake(tab):
    tab.locator("gpt-try").scroll_into_view_if_needed()
    tab.wait_for_selector("gpt-try .tokens li")
    return tab


@pytest.fixture(scope="module")
def alive(open_chapter):
    """A function that gives a chapter's page with its part alive, each opened once."""
    tabs = {}
    return lambda name: (
        tabs.get(name) or tabs.setdefault(name, wake(open_chapter(name)))
    )


@pytest.fixture(params=CHAPTERS)
def chapter(alive, request):
    return alive(request.param)


def part(tab, name):
    return tab.locator(f"gpt-try [data-part={name}]")


def tokens(tab):
    return tab.locator("gpt-try .tokens button").all_text_contents()


def ids(tab):
    return [int(i) for i in tab.locator("gpt-try .tokens small").all_text_contents()]


def type_text(tab, text):
    """Types a text, and waits until the part shows it."""
    part(tab, "text").fill(text)
    tab.wait_for_function(
        """text => {
            const { reading, mark } = document.querySelector('gpt-try');
            return reading.text() === mark + text;
        }""",
        arg=text,
    )


def percentage(text):
    """The number in a text, such as 88 in "Ben 88% (place 36)"."""
    return float(re.search(r"([\d.]+)%", text)[1])


# Before a part comes alive.


@pytest.mark.parametrize("name", CHAPTERS)
def test_it_comes_alive_near_the_view_and_fetches_what_it_needs(open_chapter, name):
    tab = open_chapter(name)
    fetched = [response for response in tab.fetched.values() if response.ok]
    assert sum(len(gzip.compress(response.body())) for response in fetched) < 1.2e6
    assert WEIGHTS not in tab.fetched and "tokenizer.json" not in tab.fetched
    assert "On the book’s site" in tab.locator("gpt-try").inner_text()
    wake(tab)
    assert "On the book’s site" not in tab.locator("gpt-try").inner_text()
    assert "tokenizer.json" in tab.fetched
    assert (WEIGHTS in tab.fetched) == (name != "input")


@pytest.mark.parametrize("name", CHAPTERS)
def test_without_a_program_a_sentence_says_what_would_be_there(open_chapter, name):
    tab = open_chapter(name, java_script_enabled=False)
    fallback = tab.locator("gpt-try")
    assert fallback.is_visible() and "On the book’s site" in fallback.inner_text()
    assert fallback.get_by_role("link").get_attribute("href") == "playground.html"
    # No first use of a term, which would be lost when the part comes alive.
    assert fallback.locator(".term").count() == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_plain_notebook_has_the_same_sentence_and_no_program(name):
    cells = json.loads((ROOT / "book" / f"{name}.ipynb").read_text("utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    [source] = [source for source in sources if "gpt-try" in source]
    sentence = re.sub(r"</?gpt-try[^>]*>", "", source).strip()
    assert sentence.startswith("On the book's site") and "<" not in sentence
    assert "[playground](playground.md)" in sentence


def test_pages_without_a_part_have_no_program(site):
    for page in (site / "book").glob("*.html"):
        text = page.read_text("utf-8")
        assert ('src="../_web/parts.js"' in text) == ("<gpt-" in text), page.name


# What all parts have in common.


def test_it_begins_with_the_running_sentence(chapter, tokenizer):
    part(chapter, "text").evaluate("text => text.closest('gpt-try').choose()")
    mark = [] if "input.html" in chapter.url else tokenizer.encode("<|story|>")
    expected = mark + tokenizer.encode(SENTENCE)
    n = 12 if "generation.html" in chapter.url else len(expected)  # there up to "her"
    assert ids(chapter)[:n] == expected[:n]


def test_it_says_what_can_be_done_and_what_the_model_knows(chapter):
    name = Path(chapter.url).stem
    invitation = part(chapter, "invitation").inner_text()
    assert invitation.startswith("Try it: ") and invitation.endswith(".")
    assert chapter.get_by_role("group", name=invitation, exact=True).is_visible()
    predicts = name not in ("input", "attention-idea", "self-attention")
    assert chapter.locator("gpt-try").get_by_text(WORLD).is_visible() == predicts


def test_at_the_longest_text_it_says_so(chapter):
    type_text(chapter, SENTENCE)
    assert not part(chapter, "limit").is_visible()
    part(chapter, "text").fill("")
    part(chapter, "text").press_sequentially("word " * 80)
    chapter.wait_for_function("document.querySelector('[data-part=limit]').textContent")
    assert len(part(chapter, "text").input_value()) == 300
    assert part(chapter, "limit").inner_text() == "At most 300 characters."


def test_typing_changes_what_is_shown(chapter, tokenizer):
    name = Path(chapter.url).stem
    before = chapter.locator(f"gpt-try {CHAPTERS[name]}").inner_html()
    type_text(chapter, "Once upon a time, Leo lost his golden cup")
    after = chapter.locator(f"gpt-try {CHAPTERS[name]}").inner_html()
    assert tokens(chapter)[-3:] == [" his", " golden", " cup"] and after != before
    type_text(chapter, "")
    assert len(tokens(chapter)) == (name != "input")


def test_what_is_typed_stays_text(chapter):
    typed = "<img src=x onerror=alert(1)> <b>&amp;<|endoftext|>"
    type_text(chapter, typed)
    assert "".join(tokens(chapter)).endswith(typed)
    assert "<|endoftext|>" not in tokens(chapter)
    if part(chapter, "step").count():  # after which the whole text is said
        part(chapter, "step").click()
        assert typed in part(chapter, "status").text_content()
    assert chapter.locator("gpt-try :is(img, .tokens b, .status b)").count() == 0


def test_the_arrow_keys_go_from_token_to_token(chapter):
    type_text(chapter, SENTENCE)
    chips = chapter.locator("gpt-try .tokens button")
    chips.last.focus()
    for _ in range(3):
        chapter.keyboard.press("ArrowLeft")
    chosen = chips.nth(chips.count() - 4)
    assert chosen.get_attribute("aria-pressed") == "true"
    assert chosen.evaluate("chip => chip === document.activeElement")
    for name in ("reader", "chosen"):
        if part(chapter, name).count():
            assert part(chapter, name).text_content() == chosen.text_content() == " in"


def test_each_control_has_a_name_and_the_key_of_the_tab_reaches_it(chapter):
    controls = chapter.locator(
        "gpt-try :is(textarea, select, input, button:not([tabindex='-1'], :disabled))"
    )
    controls = [control for control in controls.all() if control.is_visible()]
    part(chapter, "text").focus()
    for control in controls:
        assert control.evaluate("e => e === document.activeElement")
        text = "e => e.labels?.[0]?.textContent ?? e.textContent"
        assert control.evaluate(text).strip()
        chapter.keyboard.press("Tab")
        if chapter.evaluate("document.activeElement.matches('gpt-try .scroll')"):
            chapter.keyboard.press("Tab")


def test_it_fits_a_phone_and_reads_in_light_and_dark(chapter):
    type_text(chapter, SENTENCE + " 她丢了球 🎈" + "w" * 60)
    for scheme in ("light", "dark"):
        chapter.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        chapter.wait_for_selector(f"html[data-theme={scheme}]", state="attached")
        pale = chapter.locator("gpt-try *").evaluate_all(PALE)
        assert not pale, "\n".join(pale)
        moving = "e => e.getAnimations({ subtree: true }).length"
        assert chapter.locator("gpt-try").evaluate(moving) == 0
    chapter.set_viewport_size({"width": 390, "height": 844})
    assert chapter.evaluate("document.documentElement.scrollWidth") == 390
    wide = chapter.locator("gpt-try *").evaluate_all(
        """elements => elements.filter(e =>
            e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll, svg')
        ).map(e => e.outerHTML)"""
    )
    assert not wide, "\n".join(wide)
    chapter.set_viewport_size({"width": 1000, "height": 900})


# What each shows.


def pieces_of(token):
    """The hexadecimal bytes and the text of a token, as a part shows them."""
    text = token.decode("utf-8", errors="surrogateescape")
    parts = re.split("([\udc80-\udcff]+)", text)
    names = [p.encode("utf-8", "surrogateescape").hex(" ") for p in parts[1::2]]
    parts[1::2] = names
    return "".join(parts).replace("\n", "⏎")


def test_parts_of_characters_are_shown_as_bytes(alive, tokenizer):
    tab = alive("input")
    found = tab.evaluate(
        """n => Array.from({ length: n }, (_, id) => {
            const span = document.createElement('span');
            span.append(...document.querySelector('gpt-tokens').shown(id));
            return span.textContent;
        })""",
        tokenizer.vocab_size,
    )
    assert found == [pieces_of(token) for token in tokenizer.vocabulary]
    type_text(tab, "🎈")
    assert tokens(tab) == ["f0", "9f", "8e", "88"]
    titled = tab.locator("gpt-try .tokens .bytes[title]")
    assert titled.count() == 4
    assert tab.get_by_text(HALF).is_visible()
    type_text(tab, "balloon")
    assert not tab.get_by_text(HALF).is_visible()
    type_text(tab, "🎈")
    monospaced = "e => getComputedStyle(e).fontFamily"
    assert "mono" in titled.first.evaluate(monospaced).lower()


def test_tokens_pieces_and_bytes_of_any_text(alive, tokenizer):
    tab = alive("input")
    text = "Then 米娅 found é 🎈"
    type_text(tab, text)
    assert ids(tab) == tokenizer.encode(text)
    expected = [len(text), len(text.encode()), 5, len(ids(tab))]  # 5 pieces: the words
    names = ("characterCount", "byteCount", "pieceCount", "tokenCount")
    assert [int(part(tab, name).text_content()) for name in names] == expected
    part(tab, "choice").select_option(index=1)
    assert "found  2048" in part(tab, "text").input_value()  # both spaces
    type_text(tab, text)
    chips = tab.locator("gpt-try .tokens button")
    chips.last.click()
    spelled = part(tab, "spelled")
    assert spelled.text_content() == "🎈U+1F388f09f8e88"
    assert spelled.locator("b").all_text_contents() == ["88"]
    assert spelled.locator("s").all_text_contents() == ["f0", "9f", "8e"]
    chips.nth(tokens(tab).index("米娅")).click()
    assert spelled.text_content() == "米U+7C73e7b1b3娅U+5A05e5a885"


@pytest.mark.parametrize("name", ["attention-idea", "self-attention"])
def test_attention_is_that_of_numpy(alive, model, tokenizer, name):
    tab, arrays = alive(name), {}
    tab.evaluate("document.querySelector('gpt-try').choose()")
    story = tokenizer.encode("<|story|>" + SENTENCE)
    model(np.array(story), activations=arrays)
    every = np.array([arrays[f"h.{n}.attn.weights"] for n in range(4)])  # (4, 4, T, T)
    lost, mia = (story.index(tokenizer.encode(word)[0]) for word in (" lost", " Mia"))
    looks = every[:, :, lost, mia]
    best = np.unravel_index(looks.argmax(), looks.shape)
    chosen = [int(part(tab, menu).input_value()) for menu in ("layer", "head")]
    assert chosen == list(best)  # the head that the chapter finds
    rows, columns = np.tril_indices(len(story))
    for layer, head in np.ndindex(4, 4):
        part(tab, "layer").select_option(str(layer))
        part(tab, "head").select_option(str(head))
        cells = part(tab, "map").locator("rect:not(.chosen)")
        shown = cells.evaluate_all(OPACITY)
        expected = every[layer, head, rows, columns]
        assert np.abs(expected - np.square(shown)).max() < 2e-3
        said = part(tab, "reads").locator("li").all_text_contents()
        order = np.argsort(-every[layer, head, lost])[:5]
        assert [percentage(line) for line in said] == pytest.approx(
            100 * every[layer, head, lost, order], abs=0.51
        )
    assert part(tab, "map").locator("text").count() == 2 * len(story)


def test_another_text_has_its_own_token_and_head(alive, model, tokenizer):
    tab, arrays = alive("attention-idea"), {}
    part(tab, "choice").select_option(index=1)
    story = ids(tab)
    assert part(tab, "reader").text_content() == tokens(tab)[-1] == " and"
    model(np.array(story), activations=arrays)
    called = len(story) - 1 - story[::-1].index(tokenizer.encode(" Ben")[0])
    looks = np.array([arrays[f"h.{n}.attn.weights"][:, -1, called] for n in range(4)])
    best = np.unravel_index(looks.argmax(), looks.shape)
    chosen = [int(part(tab, menu).input_value()) for menu in ("layer", "head")]
    assert chosen == list(best)


def test_a_word_that_occurs_twice_is_said_with_its_place(alive):
    tab = alive("attention-idea")
    part(tab, "choice").select_option(index=1)
    words = tokens(tab)
    place = len(words) - 1 - words[::-1].index(" Ben")
    first = part(tab, "reads").locator("li").first.text_content()
    assert re.fullmatch(rf" Ben \d+% \(place {place}\)", first)
    said = part(tab, "reads").locator("li").all_text_contents()
    for line in said:
        word = re.match(r"(.+?) [<>]?[\d.]+%", line)[1]
        assert ("place" in line) == (words.count(word) > 1)


def test_the_map_has_names_where_they_have_room(alive):
    tab = alive("self-attention")
    names = part(tab, "map").locator("text")
    for text, width, tokens_named in (
        (" red" * 24, 1280, 25),  # with the mark
        (" red" * 24, 390, 0),
        (" red" * 23, 390, 24),
        (" red" * 70, 1280, 48),
    ):
        tab.set_viewport_size({"width": width, "height": 900})
        type_text(tab, text)
        tab.wait_for_function(
            "n => document.querySelectorAll('gpt-try .map text').length === n",
            arg=2 * tokens_named,
        )
        newest = tab.get_by_text("The newest 48 tokens are shown.")
        assert newest.is_visible() == (text == " red" * 70)
    type_text(tab, "")
    assert names.all_text_contents() == ["<|story|>"] * 2
    assert part(tab, "map").bounding_box()["width"] < 100
    tab.set_viewport_size({"width": 1000, "height": 900})


def test_a_row_is_read_by_pointing_and_by_a_tap(alive):
    tab = alive("self-attention")
    type_text(tab, SENTENCE)
    tab.locator("gpt-try .tokens button").last.click()
    cells = part(tab, "map").locator("rect:not(.chosen)")
    cells.nth(7 * 8 // 2).hover()  # the first cell of row 7
    assert part(tab, "reader").text_content() == " the"
    assert tab.locator("gpt-try .tokens [aria-pressed=true]").text_content() == "."
    cells.nth(10 * 11 // 2).click()
    assert tab.locator("gpt-try .tokens [aria-pressed=true]").text_content() == " lost"
    assert tab.locator("gpt-try .arcs path").count() > 0
    live = tab.locator("gpt-try [aria-live=polite]:has([data-part=reader])")
    assert live.count() == 1


def numbers(tab, name):
    texts = part(tab, name).locator(".number").all_text_contents()
    return [percentage(text) for text in texts]


def largest(p, n):
    return np.sort(p)[::-1][:n] * 100


def test_a_moved_token_takes_its_row_along_and_leaves_the_place(
    alive, model, tokenizer
):
    tab = alive("position")
    tab.evaluate("document.querySelector('gpt-try').choose()")
    place = int(part(tab, "number").text_content())
    assert tokens(tab)[place] == part(tab, "chosen").text_content() == " Ben"

    def strip(name):
        return np.array(part(tab, name).locator("rect").evaluate_all(OPACITY))

    def row(table, i):
        return np.minimum(1, 2 * np.abs(model.params[table][i]))

    zeros = {"wpe.weight": np.zeros_like(model.params["wpe.weight"])}
    blind = GPT(model.config, model.params | zeros)
    old = ids(tab)
    for button, there in (("later", place + 1), ("earlier", place)):
        part(tab, button).focus()
        tab.keyboard.press("Enter")
        assert part(tab, "number").text_content() == str(there)
        story = ids(tab)
        assert story[there] == old[place] and sorted(story) == sorted(old)
        assert np.abs(strip("token") - row("wte.weight", old[place])).max() < 0.01
        assert np.abs(strip("place") - row("wpe.weight", there)).max() < 0.01
        for name, gpt in (("placed", model), ("blind", blind)):
            p = softmax(gpt(np.array(story))[-1])
            assert numbers(tab, name) == pytest.approx(largest(p, 4), abs=0.51)
    assert story == old
    part(tab, "later").click()
    assert ' to. Ben "' in part(tab, "text").input_value()


def test_bars_are_shaped_by_the_keyboard_and_one_is_drawn(alive, model, tokenizer):
    tab = alive("generation")
    tab.evaluate("document.querySelector('gpt-try').choose()")
    logits = model(np.array(ids(tab)))[-1]
    for name, keys, settings in (
        ("temperature", ["ArrowRight"] * 10, {"temperature": 1.5}),
        ("topK", ["Home", *["ArrowRight"] * 3], {"temperature": 1.5, "top_k": 4}),
        ("topP", ["ArrowLeft"] * 8, {"temperature": 1.5, "top_k": 4, "top_p": 0.6}),
    ):
        part(tab, name).focus()
        for key in keys:
            tab.keyboard.press(key)
        p = next_token_probabilities(logits, **settings)
        assert numbers(tab, "next") == pytest.approx(largest(p, 12), abs=0.51)
    may_come = part(tab, "next").locator(".token").all_text_contents()
    before = tokens(tab)
    part(tab, "step").focus()
    tab.keyboard.press("Enter")
    assert tokens(tab)[:-1] == before and tokens(tab)[-1] in may_come[:4]
    part(tab, "undo").click()
    assert tokens(tab) == before
    shown = part(tab, "next").locator(".number").all_text_contents()
    assert shown[-1] == "0%"  # exactly, for top-k has removed it
    part(tab, "topK").press("Home")
    shown = part(tab, "next").locator(".number").all_text_contents()
    assert shown == ["100%"] + ["0%"] * 11
    part(tab, "topK").press("End")
    part(tab, "topP").press("End")
    assert part(tab, "topKShown").text_content() == "off"
    assert part(tab, "topPShown").text_content() == "off"


def test_the_lens_is_that_of_numpy(alive, model, tokenizer):
    tab, arrays = alive("interpretability"), {}
    tab.evaluate("document.querySelector('gpt-try').choose()")
    story = tokenizer.encode("<|story|>" + SENTENCE)
    lost = story.index(tokenizer.encode(" lost")[0])
    model(np.array(story), activations=arrays)
    stream = [arrays["h.0.input"], *(arrays[f"h.{n}.output"] for n in range(4))]
    rows = part(tab, "lens").locator("tr").all()
    assert len(rows) == 5
    for row, x in zip(rows, stream, strict=True):
        normed = model.norm("ln_f", x[lost])
        p = softmax(normed @ model.params["wte.weight"].T)
        cells = row.locator("td").all_text_contents()
        shown = [percentage(cell) for cell in cells]
        assert shown == pytest.approx(largest(p, 4), abs=0.51)
        assert cells[0].startswith(pieces_of(tokenizer.vocabulary[p.argmax()]))
    table = tab.get_by_role("table")
    assert table.get_by_role("columnheader", name="Blocks").is_visible()
    assert rows[-1].locator("th").text_content() == "4 (the model)"
    for width, candidates in ((1000, 4), (390, 3)):
        tab.set_viewport_size({"width": width, "height": 900})
        visible = [cell.is_visible() for cell in rows[0].locator("td").all()]
        assert sum(visible) == candidates
        scrolls = "e => e.scrollWidth > e.clientWidth"
        assert not tab.locator("gpt-try .scroll").evaluate(scrolls)
    tab.set_viewport_size({"width": 1000, "height": 900})


def test_only_what_is_certain_is_said_to_be(alive):
    tab = alive("generation")
    tab.evaluate("document.querySelector('gpt-try').choose()")
    said = {0: "0%", 1e-9: "<0.1%", 0.0004: "<0.1%", 0.001: "0.1%", 0.42: "42%"}
    said |= {0.994: "99%", 0.9972: "99.7%", 0.9996: ">99.9%", 1 - 1e-9: ">99.9%"}
    for p, text in (said | {1: "100%"}).items():
        shown = tab.evaluate(
            """p => {
                const { reading } = document.querySelector('gpt-try');
                reading.steps.at(-1).p = p;
                reading.select(reading.steps.length - 1);
                return document.querySelector('gpt-try .tokens [tabindex="0"]').title;
            }""",
            p,
        )
        assert shown.endswith(f", {text}")


def test_what_was_written_shows_half_characters_as_bytes(alive, tokenizer):
    tab = alive("generation")
    part(tab, "topK").press("End")
    type_text(tab, "ab")
    [f0] = [i for i, t in enumerate(tokenizer.vocabulary) if t == b"\xf0"]
    balloon, c = tokenizer.encode("🎈"), tokenizer.encode("c")
    said = tab.evaluate(
        """async ids => {
            const { reading } = document.querySelector('gpt-try');
            for (const id of ids) reading.write(id);
            await reading.draw(0);
            return document.querySelector('gpt-try [data-part=status]').textContent;
        }""",
        [*balloon, f0, *c],
    )
    assert said == "<|story|>ab🎈f0c"
    assert part(tab, "status").locator(".bytes").text_content() == "f0"
