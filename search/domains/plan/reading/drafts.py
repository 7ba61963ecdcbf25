"""Jobs with their values: numbers computed, alternatives spread over several jobs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from search.domains.plan.reading.bands import Frequencies, bands_of
from search.domains.plan.reading.binding.bound import COUNT, HARDWARE, Bound
from search.domains.plan.reading.leaves import Doubt, Leaf
from search.domains.plan.reading.quantities import Shape
from search.domains.plan.reading.relevance import MARGIN, weight
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.stems import vocabulary

MEMORY = "spec.devices.0.memory_gib"
PER_NODE = "spec.fabric.devices_per_node"
NODES = "_nodes"
WHAT_IF = "spec.what_if"
SECONDS = "budget.seconds"
ENGINE = "spec.engine"
BATCH = "spec.global_batch"
_EACH = vocabulary("gpu card device accelerator gpus cards devices one rank")
MAX_VARIANTS = 60
_CLAUSE_OF_COUNT = 1.4
_TAKEN = vocabulary(
    "taken occupied sits reserved already gone needs need occupy occupies takes uses eaten blocked "
    "swallowed belongs dense kept subtract minus deduct lost held eats takes"
)
_OWNED = vocabulary("own have has our today currently now existing present owned use got")
_THOUGHT = vocabulary(
    "whether would if instead buy buying upgrade pay worth help could enough gain adding"
)
_NOT_DEFAULT = ("cl-lns",)  # of neighbourhoods: the learned arm is no default


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value of one job."""

    value: Any
    tokens: tuple[int, ...]
    note: str = ""


@dataclass
class Draft:
    """A job to be, with its values."""

    leaf: int
    kind: str
    files: dict[str, str]
    settings: dict[str, Setting] = field(default_factory=dict)
    # `path=value` → tokens
    removed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    mentions: list[int] = field(default_factory=list)
    outputs: dict[str, tuple[int, str]] = field(default_factory=dict)
    group: int = 0
    base: int | None = None  # number of the leaf that this one repeats
    takes: str = ""  # output of that one that is its main file


@dataclass
class Drafts:
    """Jobs of a goal, and doubts about their values."""

    jobs: list[Draft] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Option:
    """One of the values that a slot may have."""

    value: Any
    tokens: tuple[int, ...]
    note: str = ""
    strong: bool = False


def drafts_of(
    scene: Scene, leaves: Sequence[Leaf], attached: Sequence[Sequence[Bound]]
) -> Drafts:
    """Return the jobs; a slot with several values gives several jobs."""
    result = Drafts()
    for number, (leaf, bounds) in enumerate(zip(leaves, attached, strict=True)):
        options, removed = _options(scene, leaf, bounds, result)
        for chosen in _combined(scene, leaf, options, bounds, result):
            result.jobs.append(
                Draft(
                    leaf=number,
                    kind=leaf.kind,
                    files=dict(leaf.files),
                    settings=chosen,
                    removed=dict(removed),
                    mentions=list(leaf.mentions),
                    group=number,
                    base=leaf.base,
                    takes=leaf.takes,
                )
            )
    return result


