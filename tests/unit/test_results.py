"""Certificates in memory and stored runs offer the same."""

from dataclasses import replace

import numpy as np
import pytest

from sosmooth import METHODS, SmoothedClassifier, load_run, validate_run
from sosmooth.measures import ABSTAINED
from sosmooth.results import Certificate, Certificates, concatenate
from sosmooth.runs import RunError, RunWriter
from sosmooth.runs.schema import COLUMNS
from sosmooth.stopping import RobustAt, WithinTolerance, rule_of_text
from sosmooth.surface import Results

INPUTS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2)
LABELS = (INPUTS[:, 0] > 0).astype(int)


def positive(points):
    """Class 1 right of the axis, of three."""
    return (points[:, 0] > 0).long()


@pytest.fixture(scope="module")
def smoothed():
    return SmoothedClassifier(positive, sigma=0.5, num_classes=3, batch_size=500)


@pytest.fixture(scope="module")
def certificates(smoothed):
    return smoothed.certify(INPUTS, n=1000).labelled(LABELS)


@pytest.fixture(params=["certificates", "run"])
def results(request, certificates, tmp_path):
    return certificates if request.param == "certificates" else certificates.save(tmp_path / "run")


@pytest.fixture
def unfinished(certificates, tmp_path):
    """A run of twelve inputs of which eight are done."""
    with RunWriter.open(
        tmp_path / "unfinished",
        settings=certificates.as_run().manifest.settings,
        indices=range(12),
        dimension=2,
        num_classes=3,
    ) as writer:
        writer.add(certificates[:8], np.full(8, -1), None)
    return load_run(tmp_path / "unfinished")


def test_a_position_gives_a_certificate_and_others_give_certificates(results, certificates):
    one = results[-1]
    assert isinstance(one, Certificate)
    assert (one.input_index, one.label) == (11, 1)
    assert one == certificates[11] != certificates[10]
    assert [each.input_index for each in results] == list(range(12))
    mask = results["radius"] > 0.1
    chosen = {
        "slice": (slice(2, 9, 3), [2, 5, 8]),
        "list": ([5, 2, -1], [5, 2, 11]),
        "array": (np.array([0, 0]), [0, 0]),
        "mask": (mask, np.flatnonzero(mask).tolist()),
        "list of booleans": (mask.tolist(), np.flatnonzero(mask).tolist()),
        "nothing": ([], []),
    }
    for which, expected in chosen.values():
        part = results[which]
        assert isinstance(part, Certificates)
        assert part.input_index.tolist() == expected
        assert len(part.tally) == len(part.bounds.n_used) == len(part.label) == len(expected)
        assert part == certificates[which]


@pytest.mark.parametrize("which", [[12], [0.5], [True], np.zeros((2, 2), int), [-13]])
def test_a_position_that_is_not_there_is_refused(results, which):
    with pytest.raises(IndexError, match="position"):
        results[which]
    with pytest.raises(IndexError):
        results[12]


def test_a_name_gives_a_column(results, certificates):
    assert results["radius"].tolist() == certificates.radius.tolist()
    assert results["label"].tolist() == LABELS.tolist()
    assert results["index"].tolist() == list(range(12))
    for name in COLUMNS:
        stored, own = results[name], certificates[name]
        np.testing.assert_array_equal(stored, own)
    with pytest.raises(KeyError, match="no column 'radii'; there are: index, label"):
        results["radii"]


def test_equal_are_results_with_the_same_certificates(results, certificates, smoothed):
    again = smoothed.certify(INPUTS, n=1000).labelled(LABELS)
    assert results == again == results
    assert results != smoothed.certify(INPUTS, n=1000, seed=1).labelled(LABELS)
    assert results != certificates[:11]
    assert results != certificates.labelled(1 - LABELS)
    assert results != "certificates"
    assert certificates.tally == again.tally != certificates[::-1].tally
    assert certificates.bounds == again.bounds != certificates[::-1].bounds
    # An array that is NaN is equal to itself, and one that is not there differs from one that is.
    unknown = replace(certificates.bounds, p_lower=np.full(12, np.nan))
    assert unknown == replace(certificates.bounds, p_lower=np.full(12, np.nan))
    assert unknown != replace(certificates.bounds, p_lower=None)


