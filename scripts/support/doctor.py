"""What may be wrong with an installation: the table of checks, each a small function elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from support import doctor_engine as engine
from support import doctor_files as files
from support import doctor_machine as machine
from support import doctor_tasks as tasks
from support.findings import Finding, Installation, UnseenError


@dataclass(frozen=True)
class Check:
    """One thing that is looked at: a word for it, and what finds out."""

    name: str
    find: Callable[[Installation], Iterator[Finding]]


# In this order, since what is wrong above is often why something below is.
CHECKS = (
    Check("settings", files.settings),  # .env is there, whole, and makes sense
    Check("engine", engine.engine),  # a Docker Engine answers this user
    Check("versions", engine.versions),  # engine, compose and buildx are new enough
    Check("walls", engine.walls),  # the engine leaves out nothing that stages are promised
    Check("name", files.name),  # nobody else on the engine is called so
    Check("disk", machine.disk),  # there is room for data and for images
    Check("ports", machine.ports),  # nobody else listens where the services do
    Check("clock", machine.clock),  # it is the engine's, and nothing is from the future
    Check("permissions", files.permissions),  # data, guard and socket are whose they have to be
    Check("secrets", files.secrets),  # .secrets is as .env says, and nobody else's to read
    Check("images", engine.images),  # the table's and the services' images are there
    Check("services", engine.services),  # each is up and healthy, with the image that is there now
    Check("containers", engine.containers),  # none is left that nobody waits for
    Check("workers", tasks.workers),  # each is heard of, and each queue has one
    Check("tasks", tasks.stuck),  # none waits or runs for ever
)


@dataclass
class Report:
    """What the checks have found."""

    findings: list[tuple[str, Finding]] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)
    """Checks that could not look, and why."""

    @property
    def well(self) -> bool:
        return not self.findings

    def lines(self) -> Iterator[str]:
        """Yield a line for each finding, and what was looked at."""
        for check, finding in self.findings:
            yield f"{check}: {finding.what}; {finding.mend}"
        wrong = {check for check, _ in self.findings}
        well = [check.name for check in CHECKS if check.name not in {*wrong, *self.unseen}]
        if well:
            yield f"All is well with {', '.join(well)}"
        for check, why in self.unseen.items():
            yield f"{check}: not looked at, as {why}"

    def json(self) -> dict[str, Any]:
        """Return the same for programs."""
        found = [{"check": check, **asdict(finding)} for check, finding in self.findings]
        return {"well": self.well, "findings": found, "not_looked_at": self.unseen}


def examine(installation: Installation, checks: Iterable[Check] = CHECKS) -> Report:
    """Make the checks."""
    report = Report()
    for check in checks:
        try:
            report.findings += [(check.name, finding) for finding in check.find(installation)]
        except UnseenError as error:
            report.unseen[check.name] = str(error)
        except PermissionError as error:
            report.unseen[check.name] = f"user {os.geteuid()} may not see {error.filename}"
    return report
