"""Measured figures of kind `learn`, as tables. The first one lists every goal, met or not."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from workers.bench.compile.own import GOAL_POINTS, PROJECTS, gain
from workers.bench.ilp.fitted_table import latest
from workers.bench.learn.goals import (
    BELOW,
    MEASURED_FILE,
    OWN_FILE,
    RINGS_FILES,
    SHARDING_FILE,
    goals_table,
    mape,
    rings_rows,
)
from workers.bench.tables.page import Headline, Page, Table
from workers.bench.tables.results import rows_of, source


def page() -> Page:
    """Return the page."""
    return Page(
        title="Measured: fitted models",
        intro="Models fitted to one's own instances, and the parts that learn: pre-training, "
        "relational encoders, the dynamics of attention. Jobs use a fitted model only if its card "
        "shows an improvement on held-out instances, so a model that does not help changes "
        "nothing.",
        tables=(goals_table(), _sharding_table(), _own_table(), _rings_table()),
        headline=_headline(),
    )


def _sharding_table() -> Table:
    rows = rows_of(SHARDING_FILE)
    seen = {(row["arm"], row["labels"]): None for row in rows}
    return Table(
        title="Sharding: few measurements of another device",
        intro="Mean absolute percentage error on 1,000 unseen sets of tables of a simulated device "
        "that no model was trained on; labels have 2 % of noise. The device is simulated by the "
        "formulae that are calibrated, which flatters the fitted arms.",
        columns=("arm", "measurements", "error, mean of runs", "runs"),
        rows=[
            [
                arm,
                f"{labels:,}",
                f"{mape(rows, arm, labels):.2f} %",
                str(sum((row["arm"], row["labels"]) == (arm, labels) for row in rows)),
            ]
            for arm, labels in seen
        ],
        notes=("Training from scratch was not run again; see the goals above.",),
        command="python -m workers.bench learn sharding --seeds 1",
        source=source(SHARDING_FILE, remark="Other work shared both cores."),
    )


def _own_table() -> Table:
    lines = rows_of(OWN_FILE)
    return Table(
        title="Compile: a coreset of one's own code",
        intro="Pipelines mined on half of a project's modules; share of loadable bytes saved with "
        "one pipeline against `-Oz` on the other half, own less shipped.",
        columns=(
            "project",
            "modules mined; held out",
            "shipped",
            "own less shipped, 95 %",
        ),
        rows=[
            [
                line["project"],
                f"{line['fit']}; {len(line['held_out'])}",
                f"{100 * statistics.fmean(row[1] for row in line['held_out']):.2f} %",
                "{:+.2f} [{:+.2f}, {:+.2f}] points".format(*gain(line)),
            ]
            for line in lines
        ],
        notes=(
            f"Goal: {GOAL_POINTS:g} point more on 5 of {len(PROJECTS)} projects. The card keeps "
            "the shipped pipelines where the own ones do not help.",
        ),
        command="python -m workers.bench compile own",
        source=source(OWN_FILE, remark="Other work shared both cores."),
    )


def _rings_table() -> Table:
    return Table(
        title="Relational encoders on rings",
        intro="R² on held-out rings of a task with short, medium and long relations, nets of "
        "18,000 parameters; GRMP (EurNet) less its rival, paired by seed. GRMP and RGCN after 250 "
        "steps, five seeds; the others after 150, three seeds, and the ranges after 150, two.",
        columns=("encoder or ranges of GRMP", "R², 95 %", "GRMP less this, 95 %"),
        rows=[
            *(
                [
                    row["encoder"].upper(),
                    _interval(row["r2"]),
                    _interval(row["grmp_less_this"]) if "grmp_less_this" in row else "",
                ]
                for row in rings_rows("encoders-rivals")
            ),
            *(
                [f"GRMP, {row['ranges']}", _interval(row["r2"]), ""]
                for row in rings_rows("encoders-ranges")
            ),
        ],
        command="python -m workers.bench encoders rivals --encoders grmp rgcn --seeds 5\n"
        "python -m workers.bench encoders rivals --seeds 3 --steps 150\n"
        "python -m workers.bench encoders ranges --seeds 2 --steps 150",
        source=source(*RINGS_FILES, remark="Other work shared both cores."),
    )


def _interval(figure: Sequence[float]) -> str:
    return f"{figure[0]:.2f} [{figure[1]:.2f}, {figure[2]:.2f}]"


def _headline() -> Headline:
    cards, measured = rows_of(MEASURED_FILE), latest()
    low = [one for one in measured if one.ratio[0] < BELOW and one.ratio[2] < 1]
    fitted = statistics.fmean(card["fitted"] for card in cards)
    shipped = statistics.fmean(card["shipped"] for card in cards)
    return Headline(
        against="the shipped models",
        better=f"cost model of a CPU: error {fitted:.0f} instead of {shipped:.0f} %; primal "
        f"integral below {BELOW} on {len(low)} of {len(measured)} families and regimes",
    )
