"""What a run recorded before ctx.continueAs goes, and the run with all that it is told by stays."""
import datetime
import http.client
import random
import threading

import harness

AGENT = """
const fs = require("fs");
module.exports = {
  // Four megabytes in each generation; it waits once, and takes an event that came in the one before.
  async turns(ctx, { n = 1, last, told = [] }) {
    for (let i = 1; i <= 4; i += 1) {
      await ctx.step("turn", () => { fs.appendFileSync("/work/log", `${n}.${i} `); return `${n}.${i}`.padEnd(1_000_000); });
    }
    if (n === last - 1) await ctx.waitForEvent("go");
    if (n === last) told = [await ctx.waitForEvent("note"), (await ctx.step("end", () => "done"))];
    return n < last ? ctx.continueAs({ n: n + 1, last, told }) : { n, told };
  },
  async sums(ctx, { k = 0, last, seen = [] }) {
    const event = await ctx.waitForEvent("n");
    const blob = await ctx.step("blob", () => `${k}`.padEnd(300_000));
    if (k % 5 === 0) {
      const child = await ctx.spawn("child", { k }, { id: `c${k}` });
      if ((await child.result()) !== parseInt(blob)) throw new Error("another value");
    }
    return k + 1 < last ? ctx.continueAs({ k: k + 1, last, seen: [...seen, event] }) : [...seen, event];
  },
  async child(ctx, { k }) { return ctx.step("value", () => k); },
  async small(ctx, { n = 1 }) {
    await ctx.step("turn", () => "s".repeat(60_000));
    await ctx.waitForEvent("go");
    return ctx.continueAs({ n: n + 1 });
  },
  async takes(ctx, { n = 1 }) {
    if (n === 1) {
      await ctx.waitForEvent("go");
      for (let i = 0; i < 6; i += 1) await ctx.step("fill", () => "s".repeat(60_000));
      return ctx.continueAs({ n: 2 });
    }
    const note = await ctx.waitForEvent("note");
    await ctx.step("mark", () => 1);
    await ctx.waitForEvent("go");
    return note;
  },
};
"""
MIB = 1 << 20
LIMIT = 64 * MIB  # The least that a journal may take.


