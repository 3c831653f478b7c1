"""A browser for tests: Chromium, driven over its own protocol with what the tests have anyway.

What a person does is done as they do it: a press is a pointer that goes down and up where the button is seen.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it only opens pages of this test, and containers lack what the sandbox needs
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-port=0",
)
START_S, WAIT_S = 60.0, 60.0
POLL_S = 0.02
DESKTOP, PHONE = (1280, 800), (390, 780)
KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Backspace": ("", 8), "ArrowDown": ("", 40)}
CENTRE = """(element) => {
  element.scrollIntoView({ block: "nearest", inline: "nearest" });
  const box = element.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const there = document.elementFromPoint(x, y);
  return there && (element.contains(there) || there.contains(element)) ? [x, y] : null;
}"""

HIT = """(find) => addEventListener("pointerdown", ({ target }) => {
  const element = find();
  window.hit = Boolean(element?.contains(target) || (element && target.closest("a, button, label")?.contains(element)));
}, { capture: true, once: true })"""


class Chromium:
    """A running browser."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}

    async def open(self, url: str, size: tuple[int, int] = DESKTOP) -> Page:
        """A page in a window of its own, of `size` CSS pixels; as narrow as a phone it takes touches."""
        window = await self.ask("Target.createBrowserContext")
        target = await self.ask("Target.createTarget", url="about:blank", browserContextId=window["browserContextId"])
        found = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[found["sessionId"]] = Page(self, found["sessionId"])
        await page.ask("Page.enable")
        await page.ask("Runtime.enable")
        await page.ask("Log.enable")
        width, height = size
        touch = size == PHONE
        await page.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch
        )
        await page.ask("Emulation.setTouchEmulationEnabled", enabled=touch)
        await page.ask("Page.navigate", url=url)
        return page

    async def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        """One command of the protocol, and its answer."""
        self._number += 1
        number, answer = self._number, asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        return await asyncio.wait_for(answer, WAIT_S)

    async def listen(self) -> None:
        """Take in answers and events until the browser ends."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            said = json.loads(message.data)
            answer = self._answers.pop(said.get("id", 0), None)
            if answer is not None and not answer.done():
                if "error" in said:
                    answer.set_exception(RuntimeError(said["error"]["message"]))
                else:
                    answer.set_result(said["result"])
            elif page := self._pages.get(said.get("sessionId", "")):
                page.hear(said["method"], said["params"])


class Page:
    """One window. `faults`: what its scripts and requests did wrong."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        self.faults: list[str] = []

    async def ask(self, method: str, **params: Any) -> Any:
        return await self._browser.ask(method, self._session, **params)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    # ------------------------------------------------------------ looking
    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited if need be."""
        done = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise AssertionError(done["exceptionDetails"].get("exception", {}).get("description", script))
        return done["result"].get("value")

    async def until(self, script: str, why: str = "") -> Any:
        """Wait until an expression is true, and return it."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not (value := await self._quietly(script)):  # noqa: ASYNC110  (the browser has no event for it)
                    await asyncio.sleep(POLL_S)
                return value
        except TimeoutError:
            raise AssertionError(f"never true: {why or script}") from None

    async def _quietly(self, script: str) -> Any:
        with suppress(RuntimeError):  # the page is being loaded
            return await self.run(script)

    async def shot(self, path: Path) -> None:
        """A picture of what is seen."""
        taken = await self.ask("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(taken["data"]))

    # ------------------------------------------------------------ doing
    async def press(self, element: str, *, hold_s: float = 0.0) -> None:
        """Press what a JavaScript expression finds, once it is there and nothing covers it."""
        hit = False
        while not hit:  # where the machine is slow, it may have moved since the aim: so does a person try again
            x, y = await self._aim(element)
            where = {"x": x, "y": y, "button": "left", "clickCount": 1}
            await self.run(f"({HIT})(() => {element})")
            await self.ask("Input.dispatchMouseEvent", type="mousePressed", buttons=1, **where)
            hit = await self.run("hit")
            await asyncio.sleep(hold_s)
            await self.ask("Input.dispatchMouseEvent", type="mouseReleased", **where)

    async def _aim(self, element: str) -> tuple[float, float]:
        """Move the pointer onto an element, as often as it moves away meanwhile."""
        at = (-1.0, -1.0)
        while (now := await self._place(element)) != at:
            at = now
            await self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
        return at

    async def _place(self, element: str) -> tuple[float, float]:
        """Where an element's centre is, once it is there and nothing covers it."""
        x, y = await self.until(f"(({element}) || null) && ({CENTRE})({element})", f"{element} is in view")
        return x, y

    async def tap(self, element: str) -> None:
        """The same with a finger."""
        x, y = await self._place(element)
        await self.ask("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        await self.ask("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def type(self, text: str) -> None:
        """Type where the focus is."""
        for letter in text:
            await self.ask("Input.dispatchKeyEvent", type="char", text=letter)

    async def key(self, name: str) -> None:
        text, code = KEYS[name]
        values = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **values)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **values)


@asynccontextmanager
async def chromium() -> AsyncIterator[Chromium]:
    """A browser without a window. Skips the test on a machine that has none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(NAMES)})")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            path,
            *FLAGS,
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _address(Path(profile, "DevToolsActivePort"))
            async with ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                browser = Chromium(socket)
                listening = asyncio.create_task(browser.listen())
                yield browser
                with suppress(ConnectionError):
                    await socket.send_json({"id": 0, "method": "Browser.close"})
                await listening
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _address(file: Path) -> str:
    """Where the browser listens; it writes that down when it's ready."""
    async with asyncio.timeout(START_S):
        while True:
            with suppress(OSError, ValueError):
                port, path = (await asyncio.to_thread(file.read_text, "utf-8")).split()
                return f"ws://127.0.0.1:{port}{path}"
            await asyncio.sleep(POLL_S)
