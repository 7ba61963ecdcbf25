"""Refusals of a sharding spec that name the supported values and a remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from trimtab.specs.common import WireModel

# Pydantic's type for our own rules; the message is a whole sentence.
_RULE = "value_error"
_ELSEWHERE = (
    "leave a table that needs it out of `tables`, place it with TorchRec's own planner, and lower "
    "devices.memory_gib by what it takes on each device"
)
_SHARDING_TYPES = (
    "a table is placed whole (table_wise) or split by columns (column_wise; constraints.no_split "
    "keeps one whole); row_wise, table_row_wise, data_parallel, grid_shard and 2D replication are "
    f"not supported: {_ELSEWHERE}"
)
_KERNELS = (
    "every table uses TorchRec's `fused` kernel in device memory; dense, quant, fused_uvm, "
    f"fused_uvm_caching and key_value are not supported: {_ELSEWHERE}"
)
_HOST_MEMORY = (
    "only device memory is planned (devices.memory_gib); host memory (UVM, UVM caching, SSD) is "
    f"not supported: use more or larger devices or fp16 tables, or {_ELSEWHERE}"
)
_HBM = "give the memory that tables may use on each device as devices.memory_gib"
_RESERVED = (
    "devices.memory_gib is the memory for tables: subtract the reserved share from it"
)
_EXCHANGE = (
    "outputs and gradients are exchanged in fp32; fp16, bf16, fp8 and int8 exchange is not "
    "supported: leave it out"
)
_DEVICES = (
    "give devices as groups, e.g. [{'count': 8, 'memory_gib': 80, 'hardware': 'a100'}], and "
    "fabric.devices_per_node"
)
_BATCH = (
    "give global_batch: the samples of one step over all devices (TorchRec's batch_size times the "
    "devices)"
)
_FEATURES = "give features, the number of features that look rows up in this table"
_POOLING = "give pooling: mean look-ups per sample, all features of the table together"

# Field names of TorchRec's planner and of its configs, and the remedy for each.
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("sharding_types", "sharding_type", "sharders", "sharding_strategy"),
            _SHARDING_TYPES,
        ),
        **dict.fromkeys(
            (
                "row_wise",
                "data_parallel",
                "replicate",
                "num_replicas",
                "sharding_group_size",
            ),
            _SHARDING_TYPES,
        ),
        **dict.fromkeys(
            (
                "compute_kernel",
                "compute_kernels",
                "kernel",
                "cache_params",
                "cache_load_factor",
            ),
            _KERNELS,
        ),
        **dict.fromkeys(
            ("ddr_gib", "ddr_cap", "ddr", "host_memory_gib", "uvm", "ssd_gib", "ssd_cap"),
            _HOST_MEMORY,
        ),
        **dict.fromkeys(("hbm_gib", "hbm_cap", "hbm", "memory", "memory_gb"), _HBM),
        **dict.fromkeys(
            ("storage_reservation", "reserved_gib", "reserve", "reserved_percent"),
            _RESERVED,
        ),
        **dict.fromkeys(
            ("qcomm_codecs_registry", "qcomm", "comm_precision", "output_dtype"),
            _EXCHANGE,
        ),
        **dict.fromkeys(
            ("world_size", "local_world_size", "topology", "compute_device", "num_nodes"),
            _DEVICES,
        ),
        **dict.fromkeys(("batch_size", "local_batch", "batch"), _BATCH),
        "num_embeddings": "give rows",
        "embedding_dim": "give dim",
        "data_type": "give dtype: fp32, fp16 or bf16",
        "feature_names": _FEATURES,
        "num_features": _FEATURES,
        "pooling_factor": _POOLING,
        "pooling_factors": _POOLING,
        "min_partition": "give constraints.min_shard_dim, one value for all tables",
        "device_group": "give constraints.pin with the devices of each table",
    }
)
# Values that users give for a field, and the remedy for each.
_QUANTIZED = (
    "weights are trained as fp32, fp16 or bf16; quantized tables are for inference and are not "
    "planned: quantize later"
)
VALUE_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "hardware": "for another device take the nearest profile, with its own memory in "
        "memory_gib and its own links in fabric.intra_gb_s and fabric.inter_gb_s (an H200 is close "
        "to h100 with memory_gib 141); costs are then those of the profile",
        "dtype": _QUANTIZED,
        "optimizer": "take the one with the same state: sgd none, rowwise_adagrad 4 bytes per row, "
        "adagrad 4 bytes per element, adam 8 bytes per element",
        "memory_model": "`training` counts weights, optimizer state, inputs and outputs; `weights` "
        "the weights alone",
        "method": "`trimtab` is our search, `neuroshard` the published one",
    }
)


class ExplainedModel(WireModel):
    """Wire model that answers an unknown field or word with the supported ones and a remedy."""

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            every = error.errors(include_url=False)
            faults = [fault for fault in every if not _follows(fault, every)]
            explainable = [_explainable(cls, fault) for fault in faults]
            if len(faults) == len(every) and not any(explainable):
                raise
            lines = [
                _explained(cls, fault) if explain else _unchanged(fault)
                for fault, explain in zip(faults, explainable, strict=True)
            ]
            raise ValidationError.from_exception_data(error.title, lines) from None


def _follows(fault: Any, every: Sequence[Any]) -> bool:
    """Return True when a list is too short only because faulty entries were not counted."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(
        f["loc"][: len(place)] == place for f in every if f is not fault
    )


