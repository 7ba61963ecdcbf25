"""A throw-away kind, built by deploy/docs/changing.md: spec, folder, row, tests, guide page."""

from __future__ import annotations

import functools
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from search.kinds import Kind
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from tests.contracts.domain import DomainContract
from trimtab.results import (
    Incumbent,
    Reason,
    Termination,
    Verification,
    VerificationStatus,
)
from trimtab.specs.common import ArtifactRef, FileInput, Spec

ROOT = Path(__file__).resolve().parents[2]


class RootSpec(Spec):
    """Find the whole number whose square is nearest."""

    KIND: ClassVar[str] = "root"
    SUMMARY: ClassVar[str] = "Nearest integer square root."
    FILES: ClassVar[FileInput | None] = FileInput(field="file", suffixes=(".square",))
    OUTPUTS: ClassVar[tuple[str, ...]] = ("root.txt", "remark.txt")

    square: Annotated[int, Field(ge=-(10**6), le=10**6)] = 0
    """The number to take the root of."""
    file: ArtifactRef | None = None
    """An uploaded text file with the number; it wins over `square`."""

    def artifacts(self) -> dict[str, ArtifactRef]:
        return {} if self.file is None else {"file": self.file}


def check_root(problem: int, solution: Any) -> Verification:
    root, claimed = solution
    off = float(abs(problem - root**2))
    right = off == claimed
    return Verification(
        status=VerificationStatus.VALID if right else VerificationStatus.INVALID,
        method="multiplication",
        claimed_objective=claimed,
        objective=off,
        detail="" if right else f"it is {off:g} off",
    )


class RootDomain:
    """Counts up while the square comes nearer."""

    def parse(self, spec: RootSpec, inputs: Mapping[str, Path], workdir: Path) -> int:
        square = int(inputs["file"].read_text()) if "file" in inputs else spec.square
        if square < 0:
            raise InvalidInput(f"square: expected a number of at least 0, got {square}")
        return square

    def encode(self, problem: int) -> None:
        return None

    def search(
        self,
        problem: int,
        encoding: None,
        stop: StoppingCriterion,
        rng: np.random.Generator,
        on_incumbent: OnIncumbent,
        start: tuple[int, float] | None = None,
    ) -> SearchOutcome:
        best = 0 if start is None else start[0]
        while True:
            off = float(abs(problem - best**2))
            point = Incumbent(elapsed_s=0.0, objective=off, bound=0.0, source="count")
            on_incumbent(point, functools.partial(tuple, (best, off)))
            if stop(point) or abs(problem - (best + 1) ** 2) >= off:
                break
            best += 1
        termination = Termination(
            reason=Reason.COMPLETED, detail="no neighbour is nearer"
        )
        return SearchOutcome(
            termination=termination, solution=(best, off), objective=off, bound=0.0
        )

    def verify(self, problem: int, solution: Any) -> Verification:
        return check_root(problem, solution)

    def produce(
        self, problem: int, solution: Any, workdir: Path
    ) -> list[Produced | Extra]:
        path = workdir / "root.txt"
        path.write_text(f"{solution[0]}\n")
        return [
            Produced(name="root.txt", path=path, media_type="text/plain"),
            Extra(
                name="remark.txt",
                write=lambda path: path.write_text(f"{solution[1]:g} off\n"),
            ),
        ]

    def keep(self, problem: int, solution: Any) -> bytes:
        return json.dumps(solution).encode()

    def restore(self, problem: int, data: bytes) -> SearchOutcome:
        root, off = json.loads(data)
        termination = Termination(reason=Reason.FEASIBLE, detail="restored")
        return SearchOutcome(
            termination=termination,
            solution=(int(root), float(off)),
            objective=float(off),
            bound=0.0,
        )


def build() -> RootDomain:
    return RootDomain()


KIND = Kind(spec=RootSpec, builder="tests.changing.test_kind:build")


class TestRootContract(DomainContract):
    kind = KIND

    def good(self, folder: Path) -> tuple[RootSpec, Mapping[str, Path]]:
        return RootSpec(square=143), {}

    def bad(self, folder: Path) -> tuple[RootSpec, Mapping[str, Path]]:
        return RootSpec(square=-4), {}

    def tampered(self, solution: Any) -> Any:
        root, off = solution
        return root + 3, off


