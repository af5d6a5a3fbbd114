// Writes src/generated.ts from docs/api/openapi.yaml: types with the SDK's names, and which values are the
// application's own. Usage: node tools/generate.js [--check] (says whether the file is what it would write)
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";

const DESCRIPTION = new URL("../../../../docs/api/openapi.yaml", import.meta.url);
const TARGET = new URL("../src/generated.ts", import.meta.url);
const COLUMNS = 110;
// Described once by its members and once as a map: both have the API's names.
const STRUCTURED_ANYWAY = new Set(["limits"]);

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const title = (name) => name[0].toUpperCase() + name.slice(1);
const word = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name));

const document = parse(readFileSync(DESCRIPTION, "utf8"));
const structured = new Set(); // names of members below which there is a name that is another one here
const free = new Set(); // names of members that hold whatever the application put there
const text = new Set(); // names of members that hold neither

function resolve(schema) {
  if (!schema?.$ref) return schema;
  return schema.$ref
    .replace("#/", "")
    .split("/")
    .reduce((found, part) => found[part], document);
}

// Whether names below this are the API's (structured), the application's (free), or none that is another one here (text).
function kindOf(schema, seen = new Set()) {
  schema = resolve(schema);
  if (seen.has(schema)) return "text";
  seen.add(schema);
  for (const list of [schema.allOf, schema.oneOf, schema.anyOf]) {
    if (!list) continue;
    const kinds = list.map((one) => kindOf(one, seen));
    return kinds.find((kind) => kind !== "text") ?? "text";
  }
  if (schema.properties) {
    const isRenamed = ([name, value]) => camel(name) !== name || kindOf(value, seen) === "structured";
    return Object.entries(schema.properties).some(isRenamed) ? "structured" : "text";
  }
  const types = [schema.type].flat();
  if (types.includes("array")) return schema.items ? kindOf(schema.items, seen) : "free";
  if (types.includes("object")) return "free";
  return schema.type || schema.enum || "const" in schema ? "text" : "free";
}

const NUMBERS = ["integer", "number"];

function typeOf(schema, indent) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.allOf) return schema.allOf.map((one) => typeOf(one, indent)).join(" & ");
  const either = schema.oneOf ?? schema.anyOf;
  if (either) return either.map((one) => typeOf(one, indent)).join(" | ");
  const types = [schema.type].flat();
  return types
    .map((type) => {
      if (NUMBERS.includes(type)) return "number";
      if (type === "object") return objectType(schema, indent);
      if (type !== "array") return type ?? "unknown";
      const item = schema.items ? typeOf(schema.items, indent) : "unknown";
      return / [|&] /.test(item) && !item.startsWith("{") ? `(${item})[]` : `${item}[]`;
    })
    .join(" | ");
}

function objectType(schema, indent) {
  if (!schema.properties) {
    const value = schema.additionalProperties;
    return `Record<string, ${value ? typeOf(value, indent) : "unknown"}>`;
  }
  const inner = `${indent}  `;
  const required = new Set(schema.required);
  const lines = Object.entries(schema.properties).map(([name, value]) => {
    note(name, value);
    return `${comment(value, inner)}${inner}${word(camel(name))}${required.has(name) ? "" : "?"}: ${typeOf(value, inner)};`;
  });
  return `{\n${lines.join("\n")}\n${indent}}`;
}

function note(name, schema) {
  if (snake(camel(name)) !== name && camel(name) !== name) throw new Error(`"${name}" has no name to and fro`);
  ({ structured, free, text })[kindOf(schema)].add(name);
}

function comment(schema, indent) {
  const words = (schema.description ?? schema.summary ?? "").trim().replaceAll("*/", "* /").split(/\s+/).filter(Boolean);
  if (words.length === 0) return "";
  const lines = [""];
  for (const next of words) {
    if (lines.at(-1) && lines.at(-1).length + next.length + indent.length + 4 > COLUMNS) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + next;
  }
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

const declare = (name, schema) => `${comment(schema, "")}export type ${name} = ${typeOf(schema, "")};\n`;
const json = (content) => content?.["application/json"]?.schema;

function operations() {
  const made = [];
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item)) {
      const id = operation.operationId && title(operation.operationId);
      if (!id) continue;
      const body = json(operation.requestBody?.content);
      if (body && !body.$ref && body.properties) made.push(declare(`${id}Body`, body));
      const query = (operation.parameters ?? []).map(resolve).filter((parameter) => parameter.in === "query");
      if (query.length > 0) {
        const properties = Object.fromEntries(query.map(({ name, schema, description }) => [name, { ...schema, description }]));
        made.push(declare(`${id}Query`, { type: "object", properties }));
      }
      for (const [status, answer] of Object.entries(operation.responses)) {
        const schema = json(resolve(answer).content);
        if (status.startsWith("2") && schema && !schema.$ref && schema.properties && !answer.$ref)
          made.push(declare(`${id}Answer`, schema));
      }
    }
  }
  return made;
}

function generate() {
  const schemas = Object.entries(document.components.schemas).map(([name, schema]) => declare(name, schema));
  const parts = [...schemas, ...operations()];
  const both = [...free].filter((name) => structured.has(name) && !STRUCTURED_ANYWAY.has(name));
  if (both.length > 0) throw new Error(`names of the API's and of the application's values alike: ${both}`);
  const names = [...free]
    .filter((name) => !structured.has(name))
    .sort()
    .map((name) => `  "${name}",\n`)
    .join("");
  return `// Made from docs/api/openapi.yaml by tools/generate.js: change that, not this.\n\n${parts.join("\n")}
/** Members, as the wire has them, below which names are the application's own and stay as they are. */
export const FREE_NAMES: ReadonlySet<string> = new Set([\n${names}]);\n`;
}

const made = generate();
if (!process.argv.includes("--check")) {
  writeFileSync(TARGET, made);
} else if (readFileSync(TARGET, "utf8") !== made) {
  console.error("sdk/js/client/src/generated.ts is stale: run npm --prefix sdk/js/client run generate");
  process.exitCode = 1;
}
