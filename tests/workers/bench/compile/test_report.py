"""Shares saved against -Oz: packages weigh the same, and the interval holds the mean."""

from __future__ import annotations

from typing import Any

import pytest

from workers.bench.compile import report


def row(package: str, best: int, **more: Any) -> dict[str, Any]:
    sizes = dict.fromkeys(report.MEASURES, best)
    full = dict.fromkeys(report.MEASURES, 100)
    return {"package": package, "best": sizes, "oz": full, "seconds": 1.0} | more


def test_packages_weigh_the_same_whatever_their_number_of_modules() -> None:
    rows = [row("a", 90), row("b", 100), row("b", 100), row("b", 100)]
    assert report.package_mean(rows, "loadable") == pytest.approx(0.05)
    assert report.package_mean([], "loadable") == 0.0


def test_the_pooled_mean_lies_in_its_interval() -> None:
    rows = [row("a", best) for best in (80, 90, 100, 110)]
    mean, low, high = report.pooled(rows, "code")
    assert mean == pytest.approx(0.05)
    assert low < mean < high
    assert report.saved(rows[-1], "code") == pytest.approx(-0.1)


def test_the_report_counts_larger_modules(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("a", best, pipelines=1, method="trimtab") for best in (90, 110)]
    rows += [row("a", 80, pipelines=24, method="oracle")]
    report.print_report(rows, "loadable_bytes", "loadable")
    line = next(
        text for text in capsys.readouterr().out.splitlines() if "trimtab" in text
    )
    assert line.split()[-2:] == ["1", "1.00"]
