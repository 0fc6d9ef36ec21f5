"""Principal component regression: how much of the variance of an embedding the batch explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, numbers, same_length
from czbenchmarks._check import labels as _labels
from czbenchmarks.kernels.regression import explained_by_groups, explained_by_number
from czbenchmarks.kernels.representation import Representation, digest

from .inputs import not_batched, reference_components, represent
from .results import Measurement

_NOTHING = 1e-12  # of the variance: rounding, where the means of the batches are the same


def pcr(X: Any, batch: Any, categorical: bool = True) -> Measurement:
    """Share of the variance of an embedding that the batch explains: the R2 of its components, weighted by variance.

    All components are used, so that the share is the variance between the means of the batches over the whole.
    Best 0, worst 1; batches drawn at random explain about (batches - 1) / (cells - 1). Not defined for a single batch,
    for a batch per cell, nor for an embedding that does not vary.

    The breakdown has a row for every batch: its cells, and what it contributes to the value.

    Parameters
    ----------
    X
        n x d embedding.
    batch
        n batches, or n numbers.
    categorical
        Take `batch` for names; with False for numbers, on which the components are regressed.

    References
    ----------
    Büttner et al. 2019, doi:10.1038/s41592-018-0254-1

    Examples
    --------
    >>> pcr([[0.0, 1.0], [0.0, 3.0], [4.0, 1.0], [4.0, 3.0]], ["x", "x", "y", "y"]).value
    0.8
    """
    embedding = represent(X, "X")
    covariate = _Covariate.checked(batch, embedding.n, categorical)
    counts = covariate.counts(embedding.n)
    if covariate.reason:
        return Measurement.undefined(covariate.reason, counts=counts)
    shares = covariate.explained(embedding)
    if shares is None:
        return Measurement.undefined("the embedding does not vary: all cells are at one place", counts=counts)
    rows = covariate.rows(explained=shares)
    return Measurement(_total(shares), counts=counts, details={"dimensions": embedding.d}, breakdowns=rows)


def pcr_comparison(X: Any, batch: Any, unintegrated: Any, categorical: bool = True, scale: bool = True) -> Measurement:
    """How much less of the variance the batch explains in the embedding than before integration, as a share.

    (before - after) / before, each as in `pcr`; 0 where it explains more (the details keep the value below 0). Best 1,
    least 0. Not defined where the batch explained nothing before, nor where `pcr` is not.

    The breakdown has a row for every batch: its cells, and what it contributes before and after.

    Parameters
    ----------
    X
        n x d embedding; all its dimensions count.
    batch
        n batches, or n numbers.
    unintegrated
        n x g data before integration: a PCA, or expression, of which the first 50 components are taken.
    categorical
        Take `batch` for names; with False for numbers.
    scale
        Give the share of the change; with False after - before (best the least, not clipped).

    References
    ----------
    Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8

    Examples
    --------
    >>> before = [[0.0, 1.0], [0.0, 3.0], [4.0, 1.0], [4.0, 3.0]]
    >>> after = [[0.0, 1.0], [0.0, 3.0], [1.0, 1.0], [1.0, 3.0]]
    >>> round(pcr_comparison(after, ["x", "x", "y", "y"], before).value, 3)
    0.75
    """
    embedding = represent(X, "X")
    reference = reference_components(unintegrated)
    same_length(reference.n, embedding.n, "unintegrated")
    covariate = _Covariate.checked(batch, embedding.n, categorical)
    counts = covariate.counts(embedding.n)
    if covariate.reason:
        return Measurement.undefined(covariate.reason, counts=counts)
    key = ("explained", categorical, digest(covariate.values))
    earlier = reference.once(key, lambda: covariate.explained(reference))
    later = covariate.explained(embedding)
    if earlier is None or later is None:
        which = "embedding does" if later is None else "data before integration do"
        return Measurement.undefined(f"the {which} not vary: all cells are at one place", counts=counts)
    before, after = _total(earlier), _total(later)
    details: dict[str, Any] = {"before": before, "after": after, "dimensions_before": reference.d}
    rows = covariate.rows(before=earlier, after=later)
    if not scale:
        return Measurement(after - before, counts=counts, details=details, breakdowns=rows)
    if before <= _NOTHING:
        reason = "the batch explains no variance before integration"
        return Measurement.undefined(reason, counts=counts, details=details, breakdowns=rows)
    value = (before - after) / before
    if value < 0:
        details |= {"unclipped": value, "note": "the batch explains more after integration than before; 0 by rule"}
    return Measurement(max(0.0, value), None, None, counts, details, rows)


def _total(shares: NDArray[np.float64]) -> float:
    return min(1.0, float(shares.sum()))  # shares of a whole may add up to a last digit more


@dataclass(frozen=True)
class _Covariate:
    """What the components are regressed on: codes of batches, or numbers; and why that cannot be done."""

    values: NDArray[Any]
    batches: Labels | None
    reason: str = ""

    @classmethod
    def checked(cls, batch: Any, n: int, categorical: bool) -> _Covariate:
        if not categorical:
            values = numbers(batch, "batch", n)
            return cls(values, None, "all cells have one value of `batch`" if np.ptp(values) == 0 else "")
        batches = _labels(batch, "batch", n)
        return cls(batches.codes, batches, not_batched(batches) or "")

    def counts(self, n: int) -> dict[str, int]:
        return {"used": n, "left_out": 0} | ({"batches": len(self.batches.names)} if self.batches else {})

    def explained(self, embedding: Representation) -> NDArray[np.float64] | None:
        """Return what is explained, by batch where there are batches; None where nothing varies."""
        if self.batches is not None:
            return explained_by_groups(embedding.array, self.values)
        found = explained_by_number(embedding.array, self.values)
        return None if found is None else np.array([found])

    def rows(self, **shares: NDArray[np.float64]) -> list[dict[str, Any]]:
        """Return a row for every batch, with its part of each share."""
        if self.batches is None:
            return []
        return [
            {"batch": str(name), "cells": int(self.batches.counts[i])}
            | {what: float(values[i]) for what, values in shares.items()}
            for i, name in enumerate(self.batches.names)
        ]
