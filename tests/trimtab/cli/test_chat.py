"""`trimtab chat` as a process: one question, a pipe, a conversation, Ctrl-C, errors."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.services.gateway.text.conftest import TextServer
from tests.services.gateway.text.conftest import server as text_server

__all__ = ["text_server"]


def environment(server: TextServer) -> dict[str, str]:
    return {
        **os.environ,
        "TRIMTAB_URL": server.url,
        "TRIMTAB_API_KEY": server.admin,
        "TERM": "dumb",
    }


def chat(
    server: TextServer, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trimtab.cli", "chat", *arguments],
        env=environment(server),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_question_as_argument_and_through_a_pipe(
    text_server: TextServer, tmp_path: Path
) -> None:
    done = chat(text_server, "one", "two", "--system", "be", "--cache", "h2o:64")
    assert (done.returncode, done.stdout) == (0, "be one two \n"), done.stderr
    sent = text_server.backend.requests[-1]
    assert sent.messages[0].pinned
    assert sent.cache is not None
    assert sent.cache.slots == 64
    assert sent.sampling.temperature == 0.2
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {}}')
    piped = chat(text_server, "--json-schema", str(schema), "--json", text="a question\n")
    answer = json.loads(piped.stdout)
    assert answer["choices"][0]["text"] == "{}"
    assert answer["usage"]["kv"]["policy"] == "full"


def test_errors_have_the_codes_of_the_command_line(text_server: TextServer) -> None:
    unknown = chat(text_server, "--model", "gpt-5", "hello")
    assert unknown.returncode == 5
    assert "expected 'echo'" in unknown.stderr
    assert chat(text_server, text="  \n").returncode == 2
    assert chat(text_server, "--cache", "h2o:many", "a").returncode == 2
    assert chat(text_server, "--cache", "lru", "a").returncode == 2


class Terminal:
    """A conversation on a pseudo terminal."""

    def __init__(self, server: TextServer) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            # Tests in the background of a shell inherit an ignored interrupt, a terminal does not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            command = [sys.executable, "-m", "trimtab.cli", "chat"]
            os.execve(command[0], command, environment(server))
        self.text = ""

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 90
        while text not in self.text:
            left = max(0.0, until - time.monotonic())
            # A read of a terminal without output would wait for ever.
            assert select.select([self._file], [], [], left)[0], (text, self.text)
            self.text += os.read(self._file, 10_000).decode()

    def write(self, text: str) -> None:
        self.text = ""
        os.write(self._file, text.encode())

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_conversation_remembers_and_ctrl_c_cancels_an_answer(
    text_server: TextServer,
) -> None:
    terminal = Terminal(text_server)
    terminal.wait_for("> ")
    assert "echo, 1000 tokens of context" in terminal.text
    terminal.write("first\n")
    terminal.wait_for("first \r\n> ")
    terminal.write("long slowly\n")
    terminal.wait_for("w3 ")
    os.kill(terminal.pid, signal.SIGINT)
    terminal.wait_for("cancelled")
    # The cancelled question is not part of the conversation.
    terminal.write("second\n")
    terminal.wait_for("first first second \r\n> ")
    terminal.write("/usage\n")
    terminal.wait_for('"completion_tokens":3')
    terminal.write("/new\n")
    terminal.wait_for("> ")
    terminal.write("third\n")
    terminal.wait_for("third \r\n> ")
    assert "first" not in terminal.text
    terminal.write("/what\n")
    terminal.wait_for("unknown command '/what'")
    terminal.write("/exit\n")
    assert terminal.ended() == 0
    assert text_server.backend._calls.active == 0
