"""Small servers that speak ComfyUI's protocol and OpenAI's images API, as their documents have it."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from PIL import Image

from engine.fake import paint

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
    "2": {"class_type": "EmptyLatentImage", "inputs": {"width": 128, "height": 64, "batch_size": 1}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "bad", "clip": ["1", 1]}},
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "seed": 0,
            "steps": 4,
            "cfg": 5.0,
            "model": ["1", 0],
            "positive": ["3", 0],
            "negative": ["4", 0],
            "latent_image": ["2", 0],
        },
    },
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "x"}},
}


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@dataclass
class Comfy:
    """ComfyUI's routes: /prompt, /ws, /history, /view, /upload/image, /interrupt, /queue. Paints the seed's picture."""

    step_s: float = 0.0
    odd: tuple[str | bytes, ...] = ()  # said before the first step
    asked: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    interrupted: list[str] = field(default_factory=list)
    sockets: dict[str, web.WebSocketResponse] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ws", self.ws)
        app.router.add_post("/prompt", self.prompt)
        app.router.add_get("/history/{id}", self.history)
        app.router.add_get("/view", self.view)
        app.router.add_post("/upload/image", self.upload)
        app.router.add_post("/interrupt", self.interrupt)
        app.router.add_post("/queue", self.queue)
        return app

    async def ws(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[request.query["clientId"]] = socket
        await socket.send_json({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}})
        async for _ in socket:
            pass
        return socket

    async def prompt(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        workflow = body["prompt"]
        if workflow["3"]["inputs"]["text"] == "!invalid":
            said = {
                "error": {"type": "prompt_outputs_failed_validation", "message": "ckpt not in list"},
                "node_errors": {},
            }
            return web.json_response(said, status=400)
        self.asked.append(workflow)
        job = f"job-{len(self.asked)}"
        self.running[job] = asyncio.create_task(self.run(job, workflow, self.sockets[body["client_id"]]))
        return web.json_response({"prompt_id": job, "number": 1, "node_errors": {}})

    async def run(self, job: str, workflow: dict[str, Any], socket: web.WebSocketResponse) -> None:
        inputs, latent = workflow["5"]["inputs"], workflow["2"]["inputs"]
        image = paint(inputs["seed"], latent.get("width", 64), latent.get("height", 64))
        await socket.send_json({"type": "executing", "data": {"node": "5", "prompt_id": job}})
        if workflow["3"]["inputs"]["text"] == "!fail":
            said = {"prompt_id": job, "node_id": "5", "exception_message": "Allocation on device"}
            await socket.send_json({"type": "execution_error", "data": said})
            return
        for said in self.odd:
            await (socket.send_bytes(said) if isinstance(said, bytes) else socket.send_str(said))
        for step in range(1, inputs["steps"] + 1):
            await asyncio.sleep(self.step_s)
            data = {"value": step, "max": inputs["steps"], "prompt_id": job, "node": "5"}
            await socket.send_json({"type": "progress", "data": data})
            await socket.send_bytes(b"\0\0\0\1\0\0\0\2" + png(image.resize((16, 16))))
        self.outputs[job] = png(image)
        await socket.send_json({"type": "executing", "data": {"node": None, "prompt_id": job}})

    async def history(self, request: web.Request) -> web.StreamResponse:
        job = request.match_info["id"]
        image = {"filename": f"{job}.png", "subfolder": "", "type": "output"}
        return web.json_response({job: {"outputs": {"6": {"images": [image]}}}} if job in self.outputs else {})

    async def view(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.outputs[request.query["filename"].removesuffix(".png")], content_type="image/png")

    async def upload(self, request: web.Request) -> web.StreamResponse:
        file: Any = (await request.post())["image"]
        self.uploads[file.filename] = file.file.read()
        return web.json_response({"name": file.filename, "subfolder": "", "type": "input"})

    async def interrupt(self, request: web.Request) -> web.StreamResponse:
        job = (await request.json())["prompt_id"]
        self.interrupted.append(job)
        self.running[job].cancel()
        return web.Response()

    async def queue(self, request: web.Request) -> web.StreamResponse:
        assert (await request.json())["delete"]
        return web.Response()


@dataclass
class OpenAi:
    """/images/generations and /images/edits; answers the seed's picture, and errors in OpenAI's shape."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/images/generations", self.generate)
        app.router.add_post("/v1/images/edits", self.edit)
        return app

    async def generate(self, request: web.Request) -> web.StreamResponse:
        return self.answer(request, await request.json())

    async def edit(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post())
        assert isinstance(form.pop("image"), web.FileField)
        return self.answer(request, form)

    def answer(self, request: web.Request, fields: dict[str, Any]) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer sk-test":
            error = {
                "message": "Incorrect API key provided",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return web.json_response({"error": error}, status=401)
        if "!unsafe" in fields["prompt"]:
            error = {"message": "Your request was rejected by the safety system.", "code": "moderation_blocked"}
            return web.json_response({"error": error}, status=400)
        self.asked.append(fields)
        width, height = (int(side) for side in fields["size"].split("x"))
        data = base64.b64encode(png(paint(int(fields["seed"]), width, height))).decode()
        return web.json_response({"created": 1, "data": [{"b64_json": data}]})


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The address of a server on this machine."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        server: Any = site._server
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()
