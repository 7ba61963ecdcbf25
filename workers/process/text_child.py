"""`python -m workers.process.text_child`: the process of a language model.

Its socket to the host is file descriptor 0. It gives up its privileges, opens the model, sends
`ready` with its capabilities (or `failed` with the reason), and serves calls
(`workers.llm.wire`), each in a thread. When the socket closes, it kills itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import sys
import threading
import time
import traceback

from search.text_model import TextModel, TextModelError
from workers.llm import wire
from workers.llm.serving import TextServer
from workers.needs import load
from workers.process.child_entry import confine, set_limits
from workers.process.frames import BadFrame, Channel

BEAT_S = 0.5
_OPEN_FILES = 4096


def main(argv: list[str]) -> None:
    """Open the model and serve until the socket closes."""
    arguments = _parser().parse_args(argv)
    channel = confine(
        arguments.workdir, protect=arguments.protect, network=arguments.network
    )
    # Not the address space: mapped weights and a GPU's reservations count there.
    memory = arguments.memory_bytes
    set_limits(
        (
            (resource.RLIMIT_DATA, memory, memory),
            (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
            (resource.RLIMIT_CORE, 0, 0),
        )
    )
    # Loading takes longer than a host waits for a silent child.
    threading.Thread(target=_beat, args=(channel,), name="beat", daemon=True).start()
    began = time.monotonic()
    try:
        model: TextModel = load(arguments.opener)(arguments.model)
    except Exception as error:
        if not isinstance(error, TextModelError):
            traceback.print_exc()
        channel.send({"type": "failed", "message": _reason(error)})
        return
    server = TextServer(model, channel.send)
    about = wire.capabilities_to_json(model.capabilities)
    startup_s = time.monotonic() - began
    channel.send({"type": "ready", "capabilities": about, "startup_s": startup_s})
    with contextlib.suppress(BadFrame, KeyError, ValueError):
        while (frame := channel.read()) is not None:
            server.handle(frame)
    # The host is gone, or sends nonsense: nobody needs what still runs here.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--protect", default="")
    parser.add_argument("--model", required=True)
    parser.add_argument("--opener", required=True, help="module:function of the model")
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--network", action="store_true")
    return parser


def _reason(error: Exception) -> str:
    if isinstance(error, TextModelError):
        return str(error)[:2000]
    if isinstance(error, ImportError):
        return (
            f"the model needs a package that is not installed: {error}; install the extra `llm` "
            "(`make setup-llm`), see `trimtab doctor`"
        )
    return f"the model could not be opened: {type(error).__name__}: {error}"[:2000]


def _beat(channel: Channel) -> None:
    with contextlib.suppress(OSError):
        while True:
            time.sleep(BEAT_S)
            channel.send({"type": "beat"})


if __name__ == "__main__":
    main(sys.argv[1:])
