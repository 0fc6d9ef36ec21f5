import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics import conservation
from czbenchmarks.metrics.conservation import (
    cell_cycle_conservation,
    hvg_conservation,
    trajectory_conservation,
)
from czbenchmarks.metrics.inputs import represent

S = ["MCM5", "PCNA", "TYMS", "FEN1", "MCM2", "RRM1"]
G2M = ["TOP2A", "MKI67", "CDK1", "UBE2C", "BIRC5"]
NAMES = [*S, *G2M, *(f"gene{i}" for i in range(109))]


def cycling(n=240, seed=0):
    """Return batches and counts in which cells differ most by how much of the cycle's genes they express."""
    rng = np.random.default_rng(seed)
    rates = np.tile(rng.gamma(2, 2, 120), (n, 1))
    rates[:, :6] *= rng.gamma(0.5, 4, (n, 1))
    rates[:, 6:11] *= rng.gamma(0.5, 4, (n, 1))
    return np.arange(n) % 2, rng.poisson(rates).astype(float)


def logged(counts):
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


def slow_cell_cycle(X, batch, values, seed):
    """Score and regress batch by batch, with pandas, NumPy and dense components."""
    scores = []
    for one in np.unique(batch):
        own = pd.DataFrame(values[batch == one], columns=NAMES)
        mean = own.mean()
        cut = mean.rank(method="min") // max(1, round(len(mean) / 24))
        phases = []
        for phase in (S, G2M):
            draws, controls = np.random.RandomState(seed), set()
            for part in sorted(set(cut[phase])):
                members = cut.index[cut == part]
                if len(members) > 5:
                    members = members[draws.choice(len(members), 5, replace=False)]
                controls |= set(members)
            phases.append(own[phase].mean(axis=1) - own[sorted(controls - set(phase))].mean(axis=1))
        design = np.column_stack([np.ones(len(own)), *phases])
        shares = []
        for points in (own.to_numpy(), X[batch == one]):
            centred = points - points.mean(axis=0)
            left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
            parts = (left * sizes)[:, :50]
            r2 = [1 - np.linalg.lstsq(design, part, rcond=None)[1].sum() / (part @ part) for part in parts.T]
            shares.append(np.average(r2, weights=(parts**2).sum(axis=0)))
        scores.append(max(0.0, 1 - abs(shares[1] - shares[0]) / shares[0]))
    return np.mean(scores)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("d", [5, 60])
def test_cell_cycle_is_that_of_the_twin(seed, d):
    batch, counts = cycling(seed=seed)
    X = logged(counts)[:, 3 : 3 + d] + np.random.default_rng(seed).normal(size=(240, d)) * 0.3
    found = cell_cycle_conservation(X, batch, counts, NAMES, "HUMAN", random_seed=seed)
    assert found.value == pytest.approx(slow_cell_cycle(X, batch, logged(counts), seed), abs=1e-9)
    assert found.value == cell_cycle_conservation(X, batch, counts, NAMES, "HUMAN", random_seed=seed).value
    assert found.details == {"s_genes": 6, "g2m_genes": 5, "expression": "counts", "n_components": 50}


def test_cell_cycle_containers_names_and_organisms():
    batch, counts = cycling()
    X = logged(counts)[:, 3:60]
    expected = cell_cycle_conservation(X, batch, counts, NAMES, "HUMAN").value
    assert 0.1 < expected < 0.99
    for other in (sp.csr_matrix(counts), pd.DataFrame(counts), logged(counts), sp.csr_matrix(logged(counts))):
        assert cell_cycle_conservation(X, batch, other, NAMES, "HUMAN").value == pytest.approx(expected, abs=1e-9)
    mouse = [name.capitalize() for name in NAMES]
    for called in ("mouse", "mus_musculus", "Mus musculus"):
        assert cell_cycle_conservation(X, batch, counts, mouse, called).value == expected
    assert cell_cycle_conservation(X, batch, counts, pd.Index(mouse), Organism.MOUSE).value == expected
    assert "none of the 97" in cell_cycle_conservation(X, batch, counts, mouse, "HUMAN").reason


