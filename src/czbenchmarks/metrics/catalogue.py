"""The catalogue of metrics: one row each.

To add a metric, add a row to ``MetricType``: its string value, its function as ``"module:function"``, the arguments it
needs, range, best value, what chance gets, its pitfalls and source. The registry, the command line, the documentation
tables and the generic tests are derived from the row. The function may live in any library; if it returns a plain
number, nothing else is to be done.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from .declaration import Declaration as Declaration
from .declaration import declare as declare

_HERE = "czbenchmarks.metrics"


_INF = float("inf")
# Why a metric has no value per cell.
_INDEX = "an index of a whole table of labels and clusters: no sum over cells, or over pairs of cells that are free"
_RATIO = "a ratio of variances of all cells"
_MACRO = "binary for two classes, else the plain mean over classes"
_LISI = "Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0"
_CILISI = "Andreatta et al. 2024, doi:10.1038/s41467-024-45240-z"
_KSIM = "Li et al. 2020, doi:10.1038/s41592-020-0905-x"
_PRESERVED = "Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68; 2006, doi:10.1016/j.neunet.2006.05.014"
_COPY = (
    "a copy of uncorrected data scores 1, and taking batches out lowers it (of embeddings in general: Chari and "
    "Pachter 2023, doi:10.1371/journal.pcbi.1011288)"
)
_SCIB = "Luecken et al. 2022, doi:10.1038/s41592-021-01336-8"
_LEIDEN = "Traag et al. 2019, doi:10.1038/s41598-019-41695-z"
_ROSENBERG = "Rosenberg and Hirschberg 2007, https://aclanthology.org/D07-1043"
_SOKOLOVA = "Sokolova and Lapalme 2009, doi:10.1016/j.ipm.2009.03.002"
# What the scores of classifiers share, whoever averages them: chance, pitfall, source.
_OF_CLASSIFIERS: dict[str, tuple[float | str, str, str]] = {
    "accuracy": (
        "between the sum of the squared class shares (guessing by share) and the largest share (always the same guess)",
        "A classifier that always answers with the commonest class looks good where one class dominates; read F1 too.",
        _SOKOLOVA,
    ),
    "auroc": (
        0.5,
        "Only the ranking counts: it stays high where a rare class is hardly ever called right "
        "(Saito and Rehmsmeier 2015, doi:10.1371/journal.pone.0118432).",
        "Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747",
    ),
    "f1": (
        "about 1 over the number of classes or less; with two classes at most about the share of the positive one",
        "Each class counts the same, so a handful of rare cells can move it much; this is the mean of the classes' F1, "
        "not the F1 of mean precision and recall (Opitz and Burst 2019, arXiv:1911.03347).",
        _SOKOLOVA,
    ),
    "precision": (
        "about 1 over the number of classes or less; with two classes at most about the share of the positive one",
        "Alone it rewards caution: a class that is called only when certain has a high precision and a low recall; a "
        "class that is never called counts 0.",
        _SOKOLOVA,
    ),
    "recall": (
        "about 1 over the number of classes; with two classes the share of the cells called positive",
        "Alone it rewards calling a class too often; with two classes only the positive one counts.",
        _SOKOLOVA,
    ),
    "balanced_accuracy": (
        "1 over the number of classes of the test cells",
        "Each class counts the same, so a handful of rare cells can move it much, and it does not see how many cells "
        "of a common class are called rare (Chicco, Toetsch and Jurman 2021, doi:10.1186/s13040-021-00244-z).",
        "Brodersen et al. 2010, doi:10.1109/ICPR.2010.764",
    ),
    "mcc": (
        0.0,
        "It depends on the class shares, so values of data sets with other shares do not compare "
        "(Zhu 2020, doi:10.1016/j.patrec.2020.03.030); with several classes -1 cannot be reached.",
        "Matthews 1975, doi:10.1016/0005-2795(75)90109-9; several classes: Gorodkin 2004, "
        "doi:10.1016/j.compbiolchem.2004.09.006",
    ),
}  # fmt: skip


def _of_classifier(
    score: str, /, function: str, needs: str, about: str, tags: str = "label_prediction", **defaults: Any
) -> Declaration:
    chance, pitfalls, reference = _OF_CLASSIFIERS[score]
    return declare(
        function, needs=needs, tags=tags, range=(-1 if score == "mcc" else 0, 1), best=1, about=about,
        reference=reference, chance=chance, pitfalls=pitfalls, **defaults,
    )  # fmt: skip


def _single(metric: str, about: str) -> Declaration:
    return _of_classifier(metric, f"{_HERE}.utils:single_metric", "results_df metric", about, metric=metric)


def _mean_fold(metric: str, about: str) -> Declaration:
    function = f"{_HERE}.utils:mean_fold_metric"
    return _of_classifier(metric, function, "results_df", about, metric=metric, classifier=None)


def _of_labels(metric: str, function: str, about: str) -> Declaration:
    return _of_classifier(metric, function, "y_true y_pred", about, tags="label_prediction perturbation")


def _scgraph(column: str, about: str) -> Declaration:
    return declare(
        f"{_HERE}.scgraph:scgraph_{column}", needs="X labels batch expression", tags="integration embedding",
        range=(-1, 1), best=1, about=about,
        reference="Wang, Leskovec and Regev 2024, doi:10.1101/2024.04.02.587824",
        chance="about 0, and scattered where labels are few: with three labels a correlation is of two distances",
        pitfalls="Its reference is a PCA of each batch, which favours embeddings that resemble one; with few labels a "
        "correlation is of few distances; and with logarithms, as here, its authors found that it did not flag labels "
        "that drift apart effectively (doi:10.1038/s41587-025-02702-z, extended data figure 2).",
        part="bio", cost="components of 1,000 genes of each batch, once for all embeddings",
    )  # fmt: skip


class MetricType(Enum):
    """Every metric, by name; ``.value`` is its key in results and ``.declaration`` what is known about it."""

    declaration: Declaration

    def __new__(cls, value: str, declaration: Declaration) -> MetricType:
        """Keep the key as the member's value and the row beside it."""
        member = object.__new__(cls)
        member._value_ = value
        member.declaration = declaration
        return member

    ADJUSTED_RAND_INDEX = "adjusted_rand_index", declare(
        f"{_HERE}.clustering:adjusted_rand_index", needs="labels_true labels_pred", tags="clustering",
        range=(-0.5, 1), best=1, about="Pairs of cells that clusters and labels treat alike, corrected for chance (0).",
        reference="Hubert and Arabie 1985, doi:10.1007/BF01908075",
        chance=0.0, pitfalls="Large labels decide it, and splitting one costs much; where labels differ much in size "
        "look at NMI too (Romano et al. 2016, JMLR 17:134).",
        part="bio", no_units=_INDEX, cost="Leiden on the graph of 15 neighbours",
    )  # fmt: skip
    NORMALIZED_MUTUAL_INFO = "normalized_mutual_info", declare(
        f"{_HERE}.clustering:normalized_mutual_info", needs="labels_true labels_pred", tags="clustering",
        range=(0, 1), best=1, about="Information shared by clusters and labels, over the mean of their entropies.",
        reference="Vinh et al. 2010, JMLR 11:2837",
        chance="a little above 0: more with more clusters, less with more cells",
        pitfalls="Not corrected for chance: more clusters raise it, and few cells do too (Vinh et al. 2010).",
        part="bio", no_units=_INDEX, cost="Leiden on the graph of 15 neighbours",
    )  # fmt: skip
    SILHOUETTE_SCORE = "silhouette_score", declare(
        f"{_HERE}.embedding:silhouette_label", needs="X labels", tags="embedding",
        range=(0, 1), best=1, about="Cells lie nearer to their own label than to the next one; 0.5: no separation.",
        reference="Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7; Luecken 2022, doi:10.1038/s41592-021-01336-8",
        chance="0.5 or less: less with labels of few cells and cells far out (0.40 seen for a shuffled PCA, 14 labels)",
        pitfalls="It likes compact, round groups and marks down a cell type that is a continuum, however well kept "
        "(Rautenstrauch and Ohler 2025, doi:10.1038/s41587-025-02743-4).",
        part="bio", scib_name="Silhouette label", cost="distances between all pairs of cells",
        takes="max_cells random_seed",
    )  # fmt: skip
    ENTROPY_PER_CELL = "entropy_per_cell", declare(
        f"{_HERE}.integration:entropy_per_cell", needs="X labels", tags="integration",
        range=(0, 1), best=1, about="Batches are evenly mixed among each cell's 200 neighbours.",
        reference="Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; used for batches by Haghverdi et al. 2018, "
        "doi:10.1038/nbt.4091",
        chance="about the best there is: entropy of the batch shares over log(batches), 1 for batches of equal size",
        pitfalls="Noise gets the best value, and 1 cannot be reached with batches of unequal size; read it beside a "
        "score of the labels.",
        part="batch", neighbors=201, roles="labels=batch", cost="200 nearest cells",
    )  # fmt: skip
    BATCH_SILHOUETTE = "batch_silhouette", declare(
        f"{_HERE}.integration:batch_silhouette", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Within each label, cells are as near to other batches as to their own.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="near the best: 0.9 to 1, less with few cells per label and batch or in two dimensions",
        pitfalls="Noise scores near 1, and batches that overlap with one neighbour only look mixed "
        "(Rautenstrauch and Ohler 2025, doi:10.1038/s41587-025-02743-4).",
        part="batch", scib_name="Silhouette batch", cost="distances between all pairs of cells within a label",
        takes="max_cells random_seed",
    )  # fmt: skip
    MEAN_SQUARED_ERROR = "mean_squared_error", declare(
        "sklearn.metrics:mean_squared_error", needs="y_true y_pred", tags="perturbation",
        range=(0, _INF), best=0, about="Mean squared difference between true and predicted values.",
        reference="Hastie, Tibshirani and Friedman 2009, doi:10.1007/978-0-387-84858-7, section 2.4",
        chance="no fixed value; the variance of the true values for a prediction of their mean",
        pitfalls="It has the squared unit of the data, so values of two data sets do not compare; a few large errors, "
        "or in expression the many genes that do not change, decide it.",
    )  # fmt: skip
    PEARSON_CORRELATION = "PEARSON_CORRELATION", declare(
        "scipy.stats:pearsonr", needs="x y", tags="perturbation",
        range=(-1, 1), best=1, about="Linear correlation between true and predicted values.",
        reference="Pearson 1895, doi:10.1098/rspl.1895.0041",
        chance=0.0, pitfalls="It ignores scale and offset, and one extreme value can decide it.",
    )  # fmt: skip
    ACCURACY = "accuracy", _single("accuracy", "Share of cells whose label is predicted.")
    ACCURACY_CALCULATION = "accuracy_calculation", _of_labels(
        "accuracy", "sklearn.metrics:accuracy_score", "Share of predictions that are right."
    )  # fmt: skip
    MEAN_FOLD_ACCURACY = (
        "mean_fold_accuracy",
        _mean_fold("accuracy", "Share of cells whose label is predicted, mean over folds."),
    )
    AUROC = "auroc", _single("auroc", "Chance that a cell of a class ranks above another cell, mean over classes.")
    MEAN_FOLD_AUROC = (
        "mean_fold_auroc",
        _mean_fold("auroc", "Chance that a cell of a class ranks above another cell, mean over classes and folds."),
    )
    F1_SCORE = "f1", _single("f1", f"Harmonic mean of precision and recall, {_MACRO}.")
    F1_CALCULATION = "f1_calculation", _of_labels(
        "f1", f"{_HERE}.implementations:f1_score_zero_division", "Harmonic mean of precision and recall."
    )  # fmt: skip
    MEAN_FOLD_F1_SCORE = (
        "mean_fold_f1",
        _mean_fold("f1", f"Harmonic mean of precision and recall, {_MACRO}; mean over folds."),
    )
    JACCARD = "jaccard", declare(
        f"{_HERE}.utils:jaccard_score", needs="y_true y_pred", tags="perturbation",
        range=(0, 1), best=1, about="Shared part of two sets: size of the intersection over that of the union.",
        reference="Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
        chance="two random sets of m out of N: about m / (2 N - m)",
        pitfalls="It grows with the size of the sets, and sets of different size cannot reach 1.",
    )  # fmt: skip
    PRECISION = "precision", _single("precision", f"Share of the predictions of a class that are right, {_MACRO}.")
    PRECISION_CALCULATION = "precision_calculation", _of_labels(
        "precision", f"{_HERE}.implementations:precision_score_zero_division",
        "Share of the predictions of a class that are right.",
    )  # fmt: skip
    MEAN_FOLD_PRECISION = (
        "mean_fold_precision",
        _mean_fold("precision", f"Share of the predictions of a class that are right, {_MACRO}; mean over folds."),
    )
    RECALL = "recall", _single("recall", f"Share of the cells of a class that are found, {_MACRO}.")
    RECALL_CALCULATION = "recall_calculation", _of_labels(
        "recall", f"{_HERE}.implementations:recall_score_zero_division", "Share of the cells of a class that are found."
    )  # fmt: skip
    MEAN_FOLD_RECALL = (
        "mean_fold_recall",
        _mean_fold("recall", f"Share of the cells of a class that are found, {_MACRO}; mean over folds."),
    )
    SPEARMAN_CORRELATION_CALCULATION = "spearman_correlation_calculation", declare(
        f"{_HERE}.perturbation:rank_correlation", needs="a b", tags="label_prediction perturbation",
        range=(-1, 1), best=1, about="Predicted and true effects rank the genes alike.",
        reference="Spearman 1904, doi:10.2307/1412159",
        chance="0 for ranks drawn at random; in the perturbation task above 0, and 0.7 on some real data, for a "
        "prediction that gives all treated cells one value: its effects are minus the control means, which rank genes "
        "much as fold changes do",
        pitfalls="Only ranks count: an effect of the wrong size scores 1, and a shift that all "
        "perturbations share scores well without telling them apart (Ahlmann-Eltze, Huber and Anders 2025, "
        "doi:10.1038/s41592-025-02772-6, whose simple baselines were not beaten).",
    )  # fmt: skip
    SEQUENTIAL_ALIGNMENT = "sequential_alignment", declare(
        f"{_HERE}.sequential:sequential_alignment", needs="X labels", tags="sequential",
        range=(0, 1), best=1, about="Neighbours are nearer in time than cells drawn at random (0).",
        reference="Defined by cz-benchmarks, https://github.com/chanzuckerberg/cz-benchmarks",
        chance=0.0, pitfalls="Batches that were made at different times give a good value without any biology; values "
        "worse than chance are cut off at 0.",
        neighbors=16, roles="labels=time", cost="15 nearest cells",
    )  # fmt: skip

    # Clusters against labels (scIB and beyond).
    KMEANS_NMI = "kmeans_nmi", declare(
        f"{_HERE}.communities:kmeans_nmi", needs="X labels", tags="clustering embedding",
        range=(0, 1), best=1, about="As many k-means clusters as labels share their information with the labels.",
        reference=f"{_SCIB}; Arthur and Vassilvitskii 2007, doi:10.5555/1283383.1283494",
        chance="a little above 0: more with more labels, less with more cells",
        pitfalls="K-means likes round groups of similar size, and one start is a draw: 0.50 to 0.77 were seen over ten "
        "starts of one embedding, and the best start is not the best clustering (see the range in the details).",
        part="bio", no_units=_INDEX, scib_name="KMeans NMI", cost="k-means from ten starts", draws=True,
    )  # fmt: skip
    KMEANS_ARI = "kmeans_ari", declare(
        f"{_HERE}.communities:kmeans_ari", needs="X labels", tags="clustering embedding",
        range=(-0.5, 1), best=1, about="As many k-means clusters as labels treat pairs of cells as the labels do.",
        reference=f"{_SCIB}; Hubert and Arabie 1985, doi:10.1007/BF01908075",
        chance=0.0, pitfalls="K-means splits large groups and joins small ones, which costs this index most where "
        "labels differ in size (Romano et al. 2016, JMLR 17:134), and one start is a draw.",
        part="bio", no_units=_INDEX, scib_name="KMeans ARI",
        cost="k-means from ten starts, shared with the other score", draws=True,
    )  # fmt: skip
    LEIDEN_NMI = "leiden_nmi", declare(
        f"{_HERE}.communities:leiden_nmi", needs="X labels", tags="clustering embedding",
        range=(0, 1), best=1, about="Leiden communities at resolution 1 share their information with the labels.",
        reference=f"{_SCIB}; {_LEIDEN}",
        chance="a little above 0: more with more communities, less with more cells",
        pitfalls="One resolution suits one number of labels: many more or fewer labels than communities cost an "
        "embedding what is no fault of its own; another seed moves it too.",
        part="bio", no_units=_INDEX, neighbors=15, cost="Leiden on the graph of 15 neighbours", draws=True,
    )  # fmt: skip
    LEIDEN_ARI = "leiden_ari", declare(
        f"{_HERE}.communities:leiden_ari", needs="X labels", tags="clustering embedding",
        range=(-0.5, 1), best=1, about="Leiden communities at resolution 1 treat pairs of cells as the labels do.",
        reference=f"{_SCIB}; {_LEIDEN}",
        chance=0.0, pitfalls="Splitting one large label costs much, and at a fixed resolution large labels are split "
        "(Romano et al. 2016, JMLR 17:134); another seed moves it too.",
        part="bio", no_units=_INDEX, neighbors=15,
        cost="Leiden on the graph of 15 neighbours, shared with the other score", draws=True,
    )  # fmt: skip
    LEIDEN_NMI_BEST = "leiden_nmi_best", declare(
        f"{_HERE}.communities:leiden_nmi_best", needs="X labels", tags="clustering embedding",
        range=(0, 1), best=1, about="At some resolution Leiden communities share their information with the labels.",
        reference=f"{_SCIB}; {_LEIDEN}",
        chance="a little above 0: the most of ten resolutions, so more than at one",
        pitfalls="The labels choose the resolution, which nobody can who has none; compare the curve, not the top.",
        part="bio", no_units=_INDEX, scib_name="Leiden NMI", neighbors=15, cost="Leiden at ten resolutions", draws=True,
    )  # fmt: skip
    LEIDEN_ARI_BEST = "leiden_ari_best", declare(
        f"{_HERE}.communities:leiden_ari_best", needs="X labels", tags="clustering embedding",
        range=(-0.5, 1), best=1,
        about="At the resolution of best mutual information Leiden communities treat pairs of cells as the labels do.",
        reference=f"{_SCIB}; {_LEIDEN}",
        chance=0.0, pitfalls="The labels choose the resolution, by another score than this: its own best may be "
        "elsewhere on the curve.",
        part="bio", no_units=_INDEX, scib_name="Leiden ARI", neighbors=15,
        cost="Leiden at ten resolutions, shared with the other score", draws=True,
    )  # fmt: skip
    HOMOGENEITY = "homogeneity", declare(
        f"{_HERE}.clustering:homogeneity", needs="labels_true labels_pred", tags="clustering",
        range=(0, 1), best=1, about="Each cluster holds one label only.",
        reference=_ROSENBERG, chance="a little above 0: more with more clusters, less with more cells",
        pitfalls="A cluster for every cell scores 1; read it beside completeness.", part="bio", no_units=_INDEX,
    )  # fmt: skip
    COMPLETENESS = "completeness", declare(
        f"{_HERE}.clustering:completeness", needs="labels_true labels_pred", tags="clustering",
        range=(0, 1), best=1, about="Each label lies within one cluster.",
        reference=_ROSENBERG, chance="a little above 0: more with more labels, less with more cells",
        pitfalls="One cluster of all cells scores 1; read it beside homogeneity.", part="bio", no_units=_INDEX,
    )  # fmt: skip
    V_MEASURE = "v_measure", declare(
        f"{_HERE}.clustering:v_measure", needs="labels_true labels_pred", tags="clustering",
        range=(0, 1), best=1, about="Clusters hold one label and labels lie in one cluster: the harmonic mean of both.",
        reference=_ROSENBERG, chance="a little above 0: more with more clusters, less with more cells",
        pitfalls="It is the same number as the normalised mutual information: two names are not two opinions.",
        part="bio", no_units=_INDEX,
    )  # fmt: skip
    ADJUSTED_MUTUAL_INFO = "adjusted_mutual_info", declare(
        f"{_HERE}.clustering:adjusted_mutual_info", needs="labels_true labels_pred", tags="clustering",
        range=(-1, 1), best=1, about="Information shared by clusters and labels, corrected for chance (0).",
        reference="Vinh et al. 2010, JMLR 11:2837",
        chance=0.0, pitfalls="It rewards pure small clusters; where labels are of similar and large size prefer the "
        "adjusted Rand index (Romano et al. 2016, JMLR 17:134).",
        part="bio", no_units=_INDEX,
    )  # fmt: skip

    # Isolated labels and other silhouettes.
    ISOLATED_LABELS = "isolated_labels", declare(
        f"{_HERE}.isolated:isolated_labels", needs="X labels batch", tags="integration embedding",
        range=(0, 1), best=1, about="Labels that occur in the fewest batches lie apart from the other labels.",
        reference=_SCIB, chance="0.5 or less: less with labels of few cells and cells far out",
        pitfalls="Often one or two labels of few cells decide it, and a label may be rare rather than isolated; where "
        "every label is in every batch there is no such score, though scib-metrics prints the mean over all labels.",
        part="bio", scib_name="Isolated labels", cost="distances between all pairs of cells",
    )  # fmt: skip
    ISOLATED_LABELS_F1 = "isolated_labels_f1", declare(
        f"{_HERE}.isolated:isolated_labels_f1", needs="X labels batch", tags="integration clustering",
        range=(0, 1), best=1, about="Labels that occur in the fewest batches have a cluster of their own.",
        reference=_SCIB,
        chance="about 2 p / (1 + p) for a label with a share p of the cells: what a cluster of all cells gets",
        pitfalls="The best cluster at the best of ten resolutions is taken for each label, so a label of few cells can "
        "score well by luck.",
        part="bio", neighbors=15, cost="Leiden at ten resolutions", draws=True,
    )  # fmt: skip
    BRAS = "bras", declare(
        f"{_HERE}.integration:bras", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Within each label, cells point the same way as those of the other batches.",
        reference="Rautenstrauch and Ohler 2025, doi:10.1038/s41587-025-02743-4",
        chance="near the best: 0.85 to 1, less with few cells per label and batch or in two dimensions",
        pitfalls="Noise scores near 1; angles are taken at the origin, so subtracting a mean changes it, and a batch "
        "that differs in length only goes unseen.",
        part="batch", scib_name="BRAS", cost="distances between all pairs of cells within a label",
        takes="max_cells random_seed",
    )  # fmt: skip

    # LISI and what counts neighbours.
    CLISI = "clisi", declare(
        f"{_HERE}.lisi:clisi", needs="X labels", tags="embedding",
        range=(0, 1), best=1, about="Half of the cells or more have neighbours of one label only, nearly.",
        reference=f"{_LISI}; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="(labels - effective number of labels) / (labels - 1), or a little more: 0.2 to 0.4 for four labels of "
        "similar size, near 1 where one label dominates",
        pitfalls="It is a median, and saturates: 1 as soon as half of the cells are among their own, whatever happens "
        "to rare labels (Maan et al. 2024, doi:10.1038/s41587-023-02097-9); read its table by label.",
        part="bio", scib_name="cLISI", neighbors=90, cost="90 nearest cells",
    )  # fmt: skip
    ILISI = "ilisi", declare(
        f"{_HERE}.lisi:ilisi", needs="X batch", tags="integration",
        range=(0, 1), best=1, about="Around half of the cells or more all batches are neighbours, equally.",
        reference=f"{_LISI}; Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="about the best there is: 0.8 for three batches of equal size, less where sizes differ",
        pitfalls="Merging cell types does not lower it, and cell types that occur in some batches only do "
        "(Andreatta et al. 2024, doi:10.1038/s41467-024-45240-z); see cilisi.",
        part="batch", scib_name="iLISI", neighbors=90, cost="90 nearest cells",
    )  # fmt: skip
    CILISI = "cilisi", declare(
        f"{_HERE}.lisi:cilisi", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Inside each cell type, all its batches are neighbours, equally; mean over cells.",
        reference=_CILISI,
        chance="about the best there is: 0.8 for batches of equal size, less where sizes differ or types are small",
        pitfalls="It looks at each type alone, so types that lie on top of each other cost nothing, and common types "
        "decide it; read it beside a score of the labels, and cilisi_means.",
        part="batch", cost="90 nearest cells inside each label",
    )  # fmt: skip
    CILISI_MEANS = "cilisi_means", declare(
        f"{_HERE}.lisi:cilisi_means", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Inside each cell type, all its batches are neighbours, equally; mean over types.",
        reference=_CILISI,
        chance="about the best there is: 0.8 for batches of equal size, less where sizes differ or types are small",
        pitfalls="It looks at each type alone, so types that lie on top of each other cost nothing, and a type of ten "
        "cells weighs as much as one of ten thousand.",
        part="batch", cost="90 nearest cells inside each label",
    )  # fmt: skip
    KSIM = "ksim", declare(
        f"{_HERE}.neighbors:ksim", needs="X labels", tags="embedding",
        range=(0, 1), best=1, about="Most of the 25 nearest cells, the cell itself one of them, have the cell's label.",
        reference=_KSIM,
        chance="(1 + 24 s) / 25, s the sum of the squared label shares",
        pitfalls="Common labels decide it (knn_purity weighs every label the same and leaves the cell itself out), and "
        "a label of fewer than 25 cells cannot reach 1.",
        part="bio", neighbors=25, cost="25 nearest cells",
    )  # fmt: skip
    KSIM_ACCEPTANCE = "ksim_acceptance", declare(
        f"{_HERE}.neighbors:ksim_acceptance", needs="X labels", tags="embedding",
        range=(0, 1), best=1, about="Most cells have at least 23 cells of their label among the 25 nearest.",
        reference=_KSIM,
        chance="about 0, unless one label dominates: 0.6 where it has nine cells in ten",
        pitfalls="A threshold: a label kept together but for a few strangers around each cell can score 0, and one of "
        "fewer than 23 cells always does.",
        part="bio", neighbors=25, cost="25 nearest cells",
    )  # fmt: skip
    KNN_PURITY = "knn_purity", declare(
        f"{_HERE}.neighbors:knn_purity", needs="X labels", tags="embedding",
        range=(0, 1), best=1, about="The 30 nearest other cells have the cell's label, on average in every label.",
        reference="shares of neighbours as in the nearest-neighbour rule, Cover and Hart 1967, "
        "doi:10.1109/TIT.1967.1053964",
        chance="1 over the number of labels, whatever their sizes",
        pitfalls="Every label weighs the same, so a few rare cells move it much, and a label of fewer than 31 cells "
        "cannot reach 1; ksim weighs every cell the same and counts the cell itself.",
        part="bio", neighbors=31, cost="30 nearest cells",
    )  # fmt: skip
    GRAPH_CONNECTIVITY = "graph_connectivity", declare(
        f"{_HERE}.neighbors:graph_connectivity", needs="X labels", tags="integration",
        range=(0, 1), best=1, about="Most cells of a label reach each other along neighbour lists, inside the label.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="more with fewer and larger labels: 0.5 to 0.6 seen for four labels, 0.1 for twenty",
        pitfalls="Strong connection is stricter than the published score, which takes edges both ways: a cell that is "
        "in nobody's list counts as a part of its own. Labels that lie on top of each other may still be whole.",
        part="batch", scib_name="Graph connectivity", neighbors=15, cost="15 nearest cells",
    )  # fmt: skip
    GRAPH_CONNECTIVITY_WEAK = "graph_connectivity_weak", declare(
        f"{_HERE}.neighbors:graph_connectivity_weak", needs="X labels", tags="integration",
        range=(0, 1), best=1, about="Most cells of a label are joined by neighbour lists, read both ways, within it.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="high: 0.9 and more seen for four labels in many dimensions, 0.3 for twenty",
        pitfalls="Large labels are connected by chance, so it tells bad embeddings apart, not good ones; a single "
        "bridge joins two parts.",
        part="batch", neighbors=15, cost="15 nearest cells",
    )  # fmt: skip
    TRUSTWORTHINESS = "trustworthiness", declare(
        f"{_HERE}.preservation:trustworthiness", needs="X unintegrated", tags="embedding",
        range=(0, 1), best=1, about="Nearest cells in the embedding were near before integration.",
        reference=_PRESERVED,
        chance=0.5, pitfalls=f"It keeps to the data before integration, batches included: {_COPY}.",
        neighbors=16, draws=True, takes="max_cells", cost="ranks of 2,000 cells among all, of all cells up to 5,000",
    )  # fmt: skip
    CONTINUITY = "continuity", declare(
        f"{_HERE}.preservation:continuity", needs="X unintegrated", tags="embedding",
        range=(0, 1), best=1, about="Cells nearest before integration are near in the embedding.",
        reference=_PRESERVED,
        chance=0.5, pitfalls=f"Strangers brought among neighbours hardly lower it, and batches are kept too: {_COPY}.",
        neighbors=16, draws=True, takes="max_cells", cost="ranks of 2,000 cells among all, of all cells up to 5,000",
    )  # fmt: skip

    # kBET, principal component regression, sBEE.
    KBET = "kbet", declare(
        f"{_HERE}.kbet:kbet", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Around most cells the batches are mixed as they are in the whole label.",
        reference="Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; per label: Luecken et al. 2022, "
        "doi:10.1038/s41592-021-01336-8",
        chance="about 0.95, one minus the level of the test, for a few labels; 0.1 to 0.5 seen for twenty, whose "
        "graphs noise tears to pieces",
        pitfalls="The test grows stricter with the number of neighbours, so large labels score lower for the same "
        "mixing; a label of 11 cells or fewer always scores 1, and one whose graph falls into pieces 0.",
        part="batch", scib_name="KBET", neighbors=50, cost="a diffusion map of every label",
    )  # fmt: skip
    KBET_GLOBAL = "kbet_global", declare(
        f"{_HERE}.kbet:kbet_global", needs="X batch", tags="integration",
        range=(0, 1), best=1, about="Around most cells the batches are mixed as they are in the whole data set.",
        reference="Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; 25 neighbours as in Li et al. 2020, "
        "doi:10.1038/s41592-020-0905-x",
        chance="about 0.95: one minus the level of the test",
        pitfalls="Noise gets the best value, and a cell type that is commoner in one batch is held against the "
        "embedding; the scores within labels do not have this fault (Luecken et al. 2022, "
        "doi:10.1038/s41592-021-01336-8).",
        part="batch", neighbors=25, cost="25 nearest cells",
    )  # fmt: skip
    PCR = "pcr", declare(
        f"{_HERE}.regression:pcr", needs="X batch", tags="integration",
        range=(0, 1), best=0, about="The batch explains little of the variance of the embedding.",
        reference="Büttner et al. 2019, doi:10.1038/s41592-018-0254-1",
        chance="about the best there is: (batches - 1) / (cells - 1)",
        pitfalls="Biology that differs between batches counts as their effect, and only where the means of the batches "
        "lie is seen: batches that surround each other score 0.",
        part="batch", no_units=_RATIO, cost="two passes over the embedding",
    )  # fmt: skip
    PCR_COMPARISON = "pcr_comparison", declare(
        f"{_HERE}.regression:pcr_comparison", needs="X batch unintegrated", tags="integration",
        range=(0, 1), best=1, about="The batch explains much less of the variance than before integration.",
        reference="Büttner et al. 2019, doi:10.1038/s41592-018-0254-1; Luecken et al. 2022, "
        "doi:10.1038/s41592-021-01336-8",
        chance="about the best there is: noise has no batches; 0 for the data before integration",
        pitfalls="Noise scores near 1, and where the batch explained little before, the share turns on a few cells; "
        "read it beside what was explained before, which the details hold.",
        part="batch", no_units=_RATIO, scib_name="PCR comparison", cost="two passes over both matrices",
    )  # fmt: skip
    SBEE = "sbee", declare(
        f"{_HERE}.sbee:sbee", needs="X labels batch", tags="integration",
        range=(0, 1), best=1, about="Within each label batches mix around the cells and lie no farther than their own.",
        reference="single-cell Batch Effect Evaluator, https://github.com/tastanlab/sBEE",
        chance="high: 0.75 to 0.9 seen for four labels, 0.5 to 0.65 for twenty, whose neighbours are of other labels",
        pitfalls="Noise scores high, and a label in one batch counts 1 although nothing was mixed; read it beside a "
        "score of the labels.",
        part="batch", neighbors=90, cost="distances between all pairs of cells within a label", draws=True,
    )  # fmt: skip

    # What needs expression, or a reference: scGraph, cell cycle, variable genes, trajectory.
    SCGRAPH_RANK_PCA = "scgraph_rank_pca", _scgraph(
        "rank_pca", "Labels have the order of distances to each other that they have within batches."
    )  # fmt: skip
    SCGRAPH_CORR_PCA = "scgraph_corr_pca", _scgraph(
        "corr_pca", "Labels are as far from each other, relatively, as they are within batches."
    )  # fmt: skip
    SCGRAPH_CORR_WEIGHTED = "scgraph_corr_weighted", _scgraph(
        "corr_weighted", "Labels are as far from each other as within batches; near ones count most."
    )  # fmt: skip
    CELL_CYCLE_CONSERVATION = "cell_cycle_conservation", declare(
        f"{_HERE}.conservation:cell_cycle_conservation", needs="X batch expression gene_names organism",
        tags="integration", range=(0, 1), best=1,
        about="The cell cycle explains as much variance within batches as it did before integration.",
        reference=f"{_SCIB}; Tirosh et al. 2016, doi:10.1126/science.aad0501",
        chance="near 0 where cells cycle: about 2 / (cells of a batch) over the share explained before",
        pitfalls="Where few cells cycle, before is about a percent and the score a ratio of two small numbers: other "
        "draws of control genes moved it by 0.09 on mouse islets, whose cell cycle explains 0.6 and 3.5 % in two "
        "animals (cells of Baron et al. 2016, doi:10.1016/j.cels.2016.08.011).",
        part="bio", cost="components of the expression of each batch, once for all embeddings", draws=True,
    )  # fmt: skip
    HVG_CONSERVATION = "hvg_conservation", declare(
        f"{_HERE}.conservation:hvg_conservation", needs="expression corrected batch", tags="integration",
        range=(0, 1), best=1, about="The genes that vary most within batches are those that did before correction.",
        reference=f"{_SCIB}; Zheng et al. 2017, doi:10.1038/ncomms14049",
        chance="about genes chosen over genes seen: 0.5 for up to 1,000 genes, less for more",
        pitfalls="A method that changes nothing scores 1; and where a gene that a batch does not express becomes a "
        "constant other than 0, it counts as seen and changes the choice among genes of similar mean.",
        part="bio", cost="one pass over both matrices",
    )  # fmt: skip
    TRAJECTORY_CONSERVATION = "trajectory_conservation", declare(
        f"{_HERE}.conservation:trajectory_conservation", needs="X labels pseudotime", tags="integration sequential",
        range=(0, 1), best=1, about="Cells have the order along the embedding's trajectory that they had before.",
        reference=f"{_SCIB}; Haghverdi et al. 2016, doi:10.1038/nmeth.3971",
        chance=0.5, pitfalls="There is one root and one order: cells of different branches are compared by their "
        "distance from the root only, and the choice of the root counts (0.12 between two roots of one label, worm "
        "embryo, two components).",
        part="bio", no_units="a correlation of the ranks of all cells", neighbors=15,
        cost="15 nearest cells and ten eigenvectors of their graph",
    )  # fmt: skip

    # Further scores of classifiers.
    BALANCED_ACCURACY = "balanced_accuracy", _single(
        "balanced_accuracy", "Share of the cells of a class that are found, mean over the classes of the test cells."
    )  # fmt: skip
    MEAN_FOLD_BALANCED_ACCURACY = "mean_fold_balanced_accuracy", _mean_fold(
        "balanced_accuracy",
        "Share of the cells of a class that are found, mean over the classes of the test cells and over folds.",
    )  # fmt: skip
    MCC = "mcc", _single("mcc", "Correlation between true and predicted labels (Matthews).")
    MEAN_FOLD_MCC = "mean_fold_mcc", _mean_fold(
        "mcc", "Correlation between true and predicted labels (Matthews), mean over folds."
    )  # fmt: skip

    # Overall scores.
    BIO_CONSERVATION = "bio_conservation", declare(
        f"{_HERE}.overall:mean_of_scores", needs="scores", tags="overall",
        range=(0, 1), best=1, about="The plain mean of a preset's scores of the biology.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="that of its scores: about 0.3 for the scib preset on noise",
        pitfalls="Scores with different ranges in practice are averaged, so those that vary most decide the order "
        "(Luecken et al. 2022, doi:10.1038/s41592-021-01336-8); one without a value is left out of the mean.",
        scib_name="Bio conservation", cost="that of its scores",
    )  # fmt: skip
    BATCH_CORRECTION = "batch_correction", declare(
        f"{_HERE}.overall:mean_of_scores", needs="scores", tags="overall",
        range=(0, 1), best=1, about="The plain mean of a preset's scores of batch mixing.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="high: noise mixes batches perfectly, about 0.7 and more for the scib preset",
        pitfalls="Noise scores well: never read it without the scores of the biology "
        "(Luecken et al. 2022, doi:10.1038/s41592-021-01336-8).",
        scib_name="Batch correction", cost="that of its scores",
    )  # fmt: skip
    SCIB_TOTAL = "scib_total", declare(
        f"{_HERE}.overall:weighted_total", needs="bio_conservation batch_correction", tags="overall",
        range=(0, 1), best=1, about="0.6 of the mean for biology and 0.4 of the mean for batches.",
        reference="Luecken et al. 2022, doi:10.1038/s41592-021-01336-8",
        chance="about 0.5 for the scib preset on noise, because noise mixes batches",
        pitfalls="Very different embeddings can have the same total; look at its two parts "
        "(Luecken et al. 2022, doi:10.1038/s41592-021-01336-8).",
        scib_name="Total", cost="that of its scores",
    )  # fmt: skip

    @classmethod
    def extend(cls, key: str, declaration: Declaration) -> MetricType:
        """Add a metric from outside; see ``register_metric``, the public call."""
        name = key.upper()
        member = object.__new__(cls)
        member._value_ = key
        member._name_ = name
        member.__objclass__ = cls  # type: ignore[attr-defined]
        member.declaration = declaration
        member._sort_order_ = len(cls)  # type: ignore[attr-defined]
        type.__setattr__(cls, name, member)
        cls._member_names_.append(name)
        cls._member_map_[name] = member
        cls._value2member_map_[key] = member
        return member

    @classmethod
    def _missing_(cls, value: object) -> MetricType | None:
        # Models compile the list of members once; keys added later arrive here.
        return cls._value2member_map_.get(value)  # type: ignore[return-value]
