"""A cell that pauses, hibernates and comes back while something is killed: nothing is lost, and it is stuck nowhere."""
import itertools
import time

from canonical import require
from faulty import Fault, Trial

# Its memory is lost with the daemon, or the cell; its files are not.
AGENT = """
let calls = 0;
module.exports = { count(ctx, { round }) { ctx.db.set("round-" + round, { round }); return ++calls; } };
"""
KEEPER = """
import mmap, os, sqlite3, sys
number = int(sys.argv[1])
db = sqlite3.connect("own.sqlite")
db.execute("pragma journal_mode = wal")
db.execute("create table if not exists rounds (number integer primary key)")
db.execute("insert or ignore into rounds values (?)", (number,))
db.commit()
file = os.open("mapped", os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(file, 4096)
memory = mmap.mmap(file, 4096)
memory[number] = number
print(db.execute("select count(*) from rounds").fetchone()[0], sum(memory[:]))
"""
POINTS = ("cell.before_freeze", "cell.frozen", "cell.pause_written", "cell.before_resume", "cell.resumed", "cell.before_end",
          "cell.ended", "cell.hibernate_written")
# Of those at which the cell's processes run, or stand still.
CELL_POINTS = ("cell.before_freeze", "cell.frozen", "cell.before_resume", "cell.resumed", "cell.before_end")
ROUNDS = 3


def expect(trial, method, rest, body=None, among=(200,)):
    answer = trial.ask(method, rest, body)
    require(answer.status in among, "lost", f"{method} {rest}: {answer}")
    return answer


def until(trial, rest):
    """A request for a state, which may be refused while something that was interrupted goes on."""
    while True:
        answer = expect(trial, "POST", rest, among=(200, 409))
        if answer.status == 200:
            return answer.json
        time.sleep(0.01)


def keep(trial, number):
    """Writes a round in every way there is, however often; what must be there afterwards is."""
    expect(trial, "PUT", f"/files/round-{number}", number)
    while True:  # A command that ended with its daemon or its cell is given again.
        answer = expect(trial, "POST", "/exec", {"cmd": ["python3", "-c", KEEPER, str(number)]})
        if not answer.json.get("lost"):
            break
    require(answer.json["exit_code"] == 0, "lost", f"the keeper failed: {answer}")
    require(answer.json["stdout"].split() == [str(number), str(number * (number + 1) // 2)], "lost", f"the keeper found {answer}")
    expect(trial, "POST", "/request", {"method": "count", "params": {"round": number}})
    for earlier in range(1, number + 1):
        require(expect(trial, "GET", f"/files/round-{earlier}").body == str(earlier).encode(), "lost", "a file")
        stored = expect(trial, "POST", "/request", {"method": "db_get", "params": {"key": f"round-{earlier}"}})
        require("round" in stored.body.decode(), "lost", f"an entry of the database: {stored}")


def run_state(cells, faults):
    """Rounds of pause, resume, hibernation and resume with these faults; the trial. Raises Broken, or AssertionError."""
    cell = cells.take(True, AGENT)
    with Trial(cells.daemon, cell, faults) as trial:
        for number in range(1, ROUNDS + 1):
            keep(trial, number)
            for rest, state in (("/pause", "paused"), ("/resume", "active"), ("/hibernate", "hibernated"), ("/resume", "active")):
                shown = until(trial, rest)
                # One who asked again, as the first answer was lost, may find it asleep already, or further.
                require(shown["state"] == state or trial.happened and state == "paused" and shown["state"] == "hibernated",
                        "lost", f"{rest} left it {shown['state']}")
        trial.disarm()
        require(expect(trial, "GET", "").json["state"] == "active", "lost", "it does not stay awake")
        keep(trial, ROUNDS + 1)
    cells.retire(AGENT)
    return trial


def state(faults):
    return "sleep:" + ",".join(map(str, faults)), lambda cells: run_state(cells, faults)


def victims_at(point):
    return ("daemon", "cell") if point in CELL_POINTS else ("daemon",)


def times_reached(point):
    """In a state: each round comes back twice."""
    return ROUNDS * (2 if point in ("cell.before_resume", "cell.resumed") else 1)


def every_state(rng):
    """Each point, each time that it is reached, each victim; then several kills in a row, without end."""
    kills = [Fault(point, occurrence, victim) for point in POINTS for occurrence in range(1, times_reached(point) + 1)
             for victim in victims_at(point)]
    for kill in kills:
        yield state([kill])
    for count in itertools.cycle((2, 3)):
        points = [rng.choice(POINTS) for _ in range(count)]
        yield state([Fault(point, 1, rng.choice(victims_at(point))) for point in points])


def states():
    for point in POINTS:
        yield state([Fault(point, 1, "daemon")])
    for point in CELL_POINTS:
        yield state([Fault(point, 2, "cell")])
    # Killed while it pauses, and again while it comes back from that.
    yield state([Fault("cell.frozen", 1, "daemon"), Fault("cell.before_resume", 1, "daemon"), Fault("cell.resumed", 1, "daemon")])
    yield state([Fault("cell.before_end", 1, "daemon"), Fault("cell.before_resume", 1, "daemon"), Fault("cell.ended", 1, "daemon")])