def _options(
    scene: Scene, leaf: Leaf, bounds: Sequence[Bound], result: Drafts
) -> tuple[dict[str, list[_Option]], dict[str, tuple[int, ...]]]:
    """Return slot → values in the order of the text, and the values that are ruled out."""
    options: dict[str, list[_Option]] = {}
    removed: dict[str, tuple[int, ...]] = {}
    result.doubts += _totals(scene, bounds, leaf)
    frequencies: list[Frequencies] = []
    slots = scene.lexicon.slots[leaf.kind]
    for bound in bounds:
        path = bound.paths[leaf.kind]
        values = bound.values[leaf.kind]
        scene.use(bound.tokens, path)
        if path == BATCH:
            values = _whole_batch(scene, bound, values, bounds)
        if path.endswith("_hz") or path == "_bandwidth":
            frequencies.append(Frequencies(path=path, bound=bound, values=values))
            continue
        if bound.removes:
            for value in values:
                removed[f"{path}={value}"] = bound.tokens
            continue
        if bound.rivals:
            result.doubts.append(_which_slot(scene, bound, slots[path].title))
        values = _numbers(scene, bound, path, values, result)
        for value in values:
            beyond = (
                _out_of_range(scene, bound, slots[path], value) if path in slots else []
            )
            result.doubts += beyond
            if beyond and path == SECONDS:
                continue  # it is asked for; the job has no value that no job can have
            option = _Option(
                value=value, tokens=bound.tokens, note=bound.note, strong=bound.strong
            )
            options.setdefault(path, []).append(option)
    _once(options)
    _minus_taken(scene, options)
    _replaced(scene, options)
    _plain_size(scene, options)
    for path, row in options.items():
        # "passes only, no LLVM options": what is ruled out outranks what is only named.
        if {o.value for o in row if isinstance(o.value, bool)} == {True, False} and len(
            {o.tokens for o in row}
        ) > 1:
            options[path] = [o for o in row if o.value is False]
    for path, row in options.items():
        places = [o.tokens[0] for o in row]
        compared = len(row) > 1 and any(
            min(places) < m.start < max(places) for m in scene.marks("compare")
        )
        if compared:
            continue
        if any(o.strong for o in row) and not all(o.strong for o in row):
            options[path] = [
                replace(
                    o,
                    note=o.note
                    or f"{_title(slots, path)}: the more precise of two figures",
                )
                for o in row
                if o.strong
            ]
    _ignored(scene, leaf, options)
    _material(scene, leaf, options)
    options = {
        path: row for path, row in options.items() if path == NODES or path[0] != "_"
    }
    if leaf.kind == "sharding":
        _devices(scene, options, bounds)
    if frequencies:
        settings, doubts = bands_of(scene, frequencies)
        result.doubts += doubts
        for path, (value, tokens, note) in settings.items():
            options[path] = [_Option(value=value, tokens=tokens, note=note)]
        options = _many_bands(options, settings)
    _only_one_left(scene, slots, options, removed, result)
    return options, removed


def _whole_batch(
    scene: Scene, bound: Bound, values: tuple[Any, ...], bounds: Sequence[Bound]
) -> tuple[Any, ...]:
    """Multiply a batch of each device by their number: "batch 4096 per GPU"."""
    end = max(bound.tokens) + 1
    behind = [scene.word(i) for i in range(end, min(end + 3, len(scene.tokens)))]
    before = [scene.word(i) for i in range(max(0, min(bound.tokens) - 3), end)]
    each = (behind[:1] in (["per"], ["each"], ["a"], ["on"])) and _EACH & set(behind)
    local = {"per", "local"} & set(before) and ({"local"} | _EACH) & set(before)
    counts = [b.values["sharding"] for b in bounds if b.paths.get("sharding") == COUNT]
    if not (each or local) or len(counts) != 1 or len(counts[0]) != 1:
        return values
    scene.use(range(end, min(end + 2, len(scene.tokens))), BATCH)
    return tuple(v * counts[0][0] for v in values)


def _minus_taken(scene: Scene, options: dict[str, list[_Option]]) -> None:
    """Subtract memory that is taken: "80 GiB, of which the dense layers need 10"."""
    row = options.get(MEMORY, [])
    if len(row) != 2 or all(o.strong for o in row):
        return
    whole, part = sorted(row, key=lambda o: -o.value)
    near = [
        scene.word(i)
        for i in range(
            max(0, min(part.tokens) - 9), min(len(scene.tokens), max(part.tokens) + 9)
        )
        if scene.sentence(i) == scene.sentence(part.tokens[0])
    ]
    if part.value < whole.value and _TAKEN & set(near):
        left = whole.value - part.value
        tokens = (*whole.tokens, *part.tokens)
        note = f"{whole.value:g} GiB less {part.value:g} GiB that are taken"
        options[MEMORY] = [_Option(value=left, tokens=tokens, note=note)]


def _once(options: dict[str, list[_Option]]) -> None:
    """Drop what is said twice, unless it goes with another slot: "10 min HiGHS, 10 min SCIP"."""
    said = {path: list(row) for path, row in options.items()}
    for path, row in said.items():
        unique = [
            o for i, o in enumerate(row) if all(o.value != p.value for p in row[:i])
        ]
        paired = len(unique) > 1 and any(
            len(other) == len(row) and _alternate(row, other)
            for p, other in said.items()
            if p != path
        )
        options[path] = row if paired else unique


