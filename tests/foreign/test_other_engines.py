"""Other people's engines as models: painting, progress, cancelling, failing, and that their pictures are judged."""

from __future__ import annotations

import asyncio
import copy
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image
from services import WORKFLOW, Comfy, OpenAi, served

from bot.config import Settings, engine_for
from engine.api.errors import EngineFault, InvalidRequest, InvalidSetup, RenderFailed
from engine.api.events import Event, ImageReady, Preview, Progress
from engine.fake import FLAG_COLOUR, FakeEngine, paint
from engine.fleet.fleet import Fleet
from engine.fleet.members import Member
from engine.foreign.building import members
from engine.foreign.comfyui import ComfyUi
from engine.foreign.engine import ForeignEngine
from engine.foreign.openai import OpenAiImages
from engine.tasks.img2img import Img2Img
from engine.tasks.txt2img import Txt2Img


def workflow(folder: Path, **nodes: dict[str, object]) -> Path:
    path = folder / "workflow.json"
    path.write_text(json.dumps({**copy.deepcopy(WORKFLOW), **nodes}))
    return path


@pytest.fixture
async def comfy(tmp_path: Path) -> AsyncIterator[tuple[Comfy, ForeignEngine]]:
    server = Comfy()
    async with served(server.app()) as address:
        engine = ForeignEngine(ComfyUi("flux", address, workflow(tmp_path)))
        await engine.start()
        yield server, engine
        await engine.close()


async def heard(engine: ForeignEngine, request: Txt2Img) -> list[Event]:
    return [event async for event in engine.submit(request)]


async def test_a_workflow_paints_with_progress_and_previews(comfy: tuple[Comfy, ForeignEngine]) -> None:
    server, engine = comfy
    (info,) = engine.models()
    assert (info.key, info.width, info.height, info.num_inference_steps, info.guidance_scale) == ("flux", 128, 64, 4, 5)
    events = await heard(engine, Txt2Img(prompt="a boat", negative_prompt="fog", seed=7, num_images=2, width=64))
    ready = [event for event in events if isinstance(event, ImageReady)]
    assert [each.image.tobytes() for each in ready] == [paint(seed, 64, 64).tobytes() for seed in (7, 8)]
    assert [event for event in events if isinstance(event, Progress)][-1] == Progress(step=8, steps=8)
    assert any(isinstance(event, Preview) for event in events)
    asked = server.asked[0]
    assert (asked["3"]["inputs"]["text"], asked["4"]["inputs"]["text"]) == ("a boat", "fog")
    assert (ready[0].recipe.device, ready[0].recipe.seed) == ("ComfyUI", 7)


async def test_what_comfyui_says_is_told(comfy: tuple[Comfy, ForeignEngine]) -> None:
    _, engine = comfy
    with pytest.raises(RenderFailed, match="Allocation on device"):
        await engine.submit(Txt2Img(prompt="!fail")).result()
    with pytest.raises(RenderFailed, match="ckpt not in list"):
        await engine.submit(Txt2Img(prompt="!invalid")).result()


