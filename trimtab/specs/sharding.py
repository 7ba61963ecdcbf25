"""Kind `sharding`: place a recommender's embedding tables on devices, whole or by columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from trimtab.specs.common import ArtifactRef, FileInput, Spec, WireModel, _storable
from trimtab.specs.sharding_current import check_current_plan
from trimtab.specs.sharding_refusals import ExplainedModel, too_large_advice

MAX_TABLES = 10_000
MAX_DEVICES = 4_096
MAX_FEATURES = 10_000
REUSE_BINS = 17
MIN_SHARD_DIM = 4  # FBGEMM requires widths that are multiples of 4
PLAN_FORMAT = "trimtab-sharding-plan/1"

TableName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]


class Hardware(StrEnum):
    """Profile of the simulated device; constants are in `cost_models/sharding/hardware.py`."""

    V100 = "v100"
    A100 = "a100"
    H100 = "h100"


class DataType(StrEnum):
    """Type of a table's weights."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return 4 if self is DataType.FP32 else 2


class Optimizer(StrEnum):
    """Fused optimizer; decides the state kept beside the weights."""

    SGD = "sgd"
    ROWWISE_ADAGRAD = "rowwise_adagrad"
    ADAGRAD = "adagrad"
    ADAM = "adam"


class ZipfAccess(ExplainedModel):
    """Look-ups follow a Zipf law over `active_rows` of the table's rows: p(rank) ~ rank^-alpha."""

    type: Literal["zipf"] = "zipf"
    """Discriminator of the access statistics."""
    alpha: Annotated[float, Field(ge=0, le=4)]
    """Exponent of the law; 0: every active row is equally likely."""
    active_rows: Annotated[int, Field(ge=1, le=2**40)]
    """Number of rows that are looked up at all; more than the table has count as its rows."""


class ReuseAccess(ExplainedModel):
    """Measured reuse in one batch: shares of the accessed rows, by number of accesses."""

    type: Literal["reuse"] = "reuse"
    """Discriminator of the access statistics."""
    bins: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1)], ...],
        Field(min_length=REUSE_BINS, max_length=REUSE_BINS, strict=False),
    ]
    """17 shares of the unique accessed rows, by access count: (0,1], (1,2], (2,4], ...
    (16384,32768], above. They sum to 1."""
    batch: Annotated[int, Field(ge=1, le=2**30)] | None = None
    """Samples in the measured batch; None: the job's global batch."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> ReuseAccess:
        if abs((total := sum(self.bins)) - 1) > 0.02:
            raise ValueError(
                "bins: expected shares of the unique rows that sum to 1, got a sum of "
                f"{total:.4g}; divide each by it"
            )
        return self


class SampleAccess(ExplainedModel):
    """A sample of the indices looked up, in any order."""

    type: Literal["sample"] = "sample"
    """Discriminator of the access statistics."""
    indices: Annotated[
        tuple[Annotated[int, Field(ge=0, le=2**40)], ...],
        Field(min_length=1, max_length=200_000, strict=False),
    ]
    """Row numbers, counted from 0."""


Access = Annotated[ZipfAccess | ReuseAccess | SampleAccess, Field(discriminator="type")]


class Table(ExplainedModel):
    """An embedding table."""

    name: TableName
    """Unique name, used by the constraints and in the plan."""
    rows: Annotated[int, Field(ge=1, le=2**40)]
    """Number of rows (embeddings)."""
    dim: Annotated[int, Field(ge=MIN_SHARD_DIM, le=65_536, multiple_of=MIN_SHARD_DIM)]
    """Embedding width; a multiple of 4."""
    pooling: Annotated[float, Field(gt=0, le=100_000)] = 1.0
    """Mean look-ups per sample, all features of the table together."""
    features: Annotated[int, Field(ge=1, le=MAX_FEATURES)] = 1
    """Features that look rows up in this table. The pooled output has `dim` columns for each, and
    a shard of the table computes and exchanges its columns once per feature."""
    dtype: Annotated[DataType, Field(strict=False)] = DataType.FP32
    """Type of the weights."""
    access: Access | None = None
    """Access statistics of the rows. None: an assumed Zipf law, which the result names."""


class DeviceGroup(ExplainedModel):
    """Equal devices. Devices are numbered 0, 1, 2, ... through the groups in their order."""

    count: Annotated[int, Field(ge=1, le=MAX_DEVICES)]
    """Number of devices in the group."""
    memory_gib: Annotated[float, Field(gt=0, le=65_536)]
    """Memory that tables may use on each device, GiB (2^30 bytes)."""
    hardware: Annotated[Hardware, Field(strict=False)] = Hardware.A100
    """Profile of the simulated device."""


class Fabric(ExplainedModel):
    """Connection of the devices. None: the figure of the hardware profile."""

    devices_per_node: Annotated[int, Field(ge=1, le=MAX_DEVICES)] | None = None
    """None: all devices are in one node."""
    intra_gb_s: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Bandwidth per device and direction inside a node, GB/s (10^9 bytes)."""
    inter_gb_s: Annotated[float, Field(gt=0, le=100_000)] | None = None
    """Bandwidth per device and direction between nodes, GB/s."""


