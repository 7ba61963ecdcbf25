"""`python -m workers.train.collect tbe|all-to-all|analyse`: measured costs for the sharding cost models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from workers.train.collect.errors import CollectError


def main(argv: list[str] | None = None) -> int:
    """Run what is named. Results go to the file or to standard output, progress to standard error."""
    given = _parser().parse_args(argv)
    try:
        match given.what:
            case "tbe":
                _tbe(given)
            case "all-to-all":
                _all_to_all(given)
            case "analyse":
                _analyse(given)
    except CollectError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on where it ended\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workers.train.collect", description=__doc__
    )
    commands = parser.add_subparsers(dest="what", required=True)

    tbe = commands.add_parser(
        "tbe", help="FBGEMM's fused look-up: forward, and backward with SGD"
    )
    _shared(tbe, batch=65_536)
    tbe.add_argument(
        "--singles", type=int, default=0, help="also this many tables of the pool alone"
    )
    tbe.add_argument(
        "--noise",
        type=int,
        default=0,
        help="also measure this many of the samples again, often",
    )
    tbe.add_argument(
        "--pool", type=int, default=5_000, help="table configurations that sets draw from"
    )
    tbe.add_argument("--max-rows", type=int, default=4_000_000)
    tbe.add_argument("--max-pooling", type=float, default=50.0)
    tbe.add_argument(
        "--max-gib", type=float, default=4.0, help="most weights of a set, GiB"
    )
    tbe.add_argument("--rebuilds", type=int, default=3)
    tbe.add_argument("--noise-rebuilds", type=int, default=12)
    tbe.add_argument(
        "--interleave", type=int, default=10, help="samples whose rebuilds take turns"
    )

    exchange = commands.add_parser(
        "all-to-all", help="forward and backward all-to-all, with ranks that start apart"
    )
    _shared(exchange, batch=65_536)
    exchange.add_argument(
        "--ranks",
        type=int,
        default=4,
        help="processes to start; under torchrun its own count holds",
    )

    analyse = commands.add_parser(
        "analyse", help="noise floor and simple models of a file of `tbe`"
    )
    analyse.add_argument("file", type=Path)
    analyse.add_argument("--seed", type=int, default=0, help="of the 80/20 split")
    return parser


def _shared(parser: argparse.ArgumentParser, *, batch: int) -> None:
    parser.add_argument("--device", choices=["cpu", "cuda"], required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="is continued if it exists",
    )
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU")
    parser.add_argument("--warm-ups", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)


def _tbe(given: argparse.Namespace) -> None:
    from workers.train.collect import tbe  # only here: `--help` and `analyse` need no torch
    from workers.train.collect.draw import DrawLimits

    limits = DrawLimits(
        seed=given.seed,
        batch=given.batch,
        pool=given.pool,
        max_rows=given.max_rows,
        max_pooling=given.max_pooling,
        max_gib=given.max_gib,
    )
    protocol = tbe.Protocol(
        device=given.device,
        threads=given.threads,
        warm_ups=given.warm_ups,
        repeats=given.repeats,
        rebuilds=given.rebuilds,
        noise_rebuilds=given.noise_rebuilds,
        interleave=given.interleave,
    )
    amounts = tbe.Amounts(sets=given.samples, singles=given.singles, noise=given.noise)
    added = tbe.collect(given.out, limits, protocol, amounts)
    sys.stderr.write(f"{added} samples added to {given.out}\n")


def _all_to_all(given: argparse.Namespace) -> None:
    from workers.train.collect import all_to_all

    options = all_to_all.Options(
        device=given.device,
        ranks=given.ranks,
        samples=given.samples,
        batch=given.batch,
        seed=given.seed,
        threads=given.threads,
        warm_ups=given.warm_ups,
        repeats=given.repeats,
    )
    added = all_to_all.collect(given.out, options)
    if added is not None:
        sys.stderr.write(f"{added} samples added to {given.out}\n")


def _analyse(given: argparse.Namespace) -> None:
    from workers.train.collect import analyse, journal

    header, lines = journal.read(given.file)
    sys.stdout.write(analyse.report(header, lines, seed=given.seed) + "\n")


if __name__ == "__main__":
    sys.exit(main())
