"""A small language model that writes prompts: a longer one, one in English, or an instruction out of a conversation.

Its words are a proposal: whoever asked reads and changes them first. Nothing leaves the machine.
"""

from __future__ import annotations

from pathlib import Path

import torch
import transformers

from engine.api.rewriting import Aim
from engine.models.files import parts
from engine.vision.loading import Reader

TOKENS = 120  # a long prompt
TOLD: dict[Aim, str] = {
    "expand": (
        "Write one longer prompt for a text-to-image model from the user's words. Keep all that they name, add light, "
        "surroundings and style in plain words. Answer with the prompt alone, in one paragraph."
    ),
    "translate": (
        "Translate the user's words into English as a prompt for a text-to-image model. Add and omit nothing. "
        "Answer with the translation alone."
    ),
    "instruct": (
        "The user's words are a conversation about a picture. Say in one short English sentence, as an instruction, "
        "what should change in the picture, such as: make the boat blue. Answer with the instruction alone."
    ),
}


def helper(location: str, device: torch.device) -> Reader:
    """An instruct model of transformers, from its folder: safetensors only, never code of its own."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    model = parts.load(Path(location).name, transformers.AutoModelForCausalLM, location, dtype=dtype)
    words = transformers.AutoTokenizer.from_pretrained(location, local_files_only=True)
    return Reader(model=model.eval().to(device), pictures=None, words=words, device=device)


@torch.inference_mode()
def rewritten(mind: Reader, text: str, aim: Aim) -> str:
    """What the model writes of a text: the likeliest words, so the same text gives the same; one paragraph."""
    said = [{"role": "system", "content": TOLD[aim]}, {"role": "user", "content": text}]
    if mind.words.chat_template:
        asked = mind.words.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    else:
        asked = f"{TOLD[aim]}\n\n{text}\n\n"
    read = mind.words(asked, return_tensors="pt", add_special_tokens=not mind.words.chat_template)
    ids = read["input_ids"].to(mind.device)
    mask = torch.ones_like(ids)
    end = mind.model.generation_config.pad_token_id or mind.words.pad_token_id or mind.words.eos_token_id
    wrote = mind.model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=TOKENS, pad_token_id=end)
    return tidy(mind.words.decode(wrote[0, ids.shape[1] :], skip_special_tokens=True))


def tidy(text: str) -> str:
    """Its first paragraph in one line, without quotation marks around it."""
    first = next((part for part in text.strip().split("\n\n") if part.strip()), "")
    return " ".join(first.split()).strip("\"'“”`* ")
