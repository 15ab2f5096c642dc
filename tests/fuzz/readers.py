"""Everything that reads bytes of others, with whole files to start from and ways to change them.

The changes keep the container of a file. A reader may return or raise one of `REFUSALS`, in one
line; anything else is a crash. tests/fuzz/test_broken_files.py feeds some hundred inputs to each
reader, and scripts/fuzz.py feeds as many as you ask for.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import random
import sqlite3
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from sosmooth import validate_run
from sosmooth.classifiers.architectures import build
from sosmooth.classifiers.class_names import read_class_names
from sosmooth.classifiers.image_processor import ImageProcessor
from sosmooth.classifiers.load import open_classifier
from sosmooth.classifiers.weights import (
    fill_fitting,
    read_weights,
    save_weights,
    write_tensors,
)
from sosmooth.cli._inputs import named_indices
from sosmooth.datasets import cifar100, image_folder, mnist, npz, parquet
from sosmooth.datasets import table as features
from sosmooth.datasets._pickled import read_pickled_arrays
from sosmooth.interchange.log_settings import LogSettings
from sosmooth.interchange.logs import read_log
from sosmooth.methods import certify_tally
from sosmooth.runs import RunWriter, load_run
from sosmooth.runs.journal import Journal
from sosmooth.runs.manifest import manifest_of
from sosmooth.runs.table import numpy_of, table_from_parquet
from sosmooth.tally import Design, Tally
from sosmooth.training.checkpoint import load_checkpoint

#: What a reader may raise: the library's own one-line errors.
REFUSALS = (ValueError, FileNotFoundError)


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        seeds: Makes whole files, in an empty folder.
        read: Takes the bytes, and a folder that only this reader uses.
        share: Its part of the inputs of `make fuzz`, per mille: more for fast readers.
        vary: Changes what is inside a container (an archive, a checksum) and packs it again. None:
            only bytes change.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]
    share: int
    vary: Callable[[bytes, random.Random], bytes] | None = None


# Changes

_TOKENS = [
    *(
        b"",
        b"0",
        b"-1",
        b"1e999",
        b"-0.0",
        b"nan",
        b"inf",
        b"-inf",
        b"1.5",
        b"1_0",
        b"0x10",
        b"\t",
        b"\n",
        b",",
        b"\r",
        b"\0",
    ),
    *(
        b"9" * 30,
        b"9" * 5000,
        b"1e-400",
        b"18446744073709551616",
        b"9223372036854775808",
        b"2147483648",
        b"true",
        b"null",
    ),
    *(
        "٣".encode(),
        "\u202e".encode(),
        "𝟘".encode(),
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"<script>",
        b"../../etc",
        b'"',
        b"[" * 3000,
    ),
    *(
        b"\xff" * 4,
        b"\xff" * 8,
        b"\x7f\xff\xff\xff",
        b"\0" * 8,
        b"\x80",
        b"999999999:0:0",
        b"1000000000 days, 0:00:00",
    ),
]


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The bytes after a few changes: bits, bytes, tokens, cuts, copies, pieces of another file."""
    result = bytearray(data)
    for _ in range(1 + min(int(rng.expovariate(0.7)), 12)):
        size = len(result)
        at = rng.randrange(size + 1)
        kind = rng.randrange(9)
        if kind == 0 and at < size:
            result[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < size:
            result[at] = rng.choice((0, 1, 9, 10, 32, 45, 48, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            del result[at : at + 1 + int(rng.expovariate(0.05))]
        elif kind == 3:
            del result[at:]
        elif kind == 4:
            result[at:at] = rng.choice(_TOKENS)
        elif kind == 5:
            token = rng.choice(_TOKENS)
            result[at : at + max(len(token), rng.randrange(6))] = token
        elif kind == 6:
            piece = result[at : at + 1 + int(rng.expovariate(0.03))]
            where = rng.randrange(size + 1)
            result[where:where] = piece * rng.choice((1, 1, 2, 50))
        elif kind == 7:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            result[at : at + rng.randrange(64)] = other[
                start : start + 1 + int(rng.expovariate(0.02))
            ]
        elif kind == 8 and at + 8 <= size:
            form = rng.choice(("<q", ">q", "<i", ">i", "<d", "<f"))
            number = rng.choice((0, -1, 1, 2**31 - 1, -(2**31), rng.randrange(-1000, 1000)))
            packed = struct.pack(form, number)
            result[at : at + len(packed)] = packed
    return bytes(result[: 2**20])


_VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        0.5,
        -0.0,
        1e308,
        1e-320,
        float("nan"),
        float("inf"),
        2**31,
        2**53 + 1,
        2**63,
        2**64,
        10**400,
    ),
    *(
        "",
        "x",
        "<script>alert(1)</script>",
        "\u202e",
        "9" * 400,
        [],
        {},
        [0],
        {"a": 1},
        ["a", None],
        [[]] * 3,
    ),
    *(
        "first_order",
        "second_order_dipole",
        "sha256:0",
        "2024-01-01T00:00:00+00:00",
        "log",
        "run",
        -(2**63),
        10**18,
        1e-12,
    ),
]


def varied_json(text: bytes, rng: random.Random) -> bytes:
    """A JSON document with some of its values replaced, removed, or moved."""
    try:
        whole = [json.loads(text)]
    except (ValueError, RecursionError):
        return text
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(whole)
    for _ in range(1 + int(rng.expovariate(0.8))):
        node, key = rng.choice(places)
        kind = rng.randrange(5)
        if isinstance(node, dict) and kind == 0 and key in node:
            del node[key]
        elif isinstance(node, dict) and kind == 1 and key in node:
            node[str(rng.choice(_VALUES))[:500]] = node[key]
        else:
            node[key] = rng.choice(_VALUES)
    return json.dumps(whole[0], ensure_ascii=rng.random() < 0.5).encode(errors="replace")


# Runs

_SETTINGS = {"n": 2000, "n0": 100, "alpha": 0.001, "sigma": 0.5, "seed": 7}


def a_run(folder: Path, method: str) -> Path:
    """A small whole run."""
    size = 3
    count = np.array([1990, 1500, 900])
    tally: dict[str, Any] = {"count_top": count}
    if method == "second_order_dipole":
        design = Design.ANTITHETIC
        both = count // 2 - 5
        tally |= {
            "pair_both": both,
            "pair_plus_only": np.full(size, 5),
            "pair_minus_only": count - 2 * both - 5,
        }
        tally["pair_none"] = 1000 - both - 5 - tally["pair_minus_only"]
        tally |= {name: np.full(size, 500) for name in ("direction_pairs", "slope_pairs")}
        tally |= {"direction_one": np.full(size, 4), "direction_norm": np.full(size, 0.1)}
        tally |= {"slope_sum": np.full(size, 30.0), "slope_sq_sum": np.full(size, 20.0)}
        drawn = np.where([True, True, False], 1.0, np.nan)[:, None]
        tally |= {
            "curvature_center": 0.125 * drawn[:, 0],
            "curvature_eigenvalues": np.linspace(-0.1, 0.1, 9) * drawn,
            "curvature_squares": np.full((1, 9), 0.001) * drawn,
            "curvature_share": np.array([0.1, 0.1, 0.0]),
        }
    else:
        design = Design.INDEPENDENT
    certificates = certify_tally(
        method,
        Tally(design, np.full(size, 2000), dimension=9, **tally),
        selected=np.arange(size),
        selection_margin=np.full(size, 80),
        index=np.arange(size) * 5,
        **{name: _SETTINGS[name] for name in ("alpha", "sigma", "n0", "seed")},
    )
    with RunWriter.open(
        folder,
        settings={**_SETTINGS, "method": method},
        indices=(certificates.input_index).tolist(),
    ) as writer:
        writer.add(certificates, np.arange(size), np.full(size, 0.25))
        writer.finish()
    return folder


def _manifests(place: Path) -> list[bytes]:
    return [
        (a_run(place / m, m) / "manifest.json").read_bytes()
        for m in ("first_order", "second_order_dipole")
    ]


def _tables(place: Path) -> list[bytes]:
    return [
        (a_run(place / m, m) / "results.parquet").read_bytes()
        for m in ("second_order_dipole", "first_order")
    ]


def _read_manifest(data: bytes, place: Path) -> object:
    return manifest_of(place / "manifest.json", data)


def _read_table(data: bytes, place: Path) -> object:
    table = table_from_parquet(place / "results.parquet", data)
    return [numpy_of(table, name) for name in table.column_names]


def _whole(folder: Path) -> Path:
    return folder if folder.exists() else a_run(folder, "second_order_dipole")


def _validated(folder: Path) -> object:
    findings = validate_run(folder)
    if any("\n" in finding for finding in findings):
        raise AssertionError(f"a finding of several lines: {findings}")
    # After the findings: opening a run must report what validate_run reports.
    run = load_run(folder)
    return [run.certificates()[i] for i in range(len(run))]


def _read_run_of_manifest(data: bytes, place: Path) -> object:
    folder = _whole(place / "run")
    (folder / "manifest.json").write_bytes(data)
    return _validated(folder)


def _read_run_of_table(data: bytes, place: Path) -> object:
    folder = _whole(place / "run")
    (folder / "results.parquet").write_bytes(data)
    return _validated(folder)


_ARROW = [
    pa.int64(),
    pa.int8(),
    pa.uint64(),
    pa.float64(),
    pa.float32(),
    pa.string(),
    pa.binary(),
    pa.bool_(),
    pa.null(),
]
_ARROW += [
    pa.timestamp("s"),
    pa.list_(pa.int64()),
    pa.decimal128(38, 3),
    pa.large_string(),
    pa.dictionary(pa.int8(), pa.string()),
]


def _varied_table(data: bytes, rng: random.Random) -> bytes:
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    for _ in range(1 + int(rng.expovariate(0.8))):
        if not table.num_columns:
            break
        at = rng.randrange(table.num_columns)
        name, kind = table.column_names[at], rng.randrange(6)
        if kind == 0:
            table = table.remove_column(at)
        elif kind == 1:
            table = table.append_column(rng.choice([name, "more", "index"]), table[at])
        elif kind == 2:
            table = table.slice(rng.randrange(3), rng.randrange(4))
        else:
            type_ = rng.choice([table.schema.types[at], table.schema.types[at], *_ARROW])
            values = [
                rng.choice([*_VALUES, None, b"", 0, 1, 5, 10, 100, 1000, 2000])
                for _ in range(len(table))
            ]
            try:
                table = table.set_column(at, name, pa.array(values, type_, from_pandas=False))
            except (pa.ArrowException, ValueError, TypeError, OverflowError):
                number = rng.choice([-1, 0, 1, 2**40])
                table = table.set_column(at, name, pa.array([number] * len(table), pa.int64()))
    if rng.random() < 0.1:
        table = table.replace_schema_metadata(
            {b"sosmooth_schema": rng.choice([b"", b"2", b"-1", b"\xff", "²".encode(), b"9" * 5000])}
        )
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(table, sink, compression="zstd")
    except pa.ArrowException:
        return data
    return sink.getvalue().to_pybytes()


def _journals(place: Path) -> list[bytes]:
    run = load_run(a_run(place / "run", "second_order_dipole"))
    journal = Journal(place, run.manifest.settings_digest())
    journal.add(run.table.to_pylist())
    journal.close()
    return [journal.path.read_bytes()]


def _read_journal(data: bytes, place: Path) -> object:
    folder = place / "unfinished"
    if not folder.exists():
        a_run(folder, "second_order_dipole")
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(
            json.dumps(manifest | {"complete": False, "table_digest": None})
        )
        (folder / "results.parquet").unlink()
    for beside in ("-wal", "-shm"):
        (folder / f"journal.sqlite{beside}").unlink(missing_ok=True)
    (folder / "journal.sqlite").write_bytes(data)
    return _validated(folder)


def _varied_journal(data: bytes, rng: random.Random) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(_without_log(data))
        rows = connection.execute("SELECT input, row, settings FROM rows").fetchall()
        connection.execute("DROP TABLE rows")
        connection.execute("CREATE TABLE rows (input, row, digest, settings)")
        for number, row, settings in rows:
            text = varied_json(row.encode(), rng).decode()
            digest = hashlib.sha256(text.encode()).hexdigest()
            connection.execute(
                "INSERT INTO rows VALUES (?, ?, ?, ?)", (number, text, digest, settings)
            )
        connection.commit()
        return connection.serialize()


def _without_log(data: bytes) -> bytes:
    """The file in the mode without write-ahead log, which a database in memory cannot have."""
    return data[:18] + b"\1\1" + data[20:]


# Logs

_LOGS = {
    "first_order": "raw_count\tp_A_bar\t",
    "second_order": (
        "raw_count\tp_A_bar\traw_grad_norm\tgrad_norm_bound\tgrad_norm_bound_nonvacuous\t"
    ),
    "dipole": "raw_count_symmetric\traw_count_asymmetric\tp_A_symmetric_bar\tp_A_asymmetric_bar\t",
}
_VALUES_OF_LOGS = {
    "first_order": "0.495\t990\t0.976036\t",
    "second_order": "0.49\t990\t0.974937\t-0.01\t5.0\t0\t",
    "dipole": "0.442\t480\t10\t0.922705\t0.00543\t",
}
# Output of other programs: no header, seconds, words, more columns, other names, a summary.
_OTHER_LOGS = [
    "0\t1\t1\t0.5\t1\t12.5\n3\t1\t-1\t0.0\t0\t0:00:01\n",
    "idx\tlabel\tpredict\tradius\tcorrect\ttime\tl1\n0\t1\t1\t9.5\tTrue\t2 days 0:00:01\tx\n",
    "label\tpredict\tradius\ttime\n1\t-1.0\t-1.0\t\n# more\n14\t14\t0.018\t15.2\n\nACR: 0.3\n",
    "idx\tlabel\tcount\tpredict\tradius_cohen\n0\t1\t990.0\t1\t0.495\nmean\t\t\t\t0.495\n",
    "idx\tlabel\tpredict\tradius\tstopped_by\tcorrect\ttime\n0\t1\t1\t0.4\ta rule\t1\t1e-3\n",
]


def _logs(place: Path) -> list[bytes]:
    texts = []
    for method, columns in _LOGS.items():
        rows = [f"{i * 10}\t{i}\t{i}\t{_VALUES_OF_LOGS[method]}1\t0:00:0{i}.25" for i in range(3)]
        texts.append("\n".join([f"idx\tlabel\tpredict\tradius\t{columns}correct\ttime", *rows, ""]))
    texts.append(
        "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
        "0\t1\t1\t0.5\t1\t1 day, 0:00:01\n3\t1\t-1\t0.0\t0\t0:00:01\n"
    )
    texts += _OTHER_LOGS
    return [text.encode() for text in texts]


def _read_log(data: bytes, place: Path) -> object:
    method = (
        "dipole"
        if b"asymmetric" in data
        else "second_order"
        if b"raw_grad_norm" in data
        else "first_order"
    )
    columns = {"count": "raw_count", "radius": "radius_cohen"} if b"_cohen" in data else {}
    norm = "l1" if b"l1" in data else "l2"
    asked = LogSettings(method, 0.25, 1000, 0.001, 10, columns=columns, norm=norm)
    return read_log(place / "a.tsv", data, asked)


# Weights


def _weights(place: Path) -> list[bytes]:
    path = place / "a.safetensors"
    save_weights(
        path,
        build("swiss_roll_mlp"),
        {"architecture": "swiss_roll_mlp", "num_classes": 2, "sigma": 0.5},
    )
    return [path.read_bytes()]


def _read_weights(data: bytes, place: Path) -> object:
    path = place / "a.safetensors"
    path.write_bytes(data)
    return open_classifier(str(path))


def _varied_safetensors(data: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3:  # the metadata is JSON within JSON
        header = json.loads(data[8 : 8 + size])
        header["__metadata__"]["sosmooth"] = varied_json(
            header["__metadata__"]["sosmooth"].encode(), rng
        ).decode()
        changed = json.dumps(header).encode()
    else:
        changed = varied_json(data[8 : 8 + size], rng)
    return len(changed).to_bytes(8, "little") + changed + data[8 + size :]


def _checkpoints(place: Path) -> list[bytes]:
    path = place / "a.checkpoint.safetensors"
    write_tensors(
        path,
        {"w": torch.ones(3)},
        {"checkpoint": {"seed": 1, "epochs": 2}, "history": [{"epoch": 1, "loss": 0.5}]},
    )
    return [path.read_bytes()]


def _read_checkpoint(data: bytes, place: Path) -> object:
    (place / "a.checkpoint.safetensors").write_bytes(data)
    return load_checkpoint(place / "a.safetensors", {"seed": 1, "epochs": 2})


def _torch_files(place: Path) -> list[bytes]:
    files = []
    state = build("swiss_roll_mlp").state_dict()
    wrapped = {f"1.module.{name}": value for name, value in state.items()}
    several = {"model": {"ema": wrapped}, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    for number, saved in enumerate([state, {"state_dict": state, "epoch": 3}, several]):
        for zipped in (True, False):
            path = place / f"{number}{zipped}.pt"
            torch.save(saved, path, _use_new_zipfile_serialization=zipped)
            files.append(path.read_bytes())
    return files


def _read_torch_file(data: bytes, place: Path) -> object:
    path = place / "a.pt"
    path.write_bytes(data)
    states, _ = read_weights(path)
    fill_fitting(build("swiss_roll_mlp"), states, str(path))
    return states


def varied_zip(data: bytes, rng: random.Random) -> bytes:
    """An archive with changed members but correct checksums and sizes; other files unchanged."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return mutated(data, [data], rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    chosen = rng.randrange(len(members))
    out = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),
        zipfile.ZipFile(
            out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        ) as archive,
    ):
        for number, (name, content) in enumerate(members):
            if number == chosen and rng.random() < 0.1:
                name = rng.choice(
                    ["../" + name, "/" + name, name + "\0", "labels.npy", "x.npy", "data/"]
                )
            if number == chosen:
                head = content[:200] if rng.random() < 0.7 else content
                content = mutated(head, [content], rng) + content[len(head) :]
            archive.writestr(name, content)
    return out.getvalue()


# Data


_VIT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 8}


def _preparations(place: Path) -> list[bytes]:
    common = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "resample": 2}
    pixels = {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": 0.5}
    side = {"height": 8, "width": 8}
    files = [
        {"image_processor_type": "ViTImageProcessor", "size": side, **pixels},
        {"image_processor_type": "DeiTImageProcessor", "size": 9, "crop_size": side, **pixels},
        {"image_processor_type": "EfficientNetImageProcessor", "rescale_offset": True, **pixels},
        {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True},
        {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, **pixels},
    ]
    return [json.dumps(common | file).encode() for file in files]


def _read_preparation(data: bytes, place: Path) -> object:
    (place / "config.json").write_text(json.dumps({"model_type": "vit", **_VIT}))
    (place / "preprocessor_config.json").write_bytes(data)
    found = ImageProcessor(str(place), channels=3, side=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "images of .* are taken as prepared")
        return found.normalization, found.order, found.window(8, 8)


def _onnx_files(place: Path) -> list[bytes]:
    import onnx

    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = onnx.helper.make_tensor_value_info
    files = []
    for batch in ("batch", 4):
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "w"], ["scores"])],
            "net",
            [tensor("x", onnx.TensorProto.FLOAT, [batch, 2])],
            [tensor("scores", onnx.TensorProto.FLOAT, [batch, 3])],
            [onnx.numpy_helper.from_array(weights, "w")],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.helper.set_model_props(model, {"names": "{0: 'a', 1: 'b', 2: 'c'}"})
        files.append(model.SerializeToString())
    return files


def _skops_files(place: Path) -> list[bytes]:
    import skops.io
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inputs, labels = np.arange(12.0).reshape(6, 2), np.arange(6) % 3
    estimators = [LogisticRegression(), make_pipeline(StandardScaler(), GaussianNB())]
    return [skops.io.dumps(each.fit(inputs, labels)) for each in estimators]


def _model_reader(suffix: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, place: Path) -> object:
        path = place / f"a{suffix}"
        path.write_bytes(data)
        return open_classifier(str(path))

    return read


def _npz_files(place: Path) -> list[bytes]:
    rng, files = np.random.default_rng(0), []
    for save, inputs in (
        (np.savez, rng.random((3, 4), dtype=np.float32)),
        (np.savez_compressed, np.arange(12, dtype=np.uint8).reshape(3, 4)),
    ):
        out = io.BytesIO()
        save(out, inputs=inputs, labels=np.arange(3))
        files.append(out.getvalue())
    for named in ({"y_test": np.arange(3)[:, None]}, {"y_test": np.array(["b", "a", "b"])}):
        out = io.BytesIO()
        np.savez(out, x_test=rng.random((3, 4)), x_train=rng.random((1, 4)), **named)
        files.append(out.getvalue())
    return files


def _npy_files(place: Path) -> list[bytes]:
    files = []
    for array in (np.zeros((2, 3, 4, 3), dtype=np.uint8), np.arange(6.0).reshape(2, 3)):
        out = io.BytesIO()
        np.save(out, array)
        files.append(out.getvalue())
    return files


def _read_npy(data: bytes, place: Path) -> object:
    path = place / "a.npy"
    path.write_bytes(data)
    np.save(place / "labels.npy", np.array([1, 0]))
    return npz.load(path).get([0])


def _read_npz(data: bytes, place: Path) -> object:
    path = place / "a.npz"
    path.write_bytes(data)
    inputs = npz.load(path)
    return inputs.get([0]), inputs.digest([0])


def _idx_files(place: Path) -> list[bytes]:
    return [
        struct.pack(">4B3I", 0, 0, 8, 3, 2, 4, 4) + bytes(range(32)),
        struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(5),
    ]


def _read_idx(data: bytes, place: Path) -> object:
    return mnist.read_idx(data, axes=data[3] if len(data) > 3 else 1)


def _gzip_files(place: Path) -> list[bytes]:
    return [gzip.compress(data, mtime=0) for data in _idx_files(place)] + [
        gzip.compress(bytes(10_000), mtime=0)
    ]


def _read_gzip(data: bytes, place: Path) -> object:
    path = place / "a.gz"
    path.write_bytes(data)
    return mnist.unpacked(path)


def _pickles(place: Path) -> list[bytes]:
    array = (
        b"\x80\x02}q\x00(X\x04\x00\x00\x00dataq\x01cnumpy.core.multiarray\n"
        b"_reconstruct\nq\x02cnumpy\nndarray\nq\x03"
        b"K\x00\x85q\x04C\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02K\x03\x86q\x08"
        b"cnumpy\ndtype\nq\tX\x02\x00\x00\x00u1q\n"
        b"K\x00K\x01\x87q\x0bRq\x0c(K\x03X\x01\x00\x00\x00|q\rNNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tq\x0eb\x89"
        b"C\x06abcdefq\x0ftq\x10bX\x06\x00\x00\x00labelsq\x11]q\x12(K\x01K\x02K\x03eu."
    )
    return [
        array,
        b"\x80\x02]q\x00(K\x01X\x01\x00\x00\x00aNe.",
        b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00}\x94.",
        *(pickle.dumps(_batch(of), protocol) for protocol in (2, 4, 5) for of in (str, str.encode)),
    ]


def _batch(key: Callable[[str], str | bytes]) -> dict[str | bytes, object]:
    """A small batch of CIFAR-100, as Python 3 writes it."""
    pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    return {key("data"): pixels, key("fine_labels"): [3, 99], key("batch_label"): b"a"}


def _batches(place: Path) -> list[bytes]:
    records = np.zeros((2, 3074), dtype=np.uint8)
    return [pickle.dumps(_batch(str), 4), pickle.dumps(_batch(str), 2), records.tobytes()]


def _read_batch(data: bytes, place: Path) -> object:
    for name in ("test", "test.bin"):
        (place / name).unlink(missing_ok=True)
    (place / ("test.bin" if data[:1] == b"\0" else "test")).write_bytes(data)
    return cifar100.load(place, "test").get([0])


def _read_pickle(data: bytes, place: Path) -> object:
    return read_pickled_arrays(data)


def _images(place: Path) -> list[bytes]:
    pixels, files = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8), []
    for mode in ("RGB", "L", "P"):
        image = Image.fromarray(pixels).convert(mode)
        for kind in ("PNG", "BMP", "WEBP", "JPEG", "PPM"):
            if mode != "P" or kind in ("PNG", "BMP"):
                out = io.BytesIO()
                image.save(out, kind)
                files.append(out.getvalue())
    return files


def _read_image(data: bytes, place: Path) -> object:
    folder = place / "images"
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(data)
    return image_folder.load(folder, "crop=4" if len(data) % 4 == 0 else "").get([0])


def _varied_png(data: bytes, rng: random.Random) -> bytes:
    """A PNG with changed chunks and correct checksums; other formats change byte by byte."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return mutated(data, [data], rng)
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    chosen = rng.randrange(len(chunks))
    if rng.random() < 0.2:
        chunks.insert(
            chosen,
            rng.choice(
                [
                    (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**6))),
                    (b"iCCP", b"a\0\0" + zlib.compress(bytes(99))),
                ]
            ),
        )
    result = data[:8]
    for number, (name, content) in enumerate(chunks):
        if number == chosen:
            content = mutated(content, [data], rng)
            name = rng.choice(
                [name] * 6
                + [b"tRNS", b"PLTE", b"IDAT", b"acTL", b"fdAT", b"gAMA", b"tEXt", b"eXIf"]
            )
        result += (
            len(content).to_bytes(4, "big")
            + name
            + content
            + zlib.crc32(name + content).to_bytes(4, "big")
        )
    return result


def _labels_files(place: Path) -> list[bytes]:
    return [
        b"file,label\na.png,3\nb.png,-1\n",
        b'\xef\xbb\xbffile,label,more\r\n"a.png",0,x\r\nb.png,1,y\r\n',
    ]


def _read_labels(data: bytes, place: Path) -> object:
    folder = place / "labelled"
    if not folder.exists():
        folder.mkdir()
        for name in ("a.png", "b.png"):
            (folder / name).write_bytes(_images(place)[0])
    (folder / "labels.csv").write_bytes(data)
    return image_folder.load(folder).labels


def _annotations(place: Path) -> list[bytes]:
    return [
        b"a.png\tn01443537\t0\t32\t44\t62\nb.png\tn01629819\t0\t0\t7\t7\n",
        b"\xef\xbb\xbfb.png\t1\r\na.png\t0\r\n\r\n",
    ]


def _read_annotations(data: bytes, place: Path) -> object:
    folder = place / "val"
    if not folder.exists():
        (folder / "images").mkdir(parents=True)
        for name in ("a.png", "b.png"):
            (folder / "images" / name).write_bytes(_images(place)[0])
    (folder / "val_annotations.txt").write_bytes(data)
    return image_folder.load(folder).labels


def _class_names(place: Path) -> list[bytes]:
    return [
        b"bird\ncat\ndog\n",
        b'["bird", "cat", "dog"]',
        b'{"id2label": {"0": "bird", "1": "cat"}, "label2id": {"bird": 0}}',
        b"number,name\n1,cat\n0,bird\n",
    ]


def _read_class_names(data: bytes, place: Path) -> object:
    suffix = ".json" if data[:1] in (b"{", b"[") else ".csv" if b"," in data[:20] else ".txt"
    path = place / f"names{suffix}"
    path.write_bytes(data)
    return read_class_names(path)


def _tables_of_features(place: Path) -> list[bytes]:
    return [b"a,b,label\n0.5,1,2\n-1e-3,4,0\n", b'\xef\xbb\xbf"a","label"\r\n1.25,cat\r\n2,dog\r\n']


def _read_features(data: bytes, place: Path) -> object:
    path = place / "a.csv"
    path.write_bytes(data)
    return features.load(path).get([0])


def _tables_of_images(place: Path) -> list[bytes]:
    files = []
    for cells in (
        _images(place)[:2],
        [{"bytes": each, "path": "a"} for each in _images(place)[:2]],
    ):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"image": cells, "label": [1, None]}), sink)
        files.append(sink.getvalue().to_pybytes())
    named = {"info": {"features": {"fine": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    table = pa.table({"img": cells, "fine": [1, None]})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(named)}), sink)
    files.append(sink.getvalue().to_pybytes())
    return files


