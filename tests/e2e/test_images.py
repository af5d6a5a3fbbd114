"""What cells start from: an image of our own, one that somebody brings, or the view of the host."""
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tarfile

import harness



def cellar(state, *words):
    return subprocess.run([harness.BIN / "cellar", "image", *words, "--state", state], capture_output=True, text=True)


def small_root(folder, marker):
    """The least that a command can start in: the machine's sh, cat and ls, with the libraries they need."""
    for program in ("sh", "cat", "ls"):
        source = pathlib.Path("/bin") / program
        libraries = subprocess.run(["ldd", source.resolve()], capture_output=True, text=True, check=True).stdout
        paths = [word for line in libraries.splitlines() for word in line.split() if word.startswith("/")]
        for path in [source, *map(pathlib.Path, paths)]:
            target = folder / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            target.chmod(0o755)
    (folder / "etc").mkdir()
    (folder / "etc/marker").write_text(marker)


class OwnImageTest(harness.CellTest):
    images = "default"

    def test_a_cell_starts_from_the_image_named_default(self):
        cell = self.cell()
        view = cell.call("GET").json
        self.assertEqual("default", view["image"])
        self.assertRegex(view["image_digest"], r"^[0-9a-f]{64}$")
        self.assertEqual(0, cell.exec("test ! -e /usr/lib/postgresql && gcc --version && git --version && node --version "
                                      "&& npm --version && python3 --version && apt-get --version")["exit_code"])

    def test_nothing_of_the_host_is_in_it(self):
        marker = pathlib.Path(f"/usr/share/cellar-e2e-{os.getpid()}")
        marker.write_text("of the host")
        self.addCleanup(marker.unlink)
        cell, view = self.cell("own"), self.cell("view", image="dev")
        self.assertNotEqual(0, cell.exec(["cat", str(marker)])["exit_code"])
        self.assertEqual("of the host", view.exec(["cat", str(marker)])["stdout"])
        self.assertNotIn(" /usr ", cell.exec("cat /proc/self/mountinfo")["stdout"])

    def test_agent_and_commands_run_and_what_they_change_stays(self):
        cell = self.cell(agent="module.exports = { run(ctx, { cmd }) { return ctx.shell(cmd).stdout; } };")
        self.assertEqual("1\n", cell.request("run", {"cmd": "echo 1 | tee /usr/local/bin/mine"}).json)
        cell.exec("mkdir -p /opt/x && rm /usr/bin/less && mv /usr/bin/file /usr/bin/elif")
        cell.call("POST", "/pause", {"hibernate": True})
        self.assertEqual("1\n", cell.exec("cat /usr/local/bin/mine && test -d /opt/x && test ! -e /usr/bin/less")["stdout"])
        self.daemon.restart()
        self.assertEqual("1\n", cell.request("run", {"cmd": "cat /usr/local/bin/mine"}).json)
        other = self.cell("other")
        self.assertEqual(0, other.exec("test -e /usr/bin/less && test ! -e /usr/local/bin/mine")["exit_code"])

    def test_an_image_is_for_the_life_of_a_cell(self):
        cell = self.cell("keeper")
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "keeper", "image": "dev"})
        self.assertEqual((409, "image_differs"), (answer.status, answer.json["code"]))
        again = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "keeper", "image": "default"})
        self.assertEqual(200, again.status)
        refused = cellar(self.daemon.state, "rm", "default")
        self.assertEqual(1, refused.returncode)
        self.assertIn("is that of cell", refused.stderr)
        self.assertEqual(0, cell.exec("true")["exit_code"])

    def test_an_image_that_is_not_there_is_refused_by_name(self):
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "x", "image": "ubuntu"})
        self.assertEqual((404, "image_not_found"), (answer.status, answer.json["code"]))
        answer = self.daemon.call("POST", "/api/v1/cells", {"customer_id": "x", "image": "../etc"})
        self.assertEqual((400, "invalid_image"), (answer.status, answer.json["code"]))
        self.assertEqual(404, self.daemon.get("/api/v1/cells/dev--x").status)


