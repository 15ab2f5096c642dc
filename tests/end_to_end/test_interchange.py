"""Results as tables of other libraries.

The Adversarial Robustness Toolbox is wrapped by sosmooth, and wraps it.
"""

import inspect

import numpy as np
import pytest
import torch

from sosmooth import SmoothedClassifier, load_classifier, load_run
from sosmooth.cli import main
from sosmooth.datasets import load_dataset

INPUTS = load_dataset("mnist7").get(range(4))


@pytest.fixture(scope="module")
def smoothed():
    return SmoothedClassifier(
        load_classifier("mnist7", sigma=0.25), sigma=0.25, num_classes=10, batch_size=200
    )


@pytest.fixture(scope="module")
def certificates(smoothed):
    return smoothed.certify(INPUTS, n=400, n0=20)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    line = (
        "certify --model mnist7 --data mnist7 --sigma 0.25 --indices 0:4 --n 400 --n0 20 "
        f"--batch-size 200 --json --out {out}"
    )
    assert main(line.split()) == 0
    return load_run(out)


@pytest.mark.parametrize("source", ["certificates", "run"])
def test_results_become_tables_in_one_call(source, request):
    results = request.getfixturevalue(source)
    columns = results.columns()
    pandas = pytest.importorskip("pandas", reason='needs pip install "sosmooth[pandas]"')
    polars = pytest.importorskip("polars", reason='needs pip install "sosmooth[polars]"')
    frame, other, arrow = results.to_pandas(), results.to_polars(), results.to_arrow()
    assert isinstance(frame, pandas.DataFrame)
    assert isinstance(other, polars.DataFrame)
    assert list(frame.columns) == other.columns == arrow.column_names == list(columns)
    assert {
        "index",
        "prediction",
        "radius",
        "method",
        "sigma",
        "alpha",
        "pair_both",
        "c_s_lower",
    } <= columns.keys()
    for name, expected in columns.items():
        for found in (frame[name], other[name], arrow[name]):
            assert np.asarray(found).tolist() == expected.tolist()


def test_both_give_the_same_columns(certificates, run):
    ours, stored = certificates.columns(), run.columns()
    assert stored.keys() - ours.keys() == {"label", "seconds"}
    for name in ours.keys() & stored.keys():
        assert ours[name].tolist() == stored[name].tolist()


@pytest.fixture
def art():
    return pytest.importorskip(
        "sosmooth.interchange.art", reason='needs pip install "sosmooth[art]"', exc_type=ImportError
    )


def art_classifier(**settings):
    from art.estimators.classification import PyTorchClassifier

    model = load_classifier("mnist7", sigma=0.25)
    return PyTorchClassifier(
        model,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(7, 7),
        nb_classes=10,
        clip_values=(0, 1),
        **settings,
    )


def test_a_classifier_of_art_can_be_certified(art, certificates, tmp_path):
    base = art.from_art(art_classifier())
    assert base.num_classes == 10
    found = SmoothedClassifier(base, sigma=0.25, num_classes=10, batch_size=200).certify(
        INPUTS, n=400, n0=20
    )
    assert found.tally.count_top.tolist() == certificates.tally.count_top.tolist()
    assert found.radius.tolist() == certificates.radius.tolist()
    with pytest.raises(ValueError, match="a classifier of ART has predict and nb_classes; got int"):
        art.from_art(3)


def test_ours_stands_where_art_expects_a_certified_estimator(art, smoothed, certificates):
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing
    from art.estimators.certification.randomized_smoothing.randomized_smoothing import (
        RandomizedSmoothingMixin,
    )
    from art.estimators.classification.classifier import ClassifierMixin
    from art.utils import compute_accuracy, to_categorical

    ours = art.CertifiedEstimator(smoothed, input_shape=(7, 7), sample_size=20, clip_values=(0, 1))
    assert isinstance(ours, RandomizedSmoothingMixin)
    assert isinstance(ours, ClassifierMixin)
    assert (ours.nb_classes, ours.input_shape, ours.scale, ours.alpha) == (10, (7, 7), 0.25, 0.001)
    prediction, radius = ours.certify(INPUTS, n=400)
    assert prediction.tolist() == certificates.prediction.tolist()
    assert radius.tolist() == certificates.radius.tolist()
    for name in ("certify", "predict", "fit"):
        asked, answered = (
            inspect.signature(getattr(kind, name)).parameters
            for kind in (PyTorchRandomizedSmoothing, type(ours))
        )
        assert list(answered)[: len(asked) - 1] == list(asked)[: len(asked) - 1]
    one_hot = ours.predict(INPUTS, batch_size=2)
    assert one_hot.shape == (4, 10)
    assert set(one_hot.sum(1)) <= {0.0, 1.0}
    labels = to_categorical(load_dataset("mnist7").labels[:4], 10)
    accuracy, coverage = compute_accuracy(one_hot, labels)
    assert 0 <= accuracy <= 1
    assert coverage == one_hot.sum() / 4
    with pytest.raises(ValueError, match="smoothed already"):
        art.from_art(ours)
    with pytest.raises(NotImplementedError, match="train the base classifier"):
        ours.fit(INPUTS, labels)
    with pytest.raises(ValueError, match="is_abstain must be True"):
        ours.predict(INPUTS, is_abstain=False)


@pytest.mark.parametrize("place", ["preprocessing", "postprocessing"])
def test_art_steps_that_depend_on_chance_are_refused(art, place):
    from art.defences import postprocessor, preprocessor
    from art.estimators.classification import EnsembleClassifier

    step, still = {
        "preprocessing": (
            preprocessor.GaussianAugmentation(sigma=0.5, augmentation=False, apply_predict=True),
            preprocessor.FeatureSqueezing(clip_values=(0, 1), bit_depth=2),
        ),
        "postprocessing": (
            postprocessor.GaussianNoise(scale=0.5),
            postprocessor.Rounded(decimals=2),
        ),
    }[place]
    kind = {f"{place}_defences": step}
    with pytest.raises(
        ValueError, match=f"{type(step).__name__} of .* depends on chance in predict"
    ):
        art.from_art(art_classifier(**kind))
    ensemble = EnsembleClassifier(
        [art_classifier(), art_classifier(**kind)], channels_first=True, clip_values=(0, 1)
    )
    with pytest.raises(ValueError, match=type(step).__name__):
        art.from_art(ensemble)
    step._apply_predict = False  # applied only in training
    art.from_art(art_classifier(**kind))
    art.from_art(art_classifier(**{f"{place}_defences": still}))
