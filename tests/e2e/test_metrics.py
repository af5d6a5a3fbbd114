"""GET /metrics: the format to the letter, and what happened in numbers."""
import json
import pathlib
import re

import harness

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9.e+-]+|[+-]Inf|NaN)")
DASHBOARD = pathlib.Path(__file__).resolve().parents[2] / "packaging/grafana/cellar.json"


def parse(text):
    """{family: (type, {(name, labels as a sorted tuple): value})}; raises AssertionError for what is not text format 0.0.4."""
    assert text.endswith("\n"), "the last line has an end"
    families, current = {}, None
    helped = None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            helped, rest = line[7:].split(" ", 1)
            assert re.fullmatch(NAME, helped) and rest, line
            assert helped not in families, f"{helped} comes twice"
            continue
        if line.startswith("# TYPE "):
            current, kind = line[7:].split(" ")
            assert current == helped and kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == current.endswith("_total"), line
            families[current] = (kind, {})
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name, labels = match[1], tuple(sorted((key, value) for key, value in re.findall(LABEL, match[2] or "")))
        assert len({key for key, _ in labels}) == len(labels), f"a label comes twice: {line}"
        kind, samples = families[current]
        ends = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        assert name in [current + end for end in ends], f"{name} is not of {current}"
        assert (name, labels) not in samples, f"twice: {line}"
        samples[name, labels] = float(match[match.lastindex])
    for family, (kind, samples) in families.items():
        if kind == "histogram":
            check_histogram(family, samples)
    return families


def check_histogram(family, samples):
    series = {}
    for (name, labels), value in samples.items():
        if name == f"{family}_bucket":
            others = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(others, []).append((float(dict(labels)["le"]), value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets), (family, labels)
        assert buckets[-1][0] == float("inf") and buckets[-1][1] == samples[f"{family}_count", labels], (family, labels)
        assert (f"{family}_sum", labels) in samples, (family, labels)
    assert len(series) == sum(name.endswith("_count") for name, _ in samples), family


class MetricsTest(harness.CellTest):
    def read(self):
        answer = self.daemon.get("/metrics")
        self.assertEqual((200, "text/plain; version=0.0.4; charset=utf-8"), (answer.status, answer.headers["Content-Type"]))
        self.text = answer.body.decode()
        return parse(self.text)

    def value(self, name, **labels):
        families = self.read()
        family = next(f for f in families if name == f or name.removeprefix(f) in ("_count", "_sum"))
        return families[family][1].get((name, tuple(sorted(labels.items()))), 0)

    def test_what_happens_is_counted(self):
        route = {"method": "POST", "route": "/api/v1/cells/{id}/exec"}
        before = {"made": self.value("cellar_cells_created_total"), "asked": self.value("cellar_http_requests_total", status="200", **route),
                  "memory": self.value("cellar_cell_resume_duration_seconds_count", **{"from": "memory"}),
                  "disk": self.value("cellar_cell_resume_duration_seconds_count", **{"from": "disk"}),
                  "search": self.value("cellar_search_query_duration_seconds_count"), "active": self.value("cellar_cells", state="active")}
        cell = self.cell(agent="module.exports = { one: () => 1 }")
        cell.exec("true")
        cell.call("POST", "/pause")
        self.assertEqual(1, self.value("cellar_cells", state="paused"))
        cell.exec("true")
        cell.call("POST", "/hibernate")
        cell.exec("true")
        cell.request("one")
        cell.call("POST", "/search", {"query": "x"})
        self.assertEqual(before["made"] + 1, self.value("cellar_cells_created_total"))
        self.assertEqual(before["asked"] + 3, self.value("cellar_http_requests_total", status="200", **route))
        self.assertGreaterEqual(self.value("cellar_http_request_duration_seconds_count", **route), 3)
        self.assertEqual(before["memory"] + 1, self.value("cellar_cell_resume_duration_seconds_count", **{"from": "memory"}))
        self.assertGreaterEqual(self.value("cellar_cell_resume_duration_seconds_count", **{"from": "disk"}), before["disk"] + 1)
        self.assertEqual(before["search"] + 1, self.value("cellar_search_query_duration_seconds_count"))
        self.assertEqual(before["active"] + 1, self.value("cellar_cells", state="active"))
        self.assertEqual(1, self.value("cellar_runs", status="completed"))
        self.assertGreater(self.value("cellar_journal_sync_duration_seconds_count"), 0)
        stream = self.daemon.stream("GET", f"{cell.path}/events")
        self.assertEqual(1, self.value("cellar_streams_open"))
        stream.close()
        harness.eventually("the stream is not counted any more", lambda: self.value("cellar_streams_open") == 0)
        self.assertNotIn(cell.id, self.text)

    def test_what_a_cell_was_refused_stays_counted_when_it_is_gone(self):
        before = self.value("cellar_egress_refusals_total")
        cell = self.cell(allow=["example.org"])
        cell.exec("getent hosts a.name.example.com; true")
        harness.eventually("the refusal is counted", lambda: self.value("cellar_egress_refusals_total") > before)
        counted = self.value("cellar_egress_refusals_total")
        cell.call("DELETE")
        self.assertEqual(counted, self.value("cellar_egress_refusals_total"))

    def test_what_clients_make_up_makes_no_series(self):
        self.read()
        for number in range(20):
            self.daemon.get(f"/made-up-{number}")
            connection, response = self.daemon.open(f"MADE{number}", "/api/v1/cells")
            connection.close()
        self.read()
        self.assertNotRegex(self.text, r"made-up|MADE")
        self.assertIn('route="other"', self.text)

    def test_a_key_for_it_opens_nothing_else_and_others_do_not_open_it(self):
        make = lambda scope: self.daemon.call("POST", "/api/v1/keys", {"name": scope, "scopes": [scope]}).json["secret"]
        scraper = {"Authorization": f"Bearer {make('metrics')}"}
        self.assertEqual((200, 403), (self.daemon.get("/metrics", scraper).status, self.daemon.get("/api/v1/cells", scraper).status))
        self.assertEqual([403, 403], [self.daemon.get("/metrics", {"Authorization": f"Bearer {make(s)}"}).status for s in ("write", "admin")])
        self.assertEqual(401, self.daemon.get("/metrics", {"Authorization": None}).status)

    def test_the_dashboard_asks_for_what_there_is(self):
        families = self.read()
        names = {f + end for f, (kind, _) in families.items() for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))}
        asked = set()
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            for target in panel.get("targets", []):
                asked |= set(re.findall(r"cellar_\w+", target["expr"]))
        self.assertGreater(len(asked), 10)
        self.assertEqual(set(), asked - names)
