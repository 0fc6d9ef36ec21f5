"""Constants shared by every layer."""

RANDOM_SEED = 42
