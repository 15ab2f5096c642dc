"""What `SmoothedClassifier.certify` takes as inputs: arrays, data sets, loaders."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from sosmooth import SmoothedClassifier
from sosmooth.datasets.given import given_inputs
from sosmooth.datasets.inputs import in_memory

INPUTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
LABELS = np.array([0, 0, 0, 1, 1, 1])
NAMES = ["left", "right"]


class Pairs(Dataset):
    """Items (input, label), and how often they were read."""

    def __init__(self, label=int):
        self.label, self.reads = label, []

    def __len__(self):
        return len(INPUTS)

    def __getitem__(self, index) -> Any:
        if index >= len(self):
            raise IndexError(index)
        self.reads.append(index)
        return torch.as_tensor(INPUTS[index]), self.label(LABELS[index])


class Mappings(Pairs):
    def __getitem__(self, index):
        value, label = super().__getitem__(index)
        return {"id": f"input {index}", "x": value, "target": label}


class Alone(Pairs):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(torch.as_tensor(INPUTS), LABELS.tolist(), strict=True))


class Images(Dataset):
    """Images of Pillow in two classes with names, as torchvision's folders give them."""

    classes = NAMES
    targets = LABELS.tolist()

    def __len__(self):
        return 6

    def __getitem__(self, index):
        pixels = np.full((2, 3, 3), 40 * index, dtype=np.uint8)
        return Image.fromarray(pixels), LABELS[index]


def positive(points):
    return (points.flatten(1).mean(1) > 0).long()


@pytest.fixture(scope="module")
def smoothed():
    return SmoothedClassifier(positive, sigma=0.5, num_classes=2, batch_size=500)


@pytest.fixture(scope="module")
def expected(smoothed):
    return smoothed.certify(INPUTS, n=200).labelled(LABELS)


LABELLED = {
    "array": lambda: INPUTS,
    "tensor": lambda: torch.as_tensor(INPUTS),
    "lists": lambda: INPUTS.tolist(),
    "input set": lambda: in_memory("set", INPUTS, LABELS, num_classes=2, settings={}),
    "tensors": lambda: TensorDataset(torch.as_tensor(INPUTS), torch.as_tensor(LABELS)),
    "pairs": Pairs,
    "labels as tensors": lambda: Pairs(torch.tensor),
    "mappings": Mappings,
    "list of pairs": lambda: list(zip(INPUTS, LABELS, strict=True)),
    "stream": Stream,
    "loader": lambda: DataLoader(Pairs(), batch_size=4),
    "shuffling loader": lambda: DataLoader(Pairs(), batch_size=4, shuffle=True),
    "loader of mappings": lambda: DataLoader(Mappings(), batch_size=5),
    "loader of single items": lambda: DataLoader(Pairs(), batch_size=None),
    "loader of a stream": lambda: DataLoader(Stream(), batch_size=4),
    "loader with its own batches": lambda: DataLoader(
        Pairs(), collate_fn=lambda items: {"x": torch.stack([one for one, _ in items]),
                                           "y": torch.tensor([label for _, label in items])}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELLED)
def test_every_kind_gives_the_same_certificates(smoothed, expected, kind):
    data = LABELLED[kind]()
    labels = LABELS if kind in ("array", "tensor", "lists") else None
    assert smoothed.certify(data, n=200, labels=labels) == expected
    assert smoothed.certify(data, n=200, labels=1 - LABELS) == expected.labelled(1 - LABELS)


def test_a_part_of_a_data_set_keeps_its_numbers(smoothed, expected):
    pairs = Pairs()
    found = smoothed.certify(pairs, n=200, indices=[4, 1])
    assert found == expected[[4, 1]]
    assert set(pairs.reads) == {0, 1, 4}  # the first one tells the layout
    subset = smoothed.certify(Subset(TensorDataset(*map(torch.as_tensor, (INPUTS, LABELS))), [4]),
                              n=200)  # fmt: skip
    assert (subset[0].input_index, subset[0].label) == (0, 1)
    numbered = smoothed.certify(INPUTS[[4, 1]], n=200, indices=[4, 1], labels=[1, 0])
    assert numbered == found


def test_inputs_alone_have_no_labels(smoothed, expected):
    for data in (INPUTS, Alone(), DataLoader(Alone(), batch_size=4), TensorDataset(
        torch.as_tensor(INPUTS)
    )):  # fmt: skip
        assert smoothed.certify(data, n=200) == expected.labelled([-1] * 6)


def test_images_of_pillow_are_scaled_to_one_and_classes_are_named():
    found = given_inputs(Images())
    assert found.get([1]).shape == (1, 3, 2, 3)
    assert found.get([3]).max() == np.float32(120 / 255)
    assert (found.class_names, found.num_classes) == (tuple(NAMES), 2)
    assert found.lattice == 1 / 255
    assert given_inputs(Subset(Images(), [5, 0])).labels.tolist() == [1, 0]


def test_labels_may_be_names(smoothed):
    words = np.array(NAMES)[LABELS]
    found = given_inputs(Pairs(lambda label: NAMES[label]))
    assert (found.class_names, found.labels.tolist()) == (tuple(NAMES), LABELS.tolist())
    with pytest.warns(UserWarning, match="names 2 classes"):
        named = smoothed.certify(INPUTS, n=200, labels=words)
    assert named.label.tolist() == LABELS.tolist()
    assert list(named.class_names) == NAMES


def test_data_sets_of_hugging_face(smoothed, expected):
    datasets = pytest.importorskip("datasets", reason='needs pip install "sosmooth[huggingface]"')
    features = datasets.Features(
        {
            "vector": datasets.Sequence(datasets.Value("float32")),
            "side": datasets.ClassLabel(names=NAMES),
        }
    )
    table = datasets.Dataset.from_dict(
        {"vector": INPUTS.tolist(), "side": LABELS.tolist()}, features=features
    )
    for data in (table, table.with_format("torch"), table.with_format("numpy")):
        with pytest.warns(UserWarning, match="names 2 classes"):
            found = smoothed.certify(data, n=200)
        assert found == expected
        assert list(found.class_names) == NAMES
    pictures = datasets.Dataset.from_dict(
        {"image": [Image.fromarray(np.full((3, 2), 51, dtype=np.uint8))] * 2, "label": [0, 1]},
        features=datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
        ),
    )
    found = given_inputs(pictures)
    assert found.get([0]).shape == (1, 1, 3, 2)
    assert found.get([0]).max() == np.float32(0.2)
    assert found.labels.tolist() == [0, 1]
    with pytest.raises(
        ValueError, match=r"has the parts 'train', 'test'; give one .*data\['test'\]"
    ):
        given_inputs(datasets.DatasetDict(train=pictures, test=pictures))


