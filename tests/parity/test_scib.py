"""The values of scib-metrics and scib on real cells, each within a tolerance that has its reason."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "scripts" / "parity" / "scib"
sys.path.insert(0, str(SCRIPTS))

from scib_cases import EMBEDDINGS, FILES, LABEL, key, read  # noqa: E402
from scib_ours import arguments, measured, table  # noqa: E402
from scib_table import page, rows_of, split  # noqa: E402
from scib_tolerances import Tolerance, compare, tolerance  # noqa: E402

from czbenchmarks.metrics.overall import mean_of_scores, weighted_total  # noqa: E402

STORED = json.loads((HERE / "scib.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared() -> Path:
    folder = Path(os.environ.get("CZBENCHMARKS_SHARED") or HERE.parents[2] / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CZBENCHMARKS_SHARED to the folder that holds `data`")
    return folder


def assert_within(rows):
    out = [f"{r.peer}: {r.key}: ours {r.ours}, theirs {r.theirs}, allowed {r.tolerance}" for r in rows if not r.within]
    assert not out, "\n" + "\n".join(out)


def parameter(name):
    """One file is quick; `make acceptance` compares all."""
    return pytest.param(name, marks=[] if name == "mixology" else [pytest.mark.long])


@pytest.mark.parametrize("name", [parameter(name) for name in FILES])
def test_values_of_both_peers(name, shared):
    rows = rows_of(shared, STORED, name, conservation=False)
    assert len(rows) > 100
    assert_within(rows)


@pytest.mark.long
@pytest.mark.parametrize("name", FILES)
def test_values_with_those_of_expression(name, shared):
    rows = [row for row in rows_of(shared, STORED, name) if "conservation" in row.key]
    assert rows
    assert_within(rows)


@pytest.mark.parametrize("name", ["mixology", "kang"])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_clusters_are_as_tight_as_the_best_of_the_peer(name, embedding, shared):
    given = arguments(read(shared, name))[embedding]
    X = given["X"].array.astype("float64")
    codes = measured("kmeans_nmi", given).units.columns["cluster"]
    ours = sum(((X[codes == c] - X[codes == c].mean(axis=0)) ** 2).sum() for c in set(codes))
    _, starts = split(STORED["scib-metrics"], name)
    assert ours <= 1.01 * starts[key(name, embedding, "inertia, least of 10 starts")]


@pytest.mark.parametrize("name", FILES)
def test_means_and_total_are_taken_as_the_peer_takes_them(name):
    theirs = STORED["scib-metrics"]["tables"][key(name, "clean names")]
    kinds = theirs["rows"][-1]
    for row in theirs["rows"][:-1]:
        values = dict(zip(theirs["columns"], row, strict=True))
        means = {
            part: mean_of_scores({c: values[c] for c, kind in zip(values, kinds, strict=True) if kind == part}).value
            for part in ("Bio conservation", "Batch correction")
        }
        assert means == pytest.approx({part: values[part] for part in means}, abs=1e-6)
        total = weighted_total(means["Bio conservation"], means["Batch correction"]).value
        assert total == pytest.approx(values["Total"], abs=1e-6)


def test_the_trajectory_is_that_of_scib_from_the_same_root(shared):
    case = read(shared, "worm")
    given = {**arguments(case)["corrected"], "pseudotime": case.time}
    found = measured("trajectory_conservation", given, root=4).value  # the cell that scib starts from
    theirs = STORED["scib"]["values"]["worm | corrected | trajectory_conservation"]
    assert found == pytest.approx(theirs, abs=1e-6)


def test_the_table_has_the_form_of_the_peer(shared):
    case = read(shared, "kang")
    for form, options in [("clean names", {}), ("names", {"clean_names": False}), ("scaled", {"min_max_scale": True})]:
        ours, theirs = table(case, **options), STORED["scib-metrics"]["tables"][key("kang", form)]
        assert list(ours.index) == theirs["index"]
        assert ours.index.name == theirs["index_name"]
        assert list(ours.columns) == theirs["columns"]
        assert [str(dtype) for dtype in ours.dtypes] == theirs["dtypes"]
        assert list(ours.loc["Metric Type"]) == theirs["rows"][-1]
        if form == "scaled":  # the better of two embeddings has 1: here it is the corrected one in every column
            for row, stored in zip(ours.to_numpy()[:-1], theirs["rows"][:-1], strict=True):
                assert list(row) == pytest.approx(stored, abs=1e-12)


@pytest.mark.parametrize("peer", ["scib-metrics", "scib"])
def test_the_graph_of_the_peer_was_right(peer):
    assert STORED[peer]["graph_error"] < 1e-3


def test_cells_are_those_of_the_file_and_the_correction_moves_batches_together(shared):
    case = read(shared, "kang")
    adata = case.adata(expression=True)
    assert adata.n_obs == len(case.labels) == 1556
    assert list(adata.obs[LABEL]) == list(case.labels)
    means = {
        name: [X[case.batch == b].mean(axis=0) for b in sorted(set(case.batch))] for name, X in case.embeddings.items()
    }
    gap = {name: abs(of[0] - of[1]).sum() for name, of in means.items()}
    assert gap["corrected"] == pytest.approx(gap["pca"] / 2, rel=1e-4)


# The rules of the comparison, on values made up here.

ISOLATED, KMEANS = "f | e | isolated_labels, threshold 3", "f | e | KMeans NMI"
STARTS = {"f | e | kmeans_nmi, least of 10 starts": 0.5, "f | e | kmeans_nmi, greatest of 10 starts": 0.7}


@pytest.mark.parametrize(
    ("theirs", "ours", "within"),
    [(0.5, 0.500009, True), (0.5, 0.50002, False), (None, None, True), (None, 0.5, False), (0.5, None, False)],
)
def test_a_value_is_in_or_out(theirs, ours, within):
    assert compare("scib-metrics", {ISOLATED: theirs}, {ISOLATED: ours})[0].within is within


@pytest.mark.parametrize(("ours", "within"), [(0.44, False), (0.46, True), (0.74, True), (0.76, False)])
def test_k_means_is_compared_with_the_range_of_the_starts(ours, within):
    assert compare("scib-metrics", {KMEANS: 0.6}, {KMEANS: ours}, STARTS)[0].within is within


def test_a_value_of_one_side_only_is_out():
    assert not compare("scib", {ISOLATED: None}, {})[0].within
    assert not compare("scib", {}, {ISOLATED: 0.5})[0].within


def test_a_metric_without_a_rule_is_refused():
    with pytest.raises(ValueError, match="no tolerance"):
        tolerance("scib", "f | e | brightness")


def test_every_stored_value_has_a_tolerance_and_a_known_file():
    for peer, part in STORED.items():
        for name in part["values"]:
            assert name.split(" | ")[0] in FILES
            if "starts" not in name:
                assert isinstance(tolerance(peer, name), Tolerance)


def test_the_page_shows_values_reasons_and_what_is_out():
    rows = compare("scib-metrics", {ISOLATED: 0.5}, {ISOLATED: 0.6}) + compare("scib", {ISOLATED: 0.5}, {ISOLATED: 0.5})
    text = page(STORED, rows)
    assert "2 values, 1 out of tolerance" in text
    assert "| f | e | isolated_labels, threshold 3 | 0.600000 | 0.500000 | +1.0e-01 | 1e-05 | **no** |" in text
    assert rows[0].tolerance.reason in text


def test_the_scripts_of_the_peers_say_how_they_are_called():
    for script in ("peer.py", "peer_scib.py", "scib_table.py"):
        done = subprocess.run(
            [sys.executable, str(SCRIPTS / script), "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "shared_data" in done.stdout
