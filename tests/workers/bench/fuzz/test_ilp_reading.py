"""The fuzzer of the readers at a small number of cases.

`python -m workers.bench fuzz ilp-reading` runs any number.
"""

from __future__ import annotations

from workers.bench.fuzz.cli import run_case


def test_no_text_is_misread_or_refused(scale: float) -> None:
    outcomes = [
        run_case("ilp-reading", 11, index) for index in range(max(30, int(1_500 * scale)))
    ]
    assert [one.finding for one in outcomes if one.finding is not None] == []
    agreed = sum(one.label.endswith("peers agree") for one in outcomes)
    assert agreed > len(outcomes) // 4, (
        "the peers must read many of the texts, or nothing is compared"
    )
