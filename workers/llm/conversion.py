"""Convert a GGUF file to a folder in the layout of Hugging Face: config, tokenizer and safetensors.

`python -m workers.llm.conversion FILE FOLDER BF16|F32 BYTES SECONDS` is the child that reads an
untrusted file: it limits its memory and time, gives up its privileges, and writes only to FOLDER.
Its one line of output is `{"sha256": ...}` of the file or `{"error": ...}`. It holds no torch, so
that it starts in a fraction of a second. `workers.llm.weights` is its parent.

Weights are converted a few rows at a time. Queries, keys and values are written as one matrix, and
so are gate and up; rows of queries and keys are put back from the order of llama.cpp's converter
(interleaved pairs) to that of Hugging Face (rotate-half).
"""

from __future__ import annotations

import hashlib
import json
import math
import resource
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from solvers import privileges
from workers.llm import dequantise
from workers.llm.child_environment import lower_limits
from workers.llm.gguf import BadModelFile, GgufFile, TensorEntry
from workers.llm.gguf_tokenizer import tokenizer_files

WEIGHTS_FILE = "model.safetensors"
_ROWS_AT_ONCE = 1 << 21  # weights, of which a chunk of rows holds about as many
_ARCHITECTURES = ("llama", "qwen2")
# Llama 3 stretches positions by these; a GGUF file holds only the factors that follow.
_LLAMA3_LOW, _LLAMA3_HIGH, _LLAMA3_CONTEXT = 1.0, 4.0, 8192


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """Shape of the decoder in a file."""

    architecture: str
    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context_tokens: int


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A tensor to be written: parts one below another, each with its order of rows or None."""

    name: str
    shape: tuple[int, ...]
    parts: tuple[tuple[TensorEntry, NDArray[np.int64] | None], ...]


def convert(source: Path, folder: Path, *, dtype: str) -> None:
    """Write the folder for a file. Raises BadModelFile and OSError.

    dtype: "BF16" or "F32", of the matrices; norms and biases are F32 in either.
    """
    gguf = GgufFile(source)
    shape = _shape(gguf)
    targets = _Layout(gguf, shape).targets()
    config = _config(gguf, shape, tied="output.weight" not in gguf.tensors)
    tokenizer = tokenizer_files(gguf)
    tokens = len(gguf.metadata["tokenizer.ggml.tokens"])
    if tokens > shape.vocabulary:
        raise BadModelFile(
            f"{source.name}: expected at most {shape.vocabulary} tokens, one for each row of the "
            f"embedding, got {tokens}; download the file again"
        )
    for name, content in (tokenizer | {"config.json": config}).items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False))
    with (folder / WEIGHTS_FILE).open("wb") as out:
        _write_weights(out, gguf, targets, dtype)


def _shape(gguf: GgufFile) -> _Shape:
    architecture = str(gguf.metadata.get("general.architecture", "nothing"))
    if architecture not in _ARCHITECTURES:
        raise BadModelFile(
            f"{gguf.path.name}: general.architecture: expected one of "
            f"{', '.join(_ARCHITECTURES)}, got {architecture[:40]!r}; take another model"
        )
    prefix = f"{architecture}."
    heads = gguf.count(f"{prefix}attention.head_count", most=1024)
    width = gguf.count(f"{prefix}embedding_length", most=1 << 17)
    if width % heads and f"{prefix}attention.key_length" not in gguf.metadata:
        raise BadModelFile(
            f"{gguf.path.name}: embedding_length: expected a multiple of {heads} heads, got {width}"
        )
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding is None:
        raise BadModelFile(f"{gguf.path.name}: expected a tensor 'token_embd.weight'")
    return _Shape(
        architecture=architecture,
        layers=gguf.count(f"{prefix}block_count", most=1024),
        width=width,
        feed_forward=gguf.count(f"{prefix}feed_forward_length", most=1 << 20),
        heads=heads,
        kv_heads=gguf.count(f"{prefix}attention.head_count_kv", heads, most=heads),
        head_size=gguf.count(
            f"{prefix}attention.key_length", max(1, width // heads), most=1024
        ),
        vocabulary=embedding.rows,
        context_tokens=gguf.count(f"{prefix}context_length", most=1 << 28),
    )


def _config(gguf: GgufFile, shape: _Shape, *, tied: bool) -> dict[str, Any]:
    """Return config.json. Raises BadModelFile for what the engine does not know."""
    prefix = f"{shape.architecture}."
    theta = float(gguf.number(f"{prefix}rope.freq_base", 10000.0))
    scaling = gguf.metadata.get(f"{prefix}rope.scaling.type", "none")
    if scaling != "none":
        raise BadModelFile(
            f"{gguf.path.name}: rope.scaling.type: expected none or Llama 3's factors, got "
            f"{str(scaling)[:40]!r}; take another model"
        )
    rotated = gguf.count(f"{prefix}rope.dimension_count", shape.head_size, most=1024)
    if rotated != shape.head_size:
        raise BadModelFile(
            f"{gguf.path.name}: rope.dimension_count: expected {shape.head_size}, all of a head, "
            f"got {rotated}; take another model"
        )
    return {
        "model_type": shape.architecture,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.context_tokens,
        "sliding_window": gguf.metadata.get(f"{prefix}attention.sliding_window"),
        "rms_norm_eps": gguf.number(f"{prefix}attention.layer_norm_rms_epsilon"),
        "tie_word_embeddings": tied,
        "rope_theta": theta,
        "rope_scaling": _llama3_scaling(gguf, shape, theta),
    }


def _llama3_scaling(gguf: GgufFile, shape: _Shape, theta: float) -> dict[str, Any] | None:
    """Return the parameters behind `rope_freqs.weight`, the factors by which periods grow.

    Raises BadModelFile when they are not Llama 3's.
    """
    entry = gguf.tensors.get("rope_freqs.weight")
    if entry is None:
        return None
    factors = dequantise.rows(entry.ggml_type, gguf.raw(entry, 0, entry.rows)).reshape(-1)
    largest = float(factors.max())
    if math.isfinite(largest) and largest >= 1.0 and theta > 1.0:
        expected = llama3_factors(theta, shape.head_size, largest)
        if len(factors) == len(expected) and np.allclose(factors, expected, rtol=1e-3):
            return {
                "rope_type": "llama3",
                "factor": largest,
                "low_freq_factor": _LLAMA3_LOW,
                "high_freq_factor": _LLAMA3_HIGH,
                "original_max_position_embeddings": _LLAMA3_CONTEXT,
            }
    raise BadModelFile(
        f"{gguf.path.name}: rope_freqs.weight: expected the factors of Llama 3's scaling, got "
        "others; take the model as safetensors"
    )


def llama3_factors(theta: float, head_size: int, factor: float) -> NDArray[np.float64]:
    """Return by how much each of the head_size/2 rotations is slowed down."""
    wavelengths = 2 * np.pi * theta ** (np.arange(0, head_size, 2) / head_size)
    smooth = (_LLAMA3_CONTEXT / wavelengths - _LLAMA3_LOW) / (_LLAMA3_HIGH - _LLAMA3_LOW)
    smooth = np.clip(smooth, 0.0, 1.0)
    return 1.0 / ((1 - smooth) / factor + smooth)


class _Layout:
    """Tensors of the folder, each with the tensors of the file that make it."""

    def __init__(self, gguf: GgufFile, shape: _Shape) -> None:
        self._gguf, self._shape = gguf, shape
        self._left = dict(gguf.tensors)
        self._left.pop("rope_freqs.weight", None)

    def targets(self) -> list[_Target]:
        """Return all tensors of the folder. Raises BadModelFile if any is missing or left over."""
        s = self._shape
        targets = [
            self._one("model.embed_tokens", "token_embd", (s.vocabulary, s.width)),
            self._one("model.norm", "output_norm", (s.width,)),
        ]
        if "output.weight" in self._left:
            targets.append(self._one("lm_head", "output", (s.vocabulary, s.width)))
        for i in range(s.layers):
            targets += self._layer(f"model.layers.{i}.", f"blk.{i}.")
        if self._left:
            raise BadModelFile(
                f"{self._gguf.path.name}: unexpected tensor {min(self._left)[:80]!r} for "
                f"architecture {s.architecture}; take another model"
            )
        return targets

    def _layer(self, to: str, source: str) -> list[_Target]:
        s = self._shape
        queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
        # Only the converter for `llama` interleaves.
        swapped = s.architecture == "llama"
        q_order = _half_split(s.heads, s.head_size) if swapped else None
        k_order = _half_split(s.kv_heads, s.head_size) if swapped else None
        heads = (
            ("attn_q", queries, q_order),
            ("attn_k", keys, k_order),
            ("attn_v", keys, None),
        )
        targets = [
            self._one(f"{to}input_layernorm", f"{source}attn_norm", (s.width,)),
            self._one(f"{to}post_attention_layernorm", f"{source}ffn_norm", (s.width,)),
            self._one(
                f"{to}self_attn.o_proj", f"{source}attn_output", (s.width, queries)
            ),
            self._one(
                f"{to}mlp.down_proj", f"{source}ffn_down", (s.width, s.feed_forward)
            ),
            self._many(
                f"{to}self_attn.qkv_proj.weight",
                [(f"{source}{name}.weight", rows, order) for name, rows, order in heads],
                (s.width,),
            ),
            self._many(
                f"{to}mlp.gate_up_proj.weight",
                [
                    (f"{source}ffn_{name}.weight", s.feed_forward, None)
                    for name in ("gate", "up")
                ],
                (s.width,),
            ),
        ]
        if s.architecture == "qwen2":
            biases = [(f"{source}{name}.bias", rows, None) for name, rows, _ in heads]
            targets.append(self._many(f"{to}self_attn.qkv_proj.bias", biases, ()))
        return targets

    def _one(self, to: str, source: str, shape: tuple[int, ...]) -> _Target:
        entry = self._take(f"{source}.weight", shape)
        return _Target(name=f"{to}.weight", shape=shape, parts=((entry, None),))

    def _many(
        self,
        to: str,
        parts: Sequence[tuple[str, int, NDArray[np.int64] | None]],
        columns: tuple[int, ...],
    ) -> _Target:
        taken = tuple(
            (self._take(name, (rows, *columns)), order) for name, rows, order in parts
        )
        return _Target(
            name=to, shape=(sum(rows for _, rows, _ in parts), *columns), parts=taken
        )

    def _take(self, name: str, shape: tuple[int, ...]) -> TensorEntry:
        entry = self._left.pop(name, None)
        if entry is None or entry.shape != shape:
            got = "nothing" if entry is None else f"shape {list(entry.shape)}"
            raise BadModelFile(
                f"{self._gguf.path.name}: tensor {name!r}: expected shape {list(shape)}, "
                f"got {got}; download the file again"
            )
        return entry


def _half_split(heads: int, head_size: int) -> NDArray[np.int64]:
    """Return, for each row in rotate-half order, its number among interleaved rows."""
    rows = np.arange(heads * head_size, dtype=np.int64)
    return rows.reshape(heads, head_size // 2, 2).transpose(0, 2, 1).reshape(-1)


def _write_weights(
    out: BinaryIO, gguf: GgufFile, targets: Sequence[_Target], dtype: str
) -> None:
    """Write a safetensors file: a header in JSON, then the tensors one after another."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for target in targets:
        kind = dtype if len(target.shape) > 1 else "F32"
        end = at + math.prod(target.shape) * (2 if kind == "BF16" else 4)
        header[target.name] = {
            "dtype": kind,
            "shape": target.shape,
            "data_offsets": [at, end],
        }
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    out.write(struct.pack("<Q", len(text)) + text)
    for target in targets:
        for values in _chunks(gguf, target):
            half = header[target.name]["dtype"] == "BF16"
            out.write((_to_bf16(values) if half else values).tobytes())


