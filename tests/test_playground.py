"""The GPT in JavaScript is the GPT in NumPy, and the playground does what it shows."""

import json
from pathlib import Path

import numpy as np
import pytest

from gptbook.numpy_gpt import GPT
from gptbook.sampling import generate, next_token_probabilities
from gptbook.tokenizer import Tokenizer

MODEL = Path(__file__).parents[1] / "book" / "models" / "tales"
STORY = "<|story|>Once upon a time, Mia the kind mouse lost her red ball in the garden."
LOAD = "const gpt = await import('/_web/gpt.js');" + (
    "const { model, tokenizer } = await gpt.load('/_web/tales');"
)


@pytest.fixture(scope="module")
def folder(site):
    return site / "_web" / "tales"


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.load(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def page(browser, server):
    page = browser.new_page()
    page.goto(server + "book/playground.html", wait_until="networkidle")
    yield page
    page.close()


def run(page, body, argument=None):
    """What a program returns that has the model, the tokenizer and an argument."""
    return page.evaluate(f"async (given) => {{ {LOAD} {body} }}", argument)


def texts():
    rng = np.random.default_rng(0)
    letters = [*range(32, 127), 9, 10, 0xA0, 0x85, 0x1C, 0xFEFF, 0x301, 0x660, 0x2167]
    letters += [*range(0x4E00, 0x4E20), *range(0x1F600, 0x1F610), 0xDF, 0x3000]
    yield from ("", STORY, "It's 7!  x\n\n y ", "'s don't I'LL", "很久以前 ½")
    for _ in range(500):
        yield "".join(map(chr, rng.choice(letters, 20)))


def test_tokens_are_those_of_the_book(page, tokenizer):
    asked = list(texts())
    found = run(page, "return given.map(t => tokenizer.encode(t));", asked)
    assert found == [tokenizer.encode(text) for text in asked]
    body = "return given.map(t => tokenizer.decode(tokenizer.encode(t)));"
    assert run(page, body, asked) == asked
    forged = run(page, "return tokenizer.encode(given, false);", STORY)
    assert forged == tokenizer.encode(STORY, allow_special=False)


def test_logits_attention_and_text_are_those_of_numpy(page, folder, tokenizer):
    half = GPT.load(folder)
    params = {name: array.astype(np.float32) for name, array in half.params.items()}
    model, ids = GPT(half.config, params), tokenizer.encode(STORY)
    body = """
        const cache = model.newCache(), steps = given.map(id => {
            const seen = {}, logits = model.read(id, cache, seen);
            return { logits: [...logits], stream: seen.stream.map(x => [...x]),
                     weights: seen.weights.map(h => h.map(p => [...p])) };
        });
        return steps;"""
    steps, a = run(page, body, ids), {}
    logits = model(np.array(ids), activations=a)
    assert np.abs(logits - [step["logits"] for step in steps]).max() < 1e-3
    for t, step in enumerate(steps):
        for i, heads in enumerate(step["weights"]):
            weights = a[f"h.{i}.attn.weights"][:, t, : t + 1]
            assert np.abs(weights - heads).max() < 1e-4
        stream = [a["h.0.input"], *(a[f"h.{i}.output"] for i in range(len(heads)))]
        assert np.abs([x[t] for x in stream] - np.array(step["stream"])).max() < 1e-3
    body = """
        const cache = model.newCache(), written = [];
        let logits;
        for (const id of given) logits = model.read(id, cache);
        while (written.length < 60) {
            const p = gpt.probabilities(logits, { temperature: 0 });
            written.push(gpt.draw(p));
            logits = model.read(written.at(-1), cache);
        }
        return written;"""
    assert run(page, body, ids) == generate(model, ids, 60)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"top_k": 3},
        {"temperature": 2, "top_p": 0.8},
        {"temperature": 1e-3, "top_k": 5, "top_p": 0.5},
    ],
)
def test_probabilities_are_those_of_the_book(page, settings):
    logits = np.random.default_rng(1).normal(0, 3, 50)
    logits[[3, 7]] = logits.max()  # a tie: the lower id first
    names = {"top_k": "topK", "top_p": "topP"}
    given = [logits.tolist(), {names.get(k, k): v for k, v in settings.items()}]
    found = run(page, "return [...gpt.probabilities(...given)];", given)
    expected = next_token_probabilities(logits, **settings)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_what_the_model_cannot_read_is_an_error(page):
    body = """
        const cache = model.newCache(), errors = [];
        const attempt = (id) => { try { model.read(id, cache); } catch (error) {
            errors.push(error.message); } };
        attempt(1024);
        for (let i = 0; i < 257; i++) attempt(5);
        return errors;"""
    outside, long = run(page, body)
    assert "1024" in outside and "vocabulary" in outside and "256" in long


