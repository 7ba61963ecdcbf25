"""Events of a run between its executor and its consumer."""

from __future__ import annotations

import asyncio

from trimtab.results import EventType
from workers import progress
from workers.progress import ProgressQueue
from workers.types import Progress


def event(number: int) -> Progress:
    return Progress(type=EventType.LOG, data={"number": number}, elapsed_s=0.0)


async def taken(queue: ProgressQueue) -> list[int]:
    return [one.data["number"] async for one in queue.events()]


def test_events_come_in_order_and_end() -> None:
    async def main() -> list[int]:
        queue = ProgressQueue()
        for number in range(3):
            queue.put(event(number))
        queue.end()
        queue.put(event(3))
        queue.end()
        return await taken(queue)

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_flood_drops_the_oldest_and_never_the_end() -> None:
    async def main() -> list[int]:
        queue = ProgressQueue()
        for number in range(progress.MAX_WAITING + 5):
            queue.put(event(number))
        queue.end()
        return await taken(queue)

    numbers = asyncio.run(main())
    assert numbers == list(range(5, progress.MAX_WAITING + 5))
