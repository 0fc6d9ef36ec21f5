import subprocess
import sys
import textwrap

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.tasks import ClusteringTask, ClusteringTaskInput, utils


def test_cluster_embedding_gives_the_clusters_of_the_task(cells):
    adata = anndata.AnnData(np.zeros((300, 2)), obsm={"X_pca": cells.X})
    expected = ClusteringTask()._run_task(
        cells.X, ClusteringTaskInput(obs=cells.obs, input_labels=cells.labels)
    ).predicted_labels  # fmt: skip
    found = utils.cluster_embedding(adata, use_rep="X_pca")
    assert [int(cluster) for cluster in found] == expected
    # Printed by cz-benchmarks 0.15.1 for these cells.
    assert [int(cluster) for cluster in found[:10]] == [0, 1, 3, 4, 5, 4, 4, 5, 4, 2]
    assert utils.cluster_embedding(anndata.AnnData(cells.X)) == found
    assert list(adata.obs) == []
    assert list(adata.obsp) == []
    with pytest.raises(ValueError, match=r"`use_rep` 'zz' is not known"):
        utils.cluster_embedding(adata, use_rep="zz")
    with pytest.raises(ValueError, match=r"`flavor` must be 'leidenalg' or 'igraph'"):
        utils.cluster_embedding(adata, flavor="zz")


def test_filter_minimum_class():
    X = np.arange(24.0).reshape(12, 2)
    labels = np.array(["q"] * 2 + list("ababababab"))
    features, kept = utils.filter_minimum_class(X, labels, 5)
    np.testing.assert_array_equal(features, X[2:])
    np.testing.assert_array_equal(kept, labels[2:])
    features, kept = utils.filter_minimum_class(X, pd.Series(labels, index=range(50, 62)), 5)
    assert isinstance(kept, pd.Categorical)
    assert (kept.tolist(), kept.categories.tolist()) == (list("ababababab"), ["a", "b"])
    features, kept = utils.filter_minimum_class(X, labels)  # ten, unless told
    assert (features.shape, kept.shape) == ((0, 2), (0,))


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.ones((3, 3)), False),
        (np.zeros((3, 3)), False),
        (np.full((3, 3), 1.005), True),
        (np.full((3, 3), 1.02), True),
        (-np.ones((3, 3)), False),
        (np.random.default_rng(0).normal(size=(20, 3)), True),
        (sp.csr_matrix(np.eye(4) * 0.5), True),
        (sp.csr_array(np.eye(4) * 7), False),
        (pd.DataFrame(np.eye(4)), False),
    ],
)
def test_is_not_count_data(matrix, expected):
    # cz-benchmarks 0.15.1 answers the dense ones alike.
    assert utils.is_not_count_data(matrix) is expected


def _of_counts(kind):
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (50, 40)).astype(float)
    one, half = counts.copy(), counts.copy()
    one[0, 0] += 0.3
    half[:25] += 0.5
    return {
        "counts": counts, "negative": counts - 1, "logarithms": np.log1p(counts), "one of 2,000": one,
        "half a cell's worth": half, "halves": np.full((5, 4), 0.5), "large": counts * 1e9 + 0.1,
        "small": counts * 1e-3, "off by 1e-2": counts + 1e-2, "off by 1e-3": counts + 1e-3,
        "off by -1e-3": counts - 1e-3, "off by 1e-4": counts + 1e-4, "1e-3 more": counts * (1 + 1e-3),
        "1e-4 more": counts * (1 + 1e-4), "some 1e-3 more": np.where(counts > 0, counts + 1e-3, 0),
    }[kind]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "expected", "at_most_a_fifth_off"),
    [
        ("counts", False, False),
        ("negative", False, False),
        ("logarithms", True, True),
        ("one of 2,000", True, True),
        ("half a cell's worth", False, False),
        ("halves", False, False),
        ("large", False, False),
        ("small", True, False),
        ("off by 1e-2", True, True),
        ("off by 1e-3", True, False),
        ("off by -1e-3", True, False),
        ("off by 1e-4", False, False),
        ("1e-3 more", True, False),
        ("1e-4 more", False, False),
        ("some 1e-3 more", True, False),
    ],
)
def test_is_not_count_data_answers_as_published(kind, expected, at_most_a_fifth_off):
    """The answers are those of cz-benchmarks 0.15.1: it looks at the totals of cells."""
    matrix = _of_counts(kind)
    for container in (np.asarray, sp.csr_matrix):
        assert utils.is_not_count_data(container(matrix)) is expected
        assert utils.is_not_count_data(container(matrix), tol=0.2) is at_most_a_fifth_off


