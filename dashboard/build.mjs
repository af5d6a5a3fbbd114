// Bundles the dashboard into OUT: index.html, and assets/ with hashed names, each with a .gz beside it.
// Usage: node build.mjs OUT; node build.mjs --tests OUT bundles the tests for node --test
import { build } from "esbuild";
import { readFile, mkdir, readdir, writeFile, rm } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const common = { absWorkingDir: here, bundle: true, format: "esm", target: "es2022", jsx: "automatic", jsxImportSource: "preact",
  logLevel: "warning" };

async function bundleTests(out) {
  await rm(out, { recursive: true, force: true });
  const tests = (await readdir(path.join(here, "test"))).filter((name) => name.endsWith(".test.ts"));
  await build({ ...common, entryPoints: tests.map((name) => `test/${name}`), outdir: out, platform: "node",
    outExtension: { ".js": ".mjs" } });
}

async function bundlePages(out) {
  const assets = path.join(out, "assets");
  const made = await build({ ...common, entryPoints: ["src/main.tsx", "src/style/main.css", "src/icon.svg"], outdir: assets,
    entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]", splitting: true, minify: true,
    metafile: true, legalComments: "none", loader: { ".svg": "copy" } });
  const nameOf = Object.fromEntries(Object.entries(made.metafile.outputs)
    .filter(([, output]) => output.entryPoint).map(([name, output]) => [output.entryPoint, path.basename(name)]));
  let page = await readFile(path.join(here, "src/index.html"), "utf8");
  for (const source of ["main.tsx", "style/main.css", "icon.svg"]) {
    page = page.replaceAll(`"${source}"`, `"/assets/${nameOf[`src/${source}`]}"`);
  }
  await mkdir(out, { recursive: true });
  await writeFile(path.join(out, "index.html"), page);
  for (const name of await readdir(assets)) {
    const file = path.join(assets, name);
    await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
  }
}

const [first, second] = process.argv.slice(2);
if (first === "--tests") await bundleTests(path.resolve(second));
else await bundlePages(path.resolve(first));
