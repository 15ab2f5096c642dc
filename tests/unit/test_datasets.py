import csv
import functools
import gzip
import hashlib
import http.server
import io
import pickle
import struct
import tarfile
import threading
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sosmooth.datasets import cifar10, load_dataset, mnist, npz
from sosmooth.datasets._pickled import PickleRefused, read_pickled_arrays
from sosmooth.datasets.download import SOURCES, RemoteFile, download
from sosmooth.datasets.inputs import in_memory, read_lazily

RNG = np.random.default_rng(0)


def in_memory_set(inputs=None, labels=(0, 1, 2), num_classes=3):
    inputs = np.arange(12, dtype=np.float64).reshape(3, 2, 2) if inputs is None else inputs
    return in_memory("set", inputs, np.array(labels), num_classes=num_classes, settings={})


@pytest.mark.parametrize(
    ("spec", "length", "sha256"),
    [
        ("mnist7", 10_000, "969e82de7eabce26526b0ce0ced7b47702b3c83393f45ebf3b5c85e08c8c052b"),
        (
            "mnist7:train",
            60_000,
            "fe74237c50cc15dd8f32514aa253882e0fe8939aa493d7e7faf87fa64ba5e3bd",
        ),
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
    lazy = read_lazily(
        "b", lambda i: inputs[i], labels, length=600, num_classes=600, settings={"spec": "b"}
    )
    indices = list(range(0, 600, 2))
    digest = whole.digest(indices)
    assert lazy.digest(indices) == digest
    others = {
        whole.digest(indices[::-1]),
        whole.digest(indices[:-1]),
        in_memory("a", inputs, labels[::-1], num_classes=None, settings={}).digest(indices),
        in_memory("a", inputs.reshape(600, 6), labels, num_classes=None, settings={}).digest(
            indices
        ),
        in_memory(
            "a", np.nextafter(inputs, np.float32(2)), labels, num_classes=None, settings={}
        ).digest(indices),
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
    [
        (np.zeros((2, 1)), "shape"),
        (np.zeros((1, 2), dtype=np.int32), "int32"),
        (np.full((1, 2), np.inf), "input 1 holds NaN"),
    ],
)
def test_a_broken_item_is_refused_when_it_is_read(value, message):
    items = [np.zeros((1, 2)), value]
    data = read_lazily("set", items.__getitem__, None, length=2, num_classes=None, settings={})
    assert data.get([0]).shape == (1, 1, 2)
    with pytest.raises(ValueError, match=message):
        data.get([0, 1])


@pytest.mark.parametrize(
    ("inputs_name", "labels_name"), [("inputs", "labels"), ("x", "y"), ("images", "labels")]
)
def test_npz_names(tmp_path, inputs_name, labels_name):
    inputs = RNG.random((4, 3))
    np.savez(
        tmp_path / "data.npz",
        **{inputs_name: inputs, labels_name: np.array([0, 1, -1, 2], dtype=np.int8)},
    )
    data = load_dataset(str(tmp_path / "data.npz"))
    np.testing.assert_array_equal(data.get(range(4)), inputs.astype(np.float32))
    assert data.labels.tolist() == [0, 1, -1, 2]
    assert (
        data.settings["sha256"] == hashlib.sha256((tmp_path / "data.npz").read_bytes()).hexdigest()
    )


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
    with pytest.raises(ValueError, match=r"not a readable \.npz"):
        load_dataset(str(path))
    np.savez(path, z=np.zeros((1, 1)))
    with pytest.raises(
        ValueError, match=r"has the arrays z, and no array inputs, .*\?inputs=NAME&labels=NAME"
    ):
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
    with (
        zipfile.ZipFile(tmp_path / "small.npz") as small,
        zipfile.ZipFile(tmp_path / "data.npz", "w") as hostile,
    ):
        hostile.writestr("x.npy", small.read("x.npy").replace(b"(2, 2)", b"(9**9,")[:-8])
        honest = small.read("x.npy")
    with pytest.raises(ValueError, match=r"x\.npy"):
        load_dataset(str(tmp_path / "data.npz"))
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as hostile:
        hostile.writestr(
            "x.npy", honest.replace(b"(2, 2), }" + b" " * 11, b"(2, 99999999999), }" + b" ")
        )
    with pytest.raises(ValueError, match="has 160 bytes; its header says"):
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
    assert (
        load_dataset(str(tmp_path)).settings["listing_sha256"]
        != unlabelled.settings["listing_sha256"]
    )
    labels_file(("b.png", 4))
    with pytest.raises(ValueError, match=r"does not name 'a\.png'"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", 4), ("a.png", 2), ("../a.png", 2))
    with pytest.raises(FileNotFoundError, match=r"'\.\./a\.png'"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", ""), ("a.png", 2))
    with pytest.raises(ValueError, match=r"line 2: the label of 'b\.png' is missing"):
        load_dataset(str(tmp_path))
    labels_file(("b.png", "cat"), ("a.png", "dog"))
    named = load_dataset(str(tmp_path))
    assert (named.labels.tolist(), named.class_names) == ([1, 0], ("cat", "dog"))
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
    with pytest.raises(ValueError, match="cannot be read as an image"):
        load_dataset(str(tmp_path))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    with pytest.raises(ValueError, match="cannot be decoded"):
        load_dataset(str(tmp_path)).get([1])


def test_images_are_brought_to_one_size(tmp_path):
    ramp = np.broadcast_to(np.arange(40, dtype=np.uint8), (20, 40))
    Image.fromarray(ramp.copy()).save(tmp_path / "wide.png")
    save_image(tmp_path / "tall.png", (51, 0, 255), size=(20, 60))
    with pytest.raises(ValueError, match=r"one size, or add \?resize=256&crop=224"):
        load_dataset(str(tmp_path))

    cropped = load_dataset(f"{tmp_path}?crop=10")
    assert cropped.settings["spec"].endswith("?crop=10")
    tall, wide = cropped.get([0, 1])
    assert tall.shape == wide.shape == (3, 10, 10)  # colour, though one is grey
    np.testing.assert_array_equal(np.rint(wide[0, 0] * 255), np.arange(15, 25))
    np.testing.assert_allclose(tall[:, 4, 4], [0.2, 0, 1], atol=1e-6)

    resized = load_dataset(f"{tmp_path}?resize=10&crop=10").get([1])[0]
    # Half the size: a pixel is about the mean of two, and the middle ten of twenty begin at the
    # fifth.
    np.testing.assert_allclose(resized[0, 0] * 255, 2 * np.arange(5, 15) + 0.5, atol=1)
    assert load_dataset(f"{tmp_path}?resize=10&crop=10").digest([1]) != cropped.digest([1])
    with pytest.raises(ValueError, match="smaller than crop=21; add resize="):
        load_dataset(f"{tmp_path}?crop=21").get([0])


@pytest.mark.parametrize(
    "options", ["size=3", "crop=a", "crop", "resize=10", "resize=5&crop=10", "crop=0"]
)
def test_image_options_that_make_no_sense(tmp_path, options):
    save_image(tmp_path / "a.png", 0, mode="L")
    with pytest.raises(ValueError, match=r"write .*resize=256&crop=224"):
        load_dataset(f"{tmp_path}?{options}")


def test_mnist7_pca10_keeps_the_distances_of_the_leading_components():
    images = load_dataset("mnist7:train")
    pixels = images.get(range(len(images))).reshape(-1, 49).astype(np.float64)
    data = load_dataset("mnist7_pca10:train")
    projected = data.get(range(len(data))).astype(np.float64)
    assert projected.shape == (60_000, 10)
    np.testing.assert_array_equal(data.labels, images.labels)
    # Principal components are centred and uncorrelated, and their variances are the largest
    # eigenvalues of the covariance.
    variances = np.linalg.eigvalsh(np.cov(pixels.T, bias=True))[::-1][:10]
    np.testing.assert_allclose(projected.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.cov(projected.T, bias=True), np.diag(variances), atol=1e-6)
    test = load_dataset("mnist7_pca10")
    assert test.labels[:4].tolist() == [7, 2, 1, 0]
    first, second = load_dataset("mnist7").get([0, 1]).reshape(2, 49).astype(np.float64)
    assert np.linalg.norm(np.subtract(*test.get([0, 1]))) <= np.linalg.norm(first - second)
    with pytest.raises(ValueError, match="no split 'valid'"):
        load_dataset("mnist7_pca10:valid")


def test_swiss_roll_is_split_at_three_pi():
    for split, count in (("train", 1000), ("test", 100)):
        data = load_dataset(f"swiss_roll:{split}")
        points = data.get(range(count)).astype(np.float64) * 10
        assert points.shape == (count, 2)
        assert data.num_classes == 2
        assert 0.4 < data.labels.mean() < 0.6
        # Without noise the distance from the middle is t; the noise of each coordinate is 1.
        place = np.linalg.norm(points, axis=1)
        assert place.max() < 4.5 * np.pi + 4
        assert place[data.labels == 1].min() > 3 * np.pi - 4
        assert place[data.labels == 0].max() < 3 * np.pi + 4
    with pytest.raises(ValueError, match="no split 'valid'"):
        load_dataset("swiss_roll:valid")


def write_idx(folder, name, array, monkeypatch, packed=False):
    content = (
        bytes((0, 0, 8, array.ndim))
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )
    monkeypatch.setitem(mnist.FILES, name, hashlib.sha256(content).hexdigest())
    path = folder / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def test_mnist_files(tmp_path, monkeypatch):
    images = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8)
    path = write_idx(tmp_path, "t10k-images-idx3-ubyte", images, monkeypatch)
    write_idx(
        tmp_path,
        "t10k-labels-idx1-ubyte",
        np.array([7, 2, 1], dtype=np.uint8),
        monkeypatch,
        packed=True,
    )
    data = load_dataset(f"mnist:{tmp_path}")
    assert data.labels.tolist() == [7, 2, 1]
    np.testing.assert_array_equal(
        data.get([2]), images[2][None, None].astype(np.float32) / np.float32(255)
    )
    assert data.settings["sha256"] == mnist.FILES["t10k-images-idx3-ubyte"]
    assert load_dataset(f"mnist:test:{tmp_path}").digest([0]) == data.digest([0])
    with pytest.raises(
        FileNotFoundError, match=r"no train-images-idx3-ubyte .*sosmooth download mnist"
    ):
        load_dataset(f"mnist:train:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="write mnist:FOLDER"):
        load_dataset("mnist")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not MNIST's original: sha256"):
        load_dataset(f"mnist:{tmp_path}")
    path.unlink()
    (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(b"0" * 1000)[:-9])
    with pytest.raises(ValueError, match="not a complete gzip file"):
        load_dataset(f"mnist:{tmp_path}")


def test_gzip_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "_MAX_BYTES", 1000)
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        mnist.unpacked(tmp_path / "a.gz")


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08\x01", b"\0\0\x09\x01\0\0\0\x02ab", b"\0\0\x08\x01\0\0\0\x02a"]
)
def test_idx_files_that_cannot_be_read(content):
    with pytest.raises(ValueError, match="idx file"):
        mnist.read_idx(content, axes=1)


def python2_pickle(data, labels, *, dtype=b"u1"):
    """The bytes that Python 2 and its NumPy wrote for a batch.

    They are in protocol 2, with text and arrays as byte strings.
    """

    def text(value):
        return b"U" + bytes((len(value),)) + value

    def number(value):
        return b"K" + bytes((value,)) if value < 256 else b"M" + struct.pack("<H", value)

    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85q\x05"
        b"U\x01bq\x06\x87q\x07Rq\x08"
        + b"(K\x01"
        + number(data.shape[0])
        + number(data.shape[1])
        + b"\x86q\x09cnumpy\ndtype\nq\x0a"
        + text(dtype)
        + b"K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"T"
        + struct.pack("<i", data.nbytes)
        + data.tobytes()
        + b"tb"
    )
    listed = b"]q\x02(" + b"".join(number(int(label)) for label in labels) + b"e"
    return b"\x80\x02}q\x01(" + text(b"labels") + listed + text(b"data") + array + b"u."


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of four images, as (pixels, labels), five to train with and one to test with."""
    monkeypatch.setattr(cifar10, "_ROWS", 4)
    names = ["test_batch", *(f"data_batch_{number}" for number in range(1, 6))]
    return {
        name: (
            RNG.integers(0, 256, (4, 3072), dtype=np.uint8),
            RNG.integers(0, 10, 4, dtype=np.uint8),
        )
        for name in names
    }


def write_binary(folder, batches):
    folder.mkdir(parents=True)
    for name, (pixels, labels) in batches.items():
        (folder / f"{name}.bin").write_bytes(
            np.concatenate([labels[:, None], pixels], axis=1).tobytes()
        )


def test_cifar10_in_both_versions(tmp_path, small_batches):
    write_binary(tmp_path / "binary" / cifar10.BINARY, small_batches)
    (tmp_path / "python").mkdir()
    for name, (pixels, labels) in small_batches.items():
        (tmp_path / "python" / name).write_bytes(python2_pickle(pixels, labels))
    for split, count in (("test", 4), ("train", 20)):
        binary, python = (
            load_dataset(f"cifar10:{split}:{tmp_path}/{version}")
            for version in ("binary", "python")
        )
        assert len(binary) == count
        assert binary.num_classes == 10
        assert binary.digest(range(count)) == python.digest(range(count))
    pixels, labels = small_batches["data_batch_2"]
    np.testing.assert_array_equal(
        binary.get([5]), pixels[1].reshape(1, 3, 32, 32).astype(np.float32) / np.float32(255)
    )
    assert binary.labels[4:8].tolist() == labels.tolist()
    assert load_dataset(f"cifar10:{tmp_path}/binary/{cifar10.BINARY}").digest([0]) == load_dataset(
        f"cifar10:{tmp_path}/binary"
    ).digest([0])


def test_cifar10_that_cannot_be_read(tmp_path, small_batches):
    with pytest.raises(FileNotFoundError, match=r"no CIFAR-10 in .*sosmooth download cifar10"):
        load_dataset(f"cifar10:{tmp_path}")
    write_binary(tmp_path / "b", small_batches)
    (tmp_path / "b" / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks data_batch_3\.bin"):
        load_dataset(f"cifar10:train:{tmp_path}/b")
    path = tmp_path / "b" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"has {4 * 3073 - 1} bytes; a batch has {4 * 3073}"):
        load_dataset(f"cifar10:{tmp_path}/b")
    path.write_bytes(bytes([10]) * 4 * 3073)
    with pytest.raises(ValueError, match="label 10 of input 0; allowed are 0 to 9"):
        load_dataset(f"cifar10:{tmp_path}/b")

    (tmp_path / "p").mkdir()
    path = tmp_path / "p" / "test_batch"
    pixels, labels = small_batches["test_batch"]
    for content, message in (
        (python2_pickle(pixels, labels)[:-20], "not a batch of CIFAR"),
        (python2_pickle(pixels[:3], labels), "must hold labels, 3 integers"),
        (python2_pickle(pixels, labels[:3]), "must hold labels, 4 integers"),
        (pickle.dumps([1, 2], 2), "must hold data"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_dataset(f"cifar10:{tmp_path}/p")


def test_pickles_of_plain_values_and_arrays_are_read_without_unpickling():
    value = {
        "a": [1, -5, 70_000, None, True, False, "é"],
        "b": (1, 2, 3, 4),
        "c": {"d": b"bytes"},
        "e": [],
        "f": (),
    }
    assert read_pickled_arrays(pickle.dumps(value, 3)) == value
    array = RNG.integers(0, 256, (5, 3), dtype=np.uint8)
    for order in "CF":
        found = read_pickled_arrays(pickle.dumps({"data": np.asarray(array, order=order)}, 3))
        np.testing.assert_array_equal(found["data"], array)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_hostile_pickles_are_refused_and_nothing_of_them_runs(tmp_path):
    for protocol in (2, 3):
        with pytest.raises(PickleRefused, match=r"wants to call .* open"):
            read_pickled_arrays(pickle.dumps({"data": Hostile(tmp_path / "made")}, protocol))
    assert not (tmp_path / "made").exists()
    nested = b"\x80\x02}(" + b")" + b"\x85" * 100_000 + b"K\x01u."
    array = RNG.integers(0, 256, (2, 3), dtype=np.uint8)
    for content in (
        b"",
        b"no pickle",
        nested,
        pickle.dumps({"a": [1]}, 2)[:-3],
        pickle.dumps(1.5, 2),
        b"\x80\x02K\x01K\x02R.",
        b"\x80\x02.",
        b"\x80\x02(K\x01K\x02e.",
        b"\x80\x02h\x07.",
        pickle.dumps({"data": np.zeros(2)}, 3),
        pickle.dumps({"data": np.dtype("u1")}, 2),
        python2_pickle(array, [1], dtype=b"f8"),
        python2_pickle(array, [1]).replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86"),
    ):
        with pytest.raises(PickleRefused):
            read_pickled_arrays(content)


@pytest.fixture
def served(tmp_path):
    """A folder, and the address at which a server on this machine serves its files."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_is_fetched_checked_and_unpacked(tmp_path, served, monkeypatch, small_batches):
    folder, address = served
    write_binary(tmp_path / "b", small_batches)
    files = {
        f"{cifar10.BINARY}/{path.name}": path.read_bytes() for path in (tmp_path / "b").iterdir()
    }
    sha256 = write_archive(folder / "c.tar.gz", files)
    monkeypatch.setitem(
        SOURCES, "cifar10", (RemoteFile(f"{address}/c.tar.gz", sha256, "tar", 10**6),)
    )
    begun = []
    assert (
        download("cifar10", tmp_path / "made" / "here", on_file=begun.append)
        == tmp_path / "made" / "here"
    )
    assert [remote.name for remote in begun] == ["c.tar.gz"]
    assert load_dataset(f"cifar10:{tmp_path}/made/here").digest([3]) == load_dataset(
        f"cifar10:{tmp_path}/b"
    ).digest([3])
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["here"]
    with pytest.raises(FileExistsError, match="not an empty folder"):
        download("cifar10", tmp_path / "made" / "here")
    with pytest.raises(
        ValueError, match="no data set 'svhn' to download; there are: mnist, cifar10"
    ):
        download("svhn", tmp_path / "svhn")


def test_packed_files_are_fetched_and_unpacked(tmp_path, served, monkeypatch):
    folder, address = served
    (folder / "a.gz").write_bytes(gzip.compress(b"content"))
    good = RemoteFile(f"{address}/a.gz", hashlib.sha256(b"content").hexdigest(), "gzip", 1000)
    monkeypatch.setitem(SOURCES, "mnist", (good,))
    (tmp_path / "empty").mkdir()
    download("mnist", tmp_path / "empty")
    assert (tmp_path / "empty" / "a").read_bytes() == b"content"


def test_what_cannot_be_fetched_leaves_nothing(tmp_path, served, monkeypatch):
    folder, address = served
    (folder / "a.gz").write_bytes(gzip.compress(b"content"))
    (folder / "b.gz").write_bytes(b"no gzip")
    escaping = write_archive(folder / "c.tar.gz", {"../../escaped": b"content"})
    (folder / "d.tar.gz").write_bytes(b"no archive")
    digest = hashlib.sha256(b"content").hexdigest()
    broken = hashlib.sha256(b"no archive").hexdigest()
    good = RemoteFile(f"{address}/a.gz", digest, "gzip", 1000)
    for remote, error, message in (
        (
            RemoteFile(f"{address}/a.gz", "0" * 64, "gzip", 1000),
            ValueError,
            f"a.gz: sha256 {digest}, expected 0000",
        ),
        (
            RemoteFile(f"{address}/b.gz", digest, "gzip", 1000),
            ValueError,
            "not a complete gzip file",
        ),
        (RemoteFile(f"{address}/a.gz", digest, "gzip", 5), ValueError, "more than 5 bytes"),
        (RemoteFile(f"{address}/c.tar.gz", "0" * 64, "tar", 1000), ValueError, "expected 0000"),
        (RemoteFile(f"{address}/c.tar.gz", escaping, "tar", 1000), ValueError, "unpacked safely"),
        (RemoteFile(f"{address}/d.tar.gz", broken, "tar", 1000), ValueError, "unpacked safely"),
        (RemoteFile(f"{address}/absent.gz", digest, "gzip", 1000), OSError, "answered 404"),
        (
            RemoteFile("http://127.0.0.1:1/a.gz", digest, "gzip", 1000),
            OSError,
            "cannot reach http://127.0.0.1:1/a.gz",
        ),
    ):
        monkeypatch.setitem(SOURCES, "mnist", (good, remote))
        with pytest.raises(error, match=message) as raised:
            download("mnist", tmp_path / "out" / "mnist")
        assert "\n" not in str(raised.value)
        assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


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
    with pytest.raises(ValueError, match="item 1 has the label 1, and had 2 before"):
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
    with pytest.raises(
        FileNotFoundError, match=r"no data set 'mnist8'; write mnist7, .* cifar10:FOLDER"
    ):
        load_dataset("mnist8")
    (tmp_path / "data.txt").touch()
    with pytest.raises(ValueError, match=r"must be \.csv"):
        load_dataset(str(tmp_path / "data.txt"))


def test_data_sets_say_which_lattice_they_are_on(tmp_path):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 6)
    np.savez(tmp_path / "bytes.npz", inputs=pixels)
    np.savez(tmp_path / "floats.npz", inputs=pixels / 3.0)
    np.savez(tmp_path / "said.npz", inputs=pixels / 3.0, lattice=1 / 3)
    np.savez(tmp_path / "wrong.npz", inputs=pixels / 3.0, lattice=[1, 3])
    lattices = [
        load_dataset(str(tmp_path / f"{name}.npz")).lattice for name in ("bytes", "floats", "said")
    ]
    assert lattices == [1 / 255, None, 1 / 3]
    assert [load_dataset(name).lattice for name in ("mnist7", "mnist7_pca10", "swiss_roll")] == [
        1 / 4080,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="lattice must be one floating number"):
        load_dataset(str(tmp_path / "wrong.npz"))


