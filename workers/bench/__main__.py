"""`python -m workers.bench SUITE [options]`: measure, and store every figure as a JSON line.

`python -m workers.bench all` runs every suite at the published scale. A suite is a folder
`workers/bench/SUITE/` with a module `cli` that defines `main(argv)`. Where `all` should run it,
`cli` also defines `PUBLISHED`: one tuple of arguments for each run.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable
from types import MappingProxyType

import workers.bench

# Commands beside the suites: they prepare inputs and measure nothing.
TOOLS = MappingProxyType(
    {
        "instances": "workers.bench.instances",
        "generators": "workers.corpus.integer_programs",
    }
)


def suites() -> dict[str, str]:
    """Return the module `cli` of each suite, by suite."""
    folders = (m.name for m in pkgutil.iter_modules(workers.bench.__path__) if m.ispkg)
    modules = {name: f"workers.bench.{name}.cli" for name in folders}
    return {
        name: module
        for name, module in modules.items()
        if importlib.util.find_spec(module)
    }


def load(suite: str) -> Callable[[list[str]], int]:
    """Return the `main(argv) -> exit code` of a suite or tool."""
    module = importlib.import_module({**suites(), **TOOLS}[suite])
    main: Callable[[list[str]], int] = module.main
    return main


def summary(module: str) -> str:
    """Return the first line of a module's docstring, without importing the module."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    with open(spec.origin) as file:
        text = ast.get_docstring(ast.parse(file.read())) or ""
    return text.partition("\n")[0]


def usage() -> str:
    """Return the help text with one line for each suite and tool."""
    rows = [f"  {name:12s} {summary(module)}" for name, module in suites().items()]
    rows += [f"  {name:12s} {summary(module)}" for name, module in TOOLS.items()]
    return f"{__doc__}\nsuites and tools:\n" + "\n".join(rows)


def main(argv: list[str]) -> int:
    """Run one suite or tool, or all suites that have published figures."""
    if argv[:1] in (["-h"], ["--help"]):
        print(usage())
        return 0
    if argv[:1] == ["all"]:
        return _all(argv[1:])
    names = [*suites(), *TOOLS, "all"]
    if not argv or argv[0] not in names:
        got = repr(argv[0]) if argv else "nothing"
        print(
            f"suite: expected one of {', '.join(names)}, got {got}\n\n{usage()}",
            file=sys.stderr,
        )
        return 2
    return load(argv[0])(argv[1:])


def _all(options: list[str]) -> int:
    """Run the published suites, even when one fails; return the greatest exit code."""
    published = [
        (name, arguments)
        for name, module in suites().items()
        for arguments in getattr(importlib.import_module(module), "PUBLISHED", ())
    ]
    codes = [load(name)([*arguments, *options]) for name, arguments in published]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
