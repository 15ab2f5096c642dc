"""A classifier that a user holds in Python: a module, a function or a fitted estimator."""

from __future__ import annotations

from typing import Any

import torch

from sosmooth.classifiers.from_numpy import TensorsOrArrays
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.classifiers.scikit_learn import classifier_of, is_estimator


def given_classifier(classifier: Any) -> LoadedClassifier:
    """The base classifier that is called, and what is known of it.

    Args:
        classifier: a torch module; a function of tensors or of NumPy arrays; a fitted classifier of
            scikit-learn.

    Raises:
        ValueError: it is something else.
    """
    if is_estimator(classifier):
        return classifier_of(classifier)
    if not callable(classifier):
        raise ValueError(
            "base_classifier must be callable on a batch of inputs, or a fitted classifier of"
            f" scikit-learn; got {type(classifier).__name__}"
        )
    module = isinstance(classifier, torch.nn.Module)
    return LoadedClassifier(
        classifier if module else TensorsOrArrays(classifier),
        getattr(classifier, "num_classes", None),
        {"architecture": type(classifier).__name__, "training_sigma": None},
    )
