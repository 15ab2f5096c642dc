import csv
import hashlib
import zipfile

import numpy as np
import pytest
from PIL import Image

from sosmooth.datasets import load_dataset, npz
from sosmooth.datasets.inputs import in_memory, read_lazily

RNG = np.random.default_rng(0)


def in_memory_set(inputs=None, labels=(0, 1, 2), num_classes=3):
    inputs = np.arange(12, dtype=np.float64).reshape(3, 2, 2) if inputs is None else inputs
    return in_memory("set", inputs, np.array(labels), num_classes=num_classes, settings={})


@pytest.mark.parametrize(
    ("spec", "length", "sha256"),
    [
        ("mnist7", 10_000, "969e82de7eabce26526b0ce0ced7b47702b3c83393f45ebf3b5c85e08c8c052b"),
        ("mnist7:train", 60_000, "fe74237c50cc15dd8f32514aa253882e0fe8939aa493d7e7faf87fa64ba5e3bd"),
    ],
)
def test_mnist7_is_the_mean_of_the_blocks_of_mnist(spec, length, sha256):
    data = load_dataset(spec)
    inputs = data.get(range(length))
    assert inputs.dtype == np.float32
    assert inputs.shape == (length, 7, 7)
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert hashlib.sha256(np.rint(inputs * 4080.0).astype("<i8").tobytes()).hexdigest() == sha256
    assert data.num_classes == 10


def test_mnist7_is_the_test_split_in_the_original_order():
    data = load_dataset("mnist7")
    assert data.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.digest([3, 5]) == load_dataset("mnist7:test").digest([3, 5])


def test_mnist7_has_no_other_split():
    with pytest.raises(ValueError, match="no split 'valid'"):
        load_dataset("mnist7:valid")


def test_get_returns_the_inputs_asked_for_in_that_order():
    assert in_memory_set().get([2, 0]).tolist() == [[[8, 9], [10, 11]], [[0, 1], [2, 3]]]


@pytest.mark.parametrize("index", [-1, 3])
def test_get_refuses_indices_outside(index):
    with pytest.raises(IndexError, match=f"index {index} .* 0 to 2"):
        in_memory_set().get([0, index])


def test_digest_depends_on_inputs_labels_shape_and_order_only():
    inputs = RNG.random((600, 2, 3), dtype=np.float32)
    labels = np.arange(600)
    whole = in_memory("a", inputs, labels, num_classes=None, settings={})
    lazy = read_lazily("b", lambda i: inputs[i], labels, length=600, num_classes=600, settings={"spec": "b"})
    indices = list(range(0, 600, 2))
    digest = whole.digest(indices)
    assert lazy.digest(indices) == digest
    others = {
        whole.digest(indices[::-1]),
        whole.digest(indices[:-1]),
        in_memory("a", inputs, labels[::-1], num_classes=None, settings={}).digest(indices),
        in_memory("a", inputs.reshape(600, 6), labels, num_classes=None, settings={}).digest(indices),
        in_memory("a", np.nextafter(inputs, np.float32(2)), labels, num_classes=None, settings={}).digest(indices),
    }
    assert digest not in others
    assert len(others) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": (0, 1, 3)}, "label 3 of input 2; allowed are 0 to 2"),
        ({"labels": (0, -2, 1)}, "label -2 of input 1"),
        ({"labels": (0, 1)}, "labels must be 3 integers"),
        ({"labels": (0.0, 1.0, 2.0)}, "labels must be 3 integers"),
        ({"inputs": np.array([[0.0], [np.nan], [1.0]])}, "input 1 holds NaN"),
        ({"inputs": np.array([[0.0], [1e300], [1.0]])}, "input 1 holds NaN or infinite"),
        ({"inputs": np.zeros(3)}, "first axis"),
        ({"inputs": np.zeros((0, 3)), "labels": ()}, "first axis"),
        ({"inputs": np.zeros((3, 2), dtype=np.int64)}, "must be floating; got int64"),
    ],
)
def test_broken_arrays_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        in_memory_set(**change)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.zeros((2, 1)), "shape"), (np.zeros((1, 2), dtype=np.int32), "int32"), (np.full((1, 2), np.inf), "input 1 holds NaN")],
)
def test_a_broken_item_is_refused_when_it_is_read(value, message):
    items = [np.zeros((1, 2)), value]
    data = read_lazily("set", items.__getitem__, None, length=2, num_classes=None, settings={})
    assert data.get([0]).shape == (1, 1, 2)
    with pytest.raises(ValueError, match=message):
        data.get([0, 1])


