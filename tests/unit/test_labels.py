"""Labels in the classifier's numbers, whichever file names the classes."""

import json

import numpy as np
import pytest

from sosmooth.classifiers.class_names import class_names_of, named, read_class_names
from sosmooth.classifiers.loaded import LoadedClassifier
from sosmooth.datasets.inputs import in_memory
from sosmooth.datasets.labels import labels_in, numbered, reconcile
from sosmooth.tasks.pairing import paired

ANIMALS = ("bird", "cat", "dog")


def classifier(classes=None, count=None, features=None):
    settings = {"classes": classes, "features": features}
    return LoadedClassifier(
        lambda points: points, count, {k: v for k, v in settings.items() if v is not None}
    )


def data(labels, classes=None, features=None, inputs=None):
    settings = {"classes": classes, "features": features}
    return in_memory(
        "set",
        np.zeros((len(labels), 1)) if inputs is None else inputs,
        labels,
        num_classes=None if classes is None else len(classes),
        settings={k: v for k, v in settings.items() if v is not None},
    )


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([0, 1, 2], ANIMALS, [0, 1, 2]),
        ([0, 1, 2, -1], ("dog", "cat", "bird"), [2, 1, 0, -1]),
        ([0, 1], ("bird", "dog"), [0, 2]),
        ([0, 1, 0], ("dog", "elephant in use nowhere"), None),
        ([0, 0], ("dog", "elephant in use nowhere"), [2, 2]),
        ([0], ("dog",), [2]),
    ],
)
def test_where_both_sides_name_classes_numbers_follow_the_names(labels, names, expected):
    if expected is None:
        with pytest.raises(
            ValueError, match="'elephant in use nowhere', which the classifier does"
        ):
            reconcile(labels, names, ANIMALS, 3)
        return
    found = reconcile(labels, names, ANIMALS, 3)
    assert found.labels.tolist() == expected
    assert found.names == ANIMALS
    assert found.notes == ()


def test_names_that_differ_in_case_spaces_and_underscores_only_are_the_same_and_it_is_said():
    classes = ("golden retriever", "Great_Dane", "pug")
    found = reconcile([0, 1, 2], ("great dane", "Golden_Retriever", "pug"), classes, 3)
    assert found.labels.tolist() == [1, 0, 2]
    assert "spells 2 class names of the data differently" in found.notes[0]
    assert "'great dane' is taken for 'Great_Dane'" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("crane",), ("crane", "crane")),  # ImageNet has two of them
        (("a b",), ("A b", "a B")),
        (("A", "a "), ("a", "b")),
        (("a", "A"), ("a", "b")),
    ],
)
def test_names_with_several_meanings_are_refused(names, classes):
    with pytest.raises(ValueError, match="each of which fits several names"):
        reconcile(list(range(len(names))), names, classes, 2)


def test_pairing_again_changes_nothing_even_where_two_classes_have_one_name():
    names = ["crane", "drake", "crane"]
    once = paired(classifier(names), data([2, 0, 1]), 3)
    again = paired(classifier(names), once.inputs, 3)
    assert again.inputs.labels.tolist() == [2, 0, 1]
    for given in (data([1, 0], ["dog", "cat"]), data([1, 2, 3]), data([0, 0], ["x"])):
        for model in (classifier(list(ANIMALS)), classifier([1, 2, 3]), classifier()):
            try:
                once = paired(model, given, 3)
            except ValueError:
                continue
            again = paired(model, once.inputs, 3)
            assert again.inputs.labels.tolist() == once.inputs.labels.tolist()


def test_where_the_data_alone_name_classes_it_is_said():
    found = reconcile([0, 1, 2], ANIMALS, None, 1000)
    assert found.labels.tolist() == [0, 1, 2]
    assert "names 3 classes ('bird', 'cat', 'dog') and the classifier names none" in found.notes[0]
    assert "classes 0 to 2 of its 1000" in found.notes[0]
    assert "class_names=…" in found.notes[0]
    assert "labels.csv" in found.notes[0]
    assert found.names is None
    assert reconcile([0, 1, 2], ANIMALS, None, 3).names == ANIMALS


def test_where_the_classifier_alone_names_classes_it_is_said():
    found = reconcile([1, 0], None, ANIMALS, 3)
    assert found.labels.tolist() == [1, 0]
    assert found.names == ANIMALS
    assert "0 for 'bird', 1 for 'cat', 2 for 'dog'" in found.notes[0]
    assert reconcile([-1, -1], None, ANIMALS, 3).notes == ()


def test_where_nobody_names_classes_counts_that_differ_and_labels_all_0_are_said():
    assert (
        "has 10 classes and the classifier 100"
        in reconcile([1, 2], None, None, 100, data_classes=10).notes[0]
    )
    assert "all 2 labels are 0" in reconcile([0, 0, -1], None, None, 3).notes[0]
    for labels in ([0, 1], [0], [-1, -1]):
        assert reconcile(labels, None, None, 3).notes == ()
    assert reconcile([-1], None, None, 100, data_classes=10).notes == ()


def test_one_class_alone_tells_nothing():
    found = reconcile([0, 0], ("images",), None, 10)
    assert found.labels.tolist() == [-1, -1]
    assert "only the class 'images'" in found.notes[0]
    with pytest.raises(ValueError, match="'images', which the classifier does not know"):
        reconcile([0, 0], ("images",), ANIMALS, 3)
    once = paired(classifier(), data([0, 0], ["images"]), 10)
    assert once.inputs.labels.tolist() == [-1, -1]
    assert paired(classifier(), once.inputs, 10).notes == ()


