"""What `SmoothedClassifier` takes as a base classifier: functions, modules, estimators."""

import numpy as np
import pytest
import torch
from torch import nn

from sosmooth import SmoothedClassifier, from_numpy, load_classifier
from sosmooth.classifiers.from_numpy import TensorsOrArrays
from sosmooth.sampling.evaluator import ClassifierError

INPUTS = np.linspace(-1, 1, 12).reshape(6, 2)


def on_arrays(array):
    """Takes arrays alone: a tensor has no `astype`."""
    return (array[:, 0] > 0).astype(int)


def on_tensors(tensor):
    """Takes tensors alone: an array has no `long`."""
    return (tensor[:, 0] > 0).long()


def certified(classifier, **settings):
    return SmoothedClassifier(classifier, sigma=0.5, batch_size=100, **settings).certify(
        INPUTS, n=200
    )


def test_a_function_of_arrays_is_taken_as_it_is():
    expected = certified(on_tensors, num_classes=2)
    assert certified(on_arrays, num_classes=2) == expected
    assert certified(from_numpy(on_arrays), num_classes=2) == expected


def test_a_function_of_both_gets_tensors():
    kinds = set()

    def both(inputs):
        kinds.add(type(inputs))
        return inputs[:, 0]

    TensorsOrArrays(both)(torch.ones(2, 2))
    assert kinds == {torch.Tensor}


def test_a_function_of_arrays_that_changes_them_gets_them_unchanged():
    def in_place(array):
        array -= 1.0
        return (array[:, 0] > -1).astype(int)

    inputs = torch.ones(2, 2)
    assert TensorsOrArrays(in_place)(inputs).tolist() == [1, 1]


def test_the_error_of_a_function_that_takes_neither_is_its_own():
    def broken(inputs):
        raise KeyError("weights")

    with pytest.raises(ClassifierError, match=r"KeyError .*'weights' .test_given_classifiers"):
        certified(broken, num_classes=2)


def test_memory_that_ran_out_says_nothing_about_the_kind():
    sizes = []

    def large(tensor):
        sizes.append(len(tensor))
        if len(tensor) > 20:
            raise MemoryError
        return on_tensors(tensor)

    assert certified(large, num_classes=2) == certified(on_tensors, num_classes=2)
    assert min(sizes) <= 20 < max(sizes)


def test_a_function_that_holds_a_module_has_it_in_eval_mode():
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    modes = []

    def holding(inputs):
        modes.append(module.training)
        return module(inputs.float())

    certified(holding, num_classes=2)
    assert not any(modes)
    assert module.training


@pytest.mark.parametrize("given", [3, "mnist7", None, np.zeros(3)])
def test_what_is_no_classifier_is_refused(given):
    with pytest.raises(ValueError, match="base_classifier must be callable on a batch"):
        SmoothedClassifier(given, sigma=0.5, num_classes=2)


def test_a_fitted_estimator_is_taken_as_it_is():
    linear = pytest.importorskip("sklearn.linear_model")
    labels = np.where(INPUTS[:, 0] > 0, "right", "left")
    estimator = linear.LogisticRegression().fit(INPUTS, labels)
    smoothed = SmoothedClassifier(estimator, sigma=0.5, batch_size=100)
    assert smoothed.num_classes == 2
    assert repr(smoothed).startswith("<SmoothedClassifier of LogisticRegression: sigma=0.5")
    names = np.array(["left", "right"])
    by_hand = from_numpy(lambda x: np.searchsorted(names, estimator.predict(x)))
    assert smoothed.certify(INPUTS, n=200) == certified(by_hand, num_classes=2)
    assert smoothed.predict(3 * INPUTS, n=200).tolist()[::5] == [0, 1]


def test_a_file_may_name_a_function_of_arrays(tmp_path):
    (tmp_path / "own.py").write_text(
        "def positive(array):\n    return (array[:, 0] > 0).astype(int)\n"
    )
    found = load_classifier(f"{tmp_path / 'own.py'}:positive")
    assert certified(found, num_classes=2) == certified(on_tensors, num_classes=2)
