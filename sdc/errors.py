"""Errors that people read: one line that names the file or key and the remedy."""


class SDCError(ValueError):
    """Bad input. The message is one line; the command line prints it and exits with status 2."""


class StorageError(SDCError):
    """An artefact on disk is missing, damaged, or was made from something else."""
