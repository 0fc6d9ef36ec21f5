import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.metrics import scgraph
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.metrics.scgraph import scgraph_corr_pca, scgraph_corr_weighted, scgraph_rank_pca

SCORES = (scgraph_rank_pca, scgraph_corr_pca, scgraph_corr_weighted)
every_score = pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)


def cells(n=400, k=6, g=80, seed=0):
    """Return labels, batches, counts and the logarithms of their rates: what an embedding can know at best."""
    rng = np.random.default_rng(seed)
    labels, batch = rng.integers(0, k, n), rng.integers(0, 3, n)
    rates = rng.gamma(1, 3, (k, g))
    shift = rng.lognormal(0, 0.7, (3, g))
    logged = np.log1p(rates / rates.sum(axis=1, keepdims=True) * 1e4)
    return labels, batch, rng.poisson(rates[labels] * shift[batch]), logged[labels]


@every_score
def test_what_knows_the_labels_distances_beats_noise_and_islands(score):
    labels, batch, counts, known = cells()
    rng = np.random.default_rng(1)
    noise = np.mean([score(rng.normal(size=(400, 20)), labels, batch, counts).value for _ in range(8)])
    islands = np.mean(
        [
            score(np.eye(6)[rng.permutation(6)][labels] * 9 + rng.normal(size=(400, 6)), labels, batch, counts).value
            for _ in range(8)
        ]
    )
    found = score(known, labels, batch, counts)
    assert found.value > 0.6
    assert abs(noise) < 0.3
    assert abs(islands) < 0.3
    assert found.counts == {
        "used": 400, "left_out": 0, "labels": 6, "labels_left_out": 0, "batches": 3, "batches_left_out": 0,
        "labels_without_value": 0,
    }  # fmt: skip


@every_score
def test_unit_offset_and_order_change_nothing(score):
    labels, batch, counts, known = cells()
    X = known[:, :5] + np.random.default_rng(0).normal(size=(400, 5))
    expected = score(X, labels, batch, counts).value
    for changed in (X * 1e-6, X * 1e9, X + 1000, X[:, ::-1], np.pad(X, ((0, 0), (0, 3)))):
        assert score(changed, labels, batch, counts).value == pytest.approx(expected, abs=1e-7)
    order = np.random.default_rng(2).permutation(400)
    assert score(X[order], labels[order], batch[order], counts[order]).value == pytest.approx(expected, abs=1e-10)


@every_score
def test_containers_and_logging_change_nothing(score):
    labels, batch, counts, known = cells()
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    expected = score(known, labels, batch, counts)
    assert expected.details["expression"] == "counts"
    for other in (sp.csr_matrix(counts), sp.csc_matrix(counts), pd.DataFrame(counts), logged, sp.csr_matrix(logged)):
        assert score(known, labels, batch, other).value == pytest.approx(expected.value, abs=1e-9)
    assert score(known, labels, batch, logged).details["expression"] == "logged"
    single = score(known, labels, batch, sp.csr_matrix(logged.astype(np.float32)))
    assert single.value == pytest.approx(expected.value, abs=1e-4 if score is not scgraph_rank_pca else 0.05)


def test_reference_is_made_once_for_all_embeddings_and_scores(monkeypatch):
    labels, batch, counts, known = cells()
    expected = [score(known, labels, batch, counts).value for score in SCORES]
    made, compared = [], []
    reference, agreement = scgraph.batch_distances, scgraph.agreement
    monkeypatch.setattr(scgraph, "batch_distances", lambda *a, **k: made.append(1) or reference(*a, **k))
    monkeypatch.setattr(scgraph, "agreement", lambda *a: compared.append(1) or agreement(*a))
    shared, embedding = represent(counts, "expression", keep_sparse=True), represent(known)
    assert [score(embedding, labels, batch, shared).value for score in SCORES] == expected
    scgraph_corr_pca(known[:, :4], labels, batch, shared)
    assert len(made) == 3  # batches
    assert len(compared) == 2  # embeddings
    scgraph_corr_pca(embedding, labels, batch * 0, shared)
    scgraph_corr_pca(embedding, labels % 3, batch, shared)
    assert len(made) == 3 + 1 + 3
    assert len(compared) == 4


