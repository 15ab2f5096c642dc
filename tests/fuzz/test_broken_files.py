"""Some hundred broken files pass through every reader; `make fuzz` makes a million."""

import gzip
import hashlib
import io
import json
import random
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from readers import READERS, REFUSALS, mutated, varied_json

from sosmooth import import_log
from sosmooth.classifiers.torch_files import read_states
from sosmooth.datasets import _images, download, image_folder
from sosmooth.interchange.log_settings import LogSettings
from sosmooth.interchange.logs import read_log
from sosmooth.runs import RunError
from sosmooth.runs.manifest import manifest_of
from sosmooth.runs.schema import COLUMNS, SCHEMA
from sosmooth.runs.table import parquet_bytes, table_from_parquet

INPUTS = 200
SLOW = {
    **{f"run of a {part}": 40 for part in ("manifest", "table", "journal")},
    **{"torch": 80, "table": 80, "image table": 80, "preparation": 50, "skops": 50},
}
settings.register_profile("fuzz", derandomize=True, deadline=None, database=None, max_examples=150)


def assert_one_line(error: Exception) -> None:
    assert len(str(error).splitlines()) == 1, str(error)


def read(name, data, place):
    """Read it; anything but a return or a one-line refusal fails the test, also a warning."""
    try:
        READERS[name].read(data, place)
    except REFUSALS as error:
        assert_one_line(error)
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_whole_files_are_read(tmp_path, name):
    (tmp_path / "seeds").mkdir()
    accepted = [read(name, data, tmp_path) for data in READERS[name].seeds(tmp_path / "seeds")]
    assert accepted[0]
    assert all(accepted) or name == "run of a manifest"  # one of them belongs to another table


@pytest.mark.parametrize("name", READERS)
def test_broken_files_are_read_or_refused_in_one_line(tmp_path, name):
    (tmp_path / "seeds").mkdir()
    reader, rng = READERS[name], random.Random(name)
    seeds = reader.seeds(tmp_path / "seeds")
    for _ in range(SLOW.get(name, INPUTS)):
        data = rng.choice(seeds)
        varied = reader.vary is not None and rng.random() < 0.6
        read(
            name,
            reader.vary(data, rng) if reader.vary and varied else mutated(data, seeds, rng),
            tmp_path,
        )


HEADER = "idx\tlabel\tpredict\tradius\traw_count\tp_A_bar\tcorrect\ttime"
FIELD = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.text(max_size=8),
    st.sampled_from(["nan", "-0", "1e999", "0:00:01", "−1"]),
)


@settings(settings.get_profile("fuzz"))
@given(st.lists(st.lists(FIELD, min_size=8, max_size=8), min_size=1, max_size=4))
def test_logs_of_any_fields(rows):
    text = "\n".join([HEADER, *("\t".join(row) for row in rows)])
    try:
        read_log(
            Path("a.tsv"),
            text.encode(errors="replace"),
            LogSettings("first_order", sigma=1.0, n=100, alpha=0.01),
        )
    except RunError as error:
        assert_one_line(error)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just(10**400)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [
    "schema_version",
    "settings",
    "environment",
    "inputs",
    "created",
    "digests",
    "dimension",
    "batch_size",
    "complete",
    "derived_from",
]
MANIFEST = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(JSON, st.just(1), st.just({})), max_size=10
)


@settings(settings.get_profile("fuzz"))
@given(
    MANIFEST,
    st.dictionaries(st.sampled_from(["method", "sigma", "n", "n0", "alpha", "seed"]), JSON),
)
def test_manifests_of_any_json(values, chosen):
    data = json.dumps(values | {"schema_version": 1, "settings": chosen}).encode()
    try:
        found = manifest_of(Path("manifest.json"), data)
    except RunError as error:
        assert_one_line(error)
    else:
        assert 0 < found.settings["alpha"] < 1
        assert found.settings["sigma"] > 0
        assert 0 <= found.settings["n"] < 2**63


ARROW = st.sampled_from(
    [
        pa.int64(),
        pa.int8(),
        pa.uint64(),
        pa.float32(),
        pa.string(),
        pa.binary(),
        pa.bool_(),
        pa.timestamp("s"),
        pa.null(),
    ]
)


@settings(settings.get_profile("fuzz"), max_examples=80)
@given(st.dictionaries(st.sampled_from(list(COLUMNS)), ARROW, max_size=4), st.integers(0, 3))
def test_tables_of_any_types(types, size):
    columns = {name: pa.nulls(size, column.type) for name, column in COLUMNS.items()}
    columns |= {name: pa.nulls(size, type_) for name, type_ in types.items()}
    table = pa.table(columns).replace_schema_metadata(SCHEMA.metadata)
    try:
        found = table_from_parquet(Path("results.parquet"), parquet_bytes(table))
    except RunError as error:
        assert_one_line(error)
    else:
        assert found.schema.types == SCHEMA.types


