"""The one-pass head against its formula written out, and its bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.text.head import (
    DECAY,
    ControlHead,
    Trace,
    condition_tokens,
    condition_vector,
    log_sigmoid,
)

WIDTH, RANK, TOKENS = 4, 3, 11


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Return random weights."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "mean": (2, WIDTH),
        "scale": (2, WIDTH),
        "d": (WIDTH,),
        "item": (WIDTH,),
        "t": (1,),
    }
    for lead in ("", "exact_"):
        shapes |= {f"{lead}{name}": (RANK, 3 * WIDTH) for name in ("a", "u")}
        shapes |= {f"{lead}{name}": (RANK, 2 * WIDTH) for name in ("c", "w")}
        shapes |= {f"{lead}{name}": (RANK,) for name in ("a0", "u0", "w0", "g")}
        shapes |= {f"{lead}{name}": (1,) for name in ("k", "s0", "length")}
        shapes[f"{lead}words"] = (2, 2)
    made = {
        name: rng.standard_normal(shape).astype(np.float16)
        for name, shape in shapes.items()
    }
    made["scale"] = np.abs(made["scale"]) + np.float16(0.5)
    return made


def test_the_formula() -> None:
    rng = np.random.default_rng(1)
    weights = {name: value.astype(float) for name, value in arrays().items()}
    embedding = rng.standard_normal((TOKENS, WIDTH)).astype(np.float32)
    head = ControlHead(arrays())
    states, read = rng.standard_normal((2, 6, WIDTH)).astype(np.float32)
    raw = condition_vector(states, read)
    trace = Trace(WIDTH)
    for state, row in zip(states, read, strict=True):
        trace.add(state, row)

    def norm(vector: np.ndarray, part: int) -> np.ndarray:
        normed: np.ndarray = (vector - weights["mean"][part]) / weights["scale"][part]
        return normed

    c = [*norm(states.mean(0), 0), *norm(read.mean(0), 1)]
    share = np.array([DECAY ** (5 - i) for i in range(6)])
    share /= share.sum()
    z = [*norm(states[-1], 0), *norm(share @ states, 0), *norm(share @ read, 1)]

    def parts(lead: str) -> float:
        names = ("a", "c", "a0", "u", "u0", "w", "w0", "g", "k", "s0")
        w = {name: weights[f"{lead}{name}"] for name in names}
        g = [math.tanh(w["a"][i] @ z + w["c"][i] @ c + w["a0"][i]) for i in range(RANK)]
        said = [float(w["u"][i] @ z + w["u0"][i]) for i in range(RANK)]
        meant = [float(w["w"][i] @ c + w["w0"][i]) for i in range(RANK)]
        match = sum(x * y for x, y in zip(said, meant, strict=True))
        match /= math.hypot(*said) * math.hypot(*meant)
        return float(w["g"] @ g + w["k"][0] * match + w["s0"][0])

    chosen = np.array([9, 0, 4])
    rows = embedding[chosen]
    aims = head.aims(head.condition(raw)[None])
    words = rng.uniform(0, 1, (1, 3, 2)).astype(np.float32)
    got = head.log_chances(head.text(trace.vector), aims, rows, words, 6)
    s = parts("")

    def said(lead: str, features: np.ndarray) -> float:
        base, growth = weights[f"{lead}words"]
        term = features @ base + math.log(6) * (features @ growth)
        return float(term + math.log(6) * weights[f"{lead}length"][0])

    for place, token in enumerate(chosen):
        d = weights["d"]
        own = d * (embedding[token] - weights["mean"][1])
        meant = d * (norm(states.mean(0), 0) - weights["item"]) * weights["scale"][0]
        near = own @ meant / (math.hypot(*own) * math.hypot(*meant))
        logit = weights["t"][0] * near + s + said("", words[0, place])
        assert got[0, place] == pytest.approx(-math.log1p(math.exp(-logit)), abs=2e-3)
    conditions = head.condition(raw)[None]
    exact = head.exact_log_chance(head.text(trace.vector), conditions, words[:, 0], 6)
    logit = parts("exact_") + said("exact_", words[0, 0])
    assert exact[0] == pytest.approx(-math.log1p(math.exp(-logit)), abs=2e-3)


@given(st.floats(-200, 200, width=32))
def test_log_sigmoid(x: float) -> None:
    value = float(log_sigmoid(np.array([x], np.float32))[0])
    assert value <= 0
    assert value == pytest.approx(min(x, 0.0), abs=math.log(2) + 1e-5)
    back = float(log_sigmoid(np.array([-x], np.float32))[0])
    assert value - back == pytest.approx(x, rel=1e-3, abs=1e-3)


def test_a_condition_is_read_after_the_lead() -> None:
    lead, own = condition_tokens(lambda text: list(text.encode()), "  a pair ")
    assert bytes(lead) == b"Summary:"
    assert bytes(own) == b" a pair"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("u", np.zeros((RANK, WIDTH), np.float16)),
        ("exact_g", np.zeros(RANK + 1, np.float16)),
        ("d", np.zeros(WIDTH - 1, np.float16)),
        ("mean", None),
    ],
)
def test_arrays_that_do_not_fit(name: str, value: np.ndarray | None) -> None:
    wrong = {k: v for k, v in (arrays() | {name: value}).items() if v is not None}
    with pytest.raises(ValueError, match=f"{name}: expected"):
        ControlHead(wrong)
