import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sosmooth import SmoothedClassifier
from sosmooth.classifiers.architectures import (
    ARCHITECTURES,
    INPUT_SHAPES,
    architectures_that_fit,
    build,
)
from sosmooth.classifiers.from_numpy import from_numpy
from sosmooth.classifiers.load import bundled_sigmas, load_classifier, open_classifier
from sosmooth.classifiers.resnet import CifarResNet
from sosmooth.classifiers.weights import load_weights, save_weights, weights_sha256
from sosmooth.datasets import load_dataset
from sosmooth.training.accuracy import accuracy

METADATA = {"architecture": "mnist7_cnn", "num_classes": 10, "sigma": 0.25}


def test_building_depends_on_the_seed_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, same, other = (
        build("mnist7_cnn", seed=1),
        build("mnist7_cnn", seed=1),
        build("mnist7_cnn", seed=2),
    )
    assert weights_sha256(first) == weights_sha256(same) != weights_sha256(other)
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(ValueError, match="unknown architecture 'alexnet'; there are: mnist7_cnn"):
        build("alexnet")


def test_the_small_network_is_the_one_described():
    shapes = {name: tuple(value.shape) for name, value in build("mnist7_cnn").named_parameters()}
    assert sorted(shapes.values()) == [(4,), (4, 1, 2, 2), (10,), (10, 100), (100,), (100, 144)]
    assert build("mnist7_cnn")(torch.zeros(5, 7, 7)).shape == (5, 10)


def test_the_small_perceptrons_are_those_described():
    def sizes(name):
        return [
            tuple(layer.weight.shape)
            for layer in build(name).modules()
            if isinstance(layer, nn.Linear)
        ]

    assert sizes("pca10_mlp") == [(100, 10), (100, 100), (10, 100)]
    assert sizes("swiss_roll_mlp") == [(10, 2), (10, 10), (2, 10)]
    assert isinstance(build("swiss_roll_mlp")[-1], nn.Linear)


# He et al. 2016, Table 6: parameters in millions; its count omits a few per mille.
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_resnets_have_the_published_size(depth, millions):
    with torch.device("meta"):
        network = ARCHITECTURES[f"resnet{depth}"]()
    assert sum(value.numel() for value in network.parameters()) / 1e6 == pytest.approx(
        millions, abs=0.03 if depth == 110 else 0.006
    )
    layers = [
        name
        for name, _ in network.named_parameters()
        if name.endswith("weight") and ("conv" in name or "linear" in name)
    ]
    assert len(layers) == depth