def _read_image_table(data: bytes, place: Path) -> object:
    folder = place / "set"  # one shard, as the Hub stores it
    folder.mkdir(exist_ok=True)
    (folder / "test-00000-of-00001.parquet").write_bytes(data)
    return parquet.load(folder).get([0])


def _read_indices(data: bytes, place: Path) -> object:
    return named_indices(1000, data.decode(errors="replace"), 1)


READERS: dict[str, Reader] = {
    "log": Reader(_logs, _read_log, 220),
    "manifest": Reader(_manifests, _read_manifest, 235, varied_json),
    "indices": Reader(lambda place: [b"0,7,100:200,0:1000:10", b"::-1", b"5"], _read_indices, 100),
    "idx": Reader(_idx_files, _read_idx, 100),
    "pickle": Reader(_pickles, _read_pickle, 145),
    "gzip": Reader(
        _gzip_files,
        _read_gzip,
        60,
        lambda data, rng: gzip.compress(mutated(bytes(99), [data], rng), mtime=0),
    ),
    "table": Reader(_tables, _read_table, 8, _varied_table),
    "npz": Reader(_npz_files, _read_npz, 20, varied_zip),
    "safetensors": Reader(_weights, _read_weights, 10, _varied_safetensors),
    "checkpoint": Reader(_checkpoints, _read_checkpoint, 20, _varied_safetensors),
    "torch": Reader(_torch_files, _read_torch_file, 6, varied_zip),
    "preparation": Reader(_preparations, _read_preparation, 3, varied_json),
    "onnx": Reader(_onnx_files, _model_reader(".onnx"), 7),
    "skops": Reader(_skops_files, _model_reader(".skops"), 2, varied_zip),
    "npy": Reader(_npy_files, _read_npy, 5),
    "batch": Reader(_batches, _read_batch, 3),
    "annotations": Reader(_annotations, _read_annotations, 3),
    "class names": Reader(_class_names, _read_class_names, 4),
    "image": Reader(_images, _read_image, 14, _varied_png),
    "labels": Reader(_labels_files, _read_labels, 4),
    "features": Reader(_tables_of_features, _read_features, 20),
    "image table": Reader(_tables_of_images, _read_image_table, 5, _varied_table),
    "run of a manifest": Reader(
        lambda place: _manifests(place)[1:], _read_run_of_manifest, 3, varied_json
    ),
    "run of a table": Reader(
        lambda place: _tables(place)[:1], _read_run_of_table, 2, _varied_table
    ),
    "run of a journal": Reader(_journals, _read_journal, 1, _varied_journal),
}
assert sum(reader.share for reader in READERS.values()) == 1000
