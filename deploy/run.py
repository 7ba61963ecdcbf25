"""Start the service, solve one real integer program and show it live (`make run`).

    python deploy/run.py [--model your.mps] [--seconds 60] [--keep | --no-keep]

Without `--model` the instance is fast0507 (railway crew scheduling as set cover: 507 rows, 63,009
columns, optimum 174), from the source distribution of the PyPI package `mip`. The service keeps its
data where `trimtab` looks for it: TRIMTAB_DATA_DIR, or ~/.local/share/trimtab. On a terminal the
service keeps running after the job, for the web page, until Ctrl-C; otherwise it ends with the job.
SIGTERM ends it in either case.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = "fast0507"


def say(text: str) -> None:
    """Print a line of progress to stderr."""
    print(
        f"\033[2m{text}\033[0m" if sys.stderr.isatty() else text,
        file=sys.stderr,
        flush=True,
    )


def fetch_instance(name: str) -> Path:
    """Return the path of the real instance; without network, of a generated set cover."""
    fetch = [sys.executable, "-m", "workers.bench.instances", "fetch", name]
    done = subprocess.run(fetch, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return Path(done.stdout.strip().splitlines()[-1])
    say(
        f"{name} could not be fetched (see above); "
        "a set cover of 1,000 rows and 800 columns is generated instead"
    )
    made = ROOT / ".trimtab" / "setcover-800x1000-seed0.mps"
    made.parent.mkdir(exist_ok=True)
    generate = [
        sys.executable,
        "-m",
        "workers.corpus.integer_programs",
        "set-cover",
        "--size",
        "1/5",
        "--seed",
        "0",
        str(made),
    ]
    subprocess.run(generate, cwd=ROOT, check=True)
    return made


def answers(url: str) -> bool:
    """Return whether a ready service answers at `url`."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def recorded_url(data_dir: Path) -> str | None:
    """Return the URL that a running service wrote to its data folder."""
    try:
        return str(json.loads((data_dir / "server.json").read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None


def start_service(data_dir: Path) -> tuple[str, subprocess.Popen[bytes] | None]:
    """Return (url, process); the process is None when a service of this folder runs already."""
    url = recorded_url(data_dir)
    if url and answers(url):
        say(f"using the service that already runs at {url}")
        return url, None
    data_dir.mkdir(mode=0o700, exist_ok=True, parents=True)
    log = data_dir / "service.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "services"], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                sys.exit(
                    f"the service exited with code {process.returncode}; "
                    f"its log {log} ends with:\n{log.read_text()[-2000:]}"
                )
            url = recorded_url(data_dir)
            if url and answers(url):
                return url, process
            time.sleep(0.05)
        sys.exit(f"the service was not ready within 60 s; see {log}")
    except BaseException:
        end(process)
        raise


def end(process: subprocess.Popen[bytes]) -> None:
    """End the service and every process it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Run, and return the exit code of the watched job."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument(
        "--model",
        type=Path,
        help=".mps or .lp file, plain or .gz; default: fast0507, fetched",
    )
    arguments.add_argument(
        "--seconds", type=float, default=60.0, help="budget of the job"
    )
    arguments.add_argument(
        "--keep",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="keep serving afterwards",
    )
    options = arguments.parse_args()
    if options.model is not None and not options.model.is_file():
        arguments.error(
            f"no file at {options.model}; give the path of an .mps or .lp file, plain or .gz"
        )

    for number in (signal.SIGTERM, signal.SIGHUP):
        # An exit, so that `finally` ends the service.
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    began = time.monotonic()
    model = options.model or fetch_instance(INSTANCE)
    data_dir = Path(
        os.environ.get("TRIMTAB_DATA_DIR") or Path.home() / ".local" / "share" / "trimtab"
    ).resolve()
    os.environ["TRIMTAB_DATA_DIR"] = str(data_dir)
    url, service = start_service(data_dir)
    ready_s = time.monotonic() - began
    say(f"service ready after {ready_s:.1f} s at {url}   (data and log in {data_dir})")
    trimtab = [sys.executable, "-m", "trimtab.cli"]
    try:
        say("page, signed in (this link works once):")
        subprocess.run([*trimtab, "open", "--print"], check=False)
        submit = [
            *trimtab,
            "submit",
            str(model),
            "--seconds",
            str(options.seconds),
            "--watch",
            "--report",
        ]
        code = subprocess.run(submit, check=False).returncode
        keep = (
            options.keep
            if options.keep is not None
            else sys.stdin.isatty() and service is not None
        )
        if keep and service is not None:
            say(f"\nThe service keeps running at {url}. Ctrl-C ends it.")
            service.wait()
        return code
    except KeyboardInterrupt:
        return 130
    finally:
        if service is not None:
            end(service)


if __name__ == "__main__":
    sys.exit(main())
