"""Presets are data: known metrics, found by every name they go by."""

import pytest

from czbenchmarks.metrics.presets import PRESETS, find, listed, presets_of
from czbenchmarks.metrics.types import MetricType, register_metric


def test_presets_hold_known_metrics():
    assert list(PRESETS) == ["published", "scib", "scib-fast", "all"]
    for name, preset in PRESETS.items():
        assert preset.about.endswith(".")
        assert [metric.value for metric in preset.metrics] == list(preset.keys), name
        assert len(set(preset.keys)) == len(preset.keys)
    assert set(PRESETS["scib-fast"].keys) < set(PRESETS["scib"].keys)


def test_scib_is_five_scores_of_biology_and_five_of_batches():
    parts = [metric.declaration.part for metric in PRESETS["scib"].metrics]
    assert parts == ["bio"] * 5 + ["batch"] * 5
    assert all(metric.declaration.scib_name for metric in PRESETS["scib"].metrics)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("silhouette_score", "SILHOUETTE_SCORE"),
        ("Silhouette label", "SILHOUETTE_SCORE"),
        ("silhouette-batch", "BATCH_SILHOUETTE"),
        ("cLISI", "CLISI"),
        ("KMeans NMI", "KMEANS_NMI"),
        ("silhouette_label", "SILHOUETTE_SCORE"),
        ("ilisi_knn", "ILISI"),
        ("clisi_knn", "CLISI"),
        ("kbet_per_label", "KBET"),
        ("PEARSON_CORRELATION", "PEARSON_CORRELATION"),
    ],
)
def test_names_are_found_in_any_spelling(name, found):
    assert find(name) is MetricType[found]


def test_presets_are_found_in_any_spelling():
    assert find("SCIB") is PRESETS["scib"]
    assert find("scib_fast") is PRESETS["scib-fast"]


def test_every_metric_is_found_by_its_own_key_and_names_are_unique():
    assert [find(metric.value) for metric in MetricType] == list(MetricType)
    names = [metric.declaration.scib_name for metric in MetricType if metric.declaration.scib_name]
    assert len(set(names)) == len(names)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"Metric 'ilsi' is not known\. Did you mean 'ilisi'\?"):
        find("ilsi")


def test_what_presets_list():
    assert listed(["published", "all"]) == set()
    assert listed(["scib-fast", "kbet"]) == {*PRESETS["scib-fast"].metrics, MetricType.KBET}
    assert presets_of(MetricType.KBET) == ["scib"]
    assert presets_of(MetricType.ILISI) == ["scib", "scib-fast"]
    assert presets_of(MetricType.JACCARD) == []


@pytest.mark.usefixtures("shipped_catalogue")
def test_a_metric_from_outside_is_found():
    mine = register_metric("spread_of_cells", lambda X: float(X.std()), needs="X", about="Cells are spread out.")
    assert find("Spread of cells") is mine
