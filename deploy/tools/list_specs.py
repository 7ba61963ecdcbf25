"""Generate `trimtab/specs/__init__.py`, the SDK's table of specs, from the files of that folder.

    python deploy/tools/list_specs.py [--check]

A spec is a class with a `KIND`. The generated file loads each on first use and names all for type
checkers; `trimtab/__init__.py` exports the same names. `--check` writes nothing and exits with 1
when the file is out of date.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "trimtab" / "specs"
TARGET = FOLDER / "__init__.py"
SHARED = ("ArtifactRef", "Budget", "JobRequest", "Spec", "request_model")
TEMPLATE = '''\
# Generated from the files of this folder by deploy/tools/list_specs.py. To change it, run
# `python deploy/tools/list_specs.py`.

"""Spec models, one file per kind, and the envelope that all kinds share.

Names are loaded on first use (PEP 562): a spec costs nothing where it is not used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as the name of `typing`, which is slow to import

SPECS = {{
{specs}
}}
"""Kind → its spec as `module:class`."""

_MODULES = {{
{modules}
}}
__all__ = [
{names}
]

if TYPE_CHECKING:
    from typing import Any

{imports}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'trimtab.specs' has no attribute {{name!r}}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
'''


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description="Generate the SDK's table of specs")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    text = generated()
    if text == TARGET.read_text():
        return
    if check:
        sys.exit("stale: trimtab/specs/__init__.py; run make generate")
    TARGET.write_text(text)


def generated() -> str:
    """Return the text of the file."""
    specs, modules = {}, dict.fromkeys(SHARED, "trimtab.specs.common")
    for path in sorted(FOLDER.glob("*.py")):
        for kind, name in _specs_in(path):
            module = f"trimtab.specs.{path.stem}"
            specs[kind], modules[name] = f"{module}:{name}", module
    names = sorted(modules)
    by_module = {
        module: [name for name in names if modules[name] == module]
        for module in sorted(set(modules.values()))
    }
    return TEMPLATE.format(
        specs="\n".join(
            f'    "{kind}": "{where}",' for kind, where in sorted(specs.items())
        ),
        modules="\n".join(f'    "{name}": "{modules[name]}",' for name in names),
        names="\n".join(f'    "{name}",' for name in names),
        imports="\n".join(map(_import, by_module.items())),
    )


def _specs_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (kind, class) of each class that sets KIND to a text."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and statement.target.id == "KIND"
                and isinstance(statement.value, ast.Constant)
            ):
                yield str(statement.value.value), node.name


def _import(item: tuple[str, list[str]]) -> str:
    module, names = item
    line = f"    from {module} import {', '.join(names)}"
    if len(line) <= 92:
        return line
    return "\n".join(
        [f"    from {module} import (", *(f"        {name}," for name in names), "    )"]
    )


if __name__ == "__main__":
    main()
