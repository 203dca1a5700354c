"""What the checks found: for a person as they end, and as data."""

from contextlib import suppress
from typing import Any, TextIO

import pytest

WORDS = {"passed": "ok", "failed": "REFUSED", "skipped": "left out"}


class Report:
    """A pytest plugin that writes a line a check, and keeps all of them in `checks`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.checks: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        facts: dict[str, Any] = dict(report.user_properties)
        seen = str(report.longrepr) if report.failed else ""
        if isinstance(report.longrepr, tuple):  # file, line and reason of a skip
            seen = report.longrepr[2].removeprefix("Skipped: ")
        result = WORDS[report.outcome]
        self.checks.append(
            {
                "check": facts["check"],
                "title": facts["title"],
                "result": result,
                "seen": seen,
                "why": facts["why"],
                "mend": facts["mend"],
                "seconds": round(report.duration, 3),
            }
        )
        if not report.skipped:  # they are summed up at the end
            self._write(f"  {result:8} {facts['title']}")
        if report.failed:
            for key in ("seen", "why", "mend"):
                self._write(f"           {key + ':':5} {self.checks[-1][key]}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(str(report.longrepr))

    def close(self, seconds: float) -> None:
        """Write what was left out and why, and the sum of all."""
        left_out = [check["seen"] for check in self.checks if check["result"] == "left out"]
        for reason in dict.fromkeys(left_out):
            self._write(f"  left out {left_out.count(reason)}: {reason}")
        refused = sum(check["result"] == "REFUSED" for check in self.checks)
        verdict = f"refused by {refused}" if refused else "it keeps the contract"
        checked = len(self.checks) - len(left_out)
        self._write(f"{checked} checks in {seconds:.0f} s: {verdict}")

    def _write(self, line: str) -> None:
        with suppress(BrokenPipeError):  # as of `check_stage ... | head`: the checks go on
            print(line, file=self._stream, flush=True)
