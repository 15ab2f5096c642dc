"""Which output of a classifier is used, how a single score is read, and what is refused."""

import json
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from sosmooth import SmoothedClassifier, load_classifier, load_run
from sosmooth.classifiers.load import open_classifier
from sosmooth.classifiers.outputs import Output, chosen
from sosmooth.cli import main
from sosmooth.sampling.evaluator import ClassifierError
from sosmooth.sampling.outputs import named_outputs

MODULES = """
import dataclasses, torch
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.one = nn.Linear(4, 3), nn.Linear(4, 1)
    def forward(self, x):
        return self.linear(x)

class Pair(Base):
    def forward(self, x): return self.linear(x), x[:, None, None, :]

class Ambiguous(Base):
    def forward(self, x): return x, self.linear(x)

class Named(Base):
    def forward(self, x): return {"features": x, "logits": self.linear(x)}

class Nested(Base):
    def forward(self, x): return [x.sum(), {"aux": x, "head": {"scores": self.linear(x)}}]

@dataclasses.dataclass
class Made:
    hidden: torch.Tensor
    logits: torch.Tensor

class Data(Base):
    def forward(self, x): return Made(x, self.linear(x))

class Array(Base):
    def forward(self, x): return self.linear(x).numpy()[:, ::-1][:, ::-1]

class Ranked(Base):
    def forward(self, x): return self.linear(x).topk(2)

class Best(Base):
    def forward(self, x): return self.linear(x).max(1)

class Text(Base):
    def forward(self, x): return "dog"

class Half(Base):
    def __init__(self): super().__init__(); self.half()

class Bfloat(Base):
    def __init__(self): super().__init__(); self.bfloat16()

class Double(Base):
    def __init__(self): super().__init__(); self.double()

class Map(Base):
    def forward(self, x): return self.linear(x)[:, :, None, None]

class Sigmoid(Base):
    def forward(self, x): return torch.sigmoid(self.one(x))

class Margin(Base):
    def forward(self, x): return self.one(x)

class Squeezed(Base):
    def forward(self, x): return self.one(x).squeeze(1)

class Probabilities(Base):
    def forward(self, x): return self.one(x).clamp(0, 1)

class OneByOne(Base):
    def forward(self, x): return self.linear(x.reshape(4))[None]

class NaN(Base):
    def forward(self, x): return self.linear(x) * torch.nan

class Raises(Base):
    def forward(self, x):
        raise KeyError(0)

class Long(Base):
    def forward(self, x):
        raise ValueError("the sizes are\\n  index: 1\\n  Got: 7 Expected: 28")
"""


@pytest.fixture
def own(tmp_path):
    return files_of_user(tmp_path)


def files_of_user(folder):
    """Classifiers and three inputs."""
    (folder / "own.py").write_text(MODULES)
    inputs = np.random.default_rng(0).random((3, 4), dtype=np.float32)
    np.savez(folder / "data.npz", inputs=inputs)
    return folder


def call(capsys, own, command, model, *more):
    """Exit code, standard output and standard error."""
    model = model if ":" in model or "." in model else f"{own}/own.py:{model}"
    code = main(
        [
            *(command, "--model", model, "--data", f"{own}/data.npz", "--sigma", "0.5"),
            *map(str, more),
        ]
    )
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def certify(capsys, own, model, *more, n=200):
    return call(
        capsys,
        own,
        "certify",
        model,
        *("--n", n, "--n0", 20, "--batch-size", 50, "--out", own / "run", "--json", *more),
    )


