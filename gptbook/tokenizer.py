"""GPT-2's tokenizer, byte-level BPE, from scratch.

A text becomes bytes, and byte pair encoding (BPE) joins the pairs of neighbours that
are frequent in the training texts, again and again, into longer tokens. Every byte is
a token too, so any text in any language can be encoded: there is no unknown token.

Sources: Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with
Subword Units", algorithm 1 (BPE); Radford et al. 2019, "Language Models are
Unsupervised Multitask Learners", section 2.2 (on bytes, within pieces of text).
"""

import json
import operator
import os
import re
import unicodedata
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from math import inf
from pathlib import Path

# A token is a string of bytes, but a vocabulary file holds text. So GPT-2 spells each
# byte as one character: a visible Latin-1 character stands for itself, and the other
# 68 bytes get the characters from U+0100 on. The space is byte 32, the 33rd of these,
# hence U+0120: 'Ġ'. This order, visible bytes first, is also the order of the ids.
VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
HIDDEN = [byte for byte in range(256) if byte not in VISIBLE]
SPELLING = {byte: chr(byte) for byte in VISIBLE}
SPELLING |= {byte: chr(256 + place) for place, byte in enumerate(HIDDEN)}
BYTE = {character: byte for byte, character in SPELLING.items()}
ALPHABET = [bytes([byte]) for byte in SPELLING]  # the first 256 tokens


def spell(token):
    """Spell a token's bytes, one character each: b" cat" -> 'Ġcat'."""
    return "".join(SPELLING[byte] for byte in token)


def unspell(text):
    """Turn a spelled token back into its bytes: 'Ġcat' -> b" cat"."""
    return bytes(BYTE[character] for character in text)


# GPT-2's pattern asks for letters (\p{L}), numbers (\p{N}) and white space of every
# script. Python's `re` lacks the first two, and its \s wrongly takes U+001C to U+001F.
# So the pattern is written for ASCII and cuts a copy of the text in which an ASCII
# character of the same class stands in for every other character.
PIECE = re.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+",
    re.ASCII,
)


@cache
def stand_in(character):
    """Return an ASCII character of the same class: letter, number, space or other.

    A character that is newer than this Python's Unicode tables counts as other.
    """
    if character.isascii():
        return character
    category = unicodedata.category(character)[0]
    if category == "Z" or character == "\x85":  # Unicode's White_Space beyond ASCII
        return "\n"
    return {"L": "A", "N": "0"}.get(category, "#")  # a capital: never 's or 'll


def split_pieces(text):
    """Cut a text into the pieces that no token crosses: "It's 7!" -> It 's Ġ7 !"""
    stand_ins = "".join(map(stand_in, text))
    return [text[match.start() : match.end()] for match in PIECE.finditer(stand_ins)]


def split_special(text, special_tokens):
    """Cut a text at its special tokens: they are at the odd places of the result."""
    if not special_tokens:
        return [text]
    longest_first = sorted(special_tokens, key=len, reverse=True)
    return re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)


