"""Account for every embedding parameter of a module: planned collections, and other parts.

DistributedModelParallel keeps a part that a plan does not cover whole on every rank, so none may be
overlooked.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_PLANNED = "EmbeddingBagCollection"
_LARGE_BYTES = 2**28  # a dense parameter of a quarter GiB is named in the warning
# TorchRec's packages of modules that were made from others.
_STAGES = {"quant": "quantized ", "distributed": "sharded "}
# Names of TorchRec's modules that hold or wrap embedding tables, and the remedy for each.
_COLLISION = "its collision tables must be sharded with the tables, by rows"
_REMEDIES = {
    "EmbeddingCollection": "tables of sequences are not planned",
    "FusedEmbeddingBagCollection": "give the same tables as an EmbeddingBagCollection; TorchRec "
    "fuses the optimizer when it shards that",
    "ManagedCollisionEmbeddingBagCollection": _COLLISION,
    "ManagedCollisionEmbeddingCollection": _COLLISION,
    "FeatureProcessedEmbeddingBagCollection": "its feature processors must be sharded with the "
    "tables",
    "EmbeddingTower": "towers are placed whole on a node",
    "EmbeddingTowerCollection": "towers are placed whole on a node",
}


class NotSharded(UserWarning):
    """Embedding parameters that no plan shards: each rank keeps all of them."""


class NotPlanned(ValueError):
    """A module has a shardable part that cannot be planned; the message names it and its size."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A module that holds embedding parameters."""

    path: str
    module: Any
    kind: str  # class name, as TorchRec or torch has it

    @property
    def size_bytes(self) -> int:
        """Bytes of all its parameters and buffers."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return sum(
            t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values()
        )

    def __str__(self) -> str:
        size_gib = self.size_bytes / 2**30
        return f"{self.path or 'the module itself'} ({self.kind}, {size_gib:.3g} GiB)"


def planned_collections(
    module: Any, *, leave_out: Collection[str], torch: Any, bags: type, warn: bool
) -> Iterator[tuple[str, Any]]:
    """Yield path and module of each EmbeddingBagCollection, once all other parts are checked.

    Raises NotPlanned for a shardable part outside `leave_out`; with `warn`, warns NotSharded of
    parameters that cannot be sharded.
    """
    parts = list(_parts(module, "", torch.nn, bags, set()))
    if unknown := sorted(set(leave_out) - {part.path for part in parts}):
        held = ", ".join(part.path or "''" for part in parts) or "none"
        raise NotPlanned(
            "leave_out: expected paths of parts with embedding tables, got "
            f"{unknown[0]!r}; parts are: {held}"
        )
    parts = [part for part in parts if part.path not in set(leave_out)]
    plain = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    refused = [p for p in parts if not isinstance(p.module, (bags, *plain))]
    if refused:
        first = refused[0]
        remedy = _remedy(first.kind)
        raise NotPlanned(
            f"{'; '.join(map(str, refused))}: {remedy}. Without a plan DistributedModelParallel "
            "keeps it whole on every rank. Place it yourself, name it in "
            f"leave_out=[{first.path!r}], and lower devices.memory_gib by what it takes on each"
        )
    if warn:
        taken = {
            id(p)
            for part in parts
            if part.kind == _PLANNED
            for p in part.module.parameters()
        }
        _warn_of_the_rest(
            module,
            [p for p in parts if isinstance(p.module, plain)],
            taken,
            set(leave_out),
        )
    for part in parts:
        if isinstance(part.module, bags):
            yield part.path, part.module


def _parts(module: Any, path: str, nn: Any, bags: type, seen: set[int]) -> Iterator[Part]:
    """Yield modules with embedding parameters, outermost first; inner ones belong to them."""
    if id(module) in seen:
        return
    seen.add(id(module))
    kind = _torchrec_kind(module)
    if isinstance(module, bags):
        yield Part(path=path, module=module, kind=_PLANNED)
    elif kind is not None:
        yield Part(path=path, module=module, kind=kind)
    elif isinstance(module, nn.Embedding | nn.EmbeddingBag):
        yield Part(path=path, module=module, kind=type(module).__name__)
    else:
        for name, child in module.named_children():
            yield from _parts(child, f"{path}.{name}" if path else name, nn, bags, seen)


def _torchrec_kind(module: Any) -> str | None:
    """Return the name of the TorchRec class if it holds embedding tables, else None."""
    for kind in type(module).__mro__:
        words = ("Embedding", "Collision")
        if kind.__module__.split(".")[0] == "torchrec" and any(
            word in kind.__name__ for word in words
        ):
            return _STAGES.get(kind.__module__.split(".")[1], "") + kind.__name__
    return None


def _remedy(kind: str) -> str:
    if kind.startswith("quantized "):
        return "it is already quantized, for inference: plan the module that is trained"
    if kind.startswith("sharded "):
        return "it is already sharded: plan the module that is given to DistributedModelParallel"
    return _REMEDIES.get(kind, f"only {_PLANNED} is planned")


def _warn_of_the_rest(
    module: Any, plain: Sequence[Part], taken: set[int], left_out: set[str]
) -> None:
    """Warn of embedding parameters outside the collections, and of other large ones."""
    lines = [str(part) for part in plain]
    paths = [part.path for part in plain] + sorted(left_out)
    for name, parameter in module.named_parameters():
        inside = any(path == "" or name.startswith(f"{path}.") for path in paths)
        size = parameter.numel() * parameter.element_size()
        if (
            id(parameter) not in taken
            and not inside
            and parameter.dim() == 2
            and size >= _LARGE_BYTES
        ):
            rows, columns = parameter.shape
            lines.append(f"{name} ({rows} x {columns}, {size / 2**30:.3g} GiB)")
    if lines:
        warnings.warn(
            f"not sharded, so each device keeps all of it: {'; '.join(lines)}. Lower "
            "devices.memory_gib by that, or make tables of it in an EmbeddingBagCollection",
            NotSharded,
            stacklevel=4,
        )
