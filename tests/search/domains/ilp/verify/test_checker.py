"""Checker: answers of the check process, its faults, and its end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from search.domains.ilp.verify import checker as checker_module
from search.domains.ilp.verify import process
from search.domains.ilp.verify.checker import Checker
from search.isolation import NativeCrash
from search.types import InvalidInput
from solvers.exact.prove import Claim
from trimtab.results import VerificationStatus

TEXT = "Maximize\n o: 3 x + 2 y\nSubject To\n a: x + y <= 4\nGeneral\n x y\nEnd\n"


def checker_of(folder: Path, text: str = TEXT) -> Checker:
    file = folder / "m.lp"
    file.write_text(text)
    return Checker(file, file_format="lp", name="m.lp", workdir=folder)


def test_it_starts_by_itself_and_after_its_end_again(tmp_path: Path) -> None:
    checker = checker_of(tmp_path)
    for _ in range(2):
        verification = checker.check({"x": 4.0}, claimed=12.0)
        assert verification.status is VerificationStatus.VALID
        checker.close()
    assert checker.check({"x": 5.0}, claimed=15.0).status is VerificationStatus.INVALID
    checker.close()
    assert checker.cpu_s == 0.0


def test_the_last_answer_is_cached(tmp_path: Path) -> None:
    checker = checker_of(tmp_path)
    first = checker.check({"x": 4.0}, claimed=12.0)
    checker.close()
    (tmp_path / "m.lp").unlink()
    assert checker.check({"x": 4.0}, claimed=12.0) is first


def test_a_proof_returns_the_better_point(tmp_path: Path) -> None:
    checker = checker_of(tmp_path)
    proved, point = checker.prove({"y": 1.0}, seconds=10.0, stopped=lambda: False)
    checker.close()
    assert (proved.claim, proved.bound) == (Claim.OPTIMAL, 12.0)
    assert point == {"x": 4.0}


def test_a_stopped_proof_is_undecided(tmp_path: Path) -> None:
    checker = checker_of(tmp_path)
    proved, point = checker.prove(None, seconds=10.0, stopped=lambda: True)
    if proved.claim is Claim.UNDECIDED:
        assert point is None
        assert checker.cpu_s == 0.0, "the process was ended"
    checker.close()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    checker = checker_of(tmp_path, "Maximize\n o: 3 x +\nSubject To\n a: x <= nan\nEnd\n")
    with pytest.raises(InvalidInput):
        checker.check({}, claimed=0.0)
    assert checker.refusal() is not None
    checker.close()


def test_a_comparison_that_never_comes_is_waited_for_only_so_long(tmp_path: Path) -> None:
    checker = checker_of(tmp_path)
    checker.start()
    assert checker.reading
    assert checker.await_comparison(0.2) is None
    checker.close()
    assert not checker.reading


def test_a_crash_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        process, "verify", lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
    )
    checker = checker_of(tmp_path)
    with pytest.raises(NativeCrash, match="SIGKILL"):
        checker.check({}, claimed=0.0)
    checker.close()


@pytest.mark.parametrize(("reading", "told"), [(True, "reader"), (False, "exact check")])
def test_a_long_wait_is_announced_once(
    reading: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker_module, "_QUIET_S", 0.0)
    monkeypatch.setattr(checker_module, "_POLL_S", 0.001)
    checker = checker_of(tmp_path)
    told_to_user: list[str] = []
    checker.announce_to(told_to_user.append)
    checker.start()
    checker.pause()  # waiting resumes it: it has not answered when the wait begins
    checker._compared = not reading
    checker.check({"x": 4.0}, claimed=12.0)
    checker.close()
    assert len(told_to_user) == 1
    assert told in told_to_user[0]
