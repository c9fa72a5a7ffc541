"""The story world: little stories whose probability is known exactly.

A document is a sequence of choices made in the order of the text. At each choice the
world lists the fragments of text that may come next, each with a whole-number weight,
and no fragment of the list is the beginning of another. So the text spells out the
choices: a `Writer` draws them from a seed, a `Reader` finds them again in a text, and
both add up the same -ln p = sum of ln(total weight / weight of the fragment chosen).

That sum, divided by the number of tokens, is the entropy floor: on average no model
can predict the documents with a lower loss (Shannon 1948, section 7).

A fragment of weight 0 is one that is well formed but impossible here. In place of a
value it carries the reason, and the reader of an inconsistent story is told it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial

END, STORY, USER, ASSISTANT = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|story|>",
    "<|user|>",
    "<|assistant|>",
)

# Every word of the world, with its Chinese. Names: "f" is she, "m" is he.
NAMES = {
    "Anna": ("f", "安娜"), "Ella": ("f", "艾拉"), "Lily": ("f", "莉莉"),
    "Mia": ("f", "米娅"), "Rosa": ("f", "罗莎"), "Zoe": ("f", "佐伊"),
    "Ben": ("m", "本"), "Finn": ("m", "芬恩"), "Leo": ("m", "里奥"),
    "Max": ("m", "马克斯"), "Sam": ("m", "山姆"), "Tom": ("m", "汤姆"),
}  # fmt: skip
TRAITS = {
    "brave": "勇敢", "clever": "聪明", "curious": "好奇", "gentle": "温柔",
    "kind": "善良", "merry": "快乐", "shy": "害羞", "sleepy": "爱睡",
}  # fmt: skip
SPECIES = {
    "bear": "熊", "cat": "猫", "duck": "鸭子", "fox": "狐狸", "goat": "山羊",
    "hare": "野兔", "hen": "母鸡", "mole": "鼹鼠", "mouse": "老鼠", "owl": "猫头鹰",
}  # fmt: skip
COLOURS = {
    "blue": "蓝色", "golden": "金色", "green": "绿色",
    "red": "红色", "silver": "银色", "white": "白色",
}  # fmt: skip
THINGS = {
    "ball": "球", "bell": "铃铛", "book": "书", "cup": "杯子", "drum": "鼓",
    "flute": "笛子", "hat": "帽子", "key": "钥匙", "kite": "风筝", "lamp": "灯",
    "scarf": "围巾", "shell": "贝壳", "apple": "苹果", "cake": "蛋糕", "pear": "梨",
}  # fmt: skip
FOOD = ("apple", "cake", "pear")
# A place: how one is there, and its Chinese in two parts: 花园, and 花园里 in it.
PLACES = {
    "barn": ("in", "谷仓", "里"), "beach": ("on", "海滩", "上"),
    "forest": ("in", "森林", "里"), "garden": ("in", "花园", "里"),
    "hill": ("on", "山上", ""), "kitchen": ("in", "厨房", "里"),
    "market": ("at", "集市", "上"), "river": ("by", "河边", ""),
}  # fmt: skip
# The two spots of each place where a thing can lie.
SPOTS = {
    "barn": {"under the hay": "干草下", "by the ladder": "梯子旁"},
    "beach": {"under a boat": "小船下", "by the pier": "码头旁"},
    "forest": {"under an oak": "橡树下", "by a stump": "树桩旁"},
    "garden": {"under the roses": "玫瑰下", "by the fence": "篱笆旁"},
    "hill": {"under a bush": "灌木下", "by the rock": "岩石旁"},
    "kitchen": {"under the table": "桌子下", "by the stove": "炉子旁"},
    "market": {"under a bench": "长椅下", "by the well": "水井旁"},
    "river": {"under the reeds": "芦苇下", "by the bridge": "桥旁"},
}
PRONOUNS = {"f": ("she", "her", "她"), "m": ("he", "his", "他")}


# Phrases: {text: (weight, Chinese)}.
OPENINGS = {
    "Once upon a time, ": (3, "从前，"),
    "Long, long ago, ": (2, "很久以前，"),
    "In a land far away, ": (1, "在遥远的地方，"),
}
SORROWS = {
    " cried and cried.": (2, "哭个不停。"),
    " was very sad.": (2, "非常难过。"),
    " looked high and low for it.": (1, "到处找它。"),
}
LEADS = {"": (5, ""), "Then ": (2, "然后"), "Soon ": (1, "不久")}
NOONS = {
    "At noon, the sun was high.": (2, "中午，太阳高照。"),
    "At noon, a soft rain fell.": (1, "中午，下起了小雨。"),
    "At noon, the bells rang.": (1, "中午，钟声响了。"),
}
IDLE = {
    " sang a happy song.": (1, "唱了一首快乐的歌。"),
    " danced round and round.": (1, "跳起了舞。"),
    " had a little nap.": (1, "睡了一会儿。"),
    " watched the clouds go by.": (1, "看着云飘过。"),
}
MOVES = {" went to the ": (2, "去了"), " ran to the ": (1, "跑到"),
         " walked to the ": (1, "走到")}  # fmt: skip
JOYS = {
    " jumped for joy.": (2, "高兴得跳了起来。"),
    " laughed and clapped.": (1, "又笑又拍手。"),
    " was happy again.": (1, "又开心了。"),
}
DREAMS = {
    " dreamed of the stars.": (1, "梦见了星星。"),
    " dreamed of the sea.": (1, "梦见了大海。"),
    " slept like a stone.": (1, "睡得很香。"),
}

TURNS = range(2, 5)  # how many events each half of the day has
FINDS = 2  # things found on the way, besides the lost one
QUESTIONS = 6  # in a chat, at most
TO_TRANSLATE = range(2, 8)  # how many sentences of a story
# Kind of document: how it begins and its share.
KINDS = {
    "story": (STORY, 6),
    "chat": (USER + "Listen: ", 3),
    "summary": (USER + "Sum up: ", 2),
    "translate": (USER + "Translate: ", 2),
    "write": (USER + "Write a story about ", 2),
}


class SplitMix64:
    """A small pseudo-random generator: SplitMix64, as in Java's SplittableRandom.

    Whole-number arithmetic alone, so that a seed gives the same documents on every
    machine and in every version of Python (after Steele, Lea and Flood 2014).
    """

    def __init__(self, seed: int):
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise TypeError(f"the seed must be an int, not {type(seed).__name__}")
        if not 0 <= seed < 2**64:
            raise ValueError(f"the seed {seed} is outside 0 to 2**64 - 1")
        self.state = seed

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1, each equally likely to within n / 2**64."""
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return ((z ^ (z >> 31)) * n) >> 64


