"""Weights of a net as arrays, for safetensors files and for inference in numpy."""

from __future__ import annotations

import numpy as np
from torch import nn


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    """Return weights and buffers by name, as safetensors files hold them."""
    return {
        name: tensor.detach().numpy().astype(np.float32)
        for name, tensor in net.state_dict().items()
    }
