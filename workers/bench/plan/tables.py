"""Measured figures of kind `plan`, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from workers.bench.plan.story.draft import ARMS
from workers.bench.plan.story.run import paired
from workers.bench.tables.page import Headline, Page, Table
from workers.bench.tables.results import RESULTS, Row, rows_of, source

CONTROL, REPORT = "2026-11-30-plan-control", "2026-11-30-plan-report"
ADHERENCE, STORY = "2026-11-30-plan-adherence", "2026-11-30-plan-story"
HOSTILE, DURATIONS = "2026-11-30-plan-hostile", "2026-11-30-plan-durations"
GRAPHS = "2026-11-30-plan-graphs"
_BESIDE = (
    "Other work ran on the machine (load 10 to 36): CPU time is comparable, wall times are "
    "upper bounds."
)
_COUNTS = (
    "right at once",
    "right after at most one question",
    "right after at most one question of any kind",
    "silently wrong",
)


def page() -> Page:
    """Return the page. A table whose results are not stored is left out."""
    made = (
        _goals_table(),
        _hostile_table() if _stored(HOSTILE) else None,
        _control_table(),
        _report_table(),
        _adherence_table(),
        _story_table() if _stored(STORY) else None,
        _durations_table() if _stored(DURATIONS) else None,
        _graphs_table() if _stored(GRAPHS) else None,
    )
    return Page(
        title="Measured: plans",
        intro="Goals in words, the graphs of jobs that they become, and the reports that these "
        "end in. The language model is SmolLM2-135M-Instruct where one is used.",
        tables=[table for table in made if table is not None],
        headline=_headline(),
    )


def _stored(name: str) -> bool:
    return (RESULTS / f"{name}.jsonl").is_file()


def _goal_files() -> list[str]:
    return sorted(path.stem for path in RESULTS.glob("*-plan-goals*.jsonl"))


def _goal_rows() -> list[tuple[str, Row]]:
    return [
        (name, row)
        for name in _goal_files()
        for row in rows_of(name)
        if row.get("summary")
    ]


def _set_name(file: str, row: Row) -> str:
    named = file.partition("plan-goals")[2].strip("-").replace("-", " ")
    return f"{row.get('set') or named or 'developer'}, {row['goals']} goals"


def _goals_table() -> Table:
    names = _goal_files()
    rows = [
        [
            _set_name(name, row),
            row["arm"],
            *(_share(row[count]) if count in row else "not counted" for count in _COUNTS),
        ]
        for name, row in _goal_rows()
    ]
    return Table(
        title="Goals",
        intro="Judged against a reference graph: kinds, files, limits, order, parts that must be "
        "named as impossible, questions that are allowed. 95 % intervals of shares (Wilson). A "
        "sealed set is measured without its goals being shown.",
        columns=(
            "set",
            "arm",
            "right at once",
            "after one question",
            "one of any kind",
            "silently wrong",
        ),
        rows=rows,
        notes=(
            "“After one question”: of those that the reference lists; “one of any kind”: any "
            "single closed question, answered by the option that leads to the reference (ADR 68).",
            "Arms: `rules` and `learned` are one reader alone; `templates` is what ships, until "
            "2026-12-01 the rules alone, then both readers (ADR 77). From the fifth sealed set on, "
            "the learned reader has six layers and 14,500 goals, three and 5,128 before. The "
            "fourth and fifth sealed sets have the strata of ordinary traffic, the others equal "
            "shares of all.",
            "Asked of held-out goals: at least 95 % right after at most one question, at least "
            "75 % right at once, silently wrong at most 2.5 %.",
        ),
        command="python -m workers.bench plan goals\n"
        "python -m workers.bench plan goals --held-out OPENED.jsonl",
        source=source(*names, remark=_BESIDE),
    )


def _share(count: Row) -> str:
    low, high = count["wilson"]
    return f"{count['count']} ({count['share']:.0%} [{low:.0%}, {high:.0%}])".replace(
        "%", " %"
    )


def _hostile_table() -> Table:
    rows = rows_of(HOSTILE)
    last = next(row for row in reversed(rows) if row.get("summary"))
    return Table(
        title="Hostile goals and files",
        intro="Instructions in files and quotes, other tenants' ids, markup, 1 MB of text: the "
        "plan equals the one made with the same file whose free text is replaced by X.",
        columns=("cases", "failures allowed", "failures"),
        rows=[[str(last["cases"]), "0", str(last["cases"] - last["held"])]],
        command="python -m workers.bench plan hostile",
        source=source(HOSTILE, remark=_BESIDE),
    )


def _control_table() -> Table:
    lines = rows_of(CONTROL)
    by_figure: dict[str, Row] = {}
    for line in lines:  # the newest of each
        key = [
            str(line[k])
            for k in ("figure", "form", "head", "strength", "top", "batch")
            if k in line
        ]
        by_figure[" ".join(key)] = line
    exact = by_figure["posterior 1 None"]
    base, auc = by_figure["base"], by_figure["auc one_pass"]
    drift = by_figure["drift shipped"]
    rows = [
        [
            "total variation to the exact posterior, strength 1",
            "< 1e-12",
            f"{exact['total_variation']:.1e}",
        ],
        [
            "tokens that strength 0 changes",
            "0",
            f"{base['different']} of {base['tokens']}",
        ],
        [
            f"AUC of the one-pass head, {auc['texts']} texts of held-out documents",
            "≥ 0.85",
            f"{auc['all']:.3f}",
        ],
        *(
            [f"the same, tokens {span} of the text", "–", f"{auc[span]:.3f}"]
            for span in ("1-4", "5-8", "9-16", "17-32", "33-48")
        ),
        ["the same, against items of other documents", "–", f"{auc['far']:.3f}"],
        ["the same, against items of the same document", "–", f"{auc['near']:.3f}"],
        [
            "log D, token 1 → 16 after a splice; without a splice",
            "drops; does not",
            f"{drift['spliced'][0]:.2f} → {drift['spliced'][-1]:.2f}; "
            f"{drift['kept'][0]:.2f} → {drift['kept'][-1]:.2f}",
        ],
        *(
            [
                f"throughput loss of two conditions, answers at once: {batch}",
                "≤ 30 %",
                f"{by_figure[f'speed {batch}']['loss']:.0%}".replace("%", " %"),
            ]
            for batch in (1, 8)
        ),
    ]
    return Table(
        title="Controller",
        columns=("figure", "asked", "measured"),
        rows=rows,
        command="python -m workers.train text states\npython -m workers.bench plan control",
        source=source(CONTROL, remark=_BESIDE),
    )


def _report_table() -> Table:
    lines = rows_of(REPORT)
    fuzz = next(line for line in reversed(lines) if line["figure"] == "fuzz")
    long = [line for line in lines if line["figure"] == "long"]
    written = next(line for line in reversed(long) if line["asked_model"])
    rows = [
        ["slot precision", "100 %", _percent(fuzz["slot_precision"])],
        ["leaf coverage", "≥ 95 %", _percent(fuzz["leaf_coverage"])],
        ["contradictions with the ledger", "0", str(fuzz["contradictions"])],
        ["digits outside slots", "0", str(fuzz["digits_outside_slots"])],
        [
            f"report of {written['words']:,} words with the embedded model",
            "≤ 10 min",
            f"{written['cpu_s']:.0f} s CPU, {written['wall_s']:.0f} s wall",
        ],
        [
            "its joining sentences: drafted, kept",
            "–",
            f"{written['drafted']}, {written['kept']}",
        ],
    ]
    return Table(
        title="Reports",
        intro=f"Reports of {fuzz['plans']:,} random plans with {fuzz['jobs']:,} jobs and "
        f"{fuzz['slots']:,} slots, judged by a reading of the results that shares no code with the "
        "writer; and one report of 11 recorded jobs.",
        columns=("figure", "asked", "measured"),
        rows=rows,
        command="python -m workers.bench plan report",
        source=source(REPORT, remark=_BESIDE),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _adherence_table() -> Table:
    lines = rows_of(ADHERENCE)
    free = {line["judge"]: line for line in lines if not line["strength"]}
    rows = []
    for line in lines:
        base = free[line["judge"]]
        gain = "–"
        if line["strength"]:
            low, high = line["interval"]
            gain = f"{line['gain_points']:+.1f} [{low:.1f}, {high:.1f}]"
        rows.append(
            [
                f"{line['judge']}, strength {line['strength']:g}",
                f"{100 * line['adherence']:.1f} %",
                gain,
                f"{100 * (line['perplexity'] / base['perplexity'] - 1):+.1f} %",
                f"{100 * (line['rep4'] - base['rep4']):+.2f}",
                f"{100 * (line['tokens_per_cpu_s'] / base['tokens_per_cpu_s'] - 1):+.0f} %",
            ]
        )
    return Table(
        title="Adherence of passages to their leaves",
        intro=f"{lines[0]['leaves']} leaves of reports of random results, 28 tokens each, up to "
        "eight at once. A passage keeps to its leaf when the judge finds it nearer than 95 % of "
        "shuffled pairs are. Gains in points with 95 % intervals of a paired bootstrap; "
        "perplexity, rep-4 (points) and tokens a CPU second beside the arm without control.",
        columns=(
            "judge, strength",
            "kept",
            "gain",
            "perplexity",
            "rep-4",
            "tokens/CPU s",
        ),
        rows=rows,
        notes=(
            "Asked: at least +10 points, perplexity at most +5 %, rep-4 at most +2 points, and at "
            "most 30 % fewer tokens a second. Control judges tokens up to 4 nats below the "
            "likeliest and takes none beyond; that alone lowers perplexity.",
        ),
        command="python -m workers.bench plan adherence",
        source=source(ADHERENCE, remark=_BESIDE),
    )


def _story_table() -> Table:
    lines = rows_of(STORY)
    premises = len({line["premise"] for line in lines})
    rows = []
    for arm in ARMS:
        own = [line for line in lines if line["arm"] == arm]
        if not own:
            continue
        told = [kept for line in own for kept in line["told"]]
        gain = "–"
        if arm != "rolling":
            middle, low, high = paired(lines, "told", arm, "rolling")
            gain = f"{100 * middle:+.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        rows.append(
            [
                f"{arm}, {len(own)} stories",
                f"{100 * sum(told) / len(told):.1f} %",
                gain,
                f"{_mean(own, 'rep4'):.3f}",
                f"{_mean(own, 'distinct2'):.3f}",
                f"{_mean(own, 'perplexity'):.2f}",
            ]
        )
    control = paired(lines, "told", "full", "no-control")
    outline = paired(lines, "told", "full", "no-outline")
    return Table(
        title="Stories",
        intro=f"DOC's own task as a regression test, shortened: {premises} premises, one seed, "
        "four leaves of three substeps of 16 tokens, two candidates (DOC: eight of 64, eight "
        "candidates). A leaf is told when MiniLM finds its window of the story nearer than 95 % "
        "of pairs from other premises are.",
        columns=(
            "arm",
            "leaves told",
            "beside rolling",
            "rep-4",
            "distinct-2",
            "perplexity",
        ),
        rows=rows,
        notes=(
            "Points, with 95 % intervals of a paired bootstrap over premises. Control (full less "
            f"no-control): {_points(control)}; outline (full less no-outline): "
            f"{_points(outline)}.",
        ),
        command="python -m workers.bench plan story",
        source=source(STORY, remark=_BESIDE),
    )


def _mean(lines: Sequence[Row], figure: str) -> float:
    return sum(float(line[figure]) for line in lines) / len(lines)


def _points(gap: tuple[float, float, float]) -> str:
    middle, low, high = (100 * value for value in gap)
    return f"{middle:+.1f} [{low:.1f}, {high:.1f}]"


def _durations_table() -> Table:
    return Table(
        title="How long jobs take",
        intro="What an outline expects of a leaf, from the stored results of each kind.",
        columns=("kind", "unit", "p10", "p50", "p90", "runs"),
        rows=[
            [
                row["kind"],
                row["unit"],
                *(f"{row[name]:.3g}" for name in ("p10", "p50", "p90")),
                str(row["runs"]),
            ]
            for row in rows_of(DURATIONS)
        ],
        command="python -m workers.bench plan durations",
        source=source(DURATIONS, remark=_BESIDE),
    )


def _graphs_table() -> Table:
    figures = rows_of(GRAPHS)[-1]["figures"]
    rows = [
        ["graphs of 2 to 20 jobs, of which plans", "1,000, a third"],
        ["kills of the service; of workers", "20; 200"],
        ["jobs lost; run twice; started early", "0; 0; 0"],
    ]
    measured = (
        f"{figures['graphs']:,}, {figures['plans']:,} ({figures['jobs']:,} jobs)",
        f"{figures['service_kills']}; {figures['worker_kills']}",
        f"{figures['lost']}; {figures['run_twice']}; {figures['started_early']}",
    )
    return Table(
        title="Graphs under kill -9",
        intro="A real server; every final state is compared with an oracle that knows no order of "
        "events.",
        columns=("figure", "asked", "measured"),
        rows=[[*row, got] for row, got in zip(rows, measured, strict=True)],
        notes=(f"It took {figures['seconds'] / 60:.0f} minutes.",),
        command="python -m workers.bench service kill-graphs --plan-share 0.33",
        source=source(GRAPHS, remark=_BESIDE),
    )


def _headline() -> Headline:
    fuzz = next(line for line in reversed(rows_of(REPORT)) if line["figure"] == "fuzz")
    free, held = (
        next(
            line
            for line in rows_of(ADHERENCE)
            if line["judge"] == "MiniLM" and bool(line["strength"]) == controlled
        )
        for controlled in (False, True)
    )
    return Headline(
        against="the jobs' results; no control",
        better=f"{fuzz['slots']:,} figures in {fuzz['plans']:,} random reports: "
        f"{_percent(fuzz['slot_precision'])} right; {100 * held['adherence']:.0f} % of "
        f"passages keep to their item, {100 * free['adherence']:.0f} % without",
    )
