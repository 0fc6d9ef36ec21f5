"""Every row of the catalogue says what it must, and what it says of chance is true."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

from czbenchmarks.metrics.types import MetricType, metrics_registry, register_metric
from czbenchmarks.tasks import (
    ClusteringTask,
    ClusteringTaskInput,
    MetadataLabelPredictionTask,
    MetadataLabelPredictionTaskInput,
)

CELLS, DIMENSIONS = 600, 20
DRAWS = 5
SHARES = {"B": 0.4, "CD4 T": 0.3, "CD8 T": 0.2, "NK": 0.1}
BUILT_IN = list(MetricType)


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.value)
def test_a_row_is_complete(metric):
    row = metric.declaration
    least, greatest = row.range
    assert least < greatest
    assert row.best in row.range
    for text in (row.about, row.pitfalls):
        assert len(text) > 20
        assert text.endswith(".")
    assert re.search(r"doi:10\.\d{4,}/|https://|JMLR|arXiv:", row.reference)
    if isinstance(row.chance, str):
        assert len(row.chance) > 20
    else:
        assert least <= row.chance <= greatest
        assert row.chance != row.best


def mean_over_draws(score) -> float:
    return float(np.mean([score(np.random.default_rng(seed)) for seed in range(DRAWS)]))


def noise(rng, dimensions=DIMENSIONS):
    return rng.normal(size=(CELLS, dimensions))


def cell_types(rng, shares=SHARES):
    return rng.choice(list(shares), CELLS, p=list(shares.values()))


def batches(rng, shares=(1 / 3, 1 / 3, 1 / 3)):
    return rng.choice(["x", "y", "z"], CELLS, p=shares)


def compute(metric, **arguments):
    found = metrics_registry.compute(metric, **arguments)
    return float(getattr(found, "statistic", found))


def of_clusters(metric):
    """Score Leiden's clusters of noise, as the task does."""

    def score(rng):
        types = cell_types(rng)
        asked = ClusteringTaskInput(obs=pd.DataFrame({"cell_type": types}), input_labels=types)
        return {one.metric_type: one.value for one in ClusteringTask().run(noise(rng), asked)}[metric]

    return score


# What knows nothing, by the argument of a task.
DRAWN = {
    "X": noise,
    "unintegrated": noise,
    "labels": cell_types,
    "batch": batches,
    "time": lambda rng: rng.integers(0, 6, CELLS),
    "pseudotime": lambda rng: rng.random(CELLS),
    "labels_true": lambda rng: rng.integers(0, 5, CELLS),
    "labels_pred": lambda rng: rng.integers(0, 9, CELLS),
    **dict.fromkeys(("x", "y", "a", "b"), lambda rng: rng.normal(size=5000)),
}
NUMBERS = [metric for metric in BUILT_IN if not isinstance(metric.declaration.chance, str)]
OF_CLASSIFIERS = [metric for metric in NUMBERS if "results_df" in metric.declaration.needs]  # scored below


def of_noise(metric):
    """Score what knows nothing, by what the row says of its arguments."""
    row = metric.declaration
    return lambda rng: compute(
        metric, **{name: DRAWN[asked](rng) for name, asked in zip(row.needs, row.asks, strict=True)}
    )


@pytest.mark.parametrize("metric", [m for m in NUMBERS if m not in OF_CLASSIFIERS], ids=lambda metric: metric.value)
def test_the_number_given_for_chance_is_what_noise_gets(metric):
    assert mean_over_draws(of_noise(metric)) == pytest.approx(metric.declaration.chance, abs=0.03)


def test_chance_of_the_adjusted_rand_index_is_what_clusters_of_noise_get():
    found = mean_over_draws(of_clusters(MetricType.ADJUSTED_RAND_INDEX))
    assert found == pytest.approx(MetricType.ADJUSTED_RAND_INDEX.declaration.chance, abs=0.03)


def test_the_chance_of_every_classifier_score_is_one_of_those_scored():
    fold = {metric for metric in OF_CLASSIFIERS if metric.value.startswith("mean_fold")}
    assert fold == {MetricType.MEAN_FOLD_AUROC, MetricType.MEAN_FOLD_MCC}
    alone = {metric.declaration.defaults["metric"] for metric in OF_CLASSIFIERS}
    assert alone == {metric.declaration.defaults["metric"] for metric in fold}


