"""Workers as processes of this machine.

A worker ends when its pipe to the driver closes, whatever it is doing: however the driver dies, none is left behind.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count, cycle
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue

from sosmooth.workers.share import Answer, Lost, Refused, Share, WorkerSetup

_SECONDS_TO_END = 5.0


class ProcessWorkers:
    """A fixed number of processes; one that ends is replaced.

    Args:
        setup: what each opens its classifier from.
        number: of processes, at least 1. devices: given to them in turn; None: that of `setup`.
    Raises:
        ValueError: fewer than one process.
    """

    def __init__(self, setup: WorkerSetup, number: int, devices: Sequence[str] | None = None):
        if number < 1:
            raise ValueError(f"--workers must be at least 1; got {number}")
        self._setup = setup
        self._numbers = count()
        self._processes: dict[int, tuple[SpawnProcess, connection.Connection, str]] = {}
        for _, device in zip(range(number), cycle(devices or [setup.device]), strict=False):
            self._start(device)

    @property
    def size(self) -> int:
        """Workers that there are or soon will be."""
        return len(self._processes)

    def send(self, worker: int, ticket: int, share: Share) -> None:
        """Ask for a share."""
        with suppress(OSError):  # it is dead: `answers` finds its pipe closed
            self._processes[worker][1].send((ticket, share))

    def answers(self) -> list[tuple[int, int | None, Answer]]:
        """Wait for an answer, or the end of a process, which is replaced."""
        of = {pipe: worker for worker, (_, pipe, _) in self._processes.items()}
        found: list[tuple[int, int | None, Answer]] = []
        for pipe in connection.wait(list(of)):
            worker = of[pipe]  # type: ignore[index]  # wait returns what it was given
            try:
                ticket, answer = self._processes[worker][1].recv()
            except (EOFError, OSError):
                device = self._processes[worker][2]
                found.append((worker, None, Lost(_why(self._end(worker)))))
                self._start(device)
                continue
            found.append((worker, ticket, answer))
        return found

    def close(self) -> None:
        """End all processes, in the middle of whatever they do."""
        for _, pipe, _ in self._processes.values():
            pipe.close()
        for worker in list(self._processes):
            self._end(worker)

    def _start(self, device: str) -> None:
        ours, theirs = connection.Pipe()
        context = get_context("spawn")  # neither threads nor CUDA survive a fork
        process = context.Process(
            target=_work, args=(replace(self._setup, device=device), theirs), daemon=True
        )
        process.start()
        theirs.close()
        self._processes[next(self._numbers)] = (process, ours, device)

    def _end(self, worker: int) -> int:
        """Let go of a worker whose pipe is closed; the exit code of its process."""
        process, pipe, _ = self._processes.pop(worker)
        pipe.close()
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
