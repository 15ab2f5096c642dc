"""What a user gets: certificates, one per input, with everything they were computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._above import from_above
from sosmooth._equal import same_values
from sosmooth._html import ROWS, table
from sosmooth.confidence.bounds import ONE_HALF, UNSEEN, Bounds
from sosmooth.confidence.bounds import concatenate as concatenate_bounds
from sosmooth.measures import (
    ABSTAINED,
    UNKNOWN_LABEL,
    class_called,
    floored,
    in_grey_levels,
    linf_radius,
)
from sosmooth.surface import Results, checked_labels, positions
from sosmooth.tally import Tally
from sosmooth.tally import concatenate as concatenate_tallies

if TYPE_CHECKING:
    from sosmooth.runs.run import Run

#: Shown in place of a class that is unknown or not certified.
UNKNOWN = "—"

#: Why an input has no certificate; the empty string where it has one.
ABSTAIN_REASONS = {
    "": "certified",
    "no_leading_class": "no class led the selection samples",
    "too_few_samples": "the estimate is above one half (or above all other classes), but its bound"
    " is not: more samples may certify it",
    "below_one_half": "the top class has at most half of the samples: no certificate exists at this"
    " sigma",
    "not_ahead": "another class has at least as many samples as the selected one: no certificate"
    " exists at this sigma",
    "not_certifiable_at_radius": "the samples show that this method cannot certify the requested"
    " radius",
    "undecided": "all samples were drawn without deciding whether the requested radius can be"
    " certified",
    "imported": "the imported log abstained and does not say which class it considered",
}


#: The reason of inputs that have no certificate, in `with_missing`.
MISSING = "missing (failed or not reached)"

#: What the class is compared with, in words.
COMPARED = {"top": "one half", "all": "each other class"}


@dataclass(frozen=True, eq=False)
class Certificate:
    """The certificate of one input. `tally` and `bounds` hold arrays of length 1.

    Two certificates are equal where all of these are.

    Attributes:
        input_index: the index of the input (the noise follows from it).
        prediction: the certified class, −1 = abstained.
        radius: certified radius, input units, in `norm`; 0.0 exactly where abstained.
        abstain_reason: empty, or a key of `ABSTAIN_REASONS`.
        selected: the class that led the selection samples, whether or not it was certified.
        selection_margin: votes by which it led.
        method: a key of `METHODS`.
        sigma: noise level, input units.
        alpha: failure probability of the certificate.
        n0: selection samples.
        seed: of the noise; None where unknown.
        tally: what was counted.
        bounds: what the radius was computed from.
        classes: what the class was compared with, one of `methods.CLASSES`.
        label: the true class, −1 = unknown.
        norm: of the radius: l2, l1 or linf.
    """

    input_index: int
    prediction: int
    radius: float
    abstain_reason: str
    selected: int
    selection_margin: int
    method: str
    sigma: float
    alpha: float
    n0: int
    seed: int | None
    tally: Tally
    bounds: Bounds
    classes: str = "top"
    label: int = UNKNOWN_LABEL
    norm: str = "l2"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and same_values(self, other)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays can change

    @property
    def radius_in_grey_levels(self) -> float:
        """The radius of images in [0, 1] in units of 1/255, as `in_grey_levels`."""
        return float(in_grey_levels(self.radius))

    @property
    def linf_radius(self) -> float:
        """The l∞ radius that the l2 radius implies, as the function `linf_radius`. LookupError:
        the dimension is unknown. ValueError: the radius has another norm."""
        _check_l2(self.norm)
        return float(linf_radius(self.radius, _dimension(self.tally)))

    def __repr__(self) -> str:
        settings = f"{self.method}, sigma={self.sigma:g}, alpha={self.alpha:g}"
        if self.prediction == ABSTAINED:
            return f"<input {self.input_index}: abstained, {self.abstain_reason} ({settings})>"
        norm = "" if self.norm == "l2" else f"{self.norm} "
        within = f"class {self.prediction} within {norm}radius {floored(self.radius, 4)}"
        return f"<input {self.input_index}: {within} ({settings})>"

    def _repr_html_(self) -> str:
        counts = {
            name: int(value[0])
            for name, value in self.tally.arrays().items()
            if value.dtype.kind == "i" and value.ndim == 1
        }
        rows = {
            "class": UNKNOWN if self.prediction == ABSTAINED else self.prediction,
            "radius" if self.norm == "l2" else f"{self.norm} radius": floored(self.radius, 6),
            "reason": ABSTAIN_REASONS.get(self.abstain_reason, self.abstain_reason),
            "method": self.method,
            "sigma": f"{self.sigma:g}",
            "alpha": f"{self.alpha:g}",
            "compared with": COMPARED[self.classes],
        }
        if self.bounds.limiting_class is not None:
            rows["what ends the radius"] = _limit(int(self.bounds.limiting_class[0]))
        rows |= counts
        return table(
            {"": list(rows), "value": list(rows.values())},
            caption=f"Input {self.input_index}",
            total=len(rows),
        )


def _check_l2(norm: str) -> None:
    if norm != "l2":
        raise ValueError(f"the radii are {norm} radii; certify again in l2")


def _limit(limiting_class: int) -> str:
    """What ends a radius, in words."""
    others = {ONE_HALF: "one half", UNSEEN: "the classes that were never returned"}
    return others.get(limiting_class, f"class {limiting_class}")


@dataclass(frozen=True, eq=False)
class Certificates(Results):
    """Certificates of a batch, in memory: a sequence of `Certificate`.

    Attributes:
        input_index: the indices of the inputs, int64 (batch,).
        prediction: the certified classes, −1 = abstained, int64 (batch,).
        radius: certified radii, input units, in `norm`, float64 (batch,); 0.0 exactly where
            abstained.
        abstain_reason: empty, or keys of `ABSTAIN_REASONS`, (batch,).
        selected: the classes that led the selection samples, int64 (batch,).
        selection_margin: votes by which they led, int64 (batch,).
        method: a key of `METHODS`.
        sigma: noise level, input units.
        alpha: failure probability of each certificate.
        n0: selection samples.
        seed: of the noise; None where unknown.
        tally: what was counted, (batch,).
        bounds: what the radii were computed from, (batch,).
        classes: what the classes were compared with, one of `methods.CLASSES`.
        label: the true classes, −1 = unknown, int64 (batch,); None: all unknown.
        class_names: the name of each class, by its number; None: unknown.
        norm: of the radii: l2, l1 or linf.

    Guarantee:
        Each input's certificate fails with probability at most `alpha`, over the noise; not
        simultaneous over inputs.
    """

    input_index: NDArray[np.int64]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    abstain_reason: NDArray[np.str_]
    selected: NDArray[np.int64]
    selection_margin: NDArray[np.int64]
    method: str
    sigma: float
    alpha: float
    n0: int
    seed: int | None
    tally: Tally
    bounds: Bounds
    classes: str = "top"
    label: NDArray[np.int64] = None  # pyright: ignore[reportAssignmentType]  # until __post_init__
    class_names: Sequence[str] | None = field(default=None, compare=False)
    norm: str = "l2"

    def __post_init__(self) -> None:
        if self.label is None:
            object.__setattr__(self, "label", np.full(len(self), UNKNOWN_LABEL))

    def __len__(self) -> int:
        return len(self.prediction)

    def certificates(self) -> Certificates:
        """Themselves."""
        return self

    def as_run(self) -> Run:
        """The same as a run in memory, which has no folder."""
        return from_above("runs.in_memory", "run_of")(self)

    @classmethod
    def of_run(cls, run: Run) -> Certificates:
        """The certificates of a run.

        Args:
            run: the run.
        """
        return run.certificates()

    @property
    def missing(self) -> NDArray[np.int64]:
        """The indices of inputs without a certificate: none."""
        return np.zeros(0, dtype=np.int64)

    def with_missing(self) -> Certificates:
        """Themselves."""
        return self

    def labelled(self, labels: ArrayLike) -> Certificates:
        """The same certificates with other labels.

        Args:
            labels: true classes, integers (batch,), −1 = unknown.
        """
        return replace(self, label=checked_labels(labels, len(self)))

    def chosen(self, which: Any) -> Any:
        """What `certificates[which]` gives: one certificate, or those of several inputs.

        Args:
            which: a position, a slice, a list of positions, or a mask (batch,).
        """
        if np.ndim(which) or isinstance(which, slice):
            which = positions(which, len(self))
            part = {name: getattr(self, name)[which] for name in _ARRAYS}
            return replace(self, **part, tally=self.tally[which], bounds=self.bounds[which])
        i = range(len(self))[which]
        here = slice(i, i + 1)
        return Certificate(
            int(self.input_index[i]),
            int(self.prediction[i]),
            float(self.radius[i]),
            str(self.abstain_reason[i]),
            int(self.selected[i]),
            int(self.selection_margin[i]),
            self.method,
            self.sigma,
            self.alpha,
            self.n0,
            self.seed,
            self.tally[here],
            self.bounds[here],
            self.classes,
            int(self.label[i]),
            self.norm,
        )

    @property
    def radius_in_grey_levels(self) -> NDArray[np.float64]:
        """The radius of images in [0, 1] in units of 1/255, as `in_grey_levels`."""
        return in_grey_levels(self.radius)

    @property
    def linf_radius(self) -> NDArray[np.float64]:
        """The l∞ radius that the l2 radius implies, as the function `linf_radius`. LookupError:
        the dimension is unknown. ValueError: the radii have another norm."""
        _check_l2(self.norm)
        return linf_radius(self.radius, _dimension(self.tally))

    def __repr__(self) -> str:
        certified = int(np.sum(self.prediction != ABSTAINED))
        return (
            f"<{len(self)} {self.method} certificates at sigma={self.sigma:g},"
            f" alpha={self.alpha:g}:"
            f" {certified} certified, mean radius"
            f" {floored(float(np.mean(self.radius)) if len(self) else 0.0, 4)}>"
        )

    def called(self, number: int) -> str:
        """The name of a class, or its number where it has none; "—" for none.

        Args:
            number: of the class, −1 for none.
        """
        return UNKNOWN if number < 0 else class_called(number, self.class_names)

    def _repr_html_(self) -> str:
        return table(listed(self), caption=repr(self).strip("<>"), total=len(self))


_ARRAYS = (
    "input_index",
    "prediction",
    "radius",
    "abstain_reason",
    "selected",
    "selection_margin",
    "label",
)


def listed(certificates: Certificates) -> dict[str, list]:
    """The first certificates as people read them: column title → what its rows say."""
    first = certificates[:ROWS]
    return {
        "input": first.input_index.tolist(),
        "class": [certificates.called(one) for one in first.prediction.tolist()],
        "radius": [floored(radius, 4) for radius in first.radius.tolist()],
        "reason": [ABSTAIN_REASONS.get(reason, reason) for reason in first.abstain_reason.tolist()],
    }


def concatenate(parts: Sequence[Certificates]) -> Certificates:
    """The certificates of all the inputs of several batches, made with the same settings, which
    are those of the first."""
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return replace(
        parts[0],
        **arrays,
        tally=concatenate_tallies([part.tally for part in parts]),
        bounds=concatenate_bounds([part.bounds for part in parts]),
    )


def with_missing(stored: Certificates, missing: NDArray[np.int64], n: int) -> Certificates:
    """The certificates, followed by an abstention without a vote for each missing input.

    So every fraction and average counts them: this is the one place that says how.

    Args:
        stored: the certificates that there are.
        missing: the indices of the other inputs, int64.
        n: evaluations that each of them was to have.
    """
    size = len(missing)
    if not size:
        return stored
    tally = {
        name: np.zeros((size, *values.shape[1:]), values.dtype)
        for name, values in stored.tally.arrays().items()
    }
    tally["n"] = np.full(size, n)
    if "pair_none" in tally:
        tally["pair_none"] = np.full(size, n // 2)
    found = {name: value for name, value in vars(stored.bounds).items() if value is not None}
    bounds = {
        name: np.zeros((size, *value.shape[1:]), value.dtype) for name, value in found.items()
    }
    none = replace(
        stored,
        input_index=missing,
        prediction=np.full(size, ABSTAINED),
        radius=np.zeros(size),
        abstain_reason=np.full(size, MISSING),
        selected=np.full(size, ABSTAINED),
        selection_margin=np.full(size, -1),
        label=np.full(size, UNKNOWN_LABEL),
        tally=replace(stored.tally, **tally),
        bounds=replace(stored.bounds, **bounds),
    )
    return concatenate([stored, none])


def _dimension(tally: Tally) -> int:
    if tally.dimension is None:
        raise LookupError(
            "the dimension of the inputs is unknown; give dimension=… when importing the log"
        )
    return tally.dimension
