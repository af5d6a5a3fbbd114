"""What `cmake --install` and the Debian package put in place serves cells from there, with nothing of the build folder."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "packaging/systemd/cellar.service"


class PackageTest(unittest.TestCase):
    def test_an_installation_serves_cells_from_where_it_is(self):
        if os.geteuid() != 0:
            self.skipTest("needs root: cells are made of namespaces and mounts")
        root = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.addCleanup(shutil.rmtree, root)
        subprocess.run(["cmake", "--install", harness.BIN.parent, "--prefix", "/usr"], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, DESTDIR=str(root)))
        for path in ("usr/lib/cellar/cellar-spawn", "usr/lib/cellar/cell-init", "usr/lib/systemd/system/cellar.service", "etc/default/cellar"):
            self.assertTrue((root / path).exists(), path)
        built, harness.BIN = harness.BIN, root / "usr/bin"
        self.addCleanup(setattr, harness, "BIN", built)
        daemon = harness.Daemon()
        self.addCleanup(daemon.cleanup)
        self.assertIn(str(root / "usr/lib/cellar/cellar-spawn").encode(), daemon.commands()[0].read_bytes())
        cell = daemon.create(agent="module.exports = { hi: () => 1 }")
        self.assertEqual(("in\n", 1), (cell.exec("echo in")["stdout"], cell.request("hi").json))

    def test_both_programs_say_the_same_version(self):
        said = [subprocess.run([harness.BIN / program, "--version"], capture_output=True, text=True, check=True).stdout for program in ("cellar", "cellard")]
        self.assertRegex(said[0], r"^cellar \d+\.\d+\.\d+\n$")
        self.assertEqual(said[1], said[0].replace("cellar", "cellard"))

    def test_the_unit_is_one_for_systemd(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory(prefix=harness.PREFIX) as folder:
            unit = pathlib.Path(folder) / "cellar.service"
            unit.write_text(UNIT.read_text().replace("/usr/bin/cellard", str(harness.BIN / "cellard")).replace("man:cellard(1) ", ""))
            done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
            self.assertEqual((0, ""), (done.returncode, done.stderr))
