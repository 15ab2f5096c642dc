"""`sosmooth reproduce` from the call to the table, with a few samples."""

import csv
import json

import numpy as np
import pytest
import torch

from sosmooth import load_run
from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.weights import save_weights
from sosmooth.cli import main

FEW = ["--runs", "2000:6"]
RESNET20 = {"architecture": "resnet20", "num_classes": 10, "sigma": 0.25}


def call(capsys, *arguments):
    """Exit code, standard output and standard error of a call in this process."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_list(capsys):
    code, out, _ = call(capsys, "reproduce")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()][:3] == ["figure", "fig1a", "fig1b"]
    listed = json.loads(call(capsys, "reproduce", "--json")[1])
    assert [row["figure"] for row in listed if row["needs"]] == ["fig6", "fig12", "fig13", "fig15"]


def test_a_population_figure(tmp_path, capsys):
    code, out, err = call(capsys, "reproduce", "fig3", "--out", tmp_path / "new" / "folder")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "fig3.csv",
        "fig3.png",
        "fig3.svg",
    ]
    assert str(tmp_path / "new" / "folder" / "fig3.png") in out


def test_a_sampled_figure_says_what_differs_and_goes_on(tmp_path, capsys):
    arguments = ["reproduce", "fig5", *FEW, "--out", tmp_path]
    assert call(capsys, *arguments)[0] == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == [
        f"mnist7_sigma_0.25_n_2000_images_6_{method}"
        for method in ("dipole", "first_order", "second_order")
    ]
    runs = [load_run(tmp_path / "runs" / name) for name in names]
    # Each has its own samples, as published.
    assert len({int(run["seed"][0]) for run in runs}) == 3
    assert all(run["index"].tolist() == [0, 1666, 3332, 4998, 6664, 8330] for run in runs)

    rows = table(tmp_path / "fig5.csv")
    assert {
        (row["published_n"], row["n"], row["published_images"], row["images"]) for row in rows
    } == {("100000", "2000", "1000", "6")}
    assert {row["classifier"] for row in rows} == {"mnist7_cnn"}
    within = [row for row in rows if (row["method"], row["quantity"]) == ("dipole", "within_1")]
    assert [row["published"] for row in within] == ["462"]
    certified = sum(
        int(run["prediction"][i] == run["label"][i]) for run in runs[:1] for i in range(6)
    )
    accuracy = next(row["ours"] for row in rows if row["quantity"] == "certified accuracy, dipole")
    assert float(accuracy) == pytest.approx(certified / 6, abs=1e-4)
    same = [row for row in rows if row["ours_same_samples"]]
    assert {row["method"] for row in same} == {"second_order"}

    page = (tmp_path / "fig5.md").read_text(encoding="utf-8")
    assert "n = 10⁵ (here 2·10³)" in page
    assert "Not run here" in page

    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    pictures = {
        path: path.read_bytes()
        for path in (tmp_path / "fig5.png", tmp_path / "fig5.csv", tmp_path / "fig5.md")
    }
    assert call(capsys, *arguments)[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.read_bytes() for path in pictures} == pictures
    # Figure 14 shows the same runs.
    code, out, _ = call(capsys, "reproduce", "fig14", *FEW, "--out", tmp_path, "--json")
    assert code == 0
    assert {row["n"] for row in json.loads(out)["rows"]} == {2000}
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names


@pytest.mark.parametrize("name", ["fig2", pytest.param("fig9", marks=pytest.mark.slow)])
def test_the_other_bundled_data(tmp_path, capsys, name):
    assert call(capsys, "reproduce", name, "--runs", "10000:12", "--out", tmp_path)[0] == 0
    assert {row["images"] for row in table(tmp_path / f"{name}.csv")} == {"12"}
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.fixture
def cifar(tmp_path):
    """Inputs in the shape of CIFAR-10's, and weights of a small network for them."""
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "data.npz",
        inputs=rng.random((3, 3, 32, 32), dtype=np.float32),
        labels=np.array([0, 1, 2]),
    )
    save_weights(tmp_path / "weights_0.25.safetensors", build("resnet20"), RESNET20)
    return tmp_path


