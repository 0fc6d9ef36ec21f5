"""Score single-cell models: embeddings and perturbation predictions, from one call or one command.

``evaluate`` is the call, ``czbenchmarks run`` the command. Importing the package imports nothing else.
"""

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_exports

if TYPE_CHECKING:
    from ._evaluate import evaluate as evaluate

    __version__: str

_attribute, _names, __all__ = lazy_exports(__name__, {"evaluate": "czbenchmarks._evaluate"})
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cz-benchmarks")
    return _attribute(name)


def __dir__() -> list[str]:
    return sorted({*_names(), "__version__"})
