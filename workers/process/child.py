"""`python -m workers.process.child`: the killable child. It runs one attempt and ends.

Its socket to the host is file descriptor 0. It imports the modules of its kinds, sends `ready`,
waits for one task, runs the pipeline and sends `result` or `failed`. When the socket closes, the
host is gone, and the child kills itself and everything it started.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from search import engine_log
from trimtab.results import Incumbent
from workers.failures import Failure, failure_of
from workers.llm import client as text_client
from workers.llm.wire import ANSWERS
from workers.process.child_entry import confine, set_limits
from workers.process.frames import Channel, Frame
from workers.process.reporter import Reporter
from workers.process.run_task import run_task
from workers.types import Task
from workers.wire import rest_to_json, task_from_json

if TYPE_CHECKING:
    from search.conclude import Finished

BEAT_S = 0.5
_CPU_WARNING_S = 5  # between SIGXCPU, which names the cause, and SIGKILL, which does not
_OPEN_FILES = 1024
# Every run needs these; loaded before the task arrives, they cost it no time.
_PRELOADED = ("search.pipeline", "search.finish", "search.stop")


def main(argv: list[str]) -> None:
    """Serve one task."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--preload",
        default="",
        help="modules to import before `ready`, comma-separated",
    )
    parser.add_argument("--workdir", required=True)
    parser.add_argument(
        "--protect",
        default="",
        help="protections that must hold before input is read: files, network",
    )
    arguments = parser.parse_args(argv)

    channel = confine(arguments.workdir, protect=arguments.protect)
    engine_log.switch_on()
    began = time.monotonic()
    for name in (*_PRELOADED, *filter(None, arguments.preload.split(","))):
        # Preloading only saves time: a module that cannot be imported fails the jobs of its kind
        # later, with a message of their own.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    startup_s = time.monotonic() - began
    channel.send({"type": "ready", "pid": os.getpid(), "startup_s": startup_s})
    frame = channel.read()
    if frame is None:
        return
    task = _task(frame)
    os.chdir(arguments.workdir)
    stop_event = threading.Event()
    model = text_client.connect(channel.send)
    threading.Thread(
        target=_listen, args=(channel, stop_event, model), name="listen", daemon=True
    ).start()
    threading.Thread(target=_beat, args=(channel,), name="beat", daemon=True).start()
    channel.send(_run(task, Path(arguments.workdir), channel, stop_event))


def _task(frame: Frame) -> Task:
    """Decode a `task` frame. Checkpoint and results of other jobs come as files: for their size."""
    body, start_file = frame["task"], frame["start_file"]
    task = task_from_json(
        body, {name: Path(path) for name, path in body["inputs"].items()}
    )
    if start_file is not None:
        task = replace(task, start=Path(start_file).read_bytes())
    if frame["woken_file"] is not None:
        woken = orjson.loads(Path(frame["woken_file"]).read_bytes())
        task = replace(task, woken=woken)
    return task


def _listen(
    channel: Channel, stop_event: threading.Event, model: text_client.HostedTextModel
) -> None:
    with contextlib.suppress(Exception):
        while (frame := channel.read()) is not None:
            if frame["type"] == "stop":
                stop_event.set()
            elif frame["type"] in ANSWERS:
                model.deliver(frame)
    # The host is gone: nobody will read the result, and nobody else will kill our processes.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _beat(channel: Channel) -> None:
    with contextlib.suppress(OSError):
        while True:
            time.sleep(BEAT_S)
            channel.send({"type": "beat"})


def _set_limits(task: Task) -> None:
    limits = task.limits
    default_cpu_s = max(4, os.cpu_count() or 1) * float(task.budget["seconds"]) + 60
    cpu_s = int(limits.cpu_s or default_cpu_s)
    set_limits(
        (
            (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
            (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
            (resource.RLIMIT_CPU, cpu_s, cpu_s + _CPU_WARNING_S),
            (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
            (resource.RLIMIT_CORE, 0, 0),
        )
    )


def _run(
    task: Task, workdir: Path, channel: Channel, stop_event: threading.Event
) -> Frame:
    """Run the task and return the last frame: `result`, or `failed` with the reason."""
    began = time.monotonic()
    phase = "start"

    def on_phase(name: str, detail: str) -> None:
        nonlocal phase
        phase = name
        reporter.flush()
        data = {"phase": name, "detail": detail}
        channel.send(
            {"type": "phase", "data": data, "elapsed_s": time.monotonic() - began}
        )

    def send_incumbent(incumbent: Incumbent) -> None:
        data = incumbent.model_dump(mode="json")
        elapsed_s = time.monotonic() - began
        channel.send({"type": "incumbent", "data": data, "elapsed_s": elapsed_s})

    reporter = Reporter(send_incumbent, workdir=workdir)
    try:
        _set_limits(task)
        finished = run_task(
            task, workdir, stop_event=stop_event, reporter=reporter, on_phase=on_phase
        )
    except Exception as error:
        failure = failure_of(error, phase=phase, memory_bytes=task.limits.memory_bytes)
        return _failed_frame(failure, began)
    finally:
        reporter.close()
    return _result_frame(finished, workdir, began)


def _failed_frame(failure: Failure, began: float) -> Frame:
    """Build the frame of a run that raised. Call it while the exception is handled."""
    frame: Frame = {
        "type": "failed",
        "termination": failure.termination.model_dump(mode="json"),
        "transient": failure.transient,
        "usage": _usage(began),
    }
    if failure.internal:
        trace = traceback.format_exc()
        print(trace, file=sys.stderr)
        frame["trace"] = trace[-4000:]
    return frame


def _result_frame(finished: Finished, workdir: Path, began: float) -> Frame:
    return {
        "type": "result",
        "result": finished.result.model_dump(mode="json"),
        "rest": None if finished.rest is None else rest_to_json(finished.rest),
        "produced": [
            {
                "name": file.name,
                "path": str(file.path.relative_to(workdir)),
                "media_type": file.media_type,
            }
            for file in finished.produced
        ],
        "usage": _usage(began),
    }


def _usage(began: float) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "max_rss_bytes": max(own.ru_maxrss, children.ru_maxrss) * 1024.0,
        "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "wall_s": time.monotonic() - began,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
