"""Inputs to certify: `load_dataset(spec) → InputSet`; NumPy only."""

from sosmooth.datasets.inputs import UNKNOWN_LABEL, InputSet
from sosmooth.datasets.load import DATASETS, FOLDER_DATASETS, load_dataset

__all__ = ["DATASETS", "FOLDER_DATASETS", "UNKNOWN_LABEL", "InputSet", "load_dataset"]
