"""Observation spaces with CompilerGym's names.

Autophase, AutophaseDict        56 counts (Haj-Ali et al., MLSys 2020)
InstCount, InstCountDict        70 counts: instructions, blocks, functions, opcodes of LLVM 10
InstCountNorm                   69 of them divided by the number of instructions
IrInstructionCount[O0|O3|Oz]    instructions of all functions; with a suffix: at that level
ObjectTextSizeBytes[O0|O3|Oz]   first column of `llvm-size`: code, constants and unwind tables
Programl, ProgramlNetworkx      program graph (Cummins et al., ICML 2021): arrays, networkx
Ir, IrSha1                      module as text; SHA-1 of its bitcode

CompilerGym's Inst2vec has no vocabulary for LLVM 22. Its Runtime and Buildtime need a benchmark
that can be run: `validate` runs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from solvers.llvm.environment.actions import NOTHING
from solvers.llvm.environment.spaces import Opaque, counts
from solvers.llvm.environment.states import States
from solvers.llvm.features import AUTOPHASE_NAMES, INST_COUNT_NAMES
from solvers.llvm.graph import ProgramGraph
from solvers.llvm.types import Sizes
from solvers.llvm.vocabulary import TOKENS, EdgeColumn, Flow, NodeColumn

if TYPE_CHECKING:
    from solvers.llvm.environment.env import CompilerEnv

LEVELS = ("O0", "O3", "Oz")
WRITABLE = (
    ".data",
    ".tdata",
    ".init_array",
    ".fini_array",
    ".preinit_array",
    ".ctors",
    ".dtors",
    ".got",
)
HEX = "0123456789abcdef"


@dataclass(frozen=True, kw_only=True)
class ObservationSpace:
    """Observation space and the function that computes it."""

    name: str
    space: gymnasium.Space[Any]
    # (states, pipeline that makes the state) → observation, a new object at each call
    observe: Callable[[States, str], Any]


def text_size(sizes: Sizes) -> int:
    """Return the bytes of the allocated sections that are not writable.

    This is the first column of `llvm-size` (Berkeley format). Writable sections are recognised by
    the assembler's default names.
    """
    return sum(
        size for name, size in sizes.sections.items() if not name.startswith(WRITABLE)
    )


def observation_spaces() -> dict[str, ObservationSpace]:
    """Return all observation spaces by name."""
    spaces = [
        ObservationSpace(
            name="Autophase", space=counts(len(AUTOPHASE_NAMES)), observe=_autophase
        ),
        ObservationSpace(
            name="AutophaseDict",
            space=gymnasium.spaces.Dict({name: counts() for name in AUTOPHASE_NAMES}),
            observe=lambda states, at: _named(AUTOPHASE_NAMES, _autophase(states, at)),
        ),
        ObservationSpace(
            name="InstCount", space=counts(len(INST_COUNT_NAMES)), observe=_inst_count
        ),
        ObservationSpace(
            name="InstCountDict",
            space=gymnasium.spaces.Dict({name: counts() for name in INST_COUNT_NAMES}),
            observe=lambda states, at: _named(INST_COUNT_NAMES, _inst_count(states, at)),
        ),
        ObservationSpace(
            name="InstCountNorm",
            space=gymnasium.spaces.Box(
                0.0, np.inf, shape=(len(INST_COUNT_NAMES) - 1,), dtype=np.float32
            ),
            observe=_inst_count_norm,
        ),
        ObservationSpace(
            name="IrInstructionCount", space=counts(), observe=_instructions
        ),
        ObservationSpace(
            name="ObjectTextSizeBytes", space=counts(), observe=_object_text
        ),
        ObservationSpace(
            name="Programl",
            space=Opaque(ProgramGraph),
            observe=lambda states, at: states.graph(at),
        ),
        ObservationSpace(
            name="ProgramlNetworkx",
            space=Opaque(object),
            observe=lambda states, at: as_networkx(states.graph(at)),
        ),
        ObservationSpace(
            name="Ir", space=Opaque(str), observe=lambda states, at: states.built(at).text
        ),
        ObservationSpace(
            name="IrSha1",
            space=gymnasium.spaces.Text(min_length=40, max_length=40, charset=HEX),
            observe=_sha1,
        ),
    ]
    for level in LEVELS:
        spaces.append(
            ObservationSpace(
                name=f"IrInstructionCount{level}",
                space=counts(),
                observe=_at_level(_instructions, level),
            )
        )
        spaces.append(
            ObservationSpace(
                name=f"ObjectTextSizeBytes{level}",
                space=counts(),
                observe=_at_level(_object_text, level),
            )
        )
    return {space.name: space for space in spaces}


class ObservationView:
    """Observations of the current state by name: `env.observation["Autophase"]`."""

    def __init__(self, env: CompilerEnv, spaces: Mapping[str, ObservationSpace]) -> None:
        self._env, self.spaces = env, spaces

    def __getitem__(self, name: str) -> Any:
        """Return the observation in a space. Raises ValueError for an unknown name."""
        return find_space(self.spaces, name).observe(self._env.states, self._env.pipeline)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.spaces]


def find_space(spaces: Mapping[str, ObservationSpace], name: str) -> ObservationSpace:
    """Return the space of that name. Raises ValueError, which names all spaces."""
    if name not in spaces:
        raise ValueError(
            f"observation space: expected one of {', '.join(spaces)}, got {name!r}"
        )
    return spaces[name]


def as_networkx(graph: ProgramGraph) -> Any:
    """Convert to a `networkx.MultiDiGraph` with ProGraML's attributes.

    Nodes have text, type, function and block; edges have flow and position. Raises
    ModuleNotFoundError when networkx is not installed.
    """
    import networkx  # an optional dependency, of this observation alone

    made = networkx.MultiDiGraph()
    for number, row in enumerate(graph.nodes.tolist()):
        made.add_node(
            number,
            text=TOKENS[row[NodeColumn.TOKEN]],
            type=row[NodeColumn.KIND],
            function=row[NodeColumn.FUNCTION],
            block=row[NodeColumn.BLOCK],
        )
    for row in graph.edges.tolist():
        flow = row[EdgeColumn.FLOW]
        made.add_edge(
            row[EdgeColumn.SOURCE],
            row[EdgeColumn.TARGET],
            flow=Flow(flow).value,
            position=row[EdgeColumn.POSITION],
        )
    return made


def _autophase(states: States, at: str) -> np.ndarray[Any, Any]:
    return np.array(states.features(at).autophase, dtype=np.int64)


def _inst_count(states: States, at: str) -> np.ndarray[Any, Any]:
    return np.array(states.features(at).inst_count, dtype=np.int64)


def _inst_count_norm(states: States, at: str) -> np.ndarray[Any, Any]:
    raw = _inst_count(states, at)
    return (raw[1:] / max(int(raw[0]), 1)).astype(np.float32)


def _named(names: tuple[str, ...], values: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {
        name: np.array(value, dtype=np.int64)
        for name, value in zip(names, values, strict=True)
    }


def _instructions(states: States, at: str) -> int:
    return states.sizes(at).ir_instructions


def _object_text(states: States, at: str) -> int:
    return text_size(states.sizes(at, emit=True))


def _at_level(
    observe: Callable[[States, str], int], level: str
) -> Callable[[States, str], int]:
    def of_level(states: States, at: str) -> int:
        return observe(states, NOTHING if level == "O0" else states.level(level))

    return of_level


def _sha1(states: States, at: str) -> str:
    return hashlib.sha1(states.built(at).bitcode, usedforsecurity=False).hexdigest()
