"""Numbers of a goal that describe a file, "these 200 tables", held against the file itself."""

from __future__ import annotations

from search.domains.plan.reading.quantities.quantity import Quantity, Shape
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.stems import vocabulary
from search.domains.plan.types import FileRole, Reading

# Noun → fact of a list of tables; a row of the list is a table.
_NOUNS = {
    "tables": "tables",
    "rows": "tables",
    "features": "tables",
    "embeddings": "tables",
    "columns": "columns",
}
_SHARED = vocabulary("each per every")
_NEAR = 4


def describes_file(scene: Scene, quantity: Quantity, reading: Reading) -> bool:
    """Account for a number that counts what is in a file of a job; a wrong one gets a note.

    A number that more than one file could be meant by, and that fits none, is left alone.
    """
    if (
        quantity.shape is not Shape.SINGLE
        or quantity.units
        or quantity.suffix
        or not quantity.exact
    ):
        return False
    noun = next(
        (
            i
            for i in (quantity.end, quantity.end + 1)
            if scene.word(i) in _NOUNS
            and scene.sentence(i) == scene.sentence(quantity.start)
        ),
        None,
    )
    near = range(quantity.start - _NEAR, quantity.end + _NEAR)
    if noun is None or any(scene.word(i) in _SHARED for i in near):
        return False
    word = scene.word(noun)
    names = dict.fromkeys(n for wish in reading.wishes for n in wish.files.values())
    counts = {
        name: scene.files[name].facts[_NOUNS[word]]
        for name in names
        if name in scene.files
        and FileRole.TABLES in scene.files[name].roles[:1]
        and _NOUNS[word] in scene.files[name].facts
    }
    stated = quantity.numbers[0]
    if stated not in counts.values():
        if len(counts) != 1:
            return False
        ((name, count),) = counts.items()
        words = scene.words(quantity.start, noun + 1)
        scene.notes.append(f"the goal says “{words}”, {name} has {count:,}")
    scene.use(range(quantity.start, noun + 1), "describes the input")
    return True