def test_labels_that_no_64_bits_hold_are_refused_in_one_line(tmp_path):
    (tmp_path / "data.csv").write_text(f"a,label\n1.0,0\n2.0,{10**30}\n")
    with pytest.raises(ValueError, match="more than 64 bits"):
        load_dataset(f"csv:{tmp_path}/data.csv")


@pytest.mark.parametrize("column", ["image", "label"])
def test_a_column_of_times_that_python_has_not_is_refused_in_one_line(tmp_path, column):
    times = pa.array([2**60], type=pa.timestamp("ms"))
    columns = {"image": pa.array([b"no image"]), "label": pa.array([0])} | {column: times}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    with pytest.raises(ValueError, match=f"the column '{column}' holds values that cannot be read"):
        load_dataset(f"parquet:{tmp_path}/data.parquet")


def test_a_class_folder_without_images_is_refused_by_name(tmp_path):
    save_image(tmp_path / "a" / "1.png", 7, mode="L")
    save_image(tmp_path / "c" / "1.png", 7, mode="L")
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="'b' holds no image; without it the later classes"):
        load_dataset(str(tmp_path))
    (tmp_path / "b" / "1.tiff").write_bytes(b"")
    with pytest.raises(ValueError, match=r"'b' holds no image \(files of kind \.tiff are not read"):
        load_dataset(str(tmp_path))
    (tmp_path / "b" / "1.tiff").rename(tmp_path / "c" / "1.tiff")
    save_image(tmp_path / "b" / "deep" / "1.png", 7, mode="L")
    with pytest.raises(ValueError, match="there are images one folder deeper"):
        load_dataset(str(tmp_path))
    save_image(tmp_path / "b" / "1.png", 7, mode="L")
    data = load_dataset(str(tmp_path))
    assert data.labels.tolist() == [0, 1, 2]
    assert "files of kind .tiff are not read" in data.notes[0]


