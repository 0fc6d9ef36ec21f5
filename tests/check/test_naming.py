"""Names of cells and genes: put in order, counted past, or refused."""

import itertools

import numpy as np
import pandas as pd
import pytest

from czbenchmarks import evaluate
from czbenchmarks._check.naming import counts_rows, places, refuse_another_order
from czbenchmarks.datasets import SingleCellPerturbationDataset
from czbenchmarks.datasets.types import Organism
from czbenchmarks.io.embedding import read_embedding
from czbenchmarks.io.files import parquet
from czbenchmarks.tasks import BatchIntegrationTask, BatchIntegrationTaskInput
from czbenchmarks.testing import simulate_screen

N = 60
ORDER = np.random.default_rng(1).permutation(N)
TEXT = [f"cell{i}" for i in range(N)]
NUMBERS = [str(1000 + 7 * i) for i in range(N)]
COUNTED = [str(i) for i in range(N)]


def slow(theirs, ours):
    """Return what `places` must: a list, None for by position, or an error."""
    theirs, ours = ([v.decode() if isinstance(v, bytes) else str(v) for v in names] for names in (theirs, ours))
    if theirs == ours:
        return list(range(len(ours)))
    counted = [[str(i + start) for i in range(len(theirs))] for start in (0, 1)]
    if theirs and theirs in counted and not all(name.isdigit() for name in ours):
        return None
    if len(set(theirs)) < len(theirs) or len(set(ours)) < len(ours):
        return ValueError
    return [theirs.index(name) if name in theirs else -1 for name in ours]


KINDS_OF_NAMES = [
    ["a", "b", "c"], ["c", "a", "b"], [b"c", "a", b"b"], ["a", "b", "x"], ["a", "a", "b"], [0, 1, 2], [1, 2, 3],
    ["2", "0", "1"], [b"2", 0, "1"], ["5", "7", "9"], [9, 5, 7], ["0", "1", "a"], [], ["a"], [2, 3, 4], [1.0, 2.0, 3.0],
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), list(itertools.product(KINDS_OF_NAMES, KINDS_OF_NAMES)))
def test_places(theirs, ours):
    expected = slow(theirs, ours)
    if expected is ValueError:
        with pytest.raises(ValueError, match="Cell names must be unique to be aligned"):
            places(theirs, ours, "theirs", "ours")
    else:
        found = places(pd.Index(theirs), ours, "theirs", "ours")
        assert (found if found is None else found.tolist()) == expected


def test_what_counts():
    assert all(map(counts_rows, (range(3), ["1", "2"], [b"0", b"1"])))
    assert not any(map(counts_rows, ([], [1, 3], ["1", "0"], ["00", "01"], [2, 3], ["a"], [0.0, 1.0])))


def data(names):
    rng = np.random.default_rng(0)
    kind = np.arange(N) % 3
    X = rng.normal(size=(N, 4)) + 3 * kind[:, None] * np.array([1, -1, 0, 0])
    obs = pd.DataFrame({"cell_type": [f"t{k}" for k in kind], "batch": rng.integers(0, 2, N).astype(str)}, index=names)
    return X, obs


def score(embedding, obs, task="embedding", **options):
    record = evaluate(embedding, obs, task, **options)
    return record.result_metrics[0].value, record.warnings


AS = {"text": str, "numbers": int, "bytes": str.encode, "fixed": lambda name: np.bytes_(name.encode())}


@pytest.mark.parametrize("names", [TEXT, NUMBERS, COUNTED], ids=["text", "numbers", "counted"])
@pytest.mark.parametrize("kind", AS)
def test_labels_in_another_order_are_put_in_order(names, kind):
    if kind == "numbers" and names is TEXT:
        pytest.skip("no numbers")
    X, obs = data(names)
    right, _ = score(X, obs)
    mixed = obs["cell_type"].iloc[ORDER]
    mixed.index = pd.Index([AS[kind](name) for name in mixed.index])
    assert score(X, obs, labels=mixed) == (right, [])
    batches = obs.iloc[ORDER]
    right, _ = score(X, obs, "batch_integration", metrics="kbet")
    found = score(X, obs, "batch_integration", metrics="kbet", labels=mixed, batch_labels=batches["batch"])
    assert found == (right, [])
    before = pd.DataFrame(X, index=obs.index).iloc[ORDER]
    options = {"metrics": "pcr_comparison", "labels": mixed}
    right, _ = score(X * [1, 2, 3, 4], obs, "batch_integration", unintegrated=X, **options)
    assert score(X * [1, 2, 3, 4], obs, "batch_integration", unintegrated=before, **options)[0] == right


