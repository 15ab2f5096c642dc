"""The smoothed classifier: what a user holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sosmooth._above import from_above
from sosmooth._numbers import checked_alpha, whole_number
from sosmooth.classifiers.given import given_classifier
from sosmooth.classifiers.scikit_learn import Estimator
from sosmooth.datasets.given import is_batch, is_table
from sosmooth.measures import ABSTAINED
from sosmooth.methods import DEFAULT_METHOD
from sosmooth.request import Request, Smoothing
from sosmooth.results import Certificates
from sosmooth.sampler import Failed, Sampled, Sampler
from sosmooth.sampling.engine import Progress
from sosmooth.sampling.evaluator import BaseClassifier, ClassifierError
from sosmooth.sampling.execution import AS_GIVEN, Execution
from sosmooth.sampling.noise import checked_seed
from sosmooth.tally import concatenate

if TYPE_CHECKING:
    from sosmooth.runs.run import Run


class SmoothedClassifier:
    """The classifier `x ↦ argmax_c P(f(x + ε) = c)`, `ε ~ N(0, σ² I)`, of a base classifier f.

    Args:
        base_classifier: takes a float tensor (batch, …) on `device`, returns floating scores
            (batch, classes), of which the first maximum wins, or integer labels (batch,); axes of
            length 1 at the end are dropped. A torch module is put in eval mode for each call. It
            runs in the precision it is given in: that *is* the base classifier. A function that
            takes no tensor gets NumPy arrays. A fitted classifier of scikit-learn is taken too.
        sigma: noise level, in units of the inputs (normalise inside the classifier), positive.
        num_classes: number of classes, at least 2; None: as the classifier says (`num_classes`, or
            the `classes_` of an estimator).
        batch_size: evaluations in one call of the base classifier; None finds a good one at the
            first use.
        device: where the noise is drawn and the classifier runs; None: where the module's
            parameters are, else the CPU.
        lattice: None: float noise. Δ = 1/N, as 1/255 for 8-bit images: exact noise. All inputs must
            then be multiples of Δ, and what is smoothed is f∘Q, f after rounding to such multiples:
            no rounding of floats enters the guarantee (docs/theory/exact.md).
        execution: another precision, memory layout or compilation of the classifier: then *that* is
            the base classifier.
        batch_timeout: seconds that one call of the base classifier may take, positive; after them
            `ClassifierError` is raised. Where the call does not return to Python, the process ends.
            In the main thread only. None: no limit.

    Raises:
        ValueError: sigma, num_classes, batch_size, batch_timeout or lattice outside its range, or a
            device that is not available.

    Source:
        Cohen, Rosenfeld, Kolter 2019, "Certified Adversarial Robustness via Randomized Smoothing".
    """

    def __init__(
        self,
        base_classifier: BaseClassifier | Callable[[NDArray], ArrayLike] | Estimator,
        *,
        sigma: float,
        num_classes: int | None = None,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        lattice: float | None = None,
        execution: Execution = AS_GIVEN,
        batch_timeout: float | None = None,
    ):
        given = given_classifier(base_classifier)
        smoothing = Smoothing(
            sigma=sigma,
            num_classes=given.num_classes if num_classes is None else num_classes,
            device=_device_of(base_classifier) if device is None else str(device),
            lattice=lattice,
            execution=execution,
            batch_timeout=batch_timeout,
        )
        #: Draws the samples; it certifies nothing.
        self.sampler = Sampler(given.classifier, smoothing, batch_size=batch_size)
        #: The classifier as it was given: a module, a function, an estimator.
        self.given = base_classifier
        self._kind = given.settings["architecture"]

    def __repr__(self) -> str:
        lattice = "" if self.lattice is None else f", lattice={self.lattice:g}"
        return (
            f"<SmoothedClassifier of {self._kind}: sigma={self.sigma:g},"
            f" num_classes={self.num_classes}, batch_size={self.batch_size},"
            f" device={str(self.device)!r}{lattice}>"
        )

    @property
    def base_classifier(self) -> BaseClassifier:
        """The classifier that is smoothed."""
        return self.sampler.base_classifier

    @property
    def sigma(self) -> float:
        """Noise level, input units."""
        return self.sampler.smoothing.sigma

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.sampler.num_classes

    @property
    def batch_size(self) -> int | None:
        """Evaluations in one call of the base classifier; None before a good number was found."""
        return self.sampler.batch_size

    @property
    def device(self) -> torch.device:
        """Where the noise is drawn and the classifier runs."""
        return self.sampler.device

    @property
    def lattice(self) -> float | None:
        """The lattice of exact noise; None for float noise."""
        return self.sampler.smoothing.lattice

    @property
    def execution(self) -> Execution:
        """How the base classifier is called."""
        return self.sampler.smoothing.execution

    @overload
    def certify(
        self,
        inputs: Any,
        *,
        method: str = ...,
        n0: int = ...,
        n: int = ...,
        alpha: float = ...,
        seed: int = ...,
        indices: Sequence[int] | None = ...,
        classes: str | None = ...,
        radius: float | None = ...,
        tolerance: float | None = ...,
        curvature: str = ...,
        norm: str = ...,
        direction: str = ...,
        labels: ArrayLike | None = ...,
        out: None = ...,
        accept_other_environment: bool = ...,
        progress: Progress | bool | None = ...,
    ) -> Certificates: ...
    @overload
    def certify(
        self,
        inputs: Any,
        *,
        method: str = ...,
        n0: int = ...,
        n: int = ...,
        alpha: float = ...,
        seed: int = ...,
        indices: Sequence[int] | None = ...,
        classes: str | None = ...,
        radius: float | None = ...,
        tolerance: float | None = ...,
        curvature: str = ...,
        norm: str = ...,
        direction: str = ...,
        labels: ArrayLike | None = ...,
        out: str | Path,
        accept_other_environment: bool = ...,
        progress: Progress | bool | None = ...,
    ) -> Run: ...
    def certify(
        self,
        inputs: Any,
        *,
        method: str = DEFAULT_METHOD,
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        seed: int = 0,
        indices: Sequence[int] | None = None,
        classes: str | None = None,
        radius: float | None = None,
        tolerance: float | None = None,
        curvature: str = "auto",
        norm: str = "l2",
        direction: str = "auto",
        labels: ArrayLike | None = None,
        out: str | Path | None = None,
        accept_other_environment: bool = False,
        progress: Progress | bool | None = None,
    ) -> Certificates | Run:
        """Certify each input: its class, and a radius within which no perturbation changes it.

        Args:
            inputs: float array or tensor (batch, …), finite; sigma is in its units. Or a data set:
                what `load_dataset` returns, a torch `Dataset` or `DataLoader`, a Hugging Face data
                set, each of (input, label), of mappings that hold both, or of inputs alone.
            method: a key of `METHODS`.
            n0: selection samples, at least 1.
            n: estimation samples, in evaluations (a pair is two; even for pairs).
            alpha: failure probability of each input's certificate, in (0, 1).
            seed: of the noise, in [0, 2^64).
            indices: whole numbers, distinct: the noise of an input follows from (seed, index). Of a
                data set, the inputs to be certified, by position; None: all. Of an array, the
                numbers of its inputs (batch,); None: 0, 1, 2, …
            classes: "top": the class must keep more than half of the probability. "all": that, or
                more than each other class. All classes are bounded from the same samples, so it can
                certify below one half. None: what the method does by default.
            radius: stop when it is decided whether this radius can be certified, after at most n
                samples; in (0, 6 sigma]. The radius of a certificate is then this one or 0, with
                the reason `undecided` or `not_certifiable_at_radius` (by this method, without the
                gradient; it says nothing about the classifier).
            tolerance: stop when more samples, up to n, could not raise the radius by more than
                this; without the gradient.
            curvature: "auto": methods that use the curvature draw it where it is likely to pay.
                "on": for every input. "off": for none.
            norm: of the radii: "l2", "l1" or "linf"; "color" or "low_frequency:K": l2 radii of
                changes that shift each channel of an image, or change its K lowest frequencies
                along each side. For the others than l2, methods with the gradient of pairs use how
                it is spread over the features.
            direction: where the axis of `look_ahead` comes from. "gradient": the scores of noisy
                copies, by back-propagation; "samples": the first half of the pairs; "auto": with
                50 000 samples or more, the scores where they have gradients, else the pairs.
            labels: true classes, integers or names, one an input, −1 = unknown: they are kept for
                figures; None: those of the data set.
            out: folder of a run: each input is stored as soon as it is certified, and the same call
                resumes the run, here or on the command line. Ctrl-C ends the call with what is
                done, and inputs whose output is no vote are left out, both with a warning. Inputs
                are float32. None: all stays in memory, and Ctrl-C loses it.
            accept_other_environment: resume a run with a torch, sosmooth or processor that it was
                not certified with so far.
            progress: called with the number of evaluations just done or found unnecessary; True
                shows a bar with the time left, in notebooks too.

        Returns:
            A sequence of one certificate per input, whose attributes are arrays: `prediction` (−1 =
            abstained), `radius` (in `norm`, input units, rounded down, 0.0 where abstained),
            `abstain_reason`, the tally, the bounds. With `out` the run, which offers the same
            (`Results`); its columns are `run["radius"]` and so on.

        Raises:
            ValueError: an argument outside its range, inputs that are not finite, or a data set or
                labels that cannot be read.
            ClassifierError: the classifier raised, or, without `out`, its output was no vote.
            RunError: the folder holds a run with other settings, of another classifier or of
                another environment, or it cannot be written.

        Guarantee:
            For each input, with probability at least 1 − alpha over the noise: the smoothed
            classifier's class is `prediction` everywhere within `radius`. Simultaneous over all
            classes of an input, not over inputs.
        """
        request = Request(
            method=method,
            n0=n0,
            n=n,
            alpha=alpha,
            seed=seed,
            classes=classes,
            radius=radius,
            tolerance=tolerance,
            curvature=curvature,
            norm=norm,
            direction=direction,
        )
        asked = (self, inputs, labels, request, indices, progress)
        if out is not None:
            into = from_above("tasks.in_python", "certify_into")
            return into(out, *asked, accept_other_environment=accept_other_environment)
        if labels is not None or not is_batch(inputs) or is_table(inputs):
            return from_above("tasks.in_python", "certify_data")(*asked)
        size = math.prod(np.shape(inputs)[:1])
        with shown(progress, size * request.evaluations, f"{method}, {size} inputs") as advance:
            sampled = self.sampler.sample(inputs, request, indices=indices, progress=advance)
            found = [_succeeded(one) for one in sampled]
        return request.certificates(
            concatenate([one.tally for one in found]),
            selected=np.array([one.selected for one in found]),
            selection_margin=np.array([one.selection_margin for one in found]),
            index=np.array([one.index for one in found]),
            sigma=self.sigma,
        )

    def sample(
        self,
        inputs: ArrayLike | torch.Tensor,
        *,
        method: str,
        n0: int,
        n: int,
        alpha: float,
        seed: int,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        radius: float | None = None,
        tolerance: float | None = None,
        curvature: str = "auto",
        direction: str = "auto",
        progress: Progress | None = None,
    ) -> Iterator[Sampled | Failed]:
        """The sampling half of `certify`: yields the tally of each input as it is done.

        Args:
            inputs: as for `certify`.
            method: as for `certify`.
            n0: as for `certify`.
            n: as for `certify`.
            alpha: as for `certify`.
            seed: as for `certify`.
            indices: as for `certify`.
            radius: as for `certify`.
            tolerance: as for `certify`.
            curvature: as for `certify`.
            direction: as for `certify`.
            progress: called with the number of evaluations just done.

        Yields:
            `Sampled`, or `Failed` where evaluations were no vote.
        """
        request = Request(
            method=method,
            n0=n0,
            n=n,
            alpha=alpha,
            seed=seed,
            radius=radius,
            tolerance=tolerance,
            curvature=curvature,
            direction=direction,
        )
        return self.sampler.sample(inputs, request, indices=indices, progress=progress)

    def predict(
        self,
        inputs: Any,
        *,
        n: int,
        alpha: float = 0.001,
        seed: int = 0,
        progress: Progress | bool | None = None,
    ) -> NDArray[np.int64]:
        """The smoothed classifier's class of each input, or −1 where `n` samples do not settle it.

        Args:
            inputs: as for `certify`.
            n: samples of each input, at least 1.
            alpha: failure probability, in (0, 1).
            seed: of the noise; its samples are never those of `certify`.
            progress: as for `certify`.

        Returns:
            int64 (batch,); −1 = abstained.

        Raises:
            ValueError: as for `certify`.
            ClassifierError: as for `certify`.

        Guarantee:
            For each input, the probability of returning another class than the smoothed
            classifier's is at most alpha.

        Source:
            Hung, Fithian 2019, "Rank verification for exponential families", as used by Cohen et
            al. 2019.
        """
        checked_alpha(alpha)
        n = whole_number("n", n, least=1)
        if not is_batch(inputs) or is_table(inputs):
            inputs = from_above("tasks.in_python", "inputs_for")(self, inputs)
        size = math.prod(np.shape(inputs)[:1])
        with shown(progress, size * n, f"predicting {size} inputs") as advance:
            votes = self.sampler.votes(inputs, n=n, seed=checked_seed(seed), progress=advance)
        second, first = np.sort(votes, axis=1)[:, -2:].T
        # Two-sided test that the top two are equally likely: twice
        # P(Binomial(first + second, 1/2) ≥ first).
        settled = (first > second) & (
            2 * special.betainc(np.maximum(first, 1), second + 1, 0.5) <= alpha
        )
        return np.where(settled, votes.argmax(1), ABSTAINED)


def _succeeded(one: Sampled | Failed) -> Sampled:
    if isinstance(one, Failed):
        raise ClassifierError(one.message)
    return one


def _device_of(classifier: object) -> str:
    parameters = classifier.parameters() if isinstance(classifier, torch.nn.Module) else iter(())
    return str(next((parameter.device for parameter in parameters), "cpu"))


def shown(
    progress: Progress | bool | None, evaluations: int, what: str
) -> AbstractContextManager[Progress | None]:
    """What is called with the evaluations just done; where a bar is asked for, the bar's.

    Args:
        progress: as for `SmoothedClassifier.certify`.
        evaluations: how many there are in all.
        what: is being done, as text.
    """
    if progress is True:
        from sosmooth._progress import progress as shown_on_a_bar

        return shown_on_a_bar(evaluations, what)
    return nullcontext(progress or None)
