"""Forty files as other tools write them, made after their documentation: each is read, or its tool is named."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from bot.prompt import image_metadata
from bot.prompt.image_metadata import Parameters

PROMPT = "a red boat"


def png(image: Image.Image | None = None, **texts: str) -> bytes:
    info, out = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, text in texts.items():
        info.add_itxt(key.replace("_dash_", "-"), text) if key.startswith("XML") else info.add_text(
            key.replace("_dash_", "-"), text
        )
    (image or Image.new("RGB", (64, 64), "red")).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def photo(form: str, comment: str = "", **tags: Any) -> bytes:
    exif, out = Image.Exif(), io.BytesIO()
    if comment:
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + comment.encode("utf-16-be")
    for tag, value in tags.items():
        exif[int(tag[1:], 16)] = value
    Image.new("RGB", (64, 64), "red").save(out, form, exif=exif)
    return out.getvalue()


def hidden(text: str, word: bytes = b"stealth_pngcomp", mode: str = "RGBA", side: int = 128) -> Image.Image:
    """The text in the lowest bits, down the columns."""
    body = gzip.compress(text.encode()) if word.endswith(b"comp") else text.encode()
    data = word + struct.pack(">I", 8 * len(body)) + body
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    image = np.full((side, side, 4 if mode == "RGBA" else 3), 254, dtype=np.uint8)
    channels = image[..., 3:] if mode == "RGBA" else image
    columns = channels.swapaxes(0, 1).reshape(-1).copy()
    columns[: len(bits)] |= bits
    channels[:] = columns.reshape(side, side, -1).swapaxes(0, 1)
    return Image.fromarray(image)


def infotext(more: str = "", prompt: str = PROMPT) -> str:
    return (
        f"{prompt}\nNegative prompt: fog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 512x768, "
        f"Model: dreamer{more}"
    )


def sampled(**more: Any) -> dict[str, Any]:
    """A plain ComfyUI graph, with more nodes or others in their place."""
    sampler = {"seed": 42, "steps": 20, "cfg": 7, "sampler_name": "euler", "scheduler": "karras", "denoise": 1}
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]}
    graph = {
        "1": node("CheckpointLoaderSimple", ckpt_name="dreamer.safetensors"),
        "2": node("CLIPTextEncode", text=PROMPT, clip=["1", 1]),
        "3": node("CLIPTextEncode", text="fog", clip=["1", 1]),
        "4": node("EmptyLatentImage", width=512, height=768),
        "5": node("KSampler", **sampler, **links),
    }
    return {**graph, **more}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def again(start: str = "5") -> dict[str, Any]:
    """A second pass over what the first one painted."""
    links = {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["8", 0]}
    return {
        "8": node("LatentUpscaleBy", samples=[start, 0], scale_by=1.5),
        "0": node("KSampler", seed=7, steps=9, cfg=4, sampler_name="ddim", scheduler="normal", denoise=0.4, **links),
    }


def drawn_things() -> str:
    said = {"c": PROMPT, "uc": "fog", "seed": 42, "steps": 20, "scale": 7, "size": "512x768", "sampler": "Euler A",
            "model": "dreamer.ckpt", "strength": 1, "lora": [{"model": "waves.ckpt", "weight": 0.6}]}  # fmt: skip
    text = json.dumps(said).replace('"', "&quot;")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description><xmp:CreatorTool>Draw Things</xmp:CreatorTool>'
        f'<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></exif:UserComment>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


EASY = {
    **{"prompt": PROMPT, "negative_prompt": "fog", "seed": "42", "use_stable_diffusion_model": "dreamer"},
    **{"sampler_name": "euler_a", "width": "512", "height": "768", "num_inference_steps": "20", "guidance_scale": "7"},
}
NAI = json.dumps(
    {
        "prompt": PROMPT,
        "steps": 20,
        "height": 768,
        "width": 512,
        "scale": 7,
        "seed": 42,
        "sampler": "k_euler",
        "uc": "fog",
        "noise_schedule": "karras",
    }
)
NAI_TEXTS = {"Description": PROMPT, "Software": "NovelAI", "Source": "NovelAI Diffusion V4.5", "Comment": NAI}
FOOOCUS = json.dumps(
    {
        "prompt": PROMPT,
        "negative_prompt": "fog",
        "styles": ["Fooocus V2"],
        "performance": "Speed",
        "steps": 20,
        "resolution": "(512, 768)",
        "guidance_scale": 7,
        "sharpness": 2,
        "base_model": "dreamer",
        "refiner_model": "None",
        "sampler": "euler",
        "scheduler": "karras",
        "seed": "42",
        "loras": [["waves", 0.5, "ab12"]],
        "version": "Fooocus v2.5.5",
    }
)
SWARM = {"prompt": PROMPT, "negativeprompt": "fog", "model": "dreamer", "seed": 42, "steps": 20, "cfgscale": 7,
         "width": 512, "height": 768, "sampler": "euler", "scheduler": "karras"}  # fmt: skip
INVOKE = {"generation_mode": "txt2img", "positive_prompt": PROMPT, "negative_prompt": "fog", "width": 512,
          "height": 768, "seed": 42, "cfg_scale": 7, "steps": 20, "scheduler": "euler"}  # fmt: skip
INVOKE_2 = {"model": "stable diffusion", "model_weights": "dreamer", "image": {
    "prompt": [{"prompt": f"{PROMPT} [fog]", "weight": 1}], "steps": 20, "cfg_scale": 7, "seed": 42, "width": 512,
    "height": 768, "sampler": "k_euler", "type": "txt2img"}}  # fmt: skip
DREAM = f'"{PROMPT} [fog]" -s 20 -S 42 -W 512 -H 768 -C 7 -A k_euler_a'
HIRES = ", Denoising strength: 0.5, Hires upscale: 2, Hires steps: 8, Hires upscaler: Latent"
CONTROL = ', ControlNet 0: "Module: canny, Model: control_canny [d1], Weight: 1"'
PIPES = f"prompt: {PROMPT}\nNegative prompt: fog\nSteps: 20 | Seed: 42 | Sampler: Euler a | CFG scale: 7 | Size: 512x768 | Model: dreamer"  # noqa: E501
JOIN = {
    "2": node("CLIPTextEncode", text=["9", 0]),
    "9": node("StringConcatenate", string_a="a red", string_b="boat", delimiter=" "),
}
COMBINED = {"9": node("CLIPTextEncode", text="a red"), "10": node("CLIPTextEncode", text="boat"),
            "2": node("ConditioningCombine", conditioning_1=["9", 0], conditioning_2=["10", 0])}  # fmt: skip
LOADER = {
    "1": node("Efficient Loader", ckpt_name="dreamer.safetensors", positive=PROMPT, negative="fog",
              empty_latent_width=512, empty_latent_height=768, lora_name="None"),
    "2": node("KSampler (Efficient)", seed=42, steps=20, cfg=7.0, sampler_name="euler", scheduler="karras", denoise=1,
              model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3]),
}  # fmt: skip
POWER = {"9": node("Power Lora Loader (rgthree)", lora_1={"on": True, "lora": "waves.safetensors", "strength": 0.5})}
FLUX_GUIDER = {
    "5": node(
        "SamplerCustomAdvanced",
        noise=["6", 0],
        guider=["7", 0],
        sampler=["8", 0],
        sigmas=["9", 0],
        latent_image=["4", 0],
    ),
    "6": node("RandomNoise", noise_seed=42),
    "7": node("CFGGuider", model=["1", 0], positive=["2", 0], negative=["3", 0], cfg=7),
    "8": node("KSamplerSelect", sampler_name="euler"),
    "9": node("BasicScheduler", scheduler="karras", steps=20, denoise=1),
}

# what reads as: the tool, and what is not done again, as a piece of it; None where nothing is left out
FILES: dict[str, tuple[bytes, str, str | None]] = {
    "A1111, PNG": (png(parameters=infotext()), "A1111", None),
    "A1111, JPEG": (photo("JPEG", infotext()), "A1111", None),
    "A1111, WebP": (photo("WEBP", infotext()), "A1111", None),
    "A1111, hires": (png(parameters=infotext(HIRES)), "A1111", "the second pass to 2 times the size"),
    "A1111, ADetailer": (png(parameters=infotext(", ADetailer model: face_yolov8n.pt")), "A1111", "ADetailer"),
    "A1111, ControlNet": (png(parameters=infotext(CONTROL)), "A1111", "the ControlNet control_canny"),
    "A1111, refiner": (png(parameters=infotext(", Refiner: xl-refiner, Refiner switch at: 0.8")), "A1111", "refiner"),
    "A1111, stealth": (png(hidden(infotext())), "A1111", None),
    "A1111, stealth, not packed": (png(hidden(infotext(), b"stealth_pnginfo")), "A1111", None),
    "A1111, stealth in the colours": (png(hidden(infotext(), b"stealth_rgbcomp", "RGB")), "A1111", None),
    "Forge": (png(parameters=infotext(", Version: f2.0.1v1.10.1-previous-659")), "Forge", None),
    "Civitai": (png(parameters=infotext(', Civitai resources: [{"type":"checkpoint"}]')), "Civitai", None),
    "SD.Next": (png(parameters=infotext(", App: SD.Next, Version: 0ab1234, Backend: Diffusers")), "SD.Next", None),
    "SD.Next of 2023": (png(parameters=PIPES), "A1111", None),
    "Fooocus": (png(parameters=FOOOCUS, fooocus_scheme="fooocus"), "Fooocus", "the styles Fooocus V2"),
    "Fooocus, JPEG": (photo("JPEG", FOOOCUS), "Fooocus", "the styles"),
    "Fooocus, A1111's scheme": (png(parameters=infotext(", Version: Fooocus v2.5.5")), "Fooocus", None),
    "ComfyUI": (png(prompt=json.dumps(sampled())), "ComfyUI", None),
    "ComfyUI, two passes": (png(prompt=json.dumps(sampled(**again()))), "ComfyUI", "the second pass"),
    "ComfyUI, joined texts": (png(prompt=json.dumps(sampled(**JOIN))), "ComfyUI", None),
    "ComfyUI, combined conditions": (png(prompt=json.dumps(sampled(**COMBINED))), "ComfyUI", None),
    "ComfyUI, Efficient Loader": (png(prompt=json.dumps(LOADER)), "ComfyUI", None),
    "ComfyUI, rgthree's LoRAs": (png(prompt=json.dumps(sampled(**POWER))), "ComfyUI", None),
    "ComfyUI, a guider": (png(prompt=json.dumps(sampled(**FLUX_GUIDER))), "ComfyUI", None),
    "ComfyUI, an upscaler": (
        png(prompt=json.dumps(sampled(**{"9": node("UpscaleModelLoader", model_name="4x-sharp.pth")}))),
        "ComfyUI",
        "the upscaler 4x-sharp.pth",
    ),
    "ComfyUI, WebP": (photo("WEBP", x0110=f"prompt:{json.dumps(sampled())}"), "ComfyUI", None),
    "SwarmUI": (png(parameters=json.dumps({"sui_image_params": SWARM})), "SwarmUI", None),
    "SwarmUI, refined": (
        png(parameters=json.dumps({"sui_image_params": {**SWARM, "refinerupscale": 1.5, "loras": ["waves"]}})),
        "SwarmUI",
        "the second pass to 1.5 times the size",
    ),
    "InvokeAI 2, Dream": (png(Dream=DREAM), "InvokeAI", None),
    "InvokeAI 2": (png(sd_dash_metadata=json.dumps(INVOKE_2)), "InvokeAI", None),
    "InvokeAI 3": (
        png(invokeai_metadata=json.dumps({**INVOKE, "model": {"model_name": "dreamer", "base_model": "sd-1"}})),
        "InvokeAI",
        None,
    ),
    "InvokeAI 4 to 6": (
        png(
            invokeai_metadata=json.dumps(
                {
                    **INVOKE,
                    "model": {"key": "ab", "name": "dreamer", "type": "main"},
                    "loras": [{"model": {"name": "waves"}, "weight": 0.5}],
                    "controlnets": [{"control_model": {"name": "canny"}}],
                }
            )
        ),
        "InvokeAI",
        "the ControlNet canny",
    ),
    "NovelAI": (png(**NAI_TEXTS), "NovelAI", None),
    "NovelAI, alpha channel": (png(hidden(json.dumps(NAI_TEXTS))), "NovelAI", None),
    "Draw Things": (png(**{"XML:com.adobe.xmp": drawn_things()}), "Draw Things", None),
    "Easy Diffusion": (png(**EASY), "Easy Diffusion", None),
    "Easy Diffusion, JPEG": (photo("JPEG", json.dumps(EASY)), "Easy Diffusion", None),
}
MIDJOURNEY = "a red boat --ar 3:2 --seed 42 --no fog --v 6.1 Job ID: 11111111-2222-3333-4444-555555555555"


def credentials(generator: str, form: str = "PNG") -> bytes:
    """A file with a claim of C2PA, as far as it is looked at: a chunk or segment with the generator's name."""
    claim = b"jumbc2pa....urn:c2pa:1234 claim_generator " + generator.encode()
    if form == "JPEG":
        out = photo("JPEG")
        return out[:2] + b"\xff\xeb" + struct.pack(">H", len(claim) + 2) + claim + out[2:]
    plain = png()
    chunk = struct.pack(">I", len(claim)) + b"caBX" + claim + struct.pack(">I", zlib.crc32(b"caBX" + claim))
    return plain[:33] + chunk + plain[33:]