class TaleError(ValueError):
    """A text that the world cannot tell.

    `position` counts characters, `sentence` is the one that fails, `why` says what is
    wrong with it. `grammatical` is True where the words are well formed and only the
    state of the world forbids them.
    """

    def __init__(self, text: str, position: int, why: str, grammatical: bool):
        self.position, self.why, self.grammatical = position, why, grammatical
        breaks = re.finditer(r'[.!?]"? (?!said|cried)|\|>|\n', text[:position])
        start = max((match.end() for match in breaks), default=0)
        sentence = r'("[^"\n]*"|[^.!?\n])*[.!?]?'  # a quotation may hold a full stop
        self.sentence = re.match(sentence, text[start:]).group()
        fault = "inconsistent" if grammatical else "not grammatical"
        super().__init__(f"{fault} at character {position}, {self.sentence!r}: {why}")


class Writer:
    """Draws each choice from a seeded generator."""

    def __init__(self, rng: SplitMix64):
        self.rng, self.text, self.nll = rng, "", 0.0

    def choose(self, options):
        """One of `options`, a list of (text, weight, value): writes the text."""
        total = sum(weight for _, weight, _ in options)
        draw = self.rng.below(total)
        for text, weight, value in options:
            if draw < weight:
                return self.take(text, weight, total, value)
            draw -= weight

    def say(self, text):
        """Text that follows with certainty."""
        self.text += text

    def take(self, text, weight, total, value):
        self.text += text
        self.nll += math.log(total / weight)
        return value


class Reader(Writer):
    """Finds each choice again in a text that is there already."""

    def __init__(self, source: str):
        super().__init__(rng=None)
        self.source = source

    def choose(self, options):
        here = len(self.text)
        found = [o for o in options if self.source.startswith(o[0], here)]
        if not found:
            self.fail(options)
        text, weight, value = max(found, key=lambda option: option[1])
        if weight == 0:
            raise TaleError(self.source, here, value, grammatical=True)
        return self.take(text, weight, sum(o[1] for o in options), value)

    def say(self, text):
        if not self.source.startswith(text, len(self.text)):
            self.fail([(text, 1, None)])
        super().say(text)

    def fail(self, options):
        here = len(self.text)
        likely = sorted((o for o in options if o[1]), key=lambda o: -o[1])
        texts = [repr(text) for text, *_ in likely[:4]] + ["..."] * (len(likely) > 4)
        expected = " or ".join(texts)
        found = repr(self.source[here : here + 20]) if self.source[here:] else "the end"
        why = f"expected {expected}, found {found}"
        raise TaleError(self.source, here, why, grammatical=False)


class Ahead(Reader):
    """Reads a text to its end, where it leaves the open choice in `options`."""

    options = None

    def choose(self, options):
        rest = self.source[len(self.text) :]
        longer = [(text[len(rest) :], weight, value) for text, weight, value in options
                  if weight and text.startswith(rest) and text != rest]  # fmt: skip
        if longer:
            self.options = longer
            raise EOFError
        return super().choose(options)

    def say(self, text):
        if text:
            self.choose([(text, 1, None)])


class Stop(Exception):
    """A text to translate is long enough."""


