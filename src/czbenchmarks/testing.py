"""Small seeded cells and control embeddings, to try tasks and metrics on.

Nothing here was measured: simulated cells say so in their names and in ``uns["simulated"]``. A control shows what a
score is worth: an embedding that knows the labels should get about the best value, a shuffled one about that of chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from czbenchmarks.exceptions import InputError, InputTypeError

from . import _check
from .constants import RANDOM_SEED

if TYPE_CHECKING:
    from anndata import AnnData

    from .types import ListLike

_MARK = "simulated"
_DEPTH_SPREAD = 0.3
"""Standard deviation of the logarithm of how many molecules of a cell are counted."""
_MOST = 1000.0
_MOST_LOG_MEAN = 15.0
"""Beyond what is measured; it is reached where noise is very large."""


def simulate_time_course(
    n_cells: int = 600,
    n_genes: int = 300,
    n_times: int = 6,
    *,
    n_batches: int = 2,
    noise: float = 1.0,
    random_seed: int = RANDOM_SEED,
) -> AnnData:
    """Simulate cells that are sampled at several times while they mature along a trunk with two branches.

    Cells of one time have matured to different degrees, so that neighbouring times overlap. A third of the genes
    follow maturation, a third the branch a cell takes half-way, and a third do neither; batches shift every gene a
    little. Counts are Poisson draws around that.

    Parameters
    ----------
    n_cells, n_genes, n_times, n_batches
        How much of each.
    noise
        Spread of maturation among the cells of one time, in units of the step between times.
    random_seed
        Seed of all draws.

    Returns
    -------
    Counts (csr) with `time` (0, 1, …), `maturation`, `branch`, `cell_type` and `batch` in ``obs``.

    Examples
    --------
    >>> cells = simulate_time_course(n_cells=60, n_genes=30, n_times=3)
    >>> cells.shape, sorted(cells.obs["branch"].unique())
    ((60, 30), ['simulated_branch_1', 'simulated_branch_2', 'simulated_trunk'])
    """
    n_cells = _check.whole(n_cells, "n_cells", 1)
    n_genes = _check.whole(n_genes, "n_genes", 1)
    n_times = _check.whole(n_times, "n_times", 2)
    n_batches = _check.whole(n_batches, "n_batches", 1)
    noise = _amount(noise, "noise")
    rng = np.random.default_rng(_seed(random_seed))
    time = np.arange(n_cells) % n_times
    maturation = (time + noise * rng.normal(0, 0.5, n_cells)) / (n_times - 1)
    side = rng.integers(1, 3, n_cells)
    batch = rng.integers(0, n_batches, n_cells)
    follows = np.arange(n_genes) % 3
    past = np.maximum(maturation - 0.5, 0)
    log_mean = rng.normal(0.5, 0.7, n_genes) + rng.normal(0, 0.2, (n_batches, n_genes))[batch]
    log_mean += np.outer(maturation, np.where(follows == 0, rng.normal(0, 1.5, n_genes), 0))
    for branch in (1, 2):
        log_mean += np.outer(past * (side == branch), np.where(follows == 1, rng.normal(0, 3, n_genes), 0))
    log_mean = np.minimum(log_mean, _MOST_LOG_MEAN)
    branches = np.where(maturation <= 0.5, f"{_MARK}_trunk", np.char.add(f"{_MARK}_branch_", side.astype(str)))
    stage = np.where(maturation <= 0.25, "early", np.where(maturation <= 0.5, "middle", "late"))
    found = _cells(
        rng.poisson(np.exp(log_mean + rng.normal(0, _DEPTH_SPREAD, (n_cells, 1)))),
        {
            "time": time.astype(np.float64),
            "maturation": maturation,
            "branch": branches,
            "cell_type": np.where(stage == "late", branches, np.char.add(f"{_MARK}_", stage)),
            "batch": np.char.add(f"{_MARK}_batch_", (batch + 1).astype(str)),
        },
    )
    found.uns[_MARK] = "czbenchmarks.testing.simulate_time_course: no measured cells"
    found.uns["random_seed"] = random_seed
    return found


def simulate_screen(
    n_conditions: int = 8,
    n_cells_per_condition: int = 60,
    n_genes: int = 300,
    n_affected_genes: int = 60,
    *,
    random_seed: int = RANDOM_SEED,
) -> AnnData:
    """Simulate a perturbation screen whose effects are known.

    Every condition changes `n_affected_genes` genes by a log fold change of size 1 to 2.5, up or down, and no other.
    Counts are Poisson draws, so that cells are noisy. Written with ``write_h5ad``, the screen is what
    `SingleCellPerturbationDataset` reads.

    Parameters
    ----------
    n_conditions
        Number of perturbations, controls aside.
    n_cells_per_condition
        Cells of each, and control cells.
    n_genes, n_affected_genes
        Genes, and those that one perturbation changes.
    random_seed
        Seed of all draws.

    Returns
    -------
    Counts (csr) with ``obs["condition"]`` (``ctrl`` for control cells). ``layers["perfect_prediction"]`` is what a
    model that knows every effect predicts: the expected counts of each cell. ``uns["de_results_wilcoxon"]`` holds the
    true natural-log fold changes as `logfoldchange`, and the p-values of Wilcoxon's rank-sum test on the counts,
    adjusted by Benjamini and Hochberg, as `pval_adj`; ``uns["control_cells_map"]`` a control cell for each treated one.

    Examples
    --------
    >>> screen = simulate_screen(n_conditions=2, n_cells_per_condition=20, n_genes=30, n_affected_genes=10)
    >>> screen.shape, list(screen.uns["control_cells_map"])
    ((60, 30), ['simulated_perturbation_1', 'simulated_perturbation_2'])
    >>> table = screen.uns["de_results_wilcoxon"]
    >>> int((table["logfoldchange"] != 0).sum())
    20
    """
    import pandas as pd

    n_conditions = _check.whole(n_conditions, "n_conditions", 1)
    m = _check.whole(n_cells_per_condition, "n_cells_per_condition", 2)
    n_genes = _check.whole(n_genes, "n_genes", 1)
    n_affected_genes = _check.whole(n_affected_genes, "n_affected_genes", 1, n_genes)
    rng = np.random.default_rng(_seed(random_seed))
    baseline = np.exp(rng.normal(0.7, 0.5, n_genes))
    effects = np.zeros((n_conditions + 1, n_genes))  # the last one: control cells
    for row in effects[:-1]:
        genes = rng.choice(n_genes, n_affected_genes, replace=False)
        row[genes] = rng.uniform(1, 2.5, n_affected_genes) * rng.choice([-1, 1], n_affected_genes)
    expected = np.repeat(baseline * np.exp(effects), m, axis=0)
    depth = np.exp(rng.normal(0, _DEPTH_SPREAD, (len(expected), 1)))
    counts = rng.poisson(expected * depth)
    names = [*(f"{_MARK}_perturbation_{i + 1}" for i in range(n_conditions)), "ctrl"]
    found = _cells(counts, {"condition": np.repeat(names, m)})
    found.layers["perfect_prediction"] = expected.astype(np.float32)
    controls = list(found.obs_names[-m:])
    found.uns["control_cells_map"] = {
        name: dict(zip(found.obs_names[i * m : (i + 1) * m], controls, strict=True))
        for i, name in enumerate(names[:-1])
    }
    found.uns["de_results_wilcoxon"] = pd.DataFrame(
        {
            "condition": np.repeat(names[:-1], n_genes),
            "gene": np.tile(found.var_names.to_numpy(dtype=object), n_conditions),
            "logfoldchange": effects[:-1].ravel(),
            "pval_adj": _wilcoxon(counts.reshape(n_conditions + 1, m, n_genes)).ravel(),
        }
    )
    found.uns[_MARK] = "czbenchmarks.testing.simulate_screen: no measured cells; `logfoldchange` is the true effect"
    found.uns["random_seed"] = random_seed
    return found


def perfect_embedding(
    labels: ListLike,
    *,
    ordered: bool = False,
    n_dimensions: int = 50,
    spread: float = 0.02,
    random_seed: int = RANDOM_SEED,
) -> NDArray[np.float32]:
    """Embed cells by their labels and by nothing else: labels are far apart, and whatever else is mixed.

    Each label has a place of its own, all of them equally far apart; the cells of a label lie around it at random. So
    batches, donors and species are as mixed as their shares within the labels allow, which may be less than a score's
    best value. For several data sets, embed their labels joined, then split the rows: a label has one place only.

    Parameters
    ----------
    labels
        n labels.
    ordered
        Put the labels in their order along a line instead, for times and stages: that of an ordered categorical, else
        of numbers (also those written as text), else of the alphabet.
    n_dimensions
        Dimensions; there are more if there are more labels.
    spread
        Standard deviation of the cells of one label in every dimension; labels are 1.4 apart (on the line: 1).
    random_seed
        Seed of the draws.

    Returns
    -------
    n x d.

    Examples
    --------
    >>> x = perfect_embedding(["a", "b", "a"], n_dimensions=3, spread=0.0)
    >>> float(np.linalg.norm(x[0] - x[2])), round(float(np.linalg.norm(x[0] - x[1])), 3)
    (0.0, 1.414)
    """
    found = _check.labels(labels, "labels")
    codes = _ranks(labels, found.codes) if ordered else found.codes
    n_labels = int(codes.max()) + 1
    spread = _amount(spread, "spread")
    width = max(_check.whole(n_dimensions, "n_dimensions", 1), 1 if ordered else n_labels)
    rng = np.random.default_rng(_seed(random_seed))
    if ordered:
        centres = np.outer(np.arange(n_labels), np.full(width, width**-0.5))
    else:
        # Turned at random, so that every dimension tells labels apart: classifiers bring dimensions to one scale, and
        # one that held nothing but the spread would count as much as the others.
        centres = np.linalg.qr(rng.normal(size=(width, n_labels)))[0].T
    return (centres[codes] + rng.normal(0, spread, (len(found), width))).astype(np.float32)


def shuffled_embedding(embedding: Any, *, random_seed: int = RANDOM_SEED) -> Any:
    """Give every cell the row of another: the same numbers, which say nothing of the cells any more.

    Parameters
    ----------
    embedding
        n x d array or sparse matrix (or predictions, cells x genes); it is not changed.
    random_seed
        Seed of the order.

    Returns
    -------
    n x d, of the same kind.

    Examples
    --------
    >>> x = shuffled_embedding(np.arange(6.0)[:, None])
    >>> sorted(x.ravel().tolist()), x.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], False)
    """
    if hasattr(embedding, "tocsr"):
        array = embedding.tocsr()
    elif hasattr(embedding, "index") and hasattr(embedding, "columns"):
        raise InputTypeError(
            "`embedding` must be an array, got a DataFrame, whose rows are found by their names; pass its to_numpy()."
        )
    else:
        array = np.asarray(embedding)
    if array.ndim != 2:
        raise InputError(f"`embedding` must be cells x dimensions, got {array.ndim} axes.")
    return array[np.random.default_rng(_seed(random_seed)).permutation(array.shape[0])]


def noise_embedding(n: int, d: int = 50, *, random_seed: int = RANDOM_SEED) -> NDArray[np.float32]:
    """Embed `n` cells at random: independent standard normal numbers.

    Parameters
    ----------
    n
        Cells.
    d
        Dimensions.
    random_seed
        Seed of the draws.

    Returns
    -------
    n x d.

    Examples
    --------
    >>> noise_embedding(3, 2).shape
    (3, 2)
    """
    shape = _check.whole(n, "n", 1), _check.whole(d, "d", 1)
    return np.random.default_rng(_seed(random_seed)).standard_normal(shape, dtype=np.float32)


def _ranks(labels: Any, alphabetical: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the place of each label in the order that labels of this kind have."""
    values = getattr(labels, "values", labels)
    if getattr(values, "ordered", False):
        return np.unique(values.codes, return_inverse=True)[1]
    try:
        return np.unique(_check.numbers(labels, "labels"), return_inverse=True)[1]
    except (TypeError, ValueError):  # names
        return alphabetical


