"""Exceptions. ``InputError`` and ``InputTypeError`` are faults of the input, which a run reports and goes on.

They are a ``ValueError`` and a ``TypeError``. Only this package raises them, so whatever else is raised is a fault of
the program; the others exist where callers may match on more.
"""


class InputError(ValueError):
    """What was given has a bad value: one sentence says what must hold, what was given and what to do."""


class InputTypeError(TypeError):
    """What was given is of the wrong kind: one sentence says what must hold, what was given and what to do."""


class NotOfferedError(InputError, NotImplementedError):
    """What was asked for does not exist, such as the baseline of a task without one."""


class CZBenchmarksException(Exception):
    """Base of the exceptions that concern storage and configuration."""


class RemoteStorageError(CZBenchmarksException, InputError):
    """A remote file could not be read or kept: caught as ``ValueError`` too."""


class RemoteStorageObjectAlreadyExists(RemoteStorageError):
    """A remote object would be overwritten."""


class InputAssertionError(AssertionError, InputError):
    """Bad input where releases before 0.15.2 raised ``AssertionError``: caught as either."""


class DatasetFileNotFoundError(FileNotFoundError, InputError):
    """A data set's file does not exist: caught as ``FileNotFoundError`` or ``ValueError``."""


BAD_INPUT = (InputError, InputTypeError)
"""What a run takes for a fault of the input."""
