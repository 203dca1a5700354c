"""One at a time: what copies the data folder, and what clears it. Standard library only."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from microstage.data_folder import DataFolder
from microstage.errors import TRY_AGAIN, StageError


@contextmanager
def alone(data: DataFolder) -> Iterator[None]:
    """Be the only one that copies or clears; `data`: that of all pipelines.

    Raises StageError (75) while another one is. The lock is on the folder itself, so it is the same
    one in a container and outside; the system gives it back, however its owner ends.
    """
    handle = os.open(data.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(
                TRY_AGAIN,
                f"{data.root} is being backed up, restored or cleared right now; try again when "
                "that has ended.",
            ) from None
        yield
    finally:
        os.close(handle)
