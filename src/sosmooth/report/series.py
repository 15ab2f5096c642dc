"""A run as the report sees it: plain arrays, one element an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sosmooth.measures import (
    ABSTAINED,
    average_certified_radius,
    certified_accuracy,
    certified_count,
    class_called,
    norm_of,
)
from sosmooth.results import Certificates


class ManifestLike(Protocol):
    """The part of a run's manifest that a report reads."""

    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def environment(self) -> Mapping[str, Any]: ...
    @property
    def dimension(self) -> int | None: ...
    @property
    def class_names(self) -> Sequence[str] | None: ...


class RunLike(Protocol):
    """The part of a run that a report reads.

    Null is NaN in columns of floats and −1 in columns of integers.
    """

    @property
    def path(self) -> Path: ...
    @property
    def manifest(self) -> ManifestLike: ...
    @property
    def missing(self) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, column: str, /) -> NDArray: ...
    def certificates(self) -> Certificates: ...


# What only the data sets of tables and of texts record.
_NO_IMAGES = {"features", "space"}
#: The reason of inputs without a row.
MISSING = "missing (failed or not reached)"


@dataclass(frozen=True)
class Series:
    """The certificates of one run. Arrays are (inputs,); radii in input units.

    Inputs without a row come last, as abstentions with the reason `MISSING`: every fraction and
    average counts them.

    Attributes:
        name: of the run in the report.
        folder: of the run.
        method: a key of `METHODS`.
        sigma: noise level.
        n0: selection samples.
        n: estimation samples, the largest of all inputs.
        mean_n: their mean over the inputs; less than n where a rule stopped the drawing.
        alpha: failure probability of each certificate.
        seed: of the noise; None where unknown.
        index: of the inputs in the data set.
        label: true classes, −1 where unknown.
        prediction: classes, −1 = abstained.
        radius: 0 where abstained.
        abstain_reason: empty where certified.
        p_lower: lower bound of the top class's probability, NaN where unknown.
        seconds: spent on each input, NaN where unknown.
        settings: of the manifest.
        environment: of the manifest.
        dimension: features of one input; None where unknown.
        class_names: None where unknown.
        classes: what the class is compared with, one of `methods.CLASSES`.
    """

    name: str
    folder: Path
    method: str
    sigma: float
    n0: int
    n: int
    mean_n: float
    alpha: float
    seed: int | None
    index: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    abstain_reason: NDArray[np.str_]
    p_lower: NDArray[np.float64]
    seconds: NDArray[np.float64]
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    dimension: int | None
    class_names: Sequence[str] | None = None
    classes: str = "top"

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: NDArray) -> Series:
        """The series of some of the inputs."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self,
            **{
                name: values[which]
                for name, values in arrays.items()
                if isinstance(values, np.ndarray)
            },
        )

    def called(self, number: int) -> str:
        """The name of a class, or its number where it has none."""
        return class_called(number, self.class_names)

    @property
    def may_be_of_images(self) -> bool:
        """Whether the inputs may be images in [0, 1]: those of tables and texts are not."""
        data = self.settings.get("data")
        return not (isinstance(data, Mapping) and data.keys() & _NO_IMAGES)

    @property
    def norm(self) -> str:
        """What the radii are measured in; imported logs may have another norm than l2."""
        return norm_of(self.settings)

    @property
    def labelled(self) -> bool:
        """Whether the label of every input with a row is known."""
        return bool(np.all(self.label[~self.missing] >= 0))

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which inputs failed or were not reached."""
        return self.abstain_reason == MISSING

    @property
    def certified(self) -> NDArray[np.bool_]:
        """Which inputs have a certificate, right or wrong."""
        return self.prediction != ABSTAINED

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which inputs are certified with their label, or certified at all where it is unknown."""
        return self.certified & (self.prediction == self._expected)

    @property
    def right_radius(self) -> NDArray[np.float64]:
        """The certified radius, 0 where the input is not `right`."""
        return np.where(self.right, self.radius, 0.0)

    def reaches(self, at) -> NDArray[np.bool_]:
        """Which inputs are `right` with a radius of at least `at`, a number or (radii, 1)."""
        return self.right & (self.radius >= at)

    def count_at(self, at) -> NDArray[np.int64]:
        """How many inputs are `right` with a radius of at least `at`."""
        return certified_count(self.prediction, self._expected, self.radius, at)

    def share_at(self, at) -> NDArray[np.float64]:
        """Certified accuracy at the radii `at`; the certified fraction without labels."""
        return np.asarray(certified_accuracy(self.prediction, self._expected, self.radius, at))

    def average_radius(self) -> float:
        """The average certified radius; where labels are unknown, predictions count as right."""
        return average_certified_radius(self.prediction, self._expected, self.radius)

    @property
    def _expected(self) -> NDArray[np.int64]:
        return self.label if self.labelled else self.prediction


def accuracy_name(series: Sequence[Series]) -> str:
    """The name of the fraction at a radius: accuracy only where labels are known."""
    return "certified accuracy" if all(one.labelled for one in series) else "certified fraction"


def series_of(run: RunLike, name: str | None = None) -> Series:
    """The run as arrays.

    Args:
        run: the run.
        name: of the run in the report; None: the name of its folder.

    Raises:
        ValueError: the run is to hold no inputs.
    """
    name = _folder_name(run) if name is None else name
    absent, settings = np.asarray(run.missing, np.int64), run.manifest.settings
    if not len(run) + len(absent):
        raise ValueError(f"the run {name!r} holds no inputs; run its command again to see why")
    # p = C_S + C_N
    pairs_lower = np.nextafter(np.asarray(run["c_s_lower"], np.float64) + run["c_n_lower"], -np.inf)

    def made_with(name: str) -> Any:
        return run[name][0] if len(run) else settings[name]

    def filled(column: str, value: object) -> NDArray:
        values = np.asarray(run[column])
        return np.concatenate([values, np.full(len(absent), value, dtype=values.dtype)])

    seed = made_with("seed")
    reason = np.concatenate([run["abstain_reason"], np.full(len(absent), MISSING)])
    p_lower = np.where(np.isnan(run["p_lower"]), pairs_lower, run["p_lower"])
    return Series(
        name=name,
        folder=Path(run.path),
        method=str(made_with("method")),
        sigma=float(made_with("sigma")),
        n0=int(made_with("n0")),
        n=int(np.max(run["n"])) if len(run) else settings["n"],
        mean_n=float(np.mean(run["n"])) if len(run) else settings["n"],
        alpha=float(made_with("alpha")),
        seed=None if seed is None or seed < 0 else int(seed),
        index=np.concatenate([run["index"], absent]),
        label=filled("label", -1),
        prediction=filled("prediction", ABSTAINED),
        radius=filled("radius", 0.0),
        abstain_reason=reason,
        p_lower=np.concatenate([p_lower, np.full(len(absent), np.nan)]),
        seconds=filled("seconds", np.nan),
        settings=settings,
        environment=run.manifest.environment,
        class_names=run.manifest.class_names,
        classes=settings.get("classes", "top"),
        dimension=run.manifest.dimension,
    )


def series_of_all(runs: Sequence[RunLike]) -> list[Series]:
    """The runs as arrays, each with another name.

    Args:
        runs: one or more.

    Raises:
        ValueError: there is no run, one is to hold no inputs, or their radii have different norms.
    """
    if not runs:
        raise ValueError("a report needs at least one run; got none")
    check_norms(runs)
    taken: set[str] = set()
    found = []
    for run in runs:
        stem = name = _folder_name(run)
        count = 1
        while name in taken:
            count += 1
            name = f"{stem} ({count})"
        taken.add(name)
        found.append(series_of(run, name))
    return found


def check_norms(runs: Sequence[RunLike]) -> None:
    """Refuse runs whose radii have different norms: they cannot be compared.

    Args:
        runs: any number.

    Raises:
        ValueError: naming the norm of each run.
    """
    norms = {Path(run.path): norm_of(run.manifest.settings) for run in runs}
    if len(set(norms.values())) > 1:
        found = ", ".join(f"{norm} in {path}" for path, norm in norms.items())
        raise ValueError(
            f"radii of different norms cannot be compared: {found}; give runs of the same norm"
        )


def _folder_name(run: RunLike) -> str:
    name = Path(run.path).resolve().name  # resolved, as the run may be "."
    norm = norm_of(run.manifest.settings)
    return name if norm == "l2" else f"{name} ({norm} radii)"


@dataclass(frozen=True)
class Pair:
    """A method and its first-order baseline on the inputs that both looked at, in the same order.

    Attributes:
        baseline: the run of first order.
        method: the other run.
    """

    baseline: Series
    method: Series


def pairs_with_baseline(series: Sequence[Series]) -> list[Pair]:
    """Each series of another method with its first-order baseline.

    The baseline has the same sigma and data, and the most inputs in common.

    Args:
        series: the runs as arrays.

    Returns:
        A pair for each series that has a baseline.
    """
    baselines = [one for one in series if one.method == "first_order"]
    pairs = []
    for method in (one for one in series if one.method != "first_order"):
        alike = (
            on_shared_inputs(baseline, method)
            for baseline in baselines
            if baseline.sigma == method.sigma
        )
        candidates = [pair for pair in alike if pair is not None]
        if candidates:
            pairs.append(max(candidates, key=lambda pair: len(pair.method)))
    return pairs


def on_shared_inputs(baseline: Series, method: Series) -> Pair | None:
    """Both on the inputs in common, by index; None without one, or where data or labels differ.

    Args:
        baseline: a run as arrays.
        method: another run as arrays.
    """
    _, left, right = np.intersect1d(baseline.index, method.index, return_indices=True)
    data = [
        one.settings["data"] for one in (baseline, method) if one.settings.get("data") is not None
    ]
    if not len(left) or any(one != data[0] for one in data):
        return None
    pair = Pair(baseline[left], method[right])
    known = ~(pair.baseline.missing | pair.method.missing)
    same = np.array_equal(pair.baseline.label[known], pair.method.label[known])
    return pair if same else None
