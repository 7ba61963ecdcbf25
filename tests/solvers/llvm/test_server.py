"""Protocol and imports of the server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from solvers.llvm import server
from solvers.llvm.install import find_llvm
from tests.solvers.llvm.modules import PLAIN

ROOT = Path(server.__file__).parents[2]


def test_start_up_imports_neither_numpy_nor_dataclasses() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import solvers.llvm.server; "
        "print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]
    modules = set(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    )
    assert "solvers.llvm.capi" in modules
    slow = {"numpy", "dataclasses", "inspect", "asyncio", "typing_extensions"}
    assert not modules & slow
    loaded = {name for name in modules if name.startswith("solvers.llvm.")}
    assert loaded == {
        f"solvers.llvm.{name}"
        for name in (
            "capi",
            "children",
            "elf",
            "elf_image",
            "link_order",
            "module",
            "options",
            "parts",
            "pipeline_text",
            "server",
            "server_link",
            "server_process",
        )
    }


def talk(folder: Path, *requests: dict[str, Any], module: bytes = PLAIN) -> list[Any]:
    """Send requests to a server, the first with all defaults; return its replies."""
    (folder / "input").write_bytes(module)
    first = {
        "library": str(find_llvm().library),
        "folder": str(folder),
        "llc": "",
        "triple": "x86_64-unknown-linux-gnu",
        "cpu": "x86-64",
        "features": "",
        "pic": True,
        "codegen": [],
        "seconds": 20.0,
        "memory_bytes": 1 << 30,
        "instructions": 1000,
    }
    lines = [json.dumps(first | requests[0]), *map(json.dumps, requests[1:])]
    code = f"from {server.__name__} import serve; serve(0, 1)"
    with (folder / "stderr").open("w+b") as stderr:  # the session reads it back
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=ROOT,
        )
        assert process.stdin
        assert process.stdout
        replies = []
        with process.stdin, process.stdout:
            for line in lines:
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()
                while reply := process.stdout.readline():
                    replies.append(json.loads(reply))
                    if "done" in replies[-1] or "error" in replies[-1]:
                        break
        process.wait(20)
    return replies


@pytest.mark.parametrize(
    ("request_", "what", "message"),
    [
        ({"triple": "foo-bar"}, "target", "foo-bar"),
        ({"instructions": 1}, "module", "at most 1 instructions, got 2"),
    ],
)
def test_a_refused_start_ends_the_server(
    request_: dict[str, Any], what: str, message: str, tmp_path: Path
) -> None:
    (reply,) = talk(tmp_path, request_)
    assert reply["what"] == what
    assert message in reply["error"]


def test_recipes_are_answered_by_number(tmp_path: Path) -> None:
    recipe = {
        "pipeline": "default<Oz>",
        "function_tails": [],
        "attributes": [],
        "late_attributes": [],
        "options": [],
    }
    recipes = [recipe, recipe | {"pipeline": "internalize"}]
    request = {"op": "measure", "recipes": recipes, "emit": False}
    info, *replies, last = talk(tmp_path, {}, request)
    assert info["ir_instructions"] == 2
    assert last == {"done": True}
    assert [(reply["i"], reply["outcome"]) for reply in replies] == [
        (0, "ok"),
        (1, "refused"),
    ]
    assert replies[0]["ir"] == 2
    assert replies[1]["detail"] == "exported symbols differ: lost f"


def test_every_operation_takes_a_request(tmp_path: Path) -> None:
    requests: dict[str, dict[str, Any]] = {
        "measure": {"recipes": [], "emit": True},
        "trajectory": {"passes": ["globaldce"], "sizes": False},
        "check": {"pipelines": []},
        "features": {},
        "graph": {},
        "complete": {},
    }
    assert set(requests) == set(server.OPS)
    replies = talk(tmp_path, {}, *({"op": op, **rest} for op, rest in requests.items()))
    assert [reply.get("error") for reply in replies] == [None] * (1 + len(requests))
    assert replies[2]["counts"] == [2, 2]
