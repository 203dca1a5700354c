"""compare_images, where it has nothing to do."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_what_works_on_a_service_is_not_run_beside_another(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(ROOT / "scripts/compare_images"),
        "promote",
        "microstage/other:1",
    ]
    command += ["--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("promote works on a service")
    assert [] == list(tmp_path.iterdir())
