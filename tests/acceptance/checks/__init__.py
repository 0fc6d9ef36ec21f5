"""The checks of the promises: each takes a `World`, returns its figure, or raises `Failed` or `NotRun`."""
