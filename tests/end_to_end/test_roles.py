"""Five newcomers, each with a list of commands in `roles/`.

One has a PyTorch model and a folder, one the logs of Cohen's scripts, one a colleague's ONNX file,
one scikit-learn and a CSV file, one a Hugging Face text model. What they type first may be refused;
the message then names the next command. They have a certificate within three commands.
"""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sosmooth import load_run
from sosmooth.cli import main

LISTS = Path(__file__).with_name("roles")
COLOURS = ("blue", "green", "red")  # of channel 2, 1, 0
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(3, 3)

    def forward(self, images):
        return self.head(self.pool(images).flatten(1))
"""
# As smoothing of Cohen, Rosenfeld, Kolter prints it.
LOG = """\
idx label predict radius correct time
0 3 3 0.432 1 0:00:12.345678
10 0 0 0.118 1 0:00:12.345678
20 8 -1 0.0 0 0:00:12.345678
"""


def head():
    """Tells blue, green and red images apart."""
    layer = nn.Linear(3, 3)
    with torch.no_grad():
        layer.weight.copy_(30 * torch.eye(3).flip(0))
        layer.bias.zero_()
    return layer


def images(count=2):
    """Images (count · 3, 3, 16, 16) of the colours, and their labels."""
    pixels = np.random.default_rng(0).random((3 * count, 3, 16, 16), dtype=np.float32) / 4
    labels = np.arange(3 * count) % 3
    for image, label in zip(pixels, labels, strict=True):
        image[2 - label] += 0.7
    return pixels, labels


def pytorch_and_folder(here):
    (here / "net.py").write_text(NET)
    state = {f"head.{name}": value for name, value in head().state_dict().items()}
    torch.save(state, here / "net.pt")
    for number, (pixels, label) in enumerate(zip(*images(), strict=True)):
        folder = here / "photos" / COLOURS[label]
        folder.mkdir(parents=True, exist_ok=True)
        picture = (255 * pixels.transpose(1, 2, 0)).astype(np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")


def cohens_logs(here):
    lines = ["\t".join(line.split()) for line in LOG.splitlines()]
    (here / "certify_sigma_0.25.txt").write_text("\n".join([*lines, ""]))


def onnx_file(here):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, layer = onnx.helper, head()
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"], transB=1),
    ]
    kind = onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", kind, ["batch", 3, "height", "width"])
    made = helper.make_tensor_value_info("scores", kind, ["batch", 3])
    weights = [
        onnx.numpy_helper.from_array(value.numpy(), name)
        for name, value in layer.state_dict().items()
    ]
    graph = helper.make_graph(nodes, "net", [given], [made], weights)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), here / "net.onnx")
    pixels, labels = images()
    np.savez(here / "images.npz", inputs=pixels, labels=labels)


def scikit_learn_and_csv(here):
    linear = pytest.importorskip("sklearn.linear_model")
    skops = pytest.importorskip("skops.io")
    rng = np.random.default_rng(0)
    kinds = np.array(["setosa", "versicolor", "virginica"])[np.arange(60) % 3]
    features = rng.normal(size=(60, 2)).round(3) + 5 * (np.arange(60) % 3)[:, None]
    skops.dump(linear.LogisticRegression().fit(features, kinds), here / "flowers.skops")
    with (here / "flowers.csv").open("w", newline="") as file:
        rows = [[*row, kind] for row, kind in zip(features.tolist(), kinds.tolist(), strict=True)]
        csv.writer(file).writerows([["length", "width", "species"], *rows])


def hugging_face_text(here):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film"]
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=64,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
    )
    model = transformers.BertForSequenceClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.normal_(std=30)
    model.save_pretrained(here / "bert")
    numbered = {word: number for number, word in enumerate(words)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbered, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(here / "bert")
    (here / "reviews.csv").write_text("review,opinion\na good film,positive\na bad film,negative\n")


ROLES = {
    prepare.__name__: prepare
    for prepare in (
        pytorch_and_folder,
        cohens_logs,
        onnx_file,
        scikit_learn_and_csv,
        hugging_face_text,
    )
}


#: What the others load is loaded in quick tests of its own.
QUICK = ("pytorch_and_folder", "cohens_logs")


def commands_of(role):
    """The commands of a list, each with the message that it is refused with; None: it works."""
    for line in (LISTS / f"{role}.sh").read_text().splitlines():
        command, _, said = line.partition("  # refused: ")
        if words := shlex.split(command, comments=True):
            assert words.pop(0) == "sosmooth"
            yield words, said or None


@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=() if role in QUICK else pytest.mark.slow) for role in ROLES],
)
def test_a_newcomer_certifies_within_three_commands(role, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ROLES[role](tmp_path)
    certified_by = []
    for number, (words, refused) in enumerate(commands_of(role), 1):
        code = main(words)
        err = capsys.readouterr().err
        assert code == (2 if refused else 0), err
        assert (refused or "") in err
        assert "Loading" not in err  # a bar of another package
        runs = [path.parent for path in tmp_path.glob("*/manifest.json")]
        if any(np.any(load_run(run)["radius"] > 0) for run in runs):
            certified_by.append(number)
    assert certified_by[0] <= 3
    assert (tmp_path / "report.html").stat().st_size > 100_000


def test_names_of_classes_reach_every_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pytorch_and_folder(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(COLOURS))
    model = ["--model", "net.py:Net+net.pt"]
    given = [*model, "--data", "photos", "--sigma", "0.25", "--n", "200"]

    def printed(*words):
        assert main([*words]) == 0
        return capsys.readouterr().out

    for number, names in enumerate(([], ["--class-names", "names.txt"])):
        predicted = json.loads(printed("predict", *given, *names, "--json"))
        assert [row["prediction_name"] for row in predicted] == sorted(2 * COLOURS)
        run = f"run{number}"
        printed("certify", *given, *names, "--out", run)
        assert load_run(run)._repr_html_().count("<td>red</td>") == 4  # labels and classes
    few = ["--max", "3", "--steps", "1", "--samples", "4", "--judge-n", "100", "--look-n", "100"]
    audited = json.loads(printed("audit", "run0", *model, *few, "--json"))
    assert [row["prediction_name"] for row in audited["inputs"]] == ["blue", "blue", "green"]


def test_each_list_has_a_role():
    assert {path.stem for path in LISTS.iterdir()} == ROLES.keys()
