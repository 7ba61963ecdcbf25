"""What the collector says when it will not go on."""

from __future__ import annotations


class CollectError(Exception):
    """The command or the file cannot be used; the message says what came, what was wanted and what to do."""