def _title(slots: Mapping[str, Any], path: str) -> str:
    return str(slots[path].title) if path in slots else path


def _plain_size(scene: Scene, options: dict[str, list[_Option]]) -> None:
    """Drop "for size" beside another objective, unless both are to be run."""
    path = "spec.objective"
    row = options.get(path, [])
    plain = [
        o for o in row if "size" in scene.words(o.tokens[0], o.tokens[-1] + 1).lower()
    ]
    if not plain:
        return
    low, high = min(o.tokens[0] for o in row), max(o.tokens[0] for o in row)
    marks = scene.marks("compare", "then", "again")
    if any(low < mark.start <= high for mark in marks):
        return
    options[path] = [o for o in row if o not in plain]
    if not options[path]:
        del options[path]


def _replaced(scene: Scene, options: dict[str, list[_Option]]) -> None:
    """Handle "4 devices instead of 8": a comparison with 8 in a question, else 8 is dropped."""
    for path, row in options.items():
        for mark in scene.marks("instead"):
            later = [o for o in row if 0 <= o.tokens[0] - mark.end <= 2]
            earlier = [o for o in row if o.tokens[0] < mark.start]
            if not later or not earlier:
                continue
            scene.use(range(mark.start, mark.end), "replacement")
            asks = any(
                scene.sentence(m.start) == scene.sentence(mark.start)
                for m in scene.marks("what_if")
                if not m.mark("instead")
            )
            if not asks:
                options[path] = earlier
            elif path == COUNT:
                options[path] = [*later, *earlier]


def _material(scene: Scene, leaf: Leaf, options: dict[str, list[_Option]]) -> None:
    """Take the permittivity of a board's material where none is stated; the default is another."""
    path = "spec.board.eps_r"
    if leaf.kind != "antenna" or path in options:
        return
    words = words_of(leaf.kind)
    assert words is not None
    for name, value in words.table("materials").items():
        said = name.split()
        for i in range(len(scene.tokens)):
            places: list[int] = []
            at = i
            for word in said:
                at += bool(places) and scene.word(at) == "-"
                if scene.word(at) != word:
                    break
                places.append(at)
                at += 1
            else:
                note = f"{name.upper()} is read as permittivity {value:g}"
                options[path] = [_Option(value=value, tokens=tuple(places), note=note)]
                return


def _ignored(scene: Scene, leaf: Leaf, options: Mapping[str, list[_Option]]) -> None:
    """Say what a figure that sets nothing means, as the kind's words have it."""
    words = words_of(leaf.kind)
    assert words is not None
    for path in options:
        note = words.table("slots").get(path, {}).get("ignored")
        if note:
            scene.notes.append(note)


def _many_bands(
    options: dict[str, list[_Option]], settings: Mapping[str, Any]
) -> dict[str, list[_Option]]:
    """Give every band the level that was stated once."""
    level = "spec.bands.0.s11_max_db"
    count = sum(
        path.endswith("f_lo_hz") and path.startswith("spec.bands") for path in settings
    )
    if level in options and len(options[level]) == 1:
        for i in range(1, count):
            options[f"spec.bands.{i}.s11_max_db"] = list(options[level])
    elif level in options and len(options[level]) == count:
        for i, option in enumerate(list(options[level])):
            options[f"spec.bands.{i}.s11_max_db"] = [option]
    return options


