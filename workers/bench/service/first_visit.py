"""A newcomer's first result by the pages: steps and seconds for each kind, weight of each page.

It does what a browser without scripts does, over HTTP: sign in by a link, press one button on the
first-visit page (a plan needs another one, which approves it), and reload the page of the
job until the result is there.
"""

from __future__ import annotations

import gzip
import html
import http.client
import json
import re
import time
from typing import Any
from urllib.parse import urlencode

from workers.bench.service.harness import Server

GOAL_BYTES = 200_000
_LONGEST_S = 600.0
_FILES = re.compile(
    r'<(?:script|img)[^>]*? src="([^"]+)"|<link[^>]*? rel="(?:stylesheet|icon)"[^>]*?>'
)
_HREF = re.compile(r' href="([^"]+)"')
_HIDDEN = re.compile(r'type="hidden" name="(revision|digest)" value="([^"]*)"')
_EXAMPLE = re.compile(r'name="kind" value="([^"]+)"')


class _Browser:
    """A signed-in browser without scripts and without a cache."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cookie = ""
        headers = {"Authorization": f"Bearer {server.key}"}
        _, _, body = self._send("POST", "/v1/session-tickets", headers=headers)
        link = f"/login?ticket={json.loads(body)['ticket']}"
        _, answered, _ = self._send("GET", link)
        self._cookie = (answered["Set-Cookie"] or "").partition(";")[0]

    def open(self, path: str) -> str:
        """Return a page's text."""
        status, _, body = self._send("GET", path)
        if status != 200:
            raise RuntimeError(f"{path}: expected status 200, got {status}")
        return _plain(body)

    def press(self, path: str, **fields: str) -> str:
        """Post a form; return where it leads."""
        _, answered, _ = self._send("POST", path, body=urlencode(fields))
        return str(answered["Location"])

    def weigh(self, path: str) -> tuple[int, int]:
        """Return (requests, bytes as sent) of a page with its styles, scripts and pictures."""
        _, _, body = self._send("GET", path)
        text = _plain(body)
        named = [
            match.group(1) or _HREF.findall(match.group(0))[0]
            for match in _FILES.finditer(text)
        ]
        sizes = [len(self._send("GET", html.unescape(one))[2]) for one in {*named}]
        return 1 + len(sizes), len(body) + sum(sizes)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._server.port, timeout=60
        )
        sent = {
            "Accept": "text/html,*/*",
            "Accept-Encoding": "gzip",
            "Sec-Fetch-Site": "same-origin",
            "Cookie": self._cookie,
            **(headers or {}),
        }
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


def measure(server: Server) -> dict[str, Any]:
    """Return the figures of each kind with an example, and the weight of the heaviest page."""
    browser = _Browser(server)
    kinds = _EXAMPLE.findall(browser.open("/start"))
    rows = [_first_result(server, browser, kind) for kind in kinds]
    pages = {path: browser.weigh(path)[1] for path in ("/", "/start", "/submit/sharding")}
    heaviest = max(*pages.values(), *(row["page_bytes"] for row in rows))
    return {
        "kinds": rows,
        "page_bytes": pages,
        "heaviest_page_bytes": heaviest,
        "goal_bytes": GOAL_BYTES,
        "ok": all(row["state"] == "SUCCEEDED" for row in rows),
    }


def _first_result(server: Server, browser: _Browser, kind: str) -> dict[str, Any]:
    """Submit the example of a kind with one press, and wait for its result.

    A plan waits for approval, which is a second press.
    """
    began = time.perf_counter()
    path = browser.press("/start", kind=kind)
    first_s: float | None = None
    presses = 1
    while True:
        _, job = server.get(f"/v1{path}")
        elapsed_s = time.perf_counter() - began
        if first_s is None and job["best"]:
            first_s = elapsed_s
        if job["state"] == "AWAITING_APPROVAL" and presses == 1:
            outline = dict(_HIDDEN.findall(browser.open(path)))
            browser.press(f"{path}/outline/approve", **outline)
            presses += 1
        if job["finished_at"] or elapsed_s > _LONGEST_S:
            break
        time.sleep(0.2)
    requests, size = browser.weigh(path)
    return {
        "kind": kind,
        "presses": presses,
        "first_solution_s": first_s,
        "result_s": elapsed_s,
        "state": job["state"],
        "page_requests": requests,
        "page_bytes": size,
    }


def _plain(body: bytes) -> str:
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
