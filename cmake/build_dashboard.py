"""Builds the dashboard: build_dashboard.py SOURCE OUT STAMP

OUT gets the files that the daemon serves, STAMP is touched then. Where its dependencies cannot be installed (no npm, no
registry), OUT gets a page that says so: the daemon works without a dashboard. An error in the dashboard itself fails.
"""
import html
import pathlib
import shutil
import subprocess
import sys

INSTALL = ["npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000"]

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="cellar-dashboard" content="not-built">
<title>Cellar: no dashboard in this build</title>
<h1>This daemon was built without its dashboard</h1>
<p>It works as always: the API is described at <a href="/openapi.json">/openapi.json</a>, and <code>cellar --help</code>
lists the commands. The dashboard's dependencies could not be installed when it was built:</p>
<pre>{reason}</pre>
<p>With the registry of npm in reach, touch <code>dashboard/package.json</code> and build again.</p>
</html>
"""


def install(source):
    """Installs what the lockfile names, where it is not there; returns why it could not."""
    lock, installed = source / "package-lock.json", source / "node_modules/.package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return None
    try:
        done = subprocess.run(INSTALL, cwd=source, capture_output=True, text=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"npm ci: {error}"
    return None if done.returncode == 0 else f"npm ci ended with {done.returncode}: {done.stderr.strip()[-2000:]}"


def main():
    source, out, stamp = map(pathlib.Path, sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    reason = install(source)
    if reason is None:
        subprocess.run(["node", source / "build.mjs", out], cwd=source, check=True)
    else:
        print(f"warning: cellard gets no dashboard: {reason}", file=sys.stderr)
        (out / "index.html").write_text(PAGE.format(reason=html.escape(reason)))
    stamp.touch()


main()
