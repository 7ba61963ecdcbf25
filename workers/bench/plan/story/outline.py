"""Outline of a story, breadth-first as in DOC: candidates of the language model, filtered, chosen.

DOC (arXiv 2212.10077, section 3.2) asks a model that can insert text, drops candidates by rules and
an entailment model, and chooses by an order model. Here the embedded model continues the outline
so far; entailment is judged by shared content words, and the order model is the language model's
own likelihood of the candidate after what precedes it. Copies of an item above are dropped, which
the paper allows: a small model writes little else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.text_model import Ended, Sampling, TextModel, TextRequest
from workers.bench.plan.story.words import content, repeats

Data = dict[str, Any]
DEPTH, CHILDREN, CANDIDATES, ATTEMPTS = 3, 2, 2, 3
_TOKENS = 28
_FORBIDDEN = re.compile(r"[_=+\[\]\\/{}|<>^&*#@~`:]")
_COMMANDS = """
write describe explain discuss introduce list include use create make develop imagine consider
remember think start begin add show tell ask try
"""
_IMPERATIVE = frozenset(_COMMANDS.split())
_SAME = 0.6  # share of content words
_EXAMPLE = """Premise: A young sailor steals a map from a dying captain and looks for its island.
Events:
1. The sailor takes the map from the captain's hand.
2. A storm drives the ship onto a reef.
3. The sailor finds the captain's old hut behind the palms.
"""


@dataclass(kw_only=True, eq=False)
class Node:
    """An item of the outline. The root stands for the premise."""

    text: str
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Edges from the root."""
        return 0 if self.parent is None else self.parent.depth + 1

    def as_data(self) -> Data:
        """Return the item and all below as JSON data."""
        return {"text": self.text, "children": [c.as_data() for c in self.children]}

    @classmethod
    def of(cls, data: Data, parent: Node | None = None) -> Node:
        """Return the item of `as_data`."""
        node = cls(text=data["text"], parent=parent)
        node.children = [cls.of(child, node) for child in data["children"]]
        return node

    def ancestors(self) -> list[Node]:
        """Return the items above, the root first."""
        if self.parent is None:
            return []
        return [*self.parent.ancestors(), self.parent]

    def walk(self) -> Iterator[Node]:
        """Yield this item and all below, in the order of the story."""
        yield self
        for child in self.children:
            yield from child.walk()

    def leaves(self) -> list[Node]:
        """Return the items without children below the first one, in the order of the story."""
        outline = self.children[0].walk() if self.children else ()
        return [node for node in outline if not node.children]


def outline_of(premise: str, model: TextModel, *, seed: int) -> Node:
    """Return an outline with 2 children an item, of depth 3 below its first item.

    The story is told up to the end of its first item, the part that the paper compares, so the
    others stay as they are: what comes next. Items that get no children stay leaves.
    """
    root = Node(text=premise)
    _expand(root, root, model, seed)
    level = root.children[:1]
    for _ in range(DEPTH - 1):
        for node in level:
            _expand(root, node, model, seed)
        level = [child for node in level for child in node.children]
    return root


def _expand(root: Node, node: Node, model: TextModel, seed: int) -> None:
    """Give an item its children: 3 attempts, hotter each time."""
    for attempt in range(ATTEMPTS):
        node.children.clear()
        for _ in range(CHILDREN):
            text = _child(root, node, model, seed, temperature=0.9 + 0.1 * attempt)
            if text is None:
                break
            node.children.append(Node(text=text, parent=node))
        if len(node.children) == CHILDREN:
            return
    node.children.clear()


def _child(
    root: Node, node: Node, model: TextModel, seed: int, *, temperature: float
) -> str | None:
    above = [*node.ancestors(), node]
    others = [other for other in root.walk() if other.parent and other not in above]
    copied = [item.text for item in above]
    number = sum(1 for _ in root.walk())
    scored: list[tuple[float, str]] = []
    for candidate in range(CANDIDATES):
        how = Sampling(
            max_tokens=_TOKENS,
            temperature=temperature,
            top_p=0.95,
            seed=(seed * 1009 + number) * 101 + candidate + round(temperature * 10) * 7,
            stop=("\n",),
        )
        request = TextRequest(prompt=_prompt(node), sampling=how)
        tokens = list(model.generate(request, Ended()))
        text = first_sentence("".join(token.text for token in tokens))
        copies = any(repeats(text, item) for item in copied)
        if not copies and fault(text, [other.text for other in others]) is None:
            scored.append((_score(node, text, [t.logprob or 0.0 for t in tokens]), text))
    return max(scored)[1] if scored else None


def _score(node: Node, text: str, logprobs: Sequence[float]) -> float:
    """Return the choice's value: near the parent, and likely after what precedes it."""
    likelihood = sum(logprobs) / max(1, len(logprobs))
    return shared(text, node.text) + 0.2 * likelihood


def _prompt(node: Node) -> str:
    """Return an example, the premise with the part to be expanded, and its events so far."""
    above = [*node.ancestors(), node]
    part = " ".join(item.text for item in above[:1] + above[1:][-2:])
    events = [f"{i + 1}. {child.text}" for i, child in enumerate(node.children)]
    number = len(node.children) + 1
    return "\n".join([_EXAMPLE, f"Premise: {part}", "Events:", *events, f"{number}."])


def first_sentence(text: str) -> str:
    """Return the first sentence of a candidate, or all of it where it has no end."""
    text = " ".join(text.split())
    match = re.match(r".*?[.!?](?=\s|$)", text)
    return match.group() if match else text


def fault(text: str, others: Sequence[str]) -> str | None:
    """Return the filter that drops a candidate, None when it passes all of them."""
    words = text.split()
    if not 4 <= len(words) <= 40:
        return "length"
    if text.endswith("?") or words[0].lower() in _IMPERATIVE:
        return "not declarative"
    if not text[0].isupper() or text[-1] not in ".!":
        return "not a sentence"
    if _FORBIDDEN.search(text):
        return "characters"
    if any(repeats(text, other) for other in others):
        return "repetition"
    if any(shared(text, other) > _SAME for other in others):
        return "same event"
    return None


def shared(text: str, other: str) -> float:
    """Return the share of a text's content words that another one has."""
    own = content(text)
    return len(own & content(other)) / len(own) if own else 0.0