def test_cell_cycle_unit_offset_rotation_and_order_change_nothing():
    batch, counts = cycling()
    X = logged(counts)[:, 3:60]
    expected = cell_cycle_conservation(X, batch, counts, NAMES, "HUMAN").value
    rng = np.random.default_rng(0)
    rotation, order = np.linalg.qr(rng.normal(size=(57, 57)))[0], rng.permutation(240)
    for cells in (X * 1e-6, X * 1e9, X + 1000, X @ rotation, X[:, ::-1], np.pad(X, ((0, 0), (0, 3)))):
        assert cell_cycle_conservation(cells, batch, counts, NAMES, "HUMAN").value == pytest.approx(expected, abs=1e-7)
    found = cell_cycle_conservation(X[order], batch[order], counts[order], NAMES, "HUMAN").value
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0.1 < expected < 0.99


def test_former_symbols_are_known_too():
    batch, counts = cycling()
    X = logged(counts)[:, 3:60]
    today = ["CENPU", "PIMREG", "JPT1", *NAMES[3:]]
    former = ["MLF1IP", "FAM64A", "HN1", *NAMES[3:]]
    assert (
        cell_cycle_conservation(X, batch, counts, today, "HUMAN").value
        == cell_cycle_conservation(X, batch, counts, former, "HUMAN").value
    )
    listed = conservation._cell_cycle_genes()
    assert [len(genes) for genes in listed.values()] == [43, 54]
    assert len({name for genes in listed.values() for one in genes for name in one}) == 100


def test_cell_cycle_is_scored_once_for_all_embeddings(monkeypatch):
    batch, counts = cycling()
    X, calls, original = logged(counts)[:, 3:60], [], conservation._before
    expected = [cell_cycle_conservation(part, batch, counts, NAMES, "HUMAN").value for part in (X, X[:, :3])]
    monkeypatch.setattr(conservation, "_before", lambda *a: calls.append(1) or original(*a))
    shared = represent(counts, "expression")
    found = [cell_cycle_conservation(part, batch, shared, NAMES, "HUMAN").value for part in (X, X[:, :3])]
    assert found == expected
    assert len(calls) == 1
    cell_cycle_conservation(X, batch, shared, NAMES, "HUMAN", random_seed=7)
    cell_cycle_conservation(X, batch * 0, shared, NAMES, "HUMAN")
    cell_cycle_conservation(X, batch, shared, [*NAMES[:-1], "MCM4"], "HUMAN")
    assert len(calls) == 4


def test_cell_cycle_chance_and_perfection():
    batch, counts = cycling()
    rng = np.random.default_rng(0)
    noise = [cell_cycle_conservation(rng.normal(size=(240, 20)), batch, counts, NAMES, "HUMAN") for _ in range(5)]
    before = np.mean([row["before"] for row in noise[0].breakdowns])
    assert np.mean([one.value for one in noise]) == pytest.approx(2 / 120 / before, abs=0.02)
    assert cell_cycle_conservation(logged(counts), batch, counts, NAMES, "HUMAN").value == pytest.approx(1, abs=1e-9)
    only = cell_cycle_conservation(logged(counts)[:, :1], batch, counts, NAMES, "HUMAN")
    assert all(row["after"] > row["before"] for row in only.breakdowns)
    assert cell_cycle_conservation(np.ones((240, 2)), batch, counts, NAMES, "HUMAN").value == 0


