"""Converters of other packages' model objects to an MPS file of our own.

No foreign writer runs: those omit what their format cannot express, rename, or crash. Each adapter
reads the object through its API into a `Draft`, compares the counts with the object's own, and
refuses other parts by name. No solver package is imported here; an object brings its own.
"""

from trimtab.adapters.carry import Carried, carry
from trimtab.adapters.draft import NotCarriedOver

__all__ = ["Carried", "NotCarriedOver", "carry"]
