"""Bodies and files of submits, and values of the submitted variables. No IO."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

from trimtab.errors import ProtocolError, SpecError
from trimtab.faults import Fault
from trimtab.files import LocalFile, Named
from trimtab.results import SOLUTION_FILE, RunResult
from trimtab.solution import SolutionValues, Variables
from trimtab.specs.common import (
    MODEL_AUTO,
    After,
    ArtifactRef,
    Budget,
    JobRequest,
    Spec,
    Webhook,
    check_limits,
    check_model,
)

Submission = Spec | JobRequest | Mapping[str, Any]


class HasId(Protocol):
    """A handle of a job."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...


def output_of(job_id: str, name: str) -> ArtifactRef:
    """Return a reference to a file that a job is to produce, for the spec of another job."""
    return ArtifactRef(job=job_id, output=name)


@dataclass(frozen=True, kw_only=True)
class SubmitOptions:
    """Options of a submit: the envelope's fields, and those of its budget. See JobRequest."""

    kind: str | None = None
    """Needed for a spec that is a mapping, e.g. of a kind that this SDK does not know."""
    seconds: float | None = None
    evaluations: int | None = None
    target_gap: float | None = None
    seed: int = 0
    priority: int = 0
    labels: Mapping[str, str] | None = None
    max_attempts: int = 3
    webhook: str | None = None
    """URL to POST the job's end to."""
    after: Sequence[str | After | HasId | Mapping[str, Any]] | None = None
    """Jobs that must end first: ids, handles of jobs, or `After(job=..., needs="done")`."""
    model: str = MODEL_AUTO
    """Fitted model to use: `auto`, `shipped`, or an id of `client.fitted_models()`."""
    name: str = ""
    """Name for people, which can be changed later: `job.rename(...)`."""

    def budget(self) -> Budget:
        """Return the limits that are set; the others are the budget's defaults."""
        limits: dict[str, Any] = {
            "evaluations": self.evaluations,
            "target_gap": self.target_gap,
        }
        if self.seconds is not None:
            real = isinstance(self.seconds, Real)
            limits["seconds"] = float(self.seconds) if real else self.seconds
        return Budget(
            **{name: value for name, value in limits.items() if value is not None}
        )


def _plain(value: Any) -> Any:
    """Return a scalar of numpy, such as an entry of an array of seeds, as Python's number."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def request_body(spec: Submission, **options: Any) -> dict[str, Any]:
    """Return a submit's JSON body. A JobRequest is sent unchanged; `options`: SubmitOptions.

    Raises TypeError for options beside a JobRequest, which has its own (dropping either silently
    would be wrong), and for a mapping without `kind`; SpecError for a limit that the kind ignores.
    """
    chosen = SubmitOptions(**{name: _plain(value) for name, value in options.items()})
    if isinstance(spec, JobRequest):
        if replace(chosen, labels=chosen.labels or None) != SubmitOptions():
            raise TypeError(
                "expected no options beside a JobRequest, which carries its own kind, budget, "
                "seed, priority, labels, max_attempts, webhook, model and name; change the "
                "request: request.model_copy(update={...})"
            )
        return _plain_request(spec)
    kind, fields = _kind_and_fields(spec, chosen.kind)
    budget = chosen.budget()
    if isinstance(spec, Spec):
        try:
            check_limits(type(spec), budget)
            check_model(type(spec), chosen.model)
        except ValueError as error:
            raise SpecError("JobRequest", [Fault(path="", expected=str(error))]) from None
    request = JobRequest(
        kind=kind,
        spec=fields,
        budget=budget,
        seed=chosen.seed,
        priority=chosen.priority,
        labels=dict(chosen.labels or {}),
        max_attempts=chosen.max_attempts,
        webhook=Webhook(url=chosen.webhook) if chosen.webhook else None,
        after=tuple(map(_after, chosen.after or ())),
        model=chosen.model,
        name=chosen.name,
    )
    return request.model_dump(mode="json", exclude_none=True)


def _after(other: str | After | HasId | Mapping[str, Any]) -> After:
    if isinstance(other, After):
        return other
    if isinstance(other, Mapping):
        return After(**other)
    return After(job=other if isinstance(other, str) else other.id)


def _plain_request(request: JobRequest) -> dict[str, Any]:
    body = request.model_dump(mode="json", exclude_none=True)
    # `spec` is typed Any in the base envelope: dump it by its own model.
    if isinstance(request.spec, Spec):
        body["spec"] = request.spec.model_dump(mode="json", exclude_none=True)
    return body


def _kind_and_fields(
    spec: Spec | Mapping[str, Any], kind: str | None
) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, Spec):
        return spec.KIND, spec.model_dump(mode="json", exclude_none=True)
    if kind is not None:
        return kind, dict(spec)
    remedy = (
        "this is a whole request: submit its 'spec' with kind=, seconds=, ..."
        if "spec" in spec
        else "e.g. submit({...}, kind='ilp')"
    )
    raise TypeError(
        f"expected `kind=` beside a spec that is a mapping, got none; {remedy}"
    )


def local_files(spec: Submission) -> list[LocalFile]:
    """Return the files on this machine that the spec refers to."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    refs = inner.artifacts().values() if isinstance(inner, Spec) else ()
    return [ref for ref in refs if isinstance(ref, LocalFile)]


def named_files(given: Named) -> dict[str, ArtifactRef]:
    """Return files by their names; those of this machine are uploaded with the spec.

    Raises ValueError for two files of one name.
    """
    if isinstance(given, str | os.PathLike):
        given = [given]
    pairs: list[tuple[str, Any]] = (
        list(given.items())
        if isinstance(given, Mapping)
        else [(Path(path).name, path) for path in given]
    )
    named: dict[str, ArtifactRef] = {}
    for name, file in pairs:
        if name in named:
            raise ValueError(
                f"files: expected one file of each name, got two of {name!r}; name them: "
                f"files={{{name!r}: ..., 'other-{name}': ...}}"
            )
        named[name] = file if isinstance(file, ArtifactRef) else LocalFile.of(file, name)
    return named


def variables_of(spec: Submission) -> Variables | None:
    """Return the variables of the model object that the spec was made from."""
    inner = spec.spec if isinstance(spec, JobRequest) else spec
    return inner.variables() if isinstance(inner, Spec) else None


def with_values(
    result: RunResult, variables: Variables | None, fetch: Callable[[], bytes]
) -> RunResult:
    """Return the result, with values of the user's own variables when it has a solution file."""
    if variables is not None and SOLUTION_FILE in result.artifacts:
        result._solution = SolutionValues(variables, lambda: nonzeros(fetch()))
    return result


def nonzeros(solution: bytes) -> dict[str, float]:
    """Read name → value from the bytes of a `solution.json`. Raises ProtocolError."""
    try:
        return {
            str(name): float(value)
            for name, value in json.loads(solution)["nonzeros"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(
            f"{SOLUTION_FILE}: expected an object with 'nonzeros', got: {error}"
        ) from error
