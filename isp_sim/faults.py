"""What may be wrong with an arm's lens and with a camera's pixels, as rig files say it.

A sensor file says how many pixels are defective (each camera draws its own), an arm which ones and how light falls off.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Place = Annotated[int, Field(ge=0, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]
Transmittance = Annotated[float, Field(ge=0.01, le=2, allow_inf_nan=False)]
Table = Annotated[
    tuple[Annotated[tuple[Transmittance, ...], Field(min_length=2, max_length=64)], ...],
    Field(min_length=2, max_length=64),
]


class _Block(BaseModel):
    """Unknown keys are faults, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShadingTable(_Block):
    """Share of the light that reaches an arm's pixels, beside the lens's own cos⁴, over its frame.

    Nodes lie from edge to edge, both included: number i of n at `i/(n − 1)` of the frame; between them it is bilinear.

    Attributes:
        colour_temperature_k: of the light it holds under.
        red, green, blue: rows of nodes, from the top, for the pixels of each colour.
    """

    colour_temperature_k: Annotated[float, Field(ge=1000, le=40000)]
    red: Table
    green: Table
    blue: Table

    @model_validator(mode="after")
    def _of_one_size(self) -> Self:
        sizes = {len(row) for table in (self.red, self.green, self.blue) for row in table}
        if len(sizes) > 1 or len({len(self.red), len(self.green), len(self.blue)}) > 1:
            raise ValueError("red, green and blue differ in rows or columns: expected one grid of nodes")
        return self


def _temperatures_rise(tables: tuple[ShadingTable, ...]) -> tuple[ShadingTable, ...]:
    temperatures = [table.colour_temperature_k for table in tables]
    if any(after <= before for before, after in pairwise(temperatures)):
        raise ValueError(f"colour temperatures {temperatures}: expected rising ones")
    if len({(len(table.red), len(table.red[0])) for table in tables}) > 1:
        raise ValueError("tables of several sizes: expected one grid of nodes for all colour temperatures")
    return tables


ShadingTables = Annotated[
    tuple[ShadingTable, ...], Field(min_length=1, max_length=16), AfterValidator(_temperatures_rise)
]
"""Of one arm, by rising colour temperature."""


class DefectDensities(_Block):
    """How many of a sensor's pixels do not see light, beside the hot ones, which do.

    Attributes:
        dead_per_million: pixels that see no light.
        stuck_per_million: pixels that see none and always hold the same charge, drawn evenly from 0 to a full well.
        dead_rows, dead_columns: lines of a camera that see no light.
    """

    dead_per_million: Annotated[float, Field(ge=0, le=1e5)] = 0.0
    stuck_per_million: Annotated[float, Field(ge=0, le=1e5)] = 0.0
    dead_rows: Annotated[int, Field(ge=0, le=64)] = 0
    dead_columns: Annotated[int, Field(ge=0, le=64)] = 0


class DefectList(_Block):
    """Which pixels of a camera are defective: column and row of the frame before binning, from 0.

    Attributes:
        dead: `[x, y]` that see no light.
        stuck: `[x, y, share]` that hold that share of the full well, whatever light.
        hot: `[x, y, e_per_s]`, their extra dark current at the rig's temperature.
        dead_rows, dead_columns: y and x of lines that see no light.
    """

    dead: tuple[tuple[Place, Place], ...] = ()
    stuck: tuple[tuple[Place, Place, Share], ...] = ()
    hot: tuple[tuple[Place, Place, Annotated[float, Field(ge=0, le=1e9)]], ...] = ()
    dead_rows: tuple[Place, ...] = ()
    dead_columns: tuple[Place, ...] = ()

    @property
    def pixels(self) -> tuple[tuple[int, int], ...]:
        """(x, y) of all single ones."""
        return (*self.dead, *((x, y) for x, y, _ in (*self.stuck, *self.hot)))

    def outside(self, height: int, width: int) -> tuple[str, int] | None:
        """The list, and the place in it, of the first defect that a frame does not have; None: all lie in it."""
        for name, places in (("dead", self.dead), ("stuck", self.stuck), ("hot", self.hot)):
            for number, (x, y, *_) in enumerate(places):
                if x >= width or y >= height:
                    return name, number
        for name, lines, size in (("dead_rows", self.dead_rows, height), ("dead_columns", self.dead_columns, width)):
            for number, line in enumerate(lines):
                if line >= size:
                    return name, number
        return None
