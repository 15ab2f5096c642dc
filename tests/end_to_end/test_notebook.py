"""The notebook of the examples runs, is tidy, and may be interrupted anywhere."""

from __future__ import annotations

import ast
import json
import signal
from pathlib import Path

import pytest

from sosmooth import load_run, validate_run
from sosmooth.runs import RunWriter

PATH = Path(__file__).parents[2] / "examples" / "certify.ipynb"
INPUTS = 5


def cells():
    return json.loads(PATH.read_text(encoding="utf-8"))["cells"]


def run_notebook(folder, monkeypatch):
    """Execute the cells in a folder, on a small scale, and return the names that they define."""
    from matplotlib import pyplot

    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    for cell in cells():
        if cell["cell_type"] != "code":
            continue
        exec(compile(ast.parse("".join(cell["source"])), str(PATH), "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= {"n": 400, "count": INPUTS}
    pyplot.close("all")
    return names


def same_bytes(one, other):
    """Whether two runs agree to the byte in every column but the time."""
    for name in one.table.column_names:
        if name != "seconds":
            assert one[name].tobytes() == other[name].tobytes(), name


def test_it_is_tidy():
    assert PATH.read_text(encoding="utf-8").endswith("}\n")
    for cell in cells():
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert PATH.stat().st_size < 10_000


@pytest.mark.usefixtures("no_figures")
def test_it_runs_to_its_end_and_again(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas", reason='needs pip install "sosmooth[pandas]"')
    names = run_notebook(tmp_path, monkeypatch)
    assert len(names["run"]) == INPUTS
    assert names["run"].complete
    assert "certified accuracy at 0, 0.1 and 0.2" in capsys.readouterr().out
    assert (tmp_path / "report.html").is_file()
    before = (tmp_path / "run" / "results.parquet").read_bytes()
    run_notebook(tmp_path, monkeypatch)
    assert (tmp_path / "run" / "results.parquet").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3])
def test_interrupted_and_run_again_it_gives_the_same_bytes(tmp_path, monkeypatch, after):
    pytest.importorskip("pandas", reason='needs pip install "sosmooth[pandas]"')
    for name in ("whole", "interrupted"):
        (tmp_path / name).mkdir()
    whole = run_notebook(tmp_path / "whole", monkeypatch)["run"]
    stored, left = RunWriter.add, [after]

    def interrupting(self, *arguments, **named):
        stored(self, *arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunWriter, "add", interrupting)
    with pytest.warns(UserWarning, match=f"interrupted: {after} of {INPUTS} inputs"):
        part = run_notebook(tmp_path / "interrupted", monkeypatch)["run"]
    monkeypatch.setattr(RunWriter, "add", stored)
    assert (len(part), part.complete) == (after, False)
    again = run_notebook(tmp_path / "interrupted", monkeypatch)["run"]
    assert again == whole == load_run(tmp_path / "interrupted" / "run")
    same_bytes(again, whole)
    assert validate_run(tmp_path / "interrupted" / "run") == []
