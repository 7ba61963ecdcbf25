"""Weights packed for products of small batches on CPUs: 4 or 8 bits in groups of 32, or floats."""

from __future__ import annotations

import ctypes
from enum import IntEnum

import torch

from cuda.kernels.native.library import Matrix, ProductArguments, require_library

EXACT = 0.01
"""Largest error of a weight, relative to the largest in its group, for which 4 bits are taken.

Weights that come from a 4-bit file have errors of rounding alone (below 0.004 in bfloat16); others
have 0.03 to 0.07.
"""
GROUP = 32
"""Inputs that share a scale."""
ROWS = 16
"""Outputs that are stored interleaved."""


class Form(IntEnum):
    """Forms of packed weights, in the order of `Form` in common.h."""

    Q4 = 0
    """d q + m with q in 0..15; d and m are float16 per group. Restores Q4_0 and Q4_1 of GGUF."""
    Q8 = 1
    """d q with q in -127..127; d is float16 per group. Restores Q8_0 of GGUF."""
    BF16 = 2
    F32 = 3


class PackedMatrix:
    """Weights [outputs, inputs] packed for native products, with float32 on both sides."""

    def __init__(
        self,
        packed: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        outputs: int,
        inputs: int,
        form: Form,
        error: float,
    ) -> None:
        """Take the bytes that `pack` made."""
        self.packed = packed
        self.bias = bias
        self.outputs = outputs
        self.inputs = inputs
        self.form = form
        self.error = error
        """Largest error of a weight relative to the largest in its group."""

    @classmethod
    def pack(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        *,
        form: Form | None = None,
    ) -> PackedMatrix:
        """Pack weights.

        Args:
            weight: [outputs, inputs], any floating dtype.
            bias: [outputs].
            form: by default 4 bits where they restore the weights (`EXACT`), else 8 bits.

        Raises:
            OSError: the native library cannot be built.
            ValueError: the weights are not a matrix, or not finite.
        """
        if weight.ndim != 2 or not weight.isfinite().all():
            raise ValueError(
                f"weight: expected a finite matrix, got {list(weight.shape)}, "
                f"{int((~weight.isfinite()).sum())} entries not finite"
            )
        if form is None:
            narrow = cls._packed(weight, bias, Form.Q4, limit=EXACT)
            return narrow if narrow.error <= EXACT else cls._packed(weight, bias, Form.Q8)
        return cls._packed(weight, bias, form)

    @classmethod
    def _packed(
        cls,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        form: Form,
        limit: float = torch.inf,
    ) -> PackedMatrix:
        outputs, inputs = weight.shape
        lib = require_library()
        shape = Matrix(None, None, outputs, inputs, form)
        # Products read whole cache lines.
        size = lib.packed_bytes(ctypes.byref(shape))
        room = torch.zeros(size + 64, dtype=torch.uint8)
        packed = room[-room.data_ptr() % 64 :][:size]
        rows = weight.detach().to("cpu", torch.float32).contiguous()
        error = lib.pack(ctypes.byref(shape), rows.data_ptr(), limit, packed.data_ptr())
        own_bias = None if bias is None else bias.detach().float().cpu().contiguous()
        return cls(
            packed, own_bias, outputs=outputs, inputs=inputs, form=form, error=error
        )

    @property
    def size_bytes(self) -> int:
        """Memory of the packed weights."""
        return len(self.packed)

    def argument(self) -> Matrix:
        """Return the C structure; it is valid while this object lives."""
        bias = None if self.bias is None else self.bias.data_ptr()
        return Matrix(self.packed.data_ptr(), bias, self.outputs, self.inputs, self.form)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return x weight^T + bias, [rows, outputs] float32, for x [rows, inputs]."""
        return self._product(x, None)

    def some(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Return [rows, m] float32: the outputs `chosen` [m] alone, in their order.

        Sorted outputs are cheapest: neighbours share the work of 16 outputs.
        """
        return self._product(x, chosen.to("cpu", torch.int64).contiguous())

    def _product(self, x: torch.Tensor, chosen: torch.Tensor | None) -> torch.Tensor:
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ValueError(f"x: expected [rows, {self.inputs}], got {list(x.shape)}")
        x = x.float().contiguous()
        count = self.outputs if chosen is None else len(chosen)
        out = torch.empty(len(x), count)
        arguments = ProductArguments(
            self.argument(),
            x.data_ptr(),
            out.data_ptr(),
            None if chosen is None else chosen.data_ptr(),
            len(x),
            count,
        )
        require_library().product(arguments, self.outputs)
        return out

    def dense(self) -> torch.Tensor:
        """Return the weights [outputs, inputs] float32 that the packed form stands for."""
        groups = -(-self.inputs // GROUP)
        blocks = -(-self.outputs // ROWS)
        block = self.packed.view(blocks, -1)
        if self.form is Form.BF16 or self.form is Form.F32:
            kind = torch.bfloat16 if self.form is Form.BF16 else torch.float32
            values = block.view(kind)[:, : groups * GROUP * ROWS].float()
            weights = values.view(blocks, groups * GROUP, ROWS).transpose(1, 2)
        else:
            weights = self._integers(block, blocks, groups)
        return weights.reshape(blocks * ROWS, -1)[: self.outputs, : self.inputs]

    def _integers(self, block: torch.Tensor, blocks: int, groups: int) -> torch.Tensor:
        """Return [blocks, ROWS, groups * GROUP] float32."""
        narrow = self.form is Form.Q4
        size = groups * GROUP * ROWS // (2 if narrow else 1)
        codes = block[:, :size].reshape(blocks, groups, -1, ROWS, 4)
        if narrow:
            codes = torch.cat([codes & 15, codes >> 4], 2)
        q = codes.permute(0, 3, 1, 2, 4).reshape(blocks, ROWS, groups, GROUP).float()
        scales = block[:, size : size + groups * ROWS * (4 if narrow else 2)]
        scales = scales.contiguous().view(torch.float16).float()
        scales = scales.view(blocks, groups, -1, ROWS, 1).permute(2, 0, 3, 1, 4)
        weights = scales[0] * q + scales[1] if narrow else scales[0] * (q - 128)
        return weights.flatten(2)