def test_classes_called_by_numbers_are_meant_by_the_numbers():
    assert reconcile([7, 9, -1], None, ("7", "8", "9"), 3).labels.tolist() == [0, 2, -1]
    with pytest.raises(ValueError, match=r"labels 6, which .* its classes are 7, 8, 9"):
        reconcile([6, 7], None, ("7", "8", "9"), 3)
    digits = tuple(map(str, range(10)))
    assert reconcile([3, 4], None, digits, 10).labels.tolist() == [3, 4]
    assert reconcile([3, 4], None, digits, 10).notes == ()
    assert reconcile([0, 1], ("7", "03"), digits, 10).labels.tolist() == [7, 3]
    # Numbers are not names: these classes cannot be compared.
    assert "the classifier names none" in reconcile([0, 1, 2], ANIMALS, ("0", "1", "2"), 3).notes[0]


@pytest.mark.parametrize(
    ("written", "names", "labels"),
    [
        (["3", "0", "", None, "-1"], None, [3, 0, -1, -1, -1]),
        (["1.0", "007"], None, [1, 7]),
        (["dog", "bird", "", " dog "], ("bird", "dog"), [1, 0, -1, 1]),
        (["1", "dog"], ("1", "dog"), [0, 1]),
        ([], None, []),
    ],
)
def test_written_labels(written, names, labels):
    found = numbered(written)
    assert found[0] == names
    assert found[1].tolist() == labels


def test_written_labels_of_more_than_64_bits_are_refused():
    with pytest.raises(ValueError, match="more than 64 bits"):
        numbered(["9" * 30])


def test_arrays_of_labels():
    assert labels_in(None, "set") == (None, None)
    names, labels = labels_in(np.array([["b"], ["a"]], dtype=object), "set")
    assert (names, labels.tolist()) == (("a", "b"), [1, 0])
    names, labels = labels_in(np.array([[3], [1]]), "set")
    assert (names, labels.tolist()) == (None, [3, 1])
    no_letter = np.array([2**31 - 1], dtype="<u4").view("<U1")
    with pytest.raises(ValueError, match="set: "):
        labels_in(no_letter, "set")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "bird\ncat\ndog\n\n"),
        ("names.json", '["bird", "cat", "dog"]'),
        ("config.json", '{"id2label": {"2": "dog", "0": "bird", "1": "cat"}}'),
        ("label2id.json", '{"dog": 2, "bird": 0, "cat": 1}'),
        ("names.csv", "number,name\n2,dog\n0,bird\n1,cat\n"),
        ("one.csv", "bird\ncat\ndog\n"),
    ],
)
def test_files_of_class_names(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert tuple(read_class_names(tmp_path / name)) == ANIMALS


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", b""),
        ("names.txt", b"bird\n\ndog"),
        ("names.txt", b"\xff\xfe\x00"),
        ("names.json", b'{"0": "a", "2": "b"}'),
        ("names.json", b"[1, 2]"),
        ("names.json", b"7"),
        ("names.json", b"["),
        ("names.json", b"[" * 100_000),
        ("names.csv", b"number,name\n0,a\n0,b\n"),
        ("names.csv", b"number,name\n0\n"),
        ("names.csv", b"a,b\nc,d\n"),
    ],
)
def test_files_that_hold_no_class_names_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="class name"):
        read_class_names(tmp_path / name)


def test_names_given_stand_in_the_place_of_the_classifiers_own(tmp_path):
    own = classifier(["a", "b", "c"], 3)
    assert class_names_of(named(own, ANIMALS)) == ANIMALS
    with pytest.raises(ValueError, match="2 class names are given and the classifier has 3"):
        named(own, ("a", "b"))
    with pytest.raises(FileNotFoundError, match=r"absent\.txt"):
        read_class_names(tmp_path / "absent.txt")
    # What transformers writes for a model without names are not names.
    assert class_names_of(classifier(["LABEL_0", "LABEL_1"])) is None


def test_columns_follow_those_of_the_classifier():
    inputs = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    given = data([0, 1], features=["c", "a", "b"], inputs=inputs)
    given.settings["mean"] = [30, 10, 20]
    found = paired(classifier(features=["a", "b", "c"]), given, 2)
    assert found.inputs.get([1, 0]).tolist() == [[5, 6, 4], [2, 3, 1]]
    assert found.inputs.settings["features"] == ["a", "b", "c"]
    assert found.inputs.settings["mean"] == [10, 20, 30]
    with pytest.raises(ValueError, match=r"features c, a, b; .* with a, d; lacking: d; not known"):
        paired(classifier(features=["a", "d"]), given, 2)
    # One column more, and no labels.
    unlabelled = data([-1, -1], features=["c", "a", "b"], inputs=inputs)
    with pytest.raises(ValueError, match=r"if 'c' holds the labels, write set\?label=c"):
        paired(classifier(features=["a", "b"]), unlabelled, 2)
    unnamed = paired(classifier(features=["a", "b", "c"]), data([0, 1], inputs=inputs), 2)
    assert "does not name its features" in unnamed.notes[0]
    assert "a, b, c" in unnamed.notes[0]
    assert json.dumps(found.inputs.settings)