@pytest.mark.parametrize(("inputs_name", "labels_name"), [("inputs", "labels"), ("x", "y"), ("images", "labels")])
def test_npz_names(tmp_path, inputs_name, labels_name):
    inputs = RNG.random((4, 3))
    np.savez(tmp_path / "data.npz", **{inputs_name: inputs, labels_name: np.array([0, 1, -1, 2], dtype=np.int8)})
    data = load_dataset(str(tmp_path / "data.npz"))
    np.testing.assert_array_equal(data.get(range(4)), inputs.astype(np.float32))
    assert data.labels.tolist() == [0, 1, -1, 2]
    assert data.settings["sha256"] == hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()


def test_npz_bytes_are_scaled_and_the_settings_say_so(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", x=np.array([[0, 255]], dtype=np.uint8))
    data = load_dataset(str(tmp_path / "data.npz"))
    assert data.get([0]).tolist() == [[0, 1]]
    assert data.labels.tolist() == [-1]
    assert data.settings["scaled"] == "uint8 / 255"


def test_npz_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "data.npz"
    with pytest.raises(FileNotFoundError, match=r"data\.npz"):
        load_dataset(str(path))
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"no readable \.npz"):
        load_dataset(str(path))
    np.savez(path, z=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="no array inputs or x or images"):
        load_dataset(str(path))
    np.savez(path, x=np.zeros((1, 1)), inputs=np.zeros((1, 1)))
    with pytest.raises(ValueError, match="keep one"):
        load_dataset(str(path))
    np.savez(path, x=np.array([[{}]]))
    with pytest.raises(ValueError, match="Python objects"):
        load_dataset(str(path))
    monkeypatch.setattr(npz, "MAX_BYTES", 1000)
    np.savez_compressed(path, x=np.zeros((200, 1)))
    with pytest.raises(ValueError, match="at most 1000"):
        load_dataset(str(path))


def test_npz_whose_header_asks_for_more_than_the_archive_holds(tmp_path):
    np.savez(tmp_path / "small.npz", x=np.zeros((2, 2)))
    with zipfile.ZipFile(tmp_path / "small.npz") as small, zipfile.ZipFile(tmp_path / "data.npz", "w") as hostile:
        hostile.writestr("x.npy", small.read("x.npy").replace(b"(2, 2)", b"(9**9,")[:-8])
        honest = small.read("x.npy")
    with pytest.raises(ValueError, match=r"x\.npy"):
        load_dataset(str(tmp_path / "data.npz"))
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as hostile:
        hostile.writestr("x.npy", honest.replace(b"(2, 2), }" + b" " * 11, b"(2, 99999999999), }" + b" "))
    with pytest.raises(ValueError, match="has 160 bytes where its header asks for"):
        load_dataset(str(tmp_path / "data.npz"))


def save_image(path, value, size=(3, 2), mode="RGB"):
    path.parent.mkdir(exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_image_folder_with_classes(tmp_path):
    save_image(tmp_path / "dog" / "b.png", (255, 0, 51))
    save_image(tmp_path / "dog" / "a.png", 7, mode="L")
    save_image(tmp_path / "cat" / "z.png", (0, 0, 0))
    data = load_dataset(str(tmp_path))
    assert data.labels.tolist() == [0, 1, 1]
    assert data.num_classes == 2
    images = data.get([2, 1])
    assert images.shape == (2, 3, 2, 3)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[0, :, 0, 0], np.array([1, 0, 0.2], dtype=np.float32))
    assert np.all(images[1] == np.float32(7) / np.float32(255))