def test_is_not_count_data_looks_at_the_published_sample():
    # The first three of the 20 cells that cz-benchmarks 0.15.1 looks at, of 60 with seed 42, and those between.
    matrix = np.ones((60, 3))
    seen = []
    for cell in range(8):
        changed = matrix.copy()
        changed[cell, 0] = 1.5
        if utils.is_not_count_data(changed, sample_size=20):
            seen.append(cell)
    assert seen == [3, 4, 7]
    matrix[:30, 0] = 1.5
    assert utils.is_not_count_data(matrix, sample_size=0.9)


def test_fractions_are_seen_where_totals_are_whole():
    assert utils.holds_fractions(_of_counts("halves"))
    assert utils.holds_fractions(sp.csr_matrix(_of_counts("half a cell's worth")))
    assert not utils.holds_fractions(_of_counts("one of 2,000"))
    assert not utils.holds_fractions(np.zeros((3, 3)))


X6 = np.array([[1.0, 0.0], [2.0, 0.0], [9.0, 0.0], [4.0, 1.0], [5.0, 1.0], [9.0, 7.0]])


@pytest.mark.parametrize(("method", "values"), [("mean", [[6, 3], [4, 0]]), ("median", [[5, 1], [2, 0]])])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, pd.DataFrame])
def test_cells_are_averaged_by_sample(method, values, container):
    samples = ["s2", "s2", "s2", "s1", "s1", "s1"]
    averaged, labels, names = utils.aggregate_cells_to_samples(
        container(X6), ["b", "a", "a", "x", "y", "y"], samples, method
    )
    np.testing.assert_array_equal(averaged, values)
    assert labels.tolist() == ["x", "b"]  # that of the first cell
    assert (labels.index.tolist(), labels.index.name, labels.name) == (["s1", "s2"], "sample_id", "label")
    assert (names.tolist(), names.name) == (["s1", "s2"], "sample_id")


def test_bad_averages():
    with pytest.raises(ValueError, match=r"Mismatched lengths: embeddings=6, labels=5, sample_ids=6"):
        utils.aggregate_cells_to_samples(X6, list("aabbb"), list("stuvwx"))
    with pytest.raises(ValueError, match=r"`aggregation_method` must be 'mean' or 'median', got 'zz'"):
        utils.aggregate_cells_to_samples(X6, list("aabbba"), list("stuvwx"), "zz")
    with pytest.raises(ValueError, match=r"`sample_ids` must name every cell, got 1 missing of 6"):
        utils.aggregate_cells_to_samples(X6, list("aabbba"), [*"stuvw", None])


def printed(capsys, results):
    utils.print_metrics_summary(results)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line]


def test_a_summary_by_classifier(capsys):
    values = {"rf": (0.5, 0.25), "lr": (1.0, 0.75)}
    kinds = (MetricType.MEAN_FOLD_ACCURACY, MetricType.MEAN_FOLD_AUROC)
    results = [
        MetricResult(metric_type=kind, value=value, params={"classifier": name})
        for name, row in values.items()
        for kind, value in zip(kinds, row, strict=True)
    ]
    lines = printed(capsys, iter(results))
    assert lines == [
        "=== Metrics Summary ===",
        "classifier mean_fold_accuracy mean_fold_auroc",
        "lr 1.0000 0.7500",
        "rf 0.5000 0.2500",
        "Results across 2 classifiers",
        "Overall Statistics:",
        "Mean Fold Accuracy: mean=0.7500, std=0.2500, count=2",
        "Mean Fold Auroc: mean=0.5000, std=0.2500, count=2",
    ]


def test_a_summary_without_parameters(capsys):
    # As cz-benchmarks 0.15.1 prints it.
    result = MetricResult(metric_type=MetricType.SILHOUETTE_SCORE, value=0.54349, params={})
    assert printed(capsys, [result]) == [
        "=== Metrics Summary ===", "Silhouette Score:", "1: 0.5435", "Overall Statistics:",
        "Silhouette Score: mean=0.5435, std=0.0000, count=1",
    ]  # fmt: skip
    assert printed(capsys, []) == ["=== Metrics Summary ===", "Overall Statistics:"]


