"""Slope and curvature along one axis: their sums, where the axis comes from, what runs store."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from sosmooth import (
    METHODS,
    SmoothedClassifier,
    load_classifier,
    load_dataset,
    load_run,
    recertify,
    validate_run,
)
from sosmooth.confidence.axis_bounds import AXIS_SHARE
from sosmooth.confidence.axis_plan import axis_copies, planned_axis
from sosmooth.planning import scaled
from sosmooth.request import Request
from sosmooth.runs import RunError
from sosmooth.sampling.axis import PairAxis
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.lattice import noise_source
from sosmooth.sampling.score_gradient import score_axis
from sosmooth.tally import SLOPE_CAP, Design, concatenate

SIGMA, DIMENSION, PAIRS = 0.5, 6, 3000
INPUTS = np.array([[0.3, 0.1, 0.0], [0.5, 0.2, 0.0], [9.0, 0.0, 0.0]], dtype=np.float32)
CPU = torch.device("cpu")


def scores(x):
    """Class 0 beside a curved boundary; differentiable, and so are its scores."""
    margin = x[:, 0] + 0.3 * x[:, 1].square()
    return torch.stack([4 * margin, -4 * margin], dim=1)


def labels(x):
    return scores(x).argmax(1)


def smoothed(classifier=scores, **more):
    return SmoothedClassifier(classifier, sigma=SIGMA, num_classes=2, batch_size=4096, **more)


@cache
def certified(classifier=scores, **more):
    asked = {"method": "look_ahead", "n": 4000} | more
    if asked["method"] == "look_ahead":
        asked = {"direction": "samples" if classifier is labels else "gradient"} | asked
    return smoothed(classifier).certify(INPUTS, **asked)


def unit(vector):
    return vector / np.linalg.norm(vector)


def drawn(rng, noise):
    """Noise as its source draws it, and which sides are right."""
    z = torch.as_tensor(rng.standard_normal((PAIRS, DIMENSION)), dtype=torch.float32)
    vectors = z if noise.dtype is torch.float32 else (z * 32).round().to(noise.dtype)
    uniform = torch.as_tensor(rng.random((2, PAIRS)))
    lift = 0.3 * torch.stack([z[:, 0], -z[:, 0]])
    return vectors, uniform < 0.7 + lift


@pytest.mark.parametrize("lattice", [None, 1 / 64])
@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("given", [True, False])
def test_the_sums_are_what_they_say(given, share, lattice):
    rng = np.random.default_rng(3)
    noise = noise_source(0, CPU, sigma=SIGMA, lattice=lattice)
    axis = unit(rng.standard_normal(DIMENSION)) if given else None
    of = Estimation(
        0,
        Design.ANTITHETIC,
        2 * PAIRS,
        0,
        DIMENSION,
        direction_share=share,
        axis_center=0.25,
        axis_share=0.3,
        axis=axis,
    )
    vectors, right = drawn(rng, noise)
    sums, cuts = PairAxis(of, CPU, noise), [0, 700, 1500, 2048, PAIRS]
    for start, stop in pairwise(cuts):
        sums.add(start, vectors[start:stop], right[:, start:stop])
    found = Counts({name: value.numpy() for name, value in sums.sums().items()})._axis(of)

    z = noise.standard(vectors).numpy()
    plus, minus = right.numpy().astype(float)
    h, wrong = 0.5 * (plus - minus), 1 - 0.5 * (plus + minus)
    first = of.axis_first_pairs
    assert first == (PAIRS if given and share == 1 else PAIRS // 2)  # less than one block
    if axis is None:
        axis = unit(h[:first] @ z[:first])
        seen, across, rest = slice(first, None), slice(first, None), slice(0, 0)
    else:
        seen, across, rest = slice(None), slice(0, first), slice(first, None)
    t, spread = z @ axis, noise.spread(vectors)
    square = t**2 if spread is None else t**2 + 2.0**-32 * (spread.numpy() @ axis**2)
    mean = (h[across, None] * (z - t[:, None] * axis)[across]).mean(axis=0)
    y = np.minimum(h[rest] * (z[rest] @ unit(mean)), SLOPE_CAP)
    expected = {
        "axis_center": 0.25,
        "axis_pairs": len(t[seen]),
        "axis_slope": (h * t)[seen].mean(),
        "axis_curvature": ((0.25 - wrong) * (square - 1))[seen].mean(),
        "across_norm": np.linalg.norm(mean),
        "across_pairs": len(t[across]),
        "across_one": np.count_nonzero(h[across]),
        "across_slope_pairs": len(y),
        "across_slope_sum": y.sum(),
        "across_slope_sq_sum": (y * y).sum(),
        "axis_share": 0.3,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], [value], atol=1e-6, err_msg=name)


def test_lattice_noise_counts_the_spread_within_its_steps():
    """Without it the curvature of coarse noise would be off by a part of every square."""
    noise = noise_source(0, CPU, sigma=SIGMA, lattice=1 / 4)
    vectors = torch.arange(-6, 7, dtype=noise.dtype)[:, None]
    assert float(noise.spread(vectors).min()) * 2.0**-32 > 0.01


def test_the_plan_depends_on_votes_and_samples():
    assert planned_axis(20, 100, 50_000, gradient=True).alpha_share == AXIS_SHARE
    assert planned_axis(20, 100, 1000, gradient=True, asked="samples").alpha_share == AXIS_SHARE
    assert planned_axis(0, 100, 50_000, gradient=True).alpha_share < AXIS_SHARE
    for plan in (
        planned_axis(20, 100, 50_000, gradient=False),
        planned_axis(20, 100, 49_999, gradient=True),
        planned_axis(20, 100, 2, gradient=True, asked="samples"),
    ):
        assert np.isnan(plan.center)
        assert plan.alpha_share == 0
    assert [axis_copies(n) for n in (100, 20_000, 10**6)] == [64, 200, 1024]


def test_the_scores_give_the_direction_in_which_they_rise():
    slope = torch.tensor([3.0, -4.0])

    def linear(x):
        margin = x @ slope
        return torch.stack([margin, -margin], dim=1)

    settings = {"sigma": 0.5, "copies": 64, "index": 0, "seed": 0}
    for label, sign in ((0, 1), (1, -1)):
        with torch.inference_mode():  # as the sampler calls it
            found = score_axis(linear, torch.zeros(2), label, **settings)
        assert found.dtype is torch.float64
        np.testing.assert_allclose(found, sign * np.array([0.6, -0.8]), atol=1e-6)


@pytest.mark.parametrize(
    "classifier",
    [
        labels,
        lambda x: scores(x).detach(),
        lambda x: torch.zeros(len(x), 2) + 0 * x[:, :1],
        lambda x: torch.full((len(x), 2), torch.nan) * x[:, :1],
    ],
    ids=["labels", "detached", "flat", "nan"],
)
def test_scores_without_a_slope_give_no_axis(classifier):
    x, settings = torch.zeros(3), {"sigma": 0.5, "copies": 64, "index": 0, "seed": 0}
    assert score_axis(classifier, x, 0, **settings) is None


def test_memory_that_runs_out_makes_smaller_batches():
    sizes = []

    def hungry(x):
        sizes.append(len(x))
        if len(x) > 10:
            raise torch.OutOfMemoryError("out of memory")
        return scores(x)

    settings = {"sigma": 0.5, "copies": 64, "index": 0, "seed": 0}
    found = score_axis(hungry, torch.zeros(3), 0, **settings)
    np.testing.assert_allclose(found, score_axis(scores, torch.zeros(3), 0, **settings), atol=1e-6)
    assert max(sizes) == 64
    assert min(sizes) == 8


def test_auto_takes_the_scores_where_they_have_gradients():
    def tally(classifier, direction):
        asked = {"method": "look_ahead", "n": 50_000, "direction": direction}
        return smoothed(classifier).certify(INPUTS[:2], **asked).tally

    of_scores, of_labels = tally(scores, "auto"), tally(labels, "auto")
    assert of_scores == tally(scores, "gradient")
    assert of_labels == tally(scores, "samples")
    assert of_scores.axis_pairs.tolist() == [25_000, 25_000]
    assert of_labels.axis_pairs.max() < 20_000
    # The last input is sure: no gradient, no axis. With fewer samples there is none by itself.
    assert certified().tally.axis_pairs.tolist() == [2000, 2000, 0]
    assert certified(labels).tally.axis_pairs.tolist() == [1000, 1000, 0]
    assert certified(direction="auto").tally.axis_pairs.tolist() == [0, 0, 0]
    with pytest.raises(ClassifierError, match="direction 'gradient' needs scores"):
        smoothed(labels).certify(INPUTS[:1], method="look_ahead", n=400, direction="gradient")


def test_without_an_axis_it_is_the_second_order_dipole():
    for classes in ("top", "all"):
        found = certified(classes=classes)
        plain = certified(method="second_order_dipole", classes=classes)
        assert found.radius[2] == plain.radius[2]
        again = recertified(found, "second_order_dipole", classes)
        np.testing.assert_array_equal(again, plain.radius)
        assert np.all(found.radius > 0.99 * plain.radius)
        # Counts without an axis are enough, and then it is that method.
        np.testing.assert_array_equal(recertified(plain, "look_ahead", classes), plain.radius)
    stopped = smoothed().certify(INPUTS, method="look_ahead", n=4000, radius=0.05)
    assert stopped.tally.axis_pairs.tolist() == [0, 0, 0]


def recertified(found, method, classes):
    from sosmooth.methods import bounds_and_radii

    return bounds_and_radii(
        method, found.tally, alpha=found.alpha, sigma=found.sigma, classes=classes
    )[1]


def test_it_gains_on_a_trained_classifier():
    mnist7 = SmoothedClassifier(load_classifier("mnist7", sigma=0.25), sigma=0.25)
    x = load_dataset("mnist7").get([2])
    found = mnist7.certify(x, method="look_ahead", n=100_000, classes="top")
    assert found.radius[0] > 1.02 * recertified(found, "second_order_dipole", "top")[0]


def test_requests_are_checked():
    with pytest.raises(ValueError, match="direction must be one of auto, samples, gradient; got"):
        Request("look_ahead", direction="up")
    with pytest.raises(ValueError, match="direction 'samples' is for look_ahead; dipole has no"):
        Request("dipole", direction="samples")


def test_a_run_stores_it_and_gives_it_back(tmp_path):
    asked = {"method": "look_ahead", "n": 4000, "direction": "gradient"}
    found = smoothed().certify(INPUTS, **asked, out=tmp_path / "run")
    run = load_run(tmp_path / "run").certificates()
    assert run.tally == certified().tally
    assert validate_run(tmp_path / "run") == []
    np.testing.assert_array_equal(found["radius"], certified().radius)
    again = recertify(tmp_path / "run", tmp_path / "again", method="look_ahead", alpha=0.01)
    assert np.all(again.certificates().radius[:2] > run.radius[:2])
    with pytest.raises(RunError, match="direction is 'gradient' there and 'samples' here"):
        smoothed().certify(INPUTS, **asked | {"direction": "samples"}, out=tmp_path / "run")


def test_a_run_without_any_axis_reads_back_alike(tmp_path):
    found = smoothed().certify(INPUTS[2:], method="look_ahead", n=4000, out=tmp_path / "run")
    tally = load_run(tmp_path / "run").certificates().tally
    assert tally == found.certificates().tally
    assert tally.axis_pairs.tolist() == [0]
    assert validate_run(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"axis_center": 0.75}, "axis_center is outside"),
        ({"axis_share": 0.0}, "axis_share is not in"),
        ({"axis_pairs": 10_000}, "axis_pairs is outside"),
        ({"across_pairs": 7}, "do not add up to axis_pairs"),
    ],
)
def test_contradictions_are_found(changes, finding, tmp_path):
    from sosmooth.tasks.validate import _axis_checks

    tally = certified().tally[:2]
    broken = replace(tally, **{name: np.full(2, value) for name, value in changes.items()})
    found = [what for what, wrong in _axis_checks(broken).items() if np.any(wrong)]
    assert any(finding in what for what in found)
    assert not any(np.any(wrong) for wrong in _axis_checks(tally).values())


def test_a_plan_scales_it():
    tally = concatenate([certified().tally[:1]])
    larger = scaled(tally, 16_000)
    assert larger.axis_pairs.tolist() == [8000]
    assert larger.across_norm[0] < tally.across_norm[0]
    method = METHODS["look_ahead"]
    assert method.certify(larger, 0.001, SIGMA)[1] > method.certify(tally, 0.001, SIGMA)[1]


def test_an_axis_from_the_scores_is_covered():
    """A half-space, where the certificate has no margin: the scores give its normal exactly."""

    def half_space(x):
        return torch.stack([x[:, 0] + 0.3, -x[:, 0] - 0.3], dim=1)

    inputs, runs = np.zeros((60, 3), dtype=np.float32), 60
    found = smoothed(half_space).certify(
        inputs, method="look_ahead", n=400, alpha=0.05, direction="gradient", classes="top"
    )
    assert np.sum(found.prediction == 0) > 0.9 * runs
    # A method that fails with probability alpha exceeds this number once in a million.
    assert np.sum(found.radius > 0.3) <= 14
