"""Results as tables of pandas, Polars or Arrow."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from sosmooth._extras import needed

if TYPE_CHECKING:
    import pandas
    import polars


class Framed(ABC):
    """Results with columns: one row an input, in the order of the inputs."""

    @abstractmethod
    def columns(self) -> dict[str, NDArray]:
        """Arrays (inputs,) by name, as `runs.schema.COLUMNS` describes them.

        −1 and NaN mean unknown.
        """

    def to_pandas(self) -> pandas.DataFrame:
        """The columns as a pandas table.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        return needed("pandas", extra="pandas").DataFrame(self.columns())

    def to_polars(self) -> polars.DataFrame:
        """The columns as a Polars table.

        Raises:
            ModuleNotFoundError: Polars is not installed.
        """
        return needed("polars", extra="polars").DataFrame(self.columns())

    def to_arrow(self) -> Any:
        """The columns as an Arrow table."""
        return importlib.import_module("pyarrow").table(self.columns())
