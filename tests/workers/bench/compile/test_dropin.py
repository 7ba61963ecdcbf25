"""CPU time of builds: also of processes that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# A worker whose parent ends first, as the wrapper ends before its job's processes are gone.
ORPHAN = """
import os, sys, time
from pathlib import Path
from workers.bench.compile.dropin import cpu_of
busy = "import time; e = time.process_time() + 0.6\\nwhile time.process_time() < e: pass"
command = [sys.executable, "-c",
           f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy!r}],"
           " start_new_session=True); sys.exit(3)"]
with open("said", "w") as said:
    print(*cpu_of(command, Path("."), os.environ, said))
"""


def test_processes_left_by_their_parents_count(tmp_path: Path) -> None:
    # In a process of its own, because it adopts and awaits all orphans.
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
    )
    cpu_s, code = done.stdout.split()
    assert float(cpu_s) >= 0.6
    assert code == "3"
