"""How far a value may be from a peer's, and why. The only place that says so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Tolerance:
    """An allowed difference with its reason; with `starts` it is beyond what the starts of the peer give."""

    limit: float
    reason: str
    starts: bool = False

    def __str__(self) -> str:
        return f"range of the peer's starts ± {self.limit:g}" if self.starts else f"{self.limit:g}"


SINGLE = Tolerance(1e-5, "The same formula; the peer computes in single precision, here it is double.")
COUNTS = Tolerance(
    1e-3, "Whole numbers of cells: equal where both have the same neighbours. The peer's are approximate, so that a "
    "cell in ten thousand may have another."
)  # fmt: skip
EQUAL = Tolerance(1e-9, "The same whole numbers; rounding of the mean only.")
LISI = Tolerance(
    1e-4, "The same search for the weights, single precision in the peer, which stops at other digits; its neighbours "
    "are approximate."
)  # fmt: skip
LISI_MEAN = Tolerance(
    5e-4, "As for LISI; the mean also holds far outliers, for which the peer's search fails in single precision."
)
KBET = Tolerance(
    0.005, "The same tests. The peer carries the number of diffusion components over: after a small label all later "
    "ones have fewer. Here every label has 100."
)  # fmt: skip
KBET_OF_LABEL = Tolerance(0.03, "As for the mean over labels; in a label of 41 cells one cell is 0.024.")
KMEANS = Tolerance(
    0.05, "The peer's start comes from JAX's generator, which nothing else repeats, and one start decides: its own "
    "scores for ten seeds differ by up to 0.4. Here it is the best of several starts by inertia. Compared with the "
    "range of the peer's ten starts.", starts=True,
)  # fmt: skip
MEANS = Tolerance(
    0.12, "Means that hold the k-means scores, two of five: no equality is claimed. The means of batch scores are "
    "compared more narrowly."
)  # fmt: skip
MEAN_OF_BATCH = Tolerance(5e-3, "A mean of five scores, of which kBET alone differs by more than 0.001.")
LEIDEN_PATH = Tolerance(
    0.02, "The same graph, seed and call of igraph, and with its version 1.0.0 the same clusters. Leiden follows a "
    "random path: another version, or a graph that differs in the sixth digit, can end in others of the same quality."
)  # fmt: skip
LEIDEN_SCIB = Tolerance(
    0.04, "scib calls Leiden through scanpy, on the same graph with each edge once: another path at every resolution."
)
LEIDEN_SCIB_ARI = Tolerance(
    0.12, "The ARI at the resolution of the best NMI; where the path differs, so may that resolution."
)
SMALL_LABELS = Tolerance(
    0.15, "Clusters of another path (see Leiden) against labels of 2 to 9 cells: one cluster more or less decides."
)
CELL_CYCLE = Tolerance(
    1e-3, "With scib's seed for the draw of control genes, and only the gene symbols it knows. Our default seed moves "
    "the score by up to 0.11 on these files: few cells cycle. Single precision there."
)  # fmt: skip
TRAJECTORY = Tolerance(
    0.06, "Equal to 1e-6 from the same root. The root is voted for by three diffusion components; where they do not "
    "agree the two take different cells."
)  # fmt: skip
_OF_TABLE = {
    "Isolated labels": SINGLE, "Silhouette label": SINGLE, "cLISI": LISI, "iLISI": LISI, "BRAS": SINGLE, "KBET": KBET,
    "Graph connectivity": COUNTS, "PCR comparison": SINGLE, "KMeans NMI": KMEANS, "KMeans ARI": KMEANS,
    "Batch correction": MEAN_OF_BATCH, "Bio conservation": MEANS, "Total": MEANS,
}  # fmt: skip
_SILHOUETTES = (r"(batch_)?silhouette|isolated_labels|bras", SINGLE)
_BY_METRIC: dict[str, list[tuple[str, Tolerance]]] = {
    "scib-metrics": [
        _SILHOUETTES, (r"pcr", SINGLE), (r".lisi, mean", LISI_MEAN), (r".lisi", LISI), (r"kbet_global", COUNTS),
        (r"kbet", KBET_OF_LABEL), (r"leiden", LEIDEN_PATH),
    ],
    "scib": [
        (r"isolated_labels_f1", SMALL_LABELS), _SILHOUETTES, (r"pcr", SINGLE), (r"graph_conn", EQUAL),
        (r"leiden_nmi", LEIDEN_SCIB), (r"leiden_ari", LEIDEN_SCIB_ARI), (r"cell_cycle", CELL_CYCLE),
        (r"hvg", EQUAL), (r"trajectory", TRAJECTORY),
    ],
}  # fmt: skip


def tolerance(peer: str, name: str) -> Tolerance:
    """Return the tolerance of a value.

    Parameters
    ----------
    peer
        ``"scib-metrics"`` or ``"scib"``.
    name
        Its key: file, embedding, metric and what else.
    """
    metric = name.split(" | ")[2]
    if peer == "scib-metrics" and metric in _OF_TABLE:
        return _OF_TABLE[metric]
    for pattern, found in _BY_METRIC[peer]:
        if re.match(pattern, metric):
            return found
    raise ValueError(f"no tolerance is stated for `{name}`")


@dataclass(frozen=True)
class Row:
    """One value of ours and of a peer."""

    peer: str
    key: str
    ours: float | None
    theirs: float | None
    tolerance: Tolerance
    within: bool


def compare(peer: str, theirs: Values, ours: Values, starts: Values | None = None) -> list[Row]:
    """Pair values by name; a name that one side lacks is a row out of tolerance.

    Parameters
    ----------
    peer
        The peer.
    theirs, ours
        Values by key, None where not defined.
    starts
        The least and greatest value of the peer over its starts, for tolerances that speak of them.
    """
    rows = []
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        limit, one, other = tolerance(peer, name), ours.get(name), theirs.get(name)
        if one is None or other is None:
            within = name in ours and name in theirs and one is other
        elif limit.starts:
            least, greatest = _range(name, starts or {})
            within = least - limit.limit <= one <= greatest + limit.limit
        else:
            within = abs(one - other) <= limit.limit
        rows.append(Row(peer, name, one, other, limit, within))
    return rows


def _range(name: str, starts: Values) -> tuple[float, float]:
    file, embedding, metric = name.split(" | ")
    own = [
        value for key, value in starts.items()
        if key.startswith(f"{file} | {embedding} | {metric.lower().replace(' ', '_')}, ") and value is not None
    ]  # fmt: skip
    return min(own), max(own)
