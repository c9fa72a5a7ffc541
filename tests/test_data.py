"""From a text to batches: every id once, and clear words for bad input."""

import os
import tracemalloc

import numpy as np
import pytest

from gptbook import data

# Reading a text


def test_line_ends_and_the_mark_of_an_editor_are_read_alike(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffone\r\ntwo\rthrée\n\r\n".encode())
    assert data.read_text(path) == "one\ntwo\nthrée\n\n"
    assert data.read_text(str(path)) == data.read_text(path)
    path.write_bytes("one\ntwó\n".encode("utf-16"))
    assert data.read_text(path, "utf-16") == "one\ntwó\n"


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file .*none.txt"):
        data.read_text(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="is a folder"):
        data.read_text(tmp_path)
    with pytest.raises(TypeError):
        data.read_text(None)


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \r\n\t\n"])
def test_no_text(tmp_path, content):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"no text: {len(content)} bytes"):
        data.read_text(path)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_wrong_byte_is_named_with_its_place(tmp_path, mark):
    path = tmp_path / "text.txt"
    content = mark + "Zürich\r\ncafé\n".encode() + "Málaga".encode("cp1252")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not utf-8-sig: byte 0xe1") as caught:
        data.read_text(path)
    place = content.index(b"\xe1")
    assert f"at position {place}, in line 3." in str(caught.value)
    assert "encoding='cp1252'" in str(caught.value)


