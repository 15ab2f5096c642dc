import csv
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from sosmooth._progress import Advance
from sosmooth.classifiers.architectures import ARCHITECTURES
from sosmooth.classifiers.load import bundled_sigmas, open_classifier
from sosmooth.classifiers.weights import load_weights, read_tensors, weights_sha256
from sosmooth.cli import main
from sosmooth.datasets import cifar10
from sosmooth.training import train as training
from sosmooth.training.accuracy import accuracy
from sosmooth.training.augmentation import cropped_and_flipped
from sosmooth.training.recipes import RECIPES, changed_recipe
from sosmooth.training.settings import TrainingSettings
from sosmooth.training.sgd import train_with_noise
from sosmooth.training.train import train_dataset

#: With their data: these can be trained again here.
BUNDLED = ("mnist7", "mnist7_pca10", "swiss_roll")
#: What docs/classifiers.md says to add to the command that trains a bundled ResNet-20 again.
ADDED = {0.25: {"amp": True}, 0.5: {"epochs": 15}, 1.0: {"epochs": 15}}


RUNNING = ("out", "folder", "resume", "on_epoch", "progress")


def train(name, **options):
    """Train by the recipe of the data set with these settings."""
    running = {option: options.pop(option) for option in RUNNING if option in options}
    return train_dataset(name, changed_recipe(name, **options), **running)


