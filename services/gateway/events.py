"""Server-sent events of one job: resumable by Last-Event-ID, with keep-alives, closed by `end`.

The stream reads the store and is woken by the bus. If other processes write to the store, it
also polls. Events that a client misses while disconnected stay in the table, so resuming
neither loses nor repeats any.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson

from services.bus import wait_for
from services.errors import NotFound, StoreUnavailable
from services.gateway.deps import Context, Principal
from services.gateway.views import event_view

KEEP_ALIVE_S = 15.0
_PAGE = 500


def poll_s(context: Context) -> float:
    """Return the longest wait for a wake-up: short if other processes write to the store."""
    return 0.2 if context.store.dialect == "postgresql" else 2.0


async def stream(
    context: Context, job_id: str, *, after_seq: int, principal: Principal
) -> AsyncIterator[bytes]:
    """Yield the bytes of the stream until the job is terminal and every event is sent.

    It also ends when the key of the caller was revoked or has expired, with an event that says so.
    """
    context.metrics.streams.inc()
    try:
        with context.bus.listen(job_id) as changed, context.lifetime.waiting(changed):
            yield b"retry: 1000\n\n"
            idle_s = 0.0
            # After a shutdown the client reconnects with Last-Event-ID.
            while not context.lifetime.closing:
                changed.clear()
                try:
                    if why := await context.keyring.why_ended(principal):
                        ended = {"status": 401, "detail": why}
                        yield b"event: end\ndata: %s\n\n" % orjson.dumps(ended)
                        return
                    job = await context.store.get(job_id)
                    events = await context.store.events(
                        job_id, after_seq=after_seq, limit=_PAGE
                    )
                except NotFound:
                    yield b'event: end\ndata: {"deleted":true}\n\n'
                    return
                except StoreUnavailable as error:
                    await wait_for(changed, error.retry_after_s or 1.0)
                    continue
                for event in events:
                    after_seq = event.seq
                    data = orjson.dumps(event_view(event))
                    yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                        event.seq,
                        event.type.value.encode(),
                        data,
                    )
                    idle_s = 0.0
                # Without events there are none left: retention may have removed the last ones.
                if job.state.is_terminal and (after_seq >= job.last_seq or not events):
                    yield (
                        b'event: end\ndata: {"state":"%s"}\n\n' % job.state.value.encode()
                    )
                    return
                if len(events) == _PAGE:
                    continue
                step = poll_s(context)
                if not await wait_for(changed, step):
                    idle_s += step
                    if idle_s >= KEEP_ALIVE_S:
                        yield b": keep-alive\n\n"
                        idle_s = 0.0
    finally:
        context.metrics.streams.dec()
