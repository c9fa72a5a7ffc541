"""A chat with the model of the book: it is told a story, then asked about it.

    python -m gptbook.chat

The model itself has no memory. Before each answer it reads the whole talk again, as one
text in the form of the chats that it was trained on (see `gptbook.tales`).
"""

from __future__ import annotations

import argparse
import html
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gptbook import tales
from gptbook.layers import softmax
from gptbook.numpy_gpt import GPT
from gptbook.sampling import generate
from gptbook.tokenizer import Tokenizer

MODEL = Path(__file__).parents[1] / "book" / "models" / "tales"
ANSWER = 16  # tokens that an answer may have, its end included
# No chat in the training has more questions than tales.QUESTIONS, and the model is lost
# in a longer one. So it reads the last turns only, though more would fit.
KEEP = tales.QUESTIONS - 1


def prompt_ids(tokenizer, story, turns, question):
    """The ids (T,) that the model reads before its answer.

    turns: (question, ids of its answer), the oldest first. What people have written is
    encoded without special tokens, and answers are ids already: no text can forge a
    mark.
    """
    special = tokenizer.special_tokens
    ids, told = [], f"Listen: {story}\n"
    for asked, answer in [*turns, (question, [])]:
        ids += [special[tales.USER]]
        ids += tokenizer.encode(told + asked, allow_special=False)
        ids += [special[tales.ASSISTANT], *answer]
        told = ""  # it stands before the first question alone
    return ids


def reply(model, tokenizer, ids, rng=None):
    """The ids of the model's answer, greedy without `rng`, and their probability.

    The answer ends at any special token, which is not part of it; the probability
    includes that it ends.
    """
    ends = list(tokenizer.special_tokens.values())
    new = generate(model, ids, ANSWER, rng=rng, stop=ends)
    logits = model(np.array([*ids, *new]))[len(ids) - 1 : -1]  # (n, V)
    p = softmax(logits.astype(np.float64))
    chosen = p[np.arange(len(new)), new]  # (n,)
    if new and new[-1] in ends:
        chosen[-1] = p[-1, ends].sum()
        new = new[:-1]
    return new, float(chosen.prod())


@dataclass(frozen=True)
class Turn:
    """A question and its answer; `truth` is the world's, None where it has none."""

    question: str
    answer: str
    ids: tuple[int, ...]
    p: float
    truth: str | None = None


class Chat:
    """A story, and questions on it: `ask` returns the answer and keeps it in `turns`.

    The model reads the story, the last `keep` turns at most, and the question. Where
    that leaves no room for an answer, it reads fewer turns, always whole ones. `seen`
    is how many it read at the last question.
    """

    def __init__(self, model, tokenizer, story, keep=KEEP):
        if keep < 0:
            raise ValueError(f"keep must be at least 0, not {keep}")
        self.model, self.tokenizer, self.keep = model, tokenizer, keep
        self.story = one_line(story, "story")
        self.truths = truths(self.story)
        self.turns, self.seen = [], 0
        self.prompt("", [])  # raises where the story alone is too long

    def prompt(self, question, turns):
        """The ids to read, and how many of the turns are in them.

        Raises ValueError where story and question leave no room for an answer.
        """
        limit = self.model.config.block_size
        for first in range(len(turns) + 1):
            read = [(turn.question, turn.ids) for turn in turns[first:]]
            ids = prompt_ids(self.tokenizer, self.story, read, question)
            if len(ids) + ANSWER <= limit:
                return ids, len(read)
        raise ValueError(
            f"story and question are {len(ids)} tokens; with room for an answer of "
            f"{ANSWER}, the model's context of {limit} holds {limit - ANSWER} at most"
        )

    def ask(self, question, rng=None):
        """The answer, greedy without `rng`.

        Raises TypeError or ValueError for a question that is no text, blank, or so long
        that it leaves no room; the chat is then as it was.
        """
        question = one_line(question, "question")
        recent = self.turns[max(0, len(self.turns) - self.keep) :]
        ids, seen = self.prompt(question, recent)
        new, p = reply(self.model, self.tokenizer, ids, rng)
        answer = self.tokenizer.decode(new)
        truth = self.truths.get(question)
        self.turns.append(Turn(question, answer, tuple(new), p, truth))
        self.seen = seen
        return answer

    def __repr__(self):
        lines = [self.story]
        for turn in self.turns:
            lines += [f"> {turn.question}", f"{turn.answer}  {remark(turn)}"]
        return "\n".join(lines)

    def _repr_html_(self):
        """The chat as a box, for a notebook: no colours of its own but its lines."""
        parts = [bubble(self.story, "100%", "0 0 .8em 0")]
        for turn in self.turns:
            parts.append(bubble(turn.question, "75%", "0 0 .3em auto"))
            note = f"<small> {html.escape(remark(turn))}</small>"
            parts.append(bubble(turn.answer, "75%", "0 auto .8em 0", note))
        return f'<div style="max-width: 34em">{"".join(parts)}</div>'


def bubble(text, width, margin, note=""):
    style = (
        f"width: fit-content; max-width: {width}; margin: {margin}; padding: .3em .7em;"
        " border: 1px solid #7a7a7a; border-radius: .8em"
    )
    return f'<div style="{style}">{html.escape(text)}{note}</div>'


def remark(turn):
    """Whether the answer is right, as far as the world knows, and how sure it was."""
    sure = f"p {turn.p:.2f}"
    if turn.truth is None:
        return f"[{sure}]"
    return f"[✓ {sure}]" if turn.answer == turn.truth else f"[✗ {turn.truth} {sure}]"


def one_line(text, what):
    """The text with single spaces: a line break would end the story."""
    if not isinstance(text, str):
        raise TypeError(f"the {what} must be a str, not {type(text).__name__}")
    if not text.split():
        raise ValueError(f"the {what} is blank")
    text.encode()  # UnicodeEncodeError, a ValueError, names a lone surrogate
    return " ".join(text.split())


def truths(story):
    """{question: right answer} where the world can tell the story, else {}."""
    try:
        document = tales.read(tales.STORY + story + tales.END)
    except tales.TaleError:
        return {}
    return dict(tales.questions(document.story))


def main(arguments=None, read=input, write=print):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=MODEL, help="its folder")
    parser.add_argument("--story", help="the story; without it, the world tells one")
    parser.add_argument("--seed", type=int, help="of the story that the world tells")
    options = parser.parse_args(arguments)
    story = options.story
    if story is None:
        seed = random.randrange(2**40) if options.seed is None else options.seed
        story = tales.document(seed, "story").text
        story = story.removeprefix(tales.STORY).removesuffix(tales.END)
    model = GPT.load(options.model)
    tokenizer = Tokenizer.load(f"{options.model}/tokenizer.json")
    try:
        chat = Chat(model, tokenizer, story)
    except ValueError as error:
        parser.error(str(error))
    write(f"{chat.story}\n\nAsk about it. An empty line ends the chat.")
    if chat.truths:
        write("For example: " + " ".join(list(chat.truths)[:3]))
    while True:
        try:
            question = read("> ")
        except (EOFError, KeyboardInterrupt):
            write("")
            break
        if not question.strip():
            break
        try:
            write(f"{chat.ask(question)}  {remark(chat.turns[-1])}")
        except ValueError as error:
            write(f"({error})")


if __name__ == "__main__":
    main()