def test_breakdown_has_the_three_correlations_of_each_label():
    labels, batch, counts, known = cells()
    names = np.array(["T", "B", "NK", "mono", "mast", "rare"])[labels]
    names[np.flatnonzero(names == "rare")[9:]] = "B"
    found = [score(known, names, batch, counts) for score in SCORES]
    rows = found[0].breakdowns
    assert [row["label"] for row in rows] == ["B", "NK", "T", "mast", "mono"]
    assert [row["cells"] for row in rows] == [int((names == row["label"]).sum()) for row in rows]
    for one, column in zip(found, ("rank_pca", "corr_pca", "corr_weighted"), strict=True):
        assert one.breakdowns == rows
        assert one.value == pytest.approx(np.mean([row[column] for row in rows]))
        assert one.units.values.tolist() == [row[column] for row in rows]
        assert one.details["labels_left_out"] == ["rare"]
        assert one.counts["left_out"] == 9


def test_label_of_one_batch_is_compared_with_those_it_meets():
    labels, batch, counts, known = cells()
    batch[labels == 0] = 0
    batch[labels == 1] = 1
    found = scgraph_corr_pca(known, labels, batch, counts)
    assert found.value > 0.5
    assert len(found.breakdowns) == 6


@every_score
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a.update(labels=a["labels"] % 2), "2 of 2 labels have 10 cells or more; three are needed"),
        (lambda a: a.update(labels=np.zeros(400)), "1 of 1 labels have 10 cells or more; three are needed"),
        (lambda a: a.update(labels=np.arange(400) // 8), "0 of 50 labels have 10 cells or more; three are needed"),
        (lambda a: a.update(batch=np.arange(400) // 50), "no batch has 100 cells; the largest has 50"),
        (lambda a: a.update(expression=np.ones((400, 5))), "no gene varies between the cells of batch 0, 1, 2"),
        (lambda a: a.update(X=np.zeros((400, 2))), "no label has two others at different distances"),
    ],
)  # fmt: skip
def test_what_is_not_defined_has_a_reason(score, change, reason):
    labels, batch, counts, known = cells()
    given = {"X": known, "labels": labels, "batch": batch, "expression": counts}
    change(given)
    found = score(**given)
    assert np.isnan(found.value)
    assert found.reason.startswith(reason)


def test_duplicates_and_few_genes_have_a_value():
    labels, batch, counts, known = cells()
    twice = [np.concatenate([part, part]) for part in (known, labels, batch, counts)]
    assert scgraph_corr_pca(*twice).value == pytest.approx(
        scgraph_corr_pca(known, labels, batch, counts).value, abs=0.02
    )
    assert scgraph_corr_pca(known, labels, batch, counts[:, :3]).value > -1
    assert scgraph_corr_pca(known, labels, np.arange(400) // 20, counts, min_batch_cells=20).counts["batches"] == 20


def test_bad_input_is_refused():
    labels, batch, counts, known = cells()
    with pytest.raises(ValueError, match=r"`expression` must have the same length .* expected 400, got 399"):
        scgraph_rank_pca(known, labels, batch, counts[1:])
    with pytest.raises(ValueError, match=r"`expression` must hold counts or their logarithms, .* down to -1; "):
        scgraph_rank_pca(known, labels, batch, counts - 1)
    with pytest.raises(ValueError, match=r"values that are not whole and reach .* pass counts or take log"):
        scgraph_rank_pca(known, labels, batch, counts * 10.5)
    with pytest.raises(ValueError, match="`n_components` must be a positive integer"):
        scgraph_rank_pca(known, labels, batch, counts, n_components=0)
