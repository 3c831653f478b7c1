"""ComfyUI: its server as a service that paints. Knows no torch.

https://docs.comfy.org/development/comfyui-server/comms_routes
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import io
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from engine.api.errors import InvalidSetup, RenderFailed
from engine.api.model_info import ModelInfo
from engine.foreign.engine import told_by
from engine.foreign.workflow import places_of
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import fitted
from engine.tasks.txt2img import Txt2Img

SIZE = 512
PREVIEW, HEAD = 1, 8  # of a binary message: its kind, and bytes before the picture
ANSWER_S = 30.0


class ComfyUi:
    """One workflow on one ComfyUI."""

    kind = "ComfyUI"

    def __init__(self, name: str, address: str, workflow: Path) -> None:
        """Raises: InvalidSetup."""
        self._address = address.rstrip("/")
        try:
            text = workflow.read_text(encoding="utf-8")
            self._workflow: dict[str, Any] = json.loads(text)
            self._places = places_of(self._workflow)
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidSetup(reason=f"{workflow} is no workflow ({error})") from None
        self.info = ModelInfo(
            key=name,
            family="comfyui",
            width=int(self._value("width", SIZE)),
            height=int(self._value("height", SIZE)),
            num_inference_steps=int(self._value("steps", 1)),
            guidance_scale=float(self._value("guidance", 1.0)),
            scheduler="own",
            any_scheduler=False,
            tasks=frozenset({"img2img"} if "image" in self._places else {"txt2img"}),
            negative_prompts="negative prompt" in self._places,
            weighted_prompts=True,
            tileable=False,
            revision=hashlib.sha256(text.encode()).hexdigest(),
        )

    def _value(self, name: str, default: float) -> float:
        if name not in self._places:
            return default
        key, wanted = self._places[name]
        value = self._workflow[key]["inputs"][wanted]
        return value if isinstance(value, int | float) else default

    async def paint(
        self,
        session: aiohttp.ClientSession,
        request: Txt2Img,
        seed: int,
        told: Callable[[int, int], None],
        shown: Callable[[bytes], None],
    ) -> bytes:
        client = secrets.token_hex(8)
        picture = await self._upload(session, request) if isinstance(request, Img2Img) else ""
        url = f"{self._address}/ws?clientId={client}"
        async with session.ws_connect(url, heartbeat=20.0, max_msg_size=64 << 20) as socket:
            job = await self._queue(session, client, self._filled(request, seed, picture))
            try:
                await self._follow(socket, job, told, shown)
            except asyncio.CancelledError:
                await asyncio.shield(self._stop(session, job))
                raise
        return await self._result(session, job)

    def _filled(self, request: Txt2Img, seed: int, picture: str) -> dict[str, Any]:
        workflow = copy.deepcopy(self._workflow)
        values: dict[str, Any] = {
            "prompt": request.prompt,
            "negative prompt": request.negative_prompt,
            "seed": seed,
            "steps": request.num_inference_steps,
            "guidance": request.guidance_scale,
            "width": request.width,
            "height": request.height,
            "image": picture,
        }
        for name, (key, wanted) in self._places.items():
            workflow[key]["inputs"][wanted] = values[name]
        return workflow

    async def _upload(self, session: aiohttp.ClientSession, request: Img2Img) -> str:
        out = io.BytesIO()
        fitted(request.init_image, request.size).save(out, "PNG", compress_level=1)
        name = f"easel-{hashlib.sha256(out.getvalue()).hexdigest()[:24]}.png"
        form = aiohttp.FormData({"overwrite": "true"})
        form.add_field("image", out.getvalue(), filename=name, content_type="image/png")
        said = await self._ask(session, "POST", "/upload/image", data=form)
        return "/".join(filter(None, (str(said.get("subfolder", "")), str(said.get("name", name)))))

    async def _queue(self, session: aiohttp.ClientSession, client: str, workflow: Mapping[str, Any]) -> str:
        said = await self._ask(session, "POST", "/prompt", json={"prompt": workflow, "client_id": client})
        return str(said["prompt_id"])

    async def _ask(self, session: aiohttp.ClientSession, method: str, path: str, **sent: Any) -> dict[str, Any]:
        """Raises: RenderFailed with what ComfyUI says; ClientError."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with session.request(method, f"{self._address}{path}", timeout=timeout, **sent) as answer:
            said = await told_by(answer)
            if not isinstance(said, dict):
                raise RenderFailed(reason=f"ComfyUI answers {answer.status} and no object")
            if answer.status >= 400:
                error = said.get("error", said)
                raise RenderFailed(reason=str(error.get("message", error) if isinstance(error, dict) else error)[:200])
            return said

    async def _follow(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        job: str,
        told: Callable[[int, int], None],
        shown: Callable[[bytes], None],
    ) -> None:
        """Return once the job has ended. Raises: RenderFailed, ClientError."""
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                if len(message.data) > HEAD and int.from_bytes(message.data[:4], "big") == PREVIEW:
                    shown(message.data[HEAD:])
                continue
            kind, data = _said(message.data)
            if data.get("prompt_id") not in (None, job):
                continue
            match kind:
                case "progress":
                    with suppress(TypeError, ValueError, OverflowError):  # of somebody's own node
                        told(int(data.get("value", 0)), int(data.get("max", 1)))
                case "execution_error":
                    raise RenderFailed(reason=str(data.get("exception_message", "ComfyUI failed"))[:200])
                case "execution_interrupted":
                    raise RenderFailed(reason="it was interrupted in ComfyUI")
                case "executing" if data.get("node") is None and data.get("prompt_id") == job:
                    return
        raise aiohttp.ClientConnectionError("ComfyUI ended the connection")

    async def _stop(self, session: aiohttp.ClientSession, job: str) -> None:
        with suppress(aiohttp.ClientError, OSError, TimeoutError, RenderFailed, ValueError):
            await self._ask(session, "POST", "/queue", json={"delete": [job]})
        with suppress(aiohttp.ClientError, OSError, TimeoutError, RenderFailed, ValueError):
            await self._ask(session, "POST", "/interrupt", json={"prompt_id": job})

    async def _result(self, session: aiohttp.ClientSession, job: str) -> bytes:
        said = (await self._ask(session, "GET", f"/history/{job}")).get(job, {})
        images = [image for output in said.get("outputs", {}).values() for image in output.get("images", [])]
        final = [image for image in images if image.get("type") == "output"] or images
        if not final:
            raise RenderFailed(reason="the workflow saved no image")
        params = {name: str(final[0].get(name, "")) for name in ("filename", "subfolder", "type")}
        async with session.get(f"{self._address}/view", params=params) as answer:
            answer.raise_for_status()
            return await answer.read()


def _said(message: str) -> tuple[str, Mapping[str, Any]]:
    """The kind of a message, and what it tells; people's own nodes send whatever they like."""
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return "", {}
    data = said.get("data") if isinstance(said, dict) else None
    return (str(said.get("type")), data) if isinstance(data, dict) else ("", {})
