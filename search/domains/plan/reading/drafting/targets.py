"""Target triples that follow from a processor: a Cortex-M3 runs thumbv7m code and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from search.domains.plan.reading.drafting.option import Option
from search.domains.plan.reading.slots import words_of

_CPU, _TRIPLE = "spec.target.cpu", "spec.target.triple"


def add_triples(kind: str, options: dict[str, list[Option]]) -> None:
    """Add the triple of the processor where the goal names none.

    Processors that run under several systems (Cortex-A) have no row and stay a question. Two
    processors give two triples that go with them.
    """
    words = words_of(kind)
    assert words is not None
    triples: Mapping[str, str] = words.table("triples")
    cpus = options.get(_CPU, [])
    if not cpus or _TRIPLE in options or any(o.value not in triples for o in cpus):
        return
    options[_TRIPLE] = [
        Option(
            value=triples[option.value],
            tokens=option.tokens,
            note=f"{option.value} runs {triples[option.value]}",
        )
        for option in cpus
    ]
