"""The tokenizer: against itself, brute force, `tokenizers` and `transformers`."""

import ast
import json
import random
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Reference
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

import gptbook.tokenizer
from gptbook.tokenizer import ALPHABET, SPELLING, Tokenizer, spell, split_pieces

END, PREFIX = "<|endoftext|>", "<|end"  # one begins like the other: the longest wins
PROPERTY = settings(deadline=None, max_examples=200)

# Every character that Unicode 3.2 knew, and emoji: all readers agree on their class.
ASSIGNED = [
    chr(code)
    for code in [*range(0xD800), *range(0xE000, 0x110000)]
    if unicodedata.ucd_3_2_0.category(chr(code)) not in ("Cn", "Co")
    or 0x1F300 <= code < 0x1F650
]


def stories(n=300, seed=0):
    rng = random.Random(seed)
    who = ["Anna", "Ben", "the old fox", "小明", "Zoë", "l'été"]
    did = ["found", "didn't lose", "will've given", "看见了", "who's got"]
    what = ["a red ball", "7 shells", "1024 stars", "一本书", "the key", "🎈👩‍🚀"]
    syllables = ["ba", "lu", "mi", "to", "ren", "sh", "o", "quit"]
    who += ["".join(rng.choices(syllables, k=4)) for _ in range(60)]
    return [
        f"{rng.choice(who)} {rng.choice(did)} {rng.choice(what)}. "
        f"\n\n“{rng.choice(what)}!” said {rng.choice(who)}...   \t{END}"
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(stories(), 500, [END, PREFIX])


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(path)
    return path


@pytest.fixture(scope="module")
def random_texts():
    rng = random.Random(7)
    blocks = [
        [c for c in ASSIGNED if low <= ord(c) < high]
        for low, high in [
            (0x00, 0x20), (0x20, 0x7F), (0x20, 0x7F), (0x20, 0x7F), (0x7F, 0x250),
            (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE80),
            (0x1100, 0x1200), (0x1600, 0x1900), (0x2000, 0x2070), (0x2070, 0x2500),
            (0x3000, 0x3130), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4), (0x1F300, 0x1F650),
        ]
    ]  # fmt: skip
    words = [
        *["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''s", "x's", "'ſ"],
        *[" ", "  ", "\n", "\r\n", "\t", "\x0b", "\x1c", "\x85", "\xa0", "\u1680"],
        *["\u180e", "\u2003", "\u200b", "\u2028", "\u202f", "\u3000", "\ufeff", "\0"],
        *["٣", "Ⅷ", "½", "一", "e\u0301", "👩‍👩‍👧", "🇫🇷"],
        *["ǅ", "ʰ", "9", "a1", "_", "。"],
        *[END, PREFIX, "<|endof", *stories(4)],
    ]

    def part():
        if rng.random() < 0.5:
            return rng.choice(words)
        return "".join(rng.choices(rng.choice(blocks), k=rng.randint(1, 6)))

    return ["".join(part() for _ in range(rng.randint(0, 12))) for _ in range(6000)]


def brute_force_merges(texts, n_merges):
    """BPE by the book: count every pair of every piece anew for each merge."""
    words = [
        [bytes([byte]) for byte in piece.encode()]
        for text in texts
        for piece in split_pieces(text)
    ]
    tokens = list(ALPHABET)
    while len(tokens) < 256 + n_merges:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        best = min(counts, key=lambda p: (-counts[p], *map(tokens.index, p)))
        tokens.append(b"".join(best))
        for word in words:
            for i in range(len(word)):
                if tuple(word[i : i + 2]) == best:
                    word[i : i + 2] = [b"".join(best)]
    return tokens[256:]


def test_the_module_needs_the_standard_library_only():
    tree = ast.parse(Path(gptbook.tokenizer.__file__).read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
    assert names and names <= set(sys.stdlib_module_names)


def test_bytes_are_spelled_and_numbered_as_in_gpt2():
    assert (SPELLING[32], SPELLING[10], SPELLING[0]) == ("Ġ", "Ċ", "Ā")
    assert spell("是".encode()) == "æĺ¯"
    assert SPELLING.keys() == set(range(256)) and len(set(SPELLING.values())) == 256
    assert list(SPELLING.values()) == sorted(SPELLING.values())
    assert set(SPELLING.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer.train([], 257)  # bytes alone: the first ids of GPT-2
    assert tokenizer.encode("!a\n ") == [0, 64, 198, 220]
    assert tokenizer.special_tokens == {END: 256}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("I'll go, it's 7!", ["I", "'ll", " go", ",", " it", "'s", " 7", "!"]),
        ("  two   spaces ", [" ", " two", "  ", " spaces", " "]),
        ("a\n\nb \n", ["a", "\n", "\n", "b", " \n"]),
        ("IT'S x2", ["IT", "'", "S", " x", "2"]),
        ("我有½个 苹果。", ["我有", "½", "个", " 苹果", "。"]),
        ("e\u0301\x1c\x85\u3000!", ["e", "\u0301\x1c", "\x85", "\u3000", "!"]),
    ],
)
def test_pieces_are_cut_where_gpt2_cuts_them(text, pieces):
    assert split_pieces(text) == pieces


