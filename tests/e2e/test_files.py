"""The file API: what is written is read, and no path leads outside /work."""
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