def test_chance_of_the_perturbation_score_is_0_for_random_ranks_only():
    metric = MetricType.SPEARMAN_CORRELATION_CALCULATION
    drawn = mean_over_draws(lambda rng: compute(metric, a=rng.normal(size=5000), b=rng.normal(size=5000)))
    assert drawn == pytest.approx(0, abs=0.03)

    def constant(rng):  # minus the control means, where what is silent in the controls can only rise
        control = rng.normal(size=5000)
        return compute(metric, a=rng.normal(size=5000) - control, b=-np.exp(control))

    assert mean_over_draws(constant) > 0.5


def test_chance_of_nmi_rises_with_clusters_and_falls_with_cells():
    assert 0 < mean_over_draws(of_clusters(MetricType.NORMALIZED_MUTUAL_INFO)) < 0.06

    def nmi(cells, clusters):
        return mean_over_draws(
            lambda rng: compute(
                MetricType.NORMALIZED_MUTUAL_INFO,
                labels_true=rng.integers(0, 5, cells),
                labels_pred=rng.integers(0, clusters, cells),
            )
        )

    assert nmi(600, 40) > 2 * nmi(600, 5)
    assert nmi(600, 5) > 2 * nmi(6000, 5)


@pytest.mark.parametrize(
    "metric",
    [MetricType.KMEANS_NMI, MetricType.LEIDEN_NMI, MetricType.LEIDEN_NMI_BEST],
    ids=lambda metric: metric.value,
)
def test_chance_of_shared_information_is_a_little_above_0(metric):
    assert 0.002 < mean_over_draws(of_noise(metric)) < 0.06


def test_chance_of_the_best_resolution_is_above_that_of_one():
    best, fixed = (mean_over_draws(of_noise(m)) for m in (MetricType.LEIDEN_NMI_BEST, MetricType.LEIDEN_NMI))
    assert best > 1.3 * fixed


@pytest.mark.parametrize(
    "metric", [MetricType.HOMOGENEITY, MetricType.COMPLETENESS, MetricType.V_MEASURE], ids=lambda metric: metric.value
)
def test_chance_of_entropy_shares_rises_with_groups_and_falls_with_cells(metric):
    def score(cells, groups):
        name = "labels_true" if metric is MetricType.COMPLETENESS else "labels_pred"  # which of the two is many
        other = {"labels_true": "labels_pred", "labels_pred": "labels_true"}[name]
        return mean_over_draws(
            lambda rng: compute(metric, **{name: rng.integers(0, groups, cells), other: rng.integers(0, 5, cells)})
        )

    assert 0 < score(600, 5) < 0.03
    assert score(600, 40) > 2 * score(600, 5)
    assert score(600, 5) > 2 * score(6000, 5)


def isolated(rng):
    """Return cells of noise, labels, and batches of which one label lacks one."""
    labels, batch = cell_types(rng), batches(rng)
    batch[(labels == "NK") & (batch == "z")] = "x"
    return labels, batch


def test_chance_of_isolated_labels():
    def score(metric):
        def of_noise(rng):
            labels, batch = isolated(rng)
            return compute(metric, X=noise(rng), labels=labels, batch=batch)

        return mean_over_draws(of_noise)

    assert 0.47 < score(MetricType.ISOLATED_LABELS) < 0.5
    share = SHARES["NK"]
    assert score(MetricType.ISOLATED_LABELS_F1) == pytest.approx(2 * share / (1 + share), abs=0.03)


def test_chance_of_bras_is_near_its_best():
    def score(rng, dimensions=DIMENSIONS):
        labels, batch = cell_types(rng), batches(rng)
        return compute(MetricType.BRAS, X=noise(rng, dimensions), labels=labels, batch=batch)

    assert 0.85 < mean_over_draws(lambda rng: score(rng, 2)) < mean_over_draws(score) < 1


def test_chance_of_the_silhouette():
    def score(rng, dimensions=DIMENSIONS):
        return compute(MetricType.SILHOUETTE_SCORE, X=noise(rng, dimensions), labels=cell_types(rng))

    assert 0.48 < mean_over_draws(score) < 0.5
    assert 0.4 < mean_over_draws(lambda rng: score(rng, 2)) < 0.5

    def with_few_cells_far_out(rng):
        labels = np.append(cell_types(rng)[:-10], np.repeat(["mast", "epsilon", "schwann", "T", "B"], 2))
        return compute(MetricType.SILHOUETTE_SCORE, X=rng.standard_t(2, (CELLS, DIMENSIONS)), labels=labels)

    assert 0.3 < mean_over_draws(with_few_cells_far_out) < 0.45


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1)])
def test_chance_of_the_entropy_is_that_of_the_batch_shares(shares):
    found = mean_over_draws(lambda rng: compute(MetricType.ENTROPY_PER_CELL, X=noise(rng), labels=batches(rng, shares)))
    entropy = -sum(share * math.log(share) for share in shares) / math.log(3)
    assert found == pytest.approx(entropy, abs=0.04)


