// Writes dist/esm and dist/cjs. Types are checked once: the CommonJS files are the same sources with another syntax of modules.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]) };
const format = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => ROOT, getNewLine: () => "\n" };

function fail(diagnostics) {
  console.error(ts.formatDiagnostics(diagnostics, format));
  process.exit(1);
}

rmSync(`${ROOT}dist`, { recursive: true, force: true });
const { fileNames, options } = ts.getParsedCommandLineOfConfigFile(`${ROOT}tsconfig.json`, {}, host);
const program = ts.createProgram(fileNames, options);
const { diagnostics } = program.emit();
const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
if (found.length > 0) fail(found);

mkdirSync(`${ROOT}dist/cjs`);
writeFileSync(`${ROOT}dist/cjs/package.json`, '{ "type": "commonjs" }\n');
for (const name of readdirSync(`${ROOT}dist/esm`)) {
  const text = readFileSync(`${ROOT}dist/esm/${name}`, "utf8");
  const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
  writeFileSync(
    `${ROOT}dist/cjs/${name}`,
    name.endsWith(".js") ? ts.transpileModule(text, { compilerOptions }).outputText : text,
  );
}
