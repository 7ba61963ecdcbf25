"""Text of a stream against the text of all bytes at once, for random cuts and stop strings."""

from __future__ import annotations

import random

import pytest

from workers.llm.emission import Emission

ALPHABET = ["a", "b", "ab", "é", "€", "😀", "\n", "\x00", "ba"]


def cut(content: bytes, rng: random.Random) -> list[bytes]:
    at = sorted(rng.sample(range(len(content) + 1), min(len(content), rng.randrange(6))))
    return [content[i:j] for i, j in zip([0, *at], [*at, len(content)], strict=True)]


@pytest.mark.parametrize("seed", range(60))
def test_any_cut_gives_the_same_text(seed: int) -> None:
    rng = random.Random(seed)
    text = "".join(rng.choices(ALPHABET, k=rng.randrange(30)))
    stop = tuple(
        "".join(rng.choices(ALPHABET, k=rng.randrange(1, 4))) for _ in range(seed % 3)
    )
    first = min((text.find(s) for s in stop if s in text), default=len(text))
    emission = Emission(stop)
    pieces = [emission.push(piece) for piece in cut(text.encode(), rng)]
    so_far = "".join(pieces)
    assert text[:first].startswith(so_far)
    assert emission.stopped == any(s in text for s in stop) or not emission.stopped
    assert so_far + emission.flush() == text[:first]
    assert emission.stopped == any(s in text for s in stop)
    assert not any("\ufffd" in piece for piece in pieces)
    assert emission.push(b"more") == "" or not emission.stopped


def test_text_is_held_no_longer_than_needed() -> None:
    emission = Emission(("stop",))
    assert emission.push(b"a st") == "a "
    assert emission.push(b"ar") == "star"
    assert emission.push("é".encode()[:1]) == ""
    assert emission.push("é".encode()[1:]) == "é"


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    emission = Emission()
    assert emission.push(b"\xff a") == "\ufffd a"
    assert emission.push(b"\xe2\x82") == ""
    assert emission.flush() == "\ufffd"
