"""A headless Chromium through chromedriver, by the W3C's WebDriver protocol: no package is needed for it."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


def installed() -> bool:
    """Whether there is a Chromium with its driver."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, address: str) -> None:
        """Load a page."""
        self._post("url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:
        """The value that a script returns; a promise is waited for."""
        return self._post("execute/sync", {"script": script, "args": arguments})

    def wait(self, condition: str, timeout_s: float = 30) -> Any:
        """Until an expression is true; gives it."""
        end = time.monotonic() + timeout_s
        while not (value := self.run(f"return {condition}")):
            assert time.monotonic() < end, f"not within {timeout_s} s: {condition}; status: {self.status()}"
            time.sleep(0.02)
        return value

    def status(self) -> str:
        """What the desk's status line says."""
        return str(self.run("return document.querySelector('#status')?.textContent"))

    def key(self, key: str) -> None:
        """Press a key."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def pointer(self, *steps: dict[str, object]) -> None:
        """Move and press the mouse."""
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(steps)}
        self._post("actions", {"actions": [pointer]})

    def screenshot(self) -> bytes:
        """A PNG of the window."""
        return base64.b64decode(_ask("GET", f"{self._session}/screenshot"))

    def _post(self, what: str, body: dict[str, object]) -> Any:
        return _ask("POST", f"{self._session}/{what}", body)


@contextlib.contextmanager
def browser(folder: Path, width: int = 1600, height: int = 900) -> Iterator[Browser]:
    """A window with a fresh profile in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
    )
    root = f"http://127.0.0.1:{port}"
    try:
        _until_ready(root)
        flags = [*FLAGS, f"--window-size={width},{height}", f"--user-data-dir={folder / 'profile'}"]
        options = {"binary": shutil.which("chromium"), "args": flags}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL"}}
        session = _ask("POST", f"{root}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(f"{root}/session/{session}")
        finally:
            _ask("DELETE", f"{root}/session/{session}")
    finally:
        driver.terminate()
        driver.wait(timeout=20)


def _until_ready(root: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            if _ask("GET", f"{root}/status")["ready"]:
                return
        time.sleep(0.05)
    raise OSError("chromedriver: does not answer")


def _ask(method: str, address: str, body: dict[str, object] | None = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)["value"]
    except urllib.error.HTTPError as fault:
        value = json.load(fault)["value"]
        raise AssertionError(f"{value['error']}: {value['message'].splitlines()[0]}") from None