@dataclass(eq=False)
class Character:
    name: str
    trait: str
    species: str
    place: str | None = None

    def __post_init__(self):
        self.gender, self.chinese = NAMES[self.name]
        self.he, self.his, self.he_chinese = PRONOUNS[self.gender]


@dataclass(eq=False)
class Thing:
    """It is held by somebody, or lies at a place, or neither: still lost, or eaten."""

    noun: str
    colour: str
    holder: Character | None = None
    place: str | None = None
    finder: Character | None = None
    found_at: str | None = None
    eaten: bool = False

    def __post_init__(self):
        self.full = f"{self.colour} {self.noun}"
        self.chinese = f"{COLOURS[self.colour]}的{THINGS[self.noun]}"


def words(table):
    """Options of equal weight from a list of words."""
    return [(word, 1, word) for word in table]


def phrases(table):
    """Options from {text: (weight, Chinese)}; the value is the Chinese."""
    return [(text, weight, chinese) for text, (weight, chinese) in table.items()]


def only(possible, text, value, why, weight=1):
    """One option, or its weight-0 twin that carries the reason."""
    return (text, weight, value) if possible else (text, 0, why)


def at(place):
    return f"{PLACES[place][0]} the {place}"


def at_chinese(place):
    return PLACES[place][1] + PLACES[place][2]


