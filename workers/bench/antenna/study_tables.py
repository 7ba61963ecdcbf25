"""Tables of the study of surrogates: heads, trunks, numbers of samples, and what learns nothing."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workers.bench.antenna.stored import BUSY, lines_of, spread
from workers.bench.tables.page import Table
from workers.bench.tables.results import Row, source

Net = tuple[str, str]  # trunk, head
Groups = Mapping[tuple[Net, int], Sequence[Row]]  # by net and number of samples
_CLOSED = ("rlc", "pr", "czps")  # closed forms of an image head that give a complex S11
_MODES, _CIRCUITS = 20, 12
_MOST_STEPS = 2000  # of the comparison; longer training is a change
_COMMAND = "python -m workers.bench antenna surrogate"


Files = tuple[str, ...]


def study_tables(files: Files) -> list[Table]:
    """Return the tables; those without lines are left out.

    A study goes on in later files: of two lines on the same net or yardstick the first counts.
    """
    lines = _once(lines_of(files, "surrogate"))
    nets = [line for line in lines if "net" in line]
    groups: dict[tuple[Net, int], list[Row]] = defaultdict(list)
    for line in nets:
        if compared(line["net"]):
            net = line["net"]
            groups[(net["trunk"], net["head"]), net["samples"]].append(line)
    tables = [
        _by_samples(
            files,
            groups,
            "Surrogate: error of S11",
            "Mean |ΔS11| on held-out designs, in the complex plane, by the number of training "
            "designs; mean [least, largest] over three seeds, or one seed. `czp` and `db` give "
            "the magnitude alone.",
            lambda line: line.get("complex_mae"),
            3,
            _passes(groups),
        ),
        _by_samples(
            files,
            groups,
            "Surrogate: error of the level",
            "Mean error in dB, with a floor at -26 dB, of the same nets.",
            lambda line: line["db_mae"],
            2,
        ),
        _by_samples(
            files,
            groups,
            "Surrogate: order of band scores",
            "Spearman's correlation of predicted and true band scores on random designs.",
            lambda line: line.get("random", {}).get("rank_correlation"),
            3,
        ),
        _against_direct(files, groups),
        _picked(files, lines),
        _yardsticks(files, lines),
        _ablations(files, nets),
    ]
    return [table for table in tables if table.rows]


def _once(lines: Sequence[Row]) -> list[Row]:
    first: dict[str, Row] = {}
    for line in lines:
        names = ("net", "yardstick", "modes", "poles", "samples")
        first.setdefault(repr([line.get(name) for name in names]), line)
    return list(first.values())


def _by_samples(
    files: Files,
    groups: Groups,
    title: str,
    intro: str,
    value: Callable[[Row], float | None],
    digits: int,
    notes: Sequence[str] = (),
) -> Table:
    """Return a table with a column for each number of samples."""
    sizes = sorted({samples for _, samples in groups})
    rows = []
    for net in sorted({net for net, _ in groups}):
        cells = [
            spread([value(line) for line in groups.get((net, size), ())], digits)
            for size in sizes
        ]
        if set(cells) != {"–"}:
            rows.append([", ".join(net), *cells])
    return Table(
        title=title,
        intro=intro,
        columns=("trunk, head", *(f"{size:,}" for size in sizes)),
        rows=rows,
        notes=notes,
        command=_COMMAND,
        source=source(*files, remark=BUSY),
    )


def _passes(groups: Groups) -> tuple[str, ...]:
    """Return a sentence on the length of training."""
    epochs_by_size: dict[int, set[int]] = defaultdict(set)
    for (_, samples), lines in groups.items():
        epochs_by_size[samples] |= {line["epochs"] for line in lines if "epochs" in line}
    passes = ", ".join(
        f"{min(some)} to {max(some)} at {size:,}"
        if len(some) > 1
        else f"{min(some)} at {size:,}"
        for size, some in sorted(epochs_by_size.items())
        if some
    )
    if not passes:
        return ()
    return (
        f"Passes over the training designs: {passes}. All nets have 100,000 weights within 2 %. "
        "The machine is shared, so training is short: image heads are not at their limit at 5,000 "
        "designs and above.",
        "40,000 designs were solved; 31,000 remain without duplicates (up to translation and "
        "symmetry) and held-out ones. Rows of three seeds of the CNN were measured on the held-out "
        "ones of the first 23,000 designs, all others on those of 40,000.",
    )


def _against_direct(files: Files, groups: Groups) -> Table:
    """Return how much closed forms lower the error of direct regression."""
    rows = []
    for (net, samples), direct in sorted(groups.items()):
        trunk, head = net
        if head != "direct":
            continue
        best = min(
            (
                (_mean(groups[(trunk, closed), samples], "complex_mae"), closed)
                for closed in _CLOSED
                if (trunk, closed) in {n for n, s in groups if s == samples}
            ),
            default=None,
        )
        if best is None:
            continue
        base = _mean(direct, "complex_mae")
        levels = "–"
        magnitudes = [groups.get(((trunk, name), samples)) for name in ("czp", "db")]
        if all(magnitudes):
            czp, plain = (_mean(lines or (), "db_mae") for lines in magnitudes)
            levels = _lower(czp, plain)
        seeds = min(len(direct), len(groups[(trunk, best[1]), samples]))
        rows.append(
            [
                f"{trunk}, {samples:,}",
                f"{best[1]} {best[0]:.3f}",
                f"{base:.3f}",
                _lower(best[0], base),
                levels,
                str(seeds),
            ]
        )
    return Table(
        title="Surrogate: closed forms against direct regression",
        intro="The best closed form among image heads (`rlc`, `pr`, `czps`) against `direct`, by "
        "the error of S11; and `czp` against `db`, by the error in dB. Goal: at least 10 % lower "
        "at 1,000 to 5,000 designs; the paper states 10 to 25 %.",
        columns=(
            "trunk, designs",
            "best closed form",
            "direct",
            "lower by",
            "czp than db",
            "seeds",
        ),
        rows=rows,
        command=_COMMAND,
        source=source(*files, remark=BUSY),
    )


def _picked(files: Files, lines: Sequence[Row]) -> Table:
    """Return how many specifications the first designs by prediction meet."""
    groups: dict[tuple[str, int], list[Mapping[str, int]]] = defaultdict(list)
    for line in lines:
        if "picked" not in line:
            continue
        if "net" in line and compared(line["net"]):
            net = line["net"]
            groups[f"{net['trunk']}, {net['head']}", net["samples"]].append(
                line["picked"]
            )
        elif "modes" in line:
            groups[f"{line['modes']} modes, nothing learned", 0].append(line["picked"])
        elif "samples" in line:
            groups["nearest design", line["samples"]].append(line["picked"])
    return Table(
        title="Surrogate: designs picked by prediction",
        intro="Of the specifications that some held-out design meets, those that the best 1, 4 and "
        "16 held-out designs by prediction meet; mean over the seeds. A search can do no better "
        "with a surrogate than the surrogate's own order of designs allows.",
        columns=("prediction", "designs", "specifications", "in 1", "in 4", "in 16"),
        rows=[
            [
                words,
                f"{samples:,}" if samples else "–",
                f"{statistics.mean(row['specifications'] for row in some):g}",
                *(
                    f"{statistics.mean(row[f'met_in_{k}'] for row in some):.1f}"
                    for k in (1, 4, 16)
                ),
            ]
            for (words, samples), some in sorted(
                groups.items(), key=lambda item: (item[0][1], item[0][0])
            )
        ],
        command=_COMMAND,
        source=source(*files, remark=BUSY),
    )


def _yardsticks(files: Files, lines: Sequence[Row]) -> Table:
    rows = []
    for line in sorted(lines, key=lambda line: line.get("samples", 0)):
        if "yardstick" not in line:
            continue
        words = line["yardstick"]
        if "modes" in line:
            words = f"{line['modes']} modes of the metal, nothing learned"
        elif "poles" in line:
            words = f"rational fit of the true curve, {line['poles']} poles"
        elif "samples" in line:
            words = f"nearest of {line['samples']:,} designs"
        rank = line.get("rank_correlation")
        rows.append(
            [
                words,
                f"{line['complex_mae']:.2g}",
                f"{line['db_mae']:.2g}",
                "–" if rank is None else f"{rank:.3f}",
            ]
        )
    return Table(
        title="Surrogate: yardsticks",
        intro="Errors on the same held-out designs of what learns nothing. A rational fit of the "
        "true curve bounds what a closed form with that many poles can reach.",
        columns=("prediction", "error of S11", "error, dB", "rank"),
        rows=rows,
        command=_COMMAND,
        source=source(*files, remark=BUSY),
    )


def _ablations(files: Files, nets: Sequence[Row]) -> Table:
    groups: dict[str, list[Row]] = defaultdict(list)
    changed = [line["net"] for line in nets if not compared(line["net"])]
    same = {(net["trunk"], net["head"], net["samples"]) for net in changed}
    for line in nets:
        net = line["net"]
        if (net["trunk"], net["head"], net["samples"]) in same:
            words = f"{net['trunk']}, {net['head']}, {net['samples']:,}: {_change(net)}"
            groups[words].append(line)
    return Table(
        title="Surrogate: parts left out or changed",
        intro="The same figures with one thing changed.",
        columns=("net", "error of S11", "error, dB", "rank", "seeds"),
        rows=[
            [
                words,
                spread([line.get("complex_mae") for line in lines], 3),
                spread([line["db_mae"] for line in lines], 2),
                spread(
                    [line.get("random", {}).get("rank_correlation") for line in lines], 3
                ),
                str(len(lines)),
            ]
            for words, lines in sorted(groups.items())
        ],
        command=f"{_COMMAND} --ablations",
        source=source(*files, remark=BUSY),
    )


def _change(net: Mapping[str, Any]) -> str:
    if not net.get("cavity", True):
        return "without the cavity model"
    if net.get("feeds", 6) == 1:
        return "one feed a design and step, not six"
    if net.get("steps", 0) > _MOST_STEPS:
        return f"{net['steps']:,} steps"
    if not compared(net):
        return f"{net['poles']} poles"
    return "as above"


def compared(net: Mapping[str, Any]) -> bool:
    """Return whether a net is one of the comparison, not of an ablation."""
    return (
        bool(net.get("cavity", True))
        and net.get("feeds", 6) != 1
        and net.get("steps", 0) <= _MOST_STEPS
        and net.get("poles") == (_MODES if net["head"] == "modal" else _CIRCUITS)
    )


def _mean(lines: Sequence[Row], name: str) -> float:
    return float(statistics.mean(line[name] for line in lines))


def _lower(value: float, base: float) -> str:
    return f"{100 * (1 - value / base):.0f} %"
