"""The checks of a run: asked for, declared, recorded."""

import anndata
import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks.results import RunRecord

TIME = np.repeat([1.0, 2.0, 3.0], 40)


@pytest.fixture
def adata():
    rng = np.random.default_rng(5)
    n = 120
    obs = pd.DataFrame(
        {
            "cell_type": np.repeat(["B", "NK", "T"], n // 3),
            "batch": np.tile(["x", "y"], n // 2),
            "donor": np.tile(["d1", "d2", "d3", "d4", "d5", "d6"], n // 6),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    counts = rng.poisson(2 + 3 * np.repeat(np.eye(3, 150), n // 3, axis=0)).astype("f4")
    found = anndata.AnnData(counts, obs=obs)
    found.obsm["X_model"] = rng.normal(size=(n, 8)) + 4 * np.repeat(np.eye(3, 8), n // 3, axis=0)
    return found


def names(record):
    return [check.name for check in record.checks]


def test_no_checks_unless_asked_for(adata):
    assert evaluate("@obsm:X_model", adata, "embedding").checks == []


def test_checks_suit_the_tasks(adata, tmp_path):
    record = evaluate("@obsm:X_model", adata, ["embedding", "label_prediction", "batch_integration"], checks=True)
    assert names(record) == [
        "supervised_embedding", "order_of_rows", "clusters_as_labels", "scale_and_dimension",
        "near_duplicates_across_folds", "donors_across_folds", "better_than_majority",
    ]  # fmt: skip
    scale = of_check(record)["scale_and_dimension"]
    assert scale.embedding == "@obsm:X_model"
    assert [row["embedding"] for row in scale.table][-1].startswith("PCA of the data before integration")
    assert all("ilisi" in row for row in scale.table)
    donors = of_check(record)["donors_across_folds"]
    assert donors.verdict == "look"
    assert "groups" in donors.sentence
    assert RunRecord.read(record.write(tmp_path / "run.json")) == record
    assert "resolution_curve" in names(evaluate("@obsm:X_model", adata, "clustering", checks=True))


def test_the_checks_of_a_task_look_at_its_own_labels(adata):
    adata.obs["half"] = np.repeat(["x", "y"], 60)
    record = evaluate(
        "@obsm:X_model",
        adata,
        {"embedding": {}, "clustering": {"input_labels": "half"}, "label_prediction": {"labels": "donor"}},
        checks=True,
    )
    alone = {
        **of_check(evaluate("@obsm:X_model", adata, "clustering", input_labels="half", checks=True)),
        **of_check(evaluate("@obsm:X_model", adata, "label_prediction", labels="donor", checks=True)),
        **of_check(evaluate("@obsm:X_model", adata, "embedding", checks=True)),
    }
    assert of_check(record) == alone


def of_check(record):
    return {check.name: check for check in record.checks}


def test_grouped_folds_keep_donors_apart(adata):
    record = evaluate("@obsm:X_model", adata, "label_prediction", checks=True, groups="donor")
    assert {check.name: check.verdict for check in record.checks}["donors_across_folds"] == "ok"


def test_a_declared_embedding_is_always_flagged(adata):
    models = {"mine": "@obsm:X_model", "other": "@obsm:X_model"}
    record = evaluate(models, adata, "embedding", supervised="mine")
    [check] = record.checks
    assert (check.name, check.embedding, check.verdict) == ("supervised_embedding", "mine", "look")
    assert record.run_specification.supervised == ["mine"]


@pytest.mark.parametrize("options", [{"checks": True}, {"supervised": "mine"}, {"checks": True, "supervised": "mine"}])
def test_a_task_without_labels_of_groups_says_so(adata, options):
    record = evaluate({"mine": "@obsm:X_model"}, adata.copy(), "sequential_organization", input_labels=TIME, **options)
    check, *more = record.checks
    assert (check.name, check.embedding, check.verdict) == ("supervised_embedding", "mine", "not checked")
    assert check.sentence == "No task of the run has labels of groups of cells, which this check needs."
    assert [one.name for one in more] == ["order_of_rows"] * ("checks" in options)


def test_rows_in_another_order_than_the_cells_are_seen(adata):
    means = 1 + 9 * np.repeat(np.repeat(np.eye(3), 50, axis=1), 40, axis=0)  # 50 genes of each type
    means += np.repeat(np.random.default_rng(2).uniform(0, 9, (24, 150)), 5, axis=0)  # and cells of a kind, by fives
    adata.X = np.random.default_rng(1).poisson(means).astype("f4")
    adata.obsm["X_model"] = np.log1p(adata.X)[:, ::3]
    order = np.random.default_rng(0).permutation(len(adata))
    given = {"right": adata.obsm["X_model"], "shuffled": adata.obsm["X_model"][order]}
    record = evaluate(given, adata, "embedding", checks=True)
    assert {check.embedding: check.verdict for check in record.checks if check.name == "order_of_rows"} == {
        "right": "ok",
        "shuffled": "look",
    }
    check = of_check(evaluate(given["right"], adata.obs, "embedding", checks=True))["order_of_rows"]
    assert (check.verdict, check.sentence) == (
        "not checked",
        "The data have no expression that the embedding's neighbours could be compared with.",
    )


def test_labels_that_are_named_as_clusters_are_looked_at_more_closely(adata):
    adata.obs["leiden"] = np.repeat(["0", "1", "2"], 40)
    adata.obsm["X_model"][:, :3] += 50 * np.repeat(np.eye(3), 40, axis=0)
    verdicts = {}
    for labels in ("cell_type", "leiden", adata.obs["leiden"].to_numpy()):
        record = evaluate("@obsm:X_model", adata, "clustering", labels=labels, checks=True)
        check = of_check(record)["clusters_as_labels"]
        verdicts[str(labels)[:9]] = check.verdict, check.details["named_as_clusters"]
    assert list(verdicts.values()) == [("ok", False), ("look", True), ("ok", False)]


def test_predictions_no_better_than_the_most_frequent_label_are_seen(adata):
    adata.obs["label"] = np.random.default_rng(1).permutation(np.repeat(["good", "bad"], [90, 30]))
    options = {"labels": "label", "metrics": "mean_fold_auroc"}
    record = evaluate("@obsm:X_model", adata, "label_prediction", checks=True, **options)
    check = of_check(record)["better_than_majority"]
    assert check.verdict == "look"
    assert "always answering 'good', the most frequent label, has 0.500 (0.750)" in check.sentence
    assert [row["classifier"] for row in check.table] == ["lr", "knn", "rf"]
    known = evaluate("@obsm:X_model", adata, "label_prediction", checks=True, random_seed=[1, 2])
    assert of_check(known)["better_than_majority"].verdict == "ok"


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"supervised": "mane"}, ValueError, "Embedding 'mane' .*is not scored. Did you mean 'mine'"),
        ({"supervised": True}, TypeError, "`supervised` must be names of embeddings, got True"),
        ({"checks": "yes"}, TypeError, "`checks` must be True or False, got 'yes'"),
        ({"donors": "donor"}, ValueError, "`donors` must come with the checks that use them"),
    ],
)
def test_bad_requests(adata, options, error, sentence):
    with pytest.raises(error, match=sentence):
        evaluate({"mine": "@obsm:X_model"}, adata, "embedding", **options)


def test_several_data_sets_are_not_checked(adata):
    with pytest.raises(ValueError, match="`checks` must be asked for with one data set"):
        evaluate(
            ["@obsm:X_model"] * 2,
            [adata, adata],
            "cross-species_integration",
            organisms=["HUMAN", "MOUSE"],
            checks=True,
        )


def test_the_order_of_work_refuses_before_scoring(adata, monkeypatch):
    from czbenchmarks.run.workload import Workload

    monkeypatch.setattr(Workload, "inputs", lambda *_, **__: pytest.fail("scored first"))
    with pytest.raises(ValueError, match="is not scored"):
        evaluate({"mine": "@obsm:X_model"}, adata, "embedding", supervised="nobody")
