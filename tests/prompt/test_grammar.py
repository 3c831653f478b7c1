"""The prompt line: what people paste, what they mistype, and what nobody should be able to break."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import Settings
from bot.errors import BadInput
from bot.ledger.limits import default_terms
from bot.orders.drafts import resolve
from bot.prompt.parser import MAX_JOBS, Draft, count, echo, merge, parse, plain
from bot.prompt.spec import Spec
from engine.api.model_info import ModelInfo
from engine.tasks.txt2img import MAX_SEED

MINI = ModelInfo(
    key="mini", family="sd1", width=128, height=128, num_inference_steps=20, guidance_scale=5.0, scheduler="euler"
)
OTHER = ModelInfo(
    key="my sdxl", family="sdxl", width=1024, height=1024, num_inference_steps=30, guidance_scale=7.0, scheduler="ddim"
)
TERMS = default_terms(Settings(_env_file=None))  # type: ignore[call-arg]


def one(line: str, options: Draft | None = None) -> Draft:
    (draft,) = parse(line, options)
    return draft


def refusal(line: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse(line)
    return str(caught.value)


# ---------------------------------------------------------------- flags
def test_every_flag_is_read() -> None:
    line = (
        "a red boat --ar 3:2 --seed 7 --steps 30 --cfg 7.5 --scheduler DPM++ 2M Karras --model mini --strength 0.4 "
        "--tile --n 2 --best 6 --vary 1:0.15 --vary 2:0.5 --no text, fog"
    )
    assert one(line) == Draft(
        prompt="a red boat",
        negative_prompt="text, fog",
        aspect_ratio=(3.0, 2.0),
        num_inference_steps=30,
        guidance_scale=7.5,
        scheduler="DPM++ 2M Karras",
        seed=7,
        model="mini",
        strength=0.4,
        tiling=True,
        num_images=2,
        best_of=6,
        variations=((1, 0.15), (2, 0.5)),
    )


@pytest.mark.parametrize(
    "line",
    [
        "a red boat --ar 3:2",
        "--ar 3:2 a red boat",
        "a red --ar 3:2 boat",
        "a red boat —ar 3:2",
        "a red boat –ar 3:2",
        "a red boat --AR 3:2",
        "a red boat --ar=3:2",
        "a red boat --aspect 3:2,",
        "a red boat --ar 1:1 --ar 3:2",
        "a red boat --size 512 --ar 3:2",
        'a red boat --ar "3:2"',
        "  a   red\nboat\t--ar  3:2 ",
    ],
)
def test_ways_to_say_the_same(line: str) -> None:
    assert one(line) == Draft(prompt="a red boat", aspect_ratio=(3.0, 2.0))


def test_a_size_replaces_a_ratio_and_one_number_is_a_square() -> None:
    assert one("a --ar 3:2 --size 512x768") == Draft(prompt="a", width=512, height=768)
    assert one("a --size 512") == Draft(prompt="a", width=512, height=512)


def test_negatives_add_up_and_quotes_end_them() -> None:
    assert one('a --no text --no "fog --thick" boat').negative_prompt == "text, fog --thick"
    assert one('a --no "fog" boat').prompt == "a boat"


@pytest.mark.parametrize(
    "line",
    [
        "well--known boats of 1990—today",
        "a boat — red, or -- blue",
        "((boat)) [sail] (sea:1.3) BREAK \\(literal\\)",
        "<lora:boats:0.8> [red] (blue) \\[a|b\\] ROCK AND ROLL snake__case__here",
        "a cat –no, a tiger– in the rain",
        "un barco —rojo y viejo— en el mar",
        "une maison –no idea– au bord de l'eau",
        "the seed --no, the tree-- of life",
        "eine Katze —seed— im Regen",
        "std::vector as a boat",
        "it's 5\" tall, “so to say”",
        "船と月 🚣‍♀️ مركب",
    ],
)
def test_what_passes_untouched(line: str) -> None:
    assert one(line) == Draft(prompt=line)


def test_escapes_keep_dashes_and_braces() -> None:
    assert one(r"a \--sale at \{home\}").prompt == "a --sale at {home}"
    assert [draft.prompt for draft in parse(r"{a\, b, c}")] == ["a, b", "c"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a --sedd 5", "Did you mean --seed?"),
        ("a --stepz 5", "'--stepz'"),
        ("a --ar3:2", "Did you mean --ar?"),
        ("a --cref 5", "reference"),
        ("a --sref https://example.com/x.png", "a message's link"),
        ("a --video", "still"),
        ("a --seed", "--seed needs a value: a whole number from 0 to 4,294,967,295"),
        ("a --seed -2", "not '-2'"),
        ("a --seed 4294967296", "0 to 4,294,967,295"),
        ("a --seed ٣", "--seed"),
        ("a --steps 0", "1 to 150"),
        ("a --steps 20.5", "--steps"),
        ("a --steps 20 30", "not '20 30'"),
        ("a --cfg nan", "0 to 30"),
        ("a --cfg 1e3", "0 to 30"),
        ("a --cfg 31", "0 to 30"),
        ("a --strength 0", "0.01 to 1"),
        ("a --ar 5:1", "1:4 to 4:1"),
        ("a --ar 0:1", "3:2"),
        ("a --ar 3", "3:2"),
        ("a --ar 1:2:3", "3:2"),
        ("a --size 10", "64 to 4,096"),
        ("a --size 512x", "768x512"),
        ("a --size 1x2x3", "768x512"),
        ("a --repeat 17", "1 to 16"),
        ("a --n 5", "1 to 4"),
        ("a --best 17", "1 to 16"),
        ("a --vary 1", "123:0.15"),
        ("a --vary 1:2", "123:0.15"),
        ("a --no", "--no needs a value"),
        ('a --no "fog', "closed"),
        ("hot::-1", "weight below zero"),
        ("", "nothing to paint"),
        (" \u200b\u202e ", "nothing to paint"),
        ("--seed 5", "nothing to paint"),
        ("{a, }", "nothing to paint"),
        ("x" * 4001, "limit is 4,000"),
        ("x" * 20_000, "20,000 characters"),
        ("a --no " + "x" * 1001, "limit is 1,000"),
        ("a {b", "no } to close"),
        ("a } b", "no { before"),
        ("{" * 50 + "}" * 50, "nested more than 8"),
    ],
)
def test_refusals_name_what_is_wrong(line: str, says: str) -> None:
    assert says in refusal(line)


def test_a_refusal_repeats_no_markup() -> None:
    sentence = refusal("a --seed @everyone<@1>**x**`y`https://z")
    assert not set("@<>*`") & set(sentence)


# ---------------------------------------------------------------- permutations and repeats
def test_permutations_nest_and_reach_into_flags() -> None:
    prompts = [draft.prompt for draft in parse("a {red, {light, dark} blue} boat")]
    assert prompts == ["a red boat", "a light blue boat", "a dark blue boat"]
    assert [draft.aspect_ratio for draft in parse("a --ar {1:1, 3:2}")] == [(1.0, 1.0), (3.0, 2.0)]


def test_repeats_move_a_fixed_seed_on() -> None:
    assert [draft.seed for draft in parse("a --seed 7 --repeat 3")] == [7, 11, 15]
    assert [draft.seed for draft in parse("a --repeat 2")] == [None, None]
    assert parse("a --repeat 2", Draft(seed=MAX_SEED))[1].seed == 3
    assert len(parse("a {b, c} --repeat 3")) == 6


@pytest.mark.parametrize(
    ("line", "jobs"),
    [("a", 1), ("{a,b}", 2), ("{a,b}{c,d,e}", 6), ("{a,{b,c}}", 3), ("{a}", 1), ("{a,b} --repeat 3", 6)],
)
def test_counting(line: str, jobs: int) -> None:
    assert count(line) == jobs == len(parse(line))


def test_too_many_jobs_are_counted_not_made() -> None:
    assert "17 jobs" in refusal("{" + ",".join("abcdefghijklmnopq") + "}")
    assert "18 jobs" in refusal("{a,b} --repeat 9")
    began = time.process_time()
    assert "more than 1,000,000 jobs" in refusal("{a,b}" * 800)
    assert time.process_time() - began < 0.5


# ---------------------------------------------------------------- options and flags are equal
def test_flags_are_laid_over_options() -> None:
    options = Draft(negative_prompt="fog", aspect_ratio=(1.0, 1.0), seed=3, num_inference_steps=10)
    assert one("a --size 256 --no text --seed 4", options) == Draft(
        prompt="a", negative_prompt="fog, text", width=256, height=256, seed=4, num_inference_steps=10
    )
    assert merge(options, Draft(prompt="a")) == Draft(
        prompt="a", negative_prompt="fog", aspect_ratio=(1.0, 1.0), seed=3, num_inference_steps=10
    )


# ---------------------------------------------------------------- the echoed line
def again(line: str, options: Draft | None = None) -> tuple[Spec, Spec, str]:
    """The spec of a line, the spec of its echo, and the echo."""
    spec = resolve(one(line, options), (MINI, OTHER), TERMS, 99)
    info = MINI if spec.model == "mini" else OTHER
    echoed = echo(spec, info, default_model="mini")
    return spec, resolve(one(echoed), (MINI, OTHER), TERMS, 1), echoed


def test_the_echo_is_short() -> None:
    assert again("a red boat --seed 7 --steps 20 --ar 1:1")[2] == "a red boat --seed 7"


@pytest.mark.parametrize(
    "line",
    [
        'a --model "my sdxl"',
        r"\--sale \—ar \{a, b\} \\, \\{ \\\} (x:1.3)",
        r'a --no \"quoted" fog, \--x \{y\} --tile',
        "a --vary 5:0.15 --vary 6:0.5 --cfg 3.25 --size 500x300 --n 1 --scheduler euler a",
    ],
)
def test_the_echo_gives_the_same_job(line: str) -> None:
    spec, repeated, _ = again(line)
    assert repeated == spec


WORDS = st.text(alphabet=st.sampled_from("ab {},\\-—–\"“':x19[]()<>|#@"), max_size=30)


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS, st.integers(0, MAX_SEED), st.floats(0, 30), st.integers(64, 1024), st.booleans())
def test_any_words_survive_the_echo(prompt: str, negative: str, seed: int, cfg: float, side: int, tile: bool) -> None:
    options = Draft(seed=seed, guidance_scale=cfg, width=side, height=side, tiling=tile, negative_prompt=negative)
    try:
        draft = one(prompt + " end", options)
    except (BadInput, ValueError):  # refused, or several jobs
        return
    spec = resolve(draft, (MINI,), TERMS, 0)
    assert resolve(one(echo(spec, MINI)), (MINI,), TERMS, 1) == spec


SCRIPTS = {
    "latin": "aéßñ —–\"“”«»¿¡'’,;:.",
    "cyrillic": "яжё —–«»„“,.;:№",
    "greek": "λόγος —–«»·;,.",
    "arabic": "مركب،؛؟ —\u200c",
    "hebrew": "סירה־״׳ —,.",
    "devanagari": "नाव।॥ –,\u200d",
    "han": "船。、，：；！？「」（）——…　",
    "kana": "ふねフネー・〜。、「」　",
    "hangul": "배달 ·,.~『』",
    "thai": "เรือฯๆ –,.",
}


@pytest.mark.parametrize("script", SCRIPTS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_script_survives_the_echo(script: str, data: st.DataObject) -> None:
    words = st.text(alphabet=st.sampled_from(SCRIPTS[script] + "－-{}|__no "), max_size=30)
    prompt, negative = data.draw(words), data.draw(words)
    try:
        draft = one(prompt + " end", Draft(negative_prompt=negative))
    except (BadInput, ValueError):  # refused, or several jobs
        return
    spec = resolve(draft, (MINI,), TERMS, 0)
    assert resolve(one(echo(spec, MINI)), (MINI,), TERMS, 1) == spec


# ---------------------------------------------------------------- hostile lines
HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(
            ["--", "--seed", "--no", "—ar", "{", "}", ",", "\\", '"', "::", "[", "\x00", "\ud800", "99999"]
        ),
        st.sampled_from(["--size 1x", "--cfg .", "--vary :", "--repeat 16 ", "\u202e", "a" * 500, "{a,b}", " ", "="]),
    ),
    max_size=30,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_only_bad_input_is_ever_raised(line: str) -> None:
    sentence, drafts = "", []
    try:
        drafts = parse(line)
    except BadInput as refused:
        sentence = str(refused)
    assert 1 <= len(drafts) <= MAX_JOBS if not sentence else 10 < len(sentence) < 400
    assert all(draft.prompt for draft in drafts)
    sentence.encode()


@pytest.mark.parametrize("part", ["--", "{", "{a,", "\\", "-- --seed", '--no "', "::", "[", "\\-", "—", "a ", "\u0301"])
def test_the_longest_lines_take_no_time(part: str) -> None:
    began = time.process_time()
    with suppress(BadInput):
        parse((part * 12_000)[:12_000])
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("prompt", ["a {b, c}", r"--sale \{x\} \--y", "—dash, \\, comma", "x"])
def test_plain_words_filled_into_a_form_come_back_as_they_were(prompt: str) -> None:
    assert one(plain(prompt)).prompt == prompt