class MemoryModel(StrEnum):
    """Memory that a shard counts as."""

    WEIGHTS = "weights"
    """rows x width x bytes alone, as in the NeuroShard paper."""
    TRAINING = "training"
    """Weights and optimizer state; for the global batch, the int64 indices and offsets that a shard
    receives, and each feature's pooled output with its gradient in fp32."""


class Pin(ExplainedModel):
    """All shards of a table must be on one of these devices."""

    table: TableName
    """Name of the table."""
    devices: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=MAX_DEVICES)], ...],
        Field(min_length=1, max_length=MAX_DEVICES, strict=False),
    ]
    """Numbers of the allowed devices, counted from 0."""


class PlanShard(ExplainedModel):
    """Columns [offset, offset + width) of a table on a device."""

    table: TableName
    """Name of the table."""
    offset: Annotated[int, Field(ge=0)]
    """First column of the shard, counted from 0."""
    width: Annotated[int, Field(ge=1)]
    """Number of columns."""
    device: Annotated[int, Field(ge=0)]
    """Number of the device that holds the shard, counted from 0."""


class Constraints(ExplainedModel):
    """Rules that the plan must satisfy."""

    pin: Annotated[tuple[Pin, ...], Field(max_length=MAX_TABLES, strict=False)] = ()
    """Tables that may only be on certain devices."""
    together: Annotated[
        tuple[
            Annotated[
                tuple[TableName, ...],
                Field(min_length=2, max_length=MAX_TABLES, strict=False),
            ],
            ...,
        ],
        Field(max_length=MAX_TABLES, strict=False),
    ] = ()
    """Groups of tables that share one device; they are not split."""
    no_split: Annotated[
        tuple[TableName, ...], Field(max_length=MAX_TABLES, strict=False)
    ] = ()
    """Names of tables that are placed whole."""
    min_shard_dim: Annotated[
        int, Field(ge=MIN_SHARD_DIM, le=65_536, multiple_of=MIN_SHARD_DIM)
    ] = MIN_SHARD_DIM
    """Narrowest column shard."""
    current_plan: Annotated[
        tuple[PlanShard, ...], Field(max_length=100_000, strict=False)
    ] = ()
    """The plan in use: a starting point of the search, and the base of the reported difference.

    It has every column of a table once. It may have tables and devices that the job no longer has:
    those shards are dropped or placed anew, and the result names them.
    """
    max_moved_gib: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """Limit of the weights that leave their device of `current_plan`, GiB.

    Weights on a device that no longer exists, or that a pin forbids, must move and count first; if
    they alone exceed the limit, nothing else moves.
    """


class Method(StrEnum):
    """Search method."""

    TRIMTAB = "trimtab"
    """Greedy grid, beam and local search over a certified model, re-scored by the oracle."""
    NEUROSHARD = "neuroshard"
    """NeuroShard's algorithm and networks, as published."""


class BeamOptions(ExplainedModel):
    """Parameters of NeuroShard's two searches; defaults are the paper's."""

    levels: Annotated[int, Field(ge=0, le=64)] = 10
    """Levels of the beam search: each splits one more shard. 0: no split."""
    width: Annotated[int, Field(ge=1, le=64)] = 3
    """Plans kept at each level."""
    candidates: Annotated[int, Field(ge=1, le=256)] = 10
    """Shards tried for a split in each plan: this many by memory and as many by predicted cost."""
    grid: Annotated[int, Field(ge=1, le=101)] = 11
    """Values of the dim cap between 1.0 and 1.5 times the mean."""


