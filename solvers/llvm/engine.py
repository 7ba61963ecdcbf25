"""Measure one module under many recipes, in a process of its own.

Every candidate runs in a forked child of the server: a pass that asserts, hangs, exits or exhausts
memory costs that candidate alone. This process never loads LLVM.
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

from solvers.llvm.children import BUSY
from solvers.llvm.defaults import LEVELS, parsable, printed_pipeline
from solvers.llvm.install import Installed, find_llvm
from solvers.llvm.lld import lld
from solvers.llvm.module import BITCODE_MAGIC
from solvers.llvm.process import ServerProcess
from solvers.llvm.types import (
    BadModule,
    EngineDied,
    EngineLimits,
    LlvmMissing,
    Measured,
    Outcome,
    Recipe,
    Sizes,
    Target,
)

if TYPE_CHECKING:
    from solvers.llvm.features import Features
    from solvers.llvm.graph import ProgramGraph

_TEXT_FACTOR = 8  # length of textual IR over its bitcode, about
_START_S = 60.0
_GRACE_S = 30.0  # beyond a candidate's own limit, before the server counts as dead
_AT_ONCE = 256  # recipes in one request
_TARGET, _LIMITS = Target(), EngineLimits()


class BadTarget(BadModule):
    """Triple, CPU or features are unknown to this LLVM, or it makes no ELF objects for them."""


class CandidateFailed(Exception):
    """The recipe makes no program. `measured` has the reason."""

    def __init__(self, measured: Measured) -> None:
        super().__init__(f"{measured.outcome.value}: {measured.detail}")
        self.measured = measured


@dataclass(frozen=True, kw_only=True)
class ModuleInfo:
    """Facts about the input module."""

    source_sha256: str  # of the bytes received
    ir_instructions: int
    functions: tuple[str, ...]  # defined, in the module's order
    function_instructions: Mapping[str, int]  # of each defined function
    exported: tuple[str, ...]  # definitions other objects can rely on, sorted
    declared: tuple[str, ...]  # functions it needs from elsewhere, sorted
    inline_asm: bool  # assembly in the module or in a call, opaque to LLVM
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
    """One module in one server process, as a context manager.

    Only `kill` may be called from another thread.
    """

    def __init__(
        self,
        module: bytes,
        *,
        target: Target = _TARGET,
        limits: EngineLimits = _LIMITS,
        workdir: Path | None = None,
        installed: Installed | None = None,
        link: Mapping[str, Any] | None = None,
    ) -> None:
        """Start the server with `module` (bitcode or textual IR); its folder is made in `workdir`.

        link: an order of `server_link`, with the weights `flash`, `ram` and `beyond`: each
            candidate is linked, and sizes are the linked program's.

        Raises BadModule with LLVM's own message (BadTarget: about triple, CPU or features),
        LlvmMissing or EngineDied.
        """
        self.target, self.limits = target, limits
        self.installed = installed or find_llvm(target.triple)
        self._module, self._workdir, self._link = module, workdir, link
        self._process: ServerProcess | None = None
        self._closed, self._lock = False, threading.Lock()
        most = limits.module_bytes * (
            1 if module.startswith(BITCODE_MAGIC) else _TEXT_FACTOR
        )
        if len(module) > most:
            raise BadModule(
                f"module: expected at most {most:,} bytes, got {len(module):,}"
            )
        self.info = self._start()

    # --- requests

    def measure(
        self,
        recipes: Sequence[Recipe],
        *,
        emit: bool = True,
        stopped: Callable[[], bool] = lambda: False,
        jobs: int = 1,
        seconds: float | None = None,
    ) -> list[Measured]:
        """Return the result of every recipe, in order; failures are results, too.

        emit: make the object; otherwise only the IR is counted.
        stopped: called every 20 ms; when it returns true, running candidates are killed and the
            results so far are returned.
        jobs: candidates side by side.
        seconds: the most that a candidate may take by the clock; None: `BUSY` times its limit.

        Raises EngineDied.
        """
        results: dict[int, Measured] = {}
        died = 0
        while len(results) < len(recipes) and not stopped():
            open_ = [i for i in range(len(recipes)) if i not in results][:_AT_ONCE]
            request = {
                "op": "measure",
                "recipes": [recipes[i].as_json() for i in open_],
                "emit": emit,
                "jobs": jobs,
                "seconds": seconds,
            }
            before = len(results)
            try:
                for reply in self._ask(request, stopped=stopped):
                    if "i" in reply:
                        place = open_[reply["i"]]
                        results[place] = _measured(recipes[place], reply)
            except EngineDied:
                died = 0 if len(results) > before else died
                died += 1
                if died > 1:
                    raise
                self._restart()
        return [results[i] for i in sorted(results)]

    def trajectory(
        self,
        passes: Sequence[str],
        *,
        sizes: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """Return IR counts after 0, 1, … passes, each run by itself.

        The list is shorter when a pass crashes or is refused. The limit of one candidate holds for
        all passes together.

        sizes: loadable bytes instead of IR counts.
        stopped: as for `measure`, but no counts are returned.

        Raises EngineDied, and CandidateFailed when stopped or without even the first count.
        """
        request = {"op": "trajectory", "passes": list(passes), "sizes": sizes}
        counts: list[int] = self._all(request, stopped=stopped)[-1]["counts"]
        return counts

    def build(self, recipe: Recipe, *, patience: float = 1.0) -> Built:
        """Return the optimised module as bitcode, text and object.

        patience: times the limit of a candidate that it may take.

        Raises CandidateFailed or EngineDied.
        """
        reply = self._once(
            {
                "op": "measure",
                "recipes": [recipe.as_json()],
                "emit": True,
                "keep": "built",
                "patience": patience,
            },
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
        """Return LLVM's objection to each pipeline, or None."""
        answers = self._all({"op": "check", "pipelines": list(pipelines)})
        return [answer["objection"] for answer in answers if "i" in answer]

    def default_pipeline(self, level: str) -> str:
        """Return `opt`'s default<level> for this target as text that makes the same program.

        Levels: O0 O1 O2 O3 Os Oz.
        """
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
        """Return a printed pipeline without the parts that LLVM cannot parse. Raises ValueError."""
        return parsable(pipeline, lambda text: self.check([text])[0])

    def default_pipelines(self) -> dict[str, str]:
        """Return the default pipelines by level."""
        return {level: self.default_pipeline(level) for level in LEVELS}

    def completed(self) -> tuple[bytes, int]:
        """Return the module with target attributes on all functions, and how many lacked them.

        Raises CandidateFailed.
        """
        changed = int(self._once({"op": "complete"})["changed"])
        return (self._take("complete.bc") if changed else self._module), changed

    def features(self) -> Features:
        """Return the feature vectors of the input."""
        from solvers.llvm.features import Features

        return Features.from_reply(self._once({"op": "features"})["value"])

    def graph(self) -> ProgramGraph:
        """Return the graph of the input."""
        from solvers.llvm.graph import ProgramGraph

        value = self._once({"op": "graph"})["value"]
        assert self._process is not None
        return ProgramGraph.from_reply(value, self._process.folder)

    # --- start and end

    def close(self) -> None:
        """End the server and remove its folder. May be called again."""
        self._closed = True
        with self._lock:
            process, self._process = self._process, None
        if process:
            process.close()

    def kill(self) -> None:
        """End the server at once, from any thread; running requests raise EngineDied.

        `close` removes its folder.
        """
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
        """Process id of the server while it runs."""
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
                "link": self._link,
                "linker": _linker(),
            }
            try:
                reply = list(process.ask(request, seconds=_START_S))[-1]
            except EngineDied as died:
                if self._closed:
                    raise
                # LLVM's reader crashes on some damaged bitcode: assertions, endless recursion.
                raise BadModule(
                    f"LLVM {self.installed.version} crashed while reading the module: {died}"
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
            raise EngineDied(
                f"the engine died and did not start again: {error}"
            ) from error

    def _ask(
        self, request: dict[str, Any], *, stopped: Callable[[], bool] = lambda: False
    ) -> Any:
        process = self._process
        if process is None or self._closed:
            raise EngineDied("the engine was closed")
        return process.ask(
            request,
            seconds=BUSY * request.get("patience", 1.0) * self.limits.candidate_s
            + _GRACE_S,
            stopped=stopped,
        )

    def _all(
        self, request: dict[str, Any], stopped: Callable[[], bool] = lambda: False
    ) -> list[dict[str, Any]]:
        """Return all replies; send the request once more when the server died."""
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
        """Read a file of the server and remove it."""
        assert self._process is not None
        path = self._process.folder / name
        data = path.read_bytes()
        path.unlink()
        return data


_DEFAULTS: dict[tuple[str, ...], str] = {}  # default pipelines by LLVM build and target


def _linker() -> dict[str, list[str]] | None:
    """Return lld and the folders it reads; None without one."""
    try:
        program = lld()
    except LlvmMissing:
        return None
    return {
        "words": [*program.words],
        "readable": [str(path) for path in program.folders],
    }


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
            ram_bytes=reply.get("ram", 0),
            image_bytes=reply.get("image", 0),
            beyond_bytes=reply.get("beyond", 0),
        )
    return Measured(
        recipe=recipe,
        outcome=outcome,
        seconds=reply["seconds"],
        sizes=sizes,
        ir_sha256=reply.get("sha256", ""),
        detail=reply["detail"],
    )