def _amount(value: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise InputTypeError(f"`{name}` must be a number, got {value!r}.")
    if not 0 <= value <= _MOST:
        raise InputError(f"`{name}` must be between 0 and {_MOST:g}, got {value}.")
    return float(value)


def _seed(random_seed: int) -> int:
    return _check.whole(random_seed, "random_seed", 0, 2**32 - 1)


def _cells(counts: NDArray[np.int64], columns: dict[str, Any]) -> AnnData:
    """Return cells and genes that no one can take for measured ones."""
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    n, m = counts.shape
    return AnnData(
        sparse.csr_matrix(counts, dtype=np.float32),
        obs=pd.DataFrame(columns, index=pd.Index([f"{_MARK}_cell_{i + 1:04d}" for i in range(n)])),
        # Data sets of human cells are refused unless their genes begin so.
        var=pd.DataFrame(index=pd.Index([f"ENSG_{_MARK}_{i + 1:04d}" for i in range(m)])),
        uns={"X_content": f"{_MARK} counts"},
    )


def _wilcoxon(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return adjusted p-values, conditions x genes, of counts of conditions (controls last) x cells x genes."""
    from scipy import stats

    tests = [stats.mannwhitneyu(one, counts[-1], axis=0, method="asymptotic").pvalue for one in counts[:-1]]
    # A gene with the same count in all cells has no p-value, and no difference.
    return np.array([stats.false_discovery_control(np.nan_to_num(p, nan=1.0)) for p in tests])
