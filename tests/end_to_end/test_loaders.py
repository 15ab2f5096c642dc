"""Every kind of classifier and of data, certified through the command line in this process.

Each is made by its own library.
"""

import csv
import hashlib
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

from sosmooth import SmoothedClassifier, load_classifier, load_run
from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.load import open_classifier, runs_code
from sosmooth.classifiers.weights import save_weights
from sosmooth.cli import main
from sosmooth.datasets import load_dataset
from sosmooth.runs import RunError
from sosmooth.tasks.recorded import check_same

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 3, 8, 8), dtype=np.float32)
FEATURES = RNG.normal(size=(60, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


class Net(nn.Module):
    """A small network that behaves differently in training and in use."""

    def __init__(self, classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, classes)

    def forward(self, images):
        return self.head(self.drop(self.norm(self.conv(images)).relu().mean((2, 3))))


def net():
    torch.manual_seed(0)
    return Net().eval()


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()


def scores_of(module, images=IMAGES):
    with torch.inference_mode():
        return module(torch.from_numpy(images))


@pytest.fixture
def images_file(tmp_path):
    np.savez(tmp_path / "images.npz", inputs=IMAGES, labels=np.array([0, 1, 2, 0, 1, 2]))
    return tmp_path / "images.npz"


def certified(out, model, data, *options, capsys, n=40, sigma=0.25):
    """The run of a small certification and the rows of a prediction.

    Both by the command line, which audits the run.
    """
    common = [
        "--model",
        str(model),
        "--data",
        str(data),
        "--sigma",
        str(sigma),
        "--batch-size",
        "16",
        *options,
    ]
    code = main(["certify", *common, "--n", str(n), "--n0", "10", "--out", str(out), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert main(["predict", *common, "--n", "20", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    run = load_run(out)
    if (run["radius"] > 0).any():
        code = main(
            [
                "audit",
                str(out),
                *("--model", run.manifest.settings["model"]["spec"]),
                *("--data", run.manifest.settings["data"]["spec"]),
                "--max",
                "1",
                "--steps",
                "2",
                "--samples",
                "4",
                "--judge-n",
                "100",
                "--look-n",
                "100",
                "--json",
            ]
        )
        captured = capsys.readouterr()
        assert code == 0, captured.err
        assert len(json.loads(captured.out)["inputs"]) == 1
    return run, rows


def same_certificates(run, classifier, inputs, num_classes=3):
    """Whether the run counted the same as this torch module, certified directly."""
    smoothed = SmoothedClassifier(classifier, sigma=0.25, num_classes=num_classes, batch_size=16)
    expected = smoothed.certify(inputs, n=40, n0=10)
    np.testing.assert_array_equal(run["count_top"], expected.tally.count_top)
    np.testing.assert_array_equal(run["selected"], expected.selected)


def exported_onnx(module, batch="batch", dtype="float32"):
    """Write the network as an ONNX file, node by node."""
    onnx = pytest.importorskip("onnx")
    helper, np_helper = onnx.helper, onnx.numpy_helper
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    state = {name: value.numpy().astype(dtype) for name, value in module.state_dict().items()}
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Gemm", ["flat", "1.weight", "1.bias"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, [batch, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", kind, [batch, 3])],
        [np_helper.from_array(value, name) for name, value in state.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return onnx, model


@pytest.mark.parametrize(
    ("batch", "dtype"), [("batch", "float32"), (4, "float32"), (None, "float64"), (1, "float16")]
)
def test_onnx(tmp_path, images_file, capsys, batch, dtype):
    pytest.importorskip("onnxruntime", reason='needs pip install "sosmooth[onnx]"')
    onnx, model = exported_onnx(linear(), batch, dtype)
    onnx.save(model, tmp_path / "net.onnx")
    opened = open_classifier(str(tmp_path / "net.onnx"))
    assert opened.num_classes == 3
    assert load_classifier(str(tmp_path / "net.onnx")).input_shape == (3, 8, 8)
    assert (
        opened.settings["file_sha256"]
        == hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    )
    for count in (1, 5, 6):
        found = opened.classifier(torch.from_numpy(IMAGES[:count])).float()
        torch.testing.assert_close(
            found,
            scores_of(linear(), IMAGES[:count]),
            rtol=1e-3,
            atol=5e-3 if dtype == "float16" else 1e-5,
        )
    if dtype != "float16":
        run, rows = certified(tmp_path / "run", tmp_path / "net.onnx", images_file, capsys=capsys)
        assert (run["radius"] > 0).any()
        same_certificates(run, linear(), IMAGES)
        assert len(rows) == 6


def test_onnx_weights_beside_the_file_are_part_of_its_digest(tmp_path):
    pytest.importorskip("onnxruntime", reason='needs pip install "sosmooth[onnx]"')
    onnx, model = exported_onnx(linear())
    onnx.save(
        model,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="net.weights",
        size_threshold=0,
    )
    first = open_classifier(str(tmp_path / "net.onnx"))
    torch.testing.assert_close(first.classifier(torch.from_numpy(IMAGES)), scores_of(linear()))
    weights = np.fromfile(tmp_path / "net.weights", dtype=np.uint8)
    weights[:4] = np.frombuffer(np.float32(0.125).tobytes(), dtype=np.uint8)
    weights.tofile(tmp_path / "net.weights")
    assert (
        open_classifier(str(tmp_path / "net.onnx")).settings["file_sha256"]
        != first.settings["file_sha256"]
    )


def test_onnx_that_cannot_be_read(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason='needs pip install "sosmooth[onnx]"')
    _, model = exported_onnx(linear())
    with pytest.raises(FileNotFoundError, match=r"absent\.onnx"):
        load_classifier(f"{tmp_path}/absent.onnx")
    (tmp_path / "cut.onnx").write_bytes(model.SerializeToString()[:100])
    with pytest.raises(ValueError, match="not an ONNX model that onnxruntime can open") as raised:
        load_classifier(f"{tmp_path}/cut.onnx")
    assert "\n" not in str(raised.value)
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "y"
    (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        ValueError,
        match=r"takes x: tensor\(float\) .*, y: .*; a classifier takes one floating tensor",
    ):
        load_classifier(f"{tmp_path}/two.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ModuleNotFoundError, match=r'constraints.txt "\.\[onnx\]"'):
        load_classifier(f"{tmp_path}/two.onnx")


LIMITS = {"fixed": None, "dynamic": {}, "limited": {"min": 3, "max": 5}}


def exported_program(module, limits):
    shapes = None if limits is None else ({0: torch.export.Dim("batch", **limits)},)
    return torch.export.export(module, (torch.zeros(4, 3, 8, 8),), dynamic_shapes=shapes)


@pytest.mark.parametrize("kind", LIMITS)
def test_exported_programs(tmp_path, images_file, capsys, kind):
    torch.export.save(exported_program(net(), LIMITS[kind]), tmp_path / "net.pt2")
    opened = open_classifier(str(tmp_path / "net.pt2"))
    assert opened.num_classes == 3
    assert load_classifier(str(tmp_path / "net.pt2")).input_shape == (3, 8, 8)
    assert (
        opened.settings["file_sha256"]
        == hashlib.sha256((tmp_path / "net.pt2").read_bytes()).hexdigest()
    )
    for count in (1, 2, 4, 6):
        found = opened.classifier(torch.from_numpy(IMAGES[:count]))
        torch.testing.assert_close(found, scores_of(net(), IMAGES[:count]))
    run, rows = certified(tmp_path / "run", tmp_path / "net.pt2", images_file, capsys=capsys)
    assert (run["radius"] > 0).any()
    same_certificates(run, net(), IMAGES)
    assert len(rows) == 6


def test_exported_programs_in_training_mode_are_refused(tmp_path):
    torch.export.save(exported_program(net().train(), {}), tmp_path / "net.pt2")
    with pytest.raises(ValueError, match=r"exported in training mode \(aten::(batch_norm|dropout)"):
        load_classifier(f"{tmp_path}/net.pt2")


def test_exported_programs_that_cannot_be_read(tmp_path, capfd):
    with pytest.raises(FileNotFoundError, match=r"absent\.pt2"):
        load_classifier(f"{tmp_path}/absent.pt2")
    torch.export.save(exported_program(net(), {}), tmp_path / "net.pt2")
    (tmp_path / "cut.pt2").write_bytes((tmp_path / "net.pt2").read_bytes()[:500])
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt2")
    for name in ("cut", "weights"):
        with pytest.raises(ValueError, match=f"{name}.pt2 is not an exported program that torch"):
            load_classifier(f"{tmp_path}/{name}.pt2")
    assert capfd.readouterr().err == ""


def test_what_runs_code_is_known(tmp_path):
    for spec in ("a.pt2", "a.pt2?output=1", "net.py:make+a.pth", "package.module:make?output=1"):
        assert runs_code(spec)
    for spec in ("mnist7", "a.onnx", "timm:resnet18", "hf:folder", "resnet20+a.pth", "a.skops"):
        assert not runs_code(spec)
    torch.export.save(exported_program(net(), {}), tmp_path / "net.pt2")
    assert "use only files that you trust" in open_classifier(f"{tmp_path}/net.pt2").notes[0]


def fitted(classes=(0, 1, 2)):
    linear_model = pytest.importorskip(
        "sklearn.linear_model", reason='needs pip install "sosmooth[sklearn]"'
    )
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    labels = np.asarray(classes)[np.argmax(FEATURES[:, :3], axis=1)]
    return pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    ).fit(FEATURES, labels)


SKLEARN = """
import numpy as np
from sklearn.ensemble import RandomForestClassifier

def forest():
    x = np.load({features!r})
    return RandomForestClassifier(5, random_state=0).fit(x, x[:, :3].argmax(1))

estimator = forest()
"""


def write_csv(path, labels=None):
    labels = np.argmax(FEATURES[:, :3], axis=1) if labels is None else labels
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "label", "c", "d"])
        rows.writerows(
            [*row[:2].tolist(), label, *row[2:].tolist()]
            for row, label in zip(FEATURES, labels, strict=True)
        )


def test_scikit_learn(tmp_path, capsys):
    estimator = fitted()
    skops = pytest.importorskip("skops.io", reason='needs pip install "sosmooth[sklearn]"')
    skops.dump(estimator, tmp_path / "net.skops")
    write_csv(tmp_path / "data.csv")
    run, rows = certified(
        tmp_path / "run",
        tmp_path / "net.skops",
        f"csv:{tmp_path}/data.csv",
        "--indices",
        "0:8",
        capsys=capsys,
    )
    assert (run["radius"] > 0).any()
    same_certificates(run, lambda x: torch.from_numpy(estimator.predict(x.numpy())), FEATURES[:8])
    assert len(rows) == 8
    assert run.manifest.settings["model"]["architecture"] == "Pipeline"
    assert run.manifest.settings["data"]["features"] == ["a", "b", "c", "d"]
    np.save(tmp_path / "x.npy", FEATURES)
    (tmp_path / "made.py").write_text(SKLEARN.format(features=str(tmp_path / "x.npy")))
    for name in ("forest", "estimator"):
        opened = open_classifier(f"{tmp_path}/made.py:{name}")
        assert opened.num_classes == 3
        found = opened.classifier(torch.from_numpy(FEATURES))
        assert (found.numpy() == FEATURES[:, :3].argmax(1)).mean() > 0.9
    certified(
        tmp_path / "forest",
        f"{tmp_path}/made.py:forest",
        f"csv:{tmp_path}/data.csv",
        "--max",
        "2",
        capsys=capsys,
    )


def test_scikit_learn_classes_are_numbered_in_their_order(tmp_path):
    skops = pytest.importorskip("skops.io", reason='needs pip install "sosmooth[sklearn]"')
    named = fitted(("ant", "bee", "cat"))
    skops.dump(named, tmp_path / "named.skops")
    opened = open_classifier(f"{tmp_path}/named.skops")
    assert opened.settings["classes"] == ["ant", "bee", "cat"]
    expected = [["ant", "bee", "cat"].index(name) for name in named.predict(FEATURES)]
    assert opened.classifier(torch.from_numpy(FEATURES)).tolist() == expected
    write_csv(tmp_path / "data.csv", named.predict(FEATURES))
    assert load_dataset(f"csv:{tmp_path}/data.csv").labels.tolist() == expected
    skops.dump(fitted((1, 2, 3)), tmp_path / "from_one.skops")
    with pytest.raises(ValueError, match="fit it with the labels 0, 1, 2"):
        load_classifier(f"{tmp_path}/from_one.skops")


class Foreign:
    """A type that another person's file may contain."""

    def predict(self, inputs):
        return np.zeros(len(inputs), dtype=int)


def test_skops_files_that_are_refused(tmp_path):
    skops = pytest.importorskip("skops.io", reason='needs pip install "sosmooth[sklearn]"')
    skops.dump(Foreign(), tmp_path / "foreign.skops")
    with pytest.raises(
        ValueError, match=r"Foreign, which skops does not know to be safe.* FILE\.py:factory"
    ):
        load_classifier(f"{tmp_path}/foreign.skops")
    (tmp_path / "cut.skops").write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be read"):
        load_classifier(f"{tmp_path}/cut.skops")
    skops.dump([1, 2], tmp_path / "list.skops")
    with pytest.raises(ValueError, match="holds list; it must hold a fitted classifier"):
        load_classifier(f"{tmp_path}/list.skops")


def image_model(folder, **processor):
    """A random vision transformer in a folder, as the library saves it."""
    transformers = pytest.importorskip(
        "transformers", reason='needs pip install "sosmooth[huggingface]"'
    )
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=8,
        patch_size=4,
        num_labels=3,
    )
    model = transformers.ViTForImageClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.normal_()
    model.save_pretrained(folder)
    found = {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(found | processor))
    return model


def test_hugging_face_images(tmp_path, images_file, capsys):
    model = image_model(tmp_path / "vit")
    run, rows = certified(tmp_path / "run", f"hf:{tmp_path}/vit", images_file, capsys=capsys)
    assert run.manifest.settings["model"]["normalization"] == "0.5,0.4,0.3/0.2,0.2,0.2"
    assert (run["radius"] > 0).any()
    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    same_certificates(run, lambda x: model(pixel_values=(x - mean) / 0.2).logits, IMAGES)
    assert len(rows) == 6
    raw, _ = certified(
        tmp_path / "raw", f"hf:{tmp_path}/vit", images_file, "--normalize", "none", capsys=capsys
    )
    assert raw.manifest.settings["model"]["normalization"] == "none"
    assert raw.manifest.settings["model"]["spec"] == f"hf:{tmp_path}/vit?normalize=none"
    same_certificates(raw, lambda x: model(pixel_values=x).logits, IMAGES)


def test_hugging_face_models_that_are_refused(tmp_path):
    image_model(tmp_path / "vit", do_rescale=False)
    with pytest.raises(ValueError, match=r"do_rescale is false"):
        load_classifier(f"hf:{tmp_path}/vit")
    (tmp_path / "vit" / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"has no preprocessor_config\.json"):
        load_classifier(f"hf:{tmp_path}/vit")
    (tmp_path / "vit" / "model.safetensors").rename(tmp_path / "vit" / "pytorch_model.bin")
    with pytest.raises(ValueError, match="no model that can be read"):
        load_classifier(f"hf:{tmp_path}/vit")
    with pytest.raises(FileNotFoundError, match="get it by hf download somebody/absent"):
        load_classifier("hf:somebody/absent")


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "very"]


@pytest.fixture
def text_model(tmp_path):
    """A random BERT with a tokenizer of a few words, in a folder."""
    transformers = pytest.importorskip(
        "transformers", reason='needs pip install "sosmooth[huggingface]"'
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        num_labels=2,
        hidden_dropout_prob=0.5,
    )
    model = transformers.BertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.normal_(std=3)
    model.save_pretrained(tmp_path / "bert")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(tmp_path / "bert")
    return model


def test_hugging_face_text(tmp_path, text_model, capsys):
    (tmp_path / "texts.csv").write_text("text,label\na good film,1\na very very bad film,0\n")
    data = f"text:{tmp_path}/texts.csv?model={tmp_path}/bert&tokens=8"
    inputs = load_dataset(data)
    embeddings = inputs.get([0, 1])
    assert embeddings.shape == (2, 8, 17)
    assert (embeddings[..., -1] > 0).sum(1).tolist() == [5, 7]
    found = load_classifier(f"hf:{tmp_path}/bert")(torch.from_numpy(embeddings))
    ids = torch.tensor([[2, 4, 5, 7, 3, 0, 0, 0], [2, 4, 8, 8, 6, 7, 3, 0]])
    with torch.inference_mode():
        expected = text_model(input_ids=ids, attention_mask=(ids > 0).long()).logits
    torch.testing.assert_close(found, expected)
    run, rows = certified(tmp_path / "run", f"hf:{tmp_path}/bert", data, capsys=capsys, sigma=0.001)
    assert (run["radius"] > 0).any()
    assert run.manifest.settings["data"]["space"] == "embeddings of tokens"
    assert len(rows) == 2


def test_texts_that_cannot_be_read(tmp_path, text_model):
    (tmp_path / "texts.csv").write_text("label,text\nx\n")
    with pytest.raises(ValueError, match="line 2 has 1 cells, the first line 2"):
        load_dataset(f"text:{tmp_path}/texts.csv?model={tmp_path}/bert")
    (tmp_path / "texts.csv").write_text("words,label\nx,1\n")
    for columns, lacking in (("", "text"), ("&text=a&label=b", "a, b")):
        with pytest.raises(ValueError, match=f"name the columns {lacking}; it names words, label"):
            load_dataset(f"text:{tmp_path}/texts.csv?model={tmp_path}/bert{columns}")
    other = load_dataset(f"text:{tmp_path}/texts.csv?model={tmp_path}/bert&text=words&label=label")
    assert (other.get([0]).shape, other.labels.tolist()) == ((1, 64, 17), [1])
    (tmp_path / "texts.csv").write_text("text,label\na good film,yes\na bad film,no\n")
    named = load_dataset(f"text:{tmp_path}/texts.csv?model={tmp_path}/bert")
    assert (named.labels.tolist(), named.class_names) == ([1, 0], ("no", "yes"))
    (tmp_path / "texts.csv").write_text("text\na good film\n")
    with pytest.raises(ValueError, match="the embeddings of which model"):
        load_dataset(f"text:{tmp_path}/texts.csv")
    with pytest.raises(ValueError, match="tokens must be a whole number"):
        load_dataset(f"text:{tmp_path}/texts.csv?model={tmp_path}/bert&tokens=0")
    assert load_dataset(
        f"text:{tmp_path}/texts.csv?model={tmp_path}/bert&tokens=3"
    ).labels.tolist() == [-1]


def test_timm(tmp_path, capsys):
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        pytest.skip(
            f"timm needs torchvision, of which there is no CPU build for this torch: {error}"
        )
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model("resnet10t", pretrained=False)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    opened = open_classifier(f"timm:resnet10t+{tmp_path}/net.safetensors")
    assert opened.settings["normalization"] == "0.485,0.456,0.406/0.229,0.224,0.225"
    assert opened.num_classes == 1000
    images = RNG.random((2, 3, 64, 64), dtype=np.float32)
    np.savez(tmp_path / "images.npz", inputs=images)
    certified(
        tmp_path / "run",
        f"timm:resnet10t+{tmp_path}/net.safetensors",
        tmp_path / "images.npz",
        capsys=capsys,
        n=10,
    )


CALLABLES = """
import numpy as np, torch
from sosmooth import from_numpy
from torch import nn

def brightest(): return from_numpy(lambda images: images.mean((2, 3)).argmax(1))
def means(): return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
def pair(): return torch.ones(4, 3, 8, 8) / 2, torch.zeros(4, dtype=torch.long)
"""


def test_numpy_functions_and_pairs_of_arrays(tmp_path, images_file, capsys):
    (tmp_path / "made.py").write_text(CALLABLES)
    run, rows = certified(
        tmp_path / "run",
        f"{tmp_path}/made.py:brightest",
        f"{tmp_path}/made.py:pair",
        "--num-classes",
        "3",
        capsys=capsys,
    )
    assert (len(run), len(rows)) == (4, 4)
    same_certificates(
        run, lambda x: x.mean((2, 3)).argmax(1), np.full((4, 3, 8, 8), 0.5, np.float32)
    )


def test_normalization_is_in_front_of_the_classifier_and_in_the_manifest(
    tmp_path, images_file, capsys
):
    (tmp_path / "made.py").write_text(CALLABLES)
    text = "0.9,0.5,0.1/0.1,1.0,2.0"
    run, _ = certified(
        tmp_path / "run",
        f"{tmp_path}/made.py:means",
        images_file,
        "--normalize",
        text,
        capsys=capsys,
    )
    recorded = run.manifest.settings["model"]
    assert recorded["normalization"] == text
    again = open_classifier(recorded["spec"])
    assert again.settings == recorded
    mean, std = torch.tensor([0.9, 0.5, 0.1]), torch.tensor([0.1, 1.0, 2.0])
    same_certificates(run, lambda x: (x.mean((2, 3)) - mean) / std, IMAGES)
    same_certificates(run, again.classifier, IMAGES)
    with pytest.raises(
        RunError,
        match=r"another classifier: its normalization is 0\.9,0\.5,0\.1/0\.1,1\.0,2\.0, that of",
    ):
        check_same(
            run, open_classifier(f"{tmp_path}/made.py:means"), load_dataset(str(images_file))
        )
    assert open_classifier(f"{tmp_path}/made.py:means", normalize="imagenet").settings[
        "normalization"
    ] == ("0.485,0.456,0.406/0.229,0.224,0.225")
    one = load_classifier(f"{tmp_path}/made.py:brightest", normalize="0.5/0.25")
    assert one(torch.from_numpy(IMAGES)).tolist() == IMAGES.mean((2, 3)).argmax(1).tolist()
    with pytest.raises(
        ValueError, match="cannot read the options 'normalise=imagenet'; write normalize=imagenet"
    ):
        load_classifier(f"{tmp_path}/made.py:means?normalise=imagenet")
    with pytest.raises(ValueError, match="the normalisation is for 2 channels; the inputs have 3"):
        load_classifier(f"{tmp_path}/made.py:means", normalize="0,0/1,1")(torch.from_numpy(IMAGES))


@pytest.mark.parametrize(
    "text", ["cifar", "0.5", "0.5/0", "0.5/-1", "0.5,0.5/1", "a/1", "nan/1", "0/inf", "0/1/2", ""]
)
def test_normalizations_that_make_no_sense(text):
    with pytest.raises(ValueError, match="MEAN/STD, as in"):
        open_classifier("mnist7", sigma=0.25, normalize=text)


def png(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


PIXELS = RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
EXPECTED = PIXELS.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def test_parquet_with_images(tmp_path, capsys):
    cells = [{"bytes": png(image), "path": None} for image in PIXELS]
    pq.write_table(pa.table({"image": cells, "label": [0, 1, 2, None, 0]}), tmp_path / "a.parquet")
    data = load_dataset(f"parquet:{tmp_path}/a.parquet")
    np.testing.assert_array_equal(data.get(range(5)), EXPECTED)
    assert data.labels.tolist() == [0, 1, 2, -1, 0]
    assert data.lattice == 1 / 255
    pq.write_table(
        pa.table({"img": [png(image) for image in PIXELS], "fine": [0, 1, 2, 0, 1]}),
        tmp_path / "b.parquet",
    )
    named = load_dataset(f"parquet:{tmp_path}/b.parquet?image=img&label=fine&crop=4")
    np.testing.assert_array_equal(named.get([1]), EXPECTED[1:2, :, 2:6, 2:6])
    assert named.settings["spec"] == f"parquet:{tmp_path}/b.parquet?image=img&label=fine&crop=4"
    (tmp_path / "made.py").write_text(CALLABLES)
    certified(
        tmp_path / "run",
        f"{tmp_path}/made.py:means",
        f"parquet:{tmp_path}/a.parquet",
        capsys=capsys,
    )


def test_parquet_that_cannot_be_read(tmp_path):
    path = tmp_path / "a.parquet"
    for table, message in (
        ({"label": [png(PIXELS[0])]}, "'label' cannot hold both images and labels"),
        ({"a": [1], "b": [2]}, r"has the columns 'a', 'b'; name the column of .*\?image=COLUMN"),
        ({"image": [{"bytes": None, "path": "a.png"}], "label": [0]}, "image 0 has no bytes"),
        ({"image": [b"no image"], "label": [0]}, "image 0 cannot be read as an image"),
        ({"image": [png(PIXELS[0])], "label": [0.5]}, "labels must be integers or names; got 0.5"),
        (
            {"image": [png(PIXELS[0]), png(PIXELS[0][:4])], "label": [0, 1]},
            r"bring all to one size, or add \?resize",
        ),
    ):
        pq.write_table(pa.table(table), path)
        with pytest.raises(ValueError, match=message):
            load_dataset(f"parquet:{path}")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="not a complete Parquet file"):
        load_dataset(f"parquet:{path}")
    with pytest.raises(FileNotFoundError, match=r"absent\.parquet"):
        load_dataset(f"parquet:{tmp_path}/absent.parquet")
    with pytest.raises(ValueError, match="cannot read the options 'colour=x'; write image=COLUMN"):
        load_dataset(f"parquet:{path}?colour=x")


def test_hugging_face_data(tmp_path, capsys):
    datasets = pytest.importorskip("datasets", reason='needs pip install "sosmooth[huggingface]"')
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])}
    )
    made = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": png(image), "path": None} for image in PIXELS],
            "label": [0, 1, 2, 0, 1],
        },
        features=features,
    )
    made.save_to_disk(tmp_path / "one")
    data = load_dataset(f"hf:{tmp_path}/one")
    np.testing.assert_array_equal(data.get(range(5)), EXPECTED)
    assert (data.num_classes, data.settings["classes"], data.lattice) == (
        3,
        ["a", "b", "c"],
        1 / 255,
    )
    datasets.DatasetDict({"train": made, "test": made.select([2])}).save_to_disk(tmp_path / "two")
    assert load_dataset(f"hf:{tmp_path}/two").labels.tolist() == [2]
    assert len(load_dataset(f"hf:{tmp_path}/two?split=train")) == 5
    with pytest.raises(ValueError, match="has no split 'valid'; it has train, test"):
        load_dataset(f"hf:{tmp_path}/two?split=valid")
    with pytest.raises(ValueError, match="has the columns 'image', 'label'"):
        load_dataset(f"hf:{tmp_path}/one?image=img")
    with pytest.raises(FileNotFoundError, match="absent"):
        load_dataset(f"hf:{tmp_path}/absent")
    (tmp_path / "made.py").write_text(CALLABLES)
    certified(tmp_path / "run", f"{tmp_path}/made.py:means", f"hf:{tmp_path}/one", capsys=capsys)


