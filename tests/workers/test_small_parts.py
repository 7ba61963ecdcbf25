"""Frames, throttle, resources and what exceptions mean."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.isolation import NativeCrash
from trimtab.results import Reason
from workers import resources
from workers.failures import failure_of
from workers.process import frames
from workers.process.throttle import NewestThrottle

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)


def read_back(data: bytes) -> frames.Frame | None:
    async def body() -> frames.Frame | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await frames.read(reader)

    return asyncio.run(body())


@given(data=JSON)
def test_frame_comes_back_on_both_ends(data: object) -> None:
    frame = {"type": "log", "data": data}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = frames.Channel(theirs)
        ours.sendall(frames.pack(frame))
        assert channel.read() == frame
    assert read_back(frames.pack(frame)) == frame


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", frames.MAX_FRAME_BYTES + 1),
        struct.pack(">I", 3) + b"{,}",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 10) + b'{"type":1}',
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(frames.BadFrame):
        read_back(data)


def test_frame_that_breaks_off_is_the_end() -> None:
    assert read_back(frames.pack({"type": "beat"})[:-1]) is None
    assert read_back(b"\0\0") is None


def test_too_large_a_frame_is_not_sent() -> None:
    with pytest.raises(frames.BadFrame, match="at most"):
        frames.pack({"type": "log", "data": "x" * frames.MAX_FRAME_BYTES})


def test_throttle_passes_the_first_at_once_and_the_newest_late() -> None:
    sent: list[tuple[int, float]] = []
    twice = threading.Event()

    def send(item: int) -> None:
        sent.append((item, time.monotonic()))
        if len(sent) == 2:
            twice.set()

    throttle = NewestThrottle(send, interval_s=0.1)
    for item in range(50):
        throttle.offer(item)
    assert [item for item, _ in sent] == [0]
    assert twice.wait(2)
    assert [item for item, _ in sent] == [0, 49]
    assert sent[1][1] - sent[0][1] >= 0.1
    throttle.offer(50)
    throttle.close()
    assert sent[-1][0] == 50, "close() sends what is pending"
    with pytest.raises(RuntimeError, match="closed"):
        throttle.offer(51)


def test_throttle_wants_an_interval() -> None:
    with pytest.raises(ValueError, match="interval > 0"):
        NewestThrottle(print, interval_s=0.0)


@pytest.mark.parametrize(
    ("error", "phase", "reason", "transient"),
    [
        (NativeCrash("reading", 11), "parse", Reason.INPUT_CRASHED_PARSER, False),
        (NativeCrash("solving", 6), "search", Reason.NUMERICAL_ERROR, False),
        (MemoryError(), "search", Reason.RESOURCE_EXHAUSTED, False),
        (OSError(errno.EFBIG, "too large"), "produce", Reason.RESOURCE_EXHAUSTED, False),
        (OSError(errno.ENOSPC, "full"), "produce", Reason.INTERNAL_ERROR, True),
        (KeyError("x"), "encode", Reason.INTERNAL_ERROR, False),
    ],
)
def test_what_exceptions_mean(
    error: Exception, phase: str, reason: Reason, transient: bool
) -> None:
    failure = failure_of(error, phase=phase, memory_bytes=2**30)
    assert (failure.termination.reason, failure.transient) == (reason, transient)
    assert phase in failure.termination.detail or reason is Reason.INPUT_CRASHED_PARSER
    assert failure.internal is isinstance(error, KeyError)


def test_resources_are_the_containers_when_those_are_less(tmp_path: Path) -> None:
    whole = resources.look(tmp_path)
    assert whole.cores >= 1
    assert whole.memory_bytes > 2**28
    folder = tmp_path / "sys/fs/cgroup"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("50000 100000\n")
    (folder / "memory.max").write_text("1048576\n")
    held = resources.look(tmp_path)
    assert (held.cores, held.memory_bytes) == (0.5, 2**20)
    (folder / "cpu.max").write_text("max 100000\n")
    (folder / "memory.max").write_text("max\n")
    assert resources.look(tmp_path).as_json() == whole.as_json()


def test_gpus_are_read_from_the_drivers_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034'\necho 'N/A'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert resources.gpus() == (
        resources.Gpu(name="NVIDIA L4", memory_bytes=23034 * 2**20),
    )
    program.write_text("#!/bin/sh\nexit 9\n")
    assert resources.gpus() == ()
