"""The documentation leads where it says: its links, what cellard serves of it, and the options that it names."""
import pathlib
import re
import subprocess
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(path for folder in ("docs", "src", "sdk", "bench", "tools", "examples") for path in (ROOT / folder).rglob("*.md")
                               if "node_modules" not in path.parts and "dist" not in path.parts)]
LINK = re.compile(r"\]\(([^()\s]+)\)")
# Of other programs, in the documentation's commands; npm's, git's, docker's, …
FOREIGN = {"--privileged", "--cgroupns", "--stop-timeout", "--build-arg", "--xattrs", "--xattrs-include", "--numeric-owner", "--exclude", "--prefix", "--install", "--add-subuids", "--add-subgids",
           "--bundle", "--platform", "--format", "--outfile", "--simple", "--user", "--stat", "--hard", "--shortstat", "--check",
           "--accept-terms", "--accept-tos", "--agree-tos", "--config-dir", "--domains", "--email", "--http", "--logs-dir", "--webroot", "--work-dir"}


def without_code(text):
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M))


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip().lower().replace(" ", "-") for heading in headings}


def options_of(program, *words):
    """All options of a program and of its subcommands, as --help names them."""
    said = subprocess.run([harness.BIN / program, *words, "--help"], capture_output=True, text=True).stdout
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9_-]+", said))
    for group in said.split("\n\n"):
        if not re.match(r"\s*(Options|Positionals):", group):
            for name in re.findall(r"^  ([a-z][a-z-]*) ", group, re.M):
                found |= options_of(program, *words, name)
    return found


class LinksTest(unittest.TestCase):
    def test_each_link_leads_to_a_page_and_a_heading(self):
        dead = []
        for page in PAGES:
            for target in LINK.findall(without_code(page.read_text())):
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = page.parent / path if path else page
                if not file.exists():
                    dead.append(f"{page.relative_to(ROOT)}: {target}")
                elif anchor and file.suffix == ".md" and anchor not in anchors(file):
                    dead.append(f"{page.relative_to(ROOT)}: {target}: no such heading")
        self.assertEqual([], dead)

    def test_each_option_that_a_page_names_is_one_of_the_programs(self):
        known = options_of("cellard") | options_of("cellar") | FOREIGN
        wrong = [f"{page.relative_to(ROOT)}: {option}" for page in (ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md")))
                 for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page.read_text()))) if option not in known]
        self.assertEqual([], wrong)

    def test_each_option_of_cellard_is_explained_somewhere(self):
        said = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md")) + (ROOT / "SECURITY.md").read_text()
        self.assertEqual([], [option for option in sorted(options_of("cellard")) if option not in said and option not in ("--help", "--version", "--runtime_floor")])


class ServedTest(harness.CellTest):
    def fetch(self, path):
        connection, response = self.daemon.open("GET", path, headers={"Authorization": None})
        body = response.read().decode()
        connection.close()
        return response, body

    def test_the_list_has_all_pages_of_the_guide_and_each_is_served(self):
        response, listed = self.fetch("/llms.txt")
        self.assertEqual((200, "text/plain; charset=utf-8"), (response.status, response.headers["Content-Type"]))
        targets = LINK.findall(listed)
        self.assertEqual([], [page.name for page in (ROOT / "docs/guide").glob("*.md") if f"docs/guide/{page.name}" not in targets])
        for target in targets:
            response, body = self.fetch(f"/{target}")
            self.assertEqual((200, (ROOT / target).read_text()), (response.status, body), target)

    def test_the_reference_has_each_operation_and_asks_nobody_else(self):
        response, page = self.fetch("/docs")
        self.assertEqual((200, "text/html; charset=utf-8"), (response.status, response.headers["Content-Type"]))
        ids = re.findall(r'id="([^"]+)"', page)
        self.assertEqual(len(ids), len(set(ids)))
        for _, _, operation, template in self.daemon.description.operations:
            self.assertIn(operation["operationId"], ids, template)
        self.assertEqual([], [target for target in re.findall(r'href="#([^"]+)"', page) if target not in ids])
        self.assertNotRegex(page, r"<script|<img|<link|(?:src|href)=\"https?:")
