import json
import os
import unittest

from fake_daemon import agent, host


class FilesTest(unittest.TestCase):
    def test_files_are_read_written_listed_and_deleted_below_the_work_folder(self):
        with host(agent('''
            import pathlib
            s = ctx.store
            before = [s.read("a/b.txt"), s.exists("a"), s.delete("a"), s.list("none")]
            s.write("a/b.txt", "text"); s.write("bytes", b"\\x00\\xff"); s.write("a/b.txt", "new")
            s.write(pathlib.Path(ctx.work_dir) / "a/.git/x", "")
            return {"before": before, "text": s.read("a/b.txt"), "bytes": list(s.read("bytes", None)),
                    "odd": s.read("bytes"), "none": s.read("none", encoding=None), "all": s.list(),
                    "below": s.list("a"), "gone": [s.delete("a"), s.exists("a/b.txt")]}''')) as daemon:
            self.assertEqual({"before": [None, False, False, []], "text": "new", "bytes": [0, 255],
                              "odd": "\0\ufffd", "none": None, "all": ["a/.git/x", "a/b.txt", "bytes"],
                              "below": [".git/x", "b.txt"], "gone": [True, False]}, daemon.ended().value)
            self.assertEqual(["bytes"], os.listdir(daemon.work))

    def test_no_path_leads_outside_by_dots_by_its_start_or_by_a_link(self):
        with host(agent('''
            def doing(what):
                try:
                    what()
                    return "done"
                except ctx.errors.Error as error:
                    return error.code
            return {path: [doing(lambda: ctx.store.read(path)), doing(lambda: ctx.store.write(path, "x")),
                           doing(lambda: ctx.store.exists(path)), doing(lambda: ctx.store.delete(path))]
                    for path in params["paths"]}''')) as daemon:
            (daemon.work / "link").symlink_to("/etc")
            (daemon.work / "up").symlink_to("..")
            (daemon.work / "dangling").symlink_to(daemon.dir / "outside")  # Made later by somebody, perhaps.
            (daemon.work / "chain").symlink_to("dangling")
            (daemon.work / "loop").symlink_to("loop")
            paths = ["../x", "/etc/passwd", "../work2/x", "link", "link/passwd", "link/new/x", "up/x",
                     "a/../../x", "//etc/passwd", "dangling", "dangling/x", "chain/x", "", "a\0b"]
            value = daemon.ended("main", {"paths": paths}).value
            self.assertEqual({path: ["invalid_path"] * 4 for path in paths}, value)
            self.assertEqual(["agent.py", "work"], sorted(os.listdir(daemon.dir)))
            self.assertEqual(["chain", "dangling", "link", "loop", "up"], sorted(os.listdir(daemon.work)))

    def test_links_inside_are_followed(self):
        with host(agent('''
            ctx.store.write("inside/new", "through")
            return [ctx.store.read("real/new"), ctx.store.list()]''')) as daemon:
            (daemon.work / "real").mkdir()
            (daemon.work / "inside").symlink_to("real")
            self.assertEqual(["through", ["inside", "real/new"]], daemon.ended().value)

    def test_a_write_that_fails_leaves_nothing_behind_and_the_work_folder_itself_is_no_file(self):
        with host(agent('''
            import errno
            ctx.store.write("folder/file", "x")
            codes = []
            for call in (lambda: ctx.store.write("folder", "y"), lambda: ctx.store.write(".", "y"),
                         lambda: ctx.store.write(ctx.work_dir, "y"), lambda: ctx.store.delete("."),
                         lambda: ctx.store.write("object", {})):
                try:
                    call()
                except OSError as error:
                    codes.append(errno.errorcode[error.errno])
                except ctx.errors.Error as error:
                    codes.append(error.code)
            return codes''')) as daemon:
            self.assertEqual(["EISDIR", "invalid_path", "invalid_path", "invalid_path", "invalid_content"],
                             daemon.ended().value)
            self.assertEqual(["folder"], os.listdir(daemon.work))

    def test_a_file_keeps_its_mode_when_it_is_written_and_a_long_name_is_no_problem(self):
        with host(agent('for path in params["paths"]: ctx.store.write(path, "new")')) as daemon:
            script = daemon.work / "script"
            script.write_text("old")
            script.chmod(0o755)
            self.assertTrue(daemon.ended("main", {"paths": ["script", "n" * 255]}).ok)
            self.assertEqual(0o755, script.stat().st_mode & 0o777)

    def test_what_is_written_or_deleted_is_durable_with_its_name_and_the_folders_that_were_made(self):
        with host(agent('''
            import os
            real, synced = os.fsync, []
            def fsync(descriptor):
                real(descriptor)
                synced.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), ctx.work_dir))
            os.fsync = fsync
            ctx.store.write("a/b/file", "x"); ctx.store.write("a/b/file", "y")
            ctx.store.delete("a/b/file"); ctx.store.delete("a/b")
            os.fsync = real
            return ["draft" if ".cellar-" in path else path for path in synced]''')) as daemon:
            self.assertEqual(["draft", "a/b", "a", ".", "draft", "a/b", "a/b", "a"], daemon.ended().value)

    def test_in_a_step_files_are_not_journaled_outside_each_use_is(self):
        with host(agent('''
            def inside():
                ctx.store.write("a", "1")
                return ctx.store.list()
            await ctx.step("s", inside)
            ctx.store.write("b", "2"); ctx.store.read("a"); ctx.store.exists("c"); ctx.store.delete("a")
            ctx.store.list()''')) as daemon:
            daemon.ended()
            self.assertEqual([(2, "store.write", "b", True), (3, "store.read", "a", "1"),
                              (4, "store.exists", "c", False), (5, "store.delete", "a", True),
                              (6, "store.list", "", ["b"])],
                             [(f["o"], f["k"], f["n"], json.loads(f["body"])) for f in daemon.of("value")])
