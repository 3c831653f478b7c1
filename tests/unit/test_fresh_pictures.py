"""Pixels of what was stored a moment ago are kept for who shows them first, and no longer."""

from __future__ import annotations

from PIL import Image

from bot.jobs.files import FreshPictures, all_of_job


def picture(side: int = 10) -> Image.Image:
    return Image.new("RGB", (side, side))


def test_a_picture_is_there_once() -> None:
    fresh, kept = FreshPictures(), picture()
    fresh.keep("0000/1-0.png", kept)
    assert fresh.take("0000/1-0.png") is kept
    assert fresh.take("0000/1-0.png") is None


def test_the_oldest_make_room() -> None:
    fresh = FreshPictures(most_bytes=2 * 300)
    for name in "abc":
        fresh.keep(name, picture())
    assert [fresh.take(name) is not None for name in "abc"] == [False, True, True]
    fresh.keep("large", picture(100))
    assert fresh.take("large") is None


def test_what_is_deleted_is_not_kept() -> None:
    fresh = FreshPictures()
    for name in ("0000/1-0.png", "0000/1-1.png", "0000/11-0.png"):
        fresh.keep(name, picture())
    fresh.drop("0000/11-0.png")
    fresh.drop(all_of_job(1))
    assert [fresh.take(name) for name in ("0000/1-0.png", "0000/1-1.png", "0000/11-0.png")] == [None] * 3
