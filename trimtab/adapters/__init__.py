"""Model objects of other packages, walked by their own API and carried over into a file of ours.

No foreign writer runs: they leave out what their format cannot say, rename, or crash. Each adapter fills a `Draft`, counts
what it carried against what the model says it has, and refuses the rest by name. No solver package is imported here; an
object brings its own.
"""

from trimtab.adapters.carry import Carried, carry
from trimtab.adapters.draft import NotCarriedOver

__all__ = ["Carried", "NotCarriedOver", "carry"]
