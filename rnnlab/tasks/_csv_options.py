"""How a CSV file is read, as a config says it: nothing that can be read in two ways is guessed."""

from typing import Annotated, Literal

from pydantic import Field

from rnnlab.core.data_file import DataFile

Column = Annotated[int, Field(ge=0)] | str


class CsvFile(DataFile):
    """A CSV file of numbers: a row per time step, a column per feature; its path alone is short for the rest."""

    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="what separates cells; null: `,` `;` tab `|` or blanks, as found"
    )
    decimal: Literal[".", ","] | None = Field(None, description="the decimal separator; null: as found")
    header: Literal["auto"] | bool | Annotated[int, Field(ge=0, le=20)] = Field(
        "auto", description="true: the first row has the names of the columns; false: none has; or how many rows have"
    )
    comment: str | None = Field("#", min_length=1, max_length=10, description="what lines begin with that are no rows")
    missing: Literal["error", "interpolate", "forward"] = Field(
        "error",
        description="what to do where cells are missing: interpolate between the rows before and after, which lets an "
        "input depend on a later row; or carry the last value forward",
    )
    na_values: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="further texts for a missing value, beside an empty cell, ?, NA, NaN, null and -"
    )
    time: Column | Annotated[tuple[Column, ...], Field(strict=False, min_length=1)] | None = Field(
        None, description="the column of times, or several that are joined: rows are brought into its order"
    )
    time_format: str | None = Field(
        None, min_length=2, max_length=60, description="how times are written, as for strptime: %d/%m/%Y %H:%M:%S"
    )
    group: Column | Literal[False] | None = Field(
        None, description="the column that names the series of a row, where a file has several; false: it has one"
    )
    ignore: Annotated[tuple[Column, ...], Field(strict=False)] = Field(
        (), description="names or indices of columns to leave out, such as a date"
    )
    target: Column | None = Field(
        None, description="name of the column to predict, or its index in the file, from 0; null: the first"
    )
