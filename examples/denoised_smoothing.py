"""Certify a classifier that never saw noise, behind a denoiser.

A network trained on clean images fails under Gaussian noise, and then nothing can be certified. A
denoiser in front of it helps: the two together are the base classifier, and the certificate holds
for them. This example trains both on MNIST in some minutes, then certifies with and without.

    python examples/denoised_smoothing.py FOLDER      # of MNIST's four files

The functions `classifier` and `denoiser` are what the command line needs:

    sosmooth certify --model examples/denoised_smoothing.py:classifier+plain.safetensors \\
      --denoiser examples/denoised_smoothing.py:denoiser+denoiser_0.5.safetensors \\
      --data mnist:FOLDER --sigma 0.5 --max 100 --out run
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sosmooth import certify_run, load_dataset, load_run
from sosmooth.classifiers.load import open_classifier
from sosmooth.request import Request, Smoothing

SIGMAS, RADII = (0.25, 0.5), (0.0, 0.25, 0.5, 0.75)


def classifier() -> nn.Module:
    """A small network for MNIST: images (batch, 1, 28, 28) in [0, 1] to scores of ten digits."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 10),
    )


class Denoiser(nn.Module):
    """Predicts the noise of an image and takes it away; half the size inside, for speed."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.noise = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy - self.noise(noisy)


def denoiser() -> nn.Module:
    """The denoiser, untrained."""
    return Denoiser()


def train(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
    epochs: int,
) -> nn.Module:
    """Minimise a loss of (model, images, labels) by Adam."""
    steps = epochs * -(-len(images) // 128)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for rows in _batches(len(images), epochs):
        optimizer.zero_grad()
        loss(model, images[rows], labels[rows]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _batches(count: int, epochs: int) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.randperm(count).split(128)


def classification(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The loss of the classifier; it sees no noise."""
    return nn.functional.cross_entropy(model(images), labels)


def denoising(sigma: float) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """The loss of the denoiser: the mean squared error of its images; it sees no labels."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.mse_loss(model(images + sigma * torch.randn_like(images)), images)

    return loss


def main(
    folder: str,
    out: Path = Path("denoised"),
    *,
    train_images: int = 60_000,
    epochs: int = 3,
    images: int = 100,
    n: int = 2000,
) -> None:
    """Train, certify, print certified accuracies; trained files and finished inputs are kept."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    known = load_dataset(f"mnist:train:{folder}")
    chosen = list(range(min(train_images, len(known))))
    shown, labels = torch.as_tensor(known.get(chosen)), torch.as_tensor(known.labels[chosen])
    if not (plain := out / "plain.safetensors").exists():
        save_file(train(classifier(), shown, labels, classification, epochs).state_dict(), plain)
    data = load_dataset(f"mnist:test:{folder}")
    indices = list(range(0, len(data), max(len(data) // images, 1)))[:images]
    print("certified accuracy at".ljust(29), *(f"{radius:>6.2f}" for radius in RADII))
    for sigma in SIGMAS:
        if not (weights := out / f"denoiser_{sigma}.safetensors").exists():
            trained = train(denoiser(), shown, labels, denoising(sigma), epochs)
            save_file(trained.state_dict(), weights)
        for name, front in (
            ("alone", None),
            ("behind a denoiser", f"{__file__}:denoiser+{weights}"),
        ):
            base = open_classifier(f"{__file__}:classifier+{plain}", sigma=sigma, denoiser=front)
            place = out / f"{name.split()[0]}_{sigma}"
            certify_run(place, base, data, Request(n=n), Smoothing(sigma, 10), indices=indices)
            shares = load_run(place).certified_accuracy(radii=RADII)
            print(f"sigma {sigma:<5} {name:<17}", *(f"{share:>6.1%}" for share in shares))


if __name__ == "__main__":
    main(sys.argv[1])
