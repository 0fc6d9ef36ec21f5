"""Simulated cells hold what they say, and controls bracket what an embedding can score."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from czbenchmarks import evaluate
from czbenchmarks.datasets import Organism, SingleCellPerturbationDataset
from czbenchmarks.tasks import ClusteringTask
from czbenchmarks.testing import (
    noise_embedding,
    perfect_embedding,
    shuffled_embedding,
    simulate_screen,
    simulate_time_course,
)

SIMULATIONS = {
    "time course": lambda seed: simulate_time_course(80, 30, 4, random_seed=seed),
    "screen": lambda seed: simulate_screen(2, 20, 30, 10, random_seed=seed),
}
DRAWS = {
    "perfect": lambda seed: perfect_embedding(["a", "b"] * 10, random_seed=seed),
    "ordered": lambda seed: perfect_embedding([0, 1] * 10, ordered=True, random_seed=seed),
    "shuffled": lambda seed: shuffled_embedding(np.arange(20.0)[:, None], random_seed=seed),
    "noise": lambda seed: noise_embedding(20, 3, random_seed=seed),
    **{name: (lambda seed, make=make: make(seed).X.toarray()) for name, make in SIMULATIONS.items()},
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_seed_decides_and_nothing_else(draw):
    first = draw(1)
    np.random.seed(0)  # noqa: NPY002, TID251
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert np.array_equal(draw(1), first)
    assert not np.array_equal(draw(2), first)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize("make", SIMULATIONS.values(), ids=SIMULATIONS)
def test_simulated_cells_say_so(make):
    cells = make(0)
    assert "simulated" in cells.uns["X_content"]
    assert "no measured cells" in cells.uns["simulated"]
    assert cells.obs_names.str.startswith("simulated_").all()
    assert cells.var_names.str.startswith("ENSG_simulated_").all()
    assert isinstance(cells.X, sp.csr_matrix)
    assert np.array_equal(cells.X.data, np.rint(cells.X.data))


def test_time_course():
    cells = simulate_time_course(1200, 300, 6, n_batches=3)
    obs = cells.obs
    assert sorted(obs["time"].unique()) == [0, 1, 2, 3, 4, 5]
    assert obs["batch"].nunique() == 3
    trunk = obs["branch"] == "simulated_trunk"
    assert (obs.loc[trunk, "maturation"] <= 0.5).all()
    assert (obs.loc[~trunk, "maturation"] > 0.5).all()
    assert obs["cell_type"].str.startswith("simulated_").all()
    # Neighbouring times overlap, distant ones do not.
    spread = obs.groupby("time")["maturation"].agg(["min", "max"])
    assert spread.loc[0, "max"] > spread.loc[1, "min"]
    assert spread.loc[0, "max"] < spread.loc[5, "min"]
    logged = np.log1p(cells.X.toarray())  # not divided by the cells' totals, which mature too
    along = np.abs([np.corrcoef(column, obs["maturation"])[0, 1] for column in logged.T])
    late = (obs["maturation"] > 0.8).to_numpy()
    first = (obs["branch"] == "simulated_branch_1").to_numpy()
    apart = np.abs(logged[late & first].mean(axis=0) - logged[late & ~first].mean(axis=0))
    kind = np.arange(300) % 3
    assert np.median(along[kind == 0]) > 3 * np.median(along[kind == 2])
    assert np.median(apart[kind == 1]) > 3 * np.median(apart[kind == 2])


def test_noise_of_the_time_course():
    exact = simulate_time_course(60, 30, 4, noise=0.0).obs
    assert np.allclose(exact["maturation"], exact["time"] / 3)


def test_screen_is_what_it_says():
    screen = simulate_screen(3, 30, 50, 12, random_seed=5)
    table = screen.uns["de_results_wilcoxon"]
    conditions = [f"simulated_perturbation_{i}" for i in (1, 2, 3)]
    assert list(table["condition"].unique()) == conditions
    assert screen.obs["condition"].value_counts().to_dict() == {"ctrl": 30, **dict.fromkeys(conditions, 30)}
    for condition in conditions:
        part = table[table["condition"] == condition].set_index("gene")
        effect = part["logfoldchange"]
        assert (effect != 0).sum() == 12
        assert effect[effect != 0].abs().between(1, 2.5).all()
        treated = (screen.obs["condition"] == condition).to_numpy()
        controls = (screen.obs["condition"] == "ctrl").to_numpy()
        perfect = screen.layers["perfect_prediction"]
        ratio = np.log(perfect[treated].mean(axis=0) / perfect[controls].mean(axis=0))
        assert np.allclose(ratio, effect[screen.var_names], atol=1e-4)
        counts = screen.X.toarray()
        p = [
            stats.mannwhitneyu(a, b, method="asymptotic").pvalue
            for a, b in zip(counts[treated].T, counts[controls].T, strict=True)
        ]
        assert np.allclose(part["pval_adj"], stats.false_discovery_control(np.nan_to_num(p, nan=1.0)))
        measured = np.log(counts[treated].mean(axis=0) / counts[controls].mean(axis=0))
        assert stats.pearsonr(measured[effect != 0], effect[effect != 0]).statistic > 0.95
        pairs = screen.uns["control_cells_map"][condition]
        assert list(pairs) == list(screen.obs_names[treated])
        assert list(pairs.values()) == list(screen.obs_names[controls])


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Return a screen as its data set reads it."""
    path = tmp_path_factory.mktemp("screen") / "screen.h5ad"
    simulate_screen(6, 40, 200, 60).write_h5ad(path)
    data = SingleCellPerturbationDataset(path, Organism.HUMAN)
    data.load_data()
    return data


