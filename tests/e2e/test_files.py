"""The file API: what is written is read, and no path leads outside /work."""
import io
import os
import tarfile
import threading

import harness


class FilesTest(harness.CellTest):
    def test_bytes_come_back_as_they_were(self):
        cell = self.cell()
        data = bytes(range(256)) * 4096
        self.assertEqual(200, cell.call("PUT", "/files/dir/all.bin", data).status)
        self.assertEqual(data, cell.call("GET", "/files/dir/all.bin").body)
        self.assertEqual(404, cell.call("GET", "/files/dir/none").status)
        self.assertEqual(204, cell.call("DELETE", "/files/dir").status)
        self.assertEqual(404, cell.call("GET", "/files/dir/all.bin").status)

    def test_a_folder_is_listed(self):
        cell = self.cell()
        for name in ("a.txt", "sub/b.txt"):
            cell.call("PUT", f"/files/{name}", b"x")
        flat = cell.call("GET", "/files").json["files"]
        self.assertEqual([("a.txt", "file"), ("sub", "directory")], [(f["path"], f["type"]) for f in flat])
        deep = cell.call("GET", "/files?recursive=1").json["files"]
        self.assertIn("sub/b.txt", [f["path"] for f in deep])

    def test_paths_cannot_leave_work(self):
        cell = self.cell()
        for path in ("..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "a/..%2f..%2f..%2fx", "a%00b"):
            for verb in ("GET", "PUT", "DELETE"):
                self.assertEqual(400, cell.call(verb, f"/files/{path}", b"x" if verb == "PUT" else None).status, path)

    def test_links_planted_in_work_lead_nowhere_outside(self):
        cell = self.cell()
        cell.exec("ln -s /etc/passwd abs; ln -s ../../../../etc up; ln -s /proc/self/root root; ln -s . here; "
                  "echo in > inside; ln -s inside ok; mkfifo pipe")
        for path in ("abs", "up/passwd", "root/etc/passwd"):
            self.assertEqual(400, cell.call("GET", f"/files/{path}").status, path)
            self.assertEqual(400, cell.call("PUT", f"/files/{path}/x", b"x").status, path)
        self.assertEqual(b"in\n", cell.call("GET", "/files/ok").body)
        self.assertEqual(400, cell.call("GET", "/files/pipe").status)
        cell.call("PUT", "/files/abs", b"mine")  # replaces the link itself
        self.assertEqual("mine", cell.exec("cat abs")["stdout"])

    def test_what_the_api_writes_belongs_to_root_in_the_cell_and_the_other_way_round(self):
        cell = self.cell()
        cell.call("PUT", "/files/new", b"1")
        self.assertEqual("root root\n", cell.exec("stat -c '%U %G' new")["stdout"])
        cell.exec("echo two > other && chmod 600 other")
        self.assertEqual(b"two\n", cell.call("GET", "/files/other").body)

    def test_a_part_of_a_file_is_read_and_one_that_is_known_is_not_sent_again(self):
        cell = self.cell()
        for name, data in (("small", b"0123456789"), ("large", os.urandom(3 << 20))):
            path, size = f"/files/{name}", len(data)
            put = cell.call("PUT", path, data)
            self.assertEqual({"ok": True, "size": size, "etag": put.headers["ETag"]}, put.json)
            tag = put.json["etag"]
            for field, first, last in (("bytes=2-4", 2, 4), ("bytes=5-", 5, size - 1), ("bytes=-3", size - 3, size - 1),
                                       (f"bytes=0-{size * 2}", 0, size - 1)):
                part = cell.call("GET", path, headers={"Range": field, "If-Range": tag})
                self.assertEqual((206, data[first:last + 1], f"bytes {first}-{last}/{size}"),
                                 (part.status, part.body, part.headers["Content-Range"]), field)
            beyond = cell.call("GET", path, headers={"Range": f"bytes={size}-"})
            self.assertEqual((416, "range_not_satisfiable", f"bytes */{size}"),
                             (beyond.status, beyond.json["code"], beyond.headers["Content-Range"]))
            self.assertEqual(data, cell.call("GET", path, headers={"Range": "bytes=0-1,3-4"}).body)
            self.assertEqual(data, cell.call("GET", path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).body)
            self.assertEqual(304, cell.call("GET", path, headers={"If-None-Match": tag}).status)
            self.assertEqual(412, cell.call("GET", path, headers={"If-Match": '"other"'}).status)
            head = cell.call("HEAD", path)
            self.assertEqual((200, b"", str(size), tag), (head.status, head.body, head.headers["Content-Length"], head.headers["ETag"]))
        self.assertEqual(404, cell.call("HEAD", "/files/none").status)
        self.assertEqual(400, cell.call("HEAD", "/files/none?tar=1").status)

    def test_a_large_file_goes_in_and_out_without_being_held_in_memory(self):
        cell = self.cell()
        block = os.urandom(1 << 20)
        size = 256 << 20
        connection = self.daemon.connect()
        connection.request("PUT", cell.path + "/files/huge", body=(block for _ in range(256)),
                           headers={"Authorization": f"Bearer {self.daemon.key}", "Content-Length": str(size)})
        self.assertEqual(200, connection.getresponse().status)
        connection.close()
        connection, response = self.daemon.open("GET", cell.path + "/files/huge")
        self.assertEqual(str(size), response.headers["Content-Length"])
        self.assertTrue(all(response.read(1 << 20) == block for _ in range(256)))
        connection.close()
        status = (harness.pathlib.Path("/proc") / str(self.daemon.process.pid) / "status").read_text()
        peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        self.assertLess(peak_kib, 200 << 10)
        connection, response = self.daemon.open("PUT", cell.path + "/files/huge2", b"", {"Content-Length": str(size + 1)})
        self.assertEqual(413, response.status)
        connection.close()

    def test_of_many_that_change_a_file_only_if_it_is_as_they_read_it_one_at_a_time_does(self):
        cell = self.cell()
        cell.call("PUT", "/files/counter", b"0")

        def add():
            for _ in range(5):
                while True:
                    old = cell.call("GET", "/files/counter")
                    new = cell.call("PUT", "/files/counter", str(int(old.body) + 1).encode(), {"If-Match": old.headers["ETag"]})
                    if new.status == 200:
                        break
                    self.assertEqual((412, "precondition_failed"), (new.status, new.json["code"]))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(b"20", cell.call("GET", "/files/counter").body)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(
            cell.call("PUT", "/files/once", b"x", {"If-None-Match": "*"}).status)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([200] + [412] * 5, sorted(statuses))
        self.assertEqual(412, cell.call("DELETE", "/files/once", headers={"If-Match": '"other"'}).status)
        self.assertEqual(412, cell.call("PUT", "/files/none", b"", {"If-Match": "*"}).status)
        tag = cell.call("GET", "/files/once").headers["ETag"]
        cell.exec("printf y > once")  # Programs of the cell change it, too.
        self.assertEqual(412, cell.call("DELETE", "/files/once", headers={"If-Match": tag}).status)
        for method, path, body in (
                ("PUT", "/files/t?tar=1", b""),
                ("POST", "/files/mkdir", {"path": "t"}),
                ("POST", "/files/rename", {"from": "once", "to": "t"}),
                ("POST", "/files/chmod", {"path": "once", "mode": "600"})):
            refused = cell.call(method, path, body, {"If-Match": tag})
            self.assertEqual((400, "invalid_header"), (refused.status, refused.json["code"]))
        self.assertEqual(204, cell.call("DELETE", "/files/once", headers={"If-Match": '"x", ' + cell.call("GET", "/files/once").headers["ETag"]}).status)

    def test_files_are_appended_to_moved_and_given_rights(self):
        cell = self.cell()
        self.assertEqual(6, [cell.call("PUT", "/files/log?append=1&mode=600", b"abc").json["size"] for _ in range(2)][-1])
        self.assertEqual(b"abcabc", cell.call("GET", "/files/log").body)
        stat = cell.call("GET", "/files/log?stat=1").json
        self.assertEqual(("log", "file", 6, "0600"), tuple(stat[k] for k in ("path", "type", "size", "mode")))
        self.assertEqual(cell.call("GET", "/files/log").headers["ETag"], stat["etag"])
        cell.call("PUT", "/files/run.sh?mode=755", b"#!/bin/sh\necho ran")
        self.assertEqual("ran\n", cell.exec("./run.sh")["stdout"])
        self.assertEqual(200, cell.call("POST", "/files/chmod", {"path": "run.sh", "mode": "0644"}).status)
        self.assertEqual("0644", cell.call("GET", "/files/run.sh?stat=1").json["mode"])
        made = [cell.call("POST", "/files/mkdir", {"path": "a/b"}).json["made"] for _ in range(2)]
        self.assertEqual([True, False], made)
        self.assertEqual(200, cell.call("POST", "/files/rename", {"from": "log", "to": "new/log"}).status)
        again = cell.call("POST", "/files/rename", {"from": "run.sh", "to": "new/log"})
        self.assertEqual((409, "path_exists"), (again.status, again.json["code"]))
        self.assertEqual(200, cell.call("POST", "/files/rename", {"from": "run.sh", "to": "new/log", "overwrite": True}).status)
        cell.exec("ln -s new/log link; ln -s /etc/passwd out; mkfifo pipe")
        link = cell.call("GET", "/files/link?stat=1").json
        self.assertEqual(("symlink", "new/log"), (link["type"], link["target"]))
        self.assertEqual({"/etc/passwd", "new/log", None}, {f.get("target") for f in cell.call("GET", "/files").json["files"]})
        for method, path, body, status, code in (
                ("POST", "/files/rename", {"from": "none", "to": "x"}, 404, "file_not_found"),
                ("POST", "/files/rename", {"from": "a", "to": "a/b/c"}, 400, "invalid_path"),
                ("POST", "/files/rename", {"from": "a"}, 400, "invalid_field"),
                ("POST", "/files/mkdir", {"path": "new/log"}, 409, "path_exists"),
                ("POST", "/files/mkdir", {"path": "x", "mode": "4755"}, 400, "invalid_field"),
                ("POST", "/files/chmod", {"path": "out", "mode": "777"}, 400, "not_a_file"),
                ("PUT", "/files/x?mode=9", b"", 400, "invalid_query"), ("PUT", "/files/x/", b"", 400, "invalid_path"),
                ("PUT", "/files", b"", 400, "invalid_path"), ("PUT", "/files/out?append=1", b"", 400, "not_a_file"),
                ("PUT", "/files/pipe?append=1", b"x", 400, "not_a_file"), ("GET", "/files/a", None, 400, "not_a_file"),
                ("GET", "/files/none?stat=1", None, 404, "file_not_found"), ("GET", "/files/out/x?stat=1", None, 400, "path_escapes"),
                ("PUT", "/files/x?append=1", bytes((16 << 20) + 1), 413, "body_too_large"),
                ("POST", "/files/glob", {"pattern": "../*"}, 400, "invalid_pattern"),
                ("POST", "/files/grep", {"pattern": "("}, 400, "invalid_regex"),
                ("POST", "/files/grep", {"pattern": "x", "path": "none"}, 404, "file_not_found")):
            answer = cell.call(method, path, body)
            self.assertEqual((status, code), (answer.status, answer.json["code"]), (path, body))

    def test_names_may_be_any(self):
        cell = self.cell()
        for sent, name in (("a%20b", "a b"), ("d%2Fe", "d/e"), ("%C3%BC%25%3F%23", "ü%?#"), ("./x/../y//z", "y/z"), ("glob", "glob"),
                           ("%2E/q", "q"), ("-", "-"), ("%0A", "\n")):
            self.assertEqual(200, cell.call("PUT", f"/files/{sent}", name.encode()).status, sent)
            self.assertEqual(name.encode(), cell.call("GET", f"/files/{sent}").body)
            self.assertEqual(name, cell.call("GET", f"/files/{sent}?stat=1").json["path"])
        connection, response = self.daemon.open("GET", cell.path + "/files/")
        self.assertEqual(cell.call("GET", "/files").body, response.read())
        connection.close()
        self.assertEqual(cell.call("GET", "/files/d?list=1").json, cell.call("GET", "/files/d/?list=1").json)

    def test_files_are_found_by_name_and_lines_by_text(self):
        cell = self.cell()
        cell.exec("mkdir -p src node_modules; echo 'let Needle = 1' > src/a.ts; printf 'one\nneedle\nthree\n' > src/b.tsx;"
                  "cp src/a.ts node_modules/c.ts; printf 'needle\\0' > bin")
        self.assertEqual(["src/a.ts", "src/b.tsx"],
                         [f["path"] for f in cell.call("POST", "/files/glob", {"pattern": "**/*.{ts,tsx}"}).json["files"]])
        found = cell.call("POST", "/files/glob", {"pattern": "**/*.ts", "all": True, "limit": 1}).json
        self.assertEqual((1, True), (len(found["files"]), found["truncated"]))
        found = cell.call("POST", "/files/grep", {"pattern": "needle", "context": 1}).json
        self.assertEqual({"matches": [{"path": "src/b.tsx", "line": 2, "text": "needle", "before": ["one"], "after": ["three"]}],
                          "files": 2, "skipped": {"binary": 1, "too_large": 0}}, found)
        found = cell.call("POST", "/files/grep", {"pattern": "needle", "ignore_case": True, "all": True, "paths": ["*.ts"]}).json
        self.assertEqual(["node_modules/c.ts", "src/a.ts"], [m["path"] for m in found["matches"]])

    def test_a_folder_comes_as_an_archive_and_goes_back(self):
        cell, other = self.cell(), self.cell("other")
        cell.exec("mkdir -p t/empty t/deep; echo one > t/deep/one; chmod 755 t/deep/one; ln -s deep/one t/link; mkfifo t/pipe;"
                  "head -c 3000000 /dev/urandom > t/large")
        archive = cell.call("GET", "/files/t?tar=1")
        self.assertEqual("application/x-tar", archive.headers["Content-Type"])
        with tarfile.open(fileobj=io.BytesIO(archive.body)) as tar:
            self.assertEqual(["deep", "deep/one", "empty", "large", "link"], sorted(tar.getnames()))
        self.assertEqual({"ok": True, "files": 3, "bytes": 3000004}, other.call("PUT", "/files/new/t?tar=1", archive.body).json)
        check = "cd {} && find . ! -name pipe -printf '%P %y %m %l\\n' | sort && sha256sum large"
        self.assertEqual(cell.exec(check.format("t"))["stdout"], other.exec(check.format("new/t"))["stdout"])
        self.assertEqual("root\n", other.exec("stat -c %U new/t/deep/one")["stdout"])
        self.assertEqual(200, other.call("PUT", "/files?tar=1", other.call("GET", "/files?tar=1").body).status)
        self.assertEqual(404, cell.call("GET", "/files/none?tar=1").status)

    def test_an_archive_that_leads_outside_or_is_none_is_refused(self):
        cell = self.cell()

        def archive(*entries):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                for name, kind, target in entries:
                    info = tarfile.TarInfo(name)
                    info.type, info.linkname = kind, target
                    tar.addfile(info)
            return out.getvalue()

        link, name, file = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.REGTYPE
        for entries in ((("../x", file, ""),), (("/x", file, ""),), (("l", link, "/etc"), ("l/x", file, "")),
                        (("l", link, "../.."), ("l/x", file, "")), (("h", name, "../../cell.json"),), (("d", tarfile.CHRTYPE, ""),),
                        (("p", tarfile.FIFOTYPE, ""),)):
            answer = cell.call("PUT", "/files/in?tar=1", archive(*entries))
            self.assertEqual((400, "unsafe_archive"), (answer.status, answer.json["code"]), entries)
            self.assertIn(entries[-1][0], answer.json["error"])
        whole = archive(("a", file, ""))
        for none in (b"", whole[:600], b"x" * 1024, whole[:512]):
            self.assertEqual("invalid_archive", cell.call("PUT", "/files/in?tar=1", none).json["code"])
        self.assertEqual(["a", "l"], sorted(f["path"].removeprefix("in/") for f in cell.call("GET", "/files/in?list=1").json["files"]))

    def test_what_happens_to_files_is_told_as_it_happens(self):
        cell = self.cell()
        cell.exec("mkdir -p src node_modules/m; echo > src/old")
        stream = self.daemon.stream("GET", cell.path + "/files?watch=1")
        events = iter(stream)
        self.assertEqual(("ready", {"path": "."}), (lambda e: (e.type, e.json))(next(events)))

        changes = ((e.type, e.json["path"], e.json.get("from")) for e in events)
        # It may be told in the midst of being made.
        changes = (change for change in changes if change[:2] != ("modified", "src/new"))

        def told(count):
            return [next(changes) for _ in range(count)]

        cell.call("PUT", "/files/src/new", b"1")
        self.assertEqual([("created", "src/new", None)], told(1))
        cell.exec("echo x > node_modules/m/x; echo y >> src/old; mv src/new src/moved")
        self.assertEqual([("modified", "src/old", None), ("renamed", "src/moved", "src/new")], told(2))
        cell.exec("mkdir -p deep/er; echo > deep/er/f; rm src/old")
        self.assertEqual({("created", "deep", None), ("created", "deep/er", None), ("created", "deep/er/f", None),
                          ("deleted", "src/old", None)}, set(told(4)))
        self.assertEqual([], [b for b in cell.get()["idle"]["blockers"] if b["detail"] == "files"])
        cell.call("PUT", "/files/last", b"1")
        seen = next(events).id
        stream.close()
        cell.call("PUT", "/files/meanwhile", b"1")
        again = self.daemon.stream("GET", cell.path + "/files?watch=1", headers={"Last-Event-ID": str(seen)})
        first = next(iter(again))
        self.assertEqual((seen + 1, "reset", {"path": "."}), (first.id, first.type, first.json))
        again.close()
        inner = iter(self.daemon.stream("GET", cell.path + "/files/deep?watch=1"))
        self.assertEqual("ready", next(inner).type)
        cell.call("DELETE", "/files/deep")
        self.assertEqual(("deleted", "deep"), [(e.type, e.json["path"]) for e in inner][-1])
        self.assertEqual(404, cell.call("GET", "/files/none?watch=1").status)
        crowd = self.cell("crowd")
        streams = [self.daemon.stream("GET", crowd.path + "/files?watch=1") for _ in range(17)]
        self.assertEqual([200] * 16 + [507], [one.status for one in streams])
        for one in streams:
            one.close()
