"""Tokens of the program graph."""

from __future__ import annotations

import re

from solvers.llvm.vocabulary import (
    KIND_ROOM,
    LARGEST_POSITION,
    OPCODE_ROOM,
    OPCODES,
    TOKENS,
    UNKNOWN,
    VOCABULARY,
    WIDTHS,
    Count,
    table,
)
from solvers.llvm.walk import SOURCE
from solvers.llvm.walk_python import MOST_EXITS


def test_the_table_maps_llvms_numbers_to_tokens() -> None:
    numbers = table()
    assert len(numbers) == OPCODE_ROOM + KIND_ROOM + len(WIDTHS)
    assert TOKENS[numbers[27]] == OPCODES[27] == "load"
    assert TOKENS[numbers[OPCODE_ROOM + 12]] == "type ptr"
    assert [TOKENS[number] for number in numbers[OPCODE_ROOM + KIND_ROOM :]][
        2
    ] == "type i16"
    assert numbers[0] == numbers[6] == numbers[OPCODE_ROOM - 1] == UNKNOWN


def test_tokens_are_unique_and_their_digest_is_that_of_the_shipped_policy() -> None:
    assert len(set(TOKENS)) == len(TOKENS) < 150
    # A change makes the shipped policies unusable: they are tied to the numbers of the tokens.
    assert VOCABULARY == "c2863f074b67"


def test_walk_c_has_the_same_constants() -> None:
    source = SOURCE.read_text()
    listed = re.search(r"enum \{ (ARGS_HI.*?), COUNTS \};", source, re.DOTALL)
    assert listed
    assert re.split(r",\s*", listed[1]) == [count.name for count in Count]
    for name, value in (
        ("OPCODE_ROOM", OPCODE_ROOM),
        ("KIND_ROOM", KIND_ROOM),
        ("LARGEST_POSITION", LARGEST_POSITION),
        ("MOST_EXITS", MOST_EXITS),
    ):
        assert f"{name} = {value}" in source
