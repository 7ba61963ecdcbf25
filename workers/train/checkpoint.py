"""Resumable training: model, optimizer and schedule in one safetensors file.

Never pickle.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    epoch: int,
    best: dict[str, Tensor],
    best_loss: float,
) -> None:
    """Write atomically: a crash leaves the old file or the new one."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"adam.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
    tensors["epoch"] = torch.tensor(epoch)
    tensors["best_loss"] = torch.tensor(best_loss, dtype=torch.float64)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, part)
    os.replace(part, path)


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, Tensor], float]:
    """Load into model and optimizer; return (next epoch, best weights, best loss).

    Without a file: (0, {}, inf).
    """
    if not path.is_file():
        return 0, {}, float("inf")
    tensors = load_file(path)
    model.load_state_dict(
        {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
    )
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    best = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
    return int(tensors["epoch"]), best, float(tensors["best_loss"])
