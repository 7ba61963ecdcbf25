"""Sharing of the cores among the processes of one run.

While the machine has room for all of them, all of them run. Where it has not (a second job, a busy
machine, a spec with `threads: 1`), the engine comes first. The other processes are its helpers and
work on an account in processor seconds: each second of the engine earns them a share, and they are
paused while they have spent it.

The shares follow from the promise that a run is never far behind its own engine (ADR 16). Before
the first solution, and while the engine has the best one, helpers get a tenth or less, so that the
engine loses a tenth of its time at most; a small credit at the start pays for a construction and a
few dives. While the best solution is the helpers' own, or the engine has not improved for long,
they get more, as far as the gap allows: a slower engine costs at most the gap for as long as it is
slower. On covers and packings, which suit the helpers best, their lead alone gives them a half.

Helpers are paused by SIGSTOP, not by nice(2): a process without privileges cannot take back a nice
value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from search.cores import RoomMeter, own_cpu_s, running_processes, usable_cores
from search.domains.ilp.search.messages import Role
from search.domains.ilp.verify.checker import Checker
from search.isolation import NativeProcess
from search.trace import primal_gap

CREDIT_S = 0.12  # processor seconds of the helpers before the engine has earned them any
# Bounds of the account: no long burst after savings, and debt is limited.
MOST_S, LEAST_S = 0.3, -0.5
BEFORE_FIRST, ENGINE_LEADS, ENGINE_STALLS, HELPERS_LEAD = 0.08, 0.1, 0.5, 1.0
# Primal integral that a share above ENGINE_LEADS may cost, in seconds per second of the engine.
LOSS = 0.05
STALLED_S, STALLED_SHARE = 3.0, 0.3  # of the engine's seconds without a better solution
SLICE_S = 0.03  # paused helpers continue when they can run for this long
FREE_CORES = 1.6  # of the two that engine and helpers need
FREE_WINDOWS = 2
# Of the budget; after it the exact reading is no longer delayed.
READER_SHARE, MOST_BUDGET_S = 0.25, 3600.0
TICK_S = 0.04
# Of a tick: helpers that use less are waiting, and the engine need not.
_IDLE_SHARE = 0.25


@dataclass(frozen=True, kw_only=True)
class RaceState:
    """State of the race between engine and helpers. Seconds are the engine's processor time."""

    solved: bool  # there is a solution
    helpers_lead: bool  # the best one is not the engine's
    gap: float  # of the best one to the bound, in [0, 1]
    covers: bool  # the model is a cover or a packing
    engine_s: float
    since_better_s: float  # since the best solution last changed


def share(standing: RaceState) -> float:
    """Return the processor seconds that helpers may use per second of the engine."""
    if not standing.solved:
        return BEFORE_FIRST
    bearable = LOSS / max(standing.gap, LOSS)
    if standing.helpers_lead:
        return (
            HELPERS_LEAD
            if standing.covers
            else max(ENGINE_LEADS, bearable * HELPERS_LEAD)
        )
    if standing.since_better_s > max(STALLED_S, STALLED_SHARE * standing.engine_s):
        return max(ENGINE_LEADS, bearable * ENGINE_STALLS)
    return ENGINE_LEADS


@dataclass(frozen=True, kw_only=True)
class Account:
    """Balance of the helpers, processor seconds."""

    balance_s: float = CREDIT_S

    def after(self, *, engine_s: float, helpers_s: float, share: float) -> Account:
        """Return the account after the engine and the helpers have used these seconds."""
        balance = self.balance_s + share * engine_s - helpers_s
        return replace(self, balance_s=min(MOST_S, max(LEAST_S, balance)))

    def may_run(self, *, running: bool) -> bool:
        """Return True if helpers may run; paused ones wait for a whole slice."""
        return self.balance_s > (0.0 if running else SLICE_S)


def is_crowded(crowded: bool, rooms: Sequence[float], *, cores: float) -> bool:
    """Return True if engine and helpers have less than a core each.

    rooms: cores left to the run in the latest windows, newest last.
    """
    if cores < FREE_CORES:
        return True
    if not rooms:
        return crowded
    if rooms[-1] < FREE_CORES:
        return True
    return crowded and len(rooms) < FREE_WINDOWS


def others_run(running: int | None, own: int, *, cores: float) -> bool:
    """Return True if other runnable processes leave less than two cores at this moment."""
    return running is not None and running - own > cores - FREE_CORES


