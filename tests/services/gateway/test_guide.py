"""The guide's commands for the HTTP API, run as they stand there, against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.gateway.process import environment, served

GUIDE = Path(__file__).parents[3] / "deploy" / "docs" / "guide" / "http-api.md"
MODEL = """NAME tiny
ROWS
 N cost
 G need
COLUMNS
 MARK 'MARKER' 'INTORG'
 x cost 1 need 1
 y cost 2 need 1
 MARK 'MARKER' 'INTEND'
RHS
 RHS need 1.5
BOUNDS
 UP BND x 1
 UP BND y 4
ENDATA
"""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_commands(tmp_path: Path) -> None:
    setup, follow = _blocks("sh")
    commands = follow.replace("\\\n", " ").strip().splitlines()
    assert len(commands) == 6
    (tmp_path / "model.mps").write_text(MODEL)
    with served(tmp_path / "data") as running:

        def run(command: str) -> str:
            done = subprocess.run(
                ["bash", "-euc", f"{setup}\n{command}"],
                cwd=tmp_path,
                env=environment(TRIMTAB_DATA_DIR=str(running.data_dir)),
                capture_output=True,
                text=True,
                timeout=90,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        upload, submit, wait, events, result, stop = commands
        digest = json.loads(run(upload))["digest"]
        job = json.loads(run(submit.replace("sha256:...", digest)))["id"]
        while json.loads(run(wait.replace("JOB", job)))["state"] in ("QUEUED", "RUNNING"):
            """Ask again, as the guide says."""
        heard = run(events.replace("JOB", job))
        assert heard.rstrip().splitlines()[-2:] == ["event: end", 'data: {"state":"SUCCEEDED"}']
        answer = json.loads(run(result.replace("JOB", job)))
        assert answer["objective"] == 3.0  # x = 1, y = 1
        assert answer["verification"]["status"] == "valid"
        ended = json.loads(run(stop.replace("JOB", job)))
        assert ended.get("status") == 409 or ended["state"] == "SUCCEEDED"


def test_the_webhook_check_knows_our_signature_from_others() -> None:
    from services.webhook_policy import sign

    names: dict[str, object] = {}
    (code,) = _blocks("python")
    exec(code, names)
    is_genuine = names["is_genuine"]
    assert callable(is_genuine)
    import time

    header = sign(b"secret", b"{}", unix_s=int(time.time()))
    assert is_genuine(b"secret", header, b"{}")
    assert not is_genuine(b"secret", header, b"{ }")
    assert not is_genuine(b"other", header, b"{}")
    assert not is_genuine(b"secret", sign(b"secret", b"{}", unix_s=int(time.time()) - 301), b"{}")