def test_cell_cycle_breakdown_and_reasons():
    batch, counts = cycling()
    batch[:4] = 2
    X = logged(counts)[:, 3:60]
    found = cell_cycle_conservation(X, np.array(["x", "y", "few"])[batch], counts, NAMES, "HUMAN")
    few, x, y = found.breakdowns
    assert few["reason"] == "4 cells are too few, 10 are needed"
    assert np.isnan(few["score"])
    assert found.value == pytest.approx((x["score"] + y["score"]) / 2)
    assert "reason" not in x
    assert found.counts == {"used": 236, "left_out": 4, "batches": 2, "batches_left_out": 1}
    assert found.units.ids.tolist() == ["few", "x", "y"]

    def reason(**change):
        given = {"X": X, "batch": batch, "expression": counts, "gene_names": NAMES, "organism": "HUMAN"} | change
        one = cell_cycle_conservation(**given)
        assert np.isnan(one.value)
        return one.reason

    assert reason(batch=np.arange(240)) == "no batch has a value; 0: 1 cells are too few, 10 are needed"
    assert reason(gene_names=[f"g{i}" for i in range(120)]) == (
        "none of the 97 cell-cycle genes is among the gene names; pass gene symbols as `gene_names`"
    )
    assert reason(gene_names=[*S, *NAMES[6:6], *(f"g{i}" for i in range(114))]) == (
        "none of the 54 genes of G2M phase is among the gene names"
    )
    assert (
        reason(organism=Organism.GORILLA) == "cell-cycle genes are known for human and mouse, not for gorilla_gorilla"
    )
    assert "the cell cycle explains nothing before" in reason(expression=np.ones((240, 120)))
    assert "no other genes" in reason(expression=counts[:, :11], gene_names=NAMES[:11])
    with pytest.raises(ValueError, match=r"`gene_names` .* one entry per gene of `expression`: expected 120, got 119"):
        reason(gene_names=NAMES[1:])
    with pytest.raises(TypeError, match="`organism` must be 'HUMAN' or 'MOUSE', got int"):
        reason(organism=3)


def genes(n=120, g=200, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(1, 2, g) * rng.gamma(2, 0.5, (n, g))).astype(float)
    return counts, logged(counts) + rng.normal(0, 0.2, (n, g)), rng.integers(0, 2, n)


def test_variable_genes_are_those_of_scanpy():
    import anndata
    import scanpy

    counts, corrected, batch = genes()
    shares = []
    for one in (0, 1):
        chosen = []
        for values in (logged(counts), corrected):
            adata = anndata.AnnData(values[batch == one])
            adata.var_names = [f"g{i}" for i in range(200)]
            scanpy.pp.filter_genes(adata, min_cells=1)
            table = scanpy.pp.highly_variable_genes(adata, flavor="cell_ranger", n_top_genes=40, inplace=False)
            chosen.append(set(adata.var_names[table["highly_variable"].to_numpy()]))
        shares.append(len(chosen[0] & chosen[1]) / min(map(len, chosen)))
    found = hvg_conservation(counts, corrected, batch, n_top_genes=40)
    assert [row["score"] for row in found.breakdowns] == shares
    assert found.value == pytest.approx(np.mean(shares))
    assert 0.3 < found.value < 1


