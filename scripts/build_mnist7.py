"""Build the bundled 7×7 MNIST from the four raw idx files.

    python scripts/build_mnist7.py IDX_FOLDER OUT_FOLDER

A pixel of the 7×7 image is the mean of a 4×4 block of the 28×28 image (Levine et al. 2020,
section 5). It is stored as the sum of the block, 0 … 4080, which is exact: value = sum / 4080.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from sosmooth.datasets.mnist import FILES, read_idx

BLOCK = 4
SIDE = 28

#: sha256 of the sums as little-endian int64 in C order.
SUM_DIGESTS = {
    "train": "fe74237c50cc15dd8f32514aa253882e0fe8939aa493d7e7faf87fa64ba5e3bd",
    "test": "969e82de7eabce26526b0ce0ced7b47702b3c83393f45ebf3b5c85e08c8c052b",
}


def checked_digest(what: str, content: bytes, expected: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{what}: sha256 {found}, expected {expected}; take the original bytes, unpacked"
        )
    return content


def raw_file(folder: Path, name: str, axes: int) -> np.ndarray:
    return read_idx(checked_digest(name, (folder / name).read_bytes(), FILES[name]), axes=axes)


def block_sums(images: np.ndarray) -> np.ndarray:
    blocks = images.reshape(-1, SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK)
    return blocks.sum(axis=(2, 4), dtype=np.uint16).astype("<u2")


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As `np.savez_compressed`, but without the time, so that the file depends only on content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_DEFLATED
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Build the bundled 7×7 MNIST from the raw idx files."
    )
    parser.add_argument("idx_folder", type=Path, help="holds " + ", ".join(FILES))
    parser.add_argument("out_folder", type=Path, help="gets mnist7_train.npz and mnist7_test.npz")
    arguments = parser.parse_args()
    try:
        arguments.out_folder.mkdir(parents=True, exist_ok=True)
        for split, prefix in (("train", "train"), ("test", "t10k")):
            sums = block_sums(raw_file(arguments.idx_folder, f"{prefix}-images-idx3-ubyte", axes=3))
            checked_digest(f"the {split} sums", sums.astype("<i8").tobytes(), SUM_DIGESTS[split])
            labels = raw_file(arguments.idx_folder, f"{prefix}-labels-idx1-ubyte", axes=1)
            path = arguments.out_folder / f"mnist7_{split}.npz"
            write_npz(path, {"sums": sums, "labels": labels})
            print(f"{path}: {len(sums)} images, {path.stat().st_size} bytes")
    except (OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
