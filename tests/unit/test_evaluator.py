"""What a classifier may do to its points and still be certified, and what it may not do."""

import numpy as np
import pytest
import torch

from sosmooth import SmoothedClassifier, first_order_radius
from sosmooth.attacks.smoothed_pgd import AttackSettings, attack
from sosmooth.sampling.evaluator import ClassifierError, Evaluator

# A step at a mean of 0.75 in 16 features: the exact radius of x is ‖x − 0.75‖.
THRESHOLD, MEAN, STD, SIGMA = 0.75, 0.5, 0.25, 0.25
INPUT = torch.full((1, 16), 0.77)
TRUE_RADIUS = 4 * (0.77 - THRESHOLD)


class Step:
    """Class 1 where the mean is above 0.75, normalising in place; memory runs out in some calls."""

    def __init__(self, *failing_calls, scores=True, before=False):
        self.calls, self.failing, self.scores, self.before = 0, failing_calls, scores, before

    def __call__(self, x):
        self.calls += 1
        if self.before and self.calls in self.failing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        x -= MEAN
        if self.calls in self.failing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        x /= STD
        above = x.mean(1) - (THRESHOLD - MEAN) / STD
        return torch.stack([-above, above], 1) if self.scores else (above > 0).long()


def pure(x):
    return (x.mean(1) > THRESHOLD).long()


def smoothed(classifier, **more):
    options = {"sigma": SIGMA, "num_classes": 2, "batch_size": 1024} | more
    return SmoothedClassifier(classifier, **options)


@pytest.mark.parametrize("failing", [(), (1,), (2,), (3,), (1, 2, 3), (4, 6, 8)])
@pytest.mark.parametrize("scores", [True, False])
@pytest.mark.parametrize("method", ["first_order", "second_order", "dipole"])
def test_a_classifier_that_changes_its_input_never_sees_it_changed(failing, scores, method):
    settings = {"method": method, "n": 4096, "n0": 100}
    expected = smoothed(pure).certify(INPUT, **settings)
    found = smoothed(Step(*failing, scores=scores)).certify(INPUT, **settings)
    assert 0 < found.radius[0] == expected.radius[0] <= TRUE_RADIUS
    assert found.tally.count_top == expected.tally.count_top
    assert torch.equal(INPUT, torch.full((1, 16), 0.77))


@pytest.mark.parametrize("failing", [(1,), (2,), (3, 4)])
def test_predictions_are_not_changed_by_it_either(failing):
    assert smoothed(Step(*failing)).predict(INPUT, n=4096).tolist() == [1]
    votes = smoothed(Step(*failing)).sampler.select(INPUT[0].numpy(), index=0, n0=4096, seed=0)
    assert votes == smoothed(pure).sampler.select(INPUT[0].numpy(), index=0, n0=4096, seed=0)


def test_the_search_for_the_batch_size_does_not_change_the_input():
    found = smoothed(Step(40), batch_size=None).certify(INPUT, method="first_order", n=4096)
    assert found.radius[0] == smoothed(pure).certify(INPUT, method="first_order", n=4096).radius[0]


def test_an_attack_copes_with_it():
    x, settings = torch.full((16,), 0.9), AttackSettings(steps=3, samples=8, judge_n=500)
    found = attack(smoothed(Step()), x, 1, 0.5, settings)
    assert 4 * (0.9 - THRESHOLD) <= found.closest < np.inf
    assert torch.equal(x, torch.full((16,), 0.9))


def test_padding_and_the_points_of_the_caller_are_not_changed():
    points = torch.linspace(0, 2, 112).view(7, 16)
    for one_shape in (False, True):
        step = Step(1, 3, scores=False)
        found = Evaluator(step, 2, 4, one_shape=one_shape, examine=True).labels(points.clone)
        assert found.tolist() == pure(points).tolist()


def dropout(rate):
    generator = torch.Generator().manual_seed(0)

    def classify(x):
        kept = torch.rand(len(x), 100, generator=generator) > rate
        above = (x.mean(1, keepdim=True) * kept).mean(1) / (1 - rate)
        return torch.stack([torch.ones_like(above), above], 1)

    return classify


@pytest.mark.parametrize("ask", ["certify", "sample", "predict", "select"])
@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_a_random_classifier_is_refused(ask, rate):
    """Far from the boundary, so that no label shows it."""
    calls = {
        "certify": lambda it: it.certify(10 * INPUT, n=1000),
        "sample": lambda it: next(
            it.sample(10 * INPUT, method="first_order", n0=10, n=100, alpha=0.1, seed=0)
        ),
        "predict": lambda it: it.predict(10 * INPUT, n=100),
        "select": lambda it: it.sampler.select(10 * INPUT[0].numpy(), index=0, n0=10, seed=0),
    }
    with pytest.raises(ClassifierError, match=r"asked again.* dropout or random augmentation"):
        calls[ask](smoothed(dropout(rate)))


