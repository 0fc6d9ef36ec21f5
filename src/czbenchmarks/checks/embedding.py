"""Checks of an embedding: its scale, its dimensions, its clustering, and whether it has seen the labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks._check import Labels, at_least_two
from czbenchmarks._check import labels as checked_labels
from czbenchmarks.constants import RANDOM_SEED
from czbenchmarks.exceptions import InputError
from czbenchmarks.kernels.representation import Representation
from czbenchmarks.metrics.inputs import reference_components, represent
from czbenchmarks.metrics.types import MetricType, metrics_registry

from .types import Check

MOST_CELLS = 20_000  # looked at; more would make a check longer than what it checks
MOVED = 0.05  # a difference between scores worth a look
BETTER = 0.01  # by which a PCA must separate the labels better; less is rounding and noise
MUCH_EXPLAINED = 0.9  # share of the variance that labels explain in hardly any embedding made without them

_BLOCK = 1 << 22  # numbers at a time; in double precision, whatever the embedding has
_OF_LABELS = (MetricType.SILHOUETTE_SCORE, MetricType.KNN_PURITY)

Floats = NDArray[np.floating]


def scale_and_dimension(
    X: Any,
    labels: Any,
    batch: Any = None,
    unintegrated: Any = None,
    random_seed: int = RANDOM_SEED,
) -> Check:
    """How far scores depend on the unit and number of dimensions, beside a PCA of as many dimensions.

    The embedding is scored as it is, with every dimension scaled to variance 1, with every cell scaled to length 1,
    and cut to half of its principal components; the data before integration are cut to as many components as the
    embedding has dimensions. Of many cells a sample of 20,000 is scored.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    batch
        n batches, to score their mixing too.
    unintegrated
        n x d data before integration, a PCA or expression, for the PCA of as many dimensions.
    random_seed
        Seed of the sample.

    Returns
    -------
    A table with one row per variant; ``"look"`` if another scale raises a score of the labels by more than 0.05, or if
    the silhouette of the PCA is greater by more than 0.01. Scores that fall with another scale are no reason to doubt:
    the components of any PCA differ in variance, and lose when they are made alike.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 4)) + np.repeat([[0.0], [9.0]], 30, axis=0)
    >>> cells[:, 0] = 50 * (np.arange(60) % 7)  # one loud dimension drowns the others
    >>> scale_and_dimension(cells, np.repeat(["a", "b"], 30)).verdict
    'look'
    """
    embedding = represent(X, "X")
    groups = checked_labels(labels, "labels", embedding.n)
    at_least_two(groups, "labels")
    batches = None if batch is None else checked_labels(batch, "batch", embedding.n)
    rows = _sample(embedding.n, random_seed)
    cells = _taken(embedding.array, rows)
    variants: dict[str, Callable[[], Floats]] = {
        "as it is": lambda: cells,
        "every dimension to variance 1": lambda: _unit_variance(cells),
        "every cell to length 1": lambda: _unit_length(cells),
    }
    if embedding.d > 1:
        half = math.ceil(embedding.d / 2)
        variants[f"first {half} principal components"] = lambda: _components(cells, half)
    pca = ""
    if unintegrated is not None:
        before = reference_components(unintegrated)
        if before.n != embedding.n:
            raise InputError(f"`unintegrated` must have one row per cell: expected {embedding.n:,}, got {before.n:,}.")
        width = min(embedding.d, before.d)
        pca = f"PCA of the data before integration, {width} dimensions"
        variants[pca] = lambda: _components(_taken(before.array, rows), width)
    table = [
        {"embedding": name, **_scores(make(), groups.take(rows), None if batches is None else batches.take(rows))}
        for name, make in variants.items()
    ]
    details = {"estimated_from": len(rows)} if len(rows) < embedding.n else {}
    return _judged_scale(table, pca, details)


def _judged_scale(table: list[dict[str, Any]], pca: str, details: dict[str, Any]) -> Check:
    first, scaled = table[0], table[1:3]
    of_labels = [metric.value for metric in _OF_LABELS if math.isfinite(first[metric.value])]
    rises = {
        (name, row["embedding"]): row[name] - first[name]
        for name in of_labels
        for row in scaled
        if math.isfinite(row[name])
    }
    if not rises:
        sentence = "No score of the labels has a value for the embedding."
        return Check("scale_and_dimension", "not checked", sentence, tuple(table), details)
    name, how = max(rises, key=lambda place: rises[place])
    look = rises[name, how] > MOVED
    if look:
        said = (
            f"Scaled with {how}, the embedding has a {name} of {first[name] + rises[name, how]:.3f}, as it is "
            f"{first[name]:.3f}, so its scale hides what it knows of the labels"
        )
    else:
        least = min(0.0, *rises.values())
        said = (
            f"No other scale of its dimensions or cells raises a score of the labels by more than {MOVED:g} (they "
            f"move by {least:+.3f} to {max(0.0, *rises.values()):+.3f})"
        )
    if pca:
        separation = MetricType.SILHOUETTE_SCORE.value
        own, other = first[separation], table[-1][separation]
        compared = f"a PCA with as many dimensions has a {separation} of {other:.3f}, the embedding one of {own:.3f}"
        if look or not other > own + BETTER:
            said += f"; {compared}"
        else:  # the reason to look comes first
            look, said = True, f"{_first_letter(compared, str.upper)}; {_first_letter(said, str.lower)}"
    return Check("scale_and_dimension", "look" if look else "ok", f"{said}.", tuple(table), details)


def _first_letter(text: str, change: Callable[[str], str]) -> str:
    return change(text[0]) + text[1:]


def _sample(n: int, seed: int) -> NDArray[np.int64]:
    if n <= MOST_CELLS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, MOST_CELLS, replace=False))


def _taken(cells: Floats, rows: NDArray[np.int64]) -> Floats:
    return np.asarray(cells[rows], dtype=np.float64)  # in this order: a million cells are not copied for a sample


def _scores(cells: Floats, groups: Labels, batches: Labels | None) -> dict[str, float]:
    embedding = Representation(np.ascontiguousarray(cells), 90)
    found = {
        metric.value: metrics_registry.measure(metric, X=embedding, labels=groups.codes).value for metric in _OF_LABELS
    }
    if batches is not None and len(batches.names) > 1:
        found["ilisi"] = metrics_registry.measure(MetricType.ILISI, X=embedding, batch=batches.codes).value
    return found


def _unit_variance(cells: Floats) -> Floats:
    spread = cells.std(axis=0)
    scaled: Floats = (cells - cells.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _unit_length(cells: Floats) -> Floats:
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    scaled: Floats = cells / np.where(length > 0, length, 1.0)
    return scaled


def _components(cells: Floats, n: int) -> Floats:
    """Return the first `n` principal components, by the covariance of the dimensions."""
    centred = cells - cells.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    found: Floats = centred @ axes[:, ::-1][:, :n]
    return found


def resolution_curve_spread(
    X: Any,
    labels: Any,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    resolutions: Sequence[float] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0),
) -> Check:
    """How far clustering scores depend on the resolution and on the seed of Leiden.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    seeds
        Seeds of Leiden.
    resolutions
        Its resolutions; 1.0, which the clustering task uses, is added.

    Returns
    -------
    A table with one row per resolution: mean, least and greatest NMI and ARI over the seeds, mean number of clusters.
    ``"look"`` if seeds move the ARI at resolution 1 by more than 0.05, or another resolution has an NMI better by 0.05.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.random.default_rng(0).normal(size=(60, 4)) + np.repeat([[0.0], [9.0]], 30, axis=0)
    >>> resolution_curve_spread(cells, np.repeat(["a", "b"], 30), resolutions=[0.2, 1.0]).table[0]["resolution"]
    0.2
    """
    from czbenchmarks.metrics.communities import resolution_curve

    embedding = represent(X, "X")
    at_least_two(checked_labels(labels, "labels", embedding.n), "labels")
    rows = resolution_curve(embedding, labels, sorted({*resolutions, 1.0}), seeds)
    table = []
    for resolution in sorted({row["resolution"] for row in rows}):
        some = [row for row in rows if row["resolution"] == resolution]
        line = {"resolution": resolution, "clusters": float(np.mean([row["clusters"] for row in some]))}
        for name in ("nmi", "ari"):
            values = [row[name] for row in some]
            line |= {name: float(np.mean(values)), f"{name}_least": min(values), f"{name}_greatest": max(values)}
        table.append(line)
    fixed = next(line for line in table if line["resolution"] == 1.0)
    best = max(table, key=lambda line: line["nmi"])
    spread = fixed["ari_greatest"] - fixed["ari_least"]
    gain = best["nmi"] - fixed["nmi"]
    seeds_said = f"over {len(seeds)} seeds of Leiden at resolution 1 the ARI spreads by {spread:.3f}"
    sentence = (
        f"The mean NMI at resolution 1 is {fixed['nmi']:.3f}, the best {best['nmi']:.3f} at {best['resolution']:g}; "
        f"{seeds_said}."
    )
    verdict: Any = "look" if spread > MOVED or gain > MOVED else "ok"
    return Check("resolution_curve", verdict, sentence, tuple(table), {"seeds": list(seeds)})


def supervised_embedding(X: Any, labels: Any, declared: bool = False) -> Check:
    """Whether the embedding was made with the labels: declared by the user, or it looks so.

    It looks so where labels explain more than 0.9 of its variance, or where it has a dimension per label and its
    rows are shares of labels.

    Parameters
    ----------
    X
        n x d embedding.
    labels
        n labels.
    declared
        The user says that the model was trained with these labels.

    Examples
    --------
    >>> supervised_embedding([[0.1, 2.0], [0.3, 1.0], [0.2, 3.0]], ["a", "a", "b"], declared=True).verdict
    'look'
    """
    embedding = represent(X, "X")
    groups = checked_labels(labels, "labels", embedding.n)
    at_least_two(groups, "labels")
    share = _explained(embedding.array, groups)
    details = {"variance_explained_by_labels": None if math.isnan(share) else round(share, 4), "declared": declared}
    explained = "has no variance" if math.isnan(share) else f"has {share:.2f} of its variance between labels"
    if declared:
        sentence = (
            f"The embedding is declared to be made with the labels and {explained}: its scores on these labels show "
            "what it was told, so compare it on labels or cells that it has not seen."
        )
        return Check("supervised_embedding", "look", sentence, details=details)
    if share > MUCH_EXPLAINED or _are_shares(embedding.array, len(groups.names)):
        sentence = (
            f"The embedding {explained}, which is rare without training on them; if the model saw these labels, say "
            "so (supervised) and compare it on others."
        )
        return Check("supervised_embedding", "look", sentence, details=details)
    return Check("supervised_embedding", "ok", f"The embedding {explained}.", details=details)


def _explained(cells: Floats, groups: Labels) -> float:
    """Return the share of the variance that lies between labels."""
    n, d = cells.shape
    step = max(1, _BLOCK // d)
    blocks = [slice(start, start + step) for start in range(0, n, step)]
    mean = sum(cells[block].sum(axis=0, dtype=np.float64) for block in blocks) / n
    total, sums = 0.0, np.zeros((len(groups.names), d))
    for block in blocks:
        centred = cells[block].astype(np.float64) - mean
        total += float((centred**2).sum())
        np.add.at(sums, groups.codes[block], centred)
    if total == 0:
        return math.nan
    return float((sums**2 / groups.counts[:, None]).sum() / total)


def _are_shares(cells: Floats, n_labels: int) -> bool:
    return (
        cells.shape[1] == n_labels and bool((cells >= 0).all()) and bool(np.allclose(cells.sum(axis=1), 1.0, atol=1e-3))
    )
