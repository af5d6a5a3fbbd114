"""A paused cell gives its memory back and loses nothing of it."""
import contextlib

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

    def resident(self, cell):
        pid = cell.agent_pid()
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))

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