def test_variable_genes_in_any_container_and_unchanged():
    counts, corrected, batch = genes()
    expected = hvg_conservation(counts, corrected, batch)
    assert expected.breakdowns[0]["genes"] == min(500, int((counts[batch == 0] > 0).any(axis=0).sum()) // 2)
    for other in (sp.csr_matrix(counts), pd.DataFrame(counts), logged(counts), represent(counts, "expression")):
        assert hvg_conservation(other, sp.csr_matrix(corrected), batch).value == expected.value
    assert hvg_conservation(counts, counts, batch).value == 1
    assert hvg_conservation(counts, logged(counts), batch).value == 1


def test_variable_genes_of_noise_are_shared_by_chance():
    rng = np.random.default_rng(0)
    counts, _, batch = genes(200, 2000)
    for most, share in ((500, 0.25), (100, 0.05)):
        found = hvg_conservation(counts, rng.gamma(1, 1, (200, 2000)), batch, n_top_genes=most)
        assert found.value == pytest.approx(share, abs=0.05)


def test_variable_genes_of_few_cells_have_a_reason():
    counts, corrected, batch = genes()
    batch[0] = 2
    found = hvg_conservation(counts, corrected, batch)
    assert found.breakdowns[2]["reason"] == "one cell has no variance"
    assert found.counts == {"used": 119, "left_out": 1, "batches": 2, "batches_left_out": 1}
    every = hvg_conservation(counts, corrected, np.arange(120))
    assert every.reason == "no batch has a value; 0: one cell has no variance"
    constant = hvg_conservation(counts, np.ones((120, 200)), batch * 0)
    assert constant.reason.endswith("too few genes vary, before or after correction")
    assert hvg_conservation(counts[:, :1], corrected[:, :1], batch).reason.endswith("before or after correction")
    with pytest.raises(ValueError, match=r"`corrected` must have the genes of `expression`, 200, got 199; "):
        hvg_conservation(counts, corrected[:, 1:], batch)
    with pytest.raises(ValueError, match=r"`corrected` must have the same length"):
        hvg_conservation(counts, corrected[1:], batch)


def line(n=300, seed=0):
    rng = np.random.default_rng(seed)
    time = rng.permutation(n) / n
    return np.column_stack([np.cos(4 * time), np.sin(4 * time)]) + rng.normal(0, 0.02, (n, 2)), time


def test_trajectory_kept_turned_or_lost():
    X, time = line()
    labels = np.floor(time * 5)
    kept = trajectory_conservation(X, labels, time)
    assert kept.value > 0.99
    assert time[kept.details["root"]] < 0.2
    assert trajectory_conservation(X, labels, time.astype(str)).value == kept.value
    # The root is chosen by what is given for before.
    assert trajectory_conservation(X, labels, 1 - time).value > 0.99
    assert trajectory_conservation(X, labels, time, root=int(np.argmax(time))).value < 0.01
    noise = np.random.default_rng(1).normal(size=(300, 20))
    assert trajectory_conservation(noise, labels, time).value == pytest.approx(0.5, abs=0.1)


def test_trajectory_unit_offset_rotation_and_order_change_nothing():
    X, time = line()
    labels = np.floor(time * 5)
    expected = trajectory_conservation(X, labels, time).value
    order = np.random.default_rng(0).permutation(300)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert trajectory_conservation(X[order], labels[order], time[order]).value == pytest.approx(expected, abs=1e-12)
    # Weights of the graph are in single precision, so that cells which nearly tie may change places.
    for cells in (X * 1e-6, X * 1e9, X + 1000, X @ turn, X[:, ::-1], np.pad(X, ((0, 0), (0, 3)))):
        assert trajectory_conservation(cells, labels, time).value == pytest.approx(expected, abs=1e-5)


def test_trajectory_is_that_of_scanpy_from_the_same_root():
    import anndata
    import scanpy
    from scipy.stats import spearmanr

    from czbenchmarks.kernels.graph import connectivities

    X, time = line(250, 3)
    found = trajectory_conservation(X, np.floor(time * 5), time)
    adata = anndata.AnnData(X)
    adata.obsp["connectivities"] = adata.obsp["distances"] = connectivities(represent(X).neighbors(15))
    adata.uns["neighbors"] = {
        "params": {"method": "umap", "n_neighbors": 15}, "connectivities_key": "connectivities",
        "distances_key": "distances",
    }  # fmt: skip
    scanpy.tl.diffmap(adata)
    adata.uns["iroot"] = found.details["root"]
    scanpy.tl.dpt(adata)
    expected = (spearmanr(adata.obs["dpt_pseudotime"], time).statistic + 1) / 2
    assert found.value == pytest.approx(expected, abs=1e-4)  # single precision there


def test_trajectory_by_batch():
    X, time = line()
    labels, batch = np.floor(time * 5), np.arange(300) % 3
    found = trajectory_conservation(X, labels, time, np.array(["x", "y", "z"])[batch])
    assert [row["batch"] for row in found.breakdowns] == ["x", "y", "z"]
    assert found.value == pytest.approx(np.mean([row["score"] for row in found.breakdowns]))
    assert found.value > 0.99
    one = np.where(np.arange(300) == 7, 1, 0)
    alone = trajectory_conservation(X, labels, time, one)
    assert alone.breakdowns[1]["reason"] == "pseudotime is constant, before or after"
    assert alone.counts == {"used": 299, "left_out": 1, "batches": 1, "batches_left_out": 1, "outside": 0}


def test_cells_outside_the_largest_part_are_put_at_the_beginning():
    X, time = line()
    X[:40] += 1000
    found = trajectory_conservation(X, np.floor(time * 5), time)
    assert found.counts["outside"] == 40
    assert 0.5 < found.value < trajectory_conservation(*(part[40:] for part in (X, np.floor(time * 5), time))).value


def test_trajectory_that_is_not_defined_has_a_reason():
    X, time = line()
    labels = np.floor(time * 5)
    assert trajectory_conservation(X, labels, np.ones(300)).reason == "the pseudotime before integration is constant"
    assert (
        trajectory_conservation(np.zeros((300, 2)), labels, time).reason == "all cells have one place in the embedding"
    )
    places = np.repeat(X[::20], 20, axis=0)  # twenty cells at each: no list leads elsewhere
    assert trajectory_conservation(places, labels, time).reason == "all cells are at the place of their nearest cells"
    assert trajectory_conservation(X[:1], labels[:1], time[:1]).reason == (
        "1 connected cells are too few for a trajectory"
    )
    far = X.copy()
    far[labels == 0] += 1000
    assert trajectory_conservation(far, labels, time).reason == (
        "no cell of '0.0', the earliest label, is in the largest connected part of the graph"
    )
    root = int(np.argmin(time))
    assert trajectory_conservation(far, labels, time, root=root).reason == (
        f"the root cell, {root}, is not in the largest connected part of the graph"
    )
    assert (
        trajectory_conservation(X[:3], labels[:3], time[:3]).reason == "3 connected cells are too few for a trajectory"
    )
    assert trajectory_conservation(X, np.zeros(300), time).value > 0.5  # any cell may be the root
    assert trajectory_conservation(np.repeat(X, 2, axis=0), np.repeat(labels, 2), np.repeat(time, 2)).value > 0.99
    assert trajectory_conservation(X[:8], labels[:8], time[:8]).value >= 0
    with pytest.raises(ValueError, match="`pseudotime` must name every cell, got 1 missing of 300"):
        trajectory_conservation(X, labels, np.where(np.arange(300) == 3, np.nan, time))
    with pytest.raises(ValueError, match="`root` must be between 0 and 299, got 300"):
        trajectory_conservation(X, labels, time, root=300)


CONTAINERS = {
    "dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix, "float32": lambda x: x.astype(np.float32),
    "csr float32": lambda x: sp.csr_matrix(x.astype(np.float32)), "fortran": np.asfortranarray,
}  # fmt: skip


def centred_genes():
    """Return counts of which a batch lacks half, and a correction that makes those a constant there."""
    rng = np.random.default_rng(5)
    batch = np.arange(120) % 2
    counts = rng.poisson(rng.gamma(0.5, 2, 300), (120, 300)).astype(float)
    counts[batch == 1, 150:] = 0
    counts[:, 0] += 1000 - counts.sum(axis=1)  # equal totals, so that many genes tie
    values = logged(counts)
    corrected = values.copy()
    for one in (0, 1):
        corrected[batch == one] += values.mean(axis=0) - values[batch == one].mean(axis=0)
    # Eighths are exact in every precision.
    return counts, np.round(corrected * 8) / 8, batch


@pytest.mark.parametrize("container", CONTAINERS)
def test_neither_container_nor_precision_nor_order_of_cells_decides_which_genes_vary(container):
    counts, corrected, batch = centred_genes()
    expected = hvg_conservation(counts, corrected, batch, 40).value
    write = CONTAINERS[container]
    assert hvg_conservation(write(counts), write(corrected), batch, 40).value == expected
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(120)
        assert hvg_conservation(write(counts[order]), write(corrected[order]), batch[order], 40).value == expected


@pytest.mark.parametrize("seed", range(3))
def test_order_of_genes_does_not_decide_how_many_are_kept(seed):
    counts, corrected, batch = genes()
    order = np.random.default_rng(seed).permutation(200)
    expected = hvg_conservation(counts, corrected, batch, 40).value
    assert hvg_conservation(counts[:, order], corrected[:, order], batch, 40).value == expected
