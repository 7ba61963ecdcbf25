"""Start the trimtab server.

Options override the `TRIMTAB_*` environment variables of the same name.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from search.cores import usable_cores
from services.settings import LOOPBACK, Settings, SettingsRefused, load, misspelt
from trimtab import __version__

if TYPE_CHECKING:
    from services.gateway.deps import Context

# Every process of the machine may read another's arguments.
_ENVIRONMENT_ALONE = ("text_api_key",)


def main(argv: list[str]) -> int:
    """Serve until a signal; returns the exit code.

    0 after a clean shutdown, 2 for invalid settings, 1 for a port or folder in use.
    """
    arguments = vars(_parser().parse_args(argv))
    try:
        settings = load(
            **{name: value for name, value in arguments.items() if value is not None}
        )
    except SettingsRefused as error:
        print(error, file=sys.stderr)
        return 2
    for line in misspelt():
        print(line, file=sys.stderr)
    if settings.role == "dispatcher" and "port" not in settings.model_fields_set:
        # It serves health and metrics only, and must not take the port of a gateway.
        settings = settings.model_copy(update={"port": 0})

    import uvicorn

    from services import telemetry
    from services.errors import StoreUnavailable
    from services.gateway.app import create_app
    from services.gateway.server import Server
    from workers.process.sandbox import SandboxUnavailable

    telemetry.configure_logging(settings)
    try:
        _check_sandbox(settings)
        _check_llvm(settings)
        _make_data_dir(settings.data_dir)
        with _folder_lock(settings), _bound_socket(settings) as listener:
            app = create_app(settings)
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=3,
                timeout_keep_alive=65,
                ssl_certfile=str(settings.tls_cert) if settings.tls_cert else None,
                ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
            )
            context: Context = app.state.context
            with _server_file(settings, listener) as url:
                server = Server(
                    config,
                    lifetime=context.lifetime,
                    on_started=functools.partial(_print_address, context, url),
                )
                server.run(sockets=[listener])
            return 0 if server.started else 1
    except (
        _CannotStart,
        StoreUnavailable,
        SandboxUnavailable,
        OSError,
        ImportError,
        ValueError,
    ) as error:
        print(str(error), file=sys.stderr)
        return 2 if isinstance(error, ValueError | ImportError) else 1


def _parser() -> argparse.ArgumentParser:
    """Return a parser with a flag for each setting, explained by the setting's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m services",
        usage="%(prog)s [--SETTING VALUE ...]",
        description=" ".join((__doc__ or "").split()),
        epilog="In the environment alone, because others can read the arguments of a process: "
        + ", ".join(f"TRIMTAB_{name.upper()}" for name in _ENVIRONMENT_ALONE),
        allow_abbrev=False,
    )
    for field, setting in Settings.model_fields.items():
        if field in _ENVIRONMENT_ALONE:
            continue
        flag = f"--{field.replace('_', '-')}"
        text = _help(field, setting).replace("%", "%%")
        if setting.annotation is bool:
            parser.add_argument(flag, action="store_true", default=None, help=text)
        else:
            # argparse does not validate: `settings.load` words every fault.
            choices = ",".join(_choices(setting))
            shown = f"{{{choices}}}" if choices else field.upper()
            parser.add_argument(flag, dest=field, default=None, metavar=shown, help=text)
    return parser


def _help(field: str, info: FieldInfo) -> str:
    words = [" ".join((info.description or "").split()).replace("`", "")]
    if choices := _choices(info):
        words.append(f"One of {', '.join(choices)}")
    default = info.get_default(call_default_factory=True)
    if default is not False:
        shown = default if isinstance(default, int | float) else str(default or "none")
        words.append(f"Default: {shown}")
    words.append(f"Environment: TRIMTAB_{field.upper()}")
    return " ".join(word if word.endswith(".") else f"{word}." for word in words if word)


def _choices(info: FieldInfo) -> list[str]:
    if get_origin(info.annotation) is not Literal:
        return []
    return [str(word) for word in get_args(info.annotation)]


