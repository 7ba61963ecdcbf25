"""`python -m workers.bench antenna NAME`: agreement of the field solvers, and search methods."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workers.bench.lines import write_lines

# The arguments of `python -m workers.bench all`.
PUBLISHED: tuple[tuple[str, ...], ...] = (
    ("agreement",),
    ("patches",),
    ("published",),
    ("search",),
)
Line = dict[str, Any]
_HEADS = ("modal", "rlc", "pr", "czps", "czp", "direct", "db")
_TRUNKS = ("cnn", "attention", "mlp")


def main(argv: list[str]) -> int:
    """Run a suite; lines go to --out and to standard output."""
    options = _parser().parse_args(argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before a suite imports numpy
    lines = SUITES[options.suite](options)
    suite = f"antenna-{options.suite}"
    write_lines(lines, suite=suite, seed=options.seed, out=options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.bench antenna", description=__doc__
    )
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument(
        "--designs",
        type=int,
        default=20,
        help="designs of `agreement` and `meshes`, and of each search of `surrogate-ranks`",
    )
    parser.add_argument(
        "--cells", type=int, default=12, help="cells of the grid in `agreement`"
    )
    parser.add_argument(
        "--frequencies", type=int, default=121, help="frequencies of `agreement`, 2-8 GHz"
    )
    parser.add_argument(
        "--tasks", nargs="*", help="tasks of `search` by number; default all"
    )
    parser.add_argument(
        "--arms", nargs="*", help="arms of `search`; default: funnel and direct rivals"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="seeds of `search` and `surrogate`, from --seed on",
    )
    parser.add_argument("--coarse", type=int, default=1000, help="coarse solves a task")
    parser.add_argument("--fine", type=int, default=100, help="fine solves a task")
    parser.add_argument(
        "--seconds",
        type=float,
        default=1800.0,
        help="limit of one search, openEMS included",
    )
    parser.add_argument("--verify-runs", type=int, default=3, help="openEMS runs a task")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench-results/antenna.jsonl"))
    parser.add_argument("--boards", nargs="*", help="of `meshes`; default all")
    _surrogate_options(parser)
    return parser


def _surrogate_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the suites on surrogates."""
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("bench-results/train/antenna"),
        help="shards of `python -m workers.train antenna data`, for `surrogate`",
    )
    parser.add_argument("--heads", nargs="*", choices=_HEADS, default=list(_HEADS))
    parser.add_argument("--trunks", nargs="*", choices=_TRUNKS, default=["cnn"])
    parser.add_argument(
        "--samples", nargs="*", type=int, default=[1000, 5000], help="of `surrogate`"
    )
    parser.add_argument(
        "--steps", type=int, default=1500, help="training steps of a net of `surrogate`"
    )
    parser.add_argument(
        "--file",
        type=Path,
        help="of `surrogate-ranks` and `-rates`; default the shipped one",
    )
    parser.add_argument(
        "--ablations", action="store_true", help="of the first net of `surrogate`"
    )
    parser.add_argument(
        "--methods",
        nargs="*",
        default=["tabu", "gradient", "placement", "genetic", "annealing"],
        help="of `surrogate-use`; the first one is that of `surrogate-search`",
    )
    parser.add_argument(
        "--models",
        nargs="*",
        default=["none", "antenna-duroid"],
        help="the same; names or, of `surrogate-search`, files too",
    )
    parser.add_argument(
        "--predictions", type=int, default=600, help="of `surrogate-search`, at first"
    )
    parser.add_argument(
        "--active", action="store_true", help="`surrogate-search` with learning as well"
    )


def _agreement(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import agreement

    return agreement.run(
        count=options.designs,
        cells=options.cells,
        frequencies=options.frequencies,
        seed=options.seed,
    )


def _patches(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import patches

    return patches.run(patches.CANONICAL)


def _published(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import patches

    return patches.run(patches.PUBLISHED)


def _surrogate(options: argparse.Namespace) -> Iterator[Line]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from cost_models.antenna.heads import Head
    from cost_models.antenna.nets import Trunk
    from workers.bench.antenna import surrogate

    return surrogate.run(
        work=options.work,
        heads=[Head(name) for name in options.heads],
        trunks=[Trunk(name) for name in options.trunks],
        samples=options.samples,
        seeds=range(options.seed, options.seed + options.seeds),
        steps=options.steps,
        ablations=options.ablations,
    )


def _surrogate_rates(options: argparse.Namespace) -> Iterator[Line]:
    from cost_models.antenna.surrogate import Surrogate
    from workers.bench.antenna import surrogate_rates

    chosen = options.file
    return surrogate_rates.run(
        surrogate=Surrogate.load(chosen)
        if chosen
        else Surrogate.shipped("antenna-duroid"),
        designs=options.designs,
        seed=options.seed,
    )


def _surrogate_ranks(options: argparse.Namespace) -> Iterator[Line]:
    from cost_models.antenna.surrogate import Surrogate
    from workers.bench.antenna import surrogate_ranks

    chosen = options.file
    return surrogate_ranks.run(
        surrogate=Surrogate.load(chosen)
        if chosen
        else Surrogate.shipped("antenna-duroid"),
        work=options.work,
        tasks=[int(number) for number in options.tasks] if options.tasks else None,
        designs=options.designs,
        steps=options.steps,
        seed=options.seed,
    )


def _search(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import search
    from workers.bench.antenna.specifications import Effort

    tasks = [int(number) for number in options.tasks] if options.tasks else None
    return search.run(
        tasks=tasks,
        arms=options.arms or search.MAIN_ARMS,
        seeds=range(options.seed, options.seed + options.seeds),
        effort=Effort(
            coarse=options.coarse,
            fine=options.fine,
            seconds=options.seconds,
            verify_runs=options.verify_runs,
        ),
        out=options.out,
    )


def _tune(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import tuning

    return tuning.run(
        seeds=range(options.seed, options.seed + options.seeds), solves=options.fine
    )


def _surrogate_use(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import surrogate_use

    return surrogate_use.run(
        methods=options.methods,
        models=options.models,
        seeds=range(options.seed, options.seed + options.seeds),
        solves=options.coarse,
        seconds=options.seconds,
    )


def _meshes(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import meshes

    return meshes.run(
        boards=options.boards or list(meshes.BOARDS),
        designs=options.designs,
        seed=options.seed,
    )


def _surrogate_search(options: argparse.Namespace) -> Iterator[Line]:
    from workers.bench.antenna import surrogate_search

    return surrogate_search.run(
        models=options.models,
        method=options.methods[0],
        tasks=[int(number) for number in options.tasks] if options.tasks else None,
        seeds=range(options.seed, options.seed + options.seeds),
        solves=options.fine,
        predictions=options.predictions,
        active=[False, True] if options.active else [False],
        out=options.out,
    )


SUITES: Mapping[str, Callable[[argparse.Namespace], Iterator[Line]]] = MappingProxyType(
    {
        "agreement": _agreement,
        "meshes": _meshes,
        "patches": _patches,
        "published": _published,
        "search": _search,
        "surrogate": _surrogate,
        "surrogate-search": _surrogate_search,
        "surrogate-use": _surrogate_use,
        "tune": _tune,
        "surrogate-ranks": _surrogate_ranks,
        "surrogate-rates": _surrogate_rates,
    }
)
