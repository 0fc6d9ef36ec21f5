"""From measurements to tables: medians, ratios, exponents, and the page that shows them. Nothing here measures."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Results = dict[str, Any]
SCHEMA = 1
NOT_MEASURED = "Not measured yet."
SIDES = ("ours", "other", "fast")
_PEER = "scib-metrics"
_TOO_LONG = "took longer than "
# Measure of a process -> heading, unit.
MEASURES = {
    "fresh_s": ("A fresh process, from its start to the first result", "s"),
    "first_s": ("First call", "s"),
    "second_s": ("Second call in the same process", "s"),
    "peak_mb": ("Peak memory of the process", "MB"),
}


def medians(runs: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the median of every measure over the runs that have it; failed runs have none."""
    runs = list(runs)
    found = {name: [run[name] for run in runs if name in run] for name in (*MEASURES, "import_s")}
    return {name: statistics.median(values) for name, values in found.items() if values}


def failure(runs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why runs failed, if any did."""
    return next((str(run["failed"]) for run in runs if "failed" in run), None)


def exponent(cells: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Return the slope of log seconds against log cells by least squares; None for fewer than two sizes."""
    if len(set(cells)) < 2:
        return None
    return statistics.linear_regression([math.log(n) for n in cells], [math.log(s) for s in seconds]).slope


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with about so many significant digits, without powers of ten for what people read."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a terminal: the first column to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def merge(old: Results, new: Results) -> Results:
    """Return both; the new runs of a case's side replace its old runs, everything else stays.

    Measurements of another machine, or with other versions, cannot stand in one table.
    """
    if not old:
        return new
    known = {**old.get("environments", {}), **new.get("environments", {})}
    for what, before, now in [
        ("the machine", old.get("machine"), new.get("machine")),
        *((f"the environment of {side}", old.get("environments", {}).get(side), known[side]) for side in known),
    ]:
        if before is not None and now is not None and before != now:
            changed = sorted(key for key in {**before, **now} if before.get(key) != now.get(key))
            raise ValueError(
                f"Measurements in one file must share {what}: {', '.join(changed)} differ from the file's; "
                "write to another file, or begin anew with --fresh."
            )
    cases = {name: dict(case) for name, case in old.get("cases", {}).items()}
    for name, case in new.get("cases", {}).items():
        before = cases.get(name, {})
        cases[name] = {**before, **case, "runs": {**before.get("runs", {}), **case.get("runs", {})}}
    return {**old, **new, "environments": known, "cases": dict(sorted(cases.items()))}


def load(path: Path) -> Results:
    """Return the measurements of a file, none if it does not exist."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("schema") != SCHEMA:
        raise ValueError(
            f"{path.name} must have schema {SCHEMA}, got {found.get('schema')!r}; begin anew with --fresh."
        )
    return found


def save(path: Path, results: Results) -> None:
    """Write measurements, all or nothing; a case is a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    head = [f"{json.dumps(name)}: {json.dumps(of)}" for name, of in results.items() if name != "cases"]
    cases = [f"{json.dumps(name)}: {json.dumps(case, allow_nan=False)}" for name, case in results["cases"].items()]
    text = "{\n" + ",\n".join(head) + ',\n"cases": {\n' + ",\n".join(cases) + "\n}}\n"
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def replace_sections(page: str, sections: Mapping[str, str]) -> str:
    """Return the page with the text between each pair of markers replaced; all else stays as it is."""
    for name, content in sections.items():
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
            raise ValueError(
                f"The page must hold {begin!r} and then {end!r}, once each; write both lines where it goes."
            )
        before, rest = page.split(begin)
        page = f"{before}{begin}\n\n{content.strip()}\n\n{end}{rest.split(end)[1]}"
    return page


def sections(results: Results) -> dict[str, str]:
    """Return the generated parts of the page."""
    cases = results.get("cases", {})
    kinds: dict[str, list[dict[str, Any]]] = {
        "task": [], "start": [], "bound": [], "million": [], "scib": [],
    }  # fmt: skip
    for case in cases.values():
        kinds[case["kind"]].append(case)
    found = {
        "machine": _machine(results), "times": _times(kinds["task"]), "scaling": _scaling(kinds["task"]),
        "values": _values(kinds["task"]), "start": _start(kinds["start"]), "bound": _bound(kinds["bound"]),
        "million": _million(kinds["million"]), "scib": _scib(kinds["scib"]),
    }  # fmt: skip
    return {name: text or NOT_MEASURED for name, text in found.items()}


def _machine(results: Results) -> str:
    if not results:
        return ""
    made, dates = results["machine"], sorted(case["date"] for case in results["cases"].values())
    between = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    lines = [
        f"- Machine: {made['processor']}, {made['cores']} cores, {made['memory_gib']} GiB, {made['system']}; "
        f"{made['threads']} threads; {between}."
    ]
    for side, name in (("ours", "Ours"), ("other", "Published"), (_PEER, "scib-metrics")):
        if side in results["environments"]:
            of = results["environments"][side]
            packages = ", ".join(f"{package} {version}" for package, version in of["packages"].items())
            lines.append(f"- {name}: Python {of['python']}, {packages}.")
    return "\n".join(lines)


def _runs(case: Mapping[str, Any], side: str) -> list[dict[str, Any]]:
    return case["runs"].get(side, [])


def _rows(tasks: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, dict[int, Mapping[str, Any]]]]:
    """Return name, side and the cases by number of cells, one for each line of the tables of times."""
    rows = []
    kinds = dict.fromkeys((case["task"], case["width"], case["columns"]) for case in tasks)
    for task, width, columns in kinds:
        by_size = {case["cells"]: case for case in tasks if (case["task"], case["width"]) == (task, width)}
        several = sum(other == task for other, _, _ in kinds) > 1
        name = task.replace("_", " ") + (f", {width:,} {columns}" if several or columns != "dimensions" else "")
        for side, engine in (("ours", ""), ("fast", ", fast engine")):
            if any(_runs(case, side) for case in by_size.values()):
                rows.append((name + engine, side, dict(sorted(by_size.items()))))
    return rows


