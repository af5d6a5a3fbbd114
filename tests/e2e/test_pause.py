"""A paused cell loses nothing of what it has; its memory: test_swap. Kills while it pauses: tests/crash/sleep.py."""
import concurrent.futures
import contextlib
import os
import pathlib
import resource
import signal

import harness

WAITER = "module.exports = { async wait(ctx) { return await ctx.waitForEvent('e', { type: 'go' }); } };"

SETTLED = 10
CYCLES = int(os.environ.get("CELLAR_E2E_PAUSES", "60"))
# Counts ticks in memory, in an open file, in SQLite, in a mapped file and by a timer that goes on; tells over TCP.
KEEPER = """
import mmap, os, socket, sqlite3, threading, time
log = open("log", "a")
db = sqlite3.connect("own.sqlite")
db.execute("pragma journal_mode = wal")
db.execute("create table ticks (number integer primary key)")
file = os.open("mapped", os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(file, 1 << 16)
memory = mmap.mmap(file, 1 << 16)
ticks, beats = 0, 0
def beat():
    global beats
    while True:
        time.sleep(0.001)
        beats += 1
threading.Thread(target=beat, daemon=True).start()
server = socket.create_server(("127.0.0.1", 7000))
print("up", flush=True)
while True:
    client, _ = server.accept()
    for line in client.makefile():
        before = beats
        while beats == before: time.sleep(0.001)
        ticks += 1
        log.write(f"{ticks}\\n"); log.flush()
        db.execute("insert into ticks values (?)", (ticks,)); db.commit()
        memory[ticks] = ticks & 255
        lines = sum(1 for _ in open("log"))
        rows = db.execute("select count(*) from ticks").fetchone()[0]
        mapped = sum(memory[at] == at & 255 for at in range(1, ticks + 1))
        client.sendall(f"{ticks} {lines} {rows} {mapped}\\n".encode())
"""
TICK = """exec 3<>/dev/tcp/127.0.0.1/7000; echo tick >&3; read line <&3; echo $line"""


class CycleTest(harness.CellTest):
    def test_what_a_cell_has_is_the_same_after_any_number_of_pauses(self):
        cell = self.cell("cycles")
        cell.call("PUT", "/files/keeper.py", KEEPER)
        tree = "mkdir -p node_modules; for i in $(seq 200); do mkdir -p node_modules/p$i; echo $i > node_modules/p$i/index.js; done"
        self.assertEqual(0, cell.exec(f"cd /work && {tree}")["exit_code"])
        digest = lambda: cell.exec("cd /work && find node_modules -type f | sort | xargs cat | sha256sum")["stdout"]
        before = digest()
        stream = self.daemon.stream("POST", cell.path + "/exec", {"cmd": "cd /work && exec python3 keeper.py"})
        self.assertIn("up", str(next(iter(stream)).data))
        descriptors = lambda: len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))
        held = 0
        for cycle in range(1, CYCLES + 1):
            if cycle <= SETTLED:  # What the daemon makes ahead after its start is there by then.
                held = descriptors()
            told = cell.exec(["bash", "-c", TICK])["stdout"].split()
            self.assertEqual([str(cycle)] * 4, told)
            self.assertEqual("paused", cell.call("POST", "/pause").json["state"])
        self.assertEqual([str(CYCLES + 1)] * 4, cell.exec(["bash", "-c", TICK])["stdout"].split())
        self.assertEqual(before, digest())
        self.assertEqual("memory", cell.get()["resume"]["from"])
        harness.eventually("no descriptor is left", lambda: descriptors() <= held + 4)
        stream.close()

    def test_many_who_come_at_once_resume_a_cell_once(self):
        cell = self.cell("rush")
        cell.exec("true")
        for kind in ("pause", "hibernate"):
            cell.call("POST", f"/{kind}")
            with concurrent.futures.ThreadPoolExecutor(16) as clients:
                answers = list(clients.map(lambda n: cell.exec(f"echo {n}")["stdout"], range(32)))
            self.assertEqual([f"{n}\n" for n in range(32)], answers)
            self.assertEqual("memory" if kind == "pause" else "disk", cell.get()["resume"]["from"])


