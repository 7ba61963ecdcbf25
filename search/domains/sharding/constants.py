"""Units of the kind, and the index that refers to nothing."""

from __future__ import annotations

GIB = 2.0**30  # bytes
NONE = -1  # no option, no device, no shard of the plan in use
