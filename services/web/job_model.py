"""The fitted model that a job made or used, for its page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from services.web.formatting import flat
from trimtab.specs.common import MODEL_ID_PATTERN


def take_fitted_model(summary: dict[str, Any]) -> SimpleNamespace | None:
    """Take the fitted model that a job made or used out of its summary."""
    for key, title, words in (
        ("model", "Fitted model", "state"),
        ("model_used", "Model used", "reason"),
    ):
        value = summary.get(key)
        if not isinstance(value, Mapping) or not isinstance(value.get("id"), str):
            continue
        del summary[key]
        name = value["id"]
        listed = re.fullmatch(MODEL_ID_PATTERN, name)
        return SimpleNamespace(
            title=title,
            id=name,
            href=f"/models/{name}" if listed else "",
            words=flat(value.get(words, "")),
        )
    return None
