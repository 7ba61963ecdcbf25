"""Engine: one module in a process of its own, measured under many recipes.

Every candidate runs in a forked child of the server: a pass that asserts, hangs, exits or eats memory costs that candidate
and nothing else. This process never loads LLVM.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from solvers.llvm.defaults import LEVELS, parsable, printed_pipeline
from solvers.llvm.install import Installed, find_llvm
from solvers.llvm.module import BITCODE_MAGIC
from solvers.llvm.process import ServerProcess
from solvers.llvm.types import (
    BadModule,
    EngineDied,
    EngineLimits,
    Measured,
    Outcome,
    Recipe,
    Sizes,
    Target,
)

if TYPE_CHECKING:
    from solvers.llvm.features import Features
    from solvers.llvm.graph import ProgramGraph

_TEXT_FACTOR = 8  # textual IR is about so many times as long as its bitcode
_START_S = 60.0
_GRACE_S = 30.0  # beyond a candidate's own limit, before the server counts as gone
_AT_ONCE = 256  # recipes in one request
_TARGET, _LIMITS = Target(), EngineLimits()


class BadTarget(BadModule):
    """Triple, CPU or features are unknown to this LLVM, or it makes no ELF objects for them."""


class CandidateFailed(Exception):
    """The recipe does not give a program. `measured` says how it ended."""

    def __init__(self, measured: Measured) -> None:
        super().__init__(f"{measured.outcome.value}: {measured.detail}")
        self.measured = measured


@dataclass(frozen=True, kw_only=True)
class ModuleInfo:
    """What is known of the input."""

    source_sha256: str  # of the bytes that came
    ir_instructions: int
    functions: tuple[str, ...]  # defined, in the module's order
    function_instructions: Mapping[str, int]  # of each defined function
    exported: tuple[str, ...]  # definitions other objects can rely on, sorted
    declared: tuple[str, ...]  # functions it needs from elsewhere, sorted
    inline_asm: bool  # assembly in the module or in a call: LLVM does not look inside
    constructors: bool  # code that runs before or after main
    triple: str  # the module's own


@dataclass(frozen=True, kw_only=True)
class Built:
    """An optimised module in all its forms."""

    bitcode: bytes
    text: str
    object: bytes  # ELF
    measured: Measured


class Engine:
    """One module in one server process. A context manager; not for two threads at once, except `kill`."""

    def __init__(
        self,
        module: bytes,
        *,
        target: Target = _TARGET,
        limits: EngineLimits = _LIMITS,
        workdir: Path | None = None,
        installed: Installed | None = None,
    ) -> None:
        """`module` is bitcode or textual IR; `workdir` is where the private folder is made.

        Raises BadModule with LLVM's own message (BadTarget: about triple, CPU or features), LlvmMissing or EngineDied.
        """
        self.target, self.limits = target, limits
        self.installed = installed or find_llvm()
        self._module, self._workdir = module, workdir
        self._process: ServerProcess | None = None
        self._closed, self._lock = False, threading.Lock()
        most = limits.module_bytes * (
            1 if module.startswith(BITCODE_MAGIC) else _TEXT_FACTOR
        )
        if len(module) > most:
            raise BadModule(
                f"the module has {len(module):,} bytes; at most {most:,} are taken"
            )
        self.info = self._start()

    # --- questions

    def measure(
        self,
        recipes: Sequence[Recipe],
        *,
        emit: bool = True,
        stopped: Callable[[], bool] = lambda: False,
        jobs: int = 1,
        seconds: float | None = None,
    ) -> list[Measured]:
        """Every recipe's result, in order. Recipes that fail are results, too.

        emit: make the object; without, only the IR is counted. stopped: asked every 20 ms; when it turns true, what runs is
        killed and the results so far come back. jobs: candidates side by side. seconds: of one candidate, where less than the
        engine's own limit will do. Raises EngineDied.
        """
        found: dict[int, Measured] = {}
        died = 0
        while len(found) < len(recipes) and not stopped():
            open_ = [i for i in range(len(recipes)) if i not in found][:_AT_ONCE]
            request = {
                "op": "measure",
                "recipes": [recipes[i].as_json() for i in open_],
                "emit": emit,
                "jobs": jobs,
                "seconds": seconds,
            }
            before = len(found)
            try:
                for reply in self._ask(request, stopped=stopped):
                    if "i" in reply:
                        place = open_[reply["i"]]
                        found[place] = _measured(recipes[place], reply)
            except EngineDied:
                died = 0 if len(found) > before else died
                died += 1
                if died > 1:
                    raise
                self._restart()
        return [found[i] for i in sorted(found)]

    def trajectory(
        self,
        passes: Sequence[str],
        *,
        sizes: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """IR counts after 0, 1, … passes, each run by itself; shorter when a pass crashes or is refused.

        sizes: loadable bytes instead of IR counts. The limit of a candidate holds for the whole. stopped: as for `measure`, but
        nothing comes back. Raises CandidateFailed when it was stopped or not even the first count came, and EngineDied.
        """
        request = {"op": "trajectory", "passes": list(passes), "sizes": sizes}
        counts: list[int] = self._all(request, stopped=stopped)[-1]["counts"]
        return counts

    def build(self, recipe: Recipe) -> Built:
        """The optimised module as bitcode, text and object. Raises CandidateFailed or EngineDied."""
        reply = self._once(
            {"op": "measure", "recipes": [recipe.as_json()], "emit": True, "keep": "built"},
            first=True,
        )
        measured = _measured(recipe, reply)
        if measured.outcome is not Outcome.OK:
            raise CandidateFailed(measured)
        bitcode, text, made = (self._take(f"built.{kind}") for kind in ("bc", "ll", "o"))
        return Built(
            bitcode=bitcode,
            text=text.decode("utf-8", "replace"),
            object=made,
            measured=measured,
        )

    def check(self, pipelines: Sequence[str]) -> list[str | None]:
        """What LLVM objects to in each pipeline; None when it reads it."""
        answers = self._all({"op": "check", "pipelines": list(pipelines)})
        return [answer["said"] for answer in answers if "i" in answer]

    def default_pipeline(self, level: str) -> str:
        """Text of `opt`'s default<level> for this target; it gives the same program. Levels: O0 O1 O2 O3 Os Oz."""
        key = (
            self.installed.build_id,
            self.target.triple,
            self.target.cpu,
            self.target.features,
            level,
        )
        if key not in _DEFAULTS:
            text = printed_pipeline(self.installed, self.target, level)
            _DEFAULTS[key] = parsable(text, lambda pipeline: self.check([pipeline])[0])
        return _DEFAULTS[key]

    def readable(self, pipeline: str) -> str:
        """A pipeline as LLVM prints it, without what it prints but does not read. Raises ValueError."""
        return parsable(pipeline, lambda text: self.check([text])[0])

    def default_pipelines(self) -> dict[str, str]:
        """Level → text, of every level."""
        return {level: self.default_pipeline(level) for level in LEVELS}

    def completed(self) -> tuple[bytes, int]:
        """The module with target words on the functions that lack them, and how many did. Raises CandidateFailed."""
        changed = int(self._once({"op": "complete"})["changed"])
        return (self._take("complete.bc") if changed else self._module), changed

    def features(self) -> Features:
        """Feature vectors of the input."""
        from solvers.llvm.features import Features

        return Features.from_reply(self._once({"op": "features"})["value"])

    def graph(self) -> ProgramGraph:
        """The input's graph."""
        from solvers.llvm.graph import ProgramGraph

        value = self._once({"op": "graph"})["value"]
        assert self._process is not None
        return ProgramGraph.from_reply(value, self._process.folder)

    # --- life

    def close(self) -> None:
        """Ends the server and removes its folder. More than once does no harm."""
        self._closed = True
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.close()

    def kill(self) -> None:
        """Ends the server at once, from any thread; what runs raises EngineDied. `close` cleans up."""
        self._closed = True
        with self._lock:
            if self._process:
                self._process.signal_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the server while it lives."""
        return self._process.pid if self._process else None

    def _start(self) -> ModuleInfo:
        tools = self.installed.tools
        llc = tools / "llc" if tools and (tools / "llc").is_file() else None
        with self._lock:
            if self._closed:
                raise EngineDied("the engine was closed")
            process = self._process = ServerProcess(self._workdir)
        try:
            (process.folder / "input").write_bytes(self._module)
            request = {
                "library": str(self.installed.library),
                "folder": str(process.folder),
                "llc": str(llc or ""),
                "triple": self.target.triple,
                "cpu": self.target.cpu,
                "features": self.target.features,
                "pic": self.target.pic is not False,
                "codegen": list(self.target.codegen),
                "seconds": self.limits.candidate_s,
                "memory_bytes": self.limits.memory_bytes,
                "instructions": self.limits.instructions,
            }
            try:
                reply = list(process.ask(request, seconds=_START_S))[-1]
            except EngineDied as died:
                if self._closed:
                    raise
                # LLVM's reader ends the process on some damaged bitcode: an assertion, or a recursion without end.
                raise BadModule(
                    f"LLVM {self.installed.version} does not survive reading the module: {died}"
                ) from died
            if "error" in reply:
                kind = BadTarget if reply["what"] == "target" else BadModule
                raise kind(reply["error"])
        except BaseException:
            with self._lock:
                self._process = None
            process.close()
            raise
        return ModuleInfo(
            source_sha256=hashlib.sha256(self._module).hexdigest(),
            ir_instructions=reply["ir_instructions"],
            functions=tuple(reply["functions"]),
            function_instructions=reply["functions"],
            exported=tuple(reply["exported"]),
            declared=tuple(reply["declared"]),
            inline_asm=reply["inline_asm"],
            constructors=reply["constructors"],
            triple=reply["triple"],
        )

    def _restart(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.close()
        try:
            self._start()
        except BadModule as error:  # it was read once
            raise EngineDied(f"the engine died and did not start again: {error}") from error

    def _ask(
        self, request: dict[str, Any], *, stopped: Callable[[], bool] = lambda: False
    ) -> Any:
        process = self._process
        if process is None or self._closed:
            raise EngineDied("the engine was closed")
        return process.ask(
            request, seconds=self.limits.candidate_s + _GRACE_S, stopped=stopped
        )

    def _all(
        self, request: dict[str, Any], stopped: Callable[[], bool] = lambda: False
    ) -> list[dict[str, Any]]:
        """All replies; asks once more when the server died."""
        try:
            replies = list(self._ask(request, stopped=stopped))
        except EngineDied:
            self._restart()
            replies = list(self._ask(request, stopped=stopped))
        if "error" in replies[-1]:
            raise _failure(replies[-1]["error"])
        return replies

    def _once(self, request: dict[str, Any], *, first: bool = False) -> dict[str, Any]:
        return self._all(request)[0 if first else -1]

    def _take(self, name: str) -> bytes:
        """Reads a file of the server and removes it."""
        assert self._process is not None
        path = self._process.folder / name
        data = path.read_bytes()
        path.unlink()
        return data


_DEFAULTS: dict[
    tuple[str, ...], str
] = {}  # pipelines that were asked for, by LLVM build and target


def _failure(text: str) -> Exception:
    return CandidateFailed(
        Measured(
            recipe=Recipe(pipeline=""),
            outcome=Outcome.CRASHED,
            seconds=0.0,
            detail=text[:2000],
        )
    )


def _measured(recipe: Recipe, reply: Mapping[str, Any]) -> Measured:
    outcome = Outcome(reply["outcome"])
    sizes = None
    if outcome is Outcome.OK:
        sizes = Sizes(
            ir_instructions=reply["ir"],
            code_bytes=reply.get("code", 0),
            loadable_bytes=reply.get("loadable", 0),
            sections=reply.get("sections", {}),
            functions=reply.get("functions", {}),
            unwind=reply.get("unwind", {}),
        )
    return Measured(
        recipe=recipe,
        outcome=outcome,
        seconds=reply["seconds"],
        sizes=sizes,
        ir_sha256=reply.get("sha256", ""),
        detail=reply["detail"],
    )
