"""What is known of a model comes from its files and its pipeline's own code, never from a piece of its name."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
from diffusers.pipelines import auto_pipeline

from engine import ModelUnloadable
from engine.models import catalog, families, signatures

TABLES = {
    "txt2img": auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
    "img2img": auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    "inpaint": auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING,
}
KL8 = {"_class_name": "AutoencoderKL", "block_out_channels": [8, 8, 8, 8], "latent_channels": 16}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler"}


@pytest.mark.parametrize("task", TABLES)
def test_signatures_read_from_source_are_those_of_the_classes(task: str) -> None:
    for name, pipeline in TABLES[task].items():
        found = signatures.of(pipeline.__name__)
        assert found is not None, name
        assert found.name == auto_pipeline._get_model(pipeline.__name__)
        assert task in found.tasks
        real = inspect.signature(pipeline.__call__).parameters
        assert set(found.takes) == real.keys() - {"self", "kwargs"}
        for parameter in ("num_inference_steps", "guidance_scale", "true_cfg_scale", "negative_prompt", "height"):
            if parameter in real and real[parameter].default is not inspect.Parameter.empty:
                assert found.default(parameter) == real[parameter].default, (name, parameter)


def folder(root: Path, pipeline: str, **parts: Any) -> Path:
    index = {"_class_name": pipeline, **{name: ["diffusers", "x"] for name in parts}}
    root.mkdir(parents=True)
    (root / "model_index.json").write_text(json.dumps(index))
    for name, config in parts.items():
        (root / name).mkdir()
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        (root / name / file).write_text(json.dumps(config))
    return root


FLUX = {"in_channels": 64, "patch_size": 1, "guidance_embeds": True}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "flux": (
        "FluxPipeline",
        {"vae": KL8, "transformer": FLUX, "scheduler": FLOW},
        {"width": 1024, "multiple_px": 16, "guided_by": "guidance_scale", "guidance_scale": 3.5, "flow": True},
    ),
    "schnell-like": (
        "FluxPipeline",
        {"vae": KL8, "transformer": {**FLUX, "guidance_embeds": False}, "scheduler": FLOW},
        {"guided_by": "true_cfg_scale", "guidance_scale": 1.0},
    ),
    "qwen": (
        "QwenImagePipeline",
        {
            "vae": {"temperal_downsample": [False, True, True], "z_dim": 16},
            "transformer": {"in_channels": 64, "patch_size": 2},
            "scheduler": FLOW,
        },
        {"width": 1024, "multiple_px": 16, "guided_by": "true_cfg_scale", "guidance_scale": 4.0, "flow": True},
    ),
    "sana": (
        "SanaPipeline",
        {
            "vae": {"_class_name": "AutoencoderDC", "encoder_block_out_channels": [1] * 6},
            "transformer": {"sample_size": 16, "patch_size": 1},
            "scheduler": {"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True},
        },
        {"width": 512, "multiple_px": 32, "scheduler": "own", "flow": True, "tasks": frozenset({"txt2img"})},
    ),
    "hyperrealism": (  # "hyper" stands in it, and says nothing
        "StableDiffusionPipeline",
        {"vae": KL8, "unet": {"sample_size": 96}, "scheduler": {"_class_name": "PNDMScheduler", "beta_schedule": "x"}},
        {"width": 768, "num_inference_steps": 25, "guidance_scale": 7.5, "scheduler": "pndm", "any_scheduler": True},
    ),
    "playground": (
        "StableDiffusionXLPipeline",
        {"vae": KL8, "unet": {}, "scheduler": {"_class_name": "EDMEulerScheduler"}},
        {"scheduler": "own", "any_scheduler": False},
    ),
    "sdxl-turbo": (  # the whole name, as its repository has it
        "StableDiffusionXLPipeline",
        {"vae": KL8, "unet": {"sample_size": 64}, "scheduler": {"_class_name": "EulerAncestralDiscreteScheduler"}},
        {"width": 512, "num_inference_steps": 1, "guidance_scale": 0.0, "scheduler": "euler_a"},
    ),
    "refiner": (
        "StableDiffusionXLImg2ImgPipeline",
        {"vae": KL8, "unet": {"sample_size": 128}},
        {"tasks": frozenset({"img2img", "upscale", "blend"})},
    ),
    "inpainting": (
        "StableDiffusionInpaintPipeline",
        {"vae": KL8, "unet": {"in_channels": 9}},
        {"tasks": frozenset({"inpaint", "outpaint"})},
    ),
    "fill": ("FluxFillPipeline", {"vae": KL8}, {"tasks": frozenset({"inpaint", "outpaint"}), "family": "unknown"}),
    "klein": (
        "Flux2KleinPipeline",
        {"vae": KL8},
        {
            "tasks": frozenset({"txt2img", "img2img", "edit"}),
            "references": True,
            "edited_pictures": 4,
            "negative_prompts": False,
        },
    ),
    "instruct-pix2pix": (
        "StableDiffusionInstructPix2PixPipeline",
        {"vae": KL8, "unet": {"in_channels": 8, "sample_size": 32}},
        {"tasks": frozenset({"edit"}), "width": 256, "edited_pictures": 1, "kept_by": "image_guidance_scale"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_facts_of_a_folder(tmp_path: Path, name: str) -> None:
    pipeline, parts, expected = CASES[name]
    place = folder(tmp_path / name, pipeline, **parts)
    if name == "refiner":
        index = json.loads((place / "model_index.json").read_text())
        (place / "model_index.json").write_text(json.dumps({**index, "requires_aesthetics_score": True}))
    info = catalog.describe(catalog.source(name, str(place)))
    assert {fact: getattr(info, fact) for fact in expected} == expected


@pytest.mark.parametrize(
    "pipeline", ["WanPipeline", "StableAudioPipeline", "NoSuchPipeline", "StableVideoDiffusionPipeline"]
)
def test_what_paints_no_pictures_is_refused_by_name(tmp_path: Path, pipeline: str) -> None:
    with pytest.raises(ModelUnloadable, match=pipeline):
        catalog.describe(catalog.source("x", str(folder(tmp_path / "x", pipeline))))


def test_hub_models_are_known_by_their_whole_id_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog.hub, "snapshot", lambda repo: None)
    for hub_id, card in families.PUBLISHED.items():
        found = signatures.of(card.pipeline)
        assert found is not None
        assert catalog.describe(catalog.source("x", hub_id)).family == families.named(found.name)
    stranger = catalog.describe(catalog.source("x", "somebody/flux-xl-turbo-3.5"))
    assert (stranger.family, stranger.scheduler, stranger.tasks) == ("unknown", "own", frozenset({"txt2img"}))


def test_modular_pipelines_are_known_by_their_blocks_code() -> None:
    """Every one that diffusers has is described or refused, as its blocks themselves are; none is imported for it."""
    names = {name for name in dir(diffusers) if name.endswith("ModularPipeline")} - {"ModularPipeline"}
    found = {name: signatures.of_modular(name) for name in names}
    painting = {name for name, each in found.items() if each is not None and "txt2img" in each.tasks}
    assert {"Flux3ModularPipeline", "ZImageModularPipeline", "AnimaModularPipeline"} <= painting
    others = {"WanModularPipeline", "WanAnimate2ModularPipeline", "LTXModularPipeline", "MiniMaxMusic3ModularPipeline"}
    assert not others & painting
    for name in sorted(painting | {"QwenImageEditModularPipeline", "QwenImageLayeredModularPipeline"}):
        pipe = getattr(diffusers, name)()
        taken = {each.name: each.default for each in pipe.blocks.inputs}
        of_words = {"prompt": True} in (getattr(pipe.blocks, "_workflow_map", None) or {}).values()
        assert (name in painting) == ("images" in {each.name for each in pipe.blocks.outputs} and of_words), name
        if name in painting:
            own = found[name]
            assert own is not None
            assert taken.keys() <= own.takes.keys() | {None}, name
            assert own.takes["num_inference_steps"] == taken["num_inference_steps"], name
            assert ("negative_prompt" in own.takes) == ("negative_prompt" in taken), name
            guider = getattr(pipe, "guider", None)
            assert ("guider" in own.takes) == (guider is not None), name
            if guider is not None:
                assert own.takes["guider"] == (guider.config.guidance_scale if guider.config.enabled else 1.0), name