class ShardingSpec(ExplainedModel, Spec):
    """Place embedding tables on devices, whole or split by columns, to minimise a step's time on
    the slowest device."""

    KIND: ClassVar[str] = "sharding"
    UNIT: ClassVar[str] = "ms"  # of the time of a step
    BASIC: ClassVar[tuple[str, ...]] = (
        "tables_file",
        "tables",
        "devices",
        "global_batch",
    )
    OUTPUTS: ClassVar[tuple[str, ...]] = ("plan.json", "plan.svg", "diff.txt")
    FILES: ClassVar[FileInput | None] = FileInput(field="tables_file", suffixes=(".csv",))
    # The search does not count evaluations, and the certificate bounds the model, not the cost.
    LIMITS: ClassVar[tuple[str, ...]] = ()
    MODELS: ClassVar[bool] = True
    SUMMARY: ClassVar[str] = (
        "Places embedding tables on devices, as a TorchRec plan, with a certificate."
    )
    EXAMPLE: ClassVar[Mapping[str, Any] | None] = {
        "kind": "sharding",
        "name": "Example: 12 tables on 4 devices",
        "spec": {
            "tables": [
                {
                    "name": f"table_{n}",
                    "rows": 50_000 * (n + 1),
                    "dim": 64,
                    "pooling": 1.0 + n,
                }
                for n in range(12)
            ],
            "devices": [{"count": 4, "memory_gib": 16}],
        },
        "budget": {"seconds": 10.0},
        "labels": {"example": "12-tables"},
    }

    tables: Annotated[tuple[Table, ...], Field(max_length=MAX_TABLES, strict=False)] = ()
    """The tables inline, instead of `tables_file`."""
    tables_file: ArtifactRef | None = None
    """Uploaded .csv or .json list of tables.

    Columns: name, rows, dim, and optionally pooling, features, dtype, alpha, active_rows, bin_0 ...
    bin_16.
    """
    devices: Annotated[
        tuple[DeviceGroup, ...], Field(min_length=1, max_length=256, strict=False)
    ]
    """Groups of equal devices, e.g. `[{"count": 8, "memory_gib": 80, "hardware": "a100"}]`;
    hardware: v100, a100, h100."""
    fabric: Fabric = Field(default_factory=Fabric)
    """Bandwidths between the devices."""
    global_batch: Annotated[int, Field(ge=1, le=2**26)] = 65_536
    """Samples in one step over all devices."""
    optimizer: Annotated[Optimizer, Field(strict=False)] = Optimizer.ROWWISE_ADAGRAD
    """Optimizer whose state the devices hold beside the weights."""
    memory_model: Annotated[MemoryModel, Field(strict=False)] = MemoryModel.TRAINING
    """Bytes that count against a device's memory."""
    constraints: Constraints = Field(default_factory=Constraints)
    """Pins, groups, and the plan in use."""
    method: Annotated[Method, Field(strict=False)] = Method.TRIMTAB
    """Method of the search."""
    beam: BeamOptions = Field(default_factory=BeamOptions)
    """Parameters of the beam and grid searches."""
    kicks: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Successive random kicks without a better plan after which the search ends.

    More kicks give better plans and take longer. None: 12, fewer on large problems.
    """
    proof_seconds: Annotated[float, Field(ge=0, le=3600)] = 3.0
    """Small jobs: seconds that branch and bound may tighten the bound after the search; 0: none."""
    what_if: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_DEVICES)], ...],
        Field(max_length=16, strict=False),
    ] = ()
    """Also plan for these numbers of devices (like those of the first group); report each cost."""

    @model_validator(mode="after")
    def _makes_sense(self) -> ShardingSpec:
        if bool(self.tables) == (self.tables_file is not None):
            got = "both" if self.tables else "neither"
            raise ValueError(
                f"expected exactly one of `tables` and `tables_file`, got {got}"
            )
        if (count := sum(g.count for g in self.devices)) > MAX_DEVICES:
            raise ValueError(
                f"devices: expected at most {MAX_DEVICES} in all, got {count}"
            )
        if (per_node := self.fabric.devices_per_node) is not None and count % per_node:
            raise ValueError(
                f"fabric.devices_per_node: expected a divisor of the {count} devices, got "
                f"{per_node}; give whole nodes"
            )
        if (
            self.constraints.max_moved_gib is not None
            and not self.constraints.current_plan
        ):
            raise ValueError(
                "constraints.max_moved_gib: expected `current_plan` with it, got none; give the "
                "plan in use or drop the limit"
            )
        if self.tables:
            check_tables(self.tables)
            self.check_constraints(self.tables)
        return self

    @property
    def device_count(self) -> int:
        """Devices of all groups."""
        return sum(group.count for group in self.devices)

    def check_constraints(self, tables: Iterable[Table]) -> None:
        """Check the constraints against the tables and against each other. Raises ValueError."""
        by_name = {table.name: table for table in tables}
        rules = self.constraints
        self._check_sizes(by_name)
        named = [("pin", pin.table) for pin in rules.pin]
        named += [("no_split", name) for name in rules.no_split]
        named += [("together", name) for group in rules.together for name in group]
        for field, name in named:
            if name not in by_name:
                raise ValueError(
                    f"constraints.{field}: expected one of the {len(by_name)} tables, "
                    f"got {name!r}; correct the name"
                )
        self._check_pins()
        self._check_groups()
        check_current_plan(rules.current_plan, by_name)

    def _check_sizes(self, tables: Mapping[str, Table]) -> None:
        """Raise ValueError for a table whose narrowest shard fits no device."""
        rules = self.constraints
        largest = max(group.memory_gib for group in self.devices) * 2**30
        total = sum(group.memory_gib * group.count for group in self.devices) * 2**30
        for name, table in tables.items():
            whole = name in rules.no_split
            width = (
                table.dim if whole else narrowest_width(table.dim, rules.min_shard_dim)
            )
            size = table.rows * width * table.dtype.bytes
            if size <= largest:
                continue
            advice = too_large_advice(
                rows=table.rows,
                width=width,
                element_bytes=table.dtype.bytes,
                largest_bytes=largest,
                total_bytes=total,
                narrowest=narrowest_width(table.dim, MIN_SHARD_DIM),
                whole=whole,
            )
            raise ValueError(
                f"tables: {name!r} has {table.rows} rows; its narrowest shard ({width} columns) "
                f"takes {size / 2**30:.3g} GiB and the largest device has "
                f"{largest / 2**30:.3g} GiB; {advice}"
            )

    def _check_pins(self) -> None:
        pins = self.constraints.pin
        if repeated := _repeated(pin.table for pin in pins):
            raise ValueError(
                f"constraints.pin: table {repeated[0]!r} is pinned twice; give one entry with "
                "all its devices"
            )
        for pin in pins:
            if (worst := max(pin.devices)) >= self.device_count:
                raise ValueError(
                    f"constraints.pin: table {pin.table!r} to device {worst}, but devices are "
                    f"0 .. {self.device_count - 1}"
                )

    def _check_groups(self) -> None:
        rules = self.constraints
        if repeated := _repeated(name for group in rules.together for name in group):
            raise ValueError(
                f"constraints.together: table {repeated[0]!r} is named twice; join its groups "
                "into one"
            )
        pins = {pin.table: set(pin.devices) for pin in rules.pin}
        for group in rules.together:
            allowed = [pins[name] for name in group if name in pins]
            if allowed and not set.intersection(*allowed):
                raise ValueError(
                    "constraints.together and constraints.pin contradict: tables "
                    f"{', '.join(map(repr, group))} must share one device, but their pins have "
                    "none in common; drop one of the two"
                )

    @classmethod
    def from_file(cls, path: str, **options: Any) -> ShardingSpec:
        """Return a spec of a .csv or .json file here; the client uploads it on submit."""
        from trimtab.files import LocalFile  # the server's side does not need it

        return cls(tables_file=LocalFile.of(path), **options)

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the list of tables, when it was uploaded."""
        return {} if self.tables_file is None else {"tables_file": self.tables_file}


