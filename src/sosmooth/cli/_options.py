"""Options that several commands share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sosmooth.cli._inputs import Choice
    from sosmooth.datasets.inputs import InputSet
    from sosmooth.request import Smoothing


CERTIFICATE = Group.create_ordered("Certificate")
WHICH = Group.create_ordered("Which inputs")
CALLING = Group.create_ordered("The classifier")
WHERE = Group.create_ordered("Where and how it runs")


def _whole(kind: object, tokens: Sequence[Token]) -> int:
    return whole_number(tokens[0].value)


def whole_number(text: str) -> int:
    """A whole number in any way of writing it: 100000, 100_000, 1e5, 4.0."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f"it must be a whole number, as 100000 or 1e5; got {text!r}")
    return int(number)


Whole = Annotated[int, Parameter(converter=_whole)]
WholeOrNone = Annotated[int | None, Parameter(converter=_whole)]
Model = Annotated[
    str,
    Parameter(
        help="Classifier: `cifar10`, `mnist7`, `mnist7_pca10`, `swiss_roll` (bundled, for this"
        " sigma), FILE.safetensors (from `train`), ARCHITECTURE+FILE (`resnet20+FILE`), FILE.onnx,"
        " FILE.pt2, FILE.skops, timm:NAME, hf:FOLDER, or package.module:factory or FILE.py:factory,"
        " with +FILE for its weights."
    ),
]
Data = Annotated[
    str,
    Parameter(
        help="Inputs: `mnist7`, `mnist7_pca10`, `swiss_roll`, mnist:FOLDER, cifar10:FOLDER,"
        " cifar100:FOLDER, a folder of images, FILE.csv?label=COLUMN, FILE.parquet, FILE.npz"
        " (inputs, labels), FILE.npy, hf:FOLDER, text:FILE.csv?model=FOLDER, or"
        " package.module:factory or FILE.py:factory of a torch Dataset or of (inputs, labels)."
    ),
]
Sigma = Annotated[
    float, Parameter(help="Noise level, in units of the inputs: 0.25 for images in [0, 1].")
]
MethodName = Annotated[
    str, Parameter(name="--method", help="`sosmooth methods` says what each of them uses.")
]
ClassesName = Annotated[
    Literal["top", "all"],
    Parameter(
        name="--classes",
        help="Certify as far as the class keeps half of the probability (top), or also as far as"
        " it is ahead of each other class (all).",
        show_default="what the method does by itself",
    ),
]
NormName = Annotated[
    str,
    Parameter(
        name="--norm",
        help="What the radii are measured in: l2, l1 or linf; color: l2, of changes that shift each"
        " colour; low_frequency:K: l2, of changes of the K lowest frequencies along each side.",
    ),
]
CurvatureName = Literal["auto", "on", "off"]
DirectionName = Literal["auto", "samples", "gradient"]
Architecture = Annotated[
    str | None,
    Parameter(
        help="Network of the weights, if their file does not name it: resnet20, resnet32,"
        " resnet44, resnet56, resnet110, resnet50, …; the same as `--model ARCHITECTURE+FILE`."
    ),
]
Output = Annotated[
    str | None,
    Parameter(help="Name or position of the output that classifies, if there are several."),
]
SingleScore = Annotated[
    str | None,
    Parameter(
        help="How one score per input is read: probability (class 1 above 0.5) or margin (above 0)."
    ),
]
Alpha = Annotated[float, Parameter(help="Failure probability of each input's certificate.")]
Seed = Annotated[Whole, Parameter(help="Seed of the noise.")]
RunFolder = Annotated[Path, Parameter(help="Folder of a run.")]
Out = Annotated[Path, Parameter(help="Folder of the run.")]
Radii = Annotated[
    str | None,
    Parameter(
        help="Radii at which certified accuracy is shown: 0.25,0.5,1, in units of the inputs.",
        show_default="a few round ones",
    ),
]
Json = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        help="Print JSON, and nothing else, on standard output.",
    ),
]


@Parameter(name="*", group=WHICH)
@dataclass(frozen=True)
class Which:
    """Which inputs of a data set."""

    indices: Annotated[
        str | None,
        Parameter(
            help="Inputs by number: numbers and slices, as in 0,7,100:200,0:10000:10.",
            show_default="all",
        ),
    ] = None
    skip: Annotated[Whole, Parameter(help="Of these, every K-th.")] = 1
    limit: Annotated[
        WholeOrNone,
        Parameter(
            name="--max", help="Of these, at most K, spread over the classes.", show_default="all"
        ),
    ] = None
    shuffle_seed: Annotated[
        WholeOrNone, Parameter(help="Choose the --max K at random, by this seed.")
    ] = None

    def of(self, inputs: InputSet) -> Choice:
        """The chosen inputs."""
        from sosmooth.cli._inputs import choice, named_indices

        named = named_indices(len(inputs), self.indices, self.skip)
        return choice(inputs.labels, named, self.limit, self.shuffle_seed)