class Story:
    """Tells one story through a Writer or a Reader, and keeps the state of its world.

    A hero has lost a thing; there is a friend; two halves of a day bring two to four
    events each; the evening shows how things stand. The story follows one scene: who
    moves takes it along, and who is elsewhere does nothing until the scene comes there
    or somebody calls. `cast` holds what a prompt has
    fixed (hero, friend, colour, noun). With `to_translate`, a range of numbers of
    sentences, the story stops after one of them, each as likely.
    """

    def __init__(self, teller, cast=None, to_translate=None):
        self.teller, self.choose, self.say = teller, teller.choose, teller.say
        self.cast, self.to_translate = cast or {}, to_translate
        self.characters, self.things, self.chinese = [], [], []
        self.subject = None  # of the last sentence
        self.mentioned = []  # the characters named in it, whom a pronoun can mean
        self.topic = None  # the one thing named in it, which "it" can mean
        self.replies = []  # options that only the last event has opened
        self.start = len(teller.text)
        try:
            self.opening()
            self.events(self.noons)
            self.events(self.evenings)
            self.ending()
        except Stop:
            pass
        self.text = teller.text[self.start :]

    # Sentences

    def begin(self):
        """The space between two sentences; a text to translate may stop here."""
        told = len(self.chinese)
        if self.to_translate and told in self.to_translate:
            longer = self.to_translate[-1] - told
            enough = "a text to translate has no more sentences"
            go_on = only(longer, " ", False, enough, weight=longer)
            if self.choose([(ASSISTANT, 1, True), go_on]):
                raise Stop
        else:
            self.say(" ")

    def finish(self, chinese, subject=None, others=(), topic=None):
        """Ends a sentence: what it named is what a pronoun may mean in the next."""
        self.chinese.append(chinese)
        self.subject, self.topic = subject, topic
        self.mentioned = [c for c in (subject, *others) if c]

    def called(self, thing):
        """What a thing may be called now: (English, weight, Chinese)."""
        short = (f"the {thing.noun}", 1, THINGS[thing.noun])
        if thing is self.topic:
            return [("it", 2, "它"), short]
        return [(f"the {thing.full}", 1, thing.chinese), short]

    def is_home(self, thing):
        """The lost thing is with its owner again, who will not part with it."""
        return thing is self.lost and thing.holder is self.owner

    def choose_thing(self, can, why):
        """A thing that `can`, and its Chinese; `why` says of a thing that it can't."""
        return self.choose([
            only(can(t), name, (t, chinese), why.format(t.noun), weight)
            for t in self.things
            for name, weight, chinese in self.called(t)
        ])  # fmt: skip

    def choose_other(self, character, can, why):
        """Another character who `can`; `why` says of a name that they can't."""
        return self.choose([
            only(can(c), c.name, c, why.format(c.name))
            for c in self.characters if c is not character
        ])  # fmt: skip

    def choose_place(self, old, who):
        return self.choose([
            only(p != old, p, p, f"{who} is at the {p} already") for p in PLACES
        ])  # fmt: skip

    def choose_spot(self, place):
        return self.choose([
            only(p == place, spot, chinese, f"the place is the {place}, not the {p}")
            for p in PLACES
            for spot, chinese in SPOTS[p].items()
        ])  # fmt: skip

    # The morning: a hero, a thing that is lost, and a friend

    def opening(self):
        once = self.choose(phrases(OPENINGS))
        hero = self.owner = self.new_character("hero")
        self.say(f" lost {hero.his} ")
        lost = self.lost = self.new_thing(lost=True)
        self.say(" ")
        self.scene = hero.place = self.choose([(at(p), 1, p) for p in PLACES])
        self.say(".")
        where, his = at_chinese(hero.place), hero.he_chinese
        chinese = f"{once}{describe(hero)}在{where}丢了{his}的{lost.chinese}。"
        self.finish(chinese, hero, topic=lost)

        self.begin()
        self.say(hero.he.capitalize())
        self.finish(his + self.choose(phrases(SORROWS)), hero, topic=lost)

        self.begin()
        self.say(f"{hero.his.capitalize()} friend ")
        friend = self.new_character("friend")
        self.say(" was ")
        elsewhere = [
            only(p != hero.place, at(p), p, f"{hero.name} is {at(p)} too")
            for p in PLACES
        ]
        together = ("there too", 2 * (len(PLACES) - 1), None)  # in two of three
        friend.place = self.choose([together, *elsewhere])
        where = f"在{at_chinese(friend.place)}。" if friend.place else "也在那里。"
        friend.place = friend.place or hero.place
        self.say(".")
        self.finish(f"{his}的朋友{describe(friend)}{where}", hero, [friend])

    def new_character(self, role=None):
        if role in self.cast:
            name = self.cast[role]
            self.say(name)
        else:
            name = self.choose(new_names([c.name for c in self.characters]))
        self.say(" the ")
        trait = self.choose(words(TRAITS))
        self.say(" ")
        self.characters.append(Character(name, trait, self.choose(words(SPECIES))))
        return self.characters[-1]

    def new_thing(self, lost=False):
        if lost and self.cast:
            thing = Thing(self.cast["noun"], self.cast["colour"])
            self.say(thing.full)
        else:
            thing = choose_thing(self.teller, [t.noun for t in self.things], not lost)
        self.things.append(thing)
        return thing

    # Half a day: events, each as who, what, and the rest of the sentence

    def events(self, closings):
        """As many events as TURNS allows, then one of the closings."""
        told, closed = 0, False
        while not closed:
            self.begin()
            options = self.subjects() if told < TURNS[-1] else []
            if told >= TURNS[0]:
                # A closing is as likely as all the events together.
                ends = closings()
                end_weight = sum(weight for _, weight, _ in ends)
                event_weight = sum(weight for _, weight, _ in options) or 1
                options = [(t, w * end_weight, v) for t, w, v in options]
                options += [(t, w * event_weight, v) for t, w, v in ends]
            closed, tell = self.choose(options)
            self.replies = []
            tell()
            told += 1

    def subjects(self):
        """Options for how an event begins: a reply, a name, a pronoun, or news."""
        options = list(self.replies)
        for lead, (weight, lead_chinese) in LEADS.items():
            fitting = set()
            for c in self.characters:
                act, chinese = partial(self.act, c), lead_chinese + c.chinese
                same = [m for m in self.mentioned if m.gender == c.gender]
                if c.place != self.scene:
                    options.append((lead + c.name, 0, f"{c.name} is elsewhere"))
                elif same == [c]:  # the pronoun can mean nobody else
                    fitting.add(c.he)
                    he = c.he if lead else c.he.capitalize()
                    he_act = partial(act, lead_chinese + c.he_chinese)
                    options += [(lead + he, 2 * weight, (False, he_act)),
                                (lead + c.name, weight, (False, partial(act, chinese)))]
                else:
                    name_act = partial(act, chinese)
                    options.append((lead + c.name, 3 * weight, (False, name_act)))
            for he in {"she", "he"} - fitting:
                why = f"'{he}' does not mean one character who is here"
                options.append((lead + (he if lead else he.capitalize()), 0, why))
            for name in NAMES.keys() - {c.name for c in self.characters}:
                options.append((lead + name, 0, f"{name} is not in this story"))
        if any(t.place for t in self.things):
            options.append(("A magpie carried ", 6, (False, self.magpie)))
        if len(self.characters) == 2:
            options.append(("Just then, ", 3, (False, self.arrive)))
        return options

    def act(self, c, s):
        """What character `c` does; `s` is the subject in Chinese."""
        things, others = self.things, [o for o in self.characters if o is not c]
        here = [o for o in others if o.place == c.place]
        held = [t for t in things if t.holder is c]
        spare = [t for t in held if not self.is_home(t)]
        food = [t for t in held if t.noun in FOOD]
        back = self.lost in spare and self.owner in here
        bring = self.lost in spare and self.owner not in here
        theirs = [t for t in things if t.holder in here and not self.is_home(t)]
        far = [t for t in things if t.place not in (None, c.place)]
        alone, empty = f"nobody is with {c.name}", f"{c.name} has nothing to spare"
        missing = self.lost.finder is None
        whose = c.his if c is self.owner else self.owner.name + "'s"
        claim = c is self.owner and self.lost in theirs
        mine, yours = ([t for t in ts if t is not self.lost] for ts in (held, theirs))
        events = [
            *((verb, w, True, partial(self.go, zh), "")
              for verb, (w, zh) in MOVES.items()),
            *((f" and {o.name} went to the ", 2, o in here, partial(self.go_with, o),
               f"{o.name} is not with {c.name}") for o in others),
            (" found a ", 4, len(things) <= FINDS, self.find, "enough was found"),
            (f" found {whose} {self.lost.full} ", 6, missing, self.find_lost,
             f"the {self.lost.noun} was found already"),
            (" gave ", 20 if back else 6, spare and here, self.give,
             empty if here else alone),
            (" put ", 3, spare, partial(self.put, "放"), empty),
            (" hid ", 2, spare, partial(self.put, "藏"), empty),
            (" took ", 8, any(t.place == c.place for t in things), self.take,
             f"nothing lies where {c.name} is"),
            (" asked ", 8 if claim else 3, theirs, self.ask,
             f"nobody with {c.name} has a thing to spare"),
            (" showed ", 3, held and here, self.show, empty if here else alone),
            (" called ", 9 if bring else 3 if here else 6, len(here) < len(others),
             self.call, f"everybody is with {c.name} already"),
            (" told ", 10, here and far, self.tell,
             "nothing lies elsewhere" if here else alone),
            (" ate ", 3, food, self.eat, f"{c.name} has nothing to eat"),
            (" shared ", 6, food and here, self.share,
             f"{c.name} has nothing to share or is alone"),
            (" swapped ", 6, mine and yours, self.swap, "there is nothing to swap"),
            *((text, w, True, partial(self.idle, zh), "")
              for text, (w, zh) in IDLE.items()),
        ]  # fmt: skip
        event = self.choose([
            only(possible, verb, handler, why, weight)
            for verb, weight, possible, handler, why in events
        ])  # fmt: skip
        event(c, s)

    def idle(self, chinese, c, s):
        self.finish(s + chinese, c)

    def go(self, verb, c, s):
        self.scene = c.place = self.choose_place(c.place, c.name)
        self.say(".")
        self.finish(f"{s}{verb}{PLACES[c.place][1]}。", c)

    def go_with(self, other, c, s):
        self.scene = self.choose_place(c.place, c.name)
        c.place = other.place = self.scene
        self.say(" together.")
        self.finish(f"{s}和{other.chinese}一起去了{PLACES[c.place][1]}。", c, [other])

    def find(self, c, s):
        thing = self.new_thing()
        self.say(" ")
        self.found(thing, c, s)

    def find_lost(self, c, s):
        self.found(self.lost, c, s)
        if c is self.owner:
            self.joy(c.he.capitalize(), c.he_chinese)

    def found(self, thing, c, s):
        spot = self.choose_spot(c.place)
        self.say(".")
        thing.holder = thing.finder = c
        thing.found_at = c.place
        whose = ""
        if thing is self.lost:
            whose = (c.he_chinese if c is self.owner else self.owner.chinese) + "的"
        self.finish(f"{s}在{spot}找到了{whose}{thing.chinese}。", c, topic=thing)

    def joy(self, subject, chinese, giver=None):
        """The owner of the lost thing has it again."""
        self.begin()
        options = [(subject + text, weight, chinese + zh)
                   for text, (weight, zh) in JOYS.items()]  # fmt: skip
        others = []
        if giver:
            others = [giver]
            options.append((f'"Oh, thank you, {giver.name}!" cried {subject}.', 3,
                            f"{chinese}喊道：“谢谢你，{giver.chinese}！”"))  # fmt: skip
        said = self.choose(options)
        self.finish(said, self.owner, others if giver and "”" in said else ())

    def give(self, c, s):
        options = []
        for t in self.things:
            for o in self.characters:
                can = t.holder is c and o.place == c.place and not self.is_home(t)
                why = f"{c.name} does not have the {t.noun} to spare"
                if t.holder is c:
                    why = f"{o.name} is not with {c.name}"
                back = t is self.lost and o is self.owner
                for name, weight, chinese in self.called(t):
                    if o is c:
                        continue
                    weight *= 4 if back else 1
                    gave = "还给了" if back else "给了"
                    value = t, o, f"{s}把{chinese}{gave}{o.chinese}。"
                    to = f"{name} {'back ' if back else ''}to {o.name}."
                    options.append(only(can, to, value, why, weight))
                    if name != "it" and not back:
                        to = f"{o.name} {name}."
                        options.append(only(can, to, value, why, weight))
        thing, other, chinese = self.choose(options)
        thing.holder = other
        self.finish(chinese, c, [other], thing)
        if thing is self.lost and other is self.owner:
            self.joy(other.name, other.chinese, giver=c)
        else:
            chinese = f"{other.chinese}说：“谢谢你，{c.chinese}！”"
            text = f'"Thank you, {c.name}!" said {other.name}.'
            self.reply(text, chinese, other, [c])

    def reply(self, text, chinese, speaker, others, topic=None):
        """What somebody may say to the last event, and only now."""
        tell = partial(self.finish, chinese, speaker, others, topic)
        self.replies = [(text, 30, (False, tell))]

    def put(self, verb, c, s):
        thing, chinese = self.choose_thing(
            lambda t: t.holder is c and not self.is_home(t),
            f"{c.name} does not have the {{}} to spare",
        )
        self.say(" ")
        spot = self.choose_spot(c.place)
        self.say(".")
        thing.holder, thing.place = None, c.place
        self.finish(f"{s}把{chinese}{verb}在{spot}。", c, topic=thing)

    def take(self, c, s):
        thing, chinese = self.choose_thing(
            lambda t: t.place == c.place, f"the {{}} does not lie where {c.name} is"
        )
        self.say(".")
        thing.holder, thing.place = c, None
        self.finish(f"{s}拿起了{chinese}。", c, topic=thing)

    def ask(self, c, s):
        spare = [t for t in self.things if t.holder and not self.is_home(t)]
        other = self.choose_other(
            c,
            lambda o: o.place == c.place and any(t.holder is o for t in spare),
            "{} has nothing to spare or is elsewhere",
        )
        self.say(" for ")
        thing, chinese = self.choose_thing(
            lambda t: t in spare and t.holder is other,
            f"{other.name} does not have the {{}} to spare",
        )
        self.say(".")
        self.finish(f"{s}向{other.chinese}要{chinese}。", c, [other], thing)
        self.begin()
        yes, answer = self.choose([
            (f'"Here you are," said {other.name}.', 2, (True, "给你")),
            (f'"Not now," said {other.name}.', 1, (False, "现在不行")),
        ])  # fmt: skip
        if yes:
            thing.holder = c
        self.finish(f"{other.chinese}说：“{answer}。”", other, [], thing)
        if yes and thing is self.lost and c is self.owner:
            self.joy(c.name, c.chinese, giver=other)

    def show(self, c, s):
        other = self.choose_other(c, lambda o: o.place == c.place, "{} is elsewhere")
        self.say(" ")
        thing, chinese = self.choose_thing(
            lambda t: t.holder is c, f"{c.name} does not have the {{}}"
        )
        self.say(".")
        self.finish(f"{s}给{other.chinese}看了{chinese}。", c, [other], thing)
        self.reply(f'"What a fine {thing.noun}!" said {other.name}.',
                   f"{other.chinese}说：“多好的{THINGS[thing.noun]}！”",
                   other, [], thing)  # fmt: skip

    def call(self, c, s):
        other = self.choose_other(c, lambda o: o.place != c.place, "{} is here already")
        self.say(f", and {other.he} came to the {c.place}.")
        other.place = c.place
        came = f"{other.he_chinese}来到了{PLACES[c.place][1]}。"
        self.finish(f"{s}叫了{other.chinese}，{came}", c, [other])

    def tell(self, c, s):
        other = self.choose_other(c, lambda o: o.place == c.place, "{} is elsewhere")
        self.say(" that ")
        thing, chinese = self.choose_thing(
            lambda t: t.place not in (None, c.place), "the {} does not lie elsewhere"
        )
        self.say(" was ")
        place = self.choose([
            only(p == thing.place, at(p), p, f"the {thing.noun} is not {at(p)}")
            for p in PLACES
        ])  # fmt: skip
        self.say(".")
        where = f"{chinese}在{at_chinese(place)}"
        self.finish(f"{s}告诉{other.chinese}，{where}。", c, [other], thing)

    def eat(self, c, s):
        thing, chinese = self.choose_thing(
            lambda t: t.holder is c and t.noun in FOOD, f"{c.name} can't eat the {{}}"
        )
        self.say(".")
        thing.holder, thing.eaten = None, True
        self.finish(f"{s}吃了{chinese}。", c)

    def share(self, c, s):
        thing, chinese = self.choose_thing(
            lambda t: t.holder is c and t.noun in FOOD, f"{c.name} can't share the {{}}"
        )
        self.say(" with ")
        other = self.choose_other(c, lambda o: o.place == c.place, "{} is elsewhere")
        self.say(".")
        thing.holder, thing.eaten = None, True
        self.finish(f"{s}和{other.chinese}分吃了{chinese}。", c, [other])

    def swap(self, c, s):
        thing, chinese = self.choose_thing(
            lambda t: t.holder is c and t is not self.lost,
            f"{c.name} can't swap the {{}}",
        )
        self.say(" for ")
        other, theirs = self.choose([
            only(t.holder is o and o.place == c.place and t is not self.lost,
                 f"{o.name}'s {t.noun}.", (o, t),
                 f"{o.name} can't swap the {t.noun} here")
            for o in self.characters if o is not c
            for t in self.things if t is not thing
        ])  # fmt: skip
        thing.holder, theirs.holder = other, c
        noun = THINGS[theirs.noun]
        self.finish(f"{s}用{chinese}换了{other.chinese}的{noun}。", c, [other])

    def magpie(self):
        thing, chinese = self.choose_thing(
            lambda t: t.place, "the {} does not lie where a magpie could take it"
        )
        self.say(" to the ")
        thing.place = self.choose_place(thing.place, f"the {thing.noun}")
        self.say(".")
        to = PLACES[thing.place][1]
        self.finish(f"一只喜鹊把{chinese}带到了{to}。", topic=thing)

    def arrive(self):
        newcomer = self.new_character()
        newcomer.place = self.scene
        self.say(f" came to the {self.scene}.")
        came = f"来到了{PLACES[self.scene][1]}。"
        self.finish(f"就在这时，{describe(newcomer)}{came}", newcomer)

    # The evening: how things stand

    def noons(self):
        return [(text, weight, (True, partial(self.finish, chinese)))
                for text, weight, chinese in phrases(NOONS)]  # fmt: skip

    def evenings(self):
        lost, owner = self.lost, self.owner
        name, noun, short = owner.chinese, lost.chinese, THINGS[lost.noun]
        if lost.holder is owner:
            ends = [
                (f"{owner.name} fell asleep with the {lost.full}.", 2,
                 f"{name}抱着{noun}睡着了。"),
                (f"{owner.name} was glad to have the {lost.noun} again.", 1,
                 f"{name}很高兴又有了{short}。"),
            ]  # fmt: skip
        elif lost.holder:
            holder = lost.holder
            text = f"{holder.name} still had the {lost.full}, and {owner.name} was sad."
            ends = [(text, 1, f"{holder.chinese}还拿着{noun}，{name}很难过。")]
        elif lost.place:
            text = f"the {lost.full} lay {at(lost.place)}, and {owner.name} was sad."
            ends = [(text, 1, f"{noun}在{at_chinese(lost.place)}，{name}很难过。")]
        else:
            ends = [
                (f"the {lost.full} was still lost.", 2, f"{noun}还是没有找到。"),
                (f"{owner.name} still had no {lost.noun}.", 1,
                 f"{name}还是没有{short}。"),
            ]  # fmt: skip
        return [
            ("In the evening, " + text, weight,
             (True, partial(self.finish, "晚上，" + chinese, owner)))
            for text, weight, chinese in ends
        ]  # fmt: skip

    def ending(self):
        other = next(c for c in self.characters if c is not self.owner)
        self.begin()
        self.say(other.name)
        held = [t for t in self.things if t.holder is other and t is not self.lost]
        options = [only(t in held, f" kept the {t.full}.", f"留着{t.chinese}。",
                        f"{other.name} does not have the {t.noun}")
                   for t in self.things if t is not self.lost]  # fmt: skip
        idle = f"{other.name} has something to keep"
        options += [only(not held, text, chinese, idle, weight)
                    for text, weight, chinese in phrases(DREAMS)]  # fmt: skip
        self.finish(other.chinese + self.choose(options), other)


