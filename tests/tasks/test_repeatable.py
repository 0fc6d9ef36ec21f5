"""The same bits for any number of threads, memory and state of the global generator, on several blocks of cells."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from czbenchmarks import evaluate
from czbenchmarks.datasets.types import Organism
from czbenchmarks.tasks import (
    BatchIntegrationTask,
    BatchIntegrationTaskInput,
    ClusteringTask,
    ClusteringTaskInput,
    CrossSpeciesLabelPredictionTask,
    CrossSpeciesLabelPredictionTaskInput,
    EmbeddingTask,
    EmbeddingTaskInput,
    MetadataLabelPredictionTask,
    MetadataLabelPredictionTaskInput,
    PerturbationExpressionPredictionTask,
    PerturbationExpressionPredictionTaskInput,
    SequentialOrganizationTask,
    SequentialOrganizationTaskInput,
    represent,
)
from czbenchmarks.tasks.task import PCABaselineInput


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, 3000)
    X = (rng.normal(size=(3000, 12)) + 1.2 * np.eye(12)[codes]).astype(np.float32)
    return X, np.array(list("abcdef"))[codes], rng.choice(["x", "y", "z"], 3000), codes


def exact(results):
    # repr keeps every bit of a float.
    rows = [(r.metric_type.value, repr(r.value), json.dumps(r.params), r.counts) for r in results]
    units = [r.units.values.tobytes() for r in results if r.units is not None and r.units.values is not None]
    return np.frombuffer(repr((rows, units)).encode(), dtype=np.uint8)


def test_tasks_of_one_embedding(many, same_bits):
    X, labels, batches, times = many
    obs = pd.DataFrame(index=range(3000))
    for task, task_input in (
        (ClusteringTask(), ClusteringTaskInput(obs=obs, input_labels=labels)),
        (EmbeddingTask(), EmbeddingTaskInput(input_labels=labels)),
        (BatchIntegrationTask(), BatchIntegrationTaskInput(labels=labels, batch_labels=batches)),
        (SequentialOrganizationTask(), SequentialOrganizationTaskInput(obs=obs, input_labels=times, adaptive_k=True)),
    ):
        same_bits(lambda task=task, task_input=task_input: exact(task.run(X, task_input)))


def test_label_prediction(many, same_bits):
    X, labels, _, _ = many
    task_input = MetadataLabelPredictionTaskInput(labels=labels, n_folds=2)
    same_bits(lambda: exact(MetadataLabelPredictionTask().run(X, task_input)))


def test_cross_species_label_prediction(many, same_bits):
    X, labels, _, _ = many
    samples = [[i % 7 for i in range(600)], [i % 9 for i in range(600)]]
    task_input = CrossSpeciesLabelPredictionTaskInput(
        labels=[labels[:600], labels[600:1200]],
        organisms=[Organism.HUMAN, Organism.MOUSE],
        sample_ids=samples,
        aggregation_method="none",
        n_folds=2,
    )
    same_bits(lambda: exact(CrossSpeciesLabelPredictionTask().run([X[:600], X[600:1200]], task_input)))


def test_perturbation(many, same_bits):
    import anndata

    X = np.abs(many[0])
    adata = anndata.AnnData(
        obs=pd.DataFrame(index=[f"c{i}" for i in range(3000)]), var=pd.DataFrame(index=list("abcdefghijkl"))
    )
    adata.uns = {
        "de_results": pd.DataFrame(
            {"condition": "p", "gene_id": list("abcdefghijkl"), "logfoldchange": np.arange(12.0)}
        ),
        "target_conditions_dict": {"p": list("kbdfjac")},
        "control_cells_map": {"p": {f"c{i}": f"c{i + 1500}" for i in range(1500)}},
    }
    task_input = PerturbationExpressionPredictionTaskInput(adata=adata)
    task = PerturbationExpressionPredictionTask()
    same_bits(lambda: task._run_task(X, task_input).pred_mean_change_dict["p"])
    same_bits(lambda: exact(task.run(sp.csr_matrix(X), task_input)))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_baseline(same_bits, container):
    rng = np.random.default_rng(0)
    counts = container(rng.poisson(rng.gamma(1, 1, 200) * rng.gamma(2, 1, 3000)[:, None]).astype(np.float32))
    options = PCABaselineInput(n_top_genes=100, n_pcs=10)
    same_bits(lambda: ClusteringTask().compute_baseline(counts, options))


def test_evaluate_with_threads_and_memory_of_its_own(many):
    X, labels, batches, times = many
    obs = pd.DataFrame({"cell_type": labels, "batch": batches, "time": times})
    tasks = {"batch_integration": {}, "sequential_organization": {"labels": "time"}, "clustering": {"n_iterations": 1}}
    found = []
    for threads, memory in ((1, "4GB"), (2, "1MB"), (4, "300MB")):
        record = evaluate(X, obs, tasks, threads=threads, memory=memory)
        assert record.environment["threads"] == threads
        found.append([(score.task, score.key, repr(score.value), score.counts) for score in record.result_metrics])
    assert len(found[0]) == 6
    assert found[1:] == found[:1] * 2


def test_two_threads_of_the_user_share_an_embedding(many, monkeypatch):
    monkeypatch.setenv("CZBENCHMARKS_NUM_THREADS", "2")
    X, labels, batches, _ = many
    X, labels, batches = X[:900], labels[:900], batches[:900]
    runs = [
        (EmbeddingTask(), EmbeddingTaskInput(input_labels=labels)),
        (BatchIntegrationTask(), BatchIntegrationTaskInput(labels=labels, batch_labels=batches)),
        (ClusteringTask(), ClusteringTaskInput(obs=pd.DataFrame(index=range(900)), input_labels=labels)),
    ] * 2
    expected = [exact(task.run(X, task_input)).tobytes() for task, task_input in runs]
    shared = represent(X)
    with ThreadPoolExecutor(3) as users:
        found = [users.submit(task.run, shared, task_input) for task, task_input in runs]
        assert [exact(one.result(timeout=60)).tobytes() for one in found] == expected


def test_one_representation_serves_all_tasks_with_one_search(many, searches):
    X, labels, batches, times = many
    X, labels, batches, times = X[:700], labels[:700], batches[:700], times[:700]
    obs = pd.DataFrame(index=range(700))
    runs = [
        (ClusteringTask(), ClusteringTaskInput(obs=obs, input_labels=labels)),
        (EmbeddingTask(), EmbeddingTaskInput(input_labels=labels)),
        (BatchIntegrationTask(), BatchIntegrationTaskInput(labels=labels, batch_labels=batches)),
        (SequentialOrganizationTask(), SequentialOrganizationTaskInput(obs=obs, input_labels=times, adaptive_k=True)),
    ]
    alone = [exact(task.run(X, task_input)).tobytes() for task, task_input in runs]
    searches.clear()
    shared = represent(X)
    shared.max_neighbors = max(task.max_neighbors(task_input) for task, task_input in runs)
    assert [exact(task.run(shared, task_input)).tobytes() for task, task_input in runs] == alone
    assert searches == [201]