def test_hidden_folders_and_files_are_no_classes_and_no_images(tmp_path):
    for folder in (".ipynb_checkpoints", "__MACOSX", "a", "b"):
        save_image(tmp_path / folder / "1.png", 7, mode="L")
    (tmp_path / "a" / "._1.png").write_bytes(b"no image")
    (tmp_path / "a" / ".DS_Store").write_bytes(b"")
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    data = load_dataset(str(tmp_path))
    assert (data.labels.tolist(), data.class_names, data.notes) == ([0, 1], ("a", "b"), ())


def test_folders_named_by_whole_numbers_are_those_numbers(tmp_path):
    for folder in ("2", "10", "007"):
        save_image(tmp_path / folder / "1.png", 7, mode="L")
    data = load_dataset(str(tmp_path))
    assert data.labels.tolist() == [7, 10, 2]  # 007, 10, 2
    assert (data.class_names, data.num_classes) == (None, None)
    save_image(tmp_path / "7" / "1.png", 7, mode="L")
    with pytest.raises(
        ValueError, match="two class folders with the same number among '007', '10'"
    ):
        load_dataset(str(tmp_path))


def test_the_validation_part_of_tiny_imagenet(tmp_path):
    for name in ("val_1.png", "val_0.png", "val_2.png"):
        save_image(tmp_path / "images" / name, 7, mode="L")
    lines = ["val_2.png\tn2\t0\t0\t7\t7", "val_0.png\tn1\t0\t0\t7\t7", "val_1.png\tn2\t0\t0\t7\t7"]
    (tmp_path / "val_annotations.txt").write_text("\n".join(lines) + "\n\n")
    data = load_dataset(str(tmp_path))
    assert (data.labels.tolist(), data.class_names) == ([0, 1, 1], ("n1", "n2"))
    (tmp_path / "val_annotations.txt").write_text("\n".join(lines[:2]))
    with pytest.raises(ValueError, match=r"does not name 'val_1\.png'"):
        load_dataset(str(tmp_path))
    (tmp_path / "val_annotations.txt").write_text("val_0.png\n")
    with pytest.raises(ValueError, match=r"line 1: the label of 'val_0\.png' is missing"):
        load_dataset(str(tmp_path))


