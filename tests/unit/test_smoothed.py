"""SmoothedClassifier as a user calls it."""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth import METHODS, SmoothedClassifier, first_order_radius
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.sampling.evaluator import ClassifierError


def half_space(x):
    """Class 0 where the first feature is below 1: the certified radius is exactly 1 − x₀."""
    return torch.stack([1 - x.flatten(1)[:, 0], torch.zeros(len(x)), -torch.ones(len(x))], 1)


@pytest.fixture
def smoothed():
    return SmoothedClassifier(half_space, sigma=0.5, num_classes=3, batch_size=512)


INPUTS = np.array([[0.0, 0.0], [0.9, 3.0], [1.0, 0.0], [2.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_certificates_of_a_half_space(smoothed, method):
    certificates = smoothed.certify(INPUTS, method=method, n=20_000, alpha=0.001)
    assert len(certificates) == 4
    assert certificates.prediction.tolist()[0] == 0
    assert certificates.prediction.tolist()[3] == 1
    assert np.all(certificates.radius <= np.abs(1 - INPUTS[:, 0]) + 1e-12)
    assert certificates.radius[0] > 0.9
    assert np.array_equal(certificates.prediction == -1, certificates.radius == 0)
    one = certificates[0]
    assert (one.prediction, one.radius, one.method) == (0, certificates.radius[0], method)
    assert one.tally.n.tolist() == [20_000]
    assert [c.radius for c in certificates] == certificates.radius.tolist()
    assert len(certificates[1:3]) == 2


def test_first_order_is_clopper_pearson_on_the_count(smoothed):
    certificates = smoothed.certify(INPUTS, method="first_order", n=1000, alpha=0.01)
    error = proportion_upper_bound(1000 - certificates.tally.count_top, 1000, 0.01)
    assert np.array_equal(certificates.radius, first_order_radius(error=error, sigma=0.5))


def test_why_an_input_has_no_certificate():
    def share(p):
        return lambda x: (
            x[:, 0] > stats.norm.ppf(p)
        ).long()  # class 0 with probability p at 0, sigma 1

    def reason(p, n=1000, n0=100):
        smoothed = SmoothedClassifier(share(p), sigma=1.0, num_classes=2, batch_size=1000)
        certificates = smoothed.certify(np.zeros((1, 2)), method="first_order", n=n, n0=n0, seed=1)
        return str(certificates.abstain_reason[0])

    assert reason(0.9) == ""
    assert reason(0.55, n=100) == "too_few_samples"
    thirds = lambda x: (x[:, 0] > -0.43).long() + (x[:, 0] > 0.43).long()  # noqa: E731
    three = SmoothedClassifier(thirds, sigma=1.0, num_classes=3, batch_size=1000)
    assert (
        three.certify(np.zeros((1, 2)), method="first_order", n=1000, n0=1000).abstain_reason[0]
        == "below_one_half"
    )
    tied = SmoothedClassifier(
        lambda x: torch.arange(len(x)) % 3, sigma=1.0, num_classes=3, batch_size=3
    )
    assert (
        tied.certify(np.zeros((1, 2)), method="first_order", n=999, n0=99).abstain_reason[0]
        == "no_leading_class"
    )


def test_certificates_do_not_depend_on_order_or_company(smoothed):
    together = smoothed.certify(INPUTS, method="dipole", n=2000, indices=[5, 6, 7, 8])
    apart = smoothed.certify(INPUTS[::-1].copy(), method="dipole", n=2000, indices=[8, 7, 6, 5])
    assert together.tally.pair_both.tolist() == apart.tally.pair_both.tolist()[::-1]
    assert together.radius.tolist() == apart.radius.tolist()[::-1]
    other = smoothed.certify(INPUTS, method="dipole", n=2000, indices=[5, 6, 7, 8], seed=1)
    assert together.tally.pair_both.tolist() != other.tally.pair_both.tolist()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "third_order"}, "unknown method 'third_order'"),
        ({"alpha": 0.0}, "alpha must be"),
        ({"alpha": 1.0}, "alpha must be"),
        ({"alpha": float("nan")}, "alpha must be"),
        ({"n": 0}, "n must be"),
        ({"n0": 0}, "n0 must be"),
        ({"n": 101, "method": "dipole"}, "even"),
        ({"n": 101, "method": "second_order"}, "even"),
        ({"seed": -1}, "seed must be"),
        ({"indices": [0, 1]}, "indices must be 4"),
        ({"indices": [0, 0, 1, 2]}, "distinct"),
        ({"indices": [-1, 0, 1, 2]}, "at least 0"),
    ],
)
def test_wrong_calls_are_refused(smoothed, arguments, said):
    with pytest.raises(ValueError, match=said):
        smoothed.certify(INPUTS, **{"method": "first_order", "n": 100, **arguments})


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.array([[0.0, np.nan]]), "input 0 .* NaN"),
        (np.array([[0.0, 1.0], [np.inf, 0.0]]), "input 1"),
        (np.zeros((3, 2), dtype=np.uint8), "divide 8-bit images by 255"),
        (np.zeros(3), "must be a batch"),
        (np.zeros((0, 3)), "must be a batch"),
    ],
)
def test_broken_inputs_are_refused(smoothed, inputs, said):
    with pytest.raises(ValueError, match=said):
        smoothed.certify(inputs, method="first_order", n=100)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_sigma_must_be_positive(sigma):
    with pytest.raises(ValueError, match="sigma"):
        SmoothedClassifier(half_space, sigma=sigma, num_classes=3)


