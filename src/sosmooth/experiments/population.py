"""The figures that need no samples: bounds, radii and worst classifiers from the theorems.

Each function returns the picture and the rows of its table, in seconds. Radii and lower bounds are
rounded down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from scipy import special

from sosmooth.certificates.dipole import dipole_region
from sosmooth.certificates.first_order import first_order_radius, first_order_region
from sosmooth.certificates.region import Region, pdf
from sosmooth.certificates.second_order import second_order_radius, second_order_region
from sosmooth.confidence.gradient_norm import gradient_norm_upper_bound
from sosmooth.confidence.proportion import proportion_upper_bound
from sosmooth.measures import floored
from sosmooth.report.style import FAINT, HIGHER, INK, LOOKS, LOWER, PAPER, blank, line_of, styled

Rows = list[dict[str, object]]
Drawn = tuple[Figure, Rows]

_DIGITS = 6
_INSIDE, _OUTSIDE = "#cfe3f1", "#f7d9c6"  # light of HIGHER and LOWER
_REACH = 3.4  # half the width of the plane that is drawn, units of sigma


def fig1a() -> Drawn:
    """Tight lower bound of p(x′) against the distance, at p = 0.8 and sigma = 1.

    One curve knows nothing of the gradient, the other that it is 0.
    """
    distance = np.linspace(0.0, 3.0, 301)
    plain, flat = first_order_region(0.8), second_order_region(0.8, 0.0)
    first, second = plain.measure(distance), flat.measure(distance)
    with styled():
        figure, axes = blank(5.4, 4.0)
        axes.axhline(0.0, color=FAINT, linewidth=0.9)
        for value, region, colour, name, place in (
            (first, plain, LOWER, "nothing known of the gradient", (-34, -14)),
            (second, flat, HIGHER, "gradient known to be 0", (4, 5)),
        ):
            axes.plot(distance, special.ndtri(value), color=colour, label=name)
            axes.plot(region.radius(), 0.0, "o", color=colour, markersize=5)
            radius = float(region.radius())
            axes.annotate(
                floored(radius),
                (radius, 0.0),
                xytext=place,
                textcoords="offset points",
                color=colour,
            )
        axes.text(2.97, 0.05, "decision boundary, p(x′) = ½", color=FAINT, ha="right")
        axes.set_xlim(0, 3)
        axes.set_xlabel("distance ‖x′ − x‖₂, σ = 1")
        axes.set_ylabel("lower bound of Φ⁻¹(p(x′))")
        axes.set_title("Tight lower bounds at p(x) = 0.8")
        axes.legend(loc="lower left")
    rows: Rows = [
        {
            "distance": f"{r:.2f}",
            "p_lower_first_order": _down(a),
            "p_lower_second_order_gradient_0": _down(b),
        }
        for r, a, b in zip(distance, first, second, strict=True)
    ]
    return figure, rows


def fig1b() -> Drawn:
    """Certified radius against p for several gradient norms, sigma = 1; first order dashed."""
    p = np.linspace(0.5, 0.995, 496)
    norms = [0.0, 0.1, 0.2, 0.3]
    first = first_order_radius(p)
    largest = pdf(special.ndtri(p))
    rows: Rows = [
        {"p": f"{value:.3f}", "first_order": _down(radius)}
        for value, radius in zip(p, first, strict=True)
    ]
    with styled():
        figure, axes = blank(5.4, 4.2)
        for norm, shade in zip(norms, (1.0, 0.8, 0.6, 0.4), strict=True):
            possible = norm <= largest
            radius = np.where(possible, second_order_radius(p, norm), np.nan)
            axes.plot(p, radius, color=HIGHER, alpha=shade, label=f"‖∇p(x)‖₂ = {norm:g}")
            if norm:
                axes.plot(
                    p[possible][-1],
                    radius[possible][-1],
                    "o",
                    color=HIGHER,
                    alpha=shade,
                    markersize=3.5,
                )
            for row, value in zip(rows, radius, strict=True):
                row[f"second_order_gradient_{norm:g}"] = None if np.isnan(value) else _down(value)
        axes.plot(p, first, color=LOWER, linestyle="--", label="p(x) alone (first order)", zorder=3)
        axes.set_xlim(0.5, 1.0)
        axes.set_ylim(0, 3)
        axes.set_xlabel("p(x)\na curve ends where no p has so large a gradient", linespacing=1.5)
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("Radius from the probability and its gradient")
        axes.legend(loc="upper left")
    return figure, rows


def fig3() -> Drawn:
    """Worst base classifiers at p = 0.8 and three gradient norms.

    They are the largest possible norm, half of it, and 0.
    """
    p, largest = 0.8, float(pdf(special.ndtri(0.8)))
    norms = [largest, 0.5 * largest, 0.0]
    titles = ["(a) largest gradient", "(b) intermediate", "(c) gradient 0"]
    rows: Rows = []
    with styled():
        figure = Figure(figsize=(9.0, 3.9))
        for axes, norm, title in zip(figure.subplots(1, 3), norms, titles, strict=True):
            region = first_order_region(p) if norm == largest else second_order_region(p, norm)
            _draw_plane(axes, region, gradient=norm / largest)
            axes.set_title(title)
            axes.set_xlabel(f"σ‖∇p‖₂ = {norm:.3f}, radius {floored(float(region.radius()))} σ")
            rows += _interval_rows(region, {"p": p, "gradient_norm": f"{norm:.6f}"})
        figure.suptitle(
            "The base classifiers that lose p(x) = 0.8 fastest to the right",
            x=0.01,
            ha="left",
            fontweight="bold",
        )
        figure.supxlabel(_PLANE_KEY, fontsize=9, color=FAINT)
    return figure, rows


def fig4a() -> Drawn:
    """Radius against p at a gradient of 0: population, and empirical.

    Empirical means d = 49, n = 1e8 and alpha = 0.001, with the bounds of Theorem 2 and
    Clopper–Pearson at the expected counts, and the true gradient as its estimate. The paper does
    not say which gradient its curves have; second order can gain most at 0.
    """
    n, alpha, dimension = 10**8, 0.001, 49
    thousandths = np.arange(500, 1000)
    p = thousandths / 1000
    wrong = (1000 - thousandths) * (n // 1000)  # the expected count, a whole number
    gradient = gradient_norm_upper_bound(
        0.0, n // 2, dimension=dimension, sigma=1.0, alpha=alpha / 2
    )
    curves = {
        "population second order": second_order_radius(p, 0.0),
        "empirical second order": second_order_radius(
            error=proportion_upper_bound(wrong, n, alpha / 2), gradient_norm=gradient, sigma=1.0
        ),
        "empirical first order (Cohen et al.)": first_order_radius(
            error=proportion_upper_bound(wrong, n, alpha)
        ),
    }
    with styled():
        figure, axes = blank(5.4, 4.2)
        looks = [
            {"color": HIGHER},
            line_of(LOOKS["second_order"]),
            line_of(LOOKS["first_order"]),
        ]
        for (name, radius), look in zip(curves.items(), looks, strict=True):
            axes.plot(p, radius, label=name, **look)
        axes.set_xlim(0.5, 1.0)
        axes.set_ylim(0, 3)
        axes.set_xlabel(
            "p(x), gradient 0\nempirical: d = 49, n = 10⁸, alpha = 0.001,\n"
            f"bounds at the expected counts (‖∇p‖₂ ≤ {float(gradient):.3f})",
            linespacing=1.5,
        )
        axes.set_ylabel("certified radius, σ = 1")
        axes.set_title("Second-order radius after estimation")
        axes.legend(loc="upper left")
    names = ["population_second_order", "empirical_second_order", "empirical_first_order"]
    rows: Rows = [
        {
            "p": f"{value:.3f}",
            **{name: _down(radius[i]) for name, radius in zip(names, curves.values(), strict=True)},
        }
        for i, value in enumerate(p)
    ]
    return figure, rows


def fig4b() -> Drawn:
    """Worst base classifier for dipoles, at C_S = 0.6 and C_N = 0.1."""
    c_s, c_n = 0.6, 0.1
    region = dipole_region(c_s, c_n)
    with styled():
        figure, axes = blank(4.6, 4.9)
        _draw_plane(axes, region, gradient=None)
        key = _PLANE_KEY.replace("; ", "\n", 1)
        axes.set_xlabel(
            f"C_S = {c_s}, C_N = {c_n}: radius {floored(float(region.radius()))} σ\n{key}",
            linespacing=1.6,
        )
        axes.set_title("The worst base classifier for dipoles")
    return figure, _interval_rows(region, {"c_s": c_s, "c_n": c_n})


POPULATION: dict[str, Callable[[], Drawn]] = {
    "fig1a": fig1a,
    "fig1b": fig1b,
    "fig3": fig3,
    "fig4a": fig4a,
    "fig4b": fig4b,
}

_PLANE_KEY = (
    "blue: f = 1, red: f = 0; dashed: where samples fall (2σ); dotted: the certified radius"
)


def _draw_plane(axes: Axes, region: Region, *, gradient: float | None) -> None:
    """Draw the region as a classifier of the plane.

    The input is at 0, the adversary to the right, and the (relative) gradient points to the left.
    """
    axes.add_patch(
        Rectangle((-_REACH, -_REACH), 2 * _REACH, 2 * _REACH, color=_OUTSIDE, linewidth=0)
    )
    for lower, upper in region.intervals:
        left, right = max(float(lower), -_REACH), min(float(upper), _REACH)
        axes.add_patch(
            Rectangle((left, -_REACH), right - left, 2 * _REACH, color=_INSIDE, linewidth=0)
        )
        for end in (float(lower), float(upper)):
            if abs(end) < _REACH:
                axes.plot([end, end], [-_REACH, _REACH], color=INK, linewidth=0.8)
    axes.add_patch(Circle((0, 0), 2.0, fill=False, linestyle="--", color=HIGHER, linewidth=1.3))
    axes.add_patch(
        Circle((0, 0), float(region.radius()), fill=False, linestyle=":", color=INK, linewidth=1.3)
    )
    if gradient:
        tip = {
            "arrowstyle": "-|>",
            "color": HIGHER,
            "linewidth": 2.0,
            "mutation_scale": 14,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        axes.annotate("", (-2.0 * gradient, 0.0), xytext=(0.0, 0.0), arrowprops=tip)
        axes.text(-1.0 * gradient, 0.18, "∇p(x)", color=HIGHER, ha="center")
    axes.plot(0, 0, "o", color=HIGHER, markersize=7, markeredgecolor=PAPER)
    axes.text(0.12, -0.42, "x", color=HIGHER)
    axes.set_xlim(-_REACH, _REACH)
    axes.set_ylim(-_REACH, _REACH)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])


def _interval_rows(region: Region, given: dict[str, Any]) -> Rows:
    """One row for each interval of f = 1 along the axis of the adversary, units of sigma."""
    return [
        {
            **given,
            "from": f"{float(lower):.6f}",
            "to": f"{float(upper):.6f}",
            "radius": _down(float(region.radius())),
        }
        for lower, upper in region.intervals
    ]


def _down(value: float) -> str:
    return floored(float(value), _DIGITS)
