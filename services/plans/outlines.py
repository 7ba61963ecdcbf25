"""Outlines as data: read and check one, and turn its leaves into requests of jobs. Pure.

An outline comes from a worker, which a hostile file may have taken over, and is edited by its
owner. Nothing here trusts it. Errors name a JSON pointer into the outline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import orjson
from pydantic import ValidationError

from search.kinds import Kind
from services.errors import InvalidBody, field_error
from services.store.types import Memo
from trimtab.estimates import seconds_of, shares, total
from trimtab.faults import fault_of, own_faults
from trimtab.plans import LEAF_FILE, MAX_LEAVES, MAX_REPAIRS, Leaf, Outline
from trimtab.specs.common import JobRequest, Needs, request_model

OUTLINE = "outline"  # key of the outline in a memo
PLAN_LABEL, LEAF_LABEL = "plan", "leaf"
BEFORE_EDIT = "of the outline before the edit"
_MAX_DEPTH = 32  # of a spec
_FIX = "correct this part of the outline"

Path = Sequence[str | int]


def refused(path: Path, expected: str, got: object, *, fix: str = _FIX) -> InvalidBody:
    """Build the error of one place in an outline."""
    at, shown = pointer(path), repr(got)[:120]
    return InvalidBody(
        f"{at}: expected {expected}, got {shown}",
        errors=[field_error(at, got=shown, expected=expected)],
        fix=fix,
    )


def pointer(path: Path) -> str:
    """Return a JSON pointer (RFC 6901); `(outline)` for the whole."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in escaped) or "(outline)"


def read_outline(body: Mapping[str, Any]) -> Outline:
    """Return the outline of a memo. Raises InvalidBody."""
    try:
        outline = Outline.model_validate_json(orjson.dumps(body[OUTLINE]))
    except KeyError:
        raise refused((OUTLINE,), "an outline in the memo", None) from None
    except (TypeError, ValidationError) as error:
        raise _invalid(error, ()) from error
    _require_whole(outline)
    return outline


def memo_of(body: Mapping[str, Any], outline: Outline) -> Memo:
    """Return a memo with this outline."""
    document = outline.model_dump(mode="json")
    return Memo(body={**body, OUTLINE: document}, digest=digest_of(outline))


