"""Kind `ilp`: a mixed-integer linear program as an .mps or .lp file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from trimtab.solution import Variables
from trimtab.specs.common import ArtifactRef, FileInput, Spec, WireModel, _storable

MAX_INLINE_MODEL_CHARS = 1_000_000


class Engine(StrEnum):
    """Complete solver: works on the whole problem and proves the bound."""

    HIGHS = "highs"
    SCIP = "scip"
    CP_SAT = "cp-sat"


class Neighbourhood(StrEnum):
    """Arms of the large neighbourhood search: heuristics that choose the variables to free."""

    RANDOM = "random"
    """Uniformly chosen variables."""
    VARIABLE_GRAPH = "variable-graph"
    """A variable and those that share rows with it, ring by ring."""
    CONSTRAINT_BLOCK = "constraint-block"
    """The variables of tight rows, row by row (after Song et al. 2020)."""
    RINS = "rins"
    """Variables that differ between incumbent and root LP (Danna, Rothberg and Le Pape 2005)."""
    CROSSOVER = "crossover"
    """Variables that differ between good solutions (Rothberg 2007)."""
    LB_RELAX = "lb-relax"
    """The largest differences between incumbent and local-branching LP (Huang et al. 2023)."""
    LB_RELAX_S = "lb-relax-s"
    """A uniform sample of the variables where incumbent and local-branching LP differ."""
    LB_RELAX_R = "lb-relax-r"
    """Each variable with the probability of its difference."""
    CL_LNS = "cl-lns"
    """The best scores of a graph attention network (CL-LNS, Huang et al. 2023); it disables itself
    on models unlike those it was trained on."""
    ONE_SWAP = "one-swap"
    """Not an arm: local search without a solver, by one-swaps on pure set covers (in turn with the
    arms) and by exchanges on packings and vertex covers (beside them); results use this name for
    both."""


class LnsOptions(WireModel):
    """Large neighbourhood search beside the complete solver."""

    enabled: bool = True
    """False: the complete solver works alone."""
    neighbourhoods: Annotated[
        tuple[Neighbourhood, ...], Field(min_length=1, max_length=16, strict=False)
    ] = tuple(Neighbourhood)
    """Arms that the bandit chooses from; those that do not apply to the model are left out.
    Default: all."""
    sub_mip_engine: Engine = Engine.HIGHS
    """Solver of the sub-MIPs."""
    sub_mip_seconds: Annotated[float, Field(gt=0, le=600)] = 3.0
    """Time limit of one sub-MIP, seconds."""


class PoolOptions(WireModel):
    """Solution pool: the best solutions that differ in their integer variables."""

    size: Annotated[int, Field(ge=1, le=200)] = 10
    """Number of solutions, the best one included."""
    gap: Annotated[float, Field(ge=0)] | None = None
    """Largest |objective - best| / |best| of a solution. None: any solution."""
    absolute_gap: Annotated[float, Field(ge=0)] | None = None
    """Largest |objective - best|, in units of the objective."""
    distance: Annotated[int, Field(ge=1, le=10**6)] = 1
    """Least number of integer variables in which any two solutions differ. 1: the k best; more:
    diverse solutions, each the best one at that distance from those before it."""


_EXAMPLE_MODEL = """\\ Choose parcels of the greatest value within weight and volume
Maximize
 value: 60 radio + 45 books + 80 lamp + 30 shoes + 55 chair + 70 tent
Subject To
 weight: 3 radio + 7 books + 4 lamp + 2 shoes + 9 chair + 6 tent <= 16
 volume: 4 radio + 3 books + 6 lamp + 2 shoes + 9 chair + 5 tent <= 14
 not_both: lamp + tent <= 1
Binary
 radio books lamp shoes chair tent