def describe(c):
    return f"{TRAITS[c.trait]}的{SPECIES[c.species]}{c.chinese}"


def new_names(taken):
    return [only(n not in taken, n, n, f"{n} is in the story already") for n in NAMES]


def choose_thing(teller, taken, food):
    """A colour and a noun that the story does not have yet."""
    colour = teller.choose(words(COLOURS))
    teller.say(" ")
    nouns = [n for n in THINGS if food or n not in FOOD]
    noun = teller.choose([
        only(n not in taken, n, n, f"there is a {n} in the story already")
        for n in nouns
    ])  # fmt: skip
    return Thing(noun, colour)


# Documents: a story alone, or a task on one


def questions(story):
    """Every question that can be asked at the end of a story: (question, answer)."""
    asked = [
        (f"Who lost the {story.lost.noun}?", f"{story.owner.name}."),
        (f"Is {story.owner.name} happy?",
         "Yes." if story.lost.holder is story.owner else "No."),
    ]  # fmt: skip
    for t in story.things:
        where = "Nobody knows."
        if t.holder:
            where = f"With {t.holder.name}."
        elif t.place:
            where = f"{at(t.place).capitalize()}."
        elif t.eaten:
            where = "It was eaten."
        finder = t.finder.name if t.finder else "Nobody"
        asked += [
            (f"What colour is the {t.noun}?", f"{t.colour.capitalize()}."),
            (f"Where is the {t.noun}?", where),
            (f"Who found the {t.noun}?", f"{finder}."),
        ]
    for c in story.characters:
        asked += [
            (f"Who is {c.name}?", f"A {c.trait} {c.species}."),
            (f"Where is {c.name}?", f"{at(c.place).capitalize()}."),
        ]
    return asked


