"""The image job of a link: in place where the service is installed, else on a server."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "program.tar.gz"
_SPARE_S = 600.0  # beyond its budget, before a job is given up


class NoAnswer(Exception):
    """The job has no object. The message has the reason."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final  # the same job would be refused again


def evaluations() -> int | None:
    """Return the limit of pipelines to try, TRIMTAB_CC_EVALUATIONS."""
    named = os.environ.get("TRIMTAB_CC_EVALUATIONS", "").strip()
    return int(named) if named else None


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """Return a .tar.gz of files, the same bytes each time."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def optimised_object(
    archive: bytes, spec: Mapping[str, Any], *, seconds: float
) -> tuple[bytes, dict[str, Any]]:
    """Return the one object of the answer, and the job's summary. Raises NoAnswer."""
    with tempfile.TemporaryDirectory(prefix="trimtab-cc-") as scratch:
        folder = Path(scratch)
        (folder / NAME).write_bytes(archive)
        if os.environ.get("TRIMTAB_URL"):
            return _on_server(folder / NAME, spec, seconds)
        return _here(folder, spec, seconds)


def _here(
    folder: Path, spec: Mapping[str, Any], seconds: float
) -> tuple[bytes, dict[str, Any]]:
    from trimtab.doors import local
    from trimtab.doors.answer import DoorError

    files = folder / "files"
    files.mkdir()
    job = {
        "kind": "compile",
        "spec": {**spec, "source_path": str(folder / NAME)},
        "budget": {"seconds": seconds, "evaluations": evaluations()},
        "seed": 0,
    }
    try:
        runner = local.LocalRunner()
    except DoorError as error:
        raise NoAnswer(str(error)) from None
    try:
        runner.begin(job, folder=folder, files=files)
        ends = time.monotonic() + seconds + _SPARE_S
        while time.monotonic() < ends:
            message = runner.receive(0.25)
            if message is not None and message["type"] == "done":
                return _object_of(message["record"], files)
    except DoorError as error:
        raise NoAnswer(str(error)) from None
    finally:
        runner.close()
    raise NoAnswer(f"the job did not end within {seconds + _SPARE_S:.0f} s")


def _object_of(record: Mapping[str, Any], files: Path) -> tuple[bytes, dict[str, Any]]:
    result = record.get("result")
    if not result:
        ended = record.get("termination") or {}
        final = str(ended.get("reason", "")) == "invalid_input"
        raise NoAnswer(_reason(record), final=final)
    reference = result["artifacts"].get("optimised.o")
    if reference is None:
        raise NoAnswer("the answer has no object")
    path = files / str(reference["digest"]).removeprefix("sha256:")
    return path.read_bytes(), dict(result["summary"])


def _reason(record: Mapping[str, Any]) -> str:
    ended = record.get("termination") or {}
    return str(ended.get("detail") or ended.get("reason") or json.dumps(record)[:500])


def _on_server(
    archive: Path, spec: Mapping[str, Any], seconds: float
) -> tuple[bytes, dict[str, Any]]:
    from trimtab.client import Client
    from trimtab.errors import TrimtabError
    from trimtab.specs.compile import CompileSpec

    try:
        with Client() as client:
            job = client.submit(
                CompileSpec.from_file(archive, **_typed(spec)),
                seconds=seconds,
                evaluations=evaluations(),
            )
            result = job.result()
            target = archive.with_name("optimised.o")
            job.download("optimised.o", target)
            return target.read_bytes(), dict(result.summary)
    except TrimtabError as error:
        raise NoAnswer(str(error)) from None


def _typed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec as `from_file` takes them."""
    from trimtab.specs.common import ArtifactRef
    from trimtab.specs.compile import CompileSpec

    nobody = ArtifactRef(digest="sha256:" + "0" * 64, name=NAME)
    whole = CompileSpec.model_validate_json(
        json.dumps({**spec, "source": nobody.model_dump(mode="json")})
    )
    return {name: getattr(whole, name) for name in spec}
