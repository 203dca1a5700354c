"""What is known of the jobs of a task, in OpenLineage's own classes.

A directory is a dataset, flights/predictions/2013-01-06 for one, in the namespace of this
installation; so is flights/production, the version that is in production. Importing this module
loads Airflow's provider.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.openlineage.extractors import OperatorLineage
from attrs import define
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    OutputDatasetFacet,
    RunFacet,
)
from openlineage.client.facet_v2 import data_quality_assertions_dataset as asserted
from openlineage.client.facet_v2 import data_quality_metrics_dataset as metrics
from openlineage.client.facet_v2 import data_quality_metrics_input_dataset as metrics_read
from openlineage.client.facet_v2 import dataset_version_dataset as versions
from openlineage.client.facet_v2 import input_statistics_input_dataset as read
from openlineage.client.facet_v2 import output_statistics_output_dataset as written
from openlineage.client.facet_v2 import schema_dataset as schemas

from microstage.assets import COPIES, PRODUCTION, published_by
from microstage.data_folder import SUMMARY, DataFolder
from microstage.facets import Facts, columns_of, facts_of, quality_of, read_json
from microstage.inputs import version_of
from microstage.jobs import Job

MOST = 31  # days of which columns are told, the last ones: an event is not to grow without end


@define
class ImageRunFacet(RunFacet):
    """The image that a task runs: what its row names, and what that really was."""

    stage: str
    verb: str
    image: str
    imageId: str | None = None  # noqa: N815 - as OpenLineage names things

    @staticmethod
    def _get_schema() -> str:
        return "urn:microstage:openlineage:1-0-0:ImageRunFacet"


def told(
    data: DataFolder,
    reads: Sequence[Job],
    writes: Sequence[Job],
    *,
    published: bool,
    image_id: str | None,
) -> OperatorLineage[Any, Any]:
    """Return what a task reads and writes, each directory once.

    :param reads: jobs whose sources are told
    :param writes: jobs whose directories are told
    :param published: they are there, so that it can be told what is in them
    :param image_id: what the image was, once that is known
    """
    inputs: dict[str, InputDataset] = {}
    outputs: dict[str, OutputDataset] = {}
    for job, whole in _last(reads):
        places = _places(data, job)
        kinds = columns_of(places.values()) if whole else {}
        quality = _assertions(places[job.target])
        for mount, source in job.sources.items():
            said = quality if mount.startswith("predictions") and published else {}
            facts = facts_of(places[source], kinds, whole=whole)
            inputs.setdefault(name_of(job, source), _input(job, source, facts, said))
        if job.row.work == COPIES:
            version = version_of(places[job.target]).get("version") if published else None
            inputs[name_of(job, PRODUCTION)] = _production(InputDataset, job, version)
    for job, whole in _last(writes):
        places = _places(data, job)
        kinds = columns_of(places.values()) if whole else {}
        facts = facts_of(places[job.target], kinds, whole=whole) if published else Facts()
        outputs[name_of(job, job.target)] = _output(job, facts)
        if PRODUCTION in published_by(job.row):
            moved = read_json(places[job.target] / SUMMARY) if published else {}
            version = moved.get(PRODUCTION)
            outputs[name_of(job, PRODUCTION)] = _production(OutputDataset, job, version)
    row = next((job.row for job in (*reads, *writes)), None)
    run_facets: dict[str, RunFacet] = {}
    if row:
        run_facets["microstage_image"] = ImageRunFacet(row.stage, row.verb, row.image, image_id)
    return OperatorLineage(list(inputs.values()), list(outputs.values()), run_facets)


def name_of(job: Job, directory: str) -> str:
    """Return the name of the dataset that a directory of a pipeline's data is."""
    return f"{job.pipeline.name}/{directory}"


def namespace() -> str:
    """Return the namespace of this installation's datasets."""
    return f"microstage://{os.environ.get('MICROSTAGE_INSTALL', 'microstage')}"


def _last(jobs: Sequence[Job]) -> Iterator[tuple[Job, bool]]:
    """Yield jobs, and whether each is one of the last, of which all is told."""
    return ((job, number >= len(jobs) - MOST) for number, job in enumerate(jobs))


def _places(data: DataFolder, job: Job) -> dict[str, Path]:
    """Return where a job's directories are, what it writes first."""
    return {path: data.path(path) for path in (job.target, *job.sources.values())}


def _input(
    job: Job, source: str, facts: Facts, quality: dict[str, InputDatasetFacet]
) -> InputDataset:
    of_input: dict[str, InputDatasetFacet] = dict(quality)
    if facts.files is not None:
        of_input["inputStatistics"] = read.InputStatisticsInputDatasetFacet(
            rowCount=facts.rows, size=facts.size, fileCount=facts.files
        )
        of_input["dataQualityMetrics"] = metrics_read.DataQualityMetricsInputDatasetFacet(
            {name: metrics_read.ColumnMetrics(count) for name, count in _missing(facts)},
            rowCount=facts.rows,
            bytes=facts.size,
            fileCount=facts.files,
        )
    return InputDataset(
        namespace(), name_of(job, source), facets=_facets(facts), inputFacets=of_input
    )


def _output(job: Job, facts: Facts) -> OutputDataset:
    facets = _facets(facts)
    of_output: dict[str, OutputDatasetFacet] = {}
    if facts.files is not None:
        of_output["outputStatistics"] = written.OutputStatisticsOutputDatasetFacet(
            rowCount=facts.rows, size=facts.size, fileCount=facts.files
        )
        facets["dataQualityMetrics"] = metrics.DataQualityMetricsDatasetFacet(
            {name: metrics.ColumnMetrics(count) for name, count in _missing(facts)},
            rowCount=facts.rows,
            bytes=facts.size,
            fileCount=facts.files,
        )
    return OutputDataset(
        namespace(), name_of(job, job.target), facets=facets, outputFacets=of_output
    )


def _missing(facts: Facts) -> Iterable[tuple[str, int]]:
    return ((one.name, one.missing) for one in facts.columns if one.missing is not None)


def _facets(facts: Facts) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if facts.version:
        facets["version"] = versions.DatasetVersionDatasetFacet(facts.version)
    if facts.columns:
        facets["schema"] = schemas.SchemaDatasetFacet(
            [
                schemas.SchemaDatasetFacetFields(
                    one.name, one.kind, f"of {one.file}", ordinal_position=number
                )
                for number, one in enumerate(facts.columns, 1)
            ]
        )
    return facets


def _production(kind: type[Dataset], job: Job, version: object) -> Any:
    """Return the dataset that is the version in production."""
    facets: Mapping[str, DatasetFacet] = (
        {"version": versions.DatasetVersionDatasetFacet(str(version))}
        if version is not None
        else {}
    )
    return kind(namespace(), name_of(job, PRODUCTION), facets=dict(facets))


def _assertions(directory: Path) -> dict[str, InputDatasetFacet]:
    """Return what a report asserts of the predictions that it is of."""
    quality = quality_of(directory)
    if quality is None:
        return {}
    ok, problems = quality
    assertion = asserted.Assertion("report_is_ok", ok, actual=" ".join(problems) or None)
    return {"dataQualityAssertions": asserted.DataQualityAssertionsDatasetFacet([assertion])}
