"""Time certifying against the bare classifier and against the loop of research code.

All run side by side in one process. The bare loop draws as many noise vectors, scales, adds,
classifies and takes the argmax, in the best batch size of a few, and counts nothing: no certificate
in the same precision and layout can cost less. Measurements alternate; each figure is a median, in
seconds per input. Certifying and the peer include the selection and the radius.

    python -m benchmarks engine [--case mnist7 …] [--method first_order …] [--device cpu|cuda]
                                [--n N] [--inputs K] [--rounds R] [--no-peer] [--exact]

`--exact` compares exact noise with float noise instead.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from unittest.mock import patch

import torch

from benchmarks import cases, exact, peer
from benchmarks.bare import Bare, seconds
from benchmarks.cases import Case
from sosmooth import METHODS, SmoothedClassifier
from sosmooth.confidence.gradient_plan import GradientPlan
from sosmooth.tally import Design

ALPHA = 0.001
PEERS = {"first_order": peer.first_order, "second_order": peer.second_order}
COLUMNS = (
    "noise",
    "classifier",
    "bare",
    "certifying",
    "ratio",
    "peer",
    "peer/cert.",
    "batch",
    "of bare",
)
#: With so few samples the gradient could often not help, and the engine would not draw it.
#: Its cost is measured all the same.
DRAWN = patch("sosmooth.request.planned_gradient", lambda *arguments: GradientPlan(0.5, 0.05))


@dataclass(frozen=True)
class Row:
    """Seconds per input of one case and method, and the batch sizes."""

    noise: float
    classifier: float
    bare: float
    certifying: float
    peer: float | None
    batch_size: int
    bare_batch_size: int

    @property
    def ratio(self) -> float:
        """Certifying by the bare loop: at least 1, or less if drawing and classifying overlap."""
        return self.certifying / self.bare

    def cells(self) -> tuple[str, ...]:
        """One cell for each of `COLUMNS`."""
        time = lambda value: "–" if value is None else f"{value:.4f}"  # noqa: E731
        ahead = "–" if self.peer is None else f"{self.peer / self.certifying:.2f}"
        measured = (
            time(self.noise),
            time(self.classifier),
            time(self.bare),
            time(self.certifying),
            f"{self.ratio:.3f}",
        )
        return (*measured, time(self.peer), ahead, str(self.batch_size), str(self.bare_batch_size))


def measured(case: Case, device: torch.device) -> Iterator[tuple[str, Row]]:
    """The rows of a case, by method."""
    (classifier, images), (for_peer, _) = case.make(), case.make()
    # The peer has a copy: a change of the memory layout of weights is permanent.
    for_peer = for_peer.to(device).eval()
    # If there are too few images they repeat; each has different noise.
    inputs = images[torch.arange(case.inputs) % len(images)].to(device)
    smoothed = SmoothedClassifier(
        classifier,
        sigma=case.sigma,
        num_classes=case.num_classes,
        device=device,
        execution=case.execution,
    )
    smoothed.certify(inputs[:1], n0=2, n=2)  # finds the batch size
    bare_of = partial(Bare, classifier, inputs[0], sigma=case.sigma, execution=case.execution)
    parts: dict[int, tuple[Bare, int, float]] = {}
    for method in case.methods:
        sides = 2 if METHODS[method].design is Design.ANTITHETIC else 1
        if sides not in parts:
            parts[sides] = _bare(partial(bare_of, sides=sides), case, device)
        bare, size, alone = parts[sides]
        noise, loop, certifying = _side_by_side(case, method, smoothed, inputs, bare, size)
        against = _peer(case, method, for_peer, inputs)
        yield method, Row(noise, alone, loop, certifying, against, smoothed.batch_size or 0, size)


def _bare(bare_of: partial[Bare], case: Case, device: torch.device) -> tuple[Bare, int, float]:
    """The bare loop, warmed up, its best batch size, and the seconds of the classifier alone."""
    size = _best(bare_of, case, device)
    bare = bare_of(n0=case.n0, n=case.n)
    bare.warm_up(size)
    return (
        bare,
        size,
        median(seconds(device, partial(bare.classifier, size)) for _ in range(case.rounds)),
    )


def _side_by_side(
    case: Case,
    method: str,
    smoothed: SmoothedClassifier,
    inputs: torch.Tensor,
    bare: Bare,
    size: int,
) -> tuple[float, ...]:
    """Seconds per input of the noise alone, of the bare loop, and of certifying."""
    works = (
        # Every input costs the bare loop the same, so it runs as often as there are inputs.
        lambda: [bare.noise(size) for _ in inputs],
        lambda: [bare.loop(size) for _ in inputs],
        partial(smoothed.certify, inputs, method=method, n0=case.n0, n=case.n, alpha=ALPHA),
    )
    few = min(case.n, 2 * (smoothed.batch_size or 1))
    with DRAWN:
        # Warms up.
        smoothed.certify(inputs[:1], method=method, n0=min(case.n0, few), n=few - few % 2)
        rounds = [[seconds(inputs.device, work) for work in works] for _ in range(case.rounds)]
    return tuple(median(column) / len(inputs) for column in zip(*rounds, strict=True))


def _best(bare_of: partial[Bare], case: Case, device: torch.device) -> int:
    """The batch size of the shortest bare loop, from as few samples as fill the largest batch."""
    few = min(case.n, max(case.batch_sizes))
    times: dict[int, float] = {}
    for size in case.batch_sizes:
        bare = bare_of(n0=0, n=few)
        try:
            bare.warm_up(size)
            times[size] = seconds(device, partial(bare.loop, size))
        except torch.OutOfMemoryError:
            break
    return min(times, key=times.__getitem__)


def _peer(
    case: Case, method: str, classifier: torch.nn.Module, inputs: torch.Tensor
) -> float | None:
    """Median seconds per input of the peer; None if it lacks the method or is not asked for."""
    if method not in PEERS or not case.peer_rounds:
        return None
    run = partial(
        PEERS[method],
        classifier,
        sigma=case.sigma,
        num_classes=case.num_classes,
        alpha=ALPHA,
        batch=case.peer_batch,
    )
    few = min(case.n, 2 * case.peer_batch)
    run(inputs[0], n0=min(case.n0, few), n=few)
    work = lambda: [run(x, n0=case.n0, n=case.n) for x in inputs]  # noqa: E731
    return median(seconds(inputs.device, work) for _ in range(case.peer_rounds)) / len(inputs)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    every = list(dict.fromkeys(case.name for case in (*cases.CPU, *cases.CUDA)))
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine")
    parser.add_argument("--case", nargs="+", choices=every, default=every)
    parser.add_argument("--method", nargs="+", choices=cases.METHODS)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="both where there is a GPU")
    parser.add_argument("--n", type=int, help="estimation samples per input, even")
    parser.add_argument("--inputs", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--exact", action="store_true", help="exact against float noise")
    asked = parser.parse_args(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that this torch can use; leave out --device, or give cpu")
    return asked


def _chosen(table: Sequence[Case], asked: argparse.Namespace) -> Iterator[Case]:
    """The cases of a table, with the changes that the options ask for."""
    changes = {
        name: getattr(asked, name)
        for name in ("n", "inputs", "rounds")
        if getattr(asked, name) is not None
    }
    if asked.no_peer:
        changes["peer_rounds"] = 0
    for case in table:
        if case.name in asked.case:
            yield replace(case, methods=tuple(asked.method or case.methods), **changes)


def main(arguments: Sequence[str] = ()) -> None:
    asked = _asked(arguments)
    devices = (
        [asked.device]
        if asked.device
        else ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    )
    for name in devices:
        device = torch.device(name)
        if device.type == "cuda":
            described = (
                f"{torch.cuda.get_device_name()}, float32 convolutions in TF32: "
                f"{torch.backends.cudnn.allow_tf32}"
            )
        else:
            described = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
        columns, rows = (exact.COLUMNS, exact.measured) if asked.exact else (COLUMNS, measured)
        print(f"{described}, torch {torch.__version__}; seconds per input, medians")
        print(
            f"{'case':23}{'n':>10} {'method':20}" + "".join(f"{column:>11}" for column in columns),
            flush=True,
        )
        for case in _chosen(cases.CPU if device.type == "cpu" else cases.CUDA, asked):
            for method, row in rows(case, device):
                cells = "".join(f"{cell:>11}" for cell in row.cells())
                print(f"{case.name:23}{case.n:10} {method:20}{cells}", flush=True)
            if device.type == "cuda":
                print(
                    f"{case.name}: at most {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB "
                    "of the GPU's memory at once"
                )
                torch.cuda.reset_peak_memory_stats()
                torch.cuda.empty_cache()
