"""Time workers against bare processes, side by side: ResNet-20 on 32×32 inputs, one thread each.

Two bare processes run only the loop that no certificate can do without (draw, add, classify). Two
local workers certify, and so do two workers of a Ray cluster of this machine. In each round the
three take turns of the same length, in changing order; the ratio is that of the median rates.
Starting and finding the batch size do not count.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

WORKERS, SIGMA, BATCH, ROUNDS, SECONDS = 2, 0.25, 128, 3, 20.0


def bare(path: str, pipe: Connection) -> None:
    """Count the evaluations in as many seconds as the pipe asks for, again and again."""
    import torch

    torch.set_num_threads(1)
    from sosmooth import load_classifier
    from sosmooth.sampling.memory import keep_freed_memory

    keep_freed_memory()  # as the workers do
    classifier, x = load_classifier(path), torch.full((3, 32, 32), 0.5)
    noise, points = torch.empty((BATCH // 2, 3, 32, 32)), torch.empty((BATCH, 3, 32, 32))

    def evaluations(seconds: float) -> int:
        done, end = 0, time.monotonic() + seconds
        with torch.inference_mode():
            while time.monotonic() < end:
                noise.normal_()
                torch.add(x, noise, alpha=SIGMA, out=points[: BATCH // 2])
                torch.sub(x, noise, alpha=SIGMA, out=points[BATCH // 2 :])
                classifier(points).argmax(1)
                done += BATCH
        return done

    evaluations(2.0)
    pipe.send(None)
    while (seconds := pipe.recv()) is not None:
        pipe.send(evaluations(seconds))


def rate_of_bare(pipes: list[Connection]) -> float:
    """Evaluations per second of all bare processes together."""
    for pipe in pipes:
        pipe.send(SECONDS)
    return sum(pipe.recv() for pipe in pipes) / SECONDS


def rate_of_pool(pool, evaluations: int) -> float:
    """Evaluations per second of a whole call: workers share one input, from selection to tally."""
    import numpy as np

    from sosmooth.request import Request, Smoothing
    from sosmooth.workers.jobs import sample_by

    request = Request(n=evaluations // 2 * 2)
    x = np.full((1, 3, 32, 32), 0.5, dtype=np.float32)
    begun = time.monotonic()
    sampled = sample_by(
        pool,
        lambda indices: x,
        [0],
        request,
        Smoothing(SIGMA, 10),
        batch_size=BATCH,
        progress=lambda done: None,
    )
    list(sampled)
    return evaluations / (time.monotonic() - begun)


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # of all the processes that start here
    from sosmooth.classifiers.architectures import build
    from sosmooth.classifiers.load import open_classifier
    from sosmooth.classifiers.weights import save_weights
    from sosmooth.request import Smoothing
    from sosmooth.workers.engines import open_pool
    from sosmooth.workers.worker import worker_setup

    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "resnet20.safetensors")
        save_weights(Path(path), build("resnet20"), {"architecture": "resnet20", "num_classes": 10})
        setup = worker_setup(open_classifier(path), Smoothing(SIGMA, 10))
        context = get_context("spawn")
        pipes, processes = [], []
        for _ in range(WORKERS):
            ours, theirs = context.Pipe()
            processes.append(context.Process(target=bare, args=(path, theirs), daemon=True))
            processes[-1].start()
            pipes.append(ours)
        for pipe in pipes:
            pipe.recv()
        with (
            open_pool("local", setup, workers=WORKERS, address=None, notice=print) as local,
            open_pool("ray", setup, workers=WORKERS, address=None, notice=print) as ray,
        ):
            evaluations = int(SECONDS * rate_of_bare(pipes))
            for pool in (local, ray):
                rate_of_pool(pool, evaluations // 4)  # until all have joined and are warm
            rates = _rates(
                {
                    "bare": lambda: rate_of_bare(pipes),
                    "local": lambda: rate_of_pool(local, evaluations),
                    "ray": lambda: rate_of_pool(ray, evaluations),
                }
            )
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join()
    print(
        f"ResNet-20, {WORKERS} processes of one thread each, batches of {BATCH}; "
        f"median of {ROUNDS} rounds of {SECONDS:g} s"
    )
    print(f"{'':8} {'samples/s':>10} {'ratio':>6}")
    for name, rate in rates.items():
        print(f"{name:8} {rate:10.0f} {rate / rates['bare']:6.3f}")


def _rates(contestants: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median rate of each."""
    names, found = list(contestants), {name: [] for name in contestants}
    for number in range(ROUNDS):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(contestants[name]())
    return {name: statistics.median(rates) for name, rates in found.items()}
