"""Input validation: what users give is checked here, and made into what kernels take.

A sentence says what must hold, what was given and what to do. Bad values raise ``InputError``, wrong kinds
``InputTypeError``. What comes out are dense floating arrays and integer codes.
"""

from typing import TYPE_CHECKING

from czbenchmarks._lazy import lazy_exports

if TYPE_CHECKING:
    from .per_cell import Labels as Labels
    from .per_cell import at_least_two as at_least_two
    from .per_cell import cell_ids as cell_ids
    from .per_cell import labels as labels
    from .per_cell import numbers as numbers
    from .per_cell import one_dimensional as one_dimensional
    from .per_cell import same_length as same_length
    from .per_cell import vector as vector
    from .values import Magnitudes as Magnitudes
    from .values import floating as floating
    from .values import matrix as matrix
    from .values import seed as seed
    from .values import share as share
    from .values import whole as whole
    from .words import is_given as is_given
    from .words import kind_of as kind_of
    from .words import listing as listing
    from .words import printable as printable
    from .words import unknown as unknown

_HERE = "czbenchmarks._check"
_MODULES = {
    "words": ["is_given", "kind_of", "listing", "printable", "unknown"],
    "values": ["Magnitudes", "floating", "matrix", "seed", "share", "whole"],
    "per_cell": ["Labels", "at_least_two", "cell_ids", "labels", "numbers", "one_dimensional", "same_length", "vector"],
}
# What prints a name needs no NumPy, which takes long to import.
__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {name: f"{_HERE}.{module}" for module, names in _MODULES.items() for name in names}
)
