"""The native library of this process and its calls, by ctypes."""

from __future__ import annotations

import ctypes
import functools
import logging
from pathlib import Path

import torch

from cuda.kernels.native.build import built_library
from cuda.kernels.slots import EvictionRows, SlotCache

ELEMENT_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
"""Codes of element types, in the order of `ElementType` in common.h."""
THREAD_WORK = 1 << 20
"""Elements of keys below which one thread is used: starting one costs about 30 µs."""

_OUTSIDE = -2
_POINTER, _WIDE, _NARROW = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32


class DecodeArguments(ctypes.Structure):
    """`DecodeArguments` of common.h."""

    _fields_ = [
        *(
            (name, _POINTER)
            for name in ("query", "key", "value", "out", "keys", "values")
        ),
        *(
            (name, _POINTER)
            for name in ("scores", "positions", "pinned", "filled", "write")
        ),
        *((name, _POINTER) for name in ("rows", "step", "victim", "capacity", "recent")),
        *((name, _POINTER) for name in ("sinks", "decay")),
        *((name, _WIDE) for name in ("sequences", "live", "kv_heads", "group")),
        *((name, _WIDE) for name in ("slots", "head_size")),
        *(
            (name, _NARROW)
            for name in ("query_type", "new_type", "cache_type", "threads")
        ),
    ]


class Library:
    """A built library, loaded into this process."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises OSError or AttributeError when it is not what this module expects."""
        self.path = path
        self._loaded = ctypes.CDLL(str(path))
        self.h2o_decode = self._loaded.trimtab_h2o_decode
        self.h2o_decode.argtypes = [ctypes.POINTER(DecodeArguments)]
        self._tier = self._loaded.trimtab_tier
        self._tier.restype = ctypes.c_char_p

    @property
    def tier(self) -> str:
        """Instruction set in use: generic, avx2 or avx512."""
        return str(self._tier().decode())

    def choose_tier(self, number: int) -> bool:
        """Use the tier of a number, 0 the plainest; return False where this CPU lacks it."""
        return bool(self._loaded.trimtab_choose_tier(number) == 0)


@functools.cache
def library() -> Library | None:
    """Return the library; None, after one warning, where it cannot be built or loaded."""
    try:
        return require_library()
    except OSError as error:
        logging.getLogger(__name__).warning(
            "%s; the plain torch reference serves instead, several times slower", error
        )
        return None


@functools.cache
def require_library() -> Library:
    """Return the library. Raises OSError where it cannot be built or loaded."""
    path = built_library()
    try:
        return Library(path)
    except AttributeError as error:
        raise OSError(f"native kernels: {path} lacks a function: {error}") from error


def h2o_decode(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cache: SlotCache,
    rows: torch.Tensor,
    step: torch.Tensor,
    rules: EvictionRows,
) -> torch.Tensor:
    """Run `cuda.kernels.reference.h2o_decode` in native code.

    Raises:
        ValueError: a sequence has no free slot; nothing is changed then.
        MemoryError: no memory for the logits.
    """
    query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
    if value.dtype != key.dtype:
        value = value.to(key.dtype)
    out = torch.empty_like(query)
    live, kv_heads, group, head_size = query.shape
    each = [rows.long(), step.int(), rules.victim.int(), rules.capacity.int(),
            rules.recent.int(), rules.sinks.int(), rules.decay.float()]  # fmt: skip
    pointers = [query, key, value, out, cache.keys, cache.values, cache.scores,
                cache.positions, cache.pinned, cache.filled, cache.write,
                *(part.contiguous() for part in each)]  # fmt: skip
    busy = live * kv_heads * cache.slots * head_size > THREAD_WORK
    arguments = DecodeArguments(
        *(part.data_ptr() for part in pointers),
        len(cache.filled),
        live,
        kv_heads,
        group,
        cache.slots,
        head_size,
        ELEMENT_TYPES[query.dtype],
        ELEMENT_TYPES[key.dtype],
        ELEMENT_TYPES[cache.keys.dtype],
        torch.get_num_threads() if busy else 1,
    )
    status = require_library().h2o_decode(ctypes.byref(arguments))
    if status > 0:
        raise ValueError(
            f"cache: expected a free slot among {int(rules.capacity[status - 1])}, got none; "
            "a rule without eviction needs a slot per token"
        )
    if status == _OUTSIDE:
        raise ValueError(
            f"cache: expected rows below {len(cache.filled)}, and slots and capacities up to "
            f"{cache.slots}, got rows {rows.tolist()}, capacities {rules.capacity.tolist()}"
        )
    if status < 0:
        raise MemoryError("native kernels: no memory for the logits of a step")
    return out
