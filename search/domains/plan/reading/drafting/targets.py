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
    cpus = options.get(_CPU, [])
    words = words_of(kind)
    if not cpus or _TRIPLE in options or words is None:
        return
    triples: Mapping[str, str] = words.table("triples")
    if any(option.value not in triples for option in cpus):
        return
    names = [scene.words(o.tokens[0], o.tokens[-1] + 1).lower() for o in cpus]
    if not all(any(family in name for family in _FAMILIES) for name in names):
        return
    options[_TRIPLE] = [
        Option(
            value=triples[option.value],
            tokens=option.tokens,
            note=f"{option.value} runs {triples[option.value]}",
        )
        for option in cpus
    ]
