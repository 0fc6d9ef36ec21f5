"""An option that a client left out has its default, however the client says so: None, an empty list or tuple."""

import numpy as np
import pandas as pd
import pytest
from test_bad_input import BATCH, TEXT, X, inputs, run

from czbenchmarks import evaluate
from czbenchmarks.tasks import TASK_REGISTRY
from czbenchmarks.tasks.registry import _BUILT_IN

TASKS = list(_BUILT_IN)
EMPTY = [None, (), []]


def optional(task, kind):
    model = getattr(TASK_REGISTRY.get_task_class(task), kind)
    return [(name, field.get_default(call_default_factory=True)) for name, field in model.model_fields.items()
            if not field.is_required()]  # fmt: skip


@pytest.mark.parametrize("kind", ["input_model", "baseline_model"])
@pytest.mark.parametrize("task", TASKS)
def test_every_optional_field_has_its_default_where_it_is_empty(task, kind):
    model = getattr(TASK_REGISTRY.get_task_class(task), kind)
    required = {name: value for name, value in (inputs(task) if kind == "input_model" else {}).items()
                if model.model_fields[name].is_required()}  # fmt: skip
    for name, default in optional(task, kind):
        for empty in [*EMPTY, default]:
            given = getattr(model(**required, **{name: empty}), name)
            assert type(given) is type(default), (name, empty)
            assert given == default, (name, empty)


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_those_of_the_options_left_out(task):
    given = inputs(task)
    left_out = {name: EMPTY[i % 3] for i, (name, _) in enumerate(optional(task, "input_model")) if name not in given}
    expected = [(score.metric_type, score.params, score.value) for score in run(task)]
    found = [(score.metric_type, score.params, score.value) for score in run(task, **left_out)]
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_equal(one[2], other[2])


@pytest.mark.parametrize("empty", EMPTY)
def test_evaluate_takes_an_empty_option_as_left_out(empty):
    obs = pd.DataFrame({"cell_type": TEXT, "batch": BATCH})
    names = {name for task in ("clustering", "batch_integration", "label_prediction")
             for name, _ in optional(task, "input_model")}  # fmt: skip
    options = dict.fromkeys(names | {"baseline_n_pcs", "baseline_n_top_genes"}, empty)
    tasks = {"clustering": None, "batch_integration": None, "label_prediction": {"min_class_size": 5, "n_folds": 2}}
    del options["min_class_size"], options["n_folds"]
    found = evaluate(X, obs, tasks, **options)
    pd.testing.assert_frame_equal(found.to_frame(), evaluate(X, obs, tasks).to_frame())
    assert found.run_specification.tasks["clustering"].given == {}


@pytest.mark.parametrize("task", ["cross-species_integration", "cross-species_label_prediction"])
@pytest.mark.parametrize("empty", EMPTY)
def test_an_empty_alias_is_no_second_name(task, empty):
    given = inputs(task)
    field, alias = ("organisms", "organism_list") if "organisms" in given else ("organism_list", "organisms")
    model = TASK_REGISTRY.get_task_class(task).input_model
    assert getattr(model(**given, **{alias: empty}), field) == given[field]
    assert getattr(model(**{**given, field: empty}, **{alias: given[field]}), field) == given[field]


@pytest.mark.parametrize("task", TASKS)
def test_no_option_of_a_baseline_is_a_list(task):
    """The established client hands an empty list for one, and then asks for the baseline."""
    assert [one.name for one in TASK_REGISTRY.get_task_info(task).baseline_params.values() if one.is_multiple] == []
