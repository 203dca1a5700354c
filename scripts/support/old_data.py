"""What is old of the data of all pipelines, and what needs it: also by Airflow and MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from support.airflow_api import Airflow
from support.upkeep import Unended, model_path

from microstage.data_folder import DataFolder
from microstage.needed import Graph, Plan, plan
from microstage.pipelines import Pipeline


@dataclass(frozen=True)
class Found:
    """A pipeline's data, what goes of it, and the images that made what stays."""

    data: DataFolder
    plan: Plan
    images: set[str]


def old_data(
    data: DataFolder,
    pipelines: Sequence[Pipeline],
    days: Mapping[str, int],
    airflow: Airflow,
    runs: Sequence[Unended],
    aliases: Mapping[str, Mapping[str, Any]],
) -> Iterator[Found]:
    """Yield it for each pipeline that has data.

    `runs`: those that have not ended; `aliases`: of each model in MLflow, alias -> version.
    """
    for pipeline in pipelines:
        folder = data.below(pipeline.folder)
        if not folder.root.is_dir():
            continue
        graph = Graph(pipeline, folder)
        in_use = model_path(airflow, pipeline)
        for alias, version in aliases.get(pipeline.model, {}).items():
            for model in graph.models(pipeline.model, str(version)):
                in_use[model] = f"{alias} in MLflow needs it"
        # A run may be of a DAG whose name tells no pipeline: it counts for each of them.
        going = [run.going(pipeline) for run in runs]
        found = plan(graph, days, datetime.now(UTC).date(), going, in_use)
        yield Found(folder, found, graph.images(without=found.goes))
