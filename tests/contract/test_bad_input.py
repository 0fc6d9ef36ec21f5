"""Bad input is refused at the border: one sentence, of the kind and with the words it should have, for every task."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import czbenchmarks
from czbenchmarks.datasets import SingleCellLabeledDataset, SingleCellPerturbationDataset
from czbenchmarks.datasets.types import Organism
from czbenchmarks.metrics.types import MetricResult, MetricType, metrics_registry, register_metric
from czbenchmarks.tasks.task import TASK_REGISTRY, PCABaselineInput
from czbenchmarks.tasks.utils import aggregate_cells_to_samples, cluster_embedding, filter_minimum_class

SOURCE = pathlib.Path(czbenchmarks.__file__).parent
N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5))
X.flags.writeable = False
TEXT = np.repeat(["a", "b", "c"], N // 3)
BATCH = np.tile(["x", "y"], N // 2)
TIME = np.repeat([0.0, 1.0, 2.0], N // 3)
CELLS = [f"cell{i}" for i in range(N)]
OBS = pd.DataFrame({"cell_type": TEXT}, index=CELLS)
BOTH = [Organism.HUMAN, Organism.MOUSE]

INTEGRATION, CLUSTERING, EMBEDDING = "batch_integration", "clustering", "embedding"
LABELS, SEQUENTIAL, PERTURBATION = "label_prediction", "sequential_organization", "perturbation_expression_prediction"
ACROSS, TRANSFER = "cross-species_integration", "cross-species_label_prediction"
SINGLE, SEVERAL = (INTEGRATION, CLUSTERING, EMBEDDING, LABELS, SEQUENTIAL), (ACROSS, TRANSFER)


def perturbed() -> Any:
    """Return 20 cells x 6 genes as the perturbation data set leaves them."""
    import anndata

    names = [f"p1_{i}" for i in range(10)] + [f"ctrl_{i}" for i in range(10)]
    genes = [f"g{i}" for i in range(6)]
    adata = anndata.AnnData(
        np.random.default_rng(1).gamma(2.0, 1.0, size=(20, 6)),
        obs=pd.DataFrame({"condition": ["p1"] * 10 + ["ctrl"] * 10}, index=names),
        var=pd.DataFrame(index=genes),
    )
    adata.uns["de_results"] = pd.DataFrame({"condition": "p1", "gene_id": genes, "logfoldchange": np.arange(6) - 2.5})
    adata.uns["target_conditions_dict"] = {"p1": genes}
    adata.uns["control_cells_map"] = {"p1": {f"p1_{i}": f"ctrl_{i}" for i in range(10)}}
    adata.uns["metric_column"] = "logfoldchange"
    return adata


def without(*keys: str, **replaced: Any) -> Any:
    """Return the perturbation data without some keys of ``uns``, others replaced."""
    adata = perturbed()
    for key in keys:
        del adata.uns[key]
    adata.uns.update(replaced)
    return adata


def inputs(task: str) -> dict[str, Any]:
    """Return valid input of a task."""
    found: dict[str, dict[str, Any]] = {
        INTEGRATION: {"labels": TEXT, "batch_labels": BATCH},
        CLUSTERING: {"obs": OBS, "input_labels": TEXT},
        EMBEDDING: {"input_labels": TEXT},
        LABELS: {"labels": TEXT, "n_folds": 2, "min_class_size": 5},
        SEQUENTIAL: {"obs": OBS, "input_labels": TIME, "k": 5},
        ACROSS: {"labels": [TEXT, TEXT], "organism_list": BOTH},
        TRANSFER: {"labels": [TEXT, TEXT], "organisms": BOTH, "aggregation_method": "none", "n_folds": 2},
    }
    return {"adata": perturbed()} if task == PERTURBATION else found[task]


def embedding_of(task: str) -> Any:
    return perturbed().X if task == PERTURBATION else [X, X] if task in SEVERAL else X


DROP = object()


def run(task: str, given: Any = DROP, **changes: Any) -> Any:
    """Run a task on valid input, some of it changed; ``DROP`` leaves a field out."""
    cls = TASK_REGISTRY.get_task_class(task)
    fields = {name: value for name, value in {**inputs(task), **changes}.items() if value is not DROP}
    task_input = cls.input_model(**fields)
    return cls().run(embedding_of(task) if given is DROP else given, task_input)


@dataclass
class Case:
    """A call that must be refused."""

    name: str
    call: Callable[[], Any]
    kind: type[Exception] | tuple[type[Exception], ...]
    says: str | tuple[str, ...]
    also: type[Exception] | None = None


CASES: list[Case] = []
EITHER = (ValueError, TypeError)


def case(name: str, kind: Any, says: Any, call: Callable[[], Any], also: type[Exception] | None = None) -> None:
    CASES.append(Case(name, call, kind, says, also))


def changed(value: float) -> np.ndarray:
    bad = X.copy()
    bad[3, 1] = value
    return bad


# Embeddings ------------------------------------------------------------
EMPTY_CELLS, EMPTY_DIMENSIONS = np.empty((0, 5)), np.empty((N, 0))
EMBEDDINGS: list[tuple[str, Callable[[], Any], Any]] = [
    ("NaN", lambda: changed(np.nan), ValueError),
    ("infinite", lambda: changed(np.inf), ValueError),
    ("minus infinite", lambda: changed(-np.inf), ValueError),
    ("both infinite", lambda: np.where(np.arange(5) == 1, np.inf, np.where(np.arange(5) == 2, -np.inf, X)), ValueError),
    ("sparse NaN", lambda: sp.csr_matrix(changed(np.nan)), ValueError),
    ("csc infinite", lambda: sp.csc_matrix(changed(np.inf)), ValueError),
    ("DataFrame NaN", lambda: pd.DataFrame(changed(np.nan)), ValueError),
    ("float32 NaN", lambda: changed(np.nan).astype("f4"), ValueError),
    ("too large to square", lambda: changed(1e200), ValueError),
    ("masked", lambda: np.ma.masked_array(X, mask=X > 1), EITHER),
    ("1-d", lambda: X[:, 0], ValueError),
    ("3-d", lambda: X[:, :, None], ValueError),
    ("0-d", lambda: np.array(1.0), ValueError),
    ("no cells", lambda: EMPTY_CELLS, ValueError),
    ("no dimensions", lambda: EMPTY_DIMENSIONS, ValueError),
    ("sparse without dimensions", lambda: sp.csr_matrix((N, 0)), ValueError),
    ("text", lambda: "X_pca", TypeError),
    ("path", lambda: pathlib.Path("x.npy"), TypeError),
    ("None", lambda: None, TypeError),
    ("dict", lambda: {"X": X}, TypeError),
    ("number", lambda: 3.0, TypeError),
    ("array of text", lambda: X.astype(str), TypeError),
    ("objects", lambda: X.astype(object), TypeError),
    ("complex", lambda: X.astype(complex), TypeError),
    ("dates", lambda: np.zeros((N, 5), dtype="M8[D]"), TypeError),
    ("structured", lambda: np.zeros((N, 5), dtype=[("a", "f4")]), TypeError),
    ("DataFrame with text", lambda: pd.DataFrame(X).assign(name="a"), TypeError),
    ("Series", lambda: pd.Series(X[:, 0]), EITHER),
    ("AnnData", perturbed, TypeError),
    ("class", lambda: np.ndarray, TypeError),
]
for task in (*SINGLE, PERTURBATION):
    for name, make, kind in EMBEDDINGS:
        case(f"{task}: embedding {name}", kind, "cell_representation", lambda task=task, make=make: run(task, make()))
for task in SEVERAL:
    for name, make, kind in EMBEDDINGS:
        case(
            f"{task}: second embedding {name}", kind, "cell_representation[1]",
            lambda task=task, make=make: run(task, [X, make()]),
        )  # fmt: skip
    case(f"{task}: ragged", EITHER, "cell_representation[0]", lambda task=task: run(task, [[[1.0], [1.0, 2.0]], X]))
    case(f"{task}: list of text", TypeError, "cell_representation[0]", lambda task=task: run(task, ["a", "b"]))
    case(f"{task}: other dimensions", ValueError, "cell_representation", lambda task=task: run(task, [X, X[:, :3]]))
    one = "This task requires a list of cell representations but only one was provided"
    case(f"{task}: an array", ValueError, one, lambda task=task: run(task, X))
    case(f"{task}: one data set", ValueError, one, lambda task=task: run(task, [X]))
    case(f"{task}: no data set", ValueError, one, lambda task=task: run(task, []))
    case(f"{task}: None", ValueError, one, lambda task=task: run(task, None))
    case(f"{task}: three data sets", EITHER, "labels", lambda task=task: run(task, [X, X, X]))
for task in (*SINGLE, PERTURBATION):
    words = "This task requires a single cell representation"
    case(f"{task}: list", ValueError, words, lambda task=task: run(task, [X]))
    case(f"{task}: two data sets", ValueError, words, lambda task=task: run(task, [X, X]))
    case(f"{task}: tuple", ValueError, words, lambda task=task: run(task, (X, X)))
    case(f"{task}: list of lists", ValueError, words, lambda task=task: run(task, X.tolist()))

# Labels ------------------------------------------------------------
FIELDS = [
    (INTEGRATION, "labels"), (INTEGRATION, "batch_labels"), (CLUSTERING, "input_labels"), (EMBEDDING, "input_labels"),
    (LABELS, "labels"), (SEQUENTIAL, "input_labels"),
]  # fmt: skip
LABEL_VALUES: list[tuple[str, Callable[[], Any], Any, type[Exception] | None]] = [
    ("too short", lambda: TIME[:-1], "same length", AssertionError),
    ("too long", lambda: [*TIME, 1.0], "same length", AssertionError),
    ("empty", lambda: [], (), None),
    ("missing NaN", lambda: [np.nan, *TIME[1:]], "missing", None),
    ("missing None", lambda: [None, *TIME[1:]], "missing", None),
    ("missing NA", lambda: pd.Series([pd.NA, *TIME[1:]], dtype="Float64"), "missing", None),
    ("missing category", lambda: pd.Categorical([None, *TEXT[1:]]), "missing", None),
    ("missing date", lambda: pd.to_datetime(pd.Series([None] + ["2020-01-01"] * (N - 1))), "missing", None),
    ("text", lambda: "cell_type", (), None),
    ("bytes", lambda: b"cell_type", (), None),
    ("None", lambda: None, (), None),
    ("dict", lambda: dict.fromkeys(CELLS, "a"), (), None),
    ("number", lambda: 3, (), None),
    ("set", lambda: {"a", "b"}, (), None),
    ("generator", lambda: (t for t in TEXT), (), None),
    ("2-d", lambda: TIME[:, None], "one-dimensional", None),
    ("0-d", lambda: np.array(1.0), "one-dimensional", None),
    ("nested", lambda: [[t] for t in TEXT], (), None),
    ("ragged", lambda: [["a"], ["a", "b"]] * (N // 2), (), None),
    ("DataFrame", lambda: pd.DataFrame({"t": TIME}), (), None),
    ("complex", lambda: TIME.astype(complex), (), None),
    ("sparse", lambda: sp.csr_matrix(TIME), (), None),
    ("masked", lambda: np.ma.masked_array(TIME, mask=np.arange(N) == 1), (), None),
    ("one value", lambda: np.zeros(N), (), None),
]
for task, field in FIELDS:
    for name, make, words, also in LABEL_VALUES:
        if name == "one value" and (task, field) == (INTEGRATION, "labels"):
            continue  # one label is fine there: batches are compared within it
        case(
            f"{task}: {field} {name}", EITHER, (field, *([words] if isinstance(words, str) else words)),
            lambda task=task, field=field, make=make: run(task, **{field: make()}), also,
        )  # fmt: skip
    case(f"{task}: {field} left out", ValueError, (field, "required"), lambda t=task, f=field: run(t, **{f: DROP}))
for name, make, words, also in LABEL_VALUES:
    if name not in ("None", "empty"):  # no groups are fine
        case(
            f"{LABELS}: groups {name}", EITHER, ("groups", *([words] if isinstance(words, str) else words)),
            lambda make=make: run(LABELS, groups=make()), also,
        )  # fmt: skip
case(
    f"{LABELS}: fewer groups than folds", ValueError, ("groups", "n_folds", "3 groups"),
    lambda: run(LABELS, n_folds=5, groups=[f"donor {i % 3}" for i in range(N)]),
)  # fmt: skip
case(f"{LABELS}: every group a label", ValueError, ("labels", "groups"), lambda: run(LABELS, groups=TEXT))
for task in SEVERAL:
    for name, make, words, also in LABEL_VALUES:
        if name in ("one value",):
            continue
        case(
            f"{task}: labels[1] {name}", EITHER, ("labels[1]", *([words] if isinstance(words, str) else words)),
            lambda task=task, make=make: run(task, labels=[TIME, make()]), also,
        )  # fmt: skip
    case(
        f"{task}: lengths that cancel out", ValueError, ("labels[0]", "same length"),
        lambda task=task: run(task, labels=[TEXT[:-1], [*TEXT, "a"]]), AssertionError,
    )  # fmt: skip
    for name, value in (
        ("array", np.array([TEXT, TEXT])),
        ("text", "cell_type"),
        ("dict", {"a": TEXT}),
        ("None", None),
    ):
        case(f"{task}: labels {name}", EITHER, "labels", lambda task=task, value=value: run(task, labels=value))
    also_assertion = AssertionError if task == ACROSS else None  # published: an assertion there
    organisms = "organism_list" if task == ACROSS else "organisms"
    case(f"{task}: labels of one", ValueError, "labels", lambda t=task: run(t, labels=[TEXT]), also_assertion)
    case(f"{task}: labels of three", ValueError, "labels", lambda t=task: run(t, labels=[TEXT] * 3), also_assertion)
    case(
        f"{task}: one organism",
        ValueError,
        organisms,
        lambda t=task, o=organisms: run(t, **{o: BOTH[:1]}),
        also_assertion,
    )
    case(
        f"{task}: three organisms",
        ValueError,
        organisms,
        lambda t=task, o=organisms: run(t, **{o: [*BOTH, BOTH[0]]}),
        also_assertion,
    )
    case(f"{task}: no organisms", ValueError, organisms, lambda t=task, o=organisms: run(t, **{o: []}), also_assertion)
    case(
        f"{task}: organisms left out",
        ValueError,
        (organisms, "required"),
        lambda t=task, o=organisms: run(t, **{o: DROP}),
    )
    case(f"{task}: labels left out", ValueError, ("labels", "required"), lambda t=task: run(t, labels=DROP))
    case(f"{task}: organisms as text", TypeError, organisms, lambda t=task, o=organisms: run(t, **{o: "human"}))
    case(f"{task}: organisms None", TypeError, organisms, lambda t=task, o=organisms: run(t, **{o: None}))
    case(f"{task}: organism None", EITHER, "rganism", lambda t=task, o=organisms: run(t, **{o: [None, Organism.HUMAN]}))
    case(
        f"{task}: unknown organism", ValueError, ("Organism", "'humann'", "Did you mean 'human'?"),
        lambda t=task, o=organisms: run(t, **{o: ["humann", "mouse"]}),
    )  # fmt: skip
    case(
        f"{task}: both spellings", ValueError, ("organism_list", "organisms"),
        lambda t=task: run(t, organisms=BOTH, organism_list=BOTH),
    )  # fmt: skip
case(
    "cross-species_integration: one species twice", ValueError, "At least two organisms are required",
    lambda: run(ACROSS, organism_list=["human", "human"]), AssertionError,
)  # fmt: skip
case("transfer: one label in each", ValueError, "", lambda: run(TRANSFER, labels=[["a"] * N, ["a"] * N]))

# The task input as a whole ------------------------------------------------------------
for task in (*SINGLE, PERTURBATION, *SEVERAL):
    other = EMBEDDING if task != EMBEDDING else LABELS

    def with_input(task: str, task_input: Any) -> Any:
        return TASK_REGISTRY.get_task_class(task)().run(embedding_of(task), task_input)

    def of_other(task: str = task, other: str = other) -> Any:
        return with_input(task, TASK_REGISTRY.get_task_class(other).input_model(**inputs(other)))

    case(f"{task}: dict as input", TypeError, "task_input", lambda task=task: with_input(task, inputs(task)))
    case(f"{task}: None as input", TypeError, "task_input", lambda task=task: with_input(task, None))
    case(f"{task}: class as input", TypeError, "task_input",
         lambda task=task: with_input(task, TASK_REGISTRY.get_task_class(task).input_model))  # fmt: skip
    case(f"{task}: another task's input", TypeError, "task_input", of_other)
    case(f"{task}: unknown option", ValueError, "colour", lambda task=task: run(task, colour=1))
    for seed in (-1, 2.5, "x", True, 2**32):
        case(
            f"{task}: random_seed {seed!r}", EITHER, "random_seed",
            lambda task=task, seed=seed: TASK_REGISTRY.get_task_class(task)(random_seed=seed),
        )  # fmt: skip
NEAR = [
    (CLUSTERING, "flavour", "flavor"),
    (SEQUENTIAL, "adaptivek", "adaptive_k"),
    (LABELS, "nfolds", "n_folds"),
    (TRANSFER, "sample_id", "sample_ids"),
    (PERTURBATION, "gene_idx", "gene_index"),
    (EMBEDDING, "labels", "input_labels"),
    (INTEGRATION, "batch_label", "batch_labels"),
]
for task, wrong, right in NEAR:
    case(
        f"{task}: did you mean {right}", ValueError, (wrong, f"Did you mean {right!r}?"),
        lambda task=task, wrong=wrong: run(task, **{wrong: 1}),
    )  # fmt: skip

# Whole numbers and choices ------------------------------------------------------------
for task, field, values in (
    (CLUSTERING, "n_iterations", (0, -1, 2.5, True, "x", np.nan, [2])),
    (LABELS, "n_folds", (1, 0, -1, 2.5, True, "x", np.inf)),
    (LABELS, "min_class_size", (0, -1, 2.5, True, "x")),
    (SEQUENTIAL, "k", (0, -1, 2.5, True, "x", np.nan, [3])),
    (TRANSFER, "n_folds", (1, 0, -1, 2.5, True, "x")),
):
    for value in values:
        case(
            f"{task}: {field}={value!r}", EITHER, field,
            lambda task=task, field=field, value=value: run(task, **{field: value}),
        )  # fmt: skip
for task, field, values in (
    (CLUSTERING, "flavor", ("louvain", 1, "")),
    (CLUSTERING, "use_rep", ("X_pca", 1, "")),
    (CLUSTERING, "key_added", (3,)),
    (SEQUENTIAL, "normalize", ("maybe", 7)),
    (SEQUENTIAL, "adaptive_k", ("maybe", 7)),
    (TRANSFER, "aggregation_method", ("sum", 3)),
    (PERTURBATION, "pred_effect_operation", ("log", 3)),
):
    for value in values:
        case(
            f"{task}: {field}={value!r}", EITHER, field,
            lambda task=task, field=field, value=value: run(task, **{field: value}),
        )  # fmt: skip
for k in (N, N + 1, 10 * N):
    case(f"sequential: k={k}", ValueError, ("Need at least", "`k`"), lambda k=k: run(SEQUENTIAL, k=k))
    case(
        f"sequential: adaptive k={k}",
        ValueError,
        ("Need at least", "`k`"),
        lambda k=k: run(SEQUENTIAL, k=k, adaptive_k=True),
    )
case("sequential: two cells", ValueError, "Need at least",
     lambda: run(SEQUENTIAL, X[:2], input_labels=[0, 1], obs=OBS[:2]))  # fmt: skip
case(
    "clustering: two cells",
    ValueError,
    "Need at least",
    lambda: run(CLUSTERING, X[:2], input_labels=["a", "b"], obs=OBS[:2]),
)
case("clustering: one cell", ValueError, "", lambda: run(CLUSTERING, X[:1], input_labels=["a"], obs=OBS[:1]))
case("embedding: one cell", ValueError, "input_labels", lambda: run(EMBEDDING, X[:1], input_labels=["a"]))
case(
    "integration: one cell",
    ValueError,
    "batch_labels",
    lambda: run(INTEGRATION, X[:1], labels=["a"], batch_labels=["x"]),
)

# Times, folds, samples ------------------------------------------------------------
for name, value in (
    ("text", TEXT), ("one text", ["day0", *TIME[1:]]), ("categories of text", pd.Categorical(TEXT)),
    ("durations as text", ["1 day"] * N), ("empty text", ["", *TIME[1:]]), ("objects", [object()] * N),
):  # fmt: skip
    case(
        f"sequential: labels {name}",
        EITHER,
        ("must be numeric", "input_labels"),
        lambda v=value: run(SEQUENTIAL, input_labels=v),
    )
for name, value in (("inf", [np.inf, *TIME[1:]]), ("minus inf", [-np.inf, *TIME[1:]]), ("text inf", ["inf", *TIME[1:]]),
                    ("text nan", ["nan", *map(str, TIME[1:])])):  # fmt: skip
    case(
        f"sequential: labels {name}",
        ValueError,
        ("input_labels", "finite"),
        lambda v=value: run(SEQUENTIAL, input_labels=v),
    )
case(
    "sequential: numbers beyond floats",
    EITHER,
    "input_labels",
    lambda: run(SEQUENTIAL, input_labels=[10**400, *range(N - 1)]),
)
DATES = [datetime.date(2020, 1, 1), *[datetime.date(2020, 1, 2)] * (N - 1)]
case("sequential: dates", EITHER, "input_labels", lambda: run(SEQUENTIAL, input_labels=DATES))
case("label_prediction: more folds than cells of a class", ValueError, ("n_folds", "min_class_size"),
     lambda: run(LABELS, n_folds=6, min_class_size=5))  # fmt: skip
case(
    "label_prediction: all classes small",
    ValueError,
    ("labels", "min_class_size"),
    lambda: run(LABELS, min_class_size=21),
)
case("label_prediction: all cells differ", ValueError, "labels", lambda: run(LABELS, labels=CELLS))
case(
    "label_prediction: one class is left", ValueError, "labels", lambda: run(LABELS, labels=["a"] * (N - 3) + ["b"] * 3)
)
for method in ("mean", "median"):
    case(
        f"transfer: {method} without samples",
        ValueError,
        "sample_ids",
        lambda m=method: run(TRANSFER, aggregation_method=m),
    )
SAMPLES = np.repeat([f"s{i}" for i in range(12)], 5)
for name, value, words in (
    ("too short", [SAMPLES, SAMPLES[:-1]], ("sample_ids[1]", "same length")),
    ("cancelling lengths", [SAMPLES[:-1], [*SAMPLES, "s"]], ("sample_ids[0]", "same length")),
    ("missing", [SAMPLES, [None, *SAMPLES[1:]]], ("sample_ids[1]", "missing")),
    ("one list", [SAMPLES], ("sample_ids",)),
    ("three lists", [SAMPLES] * 3, ("sample_ids",)),
    ("flat", SAMPLES, ("sample_ids",)),
    ("flat list", SAMPLES.tolist(), ("sample_ids",)),
    ("text", "donor", ("sample_ids",)),
    ("None inside", [SAMPLES, None], ("sample_ids[1]",)),
):
    for method in ("mean", "none"):
        case(
            f"transfer: sample_ids {name}, {method}", EITHER, words,
            lambda value=value, method=method: run(TRANSFER, sample_ids=value, aggregation_method=method),
        )  # fmt: skip
case(
    "transfer: one sample in each",
    ValueError,
    "",
    lambda: run(TRANSFER, sample_ids=[["s"] * N] * 2, aggregation_method="mean"),
)

# obs ------------------------------------------------------------
for task in (CLUSTERING, SEQUENTIAL):
    for name, value in (
        ("list", CELLS),
        ("None", None),
        ("dict", {"a": 1}),
        ("Series", OBS["cell_type"]),
        ("array", X),
        ("AnnData", 1),
    ):
        case(f"{task}: obs {name}", EITHER, "obs", lambda task=task, value=value: run(task, obs=value))
    case(
        f"{task}: obs too short",
        ValueError,
        ("obs", "same length"),
        lambda task=task: run(task, obs=OBS[:-1]),
        AssertionError,
    )
    case(
        f"{task}: obs too long",
        ValueError,
        "obs",
        lambda task=task: run(task, obs=pd.concat([OBS, OBS[:1]])),
        AssertionError,
    )
    case(f"{task}: obs empty", ValueError, "obs", lambda task=task: run(task, obs=pd.DataFrame()), AssertionError)
    case(f"{task}: obs left out", ValueError, ("obs", "required"), lambda task=task: run(task, obs=DROP))
    case(
        f"{task}: labels in another order", ValueError, ("input_labels", "obs"),
        lambda task=task: run(task, input_labels=pd.Series(TIME, index=CELLS)[::-1]),
    )  # fmt: skip

# Perturbation ------------------------------------------------------------
Y = perturbed().X
for name, value in (("None", None), ("dict", {"X": Y}), ("array", Y), ("DataFrame", OBS), ("text", "a.h5ad")):
    case(f"perturbation: adata {name}", TypeError, "adata", lambda value=value: run(PERTURBATION, adata=value))
case("perturbation: adata left out", ValueError, ("adata", "required"), lambda: run(PERTURBATION, adata=DROP))
for key in ("control_cells_map", "target_conditions_dict", "de_results"):
    case(f"perturbation: no {key}", ValueError, key, lambda key=key: run(PERTURBATION, adata=without(key)))
    for name, value in (("list", ["p1"]), ("text", "p1"), ("None", None), ("empty", {})):
        if (key, name) == ("control_cells_map", "empty"):
            continue
        case(
            f"perturbation: {key} {name}",
            EITHER,
            key,
            lambda key=key, value=value: run(PERTURBATION, adata=without(**{key: value})),
        )
DE = perturbed().uns["de_results"]
for name, adata, words in (
    ("no control map at all", {"control_cells_map": {}}, "control_cells_map"),
    ("map of lists", {"control_cells_map": {"p1": ["ctrl_0"]}}, "control_cells_map"),
    ("map of None", {"control_cells_map": {"p1": {f"p1_{i}": None for i in range(10)}}}, "control_cells_map"),
    ("map of numbers", {"control_cells_map": {"p1": {f"p1_{i}": i for i in range(10)}}}, "control_cells_map"),
    ("targets None", {"target_conditions_dict": {"p1": None}}, "target_conditions_dict"),
    ("targets text", {"target_conditions_dict": {"p1": "g1"}}, "target_conditions_dict"),
    ("targets number", {"target_conditions_dict": {"p1": 3}}, "target_conditions_dict"),
    ("no gene column", {"de_results": DE.drop(columns="gene_id")}, "gene_id"),
    ("no condition column", {"de_results": DE.drop(columns="condition")}, "condition"),
    ("no effect column", {"de_results": DE.drop(columns="logfoldchange")}, "logfoldchange"),
    ("effects as text", {"de_results": DE.assign(logfoldchange="up")}, "logfoldchange"),
    ("effects missing", {"de_results": DE.assign(logfoldchange=np.nan)}, "no score"),
    ("effects infinite", {"de_results": DE.assign(logfoldchange=np.inf)}, "no score"),
    ("other metric column", {"metric_column": "score"}, "score"),
    ("no known controls", {"control_cells_map": {"p1": {f"p1_{i}": "nobody" for i in range(10)}}}, "no score"),
    ("no known treated cells", {"control_cells_map": {"p1": {"nobody": "ctrl_0"}}}, "no score"),
    ("condition without controls", {"control_cells_map": {"p2": {"p1_0": "ctrl_0"}}}, "no score"),
    ("one target", {"target_conditions_dict": {"p1": ["g1"]}}, "no score"),
    ("no target", {"target_conditions_dict": {"p1": []}}, "no score"),
    ("unknown targets", {"target_conditions_dict": {"p1": ["h1", "h2"]}}, "no score"),
    ("unknown condition", {"target_conditions_dict": {"p9": ["g1", "g2"]}}, "no score"),
):
    case(f"perturbation: {name}", EITHER, words, lambda adata=adata: run(PERTURBATION, adata=without(**adata)))
case("perturbation: constant prediction", ValueError, "no score", lambda: run(PERTURBATION, np.ones((20, 6))))
case(
    "perturbation: cells missing",
    ValueError,
    ("cell_index", "Predictions must match adata shape"),
    lambda: run(PERTURBATION, Y[:-1]),
)
case(
    "perturbation: genes missing",
    ValueError,
    ("gene_index", "Predictions must match adata shape"),
    lambda: run(PERTURBATION, Y[:, :-1]),
)
case("perturbation: transposed", ValueError, "_index", lambda: run(PERTURBATION, Y.T))
for field, names in (("cell_index", perturbed().obs_names), ("gene_index", perturbed().var_names)):
    for name, value in (
        ("unknown", ["nobody", *names[1:]]), ("twice", [names[1], *names[1:]]), ("too short", names[:-1]),
        ("too long", [*names, "one more"]), ("text", "p1_0"), ("empty", names[:0]), ("dict", {"a": 1}), ("number", 3),
        ("2-d", np.array([names, names])), ("missing", pd.Index([None, *names[1:]])), ("positions", range(len(names))),
        ("levels", pd.MultiIndex.from_arrays([names, names])),
    ):  # fmt: skip
        case(
            f"perturbation: {field} {name}",
            EITHER,
            field,
            lambda field=field, value=value: run(PERTURBATION, **{field: value}),
        )


def doubled_names() -> Any:
    adata = perturbed()
    names = adata.obs_names.tolist()
    adata.obs.index = [names[1], *names[1:]]
    return adata


case("perturbation: cell names twice", ValueError, "adata", lambda: run(PERTURBATION, adata=doubled_names()))

# Baselines ------------------------------------------------------------
COUNTS = np.random.default_rng(2).poisson(2.0, size=(N, 120)).astype("f4")


def baseline(task: str, expression: Any = COUNTS, baseline_input: Any = None) -> Any:
    return TASK_REGISTRY.get_task_class(task)().compute_baseline(expression, baseline_input)


for field, values in (
    ("n_top_genes", (99, 20_001, 0, -1, 2.5, True, "x")),
    ("n_pcs", (0, 1001, -1, 2.5, True, "x")),
):
    for value in values:
        case(
            f"baseline: {field}={value!r}",
            EITHER,
            field,
            lambda field=field, value=value: PCABaselineInput(**{field: value}),
        )
case("baseline: obsm_key", TypeError, "obsm_key", lambda: PCABaselineInput(obsm_key=3))
case(
    "baseline: unknown option",
    ValueError,
    ("n_top_gene", "Did you mean 'n_top_genes'?"),
    lambda: PCABaselineInput(n_top_gene=300),
)
case(
    "baseline: too many components",
    ValueError,
    "n_pcs",
    lambda: baseline(EMBEDDING, baseline_input=PCABaselineInput(n_pcs=N)),
)
case(
    "baseline: more components than few genes have",
    ValueError,
    "n_pcs",
    lambda: baseline(EMBEDDING, COUNTS[:, :20], PCABaselineInput(n_pcs=50)),
)
case("baseline: dict as input", TypeError, "baseline_input", lambda: baseline(EMBEDDING, baseline_input={"n_pcs": 5}))
case("baseline: AnnData", TypeError, "expression_data", lambda: baseline(EMBEDDING, perturbed()))
FEW = PCABaselineInput(n_pcs=5)
for task in (EMBEDDING, LABELS):
    for name, make, kind in EMBEDDINGS:
        if name in ("AnnData", "class"):
            continue
        case(
            f"{task}: baseline of {name}", kind, "expression_data",
            lambda task=task, make=make: baseline(task, make(), FEW if task == EMBEDDING else None),
        )  # fmt: skip
for name, make in (
    ("dense", lambda: -COUNTS),
    ("sparse", lambda: sp.csr_matrix(-COUNTS)),
    ("frame", lambda: pd.DataFrame(-COUNTS)),
):
    for task in (EMBEDDING, CLUSTERING, INTEGRATION, SEQUENTIAL):
        case(
            f"{task}: baseline of negative {name}",
            ValueError,
            "expression_data",
            lambda task=task, make=make: baseline(task, make(), FEW),
        )
for name, expression in (
    ("nothing expressed", np.zeros((N, 120))),
    ("all alike", np.ones((N, 120))),
    ("sparse, nothing expressed", sp.csr_matrix((N, 120))),
    ("one cell", COUNTS[:1]),
    ("one gene", COUNTS[:, :1]),
):
    case(
        f"baseline: {name}",
        ValueError,
        ("`", "got"),
        lambda expression=expression: baseline(EMBEDDING, expression, FEW),
    )
for task in (ACROSS, TRANSFER, PERTURBATION):
    case(f"{task}: baseline", NotImplementedError, "Baseline not implemented", lambda task=task: baseline(task))

# Registries ------------------------------------------------------------
METHODS: dict[str, Callable[[Any], Any]] = {
    "get_task_class": TASK_REGISTRY.get_task_class,
    "get_task_info": TASK_REGISTRY.get_task_info,
    "get_task_help": TASK_REGISTRY.get_task_help,
    "validate_task_inputs": lambda name: TASK_REGISTRY.validate_task_inputs(name, {}),
    "validate_baseline_inputs": lambda name: TASK_REGISTRY.validate_baseline_inputs(name, {}),
    "validate_and_build_inputs": lambda name: TASK_REGISTRY.validate_and_build_inputs(name, "input_model", {}),
    "resolve": TASK_REGISTRY.resolve,
}
for name, method in METHODS.items():
    for key in ("clusterng", "", "zz"):
        case(
            f"registry: {name}({key!r})",
            ValueError,
            f"Task {key!r} not found",
            lambda method=method, key=key: method(key),
        )
    case(f"registry: {name}(None)", EITHER, "Task None not found", lambda method=method: method(None))
case(
    "registry: did you mean",
    ValueError,
    "Did you mean 'clustering'?",
    lambda: TASK_REGISTRY.get_task_class("clusterng"),
)
case(
    "registry: model_type",
    ValueError,
    "model_type",
    lambda: TASK_REGISTRY.validate_and_build_inputs(EMBEDDING, "output_model", {}),
)
case("registry: missing option", ValueError, "input_labels", lambda: TASK_REGISTRY.validate_task_inputs(EMBEDDING, {}))
case(
    "registry: unknown baseline option",
    ValueError,
    "n_pc",
    lambda: TASK_REGISTRY.validate_baseline_inputs(EMBEDDING, {"n_pc": 3}),
)
for name, value in (("None", None), ("list", ["a"]), ("text", "a")):
    case(
        f"registry: params {name}",
        EITHER,
        "params",
        lambda value=value: TASK_REGISTRY.validate_task_inputs(EMBEDDING, value),
    )
    case(
        f"registry: baseline params {name}",
        EITHER,
        "params",
        lambda value=value: TASK_REGISTRY.validate_baseline_inputs(EMBEDDING, value),
    )


def compute(metric: Any, **arguments: Any) -> Any:
    return metrics_registry.compute(metric, **arguments)


UNKNOWN = "Unknown metric type"
for name, value in (("text", "silhouette"), ("key", "silhouette_score"), ("None", None), ("number", 3)):
    case(f"metrics: {name}", ValueError, UNKNOWN, lambda value=value: compute(value, X=X, labels=TEXT))
    case(f"metrics: info of {name}", ValueError, UNKNOWN, lambda value=value: metrics_registry.get_info(value))
case(
    "metrics: no labels",
    ValueError,
    ("Missing required arguments", "labels"),
    lambda: compute(MetricType.SILHOUETTE_SCORE, X=X),
)
case("metrics: nothing", ValueError, ("Missing required arguments", "X"), lambda: compute(MetricType.BATCH_SILHOUETTE))
case("metrics: unknown argument", TypeError, ("lables", "Did you mean 'labels'?"),
     lambda: compute(MetricType.SILHOUETTE_SCORE, X=X, labels=TEXT, lables=TEXT))  # fmt: skip
case("metrics: register a name", TypeError, "metric_type", lambda: metrics_registry.register("new", len))
case("metrics: register no function", TypeError, "func", lambda: metrics_registry.register(MetricType.JACCARD, 3))
case("metrics: key in capitals", ValueError, "key", lambda: register_metric("New", len, needs="x", about="."))
case("metrics: key known", ValueError, "key", lambda: register_metric("jaccard", len, needs="y_true", about="."))
case(
    "metrics: function as text",
    TypeError,
    "function",
    lambda: register_metric("some_new", "module.function", needs="x", about="."),
)
OF_X = (
    MetricType.SILHOUETTE_SCORE,
    MetricType.ENTROPY_PER_CELL,
    MetricType.BATCH_SILHOUETTE,
    MetricType.SEQUENTIAL_ALIGNMENT,
)
for metric in OF_X:
    more = {"batch": BATCH} if metric is MetricType.BATCH_SILHOUETTE else {}
    for name, make, kind in EMBEDDINGS:
        case(
            f"{metric.name}: X {name}",
            kind,
            "`X`",
            lambda m=metric, make=make, more=more: compute(m, X=make(), labels=TIME, **more),
        )
    for name, make, words, also in LABEL_VALUES:
        if name != "one value":
            case(f"{metric.name}: labels {name}", EITHER, ("`labels`", *([words] if isinstance(words, str) else words)),
                 lambda m=metric, make=make, more=more: compute(m, X=X, labels=make(), **more), also)  # fmt: skip
for metric in (MetricType.ADJUSTED_RAND_INDEX, MetricType.NORMALIZED_MUTUAL_INFO):
    for name, make, _, _ in LABEL_VALUES:
        if name != "one value":
            case(
                f"{metric.name}: {name}",
                EITHER,
                "labels_pred",
                lambda m=metric, make=make: compute(m, labels_true=TEXT, labels_pred=make()),
            )
for a, b, words in (
    ([1, 2], [1], "same length"),
    ([1, np.nan], [1, 2], "`a`"),
    ([1, 2], [1, np.inf], "`b`"),
    (["u", "v"], [1, 2], "`a`"),
    (None, [1], "`a`"),
    ([[1, 2], [3, 4]], [1, 2, 3, 4], "`a`"),
    ([1, 2], [1, 2j], "`b`"),
):
    case(
        f"spearman: {a}, {b}",
        EITHER,
        words,
        lambda a=a, b=b: compute(MetricType.SPEARMAN_CORRELATION_CALCULATION, a=a, b=b),
    )
for given in ("ab", None, 3, [["a"]]):
    case(
        f"jaccard: {given!r}",
        TypeError,
        "y_true",
        lambda given=given: compute(MetricType.JACCARD, y_true=given, y_pred={"a"}),
    )
ROWS = pd.DataFrame({"classifier": ["lr", "lr"], "accuracy": [0.5, 1.0]})
case("mean_fold: no rows", ValueError, "No results found after filtering",
     lambda: compute(MetricType.MEAN_FOLD_ACCURACY, results_df=ROWS, classifier="rf"))  # fmt: skip
case("mean_fold: no column", ValueError, "'f1'", lambda: compute(MetricType.MEAN_FOLD_F1_SCORE, results_df=ROWS))
case(
    "single: many rows",
    ValueError,
    "Multiple results found after filtering",
    lambda: compute(MetricType.ACCURACY, results_df=ROWS),
)
for given in (None, 3, "rows"):
    case(
        f"mean_fold: results {given!r}",
        EITHER,
        "results_df",
        lambda given=given: compute(MetricType.MEAN_FOLD_ACCURACY, results_df=given),
    )

# Functions and data sets ------------------------------------------------------------
case("aggregate: lengths", ValueError, "Mismatched lengths", lambda: aggregate_cells_to_samples(X, TEXT, SAMPLES[:-1]))
case("aggregate: labels", ValueError, "Mismatched lengths", lambda: aggregate_cells_to_samples(X, TEXT[:-1], SAMPLES))
case("aggregate: method", ValueError, "aggregation_method", lambda: aggregate_cells_to_samples(X, TEXT, SAMPLES, "sum"))
case("aggregate: NaN", ValueError, "embeddings", lambda: aggregate_cells_to_samples(changed(np.nan), TEXT, SAMPLES))
case(
    "aggregate: missing sample",
    ValueError,
    "sample_ids",
    lambda: aggregate_cells_to_samples(X, TEXT, [None, *SAMPLES[1:]]),
)
case(
    "filter: lengths", ValueError, ("labels", "same length"), lambda: filter_minimum_class(X, TEXT[:-1]), AssertionError
)
case("filter: missing", ValueError, "labels", lambda: filter_minimum_class(X, [None, *TEXT[1:]]))
case("filter: size", EITHER, "min_class_size", lambda: filter_minimum_class(X, TEXT, "x"))
case("cluster: use_rep", ValueError, "use_rep", lambda: cluster_embedding(perturbed(), use_rep="X_pca"))
case("cluster: flavor", ValueError, "flavor", lambda: cluster_embedding(perturbed(), flavor="louvain"))
case("cluster: n_iterations", EITHER, "n_iterations", lambda: cluster_embedding(perturbed(), n_iterations=0))
case("cluster: no AnnData", TypeError, "adata", lambda: cluster_embedding(X))
case("organism", ValueError, ("Organism", "Did you mean 'zebrafish'?"), lambda: Organism("zebrafsh"))
PATH = "Dataset path does not exist"
case("data set: path", ValueError, PATH, lambda: SingleCellLabeledDataset("no.h5ad", Organism.HUMAN), FileNotFoundError)
case(
    "perturbation data set: path",
    ValueError,
    PATH,
    lambda: SingleCellPerturbationDataset("no.h5ad", Organism.HUMAN),
    FileNotFoundError,
)
case("data set: path None", TypeError, "path", lambda: SingleCellLabeledDataset(None, Organism.HUMAN))


def test_there_are_enough_cases_of_every_task():
    for task in (*SINGLE, PERTURBATION, *SEVERAL):
        assert sum(one.name.startswith(task) for one in CASES) >= 40, task
    assert len({one.name for one in CASES}) == len(CASES)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_bad_input_is_refused(one):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the kind is compared below, exactly
        one.call()
    error, message = caught.value, str(caught.value)
    kinds = one.kind if isinstance(one.kind, tuple) else (one.kind,)
    assert isinstance(error, kinds), f"{type(error).__name__}: {message}"
    assert type(error) in kinds or type(error).__module__.startswith("czbenchmarks."), type(error)
    if one.also is not None:
        assert isinstance(error, one.also), f"{type(error)} is no {one.also.__name__}"
    last = caught.tb
    while last.tb_next is not None:
        last = last.tb_next
    file = pathlib.Path(last.tb_frame.f_code.co_filename)
    assert file.is_relative_to(SOURCE), f"raised in {file.name}: {message}"
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 400, message
    assert message.endswith((".", ")")), message
    for words in (one.says,) if isinstance(one.says, str) else one.says:
        assert words in message


@pytest.mark.parametrize("task", [*SINGLE, PERTURBATION, *SEVERAL])
def test_the_unchanged_input_is_accepted(task):
    assert all(isinstance(result, MetricResult) and np.isfinite(result.value) for result in run(task))


@pytest.mark.parametrize("index", [range(N), range(N)[::-1], [f"other{i}" for i in range(N)], ["same"] * N], ids=str)
@pytest.mark.parametrize("task", [CLUSTERING, SEQUENTIAL])
def test_any_other_index_is_ignored(task, index):
    expected = [result.value for result in run(task, input_labels=TIME)]
    found = run(task, input_labels=pd.Series(TIME, index=list(index)))
    assert [result.value for result in found] == expected


@pytest.mark.parametrize("task", [*SINGLE, *SEVERAL, PERTURBATION])
def test_a_refused_run_leaves_the_task_usable(task):
    """The instance is configuration: a failed run does not change the next."""
    cls = TASK_REGISTRY.get_task_class(task)
    instance, task_input = cls(), cls.input_model(**inputs(task))
    before = dict(vars(instance))
    expected = [result.value for result in instance.run(embedding_of(task), task_input)]
    bad = np.full((N, 5), np.nan)
    with pytest.raises(ValueError, match="finite"):
        instance.run([X, bad] if task in SEVERAL else bad, task_input)
    assert vars(instance) == before
    assert [result.value for result in instance.run(embedding_of(task), task_input)] == expected