class CoreSharing:
    """Pause and resume the processes of one run. Call `tick` from the loop that watches them."""

    def __init__(
        self, *, threads: int, checker: Checker, budget_s: float, covers: bool = False
    ) -> None:
        self._covers = covers
        self._cores = min(float(threads), usable_cores())
        self._one_core = threads == 1
        self._checker = checker
        self._reader_free_at = time.monotonic() + READER_SHARE * min(
            budget_s, MOST_BUDGET_S
        )
        own = 1 + checker.reading
        self._crowded = is_crowded(False, (), cores=self._cores) or others_run(
            running_processes(), own, cores=self._cores_beside(threads)
        )
        self._rooms: tuple[float, ...] = ()
        self._account = Account()
        self._live: Mapping[Role, NativeProcess] = {}
        self._meter = RoomMeter(lambda: own_cpu_s(p.cpu_s for p in self._everyone()))
        self._at = time.monotonic()
        self._engine_s, self._helpers_s = 0.0, checker.cpu_s
        self._best, self._better_at_s = math.inf, 0.0
        self._helpers_run = True

    @staticmethod
    def _cores_beside(threads: int) -> float:
        return usable_cores() if threads > 1 else 1.0

    @property
    def crowded(self) -> bool:
        """True while helpers work on the account."""
        return self._crowded

    def admit(self, process: NativeProcess) -> None:
        """Pause a helper that has just started if helpers are paused."""
        if not self._helpers_run:
            process.pause()

    def tick(
        self,
        processes: Mapping[Role, NativeProcess],
        *,
        objective: float,
        bound: float,
        helpers_lead: bool,
    ) -> None:
        """Settle the account, and pause or resume.

        processes: those of the run by role, the engine among them. objective, bound: minimised
        sense, infinite while there is none.
        """
        now = time.monotonic()
        if now - self._at < TICK_S:
            return
        wall_s, self._at, self._live = now - self._at, now, processes
        engine, helpers = processes[Role.ENGINE], self._helpers()
        solved = math.isfinite(objective)
        engine_s, helpers_s = engine.cpu_s, self._spent(helpers, reader=not solved)
        used_by_engine, used_by_helpers = (
            engine_s - self._engine_s,
            max(0.0, helpers_s - self._helpers_s),
        )
        self._engine_s, self._helpers_s = engine_s, helpers_s
        if objective < self._best:
            self._best, self._better_at_s = objective, engine_s
        self._measure_room()
        standing = RaceState(
            solved=solved,
            helpers_lead=helpers_lead,
            gap=primal_gap(objective, bound) if solved and math.isfinite(bound) else 1.0,
            covers=self._covers,
            engine_s=engine_s,
            since_better_s=engine_s - self._better_at_s,
        )
        if not engine.alive or not self._crowded:
            self._account = Account()
            self._apply(helpers, run=True, reader=True)
            engine.resume()
            return
        self._account = self._account.after(
            engine_s=used_by_engine, helpers_s=used_by_helpers, share=share(standing)
        )
        waiting = self._helpers_run and used_by_helpers < _IDLE_SHARE * wall_s
        run = self._account.may_run(running=self._helpers_run)
        self._apply(
            helpers, run=run, reader=run or standing.solved or now >= self._reader_free_at
        )
        if self._one_core and run and helpers and not waiting:
            engine.pause()  # in turn: together they would use two cores
        else:
            engine.resume()

    def _measure_room(self) -> None:
        room = self._meter.look()
        if room is not None:
            self._rooms = (*self._rooms, room)[-FREE_WINDOWS:]
            if room < FREE_CORES:
                self._rooms = (room,)
            self._crowded = is_crowded(self._crowded, self._rooms, cores=self._cores)

    def _helpers(self) -> list[NativeProcess]:
        return [
            process
            for role, process in self._live.items()
            if role != Role.ENGINE and process.alive
        ]

    def _everyone(self) -> list[NativeProcess | Checker]:
        return [*(p for p in self._live.values() if p.alive), self._checker]

    def _spent(self, helpers: Sequence[NativeProcess], *, reader: bool) -> float:
        # Ended helpers are not counted: the sum may fall, and then nothing was used.
        return sum(p.cpu_s for p in helpers) + (self._checker.cpu_s if reader else 0.0)

    def _apply(
        self, helpers: Sequence[NativeProcess], *, run: bool, reader: bool
    ) -> None:
        for process in helpers:
            if run:
                process.resume()
            else:
                process.pause()
        if reader:
            self._checker.resume()
        else:
            self._checker.pause()
        self._helpers_run = run
