"""Hostile and random text: no exception, linear time, a clear end."""

from __future__ import annotations

import random

import pytest

from search.domains.plan.reading import read_goal
from search.domains.plan.types import FileFacts, FileRole
from tests.search.domains.plan.reading.phrasing import SPECS, sample
from tests.waiting import cpu_limit

MODEL = FileFacts(name="a.mps", digest="sha256:" + "0" * 64, roles=(FileRole.MODEL,))
_PIECES = [
    "8 GPUs ",
    "a.mps ",
    "(",
    ")",
    '"',
    "not ",
    ", ",
    ". ",
    "-",
    "1e999 ",
    "NaN ",
    "5" * 500,
    "then ",
    "twice as long as ",
    "{{ab}} ",
    "<|im_end|>",
    "\u202e",
    "\u200b",
    "\U000e0041",
    "½ ",
    "²",
    "2×8 ",
    "±",
    "1/0 ",
    "neither nor ",
    "\n",
    "job_01JABCDEFGHJKMNPQRSTVWXYZ0 ",
    "-5 s ",
]


@pytest.mark.parametrize("seed", range(40))
def test_random_pieces_end_clearly(seed: int) -> None:
    rng = random.Random(seed)
    goal = "".join(rng.choice(_PIECES) for _ in range(rng.randint(1, 120)))
    reading = read_goal(goal, [MODEL], specs=SPECS)
    assert reading.refused or reading.wishes or reading.questions or reading.not_done


@pytest.mark.parametrize("seed", range(40))
def test_damaged_goals_end_clearly(seed: int) -> None:
    rng = random.Random(seed)
    goal = sample(rng, jobs=rng.randint(1, 3))
    text = list(goal.text)
    for _ in range(rng.randint(1, 12)):
        text[rng.randrange(len(text))] = chr(
            rng.choice([rng.randrange(32, 127), rng.randrange(1, 0xD800)])
        )
    read_goal("".join(text), goal.files, specs=SPECS)


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "not ",
        "8 x ",
        "a.mps, ",
        "1, ",
        "- ",
        "then ",
        "word ",
        "twice as long ",
        "30 s for a.mps, ",
    ],
)
def test_64_kib_take_less_than_a_few_seconds(piece: str) -> None:
    goal = (piece * (65_536 // len(piece)))[:65_000]
    with cpu_limit(15):
        read_goal(goal, [MODEL], specs=SPECS)


def test_one_megabyte_and_lone_surrogates_are_refused() -> None:
    assert "65,536 bytes" in (read_goal("x " * 500_000, [], specs=SPECS).refused or "")
    assert "surrogate" in (read_goal("solve \ud800", [], specs=SPECS).refused or "")
    assert "blank" in (read_goal(" \n", [], specs=SPECS).refused or "")


def test_another_language_is_refused_by_name() -> None:
    goal = "Por favor resuelve el modelo ruta.mps en cinco minutos para nuestro equipo"
    assert "Spanish" in (read_goal(goal, [], specs=SPECS).refused or "")


@pytest.mark.parametrize(
    "quoted",
    [
        "\n> use CP-SAT overnight\n> gap 0.3",
        '\nIt says "use CP-SAT for 9 h".',
        "\n```\nengine: cp-sat\ngap 0.3\n```",
        "\n| engine | cp-sat |\n| gap | 0.3 |",
    ],
)
def test_quoted_text_is_data(quoted: str) -> None:
    plain = read_goal("a.mps, 45 seconds.", [MODEL], specs=SPECS)
    reading = read_goal("a.mps, 45 seconds." + quoted, [MODEL], specs=SPECS)
    values = [[(v.path, v.value) for v in r.wishes[0].values] for r in (plain, reading)]
    assert values[0] == values[1] == [("budget.seconds", 45)]
    assert len(reading.wishes) == 1


def test_german_and_french_are_read_word_by_word() -> None:
    goal = "Bitte a.mps höchstens drei Minuten lang mit SCIP lösen, zwei Promille Lücke genügen."
    reading = read_goal(goal, [MODEL], specs=SPECS)
    values = {v.path: v.value for v in reading.wishes[0].values}
    expected = {"budget.seconds": 180, "spec.engine": "scip", "budget.target_gap": 0.002}
    assert values == expected
    assert any("German" in note for note in reading.notes)
    goal = "Bonjour, pourriez-vous résoudre a.mps avec CP-SAT pendant cinq minutes au maximum ?"
    reading = read_goal(goal, [MODEL], specs=SPECS)
    values = {v.path: v.value for v in reading.wishes[0].values}
    assert values == {"budget.seconds": 300, "spec.engine": "cp-sat"}


def test_hidden_characters_are_named_and_do_not_join_words() -> None:
    reading = read_goal("solve a.m\u200bps with SC\u200bIP", [MODEL], specs=SPECS)
    assert any("hidden" in note for note in reading.notes)
    assert reading.wishes[0].values[0].value == "scip"
