"""A hibernated cell that waits for nothing takes no memory for its history, and is as it was when it is asked for."""
import random
import threading

import harness

AGENT = """
module.exports = {
  async turns(ctx, { count }) {
    console.log("a line of the agent");
    for (let i = 0; i < count; i += 1) await ctx.step(`turn ${i}`, () => i);
    return count;
  },
  async waits(ctx) { return ctx.waitForEvent("go"); },
  async sleeps(ctx) { await ctx.sleep(3000); return "slept"; },
};
"""
CELLS, REQUESTS = 6, 60


class UnloadTest(harness.CellTest):
    options = ("--unload-after-s", "0", "--run-suspend-after-ms", "100", "--log-level", "debug")

    def cell(self, customer="a", **settings):
        cell = super().cell(customer, agent=AGENT, **settings)
        self.addCleanup(cell.call, "DELETE")
        return cell

    def metric(self, name):
        lines = self.daemon.get("/metrics").body.decode().splitlines()
        return float(next(line for line in lines if line.startswith(name + " ")).split()[1])

    def begin(self, cell, method, key=None, **params):
        headers = {"Idempotency-Key": key} if key else None
        return cell.call("POST", "/runs", {"method": method, "params": params}, headers)

    def hibernate(self, cell):
        harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate").status == 200)

    def loaded(self, count):
        harness.eventually(f"{count} cells are loaded", lambda: self.metric("cellar_cells_loaded") == count)

    def test_what_it_had_is_there_again(self):
        cell = self.cell(file_events=True)
        run = self.begin(cell, "turns", "key", count=20).json["id"]
        before = cell.settled(run)
        self.assertEqual(200, cell.call("PUT", "/files/note", b"kept").status)
        self.hibernate(cell)
        logs = cell.request("logs").json
        self.hibernate(cell)
        told, events = cell.get(), cell.call("GET", "/events?after=0").json
        self.loaded(0)
        self.assertEqual(1, self.metric('cellar_runs{status="completed"}'))
        listed, = self.daemon.get("/api/v1/cells").json["cells"]
        self.assertEqual("hibernated", listed["state"])
        self.assertEqual(0, self.metric("cellar_cells_loaded"))
        self.assertEqual(before, cell.run(run))
        self.assertEqual(told, cell.get())
        self.assertEqual(events, cell.call("GET", "/events?after=0").json)
        again = self.begin(cell, "turns", "key", count=20)
        self.assertEqual((200, run), (again.status, again.json["id"]))
        self.assertEqual(b"kept", cell.call("GET", "/files/note").body)
        self.assertEqual(logs, cell.request("logs").json)
        self.assertEqual(3, cell.request("turns", {"count": 3}).json)

    def test_one_that_waits_stays_and_goes_on(self):
        cells = [self.cell(f"c{number}") for number in range(3)]
        waits, sleeps = (self.begin(cell, method).json["id"] for cell, method in zip(cells, ("waits", "sleeps")))
        for cell in cells:
            self.hibernate(cell)
        self.loaded(2)
        self.daemon.restart()
        self.loaded(2)
        self.assertEqual("slept", cells[1].settled(sleeps)["result"])
        self.assertEqual(200, cells[0].call("POST", f"/runs/{waits}/events", {"type": "go", "payload": 7}).status)
        self.assertEqual(7, cells[0].settled(waits)["result"])
        for cell in cells[:2]:
            self.hibernate(cell)
        self.loaded(0)

    def test_who_follows_a_cell_keeps_it(self):
        cell, other = self.cell("followed"), self.cell("other")
        stream = self.daemon.stream("GET", cell.path + "/events?after=0")
        for each in (cell, other):
            self.hibernate(each)
        self.loaded(1)
        self.assertEqual(3, cell.request("turns", {"count": 3}).json)
        harness.eventually("it is told", lambda: next(iter(stream)).type == "run.started")
        stream.close()

    def test_whoever_asks_at_whatever_moment_is_answered(self):
        seed = random.randrange(1 << 32)
        cells = [self.cell(f"c{number}") for number in range(CELLS)]
        runs = [self.begin(cell, "turns", "first", count=5).json["id"] for cell in cells]
        for cell, run in zip(cells, runs):
            cell.settled(run)
        failed = []

        def ask(number):
            dice = random.Random(f"{seed}-{number}")
            for turn in range(REQUESTS):
                at = dice.randrange(CELLS)
                cell = cells[at]
                kind = dice.choice(("run", "file", "again", "list", "hibernate", "hibernate", "new"))
                if kind == "run":
                    answer = cell.call("GET", f"/runs/{runs[at]}")
                    good = answer.status == 200 and answer.json["result"] == 5
                elif kind == "file":
                    answer = cell.call("PUT", f"/files/{number}", b"x")
                    good = answer.status == 200
                elif kind == "again":
                    answer = self.begin(cell, "turns", "first", count=5)
                    good = (answer.status, answer.json.get("id")) == (200, runs[at])
                elif kind == "list":
                    answer = self.daemon.get("/api/v1/cells")
                    good = len(answer.json["cells"]) == CELLS
                elif kind == "hibernate":
                    answer = cell.call("POST", "/hibernate")
                    good = answer.status in (200, 409)
                else:
                    answer = cell.request("turns", {"count": 1})
                    good = answer.json == 1
                if not good:
                    failed.append((number, turn, kind, answer))

        with self.subTest(seed=seed):
            threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual([], failed)
            self.assertIn("is unloaded", self.daemon.log())

    def test_whoever_asks_as_the_daemon_starts_is_answered(self):
        cells = [self.cell(f"c{number}") for number in range(CELLS)]
        runs = [self.begin(cell, "turns", count=5).json["id"] for cell in cells]
        for cell, run in zip(cells, runs):
            cell.settled(run)
            self.hibernate(cell)
        failed = []

        def ask(cell, run):
            for _ in range(5):
                answer = cell.call("GET", f"/runs/{run}")
                if answer.status != 200:
                    failed.append(answer)

        for _ in range(8):
            self.daemon.restart()
            threads = [threading.Thread(target=ask, args=asked) for asked in zip(cells, runs)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual([], failed)
