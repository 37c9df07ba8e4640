"""The errors a user meets. Each message is one line: what is wrong, where, and what to do."""


class UsageError(ValueError):
    """Bad input from the user: an unknown name or key, a missing file, a value out of range. The runner exits with 2."""


class UnusableOutput(RuntimeError):
    """A file of results that is missing or cannot be read: the row that it is of has failed, the others go on."""


class Unavailable(RuntimeError):
    """Something optional is absent (a weight, a data set, a device): the trial or metric is skipped with this reason."""