def test_tallies_of_another_width_can_be_equal(smoothed):
    far = smoothed.certify(np.array([[9.0, 9.0], [0.0, 0.0]]), n=200)[:1]
    assert (far.tally.class_ids.shape, far.tally.trimmed().class_ids.shape) == ((1, 1), (1, 0))
    assert far.tally == far.tally.trimmed()


def test_accuracy_and_mean_radius(results, certificates):
    right = certificates.prediction == LABELS
    radii = [0.0, 0.2, 99.0]
    expected = [np.mean(right & (certificates.radius >= at)) for at in radii]
    assert 0 < expected[1] < expected[0]
    assert results.certified_accuracy(radii=radii).tolist() == expected
    assert results.certified_accuracy(LABELS, radii).tolist() == expected
    assert results.certified_accuracy() == expected[0]
    assert results.certified_accuracy(1 - LABELS) == 0
    mean = np.mean(np.where(right, certificates.radius, 0))
    assert results.average_certified_radius() == pytest.approx(mean)
    assert results.average_certified_radius(1 - LABELS) == 0


@pytest.mark.parametrize("labels", [[1, 2], np.zeros(12), 0.5])
def test_labels_that_are_none_are_refused(results, labels):
    with pytest.raises(ValueError, match="labels must be 12 integers, one per input"):
        results.certified_accuracy(labels)


def test_without_labels_there_is_no_accuracy(certificates):
    unknown = certificates.labelled(np.full(12, -1))
    with pytest.raises(ValueError, match="labels are unknown here"):
        unknown.certified_accuracy()
    with pytest.raises(ValueError, match="labels are unknown here"):
        unknown.average_certified_radius()


def test_missing_inputs_are_abstentions(unfinished, certificates):
    assert unfinished.missing.tolist() == [8, 9, 10, 11]
    assert len(unfinished) == 8
    right = np.mean((certificates.prediction == LABELS)[:8])
    whole = unfinished.with_missing()
    assert whole.input_index.tolist() == list(range(12))
    assert whole.prediction[8:].tolist() == [ABSTAINED] * 4
    assert whole.tally.n.tolist() == [1000] * 12
    assert unfinished.certified_accuracy(LABELS[:8]) == pytest.approx(right * 8 / 12)
    counted = certificates[:8].average_certified_radius(LABELS[:8])
    assert unfinished.average_certified_radius(LABELS[:8]) == pytest.approx(counted * 8 / 12)
    assert unfinished != certificates[:8].labelled(np.full(8, -1))
    assert unfinished.certificates() == certificates[:8].labelled(np.full(8, -1))


def test_certified_again_as_the_same_kind(results, certificates):
    first = results.recertify(method="first_order", alpha=0.0001)
    assert type(first) is type(results)
    assert (first[0].method, first[0].alpha, first[0].classes) == ("first_order", 0.0001, "top")
    assert first["label"].tolist() == LABELS.tolist()
    assert first["radius"].max() < results["radius"].max()
    assert results.recertify() == results
    assert results.recertify(classes="top")[0].classes == "top"
    with pytest.raises(ValueError, match="unknown method"):
        results.recertify(method="no_such_method")
    with pytest.raises(RunError, match="lacks"):
        results.recertify(method="second_order")
    with pytest.raises(RunError, match="holds no certificates"):
        certificates[:0].recertify(alpha=0.1)


