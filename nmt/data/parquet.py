"""The door to pyarrow: tables in Parquet files, row by row."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nmt.errors import DataError, UsageError

ROWS = 4096  # that are read together


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each row as the values of some columns; UsageError without pyarrow, DataError without a column."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(f"{path}: Parquet is read with pyarrow: pip install 'nmt[parquet]'") from None
    try:
        file = ParquetFile(path)
        names = file.schema_arrow.names
        missing = [column for column in columns if column not in names]
        if missing:
            raise DataError(f"{path}: no column '{missing[0]}'; there are: {', '.join(names)}")
        for batch in file.iter_batches(ROWS, columns=list(columns)):
            yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
