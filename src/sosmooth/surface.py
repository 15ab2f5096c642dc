"""What certificates in memory and stored runs offer alike."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sosmooth._above import from_above
from sosmooth._equal import same_values
from sosmooth._extras import needed
from sosmooth.measures import average_certified_radius, certified_accuracy

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.axes import Axes

    from sosmooth.results import Certificate, Certificates
    from sosmooth.runs.run import Run


class Results(Sequence["Certificate"]):
    """Certificates, one per input, in memory (`Certificates`) or stored (`Run`).

    `results[3]` is the certificate of one input, by position. A slice, a list of positions or a
    mask gives the `Certificates` of several inputs, and a name gives a column as an array
    (inputs,): `results["radius"]`. The names are those of `runs.schema.COLUMNS`.

    Two results are equal where they hold the same certificates: inputs, labels, settings, counts
    and bounds. When and where they were made, and how long it took, does not count.
    """

    @abstractmethod
    def certificates(self) -> Certificates:
        """The certificates, with their tallies and bounds."""

    @abstractmethod
    def as_run(self) -> Run:
        """The same as a run; of certificates in memory, a run in memory."""

    @classmethod
    @abstractmethod
    def of_run(cls, run: Run) -> Results:
        """The same kind of results, of a run.

        Args:
            run: the run.
        """

    @property
    @abstractmethod
    def missing(self) -> NDArray[np.int64]:
        """The indices of the inputs without a certificate: they failed, or were not reached."""

    @abstractmethod
    def with_missing(self) -> Certificates:
        """The certificates, followed by abstentions for the missing inputs."""

    @overload
    def __getitem__(self, which: int) -> Certificate: ...
    @overload
    def __getitem__(self, which: slice) -> Certificates: ...
    @overload
    def __getitem__(self, which: str) -> NDArray: ...
    @overload
    def __getitem__(self, which: Sequence[int] | NDArray) -> Certificates: ...
    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, str):
            return self.as_run().column(which)
        return self.certificates().chosen(which)

    def __iter__(self) -> Iterator[Certificate]:
        certificates = self.certificates()
        return (certificates.chosen(i) for i in range(len(certificates)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Results):
            return NotImplemented
        same = same_values(self.certificates(), other.certificates())
        return same and np.array_equal(self.missing, other.missing)

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays can change

    def certified_accuracy(
        self, labels: ArrayLike | None = None, radii: ArrayLike = 0.0
    ) -> NDArray[np.float64]:
        """Fraction of all inputs certified with their label at a radius of at least `radii`.

        Args:
            labels: true classes, integers (inputs,), −1 = unknown; None: those that are stored.
            radii: input units, any shape.

        Returns:
            Float64 of the shape of `radii`, in [0, 1]. Inputs that are missing, or whose label is
            unknown, count as not certified.

        Raises:
            ValueError: no label is known, or `labels` are not one integer an input.
        """
        whole = self.with_missing()
        return certified_accuracy(whole.prediction, self._labels(labels), whole.radius, radii)

    def average_certified_radius(self, labels: ArrayLike | None = None) -> float:
        """Mean radius over all inputs, 0 where the prediction is not the label; input units.

        Args:
            labels: as for `certified_accuracy`, with the same exceptions.
        """
        whole = self.with_missing()
        return average_certified_radius(whole.prediction, self._labels(labels), whole.radius)

    def _labels(self, labels: ArrayLike | None) -> NDArray[np.int64]:
        """True classes of all inputs, the missing ones last, −1 = unknown."""
        found = self.certificates().label if labels is None else checked_labels(labels, len(self))
        if not np.any(found >= 0):
            raise ValueError("labels are unknown here; give the true classes, one per input")
        return np.append(found, np.full(len(self.missing), -1))

    def recertify(
        self,
        *,
        method: str | None = None,
        alpha: float | None = None,
        classes: str | None = None,
        norm: str | None = None,
    ) -> Self:
        """Certificates of the same counts by another method or failure probability, in memory.

        Choose before you look at the results: keeping the best of several readings of one tally
        gives no certificate.

        Args:
            method: a key of `METHODS` that needs no more than was counted; None: the same.
            alpha: failure probability of each certificate, in (0, 1); None: the same.
            classes: "top" or "all", as for `SmoothedClassifier.certify`; None: as before, or for
                another method its default.
            norm: of the radii, as for `SmoothedClassifier.certify`; None: the same.

        Returns:
            The same kind of results. `save` stores them.

        Raises:
            ValueError: an unknown method, an alpha outside (0, 1), or counts that do not allow it.
        """
        recertified = from_above("tasks.recertify", "recertified")
        found = recertified(self.as_run(), method=method, alpha=alpha, classes=classes, norm=norm)
        return cast("Self", self.of_run(found))

    def plot(self, labels: ArrayLike | None = None, *, axes: Axes | None = None) -> Axes:
        """Draw certified accuracy against the radius; the certified fraction without labels.

        Args:
            labels: as for `certified_accuracy`.
            axes: where it is drawn, as a further curve; None: a new pyplot figure.

        Returns:
            The axes, to be changed or saved: `results.plot().figure.savefig("accuracy.png")`.
        """
        return from_above("report.curve", "drawn")(self._labelled_run(labels), axes)

    def report(
        self,
        path: str | Path,
        labels: ArrayLike | None = None,
        *,
        inputs: Callable[[int], NDArray] | None = None,
    ) -> Path:
        """Write the report: one HTML page, and its figures beside it.

        Args:
            path: of the page; replaced if it exists.
            labels: as for `certified_accuracy`.
            inputs: index → image, (height, width) with 1 or 3 channels first or last, in [0, 1] or
                uint8, to be shown; None: none are shown.

        Returns:
            The path of the page.
        """
        write_report = from_above("report.html", "write_report")
        return write_report([self._labelled_run(labels)], Path(path), inputs=inputs)[0]

    def save(self, path: str | Path, labels: ArrayLike | None = None) -> Run:
        """Store the results as a run, which `load_run` and all commands read.

        Args:
            path: the folder of the run. The same call again is fine; a folder that holds another
                run is refused.
            labels: as for `certified_accuracy`.

        Returns:
            The stored run.

        Raises:
            RunError: the folder holds something else, or cannot be written.
        """
        return from_above("runs.saving", "saved")(self._labelled_run(labels), path)

    def _labelled_run(self, labels: ArrayLike | None) -> Run:
        run = self.as_run()
        return run if labels is None else run.labelled(checked_labels(labels, len(self)))

    def columns(self) -> dict[str, NDArray]:
        """The columns with a known value, as arrays (inputs,): −1 and NaN mean unknown.

        `runs.schema.COLUMNS` describes them. The lists of the other classes are not included: see
        `results["class_ids"]`.
        """
        return self.as_run().columns()

    def to_pandas(self) -> pandas.DataFrame:
        """The columns as a pandas table, one row per input.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        return needed("pandas", extra="pandas").DataFrame(self.columns())

    def to_polars(self) -> polars.DataFrame:
        """The columns as a Polars table, one row per input.

        Raises:
            ModuleNotFoundError: Polars is not installed.
        """
        return needed("polars", extra="polars").DataFrame(self.columns())

    def to_arrow(self) -> Any:
        """The columns as an Arrow table, one row per input."""
        return needed("pyarrow", extra="").table(self.columns())