def test_utf_16_and_no_text_at_all_are_told_apart(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("one".encode("utf-16"))
    with pytest.raises(ValueError, match="encoding='utf-16'"):
        data.read_text(path)
    path.write_bytes("one\ntwo".encode("utf-16-le"))  # valid UTF-8, with NULs
    with pytest.raises(ValueError, match="NUL in line 1.*encoding='utf-16'"):
        data.read_text(path)
    for encoding in ("utf-9", "rot13"):
        with pytest.raises(ValueError, match=encoding):
            data.read_text(path, encoding)


# Splitting


def test_split_takes_the_end_in_one_piece():
    text = "".join(chr(97 + n) for n in range(20))
    assert data.split(text) == (text[:18], text[18:])
    assert data.split(text, 0.25) == (text[:15], text[15:])
    train, validation = data.split(np.arange(20))
    assert train.tolist() == [*range(18)] and validation.tolist() == [18, 19]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_split_refuses_a_share_that_is_none(share):
    with pytest.raises(ValueError, match=f"share must lie .* not {share}"):
        data.split("a text", share)


def test_split_refuses_an_empty_part():
    for text, share in [("", 0.5), ("a", 0.5), ("abc", 0.1), ("abc", 0.9)]:
        with pytest.raises(ValueError, match=f"length {len(text)} has no share"):
            data.split(text, share)


# The file of tokens


@pytest.mark.parametrize(
    "vocab_size, dtype", [(256, "<u2"), (65536, "<u2"), (65537, "<u4")]
)
def test_what_is_written_is_read(tmp_path, vocab_size, dtype):
    path = tmp_path / "tokens.npy"
    sequences = [[0, 5], [], np.arange(100, dtype=np.int8), (vocab_size - 1,)]
    assert data.write_tokens(path, sequences, vocab_size) == 103
    expected = [0, 5, *range(100), vocab_size - 1]
    for tokens in (data.open_tokens(path), np.load(path), np.load(path, mmap_mode="r")):
        assert tokens.dtype == dtype and tokens.tolist() == expected
    assert isinstance(data.open_tokens(path), np.memmap)
    assert os.path.getsize(path) == 128 + 103 * np.dtype(dtype).itemsize
    assert os.listdir(tmp_path) == ["tokens.npy"]


def test_an_iterator_is_never_held_in_memory(tmp_path):
    path, piece = tmp_path / "tokens.npy", np.zeros(1000, np.int64)
    tracemalloc.start()
    n_tokens = data.write_tokens(path, (piece for _ in range(2000)), 256)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_tokens == 2_000_000 and highest < 200_000


@pytest.mark.parametrize("sequences, error, words", [
    ([[1], [256]], ValueError, "token id 256 is outside the vocabulary of 256 tokens"),
    ([[1, -1]], ValueError, "token id -1 is outside"),
    ([], ValueError, "no tokens"),
    ([[], []], ValueError, "no tokens"),
    ([1, 2, 3], TypeError, "a sequence, not int"),
    (["one"], TypeError, "a sequence, not str"),
    ([[[1, 2]]], TypeError, r"of shape \(1, 2\)"),
    ([[1.0]], TypeError, "integers, not float64"),
    ([[True]], TypeError, "integers, not bool"),
])  # fmt: skip
def test_an_old_file_outlives_bad_tokens(tmp_path, sequences, error, words):
    path = tmp_path / "tokens.npy"
    data.write_tokens(path, [[1, 2, 3]], 256)
    with pytest.raises(error, match=words):
        data.write_tokens(path, sequences, 256)
    assert data.open_tokens(path).tolist() == [1, 2, 3]
    assert os.listdir(tmp_path) == ["tokens.npy"]


def test_an_old_file_outlives_an_error_on_the_way(tmp_path):
    def broken():
        yield [7, 8]
        raise KeyboardInterrupt

    path = tmp_path / "tokens.npy"
    data.write_tokens(path, [[1, 2, 3]], 256)
    with pytest.raises(KeyboardInterrupt):
        data.write_tokens(path, broken(), 256)
    assert data.open_tokens(path).tolist() == [1, 2, 3]
    assert os.listdir(tmp_path) == ["tokens.npy"]


@pytest.mark.parametrize("vocab_size, error", [
    (0, ValueError), (2**32 + 1, ValueError), (256.0, TypeError),
])  # fmt: skip
def test_bad_vocabularies(tmp_path, vocab_size, error):
    with pytest.raises(error):
        data.write_tokens(tmp_path / "tokens.npy", [[1]], vocab_size)
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "tokens.npy"
    data.write_tokens(path, [range(50)], 256)
    whole = path.read_bytes()
    for n in (0, 5, 60, 127, 128, len(whole) - 1):
        path.write_bytes(whole[:n])
        with pytest.raises(ValueError, match="tokens.npy is not a whole token file"):
            data.open_tokens(path)
    rng = np.random.default_rng(0)
    for _ in range(300):  # whatever the header says, it is an answer or a ValueError
        broken = bytearray(whole)
        broken[rng.integers(128)] = rng.integers(256)
        path.write_bytes(broken)
        try:
            data.open_tokens(path)
        except ValueError:
            pass


@pytest.mark.parametrize("array", [
    np.zeros(5), np.zeros(5, np.int64), np.zeros((2, 3), np.uint16),
    np.array(7, np.uint16), np.array([b"a", "b"], object),
])  # fmt: skip
def test_another_array_is_refused(tmp_path, array):
    path = tmp_path / "other.npy"
    np.save(path, array)
    with pytest.raises(ValueError, match="other.npy"):
        data.open_tokens(path)


def test_no_token_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.open_tokens(tmp_path / "none.npy")


# Blocks


@pytest.mark.parametrize("n, T", [
    (9, 8), (10, 8), (15, 8), (16, 8), (17, 8), (24, 8), (103, 8), (2, 1), (30, 1),
])  # fmt: skip
def test_each_epoch_has_each_block_once(n, T):
    blocks = data.Blocks(np.arange(n), T, seed=1)
    assert blocks.n_blocks >= 1 and n - 1 - blocks.n_blocks * T < 2 * T
    offsets, orders = set(), set()
    for epoch in range(40):
        first = epoch * blocks.n_blocks
        rows = [blocks.sequence(first + i) for i in range(blocks.n_blocks)]
        for row in rows:
            assert row.dtype == np.int64 and row.shape == (T + 1,)
            assert (np.diff(row) == 1).all()  # neighbours in the stream
        targets = np.sort(np.concatenate([row[1:] for row in rows]))
        assert (np.diff(targets) == 1).all()  # no target twice, none left out between
        offsets.add(int(targets[0]))
        orders.add(tuple(int(row[0]) - int(targets[0]) for row in rows))
    assert len(offsets) == min(blocks.n_offsets, T) or len(offsets) > 5
    assert len(orders) == 1 if blocks.n_blocks == 1 else len(orders) > 1


def test_every_token_has_its_turn_in_some_epoch():
    blocks = data.Blocks(np.arange(40), 8)
    rows = [blocks.sequence(i) for i in range(60 * blocks.n_blocks)]
    assert {*np.concatenate(rows).tolist()} == {*range(40)}


def test_a_batch_follows_from_seed_and_step_alone():
    tokens = np.random.default_rng(0).integers(1000, size=500)
    run = data.Blocks(tokens, 16, seed=3)
    batches = [run.batch(step, 4) for step in range(30)]  # four epochs and more
    for step in (29, 0, 11, 7):  # in any order, from another reader
        inputs, targets = data.Blocks(tokens, 16, seed=3).batch(step, 4)
        np.testing.assert_array_equal(inputs, batches[step][0])
        np.testing.assert_array_equal(targets, batches[step][1])
        assert inputs.shape == targets.shape == (4, 16)
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        rows = [run.sequence(i)[1:] for i in range(step * 4, step * 4 + 4)]
        np.testing.assert_array_equal(targets, rows)
    other = data.Blocks(tokens, 16, seed=4).batch(0, 4)[0]
    assert not np.array_equal(other, batches[0][0])


def test_processes_share_the_rows_of_a_batch():
    blocks = data.Blocks(np.arange(200), 8, seed=5)
    for step in range(9):
        shares = [blocks.batch(step * 3 + r, 2)[0] for r in range(3)]
        np.testing.assert_array_equal(np.concatenate(shares), blocks.batch(step, 6)[0])


def test_a_mapped_file_gives_the_same_batches(tmp_path):
    ids = np.random.default_rng(0).integers(1024, size=3000)
    data.write_tokens(tmp_path / "tokens.npy", [ids], 1024)
    mapped = data.Blocks(data.open_tokens(tmp_path / "tokens.npy"), 32)
    assert isinstance(mapped.tokens.base, np.memmap)  # a view, not a copy
    for blocks in (data.Blocks(ids, 32), data.Blocks(ids.tolist(), 32)):
        for a, b in zip(mapped.batch(20, 8), blocks.batch(20, 8), strict=True):
            assert a.dtype == b.dtype == np.int64
            np.testing.assert_array_equal(a, b)


def test_a_batch_belongs_to_its_reader():
    """What a training step writes into a batch must not reach the stream."""
    tokens = np.arange(100)
    inputs, _ = data.Blocks(tokens, 8).batch(0, 2)
    inputs[:] = -1
    assert tokens.tolist() == [*range(100)]


def test_too_few_tokens():
    with pytest.raises(ValueError, match="8 tokens are too few for a block of 8.* 9 "):
        data.Blocks(range(8), 8)
    with pytest.raises(ValueError, match="0 tokens"):
        data.Blocks([], 8)


@pytest.mark.parametrize("arguments, error", [
    (([1.5, 2.5], 1), TypeError), (("text", 1), TypeError), ((5, 1), TypeError),
    (([[1, 2]], 1), TypeError), (([1, 2], 0), ValueError), (([1, 2], 1.0), TypeError),
    (([1, 2], 1, -1), ValueError), (([1, 2], 1, None), TypeError),
])  # fmt: skip
def test_bad_arguments(arguments, error):
    with pytest.raises(error):
        data.Blocks(*arguments)


def test_bad_batches():
    blocks = data.Blocks(range(100), 8)
    with pytest.raises(ValueError, match="batch_size must be at least 1, not 0"):
        blocks.batch(0, 0)
    with pytest.raises(ValueError, match="from 0, and -4 is below"):
        blocks.batch(-1, 4)
    with pytest.raises(TypeError):
        blocks.sequence(0.5)