def test_cifar_resnets_have_the_common_names_and_take_images_in_the_unit_cube():
    network = build("resnet20")
    names = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    norms = ("weight", "bias", "running_mean", "running_var")
    expected = {"conv1.weight", "linear.weight", "linear.bias", *(f"bn1.{norm}" for norm in norms)}
    for block in (f"layer{stage}.{number}." for stage in (1, 2, 3) for number in range(3)):
        expected |= {f"{block}conv{k}.weight" for k in (1, 2)} | {
            f"{block}bn{k}.{norm}" for k in (1, 2) for norm in norms
        }
    assert names == expected
    seen = []
    network.conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    assert network(torch.full((2, 3, 32, 32), 0.5)).shape == (2, 10)
    normalized = [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    torch.testing.assert_close(seen[0][0, :, 3, 4], torch.tensor(normalized))
    with pytest.raises(ValueError, match="depth must be one of 20, 32, 44, 56, 110; got 21"):
        CifarResNet(21)


def test_shortcuts_of_cifar_resnets_subsample_and_pad_with_zeros():
    block = build("resnet20").layer2[0]
    with torch.no_grad():
        block.bn2.weight.zero_()  # only the shortcut remains
    x = torch.rand(1, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    y = block(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()


def test_the_imagenet_resnet_has_the_common_names_and_shapes():
    with torch.device("meta"):
        network = ARCHITECTURES["resnet50"]()
    state = network.state_dict()
    # As torchvision's resnet50.
    assert sum(value.numel() for value in network.parameters()) == 25_557_032
    assert len(state) == 320
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.0.downsample.1.running_var": (256,),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer3.5.bn3.num_batches_tracked": (),
        "layer4.2.conv3.weight": (2048, 512, 1, 1),
        "fc.weight": (1000, 2048),
    }.items():
        assert tuple(state[name].shape) == shape
    assert network(torch.zeros(2, 3, 64, 96, device="meta")).shape == (2, 1000)


def without_counters(model):
    return {
        name: value
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def test_an_architecture_is_filled_from_bare_weights(tmp_path):
    model = build("resnet20", seed=1)
    save_file(without_counters(model), tmp_path / "a.safetensors")
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in model.state_dict().items()}},
        tmp_path / "a.pth",
    )
    torch.save(model.state_dict(), tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pth", "a.pt"):
        opened = open_classifier(f"resnet20+{tmp_path / name}")
        assert opened.num_classes == 10
        assert opened.settings["architecture"] == "resnet20"
        assert opened.settings["training_sigma"] is None
        assert opened.settings["weights_sha256"] == weights_sha256(model)
        assert not opened.classifier.training


def test_an_architecture_takes_only_its_own_weights(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(without_counters(build("resnet32")), path)
    with pytest.raises(ValueError, match=r"not in the network \['layer1\.3.*; it fits resnet32"):
        load_classifier(f"resnet20+{path}")
    with pytest.raises(
        ValueError, match=r"does not say its architecture; load it as resnet32\+FILE or package"
    ):
        load_classifier(str(path))
    save_weights(path, build("mnist7_cnn"), METADATA)
    with pytest.raises(ValueError, match="holds weights of mnist7_cnn, not of resnet20"):
        load_classifier(f"resnet20+{path}")
    assert open_classifier(f"mnist7_cnn+{path}").settings["training_sigma"] == 0.25
    with pytest.raises(ValueError, match=r"needs weights; write resnet20\+FILE"):
        load_classifier("resnet20")
    (tmp_path / "a.h5").touch()
    with pytest.raises(
        ValueError, match=r"weights are read from \.safetensors, \.pt, \.pth, .* files"
    ):
        load_classifier(f"resnet20+{tmp_path}/a.h5")
    assert architectures_that_fit({"weight": torch.zeros(1)}) == []


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_torch_files_that_hold_more_than_weights_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    for content, message in (
        ({"state_dict": Hostile(tmp_path / "made")}, "more than torch weights"),
        ([torch.zeros(1)], "no state dictionary"),
        ({"epoch": 3}, "no state dictionary"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=message) as raised:
            load_classifier(f"resnet20+{path}")
        assert "\n" not in str(raised.value)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="or is cut"):
        load_classifier(f"resnet20+{path}")
    assert not (tmp_path / "made").exists()


def test_weights_come_back_and_the_bytes_follow_from_the_content(tmp_path):
    model = build("mnist7_cnn", seed=3)
    for name in ("a", "b"):
        save_weights(tmp_path / "made" / f"{name}.safetensors", model, METADATA)
    a, b = sorted((tmp_path / "made").iterdir())  # nothing else remains there
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
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_weights(path)
    path.write_bytes(whole.replace(b"mnist7_cnn", b"mnist8_cnn"))
    with pytest.raises(ValueError, match="unknown architecture 'mnist8_cnn'"):
        load_weights(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="does not say its architecture"):
        load_weights(path)
    monkeypatch.setitem(ARCHITECTURES, "linear", lambda: nn.Linear(2, 2))
    save_weights(path, nn.Linear(3, 2, bias=False), {"architecture": "linear", "num_classes": 2})
    with pytest.raises(
        ValueError,
        match=r"missing \['bias'\], not in the network \[\], of another shape \['weight'\]",
    ):
        load_weights(path)


def test_a_loaded_classifier_knows_its_classes_and_its_inputs(tmp_path):
    classifier = load_classifier("mnist7?normalize=0.5/0.25&output=0", sigma=0.25)
    assert (classifier.num_classes, classifier.input_shape) == (10, (7, 7))
    found = SmoothedClassifier(classifier, sigma=0.25).certify(np.zeros((1, 7, 7)), n=100)
    assert len(found) == 1
    (tmp_path / "own.py").write_text(
        "def classify(x):\n    return x.sum(1)\n\ndef make():\n    return classify\n"
    )
    unknown = load_classifier(f"{tmp_path}/own.py:make")
    assert not hasattr(unknown, "num_classes")
    assert not hasattr(unknown, "input_shape")
    with pytest.raises(ValueError, match="num_classes must be given"):
        SmoothedClassifier(unknown, sigma=0.25)


def test_architectures_take_inputs_of_their_shape():
    for name, shape in INPUT_SHAPES.items():
        one = torch.zeros(1, *(length or 64 for length in shape))
        with torch.inference_mode():
            assert build(name).eval()(one).shape[0] == 1
    assert INPUT_SHAPES.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mnist7", {0.12: (0.95, 0.90), 0.25: (0.90, 0.71), 0.5: (0.82, 0.43)}),
        ("mnist7_pca10", {0.12: (0.91, 0.84), 0.25: (0.86, 0.65), 0.5: (0.77, 0.40)}),
        ("swiss_roll", {0.5: (0.90, 0.72)}),
    ],
)
def test_the_bundled_weights_have_the_accuracy_that_they_state(name, least):
    data = load_dataset(name)
    inputs, labels = torch.from_numpy(data.get(range(len(data)))), torch.from_numpy(data.labels)
    files = bundled_sigmas(name)
    assert list(files) == list(least)
    for sigma, (clean, noisy) in least.items():
        model, metadata = load_weights(files[sigma])
        assert metadata["sigma"] == sigma
        assert metadata["data"] == f"{name}:train"
        assert accuracy(model, inputs, labels) == pytest.approx(
            metadata["clean_accuracy"], abs=0.0005
        )
        assert metadata["clean_accuracy"] > clean
        found = accuracy(
            model, inputs, labels, sigma=sigma, seed=1, repeats=max(1, 10_000 // len(inputs))
        )
        assert found == pytest.approx(metadata["noisy_accuracy"], abs=0.015)
        assert metadata["noisy_accuracy"] > noisy


def test_the_bundled_classifier_of_cifar10_needs_no_data_to_load():
    files = bundled_sigmas("cifar10")
    assert list(files) == [0.25, 0.5, 1.0]
    for sigma in files:
        opened = open_classifier("cifar10", sigma=sigma)
        assert opened.settings["training_sigma"] == sigma
        assert (opened.num_classes, opened.input_shape) == (10, (3, 32, 32))
        assert opened.classifier(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(
        ValueError, match=r"train cifar10:FOLDER --architecture resnet20 --sigma 0\.3"
    ):
        load_classifier("cifar10", sigma=0.3)


def test_the_bundled_classifier_needs_a_sigma_that_there_is():
    opened = open_classifier("mnist7", sigma=0.5)
    assert opened.settings == {
        "spec": "mnist7",
        "architecture": "mnist7_cnn",
        "weights_sha256": weights_sha256(opened.classifier),
        "training_sigma": 0.5,
    }
    with pytest.raises(
        ValueError, match=r"needs the sigma it was trained with; there are: 0\.12, 0\.25, 0\.5"
    ):
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
    with pytest.raises(
        ValueError,
        match=r"no classifier 'resnet'; write cifar10.* kind \.safetensors, .* ARCHITECTURE\+FILE",
    ):
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
