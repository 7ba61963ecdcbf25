"""`python -m workers.bench llm grammar`: random schemas of our own jobs, followed at random.

Each schema is a part of a job's specification, or several put together. Texts are drawn by a random
walk over the tokens that the grammar allows, which reaches corners that a model would not. Every
text must be valid under the original schema by `jsonschema`, no walk may end where nothing is
allowed, and a mask should take at most 2 ms of processor time.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import numpy as np

from search.text_model import Grammar
from trimtab.specs.antenna import AntennaSpec
from trimtab.specs.common import JobRequest
from trimtab.specs.compile import CompileSpec
from trimtab.specs.ilp import IlpSpec
from trimtab.specs.sharding import ShardingPlan, ShardingSpec
from workers.llm.constrain import Constraint
from workers.llm.grammar_error import BadGrammar
from workers.llm.tokenizer import Tokenizer
from workers.llm.weights import EMBEDDED, embedded, model_folder

Schema = dict[str, Any]

GOAL_MS = 2.0
_SPECS = (AntennaSpec, CompileSpec, IlpSpec, ShardingSpec, ShardingPlan, JobRequest)
_MOST_TOKENS = 3000
# From here on a walk takes the end, or the shortest token, wherever it can.
_HURRY_TOKENS = 150
_CLOSING = (b'"', b"]", b"}", b"]}", b'"}', b'"]')


@dataclass(kw_only=True)
class Tally:
    """Counts of the schemas of a run, by outcome."""

    schemas: int = 0
    valid: int = 0
    refused: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    dead_ends: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    mask_ms: list[float] = field(default_factory=list)  # of each token
    compile_ms: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        masks = np.array(self.mask_ms or [0.0])
        return {
            "schemas": self.schemas,
            "valid": self.valid,
            "refused": len(self.refused),
            "invalid": len(self.invalid),
            "dead_ends": len(self.dead_ends),
            "unfinished": len(self.unfinished),
            "tokens": len(self.mask_ms),
            "mask_ms_mean": float(masks.mean()),
            "mask_ms_p99": float(np.quantile(masks, 0.99)),
            "mask_ms_max": float(masks.max()),
            "goal_ms": GOAL_MS,
            "compile_ms_median": float(np.median(self.compile_ms or [0.0])),
        }


def _parts(schema: Schema) -> list[Schema]:
    """Return all objects, lists and values in a schema, without references."""
    definitions = schema.get("$defs", {})

    def whole(part: Any, depth: int) -> Any:
        if isinstance(part, list):
            return [whole(one, depth) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part and depth < 12:
            return whole(definitions[part["$ref"].rpartition("/")[2]], depth + 1)
        return {
            k: whole(v, depth)
            for k, v in part.items()
            if k not in ("$defs", "discriminator")
        }

    parts: list[Schema] = []

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for one in part:
                walk(one)
        elif isinstance(part, dict):
            if "type" in part or "anyOf" in part or "oneOf" in part:
                parts.append(part)
            for name in ("properties", "patternProperties"):
                for one in part.get(name, {}).values():
                    walk(one)
            for name in ("items", "prefixItems", "anyOf", "oneOf"):
                walk(part.get(name))

    walk(whole(schema, 0))
    return parts


def random_schema(dice: random.Random) -> Schema:
    """Return a schema made of parts of our job specifications."""
    parts = _parts(dice.choice(_SPECS).model_json_schema())
    schema = _changed(copy.deepcopy(dice.choice(parts)), dice)
    shape = dice.random()
    if shape < 0.2:
        low = dice.randrange(3)
        return {"type": "array", "items": schema, "minItems": low, "maxItems": low + 2}
    if shape < 0.5:
        names = dice.sample(["kind", "plan", "Größe", 'a "b"', "x.y", "report", "\\n"], 3)
        others = [_changed(copy.deepcopy(dice.choice(parts)), dice) for _ in names[1:]]
        properties = dict(zip(names, [schema, *others], strict=True))
        required = [name for name in names if dice.random() < 0.6]
        return {"type": "object", "properties": properties, "required": required}
    return schema


def _changed(schema: Schema, dice: random.Random) -> Schema:
    """Keep some of an object's properties and require others of them."""
    properties = schema.get("properties")
    if isinstance(properties, dict) and properties:
        names = [name for name in properties if dice.random() < 0.5] or list(properties)[
            :1
        ]
        schema["properties"] = {name: properties[name] for name in names}
        schema["required"] = [name for name in names if dice.random() < 0.5]
    if {"const", "enum"} & schema.keys():
        return schema
    if schema.get("type") == "integer" and dice.random() < 0.3:
        low = dice.randrange(-2000, 2000)
        schema |= {"minimum": low, "maximum": low + dice.randrange(1, 4000)}
        for name in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            schema.pop(name, None)
    if schema.get("type") == "number" and dice.random() < 0.5:
        least = round(dice.uniform(-10, 10), dice.randrange(4))
        most = round(least + dice.uniform(0.1, 5), 3)
        schema = {"type": "number", dice.choice(["minimum", "exclusiveMinimum"]): least}
        schema[dice.choice(["maximum", "exclusiveMaximum"])] = most
    return schema


