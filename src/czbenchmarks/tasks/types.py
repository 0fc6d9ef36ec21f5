"""Types of the tasks."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

CellRepresentation = np.ndarray | csr_matrix | pd.DataFrame
"""Cells x dimensions. Every SciPy sparse matrix or array is accepted, and a ``Representation``."""
