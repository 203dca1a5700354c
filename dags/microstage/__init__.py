"""The platform: what runs a stage of dags/stages.toml, and what stages should not each do again.

Imports go one way, from the bottom of this list to its top:

    errors        exit codes, and one sentence for every failure
    table         a row of the table of stages, checked
    pipelines     dags/stages.toml and dags/pipelines/*.toml: the rows of each pipeline
    jobs          one run of a row: every placeholder filled
    data_folder   paths, files and digests of a pipeline's data
    publishing    an output directory, put in its place as a whole or not at all
    inputs        what a job reads
    contract      one job: inputs checked, run by an engine, outputs checked and published
    engines/      what a job is run in: container, process
    operator      the Airflow task that runs a job
    sensors       wait for data
    decisions     where people decide
    schedule      when DAGs run, and for which pipelines
    alerts        tell people when a task has failed

Up to contract, and in engines/process, it is Python's standard library alone.
"""
