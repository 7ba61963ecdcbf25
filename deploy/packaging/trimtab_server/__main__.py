"""Start the service (`trimtab-server [options]`) or run jobs (`trimtab-server batch FILE`).

The interpreter is started again with `-P` and this folder on PYTHONPATH, so that the service and
the processes it starts import the packages below this folder, and none from the working directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Replace this process by the service, or by a batch run."""
    arguments = sys.argv[1:]
    module = "workers" if arguments[:1] == ["batch"] else "services"
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(FOLDER), *([inherited] if inherited else [])])
    command = [sys.executable, "-P", "-m", module, *arguments]
    os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": path})  # noqa: S606


if __name__ == "__main__":
    main()
