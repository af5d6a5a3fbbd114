"""The memory of a paused cell is in swap meanwhile, where the machine has some. Alone: whatever else pauses would use the same."""
import contextlib
import pathlib

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
  some() { let sum = 0; for (let page = 0; page < 256; page++) sum += memory[page << 12]; return sum; },
};"""


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

    def faults_of_first_answer(self, cell, method="nothing"):
        """How often the agent's main thread waited for memory from swap to answer after a pause."""
        cell.call("POST", "/pause")
        harness.eventually("its memory is moved", lambda: "paged_out_bytes" in cell.get()["pause"])
        pid = cell.agent_pid()
        faults = lambda: int(pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[9])
        before = faults()
        cell.request(method)
        return faults() - before

    def test_what_nobody_touches_stays_in_swap_and_what_the_first_answer_needed_in_memory(self):
        self.stack.enter_context(swap(self.daemon.root, 4 * MEGABYTES))
        cell = self.cell("often", agent=AGENT)
        digest = cell.request("fill", {"megabytes": MEGABYTES}).json
        first = self.faults_of_first_answer(cell, "some")
        for _ in range(15):
            cell.exec("sleep 0.1")  # What it needed is looked at meanwhile; where it is not, the next time.
            later = self.faults_of_first_answer(cell, "some")
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
