"""Every break fits the code as it is, and belongs to a row."""

import pytest
from breaks.break_promises import BREAKS, Break, apply
from runner import ROOT, read_promises


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.row)
def test_a_break_can_be_made(one, tmp_path):
    there = tmp_path / one.file
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text((ROOT / one.file).read_text(encoding="utf-8"), encoding="utf-8")
    apply(one, tmp_path)
    assert one.row in {row.name for row in read_promises()}
    if there.suffix == ".py":
        compile(there.read_text(encoding="utf-8"), one.file, "exec")


def test_a_break_that_no_longer_fits_is_refused(tmp_path):
    (tmp_path / "code.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"must stand once in code\.py, got 0"):
        apply(Break("row", "what", "code.py", "b = 1", "b = 2"), tmp_path)
