"""What a GPT consists of, and how it is kept in files.

`Config` holds the sizes of a model, `parameter_shapes` the name and the shape of each
weight. A model folder has two files in the Hugging Face layout: `config.json`, and
`model.safetensors` with the weights. A safetensors file is: the length of the header (8
bytes, little-endian); the header (JSON: name -> dtype, shape, offsets); the numbers.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
MAX_HEADER = 100_000_000  # bytes, the format's own limit

# What `config.json` calls the fields of a Config, and what it must say besides.
NAMES = {
    "vocab_size": "vocab_size",
    "block_size": "n_positions",
    "n_layer": "n_layer",
    "n_head": "n_head",
    "d_model": "n_embd",
    "layer_norm_epsilon": "layer_norm_epsilon",
}
GPT2 = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Config:
    """The sizes of a GPT, checked: ValueError or TypeError names what can't be."""

    vocab_size: int
    block_size: int  # the longest sequence, in tokens
    n_layer: int
    n_head: int
    d_model: int  # C, the width
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self):
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "d_model"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.d_model % self.n_head:
            raise ValueError(
                f"d_model {self.d_model} is not a multiple of n_head {self.n_head}"
            )
        if not self.layer_norm_epsilon > 0:
            raise ValueError(
                f"layer_norm_epsilon must be positive, not {self.layer_norm_epsilon}"
            )

    @property
    def d_head(self):
        """The width of one head."""
        return self.d_model // self.n_head

    @classmethod
    def load(cls, folder):
        """Reads `config.json`; ValueError if it isn't that of a GPT-2."""
        path = Path(folder) / "config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        needed = ["model_type", *NAMES.values()]
        if missing := [name for name in needed if name not in settings]:
            raise ValueError(f"{path} lacks {', '.join(missing)}")
        for name, value in GPT2.items():
            if settings.get(name, value) != value:
                raise ValueError(f"{path}: {name} is {settings[name]!r}, not {value!r}")
        return cls(**{field: settings[name] for field, name in NAMES.items()})

    def save(self, folder, bos_token_id=None, eos_token_id=None):
        """Writes `config.json`, which transformers loads as GPT2LMHeadModel."""
        settings = {
            "architectures": ["GPT2LMHeadModel"],
            **GPT2,
            **{name: getattr(self, field) for field, name in NAMES.items()},
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "bos_token_id": bos_token_id,
            "eos_token_id": eos_token_id,
        }
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(settings, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")


# The parameters


def parameter_shapes(config):
    """The name and the shape of every parameter, under GPT-2's own names.

    Matrices are stored (in, out). The output layer has none: it uses `wte` again.
    """
    V, C = config.vocab_size, config.d_model
    shapes = {"wte.weight": (V, C), "wpe.weight": (config.block_size, C)}
    for i in range(config.n_layer):
        shapes |= {
            f"h.{i}.ln_1.weight": (C,),
            f"h.{i}.ln_1.bias": (C,),
            f"h.{i}.attn.c_attn.weight": (C, 3 * C),  # query, key, value side by side
            f"h.{i}.attn.c_attn.bias": (3 * C,),
            f"h.{i}.attn.c_proj.weight": (C, C),
            f"h.{i}.attn.c_proj.bias": (C,),
            f"h.{i}.ln_2.weight": (C,),
            f"h.{i}.ln_2.bias": (C,),
            f"h.{i}.mlp.c_fc.weight": (C, 4 * C),
            f"h.{i}.mlp.c_fc.bias": (4 * C,),
            f"h.{i}.mlp.c_proj.weight": (4 * C, C),
            f"h.{i}.mlp.c_proj.bias": (C,),
        }
    return shapes | {"ln_f.weight": (C,), "ln_f.bias": (C,)}


def count_parameters(config):
    """The number of parameters: 124,439,808 for GPT-2 small."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def check_parameters(params, config):
    """ValueError lists every parameter that is missing, unexpected or misshapen."""
    shapes = parameter_shapes(config)
    faults = [f"{name} is missing" for name in shapes if name not in params]
    faults += [f"{name} is unexpected" for name in params if name not in shapes]
    faults += [
        f"{name} has shape {params[name].shape}, not {shape}"
        for name, shape in shapes.items()
        if name in params and params[name].shape != shape
    ]
    if faults:
        raise ValueError("the parameters don't fit the config: " + "; ".join(faults))


def load_parameters(folder, config):
    """The parameters in `model.safetensors`, by name, checked against the config.

    Accepts what other programs write: a prefix "transformer.", the stored masks of old
    GPT-2 files, and a copy of `wte` as `lm_head.weight` (ValueError if it differs).
    """
    path = Path(folder) / "model.safetensors"
    params = {}
    for name, array in read_safetensors(path).items():
        name = name.removeprefix("transformer.")
        if name in params:
            raise ValueError(f"{path} has {name} twice, with and without a prefix")
        if not re.fullmatch(r"h\.\d+\.attn\.(masked_)?bias", name):
            params[name] = array
    head = params.pop("lm_head.weight", None)
    check_parameters(params, config)
    if head is not None and not np.array_equal(head, params["wte.weight"]):
        raise ValueError(f"{path}: lm_head.weight differs from wte.weight")
    return params


# The safetensors format


def write_safetensors(path, arrays, metadata=None):
    """Writes arrays by name, and metadata (str -> str); the same bytes every time.

    A crash leaves an old file whole: the new one replaces it once it is complete.
    Raises ValueError for a dtype that the format lacks, and for bad names or metadata.
    """
    names = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype not in names:
            raise ValueError(f"{name} has dtype {array.dtype}; there are {[*DTYPES]}")
    if "__metadata__" in arrays:
        raise ValueError("an array can't have the name __metadata__")
    header, end = {}, 0
    if metadata:
        header["__metadata__"] = _checked_metadata(metadata)
    # The widest numbers first, so that each array begins at a multiple of its width.
    arrays = dict(sorted(arrays.items(), key=lambda pair: (-pair[1].itemsize, pair[0])))
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[array.dtype],
            "shape": array.shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the data begin at a multiple of 8
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for array in arrays.values():
                file.write(array.tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_safetensors(path, with_metadata=False):
    """The arrays of a file by name; with `with_metadata`, (arrays, metadata).

    NumPy has no bfloat16: BF16 is widened to float32, which is exact. Raises ValueError
    for a file that breaks the format in any way.
    """
    try:
        with open(path, "rb") as file:
            tensors, metadata = _read_header(file, os.path.getsize(path))
            arrays = {}
            for name, dtype, shape, begin, end in tensors:
                data = bytearray(file.read(end - begin))
                array = np.ndarray(shape, DTYPES[dtype], data)
                if dtype == "BF16":  # the upper half of a float32
                    array = np.asarray(array.astype("<u4") << 16).view("<f4")
                arrays[name] = array
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    return (arrays, metadata) if with_metadata else arrays


def _read_header(file, size):
    """The tensors of a file of `size` bytes in the order of their data, checked.

    Returns a list of (name, dtype, shape, begin, end), and the metadata.
    """
    length = int.from_bytes(file.read(8), "little")
    n_data = size - 8 - length
    if n_data < 0 or length > MAX_HEADER:
        raise ValueError(
            f"{size} bytes can't hold a header of {length} (limit {MAX_HEADER})"
        )
    text = file.read(length).decode()
    header = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise ValueError(f"the header is not a JSON object: {text[:40]}")
    metadata = _checked_metadata(header.pop("__metadata__", {}))
    tensors = []
    for name, entry in header.items():
        match entry:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]}:
                numbers = [*shape, begin, end]
            case _:
                raise ValueError(f"{name} lacks dtype, shape or data_offsets: {entry}")
        if any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"{name}: shape {shape}, offsets {begin} and {end}")
        if dtype not in DTYPES:
            raise ValueError(f"{name} has dtype {dtype}; there are {[*DTYPES]}")
        n_bytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
        if n_bytes != end - begin:
            raise ValueError(
                f"{name}, {dtype} {shape}, needs {n_bytes} bytes, not {end - begin}"
            )
        tensors.append((name, dtype, shape, begin, end))
    tensors.sort(key=lambda tensor: tensor[-2:])
    position = 0
    for name, _, _, begin, end in tensors:
        if begin != position:
            fault = "overlaps another" if begin < position else "follows a hole"
            raise ValueError(f"{name} {fault}: it begins at {begin}, not {position}")
        position = end
    if position != n_data:
        raise ValueError(f"{n_data} bytes of data, but the tensors have {position}")
    return tensors, metadata


def _checked_metadata(metadata):
    if not isinstance(metadata, dict) or not all(
        isinstance(text, str) for pair in metadata.items() for text in pair
    ):
        raise ValueError(f"metadata must map str to str: {metadata}")
    return dict(sorted(metadata.items()))


def _unique(pairs):
    """A JSON object as a dictionary; ValueError if a key comes twice."""
    if len(dict(pairs)) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"twice in the header: {max(keys, key=keys.count)}")
    return dict(pairs)
