"""Drive a headless Chromium by its DevTools protocol, over a pipe: no driver, no port and no package is needed."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WAIT_S = 60
"""A busy machine starts a browser slowly."""


def find_browser() -> str | None:
    """Return the command of Chromium; None where there is none."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class Browser:
    """One page of a browser; everything that it said or asked for is kept."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: str | None = None
        self.requests: list[str] = []
        """Addresses that were asked for."""
        self.complaints: list[str] = []
        """Errors and warnings of the console, and exceptions that nothing caught."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are kept."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], WAIT_S)
            if not ready or not (read := os.read(self._from, 1 << 20)):
                raise TimeoutError("the browser says nothing")
            self._rest += read
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning"):
                self.complaints.append(str(parameters["args"]))
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(parameters["entry"]["text"])
        return message

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a file and wait until its script has put it together."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=path.absolute().as_uri())
        self.until("document.documentElement?.dataset.ready === 'true'")

    def js(self, expression: str) -> Any:
        """Return the value of an expression, awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", expression))
        return result["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression holds, and return its value."""
        end = time.monotonic() + WAIT_S
        while not (value := self.js(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.02)
        return value

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element that a selector finds."""
        texts: list[str] = self.js(
            f"[...document.querySelectorAll({selector!r})].map((found) => found.textContent.trim())"
        )
        return texts

    def click(self, selector: str, *, text: str | None = None) -> None:
        """Click an element as a mouse does: the first that a selector finds, or the first whose text starts so."""
        starts = "true" if text is None else f"found.innerText.trim().startsWith({text!r})"
        box = self.js(
            f"(() => {{ const found = [...document.querySelectorAll({selector!r})].find((found) => {starts});"
            "if (!found) return null; found.scrollIntoView({ block: 'center' });"
            "const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        assert box is not None, f"nothing to click: {selector} {text or ''}"
        self.drag(box, box)

    def drag(self, start: list[float], end: list[float]) -> None:
        """Press the mouse at one point and let it go at another."""
        for kind, (x, y) in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes.get(key, 0), **more)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as a PNG file."""
        content = self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(content))


@contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Start a browser that keeps its files in a folder, and end it."""
    command = find_browser()
    assert command is not None
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()

    # The browser reads commands from descriptor 3 and answers on 4.
    wired = ["bash", "-c", f'exec "$@" 3<&{read_end} 4>&{write_end}', "bash", command]
    process = subprocess.Popen(
        [
            *wired, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            f"--user-data-dir={profile}", "--remote-debugging-pipe",
        ],
        pass_fds=(read_end, write_end), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read_end)
    os.close(write_end)
    try:
        browser = Browser(to_browser, from_browser)
        yield browser
    finally:
        os.close(to_browser)
        process.terminate()
        process.wait(WAIT_S)
        os.close(from_browser)
