"""The last bytes of a child's output."""

from __future__ import annotations

import asyncio

from workers.process.output_tail import TAIL_BYTES, OutputTail


def tail_of(*chunks: bytes) -> str:
    async def body() -> str:
        reader = asyncio.StreamReader()
        for chunk in chunks:
            reader.feed_data(chunk)
        reader.feed_eof()
        tail = OutputTail()
        await tail.collect(reader)
        return tail.text()

    return asyncio.run(body())


def test_the_end_of_a_long_output_is_kept() -> None:
    text = tail_of(b"first" + b"x" * 10**6, b"y" * 10, b"last")
    assert text.endswith("yyyyyyyyyylast")
    assert "first" not in text
    assert len(text) <= TAIL_BYTES


def test_the_text_can_be_stored() -> None:
    assert tail_of(b"a\x00b\xff\n") == "a\ufffdb\ufffd"
    assert tail_of() == ""