class GenerationsTest(harness.CellTest):
    options = ("--cell-disk-bytes", str(40 * MIB), "--run-suspend-after-ms", "100")

    def begin(self, cell, method, key=None, **params):
        headers = {"Idempotency-Key": key} if key else None
        return cell.call("POST", "/runs", {"method": method, "params": params}, headers)

    def waits(self, cell, run):
        return harness.eventually("it waits", lambda: (told := cell.run(run))["status"] == "waiting" and told)

    def journal_bytes(self, cell):
        return sum(path.stat().st_size for path in (cell.dir / "journal").rglob("*") if path.is_file())

    def hibernate_of_age(self, cell):
        began = datetime.datetime.now(datetime.UTC)
        harness.eventually("all are of age", lambda: (datetime.datetime.now(datetime.UTC) - began).total_seconds() > 1)
        harness.eventually("it hibernates", lambda: cell.call("POST", "/hibernate").status == 200)
        self.assertNotIn("00000000000000000001.seg", [path.name for path in (cell.dir / "journal").iterdir()])

    def test_a_run_goes_on_through_many_times_what_its_journal_may_take(self):
        cell = self.cell(agent=AGENT, run_retention_s=0)
        last = 3 * LIMIT // 4_000_000
        run = self.begin(cell, "turns", "key", last=last).json["id"]
        follower = self.daemon.stream("GET", f"{cell.path}/runs/{run}/events")  # That somebody looks keeps nothing.
        self.assertEqual("run.started", next(iter(follower)).type)
        told = self.waits(cell, run)
        follower.close()
        self.assertEqual((last - 1, last), (told["params"]["n"], told["params"]["last"]))
        self.assertLess(self.journal_bytes(cell), LIMIT)
        event = {"type": "note", "payload": "n", "id": "e1"}
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", event).status)

        self.daemon.restart()
        self.assertEqual(told["started_at"], cell.run(run)["started_at"])
        again = self.begin(cell, "turns", "key", last=last)
        self.assertEqual((200, run), (again.status, again.json["id"]))
        self.assertEqual(409, self.begin(cell, "turns", "key", last=1).status)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", event).status)  # Once more: it is known.
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        self.assertEqual({"n": last, "told": ["n", "done"]}, cell.settled(run)["result"])
        self.assertEqual([f"{n}.{i}" for n in range(1, last + 1) for i in range(1, 5)], self.log(cell))

        copy = cell.call("POST", f"/runs/{run}/restart", {"from": "end"}).json["id"]
        self.assertEqual({"n": last, "told": ["n", "done"]}, cell.settled(copy)["result"])
        self.assertEqual(4 * last, len(self.log(cell)))
        whole = cell.call("POST", f"/runs/{run}/restart", {}).json["id"]
        harness.eventually("it begins as the run did", lambda: len(self.log(cell)) > 4 * last)
        self.assertEqual("1.1", self.log(cell)[4 * last])
        cell.call("POST", f"/runs/{whole}/cancel", {})

    def test_generations_that_ended_long_ago_go_while_the_cell_sleeps(self):
        cell = self.cell(agent=AGENT, run_retention_s=1)
        run = self.begin(cell, "small").json["id"]
        for _ in range(6):
            before = self.waits(cell, run)["params"].get("n", 1)
            cell.call("POST", f"/runs/{run}/events", {"type": "go"})
            harness.eventually("it goes on", lambda: self.waits(cell, run)["params"].get("n", 1) > before)
        self.assertIn("00000000000000000001.seg", [path.name for path in (cell.dir / "journal").iterdir()])
        self.hibernate_of_age(cell)
        for _ in range(2):
            told = cell.run(run)
            self.assertEqual(("waiting", 7, "small"), (told["status"], told["params"]["n"], told["method"]))
            self.daemon.restart()
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        harness.eventually("it goes on", lambda: self.waits(cell, run)["params"]["n"] == 8)

    def test_a_run_is_begun_again_behind_an_event_whose_record_is_gone(self):
        cell = self.cell(agent=AGENT, run_retention_s=1)
        run = self.begin(cell, "takes").json["id"]
        self.waits(cell, run)
        note = {"type": "note", "payload": "n", "id": "n1"}
        cell.call("POST", f"/runs/{run}/events", note)
        cell.call("POST", f"/runs/{run}/events", {"type": "go"})
        harness.eventually("it has taken it", lambda: "mark" in [step["name"] for step in self.waits(cell, run)["steps"]])
        self.hibernate_of_age(cell)
        self.assertEqual(200, cell.call("POST", f"/runs/{run}/events", note).status)
        self.assertNotIn("kept_events", cell.run(run))  # It is known to have come.
        copy = cell.call("POST", f"/runs/{run}/restart", {"from": "mark"}).json["id"]
        for each in (copy, run):
            self.waits(cell, each)
            cell.call("POST", f"/runs/{each}/events", {"type": "go"})
            self.assertEqual("n", cell.settled(each)["result"])

    def test_runs_whose_daemon_is_killed_take_each_event_once(self):
        seed = random.randrange(1 << 32)
        dice = random.Random(seed)
        cell = self.cell(agent=AGENT, run_retention_s=1)
        last = LIMIT // 300_000 // 3  # A third more than the limit, by four runs.
        params = {"last": last, "pad": "p" * 70_000}  # They are carried along, as a blob.
        runs = [self.begin(cell, "sums", f"key {number}", **params).json["id"] for number in range(4)]
        killing = threading.Lock()

        def tell(run, k):
            """As senders do: until it is acknowledged."""
            while True:
                with killing:
                    pass
                try:
                    answer = cell.call("POST", f"/runs/{run}/events", {"type": "n", "payload": k, "id": f"e{k}"})
                except (OSError, http.client.HTTPException):
                    continue
                if answer.status == 200:
                    return
                self.assertEqual(503, answer.status)

        def drive(run):
            for k in range(last):
                for _ in range(random.Random(f"{seed}-{run}-{k}").choice((1, 2))):
                    tell(run, k)

        with self.subTest(seed=seed):
            senders = [threading.Thread(target=drive, args=(run,)) for run in runs]
            for sender in senders:
                sender.start()
            for _ in range(5):
                senders[0].join(dice.random())
                with killing:
                    self.daemon.restart()
            for sender in senders:
                sender.join()
            for number, run in enumerate(runs):
                self.assertEqual(list(range(last)), cell.settled(run)["result"])
                again = self.begin(cell, "sums", f"key {number}", **params)
                self.assertEqual((200, run), (again.status, again.json["id"]))
            self.assertLess(self.journal_bytes(cell), LIMIT)
