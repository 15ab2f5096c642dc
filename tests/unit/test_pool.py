"""The pool with workers that die, fail and answer in any order: each share is done once, and what cannot be done is said."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.workers.pool import Phase, Pool, WorkersError
from sosmooth.workers.share import Executed, Lost, Raised, Ready, Refused


@dataclass(frozen=True)
class Number:
    """A share whose result is its number."""

    number: int
    batch_size = None

    @property
    def indices(self):
        return [self.number]


class Chance:
    """Workers in this process, to whom anything may happen.

    Args:
        number: of workers; one that dies is replaced. draw: decides whose turn it is and what happens.
        deaths, failures: how many there may be.
    """

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

    def answers(self):
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
        return [(worker, ticket, Executed(share.number, 10, 0.5))]

    def close(self):
        self.closed = True


def job(numbers):
    """Two phases with a barrier between them, of the second only the sum."""
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
        def answers(self):
            found = super().answers()
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


class Never:
    """Workers that do not come to work."""

    def __init__(self, answer):
        self.answer, self.worker = answer, 0

    def answers(self):
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
