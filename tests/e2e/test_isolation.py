"""What a cell cannot do, tried from inside it."""
import os
import pathlib

import harness

AGENT = """
const fs = require("fs");
module.exports = {
  read(ctx, { path }) { try { return fs.readFileSync(path, "utf8"); } catch (e) { return e.code; } },
  write(ctx, { path }) { try { fs.writeFileSync(path, "x"); return "written"; } catch (e) { return e.code; } },
  secret() { return [...process.env.API_TOKEN].reverse().join(""); },
  pids() { return fs.readdirSync("/proc").filter((n) => /^[0-9]+$/.test(n)).length; },
  sleepy(ctx) { return ctx.shell("sleep 3; ps -e -o args").stdout; },
};
"""


class IsolationTest(harness.CellTest):
    def test_a_command_is_root_in_the_cell_and_nobody_outside(self):
        cell = self.cell()
        self.assertEqual("0\n", cell.exec("id -u")["stdout"])
        cell.exec("touch /work/f /in-root")
        start = cell.exec("cat /proc/self/uid_map")["stdout"].split()
        self.assertGreater(int(start[1]), 65535)
        self.assertEqual(0, os.stat(cell.dir / "work" / "f").st_uid)  # idmapped: portable on disk

    def test_the_host_and_other_cells_cannot_be_seen(self):
        secret = self.daemon.root / "host-secret"
        secret.write_text("top")
        cell, other = self.cell(), self.cell("other")
        other.call("PUT", "/files/private", b"1")
        for path in (secret, self.daemon.state, other.dir / "work" / "private", "/etc/shadow", "/root/.bashrc"):
            out = cell.exec(["cat", str(path)])
            self.assertFalse("top" in out["stdout"] or "$6$" in out["stdout"] or "$y$" in out["stdout"], path)
        self.assertNotEqual(0, cell.exec(["ls", str(self.daemon.state)])["exit_code"])
        self.assertEqual("", cell.exec("ls -A /home /mnt /srv 2>/dev/null | grep -v :")["stdout"].strip())

    def test_only_own_processes_are_seen_or_signalled(self):
        cell = self.cell()
        names = cell.exec("ps -e -o comm=")["stdout"].split()
        self.assertLessEqual(len(names), 4, names)
        self.assertNotEqual(0, cell.exec(f"kill -0 {self.daemon.process.pid}")["exit_code"])
        cell.exec("kill -9 -1; kill -9 1")
        self.assertEqual("alive\n", cell.exec("echo alive")["stdout"])

    def test_the_first_process_cannot_be_touched(self):
        cell = self.cell()
        for attempt in ("cat /proc/1/environ", "head -c1 /proc/1/mem", "ls /proc/1/root/", "ls -l /proc/1/fd/",
                        "cat /proc/1/maps | grep .", "nsenter -t 1 -m true", "echo x > /proc/1/oom_score_adj"):
            self.assertNotEqual(0, cell.exec(attempt)["exit_code"], attempt)

    def test_mounts_namespaces_and_devices_are_refused(self):
        cell = self.cell()
        for attempt in ("mount -t tmpfs x /mnt", "umount /proc", "mount -o remount,rw /proc/sys", "unshare -Ur true",
                        "unshare -m true", "mknod /tmp/d b 254 0 && cat /tmp/d", "cat /dev/mem", "cat /dev/kmsg",
                        "ls /dev/vda /dev/kvm /dev/fuse",
                        "[ -c /proc/sysrq-trigger ] && exit 1; echo c > /proc/sysrq-trigger",  # where it is, it is another /dev/null
                        "echo x > /proc/sys/kernel/core_pattern", "head -c 1 /proc/kcore | grep -c .", "swapon /tmp/x", "chroot /proc/1/root true",
                        "hostname changed", "date -s 2000-01-01", "dmesg"):
            self.assertNotEqual(0, cell.exec(attempt)["exit_code"], attempt)

    def test_dangerous_system_calls_are_refused(self):
        program = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    ctypes.set_errno(0); libc.syscall(number, *args); return errno.errorcode.get(ctypes.get_errno(), "allowed")
same = dict(io_uring_setup=425, open_tree=428, move_mount=429, fsopen=430)
others = dict(x86_64=dict(bpf=321, keyctl=250, add_key=248, userfaultfd=323, perf_event_open=298, open_by_handle_at=304,
                          kexec_load=246, init_module=175, setns=308, ptrace=101),
              aarch64=dict(bpf=280, keyctl=219, add_key=217, userfaultfd=282, perf_event_open=241, open_by_handle_at=265,
                           kexec_load=104, init_module=105, setns=268, ptrace=117))
for name, number in {**same, **others[os.uname().machine]}.items():
    args = (16, 1) if name == "ptrace" else (0, 0)
    print(name, call(number, *args, 0, 0, 0))
for name, family in dict(AF_ALG=38, AF_VSOCK=40, AF_PACKET=17).items():
    try: socket.socket(family, socket.SOCK_STREAM if family != 17 else socket.SOCK_RAW); print(name, "allowed")
    except OSError as e: print(name, errno.errorcode[e.errno])
"""
        out = self.cell().exec(["python3", "-c", program])
        self.assertNotIn("allowed", out["stdout"], out)
        self.assertEqual(17, len(out["stdout"].splitlines()), out)

    def test_no_descriptor_is_inherited(self):
        listing = self.cell().exec("ls /proc/self/fd")["stdout"].split()
        self.assertLessEqual(len(listing), 4, listing)  # 0 1 2 and the folder itself


class DomainsTest(harness.CellTest):
    def test_commands_do_not_see_the_agent_its_folder_or_its_secrets(self):
        cell = self.cell(agent=AGENT, secrets={"API_TOKEN": "s3cr3t-value"})
        self.assertEqual("s3cr3t-value"[::-1], cell.request("secret").json)
        self.assertNotIn("node", cell.exec("ps -e -o args")["stdout"])
        self.assertNotEqual(0, cell.exec("ls /data")["exit_code"])
        found = cell.exec("env; cat /proc/*/environ 2>/dev/null; grep -rs s3cr3t-value /work /tmp /etc /run | head -1")
        self.assertNotIn("s3cr3t-value", found["stdout"])
        on_disk = [path for path, content in harness.files_below(self.daemon.state) if b"s3cr3t-value" in content]
        self.assertEqual([], on_disk)

    def test_the_agent_reads_its_own_code_and_cannot_change_it(self):
        cell = self.cell(agent=AGENT)
        self.assertIn("module.exports", cell.request("read", {"path": "/data/agent.js"}).json)
        self.assertIn(cell.request("write", {"path": "/data/agent.js"}).json, ("EROFS", "EACCES", "EPERM"))
        self.assertEqual("written", cell.request("write", {"path": "/work/by-agent"}).json)
        self.assertEqual("x", cell.exec("cat /work/by-agent")["stdout"])

    def test_the_agent_sees_no_command_and_no_command_the_agent(self):
        cell = self.cell(agent=AGENT)
        self.assertNotIn("agent-host", cell.request("sleepy").json)
        self.assertLessEqual(cell.request("pids").json, 3)
