"""Tells Airflow which pipeline files are broken: its import error is how the UI shows them.

It holds no DAG: those of the broken pipelines are in the files beside it, without a schedule until
the file is mended, so that their runs go on.
"""

from microstage.errors import USAGE, StageError
from microstage.schedule import faults

if found := faults():
    raise StageError(USAGE, "\n".join(found))
