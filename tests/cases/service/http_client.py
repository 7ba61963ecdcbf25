"""A plain HTTP client for the cases against a real server."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.bench.service.harness import Server

ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "DEAD")


class Service:
    """A server with the key of one caller."""

    def __init__(self, server: Server, key: str | None = None) -> None:
        self.server, self.url, self.data = server, server.url, Path(server.data_dir)
        self.key = key or server.key

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a request; returns (status, parsed JSON or bytes)."""
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        data = body
        if body is not None and not isinstance(body, bytes):
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(
            self.url + path, data=data, headers=sent, method=method
        )
        try:
            answer = urllib.request.urlopen(request, timeout=70)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            raw, status = answer.read(), answer.status
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw

    def other(self, **key: Any) -> Service:
        """Return a caller with a new key."""
        status, made = self.ask(
            "POST", "/v1/keys", {"name": "other", "scopes": ["submitter"], **key}
        )
        assert status == 201, made
        return Service(self.server, made["key"])

    def upload(self, content: bytes, name: str) -> dict[str, Any]:
        """Upload a file; returns its reference."""
        kind = {"Content-Type": "application/octet-stream"}
        status, reference = self.ask("POST", f"/v1/artifacts?name={name}", content, kind)
        assert status in (200, 201), reference
        return {name: reference[name] for name in ("digest", "name")}

    def submit(self, kind: str, spec: Any, **request: Any) -> dict[str, Any]:
        """Submit a job; returns it."""
        status, job = self.ask(
            "POST", "/v1/jobs", {"kind": kind, "spec": spec, **request}
        )
        assert status == 202, job
        return dict(job)

    def ended(self, job: Mapping[str, Any], *, within_s: float = 120.0) -> dict[str, Any]:
        """Wait for the end of a job; returns it."""
        deadline = time.monotonic() + within_s
        view: dict[str, Any] = dict(job)
        while view["state"] not in ENDED:
            assert time.monotonic() < deadline, view
            _, view = self.ask("GET", f"/v1/jobs/{job['id']}/wait?timeout_s=30")
        return view

    def run(self, kind: str, spec: Any, **request: Any) -> dict[str, Any]:
        """Run a job; returns it ended."""
        return self.ended(self.submit(kind, spec, **request))