async def test_cancelling_interrupts_it_there(comfy: tuple[Comfy, ForeignEngine]) -> None:
    server, engine = comfy
    server.step_s = 0.2
    ticket = engine.submit(Txt2Img(prompt="a boat"))
    async for event in ticket:
        if isinstance(event, Progress):
            ticket.cancel()
    async with asyncio.timeout(10):
        while server.interrupted != ["job-1"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_picture_is_sent_along(tmp_path: Path) -> None:
    server = Comfy()
    image = {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Image"}}
    async with served(server.app()) as address:
        engine = ForeignEngine(ComfyUi("redraw", address, workflow(tmp_path, **{"7": image})))
        await engine.start()
        assert engine.models()[0].tasks == {"img2img"}
        source = paint(3, 128, 64)
        await engine.submit(Img2Img(prompt="x", init_image=source, strength=0.5)).result()
        (name,) = server.uploads
        assert server.asked[0]["7"]["inputs"]["image"] == name
        with Image.open(io.BytesIO(server.uploads[name])) as sent:
            assert sent.tobytes() == source.tobytes()
        await engine.close()


async def test_openais_shape_is_spoken() -> None:
    server = OpenAi()
    async with served(server.app()) as address:
        engine = ForeignEngine(OpenAiImages("gpt", f"{address}/v1", "gpt-image-1", "sk-test"))
        await engine.start()
        images = await engine.submit(Txt2Img(prompt="a boat", seed=5, num_images=2, width=64, height=64)).result()
        assert [image.tobytes() for image in images] == [paint(seed, 64, 64).tobytes() for seed in (5, 6)]
        source = paint(1, 64, 64)
        await engine.submit(Img2Img(prompt="x", init_image=source, strength=0.5, width=64, height=64)).result()
        assert [fields["model"] for fields in server.asked] == ["gpt-image-1"] * 3
        with pytest.raises(InvalidRequest, match="rejected by the safety system"):
            await engine.submit(Txt2Img(prompt="!unsafe")).result()
        await engine.close()
    async with served(server.app()) as address:
        stranger = ForeignEngine(OpenAiImages("gpt", f"{address}/v1", ""))
        await stranger.start()
        with pytest.raises(InvalidRequest, match="Incorrect API key"):
            await stranger.submit(Txt2Img(prompt="x")).result()
        await stranger.close()


async def test_a_job_ends_whatever_a_service_answers(tmp_path: Path) -> None:
    """Another server at that address, say, or a version of it that nobody knows."""
    for status, body in ((404, "404 page not found"), (200, "<html>"), (200, "[]"), (200, "{}"), (200, '{"data": 5}')):

        async def answer(request: web.Request, status: int = status, body: str = body) -> web.StreamResponse:
            if not request.path.endswith("/ws"):
                return web.Response(status=status, text=body)
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for _ in socket:
                pass
            return socket

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        async with served(app) as there:
            for service in (OpenAiImages("gpt", there, ""), ComfyUi("flux", there, workflow(tmp_path))):
                engine = ForeignEngine(service)
                await engine.start()
                with pytest.raises(RenderFailed, match="answer"):
                    await asyncio.wait_for(engine.submit(Txt2Img(prompt="x")).result(), 10)
                await engine.close()


async def test_what_peoples_own_nodes_send_is_passed_over(comfy: tuple[Comfy, ForeignEngine]) -> None:
    server, engine = comfy
    server.odd = (
        "no JSON",
        "[]",
        '{"type": "progress", "data": null}',
        '{"type": "progress", "data": {"value": "half", "max": null}}',
        b"\0\0\0\1\0\0\0\2no picture",
    )
    images = await engine.submit(Txt2Img(prompt="a boat", seed=7, width=64)).result()
    assert [image.tobytes() for image in images] == [paint(7, 64, 64).tobytes()]


async def test_a_service_that_is_down_is_no_fault_of_the_job() -> None:
    engine = ForeignEngine(OpenAiImages("gpt", "http://127.0.0.1:9/v1", ""))
    await engine.start()
    with pytest.raises(EngineFault, match="can't be reached"):
        await engine.submit(Txt2Img(prompt="x")).result()
    await engine.close()


async def test_their_pictures_are_judged_by_easels_engine() -> None:
    class Odd(OpenAi):
        """Every picture is one that the fake engine objects to."""

    server = Odd()
    async with served(server.app()) as address:
        foreign = Member("gpt", ForeignEngine(OpenAiImages("gpt", f"{address}/v1", "", "sk-test")), foreign=True)
        judge = FakeEngine()
        async with Fleet(members=[Member("own", judge), foreign]) as fleet:
            assert [info.key for info in fleet.models()] == ["mini", "gpt"]

            async def objects(image: Image.Image, *, adults: bool = False) -> object:
                return await FakeEngine().check(Image.new("RGB", (4, 4), FLAG_COLOUR), adults=adults)

            judge.check = objects  # type: ignore[method-assign,assignment]
            ticket = fleet.submit(Txt2Img(prompt="x", model="gpt", width=64, height=64))
            (ready,) = [event async for event in ticket if isinstance(event, ImageReady)]
            assert (ready.flagged, ready.reason) == (True, "the fake does not like it")


def test_the_setting_names_what_can_not_be_used(tmp_path: Path) -> None:
    how = {"comfyui": "http://127.0.0.1:8188", "workflow": str(workflow(tmp_path))}
    settings = Settings(_env_file=None, engines={"flux": how}, device="cpu")
    fleet = engine_for(settings)
    assert isinstance(fleet, Fleet)
    assert [info.key for info in fleet.models()] == ["mini", "mini-edit", "flux"]
    for wrong in (
        {"comfyui": "there"},
        {"a1111": "http://x"},
        {"openai": "http://x", "kee": "x"},
        {**how, "workflow": "/none"},
    ):
        with pytest.raises(InvalidSetup):
            members({"x": wrong})
    for name in ("", "my flux", "flux\n", "x" * 41, "a|b"):
        with pytest.raises(InvalidSetup, match="no name for an engine"):
            members({name: how})


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_another_engine_cant_have_the_name_of_a_model_that_is_there(device: str, tmp_path: Path) -> None:
    how = {"comfyui": "http://127.0.0.1:8188", "workflow": str(workflow(tmp_path))}
    with pytest.raises(InvalidSetup, match="calls an engine 'Mini', as a model here"):
        engine_for(Settings(_env_file=None, engines={"Mini": how}, device=device))
