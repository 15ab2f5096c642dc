"""The distribution of p̂ over the inputs."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from stored_runs import StoredRun, stored

from sosmooth.measures import fractions_above
from sosmooth.report.probability import one_each, probabilities_of
from sosmooth.report.series import series_of, series_of_all
from sosmooth.tally import Design, Tally


@dataclass(frozen=True)
class Counted(StoredRun):
    """A run with the counts of four inputs of which 100 copies were classified."""

    tally: Tally | None = None

    def certificates(self):
        return replace(super().certificates(), tally=self.tally)


# Of the selected class, and of the classes 0 and 9.
TALLY = Tally(
    Design.INDEPENDENT,
    np.full(4, 100),
    count_top=np.array([90, 60, 55, 40]),
    num_classes=10,
    runner_up=np.full(4, 9),
    class_ids=np.array([[9, -1], [0, 9], [0, 9], [0, 9]]),
    class_same=np.array([[10, 0], [30, 10], [40, 5], [35, 25]]),
)


def counted(label, tally=TALLY):
    run = stored("run", "first_order", [0.5, 0.4, 0.3, 0.2], prediction=[0, 1, 1, 1])
    run.columns["label"] = np.array(label)
    return Counted(run.path, run.manifest, run.columns, tally=tally)


@pytest.mark.parametrize(
    ("label", "of_label"),
    [
        ([0, 1, 1, 1], [0.9, 0.6, 0.55, 0.4]),
        ([9, 0, 9, 1], [0.1, 0.3, 0.05, 0.4]),
        ([5, 5, 5, 5], [0, 0, 0, 0]),
    ],
)
def test_it_is_the_fraction_of_the_copies_that_get_the_label(label, of_label):
    run = counted(label)
    found = probabilities_of(run, series_of(run))
    assert found.of == "the right class"
    np.testing.assert_allclose(found.values, of_label)


def test_without_counts_of_the_other_classes_a_wrong_class_leaves_nothing_for_the_label():
    few = replace(TALLY, num_classes=None, runner_up=None, class_ids=None, class_same=None)
    run = counted([0, 0, 1, 1], few)
    np.testing.assert_allclose(probabilities_of(run, series_of(run)).values, [0.9, 0, 0.55, 0.4])


def test_without_labels_it_is_that_of_the_selected_class():
    run = counted([-1] * 4)
    found = probabilities_of(run, series_of(run))
    assert found.of == "the class that the run selected"
    np.testing.assert_allclose(found.values, [0.9, 0.6, 0.55, 0.4])


def test_it_is_unknown_without_counts():
    run = stored("log", "dipole", [0.5])
    assert probabilities_of(run, series_of(run)) is None


def test_a_summary_counts_the_inputs_above_each_level():
    assert fractions_above([0.2, 0.5, 0.95, 0.9995]) == {
        "0.5": "50.0 %",
        "0.7": "50.0 %",
        "0.9": "50.0 %",
        "0.99": "25.0 %",
        "0.999": "25.0 %",
    }
    assert fractions_above([1.0, 1.0, 0.1])["0.9"] == "66.6 %"


def test_a_classifier_is_shown_once_by_the_run_with_the_most_samples():
    runs = [
        stored("few", "first_order", [0.5], model="a"),
        stored("many", "dipole", [0.5], model="a"),
        stored("other", "dipole", [0.5], model="b"),
        stored("sigma", "dipole", [0.5], model="a", sigma=0.5),
        stored("log", "dipole", [0.5]),
    ]
    runs[0].columns["n"] = np.array([100])
    assert one_each(series_of_all(runs)) == [1, 2, 3, 4]