def _numbers(
    scene: Scene, bound: Bound, path: str, values: tuple[Any, ...], result: Drafts
) -> tuple[Any, ...]:
    """Return the values of a quantity: a product of counts is one number, a range is a doubt."""
    if bound.shape is Shape.PRODUCT:
        if path == COUNT:
            return (values[0] * values[1],)
        if values[0] == values[1] and not path.endswith("_mm"):
            return (values[0],)
        if path.endswith("_mm"):
            if values[0] != values[1]:
                result.doubts.append(
                    Doubt(
                        about=path.removeprefix("spec."),
                        text="The board is square here. Which side should it have, in mm?",
                        options=tuple(f"{v:g}" for v in sorted(values)),
                        tokens=bound.tokens,
                        rank=2,
                    )
                )
            return (min(values),)
    if (
        bound.shape is Shape.RANGE
        and path == "seed"
        and values[1] - values[0] < MAX_VARIANTS
    ):
        return tuple(range(int(values[0]), int(values[1]) + 1))
    if bound.shape is Shape.RANGE and path == COUNT and scene.marks("what_if"):
        return values  # "going from eight to a dozen"
    if bound.shape in (Shape.RANGE, Shape.AROUND) and not path.endswith("_hz"):
        low, high = (
            (values[0], values[1])
            if bound.shape is Shape.RANGE
            else (values[0], values[0])
        )
        if low != high:
            result.doubts.append(
                Doubt(
                    about=path.removeprefix("spec."),
                    text=f"“{_words(scene, bound)}” is a range. Which value is wanted?",
                    options=(f"{high:g}", f"{low:g}"),
                    tokens=bound.tokens,
                    rank=2,
                )
            )
        return (high,)
    return values


def _totals(scene: Scene, bounds: Sequence[Bound], leaf: Leaf) -> list[Doubt]:
    """Ask about memory that is stated for all devices together."""
    found = []
    for bound in bounds:
        if bound.paths.get(leaf.kind) != MEMORY:
            continue
        near = [
            m
            for m in scene.marks("total")
            if -3 <= m.start - max(bound.tokens) <= 3 or 0 <= bound.at - m.end <= 3
        ]
        counts = [
            b.values[leaf.kind][0] for b in bounds if b.paths.get(leaf.kind) == COUNT
        ]
        if near and counts and isinstance(counts[0], int) and counts[0] > 1:
            total = bound.values[leaf.kind][0]
            found.append(
                Doubt(
                    about="devices.memory_gib",
                    text=f"Is “{_words(scene, bound)}” for all {counts[0]} devices together, "
                    "or for each?",
                    options=(f"{total / counts[0]:g} GiB each", f"{total:g} GiB each"),
                    tokens=bound.tokens,
                    rank=1,
                )
            )
    return found


def _words(scene: Scene, bound: Bound) -> str:
    if bound.quantity is None:
        return scene.words(bound.at, bound.at + 1)
    return scene.words(bound.quantity.start, bound.quantity.end)


def _which_slot(scene: Scene, bound: Bound, title: str) -> Doubt:
    options = tuple(dict.fromkeys((title, *bound.rivals)))[:5]
    return Doubt(
        about=f"number.{_words(scene, bound)}",
        text=f"What does “{_words(scene, bound)}” mean: {' or '.join(options)}?",
        options=options,
        tokens=bound.tokens[:1],
        rank=2,
    )


def _out_of_range(scene: Scene, bound: Bound, slot: Any, value: Any) -> list[Doubt]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return []
    low, high = slot.least, slot.most
    fine = (
        value == value
        and (low is None or value >= low)
        and (high is None or value <= high)
    )
    if fine and not (low == 0 and value == 0 and slot.path == SECONDS):
        return []
    limits = (
        f"{low:g} to {high:g}"
        if low is not None and high is not None
        else "another value"
    )
    scene.beyond.append((bound.tokens, f"{slot.title}: {limits} is possible"))
    return [
        Doubt(
            about=slot.path.removeprefix("spec.").replace(".0.", "."),
            text=f"{slot.title}: expected {limits}, got “{_words(scene, bound)}”. Which value?",
            tokens=bound.tokens,
            rank=1,
        )
    ]


