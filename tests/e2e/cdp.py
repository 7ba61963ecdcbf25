"""A small driver for headless Chromium over the DevTools protocol, without a driver binary.

One WebSocket to the browser, one flattened session per page, one thread: `call` sends a command
and reads messages until its answer arrives, recording events on the way: console
errors, uncaught exceptions, content-security-policy violations, and every request with its address.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
# Runs before any script of a page, and is not subject to its policy.
WATCH_POLICY = """
document.addEventListener('securitypolicyviolation', (e) =>
  console.error('CSP violation: ' + e.violatedDirective + ' ' + e.blockedURI + ' '
    + e.sourceFile + ':' + e.lineNumber));
"""
KEYS: Mapping[str, tuple[str, int, str]] = {
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Space": ("Space", 32, " "),
    "Escape": ("Escape", 27, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "Home": ("Home", 36, ""),
    "0": ("Digit0", 48, "0"),
    "+": ("NumpadAdd", 107, "+"),
}


def find_chromium() -> str | None:
    """Return Debian's Chromium, or one on the path under the usual names."""
    return next(
        (
            path
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (path := shutil.which(name))
        ),
        None,
    )


class DevToolsError(Exception):
    """The browser refused a command, or a script in the page threw."""


class Browser:
    """A Chromium process with a fresh profile. A context manager."""

    def __init__(self, executable: str, profile: Path) -> None:
        self._stack = ExitStack()
        self._ids = itertools.count(1)
        self._pages: dict[str, Page] = {}
        self._log = (profile / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [executable, *FLAGS, f"--user-data-dir={profile / 'profile'}", "about:blank"],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        port_file = profile / "profile" / "DevToolsActivePort"
        deadline = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text().count("\n") >= 1):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise DevToolsError(
                    "chromium did not start:\n"
                    + (profile / "chromium.log").read_text()[-2000:]
                )
            time.sleep(0.02)
        port, path = port_file.read_text().split("\n")[:2]
        self._socket: ClientConnection = self._stack.enter_context(
            connect(
                f"ws://127.0.0.1:{port}{path}",
                max_size=None,
                # Events wait unread while tests of other files run: no pong would be seen.
                max_queue=None,
                ping_interval=None,
                compression=None,
                proxy=None,
                open_timeout=20,
            )
        )

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process this object started."""
        self._stack.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def page(
        self,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        scripts: bool = True,
    ) -> Page:
        """Open a page in a context of its own, without cookies of other pages."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call(
            "Target.createTarget", url="about:blank", browserContextId=context
        )["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        page = Page(self, session, context)
        self._pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            page.call(f"{domain}.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH_POLICY)
        page.look(width=width, height=height, dark=dark)
        if not scripts:
            page.call("Emulation.setScriptExecutionDisabled", value=True)
        return page

    def call(
        self, method: str, session: str | None = None, **params: Any
    ) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                if "error" in answer:
                    raise DevToolsError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, message: Mapping[str, Any]) -> None:
        page = self._pages.get(message.get("sessionId", ""))
        if page is not None and "method" in message:
            page.note(message["method"], message["params"])


@dataclass
class Page:
    """One tab."""

    browser: Browser
    session: str
    context: str
    # Console errors, exceptions, policy violations.
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    loads: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to this tab."""
        return self.browser.call(method, self.session, **params)

    def note(self, method: str, params: Mapping[str, Any]) -> None:
        """Record an event for the assertions of tests."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.responseReceived":
            self.statuses[params["response"]["url"]] = params["response"]["status"]
        elif method == "Runtime.consoleAPICalled" and params["type"] in (
            "error",
            "assert",
            "warning",
        ):
            self.faults.append(
                " ".join(
                    str(arg.get("value", arg.get("description")))
                    for arg in params["args"]
                )
            )
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(
                details.get("exception", {}).get("description") or details["text"]
            )
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(
                f"{params['entry']['text']} {params['entry'].get('url', '')}"
            )
        elif method == "Page.loadEventFired":
            self.loads += 1

    # -- doing --
    def close(self) -> None:
        """Close the tab with its context, so that it asks the server for nothing more."""
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)

    def goto(self, url: str) -> None:
        """Navigate and wait for the load event."""
        before = self.loads
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise DevToolsError(f"{url}: {answer['errorText']}")
        self.await_load(before)

    def await_load(self, before: int) -> None:
        """Wait until one more page than `before` has loaded."""
        self._until(lambda: self.loads > before, "a page load")

    def look(
        self, *, width: int = 1280, height: int = 900, dark: bool = False, scale: int = 1
    ) -> None:
        """Set screen size and colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def eval(self, script: str) -> Any:
        """Evaluate an expression and await promises, also with page scripts disabled."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise DevToolsError(
                details.get("exception", {}).get("description", details["text"])
                + f"\nin {script[:300]}"
            )
        return answer["result"].get("value")

    def wait(self, condition: str, timeout_s: float = 15.0) -> None:
        """Evaluate a condition until it holds."""
        self._until(lambda: self.eval(f"!!({condition})"), condition, timeout_s)

    def click(self, selector: str, *, loads: bool = False) -> None:
        """Click in the middle of an element with the mouse; `loads`: wait for the next page."""
        before = self.loads
        box = self.eval(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "if (!e) return null; e.scrollIntoView({block: 'center'}); "
            "const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        if box is None:
            raise DevToolsError(f"nothing matches {selector!r}")
        at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)
        if loads:
            self.await_load(before)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        code, number, text = KEYS[key]
        base = {
            "key": text.strip() or (" " if key == "Space" else key),
            "code": code,
            "windowsVirtualKeyCode": number,
        }
        if key == "Enter":
            base["key"] = "Enter"
        modifiers = 8 if shift else 0
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown",
            text=text,
            modifiers=modifiers,
            **base,
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", modifiers=modifiers, **base)

    def type(self, text: str) -> None:
        """Insert text into the focused element."""
        self.call("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        """Replace the content of a text control."""
        matched = self.eval(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "if (!e) return false; e.focus(); e.select(); return true; })()"
        )
        if not matched:
            raise DevToolsError(f"nothing matches {selector!r}")
        self.type(text)

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in a file control."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Save a PNG."""
        data = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole
        )["data"]
        path.write_bytes(base64.b64decode(data))

    def text(self, selector: str = "body") -> str:
        """Return the visible text of the first match; empty without one."""
        return str(
            self.eval(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        )

    def _until(self, holds: Any, what: str, timeout_s: float = 15.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise DevToolsError(
                    f"waited {timeout_s} s for {what}; the page shows:\n"
                    f"{self.text()[:1500]}\nfaults: {self.faults}"
                )
            self.call("Runtime.evaluate", expression="1")  # reads pending events
            time.sleep(0.02)