# The page.


@pytest.fixture
def playground(browser, server):
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("dialog", lambda dialog: page.faults.append(dialog.message))
    page.goto(server + "book/playground.html")
    page.wait_for_selector(".playground .tokens li")
    yield page
    assert not page.faults
    page.close()


def tokens(page):
    return page.locator(".playground .tokens button").all_text_contents()


def part(page, name):
    return page.locator(f"[data-part={name}]")


def test_it_begins_with_the_running_sentence(playground, tokenizer):
    expected = [tokenizer.decode([i]) for i in tokenizer.encode(STORY)]
    assert tokens(playground) == expected
    part(playground, "beginning").fill("Once upon a time, Leo")
    playground.get_by_role("button", name="Begin").click()
    assert tokens(playground)[-1] == " Leo" and len(tokens(playground)) == 7


def test_a_bar_can_be_chosen_and_taken_back(playground):
    before = tokens(playground)
    bars = part(playground, "next").locator("button")
    chosen = bars.nth(2).locator(".token").text_content()
    bars.nth(2).click()
    assert tokens(playground) == [*before, chosen]
    part(playground, "undo").click()
    assert tokens(playground) == before


def test_the_sliders_shape_the_bars(playground):
    part(playground, "beginning").fill("Once upon a time, Mia the kind mouse lost her")
    playground.get_by_role("button", name="Begin").click()

    def top():
        text = part(playground, "next").locator(".number").first.text_content()
        return float(text.strip("<>%"))

    plain = top()
    part(playground, "temperature").fill("0.2")
    cold = top()
    part(playground, "temperature").fill("0")
    assert plain < cold < top() == 100
    part(playground, "temperature").fill("2")
    assert top() < plain
    part(playground, "topK").fill("1")
    assert top() == 100


def test_it_writes_and_stops(playground):
    part(playground, "run").click()
    playground.wait_for_function(
        "!document.querySelector('[data-part=stop]').disabled"
        " || document.querySelector('[data-part=run]').disabled"
    )
    playground.wait_for_function(
        "document.querySelector('[data-part=stop]').disabled", timeout=60_000
    )
    assert tokens(playground)[-1] == "<|endoftext|>" or len(tokens(playground)) == 256
    assert part(playground, "step").is_disabled()
    assert part(playground, "run").is_disabled()
    assert float(part(playground, "meanLoss").text_content()) < 3
    playground.evaluate(
        """() => { const play = document.querySelector('[data-playground]').playground;
        play.reading.cut(18); play.reading.draw(Infinity);
        document.querySelector('[data-part=stop]').click(); }"""
    )
    playground.wait_for_timeout(300)
    assert 18 <= len(tokens(playground)) < 200
    assert part(playground, "stop").is_disabled()


def test_attention_lens_and_entropy_follow_the_chosen_token(playground):
    chips = playground.locator(".playground .tokens button")
    chips.nth(11).click()
    assert part(playground, "reader").text_content() == tokens(playground)[11]
    first = part(playground, "reads").text_content()
    part(playground, "layer").select_option("1")
    assert part(playground, "reads").text_content() != first
    assert part(playground, "map").locator("rect:not(.chosen)").count() == 18 * 19 / 2
    assert part(playground, "lens").locator("tr").count() == 5
    assert part(playground, "entropy").locator("rect").count() == 17
    chips.nth(11).press("ArrowLeft")
    assert part(playground, "reader").text_content() == tokens(playground)[10]


