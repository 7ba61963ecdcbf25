"""The command line; `main` is the console script."""

from __future__ import annotations

import signal
import sys

_COMPILERS = ("cc", "c++")


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] and sys.argv[1] in _COMPILERS:
        # A build calls this for each source: the rest of the command line is not imported.
        from trimtab.wrapper.main import main as compile_or_link

        sys.exit(compile_or_link(sys.argv[2:], cxx=sys.argv[1] == "c++"))
    # Ctrl-C during imports, or at the interpreter's end, is no fault to show a traceback of.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from trimtab.cli.app import run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
