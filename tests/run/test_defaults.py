"""What metrics compare with is taken from the data where it is not named, and said."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks.io.dataset import Cells
from czbenchmarks.tasks.utils import pca_baseline

N, G = 150, 200


@pytest.fixture
def adata():
    rng = np.random.default_rng(7)
    obs = pd.DataFrame(
        {"cell_type": np.repeat(["B", "NK", "T"], N // 3), "batch": np.tile(["x", "y"], N // 2), "organism": "human"},
        index=[f"cell{i}" for i in range(N)],
    )
    rates = 1 + 4 * np.repeat(np.eye(3, G), N // 3, axis=0) + (np.arange(N) % 2)[:, None] * np.eye(1, G, 9)
    found = anndata.AnnData(rng.poisson(rates).astype("f4"), obs=obs)
    found.obsm["X_model"] = rng.normal(size=(N, 8)) + 4 * np.repeat(np.eye(3, 8), N // 3, axis=0)
    found.obsm["X_pca"] = rng.normal(size=(N, 12)) + (np.arange(N) % 2)[:, None]
    return found


def pcr(data, **options):
    record = evaluate("@obsm:X_model", data, "batch_integration", metrics="pcr_comparison", **options)
    return record.result_metrics[0], record


def test_counts_are_compared_with_by_their_principal_components(adata):
    score, record = pcr(adata)
    components = pca_baseline(adata.X, 3000, 50, 42)
    assert score.value == pcr(adata, unintegrated=components)[0].value
    assert record.run_specification.tasks["batch_integration"].defaulted["unintegrated"].startswith("@X")
    assert any("no `unintegrated` named, so X was used" in line for line in record.warnings)


def test_other_values_are_taken_as_they_are(adata):
    adata.X = np.log1p(adata.X) + 0.01
    named = pcr(adata, unintegrated="@X")
    assert pcr(adata)[0].value == named[0].value
    assert not any("unintegrated" in line for line in named[1].warnings)


def test_what_is_named_is_used(adata):
    by_reference, record = pcr(adata, unintegrated="@obsm:X_pca")
    assert by_reference.value == pcr(adata, unintegrated=adata.obsm["X_pca"])[0].value
    assert by_reference.value == pcr(adata, unintegrated=pd.DataFrame(adata.obsm["X_pca"], adata.obs_names))[0].value
    assert by_reference.value != pcr(adata)[0].value
    assert record.run_specification.tasks["batch_integration"].given["unintegrated"] == "@obsm:X_pca"


def test_cells_that_are_left_out_are_left_out_of_it(adata):
    table = pd.DataFrame(adata.obsm["X_model"], adata.obs_names).iloc[10:]
    part = adata[10:].copy()
    for given in ({}, {"unintegrated": "@obsm:X_pca"}):
        record = evaluate(
            table, adata, "batch_integration", metrics="pcr_comparison", allow_missing_cells=True, **given
        )
        assert record.result_metrics[0].value == pcr(part, **given)[0].value


def test_without_expression_the_score_has_a_reason(adata):
    record = evaluate(adata.obsm["X_model"], adata.obs, "batch_integration", metrics="scib-fast")
    [score] = [score for score in record.result_metrics if score.metric_type == "pcr_comparison"]
    assert score.reason == "it must have `unintegrated`, which was not given; pass it (--unintegrated)"
    assert score.failed
    assert record.failed
    assert not Cells(adata.obs).has_expression
    assert Cells(adata).has_expression
    adata.X = None
    assert not Cells(adata).has_expression
    assert not evaluate("@obsm:X_model", adata, "batch_integration", metrics="all").failed  # what the data allow


BAD = {
    "scaled": lambda counts: (counts - counts.mean(axis=0)) / counts.std(axis=0),
    "negative counts": lambda counts: counts - 100,
    "not finite": lambda counts: np.where(counts > 9, np.nan, counts),
    "all alike": np.ones_like,
}


@pytest.mark.parametrize("kind", BAD)
def test_an_x_that_cannot_be_compared_with_leaves_the_other_scores(adata, kind):
    """Nobody named it: what needs it is left out or has a reason, and the rest is worth having."""
    adata.X = BAD[kind](adata.X)
    record = evaluate("@obsm:X_model", adata, "batch_integration", metrics="all", checks=True)
    scores = {score.metric_type: score for score in record.result_metrics}
    assert scores["ilisi"].value > 0.5
    assert scores["silhouette_score"].value > 0.5
    assert not record.failures
    scgraph = scores.get("scgraph_rank_pca")
    assert scgraph is None or scgraph.reason
    for name, good in (("unintegrated", ["scaled"]), ("expression", ["all alike"])):
        said = any(f"no `{name}` named, and X cannot be used: " in line for line in record.warnings)
        assert said == (kind not in good)
    [scale] = [check for check in record.checks if check.name == "scale_and_dimension"]
    assert scale.verdict in ("ok", "look")


def test_a_metric_asked_for_by_name_says_why_x_cannot_be_compared_with(adata):
    adata.X = np.where(adata.X > 9, np.nan, adata.X)
    with pytest.raises(ValueError, match="must be finite"):
        pcr(adata)
    with pytest.raises(ValueError, match="`expression` must be finite"):
        evaluate("@obsm:X_model", adata, "batch_integration", metrics=["ilisi", "scgraph_rank_pca"])


def test_the_components_of_the_counts_are_made_once_for_all_tasks_and_checks(adata, monkeypatch):
    from czbenchmarks.tasks import utils

    made, real = [], utils.pca_baseline
    monkeypatch.setattr(utils, "pca_baseline", lambda *given, **more: (made.append(1), real(*given, **more))[1])
    evaluate("@obsm:X_model", adata, ["embedding", "batch_integration"], metrics="all", checks=True)
    assert made == [1]


@pytest.mark.parametrize("form", ["reference", "array"])
def test_genes_of_expression_that_is_named_are_those_of_the_data(adata, form):
    """Only if there are as many; names of genes that are given are used."""
    genes = ["MCM5", "PCNA", "MCM2", "RRM1", "TOP2A", "CDK1", "MKI67", "CENPF"]
    adata.var_names = [*genes, *(f"g{i}" for i in range(G - len(genes)))]
    adata.layers["counts"] = adata.X.copy()
    given = {"expression": "@layers:counts" if form == "reference" else adata.X}
    run = {"embedding": "@obsm:X_model", "data": adata, "tasks": "batch_integration"}
    record = evaluate(**run, metrics="cell_cycle_conservation", **given)
    named = evaluate(**run, metrics="cell_cycle_conservation", gene_names="@var_index", **given)
    assert record.result_metrics[0].value == named.result_metrics[0].value
    assert any("names of the data's genes" in line for line in record.warnings)
    assert not any("names of the data's genes" in line for line in named.warnings)
    with pytest.raises(ValueError, match="must have `gene_names`, got none; pass it"):
        evaluate(**run, metrics="cell_cycle_conservation", expression=adata.X[:, 1:])


def test_nothing_is_read_that_no_metric_asks_for(adata, monkeypatch):
    monkeypatch.setattr(Cells, "has_expression", property(lambda _: pytest.fail("looked for expression")))
    evaluate("@obsm:X_model", adata, "batch_integration", metrics="ilisi")


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        (
            {"unintegrated": np.zeros((N - 1, 3))},
            ValueError,
            "`unintegrated` must have the same length as the data, one entry per cell: expected 150",
        ),
        ({"unintegrated": "@obsm:X_pc"}, ValueError, "Did you mean 'X_pca'"),
        ({"unintegrated": np.full((N, 3), np.nan)}, ValueError, "`unintegrated`"),
        ({"unintegrated": 3}, TypeError, "`unintegrated`"),
        ({"metrics": "ilisii"}, ValueError, "Did you mean 'ilisi'"),
    ],
)
def test_bad_input_is_one_sentence(adata, given, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        evaluate("@obsm:X_model", adata, "batch_integration", **{"metrics": "pcr_comparison", **given})
    assert "\n" not in str(caught.value)


def test_nothing_of_the_user_is_changed(adata):
    before = adata.copy()
    evaluate("@obsm:X_model", adata, ["batch_integration", "embedding", "clustering"], metrics="all")
    np.testing.assert_array_equal(adata.X, before.X)
    assert adata.obs.equals(before.obs)
    assert list(adata.obsm) == list(before.obsm)
    assert list(adata.obsp) == []
    np.testing.assert_array_equal(adata.obsm["X_model"], before.obsm["X_model"])


def test_several_embeddings_share_what_they_are_compared_with(adata, monkeypatch):
    from czbenchmarks.kernels import projection

    calls = []
    project = projection.project
    monkeypatch.setattr(projection, "project", lambda *given: calls.append(1) or project(*given))
    models = {"model": "@obsm:X_model", "pca": "@obsm:X_pca"}
    adata.X = np.log1p(adata.X) + 0.01
    record = evaluate(models, adata, "batch_integration", metrics=["pcr_comparison", "trustworthiness"])
    assert len(record.result_metrics) == 4
    assert calls == [1]


def test_a_task_without_batches_does_not_compare_for_metrics_of_batches(adata):
    record = evaluate("@obsm:X_model", adata, "embedding", metrics="scib")
    assert "unintegrated" not in record.run_specification.tasks["embedding"].defaulted
    assert not any("unintegrated" in line for line in record.warnings)
    record = evaluate("@obsm:X_model", adata, "embedding", metrics="continuity")
    assert any("no `unintegrated` named" in line for line in record.warnings)


@pytest.mark.parametrize("field", ["unintegrated", "expression", "corrected"])
def test_a_matrix_is_no_column_and_no_file(adata, field):
    with pytest.raises(ValueError, match=rf"`{field}` must be a reference .* got 'pca.npy'; put what is in a file"):
        pcr(adata, **{field: "pca.npy"})


def test_names_of_genes_are_a_column_of_var(adata):
    adata.var["symbol"] = [f"g{i}" for i in range(G)]
    for given in ("symbol", "@var:symbol"):
        with pytest.raises(ValueError, match=r"none of the 97 cell-cycle genes .* pass gene symbols as `gene_names`"):
            evaluate("@obsm:X_model", adata, "batch_integration", metrics="cell_cycle_conservation", gene_names=given)
    with pytest.raises(ValueError, match=r"Column 'symbl' is not in var\. Did you mean 'symbol'"):
        evaluate("@obsm:X_model", adata, "batch_integration", metrics="cell_cycle_conservation", gene_names="symbl")


def test_pseudotime_that_is_no_number_is_not_called_a_label(adata):
    with pytest.raises(ValueError, match=r"^Values must be numeric .* `pseudotime` holds 'B'"):
        evaluate("@obsm:X_model", adata, "batch_integration", metrics="trajectory_conservation", pseudotime="cell_type")


def not_finite(file):
    file["X"][3, 4] = np.nan


def of_text(file):
    del file["X"]
    file.create_dataset("X", data=np.full((N, G), "a", dtype=object), dtype=h5py.string_dtype())
    file["X"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})


def too_short(file):
    kept = dict(file["X"].attrs)
    del file["X"]
    file["X"] = np.ones((N - 3, G), dtype="f4")
    file["X"].attrs.update(kept)


def of_no_known_kind(file):
    file["X"].attrs["encoding-type"] = "martian"


def a_link(file):
    del file["X"]
    file["X"] = h5py.ExternalLink("other.h5ad", "X")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (not_finite, "`unintegrated` must be finite"),
        (of_text, "`unintegrated` must"),
        (too_short, "must have one row per cell in @X: expected 150, got 147"),
        (of_no_known_kind, "does not know; update anndata"),
        (a_link, "is a link to another file"),
    ],
)
def test_an_x_that_cannot_be_read_is_no_missing_x(adata, tmp_path, change, sentence):
    """It is read only if a metric needs it: of a set that metric has a row, by its name it is refused."""
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        change(file)
    assert change is a_link or Cells(path).has_expression
    for metrics in ("scib-fast", "all"):
        record = evaluate("@obsm:X_model", path, "batch_integration", metrics=metrics)
        [pcr] = [score for score in record.result_metrics if score.metric_type == "pcr_comparison"]
        assert sentence in pcr.reason
        assert pcr.reason.startswith("it must have `unintegrated`, none was named, and X cannot be used: ")
        assert pcr.reason.endswith("or pass it (--unintegrated)")
        assert pcr.failed
        assert record.failed
        assert any("pcr_comparison has no value" in line and sentence in line for line in record.warnings)
    with pytest.raises(ValueError, match=sentence):
        evaluate("@obsm:X_model", path, "batch_integration", metrics=["ilisi", "pcr_comparison"])
    for metrics in ("published", "ilisi"):
        record = evaluate("@obsm:X_model", path, "batch_integration", metrics=metrics)
        assert record.complete
        assert not any("X" in line for line in record.warnings)
    named = evaluate("@obsm:X_model", path, "batch_integration", metrics="scib-fast", unintegrated="@obsm:X_pca")
    assert not named.failed


def test_a_check_says_that_it_could_not_compare(adata, tmp_path):
    adata.X[3, 4] = np.nan
    record = evaluate("@obsm:X_model", adata, "batch_integration", checks=True)
    [scale] = [check for check in record.checks if check.name == "scale_and_dimension"]
    assert "It is not compared with a PCA of X: `unintegrated` must be finite" in scale.sentence
    adata.X = None
    record = evaluate("@obsm:X_model", adata, "batch_integration", checks=True)
    [scale] = [check for check in record.checks if check.name == "scale_and_dimension"]
    assert "PCA of X" not in scale.sentence


@pytest.mark.parametrize(
    ("organisms", "sentence"),
    [(["human", "mouse"], "must hold one organism per data set, got 2"), (["martian"], "martian")],
)
def test_an_organism_that_cannot_be_used_says_why(adata, organisms, sentence):
    adata.obs["organism"] = np.resize(organisms, N)
    record = evaluate("@obsm:X_model", adata, "batch_integration", metrics="all")
    assert any("no `organism` named, and the organism of the data cannot" in line for line in record.warnings)
    assert any(sentence in line for line in record.warnings)
    with pytest.raises(ValueError, match=sentence):
        evaluate("@obsm:X_model", adata, "batch_integration", metrics="cell_cycle_conservation")
    del adata.obs["organism"]
    with pytest.raises(ValueError, match="must have `organism`, got none; pass it"):
        evaluate("@obsm:X_model", adata, "batch_integration", metrics="cell_cycle_conservation")
    record = evaluate("@obsm:X_model", adata, "batch_integration", metrics="all")
    assert not any("organism" in line for line in record.warnings)