def test_a_link_leads_back(playground, browser):
    part(playground, "temperature").fill("0.5")
    part(playground, "next").locator("button").nth(1).click()
    playground.locator(".playground .tokens button").nth(5).click()
    part(playground, "head").select_option("2")
    again = browser.new_page()
    again.goto(playground.url)
    again.wait_for_selector(".playground .tokens li")
    assert tokens(again) == tokens(playground)
    for name in ("next", "reads", "temperatureShown"):
        assert part(again, name).text_content() == part(playground, name).text_content()
    again.close()


@pytest.mark.parametrize(
    "state", ["ids=1e9&given=1", "ids=&given=1", "ids=5&given=1&task=-1"]
)
def test_a_bad_link_does_no_harm(playground, state):
    playground.goto(playground.url.split("#")[0] + "#" + state)
    playground.reload()
    playground.wait_for_selector(".playground .tokens li")
    assert tokens(playground)
    playground.get_by_role("button", name="Begin").click()
    assert len(tokens(playground)) > 1


def test_what_is_typed_stays_text(playground, tokenizer):
    typed = "<img src=x onerror=alert(1)> <|endoftext|> " + "a b c " * 100
    part(playground, "beginning").fill(typed)
    playground.get_by_role("button", name="Begin").click()
    assert playground.locator(".playground img").count() == 0
    ids = playground.locator(".playground .tokens small").all_text_contents()
    special = {str(i) for i in tokenizer.special_tokens.values()}
    assert not special & set(ids[1:]) and len(ids) == 255
    assert part(playground, "status").text_content()


def test_each_task_has_the_form_of_the_training(playground, tokenizer):
    for option in part(playground, "task").locator("option").all():
        part(playground, "task").select_option(option.text_content())
        names = ("data-before", "data-text", "data-after")
        text = "".join(option.get_attribute(name) or "" for name in names)
        ids = playground.locator(".playground .tokens small").all_text_contents()
        assert list(map(int, ids)) == tokenizer.encode(text)


def test_a_text_too_long_keeps_the_mark_at_its_end(playground):
    part(playground, "task").select_option("Sum up")
    part(playground, "beginning").fill("word " * 50_000)
    playground.get_by_role("button", name="Begin").click()
    assert tokens(playground)[-1] == "<|assistant|>" and len(tokens(playground)) == 255
    assert part(playground, "status").text_content()


def test_the_focus_stays(playground):
    playground.locator(".playground .tokens button").nth(11).click()
    for _ in range(2):
        playground.keyboard.press("ArrowLeft")
    assert part(playground, "reader").text_content() == tokens(playground)[9]
    part(playground, "next").locator("button").first.focus()
    for n in (19, 20):
        playground.keyboard.press("Enter")
        assert len(tokens(playground)) == n


def test_begin_and_take_back_end_the_writing(playground):
    play = "const { reading } = document.querySelector('[data-playground]').playground;"
    playground.evaluate(f"() => {{ {play} reading.draw(Infinity); }}")
    playground.get_by_role("button", name="Begin").click()
    playground.wait_for_timeout(300)
    assert len(tokens(playground)) == 18 and part(playground, "stop").is_disabled()
    playground.evaluate(f"() => {{ {play} reading.draw(Infinity); reading.cut(10); }}")
    playground.wait_for_timeout(300)
    assert len(tokens(playground)) == 10 and part(playground, "run").is_enabled()


def test_the_dashed_line_is_the_floor(playground):
    record = json.loads((MODEL / "evaluation.json").read_text(encoding="utf-8"))
    shown = playground.locator("gpt-entropy").get_attribute("data-floor")
    assert float(shown) == record["loss"]["story"]["floor"]


def test_it_says_what_the_model_knows(playground):
    note = "This model has read only its little stories, in English and Chinese."
    assert playground.get_by_text(note).is_visible()
