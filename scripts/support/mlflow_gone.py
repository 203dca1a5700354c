"""In MLflow's container, run by its Python: remove runs for good, with their models and files.

It is given EXPERIMENT/RUN and EXPERIMENT/models/ID..., and `--dry-run` or not, and prints how many
bytes their files have. Standard library, and MLflow's own command; nothing of this folder.
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


def main(found: list[str], *, dry_run: bool) -> None:
    """Tell how large they are, and remove them."""
    files = [file for folder in found for file in (ARTIFACTS / folder).rglob("*")]
    print(sum(file.stat().st_size for file in files if file.is_file()))
    if found and not dry_run:
        os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
        for variable, secret in VARIABLES.items():
            os.environ[variable] = (SECRETS / secret).read_text("utf-8").strip()
        kinds: dict[str, list[str]] = {"run": [], "logged-model": []}
        for one in found:
            kinds["logged-model" if "/models/" in one else "run"].append(one.rpartition("/")[2])
        # Where no logged model is named, those go that somebody has deleted, which are beyond help.
        which = [f"--{kind}-ids={','.join(ids)}" for kind, ids in kinds.items() if ids]
        command = [sys.executable, "-m", "mlflow", "gc", *STORES, *which]
        subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main([one for one in sys.argv[1:] if one != "--dry-run"], dry_run="--dry-run" in sys.argv)