# Bombs and traps


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of that size, with more chunks."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in [
        (b"IHDR", header),
        *chunks,
        (b"IDAT", zlib.compress(bytes(99))),
        (b"IEND", b""),
    ]:
        data += (
            len(content).to_bytes(4, "big")
            + name
            + content
            + zlib.crc32(name + content).to_bytes(4, "big")
        )
    return data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(9_000, 9_000), "9000 × 9000 pixels; at most"),
        (png(60_000, 60_000), "pixels"),
        (png(2**31 - 1, 2**31 - 1), "pixels|cannot|readable"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n",
            "no readable image",
        ),
        (b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\0;", "no readable image"),
        (
            png(4, 4, (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))),
            "cannot be decoded|no readable image",
        ),
    ],
    ids=["many pixels", "more", "most", "PostScript", "GIF", "text bomb"],
)
def test_images_that_are_bombs_or_programs_are_refused(tmp_path, data, said):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=said) as refusal:
        image_folder.load(tmp_path).get([0])
    assert len(str(refusal.value).splitlines()) == 1


def test_an_image_at_the_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_images, "MAX_PIXELS", 12)
    Image.fromarray(np.zeros((3, 4), dtype=np.uint8)).save(tmp_path / "a.png")
    assert image_folder.load(tmp_path).get([0]).shape == (1, 1, 3, 4)


def tar(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return out.getvalue()


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0
) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, size
    return found


@pytest.mark.parametrize(
    "members",
    [
        [member("../outside", size=3)],
        [member("/absolute/../../outside", size=3)],
        [member("link", tarfile.SYMTYPE, "../.."), member("link/outside", size=3)],
        [member("hard", tarfile.LNKTYPE, "../../outside")],
        [member("device", tarfile.CHRTYPE)],
    ],
    ids=["up", "absolute", "symbolic link", "hard link", "device"],
)
def test_archives_never_write_outside_their_folder(tmp_path, members):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(tar(*members))
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    remote = download.RemoteFile("https://example.invalid/a.tar.gz", digest, "tar", 2**20)
    before = {path for path in tmp_path.rglob("*") if inside not in path.parents}
    try:
        download._unpack(remote, archive, inside)
    except (ValueError, OSError) as error:
        assert_one_line(error)
    assert {path for path in tmp_path.rglob("*") if inside not in path.parents} == before
    assert all(path.resolve().is_relative_to(inside) for path in inside.rglob("*"))


def test_weights_that_unpack_to_more_than_they_seem(tmp_path):
    torch.save({"w": torch.zeros(10_000)}, tmp_path / "whole.pt")
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as whole,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for each in whole.infolist():
            packed.writestr(each.filename, whole.read(each))
    with pytest.raises(ValueError, match=r"is compressed, which torch\.save never does"):
        read_states(tmp_path / "packed.pt")
    torch.save({"w": torch.zeros(1).expand(10**12)}, tmp_path / "seen.pt")
    with pytest.raises(ValueError, match="w must be a plain tensor"):
        read_states(tmp_path / "seen.pt")
    torch.save({"w": torch.eye(3).to_sparse()}, tmp_path / "sparse.pt")
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(ValueError, match=r"must be a plain tensor|holds more"),
    ):
        read_states(tmp_path / "sparse.pt")
    assert read_states(tmp_path / "whole.pt")[""]["w"].shape == (10_000,)


def test_a_line_of_ten_megabytes_is_one_short_line(tmp_path):
    log = tmp_path / "a.tsv"
    log.write_text(f"{HEADER}\n0\t1\t1\t0.5\t90\t0.8\t1\t{'9' * 10**7}\n")
    with pytest.raises(RunError, match="line 2: time is") as refusal:
        import_log(log, tmp_path / "run", method="first_order", sigma=1.0, n=100, alpha=0.01)
    assert len(str(refusal.value)) < 500
    for line in ("9" * 10**7 + "x", "9" * 10**7 + "x\t1"):
        log.write_text(line)
        with pytest.raises(RunError) as refusal:
            import_log(log, tmp_path / "run", method="first_order", sigma=1.0, n=100, alpha=0.01)
        assert len(str(refusal.value)) < 500


def test_gzip_within_gzip_is_only_bytes(tmp_path):
    assert READERS["gzip"].read(gzip.compress(gzip.compress(bytes(9))), tmp_path) == gzip.compress(
        bytes(9)
    )


def test_the_changes_follow_from_the_seed_and_change_something():
    data = [
        mutated(b"0123456789" * 20, [b"abc"], random.Random(seed)) for seed in (0, 0, *range(1, 50))
    ]
    assert data[0] == data[1]
    assert len(set(data)) > 45
    assert varied_json(b'{"a": [1, 2]}', random.Random(3)) == varied_json(
        b'{"a": [1, 2]}', random.Random(3)
    )
