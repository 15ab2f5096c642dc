"""A run recognises its classifier by its answers.

It also refuses a change that no digest sees.
"""

from __future__ import annotations

import json
import re
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file
from sharing import Own, setup_of

from sosmooth import SmoothedClassifier, load_run
from sosmooth.classifiers.load import LoadedClassifier
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.request import Request, Smoothing
from sosmooth.runs.files import RunError
from sosmooth.runs.writer import RunWriter
from sosmooth.sampling import environment
from sosmooth.tasks.certify import certify_run
from sosmooth.workers.pool import Pool
from sosmooth.workers.processes import ProcessWorkers

#: Two classes, decided by the input's mean; no digest sees a change of `SHIFT`.
OWN = """
from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent


def scores(x, shift):
    mean = x.flatten(1).mean(1) - shift
    return torch.stack([mean, 0.5 - mean, mean * 0], 1)


def weights_in_the_factory():
    shift = load_file(HERE / "shift.safetensors")["shift"]
    return lambda x: scores(x, shift)


def helper_module():
    import shift_of_the_helper

    return lambda x: scores(x, shift_of_the_helper.SHIFT)


class Buffer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        shift = load_file(HERE / "shift.safetensors")["shift"]
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, x):
        return scores(x, self.shift)


class Listed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        part = torch.nn.Linear(1, 1)
        part.bias.data = load_file(HERE / "shift.safetensors")["shift"][None]
        self.parts = [part]

    def forward(self, x):
        return scores(x, self.parts[0].bias)
"""
KINDS = ["weights_in_the_factory", "helper_module", "Buffer", "Listed", "onnx"]


class Changing:
    """A classifier of each kind, and twelve inputs, half of them between the two versions."""

    def __init__(self, folder):
        self.folder, self.kind = folder, None
        (folder / "own.py").write_text(OWN)
        inputs = np.linspace(0, 0.6, 12, dtype=np.float32)[:, None] * np.ones(5, dtype=np.float32)
        np.savez(folder / "data.npz", inputs=inputs, labels=np.arange(12) % 2)
        self.data = str(folder / "data.npz")

    def version(self, kind, shift):
        """Replace the earlier version by this one; returns the name of the classifier."""
        save_file({"shift": torch.tensor(shift)}, self.folder / "shift.safetensors")
        helper = self.folder / "shift_of_the_helper.py"
        helper.write_text(f"SHIFT = {shift!r}\n")
        sys.modules.pop(helper.stem, None)
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)
        if kind == "onnx":
            return self._onnx(shift)
        return f"{self.folder / 'own.py'}:{kind}"

    def _onnx(self, shift):
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime", reason='needs pip install "sosmooth[onnx]"')
        of, number = onnx.helper, onnx.TensorProto.FLOAT
        weights = np.zeros((5, 3), dtype=np.float32)
        weights[:, 0], weights[:, 1] = 0.2, -0.2
        bias = np.array([-shift, 0.5 + shift, 0], dtype=np.float32)
        graph = of.make_graph(
            [of.make_node("Gemm", ["x", "w", "b"], ["scores"])],
            "linear",
            [of.make_tensor_value_info("x", number, ["batch", 5])],
            [of.make_tensor_value_info("scores", number, ["batch", 3])],
            [onnx.numpy_helper.from_array(weights, "w"), onnx.numpy_helper.from_array(bias, "b")],
        )
        model = of.make_model(graph, opset_imports=[of.make_opsetid("", 17)], ir_version=8)
        location = "w" * 140
        (self.folder / location).unlink(missing_ok=True)
        onnx.save(
            model,
            self.folder / "net.onnx",
            save_as_external_data=True,
            location=location,
            size_threshold=0,
        )
        return str(self.folder / "net.onnx")

    def call(self, spec, *more):
        return [
            *["certify", "--model", spec, "--data", self.data, "--sigma", "0.25", "--n", "400"],
            *["--n0", "20", "--batch-size", "50", "--out", str(self.folder / "run"), *more],
        ]


@pytest.fixture
def changing(tmp_path, monkeypatch):
    path = list(sys.path)
    yield Changing(tmp_path)
    sys.path[:] = path
    sys.modules.pop("shift_of_the_helper", None)


def interrupted(call, monkeypatch, after=4):
    """Make a call and interrupt it after some inputs."""
    add = RunWriter.add

    def counting(self, *arguments, **named):
        add(self, *arguments, **named)
        if len(self.done) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "add", counting)
        assert main(call) == 130


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


