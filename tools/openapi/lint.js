// Holds an OpenAPI description to Redocly's recommended rules, and to some of its others.
// Usage: node lint.js FILE. Prints what is wrong with it; the exit code is 1 then.
"use strict";
const { createConfig, formatProblems, getTotals, lint } = require("@redocly/openapi-core");

const MORE_RULES = {
  "component-name-unique": "error",
  "no-http-verbs-in-paths": { severity: "error", exceptions: ["request"] },
  "no-invalid-media-type-examples": "error",
  "no-invalid-parameter-examples": "error",
  "no-invalid-schema-examples": "error",
  "no-required-schema-properties-undefined": "error",
  "operation-tag-defined": "error",
  "paths-kebab-case": "error",
  "request-mime-type": { severity: "error", allowedValues: ["application/json", "application/octet-stream", "application/x-tar"] },
  "response-mime-type": {
    severity: "error",
    allowedValues: ["application/json", "application/octet-stream", "application/x-tar", "text/event-stream", "text/plain"],
  },
  "spec-strict-refs": "error",
  "tag-description": "error",
};

// What becomes a WebSocket answers 101, and nothing of 2XX.
const isOfUpgrade = (problem) =>
  problem.ruleId === "operation-2xx-response" && problem.location[0].pointer.includes("~1attach/get/");

async function main(file) {
  const config = await createConfig({ extends: ["recommended-strict"], rules: MORE_RULES });
  const problems = (await lint({ ref: file, config })).filter((problem) => !isOfUpgrade(problem));
  formatProblems(problems, { format: "codeframe", totals: getTotals(problems), version: "" });
  return problems.length === 0 ? 0 : 1;
}

main(process.argv[2]).then((code) => { process.exitCode = code; });
