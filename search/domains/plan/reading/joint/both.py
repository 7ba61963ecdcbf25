"""Two readers of one goal: the rules, and the learned model of whole graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search.domains.plan.reading import bounds
from search.domains.plan.reading.glossary import LANGUAGES
from search.domains.plan.reading.graphs.types import ReadGraph
from search.domains.plan.reading.joint.readings import Context, Unusable, reading_of
from search.domains.plan.reading.language import foreign_language
from search.domains.plan.reading.lexicon import lexicon_of
from search.domains.plan.reading.scene import scene_of
from search.domains.plan.types import FileFacts, Reading
from trimtab.specs.common import Spec


def learned_reading(
    graph: ReadGraph,
    goal: str,
    files: Sequence[FileFacts],
    rules: Reading,
    answers: Mapping[str, str],
    specs: Mapping[str, type[Spec]],
) -> Reading | str:
    """Return the reading of a graph; why it is none, where its words state no jobs."""
    text = bounds.fold(goal)
    language = foreign_language(text.folded)
    if language is not None and language not in LANGUAGES:
        return f"goal: expected English, German or French, got {language}"
    scene = scene_of(text, files, lexicon_of(tuple(sorted(specs.items()))), language)
    context = Context(
        scene=scene, specs=specs, files={file.name: file for file in files}, rules=rules
    )
    try:
        return reading_of(graph, context, answers)
    except Unusable as error:
        return str(error)