def _devices(
    scene: Scene, options: dict[str, list[_Option]], bounds: Sequence[Bound]
) -> None:
    """Multiply nodes by their devices: "3 machines, each with 8 A100"; divide "16 in 2 nodes"."""
    nodes, counts = options.pop(NODES, []), options.get(COUNT, [])
    pair = next(
        (
            b
            for b in bounds
            if b.shape is Shape.PRODUCT and b.paths.get("sharding") == COUNT
        ),
        None,
    )
    if (
        pair is not None
        and len(counts) == 1
        and PER_NODE not in options
        and pair.quantity
    ):
        inner = int(pair.quantity.numbers[1])
        note = f"{pair.quantity.numbers[0]:g} nodes of {inner} devices"
        options[PER_NODE] = [_Option(value=inner, tokens=pair.tokens, note=note)]
    if len(nodes) != 1:
        return
    node = nodes[0]
    if len(counts) == 2 and PER_NODE not in options:
        # "16 H100, 2 nodes x 8 GPUs": the total and the number of each node.
        whole, each = sorted(counts, key=lambda o: -o.value)
        if node.value * each.value == whole.value:
            options[COUNT] = [whole]
            options[PER_NODE] = [each]
            return
    per_node = options.get(PER_NODE, [])
    if len(per_node) == 1 and not counts:
        options[COUNT] = [
            _Option(
                value=node.value * per_node[0].value,
                tokens=(*node.tokens, *per_node[0].tokens),
                note=f"{node.value} nodes of {per_node[0].value} devices",
            )
        ]
        return
    if len(counts) != 1 or not isinstance(node.value, int) or node.value < 1:
        return
    count = counts[0]
    low, high = sorted((node.tokens[0], count.tokens[0]))
    words = {scene.word(i) for i in range(low, high + 8)}
    spread = {scene.word(i) for i in range(low, high)} & {
        "on",
        "over",
        "across",
        "in",
        "into",
    }
    totals = count.tokens[0] < node.tokens[0] and not words & {
        "each",
        "per",
        "every",
        "apiece",
    }
    spread = spread or {scene.word(i) for i in range(low, high)} & {
        ",",
        "(",
        "altogether",
    }
    if totals and spread and count.value % node.value == 0:
        inner = count.value // node.value
        options[PER_NODE] = [_Option(value=inner, tokens=(*count.tokens, *node.tokens))]
        return
    options[COUNT] = [
        _Option(
            value=node.value * count.value,
            tokens=(*node.tokens, *count.tokens),
            note=f"{node.value} nodes of {count.value} devices",
        )
    ]
    if not per_node and node.value > 1:
        options[PER_NODE] = [_Option(value=count.value, tokens=count.tokens)]


def _only_one_left(
    scene: Scene,
    slots: Mapping[str, Any],
    options: dict[str, list[_Option]],
    removed: Mapping[str, tuple[int, ...]],
    result: Drafts,
) -> None:
    """Take the choice that is left when all others are ruled out; drop stated ones that are."""
    for path, slot in slots.items():
        out = {
            key.partition("=")[2]: tokens
            for key, tokens in removed.items()
            if key.startswith(f"{path}=")
        }
        if not out:
            continue
        options[path] = [o for o in options.get(path, []) if str(o.value) not in out]
        if not options[path]:
            del options[path]
            left = [choice for choice in slot.choices if choice not in out]
            tokens = tuple(sorted({t for each in out.values() for t in each}))
            every = any(
                scene.word(i) in ("every", "all")
                for i in range(max(0, tokens[0] - 9), tokens[0])
            )
            if slot.is_list:
                value: Any = [c for c in left if every or c not in _NOT_DEFAULT]
            elif len(left) == 1:
                value = left[0]
            else:
                if slot.choices[:1] and slot.choices[0] in out:
                    result.doubts.append(_which_is_left(slot, left, tokens))
                continue
            options[path] = [_Option(value=value, tokens=tokens, note="what is left")]


def _owned_first(scene: Scene, row: list[_Option]) -> list[_Option]:
    """Put the number of devices that there are before those that are only thought of."""

    def thought_of(option: _Option) -> float:
        low, high = min(option.tokens) - 6, max(option.tokens) + 7
        near = [
            scene.word(i)
            for i in range(max(0, low), min(high, len(scene.tokens)))
            if scene.crossing(i, option.tokens[0]) < _CLAUSE_OF_COUNT
        ]
        return sum(w in _THOUGHT for w in near) - sum(w in _OWNED for w in near)

    return sorted(row, key=thought_of) if len(row) == 2 else row


