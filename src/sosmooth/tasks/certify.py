"""From a classifier and a data set to a stored run, resumably: the one place where sampling meets storage."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sosmooth.datasets.labels import check_range
from sosmooth.methods import certify_tally
from sosmooth.runs.files import RunError
from sosmooth.runs.manifest import described
from sosmooth.runs.run import Run
from sosmooth.runs.writer import RunWriter
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.stopping import StoppingRule, stopping_rule
from sosmooth.tasks.pairing import paired, with_columns
from sosmooth.tasks.recognition import Recognition, probe_of

if TYPE_CHECKING:
    from sosmooth.classifiers.load import LoadedClassifier
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.smoothed import Failed, Sampled, SmoothedClassifier
    from sosmooth.workers.pool import Pool

_CHUNK = 256  # inputs held in memory at once


@dataclass(frozen=True)
class CertifySettings:
    """What a certification run is asked for; see `SmoothedClassifier.certify` for the meanings."""

    sigma: float
    method: str
    n: int
    n0: int
    alpha: float
    seed: int
    indices: list[int]
    device: str = "cpu"
    num_classes: int | None = None
    radius: float | None = None
    tolerance: float | None = None
    lattice: float | None = None
    execution: Execution = AS_GIVEN


def certify_run(
    out: Path,
    classifier: LoadedClassifier,
    inputs: InputSet,
    settings: CertifySettings,
    *,
    batch_size: int | None = None,
    batch_timeout: float | None = None,
    pool: Pool | None = None,
    progress: Callable[[int], None] | None = None,
    accept_other_environment: bool = False,
    notice: Callable[[str], None] = warnings.warn,
) -> tuple[Run, list[Failed]]:
    """Certify inputs into the run at `out`, going on where an earlier call with the same settings stopped.

    Args:
        out: the run's folder.
        batch_size: evaluations at once; None: as in the earlier call, or found. An earlier call's is kept.
        batch_timeout: seconds that one call of the classifier may take in this process; None: any number.
        pool: workers of this classifier, which have their own; None: the sampling happens in this process. Who samples is no
            part of the run.
        progress: called with the number of evaluations just done.
        accept_other_environment: go on with a run where torch, sosmooth or the processor is none
            that it was certified with so far; it is noted in the manifest.
        notice: told what a user should know of a run that goes on, in one line.
    Returns:
        The run, and the inputs that failed (the classifier's output was no vote); the same call tries those again.
    Raises:
        ValueError: settings out of range.
        RunError: the folder holds a run with other settings, of a classifier that answers otherwise
            or of another environment that is not accepted, or it cannot be written.
        ClassifierError: the classifier raised. WorkersError: the workers cannot go on.
    Guarantee:
        What was certified before any failure, interruption or kill stays readable and is not computed again.
    """
    from sosmooth.smoothed import Failed, checked_settings

    n0, n, seed = checked_settings(
        **{name: getattr(settings, name) for name in ("method", "n0", "n", "alpha", "seed")}
    )
    settings = replace(settings, n0=n0, n=n, seed=seed)
    rule = _rule(settings)
    classifier = settled_classifier(
        classifier,
        inputs,
        settings.num_classes,
        batch_timeout=batch_timeout,
        batch_size=batch_size,
    )
    num_classes = classifier.num_classes
    assert num_classes is not None
    pair = paired(classifier, inputs, num_classes)
    inputs, class_names = pair.inputs, pair.class_names
    check_range(inputs.labels, settings.indices, num_classes, inputs.name)
    smoothed = None
    if pool is None:
        smoothed = _smoothed_as_set(
            classifier, inputs, settings, num_classes, batch_size, batch_timeout
        )
        sampled = partial(_sampled_here, smoothed)
    else:
        sampled = partial(_sampled_by_pool, pool)
    failures: list[Failed] = []
    progress = progress or (lambda evaluations: None)
    like = inputs.get(settings.indices[:1])
    with RunWriter.open(
        out,
        settings=_identity(classifier, inputs, settings),
        indices=settings.indices,
        digests={"inputs": inputs.digest(settings.indices)},
        dimension=like[0].size,
        num_classes=num_classes,
        class_names=None if class_names is None else list(class_names),
        device=settings.device,
    ) as writer:
        todo = [index for index in settings.indices if index not in writer.done]
        probe = probe_of(writer.manifest, inputs, settings.indices)
        recognise = Recognition(
            writer,
            probe,
            contributes=bool(todo),
            accept_other_environment=accept_other_environment,
            notice=notice,
        )
        try:
            if smoothed is not None:
                smoothed.batch_size = writer.batch_size or batch_size
                recognise(probe.run(smoothed, lambda evaluations: None))
            elif pool is not None:
                pool.admit(probe, recognise)
        except RunError:
            writer.close()  # a call that is refused changes nothing
            raise
        progress((len(settings.indices) - len(todo)) * (settings.n0 + settings.n))
        for one, found_batch_size in sampled(
            inputs, settings, todo, writer.batch_size or batch_size, progress
        ):
            if isinstance(one, Failed):
                failures.append(one)
                continue
            writer.batch_size = found_batch_size
            certify = (
                rule.certify
                if rule
                else partial(
                    certify_tally, settings.method, sigma=settings.sigma, alpha=settings.alpha
                )
            )
            certificate = certify(
                tally=one.tally,
                selected=np.array([one.selected]),
                selection_margin=np.array([one.selection_margin]),
                index=np.array([one.index]),
                n0=settings.n0,
                seed=settings.seed,
            )
            writer.add(certificate, labels=inputs.labels[[one.index]], seconds=[one.seconds])
        # Loaded while the folder is locked, so it is this run and no other.
        return (writer.pause() if failures else writer.finish()), failures


def _sampled_here(
    smoothed: SmoothedClassifier,
    inputs: InputSet,
    settings: CertifySettings,
    todo: list[int],
    batch_size: int | None,
    progress: Callable[[int], None],
) -> Iterator[tuple[Sampled | Failed, int | None]]:
    """Each input after sampling, and the batch size."""
    smoothed.batch_size = batch_size
    for start in range(0, len(todo), _CHUNK):
        chunk = todo[start : start + _CHUNK]
        for sampled in smoothed.sample(
            inputs.get(chunk), **_asked_of_sampling(settings), indices=chunk, progress=progress
        ):
            yield sampled, smoothed.batch_size


def _sampled_by_pool(
    pool: Pool,
    inputs: InputSet,
    settings: CertifySettings,
    todo: list[int],
    batch_size: int | None,
    progress: Callable[[int], None],
) -> Iterator[tuple[Sampled | Failed, int | None]]:
    """The same, in the order in which it is done."""
    from sosmooth.workers.jobs import sample_by
    from sosmooth.workers.share import Sampling

    sampling = Sampling(**_asked_of_sampling(settings), batch_size=batch_size)
    return sample_by(pool, inputs.get, todo, sampling, sigma=settings.sigma, progress=progress)


def _asked_of_sampling(settings: CertifySettings) -> dict[str, Any]:
    """The settings that the samples of an input follow from, as `SmoothedClassifier.sample` names them."""
    return {
        name: getattr(settings, name)
        for name in ("method", "n0", "n", "alpha", "seed", "radius", "tolerance")
    }


def settled_classifier(
    classifier: LoadedClassifier,
    inputs: InputSet,
    num_classes: int | None,
    *,
    batch_timeout: float | None = None,
    batch_size: int | None = None,
) -> LoadedClassifier:
    """The classifier with nothing left open, from one evaluation of the data's first inputs.

    Args:
        num_classes: what the user says; None: taken from the classifier, its output, or the data.
        batch_timeout, batch_size: as for `SmoothedClassifier`.
    Raises:
        As `classifiers.settled.settled`.
    """
    import torch

    from sosmooth.classifiers.settled import settled

    if classifier.settled:
        return classifier
    inputs, _ = with_columns(classifier, inputs)
    return settled(
        classifier,
        torch.as_tensor(inputs.get([0, len(inputs) - 1])),
        num_classes=num_classes,
        likely_classes=inputs.num_classes,
        batch_timeout=batch_timeout,
        batch_size=batch_size,
    )


def smoothed_classifier(
    classifier: LoadedClassifier,
    inputs: InputSet,
    *,
    sigma: float,
    num_classes: int | None,
    batch_size: int | None,
    device: str,
    lattice: float | None = None,
    execution: Execution = AS_GIVEN,
    batch_timeout: float | None = None,
) -> SmoothedClassifier:
    """The smoothed classifier of a loaded one; `num_classes` None: see `settled_classifier`."""
    from sosmooth.smoothed import SmoothedClassifier

    classifier = settled_classifier(
        classifier, inputs, num_classes, batch_timeout=batch_timeout, batch_size=batch_size
    )
    assert classifier.num_classes is not None
    return SmoothedClassifier(
        classifier.classifier,
        sigma=sigma,
        num_classes=classifier.num_classes,
        batch_size=batch_size,
        device=device,
        lattice=lattice,
        execution=execution,
        batch_timeout=batch_timeout,
    )


def _smoothed_as_set(
    classifier: LoadedClassifier,
    inputs: InputSet,
    settings: CertifySettings,
    num_classes: int | None,
    batch_size: int | None,
    batch_timeout: float | None = None,
) -> SmoothedClassifier:
    return smoothed_classifier(
        classifier,
        inputs,
        sigma=settings.sigma,
        num_classes=num_classes,
        batch_size=batch_size,
        device=settings.device,
        lattice=settings.lattice,
        execution=settings.execution,
        batch_timeout=batch_timeout,
    )


def rehearse(
    classifier: LoadedClassifier,
    inputs: InputSet,
    settings: CertifySettings,
    *,
    batch_size: int | None = None,
) -> dict[str, object]:
    """What `certify_run` would do and how long it would take, from certifying one input with few samples.

    Returns:
        Plain values by name; `seconds` is an estimate for this machine, and the most it takes where a rule may stop earlier.
    """
    _rule(settings)  # refuses what cannot be asked
    inputs, _ = with_columns(classifier, inputs)
    smoothed = _smoothed_as_set(classifier, inputs, settings, settings.num_classes, batch_size)
    one = inputs.get(settings.indices[:1])
    arguments = {
        "method": settings.method,
        "n0": settings.n0,
        "alpha": settings.alpha,
        "seed": settings.seed,
    }
    next(smoothed.sample(one, n=2, **arguments))  # finds the batch size, warms up
    n, begun = min(settings.n, 2 * (smoothed.batch_size or 1)), time.perf_counter()
    next(smoothed.sample(one, n=n - n % 2 or 2, **arguments))
    rate = (n + settings.n0) / (time.perf_counter() - begun)
    evaluations = len(settings.indices) * (settings.n0 + settings.n)
    return {
        "inputs": len(settings.indices),
        "method": settings.method,
        "evaluations": evaluations,
        "batch_size": smoothed.batch_size,
        "samples_per_second": round(rate),
        "seconds": round(evaluations / rate, 1),
    }


def _rule(settings: CertifySettings) -> StoppingRule | None:
    asked = {name: getattr(settings, name) for name in ("method", "n", "sigma", "alpha")}
    return stopping_rule(settings.radius, settings.tolerance, **asked)


def _identity(
    classifier: LoadedClassifier, inputs: InputSet, settings: CertifySettings
) -> dict[str, object]:
    """The settings that a resumed run must share."""
    import torch

    from sosmooth.sampling import lattice, noise

    asked = asdict(settings)
    del asked["execution"]
    return {
        **asked,
        **settings.execution.settings(),
        "indices": described(settings.indices),
        "device": torch.device(settings.device).type,  # another kind of device draws other noise
        "noise": noise.SCHEME if settings.lattice is None else lattice.SCHEME,
        "model": classifier.settings,
        "data": inputs.settings,
    }
