"""The join by one-to-one orthologues: the genes a plain loop finds, in any container, with nothing changed."""

import copy
import gzip
import hashlib
import logging
import re
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import czbenchmarks.datasets
from czbenchmarks.datasets import Organism, join_orthologs, load_dataset
from czbenchmarks.datasets.orthologs import shared_orthologs

PAIRS = 150
TABLES = Path(czbenchmarks.datasets.__file__).parent / "tables"
TABLE = pd.DataFrame(
    {
        "human_symbol": [f"GENE{i}" for i in range(PAIRS)],
        "mouse_symbol": [f"Gene{i}" for i in range(PAIRS)],
        "human_ensembl_id": [f"ENSG{i:011d}" for i in range(PAIRS)],
        "mouse_ensembl_id": [f"ENSMUSG{i:011d}" for i in range(PAIRS)],
    }
)


def cells(organism, genes, seed=0, n=20, kind=sp.csr_matrix, **var):
    rng = np.random.default_rng(seed)
    X = rng.poisson(1.0, (n, len(genes))).astype("float32")
    names = {"human": "Homo sapiens", "mouse": "Mus musculus", "zebrafish": "Danio rerio"}
    return ad.AnnData(
        kind(X),
        obs=pd.DataFrame({"organism": names[organism]}, index=[f"{organism}{i}" for i in range(n)]),
        var=pd.DataFrame(var, index=pd.Index(genes, dtype=object)),
    )


def both(seed=0, **options):
    """Return human and mouse cells with genes in other orders, some of them outside the table."""
    rng = np.random.default_rng(seed)
    human = [*rng.permutation(TABLE["human_symbol"])[:140], "OTHER1", "OTHER2"]
    mouse = [*rng.permutation(TABLE["mouse_symbol"])[:130], "Other3"]
    return [
        cells("human", rng.permutation(human), seed, **options),
        cells("mouse", rng.permutation(mouse), seed + 1, 25, **options),
    ]


def dense(X):
    return X.toarray() if sp.issparse(X) else np.asarray(X)


def by_hand(names, table):
    """Return the rows of a table of which all names are there once, in the table and in the data."""
    rows = []
    for row in range(len(table)):
        genes = [table[column][row] for column in table]
        once = all(genes[i] and list(table[column]).count(genes[i]) == 1 for i, column in enumerate(table))
        if once and all(list(own).count(gene) == 1 for gene, own in zip(genes, names, strict=True)):
            rows.append(genes)
    return rows


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("seed", range(6))
def test_equals_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    table = TABLE[["human_symbol", "mouse_symbol"]].copy()
    table = pd.concat([table, table.iloc[:5].assign(mouse_symbol="Gene9")], ignore_index=True)  # one to many
    table.loc[20, "mouse_symbol"] = ""
    given = both(seed)
    given[0] = ad.concat([given[0], given[0][:, rng.integers(0, 100, 3)]], axis=1, merge="same")  # genes twice
    found = join_orthologs(given, table=table)
    wanted = by_hand([one.var_names for one in given], table)
    assert 100 <= len(wanted) < 140
    for i, (before, after) in enumerate(zip(given, found, strict=True)):
        assert after.var_names.tolist() == [pair[0] for pair in wanted]
        assert after.var["original_name"].tolist() == [pair[i] for pair in wanted]
        places = [list(before.var_names).index(pair[i]) for pair in wanted]
        assert np.array_equal(dense(after.X), dense(before.X)[:, places])
        assert after.obs.equals(before.obs)


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_what_names_two_genes_is_left_out_and_said(caplog):
    given = both()
    names = given[0].var_names.to_numpy(dtype=object, copy=True)
    names[names == "OTHER1"] = "GENE7"
    given[0].var_names = names
    given[1].var_names = [name.replace("Other3", "Gene8") for name in given[1].var_names]
    table = pd.concat([TABLE, TABLE[3:5].assign(human_symbol="NEW", human_ensembl_id="")], ignore_index=True)
    found = join_orthologs(given, table=table)
    assert not {"GENE3", "GENE4", "GENE7", "NEW"} & set(found[0].var_names)
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(
        re.search(r"adatas\[0\] \(human\): 1 names .* in the data \(GENE7\) and were left out", w) for w in warned
    )
    in_table = sorted({"Gene3", "Gene4"} & set(given[1].var_names))
    assert any(f"in the table of orthologues ({', '.join(in_table)})" in w for w in warned)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, sp.csr_array, np.asarray])
