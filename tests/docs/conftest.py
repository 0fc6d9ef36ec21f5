"""Lets the tests import what runs a page, and what makes the reference pages."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "docs" / "_ext")]