REFUSED = (
    r"sosmooth: .*run was made with another classifier: this one answers otherwise for inputs"
    r" \d+ \(\d+ of 21 noisy copies\), .*; give the one of the run, or another folder\n"
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_classifier_does_not_go_on(changing, kind, monkeypatch, capsys):
    first = changing.version(kind, 0.0)
    interrupted(changing.call(first), monkeypatch)
    before = files(changing.folder / "run")
    capsys.readouterr()
    assert main(changing.call(changing.version(kind, 0.2))) == 2
    assert re.fullmatch(REFUSED, capsys.readouterr().err)
    assert files(changing.folder / "run") == before
    # The run's own classifier continues, and the finished run shows the change too.
    assert main(changing.call(changing.version(kind, 0.0), "--json")) == 0
    assert load_run(changing.folder / "run").complete
    capsys.readouterr()
    assert main(changing.call(changing.version(kind, 0.2))) == 2
    assert re.fullmatch(REFUSED, capsys.readouterr().err)


@pytest.mark.parametrize("kind", ["weights_in_the_factory", "Buffer"])
def test_a_changed_classifier_is_not_attacked(changing, kind, capsys):
    assert main(changing.call(changing.version(kind, 0.0))) == 0
    run = changing.folder / "run"
    again = str(changing.folder / "again")
    assert main(["recertify", str(run), "--method", "dipole", "--out", again]) == 0
    model = changing.version(kind, 0.2)
    few = ["--max", "1", "--steps", "1", "--judge-n", "100"]
    for each in (str(run), again):
        capsys.readouterr()
        assert main(["audit", each, "--model", str(model), *few]) == 2
        assert "was made with another classifier: this one answers" in capsys.readouterr().err


def test_workers_of_a_changed_classifier_take_no_part(changing, monkeypatch, capsys):
    kind = "weights_in_the_factory"
    interrupted(changing.call(changing.version(kind, 0.0)), monkeypatch)
    before = files(changing.folder / "run")
    capsys.readouterr()
    assert main(changing.call(changing.version(kind, 0.2), "--workers", "1")) == 2
    assert re.fullmatch(REFUSED, capsys.readouterr().err)
    assert files(changing.folder / "run") == before


@pytest.mark.slow
def test_a_worker_that_differs_from_the_others_takes_no_part(tmp_path, monkeypatch):
    """Each process opens the classifier itself, and the second process finds another classifier."""
    (tmp_path / "own.py").write_text(
        "import os\nfrom pathlib import Path\nimport torch\n"
        "def each():\n"
        "    try:\n"
        "        (Path(__file__).parent / 'taken').open('x').close()\n"
        "        return lambda x: (x.mean(1) > 0.3).long()\n"
        "    except FileExistsError:\n"
        "        return lambda x: (x.mean(1) > 0.5).long()\n"
    )
    own = Changing.__new__(Changing)
    inputs = np.linspace(0, 0.6, 12, dtype=np.float32)[:, None] * np.ones(5, dtype=np.float32)
    np.savez(tmp_path / "data.npz", inputs=inputs, labels=np.arange(12) % 2)
    own.folder, own.data = tmp_path, str(tmp_path / "data.npz")
    setup = setup_of(f"{tmp_path / 'own.py'}:each", num_classes=2)
    (tmp_path / "taken").unlink()
    with (
        Pool(ProcessWorkers(setup, 2)) as pool,
        pytest.raises(RunError, match="this one answers otherwise for inputs"),
    ):
        certify_run(
            tmp_path / "run",
            LoadedClassifier(lambda x: x, 2, setup.settings),
            load_dataset(own.data),
            Request("dipole", n=200_000),
            Smoothing(0.25),
            pool=pool,
            batch_size=20,
        )


def digits():
    inputs = load_dataset("mnist7")
    return inputs, Request("dipole", n0=20, n=200), Smoothing(0.25)


def of_function(classify):
    return LoadedClassifier(classify, 10, {"spec": "mine"})


def test_a_python_function_is_known_again(tmp_path):
    inputs, *asked = digits()
    certify_run(
        tmp_path / "run",
        of_function(lambda x: (x.flatten(1).sum(1) % 10).long()),
        inputs,
        *asked,
        indices=range(8),
    )
    certify_run(
        tmp_path / "run",
        of_function(lambda x: (x.flatten(1).sum(1) % 10).long()),
        inputs,
        *asked,
        indices=range(8),
    )
    with pytest.raises(RunError, match="made with another classifier"):
        certify_run(
            tmp_path / "run",
            of_function(lambda x: (x.flatten(1).sum(1) % 9).long()),
            inputs,
            *asked,
            indices=range(8),
        )


def test_a_run_that_stores_no_answers_goes_on_with_a_word(changing, monkeypatch, capsys):
    spec = changing.version("Buffer", 0.0)
    interrupted(changing.call(spec), monkeypatch)
    path = changing.folder / "run/manifest.json"
    stored = json.loads(path.read_text())
    del stored["answers"], stored["environments"]
    path.write_text(json.dumps(stored))
    capsys.readouterr()
    interrupted(changing.call(spec), monkeypatch, after=8)
    assert "it is not known whether" in capsys.readouterr().err.splitlines()[0]
    assert main(changing.call(changing.version("Buffer", 0.2))) == 2
    assert re.fullmatch(REFUSED, capsys.readouterr().err)
    assert main(changing.call(changing.version("Buffer", 0.0))) == 0
    assert "compared" not in capsys.readouterr().err
    assert load_run(changing.folder / "run").manifest.environments[0]["begins_after_inputs"] == 4


@pytest.mark.parametrize("workers", [(), pytest.param(("--workers", "1"), marks=pytest.mark.slow)])
def test_another_environment_is_said_and_accepted_or_not(changing, workers, monkeypatch, capsys):
    spec = changing.version("Buffer", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
        interrupted(changing.call(spec), monkeypatch)
    before = files(changing.folder / "run")
    here = torch.backends.cpu.get_cpu_capability()
    capsys.readouterr()
    assert main(changing.call(spec, *workers)) == 2
    err = capsys.readouterr().err
    assert f"CPU capability ABACUS (here {here})" in err
    assert err.count("\n") == 1
    assert files(changing.folder / "run") == before
    interrupted(changing.call(spec, "--accept-other-environment"), monkeypatch, after=7)
    assert f"so far CPU capability ABACUS (here {here})" in capsys.readouterr().err
    # Once accepted, it belongs to the run.
    assert main(changing.call(spec, *workers)) == 0
    assert "ABACUS" not in capsys.readouterr().err
    noted = load_run(changing.folder / "run").manifest.environments
    assert [(one["CPU capability"], one["begins_after_inputs"]) for one in noted] == [
        ("ABACUS", 0),
        (here, 4),
    ]
    # To look at it from another folder certifies nothing.
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "QUIPU")
        assert main(changing.call(spec)) == 0


def test_what_differs_in_another_environment_is_refused_all_the_same(changing, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
        interrupted(changing.call(changing.version("Buffer", 0.0)), monkeypatch)
    capsys.readouterr()
    other = changing.version("Buffer", 0.2)
    assert main(changing.call(other, "--accept-other-environment")) == 2
    assert "or the environment makes the difference (CPU cap" in capsys.readouterr().err


def test_the_environment_names_the_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"{device} of brass")
    found = environment.sampling_environment(torch.device("cuda", 1))
    assert found["GPU"] == "cuda:1 of brass"
    assert environment.sampling_environment(torch.device("cpu"))["GPU"] is None
    assert found["torch"] == torch.__version__.partition("+")[0]


def test_the_probe_shares_no_noise_with_what_is_counted():
    """No point is used twice to recognise a classifier."""
    shown = []

    def classify(x):
        shown.extend(map(tuple, x.flatten(1).tolist()))
        return (x.flatten(1).sum(1) > 20).long()

    x = load_dataset("mnist7").get(list(range(8)))
    smoothed = SmoothedClassifier(classify, sigma=0.25, num_classes=2, batch_size=64)
    smoothed.sampler.answers(x, indices=list(range(8)), copies=32, seed=0)
    probe = set(shown)
    assert len(probe) == len(shown) == 8 * 32
    del shown[:]
    smoothed.certify(x, method="dipole", n=200, n0=100, seed=0)
    smoothed.predict(x, n=200, seed=0)
    assert len(shown) > 8 * 500
    assert not probe & set(shown)


@pytest.mark.usefixtures("no_figures")
def test_the_report_shows_no_answers_of_another_classifier(tmp_path, capsys):
    own = Own(tmp_path)
    own.mood("honest")
    call = ["certify", "--model", own.spec, "--data", own.data, "--indices", "0:4", "--n", "200"]
    assert main([*call, "--sigma", "0.25", "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "mood").write_text("fragile")
    source = (tmp_path / "own.py").read_text()
    manifest = tmp_path / "run/manifest.json"
    stored = json.loads(manifest.read_text())
    stored["settings"]["model"]["source_sha256"] = None  # as if no digest had seen it
    manifest.write_text(json.dumps(stored))
    results = tmp_path / "run/results.parquet"  # it no longer says what it was made with
    table = pq.read_table(results)
    kept = {k: v for k, v in table.schema.metadata.items() if k != b"sosmooth_settings"}
    pq.write_table(table.replace_schema_metadata(kept), results)
    (tmp_path / "own.py").write_text(source.replace("0.5 - mean", "0.1 - mean"))
    capsys.readouterr()
    report = ["report", str(tmp_path / "run"), "--out", str(tmp_path / "report.html")]
    assert main([*report, "--data", own.data, "--model", own.spec]) == 2
    assert "made with another classifier: this one answers" in capsys.readouterr().err
