"""Workers as processes of this machine.

A worker ends when its pipe to the driver closes, whatever it is doing. So none is left behind,
however the driver dies.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

from sosmooth.workers.share import Answer, Lost, Refused, Share, WorkerSetup

_SECONDS_TO_END = 5.0


@dataclass
class _Process:
    """A worker's process. A thread sends to it, because a process that is stopped reads nothing."""

    process: SpawnProcess
    pipe: connection.Connection
    device: str
    asked: SimpleQueue = field(default_factory=SimpleQueue)

    def send_all(self) -> None:
        # An error of the pipe: the process is dead, and `answers` finds the pipe closed. Where it
        # is closed here while a message is on its way, there is no handle to write to any more.
        with suppress(OSError, TypeError):
            while (message := self.asked.get()) is not None:
                self.pipe.send(message)


class ProcessWorkers:
    """A fixed number of processes; one that ends is replaced.

    Args:
        setup: what each opens its classifier from.
        number: of processes, at least 1.
        devices: given to them in turn; None: that of `setup`.

    Raises:
        ValueError: fewer than one process.
    """

    def __init__(self, setup: WorkerSetup, number: int, devices: Sequence[str] | None = None):
        if number < 1:
            raise ValueError(f"workers must be at least 1; got {number}")
        self._setup = setup
        self._numbers = count()
        self._processes: dict[int, _Process] = {}
        given = cycle(devices or [setup.smoothing.device])
        for _, device in zip(range(number), given, strict=False):
            self._start(device)

    @property
    def size(self) -> int:
        """Workers that there are or soon will be."""
        return len(self._processes)

    def send(self, worker: int, ticket: int, share: Share) -> None:
        """Ask for a share."""
        self._processes[worker].asked.put((ticket, share))

    def add(self) -> None:
        """Begin one more process, on the device of the first."""
        self._start(next(iter(self._processes.values())).device)

    def name(self, worker: int) -> str:
        """Its process."""
        return f"the worker of process {self._processes[worker].process.pid}"

    def answers(self, timeout: float) -> list[tuple[int, int | None, Answer]]:
        """Wait for an answer, or the end of a process, which is replaced."""
        of = {one.pipe: worker for worker, one in self._processes.items()}
        found: list[tuple[int, int | None, Answer]] = []
        for pipe in connection.wait(list(of), timeout):
            worker = of[pipe]  # type: ignore[index]  # wait returns what it was given
            try:
                ticket, answer = self._processes[worker].pipe.recv()
            except (EOFError, OSError):
                device = self._processes[worker].device
                found.append((worker, None, Lost(_why(self._end(worker)))))
                self._start(device)
                continue
            found.append((worker, ticket, answer))
        return found

    def close(self) -> None:
        """End all processes, in the middle of whatever they do."""
        for one in self._processes.values():
            one.pipe.close()
        for worker in list(self._processes):
            self._end(worker)

    def _start(self, device: str) -> None:
        ours, theirs = connection.Pipe()
        context = get_context("spawn")  # neither threads nor CUDA survive a fork
        process = context.Process(target=_work, args=(self._setup.on(device), theirs), daemon=True)
        process.start()
        theirs.close()
        one = _Process(process, ours, device)
        threading.Thread(target=one.send_all, daemon=True).start()
        self._processes[next(self._numbers)] = one

    def _end(self, worker: int) -> int:
        """Let go of a worker whose pipe is closed; the exit code of its process."""
        one = self._processes.pop(worker)
        process = one.process
        one.pipe.close()
        one.asked.put(None)
        process.join(_SECONDS_TO_END)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode or 0
        process.close()
        return code


def _why(code: int) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with code {code}"


def _work(setup: WorkerSetup, pipe: connection.Connection) -> None:
    """What the process does."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches the whole group; the driver sees to the end of all
    os.dup2(2, 1)  # what a classifier prints must not end up in the driver's output
    asked: SimpleQueue = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                asked.put(pipe.recv())
        except (EOFError, OSError):
            os._exit(0)  # the driver is gone, or wants no more

    threading.Thread(target=listen, daemon=True).start()
    from sosmooth.workers.worker import Worker, on_this_host

    worker = Worker(setup)
    answer = worker.start()
    try:
        pipe.send((None, on_this_host(answer) if isinstance(answer, Refused) else answer))
        while True:
            ticket, share = asked.get()
            pipe.send((ticket, worker.answer(share)))
    except BrokenPipeError:
        os._exit(0)
