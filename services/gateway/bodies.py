"""JSON bodies that routes parse themselves, from raw bytes and strictly."""

from __future__ import annotations

import codecs
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from services.errors import UnsupportedMedia
from services.gateway.problems import from_validation

Model = TypeVar("Model", bound=BaseModel)


async def json_body(request: Request, *, media: str = "application/json") -> bytes:
    """Return the raw body without a byte order mark, which PowerShell's files begin with.

    Raises UnsupportedMedia unless it is declared as this type.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != media:
        raise UnsupportedMedia(
            f"Content-Type: expected {media}, got {sent[:80]!r}",
            fix=f"send `Content-Type: {media}`",
        )
    return (await request.body()).removeprefix(codecs.BOM_UTF8)


async def body_of(request: Request, model: type[Model]) -> Model:
    """Parse the JSON body as a model. Raises UnsupportedMedia, BadRequest and InvalidBody."""
    try:
        return model.model_validate_json(await json_body(request))
    except ValidationError as error:
        raise from_validation(error) from error
