"""What happens to a cell's files, in its own sequence of events: over a killed daemon, a pause and a hibernation."""
import time

import harness


def words(event):
    """"created a; in node_modules", or "reset: reason"."""
    data = event["data"]
    if "reset" in data:
        return "reset: " + data["reason"]
    return "; ".join([f"{change['kind']} {change['path']}" for change in data["changes"]] +
                     [f"in {folder}" for folder in data.get("folders", [])])


class FileEventsTest(harness.CellTest):
    def told(self, cell, after=0, last=None):
        """All `files.changed` behind an event; until one says `last`, where that is given."""
        def look():
            listed = cell.call("GET", f"/events?types=files.changed&limit=1000&after={after}").json["events"]
            return listed if last is None or any(last in words(event) for event in listed) else None
        return harness.eventually(f"it is told: {last}", look)

    def do(self, cell, program):
        self.assertEqual(0, cell.exec(["python3", "-c", f"import os; {program}"])["exit_code"])

    def test_changes_come_in_the_cells_own_sequence_as_they_happen(self):
        cell = self.cell(file_events=True)
        self.assertTrue(cell.get()["file_events"])
        events = iter(self.daemon.stream("GET", cell.path + "/events"))
        first = next(events)
        self.assertEqual(("files.changed", {"changes": [], "reset": True, "reason": "enabled"}), (first.type, first.json["data"]))
        # What comes within a tenth of a second is one event: so it is done by one program each.
        self.do(cell, "os.mkdir('src'); open('src/a', 'w').write('1')")
        made = next(event for event in events if event.type == "files.changed")
        self.assertEqual("created src; created src/a", words(made.json))
        self.do(cell, "open('.lock', 'w').close(); os.unlink('.lock'); os.rename('src/a', 'src/b'); open('src/b', 'a').write('2'); "
                      "os.unlink('src/b'); open('src/b', 'w').write('3')")
        seen = next(event for event in events if event.type == "files.changed")
        self.assertEqual("renamed src/b; deleted src/b; created src/b", words(seen.json))
        self.assertEqual({"kind": "renamed", "path": "src/b", "type": "file", "from": "src/a"}, seen.json["data"]["changes"][0])
        cell.call("PUT", "/files/c", b"x")
        self.assertEqual(["created c"], [words(event) for event in self.told(cell, seen.id, "created c")])
        cell.exec("mkdir -p node_modules/m && echo > node_modules/m/x")
        self.assertEqual(["in node_modules"], [words(event) for event in self.told(cell, seen.id, "node_modules")][1:])
        self.daemon.create(cell.fields["customer_id"], file_events=False)
        cell.call("PUT", "/files/unseen", b"x")
        self.daemon.create(cell.fields["customer_id"], file_events=True)
        self.assertEqual("reset: enabled", words(self.told(cell, seen.id, "reset")[-1]))
        self.assertNotIn("unseen", str(self.told(cell)))
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "x", "file_events": "yes"})
        self.assertEqual(400, answer.status)
        self.assertIn("file_events", answer.json["error"])

    def test_nothing_is_left_out_or_told_twice_over_a_pause_and_a_hibernation(self):
        daemon = harness.Daemon()
        self.addCleanup(daemon.cleanup)
        cell = daemon.create("sleeper", file_events=True)
        cell.call("PUT", "/files/a", b"1")
        cell.call("POST", "/pause")  # At once: what was not told before is told with it.
        listed = cell.call("GET", "/events?limit=1000").json["events"]
        self.assertEqual(["reset: enabled", "created a", "paused"],
                         [words(e) if e["type"] == "files.changed" else e["type"].removeprefix("cell.") for e in listed])
        daemon.restart()  # Nothing could happen meanwhile: its processes stood still.
        cell.call("PUT", "/files/b", b"1")
        self.assertEqual(["created b"], [words(event) for event in self.told(cell, listed[-1]["seq"], "b")])
        cell.call("PUT", "/files/c", b"1")
        self.assertEqual("hibernated", cell.call("POST", "/hibernate").json["state"])
        daemon.stop()
        daemon.start()
        self.do(cell, "os.unlink('a'); open('c', 'a').write('2')")
        after = self.told(cell, listed[-1]["seq"], "deleted a")
        self.assertEqual(["created b", "created c", "deleted a; modified c"], [words(event) for event in after])
        # While processes go on and no daemon looks, it is not known what they did: that is said once.
        marker = cell.dir / "work/go"
        cell.call("POST", "/processes", {"cmd": ["sh", "-c", "until [ -e go ]; do sleep 0.05; done; echo 1 > unseen; sleep 600"]})
        daemon.kill()
        marker.touch()
        harness.eventually("it goes on without a daemon", (cell.dir / "work/unseen").exists)
        daemon.start()
        again = self.told(cell, after[-1]["seq"], "reset")
        self.assertEqual(["reset: daemon_restart"], [words(event) for event in again])
        cell.exec("rm unseen")
        more = self.told(cell, again[-1]["seq"], "deleted unseen")
        self.assertEqual(["deleted unseen"], [words(event) for event in more])
        # Who comes back gets exactly the rest.
        whole = self.told(cell)
        for at in (whole[0], whole[2], whole[-2]):
            events = iter(daemon.stream("GET", cell.path + "/events?types=files.changed", headers={"Last-Event-ID": str(at["seq"])}))
            rest = whole[whole.index(at) + 1:]
            self.assertEqual(rest, [next(events).json for _ in rest])

    def test_what_an_interrupted_run_goes_on_with_is_told(self):
        daemon = harness.Daemon("--on-stop", "hibernate")
        self.addCleanup(daemon.cleanup)
        agent = """const fs = require('fs');
        module.exports = { async work() {
          fs.appendFileSync('/work/began', 'x');
          while (!fs.existsSync('/work/go')) await new Promise((done) => setTimeout(done, 5));
        } };"""
        cell = daemon.create("worker", agent=agent, file_events=True)
        run = cell.call("POST", "/runs", {"method": "work"}).json["id"]
        self.told(cell, last="created began")
        daemon.stop()
        daemon.start()
        harness.eventually("it is executed again", lambda: (cell.dir / "work/began").read_text() == "xx")
        seen = [words(event) for event in self.told(cell, last="modified began")]
        self.assertEqual(["reset: enabled", "created began", "reset: daemon_restart", "modified began"], seen)
        cell.call("PUT", "/files/go", b"")
        self.assertEqual("completed", cell.settled(run)["status"])

    def test_a_flood_is_a_few_events_that_say_where_it_was(self):
        cell = self.cell(file_events=True)
        begin = time.monotonic()
        cell.exec("""node -e '
          const fs = require("fs");
          for (let p = 0; p < 300; p++) {
            fs.mkdirSync(`vendor/p${p}/lib`, { recursive: true });
            fs.mkdirSync(`node_modules/p${p}`, { recursive: true });
            for (let n = 0; n < 20; n++) { fs.writeFileSync(`vendor/p${p}/lib/${n}`, "x"); fs.writeFileSync(`node_modules/p${p}/${n}`, "x"); }
          }'; echo > end""")
        told = self.told(cell)
        if "created end" not in str([words(event) for event in told]):
            cell.call("POST", "/pause")  # What waits for its turn is told.
            told = self.told(cell)
        self.assertLess(len(told), 15 + time.monotonic() - begin)  # One a second at most.
        for event in told:
            self.assertLessEqual(len(event["data"]["changes"]), 100)
            self.assertLess(len(str(event)), 40_000)
        if not any(words(event) == "reset: overflow" for event in told):
            folders = {folder.split("/")[0] for event in told for folder in event["data"].get("folders", [])}
            self.assertLessEqual({"vendor", "node_modules"}, folders | ({"vendor", "node_modules"} if "." in folders else set()))
