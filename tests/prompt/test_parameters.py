"""Reading how a picture was made, from files built here in the form of each tool, and from files meant to hurt."""

from __future__ import annotations

import io
import json
import random
import struct
import sys
import time
import zlib
from dataclasses import asdict
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from bot.prompt.image_metadata import Parameters, containers, infotext, read
from bot.prompt.image_metadata.records import MAX_TEXT, MAX_WORDS
from engine import Txt2Img, Variation
from engine.api.metadata import encode_png
from engine.fake import MINI, paint, recipe_of
from engine.tasks.resolve import complete

INFOTEXT = """a (red:1.2) boat,
at sea <lora:waves:0.8>
Negative prompt: fog, text
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 12345, Size: 512x768, \
Model hash: 31e35c80fc, Model: dreamer, Lora hashes: "waves: 6ce0161689b3, b: c", Version: v1.9.0"""

COMFY: dict[str, Any] = {
    "3": {
        "class_type": "KSampler",
        "inputs": {
            **{"seed": 2**63 + 5, "steps": 30, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras"},
            **{"denoise": 1.0, "model": ["10", 0], "positive": ["20", 0], "negative": ["7", 0]},
            "latent_image": ["5", 0],
        },
    },
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15\\dreamer.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": 448, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["8", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "fog", "clip": ["4", 1]}},
    "8": {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a red boat"}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "waves.safetensors", "model": ["4", 0]}},
    "20": {"class_type": "ControlNetApply", "inputs": {"conditioning": ["6", 0], "image": ["30", 0]}},
}
DRAWN = {
    "nodes": [
        {"id": 1, "type": "CheckpointLoaderSimple", "widgets_values": ["dreamer.ckpt"]},
        {"id": 2, "type": "CLIPTextEncode", "widgets_values": ["a red boat"], "inputs": [{"name": "clip", "link": 1}]},
        {"id": 3, "type": "CLIPTextEncode", "widgets_values": ["fog"]},
        {"id": 4, "type": "EmptyLatentImage", "widgets_values": [640, 448, 1]},
        {
            "id": 5,
            "type": "KSampler",
            "widgets_values": [77, "randomize", 30, 6.5, "euler", "normal", 1],
            "inputs": [
                {"name": "model", "link": 2},
                {"name": "positive", "link": 3},
                {"name": "negative", "link": 4},
                {"name": "latent_image", "link": 5},
            ],
        },
    ],
    "links": [[1, 1, 1, 2, 0], [2, 1, 0, 5, 0], [3, 2, 0, 5, 1], [4, 3, 0, 5, 2], [5, 4, 0, 5, 3]],
}
SOCKETS = {"noise": "2", "guider": "3", "sampler": "4", "sigmas": "5", "latent_image": "9"}
FLUX: dict[str, Any] = {
    "1": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {name: [node, 0] for name, node in SOCKETS.items()},
    },
    "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 9}},
    "3": {"class_type": "BasicGuider", "inputs": {"model": ["6", 0], "conditioning": ["7", 0]}},
    "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 8, "denoise": 1}},
    "6": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
    "7": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["8", 0]}},
    "8": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red boat"}},
    "9": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768}},
}  # fmt: skip


def png(*, compressed: bool = False, international: bool = False, **texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        if international:
            info.add_itxt(key, text, zip=compressed)
        else:
            info.add_text(key, text, zip=compressed)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def with_exif(form: str, comment: bytes | None = None, **tags: str) -> bytes:
    exif = Image.Exif()
    if comment is not None:
        exif.get_ifd(containers.EXIF_POINTER)[containers.USER_COMMENT] = comment
    for tag, text in tags.items():
        exif[int(tag.removeprefix("t"), 16)] = text
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, form, exif=exif)
    return out.getvalue()


A1111 = Parameters(
    tool="A1111",
    prompt="a (red:1.2) boat,\nat sea <lora:waves:0.8>",
    negative_prompt="fog, text",
    steps=20,
    guidance=7.5,
    sampler="DPM++ 2M Karras",
    seed=12345,
    width=512,
    height=768,
    model="dreamer",
    others=(
        ("Model hash", "31e35c80fc"),
        ("Lora hashes", "waves: 6ce0161689b3, b: c"),
        ("Version", "v1.9.0"),
    ),
)


@pytest.mark.parametrize(
    "data",
    [
        png(parameters=INFOTEXT),
        png(compressed=True, parameters=INFOTEXT),
        png(international=True, parameters=INFOTEXT),
        png(international=True, compressed=True, parameters=INFOTEXT),
        with_exif("JPEG", b"UNICODE\0" + INFOTEXT.encode("utf-16-be")),
        with_exif("WEBP", b"UNICODE\0" + INFOTEXT.encode("utf-16-le")),
        with_exif("JPEG", b"ASCII\0\0\0" + INFOTEXT.encode()),
        with_exif("WEBP", INFOTEXT.encode()),
    ],
)
def test_a1111s_infotext_is_read_from_every_kind_of_file(data: bytes) -> None:
    assert read(data) == A1111


