"""The installed LLVM's own pipelines, as text that LLVM parses again.

What -Oz means is read from the installed build and never written down here.
"""

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
    """Return the output of `opt -passes=default<level> -print-pipeline-passes` for the target.

    Raises ValueError or LlvmMissing.
    """
    if level not in LEVELS:
        raise ValueError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
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
        message = done.stderr.decode("utf-8", "replace").strip()[:1000]
        raise LlvmMissing(
            f"{opt} did not print its default<{level}>: {message or f'exit {done.returncode}'}"
        )
    return text


def parsable(text: str, check: Callable[[str], str | None]) -> str:
    """Return the pipeline without passes that LLVM prints but cannot parse, such as alloc-token.

    `check` returns LLVM's objection, or None. Raises ValueError when an objection remains.
    """
    text = with_safe_instcombine(text)
    objection = check(text)
    for _ in range(_MOST_DROPPED):
        if objection is None:
            return text
        # "unknown function pass 'x' in pipeline 'x,y'": the first quoted name is the pass.
        unknown = _UNKNOWN.search(objection)
        shorter = without(text, unknown.group(1)) if unknown else text
        if shorter == text:
            break
        text, objection = shorter, check(shorter)
    raise ValueError(f"LLVM cannot parse its own pipeline: {objection}")


def with_safe_instcombine(text: str) -> str:
    """Return the pipeline with the fix-point check of `instcombine` off: it ends the process."""

    def unchecked(match: re.Match[str]) -> str:
        words = [
            word
            for word in (match.group(1) or "").split(";")
            if word and not word.endswith("verify-fixpoint")
        ]
        return f"instcombine<{';'.join([*words, 'no-verify-fixpoint'])}>"

    return _INSTCOMBINE.sub(unchecked, text)


def without(text: str, name: str) -> str:
    """Return the pipeline without the passes of a name, and without adaptors that became empty."""
    text = re.sub(rf"(?<![\w<;=-]){re.escape(name)}(?:<[^()]*?>)?(?=[,)]|$)", "", text)
    before = ""
    while before != text:
        before = text
        text = re.sub(r"[\w-]+(?:<[^()]*?>)?\(\)", "", text)
        text = (
            re.sub(r",{2,}", ",", text).replace("(,", "(").replace(",)", ")").strip(",")
        )
    return text
