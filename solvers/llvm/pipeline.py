"""Pass pipelines of LLVM's new pass manager: text to tree and back, unchanged.

The grammar is that of `opt -passes=`: items separated by commas, each a name, optional parameters in angle brackets,
and for an adaptor (module, cgscc, function, loop, loop-mssa, machine-function, devirt<n>, repeat<n>) an inner pipeline in
round brackets. Nothing here knows which passes exist; LLVM itself says that when it parses the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

MAX_TEXT = 1_000_000  # characters; LLVM's own default<O3> has under 5,000
MAX_DEPTH = 64  # nested adaptors; LLVM's own default<O3> has 5

Path = tuple[int, ...]  # index at each depth; () is the whole pipeline


class BadPipeline(ValueError):
    """The text is no pipeline, or names a place that is not there. The message shows where."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One item. A leaf has no `inner`; an adaptor has one, perhaps empty."""

    name: str
    parameters: str | None = None  # between < and >; "" is `gvn<>`, None is `gvn`
    inner: tuple[Pass, ...] | None = None

    def __str__(self) -> str:
        parameters = "" if self.parameters is None else f"<{self.parameters}>"
        return (
            self.name
            + parameters
            + ("" if self.inner is None else f"({text_of(self.inner)})")
        )


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A pass that runs, and where. (name, occurrence) says the same place in texts that differ elsewhere."""

    name: str
    occurrence: int  # 0 for the first leaf of this name, depth first
    path: Path
    level: str  # of the pipeline it stands in: module, cgscc, function, loop, loop-mssa


def parse(text: str) -> tuple[Pass, ...]:
    """The tree of `text`. Raises BadPipeline."""
    if len(text) > MAX_TEXT:
        raise BadPipeline(
            f"a pipeline of {len(text):,} characters; at most {MAX_TEXT:,} are read"
        )
    items, end = _items(text, 0, 0)
    if end != len(text):
        raise BadPipeline(f"{_shown(text, end)}: a closing bracket without its opening one")
    return items


def text_of(items: Sequence[Pass]) -> str:
    """The text of a tree; `text_of(parse(text)) == text`."""
    return ",".join(map(str, items))


def leaves(items: Sequence[Pass]) -> Iterator[Leaf]:
    """Every leaf in the order of running."""
    seen: dict[str, int] = {}

    def walk(inner: Sequence[Pass], path: Path, level: str) -> Iterator[Leaf]:
        for index, item in enumerate(inner):
            if item.inner is not None:
                deeper = level if item.name in ("devirt", "repeat") else item.name
                yield from walk(item.inner, (*path, index), deeper)
                continue
            occurrence = seen.get(item.name, 0)
            seen[item.name] = occurrence + 1
            yield Leaf(
                name=item.name, occurrence=occurrence, path=(*path, index), level=level
            )

    return walk(items, (), "module")


def find(items: Sequence[Pass], name: str, occurrence: int) -> Leaf:
    """The leaf with that address. Raises BadPipeline when there is none."""
    count = 0
    for leaf in leaves(items):
        if leaf.name == name:
            if leaf.occurrence == occurrence:
                return leaf
            count += 1
    raise BadPipeline(
        f"no pass {name!r} number {occurrence}: this pipeline has {count} of that name"
    )


def at(items: Sequence[Pass], path: Path) -> Pass:
    """The item at a path. Raises BadPipeline."""
    inner: Sequence[Pass] | None = items
    item: Pass | None = None
    for index in path:
        if inner is None or not 0 <= index < len(inner):
            raise BadPipeline(f"no item at {path}")
        item = inner[index]
        inner = item.inner
    if item is None:
        raise BadPipeline("the empty path names the whole pipeline, not an item")
    return item


def splice(
    items: Sequence[Pass], path: Path, change: Callable[[Pass], Sequence[Pass]]
) -> tuple[Pass, ...]:
    """The tree with the item at `path` replaced by what `change` makes of it (nothing, one or several).

    An adaptor that is left empty goes too: LLVM refuses `function()`.
    """
    index, rest = path[0], path[1:]
    item = at(items, path[:1])
    if rest:
        inner = splice(item.inner or (), rest, change)
        new: Sequence[Pass] = (replace(item, inner=inner),) if inner else ()
    else:
        new = change(item)
    return (*items[:index], *new, *items[index + 1 :])


def with_flags(parameters: str | None, flags: Sequence[str]) -> str:
    """Parameters with some set: `x` takes out `no-x`, `no-x` takes out `x`, `key=value` takes out `key=other`."""
    kept = [word for word in (parameters or "").split(";") if word]
    for flag in flags:
        kept = [word for word in kept if _subject(word) != _subject(flag)]
        kept.append(flag)
    return ";".join(kept)


def _subject(flag: str) -> str:
    return flag.split("=", 1)[0].removeprefix("no-")


def _items(text: str, start: int, depth: int) -> tuple[tuple[Pass, ...], int]:
    """Items from `start` to the end or an unmatched `)`, and where that is."""
    if depth > MAX_DEPTH:
        raise BadPipeline(f"adaptors nested deeper than {MAX_DEPTH}")
    found: list[Pass] = []
    here = start
    while True:
        item, here = _item(text, here, depth)
        found.append(item)
        if here == len(text) or text[here] == ")":
            return tuple(found), here
        if text[here] != ",":
            raise BadPipeline(f"{_shown(text, here)}: a comma was expected")
        here += 1


def _item(text: str, start: int, depth: int) -> tuple[Pass, int]:
    here = start
    while here < len(text) and text[here] not in ",<>()":
        here += 1
    name = text[start:here]
    if not name or name != name.strip():
        raise BadPipeline(f"{_shown(text, start)}: the name of a pass was expected")
    parameters, inner = None, None
    if here < len(text) and text[here] == "<":
        end = _closing(text, here)
        while (
            end + 1 < len(text) and text[end + 1] == "<"
        ):  # as in print<structural-hash><detailed>
            end = _closing(text, end + 1)
        parameters, here = text[here + 1 : end], end + 1
    if here < len(text) and text[here] == "(":
        inner, here = _items(text, here + 1, depth + 1)
        if here == len(text):
            raise BadPipeline(f"{_shown(text, start)}: its bracket is not closed")
        here += 1
    return Pass(name=name, parameters=parameters, inner=inner), here


def _closing(text: str, start: int) -> int:
    depth = 0
    for here in range(start, len(text)):
        depth += {"<": 1, ">": -1}.get(text[here], 0)
        if depth == 0:
            return here
    raise BadPipeline(f"{_shown(text, start)}: its angle bracket is not closed")


def _shown(text: str, where: int) -> str:
    return f"at character {where}, {text[max(0, where - 20) : where]!r} before {text[where : where + 20]!r}"