SPEC_FILE = f'''"""Kind `root`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from trimtab.specs.common import ArtifactRef, FileInput, Spec


{inspect.getsource(RootSpec)}'''
DOMAIN_FILE = f'''"""Kind `root`."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from search.domains.root.verify import check_root
from search.stop import StoppingCriterion
from search.types import Extra, InvalidInput, OnIncumbent, Produced, SearchOutcome
from trimtab.results import Incumbent, Reason, Termination, Verification
from trimtab.specs.root import RootSpec


{inspect.getsource(RootDomain)}

{inspect.getsource(build)}'''
VERIFY_FILE = f'''"""Check of a root."""

from typing import Any

from trimtab.results import Verification, VerificationStatus


{inspect.getsource(check_root)}'''
INDEX = "deploy/docs/guide/README.md"
WRITTEN = {
    "trimtab/specs/root.py",  # the spec
    "search/domains/root/__init__.py",  # the folder ...
    "search/domains/root/verify.py",  # ... with the check apart
    "search/kinds.py",  # the row
    "tests/search/domains/root/test_root.py",  # the tests
    "deploy/docs/guide/root.md",  # the guide page ...
    INDEX,  # ... and its line in the index
}
REFERENCE = "deploy/docs/reference"
GENERATED = {
    "trimtab/specs/__init__.py",
    f"{REFERENCE}/README.md",
    f"{REFERENCE}/kind-root.md",
}


def follow_the_recipe(tree: Path) -> None:
    """Add the kind to a copy of the repository as deploy/docs/changing.md says."""
    for folder in ("search/domains/root", "tests/search/domains/root"):
        (tree / folder).mkdir(parents=True)
    (tree / "trimtab/specs/root.py").write_text(SPEC_FILE)
    (tree / "search/domains/root/__init__.py").write_text(DOMAIN_FILE)
    (tree / "search/domains/root/verify.py").write_text(VERIFY_FILE)
    (tree / "tests/search/domains/root/test_root.py").write_text(
        "# as TestRootContract\n"
    )
    (tree / "deploy/docs/guide/root.md").write_text("# Square roots\n")
    with (tree / INDEX).open("a") as index:
        index.write("- [root](root.md): square roots\n")
    table = tree / "search/kinds.py"
    text = table.read_text()
    text = text.replace(
        "from trimtab.specs.sharding import",
        "from trimtab.specs.root import RootSpec\nfrom trimtab.specs.sharding import",
    )
    row = '            Kind(spec=RootSpec, builder="search.domains.root:build"),\n'
    last = "            Kind(spec=ProbeSpec"
    assert last in text
    table.write_text(text.replace(last, row + last))


