"""What several of the commands beside this package need; a command is arguments and printing.

A command finds it because Python looks beside the file that it runs. It finds the platform,
dags/microstage, because of the line below.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - this line is for those who have less
    sys.exit("The scripts of Microstage need Python 3.11 or newer.")

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "dags"))
