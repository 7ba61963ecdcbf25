"""MCP server: trimtab's jobs as tools of an assistant. `trimtab mcp` starts it.

Needs the extra `trimtab[mcp]`, the official Python SDK.
"""
