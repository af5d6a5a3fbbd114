"""A coding agent: finds the place by search, asks a model, edits, runs the tests, until they pass.

Every shell command, every call of the model is a durable step: kill this process at any moment, and the
run goes on from the last one that was finished. It is ../coding-agent/agent.js in Python.

Environment (the cell's secrets): OPENAI_BASE_URL, OPENAI_API_KEY, OPENAI_MODEL.
"""
import json
import os

__all__ = ["fix"]

SYSTEM = """You fix bugs in a repository. You see it only through your tools.
Make the smallest change that fixes the bug, never change the tests, then run them.
When they pass, answer with one sentence that says what was wrong."""

EXCERPT_LINES = 400
OUTPUT_BYTES = 4000


def tool(name, description, **properties):
    """What the model is told of one of the actions below."""
    kinds = {key: {"type": "integer" if key == "start_line" else "string", "description": text}
             for key, text in properties.items()}
    required = [key for key in properties if key != "start_line"]
    parameters = {"type": "object", "properties": kinds, "required": required}
    return {"type": "function",
            "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    tool("search", "Finds code by meaning.", query="What to look for, in words"),
    tool("read_file", "Reads lines of a file.", path="The file", start_line="First line, 1 if left out"),
    tool("replace_in_file", "Replaces a text that is in the file exactly once.",
         path="The file", find="The text as it is", replace="The text as it must be"),
    tool("run_tests", "Runs the tests and shows the end of their output."),
]


def shown(hit):
    return f"{hit.path}:{hit.start_line}-{hit.end_line}\n{hit.content}\n"


class Job:
    """One bug, and what the model can do about it."""

    def __init__(self, ctx, test_command):
        self.ctx, self.test_command = ctx, test_command
        self.tests = {}
        self.actions = {"search": self.search, "read_file": self.read_file,
                        "replace_in_file": self.replace_in_file, "run_tests": self.run_tests}

    async def search(self, query):
        return "\n".join(map(shown, self.ctx.search.query(query, 5)))

    async def read_file(self, path, start_line=1):
        text = self.ctx.store.read(path)
        if text is None:
            return f"There is no file {path}."
        lines = text.split("\n")[start_line - 1:start_line - 1 + EXCERPT_LINES]
        return "\n".join(f"{start_line + number}: {line}" for number, line in enumerate(lines))

    async def replace_in_file(self, path, find, replace):
        text = self.ctx.store.read(path)
        if text is None:
            return f"There is no file {path}."
        if text.count(find) != 1:
            return f"The text to find is in {path} {text.count(find)} times; it must be there once."
        self.ctx.store.write(path, text.replace(find, replace))
        self.ctx.stream({"phase": "edit", "path": path, "removed": find, "added": replace})
        return f"{path} is changed."

    async def run_tests(self):
        done = await self.ctx.shell(self.test_command, timeout_ms=120_000)
        output = (done.stdout + done.stderr)[-OUTPUT_BYTES:]
        summary = output.strip().split("\n")[-1]
        self.ctx.stream({"phase": "tests", "passed": done.exit_code == 0, "summary": summary})
        self.tests = {"passed": done.exit_code == 0, "summary": summary}
        return f"{output}\n(timed out)" if done.timed_out else output

    async def act(self, call):
        """What the model gets to hear of a tool that it used."""
        name, arguments = call["function"]["name"], call["function"]["arguments"] or "{}"
        self.ctx.stream({"phase": "tool", "tool": name, "arguments": arguments[:200]})
        if name not in self.actions:
            return f"There is no tool {name}."
        try:
            return await self.actions[name](**json.loads(arguments))
        except Exception as error:  # The model may do better next time. A cancel is no Exception.
            return f"{name} failed: {error}"


async def ask_model(ctx, messages):
    response = await ctx.fetch(
        f"{os.environ['OPENAI_BASE_URL']}/chat/completions",
        headers={"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
        json={"model": os.environ["OPENAI_MODEL"], "messages": messages, "tools": TOOLS})
    if not response.ok:
        raise RuntimeError(f"the model answers {response.status}: {response.text()[:300]}")
    return response.json()["choices"][0]["message"]


async def fix(ctx, params):
    """{instruction, testCommand, maxTurns?} → {fixed, answer, turns, tests: {before, after}}"""
    job = Job(ctx, params["testCommand"])
    output = await job.run_tests()
    before = job.tests
    found = ctx.search.query(params["instruction"], 5)
    ctx.stream({"phase": "search", "found": [f"{hit.path}:{hit.start_line}" for hit in found]})

    places = "\n".join(map(shown, found))
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"{params['instruction']}\n\nPlaces that may have to do with it:\n"
                                    f"{places}\n\nThe tests say:\n{output}"},
    ]
    answer, turns = "", 0
    while turns < params.get("maxTurns", 15):
        turns += 1
        reply = await ask_model(ctx, messages)
        messages.append(reply)
        if reply.get("content"):
            answer = reply["content"]
            ctx.stream({"phase": "model", "text": answer})
        if not reply.get("tool_calls"):
            break
        for call in reply["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": await job.act(call)})

    summary = {"fixed": job.tests["passed"], "answer": answer, "turns": turns,
               "tests": {"before": before["summary"], "after": job.tests["summary"]}}
    ctx.db.set("last_fix", summary)
    return summary
