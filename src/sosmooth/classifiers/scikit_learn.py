"""scikit-learn classifiers: fitted estimators, from Python or from a `.skops` file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sosmooth._errors import text_of
from sosmooth._extras import needed
from sosmooth._objects import file_sha256
from sosmooth.classifiers.from_numpy import from_numpy
from sosmooth.classifiers.loaded import LoadedClassifier


class Estimator(Protocol):
    """A fitted classifier of scikit-learn, or of a library that follows it."""

    classes_: Any

    def predict(self, X: Any, /) -> Any: ...


def is_estimator(value: Any) -> bool:
    """Whether it is a fitted classifier of scikit-learn: it predicts, and knows its classes."""
    return (
        not isinstance(value, type)
        and callable(getattr(value, "predict", None))
        and hasattr(value, "classes_")
    )


def classifier_of(estimator: Any) -> LoadedClassifier:
    """The estimator's `predict` as a base classifier.

    Inputs (batch, …) are flattened to (batch, features). Classes are numbered from 0 in the order
    of `classes_`. If the estimator has `feature_names_in_`, features are in that order, and it gets
    a DataFrame with these names.

    Args:
        estimator: a fitted classifier.

    Raises:
        ValueError: the classes are numbers but not 0, 1, 2, …: the data's labels would mean other
            classes.
    """
    classes = _classes_of(estimator)
    names = _feature_names(estimator)
    predict = estimator.predict if names is None else _WithNames(estimator, names)
    order = np.argsort(classes)

    def classify(inputs: NDArray) -> NDArray[np.int64]:
        predicted = np.asarray(predict(inputs.reshape(len(inputs), -1)))
        if predicted.shape == (len(inputs), 1):  # CatBoost returns a column
            predicted = predicted[:, 0]
        if predicted.shape != (len(inputs),):
            raise ValueError(
                f"the estimator's predict returned an array of shape {predicted.shape} for"
                f" {len(inputs)} inputs; it must return one label per input"
            )
        place = np.searchsorted(classes, predicted, sorter=order).clip(max=len(classes) - 1)
        numbers = order[place]
        if np.any(wrong := classes[numbers] != predicted):
            raise ValueError(
                f"the estimator predicted {predicted[wrong].tolist()[0]!r}, which is not among its"
                f" classes {classes.tolist()}"
            )
        return numbers

    settings: dict[str, Any] = {
        "architecture": type(estimator).__name__,
        "classes": classes.tolist(),
        "weights_sha256": None,
        "training_sigma": None,
    }
    if names is not None:
        settings["features"] = names
    return LoadedClassifier(from_numpy(classify), len(classes), settings)


def _classes_of(estimator: Any) -> NDArray:
    classes = np.asarray(estimator.classes_)
    numeric = classes.dtype.kind in "iuf"
    named = classes.dtype.kind in "US" or all(isinstance(each, str) for each in classes.flat)
    if (
        classes.ndim != 1
        or not (numeric or named or classes.dtype.kind == "b")
        or (numeric and not np.array_equal(classes, np.arange(len(classes))))
    ):
        raise ValueError(
            f"the estimator's classes are {classes.tolist()}; fit it with the labels 0, 1, 2, …,"
            " or with names"
        )
    return classes.astype(np.int64) if numeric else classes


def _feature_names(estimator: Any) -> list[str] | None:
    """The names of the columns that the estimator was fitted with, in their order."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


class _WithNames:
    """`predict` for an estimator that was fitted with named columns."""

    def __init__(self, estimator: Any, names: list[str]):
        self._estimator, self._names = estimator, names
        try:
            self._frame: Any = importlib.import_module("pandas").DataFrame
        except ModuleNotFoundError:
            self._frame = None

    def __call__(self, rows: NDArray) -> Any:
        if rows.shape[1] != len(self._names):
            raise ValueError(
                f"the estimator was fitted with the {len(self._names)} features"
                f" {', '.join(self._names)}; the inputs have {rows.shape[1]}"
            )
        if self._frame is not None:
            return self._estimator.predict(self._frame(rows, columns=self._names, copy=False))
        try:
            return self._estimator.predict(rows)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModuleNotFoundError(
                f"the estimator needs columns with names ({error}), and pandas is not installed;"
                " pip install pandas"
            ) from error


def open_skops(path: Path) -> LoadedClassifier:
    """The estimator in a `.skops` file, which is read without running code of the file.

    Args:
        path: the file, as `skops.io.dump` writes it.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: skops is not installed.
        ValueError: another file format, types outside scikit-learn and NumPy, no fitted classifier.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; write it with skops.io.dump")
    skops = needed("skops.io", extra="sklearn")
    try:
        untrusted = skops.get_untrusted_types(file=path)
        estimator = None if untrusted else skops.load(path)
    except Exception as error:  # skops raises all kinds of exceptions
        raise ValueError(
            f"{path} cannot be read ({text_of(error)}); write it with skops.io.dump"
        ) from error
    if untrusted:
        raise ValueError(
            f"{path} holds {', '.join(untrusted)}, which skops does not know to be safe; if you"
            " trust the file, load it in your own function, FILE.py:factory, that returns"
            f" skops.io.load({path.name!r}, trusted={untrusted!r})"
        )
    if not is_estimator(estimator):
        raise ValueError(
            f"{path} holds {type(estimator).__name__}; it must hold a fitted classifier of"
            " scikit-learn"
        )
    opened = classifier_of(estimator)
    return LoadedClassifier(
        opened.classifier, opened.num_classes, opened.settings | {"file_sha256": file_sha256(path)}
    )
