"""The installed LLVM's own pipelines as text that parses again: what -Oz means here is asked, never written down."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

from solvers.llvm.install import Installed
from solvers.llvm.types import LlvmMissing, Target

LEVELS = ("O0", "O1", "O2", "O3", "Os", "Oz")
_UNKNOWN = re.compile(r"(?:unknown|invalid)\b[^']*'([^']+)'")
_INSTCOMBINE = re.compile(r"(?<![\w-])instcombine(?:<([^<>]*)>)?(?![\w-])")
_MOST_DROPPED = 20


def printed_pipeline(installed: Installed, target: Target, level: str) -> str:
    """What `opt -passes=default<level> -print-pipeline-passes` prints for the target. Raises ValueError or LlvmMissing."""
    if level not in LEVELS:
        raise ValueError(f"level {level!r} came; wanted one of {', '.join(LEVELS)}")
    opt = installed.opt or installed.tool("opt")
    done = subprocess.run(
        [
            str(opt), f"-passes=default<{level}>", "-print-pipeline-passes", "-disable-output",
            f"-mtriple={target.triple}", f"-mcpu={target.cpu}", f"-mattr={target.features}", "-",
        ],
        input=f'target triple = "{target.triple}"\n'.encode(),
        capture_output=True,
        timeout=60,
        check=False,
        env={"LC_ALL": "C"},
    )  # fmt: skip
    text = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode or not text:
        said = done.stderr.decode("utf-8", "replace").strip()[:1000]
        raise LlvmMissing(
            f"{opt} did not print its default<{level}>: {said or f'exit {done.returncode}'}"
        )
    return text


def parsable(text: str, check: Callable[[str], str | None]) -> str:
    """The pipeline without what LLVM prints but does not read (passes that do nothing here, such as alloc-token).

    `check` says what LLVM objects to. Raises ValueError when it still objects.
    """
    text = with_safe_instcombine(text)
    said = check(text)
    for _ in range(_MOST_DROPPED):
        if said is None:
            return text
        # The innermost name comes last: "unknown function pass 'x' in pipeline 'x,y'" names it first, a nesting error too.
        found = _UNKNOWN.search(said)
        shorter = without(text, found.group(1)) if found else text
        if shorter == text:
            break
        text, said = shorter, check(shorter)
    raise ValueError(f"LLVM does not read its own pipeline: {said}")


def with_safe_instcombine(text: str) -> str:
    """`instcombine` ends the process when it has not reached its fix-point, unless told not to look."""

    def told(found: re.Match[str]) -> str:
        words = [
            word
            for word in (found.group(1) or "").split(";")
            if word and not word.endswith("verify-fixpoint")
        ]
        return f"instcombine<{';'.join([*words, 'no-verify-fixpoint'])}>"

    return _INSTCOMBINE.sub(told, text)


def without(text: str, name: str) -> str:
    """The pipeline without every pass of that name, and without nests that became empty."""
    text = re.sub(rf"(?<![\w<;=-]){re.escape(name)}(?:<[^()]*?>)?(?=[,)]|$)", "", text)
    before = ""
    while before != text:
        before = text
        text = re.sub(r"[\w-]+(?:<[^()]*?>)?\(\)", "", text)
        text = re.sub(r",{2,}", ",", text).replace("(,", "(").replace(",)", ")").strip(",")
    return text
