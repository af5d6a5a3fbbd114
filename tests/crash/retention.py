"""A journal that is trimmed while something is killed: what may go goes, and what is needed stays."""
import time

from canonical import Client, require
from faulty import ERRNOS, Fault, Trial

AGENT = """
module.exports = {
  async blob(ctx) { return (await ctx.step("value", () => "b".repeat(70000))).length; },
  async large(ctx) { return ctx.step("value", () => "l".repeat(60000)); },
  async waits(ctx) {
    const kept = await ctx.step("value", () => "k".repeat(80000));
    return (await ctx.waitForEvent("go")) + kept.length;
  },
  async turns(ctx, { n = 1 }) {
    await ctx.step("value", () => "t".repeat(60000));
    const payload = await ctx.waitForEvent("go");
    return n === 1 ? ctx.continueAs({ n: 2 }) : payload + n;
  },
};
"""
LARGE = 5  # runs, which fill two segments
RETENTION_S = 1
POINTS = ("trim.before_written", "trim.durable", "trim.before_remove", "trim.before_names_sync", "trim.before_blob_remove")
# Killed in the trim, in the opening that goes on with it, and in the one after that.
NESTED = ("trim.durable", "trim.before_names_sync", "trim.before_remove")


class Keeper(Client):
    """Begins runs of which some stay, and lets the cell hibernate until the first that ended is gone."""

    def __init__(self, trial, method):
        super().__init__(trial, method, {})

    def settle(self, wanted):
        self.begin()
        while self.look()["status"] != wanted:
            time.sleep(0.006)
        return self

    def go(self, event_id, payload):
        answer = self.trial.ask("POST", f"/runs/{self.run_id}/events", {"id": event_id, "type": "go", "payload": payload})
        require(answer.status == 200, "lost", f"an event was answered by {answer}")


def find(trial, client):
    answer = trial.ask("GET", f"/runs/{client.run_id}")
    removed = answer.status == 404 and answer.json["code"] == "run_removed"
    require(removed or answer.status == 200, "lost", f"a run that had ended: {answer}")
    return None if removed else answer.json


def run_state(cells, faults):
    """One trim with these faults; the trial, with what happened. Raises Broken, or AssertionError."""
    cell = cells.take(True, AGENT)
    with Trial(cells.daemon, cell, []) as trial:
        turns = Keeper(trial, "turns").settle("waiting")  # What it records before its second turn goes with the others.
        old = [Keeper(trial, method).settle("completed") for method in ("blob", *["large"] * LARGE)]
        turns.go("e1", 0)
        while True:
            turns.done = {}  # Those of a generation that has ended are not told any more.
            told = turns.look()
            if (told["status"], told.get("generation")) == ("waiting", 2):
                break
            time.sleep(0.006)
        waits = Keeper(trial, "waits").settle("waiting")
    cells.daemon.create(cell.fields["customer_id"], run_retention_s=RETENTION_S)
    with Trial(cells.daemon, cell, faults) as trial:
        for client in (*old, waits, turns):
            client.trial = trial
        while find(trial, old[0]):
            trial.ask("POST", "/hibernate")
            trial.ask("POST", "/resume")
        while trial.current and trial.current.victim not in ERRNOS:  # What the trim left is done by the next opening.
            cells.daemon.process.kill()
            trial.revive()
            if not trial.faults:
                break
        trial.disarm()
        cells.daemon.create(cell.fields["customer_id"], run_retention_s=0)  # Others come of age meanwhile.
        check(trial, old, waits, turns)
    cells.retire(AGENT)
    return trial


def check(trial, old, waits, turns):
    found = [find(trial, client) for client in old]
    there = [run for run in found if run]
    require(found[len(found) - len(there):] == there, "lost", "a run is removed, and an older one is not")
    require(all(run["result"] == "l" * 60000 for run in there), "lost", "a run that is kept has another result")
    trial.daemon.restart()
    trial.disconnect()
    require([find(trial, client) for client in old] == found, "lost", "a restart changed which runs there are")
    files = trial.cell.dir / "journal"
    first = min(int(path.stem) for path in files.glob("*.seg"))
    require(first > 1, "lost", "the first segment is still there")
    require(len(list(files.glob("blobs/*/*"))) == 1, "lost", "a blob is missing, or one too many there")
    for client, result in ((waits, 80001), (turns, 3)):
        client.go("e", 1)
        while client.look()["status"] != "completed":
            time.sleep(0.006)
        require(client.look()["result"] == result, "lost", "a value of a run that is kept is another one")


def state(faults):
    name = ",".join(map(str, faults))
    return f"retention:{name}", lambda cells: run_state(cells, faults)


def states():
    for point in POINTS:
        yield state([Fault(point, 1, "daemon")])
    yield state([Fault("trim.before_remove", 2, "daemon")])
    yield state([Fault("trim.before_remove", 1, "EIO")])
    yield state([Fault(point, 1, "daemon") for point in NESTED])
