"""scikit-learn classifiers: fitted estimators, from Python or from a `.skops` file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sosmooth._errors import text_of
from sosmooth._extras import needed
from sosmooth._objects import file_sha256
from sosmooth.classifiers.from_numpy import from_numpy
from sosmooth.classifiers.loaded import LoadedClassifier


def is_estimator(value: Any) -> bool:
    """Whether it is a fitted classifier in the sense of scikit-learn: it predicts, and knows its classes."""
    return (
        not isinstance(value, type)
        and callable(getattr(value, "predict", None))
        and hasattr(value, "classes_")
    )


def classifier_of(estimator: Any) -> LoadedClassifier:
    """The estimator's `predict` as a base classifier of inputs (batch, …), flattened to (batch, features).

    Classes are numbered from 0 in the order of `classes_`, which is sorted.

    Raises:
        ValueError: the classes are integers but not 0, 1, 2, …: the data's labels would mean others.
    """
    classes = np.asarray(estimator.classes_)
    if classes.ndim != 1 or (
        classes.dtype.kind in "iu" and not np.array_equal(classes, np.arange(len(classes)))
    ):
        raise ValueError(
            f"the estimator's classes are {classes.tolist()}; fit it with the labels 0, 1, 2, …"
        )

    def predict(inputs: NDArray) -> NDArray[np.int64]:
        with (
            warnings.catch_warnings()
        ):  # fitted on a table with named columns, it would like to see the names
            warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
            return np.searchsorted(classes, estimator.predict(inputs.reshape(len(inputs), -1)))

    settings = {
        "architecture": type(estimator).__name__,
        "classes": classes.tolist(),
        "weights_sha256": None,
        "training_sigma": None,
    }
    return LoadedClassifier(from_numpy(predict), len(classes), settings)


def open_skops(path: Path) -> LoadedClassifier:
    """The estimator in a `.skops` file, which is read without running code of the file.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: no skops.
        ValueError: no such file format, types outside scikit-learn and NumPy, no fitted classifier.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; write it with skops.io.dump")
    skops = needed("skops.io", extra="sklearn")
    try:
        untrusted = skops.get_untrusted_types(file=path)
        estimator = None if untrusted else skops.load(path)
    except Exception as error:  # skops raises whatever it stumbles over
        raise ValueError(
            f"{path} cannot be read ({text_of(error)}); write it with skops.io.dump"
        ) from error
    if untrusted:
        raise ValueError(
            f"{path} holds {untrusted[0]}, which is not safe to read from a file, as trees and types from outside scikit-learn"
            " are not; load it in a function of your own: package.module:factory"
        )
    if not is_estimator(estimator):
        raise ValueError(
            f"{path} holds {type(estimator).__name__}; a fitted classifier of scikit-learn is needed"
        )
    opened = classifier_of(estimator)
    return LoadedClassifier(
        opened.classifier, opened.num_classes, opened.settings | {"file_sha256": file_sha256(path)}
    )
