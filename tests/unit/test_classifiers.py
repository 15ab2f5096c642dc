import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sosmooth.classifiers.architectures import ARCHITECTURES, build
from sosmooth.classifiers.from_numpy import from_numpy
from sosmooth.classifiers.load import bundled_sigmas, load_classifier, open_classifier
from sosmooth.classifiers.training import accuracy, train_dataset, train_with_noise
from sosmooth.classifiers.weights import load_weights, save_weights, weights_sha256
from sosmooth.datasets import load_dataset

METADATA = {"architecture": "mnist7_cnn", "num_classes": 10, "sigma": 0.25}


def test_building_depends_on_the_seed_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, same, other = build("mnist7_cnn", seed=1), build("mnist7_cnn", seed=1), build("mnist7_cnn", seed=2)
    assert weights_sha256(first) == weights_sha256(same) != weights_sha256(other)
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(ValueError, match="unknown architecture 'alexnet'; there are: mnist7_cnn"):
        build("alexnet")


def test_the_small_network_is_the_one_described():
    shapes = {name: tuple(value.shape) for name, value in build("mnist7_cnn").named_parameters()}
    assert sorted(shapes.values()) == [(4,), (4, 1, 2, 2), (10,), (10, 100), (100,), (100, 144)]
    assert build("mnist7_cnn")(torch.zeros(5, 7, 7)).shape == (5, 10)


def test_weights_come_back_and_the_bytes_follow_from_the_content(tmp_path):
    model = build("mnist7_cnn", seed=3)
    for name in ("a", "b"):
        save_weights(tmp_path / "made" / f"{name}.safetensors", model, METADATA)
    a, b = sorted((tmp_path / "made").iterdir())  # nothing else is left there
    assert a.read_bytes() == b.read_bytes()
    loaded, metadata = load_weights(a)
    assert metadata == METADATA
    assert weights_sha256(loaded) == weights_sha256(model)
    assert not loaded.training


def test_weights_that_cannot_be_written_leave_the_old_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, build("mnist7_cnn"), METADATA)
    before = path.read_bytes()
    broken = build("mnist7_cnn")
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="NaN"):
        save_weights(path, broken, METADATA)
    with pytest.raises(ValueError, match="lacks num_classes"):
        save_weights(path, build("mnist7_cnn"), {"architecture": "mnist7_cnn"})
    with pytest.raises(ValueError, match=r"\.safetensors"):
        save_weights(tmp_path / "a.pt", build("mnist7_cnn"), METADATA)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_weights_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    with pytest.raises(FileNotFoundError, match=r"a\.safetensors"):
        load_weights(path)
    save_weights(path, build("mnist7_cnn"), METADATA)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_weights(path)
    path.write_bytes(whole.replace(b"mnist7_cnn", b"mnist8_cnn"))
    with pytest.raises(ValueError, match="unknown architecture 'mnist8_cnn'"):
        load_weights(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="does not say its architecture"):
        load_weights(path)
    monkeypatch.setitem(ARCHITECTURES, "linear", lambda: nn.Linear(2, 2))
    save_weights(path, nn.Linear(3, 2, bias=False), {"architecture": "linear", "num_classes": 2})
    with pytest.raises(ValueError, match=r"missing \['bias'\], not in the network \[\], of another shape \['weight'\]"):
        load_weights(path)


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
        train_with_noise(
            model,
            inputs,
            labels,
            sigma=0.1,
            epochs=5,
            batch_size=64,
            learning_rate=0.5,
            schedule=schedule,
            seed=seed,
            on_epoch=epochs.append,
        )
        return model

    model = trained(0)
    assert [(epoch.number, epoch.epochs) for epoch in epochs] == [(number, 5) for number in range(1, 6)]
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
        {"schedule": "constant"},
        {"labels": torch.full((300,), -1)},
        {"labels": torch.zeros(299, dtype=torch.int64)},
    ],
)
def test_training_refuses_what_makes_no_sense(change):
    inputs, labels = blobs(300)
    arguments = {"labels": labels, "sigma": 0.1, "epochs": 1, "batch_size": 64, "learning_rate": 0.1, **change}
    with pytest.raises(ValueError, match=next(iter(change)) + "|label"):
        train_with_noise(nn.Linear(2, 2), inputs, **arguments)