async def _print_address(context: Context, url: str) -> None:
    """Print the address; on a terminal with a one-time sign-in link, which no log may hold."""
    settings = context.settings
    if settings.role == "dispatcher":
        print(
            f"trimtab {__version__} runs jobs; health and metrics at {url}",
            file=sys.stderr,
        )
        return
    print(f"trimtab {__version__} serves {url}", file=sys.stderr)
    if settings.runs_here:
        cores, jobs = usable_cores(), settings.workers
        print(
            f"up to {jobs} job{'s' * (jobs > 1)} at once on {cores:g} cores (--workers)",
            file=sys.stderr,
        )
    if settings.auth != "keys":
        return
    if sys.stderr.isatty():
        admin = await context.keyring.by_key(settings.admin_key_file.read_text().strip())
        ticket = context.keyring.ticket(admin)
        print(
            f"sign-in link (valid once, for ten minutes): {url}/login?ticket={ticket}",
            file=sys.stderr,
        )
    print(
        f"admin key: {settings.admin_key_file}; open the pages: trimtab open",
        file=sys.stderr,
    )


def _check_sandbox(settings: Settings) -> None:
    """Raise SandboxUnavailable if runs could read the server's own files.

    Unless the bind address is loopback, others can submit jobs, and bubblewrap must work.
    """
    from workers.process.sandbox import SandboxUnavailable, bwrap_works, exposed

    if not settings.runs_here:
        return
    if (folder := exposed(settings.data_dir)) is not None:
        raise SandboxUnavailable(
            f"data_dir: expected a folder that runs cannot read, got {settings.data_dir} below "
            f"{folder}, which every run may read; choose another with --data-dir or "
            "TRIMTAB_DATA_DIR"
        )
    if settings.host in LOOPBACK or settings.contained:
        return
    works, why_not = bwrap_works()
    if not works:
        raise SandboxUnavailable(
            "host: expected a loopback address where bubblewrap does not work, got "
            f"{settings.host!r} ({why_not}). Install bubblewrap, or set "
            "TRIMTAB_CONTAINED=true if this process has a container of its own"
        )


def _check_llvm(settings: Settings) -> None:
    """Raise ValueError if an explicitly configured LLVM is missing.

    The LLVM of the wheel must not replace it silently.
    """
    from solvers.llvm import install
    from solvers.llvm.types import LlvmMissing

    if settings.runs_here and os.environ.get(install.VARIABLE, "").strip():
        try:
            install.find_llvm()
        except LlvmMissing as missing:
            raise ValueError(str(missing)) from missing


class _CannotStart(Exception):
    """The data folder is in use, or the address cannot be bound."""


def _make_data_dir(data_dir: Path) -> None:
    """Make the data folder. Raises _CannotStart unless this process can write into it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise _CannotStart(
            f"data_dir: expected a folder that this server can write, got {data_dir} "
            f"({error.strerror}); choose another by --data-dir"
        ) from error


@contextlib.contextmanager
def _folder_lock(settings: Settings) -> Iterator[None]:
    """Lock the data folder against a second server, unless they share PostgreSQL."""
    if settings.database_url is not None:
        yield
        return
    with (settings.data_dir / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            with contextlib.suppress(OSError, ValueError, KeyError):
                url = json.loads((settings.data_dir / "server.json").read_text())["url"]
                raise _CannotStart(
                    f"another trimtab server uses {settings.data_dir} and serves {url}; use "
                    "that one (`trimtab open`), stop it, or give this one its own --data-dir "
                    "and --port"
                ) from error
            raise _CannotStart(
                f"another trimtab server uses {settings.data_dir}; stop it, or give this one its "
                "own --data-dir"
            ) from error
        yield


@contextlib.contextmanager
def _bound_socket(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise _CannotStart(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose "
                "another --port (0: any free one)"
            ) from error
        listener.listen(2048)
        yield listener


@contextlib.contextmanager
def _server_file(settings: Settings, listener: socket.socket) -> Iterator[str]:
    """Write the server's URL to server.json, for SDK, CLI and pages on this machine."""
    port = listener.getsockname()[1]
    host = settings.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - shown, not bound
        host = "127.0.0.1"
    scheme = "https" if settings.tls_cert else "http"
    url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    if settings.role == "dispatcher":
        yield url  # readers of server.json look for an API, which a dispatcher does not have
        return
    path = settings.data_dir / "server.json"
    _write(path, {"url": url, "pid": os.getpid(), "version": __version__})
    try:
        yield url
    finally:
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text())["pid"] == os.getpid():
                path.unlink()


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
