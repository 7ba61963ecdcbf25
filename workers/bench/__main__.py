"""`python -m workers.bench <suite> [...]`: the quality protocol. Every figure is a JSON line that is kept.

service [NAME...]   load, latency, overhead, chaos of the whole service      (workers/bench/service)
ilp                 primal integral against SCIP, HiGHS and CP-SAT           (workers/bench/ilp)
sharding SUITE      plans against NeuroShard, TorchRec and heuristics         (workers/bench/sharding)
compile             loadable bytes against -Oz, beside other searches          (workers/bench/compile)
fuzz KIND           random inputs against independent peers                  (workers/bench/fuzz)
instances fetch     real integer programs out of a PyPI source distribution  (workers/bench/instances)
all                 service, ilp, sharding and compile at the published scale
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import MappingProxyType

SUITES = MappingProxyType(
    {
        "service": "workers.bench.service.cli",
        "compile": "workers.bench.compile.cli",
        "ilp": "workers.bench.ilp.cli",
        "instances": "workers.bench.instances",
        "generators": "workers.corpus.integer_programs",
        "sharding": "workers.bench.sharding.cli",
        "fuzz": "workers.bench.fuzz.cli",
    }
)


def load(suite: str) -> Callable[[list[str]], int]:
    """The `main(argv) -> exit code` of a suite."""
    main: Callable[[list[str]], int] = importlib.import_module(SUITES[suite]).main
    return main


def main(argv: list[str]) -> int:
    """Run one suite, or all."""
    if argv[:1] == ["all"]:
        sharding = [
            load("sharding")([suite, *argv[1:]])
            for suite in ("quality", "scale", "models", "exact")
        ]
        return max(
            load("service")(argv[1:]),
            load("ilp")(argv[1:]),
            load("compile")(argv[1:]),
            *sharding,
        )
    if not argv or argv[0] not in SUITES:
        came = argv[0] if argv else "nothing"
        print(
            f"{came!r} is not a suite; say one of: {', '.join(SUITES)}, all\n\n{__doc__}",
            file=sys.stderr,
        )
        return 2
    return load(argv[0])(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