def test_training_that_diverges_says_so():
    inputs, labels = blobs(300)
    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        train_with_noise(nn.Linear(2, 2), inputs * 1e30, labels, sigma=0, epochs=3, batch_size=64, learning_rate=1e10)


def test_training_a_data_set_writes_weights_that_load(tmp_path):
    out = tmp_path / "a.safetensors"
    threads = torch.get_num_threads()
    metadata = train_dataset("mnist7", sigma=0.25, out=out, epochs=1)
    assert torch.get_num_threads() == threads
    opened = open_classifier(str(out))
    assert opened.num_classes == 10
    assert opened.settings["training_sigma"] == 0.25
    assert load_weights(out)[1] == metadata
    assert metadata["noisy_accuracy"] > 0.65
    with pytest.raises(ValueError, match="no training recipe for 'cifar10'; there are: mnist7"):
        train_dataset("cifar10", sigma=0.25, out=out)
    with pytest.raises(ValueError, match=r"\.safetensors"):
        train_dataset("mnist7", sigma=0.25, out=tmp_path / "a.pt")


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5])
def test_the_bundled_weights_come_from_the_command(tmp_path, sigma):
    metadata = train_dataset("mnist7", sigma=sigma, out=tmp_path / "a.safetensors")
    bundled = load_weights(bundled_sigmas("mnist7")[sigma])[1]
    for key, value in bundled.items():
        # another processor adds in another order
        assert metadata[key] == (pytest.approx(value, abs=0.01) if key.endswith("accuracy") else value) or key == "torch"


def test_the_bundled_weights_have_the_accuracy_that_they_state():
    data = load_dataset("mnist7")
    inputs, labels = torch.from_numpy(data.get(range(len(data)))), torch.from_numpy(data.labels)
    files = bundled_sigmas("mnist7")
    assert list(files) == [0.12, 0.25, 0.5]
    for sigma, (clean, noisy) in zip(files, [(0.95, 0.90), (0.90, 0.71), (0.82, 0.43)], strict=True):
        model, metadata = load_weights(files[sigma])
        assert metadata["sigma"] == sigma
        assert accuracy(model, inputs, labels) == pytest.approx(metadata["clean_accuracy"], abs=0.0005)
        assert metadata["clean_accuracy"] > clean
        assert accuracy(model, inputs, labels, sigma=sigma, seed=1) == pytest.approx(metadata["noisy_accuracy"], abs=0.015)
        assert metadata["noisy_accuracy"] > noisy


def test_the_bundled_classifier_needs_a_sigma_that_there_is():
    opened = open_classifier("mnist7", sigma=0.5)
    assert opened.settings == {
        "spec": "mnist7",
        "architecture": "mnist7_cnn",
        "weights_sha256": weights_sha256(opened.classifier),
        "training_sigma": 0.5,
    }
    with pytest.raises(ValueError, match=r"needs the sigma it was trained with; there are: 0\.12, 0\.25, 0\.5"):
        load_classifier("mnist7")
    with pytest.raises(ValueError, match=r"for sigma 0\.3; there are: 0\.12, 0\.25, 0\.5"):
        load_classifier("mnist7", sigma=0.3)


MADE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.num_classes = classes
        self.linear = nn.Linear(2, classes)
        self.drop = nn.Dropout()
    def forward(self, x): return self.linear(self.drop(x))

class NeedsArguments(nn.Module):
    def __init__(self, classes): super().__init__()

