"""A real cellard with its own state folder and port, and a small client for it."""
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import description

BIN = pathlib.Path("build/release/bin")
IMAGES = pathlib.Path(__file__).resolve().parents[2] / "build/images/images"
KEY = "e2e-key-0123456789"
SLOWER = int(os.environ.get("CELLAR_TESTS_SLOWER", "1"))  # how many times as long all may take as on a machine of its own
WAIT_S = 30 * SLOWER  # the limit of every wait here
PREFIX = f"cellar-e2e-{os.getpid()}-"  # of the folders of this run, and of no other's
WARM_UIDS = range(0x08000000, 0x10000000)  # the host's ids of domains that were warm
GROUPS = set()  # the cgroups of the daemons that were started


def eventually(what, probe, limit_s=WAIT_S):
    """Asks `probe` until it gives something true; fails naming `what` after the limit."""
    end = time.monotonic() + limit_s
    pause = 0.001
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def has_ended(pid):
    """Whether it runs no more; one that only waits to be taken note of by the machine's first process does not."""
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def text_of(path):
    """What a file holds by now; empty where it is not there yet."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def files_below(folder):
    """(path, bytes) of all files below a folder that others change meanwhile: what is gone by then is left out."""
    for place, _, names in os.walk(folder):
        for path in (pathlib.Path(place, name) for name in names):
            with contextlib.suppress(OSError):
                if path.is_file():
                    yield path, path.read_bytes()


def now_iso():
    """The time as the daemon writes it, to compare with what it wrote."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:2000]!r}>"


class Event:
    def __init__(self, id, type, data):
        self.id, self.type, self.data = id, type, data

    @property
    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<event {self.id} {self.type} {self.data[:200]}>"


class Stream:
    """A response of server-sent events, read as they come."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response
        self.status, self.headers = response.status, dict(response.getheaders())

    def __iter__(self):
        id, type, data = None, None, []
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.decode().rstrip("\r\n")
            if line == "":
                if data:
                    yield Event(id, type, "\n".join(data))
                type, data = None, []
            elif line.startswith("id:"):
                id = int(line[3:].strip())
            elif line.startswith("event:"):
                type = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))

    def close(self):
        self.connection.sock and self.connection.sock.close()
        self.connection.close()


def share_images(state):
    """Gives a state folder the images that scripts/image made: the same files, where links reach."""
    def link_or_copy(source, target):
        try:
            os.link(source, target)
        except OSError:  # Another file system, or another mount of it.
            shutil.copy2(source, target)

    state.mkdir(parents=True)
    shutil.copytree(IMAGES, state / "images", symlinks=True, copy_function=link_or_copy)


def daemon_group(state):
    """The cgroup that all cells of a state folder are below."""
    return "cellar-" + hashlib.sha256(str(state).encode()).hexdigest()[:8]


class User:
    """Somebody who is not root and has ids of their own, known to nobody but the programs that `wrap` starts."""

    uid, first_id, id_count = 71000, 71_000_000, 65536
    files = {"passwd": f"cellar-e2e:x:{uid}:{uid}::/nowhere:/bin/sh", "group": f"cellar-e2e:x:{uid}:",
             "subuid": f"cellar-e2e:{first_id}:{id_count}", "subgid": f"cellar-e2e:{first_id}:{id_count}"}

    @classmethod
    def why_not(cls):
        """What keeps this machine from having such a user; None where nothing does."""
        if os.geteuid() != 0:
            return "needs root, to make a user"
        for program in ("newuidmap", "newgidmap", "setpriv"):
            if not shutil.which(program):
                return f"{program} is not installed"
        missing = [name for name in cls.files if not pathlib.Path("/etc", name).exists()]
        return f"there is no /etc/{missing[0]} to put another one over" if missing else None

    def __init__(self, root, group=None):
        """Keeps what it needs in the folder `root`, which becomes the user's. `group`: a cgroup that was given to it."""
        self.root, self.group = root, group
        (root / "etc").mkdir()
        (root / "bin").mkdir()
        for name, line in self.files.items():
            (root / "etc" / name).write_text(pathlib.Path("/etc", name).read_text() + line + "\n")
        for name in ("cellar", "cellard", "cellar-spawn", "cell-init"):
            shutil.copy(BIN / name, root / "bin")  # where everybody may start them
        os.chmod(root, 0o755)
        os.chown(root, self.uid, self.uid)

    def wrap(self, *command):
        """`command` with the user's programs, started as the user, in the cgroup `group` where there is one, or in the
        daemon's own below it."""
        join = f"for g in {self.group}/cellar-daemon {self.group}; do [ -d $g ] && echo $$ > $g/cgroup.procs && break; done && " \
            if self.group else ""
        binds = "".join(f"mount --bind {self.root}/etc/{name} /etc/{name} && " for name in self.files)
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", join + binds + 'exec "$@"', "sh", "setpriv", f"--reuid={self.uid}",
                f"--regid={self.uid}", "--clear-groups", self.root / "bin" / command[0], *command[1:]]

    def processes(self):
        """The host's numbers of all processes of the user and of its ids."""
        ids = {self.uid, *range(self.first_id, self.first_id + self.id_count)}
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            try:
                status = (folder / "status").read_text() if folder.name.isdigit() else ""
            except OSError:
                continue
            uid = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:")), 0)
            if uid in ids and "State:\tZ" not in status:
                found.append(int(folder.name))
        return found


