// Bundles the dashboard into OUT: index.html, and assets/ with hashed names, each with a .gz beside it.
// Usage: node build.mjs OUT; node build.mjs --tests OUT bundles the tests for node --test
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
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

/** The licences of all packages that are in the bundle, as they ask for; returns the file's name. */
async function writeLicences(metafile, assets) {
  const packages = new Set(Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([name]) => name.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  const texts = await Promise.all([...packages].sort().map(async (name) => {
    const folder = path.join(here, name);
    const { version, license } = JSON.parse(await readFile(path.join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no file with its licence`);
    return `${name.replace("node_modules/", "")} ${version} (${license})\n\n${(await readFile(path.join(folder, file), "utf8")).trim()}\n`;
  }));
  const text = texts.join(`\n${"-".repeat(80)}\n\n`);
  const name = `licences-${createHash("sha256").update(text).digest("hex").slice(0, 8).toUpperCase()}.txt`;
  await writeFile(path.join(assets, name), text);
  return name;
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
  page = page.replaceAll('"licences.txt"', `"/assets/${await writeLicences(made.metafile, assets)}"`);
  await writeFile(path.join(out, "index.html"), page);
  for (const name of await readdir(assets)) {
    const file = path.join(assets, name);
    await writeFile(`${file}.gz`, gzipSync(await readFile(file), { level: 9 }));
  }
}

const [first, second] = process.argv.slice(2);
if (first === "--tests") await bundleTests(path.resolve(second));
else await bundlePages(path.resolve(first));
