"""ONNX models, run by ONNX Runtime on the CPU or on CUDA."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sosmooth._errors import text_of
from sosmooth._extras import needed
from sosmooth.classifiers.batches import in_batches
from sosmooth.classifiers.loaded import LoadedClassifier, known_lengths
from sosmooth.classifiers.onnx_graph import Graph, read_graph
from sosmooth.classifiers.outputs import Output, Wanted, chosen

_PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
_FLOATS = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
_INTEGERS = ("tensor(int32)", "tensor(int64)")
# Weights in another file: the entry `location` of a tensor's external_data, then the length and
# the text of its path.
_LOCATION = re.compile(rb"\n\x08location\x12([\x00-\x7f])")


def open_onnx(path: Path, wanted: Wanted) -> LoadedClassifier:
    """The model of an `.onnx` file, a function of one floating tensor (batch, …).

    Its batch axis is fixed or dynamic. One of several outputs is named, or its name or shape leaves
    no choice (`outputs.chosen`). The model runs on the device of its inputs: on the CPU, or with
    onnxruntime-gpu on CUDA.

    Args:
        path: the file.
        wanted: what the user says of its outputs.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: onnxruntime is not installed.
        ValueError: no ONNX model, a model in training mode or that draws random numbers, or a model
            with other inputs and outputs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; give the path of an .onnx file")
    runtime = needed("onnxruntime", extra="onnx")
    runtime.disable_telemetry_events()
    runtime.set_default_logger_severity(4)
    session = _session(runtime, path, "cpu")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type not in _FLOATS or not inputs[0].shape:
        raise ValueError(
            f"{path} takes {_described(inputs)}; a classifier takes one floating tensor, (batch, …)"
        )
    content = path.read_bytes()
    try:
        graph = read_graph(content)
        if why := graph.depends_on_more_than_the_input():
            raise ValueError(
                f"it is not a fixed function of one input ({why}); call model.eval(), then export"
                " it again"
            )
        described = [_output(each, graph) for each in outputs]
        result, note = chosen(described, wanted.output, wanted.num_classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    size = inputs[0].shape[0]
    sizes = (size, size) if isinstance(size, int) else (1, None)
    # Class names belong to scores; labels may number the classes in another way.
    names = graph.class_names() if result.kind == "float" else None
    if names is not None and result.num_classes not in (None, len(names)):
        names = None  # they belong to another output
    classify = _Sessions(
        lambda device: _session(runtime, path, device),
        inputs[0].name,
        _FLOATS[inputs[0].type],
        result.name,
    )
    return LoadedClassifier(
        in_batches(classify, *sizes, shape=inputs[0].shape[1:]),
        result.num_classes,
        {
            "architecture": "onnx",
            "weights_sha256": None,
            "file_sha256": _digest(path, content),
            "output": result.name,
            "training_sigma": None,
        }
        | ({} if names is None else {"classes": names}),
        input_shape=known_lengths(inputs[0].shape[1:]),
        single_score=graph.single_score(result.name),
        notes=(note,) if note else (),
    )


def _output(node: Any, graph: Graph) -> Output:
    kind = "float" if node.type in _FLOATS else "integer" if node.type in _INTEGERS else "other"
    text = f"{node.type} ({', '.join(map(str, node.shape))})"
    return Output(node.name, tuple(node.shape), kind, text, graph.source(node.name) == ("TopK", 0))


class _Sessions:
    """The model, opened once on each kind of device that inputs come from."""

    def __init__(
        self, open_session: Callable[[str], Any], name: str, dtype: type[np.floating], output: str
    ):
        self._open, self._name, self._dtype, self._output = open_session, name, dtype, output
        self._sessions: dict[str, Any] = {}

    def __call__(self, points: Tensor) -> Tensor:
        device = points.device.type
        if device not in self._sessions:
            self._sessions[device] = self._open(device)
        values = points.detach().cpu().numpy().astype(self._dtype, copy=False)
        (result,) = self._sessions[device].run([self._output], {self._name: values})
        return torch.from_numpy(result).to(points.device)


def _session(runtime: Any, path: Path, device: str) -> Any:
    wanted = _PROVIDERS.get(device)
    if wanted is None or wanted[0] not in runtime.get_available_providers():
        raise ValueError(
            f"onnxruntime cannot run {path} on {device}; it has"
            f" {', '.join(runtime.get_available_providers())}: give device='cpu', or install"
            " onnxruntime-gpu instead of onnxruntime"
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised as well
    try:
        with redirect_stdout(StringIO()):  # it prints each attempt there
            return runtime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's exceptions share no base
        raise ValueError(
            f"{path} is not an ONNX model that onnxruntime can open ({text_of(error)})"
        ) from error


def _digest(path: Path, content: bytes) -> str:
    """sha256 of the model and of its weights in files beside it."""
    total = hashlib.sha256(content)
    places = {content[match.end() :][: match[1][0]] for match in _LOCATION.finditer(content)}
    for place in sorted(places):
        if (beside := path.parent / place.decode(errors="replace")).is_file():
            with beside.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _described(nodes: list[Any]) -> str:
    return ", ".join(f"{node.name}: {node.type} {node.shape}" for node in nodes)
