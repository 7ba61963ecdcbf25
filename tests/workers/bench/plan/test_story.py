"""Story mode: filters of the outline, arms of the draft, adherence and its interval."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.control import ramp
from search.text_model import Capabilities, Ended, Finish, TextRequest, Token
from workers.bench.plan.story.draft import ARMS, CANDIDATES, SUBSTEPS, TOKENS, draft
from workers.bench.plan.story.outline import Node, fault, outline_of
from workers.bench.plan.story.premises import PREMISES
from workers.bench.plan.story.run import (
    adherence,
    judged,
    paired,
    windows,
    write_stories,
)
from workers.bench.plan.story.words import distinct, overlap, rep, repeats

_NOUNS = "door river clock letter garden bridge engine window mirror candle tower market"
NOUNS = _NOUNS.split()
_VERBS = "opens breaks finds burns hides sells paints follows carries builds drops steals"
VERBS = _VERBS.split()


class Writer:
    """A text model that answers with a random sentence, and keeps its requests."""

    capabilities = Capabilities(name="writer", context_tokens=10_000)

    def __init__(self, *, bad: bool = False) -> None:
        self.requests: list[TextRequest] = []
        self._bad = bad

    def tokenize(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def score(self, prompt: str, continuations: Sequence[str]) -> list[float]:
        return [-float(len(text.split())) for text in continuations]

    def close(self) -> None:
        pass

    def generate(
        self, request: TextRequest, ended: Ended, **_: object
    ) -> Iterator[Token]:
        self.requests.append(request)
        rng = random.Random(request.sampling.seed)
        words = [rng.choice(NOUNS), rng.choice(VERBS), "the", rng.choice(NOUNS)]
        said = f"The {' '.join(words)} near the {rng.choice(NOUNS)}."
        ended.finish = Finish.STOP
        yield Token(id=1, text="Write about it?" if self._bad else said, logprob=-1.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("The keeper rows out to the lamp.", None),
        ("Does the keeper row out to the lamp?", "not declarative"),
        ("Describe how the keeper rows out.", "not declarative"),
        ("the keeper rows out to the lamp.", "not a sentence"),
        ("The keeper rows out to the", "not a sentence"),
        ("Too short.", "length"),
        ("The keeper [name] rows out to the lamp.", "characters"),
        ("A girl opens the old clock shop.", "repetition"),
        ("In the old shop, the clock of a girl opens.", "same event"),
    ],
)
def test_filters(text: str, why: str | None) -> None:
    assert fault(text, ["A girl opens the old clock shop!"]) == why


def test_the_first_item_of_an_outline_has_three_levels() -> None:
    root = outline_of(PREMISES[0], Writer(), seed=3)
    assert [len(child.children) for child in root.children] == [2, 0]
    assert len(root.leaves()) == 4
    assert {leaf.depth for leaf in root.leaves()} == {3}
    nodes = [node for node in root.walk() if node.parent]
    for i, node in enumerate(nodes):
        assert not any(repeats(node.text, other.text) for other in nodes[:i])
    again = outline_of(PREMISES[0], Writer(), seed=3)
    assert [node.text for node in again.walk()] == [node.text for node in root.walk()]


def test_an_outline_without_candidates_is_a_premise() -> None:
    assert outline_of(PREMISES[0], Writer(bad=True), seed=0).leaves() == []


def tree() -> Node:
    """Two items, the first with four leaves."""
    root = Node(text="A premise.")
    first, second = (Node(text=item, parent=root) for item in ("One.", "Two."))
    first.children = [Node(text=f"Leaf {name}.", parent=first) for name in "abcd"]
    root.children = [first, second]
    return root


@pytest.mark.parametrize("arm", ARMS)
def test_arms(arm: str) -> None:
    writer, outline = Writer(), tree()
    passages = draft(arm, outline, writer, seed=0)
    asked = [request.sampling.max_tokens for request in writer.requests]
    assert sum(asked) == (1 if arm == "rolling" else CANDIDATES) * 4 * SUBSTEPS * TOKENS
    held = [[c.strength for c in request.control] for request in writer.requests]
    match arm:
        case "full":
            steps = [value for value in (0.0, 6.0, 10.0) for _ in range(CANDIDATES)]
            assert held == [[strength] for strength in steps * 4]
            texts = [request.control[0].text for request in writer.requests]
            assert list(dict.fromkeys(texts)) == [leaf.text for leaf in outline.leaves()]
        case "no-outline":
            steps = [
                ramp(8 * step // 12) for step in range(12) for _ in range(CANDIDATES)
            ]
            assert held == [[strength] for strength in steps]
        case _:
            assert not any(held)
    assert len(passages) == (1 if arm == "no-outline" else 4)
    shown = [
        leaf.text
        for leaf in outline.leaves()
        if leaf.text in (writer.requests[0].prompt or "")
    ]
    assert bool(shown) == (arm in ("no-control", "full"))


def test_stories_resume() -> None:
    whole = list(write_stories(Writer(), [], premises=2, threads=2))
    stories = [line for line in whole if "arm" in line]
    assert len({(line["premise"], line["arm"]) for line in stories}) == 8
    # Outlines come first; they are kept, and not made again.
    assert [line["premise"] for line in whole[:2] if "outline" in line] == [0, 1]
    other = Writer(bad=True)
    rest = list(write_stories(other, whole[:7], premises=2, threads=2))
    assert not any("outline" in line for line in rest)
    assert {(line["premise"], line["arm"]) for line in rest} == {
        (line["premise"], line["arm"]) for line in whole[7:]
    }
    leaves = {line["premise"]: line["leaves"] for line in stories}
    assert all(line["leaves"] == leaves[line["premise"]] for line in rest)
    again = list(write_stories(Writer(), whole[:7], premises=2, threads=2))
    by_key = {(line["premise"], line["arm"]): line["passages"] for line in stories}
    for line in again:
        assert by_key[line["premise"], line["arm"]] == line["passages"]


class Letters:
    """A judge whose vectors count letters."""

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.array([[text.count(letter) for letter in "abcdefgh"] for text in texts])
        length = np.sqrt((rows**2).sum(1, keepdims=True)).clip(1e-9)
        vectors: NDArray[np.float32] = (rows / length).astype(np.float32)
        return vectors


def story(
    premise: int, arm: str, passages: Sequence[str], leaves: Sequence[str]
) -> dict[str, object]:
    figures = {"words": 4, "rep4": 0.1 * premise, "distinct2": 1.0, "perplexity": 9.0}
    told = [
        {"leaf": leaf, "text": text} for leaf, text in zip(leaves, passages, strict=True)
    ]
    return {
        "premise": premise,
        "arm": arm,
        "seed": 0,
        "leaves": list(leaves),
        "passages": told,
        **figures,
    }


def test_adherence_is_of_a_passage_to_its_own_leaf() -> None:
    lines = [
        story(0, "full", ["a a", " b b"], ["aa", "bb"]),
        story(0, "rolling", ["c c", " b b"], ["aa", "bb"]),
        story(1, "full", ["e e", " f f"], ["ee", "ff"]),
    ]
    told = adherence(lines, Letters())
    assert told[0, "full", 0] == [True, True]
    assert told[0, "rolling", 0] == [False, True]
    rows = list(judged(lines, Letters()))
    assert [row["told"] for row in rows] == [[True, True], [False, True], [True, True]]
    gap, low, high = paired(rows, "told", "full", "rolling")
    assert (gap, low, high) == (0.5, 0.5, 0.5)


@given(st.lists(st.sampled_from(NOUNS), min_size=1, max_size=60), st.integers(1, 9))
def test_windows_are_the_story(words: list[str], count: int) -> None:
    parts = windows(" ".join(words), count)
    assert len(parts) == count
    assert " ".join(part for part in parts if part).split() == words
    sizes = [len(part.split()) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_repetition() -> None:
    assert rep("a b c d a b c d", 4) == pytest.approx(1 / 5)
    assert distinct("one two one two", 2) == pytest.approx(2 / 3)
    assert overlap("x y z", "w x y z") == 1.0
    assert overlap("x y z", "z y x") == 0.0


def test_the_premises_are_as_long_as_the_papers() -> None:
    assert len(set(PREMISES)) == 20
    assert all(25 <= len(premise.split()) <= 60 for premise in PREMISES)