def run(tokenizer: Tokenizer, *, schemas: int, seed: int = 0) -> Tally:
    """Follow a number of random schemas, one walk each."""
    tally = Tally()
    for i in range(schemas):
        dice = random.Random(f"{seed}-{i}")
        schema = random_schema(dice)
        tally.schemas += 1
        began = time.process_time()
        try:
            constraint = Constraint(Grammar(json_schema=schema), tokenizer)
        except BadGrammar as error:
            tally.refused.append(f"{seed}-{i}: {error}")
            continue
        tally.compile_ms.append((time.process_time() - began) * 1e3)
        _walk(tally, constraint, tokenizer, schema, f"{seed}-{i}")
    return tally


def _walk(
    tally: Tally, constraint: Constraint, tokenizer: Tokenizer, schema: Schema, name: str
) -> None:
    rng = np.random.default_rng(int.from_bytes(name.encode(), "little"))
    ids: list[int] = []
    while not constraint.done:
        began = time.process_time()
        constraint.mask()
        tally.mask_ms.append((time.process_time() - began) * 1e3)
        allowed = constraint.allowed().numpy()
        if not len(allowed):
            tally.dead_ends.append(f"{name}: {tokenizer.decode(ids)[-200:]}")
            return
        if len(ids) >= _MOST_TOKENS:
            tally.unfinished.append(f"{name}: {tokenizer.decode(ids)[-200:]}")
            return
        token = _drawn(allowed, tokenizer, rng, hurry=len(ids) > _HURRY_TOKENS)
        constraint.accept(token)
        if token in tokenizer.eos:
            break
        ids.append(token)
    text = b"".join(map(tokenizer.token_bytes, ids)).decode(errors="strict")
    fault = _fault(text, schema)
    if fault is None:
        tally.valid += 1
    else:
        tally.invalid.append(f"{name}: {fault}: {text[:300]}")


def _drawn(
    allowed: Any, tokenizer: Tokenizer, rng: np.random.Generator, *, hurry: bool
) -> int:
    """Return a random token; in a hurry the end, or one that closes a string or a list."""
    if hurry:
        ends = [int(token) for token in tokenizer.eos if token in allowed]
        closing = ends or [
            int(t) for t in allowed if tokenizer.token_bytes(int(t)) in _CLOSING
        ]
        if closing:
            return int(rng.choice(closing))
    return int(rng.choice(allowed))


def _fault(text: str, schema: Schema) -> str | None:
    """Return why a text is not valid under a schema; None when it is."""
    try:
        value = json.loads(text)
    except ValueError as error:
        return str(error)
    try:
        jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)
    except jsonschema.ValidationError as error:
        return str(error.message)[:300]
    return None


def lines(*, schemas: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield one line of figures for the embedded model's tokenizer, with the first faults."""
    tokenizer = Tokenizer(model_folder(embedded()))
    tally = run(tokenizer, schemas=schemas, seed=seed)
    faults = [*tally.invalid, *tally.dead_ends, *tally.unfinished, *tally.refused]
    yield {**tally.summary(), "model": EMBEDDED.name, "faults": faults[:20]}