def test_tables_keep_the_order_of_an_estimators_columns():
    pandas = pytest.importorskip("pandas", reason='needs pip install "sosmooth[pandas]"')
    linear = pytest.importorskip("sklearn.linear_model")
    frame = pandas.DataFrame(INPUTS, columns=["width", "height"])
    words = np.array(NAMES)[LABELS]
    estimator = linear.LogisticRegression().fit(frame, words)
    smoothed = SmoothedClassifier(estimator, sigma=0.25, batch_size=100)
    found = smoothed.certify(frame, n=200, labels=words)
    turned = smoothed.certify(frame[["height", "width"]], n=200, labels=words)
    assert turned == found
    assert found.label.tolist() == LABELS.tolist()
    assert smoothed.predict(frame[["height", "width"]], n=100).tolist()[::5] == [0, 1]
    with pytest.raises(ValueError, match="the classifier was fitted with width, height"):
        smoothed.certify(frame.rename(columns={"width": "length"}), n=200)


def test_predictions_take_the_same(smoothed):
    expected = smoothed.predict(INPUTS, n=100).tolist()
    for data in (Pairs(), DataLoader(Mappings()), Alone()):
        assert smoothed.predict(data, n=100).tolist() == expected


REFUSED = {
    "a name": ("mnist7", "use load_dataset"),
    "a number": (7, "must be an array or tensor"),
    "nothing": (TensorDataset(torch.zeros(0, 2)), "no inputs"),
    "three parts": ([(1.0, 2, 3)], "item 0 has 3 parts"),
    "keys": ([{"a": 1.0, "b": 2.0}], "its items hold 'a', 'b', none of which is named image"),
    "a fraction as label": ([(INPUTS[0], 0.5)], "a label must be a whole number or a name; got"),
    "a vector as label": ([(INPUTS[0], [0, 1])], "a label must be a whole number or a name"),
    "numbers and names": (
        [(INPUTS[0], 0), (INPUTS[1], "left")],
        "labels must all be numbers, or all names",
    ),
    "a chosen part": (
        DataLoader(Pairs(), sampler=WeightedRandomSampler([1.0] * 6, 6)),
        r"chooses its items by WeightedRandomSampler; give torch\.utils\.data\.Subset",
    ),
    "chosen batches": (
        DataLoader(Pairs(), batch_sampler=[[1, 2], [4]]),
        "chooses its items by list; give",
    ),
    "missing keys": ([{"x": INPUTS[0], "y": 0}, {"x": INPUTS[0]}], "not all items have a 'y'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_data_set_is_refused(smoothed, what):
    data, message = REFUSED[what]
    with pytest.raises(ValueError, match=message) as raised:
        smoothed.certify(data, n=200)
    assert "\n" not in str(raised.value)


def test_items_of_which_one_is_broken_are_refused_by_number(smoothed):
    words = given_inputs([(INPUTS[0], 0), ("text", 1)])
    with pytest.raises(ValueError, match="input 1 is <U4"):
        words.get([1])
    transparent = given_inputs([Image.new("RGBA", (2, 2))])
    with pytest.raises(ValueError, match="item 0: pixels of kind RGBA"):
        transparent.get([0])
    calls = []
    random = given_inputs(Pairs(lambda label: calls.append(label) or len(calls)))
    with pytest.raises(ValueError, match="item 0 has the label 8, and had 2 before"):
        random.get([1])


def test_batches_of_a_batch_sampler_are_their_data_sets(smoothed, expected):
    loader = DataLoader(Pairs(), batch_sampler=BatchSampler(SequentialSampler(Pairs()), 4, False))
    assert smoothed.certify(loader, n=200) == expected
