"""Checkpoints as people have them.

They differ in suffixes, and in the keys and prefixes of their weights.
"""

import argparse

import pytest
import torch
from torch import nn

from sosmooth.classifiers.load import load_classifier, open_classifier
from sosmooth.classifiers.torch_files import read_states, state_that_fits
from sosmooth.classifiers.weights import weights_sha256

FACTORY = """
import torch
from torch import nn

class Normalize(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))
    def forward(self, x):
        return x - self.mean

def bare():
    return nn.Sequential(nn.Flatten(), nn.Linear(49, 8), nn.ReLU(), nn.Linear(8, 10))

def normalized():
    return nn.Sequential(Normalize(), bare())

def plain_front():
    return nn.Sequential(nn.Identity(), bare())
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(49, 8), nn.ReLU(), nn.Linear(8, 10))
    return network.eval()


def prefixed(prefix, network):
    return {prefix + name: value for name, value in network.state_dict().items()}


def opened(tmp_path, content, name="a.pth", factory="bare", key=""):
    torch.save(content, tmp_path / name)
    return load_classifier(f"{tmp_path}/net.py:{factory}+{tmp_path}/{name}{key}")


X = torch.linspace(-1, 1, 3 * 49).reshape(3, 7, 7)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.pth.tar", "a.tar", "a.ckpt", "a.bin"])
def test_any_suffix_of_a_checkpoint_is_read(tmp_path, net, name):
    found = opened(tmp_path, {"epoch": 3, "arch": "tiny", "state_dict": net.state_dict()}, name)
    assert torch.equal(found(X), net(X))


@pytest.mark.parametrize(
    "keys", ["net", "model", "model_state_dict", "state_dict", "ema", "model.state_dict", "a.b.c"]
)
def test_weights_are_found_under_any_key(tmp_path, net, keys):
    content = net.state_dict()
    for key in reversed(keys.split(".")):
        content = {key: content, "epoch": 1, "best": 0.5}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).state_dict()
    found = opened(tmp_path, {**content, "optimizer": optimizer})
    assert torch.equal(found(X), net(X))


@pytest.mark.parametrize(
    "prefix", ["module.", "1.module.", "1.", "0.", "model.", "_orig_mod.", "module._orig_mod.net."]
)
@pytest.mark.parametrize("factory", ["bare", "plain_front"])
def test_a_prefix_that_all_names_share_is_no_difference(tmp_path, net, prefix, factory):
    found = opened(tmp_path, {"state_dict": prefixed(prefix, net)}, factory=factory)
    assert torch.equal(found(X), net(X))


def test_a_wrapper_inside_is_no_difference(tmp_path, net):
    state = prefixed("1.module.", net) | {"0.mean": torch.tensor([0.25])}
    assert torch.equal(opened(tmp_path, state, factory="normalized")(X), net(X - 0.25))


def test_a_part_that_the_network_lacks_is_never_left_out(tmp_path, net):
    """A normalisation is in the file, not in the network: without it the function differs."""
    state = prefixed("1.", net) | {"0.mean": torch.tensor([0.25])}
    with pytest.raises(
        ValueError, match=r"not in the network \['0\.mean', .* and 2 more"
    ) as raised:
        opened(tmp_path, state)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"missing \['0\.mean'"):
        opened(tmp_path, prefixed("1.", net), factory="normalized")


def test_the_network_decides_between_several(tmp_path, net):
    other = nn.Linear(3, 2).state_dict()
    found = opened(tmp_path, {"teacher": other, "student": net.state_dict()})
    assert torch.equal(found(X), net(X))


def test_several_that_fit_are_refused_until_one_is_named(tmp_path, net):
    averaged = {name: value / 2 for name, value in net.state_dict().items()}
    content = {"state_dict": prefixed("module.", net), "ema": averaged}
    with pytest.raises(
        ValueError, match=r"several .* that fit: state_dict, ema; .*\?key=state_dict"
    ):
        opened(tmp_path, content)
    half = nn.Sequential(nn.Flatten(), nn.Linear(49, 8), nn.ReLU(), nn.Linear(8, 10))
    half.load_state_dict(averaged)
    assert torch.equal(opened(tmp_path, content, key="?key=ema")(X), half(X))
    named = opened(tmp_path, content, key="?key=state_dict&normalize=0.5/0.25")
    assert torch.equal(named(X), net((X - 0.5) / 0.25))
    with pytest.raises(ValueError, match="no state dictionary 'swa'; it has 'state_dict', 'ema'"):
        opened(tmp_path, content, key="?key=swa")
    spec = f"{tmp_path}/net.py:bare+{tmp_path}/a.pth?key=ema"
    assert open_classifier(spec).settings["spec"] == spec
    assert open_classifier(spec).settings["weights_sha256"] == weights_sha256(half)


@pytest.mark.parametrize(
    "spec", ["mnist7?key=ema", "a.onnx?key=ema", "resnet20+a.safetensors?key=a"]
)
def test_a_key_is_for_checkpoints(spec):
    with pytest.raises(ValueError, match=r"key=.* chooses between the state dictionaries"):
        load_classifier(spec, sigma=0.25)


def test_what_differs_is_listed_with_numbers(tmp_path, net):
    state = net.state_dict() | {f"more.{i}": torch.zeros(1) for i in range(9)}
    del state["1.bias"]
    state["3.weight"] = torch.zeros(11, 8)
    with pytest.raises(
        ValueError,
        match=r"missing \['1\.bias'\], not in the network \['more\.0', 'more\.1', 'more\.2'\] and 6"
        r" more, of another shape \['3\.weight'\]",
    ):
        opened(tmp_path, {"model": state})


def test_pickled_objects_are_named_and_never_loaded(tmp_path, net):
    for content, name in (
        (net, r"torch\.nn\.\S+"),
        ({"a": argparse.Namespace()}, "argparse.Namespace"),
    ):
        with pytest.raises(
            ValueError, match=f"a pickled {name},.*write it by torch.save"
        ) as raised:
            opened(tmp_path, content)
        assert "\n" not in str(raised.value)


def test_values_that_are_not_finite_matter_in_what_is_used(tmp_path, net):
    broken = {name: value * torch.nan for name, value in net.state_dict().items()}
    found = opened(tmp_path, {"teacher": {"w": torch.tensor(torch.nan)}, "net": net.state_dict()})
    assert torch.equal(found(X), net(X))
    with pytest.raises(ValueError, match="holds NaN or infinite weights"):
        opened(tmp_path, {"net": broken})


def test_a_dictionary_that_holds_itself_ends(tmp_path):
    content = {"w": {"x": torch.zeros(1)}}
    content["again"] = content
    torch.save(content, tmp_path / "a.pt")
    assert list(read_states(tmp_path / "a.pt")) == ["w"]


def test_names_that_would_fall_together_are_left_alone():
    own = {"a.weight": torch.zeros(1), "a.bias": torch.zeros(1)}
    state = {"a.weight": torch.zeros(1), "module.a.weight": torch.ones(1), "a.bias": torch.zeros(1)}
    assert state_that_fits({"": state}, own, "a.pt").keys() == state.keys()
