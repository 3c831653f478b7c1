"""With a ControlNet the engine paints what diffusers' own ControlNet pipelines paint, alone and in any company."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image, ImageDraw

from engine import Cancelled, Control, Engine, Img2Img, InvalidRequest, Txt2Img, mini
from engine.imaging import controlnet_preprocess
from engine.models import adapters
from engine.models import controlnets as nets
from engine.models.catalog import Source
from engine.runtime import run
from engine.runtime.policy import BatchCurve
from tests.engine.adapters.test_adapters import lora
from tests.engine.conftest import gain_from_rows, weights_bytes
from tests.engine.test_parity import ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SIZE = {"width": 64, "height": 64}
FACTS = {"prompt": "a red boat", "seed": 7, "num_inference_steps": 5, "guidance_scale": 5.0, **SIZE}


def drawing() -> Image.Image:
    image = Image.new("RGB", (64, 64))
    ImageDraw.Draw(image).ellipse((12, 20, 50, 44), outline="white", width=2)
    return image


def controlnet(folder: Path, out: Path, seed: int, *, pools: bool = False) -> Path:
    """A random ControlNet of a tiny model. A new one adds nothing but zeros, and would let any mistake pass."""
    torch.manual_seed(seed)
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    net = diffusers.ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16))
    for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(layer.weight, std=0.3)
        torch.nn.init.normal_(layer.bias, std=0.3)
    net.register_to_config(global_pool_conditions=pools)
    net.save_pretrained(out)
    return out


@pytest.fixture(scope="session")
def guides(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("controlnets")
    made = {
        "lines": controlnet(folders["sd1"], root / "lines", 1),
        "depth": controlnet(folders["sd1"], root / "depth", 2),
        "pooled": controlnet(folders["sd1"], root / "pooled", 4, pools=True),
        "edges-xl": controlnet(folders["sdxl"], root / "xl", 3),
    }
    return {name: str(path) for name, path in made.items()}


def ask(**changes: Any) -> Control:
    return Control(**{**FACTS, "control_image": drawing(), "controlnet": "lines", **changes})


def words(**changes: Any) -> Txt2Img:
    return Txt2Img(**{**FACTS, **changes})


def own(folder: Path, guide: str, request: Control, lora_file: Path | None = None) -> Image.Image:
    """The same picture from diffusers, with nothing of Easel's."""
    net: Any = diffusers.ControlNetModel.from_pretrained(guide)
    pipe: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder, controlnet=net)
    assert "ControlNetPipeline" in type(pipe).__name__
    pipe.set_progress_bar_config(disable=True)
    if lora_file:
        pipe.load_lora_weights(str(lora_file), adapter_name="ink")
        pipe.set_adapters(["ink"], [0.8])
    if request.scheduler == "dpmpp_2m":
        pipe.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
            pipe.scheduler.config, algorithm_type="dpmsolver++", solver_order=2
        )
    image: Image.Image = pipe(
        prompt="a red boat",
        image=request.control_image
        if request.prepared
        else controlnet_preprocess.made_ready(drawing(), request.controlnet),
        controlnet_conditioning_scale=request.controlnet_conditioning_scale,
        control_guidance_start=request.control_guidance_start,
        control_guidance_end=request.control_guidance_end,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        generator=torch.Generator().manual_seed(request.seed or 0),
        **SIZE,
    ).images[0]
    return image


ALONE = [
    ask(),
    ask(controlnet="depth"),
    ask(controlnet="pooled"),
    ask(controlnet_conditioning_scale=0.35),
    ask(controlnet_conditioning_scale=2),
    ask(control_guidance_end=0.5),
    ask(control_guidance_start=0.4, scheduler="dpmpp_2m"),
    ask(guidance_scale=1.0),
]


async def test_alone_it_is_diffusers_own_to_the_last_bit(folders: dict[str, Path], guides: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), controlnets=guides) as engine:
        assert engine.models()[0].controlnets == ("lines", "depth", "pooled")
        assert "control" in engine.models()[0].tasks
        plain = (await engine.submit(words()).result())[0]
        for request in ALONE:
            image = (await engine.submit(request).result())[0]
            expected = own(folders["sd1"], guides[request.controlnet], _float(request))
            assert difference(image, expected) == 0.0, request
            assert difference(image, plain) > 0.01, "it must have done something"
        ignored = (await engine.submit(ask(controlnet_conditioning_scale=0)).result())[0]
        after = (await engine.submit(words()).result())[0]
    assert difference(ignored, plain) == difference(after, plain) == 0.0


def _float(request: Control) -> Control:
    twin = copy.copy(request)
    object.__setattr__(twin, "controlnet_conditioning_scale", float(request.controlnet_conditioning_scale))
    return twin