def _times(tasks: Sequence[Mapping[str, Any]]) -> str:
    if not tasks:
        return ""
    sizes = sorted({case["cells"] for case in tasks})
    parts, failed = [_processes(tasks, sizes)], {}
    columns = [text for size in sizes for text in (f"{size:,} cells: ours / published", "times")]
    for measure, (heading, unit) in MEASURES.items():
        rows = []
        for name, side, by_size in _rows(tasks):
            line = [name]
            for size in sizes:
                case = by_size.get(size)
                line += ["", ""] if case is None else _pair(_runs(case, side), _runs(case, "other"), measure)
            if any(line[1:]):
                rows.append(line)
        if rows:
            parts.append(f"### {heading}, {unit}\n\n" + table(["Task", *columns], rows))
    rows = []
    for name, side, by_size in _rows(tasks):
        of = {who: [run for case in by_size.values() for run in _runs(case, who)] for who in (side, "other")}
        rows.append([name, *_pair(of[side], of["other"], "import_s")])
        for size, case in by_size.items():
            for who, whose in ((side, "ours"), ("other", "published")):
                if reason := failure(_runs(case, who)):
                    failed[f"{name}, {size:,} cells, {whose}"] = reason
    parts.append(f"### Import, s\n\n{table(['Task', 'ours / published', 'times'], rows)}")
    if failed:
        parts.append("Failed:\n\n" + "\n".join(f"- {where}: `{why}`" for where, why in failed.items()))
    return "\n\n".join(parts)


def _processes(tasks: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> str:
    said = []
    for size in sizes:
        counted = {len(runs) for case in tasks if case["cells"] == size for runs in case["runs"].values()}
        least, most = min(counted), max(counted)
        said.append(f"{least if least == most else f'{least} to {most}'} at {size:,} cells")
    return f"Processes of each side: {', '.join(said)}."


def _pair(ours: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], measure: str) -> list[str]:
    """Return ours and the other in one cell, and how many times less ours is."""
    values = [medians(runs).get(measure) for runs in (ours, other)]
    texts = [
        "failed" if value is None and failure(runs) else number(value)
        for value, runs in zip(values, (ours, other), strict=True)
    ]
    if texts == ["–", "–"]:
        return ["", ""]
    return [" / ".join(texts), number(values[1] / values[0], 2) if values[0] and values[1] else ""]