def test_csv_features(tmp_path):
    write_csv(tmp_path / "a.csv")
    data = load_dataset(f"csv:{tmp_path}/a.csv")
    np.testing.assert_array_equal(data.get(range(60)), FEATURES)
    scaled = load_dataset(f"csv:{tmp_path}/a.csv?standardize={tmp_path}/a.csv")
    np.testing.assert_allclose(scaled.get(range(60)).std(axis=0), 1, rtol=1e-5)
    assert scaled.settings["scaled"] == "(x − mean) / std"
    np.testing.assert_allclose(scaled.settings["mean"], FEATURES.mean(axis=0), rtol=1e-4, atol=1e-6)
    for content, message in (
        ("", "not a CSV file"),
        ("a,a\n1,2\n", "names the column 'a' twice"),
        ("a,b\n\n1\n", "line 3 has 1 cells, the first line 2"),
        ("a,b\n1,2\n1,x\n", "line 3: the column 'b' holds 'x'; features must be numbers"),
        ("a,b\n1,\n", "line 2: the column 'b' is empty"),
        ("a,b\n1,x\n", r"holds the labels, write \S+b\.csv\?label=b; .*\?model=FOLDER&text=b"),
        ("a,label\nx,1\n", r"incomplete lines; if it holds texts, write text:\S+&text=a"),
        ("a,b\n1,nan\n", "input 0 holds NaN"),
        ("label\n1\n", "has no features"),
    ):
        (tmp_path / "b.csv").write_text(content)
        with pytest.raises(ValueError, match=message):
            load_dataset(f"csv:{tmp_path}/b.csv").get([0])
    (tmp_path / "b.csv").write_text("a,b,c,d\n1,2,3,4\n1,3,4,5\n")
    with pytest.raises(ValueError, match="the feature 'a' is constant"):
        load_dataset(f"csv:{tmp_path}/a.csv?standardize={tmp_path}/b.csv")
    with pytest.raises(ValueError, match="has no column 'y'"):
        load_dataset(f"csv:{tmp_path}/a.csv?label=y")


