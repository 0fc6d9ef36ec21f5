"""The rules of the comparison, and the table made by them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tolerances import compare, medians, tolerance

FOLDER = Path(__file__).resolve().parent
TABLE = FOLDER.parents[1] / "scripts" / "parity" / "table.py"
ARI = "mixology | clustering | adjusted_rand_index | "
RAW = "worm [normalize=False, adaptive_k=True] | sequential_organization | sequential_alignment | k=15"


def seeds(values):
    return {f"big [seed={s}] | clustering | adjusted_rand_index | ": v for s, v in enumerate(values)}


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        (ARI, 0.02),
        ("big [median over seeds] | clustering | adjusted_rand_index | ", 0.06),
        ("big [median over seeds] | clustering | normalized_mutual_info | ", 0.04),
        ("x | embedding | silhouette_score | ", 1e-4),
        ("x | batch_integration | batch_silhouette | ", 1e-4),
        ("x | batch_integration | entropy_per_cell | ", 0.004),
        ("x | label_prediction | mean_fold_f1 | classifier=lr", 0.01),
        ("x | cross-species_label_prediction | mean_fold_f1 | classifier=lr", 0.01),
        (RAW, 0.001),
        (RAW.replace("normalize=False", "normalize=True"), 0.02),
        ("x | perturbation_expression_prediction | spearman_correlation_calculation | condition=a", 1e-4),
    ],
)
def test_each_metric_has_its_limit(key, limit):
    assert tolerance(key).limit == limit


def test_a_metric_without_a_rule_is_refused():
    with pytest.raises(ValueError, match="no tolerance"):
        tolerance("x | embedding | brightness | ")


def test_a_relative_limit_grows_with_the_value():
    assert compare({RAW: 10.0}, {RAW: 10.009})[0].within
    assert not compare({RAW: 1.0}, {RAW: 1.009})[0].within


def test_seeds_are_compared_by_their_median():
    assert medians(seeds([0.1, 0.9, 0.5])) == {"big [median over seeds] | clustering | adjusted_rand_index | ": 0.5}
    assert compare(seeds([0.1, 0.9, 0.5]), seeds([0.0, 0.55, 1.0]))[0].within


@pytest.mark.parametrize(
    ("published", "ours", "within"),
    [(0.5, 0.519, True), (0.5, 0.521, False), (None, None, True), (None, 0.5, False), (0.5, None, False)],
)
def test_a_value_is_in_or_out(published, ours, within):
    assert compare({ARI: published}, {ARI: ours})[0].within is within


def test_a_value_of_one_side_only_is_out():
    assert not compare({ARI: None}, {})[0].within
    assert not compare({}, {ARI: 0.5})[0].within


@pytest.mark.parametrize(("shift", "status"), [(0.0, 0), (0.5, 1)])
def test_the_table_tells_by_its_exit_status(tmp_path, shift, status):
    published = FOLDER / "published.json"
    ours = json.loads(published.read_text())
    ours["values"] = {key: value if value is None else value + shift for key, value in ours["values"].items()}
    (tmp_path / "ours.json").write_text(json.dumps(ours))
    command = [sys.executable, str(TABLE), str(published), str(tmp_path / "ours.json"), "-o", str(tmp_path / "t.md")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == status
    assert "## Tolerances" in (tmp_path / "t.md").read_text()
