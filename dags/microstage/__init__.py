"""The platform: what runs a stage of dags/stages.toml, and what stages should not each do again.

Imports go one way, from the bottom of this list to its top:

    errors        exit codes, and one sentence for every failure
    data_folder   paths, files and digests of a pipeline's data
    alone         one at a time: what copies the data folder, and what clears it
    keys          the keys of a table in TOML
    table         a row of the table of stages, checked
    pipelines     dags/stages.toml and dags/pipelines/*.toml: the rows of each pipeline
    last_good     the table as it was when it was last whole
    jobs          one run of a row: every placeholder filled
    keeping       how long things are kept, and which runs still need what is old
    digests       what files hold, read again only where they may have changed
    inputs        what a job reads
    replacing     a directory, put in the place of another in one step, or taken out of it
    publishing    an output directory, put in its place as a whole or not at all
    exits         how a stage has ended, and what that means
    needed        what of the data is old enough to go; what is needed, and by what
    old_logs      logs that are old
    contract      one job: inputs checked, run by an engine, outputs checked and published
    sharing       what several days have in one container
    walls         what a stage's container may do, and what says whose it is
    images        which image one is, whatever its engine keeps images in
    tries         which try of a task instance counts
    endpoint      which Docker Engine a script works with
    clearing      containers, removed: of what has ended, was killed, or is nobody's
    engines/      what a job is run in: process, output, usage, attended, taken, container, days
    day           which day a run is for
    placement     where Airflow runs a row's task
    facets        what is known of a directory, for lineage that is drawn elsewhere
    links         from a task to what it has published
    assets        what rows publish, as Airflow knows it
    lineage_events  what is known, in OpenLineage's own classes
    lineage       what OpenLineage is told of a task
    forms         the parameters of an image as fields of a DAG's form
    schedule      when DAGs run, and for which pipelines
    sensors       wait for data
    memory        memory for a try after one that ran out of it
    current       whether Airflow still counts on a try
    operator      the Airflow task that runs a job
    each_day      one row for many days
    published     what the rows have published for a day
    verdicts      what a comparison says about a promotion
    decisions     where people decide
    backfill      many days in one run: their models, and what became of them
    maintenance   tasks that remove what is old
    alerts        tell people when a task has failed

Up to images, and in engines/process, it is Python's standard library alone.
"""
