"""The names that others rely on exist, and mean what the contract says."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import sosmooth

RADII = {
    "first_order_radius": {"p": 0.8},
    "second_order_radius": {"p": 0.8, "gradient_norm": 0.1},
    "dipole_radius": {"c_s": 0.65, "c_n": 0.15},
    "second_order_dipole_radius": {"c_s": 0.65, "c_n": 0.15, "gradient_norm": 0.1},
    "third_order_radius": {"p": 0.8, "gradient_norm": 0.2, "curvature": -0.1},
    "third_order_dipole_radius": {
        "c_s": 0.65,
        "c_n": 0.15,
        "gradient_norm": 0.1,
        "curvature": -0.1,
    },
    "look_ahead_radius": {
        "p": 0.8,
        "slope_lower": -0.21,
        "slope_upper": -0.2,
        "curvature": -0.15,
        "orthogonal_norm": 0.03,
    },
}


@pytest.mark.parametrize("name", sosmooth.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(sosmooth, name)
    assert name in dir(sosmooth)
    assert inspect.getdoc(value)


@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_each_public_name_is_listed_once_and_nothing_internal(used):
    """In a fresh interpreter, before and after modules below the package are loaded."""
    code = "import sosmooth, sosmooth.cli\n" if used else "import sosmooth\n"
    if used:
        code += "for name in sosmooth.__all__: getattr(sosmooth, name)\n"
    code += "print(*dir(sosmooth))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted([*sosmooth.__all__, "__version__"])
    assert len(set(sosmooth.__all__)) == len(sosmooth.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = sosmooth.no_such_name


def test_the_methods_in_their_order():
    assert list(sosmooth.METHODS) == [
        "first_order",
        "second_order",
        "dipole",
        "dipole_joint",
        "second_order_pairs",
        "second_order_dipole",
        "third_order_dipole",
        "look_ahead",
    ]


@pytest.mark.parametrize("name", RADII)
def test_radii_are_float64_broadcast_and_scale_with_sigma(name):
    radius, arguments = getattr(sosmooth, name), RADII[name]
    one = radius(**arguments)
    assert isinstance(one, np.float64)
    first, *rest = arguments
    many = radius(
        **{first: np.full((3, 1), arguments[first])},
        **{key: np.full(2, arguments[key]) for key in rest},
        sigma=[1.0, 1.0],
    )
    assert many.shape == (3, 2)
    # The third order searches: all its steps depend on the rounding of the first.
    exactness = 1e-9 if "curvature" in arguments else 1e-12
    np.testing.assert_allclose(many, one, rtol=1e-14)
    scaled = dict(arguments)
    for name_ in scaled.keys() - {"p", "error", "c_s", "c_n"}:  # per input unit, and squared
        scaled[name_] /= 0.25 ** (2 if name_ == "curvature" else 1)
    assert radius(**scaled, sigma=0.25) == pytest.approx(0.25 * one, rel=exactness)


@pytest.mark.parametrize("name", RADII)
@pytest.mark.parametrize("bad", [float("nan"), -0.1, 1.1])
def test_probabilities_outside_their_range_are_refused(name, bad):
    first = next(iter(RADII[name]))
    with pytest.raises(ValueError, match=first):
        getattr(sosmooth, name)(**(RADII[name] | {first: bad}))


@pytest.mark.parametrize("name", ["second_order_radius", "second_order_dipole_radius"])
def test_a_negative_gradient_norm_is_refused(name):
    with pytest.raises(ValueError, match="gradient_norm"):
        getattr(sosmooth, name)(**(RADII[name] | {"gradient_norm": -1e-9}))


def test_certify_and_predict_take_what_the_contract_says():
    certify = inspect.signature(sosmooth.SmoothedClassifier.certify).parameters
    defaults = {name: certify[name].default for name in ("n0", "n", "alpha", "seed", "indices")}
    assert defaults == {"n0": 100, "n": 100_000, "alpha": 0.001, "seed": 0, "indices": None}
    assert certify["method"].default == "third_order_dipole"
    predict = inspect.signature(sosmooth.SmoothedClassifier.predict).parameters
    assert (predict["alpha"].default, predict["seed"].default) == (0.001, 0)
