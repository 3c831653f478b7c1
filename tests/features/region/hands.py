"""A mouse, a keyboard and eyes for a page in Chromium, by CSS selectors."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.chromium import Page

MODIFIERS = {"Alt": 1, "Control": 2, "Shift": 8}
NAMED = {
    **{"Space": (" ", 32), "Tab": ("", 9), "Enter": ("\r", 13), "Escape": ("", 27), "?": ("?", 191)},
    **{"ArrowLeft": ("", 37), "ArrowUp": ("", 38), "ArrowRight": ("", 39), "ArrowDown": ("", 40)},
}
MODIFIER_CODES = {"Alt": 18, "Control": 17, "Shift": 16}


class Mouse:
    """A pointer with one button."""

    def __init__(self, page: Page, keyboard: Keyboard) -> None:
        self._page, self._keyboard = page, keyboard
        self._at, self._held = (0.0, 0.0), 0

    async def move(self, x: float, y: float, *, steps: int = 1) -> None:
        """Go to a place on the screen in so many steps."""
        (from_x, from_y) = self._at
        for step in range(1, steps + 1):
            share = step / steps
            self._at = from_x + (x - from_x) * share, from_y + (y - from_y) * share
            await self._tell("mouseMoved")

    async def down(self) -> None:
        self._held = 1
        await self._tell("mousePressed")

    async def up(self) -> None:
        self._held = 0
        await self._tell("mouseReleased")

    async def wheel(self, x: float, y: float) -> None:
        await self._tell("mouseWheel", deltaX=x, deltaY=y)

    async def _tell(self, kind: str, **more: Any) -> None:
        pressing = kind in ("mousePressed", "mouseReleased")
        await self._page.ask(
            "Input.dispatchMouseEvent",
            type=kind,
            x=self._at[0],
            y=self._at[1],
            button="left" if pressing or self._held else "none",
            buttons=self._held,
            clickCount=int(pressing),
            modifiers=self._keyboard.modifiers,
            **more,
        )


class Keyboard:
    """Keys by their names, `Control+z`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.modifiers = 0

    async def press(self, keys: str) -> None:
        *held, key = keys.split("+") if keys != "+" else ["+"]
        for each in held:
            await self.down(each)
        await self.down(key)
        await self.up(key)
        for each in reversed(held):
            await self.up(each)

    async def down(self, key: str) -> None:
        self.modifiers |= MODIFIERS.get(key, 0)
        values = self._values(key)
        await self._page.ask("Input.dispatchKeyEvent", type="keyDown" if "text" in values else "rawKeyDown", **values)

    async def up(self, key: str) -> None:
        self.modifiers &= ~MODIFIERS.get(key, 0)
        values = self._values(key)
        values.pop("text", None)
        await self._page.ask("Input.dispatchKeyEvent", type="keyUp", **values)

    def _values(self, key: str) -> dict[str, Any]:
        if key in MODIFIERS:
            return {"key": key, "code": key, "modifiers": self.modifiers, "windowsVirtualKeyCode": MODIFIER_CODES[key]}
        text, number = NAMED.get(key, (key, ord(key[0].upper())))
        code = key if len(key) > 1 else f"Key{key.upper()}" if key.isalpha() else f"Digit{key}"
        values = {"key": text if key == "Space" else key, "code": code, "modifiers": self.modifiers}
        plain = text and not self.modifiers & ~MODIFIERS["Shift"]
        return {**values, "windowsVirtualKeyCode": number, **({"text": text} if plain else {})}


class Hands:
    """Everything a person does to a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.keyboard = Keyboard(page)
        self.mouse = Mouse(page, self.keyboard)

    async def click(self, selector: str) -> None:
        await self.page.press(found(selector))

    async def fill(self, selector: str, text: str) -> None:
        """Put words into a field."""
        await self.page.run(
            f"(() => {{ const field = {found(selector)}; field.focus(); field.value = {json.dumps(text)};"
            " field.dispatchEvent(new Event('input', { bubbles: true })) })()"
        )

    async def focus(self, selector: str) -> None:
        await self.page.run(f"{found(selector)}.focus()")

    async def value(self, selector: str) -> str:
        return str(await self.page.run(f"{found(selector)}.value"))

    async def text(self, selector: str) -> str:
        return str(await self.page.run(f"{found(selector)}.innerText"))

    async def is_visible(self, selector: str) -> bool:
        return bool(await self.page.run(visible(selector)))

    async def is_disabled(self, selector: str) -> bool:
        return bool(await self.page.run(f"{found(selector)}.disabled"))

    async def wait_for(self, selector: str) -> None:
        """Wait until something is there and seen."""
        await self.page.until(visible(selector))


def found(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)})"


def visible(selector: str) -> str:
    return f"Boolean({found(selector)}?.getClientRects().length)"
