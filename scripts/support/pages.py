"""The browser at work: the pages of the running stack, and a picture of each."""

from __future__ import annotations

import re
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support import REPOSITORY
from support.airflow_api import Airflow
from support.pictures import (
    GRAPH,
    HEIGHT,
    MLFLOW,
    SCALE,
    WIDTH,
    AbsentError,
    at_rest,
    green_tasks,
    read,
    see,
    small,
)
from support.settings import setting

from microstage.errors import USAGE, StageError
from microstage.pipelines import Pipeline

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

BY_HAND = ("mail", "workers")  # what nobody has to have caused, or to have
PATIENCE = 30_000  # milliseconds for a page to show what it should


class Session:
    """The browser, logged in to Airflow, and the folder that its pictures go to."""

    def __init__(self, browser: Browser, pipeline: Pipeline, folder: Path) -> None:
        self.folder = folder
        self.browser = browser
        self.pipeline = pipeline
        try:
            self.airflow = Airflow(pipeline.name)
        except StageError as error:
            raise AbsentError(str(error)) from None
        self.context = self.new_context()
        self.pages: dict[str, Callable[[str], None]] = {
            "login": self.login,
            "dags": self.dags,
            **dict.fromkeys(self.dag_ids(), self.graph),
            "assets": self.assets,
            "approve": self.approve,
            "mlflow_run": partial(self.mlflow, "run"),
            "mlflow_model": partial(self.mlflow, "model"),
            "report": self.report,
            "mail": self.mail,
            "workers": self.workers,
        }

    def new_context(self, **options: Any) -> BrowserContext:
        context = self.browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=SCALE,
            color_scheme="light",
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(PATIENCE)
        return context

    def log_in(self) -> None:
        """Fill in Airflow's login form; its first page comes after it."""
        page = self.login_form()
        page.get_by_label("Username").fill("admin")
        page.get_by_label(re.compile("^Password:?$")).fill(setting("AIRFLOW_ADMIN_PASSWORD"))
        page.get_by_role("button", name="Sign in").click()
        see("Airflow after the login", page, page.get_by_role("link", name="Dags", exact=True))
        page.close()

    def login_form(self) -> Page:
        page = self.context.new_page()
        page.goto(f"{self.airflow.url}/auth/login")
        see("login", page, page.get_by_role("button", name="Sign in"))
        return page

    def dag_ids(self) -> list[str]:
        """Return the pipeline's DAGs: its name is one of their tags."""
        found = self.airflow.call("GET", "/api/v2/dags?tags=microstage&order_by=dag_id")
        tags = {dag["dag_id"]: [tag["name"] for tag in dag["tags"]] for dag in found["dags"]}
        return [dag for dag, names in tags.items() if self.pipeline.name in names]

    def by_demo(self, name: str) -> bool:
        """Tell whether scripts/demo makes what a picture shows; nobody has to roll back or fail."""
        started_by_hand = {self.pipeline.prefixed(dag) for dag in self.pipeline.schedules}
        return name not in BY_HAND and (name not in self.dag_ids() or name in started_by_hand)

    def login(self, name: str) -> None:
        context, self.context = self.context, self.new_context()  # nobody is logged in in this one
        self.take(name, self.login_form())
        self.context = context

    def dags(self, name: str) -> None:
        page = self.context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT * 11 // 10})  # all of them
        page.goto(f"{self.airflow.url}/dags")
        for dag in self.dag_ids():
            see(name, page, page.get_by_role("link", name=dag, exact=True))
        see(name, page, page.locator('a[href*="/runs/"]'))
        self.take(name, page)

    def assets(self, name: str) -> None:
        kind = f"{self.pipeline.name}/predictions"
        query = f"/api/v2/assets?name_pattern={urllib.parse.quote(kind)}"
        found = self.airflow.call("GET", query)["assets"]
        if not (ids := [asset["id"] for asset in found if asset["name"] == kind]):
            raise AbsentError(f"No asset {kind} is in Airflow; a run of predict makes it")
        page = self.context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT * 11 // 10})
        page.goto(f"{self.airflow.url}/assets/{ids[0]}")
        see(name, page, page.get_by_text(re.compile(r"[1-9]\d* Asset Events?")))
        page.get_by_role("button", name="Task Dependencies").click()  # what tasks read, too
        see(name, page, page.get_by_text("train_model.preprocess"))
        self.take(name, page)

    def graph(self, dag: str) -> None:
        runs = f"/api/v2/dags/{dag}/dagRuns"
        green = self.airflow.call("GET", f"{runs}?state=success&order_by=-start_date&limit=20")
        best: dict[str, str] = {}
        run = ""
        for each in green["dag_runs"]:
            instances = f"{runs}/{urllib.parse.quote(each['dag_run_id'])}/taskInstances"
            found = self.airflow.call("GET", instances)["task_instances"]
            states = {task["task_id"]: task["state"] for task in found}
            # A run that skipped what it had no reason to do is green too, but shows less.
            if green_tasks(states) > green_tasks(best):
                best, run = states, each["dag_run_id"]
        if not best:
            make = "run scripts/demo" if self.by_demo(dag) else "trigger it in Airflow"
            raise AbsentError(f"{dag} has no green run yet; {make}")
        page = self.context.new_page()
        page.add_init_script(GRAPH.replace("DAG", dag))
        page.goto(f"{self.airflow.url}/dags/{dag}/runs/{urllib.parse.quote(run)}")
        flow = page.locator(".react-flow")
        for task in best:
            see(dag, page, flow.get_by_role("link", name=task, exact=True))
        for number in range(green_tasks(best)):
            see(dag, page, flow.get_by_text("success", exact=True).nth(number))
        see(dag, page, page.get_by_role("heading", name=f"{len(best)} Task Instance"))
        self.fit_graph(page)
        self.take(dag, page)

    def fit_graph(self, page: Page) -> None:
        """Show the whole graph, and nothing on top of it: the small map would hide a task."""
        page.add_style_tag(content=".react-flow__minimap { display: none }")
        page.get_by_role("button", name="Fit View").click()
        page.mouse.move(0, 0)

    def approve(self, name: str) -> None:
        waiting = "/api/v2/dags/~/dagRuns/~/hitlDetails?response_received=false&limit=100"
        asked = [
            detail
            for detail in self.airflow.call("GET", waiting)["hitl_details"]
            if detail["task_instance"]["state"] == "awaiting_input"
        ]
        if not asked:
            raise AbsentError(
                "No approval is waiting; scripts/demo leaves one, or trigger train_model"
            )
        newest = max(asked, key=lambda detail: str(detail["created_at"]))
        task = newest["task_instance"]
        run = urllib.parse.quote(task["dag_run_id"])
        page = self.context.new_page()
        page.add_init_script(GRAPH.replace("DAG", task["dag_id"]))
        page.goto(
            f"{self.airflow.url}/dags/{task['dag_id']}/runs/{run}/tasks/{task['task_id']}"
            "/required_actions"
        )
        see(name, page, page.get_by_text(newest["subject"]))
        for option in newest["options"]:
            see(name, page, page.get_by_role("button", name=option, exact=True))
        self.fit_graph(page)
        self.take(name, page)

    def mlflow(self, kind: str, name: str) -> None:
        url = f"http://localhost:{setting('MLFLOW_PORT')}"
        login = {"username": "admin", "password": setting("MLFLOW_ADMIN_PASSWORD")}
        api = f"{url}/api/2.0/mlflow"
        model = urllib.parse.quote(self.pipeline.model)
        query = f"registered-models/alias?name={model}&alias=production"
        version = read(f"{api}/{query}", "A model in production in MLflow", login)
        run_id = version["model_version"]["run_id"]
        page = self.new_context(http_credentials=login).new_page()
        page.add_init_script(MLFLOW)
        if kind == "model":
            page.goto(f"{url}/#/models/{model}")
            see(name, page, page.get_by_text("@ production"))
            see(name, page, page.get_by_text(f"Version {version['model_version']['version']}"))
        else:
            run = read(f"{api}/runs/get?run_id={run_id}", "The run of that model", login)["run"]
            page.goto(f"{url}/#/experiments/{run['info']['experiment_id']}/runs/{run_id}")
            see(name, page, page.get_by_role("heading", name=run["info"]["run_name"]))
            for metric in ("roc_auc", "log_loss"):
                see(name, page, page.get_by_role("cell", name=metric, exact=True))
        self.take(name, page)

    def report(self, name: str) -> None:
        folder = Path(setting("MICROSTAGE_DATA") or REPOSITORY / "data") / self.pipeline.folder
        reports = sorted(folder.glob("reports/*/report.html"))
        if not reports:
            raise AbsentError(f"There is no report in {folder}/reports; scripts/demo makes one")
        page = self.context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT * 3 // 2})
        page.goto(reports[-1].as_uri())
        see(name, page, page.get_by_role("heading"))
        see(name, page, page.locator("img, svg"))
        self.take(name, page)

    def mail(self, name: str) -> None:
        url = f"http://localhost:{setting('MAIL_PORT')}"
        mails = read(f"{url}/messages.json", "The mail catcher")
        if not mails:
            raise AbsentError("No mail has come in; an alert is sent when a task fails")
        page = self.context.new_page()
        page.goto(f"{url}/messages/{mails[0]['id']}")
        see(name, page, page.get_by_role("heading", name=mails[0]["subject"]))
        self.take(name, page)

    def workers(self, name: str) -> None:
        if "EdgeExecutor" not in setting("AIRFLOW_EXECUTOR"):
            raise AbsentError(
                "This installation has no workers; docs/scale.md says how it gets some"
            )
        page = self.context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT // 3})
        page.goto(f"{self.airflow.url}/plugin/edge_executor")
        for worker in self.airflow.call("GET", "/edge_worker/ui/worker")["workers"]:
            see(name, page, page.get_by_text(worker["worker_name"]).first)
        self.take(name, page)

    def take(self, name: str, page: Page) -> None:
        """Write a page's picture, once two in a row are the same."""
        picture = small(at_rest(name, page))
        picture_of = name.rpartition(".")[2]  # without the pipeline's prefix
        (self.folder / f"{picture_of}.png").write_bytes(picture)
        print(f"{self.folder / picture_of}.png  {len(picture) // 1000} kB", flush=True)
        page.close()


def take_all(session: Session, names: list[str]) -> Iterator[str]:
    """Take the named pictures, or all; yield a sentence for each that could not be taken."""
    if unknown := [name for name in names if name not in session.pages]:
        raise StageError(
            USAGE, f"There is no page {unknown[0]!r}; there are {', '.join(session.pages)}."
        )
    session.folder.mkdir(parents=True, exist_ok=True)
    session.log_in()
    for name in names or session.pages:
        try:
            session.pages[name](name)
        except AbsentError as error:
            said = f"{name}.png was not taken: {error}"
            print(said, file=sys.stderr, flush=True)
            if names or session.by_demo(name):
                yield said
