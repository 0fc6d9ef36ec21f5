"""The baseline of tasks on several species: scanpy's workflow on the joined genes, better than shuffled."""

import os
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

from czbenchmarks.datasets import join_orthologs, load_dataset
from czbenchmarks.tasks import (
    CrossSpeciesIntegrationTask,
    CrossSpeciesIntegrationTaskInput,
    CrossSpeciesLabelPredictionTask,
    CrossSpeciesLabelPredictionTaskInput,
    OrthologBaselineInput,
)
from czbenchmarks.tasks.task import NoBaselineInput, PCABaselineInput

TASKS = [CrossSpeciesIntegrationTask, CrossSpeciesLabelPredictionTask]
ORGANISMS = ["human", "mouse"]
TABLE = pd.DataFrame({"human": [f"G{i}" for i in range(240)], "mouse": [f"g{i}" for i in range(240)]})


@pytest.fixture
def species():
    """Return 90 human and 70 mouse cells of three types, 230 and 222 genes in orders of their own, 212 shared."""
    rng = np.random.default_rng(3)
    rates = rng.gamma(0.5, 3.0, (3, 240))
    found = []
    for n, column, genes in ((90, "human", range(230)), (70, "mouse", range(18, 240))):
        types = np.arange(n) % 3
        genes = rng.permutation(np.array(genes))
        X = rng.poisson(rates[types][:, genes] * rng.lognormal(0, 0.3, len(genes)))
        obs = pd.DataFrame(
            {"cell_type": np.array(list("abc"))[types], "organism": column}, [f"{column}{i}" for i in range(n)]
        )
        found.append(ad.AnnData(sp.csr_matrix(X, dtype="float32"), obs, pd.DataFrame(index=TABLE[column][genes])))
    return found


def baseline(cells, seed=42, table=TABLE, **options):
    asked = OrthologBaselineInput(**{"orthologs": table, "n_top_genes": 150, "n_pcs": 10, **options})
    return CrossSpeciesIntegrationTask(random_seed=seed).compute_baseline(cells, asked)


def by_scanpy(cells, table, n_top_genes, n_pcs, seed=42):
    """Return what a user of scanpy would write."""
    both = ad.concat(join_orthologs(cells, table=table), label="part")
    sc.pp.normalize_total(both)
    sc.pp.log1p(both)
    sc.pp.highly_variable_genes(both, n_top_genes=n_top_genes)
    sc.pp.pca(both, n_comps=n_pcs, random_state=seed)
    return [both.obsm["X_pca"][both.obs["part"] == part] for part in both.obs["part"].cat.categories]


