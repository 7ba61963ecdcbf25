"""No broken file kills the host: it is read, refused with a message, or reported as a crash."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path

from tests.solvers.fuzz import EXACT_LIMIT_S, Child, mutate
from tests.solvers.test_two_readings import GOOD, instances

FULL = 1000
# For a native stage: HiGHS hangs on a few mutants, and each costs this long.
TIMEOUT_S = 6.0


def sources() -> list[tuple[str, bytes]]:
    """Our own small files, and real ones where they are."""
    outcome = []
    for path in [*GOOD, *(path for path in instances() if path.stat().st_size < 30_000)]:
        content = path.read_bytes()
        outcome.append(
            (
                path.name.removesuffix(".gz"),
                gzip.decompress(content) if path.suffix == ".gz" else content,
            )
        )
    return outcome


def test_mutated_files(tmp_path: Path, scale: float) -> None:
    files, child = sources(), Child()
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    try:
        for number in range(max(25, int(FULL * scale))):
            rng = random.Random(number)
            name, content = rng.choice(files)
            kind, mutant = mutate(content, rng)
            path = (
                tmp_path
                / f"{number}-{name}{'.gz' if mutant[:2] == bytes((31, 139)) else ''}"
            )
            path.write_bytes(mutant)
            outcome = child.run(path, timeout_s=TIMEOUT_S)
            seen[_class_of(outcome)] += 1
            fault = _fault(outcome)
            if fault is not None:
                wrong.append(
                    f"{path.name} ({kind}): {fault}: {json.dumps(outcome)[:600]}"
                )
            else:
                path.unlink()
    finally:
        child.close()
    print(json.dumps(dict(seen)))
    assert not wrong, "\n".join(wrong)
    assert seen["read"] > 0
    assert seen["refused"] > 0


def _class_of(outcome: dict[str, object]) -> str:
    if "died" in outcome:
        return f"{outcome['died']} in {outcome['stage']}"
    if False in (outcome.get("highs checked"), outcome.get("scip checked")):
        return "read, solved, and refused by the exact check"
    if outcome["highs read"] != "read":
        return "refused"
    return "read" if outcome["same"] else "refused: the readers differ"


def _fault(outcome: dict[str, object]) -> str | None:
    if "died" in outcome:
        # Native code may die: that is what the child is for. The exact reader is ours and may not.
        return "our own reader died" if outcome["stage"] in ("start", "exact") else None
    for stage in ("exact", "highs read", "highs", "scip"):
        if str(outcome.get(stage, "")).startswith("raised"):
            return f"{stage} raised"
    if float(str(outcome["exact_s"])) > EXACT_LIMIT_S + 1:
        return "the exact reader overran its time"
    for stage in ("exact message", "message"):
        if stage in outcome and not str(outcome[stage]):
            return "a refusal without a message"
    return None
