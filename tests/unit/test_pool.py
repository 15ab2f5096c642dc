"""The pool with workers that die, fail and answer in any order.

It does each unit of work once, and reports what it cannot do.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.workers.pool import Phase, Pool, WorkersError
from sosmooth.workers.share import Executed, Lost, Raised, Ready, Refused


@dataclass(frozen=True)
class Number:
    """A unit of work whose result is its number."""

    number: int
    batch_size = None

    @property
    def indices(self):
        return [self.number]


class Chance:
    """Workers in this process, to which anything may happen.

    Args:
        number: Of workers; one that dies is replaced.
        draw: Decides whose turn it is and what happens.
        deaths: How many workers may die.
        failures: How many units of work may fail.
        fatal: Units of work that kill their worker.
        failing: Units of work that fail.
    """

    seconds = 0.5  # that a unit of work takes, according to the workers

    def __init__(self, number, draw, deaths=0, failures=0, fatal=(), failing=()):
        self.draw, self.deaths, self.failures, self.fatal, self.failing = (
            draw,
            deaths,
            failures,
            fatal,
            failing,
        )
        self.ready, self.asked, self.begun, self.closed = [], {}, 0, False
        for _ in range(number):
            self._begin()

    def _begin(self):
        self.ready.append(self.begun)
        self.begun += 1

    def send(self, worker, ticket, share):
        assert len(self.asked[worker]) < 2
        self.asked[worker].append((ticket, share))

    def answers(self, timeout):
        if self.ready and (not any(self.asked.values()) or self.draw(2)):
            worker = self.ready.pop()
            self.asked[worker] = []
            return [(worker, None, Ready())]
        busy = [worker for worker, shares in self.asked.items() if shares]
        worker = busy[self.draw(len(busy))]
        ticket, share = self.asked[worker][0]
        if share.number in self.fatal or (self.deaths > 0 and self.draw(3) == 0):
            self.deaths -= 1
            del self.asked[worker]
            self._begin()
            return [(worker, None, Lost("its process was ended by SIGKILL"))]
        del self.asked[worker][0]
        if share.number in self.failing or (self.failures > 0 and self.draw(3) == 0):
            self.failures -= 1
            return [(worker, ticket, Raised("out of ideas", by_classifier=True))]
        return [(worker, ticket, Executed(share.number, 10, self.seconds))]

    def close(self):
        self.closed = True


def job(numbers):
    """Two phases with a barrier between them; of the second only the sum."""
    first, second = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
    answers = yield Phase([Number(number) for number in first])
    assert [answer.result for answer in answers] == first
    answers = yield Phase([Number(number) for number in second], added=True)
    assert [answer.result for answer in answers] == ([sum(second)] if second else [])
    return [numbers]


def jobs(sizes):
    start = 0
    for size in sizes:
        yield job(list(range(start, start + size)))
        start += size


@given(
    st.integers(1, 5),
    st.lists(st.integers(0, 9), max_size=8),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 2**32),
)
def test_each_share_is_done_once_whoever_dies(number, sizes, deaths, failures, seed):
    progress = []
    workers = Chance(number, random.Random(seed).randrange, deaths, failures)
    with Pool(workers) as pool:
        for _ in range(2):
            found = list(pool.run(jobs(sizes), progress.append))
            assert sorted(number for numbers in found for number in numbers) == list(
                range(sum(sizes))
            )
            assert sorted(map(len, found)) == sorted(sizes)
    assert sum(progress) == 2 * 10 * sum(sizes)
    assert workers.closed


@pytest.mark.parametrize("number", [1, 3])
def test_a_share_that_fails_everywhere(number):
    with (
        Pool(Chance(number, random.Random(0).randrange, failing=[3])) as pool,
        pytest.raises(
            ClassifierError,
            match="the classifier failed on every worker that tried input 3: out of ideas",
        ),
    ):
        list(pool.run(jobs([6])))


def test_a_failure_is_tried_again_by_another_worker():
    tried = []

    class Remembering(Chance):
        def answers(self, timeout):
            found = super().answers(timeout)
            tried.extend(worker for worker, _, answer in found if isinstance(answer, Raised))
            return found

    workers = Remembering(4, random.Random(1).randrange)
    with Pool(workers) as pool:
        list(pool.run(jobs([60])))
        workers.failing = [0]
        with pytest.raises(ClassifierError):
            list(pool.run(jobs([8])))
    assert len(set(tried)) == 2


def test_a_share_that_workers_die_of():
    with (
        Pool(Chance(2, random.Random(0).randrange, fatal=[3])) as pool,
        pytest.raises(
            WorkersError,
            match=r"3 workers ended while they sampled input 3 \(the last: .* SIGKILL\)",
        ),
    ):
        list(pool.run(jobs([6])))


class Stopped(Chance):
    """Workers that stop for a while, or for ever, with their unit of work.

    Args:
        number: Of workers; one that dies is replaced.
        draw: Decides whose turn it is and what happens.
        stops: How many times a worker may stop.
        wake: Whether any of them continues.
    """

    seconds = 0.0001

    def __init__(self, number, draw, stops, wake=True, **changes):
        super().__init__(number, draw, **changes)
        self.stops, self.wake, self.stopped = stops, wake, {}

    def send(self, worker, ticket, share):
        if worker in self.stopped:
            self.stopped[worker].append((ticket, share))
        else:
            super().send(worker, ticket, share)

    def answers(self, timeout):
        busy = [worker for worker, shares in self.asked.items() if shares]
        if busy and self.stops and self.draw(3) == 0:
            self.stops -= 1
            worker = busy[self.draw(len(busy))]
            self.stopped[worker] = self.asked.pop(worker)
        if self.wake and self.stopped and self.draw(4) == 0:
            worker = list(self.stopped)[self.draw(len(self.stopped))]
            self.asked[worker] = self.stopped.pop(worker)
        if self.ready or any(self.asked.values()):
            return super().answers(timeout)
        time.sleep(timeout)
        return []

    def add(self):
        self._begin()

    def name(self, worker):
        return f"worker {worker}"


@given(
    st.integers(1, 4),
    st.lists(st.integers(0, 6), max_size=5),
    st.integers(0, 4),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 2**32),
)
@settings(max_examples=60)
def test_each_share_counts_once_whoever_stops(number, sizes, stops, deaths, wake, seed):
    progress = []
    workers = Stopped(number, random.Random(seed).randrange, stops, wake, deaths=deaths)
    with Pool(workers, patience=0.01) as pool:
        found = list(pool.run(jobs(sizes), progress.append))
    assert sorted(number for numbers in found for number in numbers) == list(range(sum(sizes)))
    assert sum(progress) == 10 * sum(sizes)


def test_a_worker_that_stops_is_named_once_and_its_input_too():
    lines = []
    workers = Stopped(2, random.Random(0).randrange, stops=1, wake=False)
    with Pool(workers, patience=0.01, notice=lines.append) as pool:
        assert list(pool.run(jobs([40])))
    (line,) = lines
    assert re.fullmatch(
        r"worker [01] has not answered for \d+(\.\d+)? s \(input \d+\): its unit of work goes to"
        r" another worker; check whether it is stopped, or what it waits for",
        line,
    )


def test_slow_shares_are_not_taken_for_stopped_ones():
    """All of them take equally long: the pool waits ten times that, whatever its patience."""

    class Slow(Chance):
        slow = False

        def answers(self, timeout):
            if self.slow and self.draw(8):
                time.sleep(timeout)
                return []
            return super().answers(timeout)

    lines = []
    workers = Slow(2, random.Random(0).randrange)
    with Pool(workers, patience=0.02, notice=lines.append) as pool:
        list(pool.run(jobs([2])))
        workers.slow = True
        list(pool.run(jobs([20])))
    assert not lines


class Probing(Chance):
    """The first unit of work, `-1`, is a probe; worker `other` answers it differently."""

    def __init__(self, *arguments, other=None, **changes):
        super().__init__(*arguments, **changes)
        self.other, self.log = other, []

    def send(self, worker, ticket, share):
        self.log.append((worker, share.number))
        super().send(worker, ticket, share)

    def answers(self, timeout) -> list:
        return [
            (worker, ticket, Executed(worker, 0, 0.1))
            if isinstance(answer, Executed) and answer.result < 0
            else (worker, ticket, answer)
            for worker, ticket, answer in super().answers(timeout)
        ]


@given(st.integers(1, 4), st.integers(0, 2), st.integers(0, 2**32))
def test_no_worker_gets_a_share_before_it_is_admitted(number, deaths, seed):
    admitted = []
    workers = Probing(number, random.Random(seed).randrange, deaths=deaths)
    with Pool(workers) as pool:
        for _ in range(2):
            pool.admit(Number(-1), admitted.append)
            assert len(list(pool.run(jobs([9])))) == 1
    asked = {}
    for worker, share in workers.log:
        asked.setdefault(worker, []).append(share)
    assert all(shares[0] == -1 and shares.count(-1) <= 2 for shares in asked.values())
    assert set(admitted) <= set(asked)


def test_a_worker_that_is_not_accepted_does_nothing():
    def accept(worker):
        if worker == 0:
            raise WorkersError("other weights")

    workers = Probing(2, random.Random(3).randrange)
    with Pool(workers) as pool:
        pool.admit(Number(-1), accept)
        with pytest.raises(WorkersError, match=r"^other weights$"):
            list(pool.run(jobs([60])))
    assert [share for worker, share in workers.log if worker == 0] == [-1]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"failing": [-1]}, ClassifierError, "failed on every worker that tried .*: out of ideas"),
        ({"fatal": [-1]}, WorkersError, "workers stop before they are ready: .* SIGKILL"),
    ],
)
def test_a_probe_that_fails_everywhere(changes, error, said):
    with (
        Pool(Probing(2, random.Random(0).randrange, **changes)) as pool,
        pytest.raises(error, match=said),
    ):
        pool.admit(Number(-1), print)


class Never:
    """Workers that never start to work."""

    def __init__(self, answer):
        self.answer, self.worker = answer, 0

    def answers(self, timeout):
        self.worker += 1
        return [(self.worker, None, self.answer)]

    def close(self):
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Lost("its process ended with code 3"), "before they are ready: .* code 3"),
        (Refused("other weights"), "^other weights$"),
    ],
)
def test_workers_that_do_not_start(answer, said):
    with Pool(Never(answer)) as pool, pytest.raises(WorkersError, match=said):
        list(pool.run(jobs([2])))