def test_every_character_is_cut_as_the_reference_cuts_it():
    reference = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for start in range(0, len(ASSIGNED), 2000):
        text = "".join(
            f"a{c}a 1{c}1 .{c}.{c} {c}{c}'{c}" for c in ASSIGNED[start : start + 2000]
        )
        expected = [spelled for spelled, _ in reference.pre_tokenize_str(text)]
        assert [spell(piece.encode()) for piece in split_pieces(text)] == expected


@PROPERTY
@given(st.lists(st.text("aab c'é", max_size=30), max_size=6), st.integers(0, 40))
@example(["aaaaa aaaa aaa"], 5)
def test_training_picks_the_merges_of_brute_force(texts, n_merges):
    tokens = brute_force_merges(texts, n_merges)
    if len(tokens) < n_merges:
        with pytest.raises(ValueError, match=f"for {256 + len(tokens)} tokens only"):
            Tokenizer.train(texts, 256 + n_merges, special_tokens=())
    tokenizer = Tokenizer.train(texts, 256 + len(tokens), special_tokens=())
    assert [left + right for left, right in tokenizer.merges] == tokens
    assert tokenizer.vocabulary == ALPHABET + tokens
    assert len(set(tokenizer.vocabulary)) == tokenizer.vocab_size


def train_reference(texts, vocab_size, special_tokens):
    reference = Reference(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    reference.train_from_iterator(texts, trainer)
    return reference


def test_training_picks_the_merges_of_the_reference(tokenizer, tmp_path):
    parts = [part for text in stories() for part in text.split(END)]
    train_reference(parts, 500, [END, PREFIX]).save(str(tmp_path / "t.json"))
    assert Tokenizer.load(tmp_path / "t.json").merges == tokenizer.merges


@PROPERTY
@given(st.text(max_size=60))
@example(" \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000")
@example("👩‍👩‍👧‍👦 🇫🇷 👍🏽 一本书，“好”！")
@example("e\u0301\u0302 \0\x7f\x9f\ufeff\ufffd\U0010ffff")
@example(f"a {END}{END} {PREFIX}oftext|>\n")
def test_any_text_survives_the_round_trip(tokenizer, text):
    for allow_special in (True, False):
        ids = tokenizer.encode(text, allow_special)
        assert tokenizer.decode(ids) == text
        assert tokenizer.encode(text, allow_special) == ids  # now from the cache


def test_the_reference_gives_the_same_ids(tokenizer, saved, random_texts):
    reference = Reference.from_file(str(saved))
    assert reference.get_vocab_size() == tokenizer.vocab_size == 500
    for text, encoding in zip(
        random_texts, reference.encode_batch(random_texts), strict=True
    ):
        assert tokenizer.encode(text) == encoding.ids, ascii(text)
        assert tokenizer.tokens(encoding.ids) == encoding.tokens


def test_the_reference_decodes_any_ids_alike(tokenizer, saved):
    reference = Reference.from_file(str(saved))
    rng = random.Random(3)
    for _ in range(500):
        ids = rng.choices(range(tokenizer.vocab_size), k=rng.randint(0, 12))
        expected = reference.decode(ids, skip_special_tokens=False)
        assert tokenizer.decode(ids) == expected, ids


def test_transformers_gives_the_same_ids(tokenizer, saved, random_texts, tmp_path):
    transformers = pytest.importorskip("transformers")
    (saved.parent / "config.json").write_text('{"model_type": "gpt2"}')
    from_file = transformers.PreTrainedTokenizerFast(tokenizer_file=str(saved))
    gpt2 = transformers.GPT2TokenizerFast.from_pretrained(saved.parent)
    auto = transformers.AutoTokenizer.from_pretrained(saved.parent)
    for other in (from_file, gpt2, auto):
        assert len(other) == tokenizer.vocab_size
        for text in random_texts[:500]:
            assert other.encode(text) == tokenizer.encode(text), ascii(text)
    assert auto.eos_token_id == tokenizer.special_tokens[END]
    auto.save_pretrained(tmp_path)
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert again.vocabulary == tokenizer.vocabulary
    assert again.merges == tokenizer.merges


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_tokenizer_of_the_reference_is_read(random_texts, tmp_path, shuffled):
    reference = train_reference(stories(seed=1), 450, [END])  # a special token is id 0
    reference.add_special_tokens([PREFIX])  # and another one is the last
    contents = json.loads(reference.to_str())
    if shuffled:  # special tokens anywhere, and ids that do not follow the merges
        ids = list(range(451))
        random.Random(5).shuffle(ids)
        vocab = contents["model"]["vocab"] | {PREFIX: 450}
        contents["model"]["vocab"] = {text: ids[i] for text, i in vocab.items()}
        for token in contents["added_tokens"]:
            token["id"] = ids[token["id"]]
        contents["added_tokens"].sort(key=lambda token: token["id"])
        reference = Reference.from_str(json.dumps(contents))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(contents), encoding="utf-8")
    tokenizer = Tokenizer.load(path)
    assert tokenizer.special_tokens.keys() == {END, PREFIX}
    assert tokenizer.vocab_size == reference.get_vocab_size() == 451
    expected = [encoding.ids for encoding in reference.encode_batch(random_texts)]
    assert list(map(tokenizer.encode, random_texts)) == expected
    tokenizer.save(path)
    assert list(map(Tokenizer.load(path).encode, random_texts)) == expected