class SpawnerTest(harness.CellTest):
    def test_a_daemon_that_has_lost_what_makes_cells_ends_and_the_next_one_finds_them(self):
        cell, other = self.cell("left"), self.cell("asleep")
        cell.exec("true")
        domain = set(cell.processes())
        os.kill(self.daemon.spawner(), signal.SIGKILL)
        self.assertEqual(1, self.daemon.process.wait(harness.WAIT_S))
        self.daemon.process.stdout.close()
        self.assertIn("cellar-spawn has ended", self.daemon.log())
        self.daemon.start()
        for found in (other, cell):
            self.assertEqual("ok\n", found.exec("echo ok")["stdout"])
        self.assertTrue(domain & set(cell.processes()))

    def first_free(self, spawner):
        """The first descriptor that it has not; None where its number is less than those are that it waits for: with such a limit it
        could not even do that. Another cell gets what is free."""
        held = {}
        for path in pathlib.Path(f"/proc/{spawner}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                held[int(path.name)] = os.readlink(path)
        free = next(number for number in range(len(held) + 1) if number not in held)
        return free if free >= sum("socket" in what or "pidfd" in what for what in held.values()) else None

    def test_what_makes_cells_survives_that_it_can_open_nothing_more_as_one_ends(self):
        cell = self.cell("ended")
        cell.exec("true")
        spawner = self.daemon.spawner()
        limits = resource.prlimit(spawner, resource.RLIMIT_NOFILE)
        others = iter(range(100))
        free = harness.eventually("a limit is found", lambda: self.first_free(spawner) or self.cell(f"other-{next(others)}").exec("true") and None)
        held = os.listdir(f"/proc/{spawner}/fd")
        resource.prlimit(spawner, resource.RLIMIT_NOFILE, (free, limits[1]))
        cell.call("POST", "/hibernate")
        harness.eventually("it has let go of the cell's mounts", lambda: len(os.listdir(f"/proc/{spawner}/fd")) < len(held))
        resource.prlimit(spawner, resource.RLIMIT_NOFILE, limits)
        self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])


class ComingTest(harness.CellTest):
    """Somebody comes while a cell is on its way to sleep: the daemon, held up as it begins, finds the request behind it."""

    daemon_class = harness.FaultyDaemon
    options = ("--hibernate-after-s", "1")

    def come(self, cell, point, *ask):
        (self.daemon.root / "faults").write_text(f"{point} 1 delay=300 {cell.id}\n")
        (self.daemon.root / "faults.hits").write_text("")
        with concurrent.futures.ThreadPoolExecutor(1) as clients:
            asked = clients.submit(cell.call, *ask) if ask else None
            harness.eventually("it is about to sleep", lambda: self.daemon.reached(point))
            answer = cell.exec("sleep 0.1; echo here", timeout_ms=5000)
            return answer, asked and asked.result().status

    def test_a_command_that_comes_while_its_cell_goes_to_sleep_wakes_it(self):
        for point, kind in (("cell.before_freeze", "pause"), ("cell.before_end", "hibernate")):
            cell = self.cell(kind)
            cell.exec("true")
            answer, status = self.come(cell, point, "POST", f"/{kind}")
            self.assertEqual(("here\n", 0, 200), (answer["stdout"], answer["exit_code"], status), answer)
            self.assertEqual("active", cell.get()["state"])
            self.assertEqual("memory" if kind == "pause" else "disk", cell.get()["resume"]["from"])

    def test_so_does_one_that_comes_as_its_timers_are_up(self):
        cell = self.cell("timers", idle_timeout_s=1)
        cell.exec("true")
        self.assertEqual("here\n", self.come(cell, "cell.before_freeze")[0]["stdout"])
        self.assertEqual("here\n", self.come(cell, "cell.before_end")[0]["stdout"])