def digest_of(outline: Outline) -> str:
    """Return what an approval names: the digest of the outline's canonical JSON."""
    canonical = orjson.dumps(outline.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return "sha256:" + hashlib.sha256(canonical).hexdigest()


def edited(before: Outline, document: Any) -> Outline:
    """Return an outline after its owner's edit. Raises InvalidBody.

    A value that was changed no longer comes from words of the goal, a default or an answer.
    Expected seconds are worked out again; the plan read back in words is marked as from before.
    """
    after = read_outline({OUTLINE: document})
    leaves = {}
    for name, leaf in after.leaves.items():
        old = before.leaves.get(name, leaf)
        leaves[name] = leaf.model_copy(
            update={
                field: {
                    path: mark
                    for path, mark in getattr(leaf, field).items()
                    if _value(old, path) == _value(leaf, path)
                }
                for field in ("spans", "defaults", "answered")
            }
            | _renewed(old, leaf)
        )
    after = after.model_copy(update={"leaves": leaves})
    same = (after.leaves, after.edges) == (before.leaves, before.edges)
    return after if same else _outdated(after)


def _renewed(old: Leaf, leaf: Leaf) -> dict[str, Any]:
    """Return the expected seconds of a leaf whose limits were changed."""
    if leaf.budget == old.budget or leaf.kind not in shares():
        return {}
    return {"seconds": seconds_of(leaf.kind, leaf.budget)}


def _outdated(outline: Outline) -> Outline:
    """Return an outline with its seconds worked out again and its words marked as from before."""
    update: dict[str, Any] = {}
    if outline.understood and not outline.understood.startswith(BEFORE_EDIT):
        update["understood"] = f"{BEFORE_EDIT}: {outline.understood}"
    if outline.seconds is not None:
        update["seconds"] = total(outline)
    return outline.model_copy(update=update)


def _value(leaf: Leaf, dotted: str) -> Any:
    """Return a value of a leaf's request by its dotted path; None where there is none."""
    value: Any = leaf.request
    for step in dotted.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif (
            isinstance(value, list | tuple) and step.isdigit() and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            return None
    return value


def open_questions(outline: Outline) -> list[str]:
    """Return the questions without an answer."""
    return [
        name for name in outline.questions if not outline.answers.get(name, "").strip()
    ]


def runnable(outline: Outline) -> set[str]:
    """Return the leaves that run: neither dropped by the owner, nor in need of one that is."""
    runs = {name for name, leaf in outline.leaves.items() if leaf.enabled}
    needs = {
        name: {file["leaf"] for file in files_of(outline.leaves[name])} for name in runs
    }
    for edge in outline.edges.values():
        if edge.needs is Needs.SUCCESS and edge.child in needs:
            needs[edge.child].add(edge.parent)
    while lost := {name for name in runs if not needs[name] <= runs}:
        runs -= lost
    return runs


def require_runnable(outline: Outline) -> None:
    """Raise InvalidBody for an outline of which no leaf would run."""
    if not runnable(outline):
        raise refused(
            ("leaves",),
            "at least one job that runs",
            "none: every job is dropped, or needs one that is",
            fix="set /leaves/*/enabled of a job to true, or cancel the plan",
        )


def jobs_of(
    outline: Outline, have: Mapping[str, str], *, plan_id: str, max_attempts: int = 3
) -> dict[str, dict[str, Any]]:
    """Return the requests of the leaves that run and have no job yet, by leaf.

    have: ids of the jobs of leaves that were submitted before. In the requests, `#N` names the
    leaf with index N in the answer; each names only earlier ones. Raises InvalidBody.
    """
    order = [leaf for leaf in _ordered(outline) if leaf not in have]
    names = {leaf: f"#{index}" for index, leaf in enumerate(order)} | dict(have)
    after: dict[str, list[dict[str, str]]] = {leaf: [] for leaf in order}
    for edge in outline.edges.values():
        if edge.child in after and edge.parent in names:
            waits = {"job": names[edge.parent], "needs": edge.needs.value}
            after[edge.child].append(waits)
    requests = {}
    for name in order:
        leaf = outline.leaves[name]
        requests[name] = {
            **leaf.request,
            "kind": leaf.kind,
            "spec": _with_jobs(leaf.spec, names),
            "labels": {**leaf.labels, PLAN_LABEL: plan_id, LEAF_LABEL: name},
            "max_attempts": leaf.max_attempts or max_attempts,
            "after": after[name],
        }
    return requests


def require_stated_webhooks(outline: Outline, goal: str) -> None:
    """Raise InvalidBody for a webhook whose address does not stand in the goal.

    Only the owner's words send anything out: neither a worker nor a repair adds an address.
    """
    for name, leaf in outline.leaves.items():
        if leaf.webhook is not None and leaf.webhook.url not in goal:
            raise refused(
                ("leaves", name, "webhook", "url"),
                "an address that stands in the goal",
                leaf.webhook.url,
                fix="name the address in the goal, or poll the plan",
            )


def parse_leaf(
    name: str, body: Mapping[str, Any], kinds: Mapping[str, Kind], *, plan_kind: str
) -> JobRequest:
    """Validate the request of a leaf, as the gateway does for any job. Raises InvalidBody."""
    offered = sorted(set(kinds) - {plan_kind})
    if body["kind"] not in offered:
        expected = f"one of {', '.join(offered)}"
        raise refused(("leaves", name, "kind"), expected, body["kind"])
    model = request_model(kinds[body["kind"]].spec)
    try:
        return model.model_validate_json(orjson.dumps(body))
    except (TypeError, ValidationError) as error:
        raise _invalid(error, ("leaves", name)) from error


def require_repairs(before: Outline, after: Outline) -> None:
    """Raise InvalidBody unless `after` only adds repairs of leaves of an approved outline.

    A repair has the kind and the input files of the leaf that it repairs; a leaf has at most
    MAX_REPAIRS of them. A file of a leaf counts as that of a repair of it.
    """
    for name, leaf in before.leaves.items():
        if after.leaves.get(name) != leaf:
            raise refused(("leaves", name), "the leaf that was approved", "another one")
    origins = {name: _origin(after, name) for name in after.leaves}
    repairs: dict[str, int] = {}
    for name in after.leaves.keys() - before.leaves.keys():
        leaf, root = after.leaves[name], origins[name]
        if leaf.origin.source != "repair" or root not in before.leaves:
            raise refused(
                ("leaves", name, "origin"),
                "the repair of an approved leaf",
                leaf.origin.id,
            )
        repairs[root] = repairs.get(root, 0) + 1
        if leaf.kind != before.leaves[root].kind:
            expected = f"the kind of {root}, {before.leaves[root].kind}"
            raise refused(("leaves", name, "kind"), expected, leaf.kind)
        if _inputs(leaf, origins) != _inputs(before.leaves[root], origins):
            raise refused(
                ("leaves", name, "spec"), f"the input files of {root}", "others"
            )
    counted = {
        root: sum(origins[name] == root for name in after.leaves if name != root)
        for root in repairs
    }
    for root, count in counted.items():
        if count > MAX_REPAIRS:
            raise refused(("leaves", root), f"at most {MAX_REPAIRS} repairs", count)


def files_of(leaf: Leaf) -> list[Mapping[str, Any]]:
    """Return the files of other leaves that a leaf reads: `{"leaf": …, "output": …}`."""
    return [part for _, part in _objects(leaf.spec) if _is_leaf_file(part)]


def _require_whole(outline: Outline) -> None:
    """Raise InvalidBody for a part that names another one that is not there."""
    own = [leaf for leaf in outline.leaves.values() if leaf.origin.source != "repair"]
    if len(own) > MAX_LEAVES:
        raise refused(("leaves",), f"at most {MAX_LEAVES} jobs", len(own))
    if len(outline.leaves) > MAX_LEAVES * (1 + MAX_REPAIRS):
        raise refused(("leaves",), "fewer repairs", len(outline.leaves))
    named: list[tuple[Path, str, Mapping[str, Any]]] = [
        *(
            (("stages", n, "goal"), s.goal, outline.goals)
            for n, s in outline.stages.items()
        ),
        *(
            (("leaves", n, "stage"), x.stage, outline.stages)
            for n, x in outline.leaves.items()
        ),
        *(
            (("edges", n, "parent"), e.parent, outline.leaves)
            for n, e in outline.edges.items()
        ),
        *(
            (("edges", n, "child"), e.child, outline.leaves)
            for n, e in outline.edges.items()
        ),
        *((("answers", n), n, outline.questions) for n in outline.answers),
    ]
    for path, name, among in named:
        if name not in among:
            some = ", ".join(list(among)[:20]) or "(none)"
            raise refused(path, f"one of {some}", name)
    for name, leaf in outline.leaves.items():
        for path, part in _objects(leaf.spec, ("leaves", name, "spec")):
            if _is_leaf_file(part) and part[LEAF_FILE] not in outline.leaves:
                raise refused(
                    (*path, LEAF_FILE), "a leaf of this outline", part[LEAF_FILE]
                )
            if {"job", "output"} <= part.keys():
                raise refused(
                    path,
                    'a file by its digest, or {"leaf": ..., "output": ...}',
                    dict(part),
                    fix="jobs of a plan read files of one another only; upload any other file",
                )


def _ordered(outline: Outline) -> list[str]:
    """Return the leaves that run, each after those that it waits for. Raises InvalidBody."""
    runs = runnable(outline)
    waits = {
        name: {file["leaf"] for file in files_of(outline.leaves[name])}
        for name in sorted(runs)
    }
    for edge in outline.edges.values():
        if edge.child in runs and edge.parent in runs:
            waits[edge.child].add(edge.parent)
    try:
        return list(TopologicalSorter(waits).static_order())
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise refused(
            ("edges",), "leaves that do not wait for one another", circle
        ) from None


def _with_jobs(part: Any, names: Mapping[str, str]) -> Any:
    """Return a spec in which files of leaves are files of their jobs."""
    if isinstance(part, Mapping):
        if _is_leaf_file(part):
            rest = {key: value for key, value in part.items() if key != LEAF_FILE}
            return {"job": names[part[LEAF_FILE]], **rest}
        return {key: _with_jobs(value, names) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_with_jobs(value, names) for value in part]
    return part


def _objects(part: Any, path: Path = ()) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return every object within a JSON value, with its place. Raises InvalidBody if it is deep."""
    if len(path) > _MAX_DEPTH:
        raise refused(path[:4], f"at most {_MAX_DEPTH} levels", "more")
    items: list[tuple[str | int, Any]] = []
    if isinstance(part, Mapping):
        items = list(part.items())
    elif isinstance(part, list | tuple):
        items = list(enumerate(part))
    objects = [(path, part)] if isinstance(part, Mapping) else []
    for key, value in items:
        if isinstance(value, Mapping | list | tuple):
            objects += _objects(value, (*path, key))
    return objects


def _is_leaf_file(part: Mapping[str, Any]) -> bool:
    return isinstance(part.get(LEAF_FILE), str) and "output" in part


def _origin(outline: Outline, name: str) -> str:
    """Return the leaf at which a chain of repairs began; the last one known if it is broken."""
    seen = {name}
    while (leaf := outline.leaves[name]).origin.source == "repair":
        if leaf.origin.id not in outline.leaves or leaf.origin.id in seen:
            break
        name = leaf.origin.id
        seen.add(name)
    return name


def _inputs(leaf: Leaf, origins: Mapping[str, str]) -> set[tuple[Any, str, str]]:
    """Return the files of a leaf by place: digest, or the leaf at which repairs began and name."""
    files = set()
    for path, part in _objects(leaf.spec):
        if _is_leaf_file(part):
            origin = origins.get(part[LEAF_FILE], part[LEAF_FILE])
            files.add((tuple(path), origin, str(part["output"])))
        elif isinstance(part.get("digest"), str):
            files.add((tuple(path), part["digest"], ""))
    return files


def _invalid(error: Exception, prefix: Path) -> InvalidBody:
    """Convert errors of pydantic, or of a value that JSON does not have."""
    if not isinstance(error, ValidationError):
        return refused(prefix, "values of JSON", str(error))
    entries = []
    for item in own_faults(error.errors(include_url=False))[:50]:
        fault = fault_of({**item, "loc": ()})
        at = pointer((*prefix, *item["loc"]))
        entry = field_error(at, got=fault.got, expected=fault.expected)
        entries.append({**entry, "message": f"{at}: {fault}"})
    first = entries[0]["message"] if entries else "the outline does not fit its schema"
    return InvalidBody(str(first), errors=entries, fix=_FIX)
