"""`python -m solvers.llvm.server`: hold libLLVM and one module, measure candidates in children.

Protocol: one JSON object a line. Requests come on stdin: {"op": name, …}. Replies go to stdout: any
number of {"i": number, …}, then one {"done": true, …} or {"error": text, "what": kind}. Any input
meanwhile stops the request. Data too large for a line lies in the engine's folder.
`solvers.llvm.engine` starts the server and owns that folder. No numpy and no dataclasses are
imported: start-up takes as long as the imports.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from solvers.llvm.capi import CApi
from solvers.llvm.children import (
    BUSY,
    STDERR_BYTES,
    Job,
    limit_files,
    limit_memory,
    run_all,
)
from solvers.llvm.elf import sizes_of
from solvers.llvm.module import Module, Refused, Session
from solvers.llvm.options import of_functions, unknown_option, with_code_generation
from solvers.llvm.parts import OWN, CannotSplit, split
from solvers.llvm.server_link import LinkFailed, join, link_and_measure
from solvers.parent import die_with_parent

_DETAIL = 2000
_FILE_BYTES = 1 << 30  # the largest file a child may write
_LINE_BYTES = 64 << 20  # the longest request
Request = dict[str, Any]
Reply = Callable[[dict[str, Any]], None]


class Server:
    """One module and the operations on it."""

    def __init__(self, request: Request, out: int) -> None:
        self._out = out
        self.folder, self.llc = str(request["folder"]), str(request["llc"])
        self.link: dict[str, Any] | None = request.get("link")
        self.linker: dict[str, Any] | None = request.get("linker")
        self.seconds, self.memory_bytes = (
            float(request["seconds"]),
            int(request["memory_bytes"]),
        )
        api = CApi(str(request["library"]))
        limit_memory(self.memory_bytes)
        self.session = Session(
            api,
            triple=request["triple"],
            cpu=request["cpu"],
            features=request["features"],
            pic=bool(request["pic"]),
            codegen=request["codegen"],
        )
        with open(os.path.join(self.folder, "input"), "rb") as file:
            self.module = self.session.parse(file.read())
        self.instructions = self.module.count()
        if self.instructions > request["instructions"]:
            raise Refused(
                "module",
                f"module: expected at most {request['instructions']:,} instructions, "
                f"got {self.instructions:,}",
            )
        self.exported = self.module.exported()
        self.checked_module: Module | None = None

    def info(self) -> dict[str, Any]:
        """Return the fields of `ModuleInfo`."""
        module = self.module
        return {
            "version": self.session.api.version,
            "ir_instructions": self.instructions,
            "functions": module.functions(),
            "exported": sorted(self.exported),
            "declared": module.declared(),
            "inline_asm": module.has_inline_asm(),
            "constructors": module.has_constructors(),
            "triple": self.session.api.lib.LLVMGetTarget(module.ref).decode(),
        }

    def reply(self, answer: dict[str, Any]) -> None:
        """Write one line to the client."""
        line = json.dumps(answer).encode() + b"\n"
        while line:
            line = line[os.write(self._out, line) :]

    # --- operations: each replies line by line and returns the contents of its last line

    def measure(self, request: Request) -> dict[str, Any]:
        """Reply with outcome, sizes and digest of every recipe."""
        recipes, emit, keep = (
            request["recipes"],
            bool(request["emit"]),
            str(request.get("keep", "")),
        )
        jobs = (
            (i, self._candidate(recipe, emit=emit, keep=keep))
            for i, recipe in enumerate(recipes)
        )
        wall_s = request.get("seconds")
        for number, answers, outcome, detail, seconds in self._run(
            jobs,
            int(request.get("jobs", 1)),
            None if wall_s is None else float(wall_s),
            patience=float(request.get("patience", 1.0)),
        ):
            line = {"outcome": outcome, "detail": detail}
            if outcome == "ok" and not answers:
                line = {
                    "outcome": "crashed",
                    "detail": "the pass ended the process without a message",
                }
            elif outcome == "ok":
                line = answers[-1]
            self.reply({"i": number, "seconds": seconds, **line})
        return {}

    def trajectory(self, request: Request) -> dict[str, Any]:
        """Return counts after 0, 1, 2 … passes; fewer when a pass crashes or is refused."""
        passes, sizes = request["passes"], bool(request["sizes"])

        def job(reply: Reply) -> None:
            limit_files(_FILE_BYTES if sizes else STDERR_BYTES)
            module = self.module
            reply({"n": _loadable(module, self) if sizes else module.count()})
            for text in passes:
                problem = module.run(text) or module.verify()
                if problem:
                    reply({"refused": problem[:_DETAIL]})
                    return
                reply({"n": _loadable(module, self) if sizes else module.count()})

        return self._one(
            job,
            lambda answers: {"counts": [a["n"] for a in answers if "n" in a]},
            partly=True,
        )

    def check(self, request: Request) -> dict[str, Any]:
        """Reply with LLVM's objection to every pipeline, run on an empty module; null for none."""
        if self.checked_module is None:
            self.checked_module = self.session.empty()
        empty = self.checked_module
        jobs = (
            (i, lambda reply, text=text: reply({"objection": empty.run(text)}))
            for i, text in enumerate(request["pipelines"])
        )
        for number, answers, outcome, detail, _ in self._run(jobs, 1):
            self.reply(
                {
                    "i": number,
                    "objection": (
                        answers[0]["objection"] if answers else f"{outcome}: {detail}"
                    ),
                }
            )
        return {}

    def features(self, request: Request) -> dict[str, Any]:
        """Return the feature vectors of the module."""
        # Imported here and not in the child, so that the next child has it.
        from solvers.llvm.features import features_of

        def job(reply: Reply) -> None:
            limit_files(_FILE_BYTES)  # the first use may compile the walker
            reply(features_of(self.module))

        return self._one(job, lambda answers: {"value": answers[-1]})

    def graph(self, request: Request) -> dict[str, Any]:
        """Return the program's graph; its arrays lie in the engine's folder."""
        from solvers.llvm.graph import graph_of

        def job(reply: Reply) -> None:
            limit_files(_FILE_BYTES)
            reply(graph_of(self.module, Path(self.folder)))

        return self._one(job, lambda answers: {"value": answers[-1]})

    def complete(self, request: Request) -> dict[str, Any]:
        """Set target attributes on the functions that lack them, and return their number.

        The module lies in the engine's folder.
        """

        def job(reply: Reply) -> None:
            limit_files(_FILE_BYTES)
            changed = self.module.complete()
            if changed:
                self._keep("complete.bc", self.module.bitcode())
            reply({"changed": changed})

        return self._one(job, lambda answers: {"changed": answers[-1]["changed"]})

    # --- children

    def _candidate(self, recipe: Request, *, emit: bool, keep: str) -> Job:
        def job(reply: Reply) -> None:
            limit_files(STDERR_BYTES)
            module = self.module
            problem, remark = self._optimise(module, recipe)
            if problem:
                reply({"outcome": "refused", "detail": problem[:_DETAIL]})
                return
            limit_files(_FILE_BYTES)
            bitcode = module.bitcode()
            digest = hashlib.sha256(bitcode).hexdigest()
            answer: dict[str, Any] = {
                "outcome": "ok",
                "ir": module.count(),
                "sha256": digest,
                "detail": remark[:_DETAIL],
            }
            if keep:
                self._keep(f"{keep}.bc", bitcode)
                self._keep(f"{keep}.ll", module.text().encode())
            if emit:
                try:
                    made = self._object(module, recipe)
                except (CannotSplit, LinkFailed) as failed:
                    reply({"outcome": "refused", "detail": str(failed)[:_DETAIL]})
                    return
                sizes = sizes_of(made)
                answer |= {
                    "code": sizes.code,
                    "loadable": sizes.loadable,
                    "sections": sizes.sections,
                    "functions": _by_name(sizes.functions),
                    "unwind": _by_name(sizes.unwind),
                }
                if self.link is not None:
                    try:
                        answer |= self._linked(self.link, made)
                    except LinkFailed as failed:
                        reply({"outcome": "refused", "detail": str(failed)[:_DETAIL]})
                        return
                if keep:
                    self._keep(f"{keep}.o", made)
            reply(answer)

        return job

    def _object(self, module: Module, recipe: Request) -> bytes:
        """Generate code, for some functions by options of their own.

        Raises CannotSplit, LinkFailed, RuntimeError.
        """
        options = recipe["options"]
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, words in recipe.get("function_options", ()):
            groups.setdefault(tuple(words), []).append(name)
        if not groups:
            effective = self._options(options)
            return module.emit(llc=self.llc, folder=self.folder, options=effective)
        if self.linker is None:
            raise LinkFailed(
                "function_options: this server has no linker to join objects"
            )
        first, parts = split(module, list(groups.values()))
        sets = [with_code_generation(options, words) for words in groups]
        made = [(first, options), *((part, sets[n]) for n, part in parts.items())]
        codes = [
            part.emit_by_llc(self.llc, self.folder, self._options(words))
            for part, words in made
        ]
        return join(self.linker, codes, self.folder)

    def _linked(self, order: dict[str, Any], made: bytes) -> dict[str, Any]:
        """Return the sizes of the program that the linker makes of an object."""
        image, beyond = link_and_measure(order, made, self.folder)
        weighted = order["flash"] * image.flash + order["ram"] * image.ram
        return {
            "code": image.parts["code"],
            "loadable": image.flash,
            "sections": image.sections,
            "ram": image.ram,
            "image": round(weighted + order["beyond"] * beyond),
            "beyond": beyond,
        }

    def _options(self, options: Sequence[str]) -> list[str]:
        """Return a recipe's options, and those of the target that the recipe leaves alone."""
        own = {word.partition("=")[0] for word in options}
        return [
            *options,
            *(
                word
                for word in self.session.base_options
                if word.partition("=")[0] not in own
            ),
        ]

    def _optimise(self, module: Module, recipe: Request) -> tuple[str | None, str]:
        """Apply a recipe and return (problem, remark)."""
        options = recipe["options"]
        own = (of_functions(words) for _, words in recipe.get("function_options", ()))
        if problem := unknown_option(options) or next(filter(None, own), None):
            return problem, ""
        if effective := self._options(options):
            self.session.api.set_options(effective)
        for name, word, added in recipe["attributes"]:
            problem = module.set_attribute(name, word, added=added)
            if problem:
                return problem, ""
        if recipe["attributes"]:
            # Passes trust their input: alwaysinline with noinline would end the process.
            problem = module.verify()
            if problem:
                return f"after setting attributes: {problem}", ""
        problem = module.run(recipe["pipeline"])
        if problem:
            return problem, ""
        absent = []
        for name, tail in recipe["function_tails"]:
            try:
                problem = module.run_on_function(name, tail)
            except KeyError:
                absent.append(name)
                continue
            if problem:
                return f"tail of {name}: {problem}", ""
        for name, word, added in recipe["late_attributes"]:
            if module.function(name) is None:
                absent.append(name)
                continue
            problem = module.set_attribute(name, word, added=added)
            if problem:
                return problem, ""
        problem = module.verify() or self._other_symbols(module)
        names = ", ".join(dict.fromkeys(absent))
        remark = (
            f"{names}: not defined after the pipeline, decisions left out"
            if absent
            else ""
        )
        return problem, remark

    def _other_symbols(self, module: Module) -> str | None:
        now = module.exported()
        if now == self.exported:
            return None
        lost = sorted(set(self.exported) - set(now))
        new = sorted(set(now) - set(self.exported))
        changed = [
            f"{name}: {self.exported[name]} became {now[name]}"
            for name in sorted(set(now) & set(self.exported))
            if now[name] != self.exported[name]
        ]
        parts = [
            f"{change} {', '.join(names[:20])}"
            for change, names in (("lost", lost), ("new", new), ("changed", changed))
            if names
        ]
        return f"exported symbols differ: {'; '.join(parts)}"

    def _keep(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.folder, os.path.basename(name)), "wb") as file:
            file.write(data)

    def _run(
        self,
        jobs: Iterable[tuple[int, Job]],
        side_by_side: int,
        wall_s: float | None = None,
        patience: float = 1.0,
    ) -> Iterator[tuple[int, list[dict[str, Any]], str, str, float]]:
        seconds = patience * self.seconds
        ended = run_all(
            iter(jobs),
            side_by_side=max(1, side_by_side),
            seconds=seconds,
            wall_s=BUSY * seconds if wall_s is None else wall_s,
            memory_bytes=self.memory_bytes,
            stop=0,
        )
        for number, child in ended:
            outcome, detail = child.outcome()
            yield (
                number,
                child.answers,
                outcome,
                detail,
                round(child.ended_at - child.started, 6),
            )

    def _one(
        self,
        job: Job,
        shown: Callable[[list[dict[str, Any]]], dict[str, Any]],
        *,
        partly: bool = False,
    ) -> dict[str, Any]:
        for _, answers, outcome, detail, _ in self._run([(0, job)], 1):
            if answers and (outcome == "ok" or partly):
                return {**shown(answers), "outcome": outcome, "detail": detail}
            return {"error": f"{outcome}: {detail}", "what": "candidate"}
        return {"error": "stopped", "what": "stopped"}


