import numpy as np
import pandas as pd
import pytest

from czbenchmarks.datasets.single_cell_perturbation import sample_de_genes


def random_state():
    return np.random.get_state()[1].tolist()  # noqa: NPY002 - the global generator is looked at


def table(*sizes):
    return pd.concat(
        [pd.DataFrame({"condition": c, "gene_id": [f"g{i}" for i in range(n)]}) for c, n in sizes],
        ignore_index=True,
    )


def positions(targets):
    return {condition: [int(gene[1:]) for gene in genes] for condition, genes in targets.items()}


def draw(share=0.5, least=5, seed=42):
    return positions(sample_de_genes(table(("b", 20), ("a", 11), ("c", 4)), share, least, "condition", "gene_id", seed))


def test_the_published_draws():
    assert draw() == {"b": [0, 17, 15, 1, 8, 5, 11, 3, 18, 16], "a": [6, 2, 8, 7, 9]}
    assert draw(seed=1) == {"b": [3, 16, 6, 10, 2, 14, 4, 17, 7, 1], "a": [7, 3, 5, 8, 0]}
    assert draw(1.0)["a"] == [6, 2, 8, 7, 9, 5, 10, 3, 0, 4, 1]
    assert draw(0.3) == {"b": [0, 17, 15, 1, 8, 5]}


def test_rows_may_be_mixed_and_conditions_categorical():
    rows = table(("b", 20), ("a", 11), ("c", 4))
    rows["condition"] = pd.Categorical(rows["condition"], categories=["c", "a", "unused", "b"])
    mixed = rows.iloc[[0, 20, *range(1, 20), *range(21, 35)]]
    assert positions(sample_de_genes(mixed, 0.5, 5, "condition", "gene_id")) == draw()
    assert sample_de_genes(rows, 0.5, 100, "condition", "gene_id") == {}


def test_the_global_generator_is_left_alone():
    before = random_state()
    draw()
    assert random_state() == before


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_shares_outside_the_range(share):
    with pytest.raises(ValueError, match=r"`percent_genes_to_mask` must be a"):
        draw(share)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"share": "half"}, TypeError, "`percent_genes_to_mask` must be a number, got 'half'"),
        ({"share": True}, TypeError, "`percent_genes_to_mask` must be a number, got True"),
        ({"least": 2.5}, TypeError, "`min_de_genes_to_mask` must be a whole number, got 2.5"),
        ({"least": -1}, ValueError, "`min_de_genes_to_mask` must be at least 0, got -1"),
        ({"seed": -1}, ValueError, "`random_seed` must be between 0 and 4,294,967,295, got -1"),
        ({"seed": None}, TypeError, "`random_seed` must be a whole number, got None"),
    ],
)
def test_bad_settings(settings, error, words):
    with pytest.raises(error, match=words):
        draw(**settings)


def test_bad_tables():
    rows = table(("a", 10))
    with pytest.raises(ValueError, match=r"Column 'gene' not found in de_results\. Did you mean 'gene_id'\?"):
        sample_de_genes(rows, 0.5, 5, "condition", "gene")
    rows.loc[3, "gene_id"] = None
    with pytest.raises(ValueError, match=r"gene_id must be named in every row"):
        sample_de_genes(rows, 0.5, 5, "condition", "gene_id")
