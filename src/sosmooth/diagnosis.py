"""What `sosmooth doctor` checks: the installation, the devices, the noise and a classifier.

A certificate is about a function. A classifier is not a function if its labels change from call to
call, or with the rest of the batch. Then the counts say nothing about the classifier that runs
later.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from sosmooth.sampling.batch_size import find_batch_size
from sosmooth.sampling.evaluator import (
    INVALID,
    BaseClassifier,
    ClassifierError,
    Evaluator,
    checked_labels,
    one_tensor,
    output_of,
    points_for,
)
from sosmooth.sampling.modes import EvaluationMode
from sosmooth.sampling.noise import Block, NoiseSource, Stage, float64_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

REQUIRED = (
    "torch",
    "numpy",
    "scipy",
    "pyarrow",
    "safetensors",
    "pillow",
    "matplotlib",
    "cyclopts",
    "rich",
    "jinja2",
)
#: Packages that only some features need: distribution → what it is for.
OPTIONAL = {
    "ray": "several machines and devices",
    "onnxruntime": "classifiers in ONNX files",
    "transformers": "classifiers of the transformers library",
    "scikit-learn": "classifiers of scikit-learn",
}
#: Batch sizes in which the same points must get the same labels: powers of two and another number.
BATCH_SIZES = (1, 2, 7, 64)
_POINTS = 256
_REPETITIONS = 3


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: of the check.
        status: how it went.
        text: one line: what was found and, if it is not ok, how to fix it.
        figures: the same for programs.
    """

    name: str
    status: Status
    text: str
    figures: dict[str, Any] = field(default_factory=dict)


def examine_installation() -> Iterator[Finding]:
    """Versions, devices, the generator of the noise, optional packages."""
    versions = {
        name: metadata.version(name) for name in ("sosmooth", *REQUIRED) if _is_installed(name)
    }
    missing = [name for name in REQUIRED if name not in versions]
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    if missing:
        yield Finding(
            "packages",
            Status.BROKEN,
            f"{', '.join(missing)} not installed; install sosmooth again",
            versions,
        )
    else:
        yield Finding(
            "packages", Status.OK, f"python {platform.python_version()}, {said}", versions
        )
    threads = torch.get_num_threads()
    yield Finding(
        "devices",
        Status.OK,
        ", ".join([f"cpu ({threads} thread{'s' * (threads != 1)})", *_accelerators()]),
        {"devices": devices()},
    )
    for device in devices():
        yield examine_generator(torch.device(device))
    for name, purpose in OPTIONAL.items():
        found = (
            f"{name} {metadata.version(name)}"
            if _is_installed(name)
            else f"{name} is not installed"
        )
        yield Finding("optional", Status.OK, f"{found} ({purpose})", {name: _is_installed(name)})