def _told(
    scene: Scene,
    leaf: Leaf,
    bounds: Sequence[Bound],
    many: dict[str, list[_Option]],
    fixed: dict[str, Setting],
    result: Drafts,
) -> None:
    """Choose between durations of one job where clearly more speaks for one of them."""
    row = many.get(SECONDS, [])
    weights = {
        b.tokens: weight(scene, b.quantity)
        for b in bounds
        if b.paths.get(leaf.kind) == SECONDS and b.quantity is not None
    }
    if any(_alternate(row, other) for path, other in many.items() if path != SECONDS):
        return
    if len(row) != 2 or any(o.tokens not in weights for o in row):
        return
    better, worse = sorted(row, key=lambda o: -weights[o.tokens])
    if (
        weights[better.tokens] - weights[worse.tokens] < MARGIN
        or weights[worse.tokens] > 0.5
    ):
        return
    del many[SECONDS]
    result.doubts = [d for d in result.doubts if d.tokens != worse.tokens]
    note = "another duration was read as part of the story"
    fixed[SECONDS] = Setting(
        value=better.value, tokens=better.tokens, note=better.note or note
    )


def _which_is_left(slot: Any, left: Sequence[str], tokens: tuple[int, ...]) -> Doubt:
    """Ask which choice holds when the default is ruled out and several are left."""
    return Doubt(
        about=slot.path.removeprefix("spec."),
        text=f"{slot.title}: the usual one is ruled out. {' or '.join(left)}?",
        options=tuple(left[:5]),
        tokens=tokens,
        rank=1,
    )


def _combined(
    scene: Scene,
    leaf: Leaf,
    options: dict[str, list[_Option]],
    bounds: Sequence[Bound],
    result: Drafts,
) -> list[dict[str, Setting]]:
    """Return the values of each job: several values of a slot side by side, or each with each."""
    slots = scene.lexicon.slots[leaf.kind]
    compares = any(scene.marks("compare", "what_if")) or any(b.choice for b in bounds)
    fixed: dict[str, Setting] = {}
    many: dict[str, list[_Option]] = {}
    for path, values in options.items():
        slot = slots.get(path)
        if slot is not None and slot.is_list and path != WHAT_IF:
            if len(values) > 1 and (compares or _one_each(scene)):
                many[path] = [
                    _Option(value=[o.value], tokens=o.tokens, note=o.note) for o in values
                ]
                continue
            fixed[path] = _listed(values)
        elif len(values) == 1:
            only = values[0]
            fixed[path] = Setting(value=only.value, tokens=only.tokens, note=only.note)
        else:
            many[path] = values
    if COUNT in many and len(many) == 1:
        first, *others = _owned_first(scene, many.pop(COUNT))
        fixed[COUNT] = Setting(value=first.value, tokens=first.tokens, note=first.note)
        fixed[WHAT_IF] = Setting(
            value=[o.value for o in others],
            tokens=tuple(t for o in others for t in o.tokens),
            note="the other numbers of devices are priced beside the first",
        )
    _told(scene, leaf, bounds, many, fixed, result)
    _fallback(scene, leaf, many, fixed)
    if not many:
        return [fixed]
    _contradictions(scene, many, compares, slots, result)
    _either(scene, many, slots, result)
    rows = _rows(many)
    if len(rows) > MAX_VARIANTS:
        result.doubts.append(
            Doubt(
                about="size",
                text=f"That would be {len(rows)} jobs for one file. Which of them are wanted?",
                tokens=tuple(
                    t for values in many.values() for o in values for t in o.tokens
                ),
                rank=1,
            )
        )
        rows = rows[:MAX_VARIANTS]
    return [
        fixed
        | {
            p: Setting(value=o.value, tokens=o.tokens, note=o.note)
            for p, o in row.items()
            if o.value is not None
        }
        for row in rows
    ]


def _fallback(
    scene: Scene,
    leaf: Leaf,
    many: dict[str, list[_Option]],
    fixed: dict[str, Setting],
) -> None:
    """Make "if that fails, try SCIP" a second job beside one with the default engine."""
    engine = fixed.get("spec.engine")
    if engine is None or not engine.tokens:
        return
    for mark in scene.marks("fails"):
        if (
            0 < engine.tokens[0] - mark.start <= 14
            and min(leaf.mentions, default=0) < mark.start
        ):
            del fixed["spec.engine"]
            many["spec.engine"] = [
                _Option(value=None, tokens=(min(leaf.mentions, default=0),)),
                _Option(value=engine.value, tokens=engine.tokens, note=engine.note),
            ]
            return


def _one_each(scene: Scene) -> bool:
    """Return whether the goal asks for one run for each value of a list."""
    return any(
        scene.words(item.start, item.end).lower()
        in ("per run", "each", "per job", "apiece", "a run", "a cell")
        for item in scene.marks("each")
    )


