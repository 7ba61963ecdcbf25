"""Use of flash and memory by a linked program: by section, object and symbol, and over builds."""

from trimtab.flash.budget import Budget, Overrun, overruns
from trimtab.flash.usage import Part, Usage, changes, read_usage, usage_from_json

__all__ = [
    "Budget",
    "Overrun",
    "Part",
    "Usage",
    "changes",
    "overruns",
    "read_usage",
    "usage_from_json",
]
