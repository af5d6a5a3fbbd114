// A client that has streams, a call and a run under way. Says when it may be interrupted, and at last what it saw, as JSON.
import { Cellar } from "../dist/esm/index.js";

const agent = `module.exports = {
  async work(ctx, { count }) {
    for (let i = 0; i < count; i++) { await ctx.step("s" + i, () => new Promise((go) => setTimeout(go, 40, i))); ctx.stream({ i }); }
    return "done";
  },
  async quiet(ctx, { count }) {
    for (let i = 0; i < count; i++) await ctx.step("s" + i, () => new Promise((go) => setTimeout(go, 40, i)));
    return "quiet";
  },
};`;
const params = { count: 20 };
const cellar = new Cellar();
const cell = await cellar.cells.create({ customerId: "interrupted", agent });
const run = await cell.runs.start("work", params);
const events = cell.runs.events(run.id).all();
const value = cell.request("quiet", params);
const items = [];
for await (const item of cell.stream("work", params)) if (items.push(item) === 3) console.log("now");
await cell.runs.await(run.id);
const seen = await events;
console.log(
  JSON.stringify({
    items,
    value: await value,
    runs: (await cell.runs.list().all()).length,
    isInOrder: seen.every(({ seq }, at) => at === 0 || seq > seen[at - 1].seq),
    streamed: seen.filter(({ type }) => type === "stream").map(({ data }) => data.i),
    last: seen.at(-1).type,
  }),
);
