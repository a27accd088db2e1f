"""A headless Chromium, driven over a pipe by its DevTools protocol; no other package is needed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--mute-audio")


class Pipe:
    """What goes to the browser and comes from it, for all of its tabs."""

    def __init__(self, browser: socket.socket) -> None:
        self._browser, self._rest, self._number = browser, b"", 0

    def send(self, command: dict[str, Any]) -> int:
        """Send a command, and return its number."""
        self._number += 1
        self._browser.sendall(json.dumps({"id": self._number, **command}).encode() + b"\0")
        return self._number

    def next(self) -> dict[str, Any]:
        """Return the next message."""
        while b"\0" not in self._rest:
            if not (received := self._browser.recv(2**20)):
                raise RuntimeError("Chromium has ended")
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


class Page:
    """One tab.

    Attributes:
        problems: What the page's scripts did not catch, and what the browser logged as an error, such as what the
            content security policy forbids.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe, self._session = pipe, ""
        self.problems: list[str] = []
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")

    @contextmanager
    def another_tab(self) -> Iterator[Page]:
        """Give another tab of the same browser, and close it."""
        tab = Page(self._pipe)
        yield tab
        self.call("Target.closeTarget", targetId=tab._target)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        command: dict[str, Any] = {"method": method, "params": parameters}
        number = self._pipe.send({**command, "sessionId": self._session} if self._session else command)
        while (message := self._pipe.next()).get("id") != number:
            if message.get("sessionId", "") != self._session:
                continue  # of another tab
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"]["exceptionDetails"]))
            elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page, once it is there."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        self.run(
            "new Promise((resolve, reject) => { let left = 3000; const look = () => { "
            f"if ({condition}) resolve(true); else if (left--) setTimeout(look, 10); "
            f"else reject(new Error({json.dumps(condition)} + ' in ' + document.body.innerText)); }}; look(); }})"
        )

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def choose_files(self, selector: str, *paths: Path) -> None:
        """Choose files in an `<input type="file">`."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def press(self, key: str, *, modifiers: int = 0, code: int = 0, text: str = "") -> None:
        """Press a key and let it go."""
        common = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def look(self, *, width: int, dark: bool = False, height: int = 800) -> None:
        """Have a window of this width, on a phone below 600 pixels, in light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, path: Path) -> Path:
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")["data"]
        path.write_bytes(base64.b64decode(picture))
        return path


@contextmanager
def open_chromium(folder: Path) -> Iterator[Page]:
    """Start Chromium with an empty profile in a folder, and give a tab of it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    command = [str(browser), *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    theirs, ours = socket.socketpair()
    ours.settimeout(300)
    with ours:
        with theirs:  # which it reads as its file 3, and writes as its file 4
            running = subprocess.Popen(
                command, stderr=subprocess.DEVNULL, close_fds=False,
                preexec_fn=lambda: [os.set_inheritable(os.dup2(theirs.fileno(), number), True) for number in (3, 4)],
            )  # fmt: skip
        try:
            yield Page(Pipe(ours))
        finally:
            running.kill()
            running.wait()
