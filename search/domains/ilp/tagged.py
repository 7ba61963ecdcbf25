"""Tagged messages between the processes of a run: frozen dataclasses, sent as JSON objects."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar

from search.isolation import Message


class Tagged:
    """Base of messages. Subclasses are dataclasses of JSON values and carry their tag as `type`."""

    TYPE: ClassVar[str]


MessageT = TypeVar("MessageT", bound=Tagged)


def pack(message: Tagged) -> Message:
    """Return the JSON object of a message."""
    names = [each.name for each in fields(message)]  # type: ignore[arg-type]
    return {"type": message.TYPE, **{name: getattr(message, name) for name in names}}


class Vocabulary(Generic[MessageT]):
    """Messages that one side may send to the other."""

    def __init__(self, *classes: type[MessageT]) -> None:
        self._classes = {each.TYPE: each for each in classes}

    def unpack(self, data: dict[str, Any]) -> MessageT:
        """Return the message of a JSON object. Raises ValueError for a type that is not in it."""
        values = dict(data)
        tag = values.pop("type", None)
        if tag not in self._classes:
            expected = ", ".join(self._classes)
            raise ValueError(f"type: expected one of {expected}, got {tag!r}")
        return self._classes[tag](**values)
