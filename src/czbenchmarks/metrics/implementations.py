"""Published names of metric functions; each returns a plain number, NaN where it is not defined."""

from __future__ import annotations

from typing import Any

from .perturbation import rank_correlation
from .registry import metrics_registry as metrics_registry
from .utils import compute_entropy_per_cell as compute_entropy_per_cell
from .utils import jaccard_score as jaccard_score
from .utils import mean_fold_metric as mean_fold_metric
from .utils import sequential_alignment as sequential_alignment
from .utils import single_metric as single_metric


def spearman_correlation(a: Any, b: Any) -> float:
    """Spearman's rank correlation; NaN where one side is constant.

    Parameters
    ----------
    a, b
        m finite numbers each.

    Examples
    --------
    >>> spearman_correlation([1, 2, 3], [3, 2, 1])
    -1.0
    """
    return rank_correlation(a, b).value


def f1_score_zero_division(y_true: Any, y_pred: Any, **kwargs: Any) -> float:
    """scikit-learn's F1, 0 for a class that is never predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(y_true, y_pred, zero_division=0, **kwargs))


def precision_score_zero_division(y_true: Any, y_pred: Any, **kwargs: Any) -> float:
    """scikit-learn's precision, 0 for a class that is never predicted."""
    from sklearn.metrics import precision_score

    return float(precision_score(y_true, y_pred, zero_division=0, **kwargs))


def recall_score_zero_division(y_true: Any, y_pred: Any, **kwargs: Any) -> float:
    """scikit-learn's recall, 0 for a class that does not occur."""
    from sklearn.metrics import recall_score

    return float(recall_score(y_true, y_pred, zero_division=0, **kwargs))
