"""Texts and their labels, as DOC's controller data has them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.workers.train.text.toy import ToyReader, toy_sections
from workers.train.text.texts import (
    COMPLETION_TOKENS,
    PREFIX_TOKENS,
    Drawer,
    judged,
    with_slots,
)

FOUND = toy_sections()


@pytest.fixture(scope="module")
def drawer() -> Drawer:
    return Drawer(FOUND, "train", ToyReader().encode)


def test_texts_come_from_their_sections(drawer: Drawer) -> None:
    rng = np.random.default_rng(0)
    encode = ToyReader().encode
    texts = [drawer.draw(rng) for _ in range(300)]
    said = {i: encode(" ".join(s.sentences)) for i, s in enumerate(FOUND)}
    for text in texts:
        assert len(text.prefix) <= PREFIX_TOKENS
        assert 1 <= len(text.completion) <= COMPLETION_TOKENS
        assert text.lead or text.prefix
        for number in (text.prefix_item, text.item):
            assert FOUND[number].part == "train"
    # Word for word where no number was replaced by a slot.
    assert sum(_within(text.completion, said[text.item]) for text in texts) > 100
    spliced = [text for text in texts if text.spliced]
    assert 100 < len(spliced) < 200
    near = [FOUND[t.item].document == FOUND[t.prefix_item].document for t in spliced]
    assert 30 < sum(near) < len(spliced) - 30


def _within(part: tuple[int, ...], whole: list[int]) -> bool:
    size = len(part)
    return any(tuple(whole[i : i + size]) == part for i in range(len(whole) - size + 1))


def test_labels(drawer: Drawer) -> None:
    rng = np.random.default_rng(0)
    for first, second in ((0, 0), (0, 1), (0, 100)):
        for _ in range(20):
            rows = judged(drawer, {"prefix_item": first, "item": second}, rng)
            assert [row.item for row in rows if row.label] == [second]
            assert len({row.item for row in rows}) == len(rows) >= 3
            drifted = [row.item for row in rows if row.hard and not row.label]
            assert drifted == ([first] if first != second else [])


def test_slots_take_the_place_of_numbers() -> None:
    rng = np.random.default_rng(0)
    text = with_slots("It took 3.5 s for 1,024 rows, not 7.", rng)
    assert re.fullmatch(r"It took \{..\} s for \{..\} rows, not \{..\}\.", text)
    assert not any(c.isdigit() for c in text)
