"""Clients of the MCP server, in memory and over its transports."""

from __future__ import annotations

import pytest

pytest.importorskip("mcp", reason="the extra trimtab[mcp] is not installed")