def real_cells(which):
    """Return the pancreas of human and mouse: the cells that come with the package, or all that the folder has."""
    if which == "bundled":
        return [load_dataset(f"baron_pancreas_{name}").adata for name in ORGANISMS]
    folder = Path(os.environ.get("CZBENCHMARKS_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    return [ad.read_h5ad(folder / f"baron_pancreas_{name}.h5ad") for name in ORGANISMS]


def same(found, wanted, tolerance=1e-3):
    """Tell whether components agree, up to their signs; the last ones may be close to each other and turn."""
    found, wanted = np.concatenate(found), np.concatenate(wanted)
    signs = np.sign((found * wanted).sum(axis=0))
    assert found.shape == wanted.shape
    assert np.abs(found * signs - wanted).max() < tolerance * np.abs(wanted).max()


def test_equals_scanpy(species):
    found = baseline(species)
    assert [one.shape for one in found] == [(90, 10), (70, 10)]
    assert found[0].dtype == np.float32
    same(found, by_scanpy(species, TABLE, 150, 10))


@pytest.mark.parametrize("which", ["bundled", "all"])
def test_equals_scanpy_on_real_cells(which):
    cells = real_cells(which)
    found = baseline(cells, table="human-mouse", n_top_genes=3000, n_pcs=50)
    same([one[:, :20] for one in found], [one[:, :20] for one in by_scanpy(cells, "human-mouse", 3000, 50)])


@pytest.mark.parametrize("task", TASKS)
def test_without_a_table_there_is_none(species, task):
    for asked in ((), (None,), (NoBaselineInput(),), (OrthologBaselineInput(),), (PCABaselineInput(),)):
        with pytest.raises(
            NotImplementedError, match=r"Baseline not implemented for cross-species .*human-mouse"
        ) as caught:
            task().compute_baseline(species, *asked)
        assert re.search(r"[.] [A-Z]", str(caught.value)) is None, "one sentence"
    with pytest.raises(TypeError, match="`baseline_input` must be an OrthologBaselineInput, got str"):
        task().compute_baseline(species, "human-mouse")


def test_both_tasks_have_the_same(species):
    asked = OrthologBaselineInput(orthologs=TABLE, n_top_genes=150, n_pcs=10)
    one, other = (task(random_seed=3).compute_baseline(species, asked) for task in TASKS)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    again = CrossSpeciesIntegrationTask(random_seed=4).compute_baseline(species, asked)
    assert not np.array_equal(one[0], again[0])
    same(one, again)


def test_containers(species):
    wanted = baseline(species)
    names = [one.var_names.tolist() for one in species]
    options = {"gene_names": names, "organisms": ORGANISMS}
    counts = [one.X for one in species]
    for given in (
        counts,
        [X.toarray() for X in counts],
        [X.tocsc() for X in counts],
        [sp.csr_array(X).astype("int32") for X in counts],
        [counts[0], counts[1].toarray().astype("uint8")],
    ):
        same(baseline(given, **options), wanted, 1e-5)
    frames = [pd.DataFrame(X.toarray(), columns=own) for X, own in zip(counts, names, strict=True)]
    same(baseline(frames, organisms=ORGANISMS), wanted, 1e-5)
    renamed = [one.copy() for one in species]
    for one in renamed:
        one.var_names = [f"x{i}" for i in range(one.n_vars)]
    same(baseline(renamed, gene_names=[np.array(own) for own in names]), wanted, 1e-5)


def test_nothing_is_changed_and_the_bits_are_the_same(species, same_bits):
    before = [one.copy() for one in species]
    same_bits(lambda: np.concatenate(baseline(species)))
    for one, was in zip(species, before, strict=True):
        assert np.array_equal(one.X.toarray(), was.X.toarray())
        assert one.X.has_sorted_indices == was.X.has_sorted_indices
        assert one.obs.equals(was.obs)
        assert one.var.equals(was.var)


def test_order_of_genes_changes_no_bit_and_that_of_data_sets_only_rounding(species):
    wanted = baseline(species)
    rng = np.random.default_rng(0)
    shuffled = [one[:, rng.permutation(one.n_vars)].copy() for one in species]
    assert all(np.array_equal(a, b) for a, b in zip(baseline(shuffled), wanted, strict=True))
    assert np.array_equal(baseline(species, table=TABLE.assign(score=1))[0], wanted[0])
    same(baseline(species[::-1])[::-1], wanted)


def scores(task, cells, embeddings, **options):
    given = {"labels": [one.obs["cell_type"] for one in cells], "organisms": ORGANISMS, **options}
    model = {
        CrossSpeciesIntegrationTask: CrossSpeciesIntegrationTaskInput,
        CrossSpeciesLabelPredictionTask: CrossSpeciesLabelPredictionTaskInput,
    }[task]
    return {
        (one.metric_type.value, *map(str, one.params.values())): one.value
        for one in task().run(embeddings, model(**given))
    }


def test_controls():
    """Baseline beats shuffled: types learned on one species are found on the other, and labels are compact."""
    cells = [load_dataset(f"baron_pancreas_{name}").adata for name in ORGANISMS]
    kept = ["alpha", "beta", "delta", "ductal"]
    cells = [one[one.obs["cell_type"].isin(kept)].copy() for one in cells]
    found = baseline(cells, table="human-mouse", n_top_genes=2000, n_pcs=20)
    rng = np.random.default_rng(0)
    shuffled = [one[rng.permutation(len(one))] for one in found]
    options = {"aggregation_method": "none", "n_folds": 3}
    good, bad = (scores(CrossSpeciesLabelPredictionTask, cells, X, **options) for X in (found, shuffled))
    across = [key for key in good if key[0] == "auroc"]
    assert len(across) >= 2 * 3
    assert np.mean([good[key] for key in across]) > 0.8
    assert np.mean([bad[key] for key in across]) < 0.6
    within = [key for key in good if key[0] == "mean_fold_accuracy"]
    assert all(good[key] > 0.9 for key in within)
    assert all(bad[key] < 0.7 for key in within)
    assert scores(CrossSpeciesIntegrationTask, cells, found)["entropy_per_cell",] < 0.7, "species are apart"


def test_bad_input(species):
    matrices = [one.X for one in species]
    names = [one.var_names for one in species]
    negative = species[0].copy()
    negative.X.data[0] = -1
    holes = species[0].copy()
    holes.X.data[0] = np.nan
    nothing = ad.AnnData(obs=species[0].obs, var=species[0].var)
    cases = [
        (TypeError, "must be a list of AnnData, one per data set, got AnnData", species[0], {}),
        (ValueError, "`expression_data` must be at least two data sets, got 1", species[:1], {}),
        (ValueError, r"genes of `expression_data\[0\]` must be named, got csr_m", matrices, {"organisms": ORGANISMS}),
        (ValueError, r"organism of `expression_data\[0\]` must be known, got csr_m", matrices, {"gene_names": names}),
        (ValueError, "`gene_names` must be one list per data set: expected 2, got 1", matrices,
         {"gene_names": names[:1], "organisms": ORGANISMS}),
        (ValueError, r"`expression_data\[0\]` must have one column per gene: expected 222, got 230", matrices,
         {"gene_names": names[::-1], "organisms": ORGANISMS}),
        (ValueError, "must hold counts, got values down to -1", [negative, species[1]], {}),
        (ValueError, r"`expression_data\[0\]` must be finite, got 1 NaN", [holes, species[1]], {}),
        (ValueError, r"`expression_data\[0\]` must hold counts in X, got an AnnData", [nothing, species[1]], {}),
        (ValueError, "share at least 100 one-to-one orthologues, got 0", species, {"orthologs": "human-mouse"}),
        (ValueError, "`n_pcs` must be less than the numbers of cells and of variable genes", species, {"n_pcs": 155}),
        (ValueError, "'humn' is not known", species, {"organisms": ["humn", "mouse"]}),
    ]  # fmt: skip
    for kind, sentence, given, options in cases:
        with pytest.raises(kind, match=sentence) as caught:
            baseline(given, **options)
        assert "\n" not in str(caught.value)


def test_the_input_can_be_written_as_json():
    asked = OrthologBaselineInput(
        orthologs=[TABLE, "human-mouse"], organisms=["human", "mouse"], gene_names=[["a"], ["b"]]
    ).model_dump(mode="json")
    assert asked["orthologs"][1] == "human-mouse"
    assert re.fullmatch(r"table of 240 rows \(SHA-256 \w{12}…\)", asked["orthologs"][0])
    assert asked["organisms"] == ["homo_sapiens", "mus_musculus"]
    other = OrthologBaselineInput(orthologs=TABLE.assign(mouse="x")).model_dump()["orthologs"]
    assert other != asked["orthologs"][0]
    assert OrthologBaselineInput().model_dump(include={"orthologs", "organisms", "gene_names"}) == {
        "orthologs": None, "organisms": None, "gene_names": None,
    }  # fmt: skip