def _scaling(tasks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for name, side, by_size in _rows(tasks):
        line = [name]
        for of in (side, "other"):
            found = {size: measured for size, case in by_size.items() if (measured := medians(_runs(case, of)))}
            # The first call holds what does not depend on the cells.
            measure = "second_s" if all("second_s" in measured for measured in found.values()) else "first_s"
            times = {size: measured[measure] for size, measured in found.items()}
            slope = exponent(list(times), list(times.values()))
            line.append("" if slope is None else f"{slope:.2f}")
        if any(line[1:]):
            rows.append(line)
    return table(["Task", "Ours", "Published"], rows) if rows else ""


def _values(tasks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for name, side, by_size in _rows(tasks):
        for size, case in sorted(by_size.items()):
            ours, other = (
                next((run["metrics"] for run in _runs(case, of) if "metrics" in run), {}) for of in (side, "other")
            )
            for metric, found in ours.items():
                mine, theirs, count = found["value"], other.get(metric, {}).get("value"), found["count"]
                gap = None if mine is None or theirs is None else abs(mine - theirs)
                rows.append([
                    name, f"{size:,}", metric + (f" (mean of {count:,})" if count > 1 else ""),
                    *(f"{value:.6g}" if value is not None else "–" for value in (mine, theirs)), number(gap, 2),
                ])  # fmt: skip
    return table(["Task", "Cells", "Metric", "Ours", "Published", "Difference"], rows) if rows else ""


def _start(starts: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for case in starts:
        sides = [[run["seconds"] for run in _runs(case, side) if "seconds" in run] for side in ("ours", "other")]
        ours, other = (statistics.median(side) if side else None for side in sides)
        times = number(other / ours, 2) if ours and other else ""
        rows.append([f"`{case['what']}`", number(ours), number(other), times])
    return table(["What", "Ours, s", "Published, s", "Times"], rows) if rows else ""


def _bound(bounds: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for case in sorted(bounds, key=lambda case: case["cells"]):
        run = _runs(case, "ours")[0]
        size = f"{case['cells']:,} x {case['width']}"
        if "failed" in run:
            rows.append([size, "", "", f"failed: {run['failed']}", ""])
            continue
        bound, ours = (statistics.median(run[key]) for key in ("bound_s", "ours_s"))
        rows.append([size, str(run["labels"]), number(bound), number(ours), number(ours / bound)])
    return table(["Cells", "Labels", "Bound, s", "Silhouette, s", "Ratio"], rows) if rows else ""


def _million(cases: Sequence[Mapping[str, Any]]) -> str:
    rows, exact = [], {}
    for case in cases:
        if case["case"] == "silhouette" and "metrics" in (run := _runs(case, "ours")[0]):
            exact[case["cells"]] = run["metrics"]["silhouette_score"]["value"]
    for case in cases:
        run, size = _runs(case, "ours")[0], f"{case['cells']:,} x {case['width']}"
        if "failed" in run:
            rows.append([case["case"].replace("_", " "), size, "failed", "", "", f"`{run['failed']}`"])
            continue
        details: dict[str, dict[str, Any]] = run["details"]
        recalls = [of["neighbors_recall"] for of in details.values() if "neighbors_recall" in of]
        said = []
        for metric, measured in run["metrics"].items():
            value, error = measured["value"], details.get(metric, {}).get("standard_error")
            text = f"{metric} {value:.6g}" if value is not None else f"{metric} –"
            if error:
                text += f" ± {error:.1g}"
                known = exact.get(case["cells"]) if case["case"] == "silhouette_estimated" else None
                if known is not None and value is not None:
                    text += f", {abs(value - known) / error:.1f} standard errors from the exact value"
            said.append(text)
        rows.append([
            case["case"].replace("_", " "), size, number(run["first_s"]), number(run["peak_mb"] / 1024),
            f"{min(recalls):.4f}" if recalls else "", "; ".join(said),
        ])  # fmt: skip
    return table(["Case", "Cells", "Seconds", "Peak, GiB", "Recall of neighbours", "Scores"], rows) if rows else ""


def _scib(cases: Sequence[Mapping[str, Any]]) -> str:
    cases = sorted(cases, key=lambda case: (case["cells"], case["width"]))
    measures = {name: f"{heading}, {unit}" for name, (heading, unit) in MEASURES.items()} | {"import_s": "Import, s"}
    rows, scores = [], []
    for case in cases:
        size, sides = f"{case['cells']:,} x {case['width']}", [_runs(case, side) for side in ("ours", _PEER)]
        for measure, heading in measures.items():
            values = [medians(runs).get(measure) for runs in sides]
            if any(value is not None for value in values):
                texts = [
                    _not_finished(runs) if value is None else number(value)
                    for value, runs in zip(values, sides, strict=True)
                ]
                times = number(values[1] / values[0], 2) if values[0] and values[1] else ""
                rows.append([size, heading, *texts, times])
        found = [next((run["metrics"] for run in runs if "metrics" in run), {}) for runs in sides]
        for metric in found[0]:
            both = [one.get(metric, {}).get("value") for one in found]
            gap = None if None in both else abs(both[0] - both[1])
            scores.append([size, metric, *("–" if v is None else f"{v:.6g}" for v in both), number(gap, 2)])
    if not rows:
        return ""
    head = ["Ours", _PEER]
    return (
        table(["Cells", "What", *head, "Times"], rows) + "\n\n### Its scores\n\n"
        + table(["Cells", "Metric", *head, "Difference"], scores)
    )  # fmt: skip


def _not_finished(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return why a side has no measure: it was not run, failed, or was ended after so many seconds."""
    why = failure(runs)
    if why is None:
        return ""
    return f"not finished in {why.removeprefix(_TOO_LONG)}" if why.startswith(_TOO_LONG) else "failed"