def test_a_folder_whose_images_have_other_suffixes_names_them(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.avif").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"holds no images.*kind \.avif are not read"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize(
    "names",
    [("x_test", "y_test"), ("X_test", "y_test"), ("test_images", "test_labels"), ("inputs", "y")],
)
def test_npz_names_of_a_test_split_and_labels_in_a_column(tmp_path, names):
    inputs, labels = RNG.random((3, 2)), np.array([[2], [0], [1]])
    further = {"x_train": np.zeros((1, 2)), "y_train": np.zeros(1, dtype=int)}
    np.savez(tmp_path / "a.npz", **further, **dict(zip(names, (inputs, labels), strict=True)))
    data = load_dataset(f"{tmp_path}/a.npz")
    np.testing.assert_array_equal(data.get(range(3)), inputs.astype(np.float32))
    assert (data.labels.tolist(), data.notes) == ([2, 0, 1], ())


def test_npz_arrays_of_other_names(tmp_path):
    inputs = RNG.random((2, 2))
    np.savez(tmp_path / "a.npz", inputs=inputs, klass=np.array(["dog", "cat"]))
    unlabelled = load_dataset(f"{tmp_path}/a.npz")
    assert unlabelled.labels.tolist() == [-1, -1]
    assert "has the arrays inputs, klass: the labels" in unlabelled.notes[0]
    named = load_dataset(f"{tmp_path}/a.npz?labels=klass")
    assert (named.labels.tolist(), named.class_names) == ([1, 0], ("cat", "dog"))
    assert named.settings["spec"] == f"{tmp_path}/a.npz?labels=klass"
    with pytest.raises(ValueError, match="has the arrays inputs, klass, none is 'y'"):
        load_dataset(f"{tmp_path}/a.npz?labels=y")


