"""Settings that change while the daemon runs, and a log that programs read."""
import json
import pathlib
import shutil
import signal
import tempfile

import harness


class ReloadTest(harness.CellTest):
    @classmethod
    def setUpClass(cls):
        cls.config = pathlib.Path(tempfile.mkdtemp(prefix=harness.PREFIX)) / "cellard.toml"
        cls.addClassCleanup(shutil.rmtree, cls.config.parent)
        cls.config.write_text('log-format = "json"\nlog-level = "debug"\n')
        cls.daemon = harness.Daemon("--config", str(cls.config), "--idle-timeout-s", "77")
        cls.addClassCleanup(cls.daemon.cleanup)

    def reload(self, text):
        self.config.write_text(text)
        return self.daemon.call("POST", "/api/v1/reload")

    def allows(self, origin):
        connection, response = self.daemon.open("OPTIONS", "/api/v1/cells", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        connection.close()
        return response.getheader("Access-Control-Allow-Origin") == origin

    def test_settings_are_taken_while_it_runs_or_not_at_all(self):
        begun = self.config.read_text()
        self.assertEqual({"taken": [], "needs_restart": []}, self.reload(begun).json)
        self.assertFalse(self.allows("https://app.example.com"))
        more = begun + 'cors-origin = ["https://app.example.com"]\npool-threads = 3\nidle-timeout-s = 5\nmax-awake-s = 99\n'
        changed = {"taken": ["max-awake-s", "cors-origin"], "needs_restart": ["pool-threads"]}
        self.assertEqual(changed, self.reload(more).json)
        self.assertTrue(self.allows("https://app.example.com"))
        cell = self.cell()  # The command line wins over the file.
        saved = json.loads((cell.dir / "cell.json").read_text())
        self.assertEqual([77, 99], [saved["idle_timeout_s"], saved["max_awake_s"]])
        for wrong, words in (("idle-timeout = 5", '"idle-timeout-s" is the nearest name'), ("pool-threads = 0", "--pool-threads"),
                             ('cors-origin = ["nonsense"]', "nonsense"), ('log-level = "loud"', "--log-level"), ("= 7", ""),
                             ('forward-to = ["a b"]', "a b")):
            refused = self.reload(begun + wrong + "\n")
            self.assertEqual((409, "invalid_config"), (refused.status, refused.json["code"]), wrong)
            self.assertIn(words, refused.json["error"])
        self.assertTrue(self.allows("https://app.example.com"))
        self.config.write_text(begun)
        self.daemon.process.send_signal(signal.SIGHUP)
        harness.eventually("the signal is heard", lambda: not self.allows("https://app.example.com"))
        self.config.write_text("nonsense = 1\n")
        self.daemon.process.send_signal(signal.SIGHUP)
        harness.eventually("what is wrong is in the log", lambda: '\\"nonsense\\" is no setting' in self.daemon.log())
        bare = harness.Daemon()
        self.addCleanup(bare.cleanup)
        self.assertEqual("no_config_file", bare.call("POST", "/api/v1/reload").json["code"])

    def test_every_line_of_the_log_is_an_object(self):
        self.reload('log-format = "json"\nlog-level = "debug"\n')
        cell = self.cell(agent="module.exports = { async say(ctx) { return ctx.shell('echo hi').stdout; } };")
        self.assertEqual("hi\n", cell.request("say").json)
        cell.exec("curl -sS http://no\\\"such.example.com || true; printf '\\033[31m'")
        cell.call("GET", "/files/none%0a%22")
        self.assertEqual(404, cell.call("GET", "/runs/none").status)
        cell.call("POST", "/hibernate")
        lines = [json.loads(line) for line in self.daemon.log().splitlines()]
        self.assertGreater(len(lines), 5)
        for line in lines:
            self.assertLessEqual({"time", "level", "message"}, set(line))
            self.assertIn(line["level"], ("debug", "info", "warning", "error"))
        self.assertIn(cell.id, {line.get("cell") for line in lines})
        self.assertTrue(any(line.get("request_id", "").startswith("req_") for line in lines))
        self.assertNotIn(self.daemon.key, self.daemon.log())