MARKED = "<x:xmpmeta><Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/{}</x:xmpmeta>"
NAMED = {
    "OpenAI": (credentials("ChatGPT / OpenAI"), "OpenAI"),
    "Firefly": (credentials("Adobe_Firefly", "JPEG"), "Adobe Firefly"),
    "Google": (
        png(**{"XML:com.adobe.xmp": MARKED.format("trainedAlgorithmicMedia")}, Software="Google Imagen"),
        "Google",
    ),
    "an unknown model": (png(**{"XML:com.adobe.xmp": MARKED.format("trainedAlgorithmicMedia")}), "an image model"),
    "Photoshop": (photo("JPEG", x0131="Adobe Photoshop 27.1"), "Adobe Photoshop 27.1"),
}


def read(data: bytes) -> Parameters | None:
    with Image.open(io.BytesIO(data)) as image:
        return image_metadata.read(data, image.convert("RGBA" if image.mode == "RGBA" else "RGB"))


def test_there_are_forty() -> None:
    assert len(FILES) + len(NAMED) + 1 >= 40


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read(name: str) -> None:
    data, tool, left_out = FILES[name]
    said = read(data)
    assert said is not None
    joined = said.prompt.replace("a red, boat", PROMPT)
    assert (said.tool, joined, said.negative_prompt) == (tool, PROMPT, "fog")
    assert (said.steps, said.guidance, said.seed) == (20, 7, 42)
    assert (said.width, said.height) == (512, 768)
    assert "euler" in said.sampler.lower()
    assert name == "InvokeAI 2, Dream" or "dreamer" in said.model.lower() or "novelai" in said.model.lower()
    assert not said.from_picture or "ControlNet" in name
    if left_out is None:
        assert said.left_out == ()
    else:
        assert left_out in ", ".join(said.left_out)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        *(("ComfyUI, rgthree's LoRAs", 0.5), ("InvokeAI 4 to 6", 0.5), ("Fooocus", 0.5)),
        *(("Draw Things", 0.6), ("SwarmUI, refined", 1.0)),
    ],
)
def test_its_loras_are_known(name: str, weight: float) -> None:
    said = read(FILES[name][0])
    assert said is not None
    assert [(lora.split(".")[0], scale) for lora, scale in said.loras] == [("waves", weight)]


@pytest.mark.parametrize("data", [png(Description=MIDJOURNEY, Author="ann"), photo("JPEG", x010E=MIDJOURNEY)])
def test_midjourneys_description_is_read(data: bytes) -> None:
    said = read(data)
    assert said is not None
    assert (said.tool, said.prompt, said.negative_prompt, said.seed) == ("Midjourney", PROMPT, "fog", 42)
    assert said.ratio == (3, 2)
    assert ("--v", "6.1") in said.others


@pytest.mark.parametrize("name", NAMED)
def test_who_made_a_file_that_says_nothing_else_is_told(name: str) -> None:
    data, maker = NAMED[name]
    assert read(data) is None
    assert maker in image_metadata.maker(data)


def test_an_ordinary_file_is_nobodys() -> None:
    assert image_metadata.maker(png()) == ""
    assert read(png()) is None


def test_hidden_bombs_are_not_inflated() -> None:
    said = image_metadata.read(png(), hidden("a" * 30_000_000, side=512))
    assert said is None
