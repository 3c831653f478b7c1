"""What a member wrote, shown: nothing pings, links, formats or hides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.prompt.text import block, is_blank, quoted, shown, visible

MARKUP = set("*_~`|<>[]()#:/.@\\-{}")


@given(st.text(max_size=60))
def test_every_mark_is_escaped(text: str) -> None:
    out = shown(text)
    at = 0
    while at < len(out):
        assert out[at] not in MARKUP or out[at] == "\\"
        at += 2 if out[at] == "\\" else 1
    assert "\n" not in out


@pytest.mark.parametrize(
    "text", ["@everyone", "@here", "<@123>", "<@&123>", "https://x.y", "discord.gg/abc", "<t:1:R>"]
)
def test_nothing_pings_or_links_even_in_the_raw_text(text: str) -> None:
    assert text not in shown(text)


@given(st.text(max_size=200), st.integers(10, 80))
def test_the_limit_holds_and_no_escape_is_cut(text: str, limit: int) -> None:
    out = shown(text, limit)
    assert len(out) <= limit
    assert (len(out) - len(out.rstrip("\\"))) % 2 == 0
    assert len(block(text, limit)) <= limit


@given(st.text(alphabet="`ab\n\u200b", max_size=60))
def test_a_block_cannot_be_left(text: str) -> None:
    body = block(text).removeprefix("```\n").removesuffix("\n```")
    assert "``" not in body
    assert "\n" not in body


@given(st.text(max_size=80))
def test_visible_is_idempotent_and_writable(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    once.encode()


def test_what_hides_is_removed_and_what_joins_stays() -> None:
    assert visible("a\u202eb\u2066c\u200bd\ufeffe\x00f\ud800g\u00adh\U000e0041i") == "abcdefghi"
    assert visible("🚣‍♀️ می‌خواهم") == "🚣‍♀️ می‌خواهم"
    assert visible("a" + "\u0301" * 50) == "a" + "\u0301" * 4


def test_blank_is_what_leaves_no_ink() -> None:
    assert is_blank(" \u200d\u0301")
    assert not is_blank(".")
    assert not is_blank("月")


def test_a_quoted_word_is_harmless_and_short() -> None:
    assert quoted("@everyone `x` <@1>") == "'·everyone ·x· ··1·'"
    assert len(quoted("x" * 500)) == 42
