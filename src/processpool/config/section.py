"""The base class of all configuration models.

Two rules hold here. A model is strict, closed and frozen: no value is converted silently, no
unknown key is accepted, no attribute can be changed. And a model that is built in Python raises
`ConfigError` as well, never pydantic's `ValidationError`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from processpool.config.document import Document, plain
from processpool.config.explain import explain
from processpool.config.problems import config_error


class Section(BaseModel):
    """A mapping in the configuration file, with its keys as attributes."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    def __init__(self, /, **data: Any) -> None:
        data = {key: plain(value) for key, value in data.items()}
        try:
            super().__init__(**data)
        except ValidationError as error:
            problems = explain(error, Document(data), type(self))
        else:
            return
        # Raised outside the except clause: as its context, pydantic's error would show the values.
        raise config_error(problems)

    # This attribute makes pydantic validate nested sections without calling __init__, so that an
    # error inside one keeps its full path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
