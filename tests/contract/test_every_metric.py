"""What holds for every metric of the catalogue: a new row gets these tests for nothing."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from inputs import IGNORED, ONLY_NEARLY_PERFECT, N, arguments, perfect

from czbenchmarks._check import labels as coded
from czbenchmarks.metrics.declaration import OFFERED
from czbenchmarks.metrics.results import Measurement, UnitKind
from czbenchmarks.metrics.types import MetricType, metrics_registry

ROWS = {metric: metric.declaration for metric in MetricType}
OF_LABELS = ("labels", "batch", "labels_true", "labels_pred")
OF_EMBEDDING = [metric for metric, row in ROWS.items() if "X" in row.needs]
names = pytest.mark.parametrize("metric", MetricType, ids=lambda metric: metric.name)
embedding_metrics = pytest.mark.parametrize("metric", OF_EMBEDDING, ids=lambda metric: metric.name)
labelled_metrics = pytest.mark.parametrize(
    "metric", [m for m in OF_EMBEDDING if {"labels", "batch"} & {*ROWS[m].needs}], ids=lambda metric: metric.name
)


def plain(found: Any) -> float:
    return float(getattr(found, "statistic", found))


@names
def test_row_is_complete(metric):
    row = ROWS[metric]
    least, greatest = row.range
    assert least < greatest
    assert least <= row.best <= greatest
    assert row.about.endswith(".")
    assert "\n" not in row.about
    assert row.tags
    assert row.needs
    assert len(set(row.needs)) == len(row.needs)
    assert row.version >= 1
    assert metrics_registry.get_info(metric).version == row.version
    assert not row.outside


def test_abouts_and_keys_differ():
    assert len({metric.value for metric in MetricType}) == len(MetricType)
    by_text: dict[str, list[MetricType]] = {}
    for metric, row in ROWS.items():
        by_text.setdefault(row.about, []).append(metric)
    assert [found for found in by_text.values() if len(found) > 1] == []


@names
def test_function_takes_what_the_row_names(metric):
    row = ROWS[metric]
    parameters = inspect.signature(row.load()).parameters
    assert set(row.needs) | set(row.defaults) <= set(parameters) | (
        {*row.defaults} if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) else set()
    )
    required = {
        name
        for name, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    assert required <= set(row.needs) | set(row.defaults), "a required argument is not named"
    offered = [name for name in OFFERED if name in parameters and (metric, name) not in IGNORED]
    assert list(row.takes) == offered, "say in `takes` what a task passes to it"
    assert "random_seed" in row.takes or not row.draws


@names
@pytest.mark.parametrize("seed", range(2))
def test_value_in_range(metric, seed):
    row = ROWS[metric]
    value = plain(metrics_registry.compute(metric, **arguments(metric, seed)))
    assert row.range[0] <= value <= row.range[1]
    assert plain(metrics_registry.compute(metric, **arguments(metric, seed))) == value, "not repeatable"
    measured = metrics_registry.measure(metric, **arguments(metric, seed))
    assert measured.value == value
    assert measured.reason is None
    assert plain(metrics_registry.get_info(metric).func(**{**row.defaults, **arguments(metric, seed)})) == value


@names
def test_perfect_input_gives_best(metric):
    given = perfect(metric)
    if given is None:
        pytest.fail(f"say in perfect() what is the best input of {metric.name}")
    value = plain(metrics_registry.compute(metric, **given))
    if metric in ONLY_NEARLY_PERFECT:
        assert value == pytest.approx(ROWS[metric].best, abs=ONLY_NEARLY_PERFECT[metric])
    else:
        # Distances come from scalar products: between cells at the same place they are about 1e-8, not 0.
        assert value == pytest.approx(ROWS[metric].best, abs=1e-8 if "X" in given else 1e-12)


@names
def test_arguments_are_not_changed(metric):
    given, again = arguments(metric), arguments(metric)
    metrics_registry.compute(metric, **given)
    for name, value in given.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, again[name])
        elif isinstance(value, (set, dict)):
            assert value == again[name]
        else:
            np.testing.assert_array_equal(np.asarray(value), np.asarray(again[name]))


@names
def test_units_average_to_the_value(metric):
    measured = metrics_registry.measure(metric, **arguments(metric))
    if measured.units is None or measured.units.values is None:
        return
    values = measured.units.values
    assert len(values) == len(measured.units.ids)
    score = measured.units.score()
    assert measured.value == pytest.approx(float(np.clip(score, *ROWS[metric].range)), abs=1e-12)


@names
def test_units_are_of_a_known_kind_and_make_a_table(metric):
    row, units = ROWS[metric], metrics_registry.measure(metric, **arguments(metric)).units
    if units is None:
        return
    assert units.kind in typing.get_args(UnitKind)
    table = units.frame()
    assert list(table.columns) == ["unit", "kind", "value", *units.columns]
    assert table["unit"].tolist() == units.ids.tolist()
    assert set(table["kind"]) == {units.kind}
    values = np.full(len(table), np.nan) if units.values is None else units.values
    np.testing.assert_array_equal(table["value"], values)
    assert (units.values is None) == bool(row.no_units)


def readonly(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X: np.ndarray) -> np.ndarray:
    wide = np.zeros((len(X), 2 * X.shape[1]), dtype=X.dtype)
    wide[:, ::2] = X
    return wide[:, ::2]


class _Subclass(np.ndarray):
    """An array of a subclass, as some readers return."""


EMBEDDINGS: dict[str, Callable[[np.ndarray], Any]] = {
    "list of lists": np.ndarray.tolist,
    "tuple of tuples": lambda X: tuple(map(tuple, X.tolist())),
    "list of arrays": list,
    "float32": lambda X: X.astype("f4"),
    "float16": lambda X: X.astype("f2"),
    "int64": lambda X: X.astype("i8"),
    "int8": lambda X: X.astype("i1"),
    "big endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "read-only": readonly,
    "read-only float32": lambda X: readonly(X.astype("f4")),
    "subclass of ndarray": lambda X: X.copy().view(_Subclass),
    "csr matrix": sp.csr_matrix,
    "csr array": sp.csr_array,
    "csc matrix": sp.csc_matrix,
    "csc array": sp.csc_array,
    "coo matrix": sp.coo_matrix,
    "lil matrix": sp.lil_matrix,
    "dok matrix": sp.dok_matrix,
    "bsr array": sp.bsr_array,
    "dia matrix": sp.dia_matrix,
    "csr of integers": lambda X: sp.csr_matrix(X.astype("i8")),
    "DataFrame": lambda X: pd.DataFrame(X, index=[f"cell{i}" for i in range(len(X))]),
    "DataFrame of pandas floats": lambda X: pd.DataFrame(X).astype("Float64"),
    "DataFrame of sparse columns": lambda X: pd.DataFrame.sparse.from_spmatrix(sp.csc_matrix(X)),
    "masked, nothing hidden": np.ma.masked_array,
    "DataFrame of mixed numbers": lambda X: pd.DataFrame(X).astype({0: "f4", 1: "i4"}),
}


def twice(X: Any) -> Any:
    """Store every entry as a sum of two, unsorted: legal, and read wrongly if only ``data`` is looked at."""
    coo = sp.coo_matrix(X)
    rows, columns, data = (np.concatenate([part, part]) for part in (coo.row, coo.col, coo.data / 2))
    order = np.random.default_rng(0).permutation(len(data))
    return sp.coo_matrix((data[order], (rows[order], columns[order])), shape=coo.shape)


EMBEDDINGS["coo with duplicates"] = twice

LABELS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda y: [str(v) for v in y],
    "list of integers": np.ndarray.tolist,
    "tuple": lambda y: tuple(y.tolist()),
    "array of text": lambda y: y.astype(str),
    "array of objects": lambda y: y.astype(str).astype(object),
    "int8": lambda y: y.astype("i1"),
    "float": lambda y: y.astype(float),
    "Series": lambda y: pd.Series(y.astype(str), index=[f"cell{i}" for i in range(len(y))]),
    "Series, odd index": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "Series of pandas strings": lambda y: pd.Series(y.astype(str), dtype="string"),
    "Series of pandas integers": lambda y: pd.Series(y, dtype="Int64"),
    "Index": lambda y: pd.Index(y.astype(str)),
    "Categorical": lambda y: pd.Categorical(y.astype(str)),
    "Categorical with unused categories": lambda y: pd.Categorical(y.astype(str), categories=["9", "2", "1", "0", "7"]),
    "ordered Categorical Series": lambda y: pd.Series(
        pd.Categorical(y.astype(str), categories=["2", "1", "0", "5"], ordered=True)
    ),
    "Categorical of integers": lambda y: pd.Series(pd.Categorical(y, categories=[4, 2, 0, 1])),
    "CategoricalIndex": lambda y: pd.CategoricalIndex(y.astype(str)),
    "strided": lambda y: np.repeat(y, 2)[::2],
    "read-only": lambda y: readonly(y),
}


def dealt(containers: dict[str, Any], metric: MetricType, every: bool) -> list[tuple[str, Any]]:
    """Return a third of the containers, another third for the next metric; or all of them."""
    found = list(containers.items())
    return found if every else found[list(MetricType).index(metric) % 3 :: 3]


a_third_or_all = pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)])


@a_third_or_all
@embedding_metrics
def test_embedding_container_does_not_matter(metric, every):
    given = arguments(metric)
    expected = metrics_registry.compute(metric, **given)
    assert math.isfinite(expected)
    for container, make in dealt(EMBEDDINGS, metric, every):
        value = metrics_registry.compute(metric, **{**given, "X": make(given["X"])})
        # Whole numbers are exact in every dtype; float32 input is computed on in float32.
        tolerance = 1e-6 if container in ("float32", "float16", "read-only float32") else 1e-13
        assert value == pytest.approx(expected, abs=tolerance), container


@embedding_metrics
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_order_in_memory_changes_no_bit(metric, dtype):
    rng, given = np.random.default_rng(2), arguments(metric)
    tables = [name for name, value in given.items() if np.ndim(value) == 2]
    # Not whole numbers, whose sums are exact in every order; and more than are added up at a time.
    given["X"] = given["X"] + rng.normal(size=(N, 6))
    given |= {name: np.tile(given[name], 3 if name in ("X", "unintegrated") else 1).astype(dtype) for name in tables}
    expected = metrics_registry.measure(metric, **given)
    for arranged in (
        np.asfortranarray,
        strided,
        lambda X: X[::-1].copy()[::-1],
        lambda X: np.asfortranarray(X[::-1])[::-1],
    ):
        found = metrics_registry.measure(metric, **given | {name: arranged(given[name]) for name in tables})
        assert found.value == expected.value
        if expected.units is not None and expected.units.values is not None:
            np.testing.assert_array_equal(found.units.values, expected.units.values)


@embedding_metrics
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_constant_column_beside_tiny_ones_changes_nothing(metric, dtype):
    """Squares of what varies are too small for single precision; the constant is part of no distance."""
    given = arguments(metric)
    cells = (given["X"] + np.random.default_rng(3).normal(size=(N, 6))).astype("f4")
    tiny = (cells * np.float64(2.0**-83)).astype(dtype)
    expected = metrics_registry.compute(metric, **{**given, "X": cells})
    value = metrics_registry.compute(metric, **{**given, "X": np.column_stack([tiny, np.ones(N, dtype)])})
    if metric is MetricType.BRAS:  # all cells are in the direction of the constant
        assert math.isnan(value)
    else:
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "name"),
    [(m, name) for m in MetricType for name in OF_LABELS if name in ROWS[m].needs],
    ids=lambda part: getattr(part, "name", part),
)
@a_third_or_all
def test_label_container_does_not_matter(metric, name, every):
    given = arguments(metric)
    expected = metrics_registry.compute(metric, **given)
    for container, make in dealt(LABELS, metric, every):
        value = metrics_registry.compute(metric, **{**given, name: make(np.asarray(given[name]))})
        assert value == expected, container


def same(found: Measurement, expected: Measurement) -> None:
    """Assert that two measurements are equal in everything."""
    for part in ("value", "reason", "counts", "details", "breakdowns", "failed"):
        np.testing.assert_equal(getattr(found, part), getattr(expected, part))
    assert (found.units is None) == (expected.units is None)
    if found.units is not None and expected.units is not None:
        pd.testing.assert_frame_equal(found.units.frame(), expected.units.frame())


@pytest.mark.parametrize(
    "metric", [m for m in MetricType if {*OF_LABELS} & {*ROWS[m].needs}], ids=lambda metric: metric.name
)
@pytest.mark.parametrize("kind", ["i8", "f4", object])
def test_coded_labels_give_the_same_measurement(metric, kind):
    given = arguments(metric)
    several = {name: np.asarray(given[name]) for name in OF_LABELS if name in given}
    times = "time" in ROWS[metric].asks  # are numbers
    plain = {
        name: pd.Series(value.astype(str if kind is object and not times else kind), index=[f"c{i}" for i in range(N)])
        for name, value in several.items()
    }
    expected = metrics_registry.measure(metric, **{**given, **plain})
    codes = {name: coded(value, name) for name, value in plain.items()}
    same(metrics_registry.measure(metric, **{**given, **codes}), expected)
    for name, value in codes.items():
        same(metrics_registry.measure(metric, **{**given, **plain, name: value}), expected)


@pytest.mark.parametrize("kind", [list, np.asarray, pd.Series, pd.Categorical], ids=lambda kind: kind.__name__)
@labelled_metrics
def test_booleans_are_labels(metric, kind):
    given = arguments(metric)
    name = "batch" if "batch" in given else "labels"
    half = np.arange(N) % 2 == 0
    expected = metrics_registry.compute(metric, **{**given, name: half.astype(int)})
    assert metrics_registry.compute(metric, **{**given, name: kind(half)}) == expected


# A start of k-means, or of Leiden, is drawn by position: another order is another draw.
@pytest.mark.parametrize("metric", [m for m in OF_EMBEDDING if not ROWS[m].draws], ids=lambda metric: metric.name)
def test_order_of_cells_does_not_matter(metric):
    given = arguments(metric)
    order = np.random.default_rng(5).permutation(N)
    shuffled = {
        name: np.asarray(value)[order] if np.shape(value)[:1] == (N,) else value for name, value in given.items()
    }
    # Ties in distance are broken by position, so a few neighbours may differ among whole-number points.
    spread = {"X": np.random.default_rng(1).normal(size=(N, 6))}
    expected = metrics_registry.compute(metric, **{**given, **spread})
    value = metrics_registry.compute(metric, **{**shuffled, "X": spread["X"][order]})
    assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "metric",
    [m for m in MetricType if "labels" in " ".join(ROWS[m].needs) and "time" not in ROWS[m].asks],
    ids=lambda metric: metric.name,
)
def test_names_of_labels_do_not_matter(metric):
    given = arguments(metric)
    expected = metrics_registry.compute(metric, **given)
    renamed = {
        name: np.array(["zebra", "Ünïcode <b>", ""])[np.asarray(value)] if name in OF_LABELS else value
        for name, value in given.items()
    }
    assert metrics_registry.compute(metric, **renamed) == pytest.approx(expected, abs=1e-15)


@names
def test_missing_and_unknown_arguments_are_refused(metric):
    given = arguments(metric)
    first = next(iter(given))
    with pytest.raises(ValueError, match=rf"Missing required arguments for .*{first}"):
        metrics_registry.compute(metric, **{name: value for name, value in given.items() if name != first})
