"""Score single-cell models: embeddings and perturbation predictions, from one call or one command.

``evaluate`` is the call, ``czbenchmarks run`` the command; ``load_dataset`` gives cells to try them on. Importing the
package imports nothing else.
"""

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_exports

if TYPE_CHECKING:
    from .datasets.utils import load_dataset as load_dataset
    from .run.evaluate import evaluate as evaluate

    __version__: str

_attribute, _names, __all__ = lazy_exports(
    __name__, {"evaluate": "czbenchmarks.run.evaluate", "load_dataset": "czbenchmarks.datasets.utils"}
)
__all__ += ["__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("cz-benchmarks")
    return _attribute(name)


def __dir__() -> list[str]:
    return sorted({*_names(), "__version__"})
