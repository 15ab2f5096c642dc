"""Progress: rate and time left of this call alone, which fit into any terminal."""

import io
import re

import pytest
from rich.console import Console

from sosmooth import _progress
from sosmooth._progress import Advance, progress

WHAT = "second_order_dipole, 200 inputs of a long name"


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(_progress, "time", clock)
    return clock


def advance_of(total, unit="samples"):
    return Advance(total, "work", unit, lambda advance: None)


def test_stored_work_is_done_and_changes_no_rate(clock):
    advance = advance_of(1_000_000)
    clock.now += 100  # opening the classifier
    advance.stored(750_000)
    assert (advance.fraction, advance.rate, advance.left) == (0.75, "", "")
    clock.now += 10
    advance(50_000)
    assert (advance.fraction, advance.rate, advance.left) == (0.8, "5 k samples/s", "40 s left")
    clock.now += 15
    assert advance.left == "25 s left"  # it goes on between two calls
    clock.now += 100
    assert advance.left == "1 s left"
    advance(200_000)
    assert (advance.fraction, advance.left) == (1.0, "")


@pytest.mark.parametrize(
    ("amount", "seconds", "rate"),
    [
        (999, 1, "999 inputs/s"),
        (999_499, 1, "999 k inputs/s"),
        (999_600, 1, "1 M inputs/s"),
        (1, 4, "15 inputs/min"),
        (3e12, 1, "3e+03 G inputs/s"),
    ],
)
def test_rates_are_short(clock, amount, seconds, rate):
    advance = advance_of(10**13, "inputs")
    clock.now += seconds
    advance(amount)
    assert advance.rate == rate


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
@pytest.mark.parametrize("seconds", [3, 86_399, 31_622_400])
def test_the_time_left_is_never_cut_off(clock, width, seconds, monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False)
    with _progress._bar(console, 1000, WHAT) as show:
        advance = Advance(1000, WHAT, "samples", show)
        clock.now += seconds
        advance(500)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue()).splitlines()
    last = [line for line in re.split(r"[\r\n]", "\n".join(lines)) if "left" in line][-1]
    assert last.rstrip().endswith(f" {advance.left}")
    assert len(last) <= width
    assert (" sampl" in last) == (width >= 60)


def test_lines_elsewhere(clock, capsys):
    with progress(1000, "work") as advance:
        clock.now += 20
        advance(100)
    assert capsys.readouterr().err == "work: 10 %, 5 samples/s, 3 min 0 s left\n"
