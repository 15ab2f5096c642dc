"""A Hugging Face model's files describe its images: compared with transformers' own processor."""

import json
import re
import warnings

import numpy as np
import pytest
import torch

from sosmooth import load_classifier
from sosmooth.classifiers.load import open_classifier

transformers = pytest.importorskip(
    "transformers", reason='needs pip install "sosmooth[huggingface]"'
)
pytest.importorskip("PIL")

VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
}
#: Model, a small configuration, and the side of its images.
MODELS = {
    "vit": ("ViT", VIT, 16),
    "deit": ("DeiT", VIT, 16),
    "convnext": ("ConvNext", {"depths": [1, 1, 1, 1], "hidden_sizes": [4, 8, 8, 16]}, 32),
    "efficientnet": (
        "EfficientNet",
        {
            "width_coefficient": 0.1,
            "depth_coefficient": 0.1,
            "hidden_dim": 128,
            "image_size": 32,
        },
        32,
    ),
    "mobilevit": (
        "MobileViT",
        {
            "hidden_sizes": [8, 8, 8],
            "neck_hidden_sizes": [4, 4, 8, 8, 8, 8, 16],
            "num_attention_heads": 2,
            "image_size": 32,
        },
        32,
    ),
    "levit": (
        "Levit",
        {
            "image_size": 32,
            "hidden_sizes": [8, 16, 16],
            "key_dim": [4, 4, 4],
            "num_attention_heads": [1, 2, 2],
            "depths": [1, 1, 1],
        },
        32,
    ),
}


def saved(folder, kind="vit", processor=None, *, teacher=False, config=None, **settings):
    """A random model of that kind in a folder; its processor's file is as its class writes it."""
    family, small, side = MODELS[kind]
    torch.manual_seed(0)
    made = getattr(transformers, f"{family}Config")(**{"num_labels": 5, **small, **settings})
    name = f"{family}ForImageClassification" + ("WithTeacher" if teacher else "")
    model = getattr(transformers, name)(made).eval()
    with torch.no_grad():  # scores that tell the images apart
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=2 / parameter[0].numel() ** 0.5)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.train().momentum = 1.0
        model(torch.rand(16, 3, side, side))
        model.eval()
    model.save_pretrained(folder)
    if processor is None:
        cls = getattr(transformers, f"{family}ImageProcessor")
        cls(size=side_of(kind, side), **crop_of(kind, side)).save_pretrained(folder)
        processor = {}
    path = folder / "preprocessor_config.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(found | processor))
    if config is not None:
        path = folder / "config.json"
        path.write_text(json.dumps(config(json.loads(path.read_text()))))
    return side


def side_of(kind, side):
    shortest = kind in ("convnext", "levit", "mobilevit")
    return {"shortest_edge": side} if shortest else {"height": side, "width": side}


def crop_of(kind, side):
    crops = kind in ("deit", "levit", "mobilevit")
    return {"crop_size": {"height": side, "width": side}} if crops else {}


def changed(folder, **keys):
    """Change keys of the processor's file; `...` removes a key."""
    path = folder / "preprocessor_config.json"
    found = json.loads(path.read_text()) | keys
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not ...}))


def images(height, width, count=8, channels=3):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, channels, height, width), dtype=np.uint8)


def scores(folder, pixels):
    return load_classifier(f"hf:{folder}")(torch.from_numpy(pixels.astype(np.float32) / 255))


