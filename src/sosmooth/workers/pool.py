"""Shares out the work of jobs among workers, and sees that each share is done once.

Whoever dies or is stopped in between: the shares of a worker that is gone, or that does not answer,
are given to others, and of each share one result is taken.
"""

from __future__ import annotations

import time
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
    """Shares that may be done at the same time.

    Attributes:
        shares: the units of work.
        added: whether only the sum of their results is wanted, in any order.
    """

    shares: list[Share]
    added: bool = False


#: Yields phases, is sent the results of the shares (in their order, or one sum), and returns what
#: it found.
Job = Generator[Phase, list[Executed], list[Found]]

# One to execute and one that waits, so that a worker is never idle for the time of a message.
_IN_HAND = 2
_TRIES_OF_DEATH = 3
_TRIES_OF_EXCEPTION = 2
# A share is overdue after so many times the longest that was done, and so many seconds at least;
# one that was overdue before may be long, and is given more time.
_TIMES_THE_LONGEST = 10
_PATIENCE = 60.0
_MORE_PATIENCE = 4
_SECONDS_BETWEEN_LOOKS = 2.0


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

    def answers(self, timeout: float) -> list[tuple[int, int | None, Answer]]:
        """What happened, waiting for it at most `timeout` seconds: (worker, ticket, answer).

        Workers that were lost are replaced as far as that goes.
        """
        ...

    def add(self) -> None:
        """Begin one more worker, if there is room for it."""
        ...

    def name(self, worker: int) -> str:
        """What a user finds the worker by."""
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
    overdue: int = 0  # workers that kept it for too long


@dataclass
class _Hand:
    """A worker that is ready.

    Attributes:
        tickets: what it has in hand, in order.
        since: when it began the first of them.
        admitted: it takes part in jobs.
        probe: the ticket of what it has to do before.
        silent: it kept a share for too long, and gets no other one until it answers.
    """

    admitted: bool
    tickets: list[int] = field(default_factory=list)
    since: float = 0.0
    probe: int | None = None
    silent: bool = False

    @property
    def works(self) -> bool:
        return self.admitted and not self.silent

    @property
    def room(self) -> int:
        return _IN_HAND - len(self.tickets) if self.works else 0


