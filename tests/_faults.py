"""The page docs/reliability.md, made by the tests marked `fault`: `pytest tests -m fault --fault-matrix=docs/reliability.md`."""

from pathlib import Path

INTRODUCTION = """# Reliability

What goes wrong overnight, caused for real by the tests, and what is left in the morning. `make faults` runs them all and writes this page
(half an hour on two cores; the full disks need leave to mount a small file system, and are skipped without it).

**What is guaranteed**, at the same code, data and versions; bit for bit on the CPU:

- A finished result is never lost, and is on record once. It lies whole in its run directory, `record.json` last, before the store hears
  of it, and enters the store under the name of its attempt: an attempt that is closed there does not enter again.
- A trial that was stopped, by Ctrl-C, SIGTERM, kill -9, a lost node or a full disk, goes on from its last checkpoint (every half a
  minute, written beside the earlier one and then renamed) to the weights and scores of one that was left alone. The same command is all
  it takes.
- Training and judging come on record one after the other. A kill while a trial is judged, at first or again, loses that judgement alone;
  weights that are damaged or gone are noticed by their hash, and the training is repeated. A judgement counts for the very weights that
  it judged.
- A trial is run by one process at a time: the system holds a lock on its folder and frees it when the process dies, however it dies. Two
  runners on one output folder share the trials; each waits for what the other is at.
- No trial takes the others down. What diverges, fails, or kills its process is a result with its reason; a checkpoint in which a bit is
  wrong (its checksum tells) is dropped, the trial begins afresh, and its record says so.
- Training waits for no store. One that is away, stalls, is locked or full is asked again later, less than a tenth of the time is spent on
  it, and what had to wait follows in order (or by `runner.py sync`). A damaged database is refused, and made anew by `runner.py rebuild`.
- What spoils every trial ends the run at once, in one line and with exit code 2: a full disk, a corrupt picture. Mended, the same command
  goes on.

**What is not**: a curve in the store may lag behind a running trial; a power cut may cost a checkpoint or a record that the system had
not yet written to the disk, and then the trial runs again; times of trials that were interrupted count training alone, not what was done
twice.

| fault | how it is caused | expected | observed | count |
|---|---|---|---|---|
"""


def pytest_addoption(parser):
    parser.addoption("--fault-matrix", type=Path, help="Write the page of faults here.")


def pytest_configure(config):
    if page := config.getoption("--fault-matrix"):
        config.pluginmanager.register(_Matrix(page.absolute()))


class _Matrix:
    """Collects the marks where the tests are, their outcomes where the reports arrive: with several workers not the same process."""

    def __init__(self, page):
        self.page, self.rows = page, {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if mark := item.get_closest_marker("fault"):
                item.user_properties.append(("fault", [mark.args[0], mark.kwargs["cause"], mark.kwargs["expected"]]))

    def pytest_runtest_logreport(self, report):
        known = dict(report.user_properties)
        if "fault" not in known or (report.when != "call" and report.passed):
            return
        row = self.rows.setdefault(tuple(known["fault"]), {"count": 0, "observed": "as expected"})
        if report.passed:
            row["count"] += known.get("count", 1)
        elif report.skipped:
            row["observed"] = "not caused here: " + report.longrepr[2].removeprefix("Skipped: ")
        else:
            crash = getattr(report.longrepr, "reprcrash", None)
            row["observed"] = (crash.message if crash else str(report.longrepr)).splitlines()[0]

    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput"):
            return
        lines = [[*about, row["observed"], str(row["count"])] for about, row in sorted(self.rows.items())]
        self.page.write_text(
            INTRODUCTION + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
        )
