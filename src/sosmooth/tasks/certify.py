"""From a classifier and a data set to a stored run, resumably: here sampling meets storage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sosmooth.datasets.labels import check_range
from sosmooth.measures import with_norm
from sosmooth.methods import method_named
from sosmooth.request import Request, Smoothing
from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import described
from sosmooth.runs.run import Run
from sosmooth.runs.writer import RunWriter
from sosmooth.tasks.opening import settled_smoothing, smoothed_classifier
from sosmooth.tasks.pairing import paired, with_columns
from sosmooth.tasks.recognition import Recognition, probe_of

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.sampler import Failed, Sampled, Sampler
    from sosmooth.sampling.counts import Estimation
    from sosmooth.workers.pool import Pool
    from sosmooth.workers.share import Probe

#: Inputs held in memory at once.
CHUNK = 256
# Inputs of which a rehearsal finds out whether their curvature would be drawn.
_TRIED = 10


def certify_run(
    out: str | Path,
    classifier: LoadedClassifier,
    inputs: InputSet,
    request: Request,
    smoothing: Smoothing,
    *,
    indices: Sequence[int] | None = None,
    choice: str | None = None,
    batch_size: int | None = None,
    pool: Pool | None = None,
    progress: Callable[[int], None] | None = None,
    resumed: Callable[[int], None] | None = None,
    accept_other_environment: bool = False,
    returns_when_interrupted: bool = False,
    notice: Callable[[str], None] = warnings.warn,
) -> tuple[Run, list[Failed]]:
    """Certify inputs into the run at `out`, or resume it where an earlier call stopped.

    Args:
        out: the run's folder.
        classifier: the base classifier, as `open_classifier` returns it.
        inputs: the data set, as `load_dataset` returns it.
        request: method, samples, alpha, seed; a resumed run must share it.
        smoothing: sigma, device, noise; likewise. Its `num_classes` None: taken from the
            classifier, its output, or the data.
        indices: inputs to certify, in order, distinct; None: all.
        choice: how they were chosen, in words, recorded.
        batch_size: evaluations at once; None: as in the earlier call, or found. An earlier call's
            is kept.
        pool: workers of this classifier, which have their own copy of it; None: the sampling
            happens in this process. Who samples is no part of the run.
        progress: called with the number of evaluations just done.
        resumed: called with the number of inputs that are stored already, where there are any.
        accept_other_environment: resume a run with a torch, sosmooth or processor that it was not
            certified with so far; the manifest records it.
        returns_when_interrupted: whether Ctrl-C during the sampling ends the call with what is
            done, and a notice; else it raises KeyboardInterrupt, with the same stored.
        notice: called with what a user should know about a resumed run, in one line.

    Returns:
        The run, and the inputs that failed (the classifier's output was no vote); the same call
        tries those again.

    Raises:
        ValueError: an argument outside its range.
        RunError: the folder holds a run with other settings, of a classifier that answers
            otherwise, or of another environment that is not accepted; or it cannot be written.
        ClassifierError: the classifier raised.
        WorkersError: the workers cannot go on.

    Guarantee:
        What was certified before any failure, interruption or kill stays readable and is not
        computed again.
    """
    from sosmooth.sampler import Failed, Sampler

    request.rule(smoothing.sigma)  # refuses what cannot be asked
    chosen = list(range(len(inputs))) if indices is None else list(indices)
    classifier, known = settled_smoothing(classifier, inputs, smoothing, batch_size=batch_size)
    pair = paired(classifier, inputs, known.classes)
    inputs, class_names = pair.inputs, pair.class_names
    check_range(inputs.labels, chosen, known.classes, inputs.name)
    if pool is None:
        place = _Here(Sampler(classifier.classifier, known, batch_size=batch_size))
    else:
        place = _Elsewhere(pool, known)
    failures: list[Failed] = []
    progress = progress or (lambda evaluations: None)
    like = inputs.get(chosen[:1])
    request.check_dimension(like[0].size)
    with RunWriter.open(
        Path(out),
        settings=_identity(classifier, inputs, request, smoothing, chosen),
        indices=chosen,
        digests={"inputs": inputs.digest(chosen)},
        dimension=like[0].size,
        num_classes=known.classes,
        class_names=None if class_names is None else list(class_names),
        choice=choice,
        device=known.device,
    ) as writer:
        todo = [index for index in chosen if index not in writer.done]
        probe = probe_of(writer.manifest, inputs, chosen)
        recognise = Recognition(
            writer,
            probe,
            contributes=bool(todo),
            accept_other_environment=accept_other_environment,
            notice=notice,
        )
        try:
            size = writer.batch_size or batch_size
            place.admit(probe, recognise, size)
        except RunError:
            writer.close()  # a call that is refused changes nothing
            raise
        if resumed is not None and len(todo) < len(chosen):
            resumed(len(chosen) - len(todo))
        try:
            for one, found_batch_size in place.sampled(inputs, request, todo, size, progress):
                if isinstance(one, Failed):
                    failures.append(one)
                    continue
                writer.batch_size = found_batch_size
                certificate = request.certificates(
                    one.tally,
                    selected=np.array([one.selected]),
                    selection_margin=np.array([one.selection_margin]),
                    index=np.array([one.index]),
                    sigma=known.sigma,
                )
                writer.add(certificate, labels=inputs.labels[[one.index]], seconds=[one.seconds])
        except KeyboardInterrupt:
            if not returns_when_interrupted:
                raise
            run = writer.pause()
            notice(
                f"interrupted: {len(run)} of {run.inputs} inputs are certified and stored in"
                f" {run.path}; the same call resumes the run"
            )
            return run, failures
        # Loaded while the folder is locked, so it is this run and no other.
        return (writer.pause() if failures else writer.finish()), failures


@dataclass(frozen=True)
class _Here:
    """Sampling in this process."""

    sampler: Sampler

    def admit(self, probe: Probe, recognise: Recognition, batch_size: int | None) -> None:
        """See that the classifier is the one of the run."""
        self.sampler.batch_size = batch_size
        recognise(probe.run(self.sampler, lambda evaluations: None))

    def sampled(
        self,
        inputs: InputSet,
        request: Request,
        todo: list[int],
        batch_size: int | None,
        progress: Callable[[int], None],
    ) -> Iterator[tuple[Sampled | Failed, int | None]]:
        """Each input after sampling, and the batch size."""
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            for one in self.sampler.sample(
                inputs.get(chunk), request, indices=chunk, progress=progress
            ):
                yield one, self.sampler.batch_size


@dataclass(frozen=True)
class _Elsewhere:
    """The same, by workers."""

    pool: Pool
    smoothing: Smoothing

    def admit(self, probe: Probe, recognise: Recognition, batch_size: int | None) -> None:
        self.pool.admit(probe, recognise)

    def sampled(
        self,
        inputs: InputSet,
        request: Request,
        todo: list[int],
        batch_size: int | None,
        progress: Callable[[int], None],
    ) -> Iterator[tuple[Sampled | Failed, int | None]]:
        from sosmooth.workers.jobs import sample_by

        return sample_by(
            self.pool,
            inputs.get,
            todo,
            request,
            self.smoothing,
            batch_size=batch_size,
            progress=progress,
        )


def rehearse(
    classifier: LoadedClassifier,
    inputs: InputSet,
    request: Request,
    smoothing: Smoothing,
    *,
    indices: Sequence[int],
    batch_size: int | None = None,
) -> dict[str, object]:
    """What `certify_run` would do and how long it would take: a few inputs with few samples.

    Args:
        classifier: as `load_classifier` returns it.
        inputs: as `load_dataset` returns them.
        request: what is asked for.
        smoothing: how the classifier is smoothed.
        indices: the inputs that would be certified, at least one; some of them are sampled.
        batch_size: evaluations at once; None: what fits in memory.

    Returns:
        Plain values by name; `seconds` is an estimate for this machine, and the most it takes where
        a rule may stop earlier; `curvature_drawn` is the share of inputs whose curvature would be.
    """
    request.rule(smoothing.sigma)  # refuses what cannot be asked
    inputs, _ = with_columns(classifier, inputs)
    sampler = smoothed_classifier(classifier, inputs, smoothing, batch_size=batch_size).sampler
    tried = list(indices)[:: max(len(indices) // _TRIED, 1)][:_TRIED]
    request.check_dimension(inputs.get(tried[:1])[0].size)
    plans = [_planned(sampler, inputs, request, index) for index in tried]
    share = sum(of.draws_curvature for of in plans) / len(plans)
    with_curvature = next((of for of in plans if of.draws_curvature), plans[0])
    without = replace(with_curvature, curvature_center=None, curvature_share=0.0)
    rates, seconds = [], 0.0
    for of, weight in ((with_curvature, share), (without, 1 - share)):
        if weight:
            rate, once = _rehearsed(sampler, inputs, request, of)
            rates.append(weight * rate)
            seconds += weight * (request.evaluations * rate + once)
    return {
        "inputs": len(indices),
        "method": request.method,
        "classes": request.compared,
        "evaluations": len(indices) * request.evaluations,
        "batch_size": sampler.batch_size,
        **({"curvature_drawn": share} if method_named(request.method).curvature else {}),
        "samples_per_second": round(1 / sum(rates)),
        "seconds": round(len(indices) * seconds, 1),
    }


def _planned(sampler: Sampler, inputs: InputSet, request: Request, index: int) -> Estimation:
    """What would be drawn of an input; a rule that stops draws counts alone."""
    x = inputs.get([index])[0]
    selection = sampler.select(x, index=index, n0=request.n0, seed=request.seed)
    of = request.estimation(index, selection, shape=x.shape, num_classes=sampler.num_classes)
    if request.stops:
        nothing = dict.fromkeys(("direction_share", "curvature_center", "axis_center"))
        return replace(of, **nothing, curvature_share=0.0, axis_share=0.0)
    return sampler.with_axis(x, of, request)


def _rehearsed(
    sampler: Sampler, inputs: InputSet, request: Request, of: Estimation
) -> tuple[float, float]:
    """Seconds of an evaluation, and those that an input takes once, whatever n is."""
    from sosmooth.sampling.sums import Part

    x, n = inputs.get([of.index])[0], min(request.n, 2 * (sampler.batch_size or 1))
    few = replace(of, n=n - n % 2 or 2)
    sampler.count(x, Part(0, replace(of, n=2)), seed=request.seed)  # warms up
    begun = time.perf_counter()
    counts = sampler.count(x, Part(0, few), seed=request.seed)
    counted = time.perf_counter()
    rate = (counted - begun) / few.n
    if request.stops or counts.invalid:
        return rate, 0.0
    tally = counts.tally(few, sampler.smoothing.sigma)
    once = time.perf_counter() - counted
    certify = partial(
        request.certificates,
        tally,
        selected=np.array([of.selected]),
        selection_margin=np.array([0]),
        index=np.array([of.index]),
        sigma=sampler.smoothing.sigma,
    )
    certify()  # warms up
    counted = time.perf_counter()
    certify()
    return rate, once + time.perf_counter() - counted


def _identity(
    classifier: LoadedClassifier,
    inputs: InputSet,
    request: Request,
    smoothing: Smoothing,
    indices: list[int],
) -> dict[str, object]:
    """The settings that a resumed run must share."""
    import torch

    from sosmooth.sampling import lattice, noise

    settings = {
        "sigma": smoothing.sigma,
        **asdict(request),
        "classes": request.compared,
        "curvature": request.curvature if method_named(request.method).curvature else "off",
        "num_classes": smoothing.num_classes,
        "lattice": smoothing.lattice,
        **smoothing.execution.settings(),
        "indices": described(indices),
        # Another kind of device draws other noise.
        "device": torch.device(smoothing.device).type,
        "noise": noise.SCHEME if smoothing.lattice is None else lattice.SCHEME,
        "model": classifier.settings,
        "data": inputs.settings,
    }
    if not method_named(request.method).axis:
        del settings["direction"]  # as in runs of versions that knew none
    return with_norm(settings, request.norm)
