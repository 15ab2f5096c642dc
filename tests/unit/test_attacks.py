"""The attacks: each succeeds where it must, and only there."""

import numpy as np
import pytest
import torch
from scipy import stats

from sosmooth import METHODS, SmoothedClassifier, load_classifier
from sosmooth.attacks.extremal import (
    attack_extremal,
    grid_of_curved_regions,
    grid_of_regions,
    sampled_share,
)
from sosmooth.attacks.extremal_classifier import ExtremalClassifier
from sosmooth.attacks.floating_point import PlantedClassifier, one_float_away, one_step_away
from sosmooth.attacks.smoothed_pgd import AttackSettings, attack
from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_region
from sosmooth.datasets import load_dataset

WITH_REGION = [name for name, method in METHODS.items() if not method.axis]
QUICK = AttackSettings(steps=6, samples=16, judge_n=2000, bisections=5)


class TestFloatingPoint:
    @pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5])
    def test_the_float_engine_certifies_what_its_neighbour_float_breaks(self, sigma):
        x = load_dataset("mnist7").get([1])
        target = one_float_away(x)
        planted = PlantedClassifier(target[0], sigma=sigma)
        smoothed = SmoothedClassifier(planted, sigma=sigma, num_classes=2, batch_size=2000)
        [certificate] = smoothed.certify(x, method="first_order", n=10_000, alpha=0.001)
        distance = np.linalg.norm((target.astype(np.float64) - x).ravel())
        assert certificate.prediction == 0
        assert distance < 1e-4 * certificate.radius
        assert smoothed.predict(target, n=1000, alpha=1e-6).tolist() == [1]

    @pytest.mark.parametrize("sigma", [0.12, 0.25, 0.7])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_every_noisy_copy_of_the_target_is_reachable(self, sigma, sign):
        generator = torch.Generator().manual_seed(3)
        target, z = (
            torch.rand(64, generator=generator),
            torch.empty(5000, 64).normal_(generator=generator),
        )
        planted = PlantedClassifier(target.numpy(), sigma=sigma)
        assert planted(torch.add(target, z, alpha=sign * sigma)).float().mean() == 1
        # Rounded twice, as without a fused multiply-add.
        assert planted(target + sign * sigma * z).float().mean() == 1

    @pytest.mark.parametrize("sigma", [0.12, 0.25])
    def test_exact_noise_is_not_broken(self, sigma):
        """Float noise certifies the input far beyond the planted neighbour.

        With exact noise both have the same class.
        """
        step = 1 / (16 * 255)
        x = load_dataset("mnist7").get([1])
        target = one_step_away(x, step)
        assert set(np.abs(np.rint((target.astype(np.float64) - x) / step)).ravel()) == {1.0}
        found = {}
        for lattice in (None, step):
            planted = PlantedClassifier(target[0], sigma=sigma)
            smoothed = SmoothedClassifier(
                planted, sigma=sigma, num_classes=2, batch_size=2000, lattice=lattice
            )
            [certificate] = smoothed.certify(x, method="first_order", n=10_000)
            assert certificate.radius > 10 * np.linalg.norm((target.astype(np.float64) - x).ravel())
            found[lattice] = (
                certificate.prediction,
                int(smoothed.predict(target, n=1000, alpha=1e-6)[0]),
            )
        assert found == {None: (0, 1), step: (0, 0)}

    def test_the_example_of_the_literature(self):
        """One pixel of 210/255: float noise certifies it far beyond black, of another class."""
        pixel = np.array([[210 / 255]], dtype=np.float32)
        smoothed = SmoothedClassifier(
            PlantedClassifier(pixel[0], sigma=0.5), sigma=0.5, num_classes=2, batch_size=2000
        )
        [certificate] = smoothed.certify(pixel, method="first_order", n=10_000)
        assert certificate.radius > 1.26 > pixel[0, 0]
        assert smoothed.predict(np.zeros_like(pixel), n=10_000, alpha=1e-6).tolist() == [0]
        planted = PlantedClassifier(pixel[0], sigma=0.5)
        exact = SmoothedClassifier(
            planted, sigma=0.5, num_classes=2, batch_size=2000, lattice=1 / 255
        )
        assert exact.certify(pixel, method="first_order", n=10_000).radius[0] < pixel[0, 0]


class TestExtremal:
    @pytest.mark.parametrize("method", [*WITH_REGION, "third order", "third order, pairs"])
    def test_the_point_beyond_the_radius_falls_and_the_one_inside_does_not(self, method):
        if method in METHODS:
            region = grid_of_regions(method)
        else:
            region = grid_of_curved_regions(pairs="pairs" in method)
        inside, outside = attack_extremal(region, 0.999), attack_extremal(region, 1.001)
        attacked = (inside.radius > 0) & np.isfinite(inside.radius)
        assert np.sum(attacked) == len(attacked) > 100
        assert not np.any(inside.succeeds)
        assert np.all(outside.succeeds)
        np.testing.assert_allclose(outside.kept + outside.lost, 1, atol=1e-12)

    def test_look_ahead_has_no_extremal_region(self):
        with pytest.raises(LookupError, match="no closed form"):
            grid_of_regions("look_ahead")

    def test_what_has_no_finite_radius_is_not_attacked(self):
        assert not np.any(attack_extremal(first_order_region([0.4, 1.0]), 2.0).succeeds)

    @pytest.mark.parametrize(
        "region",
        [first_order_region(0.8), dipole_region(0.65, 0.15)],
        ids=["first order", "dipole"],
    )
    @pytest.mark.parametrize("factor", [0.9, 1.001, 1.1])
    def test_samples_agree_with_the_exact_probability(self, region, factor):
        count, n = sampled_share(region, factor, dimension=20, sigma=0.7, n=200_000)
        kept = float(attack_extremal(region, factor).kept)
        assert stats.binom.ppf(5e-7, n, kept) <= count <= stats.binom.isf(5e-7, n, kept)


