"""Data and classifiers with named classes and columns, certified through the command line."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sosmooth.cli import main
from sosmooth.runs import load_run

CENTRES = {"bird": (0.0, 0.0), "cat": (6.0, 0.0), "dog": (0.0, 6.0)}
GREYS = {"bright": 235, "dark": 20, "mid": 128}
MODELS = """
import torch
def scores(greys):
    def f(images):
        return -(images.flatten(1).mean(1, keepdim=True) - torch.tensor(greys) / 255).abs()
    f.num_classes = len(greys)
    return f
def by_brightness():
    return scores([20, 128, 235])
def ten():
    return scores([9999] * 7 + [20, 128, 235])
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(MODELS)
    return tmp_path


def folder_of(place, names):
    """Two images per class, in a folder of that name."""
    for name, grey in names.items():
        (place / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (4, 4), grey).save(place / name / f"{number}.png")


def certified(capsys, model, data, *options):
    """The fraction of right answers that were certified, the run, and what was said."""
    out = f"run_{np.random.default_rng().integers(2**60)}"
    call = ["certify", "--model", model, "--data", data, "--sigma", "0.1", "--n", "200"]
    code = main([*call, "--out", out, "--json", *options])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)["certified_accuracy"], load_run(out), said.err


def assert_audited(capsys, run):
    """The specs that a run records open its model and its data."""
    few = ["--max", "1", "--steps", "1", "--samples", "4", "--judge-n", "50", "--look-n", "50"]
    recorded = [run.manifest.settings[name]["spec"] for name in ("model", "data")]
    code = main(["audit", str(run.path), "--model", recorded[0], "--data", recorded[1], *few])
    assert code == 0, capsys.readouterr().err
    capsys.readouterr()


def refused(capsys, model, data, *options):
    call = ["certify", "--model", model, "--data", data, "--sigma", "0.1", "--n", "200"]
    assert main([*call, "--out", "refused", *options]) == 2
    return capsys.readouterr().err


def table(place, columns, classes, rows=6):
    """A CSV file with points of these classes in turn."""
    rng = np.random.default_rng(0)
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "label"])
        for row in range(rows):
            name = classes[row % len(classes)]
            point = dict(zip("ab", rng.normal(CENTRES[name], 0.1), strict=True))
            writer.writerow([*(point[column] for column in columns), name])
    return f"csv:{place.name}"


def estimator(pipeline=False):
    """Fitted on a table with the columns a, b and named classes."""
    pytest.importorskip("sklearn", reason='needs pip install "sosmooth[sklearn]"')
    pandas = pytest.importorskip("pandas")
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(1)
    names = np.repeat(list(CENTRES), 20)
    points = np.array([CENTRES[name] for name in names]) + rng.normal(size=(60, 2)) * 0.1
    made = LogisticRegression()
    if pipeline:
        made = make_pipeline(ColumnTransformer([("scale", StandardScaler(), ["b", "a"])]), made)
    return made.fit(pandas.DataFrame(points, columns=["a", "b"]), names)


def saved(place, made):
    skops = pytest.importorskip("skops.io", reason='needs pip install "sosmooth[sklearn]"')
    skops.dump(made, place)
    return place.name


