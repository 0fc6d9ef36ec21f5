"""What users bring: data sets and embeddings, read piece by piece and put into one order."""
