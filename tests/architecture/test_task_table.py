"""The table of the tasks that come with the package says what their classes say."""

from __future__ import annotations

import pytest

from czbenchmarks._lazy import load
from czbenchmarks.tasks import registry
from czbenchmarks.tasks.task import TASK_REGISTRY, Task


@pytest.mark.parametrize("key", registry._rows())
def test_row_equals_class(key):
    reference, display_name, summary, several = registry._rows()[key]
    cls = load(reference)
    assert issubclass(cls, Task)
    assert TASK_REGISTRY.get_task_class(key) is cls
    assert registry.key_of(cls.display_name) == key
    row = (cls.display_name, cls.description, cls.requires_multiple_datasets)
    assert row == (display_name, summary, several) == tuple(TASK_REGISTRY.summaries()[key])


def test_summaries_are_one_line_and_differ():
    summaries = [row.summary for row in TASK_REGISTRY.summaries().values()]
    assert all("\n" not in summary and summary.endswith(".") for summary in summaries)


def test_a_row_can_be_read_from_its_file():
    found = registry._read("czbenchmarks.tasks.clustering")
    assert found == {"clustering": registry._BUILT_IN["clustering"]}