def summary(story):
    """Two to four sentences that follow from the story with certainty."""
    owner, lost = story.owner, story.lost
    text = f"{owner.name} the {owner.species} lost the {lost.full}. "
    if lost.finder is None:
        text += "Nobody found it."
    elif lost.finder is owner:
        text += f"{owner.he.capitalize()} found it {at(lost.found_at)}."
    else:
        end = "and" if lost.holder is owner else "but"
        back = f"{'got' if lost.holder is owner else 'did not get'} it back."
        text += f"{lost.finder.name} found it {at(lost.found_at)}, "
        text += f"{end} {owner.name} {back}"
    for t in story.things[1:]:
        text += f" {t.finder.name} found a {t.full}."
    return text


def tell(teller, kind):
    """Tells a document of a kind, after its beginning; returns the story in it."""
    if kind == "story":
        story = Story(teller)
    elif kind == "write":
        hero = teller.choose(new_names([]))
        teller.say(", ")
        friend = teller.choose(new_names([hero]))
        teller.say(" and a ")
        thing = choose_thing(teller, [], food=False)
        teller.say("." + ASSISTANT)
        story = Story(teller, {"hero": hero, "friend": friend,
                               "noun": thing.noun, "colour": thing.colour})  # fmt: skip
    elif kind == "summary":
        story = Story(teller)
        teller.say(ASSISTANT + summary(story))
    elif kind == "translate":
        story = Story(teller, to_translate=TO_TRANSLATE)
        teller.say("".join(story.chinese))
    else:
        story = Story(teller)
        teller.say("\n")
        chat(teller, questions(story))
        return story
    teller.say(END)
    return story


