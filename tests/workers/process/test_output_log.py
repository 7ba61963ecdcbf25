"""Events of what a run's programs print."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from workers.process import output_log
from workers.process.output_log import MOST_BYTES, OutputLog, printable


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return the events of chunks, each followed by a pause in seconds."""
    monkeypatch.setattr(output_log, "FIRST_S", 0.02)
    monkeypatch.setattr(output_log, "INTERVAL_S", 0.1)

    def run(*chunks: tuple[bytes, float], discard: bool = False) -> list[str]:
        async def body() -> list[str]:
            seen: list[str] = []
            log = OutputLog(seen.append)
            for chunk, pause_s in chunks:
                log.add(chunk)
                await asyncio.sleep(pause_s)
            log.close(discard=discard)
            log.add(b"too late\n")
            return seen

        return asyncio.run(body())

    return run


def test_lines_that_come_together_are_one_event(
    published: Callable[..., list[str]],
) -> None:
    assert published((b"Running HiGHS\n", 0.0), (b"Presolving\n", 0.05)) == [
        "Running HiGHS\nPresolving"
    ]


def test_a_line_waits_for_its_end(published: Callable[..., list[str]]) -> None:
    assert published((b"a\nb", 0.06), (b"c\n", 0.2)) == ["a", "bc"]
    assert published((b"a\nb", 0.06)) == ["a", "b"], "but not beyond the run's end"


def test_a_second_event_waits_for_the_interval(
    published: Callable[..., list[str]],
) -> None:
    chunks = [(b"%d\n" % number, 0.01) for number in range(20)]
    events = published(*chunks)
    assert "\n".join(events).split("\n") == [str(number) for number in range(20)]
    assert len(events) <= 5


def test_a_flood_keeps_its_newest_lines_and_counts_the_others(
    published: Callable[..., list[str]],
) -> None:
    lines = b"".join(b"line %05d\n" % number for number in range(100_000))
    chunks = [(lines[at : at + 65_536], 0.0) for at in range(0, len(lines), 65_536)]
    (event,) = published(*chunks)
    first, *kept = event.split("\n")
    assert len(event) <= MOST_BYTES + 100
    assert kept[-1] == "line 99999"
    assert first == f"[{100_000 - len(kept):,} lines left out]"
    (long,) = published((b"x" * 10**6, 0.0))
    assert long.endswith("x" * MOST_BYTES)


def test_a_dying_run_may_discard_what_is_pending(
    published: Callable[..., list[str]],
) -> None:
    assert published((b"last words\n", 0.0), discard=True) == []
    assert published((b"\n  \n", 0.05)) == [], "blank lines alone are no event"


def test_text_has_no_terminal_escapes_and_no_control_characters() -> None:
    assert printable(b"\x1b[1;31mred\x1b[0m\tx\r\n10 %\r20 %\n\x00\xff") == (
        "red\tx\n10 %\n20 %\n\ufffd\ufffd"
    )