class Daemon:
    listen = "127.0.0.1:0"

    def __init__(self, *options, key=KEY, images="dev", place=None, rootless=False, warm_agents=0, group=None):
        """`images`: "default" gives it the image that scripts/image made, "dev" only the view of the host.
        Its folder is made in `place`. `rootless`: it is a User's, in the cgroup `group`. `warm_agents`: so many ahead, and it says when one is ready."""
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        self.user = User(self.root, group) if rootless else None
        self.state = self.root / "state"
        GROUPS.add(daemon_group(self.state))
        if images == "default":
            share_images(self.state)
        self.options, self.key = [*options, "--warm-agents", str(warm_agents)], key
        if warm_agents:
            self.options += ["--log-level", "debug"]
        self.process = None
        self.start()

    def environment(self):
        return dict(os.environ, CELLAR_API_KEY=self.key)

    def start(self):
        log = open(self.root / "log", "ab")
        words = ["--state", self.state, "--listen", self.listen, "--seal-key-file", self.root / "keys" / "seal.key", *self.options]
        self.process = subprocess.Popen(
            self.user.wrap("cellard", *words) if self.user else [BIN / "cellard", *words],
            stdout=subprocess.PIPE, stderr=log, env=self.environment())
        log.close()
        line = self.process.stdout.readline().decode()
        if "listening on http://" not in line:
            self.process.wait(WAIT_S)
            raise AssertionError(f"cellard did not start: {line!r}\n{self.log()}")
        self.port = int(line.strip().rsplit(":", 1)[1])
        connection = self.connect()
        connection.request("GET", "/openapi.json")
        self.description = description.Description(json.loads(connection.getresponse().read()))
        connection.close()

    def log(self):
        return (self.root / "log").read_text(errors="replace")

    def warm_agents(self, what="ready"):
        """The host's pids of cell-init of all warm agents that were ever ready, or taken by a cell."""
        return [int(line.rsplit(" ", 1)[1]) for line in self.log().splitlines() if f"a warm agent is {what}: " in line]

    def await_warm_agent(self):
        """Until one is there that no cell has; its pid."""
        def waiting():
            free = set(self.warm_agents()) - set(self.warm_agents("taken"))
            return next((pid for pid in free if pathlib.Path(f"/proc/{pid}/root/opt/cellar").exists()), None)
        return eventually("a warm agent is ready", waiting)

    def slots(self):
        """The names of the cgroups of its cells, and of what was made ahead, in every hierarchy."""
        name = daemon_group(self.state)
        roots = [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").iterdir()]
        return {slot.name for root in roots if (root / name).is_dir() for slot in (root / name).iterdir() if slot.is_dir()}

    def slots_of(self, pid):
        """Those that the process is in; none of one that has ended."""
        name = daemon_group(self.state)
        try:
            lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        except OSError:
            return set()
        return {line.split(f"/{name}/")[1].split("/")[0] for line in lines if f"/{name}/" in line}

    def await_fresh_cells(self, count=4):
        """Until so many, as by default, have their domains, or will have in a moment."""
        eventually("fresh cells are made", lambda: len(list(self.state.glob("fresh/*/run/agent.sock"))) == count)

    def commands(self):
        """The command lines of the programs that it started, as files."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pathlib.Path(f"/proc/{child}/cmdline") for child in children.split()]

    def spawner(self):
        """The pid of its cellar-spawn."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        return code

    def restart(self):
        self.kill()
        self.start()

    def cleanup(self):
        if self.process.poll() is not None:
            self.start()
        for cell in self.get("/api/v1/cells").json["cells"]:
            self.call("DELETE", f"/api/v1/cells/{cell['cell_id']}")
        code = self.stop()
        assert code == 0, f"cellard ended with {code}:\n{self.log()}"
        # What made cells for a daemon that was just killed may still be at its last file.
        eventually("nobody writes into its folder", self._remove_folder)

    def _remove_folder(self):
        with contextlib.suppress(OSError):
            shutil.rmtree(self.root)
        return not self.root.exists()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S * 2)

    def open(self, method, path, body=None, headers=None):
        """Sends a request; gives connection and response, the body unread."""
        headers = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = self.connect()
        connection.request(method, path, body=body, headers=headers)
        return connection, connection.getresponse()

    def call(self, method, path, body=None, headers=None):
        connection, response = self.open(method, path, body, headers)
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        self.description.check(method, path, answer)
        return answer

    def get(self, path, headers=None):
        return self.call("GET", path, headers=headers)

    def stream(self, method, path, body=None, headers=None):
        return Stream(*self.open(method, path, body, {"Accept": "text/event-stream", **(headers or {})}))

    def create(self, customer="alice", **fields):
        answer = self.call("POST", "/api/v1/cells", {"customer_id": customer, **fields})
        assert answer.status in (200, 201), answer
        return Cell(self, answer.json)


