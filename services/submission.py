"""Requests that were validated become jobs for the store: files and parents exist, and fit.

Shared by the gateway's submits and by plans, so that no job escapes these checks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.kinds import Kind
from services.errors import InvalidBody, NotFound, field_error
from services.models import require_usable
from services.store.refusals import require_earlier
from services.store.types import After, ArtifactRecord, JobStore, NewJob, OutputInput
from services.webhook_policy import WebhookRefused, check_url
from trimtab.results import RESTING, JobState
from trimtab.specs.common import ArtifactRef, JobRequest, Needs, Spec, awaited_files


@dataclass(frozen=True, kw_only=True)
class Submission:
    """Destination of one tenant's requests."""

    store: JobStore
    kinds: Mapping[str, Kind]
    tenant: str
    webhook_hosts: Collection[str]  # private addresses that webhooks may call

    async def new_job(self, requests: Sequence[JobRequest], index: int) -> NewJob:
        """Return request `index` of a submit as a job to store.

        Raises InvalidBody, BadRequest and NotFound.
        """
        request = requests[index]
        webhook = None
        if request.webhook is not None:
            try:
                check_url(request.webhook.url, allowed_hosts=self.webhook_hosts)
            except WebhookRefused as error:
                raise InvalidBody(
                    str(error), fix="use a public http(s) address"
                ) from error
            webhook = {"url": request.webhook.url}
        await require_usable(
            self.store,
            tenant=self.tenant,
            kind=request.kind,
            model=request.model,
            index=index,
        )
        artifacts = request.spec.artifacts()
        spec = request.spec.model_dump(mode="json")
        inputs = await self._awaited_inputs(requests, index, spec)
        for name, reference in artifacts.items():
            if not reference.is_awaited:
                await self._check_file(index, name, reference)
        return NewJob(
            tenant=self.tenant,
            kind=request.kind,
            spec=spec,
            budget=request.budget.model_dump(mode="json"),
            seed=request.seed,
            priority=request.priority,
            labels=request.labels,
            max_attempts=request.max_attempts,
            webhook=webhook,
            artifacts=tuple(
                reference.digest
                for reference in artifacts.values()
                if not reference.is_awaited
            ),
            after=_parents(request),
            inputs=inputs,
            model=request.model,
            name=request.name,
        )

    async def _check_file(self, index: int, name: str, reference: ArtifactRef) -> None:
        try:
            stored = await self.store.get_artifact(reference.digest, tenant=self.tenant)
        except NotFound as error:
            path = f"spec.{name}.digest"
            raise InvalidBody(
                f"job {index}: {path}: expected an uploaded file, got {reference.digest}",
                errors=[
                    field_error(path, got=reference.digest, expected="an uploaded file")
                ],
                fix="upload it first: POST /v1/artifacts?name=FILE",
            ) from error
        _check_reference(f"spec.{name}", reference, stored)

    async def _awaited_inputs(
        self, requests: Sequence[JobRequest], index: int, spec: dict[str, Any]
    ) -> tuple[OutputInput, ...]:
        """Return the files that a request reads of other jobs; `spec` loses their stand-ins.

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
                kind = (await self.store.get(key, tenant=self.tenant)).kind
            _require_declared(self.kinds[kind].spec, path, reference.output)
            _drop_digest(spec, path)
            inputs.append(OutputInput(path=path, job=key, output=reference.output))
        return tuple(inputs)


async def queued_jobs(store: JobStore, tenant: str) -> int:
    """Return how many jobs count towards a tenant's quota.

    Waiting and resting jobs count, or graphs and plans would be a way around it.
    """
    counts = await store.counts(tenant)
    return sum(counts[state] for state in (JobState.QUEUED, JobState.WAITING, *RESTING))


def _parents(request: JobRequest) -> tuple[After, ...]:
    """Return the jobs that a request names in `after`."""
    return tuple(
        After(job=_key(after.job), needs_success=after.needs is Needs.SUCCESS)
        for after in request.after
    )


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


def _check_reference(path: str, reference: ArtifactRef, stored: ArtifactRecord) -> None:
    """Raise InvalidBody if a reference contradicts the stored file it names."""
    for field in ("size_bytes", "media_type"):
        claimed, actual = getattr(reference, field), getattr(stored, field)
        if claimed is not None and claimed != actual:
            where = f"{path}.{field}"
            raise InvalidBody(
                f"{where}: expected {actual!r}, as the stored file has it, got {claimed!r}",
                errors=[field_error(where, got=claimed, expected=repr(actual))],
                fix="omit it, or use the digest of the file you mean",
            )
