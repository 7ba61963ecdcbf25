"""Linked programs: limits, isolation, and comparison of runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from solvers.llvm import confine, confined
from solvers.llvm.execute import Ran, RunCase, compare, link_program, run_program
from solvers.llvm.frontend import SourceError, compile_to_bitcode
from solvers.llvm.types import Target
from tests.solvers.llvm.processes import sleeping
from tests.waiting import sooner_than


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("execute")


PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (!strcmp(what, "echo")) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }
  if (!strcmp(what, "exit")) return atoi(argv[2]);
  if (!strcmp(what, "crash")) { volatile int *p = 0; return *p; }
  if (!strcmp(what, "abort")) abort();
  if (!strcmp(what, "hang")) for (;;) pause();
  if (!strcmp(what, "spin")) for (volatile unsigned x = 0;; x++) ;
  if (!strcmp(what, "flood")) for (;;) puts("more and more and more and more");
  if (!strcmp(what, "memory")) {
    for (int i = 0; i < 4096; i++) {
      char *p = malloc(1 << 20);
      if (!p) return 9;
      memset(p, 1, 1 << 20);
    }
    return 0;
  }
  if (!strcmp(what, "file")) {
    FILE *f = fopen("out.txt", "w");
    fputs(argv[2], f);
    fclose(f);
    return 0;
  }
  if (!strcmp(what, "big")) {
    FILE *f = fopen("big", "w");
    static char b[1 << 20];
    for (int i = 0; i < 200; i++) if (fwrite(b, 1, sizeof b, f) != sizeof b) return 5;
    return 0;
  }
  if (!strcmp(what, "read")) {
    FILE *f = fopen(argv[2], "r");
    if (!f) return 7;
    int c;
    while ((c = getc(f)) != EOF) putchar(c);
    return 0;
  }
  if (!strcmp(what, "environment")) { for (char **e = environ; *e; e++) puts(*e); return 0; }
  if (!strcmp(what, "descriptors")) {
    int n = 0;
    for (int i = 3; i < 256; i++) if (dup(i) >= 0) n++;
    return n;
  }
  if (!strcmp(what, "network")) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {0};
    a.sin_family = AF_INET;
    a.sin_port = htons(atoi(argv[2]));
    a.sin_addr.s_addr = htonl(0x7f000001);
    return connect(s, (void *)&a, sizeof a) == 0 ? 0 : 6;
  }
  if (!strcmp(what, "kill")) return kill(atoi(argv[2]), 0) == 0 ? 0 : 8;
  if (!strcmp(what, "daemon")) {  /* leaves the session, forks twice */
    if (fork() == 0) {
      setsid();
      if (fork() == 0) { execl("/bin/sleep", "sleep", argv[2], (char *)0); }
      _exit(0);
    }
    usleep(100000); return 3; }
  printf("%d %s\n", argc, argv[0] + strlen(argv[0]) - 7); return 0;
}
"""


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    source = folder / "p.c"
    source.write_text("#include <signal.h>\n" + PROGRAM)
    bitcode = compile_to_bitcode([source], workdir=folder, target=Target())
    return link_program(bitcode, workdir=folder, target=Target())


def ran(program: Path, *arguments: str, timeout_s: float = 5.0, **options: object) -> Ran:
    case = RunCase(
        arguments=arguments,
        **{k: options.pop(k) for k in ("stdin", "files") if k in options},
    )  # type: ignore[arg-type]
    return run_program(
        program, case, timeout_s=timeout_s, workdir=program.parent, **options
    )  # type: ignore[arg-type]


def test_exit_code_output_and_name(program: Path) -> None:
    plain = ran(program)
    assert (plain.exit_code, plain.signal, plain.stdout, plain.limit) == (
        0,
        None,
        b"1 program\n",
        "",
    )
    assert ran(program, "exit", "41").exit_code == 41
    text = bytes(range(256)) * 2000
    echoed = ran(program, "echo", stdin=text)
    assert echoed.stdout == text[:4000]
    assert echoed.stdout_bytes == len(text)


def test_death_by_signal(program: Path) -> None:
    assert ran(program, "crash").signal == signal.SIGSEGV
    assert ran(program, "abort").signal == signal.SIGABRT


@pytest.mark.parametrize("what", ["hang", "spin"])
def test_endless_programs_are_killed(program: Path, what: str) -> None:
    with sooner_than(30):
        assert ran(program, what, timeout_s=0.5).limit == "seconds"


def test_limits_on_output_memory_and_files(program: Path) -> None:
    assert ran(program, "flood").limit == "output"
    assert ran(program, "memory", memory_bytes=256 * 2**20).exit_code == 9
    assert ran(program, "big").signal == signal.SIGXFSZ


def test_stopping(program: Path) -> None:
    started = time.monotonic()
    result = ran(
        program, "hang", timeout_s=60, stopped=lambda: time.monotonic() > started + 0.3
    )
    assert result.limit == "stopped"


def test_environment_and_descriptors_are_empty(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "hidden")
    monkeypatch.delenv("RUN_FOLDER", raising=False)
    assert ran(program, "environment").stdout == b""
    assert ran(program, "descriptors").exit_code == 0