def blobs(length):
    """Two classes, well apart, in two features."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (length,), generator=generator)
    return torch.randn(length, 2, generator=generator) * 0.1 + labels[:, None], labels


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_training_learns_and_repeats_itself(schedule):
    inputs, labels = blobs(300)
    epochs = []

    def trained(seed):
        model = nn.Linear(2, 2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        settings = TrainingSettings(
            sigma=0.1, epochs=5, batch_size=64, learning_rate=0.5, schedule=schedule, seed=seed
        )
        train_with_noise(model, inputs, labels, settings, on_epoch=epochs.append)
        return model

    model = trained(0)
    assert [(epoch.number, epoch.epochs) for epoch in epochs] == [
        (number, 5) for number in range(1, 6)
    ]
    assert epochs[-1].loss < epochs[0].loss
    assert not model.training
    assert accuracy(model, inputs, labels) > 0.99
    assert accuracy(model, inputs, labels, sigma=2.0, repeats=3) < 0.9
    assert weights_sha256(model) == weights_sha256(trained(0)) != weights_sha256(trained(1))


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": -0.1},
        {"sigma": float("nan")},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"momentum": 1.0},
        {"weight_decay": -0.1},
        {"schedule": "constant"},
        {"seed": -1},
    ],
)
def test_settings_outside_their_range_are_refused(change):
    possible = {"sigma": 0.1, "epochs": 1, "batch_size": 64, "learning_rate": 0.1}
    TrainingSettings(**possible)
    with pytest.raises(ValueError, match=next(iter(change))):
        TrainingSettings(**possible | change)


@pytest.mark.parametrize(
    "labels", [torch.full((300,), -1), torch.zeros(299, dtype=torch.int64)], ids=["-1", "299"]
)
def test_labels_that_do_not_fit_the_inputs_are_refused(labels):
    inputs, _ = blobs(300)
    settings = TrainingSettings(epochs=1, batch_size=64, learning_rate=0.1)
    with pytest.raises(ValueError, match="label"):
        train_with_noise(nn.Linear(2, 2), inputs, labels, settings)


def test_training_that_diverges_says_so():
    inputs, labels = blobs(300)
    settings = TrainingSettings(epochs=3, batch_size=64, learning_rate=1e10)
    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        train_with_noise(nn.Linear(2, 2), inputs * 1e30, labels, settings)


def test_training_a_data_set_writes_weights_that_load(tmp_path):
    out = tmp_path / "a.safetensors"
    threads = torch.get_num_threads()
    metadata = train("mnist7", sigma=0.25, out=out, epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log.csv", "a.safetensors"]
    assert torch.get_num_threads() == threads
    opened = open_classifier(str(out))
    assert opened.num_classes == 10
    assert opened.settings["training_sigma"] == 0.25
    assert load_weights(out)[1] == metadata
    assert metadata["noisy_accuracy"] > 0.65
    with pytest.raises(ValueError, match="no training recipe for 'mnist8'; there are: mnist7"):
        train("mnist8", sigma=0.25, out=out)
    with pytest.raises(ValueError, match="mnist7 is bundled and takes no folder"):
        train("mnist7", sigma=0.25, out=out, folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="write cifar10:FOLDER"):
        train("cifar10", sigma=0.25, out=out)
    with pytest.raises(ValueError, match=r"\.safetensors"):
        train("mnist7", sigma=0.25, out=tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("name", "architecture"), [*((name, None) for name in BUNDLED), ("cifar10", "resnet20")]
)
def test_the_bundled_weights_have_the_settings_of_the_recipe(name, architecture):
    for sigma, file in bundled_sigmas(name).items():
        added = ADDED[sigma] if architecture else {}
        recipe = changed_recipe(name, sigma=sigma, architecture=architecture, **added)
        metadata = load_weights(file)[1]
        assert metadata["architecture"] == recipe.architecture
        # Weights of earlier versions lack settings that were not there yet.
        for key in metadata.keys() & recipe.settings.recorded.keys():
            assert metadata[key] == recipe.settings.recorded[key]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sigma"), [(name, sigma) for name in BUNDLED for sigma in bundled_sigmas(name)]
)
def test_the_bundled_weights_come_from_the_command(tmp_path, name, sigma):
    metadata = train(name, sigma=sigma, out=tmp_path / "a.safetensors")
    bundled = load_weights(bundled_sigmas(name)[sigma])[1]
    for key, value in bundled.items():
        # Another processor adds in another order.
        assert (
            metadata[key] == (pytest.approx(value, abs=0.01) if key.endswith("accuracy") else value)
            or key == "torch"
        )


def test_crops_shift_by_at_most_four_pixels_and_flips_are_half_of_them():
    images = torch.arange(1.0, 1 + 2 * 6 * 5).reshape(1, 2, 6, 5).expand(4000, -1, -1, -1)
    made = cropped_and_flipped(images, torch.Generator().manual_seed(0))
    padded = nn.functional.pad(images[0], (4, 4, 4, 4))
    possible = {}
    for top in range(9):
        for left in range(9):
            crop = padded[:, top : top + 6, left : left + 5]
            possible[(top, left, False)] = crop
            possible[(top, left, True)] = crop.flip(2)
    names = {value.numpy().tobytes(): name for name, value in possible.items()}
    assert len(names) == 2 * 81
    found = [names[image.numpy().tobytes()] for image in made.contiguous()]
    assert set(found) == set(possible)
    # Five standard deviations.
    assert sum(flipped for _, _, flipped in found) == pytest.approx(2000, abs=160)


class Interrupted(Exception):
    pass


def interrupt(after):
    def on_epoch(epoch):
        if epoch.number == after:
            raise Interrupted

    return on_epoch


@pytest.fixture
def tiny_cifar10(tmp_path, monkeypatch):
    """A folder of batches of twelve images, and a network for them, as `tiny`.

    The network has normalisation layers.
    """
    monkeypatch.setattr(cifar10, "_ROWS", 12)
    monkeypatch.setattr(training, "_NOISY_EVALUATIONS", 100)
    folder = tmp_path / cifar10.BINARY
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("test_batch", *(f"data_batch_{number}" for number in range(1, 6))):
        records = rng.integers(0, 256, (12, 3073), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    monkeypatch.setitem(
        ARCHITECTURES,
        "tiny",
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.0),
            nn.Flatten(),
            nn.Linear(256, 10),
        ),
    )
    return folder


@pytest.mark.parametrize("more", [{}, {"amp": True}, {"channels_last": True}], ids=str)
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, tiny_cifar10, more):
    arguments = {
        "sigma": 0.25,
        "folder": tiny_cifar10,
        "architecture": "tiny",
        "epochs": 4,
        "batch_size": 16,
        "learning_rate": 0.05,
        **more,
    }
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train("cifar10", out=whole, **arguments)
    for after in (1, 3):
        with pytest.raises(Interrupted):
            train("cifar10", out=parts, resume=True, on_epoch=interrupt(after), **arguments)
        assert not parts.exists()
        assert read_tensors(tmp_path / "parts.checkpoint.safetensors")[0]["epoch"] == after
    epochs = []
    shown = []

    @contextmanager
    def progress(total, what, unit):
        yield Advance(total, what, unit, lambda advance: shown.append(advance.done))

    train("cifar10", out=parts, resume=True, on_epoch=epochs.append, progress=progress, **arguments)
    # 60 inputs; three epochs of an earlier call, then steps of 16.
    assert shown == [180, 196, 212, 228, 240]
    assert [epoch.number for epoch in epochs] == [4]
    assert whole.read_bytes() == parts.read_bytes()
    assert not (tmp_path / "parts.checkpoint.safetensors").exists()

    def log(name):
        with (tmp_path / f"{name}.log.csv").open(newline="") as file:
            return [
                {key: value for key, value in row.items() if key != "seconds"}
                for row in csv.DictReader(file)
            ]

    assert log("whole") == log("parts")
    assert [row["epoch"] for row in log("parts")] == ["1", "2", "3", "4"]
    assert float(log("parts")[0]["learning_rate"]) == pytest.approx(0.05, rel=0.2)
    assert all(0 <= float(row["noisy_accuracy"]) <= 1 for row in log("parts"))


def test_an_interrupted_training_says_what_is_stored(tmp_path, tiny_cifar10, monkeypatch, capsys):
    line = f"train cifar10:{tiny_cifar10} --sigma 0.25 --architecture tiny --epochs 2"
    line = [*line.split(), "--out", str(tmp_path / "a.safetensors")]

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "train_with_noise", lambda *these, **others: interrupted())
        assert main(line) == 130
    assert "no epoch was finished, so nothing is stored" in capsys.readouterr().err
    monkeypatch.setattr("sosmooth.cli.train._show", interrupted)
    checkpoint = tmp_path / "a.checkpoint.safetensors"
    for more, how in ([], "add --resume to the same command"), (["--resume"], "run the same"):
        assert main([*line, *more]) == 130
        assert f"epochs are stored in {checkpoint}; {how}" in capsys.readouterr().err


def test_a_checkpoint_is_not_lost_nor_taken_for_another_training(tmp_path, tiny_cifar10):
    out = tmp_path / "a.safetensors"
    arguments = {
        "out": out,
        "folder": tiny_cifar10,
        "architecture": "tiny",
        "epochs": 2,
        "batch_size": 16,
    }
    with pytest.raises(Interrupted):
        train("cifar10", sigma=0.25, on_epoch=interrupt(1), **arguments)
    checkpoint = tmp_path / "a.checkpoint.safetensors"
    before = checkpoint.read_bytes()
    with pytest.raises(
        ValueError, match=r"an unfinished training; resume it \(resume=True\), or remove the file"
    ):
        train("cifar10", sigma=0.25, **arguments)
    with pytest.raises(ValueError, match=r"a training with sigma 0\.25, not 0\.5"):
        train("cifar10", sigma=0.5, resume=True, **arguments)
    with pytest.raises(ValueError, match="a training with learning_rate"):
        train("cifar10", sigma=0.25, learning_rate=0.3, resume=True, **arguments)
    assert checkpoint.read_bytes() == before
    checkpoint.write_bytes(before[:-100])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        train("cifar10", sigma=0.25, resume=True, **arguments)
    checkpoint.write_bytes(load_bytes_of_weights(tmp_path))
    with pytest.raises(ValueError, match="is not a checkpoint of sosmooth train"):
        train("cifar10", sigma=0.25, resume=True, **arguments)
    assert not out.exists()


def load_bytes_of_weights(tmp_path):
    path = tmp_path / "b.safetensors"
    train("swiss_roll", sigma=0.5, out=path, epochs=1)
    return path.read_bytes()


def test_an_architecture_for_other_inputs_is_refused_before_training(tmp_path, tiny_cifar10):
    for name, architecture in (
        ("mnist7", "resnet20"),
        ("swiss_roll", "pca10_mlp"),
        ("cifar10", "mnist7_cnn"),
    ):
        with pytest.raises(
            ValueError,
            match=f"the architecture {architecture} is not for {name}:train, inputs of shape",
        ):
            train(
                name,
                sigma=0.25,
                out=tmp_path / "a.safetensors",
                architecture=architecture,
                folder=tiny_cifar10 if name == "cifar10" else None,
            )
    with pytest.raises(ValueError, match="unknown architecture 'alexnet'"):
        train("mnist7", sigma=0.25, out=tmp_path / "a.safetensors", architecture="alexnet")
    assert list(tmp_path.iterdir()) == [tiny_cifar10]


def test_mixed_precision_computes_in_another_precision():
    inputs, labels = blobs(100)
    digests = set()
    for amp in (False, True):
        model = nn.Linear(2, 2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(0.3)
        settings = TrainingSettings(sigma=0.1, epochs=2, batch_size=10, learning_rate=0.1, amp=amp)
        train_with_noise(model, inputs, labels, settings)
        assert accuracy(model, inputs, labels) > 0.9
        assert model.weight.dtype == torch.float32
        digests.add(weights_sha256(model))
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["augment", "channels_last"])
def test_augmentation_and_the_layout_are_for_images(name):
    inputs, labels = blobs(10)
    settings = TrainingSettings(epochs=1, batch_size=5, learning_rate=0.1, **{name: True})
    with pytest.raises(ValueError, match=f"{name} is for images"):
        train_with_noise(nn.Linear(2, 2), inputs, labels, settings)


def test_channels_last_changes_the_layout_while_training_alone():
    """What the network computes is the same up to rounding."""
    inputs, labels = torch.rand(40, 3, 8, 8), torch.arange(40) % 2
    found = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 3)
        seen = []
        layer.register_forward_hook(lambda _, given, output, seen=seen: seen.append(given[0]))
        model = nn.Sequential(layer, nn.Flatten(), nn.Linear(4 * 36, 2))
        settings = TrainingSettings(
            epochs=2, batch_size=20, learning_rate=0.1, channels_last=channels_last
        )
        train_with_noise(model, inputs, labels, settings)
        layouts = {one.is_contiguous(memory_format=torch.channels_last) for one in seen}
        assert layouts == {channels_last}
        assert all(value.is_contiguous() for value in model.state_dict().values())
        found.append(model(inputs))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)


def test_recipes_name_architectures_that_there_are():
    assert {recipe.architecture for recipe in RECIPES.values()} <= ARCHITECTURES.keys()


def test_an_architecture_may_have_a_recipe_of_its_own():
    usual = changed_recipe("cifar10", sigma=0.5)
    assert (usual.architecture, usual.settings.epochs, usual.settings.amp) == (
        "resnet110",
        90,
        False,
    )
    small = changed_recipe("cifar10", sigma=0.5, architecture="resnet20", epochs=3)
    assert (small.architecture, small.settings.epochs) == ("resnet20", 3)
    assert small.settings.channels_last
    assert small.settings.sigma == 0.5
    other = changed_recipe("cifar10", sigma=0.5, architecture="resnet32", amp=True)
    assert (other.architecture, other.settings.epochs, other.settings.amp) == (
        "resnet32",
        90,
        True,
    )


def test_the_command_trains_and_goes_on(tmp_path, tiny_cifar10, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = f"cifar10:{tiny_cifar10}"  # as `download` prints it
    line = f"train {data} --sigma 0.25 --architecture tiny --epochs 1 --batch-size 16".split()
    line += ["--learning-rate", "0.01", "--schedule", "cosine"]
    assert main([*line, "--json"]) == 0
    assert (tmp_path / "cifar10_tiny_sigma_0.25.safetensors").exists()
    out, err = capsys.readouterr()
    assert '"schedule": "cosine"' in out
    assert "epoch 1 of 1: loss" in err
    assert main([*line, "--resume"]) == 0  # nothing to resume: it starts from the beginning
    out, err = capsys.readouterr()
    assert out.startswith("cifar10_tiny_sigma_0.25.safetensors: tiny, accuracy ")
    assert f"--data {data} --sigma 0.25" in err
    for wrong, message in (
        (["train", "cifar10", "--sigma", "0.25"], "write cifar10:FOLDER"),
        (
            ["train", "cifar10", "--sigma", "0.25", "--data", str(tmp_path / "absent")],
            "no CIFAR-10 in",
        ),
        ([*line, "--data", "elsewhere"], "give one"),
        (["train", "mnist:absent", "--sigma", "0.25"], "absent"),
        (["train", "mnist7", "--sigma", "-1"], "sigma must be zero or positive"),
        (["train", "swiss_roll", "--sigma", "1", "--device", "cuda:99"], "is not available"),
        (["download", "cifar10", "--out", str(tiny_cifar10)], "not an empty folder"),
    ):
        capsys.readouterr()
        assert main(wrong) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
