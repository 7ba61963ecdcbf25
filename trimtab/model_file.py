"""Header of a fitted model's file, checked without reading a tensor and without numpy.

A model file is safetensors (https://github.com/huggingface/safetensors, "Format"): 8 bytes of
length, a JSON header, then the tensors. Nothing in it is executed, and nothing is unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODEL_FORMAT = "trimtab-model/1"
METADATA = "trimtab"
"""The one key of the file's metadata. Several keys would be written in a random order, and equal
models would have different hashes."""
MOST_BYTES = 64 * 2**20
MOST_HEADER_BYTES = 2**20
MOST_TENSORS = 4_096
_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}


class ModelRefused(ValueError):
    """Not a file of a fitted model."""


@dataclass(frozen=True, kw_only=True)
class ModelHeader:
    """Facts that a model file states about itself."""

    target: str  # kind of job
    scope: Mapping[str, Any]  # inputs that it is for; JSON
    tensors: tuple[str, ...]


def check_header(content: bytes) -> ModelHeader:
    """Check size and header of a model file, and return what it states. Raises ModelRefused."""
    if not 8 < len(content) <= MOST_BYTES:
        raise ModelRefused(
            f"model file: expected 9 to {MOST_BYTES:,} bytes, got {len(content):,}"
        )
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= min(MOST_HEADER_BYTES, len(content) - 8):
        raise ModelRefused(
            f"model file: expected a header of 2 to {MOST_HEADER_BYTES:,} bytes, got {length:,}; "
            "only safetensors files are read"
        )
    try:
        header = json.loads(content[8 : 8 + length], object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"model file: expected a JSON header, got {error}") from None
    if not isinstance(header, dict):
        raise ModelRefused("model file: expected a JSON object as header")
    stated = _stated(header.pop("__metadata__", None))
    _check_tensors(header, len(content) - 8 - length)
    return ModelHeader(
        target=stated["target"], scope=stated["scope"], tensors=tuple(sorted(header))
    )


def _stated(metadata: Any) -> dict[str, Any]:
    """Return target and scope."""
    try:
        stated = json.loads(metadata[METADATA])
        sound = (
            stated["format"] == MODEL_FORMAT
            and isinstance(stated["target"], str)
            and isinstance(stated["scope"], dict)
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        sound = False
    if not sound:
        raise ModelRefused(
            f"model file: expected metadata of format {MODEL_FORMAT}, got another; give a file "
            "that a job of kind learn made"
        )
    return dict(stated)


def _check_tensors(header: Mapping[str, Any], size: int) -> None:
    """Raise ModelRefused unless the tensors cover the data, one after the other."""
    if not 1 <= len(header) <= MOST_TENSORS:
        raise ModelRefused(
            f"model file: expected 1 to {MOST_TENSORS} tensors, got {len(header)}"
        )
    spans = []
    for name, row in header.items():
        try:
            width, shape = _BYTES[row["dtype"]], row["shape"]
            begin, end = row["data_offsets"]
            if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
                raise ValueError("expected whole numbers")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelRefused(f"model file: tensor {name!r}: {error!r}") from None
        if end - begin != width * math.prod(shape):
            raise ModelRefused(f"model file: tensor {name!r}: shape and size differ")
        spans.append((begin, end))
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise ModelRefused("model file: expected tensors without gaps and overlaps")
        at = end
    if at != size:
        raise ModelRefused(
            f"model file: expected {at:,} bytes of tensors, got {size:,}; is it cut off?"
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is there twice")
    return made
