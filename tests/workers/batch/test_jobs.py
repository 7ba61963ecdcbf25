"""Lines of a jobs file: what is taken, what is refused, and what makes two requests the same."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from workers.batch import jobs
from workers.batch.jobs import BadBatch, read_jobs

MODEL = "NAME M\nROWS\n N obj\nCOLUMNS\nRHS\nBOUNDS\nENDATA\n"


def written(folder: Path, *lines: object) -> Path:
    path = folder / "jobs.jsonl"
    path.write_bytes(
        b"\n".join(x if isinstance(x, bytes) else orjson.dumps(x) for x in lines) + b"\n"
    )
    return path


def test_model_path_is_relative_to_the_jobs_file_and_becomes_a_digest(
    tmp_path: Path,
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.mps").write_text(MODEL)
    (job,) = read_jobs(
        written(
            tmp_path, {"id": "a", "kind": "ilp", "spec": {"model_path": "models/a.mps"}}
        )
    )
    assert job.problem == ""
    assert job.request is not None
    assert job.inputs == {"model": (tmp_path / "models" / "a.mps").resolve()}
    assert job.request.spec.artifacts()["model"].name == "a.mps"


def test_digest_is_of_what_is_asked_and_not_of_how_it_is_written(tmp_path: Path) -> None:
    plain, full, other = read_jobs(
        written(
            tmp_path,
            {"id": "a", "kind": "probe", "spec": {"steps": 2}},
            b'{"seed": 0, "id": "b", "spec": {"step_seconds": 0.0, "steps": 2}, "kind": "probe"}',
            {"id": "c", "kind": "probe", "spec": {"steps": 2}, "seed": 1},
        )
    )
    assert plain.digest == full.digest != other.digest


def test_digest_changes_with_the_models_content(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "kind": "ilp", "spec": {"model_path": "a.mps"}})
    (tmp_path / "a.mps").write_text(MODEL)
    (before,) = read_jobs(path)
    (tmp_path / "a.mps").write_text(MODEL + "* other\n")
    (after,) = read_jobs(path)
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"nonsense", "not JSON"),
        (b'{"kind": "probe", "spec": {"steps": NaN}}', "not JSON"),
        (b"[1]", "JSON object"),
        (b'{"kind": "no-such", "spec": {}}', "expected one of"),
        (b'{"kind": ["probe"], "spec": {}}', "expected one of"),
        (b'{"id": 7, "kind": "probe", "spec": {}}', "id: expected"),
        (b'{"kind": "probe", "spec": {"steps": "1"}}', "steps"),
        (b'{"kind": "probe", "spec": {}, "typo": 1}', "typo"),
        (b'{"kind": "probe", "spec": 3}', "spec"),
        (b'{"kind": "ilp", "spec": {"model_path": "missing.mps"}}', "no such file"),
        (b'{"kind": "ilp", "spec": {"model_path": 3}}', "path of a file"),
        (
            b'{"kind": "ilp", "spec": {"model": {"digest": "sha256:%s"}}}' % (b"0" * 64),
            "model_path",
        ),
    ],
)
def test_bad_line_is_a_job_with_a_problem(
    tmp_path: Path, line: bytes, expected: str
) -> None:
    bad, good = read_jobs(written(tmp_path, line, {"kind": "probe", "spec": {}}))
    assert expected in bad.problem
    assert bad.request is None
    assert good.problem == ""


def test_same_id_twice_is_refused(tmp_path: Path) -> None:
    job = {"id": "a", "kind": "probe", "spec": {}}
    with pytest.raises(BadBatch, match="lines 1 and 2"):
        read_jobs(written(tmp_path, job, job))


def test_endless_line_is_refused_without_reading_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_LINE_BYTES", 1000)
    with pytest.raises(BadBatch, match="line 1: expected at most 1000 bytes"):
        read_jobs(written(tmp_path, b"x" * 5000))