def test_files_of_others_cannot_be_read(program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("of another job")
    result = ran(program, "read", str(other))
    if not result.held.files:
        pytest.skip("this kernel has no Landlock")
    assert result.exit_code == 7
    assert ran(program, "read", "/etc/passwd").exit_code == 7
    own = ran(program, "read", "sub/own.txt", files={"sub/own.txt": b"given"})
    assert own.stdout == b"given"


def test_there_is_no_network_not_even_the_loopback(program: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        result = ran(program, "network", str(server.getsockname()[1]))
        if not (result.held.network or result.held.files):
            pytest.skip("this kernel allows no network namespace")
        assert result.exit_code == 6


def test_other_processes_are_out_of_reach(program: Path) -> None:
    result = ran(program, "kill", str(os.getpid()))
    if not result.held.processes:
        pytest.skip("this kernel allows no process namespace")
    assert result.exit_code == 8


@pytest.fixture(params=["namespaces", "reaper"])
def launcher(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> str:
    """Use the launcher as it is, and a copy whose call for namespaces always fails."""
    if request.param == "reaper":
        text = Path(confine.__file__).read_text()
        weak = text.replace("_libc.unshare(_NEWUSER | _NEWPID | _NEWNET | _NEWIPC)", "-1")
        assert weak != text
        copy = tmp_path / "confine.py"
        copy.write_text(weak)
        monkeypatch.setattr(confined, "_LAUNCHER", copy)
    return str(request.param)


def test_a_daemon_does_not_outlive_the_run(program: Path, launcher: str) -> None:
    argument = f"4321.{os.getpid()}"
    result = ran(program, "daemon", argument)
    assert result.exit_code == 3
    assert result.held.processes == (launcher == "namespaces") or launcher == "namespaces"
    assert sleeping(argument) == []
    with sooner_than(30):
        assert ran(program, "hang", timeout_s=0.3).limit == "seconds"


def test_files_are_compared_by_content(program: Path) -> None:
    one, same, other, none = (
        ran(program, "file", "a"),
        ran(program, "file", "a"),
        ran(program, "file", "b"),
        ran(program, "exit", "0"),
    )
    assert list(one.files) == ["out.txt"]
    assert compare(one, same) is None
    assert compare(one, other) == "file 'out.txt' differs"
    assert "by the reference only" in str(compare(one, none))
    assert "by the candidate only" in str(compare(none, one))


def test_differences_are_described(program: Path) -> None:
    assert "the reference ended with exit code 0, the candidate with exit code 2" in str(
        compare(ran(program, "exit", "0"), ran(program, "exit", "2"))
    )
    assert "signal 11" in str(compare(ran(program, "exit", "0"), ran(program, "crash")))
    a, b = (
        ran(program, "echo", stdin=b"same text 1"),
        ran(program, "echo", stdin=b"same text 2"),
    )
    assert "stdout differs at byte 10" in str(compare(a, b))
    late = b"x" * 5000
    assert "stdout differs" in str(
        compare(ran(program, "echo", stdin=late), ran(program, "echo", stdin=late + b"y"))
    )
    hung = ran(program, "hang", timeout_s=0.2)
    assert "limit on seconds" in str(compare(hung, hung))


def test_expectations(program: Path, folder: Path) -> None:
    def unexpected(case: RunCase) -> str:
        return run_program(program, case, timeout_s=5, workdir=folder).unexpected

    assert unexpected(RunCase(arguments=("exit", "4"), expected_exit=4)) == ""
    assert "expected exit code 0, got exit code 4" in unexpected(
        RunCase(arguments=("exit", "4"), expected_exit=0)
    )
    assert "expected stdout b'x'" in unexpected(
        RunCase(arguments=("echo",), stdin=b"y", expected_stdout=b"x")
    )
    with pytest.raises(ValueError, match="relative path"):
        unexpected(RunCase(files={"../x": b""}))


def test_an_undefined_symbol_is_named(folder: Path) -> None:
    source = folder / "u.c"
    source.write_text("int missing_one(void); int main(void) { return missing_one(); }")
    bitcode = compile_to_bitcode([source], workdir=folder, target=Target())
    with pytest.raises(SourceError, match="missing_one"):
        link_program(bitcode, workdir=folder, target=Target())
    with pytest.raises(SourceError, match="expected an ELF object"):
        link_program([b"MZ..."], workdir=folder, target=Target())


def test_cxx_programs_link_and_throw(folder: Path) -> None:
    source = folder / "x.cpp"
    source.write_text(
        "#include <map>\n#include <string>\n#include <cstdio>\n"
        'int main() { std::map<std::string, int> m; m["a"] = 4;'
        ' try { throw m["a"]; } catch (int e) { std::printf("caught %d\\n", e); } }'
    )
    from solvers.llvm.toolchain import linker

    if linker(Target(), cxx=True).wants_cache:
        pytest.skip("no C++ compiler of the system; zig's first link takes half a minute")
    bitcode = compile_to_bitcode([source], workdir=folder, target=Target())
    program = link_program(bitcode, workdir=folder, target=Target(), cxx=True)
    assert (
        run_program(program, RunCase(), timeout_s=5, workdir=folder).stdout
        == b"caught 4\n"
    )
