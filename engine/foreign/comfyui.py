"""ComfyUI: a workflow in its API format, whose named nodes take what a request says. Knows no torch.

A node's title says what it takes: `prompt`, `negative prompt`, `seed`, `steps`, `guidance`, `size`, `image`. Without
such titles the sampler's own inputs are followed. https://docs.comfy.org/development/comfyui-server/comms_routes
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
from engine.tasks.img2img import Img2Img
from engine.tasks.pictures import fitted
from engine.tasks.txt2img import Txt2Img

INPUTS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("text", "prompt", "string", "value"),
    "negative prompt": ("text", "prompt", "string", "value"),
    "seed": ("seed", "noise_seed", "value"),
    "steps": ("steps", "value"),
    "guidance": ("cfg", "guidance", "value"),
    "width": ("width", "value"),
    "height": ("height", "value"),
    "image": ("image",),
}
SIZE = 512
PREVIEW, HEAD = 1, 8  # of a binary message: its kind, and bytes before the picture
ANSWER_S = 30.0
Place = tuple[str, str]  # a node's id, and one of its inputs


def places_of(workflow: Mapping[str, Any]) -> dict[str, Place]:
    """Where a workflow takes what, by `INPUTS`. Raises: InvalidSetup when it isn't one in the API format."""
    nodes = {
        key: node for key, node in workflow.items() if isinstance(node, dict) and isinstance(node.get("inputs"), dict)
    }
    if not nodes or len(nodes) != len(workflow):
        raise InvalidSetup(reason="the workflow is no API format; in ComfyUI: Workflow, Export (API)")
    found: dict[str, Place] = {}
    for key, node in nodes.items():
        title = str(node.get("_meta", {}).get("title", "")).casefold().replace("_", " ").strip()
        for name in ("width", "height") if title == "size" else (title,):
            if (place := _input(nodes, key, name)) is not None:
                found[name] = place
    for name, place in _by_sampler(nodes).items():
        found.setdefault(name, place)
    if "prompt" not in found:
        raise InvalidSetup(reason="no node of the workflow is called 'prompt'")
    return found


def _input(nodes: Mapping[str, Any], key: str, name: str) -> Place | None:
    inputs = nodes[key]["inputs"] if key in nodes else {}
    known = (each for each in INPUTS.get(name, ()) if each in inputs and not isinstance(inputs[each], list))
    wanted = next(known, None)
    return None if wanted is None else (key, wanted)


def _by_sampler(nodes: Mapping[str, Any]) -> dict[str, Place]:
    """What the first sampler and the nodes before it take."""
    sampler = next((key for key, node in nodes.items() if "positive" in node["inputs"]), None)
    if sampler is None:
        return {}
    inputs = nodes[sampler]["inputs"]
    before = {"prompt": "positive", "negative prompt": "negative", "width": "latent_image", "height": "latent_image"}
    found = {name: _input(nodes, sampler, name) for name in ("seed", "steps", "guidance")}
    found |= {name: _input(nodes, str(inputs.get(link, [""])[0]), name) for name, link in before.items()}
    return {name: place for name, place in found.items() if place is not None}


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
        except (OSError, ValueError, AttributeError) as error:
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
            said = await answer.json(content_type=None)
            if answer.status >= 500:
                answer.raise_for_status()
            if answer.status >= 400 or not isinstance(said, dict):
                error = said.get("error", said) if isinstance(said, dict) else said
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
            said = json.loads(message.data)
            data = said.get("data", {})
            if data.get("prompt_id") not in (None, job):
                continue
            match said.get("type"):
                case "progress":
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
