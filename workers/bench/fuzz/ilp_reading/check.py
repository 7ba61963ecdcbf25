"""Fuzzer `ilp-reading`: texts of models in LP and MPS, read by trimtab, HiGHS and SCIP.

Every text is written together with its meaning, so our reading has three references: the writer,
and the two peers where they agree with each other. The model that would be solved (both our
readers and the rules between them) is compared as well.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from search import isolation
from solvers.compare import differences
from solvers.errors import ModelError
from solvers.exact import ExactModel, read_exact
from solvers.two_readings import load
from workers.bench.fuzz.ilp_reading.drawn import Dice
from workers.bench.fuzz.ilp_reading.lp_texts import LpText
from workers.bench.fuzz.ilp_reading.mps_texts import MpsText
from workers.bench.fuzz.ilp_reading.peers import (
    Meaning,
    difference,
    of_exact,
    of_highs,
    of_scip,
)
from workers.bench.fuzz.types import Fault, Finding, Outcome

_PEER_S = 20.0


def check(index: int, rng: np.random.Generator) -> Outcome:
    """Write one text, read it with every reader, and compare."""
    dice = Dice(rng)
    kind = "lp" if dice.chance(0.5) else "mps"
    writer: LpText | MpsText = LpText(dice) if kind == "lp" else MpsText(dice)
    text = writer.write()
    meant = writer.model.meaning()
    with tempfile.TemporaryDirectory(prefix="fuzz-reading-") as folder:
        path = Path(folder) / f"model.{kind}"
        path.write_bytes(text.encode())
        peers = {"highs": _peer(of_highs, path), "scip": _peer(of_scip, path)}
        agreed = _agreed(peers["highs"], peers["scip"])
        label = f"{kind}: " + (
            "peers agree" if agreed is not None else "peers differ, or one refuses"
        )
        case = {"text": text, "kind": kind}
        try:
            exact = read_exact(path)
        except ModelError as error:
            return Outcome(
                label=label,
                finding=Finding(
                    fault=Fault.REFUSED, detail=f"exact reader: {error}", case=case
                ),
            )
        except Exception as error:
            detail = f"exact reader: {type(error).__name__}: {error}"
            return Outcome(
                label=label,
                finding=Finding(fault=Fault.CRASHED, detail=detail, case=case),
            )
        fault = _judge(exact, meant, agreed)
        if fault is None:
            fault = _solved(path, exact)
    return Outcome(
        label=label,
        finding=None
        if fault is None
        else Finding(fault=fault[0], detail=fault[1], case=case),
    )


def _judge(
    exact: ExactModel, meant: Meaning, agreed: Meaning | None
) -> tuple[Fault, str] | None:
    ours = of_exact(exact)
    if wrong := difference(ours, meant):
        return Fault.WRONG, f"ours and what was written: {wrong}"
    if agreed is not None and not exact.rules and (wrong := difference(ours, agreed)):
        return Fault.WRONG, f"ours and both peers, by no rule: {wrong}"
    return None


def _solved(path: Path, exact: ExactModel) -> tuple[Fault, str] | None:
    """Return whether the model that would be solved equals the exact one."""
    try:
        loaded = load(path)
    except ModelError as error:
        return Fault.REFUSED, f"both readers: {error}"
    wrong = differences(exact, loaded.model)
    return (Fault.WRONG, f"the model to be solved: {wrong[:3]}") if wrong else None


def _agreed(one: Meaning | None, other: Meaning | None) -> Meaning | None:
    return (
        one
        if one is not None and other is not None and not difference(one, other)
        else None
    )


def _peer(read: Any, path: Path) -> Meaning | None:
    """Return a peer's reading, made in a process of its own: both crash or hang on some texts."""

    def answer() -> isolation.Message:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # SCIP prints its errors
        meaning = read(path)
        return {"meaning": None if meaning is None else _plain(meaning)}

    try:
        answered = isolation.call("a peer's reading", answer, timeout_s=_PEER_S)[
            "meaning"
        ]
    except (isolation.NativeCrash, isolation.NativeError, isolation.NativeTimeout):
        return None
    return None if answered is None else _meaning(answered)


def _plain(meaning: Meaning) -> dict[str, Any]:
    return {
        "maximize": meaning.maximize,
        "offset": meaning.offset,
        "columns": {
            name: [_text(low), _text(high), whole, cost]
            for name, (low, high, whole, cost) in meaning.columns.items()
        },
        "rows": [
            [list(map(list, terms)), _text(low), _text(high), n]
            for (terms, low, high), n in meaning.rows.items()
        ],
    }


def _meaning(plain: dict[str, Any]) -> Meaning:
    return Meaning(
        maximize=bool(plain["maximize"]),
        offset=float(plain["offset"]),
        columns={
            name: (float(low), float(high), bool(whole), float(cost))
            for name, (low, high, whole, cost) in plain["columns"].items()
        },
        rows=Counter(
            {
                (
                    tuple((str(name), float(value)) for name, value in terms),
                    float(low),
                    float(high),
                ): int(count)
                for terms, low, high, count in plain["rows"]
            }
        ),
    )


def _text(value: float) -> str | float:
    """Return infinities as text, which JSON lacks."""
    return str(value) if math.isinf(value) else value
