"""Types shared by every layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

ListLike = Sequence | np.ndarray | pd.Series | pd.Index  # type: ignore[type-arg]
"""One value per cell: a list, array, Series or Index (a Categorical is accepted too)."""
