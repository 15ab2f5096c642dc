"""Residual networks, with the names of parameters that public weights have.

Source: K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition, CVPR 2016;
section 4.2 for CIFAR-10.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sosmooth.classifiers.normalization import IMAGENET

CIFAR_DEPTHS = (20, 32, 44, 56, 110)


class _Normalized(nn.Module):
    """A network for RGB images in [0, 1] that normalises them: sigma is in units of the image."""

    mean: Tensor
    deviation: Tensor

    def __init__(self):
        super().__init__()
        # Constants of the architecture are not stored with the weights.
        self.register_buffer("mean", torch.tensor(IMAGENET.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(IMAGENET.std).reshape(3, 1, 1), persistent=False
        )

    def normalized(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation


class _BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut without parameters.

    The shortcut takes every stride-th pixel; missing channels are zero, half on each side.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self._stride, self._missing = stride, channels - channels_in

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self._stride != 1 or self._missing:
            sides = (self._missing // 2, self._missing - self._missing // 2)
            shortcut = nn.functional.pad(
                x[:, :, :: self._stride, :: self._stride], (0, 0, 0, 0, *sides)
            )
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


class CifarResNet(_Normalized):
    """He et al.'s network for CIFAR-10: images (batch, 3, 32, 32) in [0, 1] → scores (batch, 10).

    Images are RGB.
    `depth = 6 k + 2`: a convolution, three stages of k blocks with 16, 32 and 64 channels, the mean
    over the image, a linear layer.

    Args:
        depth: 20, 32, 44, 56 or 110.

    Raises:
        ValueError: another depth.
    """

    def __init__(self, depth: int):
        super().__init__()
        if depth not in CIFAR_DEPTHS:
            raise ValueError(
                f"depth must be one of {', '.join(map(str, CIFAR_DEPTHS))}; got {depth}"
            )
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, stride=1)
        self.layer2 = self._stage(16, 32, blocks, stride=2)
        self.layer3 = self._stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, 10)
        _he_initialization(self)

    @staticmethod
    def _stage(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
        first = _BasicBlock(channels_in, channels, stride)
        return nn.Sequential(
            first, *(_BasicBlock(channels, channels, 1) for _ in range(blocks - 1))
        )

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(self.normalized(images))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


class _Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions.

    The stride is at the 3×3 convolution, as in public weights; in the paper it is at the first.
    """

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        channels = 4 * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ImageNetResNet50(_Normalized):
    """ResNet-50 for ImageNet: images (batch, 3, height, width) in [0, 1] → scores (batch, 1000).

    Images are RGB.
    Parameters are named as in torchvision (`conv1`, `bn1`, `layer1.0.conv1`, …,
    `layer1.0.downsample.0`, `fc`), so that public weights can be loaded.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(64, 64, 3, stride=1)
        self.layer2 = self._stage(256, 128, 4, stride=2)
        self.layer3 = self._stage(512, 256, 6, stride=2)
        self.layer4 = self._stage(1024, 512, 3, stride=2)
        self.fc = nn.Linear(2048, 1000)
        _he_initialization(self)

    @staticmethod
    def _stage(channels_in: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        first = _Bottleneck(channels_in, width, stride)
        return nn.Sequential(first, *(_Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(self.normalized(images)))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(dim=(2, 3)))


def _he_initialization(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
