"""Build the wheels: `trimtab` (SDK and command line) and `trimtab-server` (the service).

    python deploy/tools/wheels.py [--out dist] [--no-isolation]

The server's wheel holds the runtime packages below one folder, `trimtab_server/`, because their
names (`services`, `search`, ...) would collide with other people's in a shared site-packages.
Measurements and corpora (workers.bench, .corpus) stay in the checkout. Name,
version and dependencies come from the root's pyproject.toml.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("services", "workers", "search", "cost_models", "solvers", "gnn", "cuda")
LABORATORY = ("workers/bench", "workers/corpus")
# Beside Python files: pages, migrations, weights, C and C++ sources, public data, their licences.
DATA = ("*.html", "*.css", "*.js", "*.svg", "*.ico", "*.png", "*.woff2", "*.mako", "*.ini", "*.c",
        "*.cpp", "*.h", "*.json", "*.jsonl", "*.toml", "*.safetensors", "*.typed", "*.txt", "*.md",
        "*.j2", "*.typ", "*LICENSE")  # fmt: skip


def main() -> None:
    """Build both wheels into one folder and print their paths."""
    parser = argparse.ArgumentParser(
        description="Build the wheels trimtab and trimtab-server"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--no-isolation",
        action="store_true",
        help="use the setuptools of this environment (77 or newer) instead of a fresh one",
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trimtab-wheels-") as scratch:
        for name, stage in (("trimtab", _stage_sdk), ("trimtab-server", _stage_server)):
            folder = Path(scratch, name)
            stage(folder)
            print(_build(folder, arguments.out, isolated=not arguments.no_isolation))


def _stage_sdk(folder: Path) -> None:
    """Copy the SDK, so that building leaves nothing in the checkout."""
    shutil.copytree(ROOT / "trimtab", folder, ignore=_ignored)


def _stage_server(folder: Path) -> None:
    """Lay out `trimtab_server/` with the runtime packages, and a pyproject.toml for it."""
    target = folder / "trimtab_server"
    shutil.copytree(
        ROOT / "deploy" / "packaging" / "trimtab_server", target, ignore=_ignored
    )
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=_ignored)
    for laboratory in LABORATORY:
        # Images are built without it.
        shutil.rmtree(target / laboratory, ignore_errors=True)
    shutil.copy(ROOT / "LICENSE", folder)
    (folder / "pyproject.toml").write_text(_server_pyproject())


def _ignored(folder: str, names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if name in ("__pycache__", "build", "dist")
        or name.endswith((".egg-info", ".pyc", "_cache"))
        or not (
            Path(folder, name).is_dir() or Path(name).suffix == ".py" or _is_data(name)
        )
    ]


def _is_data(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in DATA)


def _server_pyproject() -> str:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "project"
    ]
    dependencies = [f"trimtab=={project['version']}", *project["dependencies"]]
    lines = [
        "[build-system]",
        'requires = ["setuptools>=77"]',
        'build-backend = "setuptools.build_meta"',
        "[project]",
        *(
            f"{key} = {json.dumps(project[key])}"
            for key in ("name", "version", "description", "requires-python", "license")
        ),
        f"dependencies = {json.dumps(dependencies)}",
        "[project.optional-dependencies]",
        f"ray = {json.dumps(project['optional-dependencies']['ray'])}",
        "[project.scripts]",
        'trimtab-server = "trimtab_server.__main__:main"',
        "[tool.setuptools.packages.find]",
        'include = ["trimtab_server*"]',
        "[tool.setuptools.package-data]",
        f'"*" = {json.dumps(list(DATA))}',
    ]
    return "\n".join(lines) + "\n"


def _build(folder: Path, out: Path, *, isolated: bool) -> Path:
    """Build one wheel. Exits with the build's output when it fails."""
    with tempfile.TemporaryDirectory(prefix="trimtab-wheel-") as scratch:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += [] if isolated else ["--no-build-isolation"]
        command += ["--wheel-dir", scratch, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            sys.exit(f"building {folder.name} failed:\n{done.stdout}{done.stderr}")
        return Path(shutil.copy(wheels[0], out))


if __name__ == "__main__":
    main()
