"""Manifests are well-formed, consistent with the tree, and hold no secret."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
YAML_FILES = sorted(
    [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml"), ROOT / ".pre-commit-config.yaml"]
)
DOCKERFILES = sorted((DEPLOY / "docker").glob("Dockerfile*"))


def documents(path: Path) -> list[dict[str, Any]]:
    return [doc for doc in yaml.safe_load_all(path.read_text()) if doc is not None]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda p: p.name)
def test_yaml_parses_and_has_no_duplicate_keys(path: Path) -> None:
    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [
            loader.construct_object(key)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        assert len(keys) == len(set(keys)), (
            f"duplicate keys in {path.name} near line {node.start_mark.line + 1}: {keys}"
        )
        loader.flatten_mapping(node)
        return dict(loader.construct_pairs(node, deep=True))

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    docs = list(yaml.load_all(path.read_text(), Loader=Strict))  # Strict is a SafeLoader
    assert docs
    assert all(isinstance(doc, dict) for doc in docs)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_dockerfile_copies_only_what_exists_and_runs_as_nobody_special(
    path: Path,
) -> None:
    text = path.read_text().replace("\\\n", " ")
    copied = re.findall(r"^COPY (?!--from)(.+)$", text, re.M)
    assert copied
    for line in copied:
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), (
                f"{path.name} copies {source}, which is not in the checkout"
            )
    assert re.findall(r"^USER (\S+)$", text, re.M)[-1:] == ["trimtab"]
    # What the set-up installs to run the service belongs into the image.
    script = (DEPLOY / "setup" / "debian.sh").read_text().partition('"$what" = test')[0]
    needed = set(re.findall(r"missing\+=\((.+?)\)", script))
    assert needed == {"bubblewrap", "openems"}
    installed = re.findall(r"apt-get install -y --no-install-recommends ([^&]+)", text)
    assert needed <= set(" ".join(installed).split())
    # Every import package of the application goes into the image.
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= {line.split()[0] for line in copied}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_images_build_the_wheels_from_what_they_copy(path: Path, tmp_path: Path) -> None:
    """The files that an image copies, without those in .dockerignore, build the wheels."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.M):
        *sources, _target = line.split()
        for source in sources:
            target = tmp_path / "context" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=ignored)
            else:
                shutil.copy(ROOT / source, target)
    for name in (ROOT / ".dockerignore").read_text().split():
        shutil.rmtree(tmp_path / "context" / name, ignore_errors=True)
    build = [
        sys.executable,
        "deploy/tools/wheels.py",
        "--no-isolation",
        "--out",
        "../wheels",
    ]
    subprocess.run(build, cwd=tmp_path / "context", check=True, timeout=120)
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == 2
    text = path.read_text()
    assert "deploy/tools/wheels.py --out /wheels" in text
    assert "pip install --no-deps /wheels/*.whl" in text


def test_compose_services_wait_for_the_database_and_share_the_blobs() -> None:
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    services = compose["services"]
    assert set(services) == {"postgres", "gateway", "dispatcher"}
    for name in ("gateway", "dispatcher"):
        assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
        assert "data:/var/lib/trimtab/data" in services[name]["volumes"]
    assert all(port.startswith("127.0.0.1:") for port in services["gateway"]["ports"])
    used = {volume.split(":")[0] for s in services.values() for volume in s["volumes"]}
    assert used == set(compose["volumes"])


def test_server_flags_in_manifests_exist() -> None:
    """Flags in compose and Kubernetes files are options of `python -m services`."""
    import sys

    shown = subprocess.run(
        [sys.executable, "-m", "services", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    options = set(re.findall(r"--[a-z][a-z-]+", shown.stdout))
    (compose,) = documents(DEPLOY / "compose" / "compose.yaml")
    args = [arg for s in compose["services"].values() for arg in s.get("command", [])]
    for doc in documents(DEPLOY / "kubernetes" / "trimtab.yaml"):
        if doc["kind"] == "Deployment":
            for container in doc["spec"]["template"]["spec"]["containers"]:
                args += container.get("args", [])
    flags = {arg for arg in args if str(arg).startswith("--")}
    assert flags
    assert flags <= options, f"unknown to python -m services: {sorted(flags - options)}"


def test_kubernetes_containers_are_limited_and_unprivileged() -> None:
    seen = 0
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for doc in documents(path):
            pods = []
            if doc["kind"] == "Deployment":
                pods = [doc["spec"]["template"]]
            elif doc["kind"] == "RayCluster":
                pods = [
                    doc["spec"]["headGroupSpec"]["template"],
                    *(g["template"] for g in doc["spec"]["workerGroupSpecs"]),
                ]
            for pod in pods:
                for container in pod["spec"]["containers"]:
                    seen += 1
                    assert "memory" in container["resources"]["limits"], (
                        f"{path.name}: {container['name']}"
                    )
                    assert container["securityContext"]["runAsNonRoot"] is True
                    assert (
                        container["securityContext"]["allowPrivilegeEscalation"] is False
                    )
    assert seen == 4


def test_ray_version_is_the_locked_one() -> None:
    locked = re.search(r"^ray==(\S+)", (ROOT / "requirements-dev.lock").read_text(), re.M)
    assert locked is not None
    (cluster,) = documents(DEPLOY / "kubernetes" / "raycluster.yaml")
    assert cluster["spec"]["rayVersion"] == locked.group(1).rstrip("\\").strip()


def test_systemd_unit() -> None:
    unit = DEPLOY / "systemd" / "trimtab.service"
    text = unit.read_text()
    assert "NoNewPrivileges=yes" in text
    assert "RestrictNamespaces=" not in text, "bubblewrap needs namespaces"
    exec_start = re.search(r"^ExecStart=(\S+/trimtab-server)$", text, re.M)
    assert exec_start is not None
    if shutil.which("systemd-analyze") is None:
        return
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # On a machine without /opt/trimtab the only complaint is the missing executable.
    complaints = [
        line
        for line in done.stderr.splitlines()
        if "trimtab.service" in line and "is not executable" not in line
    ]
    assert complaints == []


def test_no_secret_is_committed() -> None:
    pattern = re.compile(
        r"(tt_[A-Za-z0-9]{8,}_[A-Za-z0-9_-]{30,})|(postgresql://[^\s:@]+:[^\s$@]{6,}@)"
    )
    for path in [p for p in DEPLOY.rglob("*") if p.is_file()]:
        secret = pattern.search(path.read_text(errors="replace"))
        assert secret is None, (
            f"{path.relative_to(ROOT)}: expected no secret, got "
            f"{secret and secret.group(0)[:16]}…"
        )
