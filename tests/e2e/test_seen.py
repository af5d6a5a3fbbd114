"""What an agent has seen of the world, and acts on, is the same after a crash: it is on disk before the act."""
import harness

AGENTS = {
    "javascript": """
const fs = require("fs");
module.exports = {
  async pays(ctx) {
    const id = ctx.uuid();
    await ctx.step("pay", () => fs.appendFileSync("/work/log", id + ";"));
    return fs.readFileSync("/work/log", "utf8") === id + ";";
  },
  async adds(ctx) {
    const before = ctx.store.read("log") ?? "";
    ctx.store.write("log", before + "r1;");
    return ctx.store.read("log") === "r1;";
  },
};
""",
    "python": """
async def pays(ctx, params):
    id = ctx.uuid()
    def pay():
        with open("/work/log", "a") as log:
            log.write(id + ";")
    await ctx.step("pay", pay)
    return open("/work/log").read() == id + ";"

async def adds(ctx, params):
    before = ctx.store.read("log") or ""
    ctx.store.write("log", before + "r1;")
    return ctx.store.read("log") == "r1;"
""",
}


class SeenTest(harness.CellTest):
    daemon_class = harness.FaultyDaemon

    def is_done_once(self, language, method):
        cell = self.cell(f"{method}-{language}", agent=AGENTS[language], agent_language=language)
        self.daemon.plan("value.before_written 1 kill")  # The agent has the value, and the journal has it not.
        try:
            run = cell.call("POST", "/runs", {"method": method}).json["id"]
        except OSError:
            run = None  # It was killed before it could answer.
        self.daemon.process.wait(timeout=30)
        self.daemon.plan()
        self.daemon.start()
        ended = cell.settled(run or cell.runs()[0]["id"])
        self.assertEqual(("completed", True), (ended["status"], ended.get("result")), ended)

    def test_an_id_is_the_same_in_all_executions_of_what_was_done_with_it(self):
        for language in AGENTS:
            with self.subTest(language):
                self.is_done_once(language, "pays")

    def test_what_a_file_held_is_read_before_the_file_is_written_and_not_again(self):
        for language in AGENTS:
            with self.subTest(language):
                self.is_done_once(language, "adds")


if __name__ == "__main__":
    harness.main()
