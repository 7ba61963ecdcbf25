"""Check a commit message: `area: what`, at most 72 characters, and a reason in the body.

python deploy/tools/commit_message.py FILE   # as git's commit-msg hook calls it
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

COLUMNS = 72
_AREA = re.compile(r"[a-z0-9][\w ./,-]*: \S")
_EXEMPT = ("Merge ", "Revert ", "fixup! ", "squash! ")


def faults(message: str) -> list[str]:
    """Return what is wrong with a message; comments of git's template do not count."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject, body = (lines[0] if lines else ""), "\n".join(lines[1:])
    if subject.startswith(_EXEMPT):
        return []
    listed = []
    if len(subject) > COLUMNS:
        listed.append(
            f"subject: expected at most {COLUMNS} characters, got {len(subject)}"
        )
    if not _AREA.match(subject):
        listed.append(f"subject: expected `area: what is done`, got {subject!r}")
    if not body.strip():
        listed.append("body: expected the reason for the change, got nothing")
    elif lines[1].strip():
        listed.append("body: expected an empty line after the subject, got text")
    return listed


def main(path: str) -> int:
    """Print the faults of the message in a file. Returns the exit status."""
    listed = faults(Path(path).read_text("utf-8"))
    for fault in listed:
        print(fault, file=sys.stderr)
    return 1 if listed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
