"""ONNX models, run by ONNX Runtime on the CPU or on CUDA."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sosmooth._extras import needed
from sosmooth.classifiers.batches import in_batches
from sosmooth.classifiers.loaded import LoadedClassifier

_PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
_FLOATS = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}
_INTEGERS = ("tensor(int32)", "tensor(int64)")
# Weights outside the file: the entry `location` of a tensor's external_data, then the length and text of its path.
_LOCATION = re.compile(rb"\n\x08location\x12([\x00-\x7f])")


def open_onnx(path: Path) -> LoadedClassifier:
    """The model of an `.onnx` file: of one floating tensor (batch, …), its batch axis fixed or dynamic.

    Its result is the first output that is floating (batch, classes), else the first that is integer (batch,). It runs where
    its inputs are: on the CPU, or with onnxruntime-gpu on CUDA.

    Raises:
        FileNotFoundError: no such file.
        ModuleNotFoundError: no onnxruntime.
        ValueError: no ONNX model, or one with other inputs and outputs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {str(path)!r}; give the path of an .onnx file")
    runtime = needed("onnxruntime", extra="onnx")
    runtime.disable_telemetry_events()
    session = _session(runtime, path, "cpu")
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or inputs[0].type not in _FLOATS or not inputs[0].shape:
        raise ValueError(
            f"{path} takes {_described(inputs)}; a classifier takes one floating tensor, (batch, …)"
        )
    scores = [each for each in outputs if each.type in _FLOATS and len(each.shape) == 2]
    labels = [each for each in outputs if each.type in _INTEGERS and len(each.shape) == 1]
    if not scores + labels:
        raise ValueError(
            f"{path} returns {_described(outputs)}; a classifier returns scores (batch, classes) or labels (batch,)"
        )
    result = (scores + labels)[0]
    size = inputs[0].shape[0]
    sizes = (size, size) if isinstance(size, int) else (1, None)
    classes = result.shape[1] if scores else None
    classify = _Sessions(
        lambda device: _session(runtime, path, device),
        inputs[0].name,
        _FLOATS[inputs[0].type],
        result.name,
    )
    return LoadedClassifier(
        in_batches(classify, *sizes),
        classes if isinstance(classes, int) else None,
        {
            "architecture": "onnx",
            "weights_sha256": None,
            "file_sha256": _digest(path),
            "output": result.name,
            "training_sigma": None,
        },
    )


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
            f"onnxruntime cannot run {path} on {device}; it has {', '.join(runtime.get_available_providers())}: use --device cpu,"
            " or install onnxruntime-gpu in its place"
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # what matters is raised
    try:
        return runtime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's exceptions share no base
        raise ValueError(
            f"{path} is no ONNX model that onnxruntime can open ({' '.join(str(error).split())[:200]})"
        ) from error


def _digest(path: Path) -> str:
    """sha256 of the model and of the weights that it keeps in files beside it."""
    content = path.read_bytes()
    total = hashlib.sha256(content)
    places = {content[match.end() :][: match[1][0]] for match in _LOCATION.finditer(content)}
    for place in sorted(places):
        if (beside := path.parent / place.decode(errors="replace")).is_file():
            with beside.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def _described(nodes: list[Any]) -> str:
    return ", ".join(f"{node.name}: {node.type} {node.shape}" for node in nodes)
