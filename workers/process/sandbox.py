"""Start a child in a sandbox, and kill it with everything it started.

At every level: limits on memory, file size, processor time and core dumps; a session of its own; no
secret in its environment. Before it reads any input, the child gives up its privileges
(`solvers.privileges`): no capability, no socket, and no file except the interpreter, the code, the
system's libraries (all read-only) and its own run folder.

Level `rlimit` is that. Level `bwrap` adds namespaces for mounts, processes, network and IPC. Where
the kernel has no Landlock, level `rlimit` does not protect files: `protection()` reports it, and
such a server accepts one tenant only.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from solvers import privileges
from workers.process.process_tree import MARK, kill_run

# One BLAS thread: runs share the cores, and a fork after BLAS started threads would hang.
_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
}
# Passed on when set: paths of the interpreter and choice of processor kernels. Never a setting of
# the service.
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "TZ")
_SYSTEM_FOLDERS = (*privileges.SYSTEM_FOLDERS, "/sbin")
# In a child's environment: folders that stay readable, beside the system's.
READABLE = "TRIMTAB_READABLE"
# And folders and devices beside the run folder that stay writable.
WRITABLE = "TRIMTAB_WRITABLE"
# The LLVM of kind compile: a setting of its engine (solvers.llvm.install).
LLVM = "TRIMTAB_LLVM"
# The openEMS of kind antenna (solvers.field.openems.process).
OPENEMS = "TRIMTAB_OPENEMS"
_ROOT = Path(__file__).resolve().parents[2]  # the folder of the packages


@dataclass(frozen=True, kw_only=True)
class Program:
    """Command of a child, and the paths it may reach beside interpreter and system libraries.

    Its module takes `--workdir` and `--protect`, drops its privileges and then sends `ready`.
    """

    module: str
    arguments: tuple[str, ...] = ()
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()  # existing folders that outlive the child
    devices: tuple[Path, ...] = ()
    network: bool = False
    # Beside the sandbox's own environment, and instead of variables of the same name.
    environment: Mapping[str, str] = field(default_factory=dict)


def run_program(preload: Sequence[str]) -> Program:
    """Return the program of a run: it imports `preload` before it sends `ready`."""
    arguments = ("--preload", ",".join(preload))
    return Program(module="workers.process.child", arguments=arguments)


class Level(StrEnum):
    """Strength of the sandbox."""

    RLIMIT = "rlimit"
    BWRAP = "bwrap"


class SandboxUnavailable(RuntimeError):
    """The requested level does not work on this machine."""


@functools.cache
def bwrap_works() -> tuple[bool, str]:
    """Try bubblewrap once and return (works, reason of failure): the kernel may forbid it."""
    program = shutil.which("bwrap")
    if program is None:
        return False, "bubblewrap is not installed (Debian: apt-get install bubblewrap)"
    command = [*_bwrap(program, Path("/"), visible=()), "--", "/bin/true"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=10, check=False
    )
    return done.returncode == 0, done.stderr.strip()[:300]


def choose_level(requested: str) -> tuple[Level, str]:
    """Return (level, reason). `auto` takes bubblewrap when it works. Raises SandboxUnavailable."""
    if requested == Level.RLIMIT:
        return Level.RLIMIT, "requested"
    if requested not in ("auto", Level.BWRAP):
        raise ValueError(f"sandbox: expected auto, rlimit or bwrap, got {requested!r}")
    works, why_not = bwrap_works()
    if works:
        return Level.BWRAP, "bubblewrap works here"
    if requested == Level.BWRAP:
        raise SandboxUnavailable(f"sandbox: 'bwrap' does not work here: {why_not}")
    return Level.RLIMIT, why_not


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Protections of the sandbox on this machine, tested and not assumed."""

    files: bool  # of the server and of other runs
    network: bool

    @property
    def gaps(self) -> str:
        """One sentence on missing protection; empty when there is none."""
        missing = [
            name
            for name, protected in (("files", self.files), ("network", self.network))
            if not protected
        ]
        if not missing:
            return ""
        return (
            f"runs are not kept from this machine's {' and '.join(missing)}: expected bubblewrap, "
            "or a kernel with Landlock (5.13) and seccomp, got neither. Install bubblewrap or "
            "allow user namespaces; until then serve one tenant"
        )


