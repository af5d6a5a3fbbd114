"""Agent hosts that run before anybody needs them: whose they become, and what they are then."""
import os
import pathlib
import signal

import harness

AGENT = """const fs = require("fs"), os = require("os");
module.exports = {
  see(ctx, { name }) {
    fs.writeFileSync("seen", "by me");
    return { cwd: process.cwd(), cell: ctx.cellId, host: os.hostname(), secret: process.env[name] ?? null, uid: process.getuid(),
             data: fs.readdirSync("/data"), shared: fs.readdirSync("/dev/shm"), child: require("child_process").execSync("echo $" + name).toString().trim(),
             mounts: fs.readFileSync("/proc/self/mountinfo", "utf8"), group: fs.readFileSync("/proc/self/cgroup", "utf8") };
  },
  keep(ctx, { value }) { this.value = value; fs.writeFileSync("/tmp/kept", value); return process.pid; },
  code() {
    const vm = require("vm"), folder = "/opt/cellar/agent-host", name = fs.readdirSync(folder).find((each) => each.endsWith(".code"));
    const script = new vm.Script(fs.readFileSync(`${folder}/all.js`, "latin1"), { filename: "x", cachedData: fs.readFileSync(`${folder}/${name}`) });
    let error;
    try { fs.appendFileSync(`${folder}/${name}`, "x"); } catch (caught) { error = caught.code; }
    return [script.cachedDataRejected, error];
  },
  kept() { return [this.value ?? null, fs.existsSync("/tmp/kept")]; },
};"""


def host_uid(pid):
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0])


def is_warm(cell):
    """Whether the cell's agent was there before the cell asked for one."""
    return host_uid(cell.agent_pid()) in harness.WARM_UIDS


class WarmTest(harness.CellTest):
    images = "default"

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = harness.Daemon(images=cls.images, warm_agents=1)
        cls.addClassCleanup(cls.daemon.cleanup)

    def warm_cell(self, name, **fields):
        cell = self.cell(name, agent=AGENT, **fields)
        self.daemon.await_warm_agent()
        return cell

    def test_a_cell_gets_one_with_all_that_is_its_own_and_it_looks_like_one_made_for_it(self):
        cell = self.warm_cell("own", secrets={"TOKEN": "s3cret"})
        warm = cell.request("see", {"name": "TOKEN"}).json
        self.assertTrue(is_warm(cell))
        self.assertEqual(["/work", cell.id, cell.id, "s3cret", 0, [], "s3cret"],
                         [warm[name] for name in ("cwd", "cell", "host", "secret", "uid", "shared", "child")])
        self.assertEqual(["agent.js", "versions"], warm["data"])
        self.assertEqual(b"by me", cell.call("GET", "/files/seen").body)
        self.assertEqual("0", cell.exec("stat -c %u /work/seen")["stdout"].strip())
        self.assertNotIn(b"s3cret", pathlib.Path(f"/proc/{cell.agent_pid()}/environ").read_bytes())
        # The same cell with one that is made for it.
        cell.call("POST", "/hibernate")
        cell.exec("true")
        cold = cell.request("see", {"name": "TOKEN"}).json
        self.assertFalse(is_warm(cell))
        shape = lambda seen: sorted((fields[4], fields[5], *fields[6:][fields[6:].index("-") + 1:][:1])
                                    for fields in map(str.split, seen["mounts"].splitlines()))
        self.assertEqual(shape(cold), shape(warm))
        self.assertEqual(cold["group"].rsplit("/c", 1)[0], warm["group"].rsplit("/c", 1)[0])

    def test_after_hibernation_another_one_is_taken_and_nothing_of_the_first_is_in_it(self):
        cell = self.warm_cell("twice")
        cell.request("keep", {"value": "v"})
        self.assertEqual((True, ["v", True]), (is_warm(cell), cell.request("kept").json))
        first = cell.agent_pid()
        cell.call("POST", "/hibernate")
        self.assertFalse(pathlib.Path(f"/proc/{first}").exists())
        self.daemon.await_warm_agent()
        self.assertEqual([None, False], cell.request("kept").json)
        self.assertTrue(is_warm(cell))
        self.assertNotEqual(first, cell.agent_pid())

    def test_what_node_makes_of_the_hosts_code_is_kept_for_agents_that_start_later(self):
        cell = self.warm_cell("code")
        self.assertEqual(1, len(list(self.daemon.state.glob("agent-host-*/*.code"))))
        cell.exec("true")
        self.assertEqual([False, "EROFS"], cell.request("code").json)
        self.assertFalse(is_warm(cell))

    def test_two_cells_never_get_the_same_one_nor_the_same_ids(self):
        one, two = self.warm_cell("one"), self.cell("two", agent=AGENT)
        one.request("kept")
        self.daemon.await_warm_agent()
        two.request("kept")
        self.assertEqual([True, True], [is_warm(one), is_warm(two)])
        ranges = {host_uid(cell.agent_pid()) >> 16 for cell in (one, two)}
        self.assertEqual(2, len(ranges))
        self.assertNotEqual(one.slot(), two.slot())

    def test_whoever_needs_something_else_gets_one_that_is_made_for_it(self):
        for name, fields in {"told": {"secrets": {"NODE_OPTIONS": "--stack-trace-limit=7"}}, "dev": {"image": "dev"}}.items():
            cell = self.warm_cell(name, **fields)
            cell.request("kept")
            self.assertFalse(is_warm(cell), name)
        shell_first = self.warm_cell("shell-first")
        shell_first.exec("true")
        shell_first.request("kept")
        self.assertFalse(is_warm(shell_first))

    def test_one_that_has_ended_is_given_to_nobody_and_another_one_is_made(self):
        cell = self.warm_cell("dead")
        pid = self.daemon.await_warm_agent()
        made = len(self.daemon.warm_agents())
        os.kill(pid, signal.SIGKILL)
        harness.eventually("another one is made", lambda: len(self.daemon.warm_agents()) > made)
        self.assertEqual([None, False], cell.request("kept").json)
        self.assertTrue(is_warm(cell))

    def test_the_cell_has_its_limits_and_its_pause_and_the_next_daemon_finds_it(self):
        cell = self.warm_cell("found", tier="performance")
        cell.request("keep", {"value": "v"})
        self.assertTrue(is_warm(cell))
        pid = cell.agent_pid()
        cell.call("POST", "/pause")
        cell.call("POST", "/resume")
        self.assertEqual((["v", True], pid), (cell.request("kept").json, cell.agent_pid()))
        left = self.daemon.await_warm_agent()
        self.daemon.restart()  # By SIGKILL.
        harness.eventually("what nobody had is gone", lambda: harness.has_ended(left))
        self.assertEqual([None, True], cell.request("kept").json)  # Another host, in the same domain.
        self.assertTrue(is_warm(cell))


class FailureTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise harness.unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = harness.FaultyDaemon(warm_agents=1)
        cls.addClassCleanup(cls.daemon.cleanup)

    def begin_run(self, cell, plan):
        self.daemon.await_warm_agent()
        (self.daemon.root / "faults").write_text(plan)
        return cell.call("POST", "/runs", {"method": "kept"}).json["id"]

    def test_one_that_cannot_become_a_cells_is_ended_and_the_cell_gets_another(self):
        cell = self.cell("unlucky", agent=AGENT)
        pid = self.daemon.await_warm_agent()
        run = self.begin_run(cell, "warm.personal 1 errno=5\n")
        self.assertEqual("completed", cell.settled(run)["status"])
        self.assertFalse(is_warm(cell))
        harness.eventually("nothing of it is left", lambda: harness.has_ended(pid))

    def test_a_daemon_that_is_killed_while_a_cell_takes_one_leaves_nothing_that_runs(self):
        for point in ("warm.personal", "warm.slot_kept"):
            with self.subTest(point):
                cell = self.cell(point.replace(".", "-").replace("_", "-"), agent=AGENT)
                pid = self.daemon.await_warm_agent()
                run = self.begin_run(cell, f"{point} 1 kill\n")
                self.daemon.process.wait(harness.WAIT_S)
                self.daemon.process.stdout.close()
                (self.daemon.root / "faults").write_text("")
                self.daemon.start()
                self.assertEqual("completed", cell.settled(run)["status"])
                harness.eventually("nothing of it is left", lambda: harness.has_ended(pid))


    def test_a_daemon_that_is_stopped_as_soon_as_it_serves_leaves_nothing_of_one_that_was_killed(self):
        daemon = harness.Daemon(warm_agents=3)
        self.addCleanup(daemon.cleanup)
        harness.eventually("all are ready", lambda: len(daemon.warm_agents()) == 3)
        warm = daemon.warm_agents()
        daemon.kill()
        daemon.start()
        self.assertEqual(0, daemon.stop())
        harness.eventually("they have ended", lambda: all(map(harness.has_ended, warm)))
        name = harness.daemon_group(daemon.state)
        roots = [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").iterdir()]
        harness.eventually("the spawner of the first has removed the rest", lambda: not any((root / name).exists() for root in roots))


class NoRoomTest(harness.CellTest):
    def test_none_is_made_where_no_memory_is_left_for_it(self):
        total = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) << 10
        daemon = harness.Daemon("--memory-reserve-bytes", str(total), warm_agents=1)
        self.addCleanup(daemon.cleanup)
        harness.eventually("it has looked", lambda: "no warm agent is made: memory is short" in daemon.log())
        self.assertEqual([], daemon.warm_agents())
