"""Remedies for numbers out of range: most are given in another unit."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

_RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def remedied(remedy: str) -> WrapValidator:
    """Return an annotation that adds a remedy to the fault of a number out of its range.

    Write it after the `Field` that has the range.
    """

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            (item, *_) = error.errors(include_url=False)
            if item["type"] not in _RANGES:
                raise
            raise PydanticCustomError(
                item["type"],
                "{message}",
                {**item["ctx"], "message": item["msg"], "remedy": remedy},
            ) from error

    return WrapValidator(check)