def test_donors_and_groups_in_another_order():
    X, obs = data(TEXT)
    donors = pd.Series(np.repeat([f"d{i}" for i in range(6)], N // 6), index=TEXT)
    tables = []
    for given in (donors.to_numpy(), donors.iloc[ORDER]):
        record = evaluate(X, obs, "label_prediction", n_folds=2, groups=given, checks=True, donors=given)
        tables.append([check.table for check in record.checks])
    assert tables[0] == tables[1]


@pytest.mark.parametrize("index", [None, range(N), range(1, N + 1), COUNTED])
def test_an_index_that_only_counts_is_passed_over_with_a_note(index):
    X, obs = data(TEXT)
    right, _ = score(X, obs)
    labels = pd.Series(obs["cell_type"].to_numpy(), index=index)
    note = "`input_labels` names no cells, so its entries were taken in the order of `data`"
    assert score(X, obs, labels=labels) == (right, [note])
    table = pd.DataFrame(X, index=index)
    note = "embedding names no cells, so its rows were taken in the order of the data"
    value, warnings = score(table, obs)
    assert (value, warnings[-1]) == (right, note)


@pytest.mark.parametrize("change", ["one foreign", "all foreign", "counted beside numbers", "twice"])
def test_other_names_are_refused(change):
    X, obs = data(NUMBERS if change.startswith("counted") else TEXT)
    index = {
        "one foreign": ["other", *TEXT[1:]], "all foreign": [f"x{i}" for i in range(N)],
        "counted beside numbers": range(N), "twice": [TEXT[1], *TEXT[1:]],
    }[change]  # fmt: skip
    labels = pd.Series(obs["cell_type"].to_numpy(), index=index)
    with pytest.raises(ValueError, match=r"^(`input_labels` must name|Cell names must be).* pass an array .*\.$"):
        score(X, obs, labels=labels)
    right, _ = score(X, obs)
    assert score(X, obs, labels=labels.to_numpy()) == (right, [])


def test_a_table_in_memory_is_found_as_its_files_are(tmp_path):
    X, obs = data(COUNTED)
    right, _ = score(X, obs)
    table, mixed = pd.DataFrame(X, columns=list("wxyz")), obs.iloc[ORDER]
    table.to_csv(tmp_path / "x.csv")
    table.to_parquet(tmp_path / "x.parquet")
    for source in (table, tmp_path / "x.csv", tmp_path / "x.parquet"):
        found = evaluate(source, mixed, "embedding")
        assert found.result_metrics[0].value == pytest.approx(right, abs=1e-12)
        assert found.run_specification.embeddings.popitem()[1][0]["aligned"] == "name"


@pytest.mark.parametrize("form", ["memory", "x.csv", "x.tsv", "x.parquet"])
@pytest.mark.parametrize("heading", ["cell_id", "index", "id", "plate"])
@pytest.mark.parametrize("last", [False, True])
def test_a_column_of_names_is_no_dimension(tmp_path, form, heading, last, monkeypatch):
    X, obs = data(NUMBERS)
    table = pd.DataFrame(X[ORDER], columns=list("wxyz"))
    table.insert(4 if last else 0, heading, np.array(NUMBERS)[ORDER].astype(int))
    if form == "x.parquet":
        monkeypatch.setattr(parquet, "find_spec", lambda name: None)
        table.to_parquet(tmp_path / form, engine="fastparquet")
    elif form != "memory":
        table.to_csv(tmp_path / form, index=False, sep="\t" if form == "x.tsv" else ",")
    found = read_embedding(table if form == "memory" else tmp_path / form, obs)
    np.testing.assert_array_equal(np.asarray(found.value), X)
    assert (found.columns, found.notes) == (list("wxyz"), (f"names its cells in the column {heading!r}",))
    assert found.origin["aligned"] == "name"
    assert read_embedding(X, obs).notes == ()


@pytest.mark.parametrize("form", ["memory", "x.csv", "x.parquet"])
def test_columns_that_count_or_name_twice_are_refused(tmp_path, form):
    X, obs = data(TEXT)
    for extra, sentence in (
        ({"n": range(N)}, "must hold dimensions only, the first column of .* counts the rows; drop it"),
        ({"cell_id": range(N), "index": range(N)}, "must name its cells once, .* does in the column 'index' and in"),
    ):
        table = pd.DataFrame(X, columns=list("wxyz"))
        for heading, values in extra.items():
            table.insert(0, heading, values)
        source = table
        if form != "memory":
            source = tmp_path / form
            table.to_csv(source, index=False) if form == "x.csv" else table.to_parquet(source)
        with pytest.raises(ValueError, match=sentence):
            read_embedding(source, obs)
    with pytest.raises(ValueError, match="does in its index and in the column 'index'; drop all but one"):
        read_embedding(table.set_axis(TEXT).drop(columns="cell_id"), obs)


def test_where_no_data_set_has_the_say():
    X, obs = data(TEXT)
    labels, batch = obs["cell_type"], obs["batch"]

    def run(batch_labels, embedding=X):
        given = BatchIntegrationTaskInput(labels=labels, batch_labels=batch_labels)
        return BatchIntegrationTask().run(embedding, given)[0].value

    right = run(batch)
    assert run(batch.set_axis([name.encode() for name in TEXT])) == right
    assert run(batch.reset_index(drop=True)) == right
    assert run(batch.set_axis([f"other{i}" for i in range(N)])) == right
    with pytest.raises(ValueError, match=r"`batch_labels` must follow the order of `labels`, got the same 60 names"):
        run(batch.set_axis([name.encode() for name in TEXT]).iloc[ORDER])
    with pytest.raises(ValueError, match=r"only one of them has \(other\); correct its index, or pass an array"):
        run(batch.set_axis(["other", *TEXT[1:]]))
    with pytest.raises(ValueError, match="`cell_representation` must follow the order of `labels`"):
        run(batch.reset_index(drop=True), pd.DataFrame(X, index=TEXT).iloc[ORDER])
    refuse_another_order([1, 0], [], "a", "b")  # of another length, which is said elsewhere


@pytest.fixture(scope="module", params=["ensembl", "entrez"])
def screen(request, tmp_path_factory):
    """A loaded screen, and predictions that are right."""
    adata = simulate_screen(n_conditions=2)
    if request.param == "entrez":
        ids = np.random.default_rng(0).choice(np.arange(2, 99_999), adata.n_vars, replace=False).astype(str)
        of = dict(zip(adata.var_names, ids, strict=True))
        table = adata.uns["de_results_wilcoxon"]
        gene = "gene" if "gene" in table else "gene_id"
        adata.uns["de_results_wilcoxon"] = table.assign(**{gene: table[gene].astype(str).map(of)})
        adata.var_names = pd.Index(ids)
    path = tmp_path_factory.mktemp(request.param) / "screen.h5ad"
    adata.write_h5ad(path)
    found = SingleCellPerturbationDataset(path, Organism.HUMAN)
    found.load_data()
    perfect = adata.layers["perfect_prediction"]
    return found, np.asarray(perfect.toarray() if hasattr(perfect, "toarray") else perfect), request.param


def worst(prediction, dataset, **options):
    record = evaluate(prediction, dataset, "perturbation_expression_prediction", **options)
    return min(score.value for score in record.result_metrics), record.warnings


def test_genes_in_another_order_are_put_in_order(screen, tmp_path):
    dataset, perfect, kind = screen
    names = dataset.adata.var_names
    order = np.random.default_rng(3).permutation(len(names))
    table = pd.DataFrame(perfect[:, order], index=dataset.adata.obs_names, columns=names[order])
    table.to_csv(tmp_path / "x.csv")
    table.to_parquet(tmp_path / "x.parquet")
    as_bytes = table.set_axis(pd.Index([name.encode() for name in table.columns]), axis=1)
    sources = [table, as_bytes, tmp_path / "x.csv", tmp_path / "x.parquet"]
    if kind == "entrez":
        sources.append(table.set_axis(table.columns.astype(int), axis=1))
    for source in sources:
        assert worst(source, dataset) == (pytest.approx(1.0), [])
    for genes in (table.columns, [name.encode() for name in table.columns]):
        assert worst(table, dataset, gene_index=genes)[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="`cell_representation` must follow the order of `gene_index`"):
        worst(table, dataset, gene_index=names)


def test_genes_that_are_not_those_of_the_data_are_refused(screen):
    dataset, perfect, kind = screen
    table = pd.DataFrame(perfect, index=dataset.adata.obs_names)
    foreign = table.set_axis([str(200_000 + i) for i in range(table.shape[1])], axis=1)
    with pytest.raises(ValueError, match=r"must be the genes of `data`.* or pass an array to go by position\.$"):
        worst(foreign, dataset)
    if kind == "ensembl":
        note = "embedding names no genes, so its columns were taken in the order of the data"
        assert worst(table, dataset) == (pytest.approx(1.0), [note])
    else:
        with pytest.raises(ValueError, match="must be the genes of `data`"):
            worst(table, dataset)
    assert worst(perfect, dataset) == (pytest.approx(1.0), [])