def test_chance_of_the_batch_silhouette_is_near_its_best():
    def score(rng, dimensions=DIMENSIONS):
        labels, batch = cell_types(rng), batches(rng)
        return compute(MetricType.BATCH_SILHOUETTE, X=noise(rng, dimensions), labels=labels, batch=batch)

    assert 0.9 < mean_over_draws(lambda rng: score(rng, 2)) < mean_over_draws(score) < 1


TWENTY = dict.fromkeys("abcdefghijklmnopqrst", 0.05)
ONE_DOMINATES = {"a": 0.9, "b": 0.1}


def of_labels(metric, shares=SHARES):
    return mean_over_draws(lambda rng: compute(metric, X=noise(rng), labels=cell_types(rng, shares)))


def test_chance_of_clisi_follows_the_effective_number_of_labels():
    for shares in (SHARES, TWENTY, ONE_DOMINATES):
        effective = 1 / sum(share**2 for share in shares.values())
        least = (len(shares) - effective) / (len(shares) - 1)
        found = of_labels(MetricType.CLISI, shares)
        assert least - 0.01 < found < 1
        assert found < 0.4 or shares is not SHARES
    assert of_labels(MetricType.CLISI, ONE_DOMINATES) > 0.8


def test_chance_of_ilisi_and_cilisi_is_about_the_best():
    def score(metric, shares):
        def of(rng):
            given = {"X": noise(rng), "labels": cell_types(rng), "batch": batches(rng, shares)}
            return compute(metric, **{name: given[name] for name in metric.declaration.needs})

        return mean_over_draws(of)

    for metric in (MetricType.ILISI, MetricType.CILISI, MetricType.CILISI_MEANS):
        assert score(metric, (1 / 3, 1 / 3, 1 / 3)) == pytest.approx(0.8, abs=0.04)
        assert score(metric, (0.8, 0.1, 0.1)) < 0.35


def test_chance_of_what_counts_neighbours_of_the_own_label():
    for shares in (SHARES, TWENTY, ONE_DOMINATES):
        squares = sum(share**2 for share in shares.values())
        assert of_labels(MetricType.KSIM, shares) == pytest.approx((1 + 24 * squares) / 25, abs=0.02)
        assert of_labels(MetricType.KNN_PURITY, shares) == pytest.approx(1 / len(shares), abs=0.02)
    assert of_labels(MetricType.KSIM_ACCEPTANCE) < 0.01
    assert of_labels(MetricType.KSIM_ACCEPTANCE, ONE_DOMINATES) == pytest.approx(0.6, abs=0.08)


def test_chance_of_connectivity_falls_with_the_number_of_labels():
    assert 0.45 < of_labels(MetricType.GRAPH_CONNECTIVITY) < 0.65
    assert of_labels(MetricType.GRAPH_CONNECTIVITY, TWENTY) == pytest.approx(0.1, abs=0.03)
    assert of_labels(MetricType.GRAPH_CONNECTIVITY_WEAK) > 0.88
    assert of_labels(MetricType.GRAPH_CONNECTIVITY_WEAK, TWENTY) == pytest.approx(0.3, abs=0.06)


def of_batches(metric, dimensions=DIMENSIONS, shares=SHARES, batch_shares=(1 / 3, 1 / 3, 1 / 3)):
    def score(rng):
        given = {"X": noise(rng, dimensions), "labels": cell_types(rng, shares), "batch": batches(rng, batch_shares)}
        given["unintegrated"] = noise(rng, dimensions) + (given["batch"] == "x")[:, None]
        return compute(metric, **{name: given[name] for name in metric.declaration.needs})

    return mean_over_draws(score)