def chat(teller, asked):
    """One question after another, none of them twice."""
    for left in reversed(range(QUESTIONS)):
        question = teller.choose([(q, 1, (q, a)) for q, a in asked])
        asked.remove(question)
        teller.say(ASSISTANT + question[1])
        if left == 0:
            teller.say(END)
        elif teller.choose([(END, 1, True), (USER, 5, False)]):
            break


@dataclass(frozen=True)
class Document:
    """A text of the story world.

    `nll` is -ln p of the text after its first special token, in nats: what a model that
    knew the world would pay for it. `story` holds the state at the end.
    """

    kind: str
    text: str
    nll: float
    story: Story

    @property
    def exchanges(self):
        """(all the text before an answer, the answer) of a task, in turn."""
        return [
            (self.text[: mark.end()], self.text[mark.end() :].split("<|")[0])
            for mark in re.finditer(re.escape(ASSISTANT), self.text)
        ]


def _document(teller, kind=None):
    beginnings = [(text, weight, kind) for kind, (text, weight) in KINDS.items()]
    if kind is None:
        kind = teller.choose(beginnings)
    else:
        teller.say(KINDS[kind][0])
    # Given the first token, what the rest of the beginning costs.
    text, weight = KINDS[kind]
    first = text.split("|>")[0]
    total = sum(w for t, w, _ in beginnings if t.startswith(first))
    teller.nll = math.log(total / weight)
    story = tell(teller, kind)
    return Document(kind, teller.text, teller.nll, story)