@pytest.mark.parametrize(
    "results",
    [
        [
            (MetricType.MEAN_FOLD_AUROC, float("nan"), {"classifier": "lr"}),
            (MetricType.ACCURACY, 1.0, {"classifier": "lr"}),
        ],
        [(MetricType.ADJUSTED_RAND_INDEX, 0.5, {}), (MetricType.ACCURACY, 1.0, {"classifier": "lr"})],
    ],
    ids=["a metric without any value", "with and without parameters"],
)
def test_a_summary_shows_every_metric(capsys, results):
    lines = printed(capsys, [MetricResult(metric_type=m, value=v, params=p) for m, v, p in results])
    assert any("1.0000" in line for line in lines)
    for metric, _, _ in results:
        assert any(line.startswith(f"{metric.value.replace('_', ' ').title()}: mean=") for line in lines)


def test_a_summary_counts_scores_without_a_value_apart(capsys):
    values = {"p1": 0.5, "p2": float("nan")}
    lines = printed(
        capsys,
        [
            MetricResult(metric_type=MetricType.SPEARMAN_CORRELATION_CALCULATION, value=v, params={"condition": c})
            for c, v in values.items()
        ],
    )
    assert lines[2:5] == ["p1 0.5000", "p2 nan", "Results across 2 conditions"]
    assert lines[-1].endswith("mean=0.5000, std=0.0000, count=1, without a value=1")


def test_a_summary_of_correlations(capsys):
    utils.print_correlation_metrics_baseline_and_model(
        pd.DataFrame({"baseline": [0.1, 0.2], "model": [0.5, -0.1]}), moderate_correlation_threshold=0.15, precision=2
    )
    rows = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()[1:]]
    found = {name.strip(): (float(a), float(b)) for name, a, b in rows}
    assert found["Mean correlation"] == (0.15, 0.2)
    assert found["Standard Deviation"] == (0.07, 0.42)
    assert found["Median correlation"] == (0.15, 0.2)
    assert found["Number of correlations > 0.15"] == (1, 1)
    assert found["Number of negative correlations"] == (0, 1)
    with pytest.raises(TypeError, match=r"`metrics_df` must hold numbers only"):
        utils.print_correlation_metrics_baseline_and_model(pd.DataFrame({"condition": ["a"]}))


def test_the_standard_workflow_is_the_baseline():
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(sp.csr_matrix(rng.poisson(rng.gamma(1, 2, 120), (90, 120)).astype(np.float32)))
    found = utils.run_standard_scrna_workflow(adata, n_top_genes=100, n_pcs=5)
    np.testing.assert_array_equal(found, utils.pca_baseline(adata.X, 100, 5, 42))
    assert (list(adata.obsm), [name for name in adata.layers if name], list(adata.uns)) == ([], [], [])
    assert adata.X.max() == round(float(adata.X.max()))
    for option in ("n_top_genes", "n_pcs"):
        with pytest.raises(ValueError, match=f"`{option}` must be a positive integer"):
            utils.run_standard_scrna_workflow(adata, **{option: 0})


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(1)
    values = rng.poisson(rng.gamma(1, 2, 120), (90, 120)).astype(np.float32)
    values[3] = 0  # a cell without counts
    return values


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.uint8])
@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sp.csr_matrix, sp.csc_matrix, sp.coo_array])
def test_the_baseline_of_any_container_has_the_same_bits(counts, container, dtype):
    expected = utils.pca_baseline(counts, 100, 5, 42)
    given = container(counts.astype(dtype))
    before = given.copy()
    np.testing.assert_array_equal(utils.pca_baseline(given, 100, 5, 42), expected)
    assert given.dtype == dtype
    assert abs(given - before).max() == 0


def test_the_baseline_sums_entries_of_one_place(counts):
    once = sp.csr_matrix(counts)
    twice = sp.csr_matrix((np.repeat(once.data, 2), np.repeat(once.indices, 2), 2 * once.indptr), shape=once.shape)
    expected = utils.pca_baseline(once * 2, 100, 5, 42)
    np.testing.assert_array_equal(utils.pca_baseline(twice, 100, 5, 42), expected)
    np.testing.assert_array_equal(utils.pca_baseline(twice.astype(np.int32), 100, 5, 42), expected)
    assert twice.nnz == 2 * once.nnz


def test_the_baseline_loads_no_library_it_does_not_need():
    code = """
        import sys
        import numpy as np
        from czbenchmarks.tasks.utils import pca_baseline
        pca_baseline(np.random.default_rng(0).poisson(1.0, (60, 50)).astype(np.float32), 50, 5, 0)
        print(sorted({"scanpy", "numba", "sklearn", "anndata", "faiss"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
