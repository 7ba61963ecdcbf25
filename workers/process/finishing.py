"""Finishing runs: when a run dies after a checkpoint, another child verifies and writes its best.

    first run ──dies──▶ checkpoint ──▶ finishing run: parse → restore → verify → produce ──▶ RESULT

The result names the reason that ended the first run. The finishing run has the same sandbox and
limits, and `TaskLimits.finish_seconds` beyond the budget. If it fails too, the run ends as it would
have without a checkpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from trimtab.results import Limit, Reason, Termination
from workers.types import Execution, Finish, Outcome, OutcomeStatus, Progress, Task

# The input itself, or the solution, is bad: there is nothing to finish.
_FINAL = frozenset({Reason.INVALID_INPUT, Reason.VERIFICATION_FAILED})
_SALVAGED = frozenset({OutcomeStatus.FAILED, OutcomeStatus.LOST})
_BEFORE, _PRODUCE = ("start", "parse"), "produce"
# Times the allowance, for a run that has no solution to verify yet: it reads the input, builds the
# baseline and checks it. A limit that ends it loses the answer that was promised in any case.
_BASELINE = 6.0


class FirstRun(Execution, Protocol):
    """An execution that reports its phase."""

    @property
    def phase(self) -> str:
        """The newest phase, also after the end."""
        ...


def finishing_task(
    task: Task, outcome: Outcome, data: bytes | None, *, phase: str, stopped: bool
) -> Task | None:
    """Return the task that finishes a run; None when there is nothing to finish.

    Args:
        task: The run's task.
        outcome: How the run ended.
        data: Its newest checkpoint.
        phase: Its newest phase.
        stopped: Its owner had asked it to stop.
    """
    data = data or task.start
    if (
        task.finish is not None
        or outcome.status not in _SALVAGED
        or outcome.termination.reason in _FINAL
    ):
        return None
    if task.resumes and outcome.status is OutcomeStatus.LOST and not stopped:
        return None
    # A worker that was lost before it reported anything is tried again instead of answering with
    # the baseline. A fault before the search may be the input's; a lack of time is the machine's.
    ended = outcome.termination
    baseline = (
        task.baseline
        and (phase not in _BEFORE or ended.limit is Limit.TIME)
        and (stopped or outcome.status is OutcomeStatus.FAILED)
    )
    if data is None and not baseline:
        return None
    if stopped:
        detail = f"stopped by its owner, but it did not end in time ({ended.detail})"
        ended = Termination(reason=ended.reason, limit=Limit.STOPPED, detail=detail)
    seconds = task.limits.finish_seconds(float(task.budget["seconds"]))
    if data is None:
        seconds *= _BASELINE  # it is made first, from the input
    # A run that died while it wrote files may die again of an extra file.
    finish = Finish(ended=ended, decorate=phase != _PRODUCE)
    return replace(task, start=data, finish=finish, budget={"seconds": seconds})


def finished_outcome(first: Outcome, second: Outcome) -> Outcome:
    """Combine the outcomes of a run and of its finishing run."""
    usage = dict(second.usage)
    for name, value in first.usage.items():
        usage[name] = (
            max(value, usage.get(name, 0.0))
            if name.startswith("max_")
            else value + usage.get(name, 0.0)
        )
    if second.status is OutcomeStatus.RESULT:
        return replace(second, usage=usage)
    detail = (
        f"{first.termination.detail}; its best solution could not be finished either: "
        f"{second.termination.detail}"
    )
    termination = first.termination.model_copy(update={"detail": detail[:2000]})
    return replace(first, termination=termination, usage=usage)


class FinishingExecution:
    """A run, and the finishing run that follows when it dies after a checkpoint."""

    def __init__(
        self,
        task: Task,
        first: FirstRun,
        *,
        again: Callable[[Task], Awaitable[Execution]],
        on_end: Callable[[FinishingExecution], object],
    ) -> None:
        self._task, self._first, self._again, self._on_end = task, first, again, on_end
        loop = asyncio.get_running_loop()
        self._outcome: asyncio.Future[Outcome] = loop.create_future()
        self._second: asyncio.Future[Execution | None] = loop.create_future()
        self._stopped = self._cancelled = False
        self._between = False  # the first run has ended, and the second has not begun
        self._whole = asyncio.create_task(self._run())

    async def events(self) -> AsyncIterator[Progress]:
        """Yield the events of the run, then those of its finishing run."""
        async for progress in self._first.events():
            yield progress
        second = await asyncio.shield(self._second)
        if second is not None:
            async for progress in second.events():
                yield progress

    async def result(self) -> Outcome:
        """Wait for the end."""
        return await asyncio.shield(self._outcome)

    @property
    def current(self) -> Execution:
        """The run, or its finishing run once that has begun."""
        second = self._second.result() if self._second.done() else None
        return second or self._first

    @property
    def silent_s(self) -> float:
        """Seconds since the child's last frame; 0 while a finishing run is being started."""
        return 0.0 if self._between else self.current.silent_s

    async def stop(self) -> None:
        """Ask for the best solution. A finishing run is already producing it."""
        self._stopped = True
        if self._task.finish is None:
            await self._first.stop()

    async def cancel(self) -> None:
        """Kill now."""
        self._cancelled = True
        await self._first.cancel()
        if self._second.done() and (second := self._second.result()) is not None:
            await second.cancel()
        if not self._outcome.done():
            # The finishing run is being started; it is discarded once it has begun.
            self._settle(await self._first.result())
        await self.result()

    async def checkpoint(self) -> bytes | None:
        """Read the newest checkpoint."""
        return await self._first.checkpoint() or self._task.start

    async def ended(self) -> None:
        """Wait until neither run is alive or being started."""
        await self._whole

    async def close(self) -> None:
        """Kill what is left and remove the run folders."""
        if not self._outcome.done():
            await self.cancel()
        await self._whole
        await self._first.close()
        if (second := self._second.result()) is not None:
            await second.close()

    async def _run(self) -> None:
        first = await self._first.result()
        self._between = True
        try:
            task = None
            if not self._cancelled:
                data = await self._first.checkpoint()
                task = finishing_task(
                    self._task,
                    first,
                    data,
                    phase=self._first.phase,
                    stopped=self._stopped,
                )
            if task is None or self._cancelled:
                self._settle(first)
                return
            self._settle(await self._finish(task, first))
        except Exception as error:
            # No memory to fork, or a full disk: the run ends as it would have.
            detail = f"{first.termination.detail}; its best solution could not be finished: {error}"
            update = {"detail": detail[:2000]}
            termination = first.termination.model_copy(update=update)
            self._settle(replace(first, termination=termination))
        finally:
            self._begun(None)
            self._on_end(self)

    async def _finish(self, task: Task, first: Outcome) -> Outcome:
        second = await self._again(task)
        self._begun(second)
        if self._cancelled:
            await second.cancel()
        outcome = await second.result()
        return finished_outcome(first, outcome)

    def _begun(self, second: Execution | None) -> None:
        self._between = False
        if not self._second.done():
            self._second.set_result(second)

    def _settle(self, outcome: Outcome) -> None:
        if self._cancelled:
            termination = Termination(
                reason=Reason.CANCELLED, detail="cancelled by its owner"
            )
            outcome = Outcome(
                status=OutcomeStatus.CANCELLED,
                termination=termination,
                usage=outcome.usage,
            )
        with contextlib.suppress(asyncio.InvalidStateError):
            self._outcome.set_result(outcome)
