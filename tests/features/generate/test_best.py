"""--best: many are painted, the best are kept, and each kept picture is its own."""

from __future__ import annotations

from bot.demo.simulation import Stage
from engine import fake
from tests.e2e.screen import buttons, paint, picture, press, words

SEED, MANY = 100, 8
BEST = sorted(range(SEED, SEED + MANY), key=fake.score, reverse=True)[:4]


async def test_the_best_four_are_shown_best_first_and_all_are_paid_for(studio: Stage) -> None:
    message = await paint(studio, f"a red boat --best {MANY} --seed {SEED}")
    assert list(buttons(message))[:5] == ["U1", "U2", "U3", "U4", "🔄"]
    assert "best 8" in words(message)
    balance = await studio.app.credits.balance(studio.members["Ann"].id, studio.guild.id)
    assert balance.free_mc == studio.settings.credits_a_day * 1000 - MANY * 1000


async def test_a_kept_pictures_line_and_neighbours_start_from_its_own_seed(studio: Stage) -> None:
    message = await paint(studio, f"a red boat --best {MANY} --seed {SEED}")
    await studio.restart()
    alone = (await press(studio, message, "U2")).response
    assert f"seed **{BEST[1]}**" in (await press(studio, alone, "Seed")).response.content
    assert "best" not in words(alone)
    info = studio.engine.models()[0]
    assert picture(studio, alone).tobytes() == fake.paint(BEST[1], info.width, info.height).tobytes()
    neighbours = (await press(studio, message, "V2")).response
    job, _ = await studio.app.jobs.image(int(buttons(neighbours)["U1"].split(":")[2]))
    assert (job.spec.seed, job.spec.best_of) == (BEST[1], None)


async def test_the_seed_line_gives_the_same_best_again(studio: Stage) -> None:
    message = await paint(studio, f"a red boat --best {MANY} --seed {SEED}")
    text = (await press(studio, message, "Seed")).response.content
    again = await paint(studio, text.split("```\n")[1].removesuffix("\n").splitlines()[0])
    assert picture(studio, again).tobytes() == picture(studio, message).tobytes()
