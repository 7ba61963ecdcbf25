"""Loss against budget, on a decoder of a few numbers."""

from __future__ import annotations

import pytest

from cuda.kernels.slots import Victim
from search.text_model import CacheBudget, CachePolicy
from tests.workers.bench.llm.tiny import CONFIG, random_model
from workers.bench.llm import quality
from workers.bench.llm.quality import BUDGETS, Model, arm
from workers.bench.llm.texts import Segment, TextType

MODEL = Model(
    config=CONFIG,
    weights=random_model(0),
    encode=lambda text: [ord(letter) % 50 for letter in text],
)


def segment(number: int) -> Segment:
    ids = tuple((number + 7 * i * i) % 50 for i in range(60))
    return Segment(type=TextType.CODE, number=number, ids=ids)


def test_a_line_has_every_rule_at_every_share() -> None:
    (line,) = quality.run(MODEL, iter([segment(0)]), shares=(0.4, 0.3))
    named = [(one["rule"], one["share"]) for one in line["rules"]]
    assert named == [("full", 1.0)] + [(r, s) for s in (0.4, 0.3) for r in BUDGETS]
    assert {one["slots"] for one in line["rules"]} == {60, 24, 18}
    assert line["digest"] == segment(0).digest


def test_segments_that_are_done_are_left_out() -> None:
    lines = quality.run(
        MODEL,
        (segment(number) for number in range(3)),
        budgets={"local": BUDGETS["local"]},
        shares=(0.2,),
        done={("code", 0), ("code", 2)},
    )
    assert [line["segment"] for line in lines] == [1]


def test_an_arm_is_what_the_engine_makes_of_a_budget() -> None:
    decay = arm(BUDGETS["h2o decay"], slots=20)
    assert (decay.victim, decay.capacity, decay.recent) == (Victim.DECAY, 20, 10)
    assert (decay.sinks, decay.decay) == (4, 0.98)
    assert arm(BUDGETS["h2o sum"], slots=20).sinks == 0
    assert arm(BUDGETS["tova"], slots=20).recent == 1
    snapkv = arm(BUDGETS["snapkv, after prompt"], slots=100, prompt=200)
    assert (snapkv.window, snapkv.pool, snapkv.prompt) == (32, 7, 200)
    full = CacheBudget(policy=CachePolicy.FULL, slots=0)
    assert arm(full, slots=20).victim == Victim.NONE


def test_pins_take_room_from_recent_tokens() -> None:
    pinned = arm(BUDGETS["h2o sum"], slots=40, pinned=range(5, 25))
    assert pinned.pinned == frozenset(range(5, 25))
    assert pinned.recent == 10


@pytest.mark.parametrize("name", [name for name in BUDGETS if "after" in name])
def test_a_rule_after_the_prompt_equals_full_while_it_reads(name: str) -> None:
    import torch

    from workers.bench.llm.oracle import FULL, simulate

    ids = torch.tensor(segment(1).ids)
    both = simulate(
        CONFIG, random_model(0), ids, [FULL, arm(BUDGETS[name], slots=20, prompt=30)]
    )
    torch.testing.assert_close(both.hidden[1, :30], both.hidden[0, :30])
    assert not torch.allclose(both.hidden[1, 40:], both.hidden[0, 40:])