def document(seed: int, kind: str | None = None) -> Document:
    """The document of a seed, of one kind or (None) of a kind drawn by its share.

    Raises ValueError for an unknown kind and for a seed outside 0 to 2**64 - 1.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; there are {', '.join(KINDS)}")
    return _document(Writer(SplitMix64(seed)), kind)


def read(text: str) -> Document:
    """Reads a document back: the same choices, the same -ln p.

    A story may stand alone, without its marks. Raises TaleError, which says where and
    why, for a text that the world cannot tell.
    """
    if not isinstance(text, str):
        raise TypeError(f"the text must be a str, not {type(text).__name__}")
    if not text.startswith((STORY, USER)):
        text = STORY + text + END
    reader = Reader(text)
    found = _document(reader)
    if reader.text != text:
        raise TaleError(text, len(reader.text), "the document has ended", False)
    return found


def what_next(text: str) -> list[tuple[str, float]]:
    """Every fragment that can follow the beginning of a document, and its probability.

    The probabilities sum to 1. Raises TaleError if the world cannot tell the text.
    """
    ahead = Ahead(text)
    try:
        _document(ahead)
    except EOFError:
        pass
    if ahead.options is None:
        raise TaleError(text, len(ahead.text), "the document has ended", False)
    total = sum(weight for _, weight, _ in ahead.options)
    return [(fragment, weight / total) for fragment, weight, _ in ahead.options]


def entropy_floor(documents, tokenizer=None) -> float:
    """The lowest mean loss that any model can reach on the documents, on average.

    In nats a predicted token of the tokenizer, or with None in nats a character, where
    a special token counts as one. A document's first token is given, not predicted.
    """
    documents = list(documents)
    if not documents:
        raise ValueError("the floor needs at least 1 document, and there are 0")
    return sum(d.nll for d in documents) / sum(
        length(d.text, tokenizer) for d in documents
    )


def length(text, tokenizer=None):
    """How many tokens (or characters) of a document are predicted."""
    if tokenizer:
        return len(tokenizer.encode(text)) - 1
    return len(re.sub(r"<\|\w+\|>", "#", text)) - 1
