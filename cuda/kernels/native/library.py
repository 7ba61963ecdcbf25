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
"""Elements of keys in use up to which one thread is used: starting one costs about 30 µs."""

_OUTSIDE = -2
_PER_SEQUENCE = ("rows", "step", "victim", "capacity", "recent", "sinks", "decay")
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
        *((name, _WIDE) for name in ("slots", "head_size", "thread_work")),
        *(
            (name, _NARROW)
            for name in ("query_type", "new_type", "cache_type", "threads")
        ),
    ]


class Matrix(ctypes.Structure):
    """`Matrix` of common.h."""

    _fields_ = [
        ("packed", _POINTER),
        ("bias", _POINTER),
        *((name, _WIDE) for name in ("outputs", "inputs", "form")),
    ]


class ProductArguments(ctypes.Structure):
    """`ProductArguments` of common.h."""

    _fields_ = [
        ("matrix", Matrix),
        *((name, _POINTER) for name in ("x", "out", "chosen")),
        *((name, _WIDE) for name in ("rows", "count")),
    ]


class StepLayer(ctypes.Structure):
    """`StepLayer` of common.h."""

    _fields_ = [
        *((name, _POINTER) for name in ("attention_norm", "feed_forward_norm")),
        *((name, Matrix) for name in ("qkv", "attention_out", "gate_up", "down")),
        ("attention", DecodeArguments),
    ]


class StepArguments(ctypes.Structure):
    """`StepArguments` of common.h."""

    _fields_ = [
        *(
            (name, _POINTER)
            for name in ("layers", "norm", "hidden", "cosine", "sine", "rows")
        ),
        *((name, _POINTER) for name in ("step", "victim", "capacity", "recent", "sinks")),
        ("decay", _POINTER),
        *((name, _WIDE) for name in ("thread_work", "layer_count", "live", "width")),
        *((name, _WIDE) for name in ("heads", "kv_heads")),
        *((name, _WIDE) for name in ("head_size", "feed_forward")),
        ("epsilon", ctypes.c_float),
        ("threads", _NARROW),
    ]


class ChunkArguments(ctypes.Structure):
    """`ChunkArguments` of common.h."""

    _fields_ = [
        *((name, _POINTER) for name in ("query", "keys", "values", "hidden", "weights")),
        *((name, _POINTER) for name in ("out", "sums")),
        *((name, _WIDE) for name in ("kv_heads", "group", "chunk", "columns", "before")),
        ("head_size", _WIDE),
        *((name, _NARROW) for name in ("query_type", "cache_type", "threads")),
    ]


class Library:
    """A built library, loaded into this process."""

    def __init__(self, path: Path) -> None:
        """Load it. Raises OSError or AttributeError when it is not what this module expects."""
        self.path = path
        self._loaded = ctypes.CDLL(str(path))
        self._decode = self._loaded.trimtab_h2o_decode
        self._decode.argtypes = [ctypes.POINTER(DecodeArguments)]
        self._product = self._loaded.trimtab_product
        self._product.argtypes = [ctypes.POINTER(ProductArguments)]
        self._step = self._loaded.trimtab_step
        self._step.argtypes = [ctypes.POINTER(StepArguments)]
        self._chunk = self._loaded.trimtab_chunk
        self._chunk.argtypes = [ctypes.POINTER(ChunkArguments)]
        self.step_bytes = self._loaded.trimtab_step_bytes
        self.step_bytes.argtypes = [ctypes.POINTER(StepArguments)]
        self.step_bytes.restype = _WIDE
        self.step_phase = self._loaded.trimtab_step_phase
        self.step_phase.argtypes = [
            ctypes.POINTER(StepArguments), _WIDE, ctypes.c_int, _POINTER,
        ]  # fmt: skip
        self.step_phase.restype = None
        self.packed_bytes = self._loaded.trimtab_packed_bytes
        self.packed_bytes.argtypes = [ctypes.POINTER(Matrix)]
        self.packed_bytes.restype = _WIDE
        self.pack = self._loaded.trimtab_pack
        self.pack.argtypes = [ctypes.POINTER(Matrix), _POINTER, ctypes.c_float, _POINTER]
        self.pack.restype = ctypes.c_float
        self._tier = self._loaded.trimtab_tier
        self._tier.restype = ctypes.c_char_p

    @property
    def tier(self) -> str:
        """Instruction set in use: generic, avx2 or avx512."""
        return str(self._tier().decode())

    def choose_tier(self, number: int) -> bool:
        """Use the tier of a number, 0 the plainest; return False where this CPU lacks it."""
        return bool(self._loaded.trimtab_choose_tier(number) == 0)

    def h2o_decode(
        self,
        arguments: DecodeArguments,
        cache: SlotCache,
        rows: torch.Tensor,
        rules: EvictionRows,
    ) -> None:
        """Run one step of attention. Raises ValueError and MemoryError, see `_raise`."""
        _raise(self._decode(ctypes.byref(arguments)), cache, rows, rules)

    def step(
        self,
        arguments: StepArguments,
        cache: SlotCache,
        rows: torch.Tensor,
        rules: EvictionRows,
    ) -> None:
        """Run one step of a decoder. Raises ValueError and MemoryError, see `_raise`."""
        _raise(self._step(ctypes.byref(arguments)), cache, rows, rules)

    def chunk(self, arguments: ChunkArguments) -> None:
        """Run the attention of a chunk. Raises MemoryError."""
        if self._chunk(ctypes.byref(arguments)):
            raise MemoryError("native kernels: no memory for a chunk")

    def product(self, arguments: ProductArguments, outputs: int) -> None:
        """Run one product. Raises ValueError when a chosen output does not exist."""
        status = self._product(ctypes.byref(arguments))
        if status == _OUTSIDE:
            raise ValueError(f"chosen: expected outputs below {outputs}, got others")
        if status:
            raise MemoryError("native kernels: no memory for a product")


