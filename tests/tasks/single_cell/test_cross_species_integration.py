import numpy as np
import pandas as pd
import pytest

from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.integration import batch_silhouette, entropy_per_cell
from czbenchmarks.metrics.types import MetricType
from czbenchmarks.tasks import CrossSpeciesIntegrationTask, CrossSpeciesIntegrationTaskInput, represent

ORGANISMS = [Organism.HUMAN, Organism.MOUSE]


def test_values_are_those_of_the_joined_cells(two_species, run_twice):
    X, labels, _ = two_species
    results = run_twice(
        CrossSpeciesIntegrationTask(), X, CrossSpeciesIntegrationTaskInput(labels=labels, organism_list=ORGANISMS)
    )
    joined, names, species = np.concatenate(X), labels[0] + labels[1], ["h"] * 120 + ["m"] * 120
    assert [(r.metric_type, r.params) for r in results] == [
        (MetricType.ENTROPY_PER_CELL, {}),
        (MetricType.BATCH_SILHOUETTE, {}),
    ]
    assert results[0].value == entropy_per_cell(joined, species).value
    assert results[1].value == batch_silhouette(joined, names, species).value
    assert results[0].units.values.mean() == pytest.approx(results[0].value, abs=1e-15)


def test_published_values(cells):
    # The published probe's 240 cells; cz-benchmarks 0.15.1 prints 0.99907 and 0.9602432847 (single precision).
    rng = np.random.default_rng(0)
    rng.normal(size=(6, 3))
    labels = np.array(list("abc"))[rng.integers(0, 3, 240)]
    X = rng.normal(size=(240, 8)).astype("f4") + (labels == "a")[:, None] * 1.0 + (labels == "b")[:, None] * -0.5
    task_input = CrossSpeciesIntegrationTaskInput(labels=[labels[:120], labels[120:]], organisms=ORGANISMS)
    entropy, silhouette = CrossSpeciesIntegrationTask().run([X[:120], X[120:]], task_input)
    assert entropy.value == pytest.approx(0.9990744546071356, abs=1e-4)
    assert silhouette.value == pytest.approx(0.960243284702301, abs=1e-6)


def test_output_and_containers(two_species):
    X, labels, _ = two_species
    task_input = CrossSpeciesIntegrationTaskInput(
        labels=[pd.Series(labels[0], index=range(5, 125)), pd.Categorical(labels[1], categories=list("zcba"))],
        organism_list=["homo_sapiens", "mus_musculus"],
    )
    assert task_input.organisms == ORGANISMS
    output = CrossSpeciesIntegrationTask()._run_task(X, task_input)
    np.testing.assert_array_equal(output.cell_representation, np.concatenate(X))
    assert output.labels.tolist() == labels[0] + labels[1]
    assert output.species.tolist() == ["homo_sapiens"] * 120 + ["mus_musculus"] * 120
    expected = CrossSpeciesIntegrationTask().run(
        X, CrossSpeciesIntegrationTaskInput(labels=labels, organism_list=ORGANISMS)
    )
    for same in (X, [represent(x) for x in X], [pd.DataFrame(x) for x in X], tuple(X)):
        found = CrossSpeciesIntegrationTask().run(same, task_input)
        assert [r.value for r in found] == [r.value for r in expected]


def test_bad_input(two_species):
    X, labels, _ = two_species
    good = {"labels": labels, "organism_list": ORGANISMS}

    def run(cells, **change):
        return CrossSpeciesIntegrationTask().run(cells, CrossSpeciesIntegrationTaskInput(**{**good, **change}))

    with pytest.raises(AssertionError, match=r"At least two organisms are required.*got only homo_sapiens"):
        run(X, organism_list=[Organism.HUMAN] * 2)
    # The published words, on which users match.
    for cells in (X[:1], X[0]):
        with pytest.raises(ValueError, match="This task requires a list of cell representations but only one was prov"):
            run(cells)
    with pytest.raises(ValueError, match=r"Number of cell representations must match `labels`"):
        run(X, labels=labels[:1])
    with pytest.raises(ValueError, match=r"`labels\[0\]` must have the same length as the data.*expected 50, got 120"):
        run([X[0][:50], X[1]])
    with pytest.raises(ValueError, match=r"same number of dimensions in every data set, got 8, 7"):
        run([X[0], X[1][:, :7]])
    with pytest.raises(ValueError, match=r"`organism_list` and `organisms` are one option under two names"):
        run(X, organisms=ORGANISMS)
    with pytest.raises(NotImplementedError, match=r"Baseline not implemented for cross-species integration"):
        CrossSpeciesIntegrationTask().compute_baseline(X)