def counts(own):
    return load_run(own / "run")["count_top"].tolist()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The counts of the classifier that has one output."""
    own = files_of_user(tmp_path_factory.mktemp("expected"))
    inputs = np.load(own / "data.npz")["inputs"]
    smoothed = SmoothedClassifier(
        load_classifier(f"{own}/own.py:Base"), sigma=0.5, num_classes=3, batch_size=50
    )
    return smoothed.certify(inputs, n=200, n0=20).tally.count_top.tolist()


@pytest.mark.parametrize(
    ("model", "output", "why"),
    [
        ("Pair", "0", "its shape"),
        ("Named", "logits", "its name"),
        ("Nested", "1.head.scores", "its name"),
        ("Data", "logits", "its name"),
    ],
)
def test_the_output_that_leaves_no_choice(capsys, own, expected, model, output, why):
    code, _, err = certify(capsys, own, model)
    assert code == 0, err
    assert f"{output} is taken for {why}" in err
    assert counts(own) == expected
    recorded = load_run(own / "run").manifest.settings["model"]
    assert recorded["output"] == output
    assert recorded["spec"].endswith(f"?output={output}")
    assert certify(capsys, own, f"{own}/own.py:{model}", "--output", output)[0] == 0  # the same run
    few = ["--max", "1", "--steps", "2", "--samples", "4", "--judge-n", "50", "--look-n", "50"]
    assert main(["audit", str(own / "run"), "--model", recorded["spec"], *few]) == 0


@pytest.mark.parametrize("output", ["1", "number"])
def test_an_output_is_named(capsys, own, expected, output):
    if output == "number":  # the number of scores tells which output it is
        code, _, err = certify(capsys, own, "Ambiguous", "--num-classes", "3")
        assert "1 is taken for its shape" in err
    else:
        code, _, err = certify(capsys, own, "Ambiguous", "--output", output)
        assert "taken" not in err
    assert code == 0
    assert counts(own) == expected


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Ambiguous", "returns 2 outputs"),
        ("Ranked", "values (2, 2) float32, indices (2, 2) int64"),
        ("Best", "values (2,) float32, indices (2,) int64"),
        ("Text", "the classifier returned str"),
    ],
)
@pytest.mark.parametrize("command", ["certify", "doctor", "predict"])
def test_what_leaves_a_choice_is_refused_by_every_command(capsys, own, model, said, command):
    more = {"certify": ("--out", own / "run"), "predict": ("--n", 20)}.get(command, ())
    code, out, err = call(capsys, own, command, model, *more)
    assert code == 1
    assert said in (out if command == "doctor" else err)
    assert "Traceback" not in err
    assert not (own / "run").exists()


def test_an_output_that_is_not_there(capsys, own):
    code, _, err = certify(capsys, own, "Named", "--output", "scores")
    assert code == 1
    assert "no output 'scores'" in err
    assert "features (2, 4) float32, logits (2, 3) float32" in err


@pytest.mark.parametrize("model", ["Array", "Map", "Double"])
def test_other_forms_of_the_same_scores(capsys, own, expected, model):
    assert certify(capsys, own, model)[0] == 0
    assert counts(own) == expected


@pytest.mark.parametrize("model", ["Half", "Bfloat", "Double", "Named", "Array"])
@pytest.mark.parametrize("command", ["certify", "doctor", "predict"])
def test_every_command_calls_in_the_same_way(capsys, own, model, command):
    more = {"certify": ("--n", 50, "--out", own / "run"), "predict": ("--n", 50)}.get(command, ())
    code, out, err = call(capsys, own, command, model, *more)
    assert code == 0, out + err


def test_workers_open_the_output_that_was_chosen(capsys, own, expected):
    code, _, err = certify(capsys, own, "Named", "--workers", 1)
    assert code == 0, err
    assert counts(own) == expected


@pytest.mark.parametrize(
    ("model", "reading", "threshold"),
    [("Sigmoid", "probability", 0.5), ("Margin", "margin", 0.0), ("Squeezed", "margin", 0.0)],
)
def test_one_score_is_two_classes(capsys, own, model, reading, threshold):
    code, _, err = certify(capsys, own, model)
    assert code == 0, err
    assert f"read as a {reading}: class 1 above {threshold:g}" in err
    run = load_run(own / "run")
    assert run.manifest.num_classes == 2
    module = load_classifier(f"{own}/own.py:{model}")
    smoothed = SmoothedClassifier(
        lambda x: (module(x).reshape(-1) > threshold).long(),
        sigma=0.5,
        num_classes=2,
        batch_size=50,
    )
    with np.load(own / "data.npz") as data:
        direct = smoothed.certify(data["inputs"], n=200, n0=20)
    assert run["selected"].tolist() == direct.selected.tolist()
    assert counts(own) == direct.tally.count_top.tolist()
    assert certify(capsys, own, model, "--single-score", reading)[0] == 0  # the same run


def test_one_score_of_unknown_meaning_is_refused(capsys, own):
    code, _, err = certify(capsys, own, "Probabilities")
    assert code == 1
    assert "one score for each input" in err
    assert "'probability'" in err
    assert certify(capsys, own, "Probabilities", "--single-score", "probability")[0] == 0
    assert certify(capsys, own, "Margin", "--single-score", "logit")[0] == 2
    code, _, err = certify(capsys, own, "Base", "--single-score", "margin")
    assert code == 1
    assert "leave it out" in err


def test_a_classifier_of_one_input_at_a_time(capsys, own, expected):
    code, _, err = certify(capsys, own, "OneByOne")
    assert code == 1
    assert "one input at a time; give --batch-size 1" in err
    common = ["--n", 200, "--n0", 20, "--batch-size", 1, "--out", own / "run"]
    assert call(capsys, own, "certify", "OneByOne", *common)[0] == 0
    assert counts(own) == expected


def test_all_of_an_error_with_its_place(capsys, own):
    code, _, err = certify(capsys, own, "Long")
    assert code == 1
    assert (
        "raised ValueError on a batch of shape 2×4: the sizes are index: 1 Got: 7 Expected: 28 "
        "(own.py"
    ) in err
    assert err.count("\n") == 1
    code, _, err = certify(capsys, own, "Raises")
    assert "raised KeyError on a batch of shape 2×4: 0 (own.py, line " in err
    _, _, err = certify(capsys, own, "Raises", "--traceback")
    assert "Traceback (most recent call last)" in err
    assert "raise KeyError(0)" in err


@pytest.mark.parametrize(
    ("code_of_user", "said"),
    [
        ("def made():\n    return {}[0]\n", "KeyError: 0 (broken.py, line 2)"),
        ("def made():\n    return None.shape\n", "AttributeError: 'NoneType' object"),
        ("def made(:\n", "SyntaxError: "),
        ("1 / 0\n", "ZeroDivisionError: division by zero (broken.py, line 1)"),
        ("def made():\n    assert False, 'two\\nlines'\n", "AssertionError: two lines (broken.py"),
    ],
)
def test_what_a_users_file_raises_is_said_with_its_type_and_place(capsys, own, code_of_user, said):
    (own / "broken.py").write_text(code_of_user)
    for arguments in (
        ["--model", f"{own}/broken.py:made", "--data", f"{own}/data.npz"],
        ["--model", f"{own}/own.py:Base", "--data", f"{own}/broken.py:made"],
    ):
        code = main(["predict", *arguments, "--sigma", "1"])
        err = capsys.readouterr().err
        assert code in (1, 2)
        assert said in err
        assert err.count("\n") == 1


def test_the_item_that_raises_is_named(capsys, own):
    (own / "items.py").write_text(
        "class Items:\n    def __len__(self): return 3\n"
        "    def __getitem__(self, i):\n"
        "        return ({}[i] if i == 2 else __import__('torch').ones(4)), 0\n"
    )
    code = main(
        [
            *("predict", "--model", f"{own}/own.py:Base", "--data", f"{own}/items.py:Items"),
            *("--sigma", "1"),
        ]
    )
    assert code == 2
    assert "item 2 raised KeyError: 2 (items.py, line 4)" in capsys.readouterr().err


def test_where_all_inputs_fail_the_reasons_are_said(capsys, own):
    code, out, err = certify(capsys, own, "NaN")
    assert code == 1
    found = json.loads(out)
    assert (found["inputs"], found["missing"], found["complete"]) == (3, 3, False)
    assert "input 0: the classifier returned NaN, +inf or no finite score for 20" in err
    assert "(3 inputs failed like this)" in err
    assert certify(capsys, own, "NaN")[::2] == (code, err)


def test_labels_that_are_none_of_the_classes_are_named(capsys, own):
    (own / "labels.py").write_text("def made():\n    return lambda x: (x[:, 0] > 0.5).long() + 9\n")
    code, _, err = certify(capsys, own, f"{own}/labels.py:made", "--num-classes", "10")
    assert code == 1
    assert "label 10, which is not in 0…9" in err


def listed(*outputs):
    return [Output(name, shape, kind, "") for name, shape, kind in outputs]


FEATURES, LOGITS = ("features", (None, 512), "float"), ("out", (None, 10), "float")


@pytest.mark.parametrize(
    ("outputs", "num_classes", "name"),
    [
        ([FEATURES, ("pre/logits", (None, 10), "float")], None, "pre/logits"),
        ([FEATURES, LOGITS], 10, "out"),
        ([FEATURES, LOGITS], None, None),
        ([FEATURES, LOGITS], 7, None),
        ([("map", (None, 8, 7, 7), "float"), ("out", (None, 10, 1, 1), "float")], None, "out"),
        ([FEATURES, ("map", (None, 8, 7, 7), "float")], None, None),
        ([("label", (None,), "integer"), ("probabilities", (None, 3), "float")], None,
         "probabilities"),
        ([("label", (None,), "integer"), ("maps", (), "other")], None, "label"),
        ([("scores", (None, 5), "float"), ("labels", (None, 5), "integer")], 5, None),
        ([("logits", (None, 5), "float"), ("a.logits", (None, 5), "float")], None, None),
        ([("logits", (None, 5), "float"), ("boxes", (None, 5, 4), "float")], None, "logits"),
    ],
)  # fmt: skip
def test_name_or_shape_leaves_no_choice(outputs, num_classes, name):
    if name is None:
        with pytest.raises(ValueError, match="not clear"):
            chosen(listed(*outputs), None, num_classes)
    else:
        found, why = chosen(listed(*outputs), None, num_classes)
        assert found.name == name
        assert why


def test_outputs_have_names_whatever_they_are_packed_in():
    one, two = torch.zeros(2), np.zeros((2, 3), dtype=">f4")
    made = namedtuple("Made", "first second")

    @dataclass
    class Record:
        a: object
        b: object

    for packed, names in (
        (one, ["output"]),
        ((one, two), ["0", "1"]),
        ([one, None, "x", two], ["0", "3"]),
        ({"a": one, 1: {"b": two}}, ["a", "1.b"]),
        (made(one, two), ["first", "second"]),
        (Record(one, (two,)), ["a", "b.0"]),
        (torch.zeros(2, 5).topk(2), ["values", "indices"]),
        ("text", []),
    ):
        assert list(named_outputs(packed)) == names


def test_several_outputs_of_numpy(own, capsys):
    (own / "arrays.py").write_text(
        "from sosmooth import from_numpy\n\ndef made():\n"
        "    return from_numpy(lambda x: (x.sum((1,)), {'scores': x[:, :3]}))\n"
    )
    code, _, err = certify(capsys, own, f"{own}/arrays.py:made")
    assert code == 0, err
    assert "1.scores is taken for its name" in err


@pytest.mark.slow
def test_workers_say_why_inputs_fail(own, capsys):
    code, _, err = certify(capsys, own, "NaN", "--workers", 1)
    assert code == 1
    assert "NaN, +inf or no finite score" in err
    assert "(3 inputs failed like this)" in err


def test_transformers_outputs():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    made = outputs.ImageClassifierOutput(
        logits=torch.zeros(2, 3), hidden_states=(torch.ones(2, 4),)
    )
    assert list(named_outputs(made)) == ["logits", "hidden_states.0"]


def test_the_library_names_the_outputs():
    smoothed = SmoothedClassifier(lambda x: {"a": x, "b": x}, sigma=1, num_classes=4, batch_size=8)
    with pytest.raises(
        ClassifierError, match=r"dict of 2 tensors \(a \(8, 4\) float64, b .*output=…"
    ):
        smoothed.certify(np.zeros((1, 4)), n=100)


# ONNX, node by node.


def saved(path, nodes, outputs, *, shape=("batch", 4), constants=(), opset=17):
    """An ONNX file of one input `x`; outputs: name, type, shape."""
    pytest.importorskip("onnxruntime", reason='needs pip install "sosmooth[onnx]"')
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    kinds = {"float": onnx.TensorProto.FLOAT, "integer": onnx.TensorProto.INT64}
    rng = np.random.default_rng(1)
    values = {
        "w": rng.normal(size=(4, 3)).astype(np.float32),
        "one": rng.normal(size=(4, 1)).astype(np.float32),
        "k": np.array([2]),
        **dict(constants),
    }
    used = {name for node in nodes for name in node[1]}
    graph = helper.make_graph(
        [
            helper.make_node(name, list(ins), list(outs), **attributes)
            for name, ins, outs, attributes in nodes
        ],
        "net",
        [helper.make_tensor_value_info("x", kinds["float"], list(shape))],
        [helper.make_tensor_value_info(name, kinds[kind], of) for name, kind, of in outputs],
        [
            onnx.numpy_helper.from_array(value, name)
            for name, value in values.items()
            if name in used
        ],
    )
    imports = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return str(path)


MATMUL = ("MatMul", ["x", "w"], ["scores_"], {})
TOPK = ("TopK", ["scores_", "k"], ["scores", "labels"], {})
BOTH = [("scores", "float", ["batch", 2]), ("labels", "integer", ["batch", 2])]


def test_onnx_topk_is_refused(own, capsys):
    both = saved(own / "both.onnx", [MATMUL, TOPK], BOTH)
    values = saved(own / "values.onnx", [MATMUL, TOPK], BOTH[:1])
    for path, more, said in (
        (both, [], "scores tensor(float) (batch, 2), labels tensor(int64) (batch, 2)"),
        (both, ["--output", "scores"], "the largest scores sorted"),
        (both, ["--output", "labels"], "is neither"),
        (values, [], "their positions are not classes"),
    ):
        for command in ("certify", "doctor"):
            out = ["--out", own / "run"] if command == "certify" else []
            code, _, err = call(capsys, own, command, path, *more, *out)
            assert code == 2
            assert said in err


def test_onnx_output_by_name_position_and_specification(own, capsys):
    head = ("Relu", ["x"], ["features"], {})
    path = saved(
        own / "two.onnx",
        [head, ("Identity", ["scores_"], ["out"], {}), MATMUL][::-1],
        [("features", "float", ["batch", 4]), ("out", "float", ["batch", 3])],
    )
    with pytest.raises(ValueError, match=r"not clear which .*: features .*, out"):
        load_classifier(path)
    x = torch.rand(5, 4)
    for found in (
        load_classifier(path, output="out"),
        load_classifier(path, output=1),
        load_classifier(f"{path}?output=out"),
    ):
        assert found(x).shape == (5, 3)
    assert open_classifier(path, output="out").settings["output"] == "out"
    code, _, err = certify(capsys, own, path, "--num-classes", 3)
    assert code == 0, err
    assert "out is taken for its shape" in err
    assert load_run(own / "run").manifest.settings["model"]["spec"] == f"{path}?output=out"


def training(own, kind):
    """A file whose labels depend on the batch or on chance."""
    ones = {name: np.ones(4, dtype=np.float32) for name in ("scale", "bias", "mean", "var")}
    if kind == "batch norm":
        node = ("BatchNormalization", ["x", "scale", "bias", "mean", "var"], ["y", "m", "v"],
                {"training_mode": 1})  # fmt: skip
    elif kind == "dropout":
        node = ("Dropout", ["x", "ratio", "mode"], ["y"], {})
    else:
        node = ("Add", ["x", "noise"], ["y"], {})
    constants = {**ones, "ratio": np.array(0.5, dtype=np.float32), "mode": np.array(True)}
    noise = [("RandomNormalLike", ["x"], ["noise"], {})] if kind == "random" else []
    return saved(
        own / "training.onnx",
        [*noise, node, ("MatMul", ["y", "w"], ["scores"], {})],
        [("scores", "float", ["batch", 3])],
        constants=constants.items(),
    )


@pytest.mark.parametrize("kind", ["batch norm", "dropout", "random"])
def test_onnx_in_training_mode_is_refused(own, kind):
    with pytest.raises(ValueError, match="not a fixed function of one input"):
        load_classifier(training(own, kind))


def test_onnx_with_dropout_switched_off_is_read(own):
    node = ("Dropout", ["x", "ratio", "mode"], ["y"], {})
    constants = {"ratio": np.array(0.5, dtype=np.float32), "mode": np.array(False)}
    path = saved(
        own / "net.onnx",
        [node, ("MatMul", ["y", "w"], ["scores"], {})],
        [("scores", "float", ["batch", 3])],
        constants=constants.items(),
    )
    assert load_classifier(path)(torch.rand(2, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("last", "reading"), [("Sigmoid", "probability"), ("Identity", "margin"), ("Relu", None)]
)
def test_onnx_of_one_score(own, capsys, last, reading):
    path = saved(
        own / "one.onnx",
        [("MatMul", ["x", "one"], ["s"], {}), (last, ["s"], ["y"], {})],
        [("y", "float", ["batch", 1])],
    )
    code, _, err = certify(capsys, own, path)
    if reading is None:
        assert code == 1
        assert "--single-score='probability'" in err
    else:
        assert code == 0, err
        assert f"read as a {reading}" in err
        scores = load_classifier(path)(torch.rand(5, 4))
        assert torch.equal(scores[:, 0], -scores[:, 1])


def test_onnx_with_channels_last_says_both_shapes(own, capsys):
    np.savez(own / "data.npz", inputs=np.zeros((2, 1, 6, 6), dtype=np.float32))
    path = saved(
        own / "last.onnx",
        [("Flatten", ["x"], ["flat"], {}), ("MatMul", ["flat", "big"], ["scores"], {})],
        [("scores", "float", ["batch", 3])],
        shape=("batch", 6, 6, 1),
        constants=[("big", np.ones((36, 3), dtype=np.float32))],
    )
    code, _, err = certify(capsys, own, path)
    assert code == 1
    assert (
        "the model takes (batch, 6, 6, 1), the inputs are (1, 6, 6); it has the channels last"
        in err
    )
    assert not (own / "run").exists()


def test_onnx_that_takes_one_input_at_a_time(own, capfd):
    nodes = [("Reshape", ["x", "shape"], ["flat"], {}), ("MatMul", ["flat", "w"], ["scores"], {})]
    path = saved(
        own / "one.onnx", nodes, [("scores", "float", ["batch", 3])],
        constants=[("shape", np.array([1, 4]))],
    )  # fmt: skip
    code, _, err = certify(capfd, own, path)
    assert code == 1
    assert "one input at a time; give --batch-size 1" in err
    assert "[E:onnxruntime" not in err
    assert err.count("\n") == 1


# Exported programs.


class Several(nn.Module):
    def __init__(self, packed):
        super().__init__()
        self.linear, self.packed = nn.Linear(4, 3), packed

    def forward(self, x):
        scores = self.linear(x)
        return {
            "named": lambda: {"features": x, "logits": scores},
            "ambiguous": lambda: (x, scores),
            "ranked": lambda: tuple(scores.topk(2)),
            "sigmoid": lambda: torch.sigmoid(scores[:, :1]),
            "random": lambda: scores + torch.rand_like(scores),
        }[self.packed]()


def exported(own, packed):
    torch.manual_seed(0)
    dim = torch.export.Dim("batch")
    program = torch.export.export(Several(packed).eval(), (torch.zeros(4, 4),),
                                  dynamic_shapes=({0: dim},))  # fmt: skip
    torch.export.save(program, own / "net.pt2")
    return f"{own}/net.pt2"


def test_exported_programs_of_several_outputs(own, capsys):
    path = exported(own, "named")
    code, _, err = certify(capsys, own, path)
    assert code == 0, err
    assert "logits is taken for its name" in err
    for packed in ("ambiguous", "ranked"):
        with pytest.raises(ValueError, match="not clear"):
            load_classifier(exported(own, packed))
    found = load_classifier(exported(own, "ambiguous"), output="1")
    assert found(torch.rand(6, 4)).shape == (6, 3)


def test_an_exported_program_of_one_score(own, capsys):
    code, _, err = certify(capsys, own, exported(own, "sigmoid"))
    assert code == 0, err
    assert "read as a probability" in err


def test_an_exported_program_that_draws_is_refused(own):
    with pytest.raises(ValueError, match=r"in training mode \(aten::rand_like"):
        load_classifier(exported(own, "random"))


def test_an_exported_program_checks_the_shape_of_its_inputs(own):
    with pytest.raises(ValueError, match=r"takes \(batch, 4\), the inputs are \(5\)"):
        load_classifier(exported(own, "named"))(torch.rand(2, 5))


def test_the_operators_of_broken_files_are_refused_or_read(own):
    """Cut or changed anywhere, a file makes the reader raise ValueError or return operators."""
    from sosmooth.classifiers.onnx_graph import read_graph

    path = training(own, "dropout")
    with open(path, "rb") as file:
        content = file.read()
    assert read_graph(content).depends_on_more_than_the_input() == "Dropout in training mode"
    broken = [content[:end] for end in range(len(content))]
    rng = np.random.default_rng(0)
    for _ in range(2000):
        changed = bytearray(content)
        changed[rng.integers(len(content))] = rng.integers(256)
        broken.append(bytes(changed))
    refused = 0
    for each in broken:
        try:
            read_graph(each).source("scores")
        except ValueError:
            refused += 1
    assert 0 < refused < len(broken)