class QueueTest(harness.CellTest):
    """The memory of one cell is moved at a time; the daemon is held up as it begins with the first."""

    daemon_class = harness.FaultyDaemon
    options = ("--page-out-after-s", "0")

    def test_a_cell_whose_memory_waits_for_its_turn_is_deleted_at_once(self):
        (self.daemon.root / "faults").write_text("paging.before_move 1 delay=5000\n")
        first, second = self.cell("first"), self.cell("second")
        for cell in (first, second):
            cell.exec("true")
        first.call("POST", "/pause")
        harness.eventually("the first one's memory is to be moved", lambda: self.daemon.reached("paging.before_move"))
        second.call("POST", "/pause")
        third = self.cell("third", idle_timeout_s=1)  # Timers are looked at in the order of names.
        harness.eventually("timers were looked at", lambda: third.get()["state"] == "paused")
        self.assertEqual(204, second.call("DELETE").status)
        self.assertNotIn("paged_out_bytes", first.get()["pause"])


class EndedAgentsTest(harness.CellTest):
    AGENT = "module.exports = { async pid() { return process.pid; }, async fails() { throw new Error(); } };"

    def pipes(self):
        """That the daemon has: what agents print comes by one each."""
        folder = f"/proc/{self.daemon.process.pid}/fd"
        while True:
            with contextlib.suppress(FileNotFoundError):  # It may close one meanwhile.
                return sum(os.readlink(f"{folder}/{each}").startswith("pipe:") for each in os.listdir(folder))

    def test_of_agents_that_have_ended_nothing_is_kept_and_none_is_told_as_lost_again(self):
        cell = self.cell("ended", agent=self.AGENT)
        held = 0
        for turn in range(8):
            self.assertEqual(200, cell.request("pid").status)
            if turn == 2:
                held = self.pipes()
            cell.kill_agent()
            harness.eventually("it has ended", lambda: cell.agent_pid() is None)
        self.assertEqual(200, cell.request("pid").status)
        harness.eventually("no pipe is left of those", lambda: self.pipes() <= held)
        harness.eventually("no record is left of those", lambda: len(os.listdir(cell.dir / "run/programs")) == 1)
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        self.assertEqual(200, cell.request("pid").status)
        lost = cell.get()["resume"]["processes"]["lost"]
        self.assertEqual([("agent", "hibernated")], [(each["domain"], each["lost_by"]) for each in lost])

    def test_an_error_without_a_message_is_told_by_its_name(self):
        answer = self.cell(agent=self.AGENT).request("fails")
        self.assertEqual((500, "Error"), (answer.status, answer.json["error"]))


class StopTest(harness.CellTest):
    options = ("--on-stop", "hibernate")

    def test_a_daemon_that_is_to_end_leaves_cells_on_disk_alone_and_their_runs_go_on_under_the_next(self):
        busy, frozen = (self.cell(name, agent=WAITER) for name in ("busy", "frozen"))
        for cell in (busy, frozen):
            self.assertEqual(201, cell.call("POST", "/processes", {"cmd": ["sleep", "1000"]}).status)
        run = busy.call("POST", "/runs", {"method": "wait"}).json["id"]
        harness.eventually("it waits", lambda: busy.run(run)["status"] == "waiting")
        frozen.call("POST", "/pause")
        processes = busy.processes() | frozen.processes()
        self.daemon.stop()
        self.assertEqual([], [pid for pid in processes if not harness.has_ended(pid)])
        self.assertFalse(any((cell.dir / "run/slot.json").exists() for cell in (busy, frozen)))
        self.daemon.start()
        self.assertEqual("hibernated", frozen.get()["state"])
        for cell in (busy, frozen):
            self.assertEqual("ok\n", cell.exec("echo ok")["stdout"])
        back = frozen.get()["resume"]
        lost = [(program["command"], program["lost_by"]) for program in back["processes"]["lost"]]
        self.assertEqual(("disk", [("sleep 1000", "daemon_ended")]), (back["from"], lost))
        busy.call("POST", f"/runs/{run}/events", {"type": "go", "payload": 7})
        self.assertEqual(("completed", 7), (lambda r: (r["status"], r["result"]))(busy.settled(run)))