class ImportTest(harness.CellTest):
    def check_cell(self, name, marker):
        cell = self.cell(f"of-{name}", image=name)
        self.assertEqual(marker, cell.exec("cat /etc/marker")["stdout"])
        self.assertEqual("work\n", cell.exec("ls / | while read n; do case $n in work) echo $n;; esac; done")["stdout"])
        cell.exec("echo changed > /etc/marker")
        self.assertEqual("changed\n", cell.exec("cat /etc/marker")["stdout"])
        return cell

    def folder(self, name, marker):
        folder = self.daemon.root / name
        folder.mkdir()
        small_root(folder, marker)
        return folder

    def test_a_folder_is_an_image(self):
        made = cellar(self.daemon.state, "import", self.folder("root-a", "folder"), "--name", "a")
        self.assertEqual((0, ""), (made.returncode, made.stderr))
        self.check_cell("a", "folder")

    def refused_agents(self, image):
        """(cell, answer, program) for an agent of each language, in an image that has not what it needs."""
        for agent, language, program in (("exports.hello = () => 1;", "javascript", "Node.js"),
                                         ("def hello(ctx): return 1", "python", "Python")):
            cell = self.cell(image, image=image, agent=agent, agent_language=language)
            answer = cell.request("hello")
            self.assertEqual((409, "agent_host_missing"), (answer.status, answer.json["code"]))
            yield cell, answer, program

    def test_an_agent_in_an_image_without_its_program_is_told_so_with_the_image_and_the_remedy(self):
        self.assertEqual(0, cellar(self.daemon.state, "import", self.folder("root-n", "n"), "--name", "no-node").returncode)
        for cell, answer, program in self.refused_agents("no-node"):
            self.assertIn(f'image "no-node" has no {program}', answer.json["error"])
            self.assertIn("cellar image build", answer.json["remediation"])
            run = cell.run(cell.runs()[0]["id"])
            self.assertEqual(("paused", "agent_host_missing", 1), (run["status"], run["reason"], run["attempt"]))
        self.assertEqual("n", cell.exec("cat /etc/marker")["stdout"])

    def test_an_image_whose_programs_are_too_old_for_agents_says_so(self):
        folder = self.folder("root-o", "o")
        (folder / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        for name in ("node", "python3"):  # What the hosts do in an old one.
            program = folder / "usr/local/bin" / name
            program.write_text("#!/bin/sh\nexit 69\n")
            program.chmod(0o755)
        self.assertEqual(0, cellar(self.daemon.state, "import", folder, "--name", "old").returncode)
        for _, answer, program in self.refused_agents("old"):
            self.assertIn(f'image "old" has no {program} that can run an agent (what it has is too old)', answer.json["error"])
            self.assertIn("or newer", answer.json["remediation"])

    def test_the_same_archive_is_the_same_image_and_kept_once(self):
        archive = self.daemon.root / "root.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.folder("root-b", "archive"), arcname=".")
        for name in ("b1", "b2"):
            self.assertEqual(0, cellar(self.daemon.state, "import", archive, "--name", name).returncode)
        listed = subprocess.run([harness.BIN / "cellar", "-o", "json", "image", "ls", "--state", self.daemon.state],
                                capture_output=True, text=True, check=True)
        digests = {image["name"]: image["digest"] for image in json.loads(listed.stdout)["images"]}
        self.assertEqual(digests["b1"], digests["b2"])
        self.check_cell("b2", "archive").call("DELETE")
        self.assertEqual(0, cellar(self.daemon.state, "rm", "b1").returncode)
        self.assertTrue((self.daemon.state / "images" / digests["b2"]).exists())
        self.assertEqual(0, cellar(self.daemon.state, "rm", "b2").returncode)
        self.assertFalse((self.daemon.state / "images" / digests["b2"]).exists())
        self.assertEqual(3, cellar(self.daemon.state, "rm", "b2").returncode)

    def oci_layout(self, folder):
        """Two layers: a root, and one that deletes a file and a folder's contents and adds a file."""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)

        def put(data):
            digest = hashlib.sha256(data).hexdigest()
            (blobs / digest).write_bytes(data)
            return f"sha256:{digest}"

        root = self.folder(f"{folder.name}-root", "oci")
        (root / "etc/gone").write_text("x")
        (root / "opaque").mkdir()
        (root / "opaque/old").write_text("x")
        layers = []
        for source, names in ((root, None), (None, {"etc/.wh.gone": "", "opaque/.wh..wh..opq": "", "opaque/new": "new"})):
            path = folder / "layer.tar"
            with tarfile.open(path, "w") as tar:
                if source:
                    tar.add(source, arcname=".")
                for name, text in (names or {}).items():
                    (folder / "part").write_text(text)
                    tar.add(folder / "part", arcname=name)
            layers.append({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": put(path.read_bytes())})
            path.unlink()
        (folder / "part").unlink()
        manifest = put(json.dumps({"schemaVersion": 2, "layers": layers}).encode())
        machine = "arm64" if os.uname().machine == "aarch64" else "amd64"
        platforms = [("s390x", put(b"{}")), (machine, manifest)]
        index = put(json.dumps({"manifests": [{"digest": digest, "platform": {"architecture": name, "os": "linux"}}
                                              for name, digest in platforms]}).encode())
        (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": index}]}))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return layers

    def test_an_oci_image_is_unpacked_layer_by_layer(self):
        layout = self.daemon.root / "layout"
        self.oci_layout(layout)
        made = cellar(self.daemon.state, "import", layout, "--name", "oci")
        self.assertEqual((0, ""), (made.returncode, made.stderr))
        cell = self.check_cell("oci", "oci")
        self.assertEqual("new\n", cell.exec("ls /opaque")["stdout"])
        self.assertNotEqual(0, cell.exec("cat /etc/gone")["exit_code"])
        archive = self.daemon.root / "layout.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, arcname=".")
        self.assertEqual(0, cellar(self.daemon.state, "import", archive, "--name", "oci-archive").returncode)
        names = os.readlink(self.daemon.state / "images/names/oci"), os.readlink(self.daemon.state / "images/names/oci-archive")
        self.assertEqual(names[0], names[1])

    def test_a_damaged_or_foreign_image_is_refused_and_leaves_nothing(self):
        layout = self.daemon.root / "damaged"
        layers = self.oci_layout(layout)
        blob = layout / "blobs/sha256" / layers[1]["digest"].split(":")[1]
        blob.write_bytes(blob.read_bytes()[:-1] + b"x")
        (self.daemon.root / "empty").mkdir()
        (self.daemon.root / "text").write_text("no archive")
        for path, why in ((layout, "damaged"), (self.daemon.root / "empty", "/bin/sh"), (self.daemon.root / "text", "tar failed"),
                          (self.daemon.root / "missing", "not there")):
            made = cellar(self.daemon.state, "import", path, "--name", "bad")
            self.assertNotEqual(0, made.returncode, path)
            self.assertIn(why, made.stderr)
        left = [p.name for p in (self.daemon.state / "images").iterdir() if p.name.startswith("draft")]
        self.assertEqual([], left)
        self.assertFalse(os.path.lexists(self.daemon.state / "images/names/bad"))

    def test_an_interrupted_import_is_cleared_away_by_the_next_one_and_a_running_one_is_not(self):
        images = self.daemon.state / "images"

        def drafts():
            return sorted(path.name for path in images.glob("draft-*")) if images.exists() else []

        def begin(name):
            """An import that waits for an archive which nobody writes, in a process group of its own."""
            os.mkfifo(self.daemon.root / name)
            before = len(drafts())
            process = subprocess.Popen([harness.BIN / "cellar", "image", "import", self.daemon.root / name, "--name", name,
                                        "--state", self.daemon.state], start_new_session=True, stderr=subprocess.DEVNULL)
            harness.eventually("a draft", lambda: len(drafts()) == before + 2 and
                               any((images / draft / "root").exists() for draft in drafts()))
            return process

        def end(process):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

        running = begin("running")
        self.addCleanup(end, running)
        kept = drafts()
        end(begin("interrupted"))
        self.assertEqual(4, len(drafts()))
        self.assertEqual(0, cellar(self.daemon.state, "import", self.folder("root-d", "d"), "--name", "d").returncode)
        self.assertEqual(kept, drafts())

    def test_links_in_an_image_lead_nowhere_outside(self):
        folder = self.folder("links", "links")
        victim = self.daemon.root / "victim"
        victim.mkdir()
        (folder / "usr").mkdir(exist_ok=True)
        os.symlink(victim, folder / "usr/sbin")
        (folder / "etc/marker").rename(folder / "marker")
        for name in (folder / "etc").iterdir():
            name.unlink()
        (folder / "etc").rmdir()
        os.symlink(victim, folder / "etc")
        made = cellar(self.daemon.state, "import", folder, "--name", "links")
        self.assertEqual([], list(victim.iterdir()), made.stderr)