def test_npy_files_as_those_of_cifar10_c(tmp_path):
    pixels = RNG.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "fog.npy", pixels)
    assert load_dataset(f"{tmp_path}/fog.npy").labels.tolist() == [-1, -1]
    np.save(tmp_path / "labels.npy", np.array([3, 1], dtype=np.uint8))
    as_they_are = load_dataset(f"{tmp_path}/fog.npy")
    assert as_they_are.labels.tolist() == [3, 1]
    assert "with the channels last; add ?channels=last" in as_they_are.notes[0]
    moved = load_dataset(f"{tmp_path}/fog.npy?channels=last")
    assert moved.notes == ()
    np.testing.assert_array_equal(
        moved.get([1])[0], pixels[1].transpose(2, 0, 1).astype(np.float32) / 255
    )
    (tmp_path / "fog.npy").write_bytes((tmp_path / "fog.npy").read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"fog\.npy has 247 bytes; its header says 248"):
        load_dataset(f"{tmp_path}/fog.npy")
    np.save(tmp_path / "fog.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        load_dataset(f"{tmp_path}/fog.npy")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("encode", [str, str.encode])
def test_cifar_batches_that_python_3_pickled(tmp_path, protocol, encode):
    pixels = RNG.integers(0, 256, (3, 3072), dtype=np.uint8)
    labels, coarse = [1, 0, 2], [9, 9, 8]
    expected = pixels.reshape(3, 3, 32, 32).astype(np.float32) / np.float32(255)
    batch = {encode("data"): np.asfortranarray(pixels), encode("labels"): labels}
    batch |= {encode("batch_label"): b"a", encode("filenames"): [b"a.png", "b.png"]}
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch, protocol))
    data = load_dataset(f"cifar10:{tmp_path}")
    np.testing.assert_array_equal(data.get(range(3)), expected)
    assert data.labels.tolist() == labels

    batch = {encode("data"): pixels, encode("fine_labels"): labels, encode("coarse_labels"): coarse}
    (tmp_path / "test").write_bytes(pickle.dumps(batch, protocol))
    names = [f"name {number}" for number in range(100)]
    (tmp_path / "meta").write_bytes(pickle.dumps({encode("fine_label_names"): names}, protocol))
    data = load_dataset(f"cifar100:{tmp_path}")
    np.testing.assert_array_equal(data.get(range(3)), expected)
    assert (data.labels.tolist(), data.num_classes) == (labels, 100)
    assert data.class_names == tuple(names)


