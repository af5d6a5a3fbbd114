"""Checkpoints and diffs: a state that is kept stays, what differs from it is told, and a crash leaves the one or the other."""
import os
import pathlib
import subprocess
import tempfile
import threading

import harness

AGENT = "module.exports = { async put(ctx, { value }) { ctx.db.set('k', value); return ctx.db.get('k'); } };"


def objects(cell):
    return {path for path in (cell.dir / "checkpoints/objects").rglob("*") if path.is_file()}


class CheckpointsTest(harness.CellTest):
    def changes(self, cell, query=""):
        answer = cell.call("GET", f"/diff{query}")
        self.assertEqual(200, answer.status, answer)
        return {change["path"]: change for change in answer.json["changes"]}

    def test_a_checkpoint_is_kept_and_what_differs_from_it_is_told(self):
        cell = self.cell()
        self.assertEqual("checkpoint_not_found", cell.call("GET", "/diff").json["code"])
        cell.exec("mkdir -p src node_modules/p; echo one > src/a; seq 20 > src/b; echo x > node_modules/p/f; echo same > old; "
                  "ln -s a src/l; head -c 5000 /dev/urandom > bin; mkfifo pipe; truncate -s 3T huge")
        made = cell.call("POST", "/checkpoints", {"name": "first", "message": "as it began"})
        self.assertEqual(201, made.status, made)
        self.assertEqual({"special": 1, "too_large": 1, "unsteady": 0}, made.json["not_exact"])
        self.assertEqual({}, self.changes(cell))
        cell.exec("sed -i s/^10$/ten/ src/b; echo one >> src/a; rm src/l; mv old new; chmod +x new; echo y >> node_modules/p/f; "
                  "echo >> bin; mkdir empty; echo '#!/bin/sh' > run; chmod 755 run")
        changes = self.changes(cell, "?from=first")
        self.assertEqual({"src/a": "modified", "src/b": "modified", "src/l": "deleted", "new": "renamed", "bin": "modified",
                          "empty": "added", "run": "added"}, {path: change["change"] for path, change in changes.items()})
        self.assertIn("-10\n+ten\n", changes["src/b"]["patch"])
        self.assertTrue(changes["bin"]["binary"])
        self.assertEqual("old", changes["new"]["before"]["path"])
        self.assertIn("node_modules/p/f", self.changes(cell, "?all=1"))
        self.assertEqual(["src/a", "src/b", "src/l"], list(self.changes(cell, "?path=src&names=1")))

        second = cell.call("POST", "/checkpoints").json
        cell.exec("rm -r src")
        self.assertEqual(set(changes), set(self.changes(cell, f"?from=first&to={second['id']}")))
        listed = cell.call("GET", "/checkpoints?limit=1").json
        self.assertEqual([second["id"]], [one["id"] for one in listed["checkpoints"]])
        third = cell.call("POST", "/checkpoints").json
        cursor = cell.call("GET", "/checkpoints?limit=1").json["next_cursor"]
        self.assertEqual(204, cell.call("DELETE", f"/checkpoints/{third['id']}").status)
        after = cell.call("GET", f"/checkpoints?limit=1&cursor={cursor}").json["checkpoints"]
        self.assertEqual([second["id"]], [one["id"] for one in after])  # The third is gone, and the next is there.
        rest = cell.call("GET", f"/checkpoints?limit=1&cursor={listed['next_cursor']}").json
        self.assertEqual([["first"], False], [[one["name"] for one in rest["checkpoints"]], "next_cursor" in rest])
        self.assertEqual(409, cell.call("POST", "/checkpoints", {"name": "first"}).status)
        for name in ("now", "cp_x", "a b", ""):
            self.assertEqual(400, cell.call("POST", "/checkpoints", {"name": name}).status, name)
        self.assertEqual(400, cell.call("POST", "/checkpoints", {"message": "x" * 4097}).status)
        for query in ("?from=none", "?to=none"):
            self.assertEqual(404, cell.call("GET", "/diff" + query).status)
        for query in ("?format=xml", "?limit=0", "?path=../x", "?names=1&format=patch"):
            self.assertEqual(400, cell.call("GET", "/diff" + query).status, query)
        before = objects(cell)
        self.assertEqual(204, cell.call("DELETE", "/checkpoints/first").status)
        self.assertEqual(404, cell.call("GET", "/checkpoints/first").status)
        self.assertLess(len(objects(cell)), len(before))
        self.assertEqual(200, cell.call("GET", f"/checkpoints/{second['id']}").status)

    def test_a_damaged_one_is_listed_as_that_and_can_be_deleted(self):
        cell = self.cell()
        broken = cell.call("POST", "/checkpoints", {"name": "first"}).json["id"]
        well = cell.call("POST", "/checkpoints").json["id"]
        (cell.dir / f"checkpoints/made/{broken}/head.json").write_text("{")
        listed = cell.call("GET", "/checkpoints").json["checkpoints"]
        self.assertEqual([(well, False), (broken, True)], [(one["id"], "damaged" in one) for one in listed])
        self.assertIn("JSON", cell.call("GET", f"/checkpoints/{broken}").json["damaged"])
        self.assertEqual((500, "checkpoint_damaged"), (lambda a: (a.status, a.json["code"]))(cell.call("GET", f"/diff?from={broken}")))
        self.assertEqual(200, cell.call("GET", "/diff").status)
        shown = subprocess.run([harness.BIN / "cellar", "--url", f"http://127.0.0.1:{self.daemon.port}", "checkpoints", "list", cell.id],
                               env={"CELLAR_API_KEY": self.daemon.key}, stdout=subprocess.PIPE, text=True).stdout
        self.assertIn("damaged: ", shown)
        self.assertEqual(204, cell.call("DELETE", f"/checkpoints/{broken}").status)
        self.assertEqual([well], [one["id"] for one in cell.call("GET", "/checkpoints").json["checkpoints"]])

    def test_git_applies_the_patch(self):
        cell = self.cell()
        make = ("mkdir -p 'a dir'; seq 100 > 'a dir/num'; printf 'no end' > e; echo gone > gone; echo mode > mode; echo same > moved; "
                "ln -s e link; echo ü > 'ü \"q\"'; head -c 99 /dev/zero > bin; echo tail > zlast")
        change = ("sed -i -e 3d -e 's/^50$/fifty/' -e '$a more' 'a dir/num'; printf 'no end\\nnow' > e; rm gone; chmod +x mode; "
                  "mv moved 'a dir/moved to'; ln -sfn zlast link; echo u >> 'ü \"q\"'; echo x >> bin; echo new > new; : > empty; echo t >> zlast")
        cell.exec(make)
        cell.call("POST", "/checkpoints")
        cell.exec(change)
        patch = cell.call("GET", "/diff?format=patch")
        self.assertIn(b"# modified bin: no text, not shown\n", patch.body)
        with tempfile.TemporaryDirectory(prefix=harness.PREFIX) as folder:
            def tree():
                return {str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else
                        (path.read_bytes(), path.stat().st_mode & 0o100) for path in sorted(pathlib.Path(folder).rglob("*"))
                        if path.is_symlink() or path.is_file() and path.name != "bin"}
            subprocess.run(["sh", "-c", make], cwd=folder, check=True)
            subprocess.run(["git", "apply", "-"], cwd=folder, input=patch.body, check=True)
            applied = tree()
            subprocess.run(["git", "apply", "-R", "-"], cwd=folder, input=patch.body, check=True)
            subprocess.run(["sh", "-c", change], cwd=folder, check=True)
            self.assertEqual(tree(), applied)

    def test_a_cell_that_works_against_it_harms_nobody_but_itself(self):
        cell = self.cell()
        cell.call("PUT", "/files/d/f", b"inside")
        stop = cell.call("POST", "/processes", {"cmd": "while :; do mv d e; ln -s /etc d; echo $RANDOM > f; rm d; mv e d; done 2>&-"})
        self.assertEqual(201, stop.status, stop)
        for _ in range(5):
            made = cell.call("POST", "/checkpoints")
            self.assertEqual(201, made.status, made)
            for change in self.changes(cell, f"?from={made.json['id']}").values():
                self.assertNotIn("root:x:0", change.get("patch", ""))
        secret = pathlib.Path("/etc/passwd").read_bytes()
        self.assertNotIn(secret, [path.read_bytes() for path in objects(cell)])

    def test_a_paused_cell_stays_so_and_a_deleted_one_leaves_nothing(self):
        cell = self.cell(agent=AGENT)
        self.assertEqual("1", cell.request("put", {"value": "1"}).json)
        self.assertEqual(200, cell.call("POST", "/pause").status)
        made = cell.call("POST", "/checkpoints")
        self.assertGreater(made.json["database_bytes"], 0)
        self.assertEqual(200, cell.call("GET", "/diff").status)
        self.assertEqual("paused", cell.get()["status"])
        self.assertEqual(204, cell.call("DELETE").status)
        self.assertFalse(cell.dir.exists())


