"""Defaults of the tasks."""

N_FOLDS = 5
MIN_CLASS_SIZE = 10
N_ITERATIONS = 2
FLAVOR = "igraph"
KEY_ADDED = "leiden"
OBSM_KEY = "emb"
