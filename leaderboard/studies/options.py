"""`studies` in params.yaml."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PointsPerSide = Annotated[int, Field(ge=1, le=256)]


class StudyOptions(BaseModel):
    """On how much, and how far, models are studied.

    Args:
        images: so many test images of the sources, spread over pairs and cases (table 7).
        everything_grid: points per side of the grid that everything is asked with (table 5).
        grid_images: so many of each source that it is asked of.
        click_objects: so many of each pair are clicked at, each of another image (figure 16).
        clicks: in turn, at each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    images: int = Field(default=50, ge=1)
    everything_grid: tuple[PointsPerSide, ...] = Field(default=(8, 16, 32), min_length=1)
    grid_images: int = Field(default=50, ge=1)
    click_objects: int = Field(default=4, ge=1)
    clicks: int = Field(default=20, ge=1, le=100)