class Pool(AbstractContextManager["Pool"]):
    """Workers, and what each of them has in hand.

    Args:
        workers: where they live; the pool closes them at its end.
        notice: told what a user should know, in one line.
        patience: seconds that every share may take, positive; one that others are done in far less
            than is then given to another worker too.
    """

    def __init__(
        self,
        workers: Workers,
        *,
        notice: Callable[[str], None] = lambda line: None,
        patience: float = _PATIENCE,
    ):
        self._workers = workers
        self._notice, self._patience = notice, patience
        self._hands: dict[int, _Hand] = {}
        self._tickets: dict[int, _Ticket] = {}
        self._queue: deque[int] = deque()
        self._last_ticket = 0
        self._deaths_at_start = self._exceptions_at_start = 0
        self._probe: Share | None = None
        self._accept: Callable[[Any], None] = lambda result: None
        self._longest = 0.0  # seconds that a share took
        # Only the time that this process spent waiting: the workers are often stopped with it.
        self._clock = 0.0

    def __exit__(self, *exception: object) -> None:
        self._workers.close()

    @property
    def size(self) -> int:
        """Workers that there are or soon will be, at least 1."""
        return max(self._workers.size, 1)

    def admit(self, probe: Share, accept: Callable[[Any], None]) -> None:
        """Let every worker, from now on, do a share before those of jobs; return when one has.

        Args:
            probe: the share.
            accept: called with what came of it; raises where the worker must not take part.

        Raises:
            As `run`, and what `accept` raises, here or later in `run`.
        """
        self._probe, self._accept = probe, accept
        for hand in self._hands.values():
            hand.admitted, hand.probe = False, None
        self._forget()
        while not any(hand.admitted for hand in self._hands.values()):
            self._hand_out()
            for _ in self._listen(lambda evaluations: None):
                pass

    def run(
        self, jobs: Iterable[Job[Found]], progress: Callable[[int], None] = lambda evaluations: None
    ) -> Iterator[Found]:
        """What the jobs find, as it is found. A job is begun when there is room for it.

        Raises:
            ClassifierError: every worker that tried an input failed on it.
            WorkersError: workers die of a share, or cannot start.
        """
        waiting = iter(jobs)
        self._forget()
        while True:
            while (
                len(self._queue) < max(self._room(), 1) and (job := next(waiting, None)) is not None
            ):
                yield from self._go_on(_Running(job), None)
            self._hand_out()
            if not self._tickets:
                return
            yield from self._listen(progress)

    def _forget(self) -> None:
        """Give up the call before, if it did not end: answers to it count for nothing."""
        self._tickets.clear()
        self._queue.clear()

    def _listen(self, progress: Callable[[int], None]) -> Iterator[Any]:
        """Wait for answers, and take them."""
        begun, timeout = time.monotonic(), min(_SECONDS_BETWEEN_LOOKS, self._patience / 4)
        answers = self._workers.answers(timeout)
        self._clock += min(time.monotonic() - begun, timeout)
        for worker, number, answer in answers:
            if number is None:
                self._hear(worker, answer)
                continue
            hand = self._hands[worker]
            late, hand.silent, hand.since = hand.silent, False, self._clock
            hand.tickets.remove(number)
            ticket = self._tickets.get(number)
            if number == hand.probe:
                self._welcome(hand, answer)
            elif isinstance(answer, Executed):
                if not late:
                    self._longest = max(self._longest, answer.seconds)
                if ticket is not None:  # or another worker was faster
                    del self._tickets[number]
                    progress(answer.evaluations)
                    yield from self._take(ticket, answer)
            elif isinstance(answer, Raised) and ticket is not None and not late:
                self._again_elsewhere(number, worker, answer)
        self._look_for_silent()

    def _welcome(self, hand: _Hand, answer: Answer) -> None:
        """Let a worker take part, if what it did first allows that."""
        hand.probe = None
        if isinstance(answer, Executed):
            self._accept(answer.result)
            hand.admitted = True
            self._deaths_at_start = self._exceptions_at_start = 0
        elif isinstance(answer, Raised):
            self._exceptions_at_start += 1
            if self._exceptions_at_start == _TRIES_OF_EXCEPTION:
                raise _failed(answer, "noisy copies")

    def _look_for_silent(self) -> None:
        """Give the shares of workers that keep one for too long to others."""
        found = False
        for worker, hand in self._hands.items():
            if hand.silent or not hand.tickets:
                continue
            first = self._tickets.get(hand.tickets[0])
            patience = max(self._patience, _TIMES_THE_LONGEST * self._longest)
            patience *= _MORE_PATIENCE ** (first.overdue if first else 0)
            if self._clock - hand.since <= patience:
                continue
            hand.silent = found = True
            if first is not None:
                first.overdue += 1
            mine = [number for number in hand.tickets if number in self._tickets]
            self._queue.extendleft(number for number in reversed(mine))
            of = f" ({_named(first.share)})" if first else ""
            self._notice(
                f"{self._workers.name(worker)} has not answered for {patience:.3g} s{of}: its unit"
                " of work goes to another worker; check whether it is stopped, or what it waits for"
            )
        if found and all(hand.silent for hand in self._hands.values()):
            self._workers.add()

    def _room(self) -> int:
        return sum(hand.room for hand in self._hands.values())

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
            number = self._new_ticket()
            self._tickets[number] = _Ticket(share, running, place)
            self._queue.append(number)

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
        for worker, hand in self._hands.items():
            if not hand.admitted and not hand.tickets and self._probe is not None:
                hand.probe = self._send(worker, self._new_ticket(), self._probe)
        left: deque[int] = deque()
        while self._queue and self._room():
            number = self._queue.popleft()
            if number not in self._tickets:  # a worker that was silent has done it after all
                continue
            raised_by = self._tickets[number].raised_by
            working = [worker for worker, hand in self._hands.items() if hand.works]
            others = [worker for worker in working if worker not in raised_by] or working
            worker = max(others, key=lambda other: self._hands[other].room)
            if not self._hands[worker].room:  # those who have not tried it are busy
                left.append(number)
                continue
            self._send(worker, number, self._tickets[number].share)
        self._queue.extendleft(reversed(left))

    def _new_ticket(self) -> int:
        self._last_ticket += 1
        return self._last_ticket

    def _send(self, worker: int, number: int, share: Share) -> int:
        hand = self._hands[worker]
        if not hand.tickets:
            hand.since = self._clock
        hand.tickets.append(number)
        self._workers.send(worker, number, share)
        return number

    def _hear(self, worker: int, answer: Answer) -> None:
        """What is no answer to a share."""
        if isinstance(answer, Ready):
            self._hands[worker] = _Hand(admitted=self._probe is None)
            if self._probe is None:
                self._deaths_at_start = 0
        elif isinstance(answer, Refused):
            raise WorkersError(answer.message)
        elif isinstance(answer, Lost):
            self._lose(worker, answer.why)

    def _lose(self, worker: int, why: str) -> None:
        hand = self._hands.pop(worker, None)
        if hand is None or not hand.admitted:
            self._deaths_at_start += 1
            admitted = any(hand.admitted for hand in self._hands.values())
            if self._deaths_at_start >= _TRIES_OF_DEATH and not admitted:
                raise WorkersError(
                    f"workers stop before they are ready: {why}; can this process open the"
                    " classifier?"
                )
            return
        if hand.silent:  # others have its shares
            return
        numbers = [number for number in hand.tickets if number in self._tickets]
        for place, number in enumerate(numbers):
            ticket = self._tickets[number]
            ticket.deaths += place == 0  # the others had only been waiting
            if ticket.deaths == _TRIES_OF_DEATH:
                raise WorkersError(
                    f"{_TRIES_OF_DEATH} workers ended while they sampled {_named(ticket.share)}"
                    f" (the last: {why}); look at the classifier, at memory, or give a smaller"
                    " batch_size"
                )
        self._queue.extendleft(reversed(numbers))

    def _again_elsewhere(self, number: int, worker: int, answer: Raised) -> None:
        ticket = self._tickets[number]
        ticket.raised_by.append(worker)
        if len(ticket.raised_by) < _TRIES_OF_EXCEPTION:
            self._queue.appendleft(number)
            return
        raise _failed(answer, _named(ticket.share))


def _failed(answer: Raised, named: str) -> Exception:
    """What every worker that tried a share raised."""
    error, what = (
        (ClassifierError, "the classifier") if answer.by_classifier else (WorkersError, "sampling")
    )
    why = answer.message.removeprefix(f"{named}: ")
    return error(f"{what} failed on every worker that tried {named}: {why}")


def _named(share: Share) -> str:
    """The inputs of a share, as a message names them."""
    first, *others = share.indices
    if not others:
        return f"input {first}"
    shown = ", ".join(map(str, [first, *others][:8]))
    return f"inputs {shown}{', …' if len(others) >= 8 else ''}"