def files_of(tree: Path) -> dict[str, bytes]:
    return {
        path.relative_to(tree).as_posix(): path.read_bytes()
        for top in ("trimtab", "search", "tests", "deploy")
        for path in (tree / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository; rooms that the recipe leaves alone are links."""
    tree = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for folder in ("trimtab", "search", "deploy/docs/guide", REFERENCE, "deploy/tools"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignore)
    for folder in ("services", "workers", "cost_models", "solvers", "gnn"):
        (tree / folder).symlink_to(ROOT / folder)
    (tree / "tests").mkdir()
    before = files_of(tree)
    follow_the_recipe(tree)
    run_python(tree, "deploy/tools/list_specs.py")
    run_python(tree, "deploy/tools/reference.py")
    after = files_of(tree)
    (tree / "changed.json").write_text(
        json.dumps(sorted(name for name in after if after[name] != before.get(name)))
    )
    return tree


def run_python(tree: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "200", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_kind_touches_spec_folder_row_tests_and_guide_page(tree: Path) -> None:
    changed = set(json.loads((tree / "changed.json").read_text()))
    assert changed == WRITTEN | GENERATED


def test_the_check_of_the_new_kind_is_held_apart(tree: Path) -> None:
    """The test over KINDS reads the new folder; an import of the domain would fail it."""
    code = (
        "import sys\n"
        f"sys.path.append({str(ROOT / 'tests/contracts')!r})\n"
        "from independence import check_closure, import_graph\n"
        "graph = import_graph()\n"
        "print(check_closure(graph, 'root').shared_with_the_search())\n"
        "package = 'search.domains.root'\n"
        "graph.add_import(importer=f'{package}.verify', imported=package)\n"
        "print(package in check_closure(graph, 'root').shared_with_the_search())\n"
    )
    assert run_python(tree, "-c", code).split("\n")[:2] == ["[]", "True"]


def test_export_suffix_and_help_follow_from_the_spec(tree: Path) -> None:
    code = (
        "import trimtab\n"
        "from trimtab import RootSpec\n"
        "from trimtab.specs.by_file import kind_of_file, spec_of_file\n"
        "assert trimtab.__file__.startswith({tree!r}), trimtab.__file__\n"
        "assert 'RootSpec' in trimtab.__all__ and 'RootSpec' in dir(trimtab)\n"
        "assert kind_of_file('nine.square') == 'root'\n"
        "open('nine.square', 'w').write('9')\n"
        "assert set(spec_of_file('nine.square').artifacts()) == {{'file'}}\n"
    )
    run_python(tree, "-c", code.format(tree=str(tree)))
    assert ".square" in run_python(tree, "-m", "trimtab.cli", "submit", "--help")
    names = (tree / "trimtab/specs/__init__.py").read_text()
    assert "from trimtab.specs.root import RootSpec" in names, "for type checkers"


def test_a_run_of_the_new_kind_takes_its_file(tree: Path) -> None:
    code = (
        "import threading\n"
        "from pathlib import Path\n"
        "from search.kinds import KINDS\n"
        "from workers.process.reporter import Reporter\n"
        "from workers.process.run_task import run_task\n"
        "from workers.types import Task\n"
        "row = KINDS['root']\n"
        "Path('ten').write_text('99')\n"
        "task = Task(job_id='j', fence=1, kind='root', builder=row.builder, seed=0,\n"
        "    spec_class=row.spec_class, spec={'square': 5}, budget={'seconds': 5.0},\n"
        "    inputs={'file': Path('ten')})\n"
        "reporter = Reporter(lambda point: None, workdir=Path.cwd())\n"
        "done = run_task(task, Path.cwd(), stop_event=threading.Event(), reporter=reporter,\n"
        "    on_phase=lambda name, detail: None)\n"
        "reporter.close()\n"
        "print(done.result.verification.status, done.produced[0].path.read_text())\n"
    )
    assert run_python(tree, "-c", code).split() == ["valid", "10"]


def test_the_whole_service_takes_it_without_a_change(tmp_path: Path) -> None:
    """Gateway, store, dispatcher, executor, result and files see one more row, nothing else."""
    import asyncio

    import httpx2

    from services.gateway.app import create_app
    from services.settings import Settings
    from tests.doubles.memory_store import MemoryStore

    settings = Settings(data_dir=tmp_path, workers=1, sandbox="rlimit", auth="off")

    async def go() -> dict[str, Any]:
        app = create_app(settings, store=MemoryStore(), kinds={"root": KIND})
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                kinds = (await client.get("/v1/kinds")).json()
                assert [k["kind"] for k in kinds] == ["root"]
                body = {"kind": "root", "spec": {"square": 99}}
                job = (await client.post("/v1/jobs", json=body)).json()
                view = (
                    await client.get(f"/v1/jobs/{job['id']}/wait?timeout_s=30")
                ).json()
                assert view["state"] == "SUCCEEDED", view
                result = (await client.get(f"/v1/jobs/{job['id']}/result")).json()
                file = await client.get(f"/v1/jobs/{job['id']}/artifacts/root.txt")
                assert file.text == "10\n"
                refused = await client.post(
                    "/v1/jobs", json={"kind": "root", "spec": {"square": "x"}}
                )
                assert refused.status_code == 422
                return dict(result)

    result = asyncio.run(go())
    assert result["objective"] == 1.0
    assert result["verification"]["status"] == "valid"