def narrowest_width(dim: int, least: int) -> int:
    """Return a table's narrowest shard, columns: `least`, or all if two such do not fit."""
    return least if dim >= 2 * least else dim


def check_tables(tables: Iterable[Table]) -> None:
    """Raise ValueError when two tables have one name."""
    if repeated := _repeated(table.name for table in tables):
        shown = ", ".join(map(repr, repeated[:5]))
        raise ValueError(
            f"tables: expected unique names, got {len(repeated)} more than once ({shown}); "
            "rename them"
        )


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


class DeviceLoad(WireModel):
    """Load of one device under a plan, by the oracle."""

    device: int
    """Number of the device, counted from 0."""
    compute_ms: float
    """Time of the device's own look-ups, forward and backward, milliseconds."""
    forward_ms: float
    """Forward all-to-all, including the wait for the slowest device."""
    backward_ms: float
    """Backward all-to-all, milliseconds."""
    memory_bytes: int
    """Memory that its shards count as."""
    memory_limit_bytes: int
    """Memory that tables may use on it."""
    dim: int
    """Output columns: the widths of its shards, each once per feature of its table."""
    shards: int
    """Number of shards on it."""


class ShardingPlan(WireModel):
    """A plan, as in the file `plan.json`."""

    format: Literal["trimtab-sharding-plan/1"] = PLAN_FORMAT  # type: ignore[assignment]
    """Name and version of this file format."""
    cost_ms: float
    """Compute and communication of one step on the slowest device, by the oracle, milliseconds."""
    global_batch: int
    """Samples in one step over all devices."""
    devices: tuple[DeviceLoad, ...] = Field(strict=False)
    """Load of each device."""
    devices_per_node: int
    """Devices in one node."""
    shards: tuple[PlanShard, ...] = Field(strict=False)
    """Every shard and its device."""
    tables: tuple[Table, ...] = Field(strict=False)
    """The tables of the job."""