def test_screen_is_a_valid_data_set(screen):
    screen.validate()
    assert len(screen.target_genes) == 6
    assert all(len(genes) >= 20 for genes in screen.target_genes.values())
    assert (screen.de_results["logfoldchange"].abs() >= 1).all()


def test_perfect_prediction_is_perfect(screen):
    perfect = screen.adata.layers["perfect_prediction"]
    predictions = {"perfect": perfect, "counts": screen.adata.X.toarray(), "shuffled": shuffled_embedding(perfect)}
    found = evaluate(predictions, screen, "perturbation_expression_prediction").to_frame()
    assert (found.loc[found["embedding"] == "perfect", "value"] > 1 - 1e-9).all()
    means = found.groupby("embedding")["value"].mean()
    assert 1 > means["counts"] > 0.8
    assert abs(means["shuffled"]) < 0.3


def test_perfect_embedding_separates_labels_only():
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b", "c"], 300)
    x = perfect_embedding(labels)
    assert (x.shape, x.dtype) == ((300, 50), np.float32)
    centres = np.stack([x[labels == name].mean(axis=0) for name in "abc"])
    nearest = np.linalg.norm(x[:, None] - centres, axis=2).argmin(axis=1)
    assert (np.array(list("abc"))[nearest] == labels).all()
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)[np.triu_indices(3, 1)]
    assert np.allclose(apart, 2**0.5, atol=0.05)
    # No dimension is noise alone: it would count as much as the others where they are brought to one scale.
    assert (centres.std(axis=0) > 0.02).mean() > 0.8


def test_perfect_embedding_depends_on_labels_and_seed_alone():
    labels = np.array(["b", "a", "c", "a"] * 5)
    joined = perfect_embedding(labels, spread=0.0)
    assert np.array_equal(joined[:4], joined[4:8])
    assert np.array_equal(perfect_embedding(pd.Categorical(labels), spread=0.0), joined)
    renamed = np.array([f"x{name}" for name in labels])
    assert np.array_equal(perfect_embedding(renamed), perfect_embedding(labels))


def test_perfect_embedding_has_room_for_many_labels():
    x = perfect_embedding(np.arange(120), n_dimensions=10, spread=0.0)
    assert x.shape == (120, 120)
    assert np.allclose(x @ x.T, np.eye(120), atol=1e-5)


def test_ordered_embedding_is_a_line():
    times = np.array([5.0, 1.0, 2.0, 5.0, 9.0])
    x = perfect_embedding(times, ordered=True, spread=0.0, n_dimensions=4)
    steps = np.linalg.norm(x - x[1], axis=1)
    assert np.allclose(steps, [2, 0, 1, 2, 3], atol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix], ids=["array", "csr", "csc"])
def test_shuffled_rows_are_the_same_rows(kind):
    given = kind(np.random.default_rng(0).normal(size=(50, 3)))
    before = given.copy()
    found = shuffled_embedding(given)
    a, b, kept = (np.asarray(x.todense() if sp.issparse(x) else x) for x in (given, found, before))
    assert np.array_equal(a, kept)
    assert sp.issparse(found) == sp.issparse(given)
    assert sorted(map(tuple, a)) == sorted(map(tuple, b))
    assert (a != b).any(axis=1).mean() > 0.9


