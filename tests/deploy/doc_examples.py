"""Examples of a Markdown page, executed in order as a reader would type them.

Marks are HTML comments, which no reader sees:

- `<!-- not executed: REASON -->` before a block that cannot run in a test;
- `<!-- file: NAME -->` before a block that the reader saves as NAME;
- `<!-- given: python ... -->`: what the reader has (a module of their own). Files are shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHELL, PYTHON = frozenset({"bash", "sh", "console"}), frozenset({"python"})
DATA = frozenset(
    {
        "text",
        "csv",
        "json",
        "toml",
        "yaml",
        "ini",
        "c",
        "cpp",
        "lp",
        "mps",
        "xml",
        "sql",
        "markdown",
    }
)
_TOKEN = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$"
    r"|^<!--\s*(?P<mark>not executed|file|given):[ \t]*(?P<text>.*?)-->[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_INDENTED = re.compile(r"^\n {4}\S", re.MULTILINE)
_PYTHON_SESSION = (
    "import sys, traceback\n"
    "space = {'__name__': '__main__'}\n"
    "for line in sys.stdin:\n"
    "    path, mark = line.split()\n"
    "    code = 0\n"
    "    try:\n"
    "        exec(compile(open(path).read(), path, 'exec'), space)\n"
    "    except BaseException:\n"
    "        traceback.print_exc(); code = 1\n"
    "    sys.stderr.flush(); print(f'{mark} {code}', flush=True)\n"
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do for a page: run code, or save a file."""

    line: int
    language: str
    text: str
    reason: str = ""  # why it is not executed
    file: str = ""  # save it under this name
    given: bool = False

    @property
    def fault(self) -> str:
        """Return the fault of the mark; empty when there is none."""
        if self.given and self.language not in PYTHON:
            return "a hidden command: show the reader how the file is made"
        if self.reason or self.file:
            return ""
        if not self.language:
            return (
                "a block without a language: name one (`text` where nothing is to be run)"
            )
        if self.language not in SHELL | PYTHON | DATA:
            return f"unknown language {self.language!r}: add it to tests/deploy/doc_examples.py"
        return ""

    @property
    def runs(self) -> bool:
        """Return True if the step is executed."""
        return not self.reason and not self.file and self.language in SHELL | PYTHON


def steps_of(page: str) -> list[Step]:
    """Read a page. Raises ValueError for an empty reason and for a mark that no block follows."""
    steps: list[Step] = []
    mark: tuple[str, str] | None = None
    for match in _TOKEN.finditer(page):
        line = page.count("\n", 0, match.start()) + 1
        if match["mark"] == "given":
            language, _, text = match["text"].partition("\n")
            steps.append(
                Step(line=line, language=language.strip(), text=text, given=True)
            )
            continue
        if match["mark"]:
            if not match["text"].strip():
                raise ValueError(
                    f"line {line}: `{match['mark']}:` expected a text, got nothing"
                )
            mark = match["mark"], match["text"].strip()
            continue
        kind, text = mark or ("", "")
        mark = None
        steps.append(
            Step(
                line=line,
                language=match["language"].strip(),
                text=match["body"],
                reason=text if kind == "not executed" else "",
                file=text if kind == "file" else "",
            )
        )
    if mark is not None:
        raise ValueError(f"`{mark[0]}: {mark[1]}`: expected a block after it, got none")
    return steps


def indented_blocks(page: str) -> list[int]:
    """Lines where code is indented instead of fenced, so that nobody sees that it is code."""
    prose = _TOKEN.sub(lambda match: "\n" * match.group().count("\n"), page)
    lines = prose.split("\n")
    faults = []
    for match in _INDENTED.finditer(prose):
        number = prose.count("\n", 0, match.start()) + 1
        before = next(
            (
                text
                for text in reversed(lines[:number])
                if text.strip() and not text.startswith(" ")
            ),
            "",
        )
        if not re.match(r"[-*+] |\d+\. ", before):
            faults.append(number + 1)
    return faults


class Sessions:
    """A shell and a Python interpreter of one reader, kept from block to block."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], *, timeout_s: float
    ) -> None:
        self._folder, self._timeout_s = folder, timeout_s
        self._environment = dict(environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, step: Step) -> None:
        """Execute one step. Raises AssertionError with what it printed."""
        text = step.text
        if step.language == "console":
            text = "\n".join(
                line[2:] for line in text.splitlines() if line.startswith("$ ")
            )
        script = self._folder.parent / f"step-{uuid.uuid4().hex}"
        script.write_text(text)
        mark = uuid.uuid4().hex
        if step.language in PYTHON:
            process = self._process(
                "python", [sys.executable, "-u", "-c", _PYTHON_SESSION]
            )
            command = f"{script} {mark}\n"
        else:
            process = self._process("bash", ["bash", "--norc"])
            # As typed; every command must succeed, and a plain `set -e` would end the shell.
            command = (
                f"set -eE; trap 'echo {mark} 1' ERR; source {script}; "
                f"trap - ERR; set +e; echo {mark} 0\n"
            )
        assert process.stdin is not None
        process.stdin.write(command.encode())
        process.stdin.flush()
        output, code = self._answer(process, mark)
        assert code == 0, (
            f"the example of line {step.line} failed:\n{text}\n--- it printed:\n{output[-3000:]}"
        )

    def close(self) -> None:
        """End both, and what they started."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _process(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        if name not in self._processes:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._processes[name]

    def _answer(self, process: subprocess.Popen[bytes], mark: str) -> tuple[str, int]:
        """Return the output up to the mark, and the exit code behind it."""
        assert process.stdout is not None
        output, deadline = b"", time.monotonic() + self._timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if (ended := re.search(rf"{mark} (\d+)\n".encode(), output)) is not None:
                    return output[: ended.start()].decode(errors="replace"), int(ended[1])
                left = deadline - time.monotonic()
                text = output.decode(errors="replace")
                if left <= 0:
                    return f"{text}\n(no end within {self._timeout_s:g} s)", 124
                if selector.select(left):
                    chunk = os.read(process.stdout.fileno(), 65_536)
                    if not chunk:
                        return f"{text}\n(the session ended)", 125
                    output += chunk
