"""What all results that are Arrow tables have in common: they go to pyarrow, pandas and polars as they are."""

from __future__ import annotations

import importlib
from typing import Any

import pyarrow as pa

from onecycle.errors import DataError


class ArrowResult:
    """A result with its rows in `table`; pandas, polars and pyarrow take it as it is."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame."""
        _require("pandas")
        return self.table.to_pandas()

    def to_polars(self) -> Any:
        """Return the table as a polars DataFrame."""
        return _require("polars").from_arrow(self.table)

    def to_arrow(self) -> pa.Table:
        """Return the table, which is an Arrow table already."""
        return self.table


def _require(package: str) -> Any:
    """Return a package that is imported only when it is asked for."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise DataError(
            f"{package} is not installed.", f"{package}, for to_{package}().",
            f"pip install {package}, or use to_arrow() or to_csv().",
        ) from error  # fmt: skip
