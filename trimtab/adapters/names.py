"""Names in the file: the user's own if every reader accepts it unchanged, else a generated one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.()\[\],]{0,99}", re.ASCII)
_ODD = re.compile(r"[^A-Za-z0-9_.()\[\],]+", re.ASCII)
# First words of lines that readers take for sections, and words that some take for numbers or
# keywords.
_RESERVED = frozenset(
    {
        "name",
        "rows",
        "columns",
        "rhs",
        "ranges",
        "bounds",
        "objsense",
        "objname",
        "objsense_max",
        "sos",
        "sos1",
        "sos2",
        "sets",
        "s1",
        "s2",
        "quadobj",
        "qmatrix",
        "qsection",
        "qcmatrix",
        "csection",
        "indicators",
        "gencons",
        "pwlobj",
        "lazycons",
        "usercuts",
        "endata",
        "refrow",
        "free",
        "marker",
        "inf",
        "infinity",
        "nan",
        "if",
        "max",
        "min",
        "maximize",
        "minimize",
        "obj",
    }
)


def file_names(
    names: Iterable[str], *, letter: str, taken: Iterable[str] = ()
) -> list[str]:
    """Return a distinct plain name for each of `names`.

    It is the name itself, or a plain one made of it, or `letter` with its number. Names in `taken`
    are not used.
    """
    wishes = list(names)
    used = set(taken)
    # Names that are already plain have precedence over generated ones.
    counts: dict[str, int] = {}
    for name in wishes:
        counts[name] = counts.get(name, 0) + 1
    used.update(name for name in counts if _is_plain(name))
    chosen: list[str] = []
    own: set[str] = set(taken)
    for place, name in enumerate(wishes):
        if _is_plain(name) and name not in own:
            own.add(name)
            chosen.append(name)
            continue
        candidate = _made(name) or f"{letter}{place}"
        while candidate in used:
            candidate += f"_{place}"
        used.add(candidate)
        own.add(candidate)
        chosen.append(candidate)
    return chosen


def _is_plain(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and name.lower() not in _RESERVED


def _made(name: str) -> str:
    """Return a plain name that resembles `name`; empty when no character is left."""
    made = _ODD.sub("_", name)[:80]
    if not made.strip("_.()[],"):
        return ""
    if not (made[0].isalpha() or made[0] == "_"):
        made = f"_{made}"
    return made if _is_plain(made) else f"_{made}"