def theirs(folder, pixels, **options):
    """Scores of the model on the output of transformers' own processor."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        taken = processor(
            list(pixels), input_data_format="channels_first", return_tensors="pt", **options
        )
        return model(**taken).logits


def same(ours, expected):
    spread = float(expected.std(dim=0).min())
    assert spread > 1e-6 * float(expected.abs().max())  # the scores depend on the image
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-2 * spread)


STILL = {"do_resize": False, "do_center_crop": False}


@pytest.mark.parametrize("kind", MODELS)
def test_a_processor_of_each_class_is_followed(tmp_path, kind):
    """With the keys and defaults that its class writes; the data set does the resizing."""
    side = saved(tmp_path, kind)
    pixels = images(side, side)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="images of .* are taken as prepared")
        same(scores(tmp_path, pixels), theirs(tmp_path, pixels, **STILL))


@pytest.mark.parametrize(
    "kind",
    [
        # The two that take longest to read; both follow keys in quick tests of their own.
        pytest.param(kind, marks=pytest.mark.slow)
        if kind in ("efficientnet", "mobilevit")
        else kind
        for kind in MODELS
    ],
)
@pytest.mark.parametrize(
    "keys",
    [
        {"do_normalize": False},
        {"do_normalize": ...},
        {"image_mean": [0.1, 0.2, 0.7], "image_std": [0.2, 0.5, 0.4], "do_normalize": True},
        {"image_mean": 0.25, "image_std": 0.5, "do_normalize": True},
        {"rescale_factor": 1 / 127.5},
        {"processor_class": "Any"},
    ],
    ids=str,
)
def test_its_keys_are_followed(tmp_path, kind, keys):
    side = saved(tmp_path, kind)
    changed(tmp_path, do_resize=False, do_center_crop=False, **keys)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))


@pytest.mark.parametrize("offset", [True, False])
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_shift_and_second_division_of_efficientnet(tmp_path, offset, top, normalize):
    side = saved(tmp_path, "efficientnet")
    keys = {"rescale_offset": offset, "include_top": top, "do_normalize": normalize}
    changed(tmp_path, image_std=[0.2, 0.3, 0.4], **keys)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))


@pytest.mark.parametrize("flip", [True, False])
def test_channels_are_flipped_as_mobilevit_does(tmp_path, flip):
    side = saved(tmp_path, "mobilevit")
    changed(tmp_path, do_flip_channel_order=flip)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))


def test_another_class_than_the_models_own(tmp_path):
    side = saved(tmp_path, "vit")
    changed(tmp_path, image_processor_type="MobileViTImageProcessor", do_flip_channel_order=True)
    changed(tmp_path, size=side, crop_size=side)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))


def test_null_is_the_default_of_the_class(tmp_path):
    side = saved(tmp_path, "levit")
    pixels = images(side, side)
    changed(tmp_path, do_resize=False)
    expected = theirs(tmp_path, pixels)  # from the values that the class writes
    changed(tmp_path, image_mean=None, image_std=None, rescale_factor=None)
    opened = open_classifier(f"hf:{tmp_path}")
    assert opened.settings["normalization"] == "0.485,0.456,0.406/0.229,0.224,0.225"
    same(scores(tmp_path, pixels), expected)


def test_a_crop_is_a_part_of_the_classifier(tmp_path):
    side = saved(tmp_path, "deit")
    pixels = images(side + 5, side + 8)
    changed(tmp_path, do_resize=False)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))
    changed(tmp_path, do_resize=True, size={"height": side + 5, "width": side + 8})
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))


def test_a_file_without_a_size_leaves_the_size_of_the_model(tmp_path):
    side = saved(tmp_path)
    changed(tmp_path, size=..., do_resize=...)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels, do_resize=False))
    with pytest.raises(ValueError, match="resizes them to 224×224"):
        scores(tmp_path, images(side + 1, side))


def test_resizing_is_left_to_the_data_set_and_said(tmp_path):
    side = saved(tmp_path, "deit")
    changed(tmp_path, size={"height": 20, "width": 20})
    with pytest.raises(ValueError, match=r"25×25 pixels; .* to 16×16 \(size, crop_size, resample"):
        scores(tmp_path, images(25, 25))
    pixels = images(side, side)
    with pytest.warns(UserWarning, match=r"16×16 pixels are taken as prepared: .*_config\.json"):
        ours = scores(tmp_path, pixels)
    same(ours, theirs(tmp_path, pixels, **STILL))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"image_mean": ...}, r"preprocessor_config\.json has no image_mean; .*0\.5"),
        ({"image_std": ..., "do_normalize": ...}, r"_config\.json has no image_std"),
        ({"do_rescale": False}, "do_rescale is false"),
        ({"do_gamma": True}, "unknown keys do_gamma of ViTImageProcessor"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order of ViTImageProcessor"),
        ({"image_mean": [0.5, 0.5]}, "cannot be used"),
        ({"image_std": 0}, "cannot be used|finite|more to pixels"),
        ({"image_std": -0.5}, "more to pixels than a multiplication"),
        ({"size": {"height": 10**9, "width": 16}}, "size is .*1 to 4096 pixels"),
        ({"crop_size": -1}, "crop_size is -1"),
        ({"image_processor_type": "ImageGPTImageProcessor"}, "cannot be used|channels|more"),
        ({"image_processor_type": "NoImageProcessor"}, "cannot be used: .*Unrecognized"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_by_name(tmp_path, keys, message):
    saved(tmp_path)
    changed(tmp_path, **keys)
    with pytest.raises(ValueError, match=message) as raised:
        load_classifier(f"hf:{tmp_path}")
    assert "\n" not in str(raised.value)
    assert "preprocessor_config.json" in str(raised.value)


def test_a_step_that_depends_on_the_image_is_refused(tmp_path, monkeypatch):
    """For one image, its own mean and spread are a multiplication and an addition."""
    saved(tmp_path)
    cls = type(transformers.AutoImageProcessor.from_pretrained(tmp_path))

    def normalize(self, image, *args, **kwargs):
        return (image - image.mean()) / image.std()

    monkeypatch.setattr(cls, "normalize", normalize)
    with pytest.raises(ValueError, match="more to pixels than a multiplication and an addition"):
        load_classifier(f"hf:{tmp_path}")


def test_a_nested_file_of_newer_models_is_read(tmp_path):
    side = saved(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    found = json.loads(path.read_text()) | {"image_mean": [0.1, 0.2, 0.3]}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": found}))
    path.unlink()
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))
    del found["image_mean"]
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": found}))
    with pytest.raises(ValueError, match=r"/processor_config\.json has no image_mean"):
        load_classifier(f"hf:{tmp_path}")


def test_images_of_other_channels_are_refused(tmp_path):
    side = saved(tmp_path)
    with pytest.raises(ValueError, match=r"for 3 channels; the inputs have 1"):
        scores(tmp_path, images(side, side, channels=1))
    changed(tmp_path, do_normalize=False)
    with pytest.raises(ValueError, match=r"\(3, height, width\); the inputs are \(1, 16, 16\)"):
        scores(tmp_path, images(side, side, channels=1))


# config.json


@pytest.mark.parametrize("kind", ["deit", "levit"])
def test_models_that_a_teacher_taught_are_image_classifiers(tmp_path, kind):
    side = saved(tmp_path, kind, teacher=True)
    changed(tmp_path, do_resize=False)
    pixels = images(side, side)
    same(scores(tmp_path, pixels), theirs(tmp_path, pixels))
    assert open_classifier(f"hf:{tmp_path}").num_classes == 5


def without(*keys):
    return lambda config: {key: value for key, value in config.items() if key not in keys}


def numbered(*numbers):
    return lambda config: config | {"id2label": {str(number): f"c{number}" for number in numbers}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (without("id2label", "label2id"), "says 2 classes, the weights have 5"),
        (numbered(0, 1, 3), "says 3 classes, the weights have 5"),
        (
            numbered(1, 2, 3, 4, 5),
            "numbers the classes 1, 2, 3, 4, 5; the model's 5 classes are 0 to 4",
        ),
        (numbered(0, 1, 2, 3, 7), "numbers the classes 0, 1, 2, 3, 7"),
        (lambda config: config | {"hidden_size": 32}, "get both files of the same model"),
        (
            lambda config: config | {"architectures": ["ViTModel"]},
            r"is a model of kind \['ViTModel'\]",
        ),
        (
            lambda config: config | {"num_hidden_layers": 2},
            "the weights lack vit.*which transformers",
        ),
        (lambda config: config | {"hidden_size": "many"}, "no model that can be read"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_in_one_line(tmp_path, config, message):
    saved(tmp_path, config=config)
    with pytest.raises(ValueError, match=message) as raised:
        load_classifier(f"hf:{tmp_path}")
    assert "\n" not in str(raised.value)


def test_names_in_another_order_are_taken_by_their_numbers(tmp_path):
    saved(tmp_path, config=numbered(4, 2, 0, 1, 3))
    assert open_classifier(f"hf:{tmp_path}").settings["classes"] == [f"c{i}" for i in range(5)]
    assert re.fullmatch(
        "[0-9a-f]{64}", open_classifier(f"hf:{tmp_path}").settings["weights_sha256"]
    )
