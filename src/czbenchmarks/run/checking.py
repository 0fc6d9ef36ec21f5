"""The trust checks of a run: which apply to its tasks, and what they say of every embedding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from czbenchmarks import _check
from czbenchmarks._check.addresses import shown
from czbenchmarks._progress import work
from czbenchmarks.exceptions import BAD_INPUT, InputError, InputTypeError
from czbenchmarks.io.dataset import Cells
from czbenchmarks.io.loading import Embeddings
from czbenchmarks.io.references import look_up
from czbenchmarks.results.record import CheckResult, Score

from .defaults import before_integration
from .inputs import Plan

if TYPE_CHECKING:
    from czbenchmarks.checks import Check
    from czbenchmarks.kernels.representation import Representation

_DONORS = ("donor_id", "donor")


@dataclass(frozen=True)
class Checking:
    """What was asked of the checks: whether at all, which embeddings saw the labels, where the donors are."""

    wanted: bool
    supervised: tuple[str, ...]
    donors: Any

    @classmethod
    def of(cls, checks: Any, supervised: Any, donors: Any) -> Checking:
        """Check what the user gave."""
        if not isinstance(checks, bool):
            raise InputTypeError(f"`checks` must be True or False, got {checks!r}.")
        names = [supervised] if isinstance(supervised, str) else supervised
        if isinstance(names, bool) or not isinstance(names, Iterable):
            raise InputTypeError(f"`supervised` must be names of embeddings, got {supervised!r}.")
        if donors is not None and not checks:
            raise InputError("`donors` must come with the checks that use them; pass checks=True (--checks).")
        return cls(checks, tuple(shown(name) for name in names), donors)

    def refuse(self, embeddings: Iterable[str], n_data_sets: int) -> None:
        """Refuse names that no embedding has, and checks of several data sets; before anything is scored."""
        for name in self.supervised:
            if name not in embeddings:
                raise InputError(_check.unknown("Embedding", name, embeddings, "(`supervised`) is not scored"))
        if n_data_sets > 1 and (self.wanted or self.supervised):
            raise InputError("`checks` must be asked for with one data set, got several; check them one by one.")

    def run(
        self,
        plans: list[Plan],
        embeddings: Embeddings,
        cells: list[Cells],
        seed: int,
        scores: list[Score],
    ) -> list[CheckResult]:
        """Return what the checks say of every embedding; what an embedding was declared to be is always said."""
        found: list[CheckResult] = []
        if not self.wanted and not self.supervised:
            return found
        inputs = _Inputs.of(plans, cells[0], self.donors)
        for name, [loaded] in embeddings.items():
            for check, make in self._of(name, loaded.representation, inputs, plans, seed, scores).items():
                with work(f"{check} of {name}"):
                    found.append(_result(name, check, make))
        return found

    def _of(
        self, name: str, X: Representation, inputs: _Inputs, plans: list[Plan], seed: int, scores: list[Score]
    ) -> dict[str, Callable[[], Check]]:
        from czbenchmarks import checks

        wanted: dict[str, Callable[[], Check]] = {}
        declared = name in self.supervised
        if inputs.labels is None and (self.wanted or declared):
            said = "No task of the run has labels of groups of cells, which this check needs."
            wanted["supervised_embedding"] = lambda: checks.Check("supervised_embedding", "not checked", said)
        if inputs.labels is not None and (self.wanted or declared):
            wanted["supervised_embedding"] = lambda: checks.supervised_embedding(X, inputs.labels, declared)
        if not self.wanted:
            return wanted
        if not any(plan.task_class.predicts_expression for plan in plans):  # predictions have other rows
            wanted["order_of_rows"] = lambda: _order(X, inputs)
        if inputs.labels is not None:
            wanted["clusters_as_labels"] = lambda: checks.clusters_as_labels(X, inputs.labels, inputs.labels_name)
            wanted["scale_and_dimension"] = lambda: _beside_pca(
                lambda before: checks.scale_and_dimension(X, inputs.labels, inputs.batch, before, seed), inputs
            )
        clusters = _suited(plans, "resolution_curve_spread")
        if clusters is not None:  # tasks may have labels of their own
            of_clusters = clusters.labels
            wanted["resolution_curve"] = lambda: checks.resolution_curve_spread(X, of_clusters)
        predicting = _suited(plans, "better_than_majority")
        if predicting is not None:
            folds: Any = predicting.task_input
            same = {key: getattr(folds, key) for key in ("labels", "n_folds", "min_class_size", "groups")}
            wanted["near_duplicates_across_folds"] = lambda: checks.near_duplicates_across_folds(
                X, **same, random_seed=seed
            )
            wanted["donors_across_folds"] = lambda: checks.donors_across_folds(
                donors=inputs.donors, **same, random_seed=seed
            )
            wanted["better_than_majority"] = lambda: _better(predicting, name, scores)
        return wanted


def _order(X: Representation, inputs: _Inputs) -> Check:
    from czbenchmarks import checks

    before, why = inputs.unintegrated()
    if before is None:
        said = why or "The data have no expression that the embedding's neighbours could be compared with."
        return checks.Check("order_of_rows", "not checked", said)
    return checks.order_of_rows(X, before)


def _suited(plans: list[Plan], check: str) -> Plan | None:
    return next((plan for plan in plans if check in plan.task_class.checks), None)


def _better(plan: Plan, embedding: str, scores: list[Score]) -> Check:
    """Judge the predictions that the task has made, those under the first seed."""
    from czbenchmarks import checks
    from czbenchmarks.tasks.classification.folds import make_folds

    task_input: Any = plan.task_input
    for score in scores:
        if (score.task, score.embedding) != (plan.key, embedding) or not score.results:
            continue
        units = score.results[0].units
        if units is not None and (made := units.columns["predicted"] >= 0).any():
            groups = None if task_input.groups is None else _check.labels(task_input.groups, "groups")
            labels = _check.labels(task_input.labels, "labels")
            names = make_folds(labels, task_input.n_folds, task_input.min_class_size, 0, groups).labels.names
            of = {name: column[made] for name, column in units.columns.items()}
            return checks.better_than_majority(names[of["true"]], names[of["predicted"]], of["classifier"], of["split"])
    return checks.Check("better_than_majority", "not checked", "The label prediction of the embedding has no scores.")


@dataclass(frozen=True)
class _Inputs:
    """What the checks compare an embedding with."""

    labels: Any
    labels_name: str | None
    batch: Any
    donors: Any
    unintegrated: Callable[[], tuple[Any, str]]

    @classmethod
    def of(cls, plans: list[Plan], cells: Cells, donors: Any) -> _Inputs:
        given = _first(getattr(plan.task_input, "unintegrated", None) for plan in plans)
        if donors is None:
            donors = next((f"@obs:{name}" for name in _DONORS if name in cells.columns), None)
        found = look_up(cells, donors) if isinstance(donors, str) else donors

        @functools.cache
        def unintegrated() -> tuple[Any, str]:
            if given is not None:
                return given, ""
            try:
                return (before_integration(cells).value if cells.has_expression else None), ""
            except BAD_INPUT as error:  # nobody named X: what it is no good for is left out of the check, and said
                return None, str(error)

        return cls(
            _first(plan.labels for plan in plans),
            _name_of_labels(plans),
            _first(plan.per_cell("batch") for plan in plans),
            found if found is None else cells.taken(found, "donors") if not isinstance(donors, str) else found,
            unintegrated,
        )


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _beside_pca(make: Callable[[Any], Check], inputs: _Inputs) -> Check:
    """Return a check that compares with the data before integration; where they are no good it says so."""
    before, why = inputs.unintegrated()
    check = make(before)
    return replace(check, sentence=f"{check.sentence} It is not compared with a PCA of X: {why}") if why else check


def _name_of_labels(plans: list[Plan]) -> str | None:
    """Return the reference by which the labels were named, of the first task that has some."""
    for plan in plans:
        asked = {**plan.defaulted, **plan.given}
        if (field := plan.field("labels")) in asked:
            name = asked[field]
            return name.removeprefix("@obs:") if isinstance(name, str) else None
    return None


def _result(embedding: str, name: str, make: Callable[[], Check]) -> CheckResult:
    try:
        check = make()
    except BAD_INPUT as error:
        return CheckResult(embedding=embedding, name=name, verdict="not checked", sentence=str(error))
    return CheckResult(
        embedding=embedding,
        name=check.name,
        verdict=check.verdict,
        sentence=check.sentence,
        table=[dict(row) for row in check.table],
        details=dict(check.details),
    )