def test_the_suffix_of_a_table_says_its_format(tmp_path):
    write_csv(tmp_path / "a.csv")
    short, long = (load_dataset(f"{kind}{tmp_path}/a.csv?label=label") for kind in ("", "csv:"))
    assert short.settings == long.settings
    (tmp_path / "table.txt").write_text("a,label\n1,0\n")
    with pytest.raises(ValueError, match=r"write csv:\S+table\.txt"):
        load_dataset(f"{tmp_path}/table.txt")
    assert len(load_dataset(f"csv:{tmp_path}/table.txt")) == 1
    with pytest.raises(FileNotFoundError, match="no file"):
        load_dataset(f"{tmp_path}/none.parquet")


def test_weights_without_an_architecture_are_given_one(tmp_path, capsys):
    said = {"architecture": "mnist7_cnn", "num_classes": 10}
    torch.save(build("mnist7_cnn").state_dict(), tmp_path / "net.pt")
    save_weights(tmp_path / "said.safetensors", build("mnist7_cnn"), said)
    for file in ("net.pt", "said.safetensors"):
        found, _ = certified(
            tmp_path / file.partition(".")[0],
            f"{tmp_path}/{file}",
            "mnist7",
            "--max",
            "1",
            "--architecture",
            "mnist7_cnn",
            capsys=capsys,
            n=4,
        )
        spec = found.manifest.settings["model"]["spec"]
        assert spec == f"{'mnist7_cnn+' if file == 'net.pt' else ''}{tmp_path}/{file}"
    line = f"doctor --model {tmp_path}/net.pt --data mnist7 --sigma 0.25 --architecture"
    for name, message in (("resnet9", "unknown architecture 'resnet9'"), ("resnet20", "fit")):
        assert main([*line.split(), name]) == 2
        assert message in capsys.readouterr().err
    assert main([*line.replace("net.pt", "net.onnx").split(), "resnet20"]) == 2
    assert "--architecture='resnet20' is for weights alone" in capsys.readouterr().err


def test_shuffle_seed_chooses_as_by_chance_and_is_recorded_by_the_indices(tmp_path, capsys):
    def chosen(seed, count):
        run, rows = certified(
            tmp_path / f"{seed}_{count}",
            "mnist7",
            "mnist7",
            "--max",
            str(count),
            "--shuffle-seed",
            str(seed),
            capsys=capsys,
            n=4,
        )
        assert run["index"].tolist() == [row["index"] for row in rows] == sorted(run["index"])
        assert run.manifest.settings["indices"] == ",".join(map(str, run["index"]))
        return set(run["index"].tolist())

    assert chosen(1, 3) == {952, 5333, 6368}  # the same on every machine
    assert chosen(1, 3) < chosen(1, 5)
    assert chosen(2, 5).isdisjoint(chosen(1, 5))


def test_a_missing_package_is_one_line(tmp_path, capsys, monkeypatch, images_file):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    code = main(
        ["predict", "--model", f"hf:{tmp_path}", "--data", str(images_file), "--sigma", "0.25"]
    )
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err == (
        "sosmooth: transformers is not installed; install it, in a clone of sosmooth, with"
        ' pip install -c constraints.txt ".[huggingface]"\n'
    )