def test_noise():
    x = noise_embedding(5000, 4)
    assert np.allclose(x.mean(axis=0), 0, atol=0.06)
    assert np.allclose(np.cov(x.T), np.eye(4), atol=0.08)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shuffled_embedding(pd.DataFrame({"a": [1.0]})), "`embedding` must be an array, got a DataFrame"),
        (lambda: shuffled_embedding(np.arange(3.0)), "`embedding` must be cells x dimensions, got 1 axes"),
        (lambda: noise_embedding(0), "`n` must be a positive integer"),
        (lambda: noise_embedding(3, random_seed=-1), "`random_seed` must be between 0 and"),
        (lambda: perfect_embedding(["a", None]), "`labels` must"),
        (lambda: perfect_embedding(["a"], n_dimensions=1.5), "`n_dimensions` must be a whole number"),
        (lambda: simulate_time_course(n_times=1), "`n_times` must be at least 2"),
        (lambda: simulate_screen(n_genes=5, n_affected_genes=6), "`n_affected_genes` must be between 1 and 5"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


TASKS = {
    "clustering": ({"input_labels": "cell_type"}, {"adjusted_rand_index", "normalized_mutual_info"}),
    "embedding": ({"input_labels": "cell_type"}, {"silhouette_score"}),
    "label_prediction": ({"labels": "cell_type", "n_folds": 3}, {"mean_fold_f1", "mean_fold_accuracy"}),
    "sequential_organization": ({"input_labels": "time"}, {"silhouette_score", "sequential_alignment"}),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_perfect_beats_pca_beats_shuffled(task, seed):
    options, metrics = TASKS[task]
    cells = simulate_time_course(400, 200, 5, random_seed=seed)
    pca = ClusteringTask().compute_baseline(cells.X)
    labels = cells.obs[options.get("labels") or options["input_labels"]]
    embeddings = {
        "perfect": perfect_embedding(labels, ordered=task == "sequential_organization", random_seed=seed),
        "pca": pca,
        "shuffled": shuffled_embedding(pca, random_seed=seed),
        "noise": noise_embedding(400, 50, random_seed=seed),
    }
    found = evaluate(embeddings, cells, task, **options).to_frame()
    means = found.groupby(["metric", "embedding"])["value"].mean().unstack()
    assert metrics <= set(means.index)
    for metric in metrics:
        row = means.loc[metric]
        assert row["perfect"] > row["pca"] > row["shuffled"], (metric, row.to_dict())
        assert row["perfect"] > 0.85
        assert abs(row["noise"] - row["shuffled"]) < 0.2


def test_perfect_is_mixed_where_it_can_be():
    cells = simulate_time_course(600, 200, 5)
    embeddings = {
        "perfect": perfect_embedding(cells.obs["cell_type"]),
        "pca": ClusteringTask().compute_baseline(cells.X),
        "apart": perfect_embedding(cells.obs["batch"]),
    }
    found = evaluate(embeddings, cells, "batch_integration").to_frame()
    means = found.groupby(["metric", "embedding"])["value"].mean().unstack()
    for metric in ("entropy_per_cell", "batch_silhouette"):
        assert means.loc[metric, "perfect"] > means.loc[metric, "pca"] > means.loc[metric, "apart"]
    assert means["perfect"].min() > 0.9


def test_nothing_given_is_changed():
    labels = pd.Series(["a", "b", "a"], index=["x", "y", "z"])
    before = labels.copy()
    perfect_embedding(labels)
    pd.testing.assert_series_equal(labels, before)


def test_simulations_survive_a_file(tmp_path):
    for name, make in SIMULATIONS.items():
        cells = make(0)
        path = tmp_path / f"{name.replace(' ', '_')}.h5ad"
        cells.copy().write_h5ad(path)
        back = ad.read_h5ad(path)
        assert (back.X != cells.X).nnz == 0
        assert back.uns["simulated"] == cells.uns["simulated"]


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(12.0),
        [str(i) for i in range(12)],
        pd.Series(pd.Categorical.from_codes(range(12), [f"stage {i}" for i in range(12)], ordered=True)),
        pd.Categorical.from_codes(range(12), list("lkjihgfedcba"), ordered=True),
        list("abcdefghijkl"),
    ],
    ids=["numbers", "text of numbers", "stages", "against the alphabet", "alphabet"],
)
def test_ordered_labels_lie_in_their_order(labels):
    x = perfect_embedding(labels, ordered=True, spread=0)
    along = x.sum(axis=1) / np.sqrt(x.shape[1])
    np.testing.assert_allclose(along, np.arange(12), atol=1e-4)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "much", None, True])
@pytest.mark.parametrize("of", ["noise", "spread"])
def test_amounts_are_checked(of, value):
    with pytest.raises((TypeError, ValueError), match=rf"^`{of}` must be "):
        simulate_time_course(20, 10, noise=value) if of == "noise" else perfect_embedding(["a", "b"], spread=value)


def test_very_noisy_cells_are_counts():
    assert np.isfinite(simulate_time_course(200, 30, 2, noise=1000).X.data).all()
