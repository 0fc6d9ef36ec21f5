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
        "supervised_embedding", "scale_and_dimension", "near_duplicates_across_folds", "donors_across_folds",
    ]  # fmt: skip
    scale = record.checks[1]
    assert scale.embedding == "@obsm:X_model"
    assert [row["embedding"] for row in scale.table][-1].startswith("PCA of the data before integration")
    assert all("ilisi" in row for row in scale.table)
    donors = record.checks[3]
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
    [check] = record.checks
    assert (check.name, check.embedding, check.verdict) == ("supervised_embedding", "mine", "not checked")
    assert check.sentence == "No task of the run has labels of groups of cells, which every check needs."


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
    from czbenchmarks import _evaluate

    monkeypatch.setattr(_evaluate._Run, "score", lambda *_, **__: pytest.fail("scored first"))
    with pytest.raises(ValueError, match="is not scored"):
        evaluate({"mine": "@obsm:X_model"}, adata, "embedding", supervised="nobody")
