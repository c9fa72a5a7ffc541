"""The story world: what is told can be read again, and nothing else can."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptbook import tales

FIRST_DRAWS = [883310, 566561, 281719]
STORY_1 = (
    '<|story|>Long, long ago, Leo the sleepy goat lost his green lamp by the '
    'river. He was very sad. His friend Mia the shy goat was there too. She '
    'found Leo\'s green lamp under the reeds. Leo asked Mia for the lamp. "Not'
    ' now," said Mia. Leo went to the garden. He found a blue key by the '
    'fence. At noon, the sun was high. Just then, Ben the kind fox came to '
    'the garden. He and Leo went to the hill together. In the evening, Mia '
    'still had the green lamp, and Leo was sad. Mia slept like a '
    'stone.<|endoftext|>'
)
NLL_1 = 62.1413

SEEDS = st.integers(0, 2**64 - 1)
KINDS = st.sampled_from(list(tales.KINDS))


class Checked(tales.Writer):
    """A writer that notes each choice, and insists that no fragment begins another."""

    def __init__(self, rng):
        super().__init__(rng)
        self.chosen = []

    def choose(self, options):
        texts = sorted(text for text, weight, _ in options if weight)
        for text, after in zip(texts, texts[1:], strict=False):
            assert not after.startswith(text), (text, after)
        assert all(isinstance(weight, int) and weight >= 0 for _, weight, _ in options)
        return super().choose(options)

    def take(self, text, weight, total, value):
        self.chosen.append((text, weight, total))
        return super().take(text, weight, total, value)


class Noting(tales.Reader):
    def __init__(self, source):
        super().__init__(source)
        self.chosen = []

    def take(self, text, weight, total, value):
        self.chosen.append((text, weight, total))
        return super().take(text, weight, total, value)


def tell(teller, kind=None):
    return tales._document(teller, kind)


@settings(max_examples=300, deadline=None)
@given(SEEDS, KINDS)
def test_reading_recovers_every_choice_and_the_same_nll(seed, kind):
    writer = Checked(tales.SplitMix64(seed))
    written = tell(writer, kind)
    reader = Noting(written.text)
    read = tell(reader)
    assert reader.text == written.text
    # The reader also chooses the beginning, which the writer was told.
    assert reader.chosen[1:] == writer.chosen
    assert read.kind == kind
    assert read.nll == pytest.approx(written.nll, abs=1e-9)
    first = sum(w for t, w in tales.KINDS.values() if t[:5] == tales.KINDS[kind][0][:5])
    assert written.nll == pytest.approx(
        math.log(first / tales.KINDS[kind][1])
        + sum(math.log(total / weight) for _, weight, total in writer.chosen)
    )


@settings(max_examples=60, deadline=None)
@given(SEEDS, KINDS, st.data())
def test_a_document_can_be_cut_anywhere_and_the_world_knows_what_follows(
    seed, kind, data
):
    text = tales.document(seed, kind).text
    first = len(re.match(r"<\|\w+\|>", text).group())
    cut = data.draw(st.integers(first, len(text) - 1))
    following = tales.what_next(text[:cut])
    assert sum(p for _, p in following) == pytest.approx(1)
    fits = [f for f, _ in following if text.startswith(f, cut)]
    assert len(fits) == 1 and fits[0]


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.data())
def test_a_changed_word_is_noticed_or_is_another_story(seed, data):
    """No text has two readings: a changed story fails or costs its own -ln p."""
    text = tales.document(seed, "story").text
    words = list(re.finditer(r"\w+", text))
    word = data.draw(st.sampled_from(words[1:-1]))
    table = [*tales.NAMES, *tales.COLOURS, *tales.THINGS, *tales.PLACES, "he", "she"]
    other = data.draw(st.sampled_from(table))
    changed = text[: word.start()] + other + text[word.end() :]
    try:
        read = tales.read(changed)
    except tales.TaleError as error:
        # The failure is at the change or behind it, never before.
        assert error.position + len(error.sentence) >= word.start()
        assert error.why
    else:
        assert read.text == changed


def probability_by_enumeration(prefix, depth):
    """The mass of all continuations of `depth` fragments: a check on what_next."""
    if depth == 0:
        return 1.0
    return sum(
        p * probability_by_enumeration(prefix + fragment, depth - 1)
        for fragment, p in tales.what_next(prefix)
    )


def test_continuations_form_a_distribution():
    prefix = "<|story|>Once upon a time, Mia the kind mouse lost her red"
    assert probability_by_enumeration(prefix, 4) == pytest.approx(1)


def test_the_text_frequencies_are_the_stated_probabilities():
    prefix = "<|story|>"
    expected = dict(tales.what_next(prefix))
    n = 4000
    seen = dict.fromkeys(expected, 0)
    for seed in range(n):
        text = tales.document(seed, "story").text
        for fragment in seen:
            seen[fragment] += text.startswith(fragment, len(prefix))
    for fragment, p in expected.items():
        assert abs(seen[fragment] / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_the_same_documents_on_every_machine():
    """These were written once; a change of the world or of the generator shows here."""
    assert [tales.SplitMix64(s).below(10**6) for s in (0, 1, 2**63)] == FIRST_DRAWS
    document = tales.document(1, "story")
    assert document.text == STORY_1
    assert document.nll == pytest.approx(NLL_1, abs=1e-4)


def test_every_kind_of_event_is_told():
    text = " ".join(tales.document(seed, "story").text for seed in range(1000))
    events = [
        " went to the ", " together.", " found a ", " gave ", " back to ", " put ",
        " hid ", " took ", " asked ", " showed ", " called ", " told ", " ate ",
        " shared ", " swapped ", "A magpie carried ", "Just then, ", '"Thank you, ',
        '"Here you are,"', '"Not now,"', '"Oh, thank you, ', *tales.IDLE,
    ]  # fmt: skip
    assert [event for event in events if event not in text] == []


OPENING = (
    "Once upon a time, Mia the kind mouse lost her red ball in the garden. "
    "She was very sad. Her friend Ben the shy fox was there too. "
)
FAULTS = [
    ("Ben gave the red ball to Mia.", "Ben has nothing to spare", True),
    ("Zoe went to the hill.", "Zoe is not in this story", True),
    ("Ben went to the garden.", "Ben is at the garden already", True),
    ("Ben called Mia, and she came to the garden.", "everybody is with Ben", True),
    ("Ben found a red kite under the hay.", "not the barn", True),
    ("Ben found a red ball by the fence.", "there is a ball in the story", True),
    ("Ben found Mia's blue ball by the fence.", "expected", False),
    ("Ben jumped over the moon.", "expected", False),
    ("Ben took the ball.", "nothing lies where Ben is", True),
]


@pytest.mark.parametrize(("sentence", "why", "grammatical"), FAULTS)
def test_a_fault_is_found_and_explained(sentence, why, grammatical):
    with pytest.raises(tales.TaleError) as caught:
        tales.read(OPENING + sentence + " At noon, the sun was high.")
    error = caught.value
    assert why in str(error)
    assert error.grammatical is grammatical
    assert error.sentence == sentence


def test_a_pronoun_must_have_one_meaning():
    two = OPENING.replace("Ben the shy fox", "Zoe the shy fox")
    with pytest.raises(tales.TaleError, match="'she' does not mean one character"):
        tales.read(two + "She went to the hill.")
    with pytest.raises(tales.TaleError, match="expected"):
        tales.read(two + "Zoe went to the sea.")


APART = OPENING.replace("there too", "in the barn")
SCENES = [
    ("Ben sang a happy song.", "Ben is elsewhere"),
    ("He sang a happy song.", "'he' does not mean one character who is here"),
    ("Mia went to the hill. Ben had a little nap.", "Ben is elsewhere"),
    ("Mia called Ben, and he came to the garden. Mia and Ben went to the barn "
     "together. Mia ran to the hill. Then Ben went to the river.", "Ben is elsewhere"),
]  # fmt: skip


@pytest.mark.parametrize(("sentences", "why"), SCENES)
def test_who_is_not_in_the_scene_does_nothing(sentences, why):
    with pytest.raises(tales.TaleError, match=why) as caught:
        tales.read(APART + sentences + " At noon, the sun was high.")
    assert caught.value.grammatical


@pytest.mark.parametrize("coming", [
    "Mia went to the barn.", "Mia called Ben, and he came to the garden.",
])  # fmt: skip
def test_the_scene_comes_to_somebody_or_somebody_to_the_scene(coming):
    story = tales.STORY + APART + coming + " Ben sang a happy song."
    following = tales.what_next(story + " ")
    assert "At noon, the sun was high." in dict(following)


def test_the_task_answers_follow_from_the_story():
    for seed in range(300):
        document = tales.document(seed, "chat")
        answers = dict(tales.questions(document.story))
        for before, answer in document.exchanges:
            question = before.removesuffix(tales.ASSISTANT)
            question = re.split(r"\n|<\|user\|>", question)[-1]
            assert answers[question] == answer
    document = tales.document(5, "summary")
    assert document.exchanges[0][1] == tales.summary(document.story)
    document = tales.document(5, "translate")
    assert document.exchanges[0][1] == "".join(document.story.chinese)
    assert tales.document(5, "story").exchanges == []


def test_a_story_to_a_prompt_has_what_the_prompt_names():
    for seed in range(100):
        prompt, text = tales.document(seed, "write").exchanges[0]
        names = re.search(r"about (\w+), (\w+) and a (\w+ \w+)\.", prompt).groups()
        assert all(name in text for name in names)
        with pytest.raises(tales.TaleError):
            tales.read(prompt + text.replace(names[2], "purple ball") + tales.END)


def test_the_floor():
    documents = [tales.document(seed, "story") for seed in range(50)]
    marks = len(tales.STORY) + len(tales.END)
    characters = sum(len(d.text) - marks + 1 for d in documents)
    total = sum(d.nll for d in documents)
    assert tales.entropy_floor(documents) == pytest.approx(total / characters)

    class Halves:
        def encode(self, text):
            return [text[: len(text) // 2], text[len(text) // 2 :]]

    assert tales.entropy_floor(documents, Halves()) == pytest.approx(total / 50)
    with pytest.raises(ValueError, match="at least 1 document"):
        tales.entropy_floor([])


def test_bad_input():
    with pytest.raises(ValueError, match="unknown kind 'poem'; there are story"):
        tales.document(0, "poem")
    with pytest.raises(ValueError, match="-1 is outside"):
        tales.document(-1)
    with pytest.raises(TypeError, match="must be an int, not str"):
        tales.document("1")
    with pytest.raises(TypeError, match="must be a str, not bytes"):
        tales.read(b"Once")
    with pytest.raises(tales.TaleError, match="the document has ended"):
        tales.read(tales.document(0).text + "And then")
    with pytest.raises(tales.TaleError, match="found the end"):
        tales.read(tales.STORY + OPENING)
