"""Jobs that wait for jobs: what a submit says of them, and what a view shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.errors import InvalidBody, field_error
from services.gateway.deps import Context, Principal
from services.store.refusals import require_earlier
from services.store.types import After, JobRecord, OutputInput
from trimtab.results import JobState
from trimtab.specs.common import JobRequest, Needs, Spec, awaited_files

MAX_EDGES = 100_000


def parents(request: JobRequest) -> tuple[After, ...]:
    """Return the jobs that a request names in `after`."""
    return tuple(
        After(job=_key(after.job), needs_success=after.needs is Needs.SUCCESS)
        for after in request.after
    )


async def awaited_inputs(
    context: Context,
    principal: Principal,
    requests: Sequence[JobRequest],
    index: int,
    spec: dict[str, Any],
) -> tuple[OutputInput, ...]:
    """Return the files that a request reads of other jobs; `spec` loses their stand-in digests.

    Raises InvalidBody for a file that a job of that kind never leaves, and NotFound.
    """
    inputs = []
    for path, reference in awaited_files(requests[index].spec).items():
        assert reference.job is not None
        assert reference.output is not None
        key = _key(reference.job)
        if isinstance(key, int):
            require_earlier(index, [key])
            kind = requests[key].kind
        else:
            kind = (await context.store.get(key, tenant=principal.tenant)).kind
        _require_declared(context.kinds[kind].spec, path, reference.output)
        _drop_digest(spec, path)
        inputs.append(OutputInput(path=path, job=key, output=reference.output))
    return tuple(inputs)


def require_few_edges(requests: Sequence[JobRequest]) -> None:
    """Raise InvalidBody for a submit that names too many jobs."""
    edges = sum(len(request.after) for request in requests)
    if edges > MAX_EDGES:
        raise InvalidBody(
            f"jobs: expected at most {MAX_EDGES:,} entries of `after` in all, got {edges:,}",
            fix="let one job in between wait for the many, and the others for it",
        )


async def relatives_view(context: Context, job: JobRecord) -> dict[str, Any]:
    """Return what a job waits for and what waits for it, as JobView has it."""
    relatives = await context.store.relatives(job.id)
    return {
        "after": _listed(relatives.parents),
        "needed_by": _listed(relatives.children),
    }


def _listed(others: Mapping[str, tuple[bool, JobState]]) -> list[dict[str, str]]:
    return [
        {
            "job": job_id,
            "needs": (Needs.SUCCESS if needs_success else Needs.DONE).value,
            "state": state.value,
        }
        for job_id, (needs_success, state) in others.items()
    ]


def _key(name: str) -> str | int:
    """Return an id, or the index that `#N` stands for."""
    return int(name[1:]) if name.startswith("#") else name


def _require_declared(spec: type[Spec], path: Sequence[str | int], output: str) -> None:
    if output not in spec.OUTPUTS:
        where = ".".join(map(str, ("spec", *path, "output")))
        expected = f"a file that a job of kind {spec.KIND} leaves: " + ", ".join(
            spec.OUTPUTS
        )
        raise InvalidBody(
            f"{where}: expected {expected}, got {output!r}",
            errors=[field_error(where, got=output, expected=expected)],
            fix="name one of these files",
        )


def _drop_digest(spec: Any, path: Sequence[str | int]) -> None:
    for step in path:
        spec = spec[step]
    del spec["digest"]
