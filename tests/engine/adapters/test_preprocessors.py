"""Depths, poses and soft edges are drawn by what is configured for them, and led by as if they had been attached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image, ImageDraw
from safetensors.torch import save_file

from engine import Control, Engine
from engine.imaging import controlnet_preprocess, skeletons
from engine.vision import depth, poses, soft_edges
from engine.vision.options import VisionOptions
from tests.engine.adapters.test_controlnets import FACTS, controlnet
from tests.engine.test_parity import _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

CPU = torch.device("cpu")
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def _as_in_the_engines_thread() -> Iterator[None]:
    with torch.no_grad():
        yield


def scene() -> Image.Image:
    image = Image.new("RGB", (64, 48), (30, 60, 120))
    ImageDraw.Draw(image).ellipse((10, 8, 50, 40), fill=(220, 180, 40))
    return image


def depth_model(out: Path, **more: Any) -> Path:
    torch.manual_seed(3)
    backbone = transformers.Dinov2Config(
        **{**SMALL, "num_hidden_layers": 4},
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        **more,
    )
    model = transformers.DepthAnythingForDepthEstimation(config)
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)  # or all of a picture may lie beyond its last step
    model.save_pretrained(out)
    transformers.DPTImageProcessorPil(
        size={"height": 28, "width": 28}, ensure_multiple_of=14, keep_aspect_ratio=True
    ).save_pretrained(out)
    return out


def pose_model(out: Path) -> Path:
    torch.manual_seed(4)
    backbone = transformers.VitPoseBackboneConfig(**SMALL, image_size=[64, 48], patch_size=[16, 16])
    model = transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(backbone_config=backbone, num_labels=17))
    torch.nn.init.normal_(model.head.conv.weight, std=3.0)
    model.save_pretrained(out)
    transformers.VitPoseImageProcessorPil(size={"height": 64, "width": 48}).save_pretrained(out)
    return out


def detector(out: Path, *, sees: bool) -> Path:
    """One that sees somebody everywhere, or nobody anywhere."""
    torch.manual_seed(5)
    names = {0: "boat", 1: "person"}
    config = transformers.YolosConfig(
        **SMALL,
        image_size=[32, 32],
        patch_size=16,
        num_detection_tokens=3,
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    model = transformers.YolosForObjectDetection(config)
    last = model.class_labels_classifier.layers[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.0, 9.0, 0.0] if sees else [9.0, 0.0, 0.0])
    model.save_pretrained(out)
    transformers.YolosImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(out)
    return out


def hed(out: Path) -> Path:
    torch.manual_seed(6)
    wide, weights = 3, {"norm": torch.full((1, 3, 1, 1), 100.0)}
    for level, count in enumerate((2, 2, 3, 3, 3), 1):
        for number in range(count):
            high = 4 * level
            weights[f"block{level}.convs.{number}.weight"] = torch.randn(high, wide, 3, 3) * 0.2
            weights[f"block{level}.convs.{number}.bias"] = torch.zeros(high)
            wide = high
        weights[f"block{level}.projection.weight"] = torch.randn(1, wide, 1, 1) * 0.02
        weights[f"block{level}.projection.bias"] = torch.zeros(1)
    save_file(weights, out)
    return out


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    root = tmp_path_factory.mktemp("eyes")
    made = {
        "depth": depth_model(root / "depth"),
        "pose": pose_model(root / "pose"),
        "people": detector(root / "people", sees=True),
        "soft": hed(root / "hed.safetensors"),
    }
    return {name: str(path) for name, path in made.items()}


def test_the_nearest_is_white(models: Mapping[str, str], tmp_path: Path) -> None:
    """A model that tells distances is turned round."""
    near = np.asarray(depth.nearness(depth.estimator(models["depth"], CPU), scene()))
    far = depth_model(tmp_path / "metric", depth_estimation_type="metric", max_depth=1)
    turned = np.asarray(depth.nearness(depth.estimator(str(far), CPU), scene()))
    assert near.shape == (48, 64, 3)
    assert (near.min(), near.max()) == (turned.min(), turned.max()) == (0, 255)
    assert np.corrcoef(near[..., 0].ravel(), turned[..., 0].ravel())[0, 1] < -0.9


def test_somebodys_joints_are_where_the_model_sees_them(models: Mapping[str, str], tmp_path: Path) -> None:
    eyes, watcher = poses.estimator(models["pose"], CPU), poses.detector(models["people"], CPU)
    boxes = poses.people(watcher, scene())
    assert len(boxes) == 3
    assert poses.people(poses.detector(str(detector(tmp_path / "blind", sees=False)), CPU), scene()) == []
    black = poses.skeleton(eyes, scene(), [])
    assert black.getextrema() == ((0, 0),) * 3
    drawn = poses.skeleton(eyes, scene(), [(0.0, 0.0, 64.0, 48.0)])
    assert (drawn.size, drawn.mode) == ((64, 48), "RGB")


def test_a_skeleton_is_openposes() -> None:
    """In its colours: shoulders, elbows and wrists of both sides differ; a neck lies between the shoulders."""
    joints: list[skeletons.Point | None] = [None] * 17
    joints[5], joints[6], joints[8], joints[10] = (384.0, 128.0), (128.0, 128.0), (128.0, 256.0), (128.0, 384.0)
    drawn = skeletons.drawn((512, 512), [joints])
    at = {place: drawn.getpixel(place) for place in ((384, 128), (128, 128), (256, 128), (128, 256), (128, 384))}
    assert list(at.values()) == [(85, 255, 0), (255, 170, 0), (255, 85, 0), (255, 255, 0), (170, 255, 0)]
    assert drawn.getpixel((128, 192)) == (153, 102, 0), "the upper arm, darker than joints"
    assert drawn.getpixel((192, 128)) == (153, 0, 0), "the right shoulder"
    assert drawn.getpixel((20, 20)) == (0, 0, 0)


def test_soft_edges_with_and_without_a_network(models: Mapping[str, str]) -> None:
    by_network = np.asarray(soft_edges.edges(soft_edges.network(models["soft"], CPU), scene()))
    plain = np.asarray(controlnet_preprocess.soft(scene()))[..., 0].astype(int)
    assert by_network.shape == (48, 64, 3)
    assert by_network.std() > 0
    assert plain[24, 10] > 200, "at the disc's rim"
    assert plain[24, 30] < 40, "not in its middle"
    assert len(np.unique(plain)) > 20, "soft: more than black and white"
    assert np.asarray(controlnet_preprocess.soft(Image.new("RGB", (32, 32), "red"))).max() == 0


async def test_what_is_drawn_leads_as_if_it_had_been_attached(
    folders: dict[str, Path], models: Mapping[str, str], tmp_path: Path
) -> None:
    nets = {name: str(controlnet(folders["sd1"], tmp_path / name, 3)) for name in ("depth", "openpose-2", "softedge")}
    eyes = {"depth": depth.estimator(models["depth"], CPU), "pose": poses.estimator(models["pose"], CPU)}
    picture = scene().resize((64, 64))
    watcher = poses.detector(models["people"], CPU)
    drawn = {
        "depth": depth.nearness(eyes["depth"], picture),
        "openpose-2": poses.skeleton(eyes["pose"], picture, poses.people(watcher, picture)),
        "softedge": soft_edges.edges(soft_edges.network(models["soft"], CPU), picture),
    }
    asked = {name: Control(**FACTS, control_image=picture, controlnet=name) for name in nets}
    ready = {name: Control(**FACTS, control_image=drawn[name], controlnet=name, prepared=True) for name in nets}
    sight = VisionOptions(preprocessors=models)
    async with Engine(str(folders["sd1"]), controlnets=nets, sight=sight) as engine:
        for name in nets:
            one, other = [(await engine.submit(request).result())[0] for request in (asked[name], ready[name])]
            assert difference(one, other) == 0.0, name
        raw = Control(**FACTS, control_image=picture, controlnet="depth", prepared=True)
        assert difference((await engine.submit(raw).result())[0], (await engine.submit(ready["depth"]).result())[0]) > 0
    without = VisionOptions(preprocessors={"soft": "gradient", "smells": models["depth"], "pose": "/nowhere/at/all"})
    async with Engine(str(folders["sd1"]), controlnets=nets, sight=without) as engine:
        left_out = {each.name: each.reason for each in engine.left_out()}
        assert left_out.keys() == {"smells", "pose"}
        assert "use depth, pose, people, soft" in left_out["smells"]
        plain = (await engine.submit(asked["depth"]).result())[0]
        assert difference(plain, (await engine.submit(raw).result())[0]) == 0.0, "as it is"
        soft = Control(**FACTS, control_image=controlnet_preprocess.soft(picture), controlnet="softedge", prepared=True)
        assert (
            difference((await engine.submit(asked["softedge"]).result())[0], (await engine.submit(soft).result())[0])
            == 0.0
        )
