"""Draw the pictures of the pages in docs/theory: `python -m scripts.draw_theory`, from the root.

The library computes every number, at exact probabilities or expected counts. Only the probabilities
of images in `several_classes` are sampled, with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from benchmarks.gradients import ALPHA, from_pairs, mohapatra
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from scipy import special

from sosmooth import SmoothedClassifier, load_classifier, load_dataset
from sosmooth.certificates.dipole import dipole_radius, dipole_region
from sosmooth.certificates.first_order import first_order_radius, first_order_region
from sosmooth.certificates.region import Region, multiclass_radius, pdf
from sosmooth.certificates.second_order import second_order_radius, second_order_region
from sosmooth.certificates.second_order_dipole import (
    one_sided_cost,
    second_order_dipole_radius,
    second_order_dipole_region,
)
from sosmooth.certificates.third_order import third_order_radius, third_order_region
from sosmooth.certificates.third_order_dipole import (
    third_order_dipole_radius,
    third_order_dipole_region,
)
from sosmooth.confidence.bounds import Bounds
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.pair_counts import pair_cells
from sosmooth.experiments.population import fig1b
from sosmooth.measures import floored
from sosmooth.methods import METHODS
from sosmooth.report.style import (
    FAINT,
    GRID,
    HIGHER,
    INK,
    LOWER,
    SAME,
    as_png,
    blank,
    colour_of,
    dashes_of,
    styled,
)
from sosmooth.tally import Design, Tally

IMAGES = Path(__file__).parents[1] / "docs" / "images"

_REACH = 3.4  # half of the drawn axis, in units of sigma
_DIGITS = 4


def extremal_region() -> Figure:
    """The Gaussian moves to the right, and less and less of its mass lies in the region."""
    region = dipole_region(0.6, 0.15)
    radius = float(region.radius())
    with styled():
        figure, rows, axes = _three_and_one()
        shifts = [(0.0, "at x"), (0.5 * radius, "halfway"), (radius, "at the certified radius")]
        for row, (shift, name) in zip(rows, shifts, strict=True):
            _draw_axis(
                row, region, f"{name}: {float(region.measure(shift)):.3f} of the mass", shift
            )
        r = np.linspace(0, 2, 201)
        axes.axhline(0.5, color=FAINT, linewidth=0.9)
        axes.plot(r, region.measure(r), color=HIGHER)
        for shift, _ in shifts:
            axes.plot(shift, region.measure(shift), "o", color=HIGHER, markersize=5, clip_on=False)
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
        axes.text(2.17, 0.03, "p(x′) = ½", color=FAINT, ha="right")
        for position, (region, name) in enumerate(others):
            value = special.ndtri(region.measure(r))
            axes.plot(
                r, value, color=FAINT, linestyle=dashes_of(position), linewidth=1.2, label=name
            )
        axes.plot(
            r,
            special.ndtri(half_space.measure(r)),
            color=LOWER,
            linewidth=2.4,
            label="the half-space: the bound",
        )
        axes.plot(half_space.radius(), 0.0, "o", color=LOWER)
        radius = floored(float(half_space.radius()), _DIGITS)
        axes.annotate(
            radius,
            (float(half_space.radius()), 0),
            xytext=(-42, -15),
            textcoords="offset points",
            color=LOWER,
        )
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
    """Between first and second order at gradient 0, by how often a pair is wrong on both sides."""
    p = 0.8
    none = np.linspace(0, 1 - p, 201)
    both = 2 * p - 1 + none
    shown = [
        (0.0, "C_N = 0.2: first order"),
        (0.1, "C_N = 0.1"),
        (1 - p, "C_N = 0: second order at gradient 0"),
    ]
    with styled():
        figure, rows, axes = _three_and_one()
        for row, (share, name) in zip(rows, shown, strict=True):
            _draw_axis(
                row,
                dipole_region(2 * p - 1 + share, 1 - p - share),
                f"C_S = {2 * p - 1 + share:.1f}, {name}",
            )
        axes.axhline(
            float(second_order_radius(p, 0.0)),
            color=colour_of("second_order"),
            linestyle="--",
            linewidth=1.3,
        )
        axes.axhline(
            float(first_order_radius(p)),
            color=colour_of("first_order"),
            linestyle="--",
            linewidth=1.3,
        )
        axes.text(
            0.002,
            float(second_order_radius(p, 0.0)) + 0.01,
            "second order, gradient 0",
            color=FAINT,
        )
        axes.text(
            0.198, float(first_order_radius(p)) + 0.01, "first order", color=FAINT, ha="right"
        )
        axes.plot(none, dipole_radius(both, 1 - p - none), color=colour_of("dipole"))
        for share, _ in shown:
            axes.plot(
                share,
                dipole_radius(2 * p - 1 + share, 1 - p - share),
                "o",
                color=colour_of("dipole"),
                markersize=5,
                clip_on=False,
            )
        axes.set_xlim(0, 1 - p)
        axes.set_xticks([0, 0.05, 0.1, 0.15, 0.2])
        axes.set_ylim(0.8, 1.35)
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
        figure, rows, axes = _three_and_one()
        shown = [
            (0.95, "case 1, as the dipole"),
            (0.9, "case 2, band and slab"),
            (0.6, "case 3, two bands"),
        ]
        for row, (at, name) in zip(rows, shown, strict=True):
            region = second_order_dipole_region(c_s, c_n, at * largest)
            radius = floored(float(region.radius()), _DIGITS)
            _draw_axis(row, region, f"{name}: γ = {at:g} γ_max, radius {radius}")
        curves = [
            ("first_order", np.full(share.shape, first_order_radius(c_s + c_n)), "first order"),
            ("dipole", np.full(share.shape, dipole_radius(c_s, c_n)), "dipole"),
            ("second_order", second_order_radius(c_s + c_n, share * largest), "second order"),
            (
                "second_order_dipole",
                second_order_dipole_radius(c_s, c_n, share * largest),
                "both together",
            ),
        ]
        for position, (method, radius, name) in enumerate(curves):
            axes.plot(
                share,
                radius,
                color=colour_of(method),
                linestyle=dashes_of(position if position < 2 else 0),
                label=name,
            )
        for at, _ in shown:
            radius = float(second_order_dipole_radius(c_s, c_n, at * largest))
            axes.plot(at, radius, "o", color=colour_of("second_order_dipole"), markersize=5)
        axes.set_xlim(0, 1.02)
        axes.set_xlabel("γ / γ_max, γ_max = φ(Φ⁻¹(0.8)) the largest at p = 0.8")
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("C_S = 0.62, C_N = 0.18: p = 0.8")
        axes.legend(loc="upper right")
    return figure


def pair_masses(bounds: Bounds) -> tuple[float, float]:
    """The lower bounds of both masses of the first input."""
    return float(bounds.required("c_s_lower")[0]), float(bounds.required("c_n_lower")[0])


def third_order() -> Figure:
    """Regions that know the curvature too, and the radius against it, with and without pairs."""
    c_s, c_n = 0.67, 0.13
    p = c_s + c_n
    end = float(special.ndtri(p))
    slope, largest = 0.6 * float(pdf(end)), end * float(pdf(end))
    share = np.linspace(0.2, 1.2, 321)
    shown = [
        (False, 0.6, "no pairs"),
        (True, 0.8, "pairs"),
        (True, 0.3, "pairs"),
    ]
    with styled():
        figure, rows, axes = _three_and_one()
        for row, (pairs, at, name) in zip(rows, shown, strict=True):
            region = _third_order_region(pairs, c_s, c_n, slope, -at * largest)
            radius = floored(float(region.radius()), _DIGITS)
            _draw_axis(row, region, f"{name}: κ = {at:g} K, radius {radius}")
        curves = [
            ("first_order", np.full(share.shape, first_order_radius(p)), "first order"),
            ("second_order", np.full(share.shape, second_order_radius(p, slope)), "second order"),
            (
                "second_order_dipole",
                np.full(share.shape, second_order_dipole_radius(c_s, c_n, slope)),
                "second order and pairs",
            ),
            ("second_order", third_order_radius(p, slope, -share * largest), "slope and curvature"),
            (
                "third_order_dipole",
                third_order_dipole_radius(c_s, c_n, slope, -share * largest),
                "slope, curvature and pairs",
            ),
        ]
        for position, (method, radius, name) in enumerate(curves):
            known = position > 2
            axes.plot(
                share,
                radius,
                color=colour_of(method),
                linestyle="-" if known else "--",
                linewidth=2.2 if known else 1.3,
                label=name,
            )
        for pairs, at, _ in shown:
            radius = float(_third_order_region(pairs, c_s, c_n, slope, -at * largest).radius())
            colour = colour_of("third_order_dipole" if pairs else "second_order")
            axes.plot(at, radius, "o", color=colour, markersize=5)
        axes.set_xlim(0.2, 1.2)
        axes.set_xlabel("κ / K, K the curvature of the half-space with p = 0.8")
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("C_S = 0.67, C_N = 0.13, γ = 0.6 γ_max")
        axes.legend(loc="upper right")
    return figure


def _third_order_region(
    pairs: bool, c_s: float, c_n: float, slope: float, curvature: float
) -> Region:
    if pairs:
        return third_order_dipole_region(c_s, c_n, slope, curvature)
    return third_order_region(c_s + c_n, slope, curvature)


def pair_counts() -> Figure:
    """One tally: the joint region and the published one.

    The level lines of the dipole radius go through the worst point of each.
    """
    both, one, none, alpha = 27290, 20330, 2380, 0.001
    pairs = both + one + none
    tally = Tally(
        Design.ANTITHETIC,
        n=np.array([2 * pairs]),
        pair_both=np.array([both]),
        pair_plus_only=np.array([one // 2]),
        pair_minus_only=np.array([one - one // 2]),
        pair_none=np.array([none]),
    )
    worst = {name: METHODS[name].certify(tally, alpha, 1.0) for name in ("dipole", "dipole_joint")}
    cells = pair_cells([both], [one], [none], alpha, partial(one_sided_cost, gradient_share=1.0))
    wrong, neither = np.linspace(0.41, 0.488, 313), np.linspace(0.03, 0.075, 181)
    radius = dipole_radius(1 - wrong, 0.5 * (wrong - neither[:, None]))
    with styled():
        figure, axes = blank(6.6, 4.6)
        # Published: C_S is at least one bound, C_N = (W − p_Z)/2 at least the other.
        published, _ = worst["dipole"]
        c_s, c_n = pair_masses(published)
        edge = np.array([wrong[0], 1 - c_s])
        axes.fill_between(
            edge, edge - 2 * c_n, color=colour_of("first_order"), alpha=0.22, linewidth=0
        )
        axes.plot(
            [*edge, 1 - c_s], [*(edge - 2 * c_n), 0], color=colour_of("first_order"), linewidth=1.3
        )
        # Joint: the union of the areas below and left of the corners, a staircase of 256 steps.
        right, top = cells.not_both[0], (1 - cells.c_s - 2 * cells.c_n)[0]
        corner_right = np.maximum.accumulate(right[::-1])[::-1]
        edge = np.concatenate([[wrong[0]], np.repeat(corner_right[::-1], 2)])
        height = np.concatenate([np.repeat(top[::-1], 2), [0.0]])
        axes.fill_between(edge, height, color=colour_of("dipole_joint"), alpha=0.25, linewidth=0)
        axes.plot(edge, height, color=colour_of("dipole_joint"), linewidth=1.3)
        for name in ("dipole", "dipole_joint"):
            bounds, found = worst[name]
            c_s, c_n = pair_masses(bounds)
            at = float(found[0])
            colour = colour_of("first_order" if name == "dipole" else name)
            axes.contour(
                wrong,
                neither,
                radius,
                levels=[at],
                colors=[colour],
                linestyles="--",
                linewidths=1.3,
            )
            axes.plot(1 - c_s, 1 - c_s - 2 * c_n, "o", color=colour)
            words = f"radius {floored(at, _DIGITS)}"
            place = (0.474, 0.0325) if name == "dipole" else (0.4525, 0.0725)
            axes.text(*place, words, color=colour, ha="left" if name == "dipole" else "right")
        axes.text(0.412, 0.0485, "joint region", color=colour_of("dipole_joint"))
        axes.text(0.4395, 0.0365, "two bounds", color=colour_of("first_order"))
        axes.plot((one + none) / pairs, none / pairs, "+", color=INK, markersize=9)
        axes.annotate(
            "observed",
            ((one + none) / pairs, none / pairs),
            xytext=(-52, -13),
            textcoords="offset points",
            color=INK,
        )
        axes.set_xlim(wrong[0], wrong[-1])
        axes.set_ylim(neither[0], neither[-1])
        axes.grid(visible=False)
        axes.set_xlabel("P(not right on both sides) = 1 − C_S")
        axes.set_ylabel("P(right on none)")
        axes.set_title(f"{pairs:_} pairs: what each region allows at worst".replace("_", " "))
    return figure


def gradient_from_pairs() -> Figure:
    """Upper bounds of the gradient norm by number of evaluations, in low and in high dimension."""
    error = 0.1
    largest = float(pdf(special.ndtri(error)))
    gamma = 0.85 * largest
    counts = [2 * round(n / 2) for n in np.geomspace(1e4, 1e8, 41)]
    with styled():
        figure = Figure(figsize=(9.2, 3.9))
        for axes, dimension in zip(figure.subplots(1, 2, sharey=True), (49, 3072), strict=True):
            curves = [
                (
                    "second_order",
                    [
                        float(
                            gradient_norm_upper_bound(
                                gamma**2, n // 2, dimension=dimension, sigma=1.0, alpha=ALPHA
                            )
                        )
                        for n in counts
                    ],
                    "Theorem 2",
                ),
                ("", [mohapatra(dimension, n, gamma) for n in counts], "Mohapatra et al. 2020"),
                (
                    "second_order_dipole",
                    [from_pairs(dimension, n, error, gamma) for n in counts],
                    "from pairs",
                ),
            ]
            axes.axhspan(largest, 1, color=GRID, alpha=0.45, linewidth=0)
            for method, bound, name in curves:
                axes.plot(counts, bound, color=colour_of(method) if method else SAME, label=name)
            axes.axhline(gamma, color=INK, linewidth=1.0, linestyle="--")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda n, _: "10" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[round(np.log10(n))])
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
        least = float(
            gradient_norm_upper_bound(
                gamma**2, counts[-1] // 2, dimension=3072, sigma=1.0, alpha=ALPHA
            )
        )
        second.text(
            9e7,
            0.2145,
            f"Theorem 2: from {least:.2f} up, not in the picture",
            color=colour_of("second_order"),
            ha="right",
        )
    return figure


def several_classes() -> Figure:
    """What the split among the rivals changes, and how sure a noisy classifier is of images."""
    p = np.linspace(0.12, 0.999, 500)
    with styled():
        figure = Figure(figsize=(9.2, 3.9), layout=ConstrainedLayoutEngine(wspace=0.06))
        axes, images = figure.subplots(1, 2)
        for position, rivals in enumerate((9, 5, 2)):
            radius = multiclass_radius(
                first_order_region(p), [first_order_region(error=(1 - p) / rivals)]
            )
            label = f"each of {rivals} rivals has the same"
            axes.plot(p, radius, color=HIGHER, linestyle=dashes_of(position), label=label)
        axes.plot(
            p,
            first_order_radius(p),
            color=LOWER,
            linewidth=2.2,
            label="one rival has all the rest: ½",
        )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 2.5)
        axes.set_xlabel("probability of the class")
        axes.set_ylabel("radius, units of σ")
        axes.set_title("Cohen et al.: ½ (Φ⁻¹(p_A) − Φ⁻¹(p_B))")
        axes.legend(loc="upper left")
        edges = np.linspace(0, 1, 21)
        for position, sigma in enumerate((0.12, 0.25, 0.5)):
            share = _observed_shares(sigma)
            below = f"{np.mean(share <= 0.5):.0%} at most ½"
            images.stairs(
                np.histogram(share, edges)[0] / len(share),
                edges,
                color=INK,
                linestyle=dashes_of(position),
                label=f"σ = {sigma:g}: {below}",
            )
        images.axvline(0.5, color=LOWER, linewidth=0.9)
        images.set_xlim(0, 1)
        images.set_xlabel("share of the leading class among 1000 noisy copies")
        images.set_ylabel("share of the images")
        images.set_title("7×7 MNIST, 500 test images")
        images.legend(loc="upper left")
    return figure


def _observed_shares(sigma: float) -> np.ndarray:
    """The fraction of noisy copies that the bundled classifier puts in its class, of 500 images."""
    smoothed = SmoothedClassifier(
        load_classifier("mnist7", sigma=sigma), sigma=sigma, num_classes=10, device="cpu"
    )
    inputs = load_dataset("mnist7").get(list(range(0, 10_000, 20)))
    found = smoothed.certify(inputs, method="first_order", n=1000, classes="top")
    return found.tally.p_estimate()


def _three_and_one() -> tuple[Figure, list[Axes], Axes]:
    """Three small axes below each other, for regions, and a large one to their right."""
    figure = Figure(figsize=(9.2, 4.3), layout=ConstrainedLayoutEngine(wspace=0.06))
    grid = figure.add_gridspec(3, 2, width_ratios=[1.1, 1])
    rows = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    for row in rows[:2]:
        row.tick_params(labelbottom=False)
    rows[2].set_xlabel("along x′ − x, units of σ; blue bars: the region")
    return figure, rows, figure.add_subplot(grid[:, 1])


def _draw_axis(axes: Axes, region: Region, title: str, shift: float = 0.0) -> None:
    """Draw the region as bars below the axis, and its mass under the noise density at `shift`."""
    z = np.linspace(-_REACH, _REACH, 1401)
    density = pdf(z - shift)
    axes.plot(z, density, color=FAINT, linewidth=1.0)
    for lower, upper in region.intervals:
        left, right = max(float(lower), -_REACH), min(float(upper), _REACH)
        if left < right:
            inside = np.linspace(left, right, 301)
            axes.fill_between(inside, pdf(inside - shift), color=HIGHER, alpha=0.2, linewidth=0)
            axes.plot(
                [left, right], [-0.045, -0.045], color=HIGHER, linewidth=5, solid_capstyle="butt"
            )
    axes.plot([shift, shift], [0, float(pdf(0.0))], color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_title(title, fontsize=10, fontweight="normal")
    axes.set_xlim(-_REACH, _REACH)
    axes.set_ylim(-0.09, 0.43)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)


PICTURES: dict[str, Callable[[], Figure]] = {
    drawn.__name__: drawn
    for drawn in (
        extremal_region,
        first_order,
        second_order,
        dipole,
        second_order_dipole,
        third_order,
        pair_counts,
        gradient_from_pairs,
        several_classes,
    )
}


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for page, draw in PICTURES.items():
        path = IMAGES / f"theory_{page}.png"
        # A palette: a third of the bytes.
        with Image.open(BytesIO(as_png(draw()))) as image:
            image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.relative_to(IMAGES.parents[1])}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
