"""Descriptions of a model's fields: the docstrings below them, read when a schema is asked for.

pydantic's `use_attribute_docstrings` reads them where a class is made, and looks through all
modules for its source: a fifth of the processor time in which the command line starts, for
descriptions that most processes never show.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class DescribedModel(BaseModel):
    """A model whose JSON schema describes each field by the docstring below it."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.model_fields.items():
            shown = properties.get(field.alias or name)
            text = description(cls, name)
            if shown is not None and text:
                shown.setdefault("description", text)
        return schema


def description(model: type[BaseModel], name: str) -> str:
    """Return the description of a model's field; empty where there is none."""
    field = model.model_fields.get(name)
    if field is None or field.description is not None:
        return (field and field.description) or ""
    for owner in model.__mro__:
        if name in inspect.get_annotations(owner):
            return _docstrings(owner.__module__).get(f"{owner.__qualname__}.{name}", "")
    return ""


@functools.cache
def _docstrings(module: str) -> Mapping[str, str]:
    """Return the docstrings of the attributes of a module's classes, by `Class.name`."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):  # made at run time, or without its source
        return {}
    found: dict[str, str] = {}
    _collect(ast.parse(source), "", found)
    return found


def _collect(part: Any, path: str, found: dict[str, str]) -> None:
    body = part.body
    for before, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(before, ast.ClassDef):
            _collect(before, f"{path}{before.name}.", found)
        match before, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[path + name] = inspect.cleandoc(text)
