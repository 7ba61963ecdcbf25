"""Frames between a host and its child."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.process import frames

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
