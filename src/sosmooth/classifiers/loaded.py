"""What every loader of classifiers returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from sosmooth.classifiers.normalization import Normalization


@dataclass(frozen=True)
class LoadedClassifier:
    """A base classifier and what identifies it.

    Attributes:
        classifier: tensor (batch, …) → floating scores (batch, classes) or integer labels (batch,).
        num_classes: None where the classifier does not say.
        settings: JSON-able: `spec`; `architecture`, `weights_sha256` and `training_sigma`, None
            where unknown; `source_sha256` of the user's Python file, `file_sha256` of a model's
            file, `normalization` and `denoiser` where the loader adds one, `output` and
            `single_score` where one of several was named or chosen.
        normalization: what the classifier expects in front of it, as its files say;
            `open_classifier` puts it there. None: it takes inputs as they are.
        single_score: how its single score is read, as its files say: a key of `THRESHOLDS`, or
            "unknown" where they say that it is neither. None: they do not say.
        input_shape: shape of one input; None for an axis of any length. None as a whole: unknown.
        notes: what was chosen for the user, one line each.
        settled: whether nothing is left open (see `classifiers.settled`).
    """

    classifier: Callable[[Tensor], Tensor]
    num_classes: int | None
    settings: dict[str, Any]
    normalization: Normalization | None = None
    single_score: str | None = None
    input_shape: tuple[int | None, ...] | None = None
    notes: tuple[str, ...] = ()
    settled: bool = False


# What `load_classifier` returned, with the digest of its weights; it keeps nothing alive.
_ORIGINS: WeakKeyDictionary[Any, tuple[LoadedClassifier, str | None]] = WeakKeyDictionary()


def remember_origin(opened: LoadedClassifier, digest: str | None) -> None:
    """Keep what identifies a classifier while the classifier itself is in use.

    Args:
        opened: the classifier, as it was opened.
        digest: of its weights; None where they cannot change.
    """
    nothing: Any = None
    _ORIGINS[opened.classifier] = replace(opened, classifier=nothing), digest


def origin_of(classifier: Any) -> tuple[LoadedClassifier, str | None] | None:
    """What `remember_origin` kept of a classifier; None where it was opened in another way.

    Args:
        classifier: what a user gave.
    """
    try:
        return _ORIGINS.get(classifier)
    except TypeError:  # it cannot be hashed, or not be referred to weakly
        return None


def known_lengths(shape: Sequence[int | str | None]) -> tuple[int | None, ...]:
    """A shape whose unknown axes are None instead of a name."""
    return tuple(length if isinstance(length, int) else None for length in shape)