instance = Net(4)
def make(): return Net()
def make_function(): return lambda x: x.argmax(1)
def classify(x): return x.argmax(1)
def nothing(): return 7
constant = 7
"""


def test_classifiers_from_python(tmp_path):
    (tmp_path / "nets.py").write_text(MADE)
    spec = f"{tmp_path}/nets.py"
    source = hashlib.sha256((tmp_path / "nets.py").read_bytes()).hexdigest()
    inputs = torch.tensor([[0.0, 1.0], [3.0, 2.0]])

    for name, classes in (("make", 3), ("Net", 3), ("instance", 4)):
        opened = open_classifier(f"{spec}:{name}")
        assert isinstance(opened.classifier, nn.Module)
        assert not opened.classifier.training
        assert opened.num_classes == classes
        assert opened.settings["architecture"] == "Net"
        assert opened.settings["source_sha256"] == source
        assert opened.settings["weights_sha256"] == weights_sha256(opened.classifier)
    for name in ("classify", "make_function"):
        opened = open_classifier(f"{spec}:{name}")
        assert opened.classifier(inputs).tolist() == [1, 0]
        assert opened.num_classes is None
        assert opened.settings["weights_sha256"] is None

    for name, message in (
        ("nothing", "returned int"),
        ("constant", "is int"),
        ("NeedsArguments", "class that needs arguments"),
        ("absent", "has no 'absent'"),
    ):
        with pytest.raises(ValueError, match=message):
            load_classifier(f"{spec}:{name}")


def test_python_with_weights(tmp_path):
    (tmp_path / "nets.py").write_text(MADE)
    spec, weights = f"{tmp_path}/nets.py", tmp_path / "w.safetensors"
    state = {"linear.weight": torch.arange(6.0).reshape(3, 2), "linear.bias": torch.zeros(3)}
    save_file(state, weights)
    classifier = load_classifier(f"{spec}:make+{weights}")
    assert classifier(torch.tensor([[0.0, 1.0]])).tolist() == [[1, 3, 5]]
    with pytest.raises(ValueError, match=r"other shape \['linear.bias', 'linear.weight'\]"):
        load_classifier(f"{spec}:instance+{weights}")
    with pytest.raises(ValueError, match="only a torch module can be filled"):
        load_classifier(f"{spec}:classify+{weights}")
    save_file({**state, "more": torch.zeros(1)}, weights)
    with pytest.raises(ValueError, match=r"not in the network \['more'\]"):
        load_classifier(f"{spec}:make+{weights}")
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        load_classifier(f"{spec}:make+{tmp_path}/absent.safetensors")


def test_a_module_that_lacks_a_package_says_which(tmp_path, monkeypatch):
    (tmp_path / "sosmooth_needs.py").write_text("import sosmooth_absent\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    with pytest.raises(ModuleNotFoundError, match="sosmooth_absent"):
        load_classifier("sosmooth_needs:make")
    with pytest.raises(FileNotFoundError, match="no module 'sosmooth_nowhere'"):
        load_classifier("sosmooth_nowhere:make")


def test_unknown_specs():
    with pytest.raises(ValueError, match=r"no classifier 'resnet'; write mnist7, a file of kind \.safetensors"):
        load_classifier("resnet")
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        load_classifier("absent.safetensors")


def test_numpy_functions_give_scores_or_labels_on_the_device_of_the_inputs():
    inputs = torch.tensor([[0.0, 2.0], [3.0, 1.0]])

    def in_place(array):
        array *= -1
        return array

    scores = from_numpy(in_place)(inputs)
    assert scores.tolist() == [[0, -2], [-3, -1]]
    assert scores.dtype == torch.float32
    assert inputs.tolist() == [[0, 2], [3, 1]]
    labels = from_numpy(lambda array: array.argmax(1).astype(np.uint16))(inputs)
    assert labels.tolist() == [1, 0]
    assert labels.dtype == torch.int64
    assert from_numpy(lambda array: array[:, ::-1])(inputs).tolist() == [[2, 0], [1, 3]]
    assert from_numpy(lambda array: [0, 1])(inputs).device == inputs.device
    with pytest.raises(ValueError, match="got an array of bool"):
        from_numpy(lambda array: array > 1)(inputs)