class FaultyDaemon(Daemon):
    """Fails, or waits, as its file `faults` says (src/base/fault.h)."""

    plans = 0

    def plan(self, fault="- 0 -"):
        """From now on this fault, or none. Each is another text: an occurrence counts from when it is there."""
        self.plans += 1
        (self.root / "faults").write_text(f"{fault} {self.plans}\n")

    def environment(self):
        return {**super().environment(), "CELLAR_FAULTS": str(self.root / "faults")}

    def reached(self, point):
        return point in text_of(self.root / "faults.hits").split()


class Cell:
    def __init__(self, daemon, fields):
        self.daemon, self.fields, self.id = daemon, fields, fields["cell_id"]
        self.path = f"/api/v1/cells/{self.id}"

    @property
    def dir(self):
        return self.daemon.state / "cells" / self.id

    def call(self, method, rest="", body=None, headers=None):
        return self.daemon.call(method, self.path + rest, body, headers)

    def get(self):
        return self.call("GET").json

    def request(self, method, params=None):
        return self.call("POST", "/request", {"method": method, "params": params or {}})

    def exec(self, cmd, **fields):
        answer = self.call("POST", "/exec", {"cmd": cmd, **fields})
        assert answer.status == 200, answer
        return answer.json

    def runs(self):
        return self.call("GET", "/runs").json["runs"]

    def run(self, run_id):
        return self.call("GET", f"/runs/{run_id}").json

    def events(self, run_id, after=None):
        query = "" if after is None else f"?after={after}"
        return self.daemon.stream("GET", f"{self.path}/runs/{run_id}/events{query}")

    def settled(self, run_id):
        return eventually(
            f"run {run_id} settles",
            lambda: (run := self.run(run_id))["status"] not in ("running", "waiting") and run)

    def slot(self):
        """The name of the cell's cgroups, or None where it has no processes."""
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.dir / "run/slot.json").read_text())["slot"]
        return None

    def processes(self, domain=""):
        """The host's numbers and command lines of the processes of the cell, or of one domain of it."""
        place = f"/{self.slot()}/{domain}"
        found = {}
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and place in (folder / "cgroup").read_text():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes()
            except OSError:
                continue
        return found

    def agent_pid(self):
        """The host's pid of the cell's agent host: the node process in the cell's agent group."""
        return next((pid for pid, command in self.processes("agent").items() if b"agent-host" in command), None)

    def kill_agent(self):
        os.kill(eventually("the agent host runs", self.agent_pid), signal.SIGKILL)

    def kill_processes(self, domain=""):
        """Returns once they have ended, which they do when each gets a processor."""
        killed = self.processes(domain)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually("what was killed has ended", lambda: all(map(has_ended, killed)))


class CellTest(unittest.TestCase):
    """One daemon for the tests of a class; each test makes the cells that it needs."""

    options = ()
    images = "dev"
    daemon_class = Daemon  # or FaultyDaemon

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("needs root: cells are made of namespaces and mounts")
        cls.daemon = cls.daemon_class(*cls.options, images=cls.images)
        cls.addClassCleanup(cls.daemon.cleanup)

    def setUp(self):
        self.addCleanup(self._show_log_on_failure)

    def _show_log_on_failure(self):
        outcome = self._outcome
        if outcome and not outcome.success:
            print("\n".join(self.daemon.log().splitlines()[-30:]))

    def cell(self, customer=None, **fields):
        return self.daemon.create(customer or self._testMethodName.replace("_", "-")[-40:], **fields)

    def begin(self, agent, method, **params):
        """A cell with this agent, and a run of it that nobody waits for."""
        cell = self.cell(agent=agent)
        return cell, cell.call("POST", "/runs", {"method": method, "params": params}).json["id"]

    def log(self, cell):
        """The words that its agent has written to /work/log."""
        answer = cell.call("GET", "/files/log")
        return answer.body.decode().split() if answer.status == 200 else []

    def reaches(self, cell, *words):
        eventually(f"it gets to {words}", lambda: set(map(str, words)) <= set(self.log(cell)))


@contextlib.contextmanager
def standing_still(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def leftovers():
    """What a correct suite leaves none of: processes, mounts, cgroups and folders of ours. The spawner of a daemon that was killed may
    still be at their removal."""
    end = time.monotonic() + WAIT_S
    while (found := _left()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _left():
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            groups = (folder / "cgroup").read_text()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state == "Z":  # Dead; whoever it was given to has not looked yet.
            continue
        if PREFIX.encode() in command or any(group in groups for group in GROUPS):
            found.append(f"process {folder.name} {command!r}")
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    found += [f"mount {line.split()[4]}" for line in mounts.splitlines() if PREFIX in line]
    roots = [pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").iterdir()]
    found += [f"cgroup {root / group}" for root in roots for group in GROUPS if (root / group).exists()]
    found += [f"folder {path}" for path in pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*")]
    return found