def _chunks(gguf: GgufFile, target: _Target) -> Iterator[NDArray[np.float32]]:
    """Yield the values of a tensor, a few rows at a time."""
    for entry, order in target.parts:
        columns = entry.shape[-1]
        step = max(1, _ROWS_AT_ONCE // columns)
        raw = gguf.raw(entry, 0, entry.rows)
        for first in range(0, entry.rows, step):
            rows = (
                raw[first : first + step]
                if order is None
                else raw[order[first : first + step]]
            )
            values = dequantise.rows(entry.ggml_type, rows)
            if not np.isfinite(values).all():
                raise BadModelFile(
                    f"{gguf.path.name}: tensor {entry.name!r}: expected finite weights; "
                    "download the file again"
                )
            yield values


def _to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to bfloat16, ties to even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = bits + (0x7FFF + ((bits >> 16) & 1)).astype(np.uint32)
    return (rounded >> 16).astype(np.uint16)


def confine(*, readable: Sequence[Path], writable: Path, memory: int, cpu_s: int) -> None:
    """Limit this process's memory and processor time, and drop its privileges.

    memory: bytes of address space, and of each file that is written.
    """
    lower_limits(
        {
            resource.RLIMIT_AS: memory,
            resource.RLIMIT_FSIZE: memory,
            resource.RLIMIT_CPU: cpu_s,
            resource.RLIMIT_CORE: 0,
        }
    )
    privileges.drop(
        readable=(
            *privileges.SYSTEM_FOLDERS,
            *privileges.SYSTEM_FACTS,
            sys.prefix,
            sys.base_prefix,
            *readable,
        ),
        writable=(writable,),
    )


def _main(source: Path, folder: Path, dtype: str, memory: int, cpu_s: int) -> int:
    confine(readable=(source,), writable=folder, memory=memory, cpu_s=cpu_s)
    try:
        convert(source, folder, dtype=dtype)
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except BadModelFile as error:
        print(json.dumps({"error": str(error)[:2000]}))
        return 1
    except MemoryError:
        reason = f"{source.name}: expected a model that needs at most {memory >> 20} MiB to read"
        print(json.dumps({"error": reason}))
        return 1
    print(json.dumps({"sha256": digest}))
    return 0


if __name__ == "__main__":
    sys.exit(
        _main(
            Path(sys.argv[1]),
            Path(sys.argv[2]),
            sys.argv[3],
            int(sys.argv[4]),
            int(sys.argv[5]),
        )
    )