def given(folder, **changes):
    options = {
        "data": folder / "data.npz",
        "weights": folder / "weights_{sigma}.safetensors",
        "out": folder / "out",
    } | changes
    options = {"runs": "20:1"} | options
    return [*(word for name, value in options.items() if value for word in (f"--{name}", value))]


def test_data_of_ones_own_with_another_architecture(cifar, capsys):
    code, _, err = call(capsys, "reproduce", "fig6", *given(cifar))
    assert (code, err.count("\n")) == (2, 1)
    assert "has the architecture resnet20, this figure resnet110" in err
    assert "give --architecture='resnet20'" in err
    assert not (cifar / "out").exists()


def test_weights_that_do_not_say_their_architecture(cifar, capsys):
    torch.save(build("resnet20").state_dict(), cifar / "net.pt")
    weights = given(cifar, weights=cifar / "net.pt")
    assert "ARCHITECTURE+" in call(capsys, "reproduce", "fig6", *weights)[2]
    weights = given(cifar, weights=cifar / "net.pt", architecture="resnet32")
    assert "it fits resnet20" in call(capsys, "reproduce", "fig6", *weights)[2]


@pytest.mark.slow
def test_data_of_ones_own(cifar, capsys):
    assert call(capsys, "reproduce", "fig6", *given(cifar, architecture="resnet20"))[0] == 0
    rows = table(cifar / "out" / "fig6_cifar10.csv")
    assert {row["classifier"] for row in rows} == {"resnet20"}
    assert {row["published_classifier"] for row in rows} == {"ResNet-110 of Cohen et al. 2019"}
    page = (cifar / "out" / "fig6_cifar10.md").read_text(encoding="utf-8")
    assert "ImageNet, sigma 0.25, dipole, n = 10⁵" in page.split("Not run here")[1]
    # Weights that differ are not mixed into these runs.
    save_weights(cifar / "weights_0.25.safetensors", build("resnet20", seed=1), RESNET20)
    code, _, err = call(capsys, "reproduce", "fig6", *given(cifar, architecture="resnet20"))
    assert (code, err.count("\n")) == (2, 1)
    assert "was written with other settings" in err


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "fig12",
            {"data": None, "weights": None},
            ["no data and weights of CIFAR-10", "https://www.cs.toronto.edu/~kriz/cifar.html"],
        ),
        (
            "fig12",
            {"weights": None},
            ["no weights of CIFAR-10", "sosmooth train cifar10 --architecture resnet110"],
        ),
        (
            "fig13",
            {"data": None, "weights": None},
            ["no data and weights of ImageNet", "https://image-net.org"],
        ),
        (
            "fig6",
            {"data": None, "weights": None},
            ["CIFAR-10 or ImageNet", "cifar.html", "image-net.org"],
        ),
        ("fig12", {"data": "nowhere"}, ["nowhere", "cifar.html"]),
        (
            "fig12",
            {"weights": "nowhere.safetensors"},
            ["nowhere.safetensors", "sosmooth train cifar10"],
        ),
        ("fig16", {}, ["no figure 'fig16'"]),
        ("fig5", {"data": None, "weights": None, "runs": "1e5"}, ["--runs must be N:IMAGES"]),
    ],
)
def test_what_is_missing_is_named_with_its_home(cifar, capsys, name, changes, said):
    code, out, err = call(capsys, "reproduce", name, *given(cifar, **changes))
    assert (code, out, err.count("\n")) == (2, "", 1)
    for words in said:
        assert words in err
    assert not (cifar / "out").exists()


def test_weights_trained_with_another_sigma(cifar, capsys):
    weights = cifar / "weights_0.25.safetensors"
    code, _, err = call(
        capsys, "reproduce", "fig12", *given(cifar, weights=weights, architecture="resnet20")
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "was trained with sigma 0.25, but this panel has 0.12" in err
    assert not (cifar / "out").exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path, capsys):
    resource = pytest.importorskip("resource")
    assert call(capsys, "reproduce", "fig1a", "--out", tmp_path)[0] == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A write beyond this fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        code, _, err = call(capsys, "reproduce", "fig1a", "--out", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot be written" in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
