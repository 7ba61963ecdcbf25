"""Objective run_time: intervals hold what they promise, noise is not taken for speed, a real program gets faster."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import numpy as np
import pytest

from search.domains.compile.search.run_time import median_interval, paired
from search.types import InvalidInput
from tests.search.domains.compile.test_domain import run
from trimtab.results import VerificationStatus
from trimtab.specs.compile import CompileSpec, Language, Objective, Run

# -Oz and -O1 leave the loops as they are; -O2 and -O3 unroll and vectorise them.
LOOPS = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static uint32_t a[4096], b[4096];
int main(int argc, char **argv) {
  uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 1, h = 1;
  for (uint32_t i = 0; i < 4096; i++) { a[i] = i * 2654435761u; b[i] = a[i] >> 7; }
  for (uint32_t k = 0; k < n; k++) {
    for (uint32_t i = 0; i < 4096; i++) a[i] = a[i] * 5u + (b[i] ^ k);
    for (uint32_t i = 0; i < 4096; i++) h += a[i] > b[i] ? a[i] - b[i] : b[i] >> 3;
  }
  printf("%u\n", h);
  return 0;
}
"""


@pytest.mark.parametrize("n", [5, 6, 9, 11, 15, 40])
def test_the_interval_is_exact_order_statistics(n: int) -> None:
    low, high = median_interval([float(i) for i in range(n)])
    if not math.isfinite(high):
        assert n < 6, "five values cannot say anything with 95 %"
        return
    k = int(low)
    assert high == n - 1 - k
    outside = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    assert outside <= 0.05 < 2 * sum(math.comb(n, i) for i in range(k + 2)) / 2**n


def test_the_interval_holds_the_median_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        low, high = median_interval(sorted(rng.lognormal(size=11).tolist()))
        held += low <= 1.0 <= high
    assert held / 2000 >= 0.95


def test_equal_programs_are_not_told_apart() -> None:
    rng = np.random.default_rng(1)
    faster = sum(
        paired(lambda: rng.normal(1.0, 0.05), lambda: rng.normal(1.0, 0.05), 11).faster
        for _ in range(400)
    )
    assert faster / 400 <= 0.025 + 0.02, "one side of the 95 %"
    timing = paired(lambda: rng.normal(0.8, 0.05), lambda: rng.normal(1.0, 0.05), 11)
    assert timing.faster
    assert timing.ratio == pytest.approx(0.8, abs=0.07)
    with pytest.raises(ValueError, match="0 pairs"):
        paired(lambda: 1.0, lambda: 1.0, 0)


def test_a_drifting_machine_meets_both() -> None:
    """Each run is slower than the one before; in turned pairs that cancels."""
    slow = iter(1.0 + 0.02 * i for i in range(1000))
    ratios = [paired(lambda: next(slow), lambda: next(slow), 10).ratio for _ in range(5)]
    assert statistics.fmean(ratios) == pytest.approx(1.0, abs=0.01)


def test_a_program_is_timed_and_the_answer_is_never_told_slower(tmp_path: Path) -> None:
    spec = CompileSpec(
        source_text=LOOPS,
        language=Language.C,
        objective=Objective.RUN_TIME,
        runs=(Run(arguments=("30000",)),),
    )
    result = run(tmp_path, spec, seconds=40.0, evaluations=5).result
    assert result.verification.status is VerificationStatus.VALID
    assert result.verification.checks["runs_equal"] == "1 of 1"
    assert "pairs of runs" in str(result.verification.checks["time"])
    assert result.objective is not None
    assert 0.01 < result.objective < 10
    assert "may be larger than -Oz" in str(result.summary["promise"])
    assert result.summary["pipelines_tried"] >= 1  # type: ignore[operator]
    assert CompileSpec.unit_of({"objective": "run_time"}) == "CPU seconds"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"source_text": LOOPS}, "Give longer `runs`"),
        ({"source_text": "int f(int x) { return x; }"}, "Give `runs`"),
    ],
)
def test_what_cannot_be_timed_is_told(
    tmp_path: Path, spec: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        run(
            tmp_path, CompileSpec(language=Language.C, objective=Objective.RUN_TIME, **spec)
        )
    with pytest.raises(ValueError, match="run_by_itself is off"):
        CompileSpec(source_text=LOOPS, objective=Objective.RUN_TIME, run_by_itself=False)
