"""How long short and long jobs take against first come, first served, on a device in virtual time.

    python -m benchmarks.fairness [EVENINGS]

Four of five jobs are short and the fifth is ten times as long, at a load of 0.9. Each line: the p95 of the long and of
the short ones as parts of what they are in order of arrival, over all evenings, and the middle half of single ones.

What short jobs gain, long ones lose (Kleinrock's conservation law: waits by share of the work add up to the same). Here
the long ones are 5/7 of the work, so where all wait much longer than their own length, each tenth that long ones wait
longer buys a quarter for the short ones: at 1.2 they wait half. A third comes of evenings whose queues are shorter.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Sequence

from tests.engine.fairness.test_fair_share import LONG, SHORT, p95, poisson
from tests.engine.fairness.virtual_device import Ask, Device

COUNTS = (60, 100, 400)  # jobs an evening


def evening(seed: int, count: int) -> tuple[list[Ask], list[Ask]]:
    """The same jobs, served fairly and in order of arrival."""
    fair, first_come = (
        Device(first_come=mode).serve(poisson(seed, count=count), random.Random(), jobs=count) for mode in (False, True)
    )
    return fair, first_come


def ratios(evenings: Sequence[tuple[list[Ask], list[Ask]]], length: int) -> str:
    """Of all evenings together, and the quartiles of one at a time."""
    fair, first_come = ([job for each in evenings for job in each[mode]] for mode in (0, 1))
    single = [p95(one, length) / p95(other, length) for one, other in evenings]
    low, _, high = statistics.quantiles(single, n=4)
    return f"{p95(fair, length) / p95(first_come, length):.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """A line for each number of jobs."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for jobs in COUNTS:
        evenings = [evening(seed, jobs) for seed in range(count)]
        print(f"{jobs} jobs: long {ratios(evenings, LONG)}, short {ratios(evenings, SHORT)} of first come", flush=True)


if __name__ == "__main__":
    main()
