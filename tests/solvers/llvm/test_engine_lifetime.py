"""Lifetime of an engine: restart, kill, close, and no process left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from solvers.llvm.engine import Engine
from solvers.llvm.types import EngineDied, Outcome
from tests.solvers.llvm.modules import OZ, PROGRAM, SLOW
from tests.solvers.llvm.processes import children_of, gone
from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    with Engine(PROGRAM, workdir=tmp_path_factory.mktemp("engine")) as made:
        yield made


def test_a_killed_server_is_started_again(engine: Engine) -> None:
    with Engine(PROGRAM) as own:
        first = own.pid
        assert first
        os.kill(first, signal.SIGKILL)
        assert own.measure([OZ])[0].ir_sha256 == engine.measure([OZ])[0].ir_sha256
        assert own.pid != first
        assert own.pid
        os.kill(own.pid, signal.SIGKILL)
        assert own.build(OZ).bitcode == engine.build(OZ).bitcode


def test_kill_from_another_thread_ends_a_measurement_at_once() -> None:
    with Engine(PROGRAM) as own:
        pid = own.pid
        assert pid
        timer = threading.Timer(0.2, own.kill)
        timer.start()
        with pytest.raises(EngineDied):
            own.measure([SLOW])
        timer.join()
        with pytest.raises(EngineDied):
            own.measure([OZ])
    assert gone(pid)


def test_an_exception_in_a_callback_leaves_the_engine_usable() -> None:
    begun = time.monotonic()

    def fails() -> bool:
        if time.monotonic() > begun + 0.2:
            raise ZeroDivisionError
        return False

    with Engine(PROGRAM) as own:
        with pytest.raises(ZeroDivisionError):
            own.measure([SLOW], stopped=fails)
        assert own.measure([OZ])[0].outcome is Outcome.OK


def test_closing_ends_the_process_and_removes_the_folder(tmp_path: Path) -> None:
    engine = Engine(PROGRAM, workdir=tmp_path)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    engine.build(OZ)
    pid = engine.pid
    assert pid
    engine.close()
    engine.close()
    assert gone(pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(EngineDied):
        engine.measure([OZ])


def test_an_engine_outlives_the_thread_that_made_it() -> None:
    made: list[Engine] = []
    thread = threading.Thread(target=lambda: made.append(Engine(PROGRAM)))
    thread.start()
    thread.join()
    time.sleep(0.1)
    with made[0] as engine:
        pid = engine.pid
        assert engine.measure([OZ])[0].outcome is Outcome.OK
        assert engine.pid == pid


def test_server_and_candidates_die_with_the_parent() -> None:
    program = (
        "import sys, time, threading\n"
        "from solvers.llvm.engine import Engine\n"
        "from tests.solvers.llvm.modules import PROGRAM, SLOW\n"
        "engine = Engine(PROGRAM)\n"
        "print(engine.pid, flush=True)\n"
        "engine.measure([SLOW])\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent.stdout:
        server = int(parent.stdout.readline())
    deadline = time.monotonic() + PATIENCE_S
    while not (candidates := children_of(server)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert candidates
    parent.kill()
    parent.wait()
    assert gone(server)
    assert gone(candidates[0])


def test_llvm_is_not_loaded_into_this_process(engine: Engine) -> None:
    engine.measure([OZ])
    assert "libLLVM.so" not in Path("/proc/self/maps").read_text()
