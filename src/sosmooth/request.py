"""What a certification is asked for, and how the classifier is smoothed: each is checked once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sosmooth._numbers import checked_alpha, checked_sigma, whole_number
from sosmooth.confidence.axis_plan import DIRECTIONS, planned_axis
from sosmooth.confidence.curvature_plan import CURVATURE, MOST_FEATURES, planned_curvature
from sosmooth.confidence.gradient_plan import planned_gradient
from sosmooth.confidence.other_norms import checked_norm
from sosmooth.methods import (
    DEFAULT_METHOD,
    METHODS,
    certify_tally,
    check_evaluations,
    classes_of,
    method_named,
)
from sosmooth.results import Certificates
from sosmooth.sampling.counts import Estimation
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.lattice import steps_per_sigma
from sosmooth.sampling.low_frequencies import image_shape
from sosmooth.sampling.noise import checked_seed
from sosmooth.sampling.selection import Selection
from sosmooth.sampling.time_limit import check_timeout
from sosmooth.stopping import RULES, StoppingRule
from sosmooth.tally import Design, Tally


@dataclass(frozen=True)
class Smoothing:
    """How a base classifier is smoothed and called.

    Attributes:
        sigma: noise level, in units of the inputs, positive.
        num_classes: number of classes, at least 2; None: not known yet.
        device: where the noise is drawn and the classifier runs: `cpu`, `cuda`, `cuda:1`, `mps`.
        lattice: None: float noise. Δ = 1/N: exact noise on the multiples of Δ.
        execution: precision, memory layout and compilation of the classifier.
        batch_timeout: seconds that one call of the base classifier may take; None: no limit.

    Raises:
        ValueError: a value outside its range.
    """

    sigma: float
    num_classes: int | None = None
    device: str = "cpu"
    lattice: float | None = None
    execution: Execution = AS_GIVEN
    batch_timeout: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", float(checked_sigma(self.sigma)))
        if self.lattice is not None:
            steps_per_sigma(self.sigma, self.lattice)
        check_timeout(self.batch_timeout)
        if self.num_classes is not None:
            number = whole_number("num_classes", self.num_classes, least=2)
            object.__setattr__(self, "num_classes", number)

    @property
    def classes(self) -> int:
        """The number of classes.

        Raises:
            ValueError: it is not known.
        """
        if self.num_classes is None:
            raise ValueError("num_classes must be given: the classifier does not say how many")
        return self.num_classes


@dataclass(frozen=True)
class Request:
    """What each input is asked for; the arguments of `SmoothedClassifier.certify`.

    Attributes:
        method: a key of `METHODS`.
        n0: selection samples, at least 1.
        n: estimation samples, in evaluations (a pair is two; even for pairs).
        alpha: failure probability of each input's certificate, in (0, 1).
        seed: of the noise, in [0, 2^64).
        classes: "top" or "all": whether the class is compared with one half or each other class;
            None: what the method does by default.
        radius: stop when it is decided whether this radius can be certified, input units; None: no.
        tolerance: stop when more samples could not raise the radius by more, input units; None: no.
        curvature: "auto", "on" or "off": whether the methods that use it draw the curvature where
            it is likely to pay, everywhere, or nowhere.
        norm: of the radii: "l2", "l1", "linf", "color" or "low_frequency:K".
        direction: where the axis of `look_ahead` comes from: "gradient": the classifier's scores
            on noisy copies that are used for nothing else; "samples": the first half of the pairs;
            "auto": from 50 000 samples on, the scores where they have gradients, else the pairs.

    Raises:
        ValueError: an unknown method, a number outside its range, an odd n for pairs, curvature
            "on" where none can be drawn, a norm that cannot be certified so, or a direction where
            there is no axis.
    """

    method: str = DEFAULT_METHOD
    n0: int = 100
    n: int = 100_000
    alpha: float = 0.001
    seed: int = 0
    classes: str | None = None
    radius: float | None = None
    tolerance: float | None = None
    curvature: str = "auto"
    norm: str = "l2"
    direction: str = "auto"

    def __post_init__(self) -> None:
        method_named(self.method)  # or ValueError
        checked_alpha(self.alpha)
        checked = {
            "n0": whole_number("n0", self.n0, least=1),
            "n": whole_number("n", self.n, least=1),
            "seed": checked_seed(self.seed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        check_evaluations(self.method, self.n)
        classes_of(self.method, self.classes)
        self._check_curvature()
        self._check_direction()
        checked_norm(self.norm)
        if self.norm != "l2" and self.stops:
            raise ValueError(
                f"radius and tolerance are for l2 radii; got norm {self.norm!r}: leave one of them"
                " out"
            )

    def _check_curvature(self) -> None:
        if self.curvature not in CURVATURE:
            raise ValueError(
                f"curvature must be one of {', '.join(CURVATURE)}; got {self.curvature!r}"
            )
        if self.curvature == "on" and not method_named(self.method).curvature:
            using = ", ".join(name for name, method in METHODS.items() if method.curvature)
            raise ValueError(
                f"curvature 'on' is for {using}; {self.method} draws none: leave it out"
            )
        if self.curvature == "on" and self.stops:
            raise ValueError(
                "curvature 'on' is not possible with radius or tolerance, which stop on counts"
                " alone; leave one of them out"
            )

    def _check_direction(self) -> None:
        if self.direction not in DIRECTIONS:
            raise ValueError(
                f"direction must be one of {', '.join(DIRECTIONS)}; got {self.direction!r}"
            )
        if self.direction != "auto" and not method_named(self.method).axis:
            using = ", ".join(name for name, method in METHODS.items() if method.axis)
            raise ValueError(
                f"direction {self.direction!r} is for {using}; {self.method} has no axis: leave it"
                " out"
            )

    def check_dimension(self, dimension: int) -> None:
        """Refuse inputs for which what is asked cannot be drawn.

        Args:
            dimension: features of one input.

        Raises:
            ValueError: curvature "on" for too many features.
        """
        if self.curvature == "on" and dimension > MOST_FEATURES:
            raise ValueError(
                f"curvature 'on' is possible with at most {MOST_FEATURES} features an input; got"
                f" {dimension}: leave it out"
            )

    @property
    def design(self) -> Design:
        """How the estimation samples are drawn."""
        return method_named(self.method).design

    @property
    def evaluations(self) -> int:
        """Evaluations of the classifier for one input, at most."""
        return self.n0 + self.n

    @property
    def compared(self) -> str:
        """What the class is compared with, one of `CLASSES`: as asked, or the method's default."""
        return classes_of(self.method, self.classes)

    @property
    def stops(self) -> bool:
        """Whether the drawing may stop before n."""
        return self.radius is not None or self.tolerance is not None

    def rule(self, sigma: float) -> StoppingRule | None:
        """The rule that stops the drawing; None where all n samples are drawn.

        Args:
            sigma: noise level, input units.

        Raises:
            ValueError: the rule does not exist for the method, or at this sigma.
        """
        asked = {name: value for name in RULES if (value := getattr(self, name)) is not None}
        if not asked:
            return None
        if len(asked) > 1:
            raise ValueError(
                "radius and tolerance are two rules for stopping; give one of them;"
                f" got {self.radius!r} and {self.tolerance!r}"
            )
        ((name, value),) = asked.items()
        return RULES[name](float(value), self.method, self.n, sigma, self.alpha, self.compared)

    def estimation(
        self, index: int, selection: Selection, *, shape: Sequence[int], num_classes: int
    ) -> Estimation:
        """What is counted of one input after its selection; `classes` does not change it.

        Args:
            index: of the input.
            selection: what its selection samples say.
            shape: of the input.
            num_classes: of the classifier.
        """
        dimension = math.prod(shape)
        method, gradient, curvature, axis = method_named(self.method), None, None, None
        votes = (self.n0 - selection.first, self.n0, self.n, dimension, self.alpha)
        if method.pair_gradient:
            gradient = planned_gradient(*votes)
        if method.curvature:
            curvature = planned_curvature(*votes, self.curvature)
        if method.axis:
            drawn = gradient is not None and gradient.direction_share > 0
            axis = planned_axis(
                self.n0 - selection.first, self.n0, self.n, gradient=drawn, asked=self.direction
            )
        return Estimation(
            index,
            method.design,
            self.n,
            selection.selected,
            dimension,
            direction_share=gradient and gradient.direction_share,
            gradient_share=gradient.alpha_share if gradient else 0.0,
            curvature_center=curvature and curvature.center,
            curvature_share=curvature.alpha_share if curvature else 0.0,
            axis_center=axis and axis.center,
            axis_share=axis.alpha_share if axis else 0.0,
            num_classes=num_classes,
            runner_up=selection.runner_up,
            image=image_shape(shape),
        )

    def certificates(
        self,
        tally: Tally,
        *,
        selected: NDArray[np.int64],
        selection_margin: NDArray[np.int64],
        index: NDArray[np.int64],
        sigma: float,
    ) -> Certificates:
        """Certificates of what was counted: by the stopping rule, or else by the method.

        Args:
            tally: the counts of the selected classes, (batch,).
            selected: the class chosen for each input from other samples, int64 (batch,).
            selection_margin: votes by which it led there, int64 (batch,).
            index: the inputs' indices, int64 (batch,).
            sigma: noise level, input units.
        """
        found = {
            "selected": selected,
            "selection_margin": selection_margin,
            "index": index,
            "n0": self.n0,
            "seed": self.seed,
        }
        if (rule := self.rule(sigma)) is not None:
            return rule.certify(tally, **found)
        return certify_tally(
            self.method,
            tally,
            **found,
            sigma=sigma,
            alpha=self.alpha,
            classes=self.compared,
            norm=self.norm,
        )
