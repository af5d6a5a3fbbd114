// What a client sees of streams that are cut, all at once: of each [place, type, what], as JSON.
// Usage: node test/followed.js '[{"url", "cell", "run"?, "process"?, "attached"?, "method"?, "params"?}, …]': the events of a run, the
// output of a process, the same by a WebSocket, what a method streams, or the events of the cell.
import { Cellar } from "../dist/esm/index.js";

// A connection that broke is followed by another at once; longer times are those of silence.
const { setTimeout: later } = globalThis;
globalThis.setTimeout = (call, ms, ...rest) => later(call, ms > 30_000 ? ms : 2, ...rest);

async function followed({ url, cell: id, run, process, attached, method, params }) {
  const cell = new Cellar({ baseUrl: url }).cells.open(id);
  if (method) return cell.stream(method, params).all();
  if (attached) {
    let written = "";
    for await (const item of await cell.processes.attach(attached)) {
      if (item.type === "output") written += new TextDecoder().decode(item.bytes);
    }
    return written;
  }
  const seen = [];
  if (process) {
    for await (const item of cell.processes.log(process)) seen.push([item.place, item.type, item.text]);
    return seen.slice(0, -1); // Its end has no place.
  }
  for await (const { seq, type, data } of run ? cell.runs.events(run) : cell.events()) {
    seen.push([seq, type, type === "stream" ? data.n : null]);
    if (type === "run.completed") break;
  }
  return seen;
}

console.log(JSON.stringify(await Promise.all(JSON.parse(process.argv[2]).map(followed))));
