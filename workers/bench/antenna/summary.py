"""What the specification of antennas asks for, beside what was measured: one table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from workers.bench.antenna.stored import BUSY, files_of, lines_of
from workers.bench.antenna.study_tables import compared
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, source

_SUITES = (
    "agreement",
    "meshes",
    "patches",
    "published",
    "surrogate",
    "surrogate-ranks",
    "surrogate-rates",
    "search",
)
_CLOSED = ("rlc", "pr", "czps")
_TRUNKS, _SIZES, _SEEDS = 3, (1000, 5000, 20000, 31000), 3
_IMAGE_HEADS = ("rlc", "pr", "czps", "czp", "direct", "db")
_MET, _MISSED, _PARTLY = "met", "missed", "partly"
Cells = list[str]


def summary_table(
    solvers: Row, searches: Mapping[str, Row], shipped: Sequence[Row]
) -> Table:
    """Return the table.

    solvers: the summary of `agreement`; searches: those of `search` on the 20 specifications, by
    arm; shipped: lines of `surrogate-ranks`.
    """
    files = tuple(dict.fromkeys(file for suite in _SUITES for file in files_of(suite)))
    rows = [
        *_solver_rows(solvers),
        *_study_rows(lines_of(files_of("surrogate"), "surrogate")),
        *_shipped_rows(shipped),
        *_search_rows(searches),
        *_rate_rows(),
    ]
    return Table(
        title="Asked for and measured",
        intro="The figures of the specification, each with the suite that measures it.",
        columns=("figure", "asked", "measured", "", "suite"),
        rows=rows,
        notes=(
            "Training of the shipped surrogate, at most 90 minutes asked: 51 CPU minutes after 45 "
            "of solving designs ([design](../design/antenna-surrogate.md)). Errors of trunks and "
            "heads, ranks of searches, random search and annealing are of 2026-11-30; the former "
            "two with the coarse mesh before its correction. Not measured: second seeds at 20,000 "
            "and 31,000 designs, attention at 5,000 and above, several seeds of the funnel.",
        ),
        command="python -m workers.bench antenna SUITE",
        source=source(*files, remark=BUSY),
    )


def _judged(good: bool) -> str:
    return _MET if good else _MISSED


def _solver_rows(solvers: Row) -> Iterator[Cells]:
    coarse, scaled = solvers["coarse_fine"], solvers["fine_openems_scaled"]
    plain = solvers.get("coarse_plain_fine")
    yield [
        "coarse against fine mesh, 20 designs",
        "0.05",
        f"{coarse:.4f}" + (f" ({plain:.4f} without correction)" if plain else ""),
        _judged(coarse <= 0.05),
        "meshes",
    ]
    yield [
        "fine mesh against openEMS, scale of at most 1.5 %",
        "0.08",
        f"{scaled:.3f} ({solvers['fine_openems']:.3f} without the scale)",
        _judged(scaled <= 0.08),
        "agreement",
    ]
    for suite, expected in (("patches", "cavity_hz"), ("published", "published_hz")):
        ratios = [
            100 * (line[name] / line[expected] - 1)
            for line in lines_of(files_of(suite)[-1], suite)
            for name in ("moments_hz", "openems_hz")
            if name in line
        ]
        spread = f"{min(ratios):+.1f} to {max(ratios):+.1f} %"
        if suite == "patches":
            good = _judged(max(map(abs, ratios)) <= 3)
            yield ["patches against cavity theory", "3 %", spread, good, suite]
        else:
            words = f"no curve to be had as numbers; resonances {spread}"
            yield ["a published design", "its curve", words, "not measured", suite]


def _study_rows(lines: Sequence[Row]) -> Iterator[Cells]:
    seeds_of: dict[tuple[str, str, int], dict[int, Row]] = {}
    for line in lines:
        if (net := line.get("net")) and compared(net):
            key = net["trunk"], net["head"], net["samples"]
            seeds_of.setdefault(key, {})[net["seed"]] = line
    cells = [key for key in seeds_of if key[2] in _SIZES and key[1] in _IMAGE_HEADS]
    if not cells:
        return
    full = sum(len(seeds_of[key]) >= _SEEDS for key in cells)
    asked = _TRUNKS * len(_IMAGE_HEADS) * len(_SIZES)
    yield [
        "errors of 3 trunks and 6 heads at 1k, 5k, 20k, 31k, 3 seeds",
        f"{asked} cells",
        f"{len(cells)} cells, {full} with 3 seeds",
        _MET if full == asked else _PARTLY,
        "surrogate",
    ]
    gains = []
    for trunk, head, samples in cells:
        if head != "direct" or samples > 5000:
            continue
        direct = _mean(seeds_of[trunk, head, samples])
        closed = [
            _mean(seeds_of[trunk, name, samples])
            for name in _CLOSED
            if (trunk, name, samples) in seeds_of
        ]
        if closed:
            gains.append(100 * (1 - min(closed) / direct))
    if gains:
        yield [
            "best closed form below direct regression, 1k and 5k",
            "10 %",
            f"{min(gains):.0f} to {max(gains):.0f} %, all trunks",
            _judged(min(gains) >= 10),
            "surrogate",
        ]
    best = min(
        (_mean(seeds_of[key]), key)
        for key in cells
        if key[1] in _CLOSED and key[2] == max(size for *_, size in cells)
    )
    level = statistics.mean(line["db_mae"] for line in seeds_of[best[1]].values())
    yield [
        f"error of the best image head at {best[1][2]:,} designs ({', '.join(best[1][:2])})",
        "0.05 and 1.0 dB",
        f"{best[0]:.3f} and {level:.2f} dB",
        _judged(best[0] <= 0.05 and level <= 1),
        "surrogate",
    ]


def _mean(lines: Mapping[int, Row]) -> float:
    return float(statistics.mean(line["complex_mae"] for line in lines.values()))


def _shipped_rows(lines: Sequence[Row]) -> Iterator[Cells]:
    for line in lines:
        if line.get("mesh") == "coarse":
            error, level = line["complex_mae"], line["db_mae"]
            yield [
                f"error of the shipped surrogate, {line['held_out']} designs",
                "0.05 and 1.0 dB",
                f"{error:.4f} and {level:.3f} dB",
                _judged(error <= 0.05 and level <= 1),
                "surrogate-ranks",
            ]
            if line["held_out"] == "random":
                rank = line["rank_correlation"]
                good = _judged(rank >= 0.95)
                yield [
                    "its rank correlation, random designs",
                    "0.95",
                    f"{rank:.3f}",
                    good,
                    "surrogate-ranks",
                ]
        elif line.get("task") == "all":
            yield [
                f"the same, searches, after two rounds ({line['tasks']} searches)",
                "0.9",
                f"{line['rank_2']:.3f} ({line['rank_0']:.3f} before)",
                _judged(line["rank_2"] >= 0.9),
                "surrogate-ranks",
            ]


def _search_rows(searches: Mapping[str, Row]) -> Iterator[Cells]:
    funnel = searches.get("funnel")
    if funnel is None:
        return
    shifted, exact = funnel["within_2_percent"], funnel["exact"]
    yield [
        f"openEMS confirms, of {funnel['runs']} specifications",
        "16 within 2 %, 12 exactly",
        f"{shifted} and {exact}",
        _judged(shifted >= 16 and exact >= 12),
        "search",
    ]
    drawn = searches.get("random on the fine solver")
    if drawn:
        met = drawn["within_2_percent"]
        yield ["random search", "5 at most", str(met), _judged(met <= 5), "search"]
    rival = searches.get("annealing on the fine solver")
    if rival:
        own, other = funnel["median_fine_solves"], rival["median_fine_solves"]
        yield [
            "median fine solves, of a tuned annealing's",
            "a fifth",
            f"{own:g} of {other:g}",
            _judged(own <= other / 5),
            "search",
        ]
    if "most_cpu_s" in funnel:
        most = funnel["most_cpu_s"]
        yield [
            "a design without openEMS",
            "60 s",
            f"{funnel['median_cpu_s']:.0f} CPU s, {most:.0f} at most",
            _judged(most <= 60),
            "search",
        ]


def _rate_rows() -> Iterator[Cells]:
    files = files_of("surrogate-rates")
    rates = {
        row["mesh"]: row["sweeps_a_cpu_s"]
        for row in (lines_of(files[-1], "surrogate-rates") if files else ())
        if row.get("feeds", 1) == 1
    }
    if "coarse" in rates:
        coarse, fine = rates["coarse"], rates["fine"]
        yield [
            "coarse and fine sweeps a CPU second",
            "20 and 1.5",
            f"{coarse:.0f} and {fine:.1f}",
            _judged(coarse >= 20 and fine >= 1.5),
            "surrogate-rates",
        ]