def test_a_file_in_the_style_of_gpt2s_own_is_read(saved, tokenizer, tmp_path):
    contents = json.loads(saved.read_text(encoding="utf-8"))
    model = contents["model"]
    del model["type"], contents["pre_tokenizer"]["use_regex"]
    model |= {"dropout": None, "continuing_subword_prefix": ""}
    model |= {"end_of_word_suffix": "", "unk_token": ""}
    contents["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True}
    assert isinstance(model["merges"][0], str)
    model["merges"] = [pair.split(" ") for pair in model["merges"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(contents), encoding="utf-8")
    assert Tokenizer.load(path).merges == tokenizer.merges


def test_saving_is_deterministic_and_loading_undoes_it(tokenizer, saved, tmp_path):
    again = Tokenizer.load(saved)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.merges == tokenizer.merges
    assert again.special_tokens == tokenizer.special_tokens == {END: 498, PREFIX: 499}
    again.save(tmp_path / "again.json")
    trained_again = Tokenizer.train(iter(stories()), 500, (END, PREFIX))
    trained_again.save(str(tmp_path / "trained.json"))
    data = saved.read_bytes()
    assert data == (tmp_path / "again.json").read_bytes()
    assert data == (tmp_path / "trained.json").read_bytes()
    assert data.endswith(b"}\n") and b"\r" not in data and "Ġ".encode() in data
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.json", "trained.json"]


def test_a_save_that_fails_leaves_the_old_file(tokenizer, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(gptbook.tokenizer.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        tokenizer.save(path)
    assert path.read_text() == "old"


def test_special_tokens_are_never_learnt_nor_forged(tokenizer):
    assert tokenizer.encode(f"a{END}b")[1] == tokenizer.special_tokens[END] == 498
    forged = tokenizer.encode(f"a{END}b", allow_special=False)
    assert not set(forged) & set(tokenizer.special_tokens.values())
    assert tokenizer.encode(END, allow_special=False) == forged[1:-1]
    assert tokenizer.decode(forged) == f"a{END}b"
    assert tokenizer.tokens([498, *tokenizer.encode(" a")]) == [END, "Ġa"]
    with pytest.raises(ValueError, match="257 tokens only"):
        Tokenizer.train(["<|x|>", "<|x|><|x|>"], 258, ["<|x|>"])
    assert Tokenizer.train(["<|x|>"], 258, []).merges  # an ordinary text, if not named
    assert Tokenizer.train([], 257, [END, END]).vocab_size == 257
    space = Tokenizer.train([], 257, [" "])  # the bytes of an ordinary token, once more
    assert (space.encode(" "), space.encode(" ", allow_special=False)) == ([256], [220])


def test_integers_of_numpy_are_token_ids(tokenizer):
    ids = tokenizer.encode("Anna found a red ball.")
    assert tokenizer.decode(np.array(ids)) == "Anna found a red ball."
    assert tokenizer.decode([]) == "" and tokenizer.tokens([]) == []


def test_half_a_character_is_decoded_as_a_replacement_character():
    tokenizer = Tokenizer.train([], 256, special_tokens=())
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t.encode(b"abc"), TypeError, "must be a str, not bytes"),
        (lambda t: t.encode("a\ud83d"), ValueError, r"\\ud83d.*position 1: surrogates"),
        (lambda t: t.decode([500]), ValueError, "500 is outside the vocabulary of 500"),
        (lambda t: t.decode([0, -1]), ValueError, "id -1 is outside"),
        (lambda t: t.tokens([500]), ValueError, "id 500 is outside"),
        (lambda t: t.decode([1.0]), TypeError, "'float'.* integer"),
        (lambda t: t.decode("abc"), TypeError, "'str'.* integer"),
        (lambda t: t.train("abc", 300), TypeError, "lists of str, not a str"),
        (lambda t: t.train(["abc"], 300, END), TypeError, "lists of str, not a str"),
        (lambda t: t.train([b"abc"], 300), TypeError, "must be a str, not bytes"),
        (lambda t: t.train(["\udc00"], 300), ValueError, r"\\udc00.*position 0"),
        (lambda t: t.train([], 256), ValueError, "vocab_size 256 is below 257"),
        (
            lambda t: t.train(["abab ab"], 300),
            ValueError,
            "vocab_size 300 is too large: the texts have pairs for 260 tokens only",
        ),
        (lambda t: t.train([], 257, [""]), ValueError, "is empty or an ordinary"),
        (lambda t: t.train([], 257, ["a"]), ValueError, r"\['a'\] is empty or an ord"),
        (lambda t: t.train([], 257, ["Ġ"]), ValueError, "or an ordinary token too"),
    ],
)
def test_bad_input_is_refused_by_name(tokenizer, call, error, message):
    with pytest.raises(error, match=message):
        call(tokenizer)


def change(*keys, to):
    def apply(contents):
        for key in keys[:-1]:
            contents = contents[key]
        contents[keys[-1]] = to

    return apply


WORDS = {"type": "Whitespace"}
WRAP = {"type": "TemplateProcessing", "special_tokens": {"<s>": {}}}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("model", "type", to="WordPiece"), "model is 'WordPiece', not 'BPE'"),
        (change("normalizer", to={"type": "NFC"}), "normalizer is {'type': 'NFC'}"),
        (change("pre_tokenizer", to=WORDS), "pre_tokenizer is 'Whitespace'"),
        (change("pre_tokenizer", to=None), "pre_tokenizer is None"),
        (change("pre_tokenizer", "add_prefix_space", to=True), "add_prefix_space is"),
        (change("pre_tokenizer", "use_regex", to=False), "use_regex is False"),
        (change("post_processor", to=WRAP), "special_tokens is {'<s>'"),
        (change("post_processor", to={"type": "Bert"}), "post_processor is 'Bert'"),
        (change("model", "dropout", to=0.1), "dropout is 0.1"),
        (change("model", "end_of_word_suffix", to="</w>"), "suffix is '</w>'"),
        (change("model", "continuing_subword_prefix", to="##"), "prefix is '##'"),
        (change("model", "ignore_merges", to=True), "ignore_merges is True"),
        (change("added_tokens", 0, "lstrip", to=True), "has single_word, lstrip"),
        (change("added_tokens", 0, "id", to=7), "ids are not 0 to 499"),
        (change("model", "vocab", to={}), "ids are not 0 to 1"),
        (change("model", "vocab", "!", to=500), "ids are not 0 to 499"),
        (change("model", "vocab", "!", to="0"), "'<' not supported"),
        (change("model", "vocab", "▁a", to=500), "KeyError.*▁"),
        (change("model", "merges", 0, to="a b c"), "too many values"),
        (change("model", "merges", 0, to="q q"), "1 tokens are missing, such as 'qq'"),
        (change("model", to=None), "NoneType"),
        (lambda contents: contents.pop("model"), "KeyError.*model"),
    ],
)
def test_a_file_that_is_not_byte_level_bpe_is_refused(saved, tmp_path, damage, message):
    contents = json.loads(saved.read_text(encoding="utf-8"))
    damage(contents)
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps(contents), encoding="utf-8")
    with pytest.raises(ValueError, match="damaged.json is not byte-level BPE: ") as e:
        Tokenizer.load(path)
    e.match(message)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'"\xff"'])
def test_a_file_that_is_not_json_of_a_tokenizer_is_refused(tmp_path, data):
    (tmp_path / "x.json").write_bytes(data)
    with pytest.raises(ValueError, match="x.json is not byte-level BPE"):
        Tokenizer.load(tmp_path / "x.json")


def test_a_real_wordpiece_tokenizer_is_refused(tmp_path):
    other = Reference(models.WordPiece({"a": 0}, unk_token="a"))
    other.normalizer = normalizers.Lowercase()
    other.save(str(tmp_path / "bert.json"))
    with pytest.raises(ValueError, match="model is 'WordPiece'"):
        Tokenizer.load(tmp_path / "bert.json")
    with pytest.raises(FileNotFoundError):
        Tokenizer.load(tmp_path / "none.json")