def test_scores_that_are_nan_stop_their_input_and_only_it():
    def fragile(x):
        scores = half_space(x)
        return torch.where(x[:, 1:2] > 2, torch.nan, scores)

    smoothed = SmoothedClassifier(fragile, sigma=0.1, num_classes=3, batch_size=512)
    with pytest.raises(ClassifierError, match="input 1:"):
        smoothed.certify(INPUTS, method="first_order", n=100)
    arguments = {"method": "first_order", "n": 100, "n0": 10, "alpha": 0.01, "seed": 0}
    outcomes = sorted(smoothed.sample(INPUTS, **arguments), key=lambda outcome: outcome.position)
    assert [hasattr(outcome, "tally") for outcome in outcomes] == [True, False, True, True]


def test_a_module_is_put_in_eval_mode_and_back():
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5))
    module.train()
    module[0].eval()
    seen = []
    module.register_forward_hook(lambda m, args, output: seen.append(m.training or m[1].training))
    SmoothedClassifier(module, sigma=1.0, num_classes=3).certify(
        INPUTS, method="first_order", n=100
    )
    assert not any(seen)
    assert (module.training, module[0].training, module[1].training) == (True, False, True)


def test_a_module_that_trains_on_after_eval_is_refused():
    class Stubborn(torch.nn.Linear):
        def train(self, mode=True):
            self.training = True
            return self

    module = torch.nn.Sequential(Stubborn(2, 3))
    with pytest.raises(ClassifierError, match="still in training mode"):
        SmoothedClassifier(module, sigma=1.0, num_classes=3).certify(
            INPUTS, method="first_order", n=100
        )


def test_predict(smoothed):
    assert smoothed.predict(INPUTS, n=1000).tolist() == [0, 0, -1, 1]


def test_predict_is_wrong_at_most_alpha_of_the_time():
    smoothed = SmoothedClassifier(
        lambda x: (x[:, 0] > 0.05).long(), sigma=1.0, num_classes=2, batch_size=4096
    )
    inputs = np.zeros((4000, 1))
    wrong = int(np.sum(smoothed.predict(inputs, n=100, alpha=0.1) == 1))
    assert wrong <= stats.binom.isf(1e-6, 4000, 0.1)
    # The test is two-sided: only one of the two ways to be wrong is, so at worst about half of
    # alpha.
    assert wrong > 0


def test_progress_adds_up(smoothed):
    done = []
    smoothed.certify(INPUTS, method="dipole", n=10_000, n0=50, progress=done.append)
    assert sum(done) == 4 * (10_000 + 50)
