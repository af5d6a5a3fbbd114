"""Compares the server's answers with the OpenAPI description that it hands out itself."""
import json
import re

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
         "object": dict, "null": type(None)}


class Description:
    def __init__(self, document):
        self.document = document
        self.operations = []  # (method, pattern of the path, operation, template)
        for template, item in document["paths"].items():
            pattern = "/".join(
                ".+" if part == "{path}" else "[^/]+" if part.startswith("{") else re.escape(part)
                for part in template.split("/"))
            for method, operation in item.items():
                if method in ("get", "head", "post", "put", "delete", "patch"):
                    self.operations.append((method.upper(), re.compile(pattern), operation, template))

    def resolve(self, node):
        while "$ref" in node:
            found = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def find(self, method, path):
        """The operation that serves a request; literal paths before those with names."""
        matching = [op for op in self.operations if op[0] == method and op[1].fullmatch(path)]
        return min(matching, key=lambda op: op[3].count("{"), default=None)

    def check(self, method, target, answer):
        """Raises AssertionError where the answer is not as described."""
        operation = self.find(method, target.split("?")[0])
        if operation is None:
            assert answer.status in (400, 404, 405), f"{method} {target} is not described: {answer}"
            return
        where = f"{method} {operation[3]} {answer.status}"
        responses = operation[2]["responses"]
        # As the description's first words have it, for all that takes a key.
        described = responses.get(str(answer.status)) or (responses.get("401") if answer.status == 403 else None)
        assert described is not None, f"{where} is not described: {answer}"
        content = self.resolve(described).get("content")
        if content is None or method == "HEAD":
            assert answer.body == b"", f"{where} must have no body: {answer}"
            return
        media = answer.headers.get("Content-Type", "").split(";")[0]
        assert media in content, f"{where}: {media} is not described"
        if media == "application/json":
            problems = list(self.problems(content[media].get("schema", {}), json.loads(answer.body), "body"))
            assert not problems, f"{where}: {problems}: {answer}"

    def problems(self, schema, value, at):
        schema = self.resolve(schema)
        if "allOf" in schema:
            schema = self.merged(schema)
        if "oneOf" in schema:
            if all(list(self.problems(one, value, at)) for one in schema["oneOf"]):
                yield f"{at} is none of what it may be"
            return
        kinds = schema.get("type")
        if kinds is not None:
            kinds = kinds if isinstance(kinds, list) else [kinds]
            fits = any(isinstance(value, TYPES[kind]) and not (isinstance(value, bool) and kind in ("integer", "number"))
                       for kind in kinds)
            if not fits:
                yield f"{at} is no {kinds}: {value!r}"
                return
        if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
            yield f"{at} must not be {value!r}"
        if isinstance(value, dict) and "properties" in schema:
            for name in schema.get("required", []):
                if name not in value:
                    yield f"{at}.{name} is missing"
            for name, member in value.items():
                if name in schema["properties"]:
                    yield from self.problems(schema["properties"][name], member, f"{at}.{name}")
                elif "additionalProperties" not in schema:
                    yield f"{at}.{name} is not described"
        if isinstance(value, list) and "items" in schema:
            for index, member in enumerate(value):
                yield from self.problems(schema["items"], member, f"{at}[{index}]")

    def merged(self, schema):
        whole = {"type": "object", "required": [], "properties": {}}
        for part in map(self.resolve, schema["allOf"]):
            whole["required"] += part.get("required", [])
            whole["properties"].update(part.get("properties", {}))
        return whole


def lint(document):
    """What a description leaves unsaid of Cellar's answers. Whether it is OpenAPI, tools/openapi knows."""
    description = Description(document)
    for method, _, operation, template in description.operations:
        where = f"{method} {template}"
        parameters = document["paths"][template].get("parameters", []) + operation.get("parameters", [])
        if operation.get("security") != [] and "401" not in operation["responses"]:
            yield f"{where} does not say what a wrong key gets"
        known = list(map(description.resolve, parameters))
        takes_input = "requestBody" in operation or any(p["in"] in ("query", "header") for p in known)
        if takes_input and "400" not in operation["responses"]:
            yield f"{where} does not say what wrong input gets"
        if "requestBody" in operation and "413" not in operation["responses"]:
            yield f"{where} does not say what too long a body gets"
        if "{id}" in template and "404" not in operation["responses"]:
            yield f"{where} does not say what an unknown cell gets"
