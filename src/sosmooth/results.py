"""What a user gets: certificates, one an input, with everything they were computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sosmooth._frames import Framed
from sosmooth._html import ROWS, table
from sosmooth.confidence.bounds import ONE_HALF, UNSEEN, Bounds
from sosmooth.confidence.bounds import concatenate as concatenate_bounds
from sosmooth.measures import ABSTAINED, floored, in_grey_levels, linf_radius
from sosmooth.tally import Tally
from sosmooth.tally import concatenate as concatenate_tallies

#: What stands for a class that is not known, or not certified, where people read it.
UNKNOWN = "—"

#: Why an input has no certificate; the empty string where it has one.
ABSTAIN_REASONS = {
    "": "certified",
    "no_leading_class": "no class led the selection samples",
    "too_few_samples": "the estimate is above one half (or all other classes), its bound is not:"
    " more samples may certify it",
    "below_one_half": "the top class has at most half of the samples: no certificate exists at this"
    " sigma",
    "not_ahead": "another class has as many of the samples as the selected one: no certificate"
    " exists at this sigma",
    "not_certifiable_at_radius": "the samples show that this method cannot certify the radius asked"
    " for",
    "undecided": "all samples were drawn, and it is not decided whether the radius asked for can be"
    " certified",
    "imported": "the imported log abstained, and does not say which class it looked at",
}


#: What the class is compared with, in words.
COMPARED = {"top": "one half", "all": "each other class"}


@dataclass(frozen=True)
class Certificate:
    """The certificate of one input. `tally` and `bounds` hold arrays of length 1.

    Attributes:
        input_index: the index of the input (the noise follows from it).
        prediction: the certified class, −1 = abstained.
        radius: certified l2 radius, input units; 0.0 exactly where abstained.
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

    @property
    def radius_in_grey_levels(self) -> float:
        """The radius of images in [0, 1] in units of 1/255, as `in_grey_levels`."""
        return float(in_grey_levels(self.radius))

    @property
    def linf_radius(self) -> float:
        """The l∞ radius that the l2 radius implies, as the function `linf_radius`. LookupError:
        the dimension is unknown."""
        return float(linf_radius(self.radius, _dimension(self.tally)))

    def __repr__(self) -> str:
        settings = f"{self.method}, sigma={self.sigma:g}, alpha={self.alpha:g}"
        if self.prediction == ABSTAINED:
            return f"<input {self.input_index}: abstained, {self.abstain_reason} ({settings})>"
        within = f"class {self.prediction} within radius {floored(self.radius, 4)}"
        return f"<input {self.input_index}: {within} ({settings})>"

    def _repr_html_(self) -> str:
        counts = {
            name: int(value[0])
            for name, value in self.tally.arrays().items()
            if value.dtype.kind == "i" and value.ndim == 1
        }
        rows = {
            "class": UNKNOWN if self.prediction == ABSTAINED else self.prediction,
            "radius": floored(self.radius, 6),
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


def _limit(limiting_class: int) -> str:
    """What ends a radius, in words."""
    others = {ONE_HALF: "one half", UNSEEN: "the classes that were never returned"}
    return others.get(limiting_class, f"class {limiting_class}")


@dataclass(frozen=True)
class Certificates(Framed, Sequence[Certificate]):
    """Certificates of a batch: a sequence of `Certificate`.

    Attributes:
        input_index: the indices of the inputs, int64 (batch,).
        prediction: the certified classes, −1 = abstained, int64 (batch,).
        radius: certified l2 radii, input units, float64 (batch,); 0.0 exactly where abstained.
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

    def __len__(self) -> int:
        return len(self.prediction)

    def __iter__(self) -> Iterator[Certificate]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, which: int) -> Certificate: ...
    @overload
    def __getitem__(self, which: slice | NDArray) -> Certificates: ...
    def __getitem__(self, which: int | slice | NDArray) -> Certificate | Certificates:
        if isinstance(which, slice | np.ndarray):
            part = {name: getattr(self, name)[which] for name in _ARRAYS}
            return replace(self, **part, tally=self.tally[which], bounds=self.bounds.rows(which))
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
            self.bounds.rows(here),
            self.classes,
        )

    @property
    def radius_in_grey_levels(self) -> NDArray[np.float64]:
        """The radius of images in [0, 1] in units of 1/255, as `in_grey_levels`."""
        return in_grey_levels(self.radius)

    @property
    def linf_radius(self) -> NDArray[np.float64]:
        """The l∞ radius that the l2 radius implies, as the function `linf_radius`. LookupError:
        the dimension is unknown."""
        return linf_radius(self.radius, _dimension(self.tally))

    def columns(self) -> dict[str, NDArray]:
        """Arrays (batch,) by name: the certificates, the counts and the bounds that there are;
        settings are repeated."""
        settings = {
            name: getattr(self, name) for name in ("method", "sigma", "alpha", "n0", "seed")
        }
        values = (
            {"index": self.input_index}
            | {name: getattr(self, name) for name in _ARRAYS[1:]}
            | settings
        )
        values |= self.tally.arrays() | vars(self.bounds)
        flat = {name: np.asarray(value) for name, value in values.items() if value is not None}
        return {
            name: np.broadcast_to(value, (len(self),)).copy()
            for name, value in flat.items()
            if value.ndim < 2
        }

    def __repr__(self) -> str:
        certified = int(np.sum(self.prediction != ABSTAINED))
        return (
            f"<{len(self)} {self.method} certificates at sigma={self.sigma:g},"
            f" alpha={self.alpha:g}:"
            f" {certified} certified, mean radius"
            f" {floored(float(np.mean(self.radius)) if len(self) else 0.0, 4)}>"
        )

    def _repr_html_(self) -> str:
        return table(listed(self), caption=repr(self).strip("<>"), total=len(self))


_ARRAYS = ("input_index", "prediction", "radius", "abstain_reason", "selected", "selection_margin")


def listed(certificates: Certificates) -> dict[str, list]:
    """The first certificates as people read them: column title → what its rows say."""
    first = certificates[:ROWS]
    return {
        "input": first.input_index.tolist(),
        "class": [UNKNOWN if one == ABSTAINED else one for one in first.prediction.tolist()],
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


def _dimension(tally: Tally) -> int:
    if tally.dimension is None:
        raise LookupError(
            "the dimension of the inputs is unknown here; give it with --dimension when importing"
            " the log"
        )
    return tally.dimension