def checked_labels(labels: ArrayLike, count: int) -> NDArray[np.int64]:
    """True classes, int64 (count,).

    Args:
        labels: integers (count,), −1 = unknown.
        count: how many there must be.

    Raises:
        ValueError: they are something else.
    """
    array = np.asarray(labels)
    if array.shape != (count,) or not (count == 0 or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(
            f"labels must be {count} integers, one per input, −1 = unknown; got {array.dtype} of"
            f" shape {array.shape}"
        )
    return array.astype(np.int64)


def positions(which: slice | ArrayLike, count: int) -> slice | NDArray:
    """What chooses several of `count` inputs: a slice, positions, or a mask (count,).

    Args:
        which: the slice, positions or mask, as an array or a list.
        count: how many inputs there are.

    Raises:
        IndexError: it is something else, or names an input that is not there.
    """
    if isinstance(which, slice):
        return which
    array = np.asarray(which)
    if array.size == 0 and array.dtype != np.bool_:
        array = array.astype(np.intp)
    mask = array.dtype == np.bool_
    right = array.ndim == 1 and (mask or np.issubdtype(array.dtype, np.integer))
    if not right or (mask and len(array) != count):
        raise IndexError(
            "inputs are chosen by a position, a slice, a list of positions or a mask of"
            f" {count} booleans; got {array.dtype} of shape {array.shape}"
        )
    if not mask and np.any((array < -count) | (array >= count)):
        wrong = cast("NDArray", array)[(array < -count) | (array >= count)][0]
        raise IndexError(f"there is no position {wrong}; there are {count} inputs")
    return array