def _listed(values: Sequence[_Option]) -> Setting:
    flat: list[Any] = []
    for option in values:
        flat += option.value if isinstance(option.value, list) else [option.value]
    return Setting(
        value=flat,
        tokens=tuple(t for o in values for t in o.tokens),
        note="; ".join(dict.fromkeys(o.note for o in values if o.note)),
    )


def _rows(many: Mapping[str, list[_Option]]) -> list[dict[str, _Option]]:
    """Return the combinations: alternating values go together, lists are crossed."""
    paths = list(many)
    together: list[list[str]] = []
    for path in paths:
        for group in together:
            if _alternate(many[group[0]], many[path]):
                group.append(path)
                break
        else:
            together.append([path])
    axes = [
        [{path: many[path][i] for path in group} for i in range(len(many[group[0]]))]
        for group in together
    ]
    return [
        {path: option for part in parts for path, option in part.items()}
        for parts in itertools.product(*axes)
    ]


def _alternate(left: Sequence[_Option], right: Sequence[_Option]) -> bool:
    """Return whether two slots' values alternate in the text: "HiGHS 30 s, CP-SAT 60 s"."""
    if len(left) != len(right):
        return False
    order = sorted([(o.tokens[0], 0) for o in left] + [(o.tokens[0], 1) for o in right])
    sides = [side for _, side in order]
    return all(sides[i] != sides[i + 1] for i in range(0, len(sides), 2))


def _contradictions(
    scene: Scene,
    many: Mapping[str, list[_Option]],
    compares: bool,
    slots: Mapping[str, Any],
    result: Drafts,
) -> None:
    """Ask when one slot has several values and nothing says that they are to be compared."""
    for path, values in many.items():
        alone = not any(
            _alternate(values, other) for p, other in many.items() if p != path
        )
        listed = len({o.tokens for o in values}) == 1
        places = sorted(o.tokens[0] for o in values)
        listed = (
            listed
            or _one_and_one(scene, places)
            or any(places[0] < m.start < places[-1] for m in scene.marks("then"))
        )
        if (
            path in (SECONDS, MEMORY, "budget.target_gap", "spec.objective")
            and alone
            and not compares
            and not listed
        ):
            shown = [_text(o.value) for o in values]
            result.doubts.append(
                Doubt(
                    about=path.removeprefix("spec.").replace(".0.", "."),
                    text=f"{slots[path].title}: the goal states {', '.join(shown)}. Which holds?",
                    options=tuple(shown[:5]),
                    tokens=tuple(t for o in values for t in o.tokens),
                    rank=1,
                )
            )
    del scene


def _either(
    scene: Scene,
    many: dict[str, list[_Option]],
    slots: Mapping[str, Any],
    result: Drafts,
) -> None:
    """Ask which engine is meant by "HiGHS or SCIP" where nothing asks for a comparison."""
    row = many.get(ENGINE, [])
    if len(row) != 2:
        return
    left, right = sorted(row, key=lambda o: o.tokens[0])
    between = [scene.word(i) for i in range(left.tokens[-1] + 1, right.tokens[0])]
    compares = any(
        scene.words(mark.start, mark.end).lower() != "or"
        for mark in scene.marks("compare", "what_if", "each", "again")
    )
    asks = any(token.word in ("?", "which", "whether", "both") for token in scene.tokens)
    if between == ["or"] and not compares and not asks:
        many[ENGINE] = [left]
        result.doubts.append(
            Doubt(
                about="engine",
                text=f"{slots[ENGINE].title}: {left.value} or {right.value}?",
                options=(str(left.value), str(right.value)),
                tokens=(*left.tokens, *right.tokens),
                rank=1,
            )
        )


def _one_and_one(scene: Scene, places: Sequence[int]) -> bool:
    """Return whether values are told off one by one: "one small version and one fast one"."""
    return any(
        (scene.word(i) == "1" and not scene.tokens[i].exact) or scene.word(i) == "once"
        for i in range(max(0, places[0] - 3), places[-1])
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


__all__ = ["HARDWARE", "Draft", "Drafts", "Setting", "drafts_of"]