@Parameter(name="*", group=CALLING)
@dataclass(frozen=True)
class Calling:
    """How the classifier is called, and on what noise."""

    batch_size: Annotated[
        WholeOrNone,
        Parameter(help="Evaluations at once.", show_default="found by itself", group=WHERE),
    ] = None
    num_classes: Annotated[
        WholeOrNone, Parameter(help="Number of classes, if the classifier returns labels.")
    ] = None
    architecture: Architecture = None
    normalize: Annotated[
        str | None,
        Parameter(
            help="Normalization in front of the classifier, so that sigma is in units of the"
            " inputs: `imagenet`, MEAN/STD (0.5,0.5,0.5/0.2,0.2,0.2) or `none`.",
            show_default="what timm: and hf: models say themselves",
        ),
    ] = None
    output: Output = None
    single_score: SingleScore = None
    denoiser: Annotated[
        str | None,
        Parameter(
            help="Denoiser in front of a classifier that was trained without noise:"
            " diffusers:FOLDER, or package.module:factory or FILE.py:factory, with +FILE for its"
            " weights."
        ),
    ] = None
    class_names: Annotated[
        Path | None,
        Parameter(
            help="Names of the classifier's classes in its order, by which labels are numbered: a"
            " file with one name per line, a JSON list, or a config.json with id2label.",
            show_default="the classifier's own names, where it has them",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        Parameter(
            help="Seconds that the classifier may take for one batch.",
            show_default="any",
            group=WHERE,
        ),
    ] = None
    device: Annotated[str, Parameter(help="cpu, cuda, cuda:1, mps.", group=WHERE)] = "cpu"
    exact: Annotated[
        bool,
        Parameter(
            group=WHERE,
            negative="",
            show_default=False,
            help="Exact integer noise: the data must be on a lattice, as 8-bit images and mnist7"
            " are.",
        ),
    ] = False
    precision: Annotated[
        str | None,
        Parameter(
            help="Run the classifier under autocast: bfloat16 or float16.",
            show_default="float32",
            group=WHERE,
        ),
    ] = None
    channels_last: Annotated[
        bool,
        Parameter(
            group=WHERE,
            negative="",
            show_default=False,
            help="Lay images and weights out with the channels innermost.",
        ),
    ] = False
    compile: Annotated[
        bool,
        Parameter(
            group=WHERE,
            negative="",
            show_default=False,
            help="Compile the classifier with torch.compile (CUDA graphs on CUDA).",
        ),
    ] = False

    def smoothing(self, sigma: float, inputs: InputSet) -> Smoothing:
        """How the classifier is smoothed."""
        from sosmooth.request import Smoothing
        from sosmooth.sampling.execution import Execution

        return Smoothing(
            sigma,
            self.num_classes,
            self.device,
            self._lattice(inputs),
            Execution(self.precision, self.channels_last, self.compile),
            self.timeout,
        )

    def _lattice(self, inputs: InputSet) -> float | None:
        """The lattice that the data declare, where exact noise is asked for."""
        if not self.exact:
            return None
        if inputs.lattice is None:
            raise ValueError(
                f"--exact: {inputs.name} does not say which lattice its inputs are on; 8-bit images"
                " and mnist7 do; to an .npz file of floating inputs add a number named lattice"
                " (1/255), to a torch Dataset an attribute"
            )
        return inputs.lattice


ALL_INPUTS, AS_IT_IS = Which(), Calling()


def chosen_radii(radii: str | None) -> list[str] | None:
    """The radii above 0 in `--radii`, ascending, as decimals; None where it was not given.

    Raises:
        ValueError: text that is no list of radii.
    """
    if radii is None:
        return None
    try:
        numbers = {Decimal(part.strip()) for part in radii.split(",")}
        if not all(number.is_finite() and number >= 0 for number in numbers):
            raise ValueError
    except (ValueError, ArithmeticError):
        raise ValueError(
            f"--radii must be numbers of at least 0 with commas, like 0.25,0.5,1; got {radii!r}"
        ) from None
    return [f"{number.normalize():f}" for number in sorted(numbers) if number > 0]