def test_saved_is_a_run_that_can_be_saved_again(results, tmp_path):
    saved = results.save(tmp_path / "saved")
    assert saved == results == load_run(tmp_path / "saved")
    assert validate_run(tmp_path / "saved") == []
    before = (tmp_path / "saved" / "manifest.json").read_bytes()
    results.save(tmp_path / "saved")
    assert (tmp_path / "saved" / "manifest.json").read_bytes() == before
    with pytest.raises(RunError, match="written with other settings"):
        results.recertify(alpha=0.5).save(tmp_path / "saved")
    with pytest.raises(RunError, match="never changed"):
        saved.save(tmp_path / "saved")
    again = saved.recertify(method="first_order").save(tmp_path / "again")
    assert again.manifest.derived_from["method"] == "third_order_dipole"
    assert validate_run(tmp_path / "again") == []


def test_an_unfinished_run_stays_unfinished_where_it_is_saved(unfinished, tmp_path):
    saved = unfinished.save(tmp_path / "saved", LABELS[:8])
    assert not saved.complete
    assert saved.missing.tolist() == [8, 9, 10, 11]
    assert saved["label"].tolist() == LABELS[:8].tolist()


def test_what_a_rule_stopped_can_be_stored(smoothed, tmp_path):
    for number, asked in enumerate(({"radius": 0.3}, {"tolerance": 0.1})):
        found = smoothed.certify(INPUTS, n=2000, method="first_order", **asked)
        run = found.save(tmp_path / str(number))
        assert validate_run(run.path) == []
        assert run == found
        assert asked.items() <= run.manifest.settings.items()
        with pytest.raises(RunError, match="stopped drawing"):
            found.recertify(alpha=0.1)


@pytest.mark.parametrize("rule", [RobustAt, WithinTolerance])
def test_a_rule_is_read_from_its_text(rule):
    one = rule(0.25, "dipole_joint", 1000, 0.5, 1e-3, "all")
    assert rule_of_text(repr(one)) == one
    for text in ("", "open('x')", "RobustAt(radius=open)", "Robust(radius=1)", "RobustAt(radius=1"):
        with pytest.raises(ValueError, match="is not a stopping rule"):
            rule_of_text(text)


def test_a_plot_is_a_curve_on_the_axes_that_are_given(results, unfinished):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = results.plot()
    (line,) = axes.lines
    at, share = line.get_data()
    assert share.tolist() == results.certified_accuracy(radii=at).tolist()
    assert axes.get_ylabel() == "certified accuracy"
    assert results.recertify(method="first_order").plot(axes=axes) is axes
    assert len(axes.lines) == 2
    assert axes.get_xlim()[1] >= results["radius"].max()
    fraction = unfinished.plot()
    assert fraction.get_ylabel() == "certified fraction"
    assert unfinished.plot(LABELS[:8]).get_ylabel() == "certified accuracy"
    pyplot.close("all")


@pytest.mark.usefixtures("no_figures")
def test_a_report_is_a_page(results, tmp_path):
    page = results.report(tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    assert "third_order_dipole" in page.read_text()


def test_both_have_one_surface(certificates, tmp_path):
    public = {name for name in vars(Results) if not name.startswith("_")}
    assert {"plot", "recertify", "report", "save", "to_pandas", "certified_accuracy"} <= public
    run = certificates.save(tmp_path / "run")
    for name in public:
        assert getattr(type(run), name).__doc__
        assert getattr(Certificates, name).__doc__


def test_tables_have_the_same_columns(results, certificates):
    pandas = pytest.importorskip("pandas", reason='needs pip install "sosmooth[pandas]"')
    frame = results.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["label"].tolist() == LABELS.tolist()
    assert list(frame.columns) == list(certificates.columns())


def test_where_pandas_is_missing_the_message_says_so(results, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .*\[pandas\]"):
        results.to_pandas()


@pytest.mark.parametrize("method", ["first_order", "second_order", "dipole_joint"])
def test_every_design_is_stored_as_it_is(smoothed, tmp_path, method):
    found = smoothed.certify(INPUTS[:4], n=400, method=method)
    assert method in METHODS
    assert found.save(tmp_path / method) == found


def test_batches_put_together_keep_their_labels(certificates):
    assert concatenate([certificates[:5], certificates[5:]]) == certificates
