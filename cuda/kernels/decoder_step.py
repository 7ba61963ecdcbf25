"""One decode step of all layers in one native call: no eager op between the layers."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from cuda.kernels.native.library import (
    THREAD_WORK,
    StepArguments,
    StepLayer,
    cache_arguments,
    library,
    require_library,
)
from cuda.kernels.packed import PackedMatrix
from cuda.kernels.slots import EvictionRows, SlotCache

_BEFORE, _AFTER, _NORM = 0, 1, 2
"""Phases of a layer around its attention, and the last norm: `step_phase` in tier.cpp."""

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class PackedLayer:
    """Weights of one layer, projections packed. See `workers.llm.decoder_types.LayerWeights`."""

    attention_norm: torch.Tensor
    qkv: PackedMatrix
    attention_out: PackedMatrix
    feed_forward_norm: torch.Tensor
    gate_up: PackedMatrix
    down: PackedMatrix


def available() -> bool:
    """Return whether the native library can be built and loaded here."""
    return library() is not None


class DecoderStep:
    """All layers of a llama-like decoder over the slots of its sequences, on a CPU.

    One step at a time: calls from several threads have to wait for each other.
    """

    def __init__(
        self,
        layers: Sequence[PackedLayer],
        norm: torch.Tensor,
        caches: Sequence[SlotCache],
        *,
        heads: int,
        norm_eps: float,
    ) -> None:
        """Take weights and caches; both have to stay where they are in memory.

        Args:
            layers: of the decoder.
            norm: [width], weights of the norm after the last layer.
            caches: one per layer, contiguous, on the CPU.
            heads: query heads.
            norm_eps: of every norm.

        Raises:
            OSError: the native library cannot be built.
            ValueError: shapes of weights and caches do not fit.
        """
        require_library()
        self._heads = heads
        self._norm_eps = norm_eps
        self._norm = norm.float().contiguous()
        self._width = len(norm)
        self._kv_heads, self._slots, self._size = caches[0].keys.shape[1:]
        self._feed_forward = layers[0].down.inputs
        _check(layers, caches, width=self._width, heads=heads)
        self._layers = layers
        self._caches = caches
        self._norms = [
            (
                one.attention_norm.float().contiguous(),
                one.feed_forward_norm.float().contiguous(),
            )
            for one in layers
        ]
        self._arguments = (StepLayer * len(layers))(
            *(
                StepLayer(
                    first.data_ptr(),
                    second.data_ptr(),
                    layer.qkv.argument(),
                    layer.attention_out.argument(),
                    layer.gate_up.argument(),
                    layer.down.argument(),
                    cache_arguments(cache, heads // self._kv_heads),
                )
                for layer, cache, (first, second) in zip(
                    layers, caches, self._norms, strict=True
                )
            )
        )

    def __call__(
        self,
        hidden: torch.Tensor,
        cosine: torch.Tensor,
        sine: torch.Tensor,
        rows: torch.Tensor,
        step: torch.Tensor,
        rules: EvictionRows,
    ) -> torch.Tensor:
        """Append one token to each of A sequences.

        Args:
            hidden: [A, width], embeddings of the tokens.
            cosine: [A, D / 2] of the tokens' true positions.
            sine: [A, D / 2].
            rows: [A] int64, rows of the caches, all different.
            step: [A] int32, true positions.
            rules: one per sequence.

        Returns:
            [A, width] float32, normed: what the output head takes.

        Raises:
            ValueError: a sequence has no free slot or a shape does not fit; nothing is changed.
            MemoryError: no memory for the step.
        """
        live, half = len(rows), self._size // 2
        shapes = {
            "hidden": (live, self._width),
            "cosine": (live, half),
            "sine": (live, half),
        }
        for name, tensor in {"hidden": hidden, "cosine": cosine, "sine": sine}.items():
            if tensor.shape != shapes[name]:
                raise ValueError(
                    f"{name}: expected {list(shapes[name])}, got {list(tensor.shape)}"
                )
        for name, tensor in {"step": step, **vars(rules)}.items():
            if tensor.shape != (live,):
                raise ValueError(f"{name}: expected [{live}], got {list(tensor.shape)}")
        out = hidden.float().clone(memory_format=torch.contiguous_format)
        parts = [
            part.contiguous()
            for part in (
                self._norm, out, cosine.float(), sine.float(), rows.long(), step.int(),
                rules.victim.int(), rules.capacity.int(), rules.recent.int(),
                rules.sinks.int(), rules.decay.float(),
            )
        ]  # fmt: skip
        arguments = StepArguments(
            ctypes.addressof(self._arguments),
            *(part.data_ptr() for part in parts),
            THREAD_WORK,
            len(self._layers),
            live,
            self._width,
            self._heads,
            self._kv_heads,
            self._size,
            self._feed_forward,
            self._norm_eps,
            torch.get_num_threads(),
        )
        require_library().step(arguments, self._caches[0], rows, rules)
        return out

    def read(
        self,
        hidden: torch.Tensor,
        cosine: torch.Tensor,
        sine: torch.Tensor,
        attend: Attend,
    ) -> torch.Tensor:
        """Run a chunk of T tokens of one sequence; the caller attends and keeps the cache.

        Args:
            hidden: [T, width], embeddings of the tokens.
            cosine: [T, D / 2] of the tokens' true positions.
            sine: [T, D / 2].
            attend: layer, queries [T, KV, G, D], keys and values [T, KV, D], all rotated and valid
                during the call -> [T, KV, G, D].

        Returns:
            [T, width] float32, normed.
        """
        tokens, half = hidden.shape[0], self._size // 2
        for name, tensor in {"cosine": cosine, "sine": sine}.items():
            if tensor.shape != (tokens, half):
                raise ValueError(
                    f"{name}: expected {[tokens, half]}, got {list(tensor.shape)}"
                )
        out = hidden.float().clone(memory_format=torch.contiguous_format)
        parts = [self._norm, out, cosine.float().contiguous(), sine.float().contiguous()]
        arguments = StepArguments(
            ctypes.addressof(self._arguments),
            *(part.data_ptr() for part in parts),
            layer_count=len(self._layers),
            live=tokens,
            width=self._width,
            heads=self._heads,
            kv_heads=self._kv_heads,
            head_size=self._size,
            feed_forward=self._feed_forward,
            epsilon=self._norm_eps,
        )
        native = require_library()
        call = ctypes.byref(arguments)
        # Floats, on a cache line.
        room = torch.empty(native.step_bytes(call) // 4 + 16)
        memory = room[(-room.data_ptr() % 64) // 4 :]
        base = memory.data_ptr()

        def part(address: int, *shape: int) -> torch.Tensor:
            first = (address - base) // 4
            return memory[first : first + math.prod(shape)].view(shape)

        per_head = (tokens, self._kv_heads, self._size)
        grouped = (tokens, self._kv_heads, self._heads // self._kv_heads, self._size)
        for layer, one in enumerate(self._arguments):
            native.step_phase(call, layer, _BEFORE, base)
            at = one.attention
            query, key = part(at.query, *grouped), part(at.key, *per_head)
            mixed = attend(layer, query, key, part(at.value, *per_head))
            part(at.out, *grouped).copy_(mixed)
            native.step_phase(call, layer, _AFTER, base)
        native.step_phase(call, 0, _NORM, base)
        return out


def _check(
    layers: Sequence[PackedLayer], caches: Sequence[SlotCache], *, width: int, heads: int
) -> None:
    """Raise ValueError when shapes of layers or caches do not fit."""
    if len(layers) != len(caches):
        raise ValueError(
            f"caches: expected {len(layers)}, one per layer, got {len(caches)}"
        )
    kv_heads, slots, size = caches[0].keys.shape[1:]
    if heads % kv_heads or size % 2:
        raise ValueError(
            f"heads: expected a multiple of {kv_heads} and an even head size, got {heads}, {size}"
        )
    feed_forward = layers[0].down.inputs
    shapes = {
        "qkv": ((heads + 2 * kv_heads) * size, width),
        "attention_out": (width, heads * size),
        "gate_up": (2 * feed_forward, width),
        "down": (width, feed_forward),
    }
    for number, (layer, cache) in enumerate(zip(layers, caches, strict=True)):
        for name, shape in shapes.items():
            matrix: PackedMatrix = getattr(layer, name)
            if (matrix.outputs, matrix.inputs) != shape:
                raise ValueError(
                    f"layers[{number}].{name}: expected {list(shape)}, "
                    f"got [{matrix.outputs}, {matrix.inputs}]"
                )
        if cache.keys.shape[1:] != (kv_heads, slots, size):
            raise ValueError(
                f"caches[{number}]: expected [sequences, {kv_heads}, {slots}, {size}], "
                f"got {list(cache.keys.shape)}"
            )
