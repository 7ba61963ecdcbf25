"""Shares saved against -Oz: means of package means and pooled means with intervals."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from workers.bench.stats import ratio_of_means

Row = dict[str, Any]
MEASURES = ("loadable", "code", "ir")


def saved(row: Row, measure: str) -> float:
    """Return the share that a row's best pipeline saves against -Oz; negative when it is larger."""
    return 1.0 - float(row["best"][measure]) / float(row["oz"][measure])


def package_mean(rows: Sequence[Row], measure: str) -> float:
    """Return the mean over packages of the mean saved share in a package; 0 without rows."""
    packages: dict[str, list[float]] = {}
    for row in rows:
        packages.setdefault(row["package"], []).append(saved(row, measure))
    return statistics.fmean(map(statistics.fmean, packages.values())) if packages else 0.0


def pooled(rows: Sequence[Row], measure: str) -> tuple[float, float, float]:
    """Return the mean saved share over all modules and its 95 % bootstrap interval."""
    ratio, low, high = ratio_of_means(
        [row["best"][measure] / row["oz"][measure] for row in rows], [1.0] * len(rows)
    )
    return 1 - ratio, 1 - high, 1 - low


def print_report(rows: list[Row], metric: str, measure: str) -> None:
    """Print the figures of each budget and method.

    They are means, the share of the oracle's mean, larger modules, and seconds.

    `measure` is the entry of MEASURES that `metric` minimises. A search that leaves the coreset
    can save more than the oracle. The last columns are pooled means by every measure.
    """
    keys = sorted({(row["pipelines"], row["method"]) for row in rows})
    oracle = package_mean([row for row in rows if row["method"] == "oracle"], measure)
    print(f"{metric}:")
    print(
        "pipelines method           packages oracle   pooled [95 %]           "
        "loadable     code       IR larger median s"
    )
    for key in keys:
        group = [row for row in rows if (row["pipelines"], row["method"]) == key]
        mean = package_mean(group, measure)
        share = mean / oracle if oracle else float("nan")
        middle, low, high = pooled(group, measure)
        means = " ".join(
            f"{statistics.fmean(saved(row, m) for row in group):8.2%}" for m in MEASURES
        )
        larger = sum(saved(row, measure) < 0 for row in group)
        seconds = statistics.median(row["seconds"] for row in group)
        print(
            f"{key[0]:9d} {key[1]:15s} {mean:9.2%} {share:6.0%} "
            f"{middle:8.2%} [{low:6.2%}, {high:6.2%}] {means} {larger:6d} {seconds:8.2f}"
        )
