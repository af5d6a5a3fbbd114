"""Search sees what was done before it, whoever did it and however."""
import json
import os
import unittest

import harness

CODE = "def parse_config(text):\n    return text\n"
AGENT = """
module.exports = {
  write(ctx, { path, text }) { ctx.store.write(path, text); return true; },
  remove(ctx, { path }) { return ctx.store.delete(path); },
};
"""
# Opened, mapped, closed, and then changed.
MAPPED = """
import ctypes, mmap, os
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
file = os.open("a/b/x.py", os.O_RDWR)
place = libc.mmap(None, 4, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, ctypes.c_long(0))
os.close(file)
ctypes.memmove(place + 4, b"burst", 5)
"""


class SearchTest(harness.CellTest):
    def found(self, cell, query="parse config"):
        return sorted(hit["path"] for hit in cell.call("POST", "/search", {"query": query, "mode": "lexical"}).json["results"])

    def watching(self, cell):
        return cell.call("GET", "/search/status").json["watching"]

    def test_the_next_search_sees_what_commands_agents_and_clients_did(self):
        cell = self.cell(agent=AGENT)
        self.assertEqual([], self.found(cell))
        for what, change, paths in (
                ("new folders", f"mkdir -p a/b && printf '{CODE}' | tee a/b/x.py a/y.py", ["a/b/x.py", "a/y.py"]),
                ("a file changed in its place", "printf '#%20s' | dd of=a/y.py conv=notrunc", ["a/b/x.py"]),
                ("a file that moves over another", "cp a/b/x.py z && mv z a/y.py", ["a/b/x.py", "a/y.py"]),
                ("a second name", "ln a/y.py a/z.py", ["a/b/x.py", "a/y.py", "a/z.py"]),
                ("a folder that moves", "mv a c", ["c/b/x.py", "c/y.py", "c/z.py"]),
                ("rules", "echo b > .gitignore", ["c/y.py", "c/z.py"]),
                ("a folder that goes", "rm -r c", [])):
            with self.subTest(what):
                cell.exec(change)
                self.assertEqual(paths, self.found(cell))
        cell.exec("rm .gitignore")
        cell.request("write", {"path": "a/b/x.py", "text": CODE})
        self.assertEqual(["a/b/x.py"], self.found(cell))
        cell.call("PUT", "/files/a/c/x.py", CODE.encode())
        self.assertEqual(["a/b/x.py", "a/c/x.py"], self.found(cell))
        cell.request("remove", {"path": "a/b/x.py"})
        self.assertEqual(["a/c/x.py"], self.found(cell))
        self.assertTrue(self.watching(cell))

    def test_an_expression_that_takes_too_long_ends_early_and_says_so(self):
        cell = self.cell()
        text = "\n".join(format(pow(7, n, 2 ** 80), "080b").translate({48: "a", 49: "b"}) for n in range(11_000))
        cell.call("PUT", "/files/x.txt", text.encode())
        answer = cell.call("POST", "/search", {"query": r"[ab\n]*a[ab\n]{800}c", "mode": "regex"})
        self.assertEqual({"results": [], "truncated_by": "time"}, answer.json)
        answer = cell.call("POST", "/search", {"query": "^[ab]", "mode": "regex", "limit": 1})
        self.assertNotIn("truncated_by", answer.json)

    def test_a_change_through_a_mapping_is_seen_once_its_program_ended(self):
        cell = self.cell()
        cell.call("PUT", "/files/a/b/x.py", CODE.encode())
        self.assertEqual([], self.found(cell, "burst"))
        self.assertEqual(0, cell.exec(["python3", "-c", MAPPED])["exit_code"])
        self.assertEqual(["a/b/x.py"], self.found(cell, "burst"))

    def test_what_was_done_around_a_rest_is_seen(self):
        cell = self.cell()
        for rest in ("pause", "hibernate"):
            cell.exec(f"mkdir {rest} && printf '{CODE}' > {rest}/x.py")
            self.assertIn(f"{rest}/x.py", self.found(cell))
            cell.exec(f"mv {rest}/x.py {rest}/y.py")
            cell.call("POST", f"/{rest}")
            cell.exec(f"cp {rest}/y.py {rest}/z.py")
            self.assertEqual([f"{rest}/y.py", f"{rest}/z.py"], [path for path in self.found(cell) if path.startswith(rest)])
            self.assertTrue(self.watching(cell))

    def snapshot(self, cell):
        return cell.dir / "index/snapshot"

    def wait_for_snapshot(self, cell):
        harness.eventually("a snapshot of the index", lambda: self.snapshot(cell).exists())

    def test_the_index_is_found_again_after_hibernation_and_a_restart_whatever_became_of_it(self):
        cell = self.cell(agent=AGENT)
        cell.call("PUT", "/files/a.py", CODE.encode())
        cell.call("POST", "/search/index", {"path": "kept", "text": "parse config"})
        cell.call("POST", "/search/index", {"path": "dropped", "text": "parse config"})
        self.assertEqual(["a.py", "dropped", "kept"], self.found(cell))
        cell.call("POST", "/hibernate")
        self.wait_for_snapshot(cell)
        cell.call("POST", "/search/remove", {"path": "dropped"})
        self.assertEqual(["a.py", "kept"], self.found(cell))
        self.daemon.restart()
        cell.call("PUT", "/files/b.py", CODE.encode())
        self.assertEqual(["a.py", "b.py", "kept"], self.found(cell))
        self.snapshot(cell).write_bytes(self.snapshot(cell).read_bytes()[:-1])
        self.daemon.restart()
        self.assertEqual(["a.py", "b.py", "kept"], self.found(cell))

    def test_a_large_first_index_is_kept_at_once(self):
        cell = self.cell()
        cell.exec("for n in $(seq 1000); do echo \"def parse_config_$n(): pass\" > $n.py; done")
        self.assertEqual(10, len(self.found(cell)))
        self.wait_for_snapshot(cell)


class SlowDaemon(harness.Daemon):
    """One that waits longer at the second file that it reads than a search waits for the index."""

    def environment(self):
        return {**super().environment(), "CELLAR_FAULTS": str(self.root / "faults")}

    def plan(self, number):
        (self.root / "faults").write_text(f"index.before_read 2 delay=3000 {number}\n")


class SlowIndexTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = SlowDaemon()
        cls.addClassCleanup(cls.daemon.cleanup)

    def test_a_first_index_tells_how_far_it_is_and_answers_meanwhile(self):
        cell = self.cell()
        cell.exec(f"for n in $(seq 10); do printf '{CODE}' > $n.py; done")
        self.daemon.plan(1)
        answer = cell.call("POST", "/search", {"query": "parse config"}).json
        self.assertEqual((2, 0.2), (len(answer["results"]), answer["indexing"]))

        def status():
            return [(event.type, json.loads(event.data)) for event in self.daemon.stream("GET", f"{cell.path}/search/status")]

        (kind, index), = status()[-1:]
        self.assertEqual(("status", 10, False), (kind, index["files"], "indexing" in index))
        cell.exec("for n in $(seq 10); do echo '# more' >> $n.py; done")
        self.daemon.plan(2)
        progress, (kind, index) = status()
        self.assertEqual(("indexing", ["indexing"]), (progress[0], list(progress[1])))
        self.assertEqual(("status", 10, False), (kind, index["files"], "indexing" in index))
        self.assertEqual(["status"], [kind for kind, _ in status()])  # Where all is read, that is all.
