"""Small random files with the names that the commands of the pages use."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

RNG = np.random.default_rng(0)

CLASSIFIER = """
from torch import nn

def build():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
"""
DENOISER = """
from torch import nn

def build():
    return nn.Conv2d(3, 3, 3, padding=1)
"""
MY_DATA = """
import torch

def test_set():
    return torch.full((4, 3, 8, 8), 0.5), torch.tensor([0, 1, 2, 0])
"""
LOG = """\
idx label predict radius raw_count p_A_bar raw_grad_norm grad_norm_bound \
grad_norm_bound_nonvacuous correct time
0 1 1 0.368 93210 0.929 0.3 1.2 0 1 0:00:01
10 2 -1 0.0 50100 0.498 0.1 1.6 0 0 0:00:01
"""
DIPOLE_LOG = """\
idx label predict radius raw_count_symmetric raw_count_asymmetric \
p_A_symmetric_bar p_A_asymmetric_bar correct time
0 7 7 0.409 45162 2412 0.898818 0.045145 1 0:00:01
10 2 -1 0.0 7931 15881 0.153285 0.310787 0 0:00:01
"""


def denoiser(here: Path) -> None:
    """Write the module of a denoiser and its weights."""
    (here / "denoiser.py").write_text(DENOISER)
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 3, padding=1)
    save_file(network.state_dict(), here / "denoiser.safetensors")


def own(here: Path) -> None:
    """Write a module, its weights, and images by class."""
    (here / "classifier.py").write_text(CLASSIFIER)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    save_file(network.state_dict(), here / "weights.safetensors")
    for name in ("images", "photos"):
        for label in ("cat", "dog", "emu"):
            (here / name / label).mkdir(parents=True)
            for number in range(2):
                Image.open(io.BytesIO(_png(32))).save(here / name / label / f"{number}.png")


def files(here: Path) -> None:
    """Write arrays, a table, a data set of images, and classifiers.

    The classifiers are in the formats of PyTorch, ONNX and scikit-learn.
    """
    images = RNG.random((4, 3, 8, 8), dtype=np.float32)
    np.savez(here / "inputs.npz", inputs=images, labels=np.array([0, 1, 2, 0]))
    (here / "my_data.py").write_text(MY_DATA)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)).eval()
    torch.export.save(torch.export.export(head, (torch.zeros(4, 3, 8, 8),)), here / "program.pt2")
    _onnx(here, head[2])
    table = pyarrow.table({"img": [_png(32)] * 3, "fine_label": [0, 1, 2]})
    pyarrow.parquet.write_table(table, here / "test.parquet")
    features = RNG.normal(size=(40, 3)).astype(np.float32)
    for name in ("train", "test"):
        with (here / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ["a", "b", "c", "label"],
                    *([*row.tolist(), int(row.argmax())] for row in features),
                ]
            )
    fitted(features, here / "regression.skops")


def fitted(features: np.ndarray, path: Path | None = None):
    """A fitted classifier of scikit-learn; it is written to `path` if there is one."""
    linear = pytest.importorskip(
        "sklearn.linear_model", reason='needs pip install "sosmooth[sklearn]"'
    )
    estimator = linear.LogisticRegression().fit(features, features.argmax(1))
    if path is not None:
        pytest.importorskip("skops.io").dump(estimator, path)
    return estimator


def _onnx(here: Path, layer: nn.Linear) -> None:
    onnx = pytest.importorskip("onnx", reason='needs pip install "sosmooth[onnx]" and onnx')
    helper, state = onnx.helper, layer.state_dict()
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"], transB=1),
    ]
    given = helper.make_tensor_value_info(
        "x", onnx.TensorProto.FLOAT, ["batch", 3, "height", "width"]
    )
    made = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["batch", 3])
    weights = [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in state.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "net", [given], [made], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    for name in ("net.onnx", "resnet.onnx"):
        onnx.save(model, here / name)


def hugging_face(here: Path) -> None:
    """Write a random BERT with its words, a random ViT, a data set of images, and texts."""
    transformers = pytest.importorskip(
        "transformers", reason='needs pip install "sosmooth[huggingface]"'
    )
    datasets = pytest.importorskip("datasets")
    tokenizers = pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    words = {
        word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "film"])
    }
    sizes = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
    }
    bert = transformers.BertConfig(
        vocab_size=len(words), max_position_embeddings=64, num_labels=2, **sizes
    )
    transformers.BertForSequenceClassification(bert).save_pretrained(here / "bert")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    fast.save_pretrained(here / "bert")
    (here / "reviews.csv").write_text("text,label\na good film,1\na film,0\n")
    vit = transformers.ViTConfig(image_size=8, patch_size=4, num_labels=3, **sizes)
    transformers.ViTForImageClassification(vit).save_pretrained(here / "vit")
    scaled = {
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    (here / "vit" / "preprocessor_config.json").write_text(json.dumps(scaled))
    kinds = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])}
    )
    rows = {"image": [{"bytes": _png(8), "path": None}] * 3, "label": [0, 1, 2]}
    datasets.DatasetDict(
        {"validation": datasets.Dataset.from_dict(rows, features=kinds)}
    ).save_to_disk(here / "beans")


def cifar(here: Path) -> None:
    """Write a whole batch of CIFAR-10's binary files, and random weights of a ResNet-20."""
    from sosmooth.classifiers.architectures import build

    folder = here / "cifar" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").write_bytes(bytes(10_000 * 3073))
    save_file(build("resnet20").state_dict(), here / "weights.safetensors")


def log(text: str):
    """Write a log with its columns separated by tabs."""

    def write(here: Path) -> None:
        (here / "log.tsv").write_text(
            "".join("\t".join(line.split()) + "\n" for line in text.splitlines())
        )

    return write


def runs(here: Path) -> None:
    """Make two finished runs of the same pairs."""
    from sosmooth.cli import main

    for name in ("run", "RUN", "RUN2"):
        options = [
            "--model",
            "mnist7",
            "--data",
            "mnist7",
            "--sigma",
            "0.25",
            "--n",
            "200",
            "--max",
            "2",
            "--json",
        ]
        assert main(["certify", *options, "--out", str(here / name)]) == 0


def art_classifier():
    """A classifier of the Adversarial Robustness Toolbox for 7×7 digits."""
    estimators = pytest.importorskip(
        "art.estimators.classification", reason='needs pip install "sosmooth[art]"'
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(49, 10))
    return estimators.PyTorchClassifier(
        network, nn.CrossEntropyLoss(), (7, 7), 10, device_type="cpu"
    )


def smoothed_digits() -> dict:
    """A smoothed classifier and inputs."""
    from sosmooth import SmoothedClassifier, load_classifier
    from sosmooth.datasets import load_dataset

    smoothed = SmoothedClassifier(load_classifier("mnist7", sigma=0.25), sigma=0.25)
    return {"smoothed": smoothed, "inputs": load_dataset("mnist7").get([0, 1])}


def _png(size: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(file, "png")
    return file.getvalue()
