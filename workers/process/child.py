"""`python -m workers.process.child`: the killable child. It runs one attempt and ends.

Its socket to the host is file descriptor 0. It imports what its kinds need, says `ready`, waits for one task, runs
the pipeline and says how it ended. When the socket closes, the host is gone and the child kills itself and all it started.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from search.isolation import die_with_parent
from solvers import privileges
from trimtab.results import Incumbent, Termination
from trimtab.specs.common import Spec
from workers.failures import failure_of
from workers.process.frames import Channel, Frame
from workers.process.reporter import Reporter
from workers.process.sandbox import READABLE

if TYPE_CHECKING:
    from search.conclude import Finished

BEAT_S = 0.5
_CPU_WARNING_S = 5  # between SIGXCPU, which names the cause, and SIGKILL, which does not
_OPEN_FILES = 1024


def main(argv: list[str]) -> None:
    """Serve one task."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--preload",
        default="",
        help="modules to import before saying ready, comma-separated",
    )
    parser.add_argument("--workdir", required=True)
    parser.add_argument(
        "--protect", default="", help="what must hold before input is read: files, network"
    )
    given = parser.parse_args(argv)

    die_with_parent()  # also when it is paused, or its main thread never comes back from native code
    _close_the_door(given.workdir, required=set(filter(None, given.protect.split(","))))
    channel = _take_over_stdin()
    began = time.monotonic()
    for name in ("search.pipeline", *filter(None, given.preload.split(","))):
        # Preloading only saves time. What cannot be imported fails the jobs that need it, with its own message.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    channel.send(
        {"type": "ready", "pid": os.getpid(), "startup_s": time.monotonic() - began}
    )
    task = channel.read()
    if task is None:
        return
    os.chdir(given.workdir)
    stop_event = threading.Event()
    threading.Thread(
        target=_listen, args=(channel, stop_event), name="listen", daemon=True
    ).start()
    threading.Thread(target=_beat, args=(channel,), name="beat", daemon=True).start()
    channel.send(_run(task, Path(given.workdir), channel, stop_event))


def _close_the_door(workdir: str, *, required: set[str]) -> None:
    """Give up files, sockets and capabilities before any input is read. Exits when what the host counts on does not hold."""
    readable = [path for path in os.environ.pop(READABLE, "").split(os.pathsep) if path]
    held = privileges.close(
        readable=(*privileges.SYSTEM_FOLDERS, *privileges.SYSTEM_FACTS, *readable),
        writable=(workdir,),
    )
    if missing := sorted(name for name in required if not held[name]):
        sys.exit(
            f"sandbox: expected {', '.join(missing)} to be protected in this child, got no protection; it does not start"
        )


def _take_over_stdin() -> Channel:
    # Native code must find an ordinary, empty stdin, not our socket.
    sock = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return Channel(sock)


def _listen(channel: Channel, stop_event: threading.Event) -> None:
    with contextlib.suppress(Exception):
        while (frame := channel.read()) is not None:
            if frame["type"] == "stop":
                stop_event.set()
    # The host is gone: nobody will read the result, and nobody else will kill what runs here.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _beat(channel: Channel) -> None:
    with contextlib.suppress(OSError):
        while True:
            time.sleep(BEAT_S)
            channel.send({"type": "beat"})


def _limit(limits: Mapping[str, Any], seconds: float) -> None:
    cpu_s = int(limits.get("cpu_s") or max(4, os.cpu_count() or 1) * seconds + 60)
    for what, soft, hard in (
        (resource.RLIMIT_AS, int(limits["memory_bytes"]), int(limits["memory_bytes"])),
        (resource.RLIMIT_FSIZE, int(limits["file_bytes"]), int(limits["file_bytes"])),
        (resource.RLIMIT_CPU, cpu_s, cpu_s + _CPU_WARNING_S),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _soft, most = resource.getrlimit(what)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(what, (soft, hard))


def _run(
    task: Frame, workdir: Path, channel: Channel, stop_event: threading.Event
) -> Frame:
    """The last frame: `result` or `failed`. Whatever happens, it says why."""
    began = time.monotonic()
    phase = "start"

    def on_phase(name: str, detail: str) -> None:
        nonlocal phase
        phase = name
        reporter.flush()
        channel.send(
            {
                "type": "phase",
                "data": {"phase": name, "detail": detail},
                "elapsed_s": time.monotonic() - began,
            }
        )

    def send_incumbent(incumbent: Incumbent) -> None:
        channel.send(
            {
                "type": "incumbent",
                "data": incumbent.model_dump(mode="json"),
                "elapsed_s": time.monotonic() - began,
            }
        )

    reporter = Reporter(send_incumbent, workdir=workdir)
    try:
        finished = _finished(task, workdir, stop_event, reporter, on_phase)
    except Exception as error:
        failure = failure_of(
            error, phase=phase, memory_bytes=int(task["limits"]["memory_bytes"])
        )
        told: Frame = {
            "type": "failed",
            "termination": failure.termination.model_dump(mode="json"),
            "transient": failure.transient,
            "usage": _usage(began),
        }
        if failure.internal:
            trace = traceback.format_exc()
            print(trace, file=sys.stderr)
            told["trace"] = trace[-4000:]
        return told
    finally:
        reporter.close()
    return {
        "type": "result",
        "result": finished.result.model_dump(mode="json"),
        "produced": [
            {
                "name": p.name,
                "path": str(p.path.relative_to(workdir)),
                "media_type": p.media_type,
            }
            for p in finished.produced
        ],
        "usage": _usage(began),
    }


def _finished(
    task: Frame,
    workdir: Path,
    stop_event: threading.Event,
    reporter: Reporter,
    on_phase: Callable[[str, str], None],
) -> Finished:
    """Run the task, or finish what an earlier run had found."""
    from search import pipeline
    from search.finish import finish
    from search.stop import from_budget

    budget = task["budget"]
    _limit(task["limits"], float(budget["seconds"]))
    stop = from_budget(budget, stop_event)
    module, _, function = str(task["builder"]).partition(":")
    domain = getattr(importlib.import_module(module), function)()
    spec = _spec_class(str(task["spec_class"])).model_validate_json(
        orjson.dumps(task["spec"])
    )
    inputs = {name: Path(path) for name, path in task["inputs"].items()}
    packages = tuple(getattr(domain, "packages", ()))
    start = Path(task["start"]).read_bytes() if task.get("start") else None
    if task.get("finish") is not None:
        return finish(
            domain,
            spec,
            inputs=inputs,
            workdir=workdir,
            data=start,
            ended=Termination.model_validate(task["finish"]["ended"], strict=False),
            decorate=bool(task["finish"]["decorate"]),
            seconds=float(budget["seconds"]),
            seed=int(task["seed"]),
            on_phase=on_phase,
            packages=packages,
        )
    return pipeline.run(
        domain,
        spec,
        inputs=inputs,
        workdir=workdir,
        stop=stop,
        seed=int(task["seed"]),
        on_incumbent=reporter.incumbent,
        on_phase=on_phase,
        on_checkpoint=reporter.checkpoint,
        packages=packages,
        start=start,
    )


def _spec_class(where: str) -> type[Spec]:
    module, _, name = where.partition(":")
    return cast("type[Spec]", getattr(importlib.import_module(module), name))


def _usage(began: float) -> dict[str, float]:
    mine, theirs = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    return {
        "max_rss_bytes": max(mine.ru_maxrss, theirs.ru_maxrss) * 1024.0,
        "cpu_s": mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime,
        "wall_s": time.monotonic() - began,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
