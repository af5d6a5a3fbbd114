"""Makes one page of the API's description: reference.py OPENAPI_JSON OUT_HTML. The page needs nothing else, not even a script."""
import html
import json
import pathlib
import re
import sys

METHODS = ("get", "head", "post", "put", "patch", "delete")
STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem 1.5rem}
code,pre{font-family:ui-monospace,monospace;font-size:.92em}h2{margin-top:3rem;border-bottom:1px solid #8886}h3{margin:2.2rem 0 .3rem}
h3 b{font-family:ui-monospace,monospace;background:#8882;border-radius:4px;padding:.1em .4em;margin-right:.4em}
table{border-collapse:collapse;width:100%}td{vertical-align:top;padding:.25rem .8rem .25rem 0;border-top:1px solid #8883}td:first-child{white-space:nowrap}
nav{columns:2 18rem;font-size:.92em}nav p{margin:.2rem 0;break-inside:avoid}a{text-decoration:none}a:hover{text-decoration:underline}.dim{opacity:.7}
"""


class Page:
    def __init__(self, document):
        self.document = document
        self.shown = []

    def resolve(self, node):
        while isinstance(node, dict) and "$ref" in node:
            found = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def text(self, words):
        """Words of the description: `code` and paragraphs are all the marks that they have."""
        safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(words.strip(), quote=False))
        return safe.replace("\n\n", "<br>")

    def kind(self, schema):
        """What a value may be, in a few words; those of a schema with a name are linked."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return f'<a href="#{name}">{name}</a>'
        if "oneOf" in schema:
            return " or ".join(self.kind(one) for one in schema["oneOf"])
        if "allOf" in schema:
            return " and ".join(self.kind(one) for one in schema["allOf"])
        if "const" in schema:
            return f"<code>{html.escape(json.dumps(schema['const']))}</code>"
        if "enum" in schema:
            return " or ".join(f"<code>{html.escape(json.dumps(one))}</code>" for one in schema["enum"])
        kinds = schema.get("type", "any JSON")
        said = " or ".join(kinds) if isinstance(kinds, list) else kinds
        if "items" in schema:
            said += " of " + self.kind(schema["items"])
        if isinstance(schema.get("additionalProperties"), dict):
            said += ", each " + self.kind(schema["additionalProperties"])
        limits = [f"{words} {schema[name]}" for name, words in (("minimum", "from"), ("maximum", "to"), ("minLength", "characters from"), ("maxLength", "characters to"),
                                                                 ("minItems", "entries from"), ("maxItems", "entries to"), ("default", "default")) if name in schema]
        return said + (f' <span class="dim">({html.escape(", ".join(limits))})</span>' if limits else "")

    def fields(self, schema, depth=0):
        """Rows of an object's fields, those of objects in it, too."""
        for part in schema.get("allOf", schema.get("oneOf", [])):
            if "$ref" not in part:
                yield from self.fields(part, depth)
        if "items" in schema and "$ref" not in schema["items"]:
            yield from self.fields(schema["items"], depth)
        for name, of in schema.get("properties", {}).items():
            needed = "" if name in schema.get("required", []) else ' <span class="dim">?</span>'
            yield f'<tr><td style="padding-left:{depth * 1.2}rem"><code>{html.escape(name)}</code>{needed}<td>{self.kind(of)}<td>{self.text(of.get("description", ""))}'
            if "$ref" not in of and depth < 4:
                yield from self.fields(of, depth + 1)

    def table(self, rows):
        rows = "\n".join(rows)
        return f"<table>\n{rows}\n</table>" if rows else ""

    def content(self, node):
        for media, of in (self.resolve(node).get("content") or {}).items():
            schema = of.get("schema", {})
            yield f"<p><code>{media}</code>: {self.kind(schema)}</p>" + self.table(self.fields(schema))

    def operation(self, method, path, item, operation):
        yield f'<h3 id="{operation["operationId"]}"><b>{method.upper()}</b><code>{html.escape(path)}</code></h3><p>{self.text(operation["summary"])}.</p>'
        if "description" in operation:
            yield f"<p>{self.text(operation['description'])}</p>"
        parameters = [self.resolve(one) for one in item.get("parameters", []) + operation.get("parameters", [])]
        yield self.table(f'<tr><td><code>{html.escape(one["name"])}</code> <span class="dim">{one["in"]}{"" if one.get("required") else " ?"}</span>'
                         f'<td>{self.kind(one.get("schema", {}))}<td>{self.text(one.get("description", ""))}' for one in parameters)
        if "requestBody" in operation:
            yield "<p><b>Body</b></p>"
            yield from self.content(operation["requestBody"])
        errors = []
        for status, response in operation["responses"].items():
            if response.get("$ref", "").endswith("/Error"):
                errors.append(status)
                continue
            yield f"<p><b>{status}</b> {self.text(self.resolve(response).get('description', ''))}</p>"
            yield from self.content(response)
        if errors:
            yield f'<p class="dim">Errors: {", ".join(errors)} (<a href="#Error">Error</a>)</p>'

    def make(self):
        info = self.document["info"]
        operations = [(method, path, item, item[method]) for path, item in self.document["paths"].items() for method in METHODS if method in item]
        yield f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{info["title"]}: the API</title><style>{STYLE}</style>'
        yield f"<h1>{info['title']} {info['version']}: the API</h1><p>{self.text(info['description'])}</p>"
        yield '<p>The same for programs: <a href="/openapi.json">openapi.json</a>. The guide: <a href="/llms.txt">llms.txt</a> lists its pages.</p><nav>'
        for tag in self.document["tags"]:
            links = " · ".join(f'<a href="#{op["operationId"]}">{op["operationId"]}</a>' for _, _, _, op in operations if op["tags"][0] == tag["name"])
            yield f'<p><a href="#tag-{tag["name"]}"><b>{tag["name"]}</b></a>: {links}</p>'
        yield "</nav>"
        for tag in self.document["tags"]:
            yield f'<h2 id="tag-{tag["name"]}">{tag["name"]}</h2><p>{self.text(tag["description"])}.</p>'
            for method, path, item, operation in operations:
                if operation["tags"][0] == tag["name"]:
                    yield from self.operation(method, path, item, operation)
        yield "<h2>Schemas</h2>"
        for name, schema in self.document["components"]["schemas"].items():
            yield f'<h3 id="{name}">{name}</h3><p>{self.kind(schema)}. {self.text(schema.get("description", ""))}</p>' + self.table(self.fields(schema))
        yield "</html>"


if __name__ == "__main__":
    source, out = map(pathlib.Path, sys.argv[1:])
    out.write_text("\n".join(part for part in Page(json.loads(source.read_text())).make() if part) + "\n")