@functools.cache
def protection(level: Level) -> Protection:
    """Test, in a child at this level, reading a file and opening a socket."""
    command = [sys.executable, "-I", "-S", privileges.__file__]
    if level is Level.BWRAP:
        command = [
            *_bwrap(shutil.which("bwrap") or "bwrap", Path("/"), visible=_visible()),
            "--",
            *command,
        ]
    with tempfile.NamedTemporaryFile(prefix="trimtab-canary-") as canary:
        canary.write(b"readable")
        canary.flush()
        try:
            done = subprocess.run(
                [*command, canary.name],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            protected = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            return Protection(files=False, network=False)
    return Protection(files=protected["files"], network=protected["network"])


def exposed(folder: Path) -> Path | None:
    """Return the folder around `folder` that every run can read; None when runs cannot read it."""
    folder = folder.resolve()
    readable = [path.resolve() for path in (*map(Path, _SYSTEM_FOLDERS), *_visible())]
    return next((path for path in readable if folder.is_relative_to(path)), None)


def _bwrap(
    bwrap: str,
    workdir: Path,
    *,
    visible: Sequence[Path],
    writable: Sequence[Path] = (),
    devices: Sequence[Path] = (),
    network: bool = False,
) -> list[str]:
    command = [
        bwrap,
        "--unshare-user",
        "--unshare-pid",
        *([] if network else ["--unshare-net"]),
        "--unshare-ipc",
        "--unshare-cgroup-try",
    ]
    command += [
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--hostname",
        "trimtab",
        "--unshare-uts",
    ]
    for folder in _SYSTEM_FOLDERS:
        if os.path.islink(folder):
            command += ["--symlink", os.readlink(folder), folder]
        elif os.path.exists(folder):
            command += ["--ro-bind", folder, folder]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--tmpfs", "/tmp"]  # noqa: S108 - the sandbox's own
    for path in visible:
        if not str(path).startswith("/usr/"):
            command += ["--ro-bind", str(path), str(path)]
    for path in devices:
        command += ["--dev-bind", str(path), str(path)]
    for path in writable:
        command += ["--bind", str(path), str(path)]
    if visible and workdir != Path("/"):
        command += ["--bind", str(workdir), str(workdir), "--chdir", str(workdir)]
    return command


def _visible() -> tuple[Path, ...]:
    """Return the folders that a child must read: interpreter, environment, our packages.

    Not the checkout as a whole: a server's data and .git may lie in it.
    """
    interpreter = {
        Path(sys.prefix).resolve(),
        Path(sys.base_prefix).resolve(),
        Path(sys.executable).absolute().parent.parent,
    }
    listed = [os.environ.get(name, "") for name in ("PYTHONPATH", "LD_LIBRARY_PATH")]
    extra = [
        Path(p).resolve()
        for paths in listed
        for p in paths.split(os.pathsep)
        if p and os.path.exists(p)
    ]
    return (*sorted(interpreter), *_packages(), *extra, *_llvm(), *_openems())


def _llvm() -> tuple[Path, ...]:
    """Return the folder of the LLVM that TRIMTAB_LLVM names, when it is a path."""
    text = os.environ.get(LLVM, "").strip()
    named = Path(text).absolute()
    if not text or not named.exists():
        return ()
    # For lib/libLLVM.so, the tools are in bin beside lib.
    folder = named if named.is_dir() else named.parent.parent
    return tuple(dict.fromkeys((folder, folder.resolve())))


def _openems() -> tuple[Path, ...]:
    """Return the folder of the openEMS that TRIMTAB_OPENEMS names, when it is a path."""
    text = os.environ.get(OPENEMS, "").strip()
    named = Path(text).resolve()
    if not text or not named.is_file():
        return ()
    # Of prefix/bin/openEMS, the libraries are in prefix/lib.
    return (named.parent.parent if named.parent.name == "bin" else named.parent,)


def _packages() -> list[Path]:
    """Return the folders of our packages without `services`."""
    marks = (*_ROOT.glob("*/__init__.py"), *_ROOT.glob("cuda/kernels/__init__.py"))
    # `cuda` has no __init__.py, so that NVIDIA's package of that name can be imported too.
    folders = {_ROOT / mark.relative_to(_ROOT).parts[0] for mark in marks}
    return sorted(folder for folder in folders if folder.name != "services")


def _lay_out(workdir: Path) -> None:
    """Create a child's folders: `tmp`, and `code` with links to our packages.

    The import system lists the folders that it searches, and the checkout cannot be listed from
    inside the sandbox, because a server's data may lie in it.
    """
    (workdir / "tmp").mkdir()
    code = workdir / "code"
    code.mkdir()
    for package in _packages():
        (code / package.name).symlink_to(package)


@dataclass(eq=False)  # compared by identity: it is a process
class ChildProcess:
    """A started child: its process and the streams of its socket."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    workdir: Path
    level: Level
    exited: asyncio.Event  # the child itself is dead; processes that it started may live
    _over: bool = field(default=False, init=False)

    def kill(self) -> None:
        """Send SIGKILL to the child and its process group, at once.

        Under bubblewrap the whole process namespace dies with it; otherwise forked processes asked
        the kernel to die with their parent (search.isolation).
        """
        if self._over:
            return  # its pid may belong to another process by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill, and return when no process of the run is left, inside its process group or not."""
        if self._over:
            return
        self.kill()
        await asyncio.to_thread(kill_run, self.workdir)
        await self.exited.wait()
        # Before Python 3.12 this also waits for the end of the child's output, which an unkillable
        # process may keep open.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), 2.0)
        self._over = True

    def death(self) -> signal.Signals | None:
        """Return the signal that ended the child; None when it ended by itself."""
        code = self.process.returncode
        if code is None:
            return None
        number = (
            -code
            if code < 0
            else code - 128
            if self.level is Level.BWRAP and code > 128
            else 0
        )
        with contextlib.suppress(ValueError):
            return signal.Signals(number) if number else None
        return None


async def start_child(workdir: Path, *, level: Level, program: Program) -> ChildProcess:
    """Start a child in `workdir`, an existing folder of its own. Raises OSError."""
    command = [
        sys.executable,
        "-P",  # the working folder is the run's own: nothing is imported from it
        "-m",
        program.module,
        "--workdir",
        str(workdir),
        *program.arguments,
    ]
    protected = await asyncio.to_thread(protection, level)
    required = ["files"] if protected.files else []
    required += ["network"] if protected.network and not program.network else []
    command += ["--protect", ",".join(required)]
    await asyncio.to_thread(_lay_out, workdir)
    if level is Level.BWRAP:
        inside = _bwrap(
            shutil.which("bwrap") or "bwrap",
            workdir,
            visible=(*_visible(), *program.readable),
            writable=program.writable,
            devices=program.devices,
            network=program.network,
        )
        command = [*inside, "--", *command]
    environment = _child_environment(workdir, program)
    ours, theirs = socket.socketpair()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=theirs.fileno(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=workdir,
            env=environment,
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    exited = _watch(process.pid)
    try:
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
    # Also when the pool closes meanwhile: it does not know this child.
    except BaseException:
        ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await exited.wait()
        await process.wait()
        raise
    return ChildProcess(
        process=process,
        reader=reader,
        writer=writer,
        workdir=workdir,
        level=level,
        exited=exited,
    )


def _child_environment(workdir: Path, program: Program) -> dict[str, str]:
    """Return a child's environment: nothing of the service's own but the choices it needs."""
    environment = _ENVIRONMENT | {k: os.environ[k] for k in _PASSED_ON if k in os.environ}
    # PYTHONPATH leads to the code; the working folder is the run's own.
    inherited = os.environ.get("PYTHONPATH")
    for variable in (LLVM, OPENEMS):
        if named := os.environ.get(variable):
            # Absolute, because a child has another working folder.
            path = Path(named)
            environment[variable] = str(path.absolute()) if path.exists() else named
    environment[MARK] = str(workdir)
    environment["TMPDIR"] = environment["XDG_CACHE_HOME"] = str(workdir / "tmp")
    environment[READABLE] = os.pathsep.join(map(str, (*_visible(), *program.readable)))
    reach = (*program.writable, *program.devices)
    environment[WRITABLE] = os.pathsep.join(map(str, reach))
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(workdir / "code"), *([inherited] if inherited else [])]
    )
    return {**environment, **program.environment}


def _watch(pid: int) -> asyncio.Event:
    """Return an event that is set when the process ends, without waiting for its output."""
    loop, exited = asyncio.get_running_loop(), asyncio.Event()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:  # already dead and reaped
        exited.set()
        return exited

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        exited.set()

    loop.add_reader(descriptor, ended)
    return exited