def test_containers_are_kept(kind):
    found = join_orthologs(both(kind=kind), table=TABLE)
    wanted = join_orthologs(both(), table=TABLE)
    for one, other in zip(found, wanted, strict=True):
        assert type(one.X).__name__ == kind.__name__.replace("asarray", "ndarray")
        assert np.array_equal(dense(one.X), dense(other.X))


def test_pieces_that_are_kept_and_nothing_changed():
    given = both()
    human = given[0]
    human.layers["raw"] = human.X * 2
    human.obsm["X_pca"] = np.arange(40.0).reshape(20, 2)
    human.obsp["near"] = sp.identity(20, format="csr")
    human.varm["PCs"] = np.ones((human.n_vars, 2))
    human.uns["palette"] = {"colors": ["red"]}
    human.var["length"] = np.arange(human.n_vars)
    human.raw = human.copy()
    before = [one.copy() for one in given]
    uns = copy.deepcopy(human.uns)
    found = join_orthologs(given, table=TABLE)
    joined = found[0]
    assert np.array_equal(joined.layers["raw"].toarray(), joined.X.toarray() * 2)
    assert joined.var["length"].tolist() == human.var["length"][joined.var["original_name"]].tolist()
    assert np.array_equal(joined.obsm["X_pca"], human.obsm["X_pca"])
    assert joined.uns == uns
    assert joined.raw is None
    assert list(joined.varm) == []
    joined.X.data[:] = -1
    joined.obs["new"] = 1
    joined.uns["palette"]["colors"].append("blue")
    joined.obsm["X_pca"][:] = 0
    joined.obsp["near"].data[:] = 0
    for one, was in zip(given, before, strict=True):
        assert np.array_equal(one.X.toarray(), was.X.toarray())
        assert one.obs.equals(was.obs)
        assert one.var.equals(was.var)
        assert all(np.array_equal(one.obsm[key], was.obsm[key]) for key in was.obsm)
    assert human.uns == uns
    assert human.obsp["near"].sum() == 20


def test_views_files_and_data_set_objects(tmp_path):
    given = both()
    whole = join_orthologs(given, table=TABLE)
    view = join_orthologs([given[0][5:], given[1]], table=TABLE)
    assert np.array_equal(view[0].X.toarray(), whole[0].X.toarray()[5:])
    given[0].write_h5ad(tmp_path / "human.h5ad")
    backed = ad.read_h5ad(tmp_path / "human.h5ad", backed="r")
    found = join_orthologs([backed, given[1]], table=TABLE)[0]
    assert np.array_equal(found.X.toarray(), whole[0].X.toarray())
    assert backed.isbacked
    backed.file.close()
    objects = join_orthologs([load_dataset("baron_pancreas_mouse"), load_dataset("baron_pancreas_human")])
    assert [one.shape for one in objects] == [(812, 10673)] * 2
    assert objects[0].var_names.equals(objects[1].var_names)
    assert ad.concat(objects).shape == (1624, 10673)


@pytest.mark.parametrize("version", ["", ".3"])
@pytest.mark.parametrize("column", ["", "ensembl_id", "gene_ids", "feature_id"])
def test_ids_wherever_they_are(column, version, caplog):
    caplog.set_level(logging.INFO)
    given, wanted = both(), join_orthologs(both(), table=TABLE)
    caplog.clear()
    ids = dict(zip(TABLE["mouse_symbol"], TABLE["mouse_ensembl_id"] + version, strict=True))
    mouse = given[1]
    named = [ids.get(name, f"ENSMUSG99999{i:06d}") for i, name in enumerate(mouse.var_names)]
    if column:
        mouse.var[column] = pd.Categorical(named)
        mouse.var_names = [f"g{i}" for i in range(mouse.n_vars)]
    else:
        mouse.var_names = named
    found = join_orthologs(given, table=TABLE)
    assert np.array_equal(found[1].X.toarray(), wanted[1].X.toarray())
    assert found[1].var_names.equals(wanted[1].var_names)
    where = f"var['{column}']" if column else "var_names"
    assert f"by {where} and its column mouse_ensembl_id" in caplog.text
    assert "by var_names and its column human_symbol" in caplog.text
    assert f"{found[0].n_vars} one-to-one orthologues" in caplog.text


def test_the_source_that_names_most_genes_is_taken():
    given = both()
    symbols = given[0].var_names.to_numpy(dtype=object)
    given[0].var["gene_symbol"] = np.where(np.arange(len(symbols)) < 110, symbols, None)
    assert join_orthologs(given, table=TABLE)[0].n_vars > 110
    given[0].var["feature_name"] = given[0].var_names
    given[0].var_names = [name if i < 105 else f"x{i}" for i, name in enumerate(symbols)]
    assert join_orthologs(given, table=TABLE)[0].n_vars > 110


