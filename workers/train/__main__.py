"""`python -m workers.train KIND STEP [options]`: train what a kind of job learns.

`python -m workers.train KIND --help` lists the steps of a kind. Steps resume after an
interruption. A kind is a folder `workers/train/KIND/` with a module `cli` that defines `parser()`
and `main(argv)`.
"""

from __future__ import annotations

import importlib.util
import pkgutil
import sys

import workers.train


def kinds() -> dict[str, str]:
    """Return the module `cli` of each kind, by kind."""
    folders = (m for m in pkgutil.iter_modules(workers.train.__path__) if m.ispkg)
    names = (f"workers.train.{folder.name}.cli" for folder in folders)
    return {name.split(".")[2]: name for name in names if importlib.util.find_spec(name)}


def main(argv: list[str] | None = None) -> int:
    """Run one step of one kind; progress goes to standard error."""
    words = sys.argv[1:] if argv is None else argv
    modules = kinds()
    if words[:1] in (["-h"], ["--help"]):
        print(f"{__doc__}\nkinds: {', '.join(modules)}")
        return 0
    if not words or words[0] not in modules:
        got = repr(words[0]) if words else "nothing"
        print(
            f"kind: expected one of {', '.join(modules)}, got {got}\n\n{__doc__}",
            file=sys.stderr,
        )
        return 2
    code: int = importlib.import_module(modules[words[0]]).main(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
