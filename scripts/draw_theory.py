"""Draw the pictures of the pages in docs/theory: `python -m scripts.draw_theory`, from the root of the repository.

Every number is the library's own, at exact probabilities or expected counts: nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special

from benchmarks.gradients import ALPHA, from_pairs, mohapatra
from sosmooth.certificates.dipole import dipole_radius, dipole_region
from sosmooth.certificates.first_order import first_order_radius, first_order_region
from sosmooth.certificates.region import Region, pdf
from sosmooth.certificates.second_order import second_order_radius, second_order_region
from sosmooth.certificates.second_order_dipole import second_order_dipole_radius, second_order_dipole_region
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.pair_counts import pair_cells
from sosmooth.experiments.population import fig1b
from sosmooth.methods import METHODS
from sosmooth.report.style import FAINT, GRID, HIGHER, INK, LOWER, as_png, blank, colour_of, dashes_of, styled
from sosmooth.results import floored
from sosmooth.tally import Tally

IMAGES = Path(__file__).parents[1] / "docs" / "images"

_REACH = 3.4  # half of the axis that is drawn, units of sigma
_DIGITS = 4


def extremal_region() -> Figure:
    """The Gaussian moves to the right, and less and less of its mass lies in the region."""
    region = dipole_region(0.6, 0.15)
    radius = float(region.radius())
    with styled():
        figure = Figure(figsize=(9.0, 4.2))
        grid = figure.add_gridspec(3, 2, width_ratios=[1.1, 1])
        shifts = [(0.0, "at x"), (0.5 * radius, "halfway"), (radius, "at the certified radius")]
        for row, (shift, name) in enumerate(shifts):
            axes = figure.add_subplot(grid[row, 0])
            _draw_axis(axes, region, shift)
            axes.set_title(f"{name}: {float(region.measure(shift)):.3f} of the mass", fontsize=10, fontweight="normal")
            axes.tick_params(labelbottom=row == 2)
        axes.set_xlabel("along x′ − x, units of σ; blue bars: the region")
        axes = figure.add_subplot(grid[:, 1])
        r = np.linspace(0, 2, 201)
        axes.axhline(0.5, color=FAINT, linewidth=0.9)
        axes.plot(r, region.measure(r), color=HIGHER)
        for shift, _ in shifts:
            axes.plot(shift, region.measure(shift), "o", color=HIGHER, markersize=5)
        text = f"radius {floored(radius, _DIGITS)} σ"
        axes.annotate(text, (radius, 0.5), xytext=(6, 6), textcoords="offset points", color=HIGHER)
        axes.set_xlim(0, 2)
        axes.set_ylim(0, 1)
        axes.set_xlabel("distance ‖x′ − x‖₂, σ = 1")
        axes.set_ylabel("mass in the region")
        axes.set_title("The smallest possible p(x′)")
    return figure


def first_order() -> Figure:
    """Base classifiers with the same probability: none falls faster than the half-space."""
    p = 0.8
    r = np.linspace(0, 2.2, 221)
    largest = float(pdf(special.ndtri(p)))
    others = [
        (second_order_region(p, 0.0), "a slab"),
        (second_order_region(p, 0.6 * largest), "a band"),
        (dipole_region(0.66, 0.14), "a half-space and a slab"),
        (second_order_dipole_region(0.62, 0.18, 0.3 * largest), "two bands"),
    ]
    half_space = first_order_region(p)
    with styled():
        figure, axes = blank(5.8, 4.0)
        axes.axhline(0.0, color=FAINT, linewidth=0.9)
        axes.text(0.03, 0.03, "decision boundary, p(x′) = ½", color=FAINT)
        for position, (region, name) in enumerate(others):
            value = special.ndtri(region.measure(r))
            axes.plot(r, value, color=FAINT, linestyle=dashes_of(position), linewidth=1.2, label=name)
        axes.plot(r, special.ndtri(half_space.measure(r)), color=LOWER, linewidth=2.4, label="the half-space: the bound")
        axes.plot(half_space.radius(), 0.0, "o", color=LOWER)
        radius = floored(float(half_space.radius()), _DIGITS)
        axes.annotate(radius, (float(half_space.radius()), 0), xytext=(-42, -15), textcoords="offset points", color=LOWER)
        axes.set_xlim(0, 2.2)
        axes.set_ylim(-1.4, 1.0)
        axes.set_xlabel("distance ‖x′ − x‖₂, σ = 1")
        axes.set_ylabel("Φ⁻¹(p(x′))")
        axes.set_title("All with p(x) = 0.8: a slope of −1 is the steepest")
        axes.legend(loc="lower left")
    return figure


def second_order() -> Figure:
    """Figure 1b of the paper."""
    return fig1b()[0]


def dipole() -> Figure:
    """Between first order and second order at gradient 0, by how often a pair is wrong on both sides."""
    p = 0.8
    none = np.linspace(0, 1 - p, 201)
    both = 2 * p - 1 + none
    shown = [(0.0, "C_N = 0.2: first order"), (0.1, "C_N = 0.1"), (1 - p, "C_N = 0: second order at gradient 0")]
    with styled():
        figure = Figure(figsize=(9.0, 4.2))
        grid = figure.add_gridspec(3, 2, width_ratios=[1.1, 1])
        for row, (share, name) in enumerate(shown):
            axes = figure.add_subplot(grid[row, 0])
            _draw_axis(axes, dipole_region(2 * p - 1 + share, 1 - p - share))
            axes.set_title(f"C_S = {2 * p - 1 + share:.1f}, {name}", fontsize=10, fontweight="normal")
            axes.tick_params(labelbottom=row == 2)
        axes.set_xlabel("along x′ − x, units of σ; blue bars: the region")
        axes = figure.add_subplot(grid[:, 1])
        axes.axhline(float(second_order_radius(p, 0.0)), color=colour_of("second_order"), linestyle="--", linewidth=1.3)
        axes.axhline(float(first_order_radius(p)), color=colour_of("first_order"), linestyle="--", linewidth=1.3)
        axes.text(0.1, float(second_order_radius(p, 0.0)) + 0.008, "second order, gradient 0", color=FAINT, ha="center")
        axes.text(0.1, float(first_order_radius(p)) - 0.027, "first order", color=FAINT, ha="center")
        axes.plot(none, dipole_radius(both, 1 - p - none), color=colour_of("dipole"), label="dipole")
        axes.plot([share for share, _ in shown], [dipole_radius(2 * p - 1 + s, 1 - p - s) for s, _ in shown], "o", markersize=5)
        axes.axvline((1 - p) ** 2, color=GRID, linewidth=1.2)
        axes.text((1 - p) ** 2 + 0.003, 1.17, "sides independent", color=FAINT)
        axes.set_xlim(0, 1 - p)
        axes.set_xlabel("P(wrong on both sides) = 1 − C_S − 2 C_N")
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("Dipole radius at p = C_S + C_N = 0.8")
    return figure


def second_order_dipole() -> Figure:
    """The three regions, and the radius of each certificate against the gradient norm."""
    c_s, c_n = 0.62, 0.18
    largest = float(pdf(special.ndtri(c_s + c_n)))
    share = np.linspace(0, 1, 401)
    with styled():
        figure = Figure(figsize=(9.4, 4.4))
        grid = figure.add_gridspec(3, 2, width_ratios=[1.1, 1])
        shown = [(1.0, "1: the gradient says nothing"), (0.9, "2: a band and the slab"), (0.6, "3: two bands")]
        for row, (at, name) in enumerate(shown):
            region = second_order_dipole_region(c_s, c_n, at * largest)
            axes = figure.add_subplot(grid[row, 0])
            _draw_axis(axes, region)
            title = f"case {name}; γ = {at:g} γ_max, radius {floored(float(region.radius()), _DIGITS)}"
            axes.set_title(title, fontsize=10, fontweight="normal")
            axes.tick_params(labelbottom=row == 2)
        axes.set_xlabel("along x′ − x, units of σ; blue bars: the region")
        axes = figure.add_subplot(grid[:, 1])
        curves = [
            ("first_order", np.full(share.shape, first_order_radius(c_s + c_n)), "first order"),
            ("dipole", np.full(share.shape, dipole_radius(c_s, c_n)), "dipole"),
            ("second_order", second_order_radius(c_s + c_n, share * largest), "second order"),
            ("second_order_dipole", second_order_dipole_radius(c_s, c_n, share * largest), "both together"),
        ]
        for position, (method, radius, name) in enumerate(curves):
            axes.plot(share, radius, color=colour_of(method), linestyle=dashes_of(position if position < 2 else 0), label=name)
        for at, _ in shown:
            radius = float(second_order_dipole_radius(c_s, c_n, at * largest))
            axes.plot(at, radius, "o", color=colour_of("second_order_dipole"), markersize=5)
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("γ / γ_max, with γ_max = φ(Φ⁻¹(0.8)) the largest at this p")
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("C_S = 0.62, C_N = 0.18: p = 0.8")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 0.06))
    return figure


def pair_counts() -> Figure:
    """One tally: the joint region and the published one, with the level lines of the dipole radius through their worst points."""
    both, one, none, alpha = 27290, 20330, 2380, 0.001
    pairs = both + one + none
    method = METHODS["dipole"]
    half = np.array([one // 2])
    tally = Tally(n=np.array([2 * pairs]), pair_both=np.array([both]), pair_plus_only=half)
    separate = method.bounds(tally, alpha, 1.0)
    return Figure()


def gradient_from_pairs() -> Figure:
    """Upper bounds of the gradient norm against the number of evaluations, in low and in high dimension."""
    error, none = 0.1, 0.002
    largest = float(pdf(special.ndtri(error)))
    gamma = 0.85 * largest
    counts = [2 * round(n / 2) for n in np.geomspace(1e4, 1e8, 41)]
    with styled():
        figure = Figure(figsize=(9.4, 4.0))
        for axes, dimension in zip(figure.subplots(1, 2, sharey=True), (49, 3072), strict=True):
            curves = [
                (
                    "second_order",
                    [
                        float(gradient_norm_upper_bound(gamma**2, n // 2, dimension=dimension, sigma=1.0, alpha=ALPHA))
                        for n in counts
                    ],
                    "Theorem 2",
                ),
                ("dipole", [mohapatra(dimension, n, gamma) for n in counts], "Mohapatra et al. 2020"),
                ("second_order_dipole", [from_pairs(dimension, n, 2 * (error - none), gamma) for n in counts], "this bound"),
            ]
            axes.axhspan(largest, 1, color=GRID, alpha=0.45, linewidth=0)
            for method, bound, name in curves:
                axes.plot(counts, bound, color=colour_of(method), label=name)
            axes.axhline(gamma, color=INK, linewidth=1.0, linestyle="--")
            axes.set_xscale("log")
            axes.set_xlim(1e4, 1e8)
            axes.set_ylim(0.14, 0.26)
            axes.set_title(f"d = {dimension}")
            axes.set_xlabel("evaluations n")
            axes.grid(visible=False)
        first, second = figure.axes
        first.set_ylabel("upper bound of γ = σ‖∇p‖₂")
        first.text(1.15e4, gamma - 0.0012, "true γ", color=INK, va="top")
        first.text(9e7, largest + 0.001, "vacuous from here up", color=FAINT, ha="right")
        second.legend(loc="upper right")
    return figure


def _draw_axis(axes: Axes, region: Region, shift: float = 0.0) -> None:
    """The region as bars on the axis, under the density of the noise around the input at `shift`."""
    z = np.linspace(-_REACH, _REACH, 1401)
    density = pdf(z - shift)
    axes.fill_between(z, density, where=region.indicator(z), color=HIGHER, alpha=0.2, linewidth=0)
    axes.plot(z, density, color=FAINT, linewidth=1.0)
    for lower, upper in region.intervals:
        left, right = max(float(lower), -_REACH), min(float(upper), _REACH)
        if left < right:
            axes.plot([left, right], [0, 0], color=HIGHER, linewidth=5, solid_capstyle="butt")
    axes.plot([shift, shift], [0, float(pdf(0.0))], color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_xlim(-_REACH, _REACH)
    axes.set_ylim(-0.02, 0.43)
    axes.set_yticks([])
    axes.grid(visible=False)


PICTURES: dict[str, Callable[[], Figure]] = {
    drawn.__name__: drawn
    for drawn in (extremal_region, first_order, second_order, dipole, second_order_dipole, pair_counts, gradient_from_pairs)
}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for page, draw in PICTURES.items():
        path = IMAGES / f"theory_{page}.png"
        path.write_bytes(as_png(draw()))
        print(f"{path.relative_to(IMAGES.parents[1])}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