def test_flat_image_folder(tmp_path):
    for name in ("b.png", "a.png"):
        save_image(tmp_path / name, 51, mode="L")
    unlabelled = load_dataset(str(tmp_path))
    assert unlabelled.labels.tolist() == [-1, -1]
    assert unlabelled.get([0]).shape == (1, 1, 2, 3)

    def labels_file(*rows):
        with (tmp_path / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "label"), *rows])

    labels_file(("b.png", 4), ("a.png", 2))
    assert load_dataset(str(tmp_path)).labels.tolist() == [2, 4]
    assert load_dataset(str(tmp_path)).settings["listing_sha256"] != unlabelled.settings["listing_sha256"]
    labels_file(("b.png", 4))
    with pytest.raises(ValueError, match=r"does not name 'a\.png'"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", 4), ("a.png", 2), ("../a.png", 2))
    with pytest.raises(FileNotFoundError, match=r"'\.\./a\.png'"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", "cat"), ("a.png", 2))
    with pytest.raises(ValueError, match="must be an integer; got 'cat'"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", 1), ("b.png", 2))
    with pytest.raises(ValueError, match="twice"):
        load_dataset(str(tmp_path))


def test_image_folder_that_cannot_be_used(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no images"):
        load_dataset(str(tmp_path))
    save_image(tmp_path / "a.png", (0, 0, 0))
    save_image(tmp_path / "b.png", (0, 0, 0), size=(2, 2))
    with pytest.raises(ValueError, match="bring all to one size"):
        load_dataset(str(tmp_path))
    save_image(tmp_path / "b.png", (0, 0, 0, 0), mode="RGBA")
    with pytest.raises(ValueError, match="kind RGBA"):
        load_dataset(str(tmp_path))
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="no readable image"):
        load_dataset(str(tmp_path))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    with pytest.raises(ValueError, match="cannot be decoded"):
        load_dataset(str(tmp_path)).get([1])


FACTORIES = """
import numpy as np, torch
from torch.utils.data import Dataset, TensorDataset
from sosmooth.datasets import load_dataset

class WithTargets(Dataset):
    classes = ["a", "b", "c"]
    def __init__(self, targets): self.targets = targets
    def __len__(self): return 2
    def __getitem__(self, i): return torch.full((1, 2), float(i)), i

def tensors(): return TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([2, 0, 1]))
def right(): return WithTargets([0, 1])
def wrong(): return WithTargets([0, 2])
def again(): return load_dataset("mnist7")
def nothing(): return 7
constant = 7
"""


def test_factories(tmp_path):
    (tmp_path / "made.py").write_text(FACTORIES)
    spec = f"{tmp_path}/made.py"
    tensors = load_dataset(f"{spec}:tensors")
    assert tensors.get([2, 0]).tolist() == [[4, 5], [0, 1]]
    assert tensors.labels.tolist() == [2, 0, 1]
    assert tensors.num_classes is None
    source = hashlib.sha256((tmp_path / "made.py").read_bytes()).hexdigest()
    assert tensors.settings == {"spec": f"{spec}:tensors", "source_sha256": source}
    right = load_dataset(f"{spec}:right")
    assert right.num_classes == 3
    assert right.get([1]).tolist() == [[[1, 1]]]
    with pytest.raises(ValueError, match="item 1 has label 1, announced was 2"):
        load_dataset(f"{spec}:wrong").get([0, 1])
    again = load_dataset(f"{spec}:again")
    assert again.digest([0]) == load_dataset("mnist7").digest([0])
    assert (again.settings["spec"], again.settings["source_sha256"]) == (f"{spec}:again", source)
    with pytest.raises(ValueError, match="returned int"):
        load_dataset(f"{spec}:nothing")
    with pytest.raises(ValueError, match="got int"):
        load_dataset(f"{spec}:constant")
    with pytest.raises(ValueError, match=r"has no 'absent'; it has: .*tensors"):
        load_dataset(f"{spec}:absent")
    with pytest.raises(FileNotFoundError, match=r"absent\.py"):
        load_dataset(f"{tmp_path}/absent.py:tensors")
    with pytest.raises(FileNotFoundError, match="no module 'sosmooth_absent'"):
        load_dataset("sosmooth_absent.part:tensors")


def test_unknown_specs(tmp_path):
    with pytest.raises(FileNotFoundError, match="no data set 'mnist8'; write mnist7"):
        load_dataset("mnist8")
    (tmp_path / "data.txt").touch()
    with pytest.raises(ValueError, match=r"must be \.npz"):
        load_dataset(str(tmp_path / "data.txt"))
