"""Tell all that made a model, in the words of MLflow: parameters, metrics, tags, files, a note."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlmodel import SOURCES, Trained, write_model
from published import MANIFEST, read_manifest
from stageframe import IN, digest, read_json, write_json
from stageframe.sources import FILE
from used import metrics_of, read_used, tags_of

KEY = "microstage.key"  # tag of runs and versions: the same for the same inputs and day
SHA256 = "sha256."  # and the name of a file: tag of a version
# And the name of an archive in the version's folder `code`: tag of a version. No file of SHA256, as
# the stages have no use for it; but whoever runs it knows that it is what was recorded.
SHA256_OF_CODE = "code.sha256."
# Artifact: {"raw": {file: sha256}}, which is too long for a tag; its own digest is a tag.
RAW = "lineage/raw.json"
DIGESTS = "lineage/digests.json"  # artifact: {"split/train.csv": sha256 of all that it was made by}
CODE_FILES = [f"code/{stage}.zip" for stage in SOURCES]


class Record:
    """What is told about one model; the same inputs and day have the same key."""

    def __init__(self, name: str, date: str) -> None:
        """Read it from /in. Raises StageError."""
        self.name, self.date = name, date
        directories = ("processed", "split", "model", "validation")
        self._manifests = {directory: read_manifest(directory) for directory in directories}
        self._model = read_json(IN / "model" / "model.json", "features", "trained_on")
        metrics = read_json(IN / "validation" / "metrics.json")
        self.metrics = {key: value for key, value in metrics.items() if type(value) in (int, float)}
        self._used = read_used(self._manifests["model"])
        self.uses = metrics_of(self._used)
        self._data = {
            f"{directory}/{file}": entry["sha256"]
            for directory, manifest in self._manifests.items()
            for file, entry in manifest["outputs"].items()
        }
        raw = {
            file.removeprefix("raw/"): entry["sha256"]
            for file, entry in self._manifests["processed"]["inputs"].items()
            if file.startswith("raw/") and not file.endswith("/summary.json")
        }
        self._raw = (json.dumps({"raw": raw}, indent=2, ensure_ascii=False) + "\n").encode()
        self._window = sorted({file.partition("/")[0] for file in raw})
        self._learned: list[str] = self._model["trained_on"].get("days", [])
        text = json.dumps([date, self._data, raw], sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self._files = {file: IN / "model" / file for file in self._outputs("model")}
        self._files["metrics.json"] = IN / "validation" / "metrics.json"
        self._trained = Trained(
            self._model,
            read_json(IN / "model" / "preprocess.json", "columns")["columns"],
            IN / "processed" / "train_data.csv",
            {
                stage: IN / directory / FILE
                for stage, directory in SOURCES.items()
                if FILE in self._manifests[directory]["outputs"]
            },
        )

    def _outputs(self, directory: str) -> list[str]:
        """Return the files of a directory that are worth keeping."""
        outputs = self._manifests[directory]["outputs"]
        return [file for file in outputs if file not in ("summary.json", FILE)]

    def params(self) -> dict[str, str]:
        """Return what the model was made by."""
        spans = {"window": self._window, "trained_on": self._learned}
        found = {
            **self._model.get("params", {}),
            "format": self._model.get("format"),
            "features": len(self._model["features"]),
            **({"classes": len(self._model["classes"])} if "classes" in self._model else {}),
            **({"task": self._model["task"]} if "task" in self._model else {}),
            **{f"{name}_days": len(span) for name, span in spans.items()},
            **{f"{name}_first": min(span) for name, span in spans.items() if span},
            **{f"{name}_last": max(span) for name, span in spans.items() if span},
            "trained_on_rows": self._model["trained_on"].get("rows"),
            **{f"version_{k}": v for k, v in self._model.get("versions", {}).items()},
        }
        return {name: str(value)[:6000] for name, value in found.items()}

    def tags(self) -> dict[str, str]:
        """Return the day, Airflow's run, and the note."""
        found = {KEY: self.key, "date": self.date, "mlflow.note.content": self.note()}
        run = self._manifests["model"].get("run", {})
        found |= {f"airflow.{key}": run[key] for key in ("dag", "run") if run.get(key)}
        return {name: str(value)[:5000] for name, value in found.items()}

    def datasets(self) -> list[dict[str, str]]:
        """Return what the model learned from and what it was measured on, as MLflow's datasets."""
        learned, measured = self._model["trained_on"].get("rows"), self.metrics.get("rows")
        return [
            self._dataset("training", "train.csv", learned, self._learned),
            self._dataset("validation", "val.csv", measured, self._held_out()),
        ]

    def _dataset(self, name: str, file: str, rows: Any, days: Sequence[str]) -> dict[str, str]:
        """Return a dataset; its digest is the first half of the file's, for which there is room."""
        sha256 = self._data[f"split/{file}"]
        target = "string" if "classes" in self._model else "double"
        columns = [{"name": feature, "type": "double"} for feature in self._model["features"]]
        content = {
            "source": {"file": f"split/{file}", "model": self.date, "days": days, "sha256": sha256},
            "schema": {"mlflow_colspec": [*columns, {"name": "target", "type": target}]},
            "profile": {"num_rows": rows, "num_days": len(days)},
        }
        told = {key: json.dumps(value, ensure_ascii=False) for key, value in content.items()}
        return {"name": name, "digest": sha256[:32], "source_type": "microstage", **told}

    def _held_out(self) -> list[str]:
        """Return the days that the model has not learned from.

        None is left where rows were held out from among all days.
        """
        return [day for day in self._window if day not in self._learned] if self._learned else []

    def version_tags(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Return what a version's files must be, the model's day, and what its training used.

        files: those of `model_files`.
        """
        found = {KEY: self.key, "date": self.date, RAW: hashlib.sha256(self._raw).hexdigest()}
        found |= tags_of(self._used)
        archives = [path for file, path in files.items() if file in CODE_FILES]
        found |= {f"{SHA256_OF_CODE}{path.name}": digest(path) for path in archives}
        return found | {f"{SHA256}{file}": digest(path) for file, path in self._files.items()}

    def artifacts(self, scratch: Path) -> dict[str, Path]:
        """Return the run's files by their paths in MLflow; those that are made are in `scratch`."""
        found = {f"validation/{f}": IN / "validation" / f for f in self._outputs("validation")}
        for directory, manifest in self._manifests.items():
            path = scratch / f"{manifest['stage']}.json"
            found[f"lineage/{path.name}"] = shutil.copyfile(IN / directory / MANIFEST, path)
        found[DIGESTS] = scratch / "digests.json"
        write_json(found[DIGESTS], self._data)
        return found

    def model_files(self, scratch: Path, told: Mapping[str, Any]) -> dict[str, Path]:
        """Return the version's files likewise; told: keys of MLmodel. Says what it cannot be."""
        for why in write_model(self._trained, scratch, told):
            print(f"MLflow can load this version by its trainer's flavour at most: {why}")
        made = [path for path in scratch.rglob("*") if path.is_file()]
        found = self._files | {str(path.relative_to(scratch)): path for path in made}
        found[RAW] = scratch / "raw.json"
        found[RAW].write_bytes(self._raw)
        return found

    def note(self) -> str:
        """Return what people read first, as Markdown."""
        names = {"roc_auc": "AUC", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}
        scores = [f"{names[k]} {self.metrics[k]:.3f}" for k in names if k in self.metrics]
        learned = rows_of(self._model["trained_on"].get("rows"), self._learned)
        held_out = rows_of(self.metrics.get("rows"), self._held_out())
        images = [
            f"{manifest['stage']} `{str(manifest['image_id']).rpartition(':')[2][:12]}`"
            for manifest in self._manifests.values()
        ]
        return (
            f"- Learned from {learned}\n"
            f"- Validation: {', '.join([*scores, held_out])}\n"
            f"- Images: {', '.join(images)}\n"
            f"- What is behind it: `scripts/lineage models/{self.date}`\n"
        )


def rows_of(rows: float | None, days: Sequence[str]) -> str:
    """Return in words how many rows of which days; neither needs to be known."""
    counted = "rows" if rows is None else f"{rows} rows"
    if len(days) < 2:
        return " of ".join([counted, *days])
    return f"{counted} of {len(days)} days, {min(days)} – {max(days)}"
