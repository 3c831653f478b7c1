"""Words that change while they are painted, and prompts joined by AND: what diffusers' own loop gives when told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from engine import Engine, Img2Img, InvalidRequest, Txt2Img
from engine.api import clip_tokens
from engine.models import single_file
from engine.tasks import guidance
from tests.engine.adapters.test_adapters import lora
from tests.engine.test_parity import RED, ROUNDING, _pictures_keep_their_floats, difference  # noqa: F401  # a fixture

SIZE = {"width": 64, "height": 64}
STEPS = 6
FACTS: dict[str, Any] = {"seed": 7, "num_inference_steps": STEPS, "guidance_scale": 5.0, **SIZE}


def ask(prompt: str, **changes: Any) -> Txt2Img:
    return Txt2Img(**{**FACTS, "prompt": prompt, **changes})


def loaded(folder: Path) -> Any:
    pipe: Any = diffusers.AutoPipelineForText2Image.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def called(pipe: Any, prompt: str, **more: Any) -> Image.Image:
    named = {name: FACTS[name] for name in ("num_inference_steps", "guidance_scale", "width", "height")}
    generator = torch.Generator().manual_seed(7)
    return pipe(prompt=prompt, generator=generator, **named, **more).images[0]  # type: ignore[no-any-return]


def encoded(pipe: Any, prompt: str, negative: str | None = None) -> list[Any]:
    with torch.no_grad():
        return list(pipe.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True,
                                       negative_prompt=negative))  # fmt: skip


def changing(pipe: Any, at: Callable[[int], str]) -> dict[str, Any]:
    """A callback that lays other words under the steps that follow."""

    def lay(pipe: Any, step: int, time: Any, known: dict[str, Any]) -> dict[str, Any]:
        wanted, unwanted, *pooled = encoded(pipe, at(step + 1))
        known["prompt_embeds"] = torch.cat([unwanted, wanted])
        if pooled:
            known["add_text_embeds"] = torch.cat([pooled[1], pooled[0]])
        return known

    inputs = ["prompt_embeds", *(["add_text_embeds"] if hasattr(pipe, "text_encoder_2") else [])]
    return {"callback_on_step_end": lay, "callback_on_step_end_tensor_inputs": inputs}


CASES: dict[str, Callable[[int], str]] = {
    "a [boat:moon:0.5]": lambda step: "a boat" if step <= 3 else "a moon",
    "a [boat|moon]": lambda step: "a boat" if step in (0, 1, 3, 5) else "a moon",
    "a boat [in fog:2]": lambda step: "a boat " if step <= 2 else "a boat in fog",
}


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
async def test_words_change_at_their_steps(folders: dict[str, Path], model: str) -> None:
    async with Engine(str(folders[model])) as engine:
        for prompt, at in CASES.items():
            image = (await engine.submit(ask(prompt)).result())[0]
            pipe = loaded(folders[model])
            assert difference(image, called(pipe, at(0), **changing(pipe, at))) == 0.0, prompt
            assert difference(image, called(pipe, at(0))) > 10 * ROUNDING


async def test_what_is_not_wanted_changes_too(folders: dict[str, Path]) -> None:
    pipe = loaded(folders["sd1"])

    def lay(pipe: Any, step: int, time: Any, known: dict[str, Any]) -> dict[str, Any]:
        wanted, unwanted = encoded(pipe, "a boat", "fog" if step + 1 <= 3 else "rain")
        return {"prompt_embeds": torch.cat([unwanted, wanted])}

    more = {"callback_on_step_end": lay, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    async with Engine(str(folders["sd1"])) as engine:
        (image,) = await engine.submit(ask("a boat", negative_prompt="[fog:rain:0.5]")).result()
    assert difference(image, called(pipe, "a boat", negative_prompt="fog", **more)) == 0.0


@pytest.mark.parametrize("model", ["sd1", "sdxl"])
async def test_prompts_are_joined_by_their_weights(folders: dict[str, Path], model: str) -> None:
    pipe = loaded(folders[model])
    forward = pipe.unet.forward
    parts = {"a boat": 1.0, "a moon": 0.5, "fog": -0.4}
    embeds = [encoded(pipe, text) for text in parts]

    def joined(sample: torch.Tensor, time: Any, encoder_hidden_states: torch.Tensor, **kwargs: Any) -> Any:
        guided = []
        for embed in embeds:
            if len(embed) > 2:
                pooled = torch.cat([embed[3], embed[2]])
                kwargs["added_cond_kwargs"] = {**kwargs["added_cond_kwargs"], "text_embeds": pooled}
            guided.append(forward(sample, time, encoder_hidden_states=torch.cat([embed[1], embed[0]]), **kwargs)[0])
        without = guided[0][:1]
        both = zip(guided, parts.values(), strict=True)
        return (torch.cat([without, without + sum(weight * (each[1:] - without) for each, weight in both)]),)

    pipe.unet.forward = joined
    expected = called(pipe, "a boat")
    async with Engine(str(folders[model])) as engine:
        (image,) = await engine.submit(ask("a boat AND a moon:0.5 AND fog :-0.4")).result()
        (alone,) = await engine.submit(ask("a boat")).result()
    assert difference(image, expected) <= ROUNDING
    assert difference(image, alone) > 0.01


REQUESTS = [
    ask("a [boat:moon:0.5]"),
    ask("a boat AND a moon", seed=8),
    ask("a [boat|moon|fog]", seed=9, guidance_scale=1.0),
    ask("a boat", seed=10),
    Img2Img(**FACTS, prompt="a [boat:moon:2]", init_image=RED, strength=0.7),
]


async def test_in_company_it_differs_by_rounding_only(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        alone = [(await engine.submit(request).result())[0] for request in REQUESTS]
    async with Engine(str(folders["sd1"]), mode="fast") as engine:
        tickets = [engine.submit(request, user=str(number)) for number, request in enumerate(REQUESTS)]
        crowd = [(await ticket.result())[0] for ticket in tickets]
        assert (await engine.inspect()).forwards["denoise"].most_joined > 1
    assert max(difference(*pair) for pair in zip(alone, crowd, strict=True)) <= ROUNDING


@pytest.mark.parametrize("model", ["sd3", "flux"])
async def test_other_encoders_get_the_text_as_it_is_typed(folders: dict[str, Path], model: str) -> None:
    typed = r"a red (boat:1.3) under [the|moon] \f(x)"
    async with Engine(str(folders[model])) as engine:
        (image,) = await engine.submit(ask(typed)).result()
        (info,) = engine.models()
    assert difference(image, called(loaded(folders[model]), typed)) == 0.0
    assert "reads brackets as they stand" in guidance.unheard(ask(typed), info, guided=False, strong=False)
    assert "brackets" not in guidance.unheard(ask("a (red) boat"), info, guided=False, strong=False)


TEXTS = (
    *(
        "a red boat",
        "",
        "boat " * 75,
        "boat " * 76,
        "Ein Segelschiff vor der Küste, Öl auf Leinwand",
        "don't, it's 4K, 1234",
    ),
    *(
        "赤い船が月の下に",
        "🚀🔥 f/1.8  (wow!!!) <3",
        "e\u0301te\u0301 x²½Ⅷ",
        "https://example.com/a?b=c&d=%20",
        "\u00ad\u200b x\ty\n z",
        "a_b-c",
    ),
)


def test_tokens_are_counted_as_clips_tokenizer_counts_them() -> None:
    """Whole words say little: a name, a number or an emoji is several."""
    theirs = single_file.clip_tokenizer()
    for text in (*TEXTS, *(text * 20 for text in TEXTS)):
        count = len(theirs(text).input_ids) - 2
        assert clip_tokens.cut_after(text) == (count if count > 75 else 0), text


@pytest.mark.parametrize(("prompt", "tokens"), [("boat " * 75, 0), ("boat " * 76, 76), ("Antananarivo " * 30, 120)])
def test_what_a_clip_leaves_unread_is_told(folders: dict[str, Path], prompt: str, tokens: int) -> None:
    (info,) = Engine(str(folders["sd3"])).models()
    told = guidance.unheard(ask(f"{prompt}<lora:x:1>"), info, guided=False, strong=False)
    assert told == (
        f"One of sd3's text encoders reads the first 75 of this prompt's {tokens} tokens only." if tokens else ""
    )


async def test_too_many_texts_are_refused_with_a_sentence(folders: dict[str, Path]) -> None:
    async with Engine(str(folders["sd1"])) as engine:
        options = "|".join(chr(ord("a") + number) * 2 for number in range(26))
        with pytest.raises(InvalidRequest, match="different texts"):
            await engine.submit(ask(f"[{options}] [{options}|zz]", num_inference_steps=60)).result()
        assert await engine.submit(ask("a boat", num_inference_steps=1)).result()


async def test_a_lora_has_a_weight_for_each_of_its_halves(folders: dict[str, Path], tmp_path: Path) -> None:
    file = lora(folders["sd1"], "sd1", tmp_path / "waves", 1, text=True)
    pipe = loaded(folders["sd1"])
    pipe.load_lora_weights(str(file), adapter_name="waves")
    pipe.set_adapters(["waves"], [{"text_encoder": 0.5, "unet": 0.9}])
    async with Engine(str(folders["sd1"]), loras={"waves": str(file)}) as engine:
        (image,) = await engine.submit(ask("a boat <lora:waves:0.5:0.9>")).result()
        (both,) = await engine.submit(ask("a boat <lora:waves:0.9>")).result()
    assert difference(image, called(pipe, "a boat")) == 0.0
    assert difference(image, both) > 0
