import pytest

from czbenchmarks.tasks import TASK_REGISTRY, ClusteringTask, ClusteringTaskInput
from czbenchmarks.tasks.registry import _BUILT_IN, key_of
from czbenchmarks.tasks.single_cell._orthologs import OrthologBaselineInput
from czbenchmarks.tasks.task import NoBaselineInput, PCABaselineInput

# As cz-benchmarks 0.15.1 lists them.
KEYS = [
    "batch_integration",
    "clustering",
    "cross-species_integration",
    "cross-species_label_prediction",
    "embedding",
    "label_prediction",
    "perturbation_expression_prediction",
    "sequential_organization",
]


def test_the_eight_tasks():
    assert list(_BUILT_IN) == KEYS
    assert set(KEYS) <= set(TASK_REGISTRY.list_tasks())


@pytest.mark.parametrize("key", KEYS)
def test_the_listing_agrees_with_the_class(key):
    cls = TASK_REGISTRY.get_task_class(key)
    summary = TASK_REGISTRY.summaries()[key]
    assert summary == (cls.display_name, cls.description, cls.requires_multiple_datasets)
    assert key_of(cls.display_name) == key
    assert _BUILT_IN[key][0] == f"{cls.__module__}:{cls.__name__}"
    info = TASK_REGISTRY.get_task_info(key)
    assert list(info.task_params) == list(cls.input_model.model_fields)
    assert list(info.baseline_params) == list(cls.baseline_model.model_fields)
    for name, parameter in info.task_params.items():
        assert f"--{name.replace('_', '-')} : {parameter.help_text}" in TASK_REGISTRY.get_task_help(key)


def test_either_spelling_finds_a_task():
    for name in ("cross-species_integration", "cross_species_integration", "Cross-species Integration"):
        assert TASK_REGISTRY.resolve(name) == "cross-species_integration"
    with pytest.raises(ValueError, match=r"Task 'clusterng' not found\. Did you mean 'clustering'\? Available: batch_"):
        TASK_REGISTRY.get_task_class("clusterng")


def test_parameters():
    info = TASK_REGISTRY.get_task_info("clustering")
    assert {name: p.default for name, p in info.task_params.items() if not p.required} == {
        "use_rep": "X",
        "n_iterations": 2,
        "flavor": "igraph",
        "key_added": "leiden",
        "metrics": ["published"],
    }
    assert {name: p.default for name, p in info.baseline_params.items()} == {
        "n_top_genes": 3000,
        "n_pcs": 50,
        "obsm_key": "emb",
    }
    several = TASK_REGISTRY.get_task_info("cross-species_label_prediction")
    assert [n for n, p in several.task_params.items() if p.is_multiple] == ["labels", "organisms", "metrics"]
    assert several.requires_multiple_datasets


def test_inputs_are_built_from_keywords():
    import pandas as pd

    values = {"obs": pd.DataFrame(index=range(2)), "input_labels": ["a", "b"], "n_iterations": 5}
    for build in (
        lambda: TASK_REGISTRY.validate_task_inputs("clustering", values),
        lambda: TASK_REGISTRY.validate_and_build_inputs("clustering", "input_model", values),
    ):
        built = build()
        assert type(built) is ClusteringTaskInput
        assert (built.n_iterations, built.input_labels) == (5, ["a", "b"])
    assert TASK_REGISTRY.validate_baseline_inputs("clustering", {"n_pcs": 7}) == PCABaselineInput(n_pcs=7)
    assert TASK_REGISTRY.validate_baseline_inputs("perturbation_expression_prediction", {}) == NoBaselineInput()
    assert TASK_REGISTRY.validate_baseline_inputs("cross-species_integration", {}) == OrthologBaselineInput()
    assert ClusteringTask.baseline_model is PCABaselineInput
    with pytest.raises(ValueError, match=r"Invalid model_type 'zz'"):
        TASK_REGISTRY.validate_and_build_inputs("clustering", "zz", {})
    with pytest.raises(ValueError, match=r"'n_pc' is not known\. Did you mean 'n_pcs'"):
        TASK_REGISTRY.validate_baseline_inputs("clustering", {"n_pc": 7})
