"""What `SmoothedClassifier` does with data sets, and with a folder for the results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import ArrayLike, NDArray

from sosmooth.classifiers.given import given_classifier
from sosmooth.classifiers.loaded import LoadedClassifier, origin_of
from sosmooth.classifiers.weights import weights_sha256
from sosmooth.datasets.given import given_inputs, is_batch, is_table
from sosmooth.datasets.inputs import renumbered
from sosmooth.datasets.labels import check_range
from sosmooth.results import concatenate
from sosmooth.sampling.inputs import checked_indices
from sosmooth.smoothed import shown
from sosmooth.tasks.certify import CHUNK, certify_run
from sosmooth.tasks.pairing import Paired, paired

if TYPE_CHECKING:
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.request import Request
    from sosmooth.results import Certificates
    from sosmooth.runs.run import Run
    from sosmooth.sampling.engine import Progress
    from sosmooth.smoothed import SmoothedClassifier


def certify_data(
    smoothed: SmoothedClassifier,
    data: Any,
    labels: ArrayLike | None,
    request: Request,
    indices: Sequence[int] | None,
    progress: Progress | bool | None,
) -> Certificates:
    """Certificates of the inputs of a data set, or of an array with labels, in memory.

    Args:
        smoothed: the smoothed classifier.
        data: as for `given_inputs`.
        labels: as for `given_inputs`.
        request: what is asked for.
        indices: the inputs of a data set that are certified, or the indices of those of an array;
            None: all, numbered from 0.
        progress: as for `SmoothedClassifier.certify`.
    """
    batch = is_batch(data)
    inputs = given_inputs(data, labels, wanted=None if batch else indices)
    pair = _paired(smoothed, loaded_of(smoothed), inputs)
    if batch and not is_table(data):  # in the precision in which it was given
        asked = {"indices": indices, "progress": progress} | asdict(request)
        found = smoothed.certify(data, **asked)
        check_range(pair.inputs.labels, range(len(found)), smoothed.num_classes, inputs.name)
        return replace(found, label=pair.inputs.labels, class_names=pair.class_names)
    taken = renumbered(pair.inputs, indices) if batch and indices is not None else pair.inputs
    chosen = _chosen(taken, indices)
    check_range(taken.labels, chosen, smoothed.num_classes, inputs.name)
    total = len(chosen) * request.evaluations
    with shown(progress, total, f"certifying {len(chosen)} inputs, {request.method}") as advance:
        parts = [
            smoothed.certify(taken.get(part), indices=part, progress=advance, **asdict(request))
            for part in (chosen[start : start + CHUNK] for start in range(0, len(chosen), CHUNK))
        ]
    return replace(concatenate(parts), label=taken.labels[chosen], class_names=pair.class_names)


def certify_into(
    out: str | Path,
    smoothed: SmoothedClassifier,
    data: Any,
    labels: ArrayLike | None,
    request: Request,
    indices: Sequence[int] | None,
    progress: Progress | bool | None,
    *,
    accept_other_environment: bool,
) -> Run:
    """The same into a run, which the same call resumes; Ctrl-C ends it with what is done.

    Args:
        out: the folder of the run.
        smoothed: as for `certify_data`.
        data: as for `certify_data`.
        labels: as for `certify_data`.
        request: as for `certify_data`.
        indices: as for `certify_data`.
        progress: as for `certify_data`.
        accept_other_environment: as for `certify_run`.
    """
    batch = is_batch(data)
    inputs = given_inputs(data, labels, wanted=None if batch else indices)
    if batch and indices is not None:
        inputs = renumbered(inputs, indices)
    classifier = loaded_of(smoothed)
    _paired(smoothed, classifier, inputs)
    chosen = _chosen(inputs, indices)
    total = len(chosen) * request.evaluations
    with shown(progress, total, f"certifying {len(chosen)} inputs, {request.method}") as advance:

        def resumed(stored: int) -> None:
            if (count := getattr(advance, "stored", None)) is not None:
                count(stored * request.evaluations)

        run, failed = certify_run(
            out,
            classifier,
            inputs,
            request,
            replace(smoothed.sampler.smoothing, num_classes=_set_by_hand(smoothed)),
            indices=chosen,
            batch_size=smoothed.batch_size,
            progress=advance,
            resumed=resumed,
            accept_other_environment=accept_other_environment,
            returns_when_interrupted=True,
        )
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(chosen)} inputs have no certificate (`run.missing`), the first"
            f" because of this: {failed[0].message}; the same call tries them again",
            stacklevel=2,
        )
    return run


def inputs_for(smoothed: SmoothedClassifier, data: Any) -> NDArray | torch.Tensor:
    """All inputs of a data set as one batch, with the columns as the classifier takes them.

    Args:
        smoothed: as for `certify_data`.
        data: as for `certify_data`.
    """
    pair = _paired(smoothed, loaded_of(smoothed), given_inputs(data, wanted=[]))
    return pair.inputs.get(range(len(pair.inputs)))


def loaded_of(smoothed: SmoothedClassifier) -> LoadedClassifier:
    """The base classifier with what identifies it.

    It is what `load_classifier` opened, where it did and the weights did not change since.

    Args:
        smoothed: the smoothed classifier.
    """
    given = smoothed.given
    settings = given_classifier(given).settings
    if isinstance(given, torch.nn.Module):
        settings = settings | {"weights_sha256": weights_sha256(given)}
    if (origin := _unchanged_origin(smoothed)) is not None:
        settings = origin.settings
    return LoadedClassifier(smoothed.base_classifier, smoothed.num_classes, settings, settled=True)


def _unchanged_origin(smoothed: SmoothedClassifier) -> LoadedClassifier | None:
    found = origin_of(smoothed.given)
    if found is None:
        return None
    (opened, digest), given = found, smoothed.given
    changed = isinstance(given, torch.nn.Module) and weights_sha256(given) != digest
    return None if changed else opened


def _set_by_hand(smoothed: SmoothedClassifier) -> int | None:
    """The number of classes; None where it is what the classifier's own files say."""
    origin = _unchanged_origin(smoothed)
    said = None if origin is None else origin.num_classes
    return None if said == smoothed.num_classes else smoothed.num_classes


def _paired(smoothed: SmoothedClassifier, classifier: LoadedClassifier, inputs: InputSet) -> Paired:
    """The inputs as the classifier takes them; what was assumed is a warning."""
    pair = paired(classifier, inputs, smoothed.num_classes)
    for note in (*inputs.notes, *pair.notes):
        warnings.warn(note, stacklevel=4)
    return pair


def _chosen(inputs: InputSet, indices: Sequence[int] | None) -> list[int]:
    if indices is None:
        return list(range(len(inputs)))
    return checked_indices(indices, len(indices)).tolist()
