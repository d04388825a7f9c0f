"""What every model of the configuration has in common.

Two rules hold here. A model is strict, closed and frozen: nothing is converted in silence, nothing
unknown is accepted, nothing changes. And whoever builds one in Python gets a `ConfigError` too,
never pydantic's own.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from processpool.config.document import Document, plain
from processpool.config.explain import explain
from processpool.config.problems import config_error


class Section(BaseModel):
    """A mapping of the file, with its keys as attributes."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    def __init__(self, /, **data: Any) -> None:
        data = {key: plain(value) for key, value in data.items()}
        try:
            super().__init__(**data)
        except ValidationError as error:
            problems = explain(error, Document(data), type(self))
        else:
            return
        # Out here, so that no traceback shows pydantic's error, which would repeat the values.
        raise config_error(problems)

    # With this mark pydantic validates nested data without calling __init__, so that what is wrong
    # inside keeps its own path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]
