"""Every example of README and guides runs against a real server, or says why it cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.doc_examples import Sessions, Step, indented_blocks, steps_of

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "deploy" / "docs").rglob("*.md"))]
MEASURED = ROOT / "deploy" / "docs" / "measured"  # generated; its commands run for hours
BLOCK_S = 150.0  # on a busy machine; the whole takes a minute on a quiet one
DEFAULT_PORT = "127.0.0.1:8642"
# Budgets of the examples below full scale: what they show does not depend on them.
SHORT_S = 5
_BUDGET = re.compile(r"""(--seconds |\bseconds=|"seconds": )(\d+)""")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def steps(page: Path) -> list[Step]:
    return steps_of(page.read_text(encoding="utf-8"))


def environment(home: Path, port: int) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TRIMTAB_", "PYTEST_"))
    }
    return passed_on | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "TRIMTAB_PORT": str(port),
        "BROWSER": "true",  # the program: it opens nothing
        "TERM": "dumb",
    }


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_server(home: Path) -> None:
    address = home / ".local" / "share" / "trimtab" / "server.json"
    deadline = time.monotonic() + 90
    while True:
        try:
            url = json.loads(address.read_text())["url"]
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return
        except (OSError, ValueError):
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """Start the server that guides assume."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services"],
            cwd=home,
            env=environment(home, port),
            stdout=log,
            stderr=log,
        )
        try:
            wait_for_server(home)
            yield home, port
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_marked(page: Path) -> None:
    faults = [
        f"{name_of(page)}:{step.line}: {step.fault}" for step in steps(page) if step.fault
    ]
    faults += [
        f"{name_of(page)}:{line}: indented code: fence it"
        for line in indented_blocks(page.read_text())
    ]
    assert not faults, "\n".join(faults)


def shortened(text: str) -> str:
    """Return an example with budgets of at most SHORT_S.

    Learning and antennas keep the time that they take: later blocks read what they made.
    """
    if "learn" in text or "antenna" in text:
        return text
    return _BUDGET.sub(lambda m: f"{m[1]}{min(int(m[2]), SHORT_S)}", text)


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if p.parent != MEASURED and any(step.runs for step in steps(p))],
    ids=name_of,
)
def test_every_example_runs(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest, scale: float
) -> None:
    listed = steps(page)
    serves = any(step.runs and "trimtab serve" in step.text for step in listed)
    home, port = (
        (tmp_path / "home", free_port()) if serves else request.getfixturevalue("server")
    )
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "deploy" / "docs" / "measured").mkdir(parents=True)
    for path in (Path("examples"), Path("docs", "measured", "results")):
        (folder / "deploy" / path).symlink_to(ROOT / "deploy" / path)
    sessions = Sessions(folder, environment(home, port), timeout_s=BLOCK_S)
    try:
        for step in listed:
            if step.file:
                (folder / step.file).write_text(step.text)
            elif step.runs:
                here = step.text.replace(DEFAULT_PORT, f"127.0.0.1:{port}")
                if scale < 1:
                    here = shortened(here)
                sessions.run(
                    Step(
                        line=step.line,
                        language=step.language,
                        text=here,
                        given=step.given,
                    )
                )
                if "trimtab serve" in step.text:
                    wait_for_server(home)  # a reader sees its address before going on
    finally:
        sessions.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_budgets_are_shortened() -> None:
    """All the forms that pages use, and no longer time than the page says."""
    text = 'trimtab submit a.lp --seconds 60\nsubmit(spec, seconds=3)\n{"seconds": 60}'
    assert shortened(text) == text.replace("60", "5")
    assert shortened("--kind learn --seconds 120") == "--kind learn --seconds 120"


def test_marks_are_understood() -> None:
    page = (
        "<!-- file: a.c -->\n```c\nint x;\n```\n"
        "<!-- not executed: needs Docker -->\n```bash\ndocker\n```\n```\nx\n```\n"
    )
    file, skipped, bare = steps_of(page + "<!-- given: python\nx = 1\n-->\n")[:3]
    assert (file.file, file.text, file.runs) == ("a.c", "int x;\n", False)
    assert (skipped.reason, skipped.runs, skipped.fault) == ("needs Docker", False, "")
    assert "without a language" in bare.fault
    (hidden,) = steps_of("<!-- given: bash\necho > model.lp\n-->\n")
    assert "hidden command" in hidden.fault
    with pytest.raises(ValueError, match="expected a text"):
        steps_of("<!-- not executed: -->\n```bash\n```\n")
    with pytest.raises(ValueError, match="expected a block"):
        steps_of("<!-- not executed: why -->\n")
    assert indented_blocks("text\n\n    code\n") == [3]
    assert indented_blocks("- item\n\n    more of it\n") == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("bash", "false\necho after\n"),
        ("python", "raise RuntimeError('x')\n"),
        ("bash", "ls /nowhere | cat; exit 3\n"),
    ],
)
def test_failing_examples_fail(tmp_path: Path, language: str, text: str) -> None:
    (tmp_path / "reader").mkdir()
    sessions = Sessions(tmp_path / "reader", dict(os.environ), timeout_s=60)
    try:
        with pytest.raises(AssertionError, match="line 7 failed"):
            sessions.run(Step(line=7, language=language, text=text))
    finally:
        sessions.close()


def test_a_reader_keeps_state(tmp_path: Path) -> None:
    (tmp_path / "reader").mkdir()
    sessions = Sessions(tmp_path / "reader", dict(os.environ), timeout_s=60)
    try:
        for language, text in (
            ("bash", "X=5\nf() { echo $X; }\n"),
            ("python", "import os\ny = 6\n"),
            ("bash", 'test "$(f)" = 5 && f > out\n'),
            ("python", "assert y == 6 and open('out').read() == '5\\n'\n"),
        ):
            sessions.run(Step(line=1, language=language, text=text))
    finally:
        sessions.close()
