"""`python -m solvers.llvm.server`: the process that holds libLLVM and one module, and measures candidates in forked children.

Protocol: one JSON object a line. Requests come on stdin: {"op": name, …}. Replies go to stdout: any number of
{"i": number, …}, then one {"done": true, …} or {"error": text, "what": kind}. Anything that comes in meanwhile stops the
request. What is too big for a line lies in the engine's folder. Started by `solvers.llvm.engine`, which owns that folder.
No numpy, no dataclasses: the start takes as long as its imports.
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
from solvers.llvm.children import SAID_BYTES, Job, limit_files, limit_memory, run_all
from solvers.llvm.elf import sizes_of
from solvers.llvm.module import Module, Refused, Session, die_with_parent
from solvers.llvm.options import unknown_option

_DETAIL = 2000
_FILE_BYTES = 1 << 30  # the largest file a child may write
_LINE_BYTES = 64 << 20  # the longest request
Request = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]


class Server:
    """One module and what can be asked about it."""

    def __init__(self, request: Request, out: int) -> None:
        self._out = out
        self.folder, self.llc = str(request["folder"]), str(request["llc"])
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
                f"{self.instructions:,} instructions; at most {request['instructions']:,} are taken",
            )
        self.exported = self.module.exported()
        self.checked_module: Module | None = None

    def info(self) -> dict[str, Any]:
        """What `ModuleInfo` shows."""
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
        """Writes one line to the client."""
        line = json.dumps(answer).encode() + b"\n"
        while line:
            line = line[os.write(self._out, line) :]

    # --- operations: each replies line by line and returns what its last line says

    def measure(self, request: Request) -> dict[str, Any]:
        """Outcome, sizes and digest of every recipe."""
        recipes, emit, keep = (
            request["recipes"],
            bool(request["emit"]),
            str(request.get("keep", "")),
        )
        jobs = (
            (i, self._candidate(recipe, emit=emit, keep=keep))
            for i, recipe in enumerate(recipes)
        )
        limit_s = min(self.seconds, float(request.get("seconds") or self.seconds))
        for number, answers, outcome, detail, seconds in self._run(
            jobs, int(request.get("jobs", 1)), limit_s
        ):
            line = {"outcome": outcome, "detail": detail}
            if outcome == "ok" and not answers:
                line = {
                    "outcome": "crashed",
                    "detail": "the pass ended the process without a word",
                }
            elif outcome == "ok":
                line = answers[-1]
            self.reply({"i": number, "seconds": seconds, **line})
        return {}

    def trajectory(self, request: Request) -> dict[str, Any]:
        """Counts after 0, 1, 2 … passes; shorter when a pass ends the child or is refused."""
        passes, sizes = request["passes"], bool(request["sizes"])

        def job(tell: Tell) -> None:
            limit_files(_FILE_BYTES if sizes else SAID_BYTES)
            module = self.module
            tell({"n": _loadable(module, self) if sizes else module.count()})
            for text in passes:
                problem = module.run(text) or module.verify()
                if problem:
                    tell({"refused": problem[:_DETAIL]})
                    return
                tell({"n": _loadable(module, self) if sizes else module.count()})

        return self._one(
            job,
            lambda answers: {"counts": [a["n"] for a in answers if "n" in a]},
            partly=True,
        )

    def check(self, request: Request) -> dict[str, Any]:
        """For every pipeline, what LLVM objects to (null: nothing); it is run on an empty module."""
        if self.checked_module is None:
            self.checked_module = self.session.empty()
        empty = self.checked_module
        jobs = (
            (i, lambda tell, text=text: tell({"said": empty.run(text)}))
            for i, text in enumerate(request["pipelines"])
        )
        for number, answers, outcome, detail, _ in self._run(jobs, 1):
            self.reply(
                {
                    "i": number,
                    "said": answers[0]["said"] if answers else f"{outcome}: {detail}",
                }
            )
        return {}

    def features(self, request: Request) -> dict[str, Any]:
        """Feature vectors of the module."""
        from solvers.llvm.features import (
            features_of,
        )  # here and not in the child: the next child has it then

        def job(tell: Tell) -> None:
            limit_files(_FILE_BYTES)  # the walker may be built now
            tell(features_of(self.module))

        return self._one(job, lambda answers: {"value": answers[-1]})

    def graph(self, request: Request) -> dict[str, Any]:
        """The program's graph; arrays lie in the engine's folder."""
        from solvers.llvm.graph import graph_of

        def job(tell: Tell) -> None:
            limit_files(_FILE_BYTES)
            tell(graph_of(self.module, Path(self.folder)))

        return self._one(job, lambda answers: {"value": answers[-1]})

    def complete(self, request: Request) -> dict[str, Any]:
        """The module with target words on every function that lacks them, in the engine's folder; how many lacked them."""

        def job(tell: Tell) -> None:
            limit_files(_FILE_BYTES)
            changed = self.module.complete()
            if changed:
                self._keep("complete.bc", self.module.bitcode())
            tell({"changed": changed})

        return self._one(job, lambda answers: {"changed": answers[-1]["changed"]})

    # --- children

    def _candidate(self, recipe: Request, *, emit: bool, keep: str) -> Job:
        def job(tell: Tell) -> None:
            limit_files(SAID_BYTES)
            module = self.module
            problem, remark = self._optimise(module, recipe)
            if problem:
                tell({"outcome": "refused", "detail": problem[:_DETAIL]})
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
                found = module.emit(
                    llc=self.llc,
                    folder=self.folder,
                    options=self._options(recipe["options"]),
                )
                sizes = sizes_of(found)
                answer |= {
                    "code": sizes.code,
                    "loadable": sizes.loadable,
                    "sections": sizes.sections,
                    "functions": sizes.functions,
                    "unwind": sizes.unwind,
                }
                if keep:
                    self._keep(f"{keep}.o", found)
            tell(answer)

        return job

    def _options(self, options: Sequence[str]) -> list[str]:
        """A recipe's, and those of the target's settings that it does not set otherwise."""
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
        """(what is wrong, remark)."""
        options = recipe["options"]
        if problem := unknown_option(options):
            return problem, ""
        if effective := self._options(options):
            self.session.api.set_options(effective)
        for name, word, added in recipe["attributes"]:
            problem = module.set_attribute(name, word, added=added)
            if problem:
                return problem, ""
        if recipe["attributes"]:
            problem = module.verify()  # passes trust their input: alwaysinline and noinline at once would end the process
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
        told = (
            f"{', '.join(dict.fromkeys(absent))}: not defined after the pipeline, decisions left out"
            if absent
            else ""
        )
        return problem, told

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
            f"{said} {', '.join(names[:20])}"
            for said, names in (("lost", lost), ("new", new), ("changed", changed))
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
        seconds: float | None = None,
    ) -> Iterator[tuple[int, list[dict[str, Any]], str, str, float]]:
        ended = run_all(
            iter(jobs),
            side_by_side=max(1, side_by_side),
            seconds=self.seconds if seconds is None else seconds,
            memory_bytes=self.memory_bytes,
            stop=0,
        )
        for number, child in ended:
            outcome, detail = child.ended()
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
    """Reads requests until the client is gone. The first one names module, target and limits."""
    server: Server | None = None
    for request in _requests(stdin):
        try:
            if server is None:
                server = Server(request, out)
                answer = server.info()
            elif request["op"] == "stop":
                answer = {}  # it came too late: what it was meant for has ended
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
    """Takes the parent's process id and the folder as arguments."""
    parent, folder = int(sys.argv[1]), sys.argv[2]

    def parent_died(number: int, frame: object) -> None:
        # The signal comes when the starting *thread* ends, too; only the process counts.
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGHUP, parent_died)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent, signal.SIGHUP)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    limit_files(SAID_BYTES)
    said = os.open(
        os.path.join(folder, "stderr"),
        os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
        0o600,
    )
    os.dup2(said, 2)
    out = os.dup(1)
    os.dup2(2, 1)  # a pass that prints must not speak to the client
    serve(0, out)


if __name__ == "__main__":
    main()
