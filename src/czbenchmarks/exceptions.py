"""Exceptions. Bad input is a plain ``ValueError`` or ``TypeError``; these exist where callers may match on more."""


class CZBenchmarksException(Exception):
    """Base of the exceptions that concern storage and configuration."""


class RemoteStorageError(CZBenchmarksException, ValueError):
    """A remote file could not be read or kept: caught as ``ValueError`` too."""


class RemoteStorageObjectAlreadyExists(RemoteStorageError):
    """A remote object would be overwritten."""


class InputAssertionError(AssertionError, ValueError):
    """Bad input where releases before 0.15.2 raised ``AssertionError``: caught as either."""


class DatasetFileNotFoundError(FileNotFoundError, ValueError):
    """A data set's file does not exist: caught as ``FileNotFoundError`` or ``ValueError``."""
