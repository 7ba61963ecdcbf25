"""Promises of an answer, and messages of a refusal."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.domains.compile.run_limits import RETRY_FACTOR
from search.types import InvalidInput
from solvers.llvm.frontend import _shorter_includes
from solvers.llvm.install import find_llvm, served, serves, with_targets
from tests.cases.compile.jobs import job, text
from trimtab.cli.doctor import llvm_check
from trimtab.results import VerificationStatus
from trimtab.specs.compile import CompileSpec
from workers.process.sandbox import Level, run_program, start_child


def test_the_answer_is_not_larger_than_a_row_of_its_own_table(tmp_path: Path) -> None:
    done = job(text("os_beats_oz.c"), tmp_path, evaluations=1)
    assert done.rows["Os"] < done.rows["Oz"]
    assert done.rows["trimtab"] <= min(done.rows.values())


@pytest.mark.parametrize("objective", ["code_bytes", "ir_instructions"])
def test_the_answer_is_smallest_by_the_chosen_objective(
    objective: str, tmp_path: Path
) -> None:
    done = job(text("os_beats_oz.c"), tmp_path, evaluations=1, objective=objective)
    rows = {row["level"]: row[objective] for row in done.result.summary["sizes"]}
    assert rows["trimtab"] == done.result.objective == min(rows.values())


def test_a_program_that_oz_changes_gets_oz_unvalidated(tmp_path: Path) -> None:
    done = job(text("guarded.c"), tmp_path)
    assert done.result.verification.status is VerificationStatus.VALID
    assert done.rows["trimtab"] == done.rows["Oz"]
    assert "behaves differently" in done.result.summary["behaviour"]


def test_a_run_over_its_time_limit_is_reported_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.compile.search import behaviour

    ran = behaviour.run_program

    def slow(program: Path, case: object, **options: object) -> object:
        if "program-1/" in str(program):  # the unoptimised program
            return ran(program, case, **options)  # type: ignore[arg-type]
        return ran(tmp_path / "spins", case, **options)  # type: ignore[arg-type]

    spins = tmp_path / "spins"
    spins.write_text("#!/bin/sh\nwhile :; do :; done\n")
    spins.chmod(0o755)
    monkeypatch.setattr(behaviour, "run_program", slow)
    done = job("int main(void) { return 0; }", tmp_path, runs=[{"timeout_seconds": 1.0}])
    assert done.rows["trimtab"] <= done.rows["Oz"]
    behaviour_line = done.result.summary["behaviour"]
    assert "exceeded its time limit of 1 s" in behaviour_line
    assert f"{RETRY_FACTOR} times" in behaviour_line
    assert "undefined behaviour" not in behaviour_line


@pytest.mark.parametrize(
    "triple",
    [
        "riscv32-unknown-elf",
        "avr",
        "msp430-none-elf",
        "wasm32-unknown-unknown",
        "mips-linux-gnu",
    ],
)
def test_an_unserved_target_is_refused_with_the_served_ones(
    triple: str, tmp_path: Path
) -> None:
    if serves(find_llvm(triple), triple):
        pytest.skip(f"this LLVM has code for {triple}")
    with pytest.raises(InvalidInput, match="x86-64") as refused:
        job("int x;", tmp_path, target={"triple": triple})
    assert "'generic'" not in str(refused.value)
    assert triple in str(refused.value)


def test_schema_and_doctor_list_the_targets() -> None:
    schema = with_targets(CompileSpec.model_json_schema())
    assert (
        find_llvm().build_id
        in schema["$defs"]["CompileTarget"]["properties"]["triple"]["description"]
    )
    assert all(target in served() for target in find_llvm().targets)
    assert find_llvm().targets
    check = llvm_check()
    assert check.ok
    assert "has code for" in check.found


def test_an_llvm_named_by_the_environment_reaches_the_processes_of_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "llvm"
    library = find_llvm().library
    (copy / "lib").mkdir(parents=True)
    (copy / "lib" / "libLLVM.so").symlink_to(library)
    monkeypatch.setenv("TRIMTAB_LLVM", str(copy))
    workdir = tmp_path / "run"
    workdir.mkdir()

    async def environment() -> str:
        child = await start_child(workdir, level=Level.RLIMIT, program=run_program(()))
        try:
            return Path(f"/proc/{child.process.pid}/environ").read_text()
        finally:
            await child.end()
            child.writer.close()

    assert f"TRIMTAB_LLVM={copy}" in asyncio.run(environment())


def test_the_service_refuses_to_start_with_an_llvm_that_is_not_there(
    tmp_path: Path,
) -> None:
    if importlib.util.find_spec("uvicorn") is None:
        pytest.skip("the service's packages are not installed")
    environment = {
        **os.environ,
        "TRIMTAB_LLVM": str(tmp_path / "nothing"),
        "TRIMTAB_DATA_DIR": str(tmp_path / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services", "--port", "0"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "TRIMTAB_LLVM" in done.stderr


def test_a_missing_header_of_a_bare_metal_source_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"build\.include") as refused:
        job(
            "#include <string.h>\nint x;",
            tmp_path,
            target={"triple": "thumbv7em-none-eabi"},
        )
    assert "no C library" in str(refused.value) or "no C library's" in str(refused.value)
    with pytest.raises(InvalidInput, match="archive"):
        job('#include "mine.h"\nint x;', tmp_path)


def test_a_failed_run_shows_what_it_printed(tmp_path: Path) -> None:
    source = (
        "#include <stdio.h>\n"
        'int main(void) { puts("cannot open it"); fputs("why not", stderr); return 3; }'
    )
    with pytest.raises(InvalidInput, match="cannot open it") as refused:
        job(source, tmp_path, runs=[{"expected_exit": 0}])
    assert "why not" in str(refused.value)
    assert len(str(refused.value).splitlines()) >= 4


def test_long_chains_of_includes_are_cut() -> None:
    chain = "\n".join(f"In file included from a.h:{i}:" for i in range(200))
    shown = _shorter_includes(
        f"{chain}\na.h:1:1: error: too deep\nnote: end"
    ).splitlines()
    assert len(shown) == 9
    assert "[194 more lines of includes]" in shown
    assert shown[-2:] == ["a.h:1:1: error: too deep", "note: end"]


def test_a_refused_answer_leaves_oz_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.domains.compile.verify import Check

    replay = Check.replay

    def refuse(check: Check) -> None:
        if check.solution.name != "Oz":
            check.faults.append("opt -passes does not repeat the answer")
            return
        replay(check)

    monkeypatch.setattr(Check, "replay", refuse)
    done = job(text("os_beats_oz.c"), tmp_path, evaluations=1)
    assert done.result.verification.status is VerificationStatus.VALID
    assert done.result.objective == done.rows["Oz"] == done.rows["trimtab"]
    assert "does not repeat the answer" in done.result.termination.detail
    assert done.files["optimised.o"]


def test_oz_is_reported_before_anything_is_run(tmp_path: Path) -> None:
    done = job(text("os_beats_oz.c"), tmp_path, evaluations=1)
    first = done.result.trace[0]
    assert first.source == "Oz"
    assert first.objective == done.rows["Oz"]
    assert (
        first.elapsed_s
        < done.result.timings_s["parse"] + done.result.timings_s["encode"] + 5
    )
