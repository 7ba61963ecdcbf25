"""Commands of the HTTP API guide, executed unchanged against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services.gateway.process import environment, served

GUIDE = Path(__file__).parents[3] / "deploy" / "docs" / "guide" / "http-api.md"
MODEL = "Minimize\n obj: x + y\nSubject To\n c: 2 x + 3 y >= 7\nGeneral\n x y\nEnd\n"


def _blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_commands(tmp_path: Path) -> None:
    setup, follow, plan = _blocks("sh")
    lines = follow.replace("\\\n", " ").strip().splitlines()
    prepare, shown = [line for line in lines if not line.startswith("curl")], lines[-4:]
    assert all(line.startswith("curl") for line in shown)
    (tmp_path / "model.lp").write_text(MODEL)
    mark = "---- next"
    script = "\n".join(
        [
            setup,
            *prepare,
            *(f"{command}\necho; echo '{mark}'" for command in shown),
            plan,
            f"echo; echo '{mark}'",
            'curl -sS -H "$AUTH" "$URL/v1/jobs/$PLAN/wait?timeout_s=60"',
            f"echo; echo '{mark}'",
            'curl -sS -H "$AUTH" "$URL/v1/jobs?graph=$PLAN"',
        ]
    )
    with served(tmp_path / "data") as running:
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=tmp_path,
            env=environment(TRIMTAB_DATA_DIR=str(running.data_dir)),
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stderr
    state, events, result, stopped, rest, report, jobs = done.stdout.split(mark)
    assert json.loads(state)["state"] == "SUCCEEDED"
    assert events.rstrip().splitlines()[-2:] == [
        "event: end",
        'data: {"state":"SUCCEEDED"}',
    ]
    answer = json.loads(result)
    assert answer["objective"] == 3.0  # x = 2, y = 1
    assert answer["verification"]["status"] == "valid"
    ended = json.loads(stopped)
    assert ended.get("status") == 409 or ended["state"] == "SUCCEEDED"
    assert '"revision":2' in rest
    assert '"state":"WAITING"' in rest
    assert json.loads(report)["state"] == "SUCCEEDED", report
    leaf, own = json.loads(jobs)["items"]
    assert own["graph"] == leaf["graph"] == own["id"]
    assert (leaf["state"], leaf["budget"]["seconds"]) == ("SUCCEEDED", 7.0)


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
    assert not is_genuine(
        b"secret", sign(b"secret", b"{}", unix_s=int(time.time()) - 301), b"{}"
    )
