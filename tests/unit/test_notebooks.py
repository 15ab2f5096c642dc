"""How results display themselves, in a terminal and in a notebook."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from sosmooth import SmoothedClassifier, load_run
from sosmooth._progress import Advance, _as_html
from sosmooth.datasets.inputs import in_memory
from sosmooth.runs.writer import RunWriter

INPUTS = np.linspace(-1, 1, 60, dtype=np.float32).reshape(30, 2)


class Cells(HTMLParser):
    """The texts of the cells of a table, and every tag."""

    def __init__(self, html):
        super().__init__()
        self.cells, self.tags = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def positive(points):
    """Class 1 right of the axis."""
    return (points[:, 0] > 0).long()


@pytest.fixture(scope="module")
def smoothed():
    return SmoothedClassifier(positive, sigma=0.5, num_classes=2, batch_size=500)


@pytest.fixture(scope="module")
def certificates(smoothed):
    return smoothed.certify(INPUTS, n=1000)


def test_certificates_are_a_table_of_their_first_rows(certificates):
    html = certificates._repr_html_()
    cells = Cells(html).cells
    assert cells[:4] == ["input", "class", "radius", "reason"]
    assert cells[4:7] == [
        "0",
        str(certificates.prediction[0]),
        f"{np.floor(1e4 * certificates.radius[0]) / 1e4:.4f}",
    ]
    assert len(cells) == 4 * 21
    assert "… and 10 more" in html
    assert "…" not in certificates[:20]._repr_html_()


def test_what_a_log_says_is_escaped_in_a_notebook(certificates):
    hostile = replace(certificates, abstain_reason=np.full(30, "<script>alert(1)</script>"))
    for html in (hostile._repr_html_(), hostile[0]._repr_html_()):
        assert "script" not in Cells(html).tags
        assert "<script>alert(1)</script>" in Cells(html).cells


def test_one_certificate_says_what_it_certifies(certificates):
    middle = int(np.argmin(certificates.radius))
    abstained = replace(certificates[middle], prediction=-1, radius=0.0, abstain_reason="imported")
    assert repr(abstained).startswith(f"<input {middle}: abstained, ")
    assert repr(certificates[0]).startswith("<input 0: class 0 within radius 0.")
    assert Cells(abstained._repr_html_()).cells[2:4] == ["class", "—"]


def test_a_run_says_how_far_it_is(tmp_path, certificates):
    settings = {
        "method": certificates.method,
        "classes": certificates.classes,
        "sigma": 0.5,
        "alpha": 0.001,
        "n": 1000,
        "n0": 100,
        "seed": 0,
    }
    with RunWriter.open(
        tmp_path / "run", settings=settings, indices=list(range(30)), dimension=2
    ) as writer:
        writer.add(certificates[:25], labels=[1] * 25, seconds=[0.0] * 25)
    run = load_run(tmp_path / "run")
    assert "run' of 30, unfinished: 25 third_order_dipole certificates" in repr(run)
    cells = Cells(run._repr_html_()).cells
    assert cells[:5] == ["input", "label", "class", "radius", "reason"]
    assert cells[5:8] == ["0", "1", "0"]


def test_classifiers_and_inputs_name_themselves(smoothed):
    assert repr(smoothed) == (
        "<SmoothedClassifier of function: sigma=0.5, num_classes=2, batch_size=500, device='cpu'>"
    )
    inputs = in_memory(
        "squares", np.zeros((3, 4), np.float32), [0, 1, 1], num_classes=2, settings={}
    )
    assert repr(inputs) == "<3 inputs of 2 classes: squares>"


def test_a_bar_changes_nothing(smoothed, certificates):
    shown = smoothed.certify(INPUTS, n=1000, progress=True)
    assert shown.radius.tolist() == certificates.radius.tolist()


def test_the_bar_of_a_notebook_is_html():
    advance = Advance(1000, "certifying <b>", "samples", lambda advance: None)
    advance(250)
    html = _as_html(advance)
    assert Cells(html).tags == {"div", "progress"}
    assert 'value="250" max="1000"' in html
    assert "> 25 % " in html
    assert "samples/s" in html
    assert "> 0 % <" in _as_html(Advance(0, "nothing", "samples", lambda advance: None))