def merge(symbols, pair):
    """Join each occurrence of a pair, from left to right: h e r e -> h er e"""
    merged, place = [], 0
    while place < len(symbols):
        if tuple(symbols[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(symbols[place])
            place += 1
    return merged


def learn_merges(piece_counts, n_merges):
    """Learn BPE merges, each the most frequent pair of its time (algorithm 1).

    Of equally frequent pairs, the one with the oldest first token wins, then the one
    with the oldest second token (the oldest has the smallest id).

    piece_counts: how often each piece occurs. Texts repeat few distinct pieces, and a
        merge changes only those that hold its pair: pair counts are kept up to date,
        not made anew. The merges are the same, and are found in seconds.
    Returns a list of n_merges pairs of bytes, or fewer when no pairs are left.
    """
    words = [[bytes([byte]) for byte in piece.encode()] for piece in piece_counts]
    counts = list(piece_counts.values())
    pair_counts = Counter()
    words_with = defaultdict(set)  # pair -> places in `words` where it occurs

    def count_pairs(place, sign):
        for pair in pairwise(words[place]):
            pair_counts[pair] += sign * counts[place]
            words_with[pair].add(place)

    for place in range(len(words)):
        count_pairs(place, +1)
    ids = {token: index for index, token in enumerate(ALPHABET)}
    merges = []
    while len(merges) < n_merges and (most := max(pair_counts.values(), default=0)):
        ties = [pair for pair, count in pair_counts.items() if count == most]
        best = min(ties, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        for place in words_with.pop(best):
            count_pairs(place, -1)
            words[place] = merge(words[place], best)
            count_pairs(place, +1)
        ids[best[0] + best[1]] = len(ids)
        merges.append(best)
    return merges


def check_text(text):
    """Raise TypeError unless text is a str, ValueError for a lone surrogate in it."""
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, not {type(text).__name__}")
    text.encode()  # UnicodeEncodeError, a ValueError, names the lone surrogate


# What load accepts: any other value of these settings would change the ids.
BYTE_LEVEL_BPE = {
    "model": ["BPE"],
    "normalizer": [None],
    "pre_tokenizer": ["ByteLevel"],
    "add_prefix_space": [False],
    "use_regex": [True, None],
    "post_processor": ["ByteLevel", "TemplateProcessing", None],
    "special_tokens": [{}, None],  # that the post-processor puts around a text
    "continuing_subword_prefix": ["", None],
    "end_of_word_suffix": ["", None],
    "ignore_merges": [False, None],
    "dropout": [None],
}


class Tokenizer:
    """Text to token ids and back. Make one with Tokenizer.train or Tokenizer.load.

    vocabulary: list of bytes, the token of each id
    merges: list of pairs of bytes, in the order in which they are applied
    special_tokens: dict, text -> id, of the tokens that mark structure, such as the
        end of a document; they may be anywhere in the vocabulary
    Raises ValueError where these contradict each other.
    """

    def __init__(self, vocabulary, merges, special_tokens):
        self.vocabulary = vocabulary
        self.merges = merges
        self.special_tokens = special_tokens
        self._spelled = list(map(spell, vocabulary))
        for text, i in special_tokens.items():
            self._spelled[i] = text
        if "" in special_tokens or len(set(self._spelled)) < len(vocabulary):
            specials = list(special_tokens)
            raise ValueError(f"one of {specials} is empty or an ordinary token too")
        special_ids = special_tokens.values()
        self._ids = {t: i for i, t in enumerate(vocabulary) if i not in special_ids}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._cache = {}  # piece -> ids
        needed = {*ALPHABET, *(left + right for left, right in merges)}
        if missing := sorted(needed - self._ids.keys()):
            example = spell(missing[0])
            raise ValueError(f"{len(missing)} tokens are missing, such as {example!r}")

    @property
    def vocab_size(self):
        """The number of tokens: bytes, merged tokens and special tokens."""
        return len(self.vocabulary)

    @classmethod
    def train(cls, texts, vocab_size, special_tokens=("<|endoftext|>",)):
        """Learn a vocabulary: 256 bytes, then merged tokens, then special tokens.

        texts: iterable of str. Special tokens in them are cut out, never merged.
        Raises TypeError for anything else, and ValueError if vocab_size is below 256
        plus the special tokens, or above what the texts have pairs for.
        """
        if isinstance(texts, str) or isinstance(special_tokens, str):
            raise TypeError("texts and special_tokens must be lists of str, not a str")
        special_tokens = list(dict.fromkeys(special_tokens))
        n_fixed = 256 + len(special_tokens)
        if vocab_size < n_fixed:
            raise ValueError(
                f"vocab_size {vocab_size} is below {n_fixed} (bytes, special tokens)"
            )
        piece_counts = Counter()
        for text in texts:
            check_text(text)
            for part in split_special(text, special_tokens)[::2]:
                piece_counts.update(split_pieces(part))
        merges = learn_merges(piece_counts, vocab_size - n_fixed)
        if n_fixed + len(merges) < vocab_size:
            raise ValueError(
                f"vocab_size {vocab_size} is too large: the texts have pairs for "
                f"{n_fixed + len(merges)} tokens only"
            )
        vocabulary = ALPHABET + [left + right for left, right in merges]
        ids = {text: i for i, text in enumerate(special_tokens, len(vocabulary))}
        return cls(vocabulary + [text.encode() for text in ids], merges, ids)

    def encode(self, text, allow_special=True):
        """Turn a str into a list of token ids.

        Encode what a user typed with allow_special=False: a "<|endoftext|>" in it is
        then spelled out in ordinary tokens. Else a user could forge the marks that
        tell the model where a document or a speaker's turn ends (prompt injection).
        Raises TypeError if text is not a str, ValueError if it has a lone surrogate.
        """
        check_text(text)
        ids = []
        parts = split_special(text, self.special_tokens if allow_special else ())
        for place, part in enumerate(parts):
            if place % 2 == 1:
                ids.append(self.special_tokens[part])
            else:
                for piece in split_pieces(part):
                    ids += self._encode_piece(piece)
        return ids

    def _encode_piece(self, piece):
        """Apply the merges to one piece, always the one that was learnt first."""
        if piece in self._cache:
            return self._cache[piece]
        symbols = [bytes([byte]) for byte in piece.encode()]
        while len(symbols) > 1:
            pair = min(pairwise(symbols), key=lambda pair: self._ranks.get(pair, inf))
            if pair not in self._ranks:
                break
            symbols = merge(symbols, pair)
        ids = [self._ids[symbol] for symbol in symbols]
        if len(self._cache) < 100_000:  # bounds the memory on endless text
            self._cache[piece] = ids
        return ids

    def decode(self, ids):
        """Turn an iterable of token ids into a str, special tokens included.

        Bytes that are not valid UTF-8, such as half of a character that was cut in
        two, become U+FFFD. Raises TypeError for an id that is not an integer and
        ValueError for one outside the vocabulary.
        """
        token_bytes = b"".join(self.vocabulary[i] for i in self._check_ids(ids))
        return token_bytes.decode("utf-8", errors="replace")

    def tokens(self, ids):
        """List the tokens of the ids as GPT-2 spells them: 'Ġ' is a space.

        Raises the same errors as decode.
        """
        return [self._spelled[i] for i in self._check_ids(ids)]

    def _check_ids(self, ids):
        for i in map(operator.index, ids):  # TypeError for what is not an integer
            if not 0 <= i < self.vocab_size:
                raise ValueError(
                    f"token id {i} is outside the vocabulary of "
                    f"{self.vocab_size} tokens"
                )
            yield i

    def save(self, path):
        """Write a Hugging Face tokenizer.json, for `tokenizers` and `transformers`."""
        flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False)
        byte_level = {"type": "ByteLevel", "add_prefix_space": False}
        byte_level |= {"trim_offsets": True, "use_regex": True}
        contents = {
            "version": "1.0",
            "added_tokens": [
                {"id": i, "content": text, "special": True, **flags}
                for text, i in self.special_tokens.items()
            ],
            "normalizer": None,
            "pre_tokenizer": byte_level,
            "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "vocab": {text: i for i, text in enumerate(self._spelled)},
                "merges": [" ".join(map(spell, pair)) for pair in self.merges],
            },
        }
        text = json.dumps(contents, ensure_ascii=False, indent=1) + "\n"
        draft = Path(f"{path}.draft")  # moved in place at once: never half a file
        draft.write_bytes(text.encode())
        os.replace(draft, path)

    @classmethod
    def load(cls, path):
        """Read a tokenizer.json. Raises ValueError if it is not byte-level BPE."""
        try:
            return cls._from_json(json.loads(Path(path).read_bytes()))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, ValueError) else repr(error)
            raise ValueError(f"{path} is not byte-level BPE: {reason}") from error

    @classmethod
    def _from_json(cls, contents):
        model, added = contents["model"], contents["added_tokens"]
        pre_tokenizer = contents["pre_tokenizer"] or {}
        post_processor = contents["post_processor"] or {}
        found = {**post_processor, **model, **pre_tokenizer}
        found["model"] = model.get("type", "BPE")
        found["normalizer"] = contents["normalizer"]
        found["pre_tokenizer"] = pre_tokenizer.get("type")
        found["post_processor"] = post_processor.get("type")
        for name, accepted in BYTE_LEVEL_BPE.items():
            if (value := found.get(name)) not in accepted:
                raise ValueError(f"its {name} is {value!r}, not {accepted[0]!r}")
        for token in added:
            if any(map(token.get, ["single_word", "lstrip", "rstrip"])):
                raise ValueError(
                    f"{token['content']!r} has single_word, lstrip or rstrip"
                )
        special_tokens = {token["content"]: token["id"] for token in added}
        vocab = model["vocab"] | special_tokens
        if sorted(vocab.values()) != list(range(len(vocab))):
            raise ValueError(f"its ids are not 0 to {len(vocab) - 1}, each once")
        vocabulary = [
            text.encode() if text in special_tokens else unspell(text)
            for text in sorted(vocab, key=vocab.get)
        ]
        pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        merges = [(unspell(left), unspell(right)) for left, right in pairs]
        return cls(vocabulary, merges, special_tokens)
