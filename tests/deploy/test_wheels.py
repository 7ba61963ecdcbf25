"""Wheels in a fresh environment, run beside folders with the names of the server's packages."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "services",
    "workers",
    "search",
    "solvers",
    "cost_models",
    "gnn",
    "ziglang",
    "numpy",
)
MODEL = """\
Maximize
 obj: 5 x + 4 y + 3 z
Subject To
 a: 2 x + 3 y + z <= 5
 b: 4 x + y + 2 z <= 11
 c: 3 x + 4 y + 2 z <= 8
General
 x y z
End
"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    bin: Path
    dependencies: Path
    server_wheel: Path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """A fresh environment with both wheels.

    Their dependencies are links to this environment's packages, without ours and without `.pth`
    files: the checkout itself cannot be imported.
    """
    folder = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, str(ROOT / "deploy/tools/wheels.py"), "--out", str(folder)]
    subprocess.run([*build, "--no-isolation"], check=True, timeout=120)
    wheels = sorted(folder.glob("*.whl"))
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["trimtab", "trimtab_server"]
    environment = folder / "environment"
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("trimtab", "__editable__", "__pycache__")):
            (dependencies / entry.name).symlink_to(entry)
    venv.create(environment, with_pip=False)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
    ]
    install += ["install", "--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    # Another test may have set PYTHONPATH to the checkout, where pip would find both installed.
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([*install, *map(str, wheels)], check=True, timeout=120, env=clean)
    return Installed(
        bin=environment / "bin", dependencies=dependencies, server_wheel=wheels[1]
    )


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A working directory whose packages have the names of ours and leave a mark when imported."""
    folder = tmp_path / "mine"
    for name in HOSTILE:
        (folder / name).mkdir(parents=True)
        mark = folder / f"{name}-was-imported"
        (folder / name / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    (folder / "model.lp").write_text(MODEL)
    return folder


def test_the_server_wheel_holds_the_runtime_alone(installed: Installed) -> None:
    names = zipfile.ZipFile(installed.server_wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"trimtab_server"}, "nothing else enters a shared site-packages"
    rooms = {"/".join(name.split("/")[1:3]) for name in names}
    assert not rooms & {"workers/bench", "workers/corpus"}
    assert "workers/train" in rooms  # the kind `learn` trains
    assert {"services/web", "workers/process", "search/domains", "solvers/exact"} <= rooms
    tracked = subprocess.run(
        [
            "git",
            "ls-files",
            "services",
            "workers/*.py",
            "search",
            "cost_models",
            "solvers",
            "gnn",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    laboratory = ("workers/bench/", "workers/corpus/")
    expected = {
        f"trimtab_server/{name}"
        for name in tracked
        if not name.startswith(laboratory) and (ROOT / name).exists()
    }
    assert expected <= set(names), "every file of the runtime is in the wheel"


@pytest.mark.parametrize("start", [["trimtab-server"], ["trimtab", "serve"]])
def test_serves_beside_hostile_packages(
    installed: Installed, hostile: Path, tmp_path: Path, start: list[str]
) -> None:
    with _served(installed, hostile, tmp_path / "data", start):
        done = _trimtab(
            installed,
            hostile,
            tmp_path / "data",
            "submit",
            "model.lp",
            "--seconds",
            "10",
            "--wait",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        listed = _trimtab(installed, hostile, tmp_path / "data", "list", "--json")
        job = json.loads(listed.stdout)
        assert (job["state"], job["best"]["objective"]) == ("SUCCEEDED", 13.0)
    assert not list(hostile.glob("*-was-imported"))


@pytest.mark.parametrize(
    "executor", ["process", pytest.param("ray", marks=pytest.mark.ray)]
)
def test_batch_runs_beside_hostile_packages(
    installed: Installed, hostile: Path, tmp_path: Path, executor: str
) -> None:
    job = {"kind": "ilp", "spec": {"model_path": "model.lp"}, "budget": {"seconds": 5}}
    (hostile / "jobs.jsonl").write_text(json.dumps(job) + "\n")
    batch = ["batch", "jobs.jsonl", "--out", "results.jsonl", "--executor", executor]
    done = _trimtab(installed, hostile, tmp_path / "data", *batch)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (hostile / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["result"]["objective"] == 13
    assert not list(hostile.glob("*-was-imported"))


def test_doctor_probes_beside_hostile_packages(
    installed: Installed, hostile: Path, tmp_path: Path
) -> None:
    doctor = _trimtab(installed, hostile, tmp_path / "data", "doctor")
    assert "highspy" in doctor.stdout, doctor.stdout + doctor.stderr
    assert not list(hostile.glob("*-was-imported"))


def _environment(installed: Installed, data: Path) -> dict[str, str]:
    ours = {
        k: v for k, v in os.environ.items() if not k.startswith(("TRIMTAB_", "PYTHON"))
    }
    return ours | {
        "TRIMTAB_DATA_DIR": str(data),
        "COLUMNS": "200",
        "PYTHONPATH": str(installed.dependencies),
        # The sandbox shows what is on this path.
        "LD_LIBRARY_PATH": sysconfig.get_path("purelib"),
    }


def _trimtab(
    installed: Installed, folder: Path, data: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(installed.bin / "trimtab"), *arguments],
        cwd=folder,
        env=_environment(installed, data),
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextlib.contextmanager
def _served(
    installed: Installed, folder: Path, data: Path, start: list[str]
) -> Iterator[None]:
    command = [str(installed.bin / start[0]), *start[1:], "--port", "0"]
    log = folder.parent / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(installed, data),
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while not ((data / "server.json").exists() and (data / "admin.key").exists()):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(30)