def _raise(
    status: int, cache: SlotCache, rows: torch.Tensor, rules: EvictionRows
) -> None:
    """Raise the error of a status: ValueError, or MemoryError. Nothing was changed then."""
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
    if status:
        raise MemoryError("native kernels: no memory for a step")


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
    live, _, group, _ = query.shape
    each = [
        part.contiguous()
        for part in (rows.long(), step.int(), rules.victim.int(), rules.capacity.int(),
                     rules.recent.int(), rules.sinks.int(), rules.decay.float())
    ]  # fmt: skip
    arguments = cache_arguments(cache, group)
    arguments.query, arguments.key = query.data_ptr(), key.data_ptr()
    arguments.value, arguments.out = value.data_ptr(), out.data_ptr()
    for name, part in zip(_PER_SEQUENCE, each, strict=True):
        setattr(arguments, name, part.data_ptr())
    arguments.live = live
    arguments.query_type = ELEMENT_TYPES[query.dtype]
    arguments.new_type = ELEMENT_TYPES[key.dtype]
    arguments.thread_work, arguments.threads = THREAD_WORK, torch.get_num_threads()
    require_library().h2o_decode(arguments, cache, rows, rules)
    return out


def cache_arguments(cache: SlotCache, group: int) -> DecodeArguments:
    """Return arguments that hold a cache and its sizes, for float32 queries, keys and values.

    Raises:
        ValueError: a tensor of the cache is not contiguous, or of a dtype without code.
    """
    tensors = vars(cache)
    for name, tensor in tensors.items():
        if not tensor.is_contiguous() or tensor.device.type != "cpu":
            raise ValueError(
                f"cache.{name}: expected a contiguous tensor on the CPU, got strides "
                f"{tensor.stride()} on {tensor.device}"
            )
    if cache.keys.dtype not in ELEMENT_TYPES or cache.values.dtype != cache.keys.dtype:
        raise ValueError(
            f"cache: expected keys and values both in float32, bfloat16 or float16, "
            f"got {cache.keys.dtype} and {cache.values.dtype}"
        )
    sequences, kv_heads, slots, head_size = cache.keys.shape
    return DecodeArguments(
        **{name: tensor.data_ptr() for name, tensor in tensors.items()},
        sequences=sequences,
        kv_heads=kv_heads,
        group=group,
        slots=slots,
        head_size=head_size,
        cache_type=ELEMENT_TYPES[cache.keys.dtype],
        threads=1,
    )


def chunk_attn(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    before: int,
    hidden: torch.Tensor | None,
    weights: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run `cuda.kernels.reference.chunk_attn` in native code, without pooling.

    Raises:
        MemoryError: no memory for a head's keys and values in float32.
    """
    kv_heads, group, chunk, size = query.shape
    query, keys = query.contiguous(), keys.contiguous()
    values = values.to(keys.dtype).contiguous()
    out = torch.empty_like(query)
    sums = torch.empty(kv_heads, keys.shape[1])
    masks = None if hidden is None else hidden.contiguous()
    counts = None if weights is None else weights.float().contiguous()
    arguments = ChunkArguments(
        query.data_ptr(),
        keys.data_ptr(),
        values.data_ptr(),
        None if masks is None else masks.data_ptr(),
        None if counts is None else counts.data_ptr(),
        out.data_ptr(),
        sums.data_ptr(),
        kv_heads,
        group,
        chunk,
        keys.shape[1],
        before,
        size,
        ELEMENT_TYPES[query.dtype],
        ELEMENT_TYPES[keys.dtype],
        torch.get_num_threads() if chunk * keys.numel() > THREAD_WORK else 1,
    )
    require_library().chunk(arguments)
    return out, sums
