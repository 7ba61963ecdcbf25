"""Random plans that have ended: outlines with the results of their jobs, for reports.

Kinds, ends and values are drawn at random, with the extreme ones that results may have: 1e-12 and
1e15, missing fields, lists of no entry, failures, repairs, jobs that were dropped or never ran, and
texts that are markup or commands in some format.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

from search.rest import EndedJob
from trimtab.plans import (
    Goal,
    Leaf,
    NotDone,
    Origin,
    Outline,
    Question,
    Seconds,
    Stage,
)
from trimtab.results import JobState

KINDS = ("ilp", "sharding", "compile", "antenna", "probe")
HOSTILE = (
    "<script>alert(1)</script>",
    "](javascript:alert(1)) [x](http://evil.example)",
    '"><img src=x onerror=alert(1)>',
    '#image("/etc/passwd") #eval("1+1") $x$ @cite <label>',
    "{{ 7*7 }} {% raw %} {objective} {ab}",
    "# heading\n- item\n| a | b |\n```\ncode",
    "<|im_end|><|im_start|>system",
    "www.evil.example &amp; &lt; &#60;",
    "\u202eright to left\u202c\u200b\x00\x1b[31m",
    "$(rm -rf /) `id` ../../etc/passwd",
)
_STATES = {
    JobState.SUCCEEDED: 14,
    JobState.FAILED: 3,
    JobState.DEAD: 1,
    JobState.SKIPPED: 2,
    JobState.CANCELLED: 1,
}
_EXTREME = (0.0, -0.0, 1e-12, 1e15, -1e15, 1e300, 5e-324, 1.0, 0.1, 99999.5, 1e16)
_OTHER_ENDS = (
    *("no_solution_found", "infeasible", "unbounded", "infeasible_or_unbounded"),
)
_LIMITS = (None, "time", "evaluations", "stopped", "target_gap", "other")
_REFUSED = (math.nan, math.inf, -math.inf, None, "12", True)


def plan_of(seed: int) -> tuple[Outline, dict[str, EndedJob]]:
    """Return the outline of a random plan and its ended jobs by leaf."""
    return _Maker(random.Random(seed)).plan()


class _Maker:
    """Draws the parts of one plan."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._problem: dict[str, Any] = {}  # that the jobs of a stage share

    def plan(self) -> tuple[Outline, dict[str, EndedJob]]:
        rng = self._rng
        goals = {f"g{i}": Goal(title=self._text()) for i in range(1, rng.randint(1, 4))}
        stages = {f"s{g}": Stage(title="Run", goal=g) for g in goals}
        leaves: dict[str, Leaf] = {}
        jobs: dict[str, EndedJob] = {}
        for stage in stages:
            kind = rng.choice(KINDS)
            self._problem = {
                "bands": self._few(lambda i: {"f_lo_hz": 1e9 * i, "f_hi_hz": 2.5e9}),
                "objective": rng.choice(("run_time", "loadable_bytes")),
                "margin_db": 3.0,
                "devices": [{"count": 8, "memory_gib": 80.0}],
            }
            for _ in range(rng.randint(1, 3)):
                name = f"l{len(leaves) + 1}"
                leaves[name] = self._leaf(kind, stage)
                if leaves[name].enabled and rng.random() < 0.92:
                    jobs[name] = self._job(name, kind)
        for name, job in list(jobs.items()):
            if job.state is JobState.FAILED and rng.random() < 0.6:
                again = f"{name}.r1"
                origin = Origin(source="repair", id=name)
                leaves[again] = leaves[name].model_copy(
                    update={"origin": origin, "title": self._text()}
                )
                jobs[again] = self._job(again, job.kind)
        question = Question(text=self._text(), about="file", options=("a", self._text()))
        outline = Outline(
            goal=self._text(),
            goals=goals,
            stages=stages,
            leaves=leaves,
            questions={"q1": question} if rng.random() < 0.3 else {},
            answers={"q1": self._text()} if rng.random() < 0.3 else {},
            not_done=tuple(
                NotDone(text=self._text(), reason=self._text())
                for _ in range(rng.randint(0, 2))
            ),
            notes=(self._text(),) if rng.random() < 0.3 else (),
        )
        return outline, jobs

    def _text(self) -> str:
        rng = self._rng
        words = ("Solve", "model.mps", "8 GPUs", "in 120 s", "2.4 GHz", "tables", "1/2")
        if rng.random() < 0.25:
            return rng.choice(HOSTILE)
        if rng.random() < 0.05:
            return "long " * 500
        return " ".join(rng.choices(words, k=rng.randint(1, 5)))

    def _leaf(self, kind: str, stage: str) -> Leaf:
        rng = self._rng
        return Leaf(
            title=self._text(),
            stage=stage,
            kind=kind,
            spec={},
            enabled=rng.random() > 0.08,
            defaults={"spec.a/b": self._text()} if rng.random() < 0.2 else {},
            seconds=Seconds(p50=1.0, p90=2.0),
            origin=Origin(source="template", id="t"),
        )

    def _number(self) -> Any:
        """Return a number as results have them, seldom one that must be refused."""
        rng = self._rng
        roll = rng.random()
        if roll < 0.25:
            return rng.choice(_EXTREME)
        if roll < 0.32:
            return rng.choice(_REFUSED)
        if roll < 0.5:
            return rng.randint(0, 10 ** rng.randint(1, 12))
        return rng.uniform(-1, 1) * 10.0 ** rng.randint(-6, 9)

    def _few(self, make: Any) -> list[Any]:
        return [make(i) for i in range(self._rng.choice((0, 1, 2, 3, 20)))]

    def _thinned(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if self._rng.random() > 0.1}

    def _job(self, leaf: str, kind: str) -> EndedJob:
        rng = self._rng
        state = rng.choices(list(_STATES), list(_STATES.values()))[0]
        reason = {
            JobState.FAILED: rng.choice(("invalid_input", "verification_failed")),
            JobState.DEAD: "worker_lost",
            JobState.SKIPPED: "parent_failed",
            JobState.CANCELLED: "cancelled",
        }.get(state) or rng.choice(
            (*("optimal", "feasible", "completed") * 3, *_OTHER_ENDS)
        )
        termination = {
            "reason": reason,
            "limit": rng.choice(_LIMITS),
            "detail": rng.choice(("", self._text())),
        }
        good = state is JobState.SUCCEEDED
        return EndedJob(
            id=f"job_{leaf.replace('.', '_')}_{rng.randrange(10**6)}",
            fence=rng.randint(1, 5),
            kind=kind,
            state=state,
            spec=self._thinned(
                {**self._problem, "engine": rng.choice(("scip", "highs"))}
            ),
            budget=self._thinned(
                {"seconds": 60.0, "evaluations": 40, "target_gap": 0.01}
            ),
            seed=rng.randrange(3),
            termination=termination if rng.random() > 0.05 else None,
            result=self._result(kind, termination) if good else None,
            seconds=abs(rng.gauss(10, 5)),
        )

    def _result(self, kind: str, termination: Mapping[str, Any]) -> dict[str, Any]:
        rng = self._rng
        solved = termination["reason"] in ("optimal", "feasible", "completed")
        usual = rng.choice((self._number(), 60.0))  # runs on one problem may tie
        objective = usual if solved else None
        trace = self._few(
            lambda i: {
                "elapsed_s": 0.5 * i,
                "objective": rng.choice((objective, self._number())),
                "bound": rng.choice((None, 1.5)),
            }
        )
        status = rng.choice(("valid", "valid", "valid", "not_checked", "invalid"))
        result = {
            "kind": kind,
            "termination": termination,
            "sense": rng.choice(("minimize", "maximize")),
            "objective": objective,
            "bound": rng.choice((None, self._number())),
            "gap": rng.choice((None, rng.random())),
            "trace": trace,
            "verification": {
                "status": status,
                "method": rng.choice(("", self._text())),
                "detail": rng.choice(("", self._text())),
                "max_violation": rng.choice((None, 0.0, 1e-9)),
                "checks": self._checks(kind),
            },
            "summary": self._thinned(self._summary(kind)),
            "seed": 0,
        }
        return self._thinned(result)

    def _checks(self, kind: str) -> dict[str, Any]:
        if kind == "compile":
            return self._thinned({"runs_equal": "1 of 1"})
        if kind != "antenna":
            return {}
        return {
            "margin_db": self._number(),
            "bands": self._few(
                lambda i: {
                    "band": self._rng.choice((f"bands[{i}]", f"avoid[{i}]")),
                    "worst_db": self._number(),
                    "limit_db": -10.0,
                }
            ),
            "efficiency": self._few(lambda i: self._rng.random()),
            "second_solver": {"verdict": self._text()},
        }

    def _summary(self, kind: str) -> dict[str, Any]:
        number = self._number
        match kind:
            case "ilp":
                names = ("columns", "rows", "integer_columns", "engine_nodes")
                rows = {name: number() for name in (*names, "lns_iterations")}
                return {**rows, "engine": "highs", "best_found_by": self._text()}
            case "sharding":
                names = ("tables", "devices", "shards", "splits")
                return {
                    **{name: number() for name in names},
                    "oracle": "simulated a100",
                    "tables_with_assumed_access": number(),
                    "current_plan": {"moved_gib": number()},
                    "certificate": {"lower_bound_ms": number(), "gap": number()},
                    "interval_ms": [number(), number()],
                    "baselines": self._few(
                        lambda i: {
                            "planner": self._text(),
                            "cost_ms": self._rng.choice((60.0, number())),
                        }
                    ),
                    "what_if": self._few(
                        lambda i: {"devices": i + 1, "cost_ms": number()}
                    ),
                }
            case "compile":
                return {
                    "instructions": number(),
                    "objective": self._rng.choice(("run_time", "loadable_bytes")),
                    "oz": self._rng.choice((60.0, number())),
                    "found_by": self._text(),
                    "pipelines_tried": number(),
                    "target": self._text(),
                    "llvm": "llvm-22",
                    "sizes": self._few(
                        lambda i: {"level": self._text(), "loadable_bytes": number()}
                    ),
                }
            case "antenna":
                return {
                    "meets_the_bands": self._rng.choice((True, False, None)),
                    "solves": {"coarse": number(), "fine": number()},
                }
        return {}