@pytest.mark.parametrize("seed", range(3))
def test_order_of_genes_and_data_sets_do_not_matter(seed):
    given = both(seed)
    wanted = join_orthologs(given, table=TABLE)
    rng = np.random.default_rng(seed)
    shuffled = [one[:, rng.permutation(one.n_vars)].copy() for one in given]
    for found in (join_orthologs(shuffled, table=TABLE), join_orthologs(given[::-1], table=TABLE)[::-1]):
        for one, other in zip(found, wanted, strict=True):
            assert one.var_names.equals(other.var_names)
            assert np.array_equal(one.X.toarray(), other.X.toarray())


def test_several_data_sets_of_one_species_and_three_species():
    given = [*both(0), both(5)[0]]
    found = join_orthologs(given, table=TABLE)
    assert all(one.var_names.equals(found[0].var_names) for one in found)
    fish = cells("zebrafish", [f"gene{i}" for i in range(10, PAIRS)])
    pairs = pd.DataFrame({"Human gene name": TABLE["human_symbol"], "zebrafish": [f"gene{i}" for i in range(PAIRS)]})
    one_table = TABLE.assign(zebrafish_symbol=pairs["zebrafish"])
    several = join_orthologs([*both(0), fish], table=[TABLE, pairs[::-1]])
    wanted = join_orthologs([*both(0), fish], table=one_table)
    for one, other in zip(several, wanted, strict=True):
        assert one.var_names.equals(other.var_names)
        assert np.array_equal(one.X.toarray(), other.X.toarray())
    assert wanted[2].var["original_name"].iloc[0] == "gene" + wanted[0].var_names[0].removeprefix("GENE")


def test_without_a_human_data_set_the_human_gene_still_names():
    table = TABLE.assign(zebrafish_symbol=[f"gene{i}" for i in range(PAIRS)])
    fish = cells("zebrafish", table["zebrafish_symbol"])
    found = join_orthologs([fish, both()[1]], table=table)
    assert found[0].var_names.str.startswith("GENE").all()
    no_human = table[["mouse_symbol", "mouse_ensembl_id", "zebrafish_symbol"]]
    assert join_orthologs([fish, both()[1]], table=no_human)[0].var_names.str.startswith("Gene").all()


def test_a_human_gene_of_several_pairs_is_left_out_where_no_data_set_is_human(caplog):
    table = TABLE.assign(zebrafish_symbol=[f"gene{i}" for i in range(PAIRS)])
    table.loc[:2, ["human_symbol", "human_ensembl_id"]] = ["GENE2", "ENSG00000000002"]
    table.loc[5:6, "human_symbol"] = "SAME"  # one symbol of two genes: their ids name them
    fish, mouse = cells("zebrafish", table["zebrafish_symbol"]), cells("mouse", table["mouse_symbol"], 1)
    found = join_orthologs([fish, mouse], table=table)
    wanted = ["GENE3", "GENE4", "ENSG00000000005", "ENSG00000000006", *(f"GENE{i}" for i in range(7, PAIRS))]
    assert [one.var_names.tolist() for one in found] == [wanted, wanted]
    assert "3 rows of the table of orthologues name no gene of their own and were left out" in caplog.text


def test_organisms_may_be_named():
    given = both()
    wanted = join_orthologs(given, table=TABLE)
    for one in given:
        del one.obs["organism"]
    for organisms in (["human", "Mus musculus"], (Organism.HUMAN, "mouse")):
        assert join_orthologs(given, organisms, TABLE)[0].var_names.equals(wanted[0].var_names)