def test_an_infotext_in_any_script() -> None:
    said = read(png(parameters="ein Schiff 船\nSteps: 4, Seed: 1, Size: 64x64"))
    assert said is not None
    assert (said.prompt, said.negative_prompt, said.steps) == ("ein Schiff 船", "", 4)
    again = read(with_exif("JPEG", b"UNICODE\0" + "船\nSteps: 4, Seed: 1".encode("utf-16-be")))
    assert again is not None
    assert again.prompt == "船"


@pytest.mark.parametrize(
    "data", [png(prompt=json.dumps(COMFY)), with_exif("WEBP", t0110="Prompt:" + json.dumps(COMFY))]
)
def test_comfyuis_graph_is_followed_from_its_sampler(data: bytes) -> None:
    assert read(data) == Parameters(
        tool="ComfyUI",
        prompt="a red boat",
        negative_prompt="fog",
        steps=30,
        guidance=6.5,
        sampler="dpmpp_2m karras",
        seed=2**63 + 5,
        width=640,
        height=448,
        model="dreamer.safetensors",
        strength=1.0,
        loras=(("waves.safetensors", 1.0),),
    )


def test_comfyuis_drawing_is_read_when_nothing_else_is_there() -> None:
    said = read(png(workflow=json.dumps(DRAWN)))
    assert said is not None
    assert (said.prompt, said.negative_prompt, said.seed, said.steps, said.guidance) == (
        "a red boat",
        "fog",
        77,
        30,
        6.5,
    )
    assert (said.width, said.height, said.model, said.sampler) == (640, 448, "dreamer.ckpt", "euler")


def test_comfyuis_custom_sampler_is_read() -> None:
    said = read(png(prompt=json.dumps(FLUX)))
    assert said is not None
    assert (said.prompt, said.negative_prompt, said.seed, said.steps) == ("a red boat", "", 9, 8)
    assert (said.sampler, said.model, said.width) == ("euler", "flux1-dev.safetensors", 1024)


def test_swarmui_is_read() -> None:
    said = {
        **{"prompt": "a red boat", "negativeprompt": "fog", "model": "sub/dreamer.safetensors", "seed": 4, "steps": 20},
        **{"cfgscale": 7.0, "width": 1024, "height": 768, "sampler": "euler_ancestral", "scheduler": "karras"},
    }
    found = read(png(parameters=json.dumps({"sui_image_params": said, "sui_extra_data": {}})))
    assert found == Parameters(
        tool="SwarmUI",
        prompt="a red boat",
        negative_prompt="fog",
        steps=20,
        guidance=7.0,
        sampler="euler_ancestral karras",
        seed=4,
        width=1024,
        height=768,
        model="dreamer.safetensors",
    )


def test_invokeai_is_read() -> None:
    said = {
        **{"generation_mode": "txt2img", "positive_prompt": "a red boat", "negative_prompt": "fog", "width": 512},
        **{"height": 640, "seed": 4, "cfg_scale": 5.5, "steps": 25, "scheduler": "dpmpp_2m_k"},
        "model": {"key": "abc", "hash": "blake3:1", "name": "Dreamer", "base": "sd-1"},
    }
    assert read(png(invokeai_metadata=json.dumps(said))) == Parameters(
        tool="InvokeAI",
        prompt="a red boat",
        negative_prompt="fog",
        steps=25,
        guidance=5.5,
        sampler="dpmpp_2m_k",
        seed=4,
        width=512,
        height=640,
        model="Dreamer",
    )


def test_our_own_recipe_wins_over_the_infotext_beside_it() -> None:
    ask = complete(Txt2Img(prompt="a red boat", seed=7, variations=(Variation(seed=9, strength=0.15),)), MINI)
    said = read(encode_png(paint(1, 64, 64), recipe_of(ask, 2)))
    assert said is not None
    assert (said.tool, said.prompt, said.seed, said.variations) == ("Easel", "a red boat", 7, ((11, 0.15),))
    plain = read(encode_png(paint(1, 64, 64), recipe_of(complete(Txt2Img(prompt="a", seed=7), MINI), 2)))
    assert plain is not None
    assert (plain.seed, plain.variations) == (9, ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        containers.PNG,
        png(),
        png(parameters="just a note"),
        png(parameters="{" * 50_000),
        png(prompt="[" * 50_000),
        png(prompt='{"a": 9' + "9" * 5000 + "}"),
        png(prompt=json.dumps({"1": {"class_type": "KSampler", "inputs": [1]}, "2": 3, "3": None})),
        png(workflow=json.dumps({"nodes": [1, None, {"type": 3}], "links": [[], [[1]], 5]})),
        png(easel=json.dumps({"request": 3})),
        png(invokeai_metadata="null"),
        with_exif("JPEG", b"UNICODE"),
        with_exif("JPEG", b""),
        containers.PNG + struct.pack(">I4s", 0xFFFFFFFF, b"tEXt") + b"parameters\0x",
    ],
)
def test_files_that_say_nothing_are_none(data: bytes) -> None:
    assert read(data) is None