class TestSmoothedPgd:
    def test_nothing_is_found_inside_certified_radii(self):
        x = load_dataset("mnist7").get(list(range(6)))
        smoothed = SmoothedClassifier(
            load_classifier("mnist7", sigma=0.25), sigma=0.25, num_classes=10, batch_size=1024
        )
        certificates = smoothed.certify(x, n=10_000)
        found = [
            attack(smoothed, torch.as_tensor(x[i]), one.prediction, one.radius, QUICK)
            for i, one in enumerate(certificates)
            if one.radius > 0
        ]
        ratios = (
            np.array([one.closest for one in found]) / certificates.radius[certificates.radius > 0]
        )
        assert [one.inside for one in found] == [0] * len(found)
        assert np.all(ratios > 1)
        assert np.sum(np.isfinite(ratios)) >= 4  # the attack attacks

    @pytest.mark.parametrize("labels_only", [False, True], ids=["scores", "labels"])
    def test_a_half_space_is_broken_just_beyond_its_radius(self, labels_only):
        """There the certificate is tight and the gradient known: the ratio must be close to 1."""
        normal = torch.linspace(0.5, 1.5, 30)

        def scores(v):
            return torch.stack([torch.zeros(len(v)), 4 * (v.flatten(1) @ normal)], dim=1)

        classifier = (lambda v: scores(v).argmax(1)) if labels_only else scores
        smoothed = SmoothedClassifier(classifier, sigma=0.5, num_classes=2, batch_size=4096)
        radius = 0.4
        x = -radius * normal / normal.norm()
        found = attack(smoothed, x, 0, radius, AttackSettings(bisections=7))
        assert (found.found, found.inside) == (1, 0)
        assert 1 <= found.closest / radius < 1.15

    def test_a_radius_that_is_too_large_is_found_out(self):
        x, direction = np.zeros(20), np.ones(20)
        classifier = ExtremalClassifier(first_order_region(0.8), x, direction, sigma=0.5)
        smoothed = SmoothedClassifier(classifier, sigma=0.5, num_classes=2, batch_size=4096)
        found = attack(
            smoothed, torch.zeros(20), 0, 1.3 * 0.5 * float(first_order_region(0.8).radius()), QUICK
        )
        assert found.inside > 0

    def test_with_exact_noise_only_inputs_on_the_lattice_are_judged(self):
        step = 1 / (16 * 255)
        x = torch.as_tensor(load_dataset("mnist7").get([0])[0])
        smoothed = SmoothedClassifier(
            load_classifier("mnist7", sigma=0.25),
            sigma=0.25,
            num_classes=10,
            batch_size=1024,
            lattice=step,
        )
        [certificate] = smoothed.certify(x[None].numpy(), n=10_000)
        found = attack(smoothed, x, certificate.prediction, certificate.radius, QUICK)
        assert found.inside == 0
        assert 1 < found.closest / certificate.radius < 3

    def test_the_same_seed_finds_the_same(self):
        smoothed = SmoothedClassifier(
            load_classifier("mnist7", sigma=0.25), sigma=0.25, num_classes=10, batch_size=1024
        )
        x = torch.as_tensor(load_dataset("mnist7").get([0])[0])
        assert attack(smoothed, x, 7, 0.3, QUICK) == attack(smoothed, x, 7, 0.3, QUICK)

    def test_modes_and_parameters_stay_as_they_are(self):
        network = load_classifier("mnist7", sigma=0.25).train()
        smoothed = SmoothedClassifier(network, sigma=0.25, num_classes=10, batch_size=1024)
        attack(
            smoothed,
            torch.as_tensor(load_dataset("mnist7").get([0])[0]),
            7,
            0.3,
            AttackSettings(steps=1, sizes=(0.9,)),
        )
        assert network.training
        assert all(parameter.grad is None for parameter in network.parameters())

    @pytest.mark.parametrize(("prediction", "radius"), [(-1, 0.3), (0, 0.0), (0, np.inf), (2, 0.3)])
    def test_what_is_not_certified_is_refused(self, prediction, radius):
        smoothed = SmoothedClassifier(
            lambda v: torch.zeros(len(v)).long(), sigma=1, num_classes=2, batch_size=8
        )
        with pytest.raises(ValueError, match="prediction must be one of the 2 classes"):
            attack(smoothed, torch.zeros(3), prediction, radius)

    @pytest.mark.parametrize(
        "wrong",
        [{"steps": 0}, {"samples": 1}, {"judge_n": 0}, {"sizes": ()}, {"sizes": (2.0, 1.0)}],
    )
    def test_settings_out_of_range_are_refused(self, wrong):
        with pytest.raises(ValueError, match="must"):
            AttackSettings(**wrong)
