"""Baseline: the embedded language model writes the plan itself, under a grammar of plans.

The grammar knows the kinds, the attached files and the most common fields of each kind with their
types; all numbers are the model's own. What comes back is judged like an outline.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from search.text_model import Ended, Grammar, Message, Sampling, TextModel, TextRequest
from trimtab.plans import Leaf, Origin, Outline, Seconds, Stage
from workers.corpus.goals.judge import Plan
from workers.corpus.goals.planning import Planned

MAX_JOBS = 4
_MAX_TOKENS = 400
_NUMBER = {"type": "number"}
_WHOLE = {"type": "integer"}
# Kind → (file field, fields by path).
_FIELDS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ilp": (
            "model",
            {
                "spec.engine": {"enum": ["highs", "scip", "cp-sat"]},
                "budget.seconds": _NUMBER,
                "budget.target_gap": _NUMBER,
                "seed": _WHOLE,
            },
        ),
        "sharding": (
            "tables_file",
            {
                "spec.devices.0.count": _WHOLE,
                "spec.devices.0.memory_gib": _NUMBER,
                "spec.devices.0.hardware": {"enum": ["v100", "a100", "h100"]},
                "spec.global_batch": _WHOLE,
                "budget.seconds": _NUMBER,
            },
        ),
        "compile": (
            "source",
            {
                "spec.objective": {
                    "enum": ["loadable_bytes", "code_bytes", "ir_instructions"]
                },
                "budget.seconds": _NUMBER,
                "budget.evaluations": _WHOLE,
                "seed": _WHOLE,
            },
        ),
        "antenna": (
            "",
            {
                "spec.bands.0.f_lo_hz": _NUMBER,
                "spec.bands.0.f_hi_hz": _NUMBER,
                "budget.seconds": _NUMBER,
                "seed": _WHOLE,
            },
        ),
    }
)


class FreePlanner:
    """Asks a model for a whole plan."""

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def plan(
        self,
        goal: str,
        files: Mapping[str, bytes],
        *,
        memo: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Planned:
        """Return the model's plan; it asks nothing."""
        wall, cpu = time.monotonic(), time.process_time()
        schema = grammar(list(files))
        request = TextRequest(
            messages=(
                Message(
                    role="system", text="Write the jobs that the user wants as JSON."
                ),
                Message(
                    role="user",
                    text=json.dumps({"goal": goal[:4000], "files": list(files)}),
                ),
            ),
            sampling=Sampling(max_tokens=_MAX_TOKENS, seed=seed),
            grammar=Grammar(json_schema=schema),
        )
        tokens = self._model.generate(request, Ended())
        plan = outline_of(goal, "".join(token.text for token in tokens))
        return Planned(
            plan=plan,
            memo=None,
            cpu_s=time.process_time() - cpu,
            wall_s=time.monotonic() - wall,
        )


def grammar(files: list[str]) -> dict[str, Any]:
    """Return the JSON schema of a plan over some files."""
    jobs = []
    for kind, (field, paths) in _FIELDS.items():
        if field and not files:
            continue
        properties: dict[str, Any] = {"kind": {"const": kind}}
        if field:
            properties["file"] = {"enum": files}
        jobs.append(
            {
                "type": "object",
                "properties": {**properties, **paths},
                "required": list(properties),
                "additionalProperties": False,
            }
        )
    return {
        "type": "object",
        "properties": {
            "jobs": {"type": "array", "items": {"anyOf": jobs}, "maxItems": MAX_JOBS}
        },
        "required": ["jobs"],
        "additionalProperties": False,
    }


def outline_of(goal: str, text: str) -> Plan:
    """Return the plan of an answer; a refusal for one that is cut off."""
    try:
        rows = json.loads(text)["jobs"]
    except (ValueError, KeyError, TypeError):
        return Plan(outline=None, refusal="no plan")
    leaves = {}
    for number, row in enumerate(rows, start=1):
        kind = row.pop("kind")
        field, _ = _FIELDS[kind]
        request: dict[str, Any] = {"spec": {}, "budget": {}, "seed": row.pop("seed", 0)}
        if field:
            request["spec"][field] = {"digest": "", "name": row.pop("file")}
        for path, value in row.items():
            _put(request, path.split("."), value)
        leaves[f"l{number}"] = Leaf(
            title=kind,
            stage="s1",
            kind=kind,
            spec=request["spec"],
            budget=request["budget"],
            seed=int(request["seed"]),
            seconds=Seconds(p50=0.0, p90=0.0),
            origin=Origin(source="model"),
        )
    return Plan(
        outline=Outline(
            goal=goal, stages={"s1": Stage(title="all", goal="g1")}, leaves=leaves
        )
    )


def _put(place: Any, words: list[str], value: Any) -> None:
    """Set a value; the only index that occurs is 0."""
    for word, following in itertools.pairwise(words):
        blank: Any = [{}] if following == "0" else {}
        place = place[0] if word == "0" else place.setdefault(word, blank)
    place[words[-1]] = value
