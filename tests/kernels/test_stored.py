import re
from contextlib import nullcontext

import anndata
import h5py
import numpy as np
import pytest
import scipy.sparse as sp

from czbenchmarks._check import matrix
from czbenchmarks.kernels.groups import group_sums
from czbenchmarks.kernels.parallel import resources
from czbenchmarks.kernels.stored import StoredMatrix, is_stored

KINDS = ["dense", "csr", "csc"]


@pytest.fixture
def stored(tmp_path):
    """Return a function that writes a matrix into an open file, and gives what holds it there."""
    files = []

    def write(kind, values, **options):
        files.append(h5py.File(tmp_path / f"{len(files)}.h5", "w"))
        values = values if kind == "dense" else getattr(sp, f"{kind}_matrix")(values)
        anndata.io.write_elem(files[-1], "X", values, dataset_kwargs=options)
        return files[-1]["X"] if kind == "dense" else anndata.io.sparse_dataset(files[-1]["X"])

    yield write
    for file in files:
        file.close()


def read(source):
    """Read every block of a stored matrix and put it in its place."""
    found = StoredMatrix(source)
    made = np.full(found.shape, np.nan)
    for start, left, right, block in found.blocks():
        assert np.isnan(made[start : start + block.shape[0], left:right]).all()
        made[start : start + block.shape[0], left:right] = block.toarray() if hasattr(block, "toarray") else block
    return made


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "?"])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_hold_every_value_once(kind, dtype, stored):
    if kind != "dense" and dtype == "f2":
        pytest.skip("SciPy has no sparse matrices of that precision")
    values = np.random.default_rng(0).integers(0, 3, (50, 20)).astype(dtype)
    source = stored(kind, values)
    assert is_stored(source)
    assert not is_stored(values)
    assert not is_stored(sp.csr_matrix(np.eye(2)))
    found = StoredMatrix(source)
    assert found.dtype == matrix(values).dtype
    np.testing.assert_array_equal(read(source), values)
    np.testing.assert_array_equal(found.toarray(), values)


def test_blocks_follow_the_budget_and_the_chunks_of_the_file(stored, monkeypatch):
    monkeypatch.setattr("czbenchmarks.kernels.stored._BLOCK", 8 * 20 * 10)

    def borders(kind, **options):
        found = StoredMatrix(stored(kind, np.ones((50, 20)), **options))
        return [(start, left, block.shape) for start, left, _, block in found.blocks()]

    rows = [(start, 0, (10, 20)) for start in range(0, 50, 10)]
    assert borders("dense") == borders("csr") == rows
    assert borders("csc") == [(0, left, (50, 4)) for left in range(0, 20, 4)]
    assert borders("dense", chunks=(8, 20))[:2] == [(0, 0, (8, 20)), (8, 0, (8, 20))]
    assert borders("dense", chunks=(50, 2)) == [(0, left, (50, 4)) for left in range(0, 20, 4)]
    wide = StoredMatrix(stored("dense", np.ones((4000, 100))))
    monkeypatch.undo()
    with resources(memory="1MB"):
        few = [block.nbytes for *_, block in wide.blocks()]
    assert max(few) <= 10**6 / 6 < 4000 * 100 * 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "spoil", [{(3, 2): np.nan, (40, 19): np.inf}, {(49, 19): 1e160}, {(0, 0): -np.inf}, {}], ids=str
)
def test_values_are_refused_as_in_memory(kind, spoil, stored, monkeypatch):
    monkeypatch.setattr("czbenchmarks.kernels.stored._BLOCK", 3000)
    values = np.ones((50, 20)) if spoil else np.full((50, 20), 1e-200)
    for place, value in spoil.items():
        values[place] = value
    held = values if kind == "dense" else getattr(sp, f"{kind}_matrix")(values)
    with pytest.raises(ValueError, match=r"^`cell_representation` must .*") as expected:
        matrix(held, "cell_representation", keep_sparse=True)
    found = StoredMatrix(stored(kind, values))
    with pytest.raises(ValueError, match=f"^{re.escape(str(expected.value))}$"):
        group_sums(found, sp.csr_matrix(np.ones((1, 50))), np.array([0]), np.array([2]))


def test_only_the_rows_that_are_meant_are_checked(stored):
    values = np.ones((5, 2))
    values[1] = np.nan
    found = StoredMatrix(stored("dense", values))[np.array([4, 0, 2])]
    sums = group_sums(found, sp.csr_matrix([[1.0, 2.0, 4.0]]), np.array([0]), np.array([1]))
    assert sums.tolist() == [7.0]


@pytest.mark.parametrize(
    ("values", "error", "sentence"),
    [
        (np.ones(3), ValueError, "must have two dimensions"),
        (np.ones((2, 2, 2)), ValueError, "must have two dimensions"),
        (np.ones((0, 3)), ValueError, "must hold at least one cell and one dimension"),
        (np.ones((3, 2), dtype=complex), TypeError, "must hold real numbers"),
        (np.array([[b"a", b"b"]]), TypeError, "must hold numbers"),
    ],
)
def test_bad_kinds(values, error, sentence, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["X"] = values
        with pytest.raises(error, match=f"^`x` {sentence}.*"):
            StoredMatrix(file["X"], "x")


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_file(kind, stored):
    source = stored(kind, np.eye(3))
    found = StoredMatrix(source)
    (source if kind == "dense" else source.group).file.close()
    for use in (lambda: StoredMatrix(source), lambda: list(found.blocks()), found.toarray):
        with pytest.raises(ValueError, match=r"^`cell_representation` must be in an open .* open .*"):
            use()


def test_indices_that_point_outside(stored):
    source = stored("csr", np.ones((4, 3)))
    source.group["indices"][5] = 99
    with pytest.raises(ValueError, match=r"^`cell_representation` must be in an open and complete file.*indices"):
        list(StoredMatrix(source).blocks())


def test_several_entries_of_one_place_are_a_sum(stored):
    source = stored("csr", np.ones((4, 3)))
    source.group["indices"][1] = 0
    assert read(source)[0].tolist() == [2.0, 0.0, 1.0]


def test_a_file_that_is_opened_when_it_is_read(stored):
    source, opened = stored("csr", np.eye(3)), []

    def open_it():
        opened.append(True)
        return nullcontext(source)

    found = StoredMatrix(open_it)
    assert len(opened) == 1
    np.testing.assert_array_equal(found.toarray(), np.eye(3))
    assert len(opened) == 2