def _by_name(sizes: dict[str, int]) -> dict[str, int]:
    """Return sizes by the names of the module's functions."""
    return {name.removesuffix(OWN): size for name, size in sizes.items()}


def _loadable(module: Module, server: Server) -> int:
    copy = module.clone()
    size = sizes_of(copy.emit(llc=server.llc, folder=server.folder)).loadable
    copy.dispose()
    return size


OPS: dict[str, Callable[[Server, Request], dict[str, Any]]] = {
    "measure": Server.measure,
    "trajectory": Server.trajectory,
    "check": Server.check,
    "features": Server.features,
    "graph": Server.graph,
    "complete": Server.complete,
}


def serve(stdin: int, out: int) -> None:
    """Serve requests until the client is gone. The first names module, target and limits."""
    server: Server | None = None
    for request in _requests(stdin):
        try:
            if server is None:
                server = Server(request, out)
                answer = server.info()
            elif request["op"] == "stop":
                answer = {}  # too late: the request it was meant for has ended
                continue
            else:
                answer = OPS[request["op"]](server, request)
        except Refused as refused:
            answer = {"error": str(refused), "what": refused.what}
        except MemoryError:
            answer = {
                "error": "the module needs more memory than the limit",
                "what": "module",
            }
        line = (
            json.dumps(answer if "error" in answer else {"done": True, **answer}).encode()
            + b"\n"
        )
        while line:
            line = line[os.write(out, line) :]
        if server is None:
            return


def _requests(stdin: int) -> Iterator[Request]:
    rest = b""
    while True:
        data = os.read(stdin, 1 << 20)
        if not data or len(rest) > _LINE_BYTES:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def main() -> None:
    """Serve over stdin and stdout; arguments: the parent's process id and the folder."""
    parent, folder = int(sys.argv[1]), sys.argv[2]

    def parent_died(number: int, frame: object) -> None:
        # The kernel also signals the end of the starting thread; only the process counts.
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGHUP, parent_died)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent, signal.SIGHUP)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    limit_files(STDERR_BYTES)
    log = os.open(
        os.path.join(folder, "stderr"),
        os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
        0o600,
    )
    os.dup2(log, 2)
    out = os.dup(1)
    os.dup2(2, 1)  # what a pass prints must not reach the client
    serve(0, out)


if __name__ == "__main__":
    main()
