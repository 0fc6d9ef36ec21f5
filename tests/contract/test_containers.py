"""Every container and type that users bring, in every place that takes one: the same values, or one sentence.

A sentence names what was given and the conversion. Libraries that are not installed are left out; `make acceptance`
installs them all but PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

import czbenchmarks
from czbenchmarks.metrics.inputs import represent
from czbenchmarks.tasks import (
    EmbeddingTask,
    EmbeddingTaskInput,
    MetadataLabelPredictionTask,
    MetadataLabelPredictionTaskInput,
    SequentialOrganizationTask,
    SequentialOrganizationTaskInput,
)

N, D = 60, 6


def library(name: str) -> Any:
    return pytest.importorskip(name)


def whole_numbers() -> np.ndarray:
    """Return cells whose coordinates every type here holds exactly."""
    rng = np.random.default_rng(3)
    return (rng.integers(0, 3, (N, D)) + 3 * (np.arange(N) % 3)[:, None]).astype(float)


def cells() -> anndata.AnnData:
    rng = np.random.default_rng(4)
    kind = np.arange(N) % 3
    obs = pd.DataFrame(
        {"kind": pd.Categorical(kind.astype(str)), "plate": rng.integers(0, 2, N).astype(str), "time": kind * 2.0},
        index=[f"cell{i}" for i in range(N)],
    )
    X = rng.poisson(np.exp(rng.normal(0, 1, (3, 20)))[kind]).astype(np.float32)
    return anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=[f"ENSG{i:011d}" for i in range(20)]))


class _SaysItIsAnArray:
    shape = (N, D)
    ndim = 2

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def in_hdf5(X: np.ndarray) -> Any:
    return h5py.File("memory", "w", driver="core", backing_store=False).create_dataset("X", data=X)


def dask_of_sparse(X: np.ndarray) -> Any:
    return library("dask.array").from_array(X, chunks=(25, 4)).map_blocks(sp.csr_matrix)


def dask_of_unknown_sizes(X: np.ndarray) -> Any:
    array = library("dask.array").from_array(X, chunks=(25, 6))
    return array[array[:, 0] >= 0]


def long_indices(X: np.ndarray) -> Any:
    matrix = sp.csr_matrix(X)
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def big_endian_entries(X: np.ndarray) -> Any:
    """Return what a file of such numbers is read to: SciPy makes none of its own."""
    matrix = sp.csr_matrix(X)
    matrix.data = matrix.data.astype(">f4")
    return matrix


def torch_of(kind: str) -> Callable[[np.ndarray], Any]:
    return lambda X: library("torch").tensor(X).to(getattr(library("torch"), kind))


def small_floats(kind: str) -> Callable[[np.ndarray], Any]:
    return lambda X: X.astype(getattr(library("ml_dtypes"), kind))


MATRICES: dict[str, Callable[[np.ndarray], Any]] = {
    **{kind: (lambda X, kind=kind: X.astype(kind)) for kind in (
        "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "longdouble", "i1", "u1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8",
        ">u8",
    )},
    "bfloat16": small_floats("bfloat16"),
    "float8": small_floats("float8_e4m3fn"),
    "HDF5 data set": in_hdf5,
    "zarr array": zarr.array,
    "pandas integers": lambda X: pd.DataFrame(X).astype("Int32"),
    "pandas floats of single precision": lambda X: pd.DataFrame(X).astype("Float32"),
    "Arrow columns": lambda X: library("pyarrow") and pd.DataFrame(X).astype("double[pyarrow]"),
    "Arrow columns of integers": lambda X: library("pyarrow") and pd.DataFrame(X).astype("int8[pyarrow]"),
    "pyarrow table": lambda X: library("pyarrow").Table.from_pandas(pd.DataFrame(X).rename(columns=str)),
    "pyarrow batch": lambda X: library("pyarrow").RecordBatch.from_pandas(pd.DataFrame(X).rename(columns=str)),
    "polars": lambda X: library("polars").DataFrame(X),
    "polars, single precision": lambda X: library("polars").DataFrame(X.astype("f4")),
    "polars integers": lambda X: library("polars").DataFrame(X.astype("i2")),
    "dask": lambda X: library("dask.array").from_array(X, chunks=(25, 4)),
    "dask of sparse blocks": dask_of_sparse,
    "dask of sparse blocks that says so": lambda X: dask_of_sparse(X).map_blocks(
        lambda block: block, meta=sp.csr_matrix((0, 0))
    ),
    "xarray": lambda X: library("xarray").DataArray(X),
    "jax": lambda X: library("jax.numpy").asarray(X.astype("f4")),
    "torch": torch_of("float64"),
    "torch float16": torch_of("float16"),
    "torch bfloat16": torch_of("bfloat16"),
    "torch integers": torch_of("int16"),
    "torch that requires grad": lambda X: torch_of("float32")(X).requires_grad_(),
    "torch parameter": lambda X: library("torch").nn.Parameter(torch_of("float32")(X)),
    "torch sparse": lambda X: torch_of("float32")(X).to_sparse(),
    "torch csr": lambda X: torch_of("float64")(X).to_sparse_csr(),
    **{f"{form} {kind}": (lambda X, form=form, kind=kind: getattr(sp, f"{form}_{kind}")(X)) for form in (
        "csr", "csc", "coo", "bsr", "dia", "lil", "dok",
    ) for kind in ("matrix", "array")},
    "csr of 64-bit indices": long_indices,
    "csc of 64-bit indices": lambda X: long_indices(X.T).T,
    "csr big endian": big_endian_entries,
    "csr of small integers": lambda X: sp.csr_matrix(X.astype("i1")),
}  # fmt: skip

NOT_MATRICES: dict[str, tuple[Callable[[np.ndarray], Any], str]] = {
    "complex": (lambda X: X.astype(complex), "complex128; pass its real part"),
    "text": (lambda X: X.astype(str), "dtype <U32; convert it to float"),
    "dates": (lambda X: X.astype("M8[s]"), "datetime64.*; convert it to float"),
    "two bytes without a type": (lambda X: X.astype("i2").view("V2"), "bfloat16; save them as float32"),
    "fields": (lambda X: np.zeros(N, dtype=[("a", "f4"), ("b", "f4")]), "convert it to float"),
    "categories": (lambda X: pd.DataFrame(X).astype("category"), "columns of category|Cell names must be unique"),
    "pandas text": (lambda X: pd.DataFrame(X).astype("string"), "columns of str|Cell names must be unique"),
    "polars, not computed": (lambda X: library("polars").DataFrame(X).lazy(), r"LazyFrame; .*collect\(\)"),
    "polars with nulls": (
        lambda X: library("polars").DataFrame(X).with_columns(column_0=None),
        "columns of object|NaN|Cell names must be unique",
    ),
    "dask of unknown sizes": (dask_of_unknown_sizes, r"dask.Array .*call .compute\(\)"),
    "torch without values": (lambda X: library("torch").zeros(N, D, device="meta"), "torch.Tensor .*'meta'"),
    "array that is none": (lambda X: _SaysItIsAnArray(), r"requires grad\); convert it .*float\(\).numpy\(\)"),
    "iterator": (iter, "must be an array, sparse matrix or DataFrame, got .*iterator"),
    "set": (lambda X: set(X[0]), "must be an array, sparse matrix or DataFrame, got set"),
}

TEXT: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "text": np.array,
    "big-endian text": lambda y: np.array(y).astype(">U9"),
    "bytes": lambda y: np.array(y).astype("S9"),
    "objects": lambda y: np.array(y, dtype=object),
    "StringDType": lambda y: np.array(y, dtype=np.dtypes.StringDType()),
    "Series": pd.Series,
    "pandas text": lambda y: pd.Series(y, dtype="string"),
    "text array of pandas": lambda y: pd.array(y, dtype="string"),
    "categories": lambda y: pd.Series(y, dtype="category"),
    "Categorical": pd.Categorical,
    "Index": pd.Index,
    "CategoricalIndex": pd.CategoricalIndex,
    "Arrow text": lambda y: library("pyarrow") and pd.Series(y, dtype="string[pyarrow]"),
    "Arrow categories": lambda y: pd.Series(
        y, dtype=pd.ArrowDtype(library("pyarrow").dictionary(library("pyarrow").int8(), library("pyarrow").string()))
    ),
    "pyarrow array": lambda y: library("pyarrow").array(y),
    "pyarrow chunks": lambda y: library("pyarrow").chunked_array([y[:20], y[20:]]),
    "pyarrow dictionary": lambda y: library("pyarrow").array(y).dictionary_encode(),
    "polars": lambda y: library("polars").Series(y),
    "polars categories": lambda y: library("polars").Series(y, dtype=library("polars").Categorical),
    "dask": lambda y: library("dask.array").from_array(np.array(y), chunks=25),
    "xarray": lambda y: library("xarray").DataArray(np.array(y)),
}

NUMBERS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": np.ndarray.tolist,
    **{kind: (lambda y, kind=kind: y.astype(kind)) for kind in (
        "<i2", ">i2", "<i8", ">i8", ">u4", "<f2", "<f4", ">f4", ">f8", "longdouble", "O",
    )},
    "bfloat16": small_floats("bfloat16"),
    "big-endian Series": lambda y: pd.Series(y.astype(">i4")),
    "big-endian Index": lambda y: pd.Series(y.astype(">f8"), index=np.arange(N).astype(">i8")),
    "pandas integers": lambda y: pd.Series(y, dtype="Int16"),
    "pandas floats": lambda y: pd.Series(y, dtype="Float32"),
    "categories": lambda y: pd.Categorical(y),
    "Arrow integers": lambda y: library("pyarrow") and pd.Series(y, dtype="int32[pyarrow]"),
    "pyarrow array": lambda y: library("pyarrow").array(y),
    "polars": lambda y: library("polars").Series(y.astype("i4")),
    "dask": lambda y: library("dask.array").from_array(y, chunks=25),
    "torch": lambda y: library("torch").tensor(y),
    "torch bfloat16": torch_of("bfloat16"),
    "HDF5 data set": in_hdf5,
    "zarr array": zarr.array,
}  # fmt: skip

NOT_LABELS: dict[str, tuple[Callable[[list[str]], Any], str]] = {
    "lists": (lambda y: pd.Series([[v] for v in y]), "must be one-dimensional, got nested entries"),
    "polars lists": (lambda y: library("polars").Series([[v] for v in y]), "must be one-dimensional, got nested"),
    "pyarrow lists": (lambda y: library("pyarrow").array([[v] for v in y]), "must be one-dimensional, got nested"),
    "sets": (lambda y: [{v} for v in y], "must be one-dimensional, got nested entries"),
    "polars table": (lambda y: library("polars").DataFrame({"a": y, "b": y}), "list, array or Series of labels, got"),
    "pyarrow table": (lambda y: library("pyarrow").table({"a": y}), "list, array or Series of labels, got DataFrame"),
    "polars expression": (lambda y: library("polars").col("a"), "list, array or Series of labels, got Expr"),
    "sparse": (lambda y: sp.csr_matrix(np.ones((N, 1))), "list, array or Series of labels, got csr_matrix"),
    "mapping": (lambda y: dict.fromkeys(y), "list, array or Series of labels, got dict"),
    "generator": (lambda y: (v for v in y), "list, array or Series of labels, got generator"),
}


def kinds() -> np.ndarray:
    return np.arange(N) % 3


def names() -> list[str]:
    return [f"kind{k}" for k in kinds()]


def score(task: Any, results: Any = None) -> list[float]:
    return [result.value for result in (task.result_metrics if results is None else results)]


def evaluated(embedding: Any, task: Any = "embedding", **options: Any) -> list[float]:
    return score(czbenchmarks.evaluate(embedding, cells(), task, **options))


def embedding_task(embedding: Any, labels: Any) -> list[float]:
    return score(None, EmbeddingTask().run(embedding, EmbeddingTaskInput(input_labels=labels)))


def sequential_task(times: Any) -> list[float]:
    given = SequentialOrganizationTaskInput(obs=cells().obs, input_labels=times)
    return score(None, SequentialOrganizationTask().run(whole_numbers(), given))


def predicted(groups: Any) -> list[float]:
    given = MetadataLabelPredictionTaskInput(labels=cells().obs["plate"], groups=groups, n_folds=2)
    return score(None, MetadataLabelPredictionTask().run(whole_numbers(), given))


def before_integration(embedding: Any) -> list[float]:
    return evaluated(whole_numbers(), {"batch_integration": {
        "labels": "kind", "batch_labels": "plate", "metrics": ["pcr_comparison"], "unintegrated": embedding,
    }})  # fmt: skip


MATRIX_PLACES: dict[str, Callable[[Any], list[float]]] = {
    "evaluate": lambda m: evaluated(m, labels="kind"),
    "a task": lambda m: embedding_task(m, kinds()),
    "unintegrated": before_integration,
}
TEXT_PLACES: dict[str, Callable[[Any], list[float]]] = {
    "labels": lambda y: evaluated(whole_numbers(), labels=y),
    "labels of a task": lambda y: embedding_task(whole_numbers(), y),
    "batch": lambda y: evaluated(whole_numbers(), {"batch_integration": {"labels": "plate", "batch_labels": y}}),
    "groups": predicted,
}
NUMBER_PLACES: dict[str, Callable[[Any], list[float]]] = {
    "labels": lambda y: evaluated(whole_numbers(), labels=y),
    "times": lambda y: evaluated(whole_numbers(), "sequential_organization", labels=y),
    "times of a task": sequential_task,
}
by_place = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")


@by_place
@pytest.mark.parametrize("container", MATRICES)
@pytest.mark.parametrize("place", MATRIX_PLACES)
def test_a_container_of_numbers_gives_the_same_values(place, container):
    use, X = MATRIX_PLACES[place], whole_numbers()
    given = MATRICES[container](X)
    np.testing.assert_array_equal(np.asarray(represent(given).array, dtype=float), X)
    # Single precision is computed on in single precision.
    assert use(given) == pytest.approx(use(X), abs=1e-6)


@by_place
@pytest.mark.parametrize("container", NOT_MATRICES)
@pytest.mark.parametrize("place", MATRIX_PLACES)
def test_what_holds_no_numbers_is_one_sentence(place, container):
    make, sentence = NOT_MATRICES[container]
    refused(MATRIX_PLACES[place], make(whole_numbers()), sentence)


@by_place
@pytest.mark.parametrize("container", TEXT)
@pytest.mark.parametrize("place", TEXT_PLACES)
def test_a_container_of_text_gives_the_same_values(place, container):
    use = TEXT_PLACES[place]
    assert use(TEXT[container](names())) == use(names())


@by_place
@pytest.mark.parametrize("container", NUMBERS)
@pytest.mark.parametrize("place", NUMBER_PLACES)
def test_a_container_of_times_gives_the_same_values(place, container):
    use, times = NUMBER_PLACES[place], kinds() * 2
    assert use(NUMBERS[container](times)) == use(times)


@by_place
@pytest.mark.parametrize("container", NOT_LABELS)
@pytest.mark.parametrize("place", TEXT_PLACES)
def test_what_holds_no_labels_is_one_sentence(place, container):
    make, sentence = NOT_LABELS[container]
    refused(TEXT_PLACES[place], make(names()), sentence)


@pytest.mark.parametrize("column", ["kind", "plate"])
def test_a_table_of_cells_of_polars_and_pyarrow(column):
    table = cells().obs
    expected = score(czbenchmarks.evaluate(whole_numbers(), table, "embedding", labels=column))
    plain = table.astype(str).reset_index(drop=True)
    for given in (library("polars").DataFrame(plain.to_dict("list")), library("pyarrow").Table.from_pandas(plain)):
        assert score(czbenchmarks.evaluate(whole_numbers(), given, "embedding", labels=column)) == expected


def test_a_column_of_lists_among_others_harms_nothing(tmp_path):
    adata = cells()
    adata.obs["markers"] = [[1, 2]] * N
    assert score(czbenchmarks.evaluate(whole_numbers(), adata, "embedding", labels="kind")) == evaluated(
        whole_numbers(), labels="kind"
    )
    refused(lambda y: czbenchmarks.evaluate(whole_numbers(), adata, "embedding", labels=y), "markers", "nested entries")


def refused(use: Callable[[Any], Any], given: Any, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        use(given)
    said = str(caught.value)
    assert re.search(sentence, said), said
    assert re.search(r"`\S+`|Labels|Values", said), said
    assert "\n" not in said.strip() or "validation error" in said


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.filterwarnings("ignore")
def test_cells_that_were_opened_lazily(tmp_path, suffix):
    library("dask.array"), library("xarray")
    from anndata.experimental import read_lazy

    adata = cells()
    adata.obsm["X_emb"], adata.layers["counts"] = whole_numbers(), sp.csr_matrix(adata.X)
    path = tmp_path / f"cells{suffix}"
    (adata.write_h5ad if suffix == ".h5ad" else adata.write_zarr)(path)
    for embedding, task, options in (
        ("@obsm:X_emb", "clustering", {"labels": "kind", "baseline": True}),
        ("@obsm:X_emb", {"batch_integration": {"metrics": "scib-fast"}}, {"labels": "kind", "batch_labels": "plate"}),
        ("@X", "embedding", {"labels": "kind"}),
        ("@layers:counts", "embedding", {"labels": "plate"}),
    ):
        found, expected = (
            score(czbenchmarks.evaluate(embedding, source, task, **options)) for source in (read_lazy(path), path)
        )
        np.testing.assert_array_equal(found, expected)
