"""Real programs through a job's path: zlib, bzip2 and lua work after optimisation."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from search import pipeline
from search.domains.compile import build
from search.stop import from_budget
from solvers.llvm.execute import Ran, RunCase, link_program, run_program
from solvers.llvm.types import Target
from trimtab.results import VerificationStatus
from workers.corpus.sources import CorpusMissing
from workers.corpus.whole import WHOLE

# Sources may be there already.
BUILT = Path(__file__).resolve().parents[3] / "bench-results" / "train" / "compile"
TEXT = b"".join(
    b"%d bottles of beer on the wall, %d bottles of beer\n" % (n, n * n % 13)
    for n in range(80)
)[:3900]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BUILT if (BUILT / "sources").is_dir() else tmp_path_factory.mktemp("corpus")


def optimised(name: str, corpus: Path, folder: Path, *, pipelines: int) -> Path:
    """Return the linked answer of a job."""
    try:
        archive = WHOLE[name].archive(corpus, folder)
    except CorpusMissing as error:
        pytest.skip(f"the sources of {name} cannot be had: {error}")
    workdir = folder / "job"
    workdir.mkdir()
    stop = from_budget({"seconds": 120.0, "evaluations": pipelines}, threading.Event())
    finished = pipeline.run(
        build(),
        WHOLE[name].spec(),
        inputs={"source": archive},
        workdir=workdir,
        stop=stop,
        seed=1,
    )
    result = finished.result
    assert result.verification.status is VerificationStatus.VALID
    count = len(WHOLE[name].runs)
    assert result.verification.checks["runs_equal"] == f"{count} of {count}"
    assert result.objective is not None
    assert result.objective <= result.summary["oz"]  # type: ignore[operator]
    (answer,) = (made.path for made in finished.produced if made.name == "optimised.o")
    linked = folder / "linked"
    linked.mkdir()
    libraries = tuple(f"-l{library}" for library in WHOLE[name].libraries)
    return link_program([answer], workdir=linked, target=Target(), flags=libraries)


def ran(program: Path, *arguments: str, stdin: bytes) -> Ran:
    case = RunCase(arguments=arguments, stdin=stdin)
    done = run_program(
        program, case, timeout_s=20.0, memory_bytes=2**30, workdir=program.parent
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout_bytes <= 4000, "the rest is dropped"
    return done


@pytest.mark.parametrize(
    ("name", "pack", "unpack"), [("zlib", (), ("-d",)), ("bzip2", ("-c",), ("-dc",))]
)
def test_what_is_packed_is_unpacked_again(
    name: str,
    pack: tuple[str, ...],
    unpack: tuple[str, ...],
    corpus: Path,
    tmp_path: Path,
) -> None:
    program = optimised(name, corpus, tmp_path, pipelines=2)
    packed = ran(program, *pack, stdin=TEXT)
    assert packed.stdout_bytes < len(TEXT) / 3
    assert packed.stdout[:2] in (b"\x1f\x8b", b"BZ")
    assert ran(program, *unpack, stdin=packed.stdout).stdout == TEXT


def test_lua_runs_lua(corpus: Path, tmp_path: Path, scale: float) -> None:
    if scale < 0.1:
        pytest.skip("thirty files: --scale 0.1 or more")
    program = optimised("lua5.4", corpus, tmp_path, pipelines=1)
    script = (
        b"local s = 0 for i = 1, 100 do s = s + i end "
        b"print(s, ('x'):rep(3), #'abc', 7 // 2, 2^10)"
    )
    assert ran(program, "-", stdin=script).stdout == b"5050\txxx\t3\t3\t1024.0\n"