def test_the_binary_version_of_cifar100(tmp_path):
    pixels = RNG.integers(0, 256, (2, 3072), dtype=np.uint8)
    head = np.array([[1, 40], [2, 99]], dtype=np.uint8)
    (tmp_path / "cifar-100-binary").mkdir()
    path = tmp_path / "cifar-100-binary" / "train.bin"
    path.write_bytes(np.concatenate([head, pixels], axis=1).tobytes())
    data = load_dataset(f"cifar100:train:{tmp_path}")
    assert data.labels.tolist() == [40, 99]
    np.testing.assert_array_equal(data.get([1])[0].ravel(), pixels[1].astype(np.float32) / 255)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not a multiple of the 3074 bytes of an image"):
        load_dataset(f"cifar100:train:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="no split test of CIFAR-100"):
        load_dataset(f"cifar100:{tmp_path}")
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": ["a"]}, 2))
    (tmp_path / "test").write_bytes(pickle.dumps({"data": pixels, "fine_labels": [0, 1]}, 4))
    with pytest.raises(ValueError, match="must name 100 classes"):
        load_dataset(f"cifar100:{tmp_path}")


def test_pickles_that_encode_one_text_again_and_again_are_refused():
    text = pickle.dumps(b"x" * 10_000, 2)  # the call, its text, REDUCE
    once = text[2:-1]
    assert read_pickled_arrays(b"\x80\x02]" + once + b"a.") == [b"x" * 10_000]
    again = b"\x80\x02](c_codecs\nencode\nq\x01X\x88\x13\x00\x00" + b"x" * 5000 + b"q\x02"
    again += b"X\x06\x00\x00\x00latin1q\x03"
    repeated = b"h\x01h\x02h\x03\x86R" * 1000
    with pytest.raises(PickleRefused, match="encodes more text than it holds"):
        read_pickled_arrays(again + repeated + b"e.")


def test_an_unknown_prefix_is_no_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no data set 'imagenet:two'; write .* cifar100:"):
        load_dataset("imagenet:two")
