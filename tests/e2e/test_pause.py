"""A paused cell loses nothing of what it has, and gives its memory back. Kills while it pauses: tests/crash/sleep.py."""
import concurrent.futures
import contextlib
import os
import pathlib
import resource
import signal

import harness
from swap import swap, why_not

MEGABYTES = 64
MOST = MEGABYTES * (9 << 20) // 10
# Its memory is what it made at its first call, and a digest says whether it is the same later.
AGENT = """const crypto = require("crypto");
let memory;
const digest = () => crypto.createHash("sha256").update(memory).digest("hex");
module.exports = {
  fill(ctx, { megabytes }) { memory = crypto.randomBytes(megabytes << 20); return digest(); },
  digest,
  nothing() { return 1; },
};"""

WAITER = "module.exports = { async wait(ctx) { return await ctx.waitForEvent('e', { type: 'go' }); } };"

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
        held = descriptors()
        for cycle in range(1, CYCLES + 1):
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

    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.FaultyDaemon("--hibernate-after-s", "1")
        cls.addClassCleanup(cls.daemon.cleanup)

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

    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.FaultyDaemon("--page-out-after-s", "0")
        cls.addClassCleanup(cls.daemon.cleanup)

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


class SwapTest(harness.CellTest):
    options = ("--page-out-after-s", "0")

    @classmethod
    def setUpClass(cls):
        if why_not():
            raise cls.skipTest(cls, why_not())
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def paged_out(self, cell):
        return harness.eventually("its memory is moved", lambda: cell.get()["pause"].get("paged_out_bytes"))

    def resident(self, cell, line="VmRSS"):
        return self.bytes_of(f"{cell.agent_pid()}/status", line)

    def bytes_of(self, file, name):
        with open(f"/proc/{file}") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

    def test_the_memory_of_a_paused_cell_goes_to_swap_and_comes_back_as_it_was(self):
        self.stack.enter_context(swap(self.daemon.root, 4 * MEGABYTES))
        cell = self.cell("big", agent=AGENT)
        digest = cell.request("fill", {"megabytes": MEGABYTES}).json
        before = self.resident(cell)
        self.assertEqual("paused", cell.call("POST", "/pause").json["state"])
        self.assertGreater(self.paged_out(cell), MOST)
        self.assertLess(self.resident(cell), before - MOST)
        self.assertEqual(digest, cell.request("digest").json)
        self.assertNotIn("pause", cell.get())
        cell.call("POST", "/pause")
        self.paged_out(cell)
        self.daemon.restart()  # The next daemon finds it there; the agent host is lost with the daemon.
        self.assertEqual(0, cell.exec("true")["exit_code"])
        self.assertEqual("memory", cell.get()["resume"]["from"])

    def faults_of_first_answer(self, cell):
        """How often the agent's main thread waited for memory from swap to answer after a pause."""
        cell.call("POST", "/pause")
        harness.eventually("its memory is moved", lambda: "paged_out_bytes" in cell.get()["pause"])
        pid = cell.agent_pid()
        faults = lambda: int(pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[9])
        before = faults()
        cell.request("nothing")
        return faults() - before

    def test_what_nobody_touches_stays_in_swap_and_what_the_first_answer_needed_in_memory(self):
        self.stack.enter_context(swap(self.daemon.root, 4 * MEGABYTES))
        cell = self.cell("often", agent=AGENT)
        digest = cell.request("fill", {"megabytes": MEGABYTES}).json
        first = self.faults_of_first_answer(cell)
        for _ in range(5):
            cell.exec("sleep 0.1")  # What it needed is looked at meanwhile; where it is not, the next time.
            later = self.faults_of_first_answer(cell)
            if later < first / 2:
                break
        self.assertLess(later, first / 2)
        self.assertGreater(self.resident(cell, "VmSwap"), MOST)
        self.assertLess(self.bytes_of("meminfo", "SwapCached"), MOST / 2)  # It is in swap alone.
        self.assertEqual(digest, cell.request("digest").json)

    def test_what_was_touched_lately_stays_in_memory_when_it_is_moved_for_the_first_time(self):
        self.stack.enter_context(swap(self.daemon.root, 8 * MEGABYTES))
        faults = []
        for name, is_known in (("unknown", False), ("known", True)):
            cell = self.cell(name, agent=AGENT)
            cell.request("fill", {"megabytes": MEGABYTES})
            if is_known:  # All that it touched as it began is forgotten; then it is asked for something.
                touched = lambda: self.bytes_of(f"{cell.agent_pid()}/smaps_rollup", "Referenced")
                harness.eventually("it is forgotten", lambda: touched() < MEGABYTES << 18)
                cell.request("nothing")
            faults.append(self.faults_of_first_answer(cell))
        self.assertLess(faults[1], 0.7 * faults[0])

    def test_the_memory_of_an_agent_with_secrets_goes_to_no_disk(self):
        with open("/proc/swaps") as swaps:
            if len(swaps.readlines()) > 1:
                self.skipTest("this machine has swap of its own")
        cell = self.cell("secret", agent=AGENT, secrets={"KEY": "hush"})
        cell.request("fill", {"megabytes": MEGABYTES})
        stream = self.daemon.stream("POST", cell.path + "/exec", {
            "cmd": ["python3", "-c", f"import os, time; m = os.urandom({MEGABYTES} << 20); print('up', flush=True); time.sleep(1000)"]})
        next(iter(stream))
        with swap(self.daemon.root, 4 * MEGABYTES, in_memory=False):
            before = self.resident(cell)
            cell.call("POST", "/pause")
            gone = self.paged_out(cell)
            self.assertTrue(MOST < gone < 2 * MOST, gone)  # The command's, which knows no secret.
            self.assertEqual(before, self.resident(cell))
            cell.call("POST", "/resume")
        stream.close()

    def test_a_cell_that_is_resumed_while_its_memory_is_moved_loses_nothing(self):
        self.stack.enter_context(swap(self.daemon.root, 4 * MEGABYTES))
        cell = self.cell("hasty", agent=AGENT)
        digest = cell.request("fill", {"megabytes": MEGABYTES}).json
        for _ in range(3):
            cell.call("POST", "/pause")
            harness.eventually("some of it is gone", lambda: self.resident(cell) < MEGABYTES << 20 or None)
            self.assertEqual(digest, cell.request("digest").json)

    def test_without_swap_a_paused_cell_says_that_nothing_was_moved(self):
        with open("/proc/swaps") as swaps:
            if len(swaps.readlines()) > 1:
                self.skipTest("this machine has swap")
        cell = self.cell("small", agent=AGENT)
        cell.request("nothing")
        cell.call("POST", "/pause")
        harness.eventually("it is said", lambda: cell.get()["pause"].get("paged_out_bytes") == 0)
        self.assertEqual(200, cell.request("nothing").status)