def _explainable(model: type[WireModel], fault: Any) -> bool:
    own = len(fault["loc"]) == 1 and isinstance(fault["loc"][0], str)
    return own and (
        fault["type"] == "extra_forbidden" or _words(model, fault) is not None
    )


def _explained(model: type[WireModel], fault: Any) -> InitErrorDetails:
    name = str(fault["loc"][0])
    words = _words(model, fault)
    if words is not None:
        remedy = VALUE_REMEDIES.get(name, "")
        supported = _listed([repr(word) for word in words])
        text = f"expected one of {supported}, got {fault['input']!r:.60}"
        return _line(fault, text + (f"; {remedy}" if remedy else ""))
    fields = list(model.model_fields)
    remedy = REMEDIES.get(name, "")
    if not remedy:
        near = get_close_matches(name, fields, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "remove it"
    text = f"expected no such field, got {fault['input']!r:.60}; {remedy}"
    return _line(fault, f"{text}; fields here: {_listed(fields)}")


def _words(model: type[WireModel], fault: Any) -> list[str] | None:
    """Return the words of an enum field, when the fault is another word."""
    field = model.model_fields.get(str(fault["loc"][0]))
    kind = None if field is None else field.annotation
    if fault["type"] != "enum" or not (
        isinstance(kind, type) and issubclass(kind, StrEnum)
    ):
        return None
    return [word.value for word in kind]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _unchanged(fault: Any) -> InitErrorDetails:
    if fault["type"] == _RULE:
        return _line(fault, fault["msg"])
    return InitErrorDetails(
        type=fault["type"],
        loc=fault["loc"],
        input=fault["input"],
        ctx=fault.get("ctx", {}),
    )


def _line(fault: Any, text: str) -> InitErrorDetails:
    return InitErrorDetails(
        type=PydanticCustomError(_RULE, "{text}", {"text": text}),
        loc=fault["loc"],
        input=fault["input"],
    )


def too_large_advice(
    *,
    rows: int,
    width: int,
    element_bytes: int,
    largest_bytes: float,
    total_bytes: float,
    narrowest: int,
    whole: bool,
) -> str:
    """Return remedies that would let the narrowest shard of a table fit a device.

    Args:
        rows: Rows of the table.
        width: Columns of the narrowest shard that the job allows.
        element_bytes: Bytes of one element.
        largest_bytes: Memory of the largest device.
        total_bytes: Memory of all devices.
        narrowest: Columns of the narrowest possible shard.
        whole: The table may not be split.
    """

    def fits(columns: int, bytes_each: int) -> bool:
        return (
            rows * columns * bytes_each <= largest_bytes
            and rows * width * bytes_each <= total_bytes
        )

    remedies = []
    if width > narrowest and fits(narrowest, element_bytes):
        remedies.append(
            "drop the table from no_split, together"
            if whole
            else "use a smaller constraints.min_shard_dim"
        )
    if element_bytes > 2 and fits(width, 2):
        remedies.append("store the table in fp16 or bf16")
    least_gib = rows * width * element_bytes / 2**30 + 0.1
    remedies.append(f"use devices with at least {least_gib:.1f} GiB for tables")
    remedies.append(
        "or leave this table to TorchRec's row-wise sharding: take it out of `tables` and lower "
        "devices.memory_gib by its share on each device (all its rows over the number of devices)"
    )
    return "; ".join(remedies)
