"""What `cellar doctor` finds on this very host, and that cellard serves nothing below its level."""
import contextlib
import json
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

import harness

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@unittest.skipIf(os.geteuid() != 0, "needs root: what root can do here is compared with what others can")
class DoctorTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX))
        self.addCleanup(shutil.rmtree, self.root)
        self.root.chmod(0o755)
        self.programs = self.root / "bin"  # where everybody may start them
        self.programs.mkdir()
        for name in ("cellar", "cellard", "cellar-spawn", "cell-init"):
            shutil.copy(harness.BIN / name, self.programs / name)

    def run_program(self, name, *words, wrap=(), env=None):
        environment = {**os.environ, "CELLAR_STATE": str(self.root / "state"),
                       "CELLAR_SEAL_KEY_FILE": str(self.root / "keys/seal.key"), **(env or {})}
        return subprocess.run([*wrap, self.programs / name, *words], capture_output=True, text=True, env=environment,
                              timeout=harness.WAIT_S * 2)

    def doctor(self, *words, **how):
        done = self.run_program("cellar", "-o", "json", "doctor", *words, **how)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(done.returncode == 0, told["satisfied"])
        return told, {finding["id"]: finding for finding in told["findings"]}

    def traces(self):
        """Of a look at the host. Groups of others come and go meanwhile."""
        groups = [f"{place}/{name}" for place, names, _ in os.walk("/sys/fs/cgroup") for name in names if name.startswith("cellar-doctor-")]
        return groups + [str(path) for path in self.root.rglob(".cellar-doctor-*")]

    def programs_left(self):
        found = []
        for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # It has ended meanwhile.
                found += [command] if str(self.root).encode() in command.read_bytes() else []
        return found

    def test_a_host_on_which_cells_run_is_told_to_give_full_isolation(self):
        told, findings = self.doctor()
        self.assertEqual(("full", True, []), (told["level"], told["satisfied"], told["lacking"]))
        self.assertEqual("full", told["runtimes"][0]["state"])
        self.assertIn(os.uname().release, findings["kernel"]["found"])
        for finding in told["findings"]:
            self.assertTrue(finding["verdict"] == "ok" or finding["means"], finding)
        self.assertEqual([], self.traces())
        self.assertFalse((self.root / "state").exists())

    def test_whether_processes_come_back_from_disk_is_tried_and_what_is_in_the_way_is_told(self):
        if shutil.which("runsc") is None:
            self.skipTest("runsc is not installed")
        fake = self.root / "fake"
        fake.mkdir()
        (fake / "runsc").write_text(f"""#!/bin/sh
case " $* " in *" checkpoint "*) echo "panic: it listens" >&2; exit 128;; esac
exec {shutil.which("runsc")} "$@"
""")
        (fake / "runsc").chmod(0o755)
        _, findings = self.doctor(env={"PATH": f"{fake}:{os.environ['PATH']}"})
        self.assertEqual(("warning", "checkpoint: panic: it listens"),
                         (findings["gvisor.checkpoint"]["verdict"], findings["gvisor.checkpoint"]["found"]))
        self.assertEqual([], self.traces())
        self.assertEqual([], self.programs_left())

    def test_another_user_is_told_what_root_would_have(self):
        told, findings = self.doctor(wrap=NOBODY)
        self.assertEqual(["user"], [id for id in told["lacking"] if id == "user"])
        self.assertEqual("missing", findings["mounts.idmapped"]["verdict"])
        self.assertEqual("missing", findings["cgroup.pids"]["verdict"])
        self.assertEqual("unavailable", told["runtimes"][0]["state"])
        self.assertEqual([], self.traces())

    def test_cellard_does_not_serve_below_its_level_and_says_what_to_do(self):
        # A machine without cgroups: in its own mount namespace.
        wrap = ["unshare", "--mount", "sh", "-c", "umount --recursive /sys/fs/cgroup; exec \"$@\"", "sh"]
        told, _ = self.doctor(wrap=wrap)
        self.assertEqual({"cgroup.memory", "cgroup.pids", "cgroup.cpu", "cgroup.into", "cgroup.freeze", "cgroup.kill"},
                         set(told["lacking"]))
        refused = self.run_program("cellard", "--listen", "127.0.0.1:0", wrap=wrap)
        self.assertEqual((1, ""), (refused.returncode, refused.stdout))
        self.assertIn('isolation of level "full"', refused.stderr)
        self.assertIn("cgroup.pids: no cgroup controller", refused.stderr)
        self.assertIn("mount -t cgroup", refused.stderr)
        self.assertFalse((self.root / "state").exists())

    def test_cellard_of_a_user_without_ids_says_what_it_needs(self):
        refused = self.run_program("cellard", "--listen", "127.0.0.1:0", wrap=NOBODY, env={"CELLAR_LEVEL": "reduced"})
        self.assertEqual((1, ""), (refused.returncode, refused.stdout))
        self.assertIn('level "reduced"', refused.stderr)
        self.assertIn("a user namespace with ids of its own", refused.stderr)

    def test_the_level_comes_from_the_option_the_environment_or_the_daemons_file(self):
        config = self.root / "cellar.toml"
        config.write_text(f'level = "reduced"\nstate = "{self.root}/other"\nport = 1\n')
        self.assertEqual("reduced", self.doctor("--config", config)[0]["level"])
        self.assertEqual("full", self.doctor("--config", config, "--level", "full")[0]["level"])
        self.assertEqual("reduced", self.doctor(env={"CELLAR_LEVEL": "reduced"})[0]["level"])
        self.assertEqual(2, self.run_program("cellar", "doctor", "--level", "none").returncode)
        self.assertEqual(2, self.run_program("cellar", "doctor", "--config", self.root / "missing").returncode)

    def test_a_seal_key_beside_the_secrets_is_missing_its_point(self):
        _, findings = self.doctor(env={"CELLAR_SEAL_KEY_FILE": str(self.root / "state/seal.key")})
        self.assertEqual("missing", findings["seal_key"]["verdict"])

    def test_colours_are_for_terminals_only(self):
        plain = self.run_program("cellar", "doctor")
        self.assertNotIn("\x1b", plain.stdout)
        self.assertRegex(plain.stdout, r"(?m)^native: full$")
        ours, theirs = pty.openpty()
        subprocess.run([self.programs / "cellar", "doctor", "--state", self.root / "state"], stdout=theirs, timeout=harness.WAIT_S * 2)
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        os.close(ours)
        self.assertIn(b"\x1b[32m", seen)


class WarningTest(harness.CellTest):
    def test_a_daemon_without_an_image_of_its_own_warns_of_the_view_of_the_host(self):
        self.assertIn("default image: none: cells get dev", self.daemon.log())


class NoWarningTest(harness.CellTest):
    images = "default"

    def test_a_daemon_with_an_image_of_its_own_does_not(self):
        self.assertNotIn("default image:", self.daemon.log())
