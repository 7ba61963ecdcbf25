"""Jobs of kinds that need no file."""

from __future__ import annotations

from search.domains.plan.reading.designs import cuts_of, mentions_of
from search.domains.plan.reading.jobs.leaf import Found, Leaf
from search.domains.plan.reading.lexicon import Phrase, Role
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of
from search.domains.plan.reading.tokens import Form


def add_without_files(scene: Scene, found: Found) -> None:
    """Add jobs of kinds that need no file: one for each separate mention with a quantity."""
    for kind in scene.lexicon.kinds:
        words = words_of(kind)
        assert words is not None
        if not words.table("job").get("no_file"):
            continue
        nouns = [
            phrase
            for phrase in scene.items
            if any(s.kind == kind and s.role is Role.NOUN for s in phrase.senses)
        ]
        strong = bool(nouns) or (
            not found.leaves
            and any(
                "Hz" in {u.dimension.value for u in q.units} for q in scene.quantities
            )
        )
        strong = strong or _names_a_band(scene)
        if strong:
            found.leaves += _separate(scene, kind, nouns)


def _names_a_band(scene: Scene) -> bool:
    """Return whether two numbers with one unit of frequency are a band: "1.85-1.99 GHz"."""
    return any(
        len(q.numbers) == 2 and "Hz" in {u.dimension.value for u in q.units}
        for q in scene.quantities
    )


def _separate(scene: Scene, kind: str, nouns: list[Phrase]) -> list[Leaf]:
    """Return one job, or as many as "two antennas: one for ..., one for ..." says."""
    for phrase in nouns:
        token = scene.tokens[phrase.start - 1] if phrase.start else None
        count = int(token.value) if token and token.value and token.value <= 8 else 1
        bands = [
            q for q in scene.quantities if "Hz" in {u.dimension.value for u in q.units}
        ]
        if count > 1 and len(bands) == count and phrase.start < bands[0].start:
            scene.use([phrase.start - 1], "number of jobs")
            return [Leaf(kind=kind, mentions=[max(0, band.start - 1)]) for band in bands]
    mentions = [phrase.start for phrase in nouns]
    labels = _without_file(scene, _labels(scene))
    if len(labels) > 1:
        return [Leaf(kind=kind, mentions=[i, *_uses(scene, i)]) for i in labels]
    cuts = cuts_of(scene)
    if not cuts:
        return [Leaf(kind=kind, mentions=mentions or [0])]
    return [Leaf(kind=kind, mentions=m) for m in mentions_of(scene, cuts, mentions)]


def _without_file(scene: Scene, labels: list[int]) -> list[int]:
    """Return the labels whose part names no file: such a part is a job of another kind."""
    ends = [*labels[1:], len(scene.tokens)]
    return [
        label
        for label, end in zip(labels, ends, strict=False)
        if not any(scene.tokens[i].form is Form.FILE for i in range(label, end))
    ]


def _labels(scene: Scene) -> list[int]:
    """Return the places of labels at the start of a line or sentence: "Sample A:", "Run 2:"."""
    labels = []
    for i in range(len(scene.tokens) - 2):
        starts = i == 0 or scene.ends_sentence(i - 1)
        name = scene.tokens[i + 1]
        short = (len(name.text) == 1 and name.text.isupper()) or name.form is Form.NUMBER
        if (
            starts
            and scene.tokens[i].form is Form.WORD
            and short
            and scene.word(i + 2) in (":", ")")
        ):
            scene.use([i, i + 1], "label")
            labels.append(i + 1)
    return labels


def _uses(scene: Scene, label: int) -> list[int]:
    """Return the later places of a label: "as A", "like sample A"."""
    text = scene.tokens[label].text
    tokens = [
        i
        for i, token in enumerate(scene.tokens)
        if token.text == text
        and scene.word(i - 1) in ("as", "like", "sample", "run", "than", "of")
        and i != label
    ]
    scene.use(tokens, "label")
    return tokens
