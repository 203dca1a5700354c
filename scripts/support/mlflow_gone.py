"""In MLflow's container, run by its Python: remove runs for good, with their files.

It is given EXPERIMENT/RUN..., and `--dry-run` or not, and prints how many bytes their files have.
Standard library, and MLflow's own command; nothing of this folder.
"""

import os
import subprocess
import sys
from pathlib import Path

SECRETS, ARTIFACTS = Path("/run/secrets"), Path("/artifacts")
VARIABLES = {
    "PGPASSWORD": "MLFLOW_DB_PASSWORD",
    "MLFLOW_TRACKING_PASSWORD": "MLFLOW_ADMIN_PASSWORD",
}
STORES = ("--backend-store-uri=postgresql+psycopg2://", "--tracking-uri=http://127.0.0.1:5000")


def main(runs: list[str], *, dry_run: bool) -> None:
    """Tell how large they are, and remove them."""
    files = [file for run in runs for file in (ARTIFACTS / run).rglob("*")]
    print(sum(file.stat().st_size for file in files if file.is_file()))
    if runs and not dry_run:
        os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
        for variable, secret in VARIABLES.items():
            os.environ[variable] = (SECRETS / secret).read_text("utf-8").strip()
        ids = ",".join(run.rpartition("/")[2] for run in runs)
        command = [sys.executable, "-m", "mlflow", "gc", *STORES, f"--run-ids={ids}"]
        subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main([run for run in sys.argv[1:] if run != "--dry-run"], dry_run="--dry-run" in sys.argv)