class CrashesTest(harness.CellTest):
    daemon_class = harness.FaultyDaemon

    def fail(self, plan):
        (self.daemon.root / "faults").write_text(plan)

    def test_a_crash_leaves_the_old_or_the_new_state_and_no_garbage(self):
        cell = self.cell()
        for name in "abc":
            cell.call("PUT", f"/files/{name}", name.encode())
        self.assertEqual(201, cell.call("POST", "/checkpoints", {"name": "kept"}).status)
        kept = objects(cell)
        for number, (point, is_there) in enumerate((("object 2", False), ("before_commit 1", False), ("after_commit 1", True),
                                                    ("before_remove 1", True), ("after_remove 1", False), ("sweep 2", False))):
            with self.subTest(point):
                cell.exec(f"echo {number}1 > new1; echo {number}2 > new2")
                removes = "remove" in point or "sweep" in point
                if removes:
                    self.assertEqual(201, cell.call("POST", "/checkpoints", {"name": "other"}).status)
                self.fail(f"checkpoint.{point} kill {number}")
                with self.assertRaises(OSError):
                    cell.call("DELETE", "/checkpoints/other") if removes else cell.call("POST", "/checkpoints", {"name": "other"})
                self.fail("")
                self.daemon.process.wait()
                self.daemon.process.stdout.close()
                self.daemon.start()
                names = {one["name"] for one in cell.call("GET", "/checkpoints").json["checkpoints"]}
                self.assertEqual({"kept", "other"} if is_there else {"kept"}, names)
                self.assertEqual(200, cell.call("GET", "/diff?from=kept").status)
                self.assertEqual(len(kept) + (2 if is_there else 0), len(objects(cell)))
                left = {path.name for path in (cell.dir / "checkpoints").iterdir()}
                self.assertEqual({"made", "objects"}, left)
                if is_there:
                    self.assertEqual(204, cell.call("DELETE", "/checkpoints/other").status)
                self.assertEqual(kept, objects(cell))

    def test_a_full_disk_and_a_client_that_goes_leave_nothing(self):
        cell = self.cell()
        cell.call("PUT", "/files/a", b"a")
        self.fail("checkpoint.before_commit 1 errno=28")
        self.assertEqual(507, cell.call("POST", "/checkpoints").status)
        self.assertEqual(set(), objects(cell))
        self.fail("checkpoint.before_read 1 delay=2000")
        reads = lambda: (self.daemon.root / "faults.hits").read_text().split().count("checkpoint.before_read")
        before = reads()
        connection = self.daemon.connect()
        connection.request("POST", cell.path + "/checkpoints", headers={"Authorization": f"Bearer {self.daemon.key}"})
        harness.eventually("it reads", lambda: reads() > before)
        connection.close()
        harness.eventually("it is given up", lambda: not (cell.dir / "checkpoints/unfinished").exists())
        self.assertEqual([], cell.call("GET", "/checkpoints").json["checkpoints"])


