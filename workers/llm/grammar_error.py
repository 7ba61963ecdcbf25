"""The error for a grammar that is refused."""

from __future__ import annotations

from search.text_model import TextModelError


class BadGrammar(TextModelError):
    """A JSON schema, regular expression or list of choices cannot bound a text."""