@pytest.mark.parametrize("said", [{"steps": float("nan"), "cfg": float("inf")}, {"steps": True, "cfg": [1, 2]}])
def test_numbers_that_are_none_are_left_out(said: dict[str, Any]) -> None:
    graph = {"1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0], "latent_image": ["3", 0], **said}}}
    found = read(png(prompt=json.dumps(graph)))
    assert found is not None
    assert found.guidance is None
    assert found.steps is None


def test_a_graph_that_turns_in_circles_ends() -> None:
    ring = {
        str(n): {"class_type": "KSampler", "inputs": {"positive": [(n + 1) % 900, 0], "latent_image": [0, 0]}}
        for n in range(900)
    }
    found = read(png(prompt=json.dumps(ring)))
    assert found is not None
    assert found.prompt == ""


def operations(data: bytes) -> int:
    """How many instructions of Python reading takes, loops inside expressions too."""
    count = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        read(data)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", ["ring", "fan", "shared", "drawn"])
def test_large_graphs_cost_as_much_more_as_they_are_larger(shape: str) -> None:
    def graph(size: int) -> dict[str, Any]:
        latent = {
            "ring": lambda n: [str((n + 1) % size), 0],
            "fan": lambda _: ["0", 0],
            "shared": lambda _: ["t0", 0],
            "drawn": lambda n: [str(n + 1), 0],
        }[shape]
        nodes: dict[str, Any] = {
            str(n): {"class_type": "KSampler", "inputs": {"positive": ["t0", 0], "latent_image": latent(n)}}
            for n in range(size)
        }
        tail = range(size if shape == "shared" else 0)
        nodes |= {f"t{n}": {"class_type": "Reroute", "inputs": {"latent": [f"t{n + 1}", 0]}} for n in tail}
        return nodes

    def file(size: int) -> bytes:
        if shape != "drawn":
            return png(prompt=json.dumps(graph(size)))
        ends = [{"name": "positive", "link": 0}]
        nodes = [
            {"id": n, "type": "KSampler", "inputs": [*ends, {"name": "latent_image", "link": n + 1}]}
            for n in range(size)
        ]
        return png(workflow=json.dumps({"nodes": nodes, "links": [[n, n] for n in range(size + 1)]}))

    assert operations(file(1600)) < 3 * operations(file(800))


def test_texts_are_bounded_and_bombs_are_not_inflated() -> None:
    said = read(png(parameters="x" * 100_000 + "\nSteps: 3"))
    assert said is not None
    assert len(said.prompt) == MAX_WORDS
    bomb = zlib.compress(b"a" * (50 * MAX_TEXT))
    chunk = b"parameters\0\0" + bomb
    data = containers.PNG + struct.pack(">I4s", len(chunk), b"zTXt") + chunk + b"\0\0\0\0"
    assert containers.texts(data) == {}


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
def test_of_many_packed_texts_few_are_inflated(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Each is as large as a text may be, and has the name of the others: a file of 8 MiB held eight thousand."""
    inflated: list[int] = []
    inflate = containers._inflated
    monkeypatch.setattr(containers, "_inflated", lambda data: inflated.append(len(data)) or inflate(data))
    body = b"p\0" + (b"\0" if kind == "zTXt" else b"\1\0\0\0") + zlib.compress(b"a" * (MAX_TEXT - 1), 9)
    chunk = struct.pack(">I4s", len(body), kind.encode()) + body + b"\0\0\0\0"
    assert containers.texts(containers.PNG + chunk * 900).keys() == {"p"}
    assert len(inflated) <= containers.MAX_TEXTS


@pytest.mark.parametrize("piece", ["a: ", 'a: "', "\\", "Steps: ", ", ", "Negative prompt:", "\n", '"'])
def test_an_infotext_is_read_in_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = "x\nSteps: 1, " + piece * (length // len(piece))
        started = time.process_time()  # others' load on the machine is not ours
        infotext.parse(text)
        return time.process_time() - started

    assert min(seconds(400_000) for _ in range(3)) < 60 * max(0.004, min(seconds(20_000) for _ in range(3)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_damaged_files_never_raise(noise: bytes, seed: int) -> None:
    dice = random.Random(seed)
    for data in (png(parameters=INFOTEXT), with_exif("JPEG", b"UNICODE\0" + INFOTEXT.encode("utf-16-be"))):
        at = dice.randrange(len(data))
        read(data[:at] + noise + data[at + dice.randrange(50) :])
    read(noise)


KEYS = (
    *("1", "2", "inputs", "class_type", "nodes", "links", "type", "id", "text", "positive", "sampler_name"),
    *("sui_image_params", "request", "seed", "variations", "positive_prompt", "widgets_values", "guider"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(json_values, st.sampled_from(["prompt", "workflow", "parameters", "invokeai_metadata", "easel"]))
def test_any_json_is_just_text(value: object, key: str) -> None:
    found = read(png(**{key: json.dumps(value)}))
    assert found is None or asdict(found)