def devices() -> list[str]:
    """Names of the available devices, the CPU first."""
    cuda = (
        [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def examine_generator(
    device: torch.device, source_of: Callable[[int, torch.device], NoiseSource] = NoiseSource
) -> Finding:
    """Whether noise on a device can be drawn again, differs between blocks, and is standard normal.

    Args:
        device: where the noise is drawn.
        source_of: seed, device → the source that draws it.
    """
    name = f"noise on {device}"
    try:
        source, blocks = (
            source_of(0, device),
            [Block(0, 0, Stage.ESTIMATION, number, 4096) for number in (0, 1)],
        )
        drawn = [torch.empty((4096, 16), device=device) for _ in range(3)]
        for out, block in zip(drawn, (blocks[0], blocks[1], blocks[0]), strict=True):
            source.fill(out, block)
    except RuntimeError as error:
        return Finding(name, Status.BROKEN, str(error).splitlines()[0])
    z = drawn[0].to(float64_device(device)).double()
    # In units of their deviations for standard normal z: one in 10⁹ is beyond 6.
    count = z.numel()
    scores = {
        "mean": float(z.mean()) * count**0.5,
        "variance": float(z.square().mean() - 1) * (count / 2) ** 0.5,
    }
    if not torch.equal(drawn[0], drawn[2]) or torch.equal(drawn[0], drawn[1]):
        return Finding(
            name,
            Status.BROKEN,
            "drawing a block of noise twice gives different numbers, or two blocks are equal; do"
            " not certify on this device",
            scores,
        )
    if max(map(abs, scores.values())) > 6:
        return Finding(
            name,
            Status.BROKEN,
            f"the noise is not standard normal: {scores} deviations off; do not certify on this"
            " device",
            scores,
        )
    text = (
        f"repeatable, and standard normal (mean {scores['mean']:+.1f}, variance"
        f" {scores['variance']:+.1f} deviations off)"
    )
    return Finding(name, Status.OK, text, scores)


def examine_classifier(
    classifier: BaseClassifier,
    inputs: ArrayLike,
    *,
    sigma: float,
    num_classes: int | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Iterator[Finding]:
    """Whether a base classifier is one fixed function of its input, on noisy copies of some inputs.

    Args:
        classifier: as for `SmoothedClassifier`.
        inputs: a few inputs, float array (batch, …).
        sigma: noise level, input units.
        num_classes: number of classes, needed if the classifier returns labels; None: the number of
            its scores.
        device: where it runs.
        seed: of the noise.

    Returns:
        Findings, one after the other: output; input, if the classifier changes it; determinism;
        batch invariance; throughput. An error of the classifier ends them.

    Guarantee:
        A fault that is found is a fault. That none is found holds on these points only.
    """
    where = torch.device(device)
    x = torch.as_tensor(np.asarray(inputs, dtype=np.float32)).to(where)
    noise = torch.empty((_POINTS, *x.shape[1:]), device=where)
    NoiseSource(seed, where).fill(noise, Block(0, 0, Stage.SELECTION, 0, _POINTS))
    points = torch.add(x[torch.arange(_POINTS, device=where) % len(x)], noise, alpha=sigma)
    if isinstance(classifier, torch.nn.Module):
        classifier.to(where)
    call = _Call(classifier, num_classes)
    try:
        with EvaluationMode(classifier), torch.inference_mode():
            first = call(points)
            yield _examine_output(first, call)
            if call.changes_input:
                yield Finding("input", Status.WARNING, _CHANGES_INPUT)
            yield _examine_determinism(call, points, first)
            yield _examine_batches(call, points, first)
            yield _examine_throughput(classifier, call.num_classes, x[0])
    except ClassifierError as error:
        yield Finding("classifier", Status.BROKEN, str(error))


_CHANGES_INPUT = (
    "it changes its input in place (x -= mean, inplace=True): sosmooth gives it a copy, but other"
    " code that reads the input again sees it normalised twice; write x = x - mean"
)


@dataclass(frozen=True)
class _Output:
    labels: NDArray[np.int64]
    scores: NDArray[np.float64] | None  # None where it returned labels
    kind: str


class _Call:
    """Calls the classifier as the sampling engine does, on copied points, and keeps its scores."""

    def __init__(self, classifier: BaseClassifier, num_classes: int | None):
        self._classifier = classifier
        self._num_classes = num_classes
        self.changes_input = False

    @property
    def num_classes(self) -> int:
        if self._num_classes is None:
            raise ClassifierError(
                "the number of classes is unknown, since the classifier returns labels; give"
                " num_classes=…"
            )
        return self._num_classes

    def __call__(self, points: torch.Tensor) -> _Output:
        given = points_for(self._classifier, points)
        own = given.clone()
        output = one_tensor(output_of(self._classifier, own), len(points))
        scored = output.is_floating_point()
        if self._num_classes is None and scored:
            self._num_classes = int(output.shape[1])
        self.changes_input |= not torch.equal(own, given)
        labels = checked_labels(output, len(points), self.num_classes)
        scores = output.double().cpu().numpy() if scored else None
        return _Output(
            labels.cpu().numpy(),
            scores,
            f"{str(output.dtype).removeprefix('torch.')} {tuple(output.shape)}",
        )

    def in_batches(self, points: torch.Tensor, size: int) -> _Output:
        """The same points in batches of a size."""
        parts = [self(points[start : start + size]) for start in range(0, len(points), size)]
        scores = [part.scores for part in parts if part.scores is not None]
        return _Output(
            np.concatenate([part.labels for part in parts]),
            np.concatenate(scores) if scores else None,
            "",
        )


def _examine_output(first: _Output, call: _Call) -> Finding:
    invalid = int(np.sum(first.labels == INVALID))
    figures = {"output": first.kind, "num_classes": call.num_classes, "no_vote": invalid}
    if invalid:
        text = (
            f"{invalid} of {len(first.labels)} outputs are not votes (NaN, +inf or no finite score,"
            " or a label out of range); such inputs cannot be certified"
        )
        return Finding("output", Status.BROKEN, text, figures)
    what = "labels" if first.scores is None else "scores"
    return Finding(
        "output",
        Status.OK,
        f"{what} {first.kind}, {call.num_classes} classes, eval mode reaches every part",
        figures,
    )


def _examine_determinism(call: _Call, points: torch.Tensor, first: _Output) -> Finding:
    name = "determinism"
    again = [call(points) for _ in range(_REPETITIONS)]
    figures = _differences(first, again)
    changed, spread = figures["labels_that_differ"], figures["largest_score_difference"]
    if changed:
        text = (
            f"{changed} of {len(points)} labels change when the same batch is evaluated again: it"
            " is not a fixed function, so no certificate holds; remove everything random from it"
        )
        return Finding(name, Status.BROKEN, text, figures)
    if spread:
        text = (
            f"scores change by up to {spread:.1g} when the same batch is evaluated again, labels do"
            " not; choose deterministic kernels (torch.use_deterministic_algorithms)"
        )
        return Finding(name, Status.WARNING, text, figures)
    return Finding(
        name,
        Status.OK,
        f"the same to the bit in {_REPETITIONS} further calls on {len(points)} points",
        figures,
    )


def _examine_batches(call: _Call, points: torch.Tensor, first: _Output) -> Finding:
    name = "batch invariance"
    others = [call.in_batches(points, size) for size in BATCH_SIZES]
    # The same batch in reverse: every point has another place and other neighbours.
    turned = call(points.flip(0))
    others.append(
        _Output(turned.labels[::-1], None if turned.scores is None else turned.scores[::-1], "")
    )
    figures = _differences(first, others)
    changed, spread, near = (
        figures[key]
        for key in ("labels_that_differ", "largest_score_difference", "labels_within_reach")
    )
    sizes = f"batches of {', '.join(map(str, BATCH_SIZES))} and {len(points)}"
    if changed:
        text = (
            f"{changed} of {len(points)} labels depend on the batch ({sizes}, and another order):"
            " it is not a function of one input, so no certificate holds; remove what depends on"
            " the batch"
        )
        return Finding(name, Status.BROKEN, text, figures)
    if not spread:
        return Finding(
            name, Status.OK, f"the same to the bit in {sizes}, and in another order", figures
        )
    text = f"the same labels in {sizes}, and in another order; scores differ by up to {spread:.1g}"
    if near:
        return Finding(
            name,
            Status.WARNING,
            f"{text}, and {near} labels are decided by less: use one batch size everywhere",
            figures,
        )
    return Finding(name, Status.OK, f"{text}, and no label is decided by less", figures)


def _differences(first: _Output, others: list[_Output]) -> dict[str, Any]:
    """How outputs of the same points differ from the first ones.

    Returns:
        How many labels differ, by how much the scores differ, and how many labels that could
        change.
    """
    changed = np.any([other.labels != first.labels for other in others], axis=0)
    spread, near = 0.0, 0
    if first.scores is not None:
        spread = max(
            _largest_difference(other.scores, first.scores)
            for other in others
            if other.scores is not None
        )
        second, top = np.sort(first.scores, axis=1)[:, -2:].T
        near = int(np.sum(top - second <= 2 * spread)) if spread else 0
    return {
        "labels_that_differ": int(np.sum(changed)),
        "largest_score_difference": spread,
        "labels_within_reach": near,
    }


def _largest_difference(scores: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """The largest difference of two scores, NaN if one is NaN; −inf in both is no difference."""
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(scores == others, 0.0, np.abs(scores - others))))


def _examine_throughput(
    classifier: BaseClassifier, num_classes: int, like: torch.Tensor
) -> Finding:
    size = find_batch_size(classifier, num_classes, like)
    evaluator = Evaluator(classifier, num_classes, size)
    points, begun, done = like.expand(size, *like.shape), time.perf_counter(), 0
    while done == 0 or time.perf_counter() - begun < 0.3:
        evaluator.labels(points.clone)
        done += size
    if like.device.type == "cuda":
        torch.cuda.synchronize(like.device)
    rate = done / (time.perf_counter() - begun)
    text = (
        f"{rate:.3g} evaluations a second in batches of {size}: 100 000 samples of an input take"
        f" {1e5 / rate:.3g} s"
    )
    return Finding(
        "throughput", Status.OK, text, {"evaluations_per_second": rate, "batch_size": size}
    )


def _accelerators() -> list[str]:
    cuda = (
        [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
        if len(devices()) > 1
        else []
    )
    return [*cuda, *(["mps"] if "mps" in devices() else [])]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
