"""Target triples that follow from a processor: a Cortex-M3 runs thumbv7m code and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from search.domains.plan.reading.drafting.option import Option
from search.domains.plan.reading.scene import Scene
from search.domains.plan.reading.slots import words_of

_FAMILIES = ("cortex", "stm32", "rp2040")
_CPU, _TRIPLE = "spec.target.cpu", "spec.target.triple"


def add_triples(scene: Scene, kind: str, options: dict[str, list[Option]]) -> None:
    """Add the triple of the processor where the goal names none.

    Processors that run under several systems (Cortex-A) have no row and stay a question, as does
    "an M4", which other makers sell too. Two processors give two triples that go with them.
    """
    words = words_of(kind)
    assert words is not None
    triples: Mapping[str, str] = words.table("triples")
    cpus = options.get(_CPU, [])
    if not cpus or _TRIPLE in options or any(o.value not in triples for o in cpus):
        return
    said = [scene.words(o.tokens[0], o.tokens[-1] + 1).lower() for o in cpus]
    if not all(any(name in words for name in _FAMILIES) for words in said):
        return
    options[_TRIPLE] = [
        Option(
            value=triples[option.value],
            tokens=option.tokens,
            note=f"{option.value} runs {triples[option.value]}",
        )
        for option in cpus
    ]
