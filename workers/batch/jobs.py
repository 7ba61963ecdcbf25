"""Read the lines of a jobs file. A line is untrusted until parsed.

A line is a job request as on the wire. For an input file `NAME` of the spec it may have
`"NAME_path": "models/a.mps"`, relative to the jobs file, instead of an uploaded artifact:

    {"id": "a", "kind": "ilp", "spec": {"model_path": "models/a.mps"}, "budget": {"seconds": 60}}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from search.kinds import KINDS, Kind
from trimtab.faults import faults_in
from trimtab.specs.common import JobRequest, awaited_files, request_model

MAX_LINE_BYTES = 16 * 2**20
MAX_ID_CHARS = 200


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """A line of the jobs file; `problem` is set when it cannot be run."""

    id: str
    line: int
    digest: str  # of the validated request and its files' digests: identifies the run
    kind: str = ""
    request: JobRequest | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)
    problem: str = ""


class BadBatch(ValueError):
    """The jobs file as a whole is invalid."""


def read_jobs(path: Path, *, kinds: Mapping[str, Kind] = KINDS) -> list[BatchJob]:
    """Read all jobs, in order. An invalid line becomes a job with a problem.

    Raises BadBatch for two lines with one id, or a line that is too long.
    """
    jobs: list[BatchJob] = []
    seen: dict[str, int] = {}
    files = Files()
    for number, line in _lines(path):
        job = parse_line(number, line, folder=path.parent, kinds=kinds, files=files)
        if job.id in seen:
            raise BadBatch(
                f"{path}: lines {seen[job.id]} and {number} have the same id {job.id!r}; "
                "ids must differ"
            )
        seen[job.id] = number
        jobs.append(job)
    return jobs


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise BadBatch(
                    f"{path}: line {number}: expected at most {MAX_LINE_BYTES} bytes, got "
                    "more; give models as files"
                )
            if line.strip():
                yield number, line


def parse_line(
    number: int,
    line: bytes,
    *,
    folder: Path,
    kinds: Mapping[str, Kind] = KINDS,
    files: Files | None = None,
) -> BatchJob:
    """Read one line, with paths relative to `folder`. An invalid one is a job with a problem."""
    files = files or Files()
    raw_digest = _digest(line.strip())
    job_id = f"line-{number}"

    def bad(problem: str, **more: Any) -> BatchJob:
        return BatchJob(
            id=job_id, line=number, digest=raw_digest, problem=problem, **more
        )

    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return bad(f"not JSON: {error}")
    if not isinstance(body, dict):
        return bad(f"job: expected a JSON object, got {type(body).__name__}")
    own_id = body.pop("id", job_id)
    if not isinstance(own_id, str) or not 0 < len(own_id) <= MAX_ID_CHARS:
        return bad(
            f"id: expected text of 1 to {MAX_ID_CHARS} characters, got {own_id!r:.60}"
        )
    job_id = own_id
    name = body.get("kind")
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        return bad(f"kind: expected one of {', '.join(sorted(kinds))}, got {name!r}")
    model = request_model(kind.spec)
    try:
        spec, inputs = _resolve_files(body.get("spec"), kind, folder, files)
        request = model.model_validate_json(orjson.dumps({**body, "spec": spec}))
    except ValidationError as error:
        return bad(
            "; ".join(str(fault) for fault in faults_in(model, error)[:5]), kind=kind.name
        )
    except (OSError, ValueError) as error:
        return bad(str(error), kind=kind.name)
    if request.after or awaited_files(request.spec):
        return bad(
            "after: expected none, because the jobs of a batch file are independent; a server "
            "takes such jobs: POST /v1/jobs:batch",
            kind=kind.name,
        )
    missing = sorted(set(request.spec.artifacts()) - set(inputs))
    if missing:
        return bad(
            f"spec.{missing[0]}: expected the path of a file as {missing[0]}_path, got an "
            "uploaded file, which a batch cannot fetch",
            kind=kind.name,
        )
    digest = _digest(
        orjson.dumps(request.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    )
    return BatchJob(
        id=job_id,
        line=number,
        digest=digest,
        kind=kind.name,
        request=request,
        inputs=inputs,
    )


def _resolve_files(
    spec: Any, kind: Kind, folder: Path, files: Files
) -> tuple[Any, dict[str, Path]]:
    """Replace each `NAME_path` by a reference to the file's content; also return the paths."""
    if not isinstance(spec, dict):
        return spec, {}
    fields = kind.spec.model_fields
    resolved: dict[str, Any] = {}
    inputs: dict[str, Path] = {}
    for key, value in spec.items():
        name = key.removesuffix("_path")
        if key in fields or name == key or name not in fields:
            resolved[key] = value
            continue
        if not isinstance(value, str):
            raise ValueError(f"spec.{key}: expected the path of a file, got {value!r}")
        path = (folder / value).resolve()
        resolved[name] = files.reference(path)
        inputs[name] = path
    return resolved, inputs


class Files:
    """Cache of files' references: thousands of jobs may share a model."""

    def __init__(self) -> None:
        self._references: dict[Path, dict[str, Any]] = {}

    def reference(self, path: Path) -> dict[str, Any]:
        """Return digest, name and size of a file. Raises ValueError for one that is not there."""
        if path not in self._references:
            if not path.is_file():
                raise ValueError(f"{path}: no such file")
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._references[path] = {
                "digest": f"sha256:{digest}",
                "name": path.name,
                "size_bytes": path.stat().st_size,
            }
        return self._references[path]


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
