"""Parse and print pass pipelines of LLVM's new pass manager, without loss.

The grammar is that of `opt -passes=`: items separated by commas, each a name, optional parameters
in angle brackets, and for an adaptor (module, cgscc, function, loop, loop-mssa, machine-function,
devirt<n>, repeat<n>) an inner pipeline in parentheses. LLVM itself decides which passes exist, when
it parses the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

MAX_TEXT = 1_000_000  # characters; LLVM's own default<O3> has under 5,000
MAX_DEPTH = 64  # nested adaptors; LLVM's own default<O3> has 5

Path = tuple[int, ...]  # index at each depth; () is the whole pipeline


class BadPipeline(ValueError):
    """The text is not a pipeline, or a path leads nowhere. The message shows the place."""


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
    """A pass and its place. (name, occurrence) holds across texts that differ elsewhere."""

    name: str
    occurrence: int  # 0 for the first leaf of this name, depth first
    path: Path
    level: str  # of the pipeline it stands in: module, cgscc, function, loop, loop-mssa


def parse(text: str) -> tuple[Pass, ...]:
    """Return the tree of `text`. Raises BadPipeline."""
    if len(text) > MAX_TEXT:
        raise BadPipeline(
            f"pipeline: expected at most {MAX_TEXT:,} characters, got {len(text):,}"
        )
    items, end = _items(text, 0, 0)
    if end != len(text):
        raise BadPipeline(f"{_shown(text, end)}: unmatched closing parenthesis")
    return items


def text_of(items: Sequence[Pass]) -> str:
    """Return the text of a tree; `text_of(parse(text)) == text`."""
    return ",".join(map(str, items))


def leaves(items: Sequence[Pass]) -> Iterator[Leaf]:
    """Iterate over the leaves in the order in which they run."""
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
    """Return the leaf with that address. Raises BadPipeline when there is none."""
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
    """Return the item at a path. Raises BadPipeline."""
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
    """Return the tree with the item at `path` replaced by the items that `change` returns.

    An adaptor that becomes empty is removed too: LLVM refuses `function()`.
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
    """Return parameters with flags set.

    `x` replaces `no-x`, `no-x` replaces `x`, and `key=value` replaces `key=other`.
    """
    words = [word for word in (parameters or "").split(";") if word]
    for flag in flags:
        words = [word for word in words if _subject(word) != _subject(flag)]
        words.append(flag)
    return ";".join(words)


def _subject(flag: str) -> str:
    return flag.split("=", 1)[0].removeprefix("no-")


def _items(text: str, start: int, depth: int) -> tuple[tuple[Pass, ...], int]:
    """Return the items from `start` to the end or an unmatched `)`, and that place."""
    if depth > MAX_DEPTH:
        raise BadPipeline(f"adaptors nested deeper than {MAX_DEPTH}")
    items: list[Pass] = []
    here = start
    while True:
        item, here = _item(text, here, depth)
        items.append(item)
        if here == len(text) or text[here] == ")":
            return tuple(items), here
        if text[here] != ",":
            raise BadPipeline(f"{_shown(text, here)}: expected a comma")
        here += 1


def _item(text: str, start: int, depth: int) -> tuple[Pass, int]:
    here = start
    while here < len(text) and text[here] not in ",<>()":
        here += 1
    name = text[start:here]
    if not name or name != name.strip():
        raise BadPipeline(f"{_shown(text, start)}: expected the name of a pass")
    parameters, inner = None, None
    if here < len(text) and text[here] == "<":
        end = _closing(text, here)
        # Several pairs of brackets, as in print<structural-hash><detailed>.
        while end + 1 < len(text) and text[end + 1] == "<":
            end = _closing(text, end + 1)
        parameters, here = text[here + 1 : end], end + 1
    if here < len(text) and text[here] == "(":
        inner, here = _items(text, here + 1, depth + 1)
        if here == len(text):
            raise BadPipeline(f"{_shown(text, start)}: expected a closing parenthesis")
        here += 1
    return Pass(name=name, parameters=parameters, inner=inner), here


def _closing(text: str, start: int) -> int:
    depth = 0
    for here in range(start, len(text)):
        depth += {"<": 1, ">": -1}.get(text[here], 0)
        if depth == 0:
            return here
    raise BadPipeline(f"{_shown(text, start)}: expected a closing angle bracket")


def _shown(text: str, where: int) -> str:
    before, after = text[max(0, where - 20) : where], text[where : where + 20]
    return f"at character {where}, {before!r} before {after!r}"