@pytest.mark.parametrize("shares", [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1)])
def test_chance_of_kbet_is_one_minus_the_level_where_labels_hold_together(shares):
    assert of_batches(MetricType.KBET, batch_shares=shares) == pytest.approx(0.95, abs=0.025)
    assert of_batches(MetricType.KBET_GLOBAL, batch_shares=shares) == pytest.approx(0.95, abs=0.025)
    assert 0.4 < of_batches(MetricType.KBET, shares=TWENTY, batch_shares=shares) < 0.5
    assert 0.1 < of_batches(MetricType.KBET, 2, TWENTY, shares) < 0.2
    assert of_batches(MetricType.KBET_GLOBAL, shares=TWENTY, batch_shares=shares) == pytest.approx(0.95, abs=0.025)


def test_chance_of_principal_component_regression():
    assert of_batches(MetricType.PCR) == pytest.approx(2 / (CELLS - 1), abs=0.002)
    assert 0.95 < of_batches(MetricType.PCR_COMPARISON) < 1
    rng = np.random.default_rng(0)
    batch = batches(rng)
    before = noise(rng) + (batch == "x")[:, None]
    assert compute(MetricType.PCR_COMPARISON, X=before, batch=batch, unintegrated=before) == 0


def test_chance_of_sbee_falls_with_the_number_of_labels():
    assert 0.8 < of_batches(MetricType.SBEE) < 0.9
    assert 0.75 < of_batches(MetricType.SBEE, 2, batch_shares=(0.8, 0.1, 0.1)) < 0.8
    assert 0.6 < of_batches(MetricType.SBEE, shares=TWENTY) < 0.65
    assert 0.5 < of_batches(MetricType.SBEE, 2, TWENTY) < 0.55


def of_classifiers(shares) -> dict[MetricType, float]:
    found: dict[MetricType, list[float]] = {}
    for seed in range(2):
        rng = np.random.default_rng(seed)
        asked = MetadataLabelPredictionTaskInput(labels=cell_types(rng, shares), n_folds=3, metrics="all")
        for one in MetadataLabelPredictionTask().run(noise(rng, 8), asked):
            if one.params["classifier"].startswith("MEAN"):
                found.setdefault(one.metric_type, []).append(one.value)
    return {metric: float(np.mean(values)) for metric, values in found.items()}


def test_chance_of_classifiers():
    several = of_classifiers(SHARES)
    shares = list(SHARES.values())
    assert several[MetricType.MEAN_FOLD_AUROC] == pytest.approx(MetricType.MEAN_FOLD_AUROC.declaration.chance, abs=0.04)
    assert sum(share**2 for share in shares) - 0.03 < several[MetricType.MEAN_FOLD_ACCURACY] < max(shares) + 0.03
    assert several[MetricType.MEAN_FOLD_RECALL] == pytest.approx(1 / len(shares), abs=0.03)
    for metric in (MetricType.MEAN_FOLD_F1_SCORE, MetricType.MEAN_FOLD_PRECISION):
        assert 0.1 < several[metric] < 1 / len(shares) + 0.03
    assert several[MetricType.MEAN_FOLD_BALANCED_ACCURACY] == pytest.approx(1 / len(shares), abs=0.03)
    two = of_classifiers({"healthy": 0.8, "sick": 0.2})
    assert two[MetricType.MEAN_FOLD_BALANCED_ACCURACY] == pytest.approx(1 / 2, abs=0.03)
    for found in (several, two):
        assert found[MetricType.MEAN_FOLD_MCC] == pytest.approx(MetricType.MEAN_FOLD_MCC.declaration.chance, abs=0.04)
    for metric in (MetricType.MEAN_FOLD_F1_SCORE, MetricType.MEAN_FOLD_PRECISION, MetricType.MEAN_FOLD_RECALL):
        assert two[metric] < 0.25


def test_chance_of_jaccard():
    everything = np.arange(2000)

    def score(rng):
        one, other = (set(rng.choice(everything, 400, replace=False)) for _ in range(2))
        return compute(MetricType.JACCARD, y_true=one, y_pred=other)

    assert mean_over_draws(score) == pytest.approx(400 / (2 * 2000 - 400), abs=0.02)


def test_chance_of_the_squared_error_of_the_mean():
    true = np.random.default_rng(0).normal(3, 2, 500)
    found = compute(MetricType.MEAN_SQUARED_ERROR, y_true=true, y_pred=np.full(500, true.mean()))
    assert found == pytest.approx(true.var())


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_metric_of_ones_own_can_say_them_too():
    mine = register_metric("mine", lambda X: 0.0, needs="X", about="Nothing.", chance=0.25, pitfalls="Never good news.")
    assert (mine.declaration.chance, mine.declaration.pitfalls) == (0.25, "Never good news.")
    assert mine.declaration.defaults == {}