End
"""


class IlpSpec(Spec):
    """A mixed-integer linear program: `model` (an uploaded file) or `model_text` (a small one)."""

    KIND: ClassVar[str] = "ilp"
    BASIC: ClassVar[tuple[str, ...]] = (
        "model",
        "model_text",
    )
    OUTPUTS: ClassVar[tuple[str, ...]] = (
        "solution.sol",
        "solution.json",
        "duals.json",
        "solutions.json",
        "curve.csv",
        "curve.svg",
    )
    FILES: ClassVar[FileInput | None] = FileInput(
        field="model", suffixes=(".mps", ".lp", ".mps.gz", ".lp.gz"), fallback=True
    )
    MODELS: ClassVar[bool] = True
    SUMMARY: ClassVar[str] = (
        "Solves a mixed-integer linear program (.mps, .lp, .gz): improving incumbents and a "
        "proved bound."
    )
    EXAMPLE: ClassVar[Mapping[str, Any] | None] = {
        "kind": "ilp",
        "name": "Example: which parcels fit the van",
        "spec": {"model_text": _EXAMPLE_MODEL, "format": "lp"},
        "budget": {"seconds": 10.0},
        "labels": {"example": "parcels"},
    }

    model: ArtifactRef | None = None
    """Uploaded .mps or .lp file, plain or .gz."""
    model_text: (
        Annotated[
            str, Field(max_length=MAX_INLINE_MODEL_CHARS), AfterValidator(_storable)
        ]
        | None
    ) = None
    """The model inline, at most 1,000,000 characters."""
    format: Literal["auto", "mps", "lp"] = "auto"
    """Format of the model; `auto` detects it from the file name, then from the content."""
    engine: Engine = Engine.HIGHS
    """Complete solver that works on the whole problem and proves the bound."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Cores that the run may use. 1: the complete solver and the large neighbourhood search take
    turns. 2: a core each. More: further threads of the complete solver. Without the search, all are
    the complete solver's."""
    warm_start: ArtifactRef | None = None
    """Uploaded solution to start from, a .sol or .mst text file. A partial one is completed."""
    absolute_gap: Annotated[float, Field(ge=0)] | None = None
    """End when |objective - bound| is at most this, in units of the objective; the relative gap is
    `budget.target_gap`."""
    cutoff: float | None = None
    """Only solutions with this objective or a better one are of interest. If there is provably
    none, the run ends as `no_solution_found` by limit `cutoff`."""
    feasibility_tolerance: Annotated[float, Field(ge=1e-9, le=1e-3)] | None = None
    """Violation of a row or bound that is allowed, relative to max(1, |side|). None: 1e-6. The
    engines are given it, and the independent check uses it."""
    objective_stop: float | None = None
    """End at the first solution with this objective or a better one."""
    bound_stop: float | None = None
    """End once the proved bound is at least this (at most, if the model maximises)."""
    node_limit: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """End when the complete solver has explored this many nodes; `cp-sat` counts none."""
    solution_limit: Annotated[int, Field(ge=1, le=10**6)] | None = None
    """End at this many solutions, each better than the one before."""
    pool: PoolOptions | None = None
    """Also return further solutions, in `solutions.json`. None: the best one alone."""
    lns: LnsOptions = Field(default_factory=LnsOptions)
    """Options of the large neighbourhood search."""
    _variables: Variables | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_model(self) -> IlpSpec:
        if (self.model is None) == (self.model_text is None):
            got = "both" if self.model is not None else "neither"
            raise ValueError(
                f"expected exactly one of `model` and `model_text`, got {got}"
            )
        return self

    @model_validator(mode="after")
    def _counts_nodes(self) -> IlpSpec:
        if self.node_limit is not None and self.engine is Engine.CP_SAT:
            raise ValueError(
                "node_limit: expected none beside engine cp-sat, which counts no nodes, "
                f"got {self.node_limit}; choose highs or scip"
            )
        return self

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        warm_start: str | os.PathLike[str] | ArtifactRef | None = None,
        **options: Any,
    ) -> IlpSpec:
        """Return a spec of files on this machine; the client uploads them on submit.

        `warm_start` may also be a stored file, or one that a job will produce (`job.output`).
        """
        from trimtab.files import LocalFile  # the server's side does not need it

        start = (
            warm_start
            if warm_start is None or isinstance(warm_start, ArtifactRef)
            else LocalFile.of(warm_start)
        )
        return cls(model=LocalFile.of(path), warm_start=start, **options)

    @classmethod
    def from_model(cls, model: Any, *, warm_start: Any = None, **options: Any) -> IlpSpec:
        """Return a spec of a model object of highspy, pyscipopt or OR-Tools (see trimtab.milp).

        `job.result().value(x)` is then the value of the model's variable x.

        Args:
            model: The model object; it is not changed.
            warm_start: A mapping from the model's variables (or their names) to numbers, an
                iterable of such pairs, or a MathOpt SolutionHint. None: the object's own solution
                or hint.
            options: Further fields of the spec.
        """
        from trimtab.milp import carry_over

        carried = carry_over(model, warm_start=warm_start)
        spec = cls.from_file(carried.model, warm_start=carried.start, **options)
        spec._variables = carried.variables
        return spec

    def variables(self) -> Variables | None:
        """Return the model object's variables; None for a spec of a file."""
        return self._variables

    def artifacts(self) -> dict[str, ArtifactRef]:
        """Return the uploaded files, by the name of their field."""
        files = {"model": self.model, "warm_start": self.warm_start}
        return {
            name: reference for name, reference in files.items() if reference is not None
        }
