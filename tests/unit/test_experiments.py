"""The paper's figures.

The table is complete, its numbers are consistent, and what needs no samples is drawn in seconds.
"""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sosmooth.certificates.first_order import first_order_radius
from sosmooth.certificates.second_order import second_order_radius
from sosmooth.experiments.comparison import power_of_ten
from sosmooth.experiments.files import write_csv, write_figure
from sosmooth.experiments.paper import (
    FIGURES,
    SCALES,
    SEEDS,
    SOURCES,
    Drawing,
    Effort,
    chosen_images,
    figure_named,
    panels_of,
)
from sosmooth.experiments.population import POPULATION
from sosmooth.experiments.published import published_histograms
from sosmooth.methods import METHODS
from sosmooth.report.relative_change import BINS
from sosmooth.runs import RunError

SAMPLED = [name for name, figure in FIGURES.items() if figure.drawing is not Drawing.POPULATION]


def published(figure, n, method):
    (row,) = [row for row in FIGURES[figure].published if (row.n, row.method) == (n, method)]
    return row


def test_every_figure_of_the_paper_is_in_the_table():
    numbers = {int(re.match(r"fig(\d+)", name)[1]) for name in FIGURES}
    assert numbers == set(range(1, 16))
    assert set(POPULATION) == {
        name for name, figure in FIGURES.items() if figure.drawing is Drawing.POPULATION
    }


def test_every_figure_has_its_row_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    assert re.findall(r"`sosmooth reproduce (fig\w+)", page.split("## Figures")[1]) == list(FIGURES)
    for statement in ("Theorem 1", "Theorem 2", "Theorem 3", "Theorem of A.1", "Lemma 1"):
        assert statement in page


def test_every_published_row_belongs_to_a_figure():
    shown = [row for figure in FIGURES.values() for row in figure.published]
    assert all(row in shown for row in published_histograms())


@pytest.mark.parametrize(
    "row", published_histograms(), ids=lambda row: f"{row.numbers}-{row.sigma}-{row.n}-{row.method}"
)
def test_published_rows_are_consistent(row):
    assert list(row.counts) == list(BINS)
    assert 0 < sum(row.counts.values()) <= row.images
    assert row.data in SOURCES
    assert row.method in METHODS
    assert row.method in SEEDS
    assert 0 < row.acr_baseline < 4 * row.sigma
    assert abs(row.acr_method / row.acr_baseline - 1) < 0.08


def test_published_rows_say_what_the_text_says():
    dipole = published("fig5", 10**5, "dipole").counts
    both = sum(dipole.values()) - dipole["baseline_only"] - dipole["method_only"]
    assert both == 823
    assert [
        round(100 * part / both) for part in (12 + 3 + 24 + 53, dipole["within_1"], 217 + 52)
    ] == [11, 56, 33]
    roll = published("fig2", 10**8, "second_order").counts
    assert sum(count for name, count in roll.items() if name.startswith("inc_")) == 56


@pytest.mark.parametrize("name", SAMPLED)
def test_scales_grow_and_the_last_is_the_paper(name):
    figure = FIGURES[name]
    whole = panels_of(figure, "paper")
    assert [panel.published for panel in whole] == figure.published
    assert all(
        (panel.effort.n, panel.effort.images) == (panel.published.n, panel.published.images)
        for panel in whole
    )
    cost = [
        sum(panel.effort.n * panel.effort.images for panel in panels_of(figure, scale))
        for scale in SCALES
    ]
    assert 0 < cost[0] < cost[1] < cost[2]


def test_panels_are_in_the_order_of_the_paper():
    panels = panels_of(FIGURES["fig5"], "paper")
    assert [(panel.published.n, panel.published.method) for panel in panels[:3]] == [
        (10**5, "second_order"),
        (10**5, "dipole"),
        (10**6, "second_order"),
    ]


def test_own_efforts_stand_for_the_nearest_published_n():
    panels = panels_of(FIGURES["fig5"], "smoke", [Effort(20_000, 3), Effort(4 * 10**7, 2)])
    assert {(panel.published.n, panel.effort) for panel in panels} == {
        (10**5, Effort(20_000, 3)),
        (10**8, Effort(4 * 10**7, 2)),
    }
    with pytest.raises(ValueError, match="two are nearest to the same"):
        panels_of(FIGURES["fig5"], "smoke", [Effort(20_000, 3), Effort(10**5, 2)])


def test_images_are_chosen_at_even_distances():
    assert chosen_images(10_000, 1000) == list(range(0, 10_000, 10))
    assert chosen_images(10, 20) == list(range(10))
    assert chosen_images(10, 4) == [0, 2, 4, 6]


def test_unknown_names():
    with pytest.raises(ValueError, match="no figure 'fig16'; there are: fig1a"):
        figure_named("fig16")
    with pytest.raises(ValueError, match="no scale 'week'"):
        panels_of(FIGURES["fig5"], "week")


@pytest.mark.parametrize("name", POPULATION)
def test_population_figures_are_written(tmp_path, name):
    picture, rows = POPULATION[name]()
    png, svg = write_figure(picture, tmp_path, name)
    with Image.open(png) as image:
        assert min(image.size) > 400
        assert len(set(image.convert("L").tobytes())) > 20
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    with open(write_csv(rows, tmp_path, name), newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows) > 0


def column(rows, name):
    return np.array([float(row[name] or "nan") for row in rows])


def test_figure_1_crosses_one_half_at_the_radii():
    _, rows = POPULATION["fig1a"]()
    distance = column(rows, "distance")
    for name, radius in (
        ("p_lower_first_order", first_order_radius(0.8)),
        ("p_lower_second_order_gradient_0", second_order_radius(0.8, 0.0)),
    ):
        above = column(rows, name) >= 0.5
        assert distance[above].max() <= radius < distance[~above].min()


def test_figure_4a_empirical_lies_between():
    _, rows = POPULATION["fig4a"]()
    population, empirical = (
        column(rows, "population_second_order"),
        column(rows, "empirical_second_order"),
    )
    first = column(rows, "empirical_first_order")
    assert np.all(empirical <= population)
    middle = slice(50, 400)  # p from 0.55 to 0.9
    assert np.all(empirical[middle] > first[middle])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        write_csv([{"a": 1}], tmp_path / "file" / "folder", "table")


@pytest.mark.parametrize(
    ("n", "text"), [(10**6, "10⁶"), (200_000, "2·10⁵"), (500, "500"), (1024, "1\u202f024")]
)
def test_counts_as_people_write_them(n, text):
    assert power_of_ten(n) == text
