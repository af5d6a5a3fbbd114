#!/usr/bin/env python3
"""A Vite dev server in a cell, seen by Chromium at the cell's preview: a file is changed in the cell, and the page
changes without being loaded again. Needs root, /usr/bin/chromium, Node and a folder with `npm install vite@5
playwright-core`, or the network to make one. Usage: tests/preview/hmr.py [--bin build/release/bin] [--modules DIR]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import harness  # noqa: E402

PAGE = b"""<!doctype html><title>hmr</title><body><script>window.loads = (window.loads || 0) + 1</script>
<script type="module" src="/main.js"></script></body>"""
MAIN = b"""import { text } from "./text.js";
document.body.append(text);
import.meta.hot.accept("./text.js", made => { document.body.innerText = made.text; });
"""
# What Vite makes of it: TEXT in a module that the page accepts anew.
TEXT = 'export const text = "%s";\n'


def modules_in(folder):
    if not (folder / "node_modules/vite").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "vite@5", "playwright-core"], cwd=folder, check=True)
    return folder / "node_modules"


def put_modules(cell, modules):
    """Copies Vite, with what it needs, into the cell's /work."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        subprocess.run(["tar", "-C", modules.parent, "--exclude=playwright-core", "-cf", archive.name, "node_modules"], check=True)
        answer = cell.call("PUT", "/files/modules.tar", pathlib.Path(archive.name).read_bytes())
        assert answer.status == 200, answer
    result = cell.exec("tar -xf modules.tar --no-same-owner && rm modules.tar")
    assert result["exit_code"] == 0, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=harness.BIN)
    parser.add_argument("--modules", type=pathlib.Path, help="folder that has them")
    options = parser.parse_args()
    harness.BIN = options.bin.resolve()
    with tempfile.TemporaryDirectory() as made:
        modules = modules_in((options.modules or pathlib.Path(made)).resolve())
        with tempfile.TemporaryDirectory() as state:
            run(modules, pathlib.Path(state))


def run(modules, place):
    daemon = harness.Daemon("--preview-domain", "cells.localhost", place=place)
    try:
        cell = daemon.create("vite")
        put_modules(cell, modules)
        for name, text in (("index.html", PAGE), ("main.js", MAIN), ("text.js", (TEXT % "first").encode())):
            cell.call("PUT", f"/files/{name}", text)
        server = daemon.stream("POST", cell.path + "/exec", {"cmd": "exec node node_modules/vite/bin/vite.js --port 5173"})
        harness.eventually("Vite listens", lambda: [5173] == [entry["port"] for entry in cell.get()["ports"]])
        watch(daemon, cell, modules)
        server.close()
    finally:
        daemon.cleanup()


def watch(daemon, cell, modules):
    link = cell.call("POST", "/preview-links", {}).json["url"].replace("localhost/", f"localhost:{daemon.port}/")
    browser = subprocess.Popen(["node", pathlib.Path(__file__).with_name("hmr.js"), modules, link, "3"], stdout=subprocess.PIPE, text=True)
    try:
        seen = [json.loads(browser.stdout.readline())]
        for text in ("second", "third"):
            if text == "third":  # The page's WebSocket is open: what it has is there after a pause, too.
                cell.call("POST", "/pause")
            began = time.monotonic()
            cell.call("PUT", "/files/text.js", (TEXT % text).encode())
            seen.append(json.loads(browser.stdout.readline()))
            print(f"{text}: seen after {1000 * (time.monotonic() - began):.0f} ms")
        assert browser.wait(harness.WAIT_S) == 0
    finally:
        browser.kill()
        browser.wait()
    assert [entry["shown"] for entry in seen] == ["first", "second", "third"], seen
    assert {entry["loads"] for entry in seen} == {1}, f"the page was loaded again: {seen}"
    assert "cellar_token" not in seen[0]["address"], seen
    print("a change in the cell is seen in the page, which is not loaded again: ok")


if __name__ == "__main__":
    main()
