"""Open a text model by its name: `none`, `embedded`, `checkpoint:/folder` or `openai:URL`."""

from __future__ import annotations

import os
from pathlib import Path

from search.text_model import ModelUnavailable, TextModel

KEY = "TRIMTAB_TEXT_API_KEY"
"""Environment variable: key of an `openai:URL`. It is never logged or shown."""
HOSTS = "TRIMTAB_TEXT_ALLOWED_HOSTS"
"""Environment variable: hosts that `openai:URL` may name, separated by commas; unset: any."""


def open_model(name: str) -> TextModel:
    """Return the model of a name, ready to generate. Raises ModelUnavailable.

    A GGUF file is read for seconds at its first use. An endpoint is not called before the first
    request.
    """
    kind, _, place = name.partition(":")
    if name == "none":
        from workers.llm.none import NoTextModel

        return NoTextModel()
    if name == "embedded" or (kind == "checkpoint" and place):
        return _local(place)
    if kind == "openai" and place:
        from workers.llm.remote_openai import OpenAITextModel, RemoteOptions

        hosts = os.environ.get(HOSTS)
        return OpenAITextModel(
            RemoteOptions(
                url=place,
                key=os.environ.get(KEY, ""),
                allowed_hosts=None if hosts is None else tuple(hosts.split(",")),
            )
        )
    raise ModelUnavailable(
        "text model: expected none, embedded, checkpoint:/folder or openai:URL, got "
        f"{name[:80]!r}; correct TRIMTAB_TEXT_MODEL"
    )


def _local(place: str) -> TextModel:
    """Return the embedded model, or that of a folder or a GGUF file."""
    # Here, because torch takes a second, and services do without it.
    try:
        from workers.llm import local, weights
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"text model: expected the package {error.name}, got none; run `make setup-llm`"
        ) from None
    source = weights.checkpoint(Path(place)) if place else weights.embedded()
    return local.load(source)
