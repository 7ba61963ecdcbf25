"""Objective run_time: a real program is timed and never reported slower."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.domains.compile.search.run_time import reserve_s
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


def test_a_program_is_timed_and_its_answer_is_never_reported_slower(
    tmp_path: Path,
) -> None:
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
def test_programs_that_cannot_be_timed_are_refused(
    tmp_path: Path, spec: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        run(
            tmp_path,
            CompileSpec(language=Language.C, objective=Objective.RUN_TIME, **spec),
        )
    with pytest.raises(ValueError, match="run_by_itself is off"):
        CompileSpec(source_text=LOOPS, objective=Objective.RUN_TIME, run_by_itself=False)


def test_the_reserve_covers_the_last_pairs_of_search_and_check() -> None:
    assert reserve_s(0.0) == 0.0
    assert reserve_s(0.5) >= 2 * (15 + 9) * 0.5, "15 pairs of the search, 9 of the check"