async def test_sdxl_too(folders: dict[str, Path], guides: dict[str, str]) -> None:
    asked = [ask(controlnet="edges-xl"), ask(controlnet="edges-xl", prepared=True)]
    async with Engine(str(folders["sdxl"]), controlnets=guides) as engine:
        assert engine.models()[0].controlnets == ("edges-xl",)
        images = [(await engine.submit(request).result())[0] for request in asked]
    for request, image in zip(asked, images, strict=True):
        assert difference(image, own(folders["sdxl"], guides["edges-xl"], request)) == 0.0
    assert difference(*images) > 0, "outlines of outlines are others"


async def test_a_lora_in_its_prompt(folders: dict[str, Path], guides: dict[str, str], tmp_path: Path) -> None:
    file = lora(folders["sd1"], "sd1", tmp_path / "ink", 2)
    request = ask(prompt="a red boat <lora:ink:0.8>")
    async with Engine(str(folders["sd1"]), controlnets=guides, loras={"ink": str(file)}) as engine:
        (image,) = await engine.submit(request).result()
    assert difference(image, own(folders["sd1"], guides["lines"], request, file)) == 0.0


COMPANY: list[Txt2Img] = [
    ask(),
    words(seed=8, num_inference_steps=6),
    ask(seed=9, controlnet_conditioning_scale=0.4, num_inference_steps=4),
    ask(seed=10, controlnet="depth", control_guidance_end=0.5),
    Img2Img(**FACTS, init_image=Image.new("RGB", (64, 64), "red"), strength=0.6),
    ask(seed=11, guidance_scale=1.0),
    ask(seed=12, controlnet="pooled", controlnet_conditioning_scale=0.6),  # what it adds has another shape
]


