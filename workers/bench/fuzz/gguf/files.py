"""Small models as GGUF files, written byte by byte. Tests use them too."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workers.llm.dequantise import BLOCKS

_U32, _I32, _F32, _BOOL, _STRING, _ARRAY, _U64 = 4, 5, 6, 7, 8, 9, 10
_ALIGNMENT = 32
F32, F16, Q4_0, Q4_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16 = 0, 1, 2, 3, 8, 12, 13, 14, 30
# Byte at which the float16 numbers of a block begin, and how many there are.
_SCALES = {
    Q4_0: (0, 1),
    Q4_1: (0, 2),
    Q8_0: (0, 1),
    Q4_K: (0, 2),
    Q5_K: (0, 2),
    Q6_K: (208, 1),
}
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Shape of a small model."""

    architecture: str = "llama"
    layers: int = 1
    width: int = 32
    feed_forward: int = 64
    heads: int = 4
    kv_heads: int = 2


def byte_characters() -> list[str]:
    """Return GPT-2's characters for the bytes 0 to 255."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def vocabulary() -> tuple[list[str], list[str]]:
    """Return tokens and merges: special tokens, all bytes, and a few words."""
    letters = byte_characters()
    space = letters[32]
    merges = [
        ("t", "h"),
        ("th", "e"),
        (space, "the"),
        ("a", "n"),
        ("an", "d"),
        ("1", "2"),
    ]
    tokens = [*SPECIAL, *letters, *(left + right for left, right in merges)]
    return tokens, [f"{left} {right}" for left, right in merges]


def metadata(shape: Shape, **changed: Any) -> dict[str, Any]:
    """Return the keys of a model file; None leaves a key out."""
    tokens, merges = vocabulary()
    prefix = shape.architecture
    keys: dict[str, Any] = {
        "general.architecture": prefix,
        "general.alignment": _ALIGNMENT,
        f"{prefix}.block_count": shape.layers,
        f"{prefix}.context_length": 256,
        f"{prefix}.embedding_length": shape.width,
        f"{prefix}.feed_forward_length": shape.feed_forward,
        f"{prefix}.attention.head_count": shape.heads,
        f"{prefix}.attention.head_count_kv": shape.kv_heads,
        f"{prefix}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{prefix}.rope.freq_base": 10_000.0,
        f"{prefix}.rope.dimension_count": shape.width // shape.heads,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": np.array(
            [3 if token in SPECIAL else 1 for token in tokens], np.int32
        ),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": CHATML,
    }
    keys |= {name.replace("__", "."): value for name, value in changed.items()}
    return {name: value for name, value in keys.items() if value is not None}


def shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all tensors, as in torch."""
    width, inner = shape.width, shape.feed_forward
    head = width // shape.heads
    queries, keys = shape.heads * head, shape.kv_heads * head
    by_name: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(vocabulary()[0]), width),
        "output_norm.weight": (width,),
    }
    for i in range(shape.layers):
        by_name |= {
            f"blk.{i}.attn_norm.weight": (width,),
            f"blk.{i}.ffn_norm.weight": (width,),
            f"blk.{i}.attn_q.weight": (queries, width),
            f"blk.{i}.attn_k.weight": (keys, width),
            f"blk.{i}.attn_v.weight": (keys, width),
            f"blk.{i}.attn_output.weight": (width, queries),
            f"blk.{i}.ffn_gate.weight": (inner, width),
            f"blk.{i}.ffn_up.weight": (inner, width),
            f"blk.{i}.ffn_down.weight": (width, inner),
        }
        if shape.architecture == "qwen2":
            biases = {"q": queries, "k": keys, "v": keys}
            by_name |= {f"blk.{i}.attn_{name}.bias": (n,) for name, n in biases.items()}
    return by_name


def random_blocks(kind: int, shape: Sequence[int], rng: np.random.Generator) -> bytes:
    """Return random weights of one kind: integers at random, scales small and finite."""
    count = math.prod(shape)
    if kind == F32:
        return (rng.standard_normal(count) * 0.1).astype("<f4").tobytes()
    if kind == F16:
        return (rng.standard_normal(count) * 0.1).astype("<f2").tobytes()
    if kind == BF16:
        values = (rng.standard_normal(count) * 0.1).astype("<f4")
        return (values.view("<u4") >> 16).astype("<u2").tobytes()
    block = BLOCKS[kind]
    blocks = rng.integers(0, 256, (count // block.weights, block.size), np.uint8)
    first, numbers = _SCALES[kind]
    scales = rng.uniform(0.001, 0.01, (len(blocks), numbers)).astype("<f2")
    blocks[:, first : first + 2 * numbers] = scales.view(np.uint8)
    return blocks.tobytes()


def model_file(
    shape: Shape, *, kind: int, rng: np.random.Generator, **changed: Any
) -> bytes:
    """Return a model whose matrices are of one kind; vectors are F32."""
    tensors = {}
    for name, size in shapes(shape).items():
        used = kind if len(size) > 1 else F32
        tensors[name] = (used, size, random_blocks(used, size, rng))
    return gguf(metadata(shape, **changed), tensors)


def gguf(
    keys: Mapping[str, Any], tensors: Mapping[str, tuple[int, Sequence[int], bytes]]
) -> bytes:
    """Return a file, version 3, of keys and of tensors (type, shape as in torch, contents)."""
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))]
    for name, value in keys.items():
        head += [_string(name), _value(value)]
    contents, at = [], 0
    for name, (kind, shape, raw) in tensors.items():
        head.append(_string(name) + struct.pack("<I", len(shape)))
        head.append(struct.pack(f"<{len(shape)}Q", *reversed(shape)))
        head.append(struct.pack("<IQ", kind, at))
        padded = raw + b"\0" * (-len(raw) % _ALIGNMENT)
        contents.append(padded)
        at += len(padded)
    header = b"".join(head)
    return header + b"\0" * (-len(header) % _ALIGNMENT) + b"".join(contents)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, np.ndarray):
        kind = _F32 if value.dtype.kind == "f" else _I32
        array = value.astype("<f4" if kind == _F32 else "<i4")
        return struct.pack("<IIQ", _ARRAY, kind, len(array)) + array.tobytes()
    strings = b"".join(map(_string, value))
    return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + strings
