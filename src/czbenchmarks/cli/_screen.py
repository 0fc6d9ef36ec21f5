"""Whether a file holds a perturbation screen that can be scored, and by which names; expression is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from czbenchmarks._check import listing, printable
from czbenchmarks.exceptions import BAD_INPUT
from czbenchmarks.io.files.elements import is_array
from czbenchmarks.io.files.stores import child, opened

if TYPE_CHECKING:
    from czbenchmarks.io.dataset import Cells

_TABLE, _CONTROLS = "de_results_wilcoxon", "control_cells_map"
_CONTROL_NAMES = ("ctrl", "control", "controls", "non-targeting", "non_targeting", "nontargeting", "untreated",
                  "unperturbed", "vehicle", "dmso", "mock")  # fmt: skip


def screen_facts(cells: Cells, uns: list[str]) -> dict[str, Any]:
    """Return the settings that a file's screen needs, and what it lacks to be scored (None: nothing)."""
    if missing := [key for key in (_TABLE, _CONTROLS) if key not in uns]:
        problem = f"uns lacks {listing(missing)}: differential expression and the control cells of a screen"
        return {"settings": {}, "problem": problem}
    settings: dict[str, str] = {}
    names = [str(name) for name in cells.columns]
    key = next((name for name in ("condition", *names) if name in names and _names_conditions(name)), None)
    if key is None:
        return {"settings": {}, "problem": "no column of obs is called condition or perturbation"}
    if key != "condition":
        settings["condition_key"] = key
    values = {str(value) for value in cells.piece("obs", key).dropna().unique()}
    control = next((one for name in _CONTROL_NAMES for one in sorted(values) if one.lower() == name), None)
    if control is None:
        return {
            "settings": settings,
            "problem": f"no value of {printable(key)!r} in obs looks like the control cells (control_name); there are "
            f"{listing(sorted(values))}",
        }
    if control != "ctrl":
        settings["control_name"] = control
    try:
        return {"settings": settings, "problem": _problem(cells, settings)}
    except BAD_INPUT as error:
        return {"settings": settings, "problem": str(error).rstrip(".")}


def _names_conditions(name: str) -> bool:
    return any(word in name.lower() for word in ("condition", "perturb"))


def _problem(cells: Cells, settings: dict[str, str]) -> str | None:
    """Draw the target genes as scoring does, by the same code, and look for their controls."""
    from anndata import AnnData

    from czbenchmarks.datasets import Organism, SingleCellPerturbationDataset

    assert cells.path is not None
    data = SingleCellPerturbationDataset(cells.path, Organism.HUMAN, **settings)  # the organism does not matter here
    data.adata = AnnData(obs=cells.obs, uns={_TABLE: cells.piece("uns", _TABLE)})
    data.draw_target_genes()
    targets = data.target_genes
    if not targets:
        return (
            f"no condition has {data.min_de_genes_to_mask} target genes (min_de_genes_to_mask) among those that pass "
            f"pval_threshold and min_logfoldchange"
        )
    mapped = _mapped_conditions(cells)
    if not set(targets) & set(mapped):
        return (
            f"uns['{_CONTROLS}'] has no controls for {listing(targets)}, the conditions with target genes; it has "
            f"{listing(mapped) or 'none'}"
        )
    return None


def _mapped_conditions(cells: Cells) -> list[str]:
    """Return the conditions of the control map; of a large one reading the cells would take minutes."""
    from czbenchmarks.datasets.control_cells import read

    assert cells.path is not None
    with opened(cells.path, cells.name) as root:
        uns = child(root, "uns", cells.path, cells.name) if "uns" in root and not is_array(root["uns"]) else {}
        if _CONTROLS in uns and not is_array(element := child(uns, _CONTROLS, cells.path, cells.name)):
            return list(element)
    return list(read({_CONTROLS: cells.piece("uns", _CONTROLS)}))