async def test_in_company_calls_are_shared_and_differ_by_rounding_only(
    folders: dict[str, Path], guides: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: dict[str, int] = {}
    mixed: list[bool] = []
    forward = run.forward

    def watched(calls: Any, *pad: Any) -> Any:
        joined[calls[0].kind] = max(len(calls), joined.get(calls[0].kind, 0))
        mixed.append(len({call.residual is None for call in calls}) == 2)
        return forward(calls, *pad)

    async with Engine(str(folders["sd1"]), controlnets=guides) as engine:
        alone = [(await engine.submit(request).result())[0] for request in COMPANY]
    monkeypatch.setattr(run, "forward", watched)
    monkeypatch.setattr(BatchCurve, "cap", lambda knee, *_: knee.limit)  # whether joining pays is the clock's verdict
    async with Engine(str(folders["sd1"]), controlnets=guides, mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(COMPANY)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
    assert joined["control"] > 1, "jobs of one ControlNet share its calls"
    assert joined["denoise"] > 2
    assert any(mixed), "with and without a ControlNet share the UNet's calls"
    for one, other in zip(alone, crowd, strict=True):
        assert difference(one, other) <= ROUNDING


async def test_exact_mode_gives_the_same_bytes_in_any_company(
    folders: dict[str, Path], guides: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gain_from_rows(monkeypatch, 8)
    async with Engine(str(folders["sd1"]), controlnets=guides, data_dir=tmp_path) as engine:
        alone = (await engine.submit(ask()).result())[0]
        plain = (await engine.submit(words()).result())[0]
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate([*COMPANY, words()])]
        crowd = [(await ticket.result())[0] for ticket in tickets]
    assert crowd[0].tobytes() == alone.tobytes()
    assert crowd[-1].tobytes() == plain.tobytes()


async def test_a_scale_is_not_rounded_to_half_precision(
    folders: dict[str, Path], guides: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, compared = run.compute, []

    def twice(calls: Any, *rest: Any) -> Any:
        results = compute(calls, *rest)
        if calls[0].kind == "control":
            (down, mid), ((down_too, mid_too),) = results[0], run.forward(calls)
            pairs = zip([*down, mid], [*down_too, mid_too], strict=True)
            compared.append(all(torch.equal(one, other) for one, other in pairs))
        return results

    monkeypatch.setattr(run, "compute", twice)
    async with Engine(str(folders["sd1"]), controlnets=guides, dtype="bfloat16") as engine:
        await engine.submit(ask(controlnet_conditioning_scale=0.7)).result()
    assert compared == [True] * 5, "as the pipeline asked, and as rows of a joined call"


async def test_a_step_is_told_once_and_a_job_can_be_stopped(folders: dict[str, Path], guides: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), controlnets=guides) as engine:
        events = [event async for event in engine.submit(ask())]
        stopped = engine.submit(ask(num_inference_steps=100, num_images=2))
        neighbour = engine.submit(ask(seed=8), user="other")
        await asyncio.sleep(0.05)
        stopped.cancel()
        ends = [event async for event in stopped]
        (image,) = await neighbour.result()
        (model,) = (await engine.inspect()).models
        assert all(each.images == 0 for each in model.tree())
    steps = [(event.step, event.steps) for event in events if hasattr(event, "step")]
    assert steps[-1] == (5, 5)
    assert isinstance(ends[-1], Cancelled)
    assert difference(image, own(folders["sd1"], guides["lines"], ask(seed=8))) == 0.0


async def test_the_recipe_tells_all_that_made_it(folders: dict[str, Path], guides: dict[str, str]) -> None:
    request = ask(controlnet_conditioning_scale=0.4, control_guidance_end=0.5)
    async with Engine(str(folders["sd1"]), controlnets=guides) as engine:
        (recipe,) = [e.recipe for e in [e async for e in engine.submit(request)] if hasattr(e, "recipe")]
    assert recipe.task == "control"
    assert (recipe.request["controlnet"], recipe.request["controlnet_conditioning_scale"]) == ("lines", 0.4)
    assert len(recipe.request["control_image"]) == 64
    assert {name: len(sha) for name, sha in recipe.adapters.items()} == {"controlnet lines": 64}


async def test_weights_count_and_go_when_there_is_no_room(folders: dict[str, Path], guides: dict[str, str]) -> None:
    async with Engine(str(folders["sd1"]), controlnets=guides) as engine:
        await engine.submit(ask()).result()
        (model,) = (await engine.inspect()).models
    (led,) = model.variants
    assert 0.9 < led.weights_bytes / weights_bytes(guides["lines"]) < 1, "its UNet is the model's own"
    room_mib = sum(each.weights_bytes for each in model.tree()) / 2**20
    async with Engine(str(folders["sd1"]), controlnets=guides, memory_mib=room_mib) as engine:
        for name in ("lines", "depth"):
            await engine.submit(ask(controlnet=name)).result()
            (model,) = (await engine.inspect()).models
            assert [list(each.adapters) for each in model.tree()] == [[], [f"controlnet {name}"]]


async def test_what_does_not_fit_is_refused_before_anything_runs(
    folders: dict[str, Path], guides: dict[str, str]
) -> None:
    engine = Engine(str(folders["sd1"]), models={"flux": str(folders["flux"])}, controlnets=guides)
    for changes, why in (
        ({"controlnet": "edges-xl"}, "has no ControlNet 'edges-xl'. It has: lines, depth, pooled"),
        ({"model": "flux"}, "no ControlNet for flux"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            engine.submit(ask(**changes))
    assert "control" not in engine.models()[1].tasks
    with pytest.raises(InvalidRequest, match="no ControlNet for sd1"):
        Engine(str(folders["sd1"])).submit(ask())


async def test_a_single_file_is_its_folder(folders: dict[str, Path], guides: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "lines.safetensors"
    file.write_bytes((Path(guides["lines"]) / "diffusion_pytorch_model.safetensors").read_bytes())
    async with Engine(
        str(folders["sd1"]), models={"sdxl": str(folders["sdxl"])}, controlnets={"lines": str(file)}
    ) as engine:
        assert [info.controlnets for info in engine.models()] == [("lines",), ()]
        image = (await engine.submit(ask(num_inference_steps=2)).result())[0]
    assert difference(image, own(folders["sd1"], guides["lines"], ask(num_inference_steps=2))) == 0.0


def test_what_can_be_no_controlnet(folders: dict[str, Path], guides: dict[str, str], tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_bytes((Path(guides["lines"]) / "config.json").read_bytes())
    (pickled / "diffusion_pytorch_model.bin").touch()
    for name, place, why in (
        ("x", folders["sd1"] / "unet", "no folder of a ControlNet"),
        ("x", tmp_path / "none", "no folder of a ControlNet"),
        ("x", pickled, "pickles"),
        ("a b", Path(guides["lines"]), "letters"),
    ):
        engine = Engine(str(folders["sd1"]), controlnets={name: str(place)})
        (left_out,) = engine.left_out()
        assert (left_out.kind, left_out.name) == ("ControlNet", name)
        assert why in left_out.reason
        assert not engine.models()[0].controlnets


def test_one_that_fits_nothing_is_told(folders: dict[str, Path], guides: dict[str, str]) -> None:
    engine = Engine(str(folders["sd1"]), controlnets={"edges-xl": guides["edges-xl"]})
    assert engine.models()[0].controlnets == ()
    assert [(each.name, each.reason) for each in engine.left_out()] == [("edges-xl", "it fits none of the models")]


def test_minis_own_are_found_by_what_they_are(
    guides: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LoRA and a word lie beside them, and an unfinished folder may."""
    (tmp_path / "edges").symlink_to(guides["lines"])
    (tmp_path / "blueprint").mkdir()
    (tmp_path / "blueprint" / adapters.LORA_FILE).touch()
    (tmp_path / "afterglow").mkdir()
    (tmp_path / "afterglow" / "afterglow.safetensors").touch()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.json").write_text('{"_class_name": "ControlNetModel"}')
    monkeypatch.setattr(mini, "ADAPTERS_DIR", tmp_path)
    embedded = [Source(key="mini", location=str(mini.MODEL_DIR))]
    assert nets.of_mini(embedded) == {"edges": str(tmp_path / "edges")}
    assert list(adapters.of_mini("lora", embedded)) == ["blueprint"]
    assert list(adapters.of_mini("embedding", embedded)) == ["afterglow"]
    assert nets.of_mini([Source(key="other", location=str(tmp_path))]) == {}
