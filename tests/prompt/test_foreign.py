"""Prompt lines of people who come from Midjourney and A1111, and random choices."""

from __future__ import annotations

from random import Random

import pytest

from bot.errors import BadInput
from bot.orders.drafts import resolve
from bot.prompt.parser import Draft, echo, parse
from engine.tasks.pictures import StoredPicture
from engine.tasks.upscale import Upscale
from tests.prompt.test_grammar import MINI, TERMS, one


@pytest.mark.parametrize(
    "line",
    [
        "a red boat --ar 3：2",
        "a red boat －－ａｒ ３：２",
        "a red boat --ar 3:2 --v 7 --q 1 --fast --style raw",
        "a red boat --ar 3:2 --s 250 --weird 100 --p abc123 --stop 80 --hd --niji 6",
        "--v 7 a red boat --ar 3:2",
    ],
)
def test_what_midjourneys_members_type(line: str) -> None:
    draft = one(line)
    assert (draft.prompt, draft.aspect_ratio) == ("a red boat", (3.0, 2.0))


def test_what_has_no_counterpart_is_said() -> None:
    notes = one("a boat --v 7 --v 6 --style raw").notes or ()
    assert [note.split("`")[1] for note in notes] == ["--v", "--style raw"]
    assert "`--v`" in resolve(one("a boat --v 7"), (MINI,), TERMS, 1).note


def test_what_has_a_counterpart_does_it() -> None:
    assert one("a --iw 1", Draft(seed=1)).strength == 0.5
    assert one("a --stealth").private is True
    assert resolve(one("a --q 2"), (MINI,), TERMS, 1).num_inference_steps == 40
    odd = resolve(one("a --weird 1500 --stop 50"), (MINI,), TERMS, 1)
    assert (odd.request.weird, odd.request.stop_at, odd.calls_run) == (0.5, 0.5, 10)
    assert resolve(one(echo(odd, MINI)), (MINI,), TERMS, 2) == odd.evolve(seed=1)
    board = resolve(one("a --draft"), (MINI,), TERMS, 1)
    assert (board.num_inference_steps, board.num_images, board.width, board.height) == (10, 12, 96, 96)
    assert resolve(one("a --draft --n 2"), (MINI,), TERMS, 1).num_images == 2
    near = resolve(one("a --chaos 10 --seed 5"), (MINI,), TERMS, 1)
    assert (near.seed, [share for _, share in near.variations]) == (5, [0.19])
    assert resolve(one("a --chaos 100"), (MINI,), TERMS, 1).variations == ()


def test_chaos_is_not_left_out_unsaid() -> None:
    larger = Upscale(init_image=StoredPicture(sha256="ab" * 32, size=(128, 128)))
    assert "`--chaos`" in resolve(one("a --chaos 10"), (MINI,), TERMS, 1, larger).note


@pytest.mark.parametrize("value", ["-1", "random", "Random"])
def test_a_seed_may_be_left_to_chance(value: str) -> None:
    assert one(f"a --seed {value}", Draft(seed=7)).seed is None


def test_a_decimal_comma_is_read() -> None:
    assert one("a --cfg 7,5 --strength 0,4") == Draft(prompt="a", guidance_scale=7.5, strength=0.4)


@pytest.mark.parametrize(
    ("line", "prompt", "negative"),
    [
        ("hot:: dog", "hot, dog", None),
        ("hot::2 dog", "(hot:1.33), (dog:0.67)", None),
        ("a boat::3 sea::1 birds::-0.5", "(a boat:1.5), (sea:0.5)", "birds"),
        ("std::vector", "std::vector", None),
    ],
)
def test_weights_of_parts(line: str, prompt: str, negative: str | None) -> None:
    assert (one(line).prompt, one(line).negative_prompt) == (prompt, negative)


@pytest.mark.parametrize(
    ("line", "without", "instead"),
    [
        ("a boat --sedd 5 --ar 3:2", "a boat --ar 3:2", "a boat --seed 5 --ar 3:2"),
        ("a boat --cref 123 --ar 3:2", "a boat --ar 3:2", None),
        ("a {red, blue} boat --cfg 99", "a {red, blue} boat", None),
        ("a --colour boat at sea", "a boat at sea", None),
        ("a <hypernet:ink:1> boat --seed 3", "a boat --seed 3", None),
    ],
)
def test_a_refusal_knows_the_lines_that_work(line: str, without: str, instead: str | None) -> None:
    with pytest.raises(BadInput) as caught:
        parse(line)
    assert (caught.value.without, caught.value.instead) == (without, instead)
    for works in filter(None, (without, instead)):
        parse(works)


# ---------------------------------------------------------------- random choices
def drawn(line: str, seed: int = 0) -> list[str]:
    return [draft.prompt for draft in parse(line, rng=Random(seed))]


def test_a_random_choice_takes_one() -> None:
    assert {drawn("a {red|light blue, green} boat", seed)[0] for seed in range(20)} == {
        "a red boat",
        "a light blue, green boat",
    }
    assert {drawn("{5::red|0::blue}", seed)[0] for seed in range(20)} == {"red"}
    assert {drawn("{a|{b|c}}", seed)[0] for seed in range(40)} == {"a", "b", "c"}
    assert len({drawn("{2$$red|blue|green}", seed)[0] for seed in range(60)}) == 6
    assert {drawn("{1-2$$ and $$a|b}", seed)[0] for seed in range(40)} == {"a", "b", "a and b", "b and a"}


def test_every_job_has_its_own_draw() -> None:
    assert len(set(drawn("{a|b|c|d|e|f|g|h} --repeat 16"))) > 3
    prompts = drawn("{1, 2} {a|b|c|d|e|f|g|h}")
    assert [prompt[0] for prompt in prompts] == ["1", "2"]
    assert [draft.seed for draft in parse("{a|b} --repeat 2 --seed 4")] == [4, 8]


def test_a_bar_is_plain_outside_of_braces_and_after_a_backslash() -> None:
    assert drawn("a | b") == ["a | b"]
    assert drawn(r"{a\|b, c}") == ["a|b", "c"]