def test_random_labels_are_refused():
    generator = torch.Generator().manual_seed(0)

    def jitters(x):
        return pure(x + 0.2 * torch.randn(x.shape, generator=generator))

    with pytest.raises(ClassifierError, match="asked again"):
        smoothed(jitters).certify(INPUT, method="first_order", n=1000)


@pytest.mark.parametrize("scores", [True, False])
def test_a_classifier_of_its_batch_is_refused(scores):
    """The same batch gives the same answers: only another composition of the batch shows it."""
    norm = torch.nn.BatchNorm1d(16)

    def classify(x):
        means = torch.nn.functional.batch_norm(
            x, None, None, norm.weight, norm.bias, training=True
        ).mean(1)
        return torch.stack([-means, means], 1) if scores else (means > 0).long()

    with pytest.raises(
        ClassifierError, match=r"the rest of the batch changes.* BatchNorm in training mode"
    ):
        smoothed(classify).certify(INPUT, method="first_order", n=1000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_scores_that_differ_in_their_last_bits_are_accepted(dtype):
    generator = torch.Generator().manual_seed(0)

    def wobbles(x):
        scores = torch.stack([torch.zeros(len(x)), 4 * x.mean(1)], 1).to(dtype)
        shaken = 1 + torch.finfo(dtype).eps * torch.randint(0, 2, x.shape[:1], generator=generator)
        return (scores * shaken[:, None]).to(dtype)

    found = smoothed(wobbles).certify(10 * INPUT, method="first_order", n=1000)
    assert found.prediction.tolist() == [1]


def test_a_classifier_that_returns_its_points_is_a_function():
    def centred(x):
        x -= 0.5
        return x

    found = smoothed(centred, num_classes=4).certify(torch.eye(4), method="first_order", n=100)
    assert found.prediction.tolist() == [0, 1, 2, 3]


def test_examining_costs_one_batch():
    step = Step()
    smoothed(step, batch_size=100).certify(INPUT, method="first_order", n0=100, n=4000)
    assert step.calls == 1 + 1 + 40


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: torch.zeros(len(x), 2).to_sparse(), r"layout torch.sparse_coo .*to_dense"),
        (lambda x: torch.zeros(len(x), 2).to_sparse_csr(), r"layout torch.sparse_csr"),
        (lambda x: torch.zeros(len(x), dtype=torch.long).to_sparse(), "layout"),
        (lambda x: torch.zeros(len(x), 2, device="meta"), "a meta tensor"),
        (lambda x: torch.zeros(len(x), dtype=torch.long, device="meta"), "a meta tensor"),
        (lambda x: torch.quantize_per_tensor(torch.zeros(len(x), 2), 1, 0, torch.qint8), "quant"),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_scores_without_readable_values_are_refused_in_one_line(output, said):
    with pytest.raises(ClassifierError, match=said) as raised:
        smoothed(output).certify(INPUT, method="first_order", n=100)
    assert "\n" not in str(raised.value)


def test_sampling_leaves_torch_as_it_was_between_inputs():
    arguments = {"method": "first_order", "n0": 10, "n": 100, "alpha": 0.1, "seed": 0}
    sampling = smoothed(pure).sample(INPUT.expand(3, 16), **arguments)
    for _ in sampling:
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()
    assert len(list(smoothed(pure).sample(INPUT.expand(3, 16), radius=0.01, **arguments))) == 3


@pytest.mark.parametrize("whole", [float, np.float64, np.float32, np.int32, np.uint64])
def test_a_whole_number_of_any_type_is_one(whole):
    expected = smoothed(pure).certify(INPUT, n=400, n0=10, seed=3, indices=[7])
    found = smoothed(pure, num_classes=whole(2), batch_size=whole(1024)).certify(
        INPUT, n=whole(400), n0=whole(10), seed=whole(3), indices=np.array([7], dtype=whole)
    )
    assert found.radius[0] == expected.radius[0]
    assert smoothed(pure).predict(INPUT, n=whole(4000), seed=whole(1)).tolist() == [1]


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 400.5},
        {"n": float("nan")},
        {"n": float("inf")},
        {"n": "400"},
        {"n": True},
        {"n0": None},
        {"seed": 2**64},
        {"seed": 1e30},
        {"seed": float("nan")},
        {"seed": "x"},
        {"indices": np.array([2**63], dtype=np.uint64)},
        {"indices": [2**70]},
        {"indices": [0.5]},
        {"indices": ["a"]},
        {"indices": [[0]]},
        {"indices": 3},
        {"indices": [[0], [1, 2]]},
    ],
)
def test_what_is_no_whole_number_in_range_is_refused_in_one_line(arguments):
    with pytest.raises(ValueError, match=r"must be .*whole number.*; got ") as raised:
        smoothed(pure).certify(INPUT, **{"method": "first_order", "n": 100, **arguments})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1])
def test_seeds_of_64_bits_are_as_good_as_any(seed):
    found = smoothed(pure).certify(INPUT, method="first_order", n=4000, seed=seed, indices=[2**62])
    assert 0 < found.radius[0] <= first_order_radius(0.7, sigma=SIGMA)
