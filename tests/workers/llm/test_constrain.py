"""Constraints over a small tokenizer: every text they lead to fits, and bombs are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.text_model import Grammar
from tests.workers.llm import model_files
from workers.llm.tokenizer import Tokenizer

pytest.importorskip("xgrammar", reason="`make setup-llm` installs it")

from workers.bench.llm import grammar as bench
from workers.llm.constrain import Constraint, grammar_text
from workers.llm.grammar_error import BadGrammar


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    model_files.write_tokenizer(folder)
    return Tokenizer(folder)


def drawn(grammar: Grammar, tokenizer: Tokenizer, seed: int, most: int = 3000) -> str:
    """Return a text of a random walk."""
    constraint, rng, ids = Constraint(grammar, tokenizer), np.random.default_rng(seed), []
    while not constraint.done:
        for token in constraint.forced():
            constraint.accept(token)
            ids.append(token)
        allowed = constraint.allowed().tolist()
        assert allowed, tokenizer.decode(ids)
        token = int(rng.choice([2] if 2 in allowed and len(ids) > 40 else allowed))
        constraint.accept(token)
        if token in tokenizer.eos:
            assert constraint.done
            break
        ids.append(token)
        assert len(ids) < most
    return b"".join(map(tokenizer.token_bytes, ids)).decode()


def test_schemas_of_our_own_jobs(tokenizer: Tokenizer) -> None:
    tally = bench.run(tokenizer, schemas=30, seed=7)
    assert not tally.invalid
    assert not tally.dead_ends
    assert not tally.refused
    assert tally.valid == 30
    assert tally.summary()["mask_ms_mean"] < bench.GOAL_MS


def test_choices(tokenizer: Tokenizer) -> None:
    choices = ("ilp", "ilp2", 'a "quoted"\n one', "漢字")
    seen = {drawn(Grammar(choices=choices), tokenizer, seed) for seed in range(40)}
    assert seen == set(choices)


def test_regex(tokenizer: Tokenizer) -> None:
    text = r"[a-f]{2,4}-(the|and)?[^a-z]\d"
    for seed in range(20):
        assert re.fullmatch(text, drawn(Grammar(regex=text), tokenizer, seed))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": "string", "minLength": 3, "maxLength": 9},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        {
            "type": "array",
            "prefixItems": [{"type": "null"}, {"type": "boolean"}],
            "minItems": 1,
        },
        {"type": ["integer", "null"]},
        {"const": {"a": ["é", None]}},
        {"type": "object", "patternProperties": {"^[a-c]+$": {"type": "boolean"}}},
        {"type": "string", "format": "date-time"},
        {"type": "number", "exclusiveMinimum": 0.25, "maximum": 0.5},
        {"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2},
    ],
)
def test_schemas(tokenizer: Tokenizer, schema: dict[str, Any]) -> None:
    import jsonschema

    for seed in range(6):
        value = json.loads(drawn(Grammar(json_schema=schema), tokenizer, seed))
        jsonschema.validate(value, schema)


def test_text_is_valid_utf8_whatever_bytes_come(tokenizer: Tokenizer) -> None:
    """Draw bytes above 127 wherever they are allowed: surrogates would be ED A0 80 and up."""
    high = [
        i for i in range(tokenizer.vocabulary) if tokenizer.token_bytes(i)[:1] > b"\x7f"
    ]
    for seed in range(30):
        constraint = Constraint(Grammar(json_schema={"type": "string"}), tokenizer)
        constraint.accept(3 + ord('"'))
        rng, text = np.random.default_rng(seed), b""
        for _ in range(60):
            allowed = set(constraint.allowed().tolist())
            some = [i for i in high if i in allowed]
            assert some
            token = int(rng.choice(some))
            constraint.accept(token)
            text += tokenizer.token_bytes(token)
        for at in range(len(text) - 1):
            assert not (text[at] == 0xED and text[at + 1] >= 0xA0)


def test_forced_text_is_not_accepted_yet(tokenizer: Tokenizer) -> None:
    grammar = Grammar(json_schema={"const": {"kind": "sharding"}})
    constraint = Constraint(grammar, tokenizer)
    forced = constraint.forced()
    assert tokenizer.decode(forced) == '{"kind": "sharding"}'
    assert constraint.forced() == forced
    for token in forced:
        assert token in constraint.allowed().tolist()
        constraint.accept(token)
    assert constraint.complete
    assert constraint.done
    with pytest.raises(ValueError, match="expected one that the grammar allows"):
        constraint.accept(5)


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        (Grammar(), "exactly one"),
        (Grammar(regex="a", choices=("b",)), "exactly one"),
        (Grammar(choices=()), "1 to 1000 texts"),
        (Grammar(choices=("", "a")), "empty"),
        (Grammar(choices=("a" * 5000,)), "at most 4096"),
        (Grammar(choices=("\ud800",)), "lone surrogate"),
        (Grammar(json_schema={"const": "a" * 300_000}), "at most 262144 characters"),
    ],
)
def test_refused_before_anything_is_compiled(grammar: Grammar, said: str) -> None:
    with pytest.raises(BadGrammar, match=said):
        grammar_text(grammar)


def test_bombs_are_refused_by_the_guard() -> None:
    """What is slow depends on the vocabulary: this one takes seconds with 49,152 tokens."""
    from workers.llm import weights

    try:
        tokenizer = Tokenizer(weights.model_folder(weights.embedded()))
    except weights.ModelUnavailable as error:
        pytest.skip(str(error))
    bomb = Grammar(regex=r'([^"a]|\\["n]){1,3300}')
    with pytest.raises(BadGrammar, match="2 s and 256 MiB"):
        Constraint(bomb, tokenizer)
    # And the next grammar is compiled as ever.
    assert drawn(Grammar(choices=("a",)), tokenizer, 0) == "a"
