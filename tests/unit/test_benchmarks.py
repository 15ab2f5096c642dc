"""The benchmarks run, and time what they say.

The bare loop does no less than certifying needs, and the peer computes the same certificates.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks import axis, axis_cosine, cases, curvature, driver, engine, peer
from benchmarks.bare import Bare
from benchmarks.two_steps import mean_upper_bound
from scipy.special import ndtri
from scipy.stats import binom, norm

from sosmooth import (
    Execution,
    SmoothedClassifier,
    load_classifier,
    load_dataset,
    second_order_radius,
)
from sosmooth.request import Request

SMALL = replace(
    cases.CPU[0], n=600, batch_sizes=(64, 200), peer_batch=250, inputs=2, rounds=1, peer_rounds=1
)


@pytest.mark.parametrize("execution", [Execution(), Execution(precision="bfloat16")])
def test_every_method_of_a_case_is_measured(execution):
    rows = dict(engine.measured(replace(SMALL, execution=execution), torch.device("cpu")))
    assert tuple(rows) == cases.METHODS
    for method, row in rows.items():
        assert len(row.cells()) == len(engine.COLUMNS)
        assert min(row.noise, row.classifier, row.bare, row.certifying) > 0
        assert (row.peer is None) == (method not in engine.PEERS)
        assert row.bare_batch_size in SMALL.batch_sizes


def test_the_gradient_is_drawn_while_it_is_timed():
    classifier, images = SMALL.make()
    smoothed = SmoothedClassifier(classifier, sigma=SMALL.sigma, num_classes=10)
    with engine.DRAWN:
        assert smoothed.certify(images[:1], n=600).tally.direction_pairs.tolist() == [150]


def test_the_cost_of_the_curvature_is_that_of_all_samples():
    found = curvature.cost(SMALL, n=8192 * 50, evaluations=8192, batch_size=4096)
    assert len(found.cells()) == len(curvature.COLUMNS)
    assert min(found.bare, found.sums, found.eigenvalues) > 0
    assert found.sums < found.bare
    assert found.sent == pytest.approx(8 * (49 * 50 / 2 + 49) / 1e6)


@pytest.mark.parametrize(
    ("sides", "batches"), [(1, [64, 36, 64, 64, 64, 64, 44]), (2, [64, 36, 64, 64, 64, 64, 44])]
)
def test_the_bare_loop_classifies_as_many_noisy_copies(sides, batches):
    seen = []

    class Counting(torch.nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return x

    bare = Bare(
        Counting(), torch.zeros(3), sigma=0.5, n0=100, n=300, sides=sides, execution=Execution()
    )
    for part in (bare.loop, bare.classifier):
        seen.clear()
        part(64)
        assert seen == batches
    seen.clear()
    bare.warm_up(64)
    assert set(seen) == set(batches)


@pytest.mark.parametrize("p", [0.51, 0.8, 0.999])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 2.0])
def test_the_peers_radius_is_theorem_1(p, share):
    gamma = share * norm.pdf(ndtri(p))
    assert peer._second_order_radius(p, gamma) == pytest.approx(
        second_order_radius(p, gamma), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("method", list(engine.PEERS))
def test_the_peer_certifies_what_we_do_within_chance(method):
    classifier, images = cases.mnist7()
    ours = SmoothedClassifier(classifier, sigma=0.25, num_classes=10).certify(
        images[:3], method=method, n=20_000
    )
    torch.manual_seed(0)
    run = engine.PEERS[method]
    for x, prediction, radius in zip(images, ours.prediction, ours.radius, strict=False):
        found = run(
            classifier, x, sigma=0.25, num_classes=10, n0=100, n=20_000, alpha=0.001, batch=1000
        )
        assert found[0] == prediction
        assert found[1] == pytest.approx(radius, abs=0.015)


@pytest.mark.parametrize("make", [cases.resnet20, cases.wide_mlp])
def test_untrained_networks_waver(make):
    network, images = make()
    generator = torch.Generator().manual_seed(2)
    with torch.inference_mode():
        noise = torch.randn((200, *images.shape[1:]), generator=generator)
        labels = network(images + cases.SIGMA * noise).argmax(1)
    assert set(labels.tolist()) == {0, 1}
    assert 0.65 < (labels == 0).double().mean() < 0.95


def test_the_command_prints_a_table_and_knows_its_options(capsys):
    engine.main(
        [
            "--device",
            "cpu",
            "--case",
            "mnist7",
            "--method",
            "dipole",
            "--n",
            "200",
            "--inputs",
            "1",
            "--rounds",
            "1",
        ]
    )
    out = capsys.readouterr().out
    assert [line.split()[:3] for line in out.splitlines()[2:]] == [["mnist7", "200", "dipole"]]
    with pytest.raises(SystemExit):
        engine.main(["--case", "imagenet"])


@pytest.mark.parametrize("table", [cases.CPU, cases.CUDA])
def test_the_cases_of_a_device_have_names_of_their_own_and_even_counts(table):
    assert len({case.name for case in table}) == len(table)
    assert all(case.n % 2 == 0 for case in table)


def test_the_drivers_share_is_measured(capsys):
    driver.main(n=400, inputs=6)
    lines = capsys.readouterr().out.splitlines()[-len(driver.METHODS) :]
    for line, method in zip(lines, driver.METHODS, strict=True):
        name, certificate, journal, *_ = line.split()
        assert name == method
        assert min(float(certificate), float(journal)) > 0


@pytest.mark.parametrize("direction", ["gradient", "samples"])
def test_the_axis_is_measured_on_the_samples_of_a_certificate(direction):
    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=0.25), sigma=0.25)
    x = torch.as_tensor(load_dataset("mnist7").get([2])[0])
    request = Request("look_ahead", n=4000, direction=direction, classes="top")
    figures = axis.row(smoothed, x, 0, request)
    assert len(figures) == len(axis.COLUMNS)
    plain = smoothed.certify(x[None], n=4000, method="second_order_dipole", classes="top")
    assert figures[1] == plain.radius[0]
    assert figures[2] >= 0.99 * figures[1] > 0


def test_an_axis_along_the_gradient_is_better_than_one_that_is_not():
    near, far = (
        axis_cosine.ratio(50, 100_000, cosine, np.random.default_rng(0)) for cosine in (1.0, 0.7)
    )
    assert near > far > 0.99


@pytest.mark.parametrize("n", [1, 40])
@pytest.mark.parametrize("guess", [1e-4, 0.05, 4.0])
def test_the_mean_by_betting_covers_exactly(n, guess):
    """y is one of two values (one far below): the number of each is binomial."""
    k, upper, alpha = np.arange(n + 1), 2.5, 0.05
    for high, low in ((upper, -upper), (upper, 0.0), (0.1, -9.0), (0.02, -0.02)):
        total, total_sq = k * high + (n - k) * low, k * high**2 + (n - k) * low**2
        bound = mean_upper_bound(n, total, total_sq, upper=upper, expected_sq=guess, alpha=alpha)
        for p in (0.01, 0.1, 0.5, 0.9, 0.99):
            assert np.sum(binom.pmf(k, n, p)[bound < p * high + (1 - p) * low]) <= alpha
