"""Your own model in ten lines.

`main` certifies a PyTorch module on an array of images. Replace only the module and the images by
your own. Three things decide whether the result is worth anything:

- **Noise in training.** A network that never saw noise of this sigma mostly guesses under it.
  `own_network` trains with noise, in one line; fine-tuning for a few epochs also works.
- **Units.** sigma and the radius are in the units of `images`, here [0, 1]. Put a normalisation
  inside the module.
- **Samples.** n = 10 000 is enough to try out; use 100 000 for published results.

Try it:

    python examples/own_model.py
"""

import torch
from torch import nn

from sosmooth import SmoothedClassifier
from sosmooth.datasets import load_dataset
from sosmooth.measures import floored


def own_network(sigma: float, steps: int) -> nn.Module:
    """Stands for your model: a small network, trained with noise for a few seconds."""
    torch.manual_seed(0)
    train = load_dataset("mnist7:train")
    images, labels = (
        torch.as_tensor(train.get(range(10_000))),
        torch.as_tensor(train.labels[:10_000]),
    )
    network = nn.Sequential(nn.Flatten(), nn.Linear(49, 200), nn.ReLU(), nn.Linear(200, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(steps):
        batch = torch.randint(len(images), (256,))
        noisy = images[batch] + sigma * torch.randn_like(images[batch])
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(noisy), labels[batch]).backward()
        optimizer.step()
    return network


def main(n: int = 10_000, steps: int = 500) -> None:
    sigma, test = 0.25, load_dataset("mnist7")
    images, labels = test.get(range(20)), test.labels[:20]
    network = own_network(sigma, steps)
    smoothed = SmoothedClassifier(network, sigma=sigma, num_classes=10)
    found = smoothed.certify(images, n=n, alpha=0.001, seed=0)
    for certificate, label in zip(found, labels, strict=True):
        # Rounded down.
        radius, grey = floored(certificate.radius), floored(certificate.radius_in_grey_levels, 1)
        print(
            f"label {label}: class {certificate.prediction:2} within {radius} ({grey} of 255) "
            f"{certificate.abstain_reason}"
        )
    accuracy = found.certified_accuracy(labels, 0.1)
    mean = found.average_certified_radius(labels)
    print(f"certified accuracy at 0.1: {accuracy:.0%}, average certified radius {floored(mean)}")


if __name__ == "__main__":
    main()
