"""Numbers, memory and batches of devices and nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search.domains.plan.reading.binding.bound import COUNT, Bound
from search.domains.plan.reading.drafting.draft import BATCH, MEMORY, NODES, PER_NODE
from search.domains.plan.reading.drafting.option import Option
from search.domains.plan.reading.quantities.quantity import Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary

_EACH = vocabulary("gpu card device accelerator gpus cards devices one rank")
_CLAUSE_OF_COUNT = 1.4
_TAKEN = vocabulary(
    "taken occupied sits reserved already gone needs need occupy occupies takes uses eaten blocked "
    "swallowed belongs dense kept subtract minus deduct lost held eats takes"
)
_OWNED = vocabulary("own have has our today currently now existing present owned use got")
_THOUGHT = vocabulary(
    "whether would if instead buy buying upgrade pay worth help could enough gain adding"
)


def count_devices(
    scene: Scene, options: dict[str, list[Option]], bounds: Sequence[Bound]
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
        options[PER_NODE] = [Option(value=inner, tokens=pair.tokens, note=note)]
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
            Option(
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
        options[PER_NODE] = [Option(value=inner, tokens=(*count.tokens, *node.tokens))]
        return
    options[COUNT] = [
        Option(
            value=node.value * count.value,
            tokens=(*node.tokens, *count.tokens),
            note=f"{node.value} nodes of {count.value} devices",
        )
    ]
    if not per_node and node.value > 1:
        options[PER_NODE] = [Option(value=count.value, tokens=count.tokens)]


def whole_batch(
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


def subtract_taken(scene: Scene, options: dict[str, list[Option]]) -> None:
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
        options[MEMORY] = [Option(value=left, tokens=tokens, note=note)]


def owned_first(scene: Scene, row: list[Option]) -> list[Option]:
    """Put the number of devices that there are before those that are only thought of."""

    def thought_of(option: Option) -> float:
        low, high = min(option.tokens) - 6, max(option.tokens) + 7
        near = [
            scene.word(i)
            for i in range(max(0, low), min(high, len(scene.tokens)))
            if scene.crossing(i, option.tokens[0]) < _CLAUSE_OF_COUNT
        ]
        return sum(w in _THOUGHT for w in near) - sum(w in _OWNED for w in near)

    return sorted(row, key=thought_of) if len(row) == 2 else row
