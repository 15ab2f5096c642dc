"""Where the sampling happens, by name."""

from __future__ import annotations

from collections.abc import Callable

from sosmooth.workers.pool import Pool
from sosmooth.workers.share import WorkerSetup

ENGINES = ("local", "ray")


def check_engine(engine: str, workers: int | None, address: str | None) -> None:
    """Refuse what no engine can do.

    Args:
        engine: should be one of `ENGINES`.
        workers: how many, at least 1; None: as many as there are devices.
        address: of a Ray cluster, or None.

    Raises:
        ValueError: an unknown engine, fewer than one worker, an address without a cluster.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1; got {workers}")
    if address is not None and engine != "ray":
        raise ValueError(
            "address is that of a Ray cluster: give engine='ray' with it, or leave it out; got"
            f" {address!r}"
        )


def workers_wanted(engine: str, workers: int | None, device: str) -> bool:
    """Whether there are workers, or the sampling happens in this process.

    Args:
        engine: one of `ENGINES`.
        workers: how many were asked for; None: none.
        device: a torch device; "cuda" means all GPUs of this machine.
    """
    return engine == "ray" or workers is not None or len(_gpus(device)) > 1


def open_pool(
    engine: str,
    setup: WorkerSetup,
    *,
    workers: int | None,
    address: str | None,
    notice: Callable[[str], None],
) -> Pool:
    """Workers for a classifier, to be used as a context manager.

    Args:
        engine: `local`: processes of this machine; `ray`: actors of a Ray cluster.
        setup: what each opens its classifier from.
        workers: how many, for `ray` at most so many; None: one for each GPU, or for each resource
            of the cluster.
        address: of the Ray cluster.
        notice: called with what a user should know, in one line.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        WorkersError: there is no such cluster.
        ValueError: an unknown engine, or fewer than one worker.
    """
    check_engine(engine, workers, address)
    if engine == "ray":
        from sosmooth.workers.ray_cluster import RayWorkers

        ray = RayWorkers(setup, address=address, limit=workers, notice=notice)
        return Pool(ray, notice=notice)
    from sosmooth.workers.processes import ProcessWorkers

    gpus = _gpus(setup.smoothing.device)
    processes = ProcessWorkers(setup, workers or max(len(gpus), 1), gpus or None)
    return Pool(processes, notice=notice)


def _gpus(device: str) -> list[str]:
    """The GPUs that `cuda` stands for."""
    if device != "cuda":
        return []
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