@pytest.mark.parametrize("columns", ["ab", "ba"])
@pytest.mark.parametrize(
    "classes", [("dog", "bird"), pytest.param(("cat", "dog", "bird"), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("pipeline", [False, True])
def test_tables_and_estimators_agree_by_names(here, capsys, columns, classes, pipeline):
    model = saved(here / "m.skops", estimator(pipeline))
    accuracy, run, said = certified(capsys, model, table(here / "t.csv", columns, classes))
    assert (accuracy, said) == (1.0, "")
    assert run.manifest.class_names == ["bird", "cat", "dog"]
    assert run.manifest.settings["data"]["features"] == ["a", "b"]
    assert set(run["label"].tolist()) == {["bird", "cat", "dog"].index(name) for name in classes}
    assert_audited(capsys, run)


def test_tables_that_name_other_things_than_the_estimator_are_refused(here, capsys):
    model = saved(here / "m.skops", estimator())
    place = here / "t.csv"
    spec = table(place, "ab", ("dog", "bird"))
    place.write_text(place.read_text().replace("dog", "wolf"))
    said = refused(capsys, model, spec)
    assert "classes 'wolf', which the classifier does not know; it has 'bird', 'cat', 'dog'" in said
    assert "--class-names=…" in said
    place.write_text(place.read_text().replace("a,b,", "a,c,"))
    assert "fitted with a, b; lacking: b; not known to it: c" in refused(capsys, model, spec)
    # Names given for the classifier replace its own.
    spec = table(place, "ab", ("dog", "bird"))
    place.write_text(place.read_text().replace("dog", "wolf"))
    (here / "names.txt").write_text("bird\ncat\nwolf\n")
    accuracy, run, _ = certified(capsys, model, spec, "--class-names", "names.txt")
    assert (accuracy, run.manifest.class_names) == (1.0, ["bird", "cat", "wolf"])
    assert_audited(capsys, run)
    np.savez(here / "plain.npz", x=np.array([CENTRES["dog"]]), y=np.array([[2]]))
    accuracy, _, said = certified(capsys, model, "plain.npz")
    assert accuracy == 1.0
    assert "does not name its features; it is assumed that they are the 2" in said
    assert "0 for 'bird', 1 for 'cat', 2 for 'dog'" in said


def test_an_estimator_that_wants_names_says_that_pandas_is_needed(here, capsys, monkeypatch):
    model = saved(here / "m.skops", estimator(pipeline=True))
    spec = table(here / "t.csv", "ab", ("dog", "bird"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    call = ["predict", "--model", model, "--data", spec, "--sigma", "0.1", "--n", "20"]
    assert main(call) != 0
    assert "pandas is not installed; pip install pandas" in capsys.readouterr().err


class Column:
    """Predicts a column, as CatBoost does, and lists its classes in another order."""

    classes_ = np.array(["dog", "bird"])

    def predict(self, rows):
        return np.where(rows[:, 1:2] > 3, "dog", "bird")


def test_labels_in_a_column_and_classes_in_any_order():
    from sosmooth.classifiers.scikit_learn import classifier_of

    torch = pytest.importorskip("torch")
    opened = classifier_of(Column())
    assert opened.classifier(torch.tensor([[0.0, 6.0], [0.0, 0.0]])).tolist() == [0, 1]
    Column.classes_ = np.array(["dog", "cat"])
    with pytest.raises(ValueError, match="predicted 'bird', which is not among its classes"):
        classifier_of(Column()).classifier(torch.zeros(1, 2))
    for classes in ([1.0, 2.0], [1, 2], [-1, 1], [[0], [1]]):
        Column.classes_ = np.array(classes)
        with pytest.raises(ValueError, match="fit it with the labels 0, 1, 2, …"):
            classifier_of(Column())


def test_class_folders_follow_the_names_given_for_the_classifier(here, capsys):
    folder_of(here / "photos", GREYS)
    (here / "names.json").write_text('{"id2label": {"0": "Dark", "1": "mid", "2": "bright"}}')
    accuracy, run, said = certified(
        capsys, "m.py:by_brightness", "photos", "--class-names", "names.json"
    )
    assert (accuracy, run.manifest.class_names) == (1.0, ["Dark", "mid", "bright"])
    assert_audited(capsys, run)
    assert "'dark' is taken for 'Dark'" in said
    (here / "names.json").write_text('["a", "b"]')
    assert "2 class names are given and the classifier has 3" in refused(
        capsys, "m.py:by_brightness", "photos", "--class-names", "names.json"
    )
    # Without names they are taken in sorted order. Here that is wrong, and the program says so.
    accuracy, run, said = certified(capsys, "m.py:by_brightness", "photos")
    assert accuracy < 1
    assert "names 3 classes ('bright', 'dark', 'mid') and the classifier names none" in said
    assert "--class-names=…), or give labels as numbers (labels.csv)" in said
    assert "classes 0 to 2 of its 10" in certified(capsys, "m.py:ten", "photos")[2]


def test_folders_of_whole_numbers_need_no_names(here, capsys):
    folder_of(here / "photos", {"7": 20, "8": 128, "009": 235})
    accuracy, run, said = certified(capsys, "m.py:ten", "photos")
    assert (accuracy, said, run.manifest.class_names) == (1.0, "", None)
    assert_audited(capsys, run)
    folder_of(here / "far", {"7": 20, "12": 128})
    assert "the label of input 0 is 12, but the classifier has 10 classes" in refused(
        capsys, "m.py:ten", "far"
    )


def test_one_folder_of_images_has_no_labels(here, capsys):
    folder_of(here / "val", {"images": 20})
    accuracy, run, said = certified(capsys, "m.py:by_brightness", "val")
    assert (accuracy, run["label"].tolist()) == (None, [-1, -1])
    assert "has only the class 'images'" in said
    (here / "val" / "val_annotations.txt").write_text("0.png\tn0\n1.png\tn0\n")
    (here / "names.txt").write_text("n0\nn1\nn2\n")
    accuracy, run, said = certified(
        capsys, "m.py:by_brightness", "val", "--class-names", "names.txt"
    )
    assert (accuracy, said) == (1.0, "")
    assert_audited(capsys, run)


def shards(place, names, count=2):
    """A data set as the Hub stores it: Parquet files with labels of these names."""
    datasets = pytest.importorskip("datasets", reason='needs pip install "sosmooth[huggingface]"')
    features = datasets.Features(
        {"img": datasets.Image(), "fine": datasets.ClassLabel(names=list(names))}
    )
    images = [Image.new("L", (4, 4), grey) for grey in names.values()]
    made = datasets.Dataset.from_dict({"img": images, "fine": range(len(names))}, features)
    (place / "data").mkdir(parents=True)
    for number in range(count):
        name = f"test-{number:05}-of-{count:05}.parquet"
        made.shard(count, number).to_parquet(place / "data" / name)
    return made


def test_shards_of_a_data_set_of_the_hub(here, capsys):
    shards(here / "set", GREYS)
    (here / "names.txt").write_text("dark\nmid\nbright\n")
    for spec in (
        "parquet:set",
        "hf:set",
        "parquet:set?split=test",
        "parquet:set/data/test-*.parquet",
    ):
        accuracy, run, said = certified(
            capsys, "m.py:by_brightness", spec, "--class-names", "names.txt"
        )
        assert (accuracy, len(run), run["label"].tolist()) == (1.0, 3, [2, 0, 1])
        assert_audited(capsys, run)
        assert "the images are taken from 'img' and the labels are taken from 'fine'" in said
    assert "write parquet:set or hf:set" in refused(capsys, "m.py:by_brightness", "set")
    assert "no split 'train'; it has test" in refused(
        capsys, "m.py:by_brightness", "parquet:set?split=train"
    )
    (here / "set" / "data" / "test-00000-of-00002.parquet").unlink()
    assert "there should be 2 shards, and there are 1 files" in refused(
        capsys, "m.py:by_brightness", "hf:set"
    )


def test_saved_data_sets_name_their_classes(here, capsys):
    shards(here / "set", GREYS).save_to_disk(here / "saved")
    (here / "names.txt").write_text("dark\nmid\nbright\n")
    accuracy, run, said = certified(
        capsys, "m.py:by_brightness", "hf:saved", "--class-names", "names.txt"
    )
    assert accuracy == 1.0
    assert_audited(capsys, run)
    assert "the labels are taken from 'fine'" in said


def test_pickled_estimators_are_explained(here, capsys):
    (here / "m.joblib").write_bytes(b"")
    said = refused(capsys, "m.joblib", "csv:absent.csv")
    (here / "t.csv").write_text("a,label\n1,0\n2,1\n")
    said = refused(capsys, "m.joblib", "csv:t.csv")
    assert "skops.io.dump(estimator, 'model.skops')" in said
    assert "FILE.py:factory" in said


def onnx_model(place, metadata=(), strings=(), numbers=()):
    """Scores of two features, from a linear operator or as scikit-learn's classifiers export."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    kind = onnx.TensorProto.FLOAT
    weights = np.array(list(CENTRES.values()), dtype=np.float32)
    bias = -(weights**2).sum(axis=1) / 2
    labels = {"classlabels_strings": list(strings)} if strings else {}
    labels |= {"classlabels_ints": list(numbers)} if numbers else {}
    outputs, constants = [], []
    if labels:
        node = helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=weights.ravel().tolist(),
            intercepts=bias.tolist(),
            **labels,
        )
        of_label = onnx.TensorProto.STRING if strings else onnx.TensorProto.INT64
        outputs.append(helper.make_tensor_value_info("label", of_label, ["batch"]))
    else:
        node = helper.make_node("Gemm", ["x", "w", "b"], ["scores"], transB=1)
        for name, values in (("w", weights), ("b", bias)):
            constants.append(onnx.numpy_helper.from_array(values, name))
    outputs.append(helper.make_tensor_value_info("scores", kind, ["batch", 3]))
    inputs = [helper.make_tensor_value_info("x", kind, ["batch", 2])]
    graph = helper.make_graph([node], "net", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, place)
    return place.name


@pytest.mark.parametrize(
    "names",
    [
        {"metadata": {"names": "{0: 'bird', 1: 'cat', 2: 'dog'}"}},
        {"metadata": {"id2label": '{"0": "bird", "1": "cat", "2": "dog"}', "task": "classify"}},
        {"metadata": {"class_names": '["bird", "cat", "dog"]'}},
        {"strings": ["bird", "cat", "dog"]},
    ],
)
def test_onnx_models_that_name_their_classes(here, capsys, names):
    model = onnx_model(here / "m.onnx", **names)
    spec = table(here / "t.csv", "ab", ("dog", "bird"))
    accuracy, run, said = certified(capsys, model, spec, "--output", "scores")
    assert (accuracy, said) == (1.0, "")
    assert run.manifest.class_names == ["bird", "cat", "dog"]


def test_onnx_models_that_number_their_classes_otherwise(here, capsys):
    model = onnx_model(here / "m.onnx", numbers=[7, 8, 9])
    np.savez(here / "a.npz", x=np.array([CENTRES["dog"], CENTRES["bird"]]), y=np.array([9, 7]))
    accuracy, run, said = certified(capsys, model, "a.npz", "--output", "scores")
    assert (accuracy, said, run["label"].tolist()) == (1.0, "", [2, 0])
    assert_audited(capsys, run)


@pytest.mark.parametrize("names", ["[", "{'a': 1}", "[1, 2, 3]", "['a', 'b']", "x" * 2_000_000])
def test_metadata_that_are_no_names_of_the_classes_are_none(here, capsys, names):
    model = onnx_model(here / "m.onnx", metadata={"names": names})
    said = certified(capsys, model, table(here / "t.csv", "ab", ("cat", "dog", "bird")))[2]
    assert "the classifier names none" in said


FACTORIES = """
import numpy as np, pandas, warnings
from torch.utils.data import Dataset
def table():
    frame = pandas.DataFrame({"b": [6.0, 0.0], "a": [0.0, 0.0]})
    return frame, pandas.Series(["dog", "bird"])
class Set(Dataset):
    classes = ["dog", "bird"]
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return np.array([[0.0, 6.0], [0.0, 0.0]])[index], index
def warn():
    def classify(points):
        warnings.warn("of two\\nlines", RuntimeWarning)
        return points
    return classify
"""


@pytest.mark.parametrize("factory", ["table", "Set"])
def test_data_of_the_users_code_are_paired_as_others(here, capsys, factory):
    model = saved(here / "m.skops", estimator())
    (here / "d.py").write_text(FACTORIES)
    accuracy, run, said = certified(capsys, model, f"d.py:{factory}")
    assert (accuracy, run["label"].tolist()) == (1.0, [2, 0])
    assert ("does not name its features" in said) == (factory == "Set")
    assert_audited(capsys, run)


@pytest.mark.slow
def test_warnings_are_shown_once_in_one_line(here):
    """Run in its own process, because here each warning is an error."""
    (here / "d.py").write_text(FACTORIES)
    np.savez(here / "a.npz", x=np.eye(2), y=np.arange(2))
    call = ["predict", "--model", "d.py:warn", "--data", "a.npz", "--sigma", "0.1", "--n", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "sosmooth", *call, "--batch-size", "4"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("RuntimeWarning") == 1
    assert "sosmooth: RuntimeWarning: of two lines\n" in done.stderr


@pytest.mark.usefixtures("no_figures")
def test_the_report_calls_classes_by_their_names(here, capsys):
    folder_of(here / "photos", GREYS)
    run = certified(capsys, "m.py:by_brightness", "photos")[1]
    assert main(["report", str(run.path), "--out", "page.html"]) == 0
    page = (here / "page.html").read_text()
    assert '"classes":["bright","dark","mid"]' in page.replace(", ", ",").replace(": ", ":")
    assert "<td>bright" in page


def test_class_folders_follow_the_names_of_a_hugging_face_model(here, capsys):
    transformers = pytest.importorskip("transformers")
    folder_of(here / "photos", GREYS)
    torch = pytest.importorskip("torch")
    for place, names in (("named", {0: "dark", 1: "mid", 2: "bright"}), ("unnamed", None)):
        torch.manual_seed(0)
        config = transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            image_size=4,
            patch_size=4,
            num_labels=3,
        )
        config.id2label = names or config.id2label
        transformers.ViTForImageClassification(config).save_pretrained(here / place)
        transformers.ViTImageProcessor(size={"height": 4, "width": 4}).save_pretrained(here / place)
    for folder in (here / "photos").iterdir():  # the model needs colour
        for path in folder.iterdir():
            Image.open(path).convert("RGB").save(path)
    _, run, said = certified(capsys, "hf:named", "photos")
    assert run["label"].tolist() == [2, 2, 0, 0, 1, 1]
    assert "note:" not in said
    assert run.manifest.class_names == ["dark", "mid", "bright"]
    assert_audited(capsys, run)
    _, run, said = certified(capsys, "hf:unnamed", "photos")  # LABEL_0 is not a name
    assert run["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert "the classifier names none" in said


def test_what_the_loader_saw_is_said_before_the_classifier_fails(here, capsys):
    (here / "c.py").write_text(
        "import torch\ndef net():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1),"
        " torch.nn.Flatten())\n"
    )
    np.save(here / "fog.npy", np.zeros((2, 4, 4, 3), dtype=np.uint8))
    call = ["predict", "--model", "c.py:net", "--data", "fog.npy", "--sigma", "0.1"]
    assert main(call) != 0
    assert "with the channels last; add ?channels=last" in capsys.readouterr().err