def test_bad_input():
    human, mouse = both()
    unknown = human.copy()
    del unknown.obs["organism"]
    mixed = human.copy()
    mixed.obs["organism"] = ["human"] * 10 + ["mouse"] * 10
    few = human[:, :90].copy()
    cases = [
        (TypeError, r"`adatas` must be a list of AnnData, got AnnData", human, {}),
        (TypeError, r"`adatas\[1\]` must be an AnnData .*got str; read it with", [human, "mouse.h5ad"], {}),
        (ValueError, r"`adatas` must be at least two data sets, got 1", [human], {}),
        (ValueError, r"organism of `adatas\[0\]` must be known, got no column 'organism'", [unknown, mouse], {}),
        (ValueError, r"Column 'organism' of `adatas\[0\]` must hold one organism, got 2", [mixed, mouse], {}),
        (ValueError, r"expected 2, got 1", [human, mouse], {"organisms": ["human"]}),
        (ValueError, r"expected 2, got 'human'", [human, mouse], {"organisms": "human"}),
        (ValueError, r"'humn' is not known\. Did you mean 'human'", [human, mouse], {"organisms": ["humn", "mouse"]}),
        (ValueError, r"a column of every organism, got .* of human, mouse without zebrafish", [human, mouse],
         {"organisms": ["human", "zebrafish"]}),
        (ValueError, r"share at least 100 one-to-one orthologues, got \d\d \(adatas\[0\] \(human\) has \d\d of them "
         r"among 90 genes such as .*; adatas\[1\] \(mouse\) has 130 of them among 131 genes such as .*\); check",
         [few, mouse], {}),
        (ValueError, r"share at least 100 one-to-one orthologues, got 0", [human, mouse],
         {"organisms": ["mouse", "human"]}),
    ]  # fmt: skip
    for kind, sentence, given, options in cases:
        with pytest.raises(kind, match=sentence) as caught:
            join_orthologs(given, **{"table": TABLE, **options})
        assert str(caught.value).count("\n") == 0


def test_the_bundled_table(caplog):
    content = gzip.decompress((TABLES / "orthologs_human_mouse.csv.gz").read_bytes())
    readme = (Path(__file__).resolve().parents[2] / "scripts" / "bundle" / "README.md").read_text(encoding="utf-8")
    assert f"{hashlib.sha256(content).hexdigest()}  orthologs_human_mouse.csv" in readme
    table = pd.read_csv(TABLES / "orthologs_human_mouse.csv.gz", keep_default_na=False)
    assert table.shape == (16590, 4)
    for column in table:
        named = table[column][table[column] != ""]
        assert named.is_unique
        assert len(named) > 16_000
    assert table["human_ensembl_id"].str.fullmatch(r"(ENSG\d{11})?").all()
    assert table["mouse_ensembl_id"].str.fullmatch(r"(ENSMUSG\d{11})?").all()
    said = (TABLES / "README.md").read_text(encoding="utf-8")
    assert "`came`" in said
    assert "MIT" in said


def test_the_bundled_table_agrees_with_that_of_the_source(shared_data):
    source = pd.read_csv(shared_data / "orthologs_human_mouse_1to1.csv", keep_default_na=False)
    source = source[source["homology_type"] == "ortholog_one2one"].reset_index(drop=True)
    table = pd.read_csv(TABLES / "orthologs_human_mouse.csv.gz", keep_default_na=False)
    assert table[["human_symbol", "mouse_symbol"]].equals(source[["human_symbol", "mouse_symbol"]])
    both_named = (source["human_ensembl_id"] != "") & (table["human_ensembl_id"] != "")
    assert both_named.sum() > 16_000
    assert (source["human_ensembl_id"] == table["human_ensembl_id"])[both_named].all()


def test_real_cells(shared_data):
    given = [ad.read_h5ad(shared_data / f"baron_pancreas_{name}.h5ad") for name in ("human", "mouse")]
    table = pd.read_csv(shared_data / "orthologs_human_mouse_1to1.csv", keep_default_na=False)
    there = table["human_symbol"].isin(given[0].var_names) & table["mouse_symbol"].isin(given[1].var_names)
    pairs = table[there]
    every = join_orthologs(given, table=shared_data / "orthologs_human_mouse_1to1.csv")
    assert every[0].shape == (2142, 11674)
    assert every[0].var_names.tolist() == pairs["human_symbol"].tolist()
    assert every[1].var["original_name"].tolist() == pairs["mouse_symbol"].tolist()
    found = join_orthologs(given)
    strict = pairs[pairs["homology_type"] == "ortholog_one2one"]
    assert found[1].shape == (1886, 11670)
    assert found[1].var["original_name"].tolist() == strict["mouse_symbol"].tolist()
    glucagon = found[1].X[:, found[1].var_names.get_loc("GCG")].toarray()
    assert np.array_equal(glucagon, given[1].X[:, given[1].var_names.get_loc("Gcg")].toarray())


def test_only_tables_of_genes_are_looked_at():
    """The join of names needs no matrix, so that counts are read once, where they are used."""
    human, mouse = both()
    found = shared_orthologs([human.var, mouse.var], ["human", "mouse"], TABLE, "data")
    assert human.var_names[found.columns[0]].tolist() == found.names.tolist()
