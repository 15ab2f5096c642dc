"""Shares out the work of jobs among workers, and sees that each share is done once, whoever dies in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.workers.share import Answer, Executed, Lost, Raised, Ready, Refused, Share

Found = TypeVar("Found")


@dataclass(frozen=True)
class Phase:
    """Shares that may be done at the same time. `added`: of what came of them only the sum is wanted, in whatever order."""

    shares: list[Share]
    added: bool = False


#: Yields phases, is sent what came of the shares (in their order, or one sum), and returns what it found.
Job = Generator[Phase, list[Executed], list[Found]]

# One to execute and one that waits, so that a worker is never idle for the time of a message.
_IN_HAND = 2
_TRIES_OF_DEATH = 3
_TRIES_OF_EXCEPTION = 2


class WorkersError(RuntimeError):
    """The workers cannot go on; one line says why."""


class Workers(Protocol):
    """Where workers live. A worker is a number that is never used again."""

    @property
    def size(self) -> int:
        """Workers that there are or soon will be."""
        ...

    def send(self, worker: int, ticket: int, share: Share) -> None:
        """Ask for a share; the answer comes from `answers`."""
        ...

    def answers(self) -> list[tuple[int, int | None, Answer]]:
        """Wait for something to happen: (worker, ticket, answer). Workers that were lost are replaced as far as that goes."""
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@dataclass
class _Running:
    """A job with its phase and the answers to that so far, by place."""

    job: Job[Any]
    added: bool = False
    left: int = 0
    answers: dict[int, Executed] = field(default_factory=dict)


@dataclass
class _Ticket:
    """A share on its way."""

    share: Share
    of: _Running
    place: int
    deaths: int = 0
    raised_by: list[int] = field(default_factory=list)


class Pool(AbstractContextManager["Pool"]):
    """Workers, and what each of them has in hand.

    Args:
        workers: where they live; the pool closes them at its end.
    """

    def __init__(self, workers: Workers):
        self._workers = workers
        self._in_hand: dict[int, list[int]] = {}  # of those that are ready, the tickets in order
        self._tickets: dict[int, _Ticket] = {}
        self._queue: deque[int] = deque()
        self._last_ticket = 0
        self._deaths_at_start = 0

    def __exit__(self, *exception: object) -> None:
        self._workers.close()

    @property
    def size(self) -> int:
        """Workers that there are or soon will be, at least 1."""
        return max(self._workers.size, 1)

    def run(
        self, jobs: Iterable[Job[Found]], progress: Callable[[int], None] = lambda evaluations: None
    ) -> Iterator[Found]:
        """What the jobs find, in the order in which it is found. Jobs are begun when there is room for them.

        Raises:
            ClassifierError: every worker that tried an input failed on it. WorkersError: workers die of a share, or cannot start.
        """
        waiting = iter(jobs)
        self._tickets.clear()  # of a call that was given up: answers to them count for nothing
        self._queue.clear()
        while True:
            while (
                len(self._queue) < max(self._room(), 1) and (job := next(waiting, None)) is not None
            ):
                yield from self._go_on(_Running(job), None)
            self._hand_out()
            if not self._tickets:
                return
            for worker, number, answer in self._workers.answers():
                if number is None:
                    self._hear(worker, answer)
                    continue
                self._in_hand[worker].remove(number)
                ticket = self._tickets.get(number)
                if isinstance(answer, Executed) and ticket is not None:
                    del self._tickets[number]
                    progress(answer.evaluations)
                    yield from self._take(ticket, answer)
                elif isinstance(answer, Raised) and ticket is not None:
                    self._again_elsewhere(number, worker, answer)

    def _room(self) -> int:
        return sum(_IN_HAND - len(tickets) for tickets in self._in_hand.values())

    def _go_on(self, running: _Running, answers: list[Executed] | None) -> Iterator[Any]:
        """Let the job do its next phase."""
        try:
            phase = next(running.job) if answers is None else running.job.send(answers)
            while not phase.shares:
                phase = running.job.send([])
        except StopIteration as end:
            yield from end.value
            return
        running.added, running.left, running.answers = phase.added, len(phase.shares), {}
        for place, share in enumerate(phase.shares):
            self._last_ticket += 1
            self._tickets[self._last_ticket] = _Ticket(share, running, place)
            self._queue.append(self._last_ticket)

    def _take(self, ticket: _Ticket, answer: Executed) -> Iterator[Any]:
        running = ticket.of
        running.left -= 1
        place = 0 if running.added else ticket.place
        before = running.answers.get(place)
        running.answers[place] = answer if before is None else before + answer
        if running.left == 0:
            yield from self._go_on(
                running, [running.answers[place] for place in sorted(running.answers)]
            )

    def _hand_out(self) -> None:
        """Give the queue, from its head, to the workers with the least in hand."""
        left: deque[int] = deque()
        while self._queue and self._room():
            number = self._queue.popleft()
            raised_by = self._tickets[number].raised_by
            others = [worker for worker in self._in_hand if worker not in raised_by] or list(
                self._in_hand
            )
            worker = min(others, key=lambda other: len(self._in_hand[other]))
            if len(self._in_hand[worker]) == _IN_HAND:  # those who have not tried it are busy
                left.append(number)
                continue
            self._in_hand[worker].append(number)
            self._workers.send(worker, number, self._tickets[number].share)
        self._queue.extendleft(reversed(left))

    def _hear(self, worker: int, answer: Answer) -> None:
        """What is no answer to a share."""
        if isinstance(answer, Ready):
            self._in_hand[worker] = []
            self._deaths_at_start = 0
        elif isinstance(answer, Refused):
            raise WorkersError(answer.message)
        elif isinstance(answer, Lost):
            self._lose(worker, answer.why)

    def _lose(self, worker: int, why: str) -> None:
        if worker not in self._in_hand:
            self._deaths_at_start += 1
            if self._deaths_at_start >= _TRIES_OF_DEATH and not self._in_hand:
                raise WorkersError(
                    f"workers end before they are ready: {why}; does the classifier open in this process?"
                )
            return
        numbers = [number for number in self._in_hand.pop(worker) if number in self._tickets]
        for place, number in enumerate(numbers):
            ticket = self._tickets[number]
            ticket.deaths += place == 0  # the others had only been waiting
            if ticket.deaths == _TRIES_OF_DEATH:
                raise WorkersError(
                    f"{_TRIES_OF_DEATH} workers ended while they sampled {_named(ticket.share)} (the last: {why}); look at the"
                    " classifier, at memory, or give a smaller --batch-size"
                )
        self._queue.extendleft(reversed(numbers))

    def _again_elsewhere(self, number: int, worker: int, answer: Raised) -> None:
        ticket = self._tickets[number]
        ticket.raised_by.append(worker)
        if len(ticket.raised_by) < _TRIES_OF_EXCEPTION:
            self._queue.appendleft(number)
            return
        error, what = (
            (ClassifierError, "the classifier")
            if answer.by_classifier
            else (WorkersError, "sampling")
        )
        named = _named(ticket.share)
        raise error(
            f"{what} failed on every worker that tried {named}: {answer.message.removeprefix(f'{named}: ')}"
        )


def _named(share: Share) -> str:
    """The inputs of a share, as a message names them."""
    first, *others = share.indices
    if not others:
        return f"input {first}"
    shown = ", ".join(map(str, [first, *others][:8]))
    return f"inputs {shown}{', …' if len(others) >= 8 else ''}"
