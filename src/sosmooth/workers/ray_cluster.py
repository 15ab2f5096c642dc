"""Workers as actors of a Ray cluster: one for each GPU or CPU, as machines join and leave."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from sosmooth._extras import needed
from sosmooth.workers.pool import WorkersError
from sosmooth.workers.share import Answer, Lost, Raised, Refused, Share, WorkerSetup

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_TO_A_NOTICE = 30.0


class RayWorkers:
    """As many actors as the cluster has room for; it is asked for its size every few seconds.

    Args:
        setup: what each opens its classifier from; with device `cuda` an actor has one GPU, which
            Ray assigns.
        address: HOST:PORT of the cluster, or `auto` for the one of this machine; None: that one, or
            else a cluster of this process.
        limit: actors, at most; None: no limit.
        notice: called with one line when there is no room for any actor.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        WorkersError: there is no such cluster.
        ValueError: a limit below 1.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        *,
        address: str | None,
        limit: int | None,
        notice: Callable[[str], None],
    ):
        if limit is not None and limit < 1:
            raise ValueError(f"workers must be at least 1; got {limit}")
        self._ray = _ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address)
        gpus = int(setup.smoothing.device == "cuda")
        self._setup, self._limit, self._notice = setup, limit, notice
        self._resource = "GPU" if gpus else "CPU"
        self._actor_class = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Actor)
        self._numbers = count()
        self._actors: dict[int, Any] = {}
        self._waiting: dict[
            Any, tuple[int, int | None]
        ] = {}  # what an answer will come to → worker, ticket
        self._starting: set[int] = set()
        self._looked = -_SECONDS_BETWEEN_LOOKS
        self._alone_since: float | None = None
        self._fit_to_cluster()

    @property
    def size(self) -> int:
        """Workers that there are or soon will be."""
        return len(self._actors)

    def send(self, worker: int, ticket: int, share: Share) -> None:
        """Ask for a share."""
        self._waiting[self._actors[worker].answer.remote(share)] = (worker, ticket)

    def add(self) -> None:
        """Nothing: there is an actor wherever the cluster has room for one."""

    def name(self, worker: int) -> str:
        """Its actor, as `ray list actors` shows it."""
        return f"the worker of actor {self._actors[worker]._actor_id.hex()}"

    def answers(self, timeout: float) -> list[tuple[int, int | None, Answer]]:
        """Wait for an answer or the end of an actor; keep as many actors as there is room for."""
        found: list[tuple[int, int | None, Answer]] = []
        until = time.monotonic() + timeout
        while not found and (left := until - time.monotonic()) > 0:
            self._fit_to_cluster()
            left = min(left, _SECONDS_BETWEEN_LOOKS)
            if not self._waiting:
                time.sleep(left)
                continue
            references, _ = self._ray.wait(
                list(self._waiting), num_returns=len(self._waiting), timeout=0
            )
            if not references:
                references, _ = self._ray.wait(list(self._waiting), timeout=left)
            for reference in references:
                if reference in self._waiting:  # or its actor was found to be lost
                    found += [self._answer(reference)]
        return found

    def close(self) -> None:
        """End all actors, and the cluster if it was begun here."""
        with suppress(Exception):  # a cluster that is gone has no actors left
            for actor in self._actors.values():
                self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()

    def _answer(self, reference: Any) -> tuple[int, int | None, Answer]:
        worker, ticket = self._waiting.pop(reference)
        self._starting.discard(worker)
        try:
            return worker, ticket, self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            message = str(error).strip().splitlines()[-1]
            return (
                worker,
                ticket,
                Refused(message) if ticket is None else Raised(message, by_classifier=False),
            )
        except self._ray.exceptions.RayError as error:
            self._drop(worker)
            self._looked = -_SECONDS_BETWEEN_LOOKS
            return worker, None, Lost(str(error).strip().splitlines()[0])

    def _drop(self, worker: int) -> None:
        self._ray.kill(self._actors.pop(worker))
        self._starting.discard(worker)
        self._waiting = {
            reference: of for reference, of in self._waiting.items() if of[0] != worker
        }

    def _fit_to_cluster(self) -> None:
        """Begin as many actors as the cluster has room for; give up those that it has none for."""
        now = time.monotonic()
        if now - self._looked < _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        room = int(self._ray.cluster_resources().get(self._resource, 0))
        wanted = room if self._limit is None else min(room, self._limit)
        for worker in sorted(self._starting, reverse=True)[: max(len(self._actors) - wanted, 0)]:
            self._drop(worker)
        while len(self._actors) < wanted:
            worker = next(self._numbers)
            actor = self._actors[worker] = self._actor_class.remote(self._setup)
            self._starting.add(worker)
            self._waiting[actor.start.remote()] = (worker, None)
        self._complain(now)

    def _complain(self, now: float) -> None:
        if len(self._starting) < len(self._actors):
            self._alone_since = None
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        if now - self._alone_since > _SECONDS_TO_A_NOTICE:
            self._alone_since = now + 10 * _SECONDS_TO_A_NOTICE
            self._notice(
                "waiting: no worker of the Ray cluster is ready; `ray status` tells whether a"
                f" {self._resource} is free, `ray start --address` adds a machine"
            )


class _Actor:
    """A worker, as Ray runs it."""

    def __init__(self, setup: WorkerSetup):
        from sosmooth.workers.worker import Worker

        self._worker = Worker(setup)

    def start(self) -> Answer:
        """Open the classifier."""
        from sosmooth.workers.worker import on_this_host

        answer = self._worker.start()
        return on_this_host(answer) if isinstance(answer, Refused) else answer

    def answer(self, share: Share) -> Answer:
        """Execute a share."""
        return self._worker.answer(share)


def _ray() -> Any:
    os.environ.setdefault(
        "RAY_USAGE_STATS_ENABLED", "0"
    )  # sends nothing to anybody, unless it was asked to
    return needed("ray", extra="ray")


def _connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster, quietly; Ctrl-C and SIGTERM stay with the program."""
    if address is not None and address != "auto" and "://" not in address:
        _check_reachable(address)
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error).strip().splitlines()[0]) from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(
            f"address must be auto or HOST:PORT, as `ray start` prints it; got {address!r}"
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, why: str) -> WorkersError:
    where = "" if address in (None, "auto") else f" at {address}"
    return WorkersError(
        f"no Ray cluster is available{where}: {why}; start one with `ray start --head` and let this"
        " machine join it"
    )
