"""The sampling engine.

Tallies do not depend on how the work was split, and counts mean what they say.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from sosmooth import SmoothedClassifier
from sosmooth.sampling.batch_size import find_batch_size
from sosmooth.sampling.counts import Counts, Estimation
from sosmooth.sampling.engine import Engine
from sosmooth.sampling.evaluator import ClassifierError, Evaluator
from sosmooth.sampling.noise import NoiseSource, Stage, blocks_of
from sosmooth.sampling.sums import Part
from sosmooth.tally import SLOPE_CAP, Design

SIGMA = 0.5


def by_first_feature(x):
    """Labels; exact in float32, so the same in every batch."""
    return (x.flatten(1)[:, 0] > 0.3).long() + (x.flatten(1)[:, 1] > 1.0).long()


def engine(classifier=by_first_feature, batch_size=256, inputs=None, seed=7):
    inputs = torch.tensor([[0.0, 0.2, 0.1], [0.5, 0.5, 0.5]]) if inputs is None else inputs
    return Engine(Evaluator(classifier, 3, batch_size), inputs, sigma=SIGMA, seed=seed)


def counted(engine, part):
    """The counts of one part."""
    [counts] = engine.count([part])
    return counts


def tallied(engine, position, index, design, n, selected, **more):
    """The tally of one input."""
    estimation = Estimation(index, design, n, selected, engine.dimension, **more)
    return counted(engine, Part(position, estimation)).tally(estimation, SIGMA)


def all_noise(index, vectors, dimension, seed=7):
    source = NoiseSource(seed, torch.device("cpu"))
    parts = []
    for block in blocks_of(0, index, Stage.ESTIMATION, vectors, dimension):
        out = torch.empty(block.vectors, dimension)
        source.fill(out, block)
        parts.append(out)
    return torch.cat(parts)


@pytest.mark.parametrize("design", list(Design))
@pytest.mark.parametrize("n", [2, 100, 9000])
def test_the_tally_is_what_counting_by_hand_gives(design, n):
    tally = tallied(engine(), 1, 40, design, n, selected=1)
    vectors = n // 2 if design is Design.ANTITHETIC else n
    z = all_noise(40, vectors, 3)
    x = torch.tensor([0.5, 0.5, 0.5])
    plus = by_first_feature(x + SIGMA * z) == 1
    assert tally.n.item() == n
    if design is Design.ANTITHETIC:
        minus = by_first_feature(x - SIGMA * z) == 1
        found = [
            getattr(tally, name).item()
            for name in ("pair_both", "pair_plus_only", "pair_minus_only", "pair_none")
        ]
        assert found == [
            (plus & minus).sum(),
            (plus & ~minus).sum(),
            (~plus & minus).sum(),
            (~plus & ~minus).sum(),
        ]
        assert tally.count_top.item() == plus.sum() + minus.sum()
    else:
        assert tally.count_top.item() == plus.sum()
    if design is Design.DISJOINT_PAIRS:
        z = z.double()
        products = (z[::2] * z[1::2]).sum(1) * (plus[::2] & plus[1::2])
        assert tally.gradient_sq_estimate.item() == pytest.approx(
            products.mean().item() / SIGMA**2, rel=1e-7
        )


@pytest.mark.parametrize("design", list(Design))
@pytest.mark.parametrize("n", [2, 100, 9000])
def test_the_other_classes_are_counted_as_by_hand(design, n):
    tally = tallied(engine(), 1, 40, design, n, selected=1, num_classes=3, runner_up=2)
    z = all_noise(40, n // 2 if design is Design.ANTITHETIC else n, 3)
    x = torch.tensor([0.5, 0.5, 0.5])
    plus = np.bincount(by_first_feature(x + SIGMA * z), minlength=3)
    same, one = plus, None
    if design is Design.ANTITHETIC:
        first, last = by_first_feature(x + SIGMA * z), by_first_feature(x - SIGMA * z)
        same = np.bincount(first[first == last], minlength=3)
        one = plus + np.bincount(last, minlength=3) - 2 * same
    ids = np.array([c for c in (0, 2) if same[c] or (one is not None and one[c])], dtype=int)
    assert (tally.num_classes, tally.runner_up.tolist()) == (3, [2])
    assert tally.class_ids.tolist() == [ids.tolist()]
    assert tally.class_same.tolist() == [same[ids].tolist()]
    assert (tally.class_one is None) == (one is None)
    if one is not None:
        assert tally.class_one.tolist() == [one[ids].tolist()]
    assert tally.count_top.item() + tally.class_votes().sum() == n


@pytest.mark.parametrize("design", [Design.INDEPENDENT, Design.ANTITHETIC])
def test_what_is_counted_from_look_to_look_is_what_is_counted_at_once(design):
    selected, going = np.array([1, 0]), np.array([True, True])
    for n in (2, 256, 9000):
        ((tally, invalid),) = engine().tallies_by_look(
            np.array([3, 40]), design, [n], selected, going
        )
        assert invalid.tolist() == [0, 0]
        for i, index in enumerate((3, 40)):
            whole = tallied(engine(), i, index, design, n, selected[i], num_classes=3)
            here = tally[i : i + 1]
            assert here.count_top.tolist() == whole.count_top.tolist()
            width = whole.class_ids.shape[1]
            assert here.class_ids[0, width:].tolist() == [-1] * (here.class_ids.shape[1] - width)
            for name in ("class_ids", "class_same", "class_one"):
                if (expected := getattr(whole, name)) is not None:
                    assert getattr(here, name)[:, :width].tolist() == expected.tolist()
    for tally, _ in engine().tallies_by_look(np.arange(2), design, [256, 1000], selected, going):
        votes = replace(tally, runner_up=selected).class_votes()
        np.testing.assert_array_equal(votes.sum(1) + tally.count_top, tally.n)


def test_of_many_classes_only_those_that_occur_take_room():
    """A hundred thousand classes of which three occur: the counts that are sent hold three."""

    def far(x):
        return 49_999 * by_first_feature(x)

    made = Engine(Evaluator(far, 100_000, 256), torch.zeros(1, 3), sigma=SIGMA, seed=7)
    estimation = Estimation(0, Design.ANTITHETIC, 2000, 0, 3, num_classes=100_000)
    counts = counted(made, Part(0, estimation))
    assert counts.sums["class_ids"].tolist() == [0, 49_999, 99_998]
    assert sum(value.nbytes for value in counts.sums.values()) < 500
    tally = counts.tally(estimation, SIGMA)
    assert tally.class_ids.tolist() == [[49_999, 99_998]]


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("pairs", [1, 2, 3, 6001])
def test_the_gradient_is_what_computing_by_hand_gives(pairs, share):
    tally = tallied(
        engine(batch_size=700),
        0,
        11,
        Design.ANTITHETIC,
        2 * pairs,
        selected=0,
        direction_share=share,
    )
    z, x = all_noise(11, pairs, 3).double(), torch.tensor([0.0, 0.2, 0.1], dtype=torch.float64)
    h = 0.5 * (
        (by_first_feature(x + SIGMA * z) == 0).double()
        - (by_first_feature(x - SIGMA * z) == 0).double()
    )
    first = int(pairs * share)
    mean = (h[:first, None] * z[:first]).sum(0) / max(first, 1)
    slopes = (h[first:] * (z[first:] @ (mean / max(mean.norm(), 1e-300)))).clamp(max=SLOPE_CAP)
    assert (tally.direction_pairs.item(), tally.slope_pairs.item()) == (first, pairs - first)
    assert tally.direction_one.item() == torch.count_nonzero(h[:first])
    assert tally.direction_norm.item() == pytest.approx(mean.norm().item(), rel=1e-8)
    assert tally.direction_norm.item() >= mean.norm().item()
    assert tally.slope_sum.item() == pytest.approx(slopes.sum().item(), rel=1e-8, abs=1e-8)
    assert tally.slope_sq_sum.item() == pytest.approx(
        slopes.square().sum().item(), rel=1e-8, abs=1e-8
    )


def test_a_gradient_that_is_not_drawn_leaves_zeros():
    tally = tallied(engine(), 0, 3, Design.ANTITHETIC, 100, selected=0, direction_share=0.0)
    assert tally.direction_pairs.item() == tally.slope_pairs.item() == 0
    assert tally.slope_sum.item() == 0.0
    assert tallied(engine(), 0, 3, Design.ANTITHETIC, 100, selected=0).slope_sum is None


@pytest.mark.parametrize("design", list(Design))
def test_tallies_are_equal_for_every_batch_size(design):
    share = 0.5 if design is Design.ANTITHETIC else None

    def arrays(batch_size):
        return tallied(
            engine(batch_size=batch_size), 0, 3, design, 20_000, selected=1, direction_share=share
        ).arrays()

    expected = arrays(1000)
    for batch_size in (64, 4096, 50_000):
        assert {name: value.tolist() for name, value in arrays(batch_size).items()} == {
            name: value.tolist() for name, value in expected.items()
        }


@pytest.mark.parametrize("cuts", [[1], [2], [1, 2], [1, 2, 3, 4]])
@pytest.mark.parametrize("design", list(Design))
def test_parts_of_the_samples_in_any_order_add_up_to_the_whole(design, cuts):
    share = 0.5 if design is Design.ANTITHETIC else None
    estimation = Estimation(3, design, 20_000, 1, 3, direction_share=share, num_classes=3)
    whole = counted(engine(), Part(0, estimation)).tally(estimation, SIGMA)
    ends = sorted(
        {
            0,
            estimation.direction_pairs,
            *(min(4096 * cut, estimation.vectors) for cut in cuts),
            estimation.vectors,
        }
    )
    parts = {stop: (start, stop) for start, stop in pairwise(ends)}
    total = Counts({})
    for start, stop in [
        part for part in reversed(parts.values()) if part[1] <= estimation.direction_pairs
    ]:
        total += counted(engine(batch_size=64), Part(0, estimation, start, stop))
    direction = total.direction(estimation)[0] if share else None
    for start, stop in [
        part for part in reversed(parts.values()) if part[1] > estimation.direction_pairs
    ]:
        total += counted(engine(batch_size=999), Part(0, estimation, start, stop, direction))
    found = total.tally(estimation, SIGMA).arrays()
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in whole.arrays().items()
    }


def test_parts_of_many_inputs_share_batches():
    sizes = []

    def spy(x):
        sizes.append(len(x))
        return by_first_feature(x)

    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    parts = [
        Part(i, Estimation(i, Design.ANTITHETIC, 100, 1, 3, direction_share=0.5)) for i in range(20)
    ]
    together = list(engine(spy, batch_size=500, inputs=inputs).count(parts))
    assert max(sizes) == 500
    for part, counts in zip(parts, together, strict=True):
        alone = counted(engine(inputs=inputs), part)
        assert {name: value.tolist() for name, value in counts.sums.items()} == {
            name: value.tolist() for name, value in alone.sums.items()
        }


def test_the_vectors_of_an_antithetic_pair_are_opposite():
    seen = []

    def spy(x):
        seen.append(x.clone())
        return by_first_feature(x)

    tallied(engine(spy, batch_size=10_000), 0, 0, Design.ANTITHETIC, 2000, selected=1)
    points = torch.cat(seen)
    plus, minus = points[:1000], points[1000:]
    center = torch.tensor([0.0, 0.2, 0.1])
    torch.testing.assert_close(plus - center, center - minus, rtol=0, atol=1e-6)


def test_many_inputs_share_batches_and_each_gets_its_own_votes():
    sizes = []

    def spy(x):
        sizes.append(len(x))
        return by_first_feature(x)

    inputs = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    together = engine(spy, batch_size=500, inputs=inputs).count_classes(
        np.arange(20), Stage.SELECTION, 100
    )
    assert max(sizes) == 500
    for position in range(20):
        alone = engine(inputs=inputs[position : position + 1]).count_classes(
            np.array([position]), Stage.SELECTION, 100
        )
        assert np.array_equal(together[position], alone[0])


def test_out_of_memory_halves_the_batch_and_loses_no_sample():
    def greedy(x):
        if len(x) > 100:
            raise MemoryError
        return by_first_feature(x)

    small = engine(greedy, batch_size=1024)
    expected = tallied(engine(), 0, 3, Design.INDEPENDENT, 5000, 1)
    assert tallied(small, 0, 3, Design.INDEPENDENT, 5000, 1).count_top == expected.count_top
    assert small._evaluator.batch_size == 64


def test_out_of_memory_for_a_single_evaluation_is_one_clear_error():
    def hungry(x):
        raise MemoryError

    with pytest.raises(ClassifierError, match="single evaluation"):
        tallied(engine(hungry), 0, 0, Design.INDEPENDENT, 10, 0)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda x: x[:, :2], r"shape \(\d+, 2\); it must return floating scores \(\d+, 3\)"),
        (lambda x: [0] * len(x), "returned list"),
        (lambda x: torch.zeros(len(x), dtype=torch.bool), "torch.bool"),
        (lambda x: torch.zeros(len(x) + 1, dtype=torch.long), "it must return"),
        (lambda x: 1 / 0, "raised ZeroDivisionError"),
    ],
)
def test_what_a_classifier_must_return(output, said):
    with pytest.raises(ClassifierError, match=f"^input 17: .*{said}"):
        tallied(engine(output), 0, 17, Design.INDEPENDENT, 10, 0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_never_count_as_a_vote(bad):
    def scores(x):
        s = torch.zeros(len(x), 3)
        s[:, 0] = torch.where(x[:, 0] > 0.5, torch.full_like(x[:, 0], bad), x[:, 0])
        return s

    counts = counted(engine(scores), Part(0, Estimation(0, Design.INDEPENDENT, 5000, 0, 3)))
    assert 0 < counts.invalid < 5000
    assert counts.sums["right"][1] + counts.invalid < 5000


def test_a_score_of_minus_infinity_loses():
    """Masked logits rule out a class; only if every class is ruled out, there is no vote."""

    def scores(x):
        s = torch.full((len(x), 3), -torch.inf)
        s[:, 1] = torch.where(x[:, 0] > 0.5, -torch.inf, x[:, 0])
        s[:, 2] = torch.where(x[:, 0] > 0.9, -torch.inf, -10.0)
        return s

    made = engine(scores)
    votes = made.count_classes(np.array([0]), Stage.SELECTION, 5000)[0]
    assert votes[0] == 0
    assert (votes[1:] > 100).all()
    assert made.why_no_vote() == "NaN, +inf or no finite score"


def test_axes_of_length_one_at_the_end_are_dropped():
    for output in (by_first_feature, lambda x: x):
        expected = engine(output).count_classes(np.array([0]), Stage.SELECTION, 999)
        for more in (
            lambda x, f=output: f(x)[..., None],
            lambda x, f=output: f(x)[..., None, None],
        ):
            found = engine(more).count_classes(np.array([0]), Stage.SELECTION, 999)
            assert found.tolist() == expected.tolist()


def test_labels_out_of_range_are_named():
    made = engine(lambda x: (x[:, 0] > 0.5).long() + 2)
    made.count_classes(np.array([0]), Stage.SELECTION, 100)
    assert made.why_no_vote() == "label 3, which is not in 0…2,"


def test_the_first_maximum_wins():
    votes = engine(lambda x: torch.ones(len(x), 3)).count_classes(
        np.array([0, 1]), Stage.SELECTION, 10
    )
    assert votes[0].tolist() == [10, 0, 0, 0]


def test_half_precision_scores_and_modules_are_run_as_they_are():
    module = torch.nn.Linear(3, 3).to(torch.bfloat16)
    seen = []
    module.register_forward_hook(lambda m, args, output: seen.append((args[0].dtype, output.dtype)))
    smoothed = SmoothedClassifier(module, sigma=SIGMA, num_classes=3, batch_size=50)
    smoothed.certify(torch.rand(2, 3), method="first_order", n=100)
    assert set(seen) == {(torch.bfloat16, torch.bfloat16)}


def test_the_batch_size_finds_itself_within_memory():
    def limited(x):
        if len(x) > 40:
            raise MemoryError
        return by_first_feature(x)

    assert 1 <= find_batch_size(limited, 3, torch.zeros(3)) <= 32
