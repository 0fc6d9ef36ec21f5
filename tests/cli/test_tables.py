"""Tables keep words whole while there is room, and are as wide as the user says."""

import pytest

from czbenchmarks.cli._tables import column_widths, print_table
from czbenchmarks.cli.output import print_record
from czbenchmarks.metrics.types import MetricResult, MetricType
from czbenchmarks.results import RunRecord, Score

RUNS = [
    [
        "1",
        "2026-01-01 10:00:00",
        "clustering, embedding",
        "geneformer, baseline",
        "/data/atlas/lung.h5ad",
        "8",
    ],
    ["12", "2026-01-02 10:00:00", "cross-species_label_prediction", "scgpt", "human.h5ad, mouse.h5ad", "80"],
]
HEADINGS = ["Run", "Ended", "Tasks", "Embeddings", "Data", "Scores"]


def printed(capsys):
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [100, 130])
def test_words_stay_whole(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(HEADINGS, RUNS, numbers=["Run", "Scores"])
    lines = printed(capsys)
    assert max(map(len, lines)) <= columns
    words = {word for line in lines for word in line.split()}
    wanted = {word for row in [HEADINGS, *RUNS] for cell in row for word in cell.split()}
    assert wanted <= words


@pytest.mark.parametrize("columns", [30, 50, 99, 200])
def test_the_variable_says_how_wide(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(["Name", "About"], [["mine", "word " * 100]])
    widest = max(map(len, printed(capsys)))
    assert columns - 5 <= widest <= columns


def test_what_is_no_number_of_columns_says_nothing(capsys, monkeypatch):
    for value in ("", "0", "wide", "-5"):
        monkeypatch.setenv("COLUMNS", value)
        print_table(["Name", "About"], [["mine", "word " * 100]])
        assert max(map(len, printed(capsys))) > 90


def test_a_long_path_breaks_after_a_joint(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(["File", "N"], [["/data/projects/atlas/versions/2026/human_lung_cells.h5ad", "1"]])
    parts = [line.split()[0] for line in printed(capsys)[3:] if line.strip()]
    assert "".join(parts) == "/data/projects/atlas/versions/2026/human_lung_cells.h5ad"
    assert all(part[-1] in "/_." for part in parts[:-1])


def test_headings_count_as_words():
    cells = [["mean_fold_balanced_accuracy", "what it says"], ["1", "word " * 40]]
    assert column_widths(cells, 60)[0] == len("mean_fold_balanced_accuracy")


def score(metric, value=0.5, name="mine", **more):
    one = MetricResult(metric_type=metric, value=value, **more)
    return Score.of("clustering" if "counts" in more else "embedding", name, [one])


def test_a_table_says_which_values_are_better(capsys):
    record = RunRecord(result_metrics=[score(MetricType.SILHOUETTE_SCORE), score(MetricType.MEAN_SQUARED_ERROR)])
    print_record(record, "table")
    text = capsys.readouterr().out
    assert "silhouette_score ↑" in text
    assert "mean_squared_error ↓" in text


def test_clustering_says_how_many_clusters(capsys):
    counts = {"used": 10, "left_out": 0, "labels": 3, "clusters": 7}
    ari = MetricType.ADJUSTED_RAND_INDEX
    scores = [score(ari, counts=counts), score(ari, name="other", counts={**counts, "clusters": 1200})]
    print_record(RunRecord(result_metrics=scores), "markdown")
    assert capsys.readouterr().out.splitlines()[-1] == "| clusters (3 labels) | 7 | 1,200 |"
    print_record(RunRecord(result_metrics=scores), "csv")
    assert len(capsys.readouterr().out.splitlines()) == 3, "a row per score"


def between_species(value, train, test, classifier, metric=MetricType.ACCURACY):
    params = {"train_species": train, "test_species": test, "classifier": classifier}
    one = MetricResult(metric_type=metric, value=value, params=params)
    return Score.of("cross-species_label_prediction", "mine", [one])


def test_many_pairs_of_species_have_means(capsys):
    record = RunRecord(
        result_metrics=[
            between_species(0.2, "human", "mouse", "lr"),
            between_species(0.4, "mouse", "human", "lr"),
            between_species(0.9, "human", "human", "lr", MetricType.MEAN_FOLD_ACCURACY),
            between_species(float("nan"), "human", "mouse", "knn"),
            between_species(0.6, "mouse", "human", "knn"),
        ]
    )
    print_record(record, "table")
    text = capsys.readouterr().out
    rows = [line.split() for line in text.partition("Means over pairs of species")[2].splitlines() if line.strip()]
    assert rows[0] == ["Tested", "on", "Classifier", "accuracy", "↑"]
    assert rows[2:] == [
        ["another", "species", "lr", "0.3000"],
        ["another", "species", "knn", "none"],
        ["same", "species", "lr", "0.9000"],
    ]
    print_record(record, "csv")
    assert len(capsys.readouterr().out.splitlines()) == 6
