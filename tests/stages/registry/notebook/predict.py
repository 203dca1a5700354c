"""A notebook: nothing but MLflow and what the model's requirements.txt names is installed.

It loads the version in production and writes, for a table as pandas reads it and for one as it was
written, what the model says. Its own modules are called as those of stages are.
"""

import importlib
import json
import sys
from pathlib import Path

import mlflow
import pandas as pd


def main(uri: str, table: str, folder: Path) -> None:
    model = mlflow.pyfunc.load_model(uri)
    for name, frame in {
        "as pandas reads it": pd.read_csv(table),
        "as it was written": pd.read_csv(table, dtype=str, keep_default_na=False),
        "a row": pd.read_csv(table).head(1),
        "no row": pd.read_csv(table).head(0),
    }.items():
        model.predict(frame).to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    example = mlflow.models.Model.load(uri).load_input_example(uri)
    faults = {}
    for name, frame in {
        "missing": pd.read_csv(table).drop(columns=["size (m²)"]),
        "text": pd.read_csv(table).astype({"size (m²)": str}).assign(**{"size (m²)": "1,5"}),
    }.items():
        try:
            model.predict(frame)
        except mlflow.MlflowException as error:
            faults[name] = str(error)
    signature = model.metadata.signature
    told = {
        "inputs": signature.inputs.input_names(),
        "outputs": signature.outputs.input_names(),
        "example": model.predict(example).columns.tolist(),
        "faults": faults,
        "flavours": [*model.metadata.flavors],
        "own module": importlib.import_module("models").OWN,
        "left": [name for name in ("tasks", "coding", "stageframe") if name in sys.modules],
    }
    if "lightgbm" in told["flavours"]:
        told["trees"] = mlflow.lightgbm.load_model(uri).num_trees()
    if "xgboost" in told["flavours"]:
        told["trees"] = mlflow.xgboost.load_model(uri).num_boosted_rounds()
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
