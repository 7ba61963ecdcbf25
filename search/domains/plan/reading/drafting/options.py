"""Values that each slot of a job may have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search.domains.plan.reading.bands import Frequencies, bands_of
from search.domains.plan.reading.binding.bound import Bound
from search.domains.plan.reading.drafting.devices import (
    count_devices,
    subtract_taken,
    whole_batch,
)
from search.domains.plan.reading.drafting.draft import BATCH, NODES, SECONDS, Drafts
from search.domains.plan.reading.drafting.numbers import numbers_of
from search.domains.plan.reading.drafting.option import Option, drop_repeats
from search.domains.plan.reading.drafting.preferences import (
    drop_contradicted,
    drop_imprecise,
    drop_plain_size,
    drop_replaced,
    take_what_is_left,
)
from search.domains.plan.reading.drafting.questions import (
    each_or_total,
    out_of_range,
    which_slot,
)
from search.domains.plan.reading.drafting.targets import add_triples
from search.domains.plan.reading.jobs.leaf import Leaf
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of


def options_of(
    scene: Scene, leaf: Leaf, bounds: Sequence[Bound], result: Drafts
) -> tuple[dict[str, list[Option]], dict[str, tuple[int, ...]]]:
    """Return slot → values in the order of the text, and the values that are ruled out."""
    options: dict[str, list[Option]] = {}
    removed: dict[str, tuple[int, ...]] = {}
    result.doubts += each_or_total(scene, bounds, leaf)
    frequencies: list[Frequencies] = []
    slots = scene.lexicon.slots[leaf.kind]
    for bound in bounds:
        path = bound.paths[leaf.kind]
        values = bound.values[leaf.kind]
        scene.use(bound.tokens, path)
        if path == BATCH:
            values = whole_batch(scene, bound, values, bounds)
        if path.endswith("_hz") or path == "_bandwidth":
            frequencies.append(Frequencies(path=path, bound=bound, values=values))
            continue
        if bound.removes:
            for value in values:
                removed[f"{path}={value}"] = bound.tokens
            continue
        if bound.rivals:
            result.doubts.append(which_slot(scene, bound, slots[path].title))
        values = numbers_of(scene, bound, path, values, result)
        for value in values:
            beyond = (
                out_of_range(scene, bound, slots[path], value) if path in slots else []
            )
            result.doubts += beyond
            if beyond and path == SECONDS:
                continue  # it is asked for; the job has no value that no job can have
            option = Option(
                value=value, tokens=bound.tokens, note=bound.note, strong=bound.strong
            )
            options.setdefault(path, []).append(option)
    drop_repeats(options)
    subtract_taken(scene, options)
    drop_replaced(scene, options)
    drop_plain_size(scene, options)
    drop_contradicted(options)
    drop_imprecise(scene, slots, options)
    _ignored(scene, leaf, options)
    _material(scene, leaf, options)
    options = {
        path: row for path, row in options.items() if path == NODES or path[0] != "_"
    }
    if leaf.kind == "sharding":
        count_devices(scene, options, bounds)
    if frequencies:
        settings, doubts = bands_of(scene, frequencies)
        result.doubts += doubts
        for path, (value, tokens, note) in settings.items():
            options[path] = [Option(value=value, tokens=tokens, note=note)]
        options = _many_bands(options, settings)
    add_triples(scene, leaf.kind, options)
    take_what_is_left(scene, slots, options, removed, result)
    return options, removed


def _material(scene: Scene, leaf: Leaf, options: dict[str, list[Option]]) -> None:
    """Take the permittivity of a board's material where none is stated; the default is another."""
    path = "spec.board.eps_r"
    if leaf.kind != "antenna" or path in options:
        return
    words = words_of(leaf.kind)
    assert words is not None
    for name, value in words.table("materials").items():
        name_words = name.split()
        for i in range(len(scene.tokens)):
            places: list[int] = []
            at = i
            for word in name_words:
                at += bool(places) and scene.word(at) == "-"
                if scene.word(at) != word:
                    break
                places.append(at)
                at += 1
            else:
                note = f"{name.upper()} is read as permittivity {value:g}"
                options[path] = [Option(value=value, tokens=tuple(places), note=note)]
                return


def _ignored(scene: Scene, leaf: Leaf, options: Mapping[str, list[Option]]) -> None:
    """Say what a figure that sets nothing means, as the kind's words have it."""
    words = words_of(leaf.kind)
    assert words is not None
    for path in options:
        note = words.table("slots").get(path, {}).get("ignored")
        if note:
            scene.notes.append(note)


def _many_bands(
    options: dict[str, list[Option]], settings: Mapping[str, Any]
) -> dict[str, list[Option]]:
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
