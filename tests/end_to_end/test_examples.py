"""The examples run, on a small scale."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest

from sosmooth import load_run
from sosmooth.datasets import mnist

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    """The example as a module, without running its `main`."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_model(capsys):
    example("own_model").main(n=400, steps=100)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert sum("class -1" not in line for line in lines[:20]) >= 8
    assert float(re.search(r"average certified radius ([\d.]+)", lines[-1])[1]) > 0.05


def test_published_log(capsys):
    example("published_log").main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    printed, first, second = ([float(row[k]) for row in rows[1:9]] for k in (1, 2, 3))
    assert second[1] == 0.340989
    assert ["large" in row for row in rows[1:9]] == [
        old > new for old, new in zip(printed, second, strict=True)
    ]
    assert sum(second) > 1.02 * sum(first)


def test_which_method(capsys):
    example("which_method").main(n=2000, images=10)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [
        "first_order",
        "dipole",
        "dipole_joint",
        "second_order_pairs",
        "second_order_dipole",
        "third_order_dipole",
    ]
    assert re.fullmatch(r"chosen: \w+; on 10 inputs that the choice did not see: 0\.\d+", lines[6])


@pytest.mark.slow
def test_denoised_smoothing(tmp_path, monkeypatch, capsys):
    generator = np.random.default_rng(0)
    for part, count in (("train", 512), ("t10k", 20)):
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):  # the row says the digit
            image[2 * label + 4 : 2 * label + 6] = 255
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            name = f"{part}-{kind}-ubyte"
            content = bytes((0, 0, 8, array.ndim)) + b"".join(
                size.to_bytes(4, "big") for size in array.shape
            )
            (tmp_path / name).write_bytes(content + array.tobytes())
            digest = hashlib.sha256(content + array.tobytes()).hexdigest()
            monkeypatch.setitem(mnist.FILES, name, digest)
    scale = {"train_images": 512, "epochs": 10, "images": 10, "n": 200}
    for _ in range(2):  # the second time everything is there
        example("denoised_smoothing").main(str(tmp_path), tmp_path / "out", **scale)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == lines[5:]
    shares = [float(value.rstrip("%")) for value in re.findall(r"[\d.]+%", "".join(lines[1:3]))]
    assert max(shares) >= 50  # at sigma 0.25


def test_text_classifier(capsys):
    pytest.importorskip("transformers", reason='needs pip install "sosmooth[huggingface]"')
    example("text_classifier").main(n=100)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("The weights are random")
    assert len(re.findall(r"class (?:0|1) within 0\.[0-9]+", "\n".join(lines))) == 4


def test_cluster_on_this_machine_alone(tmp_path, capsys):
    options = ["--max", "4", "--n", "200", "--n0", "20", "--out", str(tmp_path / "run")]
    assert example("cluster").main(*options, "--engine", "local") == 0
    assert "evaluations\t880" in capsys.readouterr().out
    assert len(load_run(tmp_path / "run")) == 4


@pytest.mark.slow
# Ray leaves pipes and sockets of its processes to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:.*ray.*:FutureWarning",
)
def test_cluster_by_ray(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(os.environ, "RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setitem(os.environ, "RAY_AUTH_MODE", "disabled")
    pytest.importorskip("ray", reason='needs pip install "sosmooth[ray]"')
    options = ["--max", "4", "--n", "200", "--n0", "20"]
    assert example("cluster").main(*options, "--workers", "1", "--out", str(tmp_path / "ray")) == 0
    assert (
        example("cluster").main(*options, "--engine", "local", "--out", str(tmp_path / "local"))
        == 0
    )
    assert (
        load_run(tmp_path / "ray")["count_top"].tolist()
        == load_run(tmp_path / "local")["count_top"].tolist()
    )
