"""Observation spaces in CompilerGym's names: how a state is looked at.

Autophase, AutophaseDict          56 counts of Huang et al. (MLSys 2020)
InstCount, InstCountDict          70 counts: instructions, blocks, functions, and each opcode of LLVM 10's list
InstCountNorm                     69 of them as shares of all instructions
IrInstructionCount[O0|O3|Oz]      instructions of all functions; with a suffix: of the module at that level
ObjectTextSizeBytes[O0|O3|Oz]     first column of `llvm-size`: code, read-only data and unwind tables of the object
Programl, ProgramlNetworkx        program graph of Cummins et al. (ICML 2021): as our arrays, as a networkx.MultiDiGraph
Ir, IrSha1                        the module as text; a digest of its bitcode

CompilerGym's Inst2vec has no vocabulary for LLVM 22, and its Runtime and Buildtime belong to a benchmark that can run:
`validate` runs it.
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
    """One way to look at a state."""

    name: str
    space: gymnasium.Space[Any]
    look: Callable[
        [States, str], Any
    ]  # (states, pipeline that leads to the state); a fresh value at each call


def text_size(sizes: Sizes) -> int:
    """Bytes in the first column of `llvm-size` (Berkeley format): allocated sections that are not writable.

    An object's writable sections are known by their names, as the assembler's defaults give them.
    """
    return sum(
        size for name, size in sizes.sections.items() if not name.startswith(WRITABLE)
    )


def observation_spaces() -> dict[str, ObservationSpace]:
    """All of them, by name."""
    found = [
        ObservationSpace(
            name="Autophase", space=counts(len(AUTOPHASE_NAMES)), look=_autophase
        ),
        ObservationSpace(
            name="AutophaseDict",
            space=gymnasium.spaces.Dict({name: counts() for name in AUTOPHASE_NAMES}),
            look=lambda states, at: _named(AUTOPHASE_NAMES, _autophase(states, at)),
        ),
        ObservationSpace(
            name="InstCount", space=counts(len(INST_COUNT_NAMES)), look=_inst_count
        ),
        ObservationSpace(
            name="InstCountDict",
            space=gymnasium.spaces.Dict({name: counts() for name in INST_COUNT_NAMES}),
            look=lambda states, at: _named(INST_COUNT_NAMES, _inst_count(states, at)),
        ),
        ObservationSpace(
            name="InstCountNorm",
            space=gymnasium.spaces.Box(
                0.0, np.inf, shape=(len(INST_COUNT_NAMES) - 1,), dtype=np.float32
            ),
            look=_inst_count_norm,
        ),
        ObservationSpace(name="IrInstructionCount", space=counts(), look=_instructions),
        ObservationSpace(name="ObjectTextSizeBytes", space=counts(), look=_object_text),
        ObservationSpace(
            name="Programl",
            space=Opaque(ProgramGraph),
            look=lambda states, at: states.graph(at),
        ),
        ObservationSpace(
            name="ProgramlNetworkx",
            space=Opaque(object),
            look=lambda states, at: as_networkx(states.graph(at)),
        ),
        ObservationSpace(
            name="Ir", space=Opaque(str), look=lambda states, at: states.built(at).text
        ),
        ObservationSpace(
            name="IrSha1",
            space=gymnasium.spaces.Text(min_length=40, max_length=40, charset=HEX),
            look=_sha1,
        ),
    ]
    for level in LEVELS:
        found.append(
            ObservationSpace(
                name=f"IrInstructionCount{level}",
                space=counts(),
                look=_at_level(_instructions, level),
            )
        )
        found.append(
            ObservationSpace(
                name=f"ObjectTextSizeBytes{level}",
                space=counts(),
                look=_at_level(_object_text, level),
            )
        )
    return {space.name: space for space in found}


class ObservationView:
    """`env.observation["Autophase"]`: the current state, looked at in any of the spaces."""

    def __init__(self, env: CompilerEnv, spaces: Mapping[str, ObservationSpace]) -> None:
        self._env, self.spaces = env, spaces

    def __getitem__(self, name: str) -> Any:
        """Raises ValueError for an unknown name."""
        return known(self.spaces, name).look(self._env.states, self._env.pipeline)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.spaces]


def known(spaces: Mapping[str, ObservationSpace], name: str) -> ObservationSpace:
    """The space of that name. Raises ValueError naming what there is."""
    if name not in spaces:
        raise ValueError(
            f"observation space {name!r} is unknown; known: {', '.join(spaces)}"
        )
    return spaces[name]


def as_networkx(graph: ProgramGraph) -> Any:
    """A `networkx.MultiDiGraph` with ProGraML's attributes: nodes text, type, function, block; edges flow, position.

    Raises ModuleNotFoundError when networkx is not installed.
    """
    import networkx  # optional: only who asks for this form needs it

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
        # the key keeps parallel edges apart by what they carry, as ProGraML's own conversion does
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
    look: Callable[[States, str], int], level: str
) -> Callable[[States, str], int]:
    def of_level(states: States, at: str) -> int:
        return look(states, NOTHING if level == "O0" else states.level(level))

    return of_level


def _sha1(states: States, at: str) -> str:
    return hashlib.sha1(states.built(at).bitcode, usedforsecurity=False).hexdigest()
