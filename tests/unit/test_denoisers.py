import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sosmooth import SmoothedClassifier, load_classifier
from sosmooth.classifiers.denoised import Denoised
from sosmooth.classifiers.denoisers import open_denoiser
from sosmooth.classifiers.load import open_classifier, runs_code
from sosmooth.classifiers.one_step_diffusion import PREDICTIONS, OneStepDiffusion, nearest_step

KEPT = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
SCALE = """
import torch
from torch import nn

class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.by = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.by * x

def classify(x):
    return torch.stack([x.flatten(1).sum(1), torch.zeros(len(x))], 1)
"""


@pytest.fixture
def scale(tmp_path):
    """A file with a denoiser and a classifier, and weights of the denoiser."""
    (tmp_path / "scale.py").write_text(SCALE)
    save_file({"by": torch.tensor(-2.0)}, tmp_path / "by.safetensors")
    return f"{tmp_path / 'scale.py'}"


def knowing(image, prediction, kept):
    """A network that predicts exactly, because it knows the image, in [−1, 1]."""

    def network(noisy, step):
        assert step.shape == (len(noisy),)
        a, b = np.sqrt(kept[step[0]]), np.sqrt(1 - kept[step[0]])
        noise = (noisy - a * image) / b
        wanted = {"epsilon": noise, "v_prediction": a * noise - b * image, "sample": image}
        return wanted[prediction].expand_as(noisy)

    return network


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_one_step_of_an_exact_model_gives_the_image(prediction):
    image = torch.rand(3, 4, 4, dtype=torch.float64)
    network = knowing(2 * image - 1, prediction, KEPT)
    denoiser = OneStepDiffusion(network, KEPT, sigma=0.25, prediction=prediction)
    noisy = image + 0.25 * torch.randn(5, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(denoiser(noisy), image.expand_as(noisy), atol=1e-6, rtol=0)


def test_the_model_sees_the_noise_that_its_step_was_trained_on():
    seen = {}

    def network(noisy, step):
        seen["noise"], seen["step"] = noisy, int(step[0])
        return torch.cat([noisy, torch.full_like(noisy, torch.nan)], 1)  # a learned variance

    for sigma in (0.05, 0.25, 1.0):
        denoiser = OneStepDiffusion(network, KEPT, sigma=sigma)
        generator = torch.Generator().manual_seed(0)
        grey = 0.5 + sigma * torch.randn(4, 1, 100, 100, generator=generator)
        assert torch.isfinite(denoiser(grey)).all()
        wanted = np.sqrt(1 - KEPT[seen["step"]])
        assert float(seen["noise"].std()) == pytest.approx(wanted, rel=0.02)


def test_the_step_is_the_nearest_one():
    levels = np.sqrt((1 - KEPT) / KEPT)
    for noise in np.geomspace(levels[0], levels[-1], 50):
        step = nearest_step(KEPT, noise)
        ratio = np.maximum(levels / noise, noise / levels)
        assert ratio[step] == ratio.min()
    for sigma in (1e-3, 1e3):
        with pytest.raises(ValueError, match="knows noise levels from"):
            OneStepDiffusion(nn.Identity(), KEPT, sigma=sigma)
    with pytest.raises(ValueError, match="must fall"):
        nearest_step(KEPT[::-1], 0.5)
    with pytest.raises(ValueError, match="prediction must be one of"):
        OneStepDiffusion(nn.Identity(), KEPT, sigma=0.25, prediction="score")


def test_broken_denoisers_are_refused_and_nan_is_no_vote():
    x = torch.rand(3, 4)
    with pytest.raises(ValueError, match=r"same shape \(3, 4\); it returned \(3, 2\)"):
        Denoised(lambda x: x[:, :2], nn.Identity())(x)
    with pytest.raises(ValueError, match=r"floating tensor; it returned torch\.int64"):
        Denoised(lambda x: x.long(), nn.Identity())(x)

    def spoiled(x):
        x = x.clone()
        x[1, 2] = torch.nan
        return x

    for classifier, no_vote in (
        (lambda x: torch.zeros(len(x), 2), "nan"),
        (lambda x: torch.zeros(len(x), dtype=torch.int64), "-1"),
    ):
        returned = Denoised(spoiled, classifier)(x).reshape(3, -1)
        assert [str(row[0].item()) for row in returned[[0, 2]]] in (["0.0"] * 2, ["0"] * 2)
        assert str(returned[1, 0].item()) == no_vote


def test_a_denoiser_is_a_part_of_the_specification(scale):
    place = Path(scale).parent
    front = f"{scale}:Scale+{place / 'by.safetensors'}"
    opened = open_classifier(f"{scale}:classify", denoiser=front)
    x = torch.ones(2, 3)
    assert opened.classifier(x).tolist() == [[-6.0, 0.0]] * 2
    again = open_classifier(opened.settings["spec"])
    assert again.settings == opened.settings
    assert again.classifier(x).tolist() == [[-6.0, 0.0]] * 2
    bare = open_denoiser(f"{scale}:Scale", None)
    assert bare.settings["weights_sha256"] != opened.settings["denoiser"]["weights_sha256"]
    json.dumps(opened.settings)
    assert runs_code(f"mnist7?denoiser={front}")
    assert not runs_code("mnist7?denoiser=diffusers:folder")


def test_the_denoiser_comes_before_the_normalisation(scale):
    place = Path(scale).parent
    front = f"{scale}:Scale+{place / 'by.safetensors'}"
    model = load_classifier(f"{scale}:classify", normalize="1/0.5", denoiser=front)
    # −2 · 1, then (−2 − 1)/0.5, three times.
    assert model(torch.ones(1, 3)).tolist() == [[-18.0, 0.0]]


@pytest.mark.parametrize(
    ("spec", "error", "match"),
    [
        ("mnist7", ValueError, "no denoiser 'mnist7'"),
        ("diffusers:nowhere", FileNotFoundError, "no folder 'unet'"),
        ("a.py:f?key=x", ValueError, r"denoiser must not contain \? or &"),
        ("missing.py:f", FileNotFoundError, "no file"),
    ],
)
def test_specifications_that_cannot_be_read(spec, error, match):
    with pytest.raises(error, match=match):
        open_classifier("mnist7", sigma=0.25, denoiser=spec)


def test_smoothing_behind_a_denoiser():
    def classifier(x):
        return torch.stack([x[:, 0], -x[:, 0]], 1)

    inputs = torch.tensor([[0.1, 0.0], [-0.1, 0.0]])
    for denoiser, classes in ((lambda x: x, [0, 1]), (lambda x: -x, [1, 0])):
        smoothed = SmoothedClassifier(Denoised(denoiser, classifier), sigma=0.1, num_classes=2)
        found = smoothed.certify(inputs, n=2000)
        assert found.prediction.tolist() == classes


@pytest.mark.slow
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_diffusers_agree(tmp_path, prediction):
    diffusers = pytest.importorskip("diffusers", reason='needs pip install ".[diffusers]"')
    network = diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    ).eval()
    scheduler = diffusers.DDPMScheduler(prediction_type=prediction)
    network.save_pretrained(tmp_path / "unet")
    scheduler.save_pretrained(tmp_path / "scheduler")
    opened = open_denoiser(f"diffusers:{tmp_path}", 0.25)
    step = opened.settings["step"]
    images, noise = torch.rand(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    # The same noisy image in the way of diffusers, and one step of its own.
    level = float(((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod)[step]) ** 0.5 / 2
    noisy = scheduler.add_noise(2 * images - 1, noise, torch.tensor(step))
    with torch.no_grad():
        own = opened.function(images + level * noise)
        stepper = diffusers.DDIMScheduler.from_config(scheduler.config)
        stepper.set_timesteps(1000)
        wanted = stepper.step(network(noisy, step).sample, step, noisy).pred_original_sample
    torch.testing.assert_close(own, (wanted + 1) / 2, atol=1e-5, rtol=0)
    assert level == pytest.approx(0.25, rel=0.01)


@pytest.mark.slow
def test_folders_that_hold_no_model_of_diffusers(tmp_path):
    pytest.importorskip("diffusers", reason='needs pip install ".[diffusers]"')
    for part in ("unet", "scheduler"):
        (tmp_path / part).mkdir()
    with pytest.raises(ValueError, match="holds no diffusion model that can be read"):
        open_denoiser(f"diffusers:{tmp_path}", 0.25)
