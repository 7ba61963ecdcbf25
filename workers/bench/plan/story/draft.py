"""Draft a story: leaf by leaf in substeps, with candidates, a rank and control.

Arms, all with the same number of tokens:

* `rolling`: the premise and the latest text, no outline, one candidate;
* `no-outline`: the item of depth 1 alone, with control;
* `no-control`: all leaves, strengths 0;
* `full`: all leaves, with control.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.condition import Condition
from search.control import leaf_conditions
from search.text_model import Ended, Sampling, TextModel, TextRequest
from workers.bench.plan.story.outline import Node, shared
from workers.bench.plan.story.words import overlap

ARMS = ("rolling", "no-outline", "no-control", "full")
SUBSTEPS, TOKENS, CANDIDATES = 3, 16, 2
"""Of a leaf, of a substep, and for each substep. DOC: 8, 64 and 8."""
PAPER_SUBSTEPS = 8
_SHOWN_WORDS = 32  # of the latest text
_REPETITION = 5.0
_TEMPERATURE = 0.8
_SPECIAL = 17  # first tokens of the embedded model's vocabulary, all special


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Text of one leaf."""

    leaf: str
    text: str


def draft(arm: str, outline: Node, model: TextModel, *, seed: int) -> list[Passage]:
    """Return the passages of a story, in order."""
    leaves = outline.leaves()
    if arm == "rolling":
        return _rolling(outline, leaves, model, seed)
    items = outline.children[:1] if arm == "no-outline" else leaves
    substeps = SUBSTEPS * len(leaves) // len(items)
    story = ""
    passages = []
    for place, item in enumerate(items):
        written = ""
        for step in range(substeps):
            prompt = _prompt(outline, items, place, story + written)
            # The ramp of the paper's eight substeps, over as many as there are.
            rise = step * PAPER_SUBSTEPS // substeps
            control = () if arm == "no-control" else leaf_conditions(item.text, rise)
            number = place * substeps + step
            texts = [
                _write(
                    model,
                    prompt,
                    control,
                    TOKENS,
                    (seed * 1000 + number) * 10 + candidate,
                )
                for candidate in range(CANDIDATES)
            ]
            written += max(
                texts, key=lambda each: _rank(item.text, story + written, *each)
            )[0]
        passages.append(Passage(leaf=item.text, text=written))
        story += written
    return passages


def _rolling(
    outline: Node, leaves: Sequence[Node], model: TextModel, seed: int
) -> list[Passage]:
    story, passages = "", []
    for place, leaf in enumerate(leaves):
        prompt = f"Premise: {outline.text}\n\nThe story:\n{_tail(story)}"
        text, _ = _write(model, prompt, (), SUBSTEPS * TOKENS, seed * 1000 + place)
        passages.append(Passage(leaf=leaf.text, text=text))
        story += text
    return passages


def _prompt(outline: Node, items: Sequence[Node], place: int, story: str) -> str:
    """Return premise, current and next item, and the latest text."""
    lines = [f"Premise: {outline.text}"]
    lines.append(f"In the upcoming passage: {items[place].text}")
    after = [*items[place + 1 :], *outline.children[1:]]
    lines += [f"After that: {item.text}" for item in after[:1]]
    return "\n".join(lines) + f"\n\nThe story:\n{_tail(story)}"


def _tail(story: str) -> str:
    """Return the latest words, verbatim, without a space at the end."""
    cut = story.rstrip().split(" ")
    return " ".join(cut[-_SHOWN_WORDS:]).lstrip()


def _write(
    model: TextModel,
    prompt: str,
    control: tuple[Condition, ...],
    tokens: int,
    seed: int,
) -> tuple[str, float]:
    """Return a continuation in one paragraph and its mean log-probability."""
    how = Sampling(max_tokens=tokens, temperature=_TEMPERATURE, top_p=0.95, seed=seed)
    request = TextRequest(prompt=prompt, sampling=how, control=control)
    made = list(model.generate(request, Ended(), hook=endless))
    # One paragraph: the story goes on in the next substep, perhaps within a word.
    text = re.sub(r"\s+", " ", "".join(token.text for token in made))
    logprobs = [token.logprob or 0.0 for token in made]
    return text, sum(logprobs) / max(1, len(logprobs))


def endless(tokens: Sequence[int], logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Forbid the tokens that end a text, so that all arms write the same number of tokens."""
    logits[:_SPECIAL] = -np.inf
    return logits


def _rank(leaf: str, story: str, text: str, logprob: float) -> float:
    """Return relevance + coherence - repetition, none of them by the judge or the controller."""
    return shared(leaf, text) + 0.5 * logprob - _REPETITION * overlap(text, story)
