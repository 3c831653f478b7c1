"""Services with OpenAI's images API. Knows no torch. https://platform.openai.com/docs/api-reference/images"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable
from typing import Any

import aiohttp

from engine.api.errors import InvalidRequest, RenderFailed
from engine.api.model_info import ModelInfo
from engine.foreign.engine import told_by
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import fitted
from engine.tasks.txt2img import Txt2Img

ANSWER_S = 600.0
SIDE = 1024


class OpenAiImages:
    """One model of one service."""

    kind = "OpenAI's API"

    def __init__(self, name: str, address: str, model: str, key: str = "") -> None:
        self._address, self._model, self._key = address.rstrip("/"), model or name, key
        self.info = ModelInfo(
            key=name,
            family="openai",
            width=SIDE,
            height=SIDE,
            num_inference_steps=1,
            guidance_scale=1.0,
            scheduler="own",
            any_scheduler=False,
            tasks=frozenset({"txt2img", "img2img"}),
            negative_prompts=False,
            weighted_prompts=False,
            tileable=False,
            revision=self._model,
        )

    async def paint(
        self,
        session: aiohttp.ClientSession,
        request: Txt2Img,
        seed: int,
        told: Callable[[int, int], None],
        shown: Callable[[bytes], None],
    ) -> bytes:
        """A seed is told in the field `seed`, which Easel and several servers know and others pass over."""
        width, height = request.size
        fields = {"model": self._model, "prompt": request.prompt, "size": f"{width}x{height}", "n": 1}
        if not self._address.startswith("https://api.openai.com"):  # which refuses fields it doesn't know
            fields |= {"seed": seed, "response_format": "b64_json"}
        if isinstance(request, Img2Img):
            form = aiohttp.FormData({name: str(value) for name, value in fields.items()})
            out = io.BytesIO()
            fitted(request.init_image, request.size).save(out, "PNG", compress_level=1)
            form.add_field("image", out.getvalue(), filename="image.png", content_type="image/png")
            return await self._post(session, "/images/edits", data=form)
        return await self._post(session, "/images/generations", json=fields)

    async def _post(self, session: aiohttp.ClientSession, path: str, **sent: Any) -> bytes:
        """The first picture of an answer. Raises: InvalidRequest, RenderFailed, ClientError."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with session.post(f"{self._address}{path}", headers=headers, timeout=timeout, **sent) as answer:
            said = await told_by(answer)
        if answer.status >= 400:
            error = said.get("error", {}) if isinstance(said, dict) else {}
            text = str(error.get("message", "") if isinstance(error, dict) else error)[:300]
            raise InvalidRequest(text or f"The service answers {answer.status}.")
        try:
            item = said["data"][0]
            if item.get("b64_json"):
                return base64.b64decode(item["b64_json"], validate=True)
        except (KeyError, IndexError, TypeError, AttributeError, binascii.Error):
            raise RenderFailed(reason="the service's answer holds no image") from None
        async with session.get(str(item.get("url", ""))) as answer:
            answer.raise_for_status()
            return await answer.read()
