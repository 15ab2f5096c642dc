"""The Adversarial Robustness Toolbox (ART): its classifiers certified here, ours used there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from art.estimators.certification.randomized_smoothing.randomized_smoothing import (
    RandomizedSmoothingMixin,
)
from art.estimators.classification.classifier import ClassifierMixin
from art.estimators.estimator import BaseEstimator
from numpy.typing import NDArray
from torch import Tensor

from sosmooth.classifiers.from_numpy import from_numpy
from sosmooth.measures import ABSTAINED
from sosmooth.methods import DEFAULT_METHOD
from sosmooth.smoothed import SmoothedClassifier

#: Steps of ART, by the start of their name, that draw random numbers or search from a random start.
_RANDOM = re.compile(
    "CutMix|Cutout|DefenseGAN|EoT|GaussianAugmentation|GaussianNoise|InverseGAN|Mixup|PixelDefend"
    "|TotalVarMin"
)


def from_art(classifier: Any) -> Callable[[Tensor], Tensor]:
    """A classifier of ART as a base classifier: its `predict`, with its preprocessing.

    Args:
        classifier: any of ART's classifiers whose `predict` gives scores (batch, classes).

    Returns:
        A function of tensors, with the attribute `num_classes`: give it to `SmoothedClassifier`, or
        return it from the factory of a classifier spec `package.module:factory`.

    Raises:
        ValueError: it has no `predict` and `nb_classes`, or its predictions depend on chance: it is
            smoothed already, or one of its steps before or after the model draws random numbers.
    """
    if not (callable(getattr(classifier, "predict", None)) and hasattr(classifier, "nb_classes")):
        raise ValueError(
            f"a classifier of ART has predict and nb_classes; got {type(classifier).__name__}"
        )
    if isinstance(classifier, RandomizedSmoothingMixin):
        raise ValueError(
            f"{type(classifier).__name__} is smoothed already; give the classifier that it smooths"
        )
    if random := _random_steps(classifier):
        raise ValueError(
            f"{', '.join(random)} of {type(classifier).__name__} depends on chance in predict, but"
            " a certificate needs a classifier that always gives the same answer; leave it out"
        )

    def scores(inputs: NDArray) -> NDArray:
        return classifier.predict(inputs, batch_size=len(inputs))

    classify = from_numpy(scores)
    classify.num_classes = int(classifier.nb_classes)  # pyright: ignore[reportFunctionMemberAccess]
    return classify


def _random_steps(classifier: Any) -> list[str]:
    """Names of the steps before and after the model that depend on chance; those of parts too."""
    names = []
    for kind in ("preprocessing_operations", "preprocessing_defences", "postprocessing_defences"):
        steps = getattr(classifier, kind, None) or []
        for step in steps if isinstance(steps, list | tuple) else [steps]:
            kinds = [each.__name__ for each in type(step).__mro__]
            if getattr(step, "apply_predict", True) and any(map(_RANDOM.match, kinds)):
                names.append(type(step).__name__)
    for part in getattr(classifier, "_classifiers", None) or []:
        names += _random_steps(part)
    return list(dict.fromkeys(names))


class CertifiedEstimator(RandomizedSmoothingMixin, ClassifierMixin, BaseEstimator):
    """A smoothed classifier as ART's estimator that is certified by randomized smoothing.

    Args:
        smoothed: the classifier.
        input_shape: of one input.
        sample_size: selection samples of `certify`, and samples of `predict`.
        alpha: failure probability.
        method: a key of `METHODS`.
        seed: of the noise.
        clip_values: range of the inputs, kept for ART; nothing is clipped.

    Guarantee:
        That of `SmoothedClassifier.certify`: radii are rounded down.
    """

    # ART declares its parameters in this way.
    estimator_params = [  # noqa: RUF012
        *BaseEstimator.estimator_params,
        "sample_size",
        "scale",
        "alpha",
    ]

    def __init__(
        self,
        smoothed: SmoothedClassifier,
        *,
        input_shape: tuple[int, ...],
        sample_size: int = 100,
        alpha: float = 0.001,
        method: str = DEFAULT_METHOD,
        seed: int = 0,
        clip_values: tuple[float, float] | None = None,
    ):
        super().__init__(
            model=smoothed,
            clip_values=clip_values,
            sample_size=sample_size,
            scale=smoothed.sigma,
            alpha=alpha,
        )
        self._smoothed, self._method, self._seed = smoothed, method, seed
        self._input_shape = tuple(input_shape)
        self.nb_classes = smoothed.num_classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return self._input_shape

    def certify(
        self, x: NDArray, n: int, batch_size: int = 32
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Predictions and certified radii.

        Args:
            x: inputs (batch, …).
            n: estimation samples per input.
            batch_size: ART's, not used: sosmooth finds its own, unless the smoothed classifier was
                given one.

        Returns:
            Predictions (batch,), −1 where abstained, and l2 radii (batch,), input units.
        """
        found = self._smoothed.certify(
            x, method=self._method, n0=self.sample_size, n=n, alpha=self.alpha, seed=self._seed
        )
        return found.prediction, found.radius

    def predict(
        self, x: NDArray, batch_size: int = 128, verbose: bool = False, **kwargs: Any
    ) -> NDArray[np.float64]:
        """One-hot predictions (batch, classes), all zero where the samples do not decide the class.

        Args:
            x: inputs (batch, …).
            batch_size: ART's, not used.
            verbose: ART's, not used.
            **kwargs: ART's; `is_abstain` must be True.
        """
        if kwargs.get("is_abstain", True) is not True:
            raise ValueError(
                f"is_abstain must be True; got {kwargs['is_abstain']!r}: where the samples do not"
                " decide the class, there is no prediction"
            )
        predicted = self._smoothed.predict(x, n=self.sample_size, alpha=self.alpha, seed=self._seed)
        return np.where(predicted[:, None] == ABSTAINED, 0.0, np.eye(self.nb_classes)[predicted])

    def fit(
        self, x: NDArray, y: NDArray, batch_size: int = 128, nb_epochs: int = 10, **kwargs: Any
    ) -> None:
        """Raise an error: train the base classifier before it is wrapped.

        Args:
            x: not used.
            y: not used.
            batch_size: not used.
            nb_epochs: not used.
            **kwargs: not used.
        """
        raise NotImplementedError(
            "a smoothed classifier cannot be fitted; train the base classifier, with noise of this"
            " sigma, before it is wrapped"
        )
