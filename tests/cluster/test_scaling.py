"""How many workers there should be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from bot.features.workers.cluster import scaling
from bot.features.workers.cluster.scaling import Load, Scaling


def test_a_worker_more_at_once_and_fewer_only_after_a_while() -> None:
    wanted = Scaling(0, 5).wanted
    assert wanted(Load(jobs=0, work_s=0, known=1), 0) == 0
    assert wanted(Load(jobs=1, work_s=0.1, known=1), 1) == 1
    assert wanted(Load(jobs=9, work_s=95, known=1), 2) == 4
    assert wanted(Load(jobs=3, work_s=1e6, known=1), 3) == 4
    assert wanted(Load(jobs=0, work_s=0, known=1), 2 + scaling.KEPT_S) == 4
    assert wanted(Load(jobs=0, work_s=0, known=1), 3.5 + scaling.KEPT_S) == 0
    assert wanted(Load(jobs=0, work_s=0, known=0), 9 + scaling.KEPT_S) == 1  # else nobody could ask for anything
    assert Scaling(2, 5).wanted(Load(jobs=0, work_s=0, known=1), 0) == 2
    assert Scaling(0, 5).wanted(Load(jobs=99, work_s=1e9, known=1), 0) == 5


@given(some.lists(some.tuples(some.floats(0, 200), some.integers(0, 30), some.floats(0, 2000))))
def test_what_is_wanted_is_the_most_that_was_needed_lately(evening: list[tuple[float, int, float]]) -> None:
    keeping, now_s, needed = Scaling(0, 1000), 0.0, list[tuple[float, int]]()
    for pause_s, jobs, work_s in evening:
        now_s += pause_s
        load = Load(jobs=jobs, work_s=work_s, known=1)
        needed.append((now_s, Scaling(0, 1000).wanted(load, now_s)))
        lately = [count for at_s, count in needed if at_s >= now_s - scaling.KEPT_S]
        assert keeping.wanted(load, now_s) == max(lately)
