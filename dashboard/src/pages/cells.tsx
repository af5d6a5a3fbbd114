import { useMemo, useRef, useState } from "preact/hooks";
import type { Cell, Tier } from "../api/types";
import { cellAddress } from "../model/route";
import { stateOf, whyAwake } from "../model/cell";
import { useAction, useClient, useNow, useResource, useTitle } from "../ui/context";
import { Ago, Button, Command, Dialog, Empty, Field, Loading, Problem, State } from "../ui/parts";
import { useShortcuts } from "../ui/shortcuts";

const PAGE = 50;
const POLL_MS = 3000;

interface List { cells: Cell[]; next_cursor?: string }

export function CellsPage() {
  useTitle("Cells");
  const [cursors, setCursors] = useState<string[]>([]);
  const cursor = cursors.at(-1) ?? "";
  const list = useResource((client) => client.call<List>(`/api/v1/cells?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`), cursor, POLL_MS);
  const [filter, setFilter] = useState("");
  const [creates, setCreates] = useState(false);
  const now = useNow(1000);
  const box = useRef<HTMLInputElement>(null);
  useShortcuts({ n: () => setCreates(true), "/": () => box.current?.focus() });
  const cells = useMemo(() => (list.value?.cells ?? []).filter((cell) =>
    `${cell.cell_id} ${cell.customer_id} ${stateOf(cell)} ${cell.tier}`.toLowerCase().includes(filter.trim().toLowerCase())), [list.value, filter]);
  const isPaged = cursors.length > 0 || list.value?.next_cursor !== undefined;
  return (
    <div class="page">
      <div class="page-head">
        <h1>Cells</h1>
        <div class="actions">
          <input ref={box} type="search" class="filter" placeholder={isPaged ? "Filter this page" : "Filter"} aria-label="Filter the cells" value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)} />
          <Button kind="primary" onClick={() => setCreates(true)}>New cell</Button>
        </div>
      </div>
      <Problem error={list.error} retry={list.reload} />
      {list.value === undefined && !list.error && <Loading what="the cells" />}
      {list.value?.cells.length === 0 && cursors.length === 0 && <NoCells />}
      {list.value && list.value.cells.length > 0 && cells.length === 0 && (
        <Empty title={`No cell here fits “${filter}”`}><Button onClick={() => setFilter("")}>Show all</Button></Empty>
      )}
      {cells.length > 0 && <Table cells={cells} now={now} />}
      {isPaged && (
        <nav class="pager" aria-label="Pages of cells">
          <Button disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>← Earlier</Button>
          <span class="faint">Page {cursors.length + 1}</span>
          <Button disabled={list.value?.next_cursor === undefined} onClick={() => setCursors([...cursors, list.value!.next_cursor!])}>Later →</Button>
        </nav>
      )}
      {creates && <CreateCell onClose={() => setCreates(false)} />}
    </div>
  );
}

function NoCells() {
  return (
    <Empty title="No cells yet">
      <p>A cell is made for one of your customers, here with <em>New cell</em>, or from a terminal:</p>
      <Command text="cellar create alice --agent agent.js" />
      <Command text={`curl ${location.origin}/api/v1/cells -H "Authorization: Bearer $CELLAR_API_KEY" -d '{"customer_id": "alice"}'`} />
    </Empty>
  );
}

function Table({ cells, now }: { cells: Cell[]; now: number }) {
  return (
    <div class="table-box">
      <table class="cells">
        <thead><tr><th scope="col">Cell</th><th scope="col">State</th><th scope="col">Kept awake by</th><th scope="col">Used</th><th scope="col">Size</th></tr></thead>
        <tbody>
          {cells.map((cell) => (
            <tr key={cell.cell_id}>
              <th scope="row"><a href={cellAddress(cell.cell_id)}>{cell.customer_id}</a><span class="faint mono id">{cell.cell_id}</span></th>
              <td data-label="State"><State name={stateOf(cell)} /></td>
              <td data-label="Kept awake by" class="wide">{whyAwake(cell, now)}</td>
              <td data-label="Used"><Ago at={cell.last_active_at} now={now} /></td>
              <td data-label="Size">{cell.tier}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// A file of this size is no agent: the API takes no more.
const AGENT_BYTES_MAX = 4 << 20;

function CreateCell({ onClose }: { onClose(): void }) {
  const client = useClient();
  const tiers = useResource((asked) => asked.call<{ tiers: Tier[] }>("/api/v1/cells/tiers"), "tiers");
  const [customer, setCustomer] = useState("");
  const [tier, setTier] = useState("starter");
  const [permanent, setPermanent] = useState(false);
  const [agent, setAgent] = useState<File | null>(null);
  const { busy, error, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    void run("create", async () => {
      if (agent !== null && agent.size > AGENT_BYTES_MAX) throw new Error(`${agent.name} has more than 4 MiB, which is the limit of an agent.`);
      const source = agent === null ? {} : { agent: await agent.text(), agent_language: agent.name.endsWith(".py") ? "python" : "javascript" };
      const cell = await client.post<Cell>("/api/v1/cells", { customer_id: customer.trim(), tier, permanent, ...source });
      location.hash = cellAddress(cell.cell_id);
    });
  };
  return (
    <Dialog title="New cell" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Customer" hint="Whose computer it is, as you call them. A customer who has a cell gets that one, changed to what you say here.">
          {(id, hint) => <input id={id} aria-describedby={hint} required maxLength={128} value={customer} autofocus onInput={(event) => setCustomer(event.currentTarget.value)} />}
        </Field>
        <Field label="Size">
          {(id) => (
            <select id={id} value={tier} onChange={(event) => setTier(event.currentTarget.value)}>
              {(tiers.value?.tiers ?? [{ id: "starter", name: "Starter", spec: "" }]).map((each) => (
                <option key={each.id} value={each.id}>{each.name}{each.spec && `: ${each.spec}`}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Agent" hint="A file in JavaScript or Python (.py). It can be given later, too: cellar create CUSTOMER --agent FILE">
          {(id, hint) => <input id={id} aria-describedby={hint} type="file" accept=".js,.cjs,.mjs,.py" onChange={(event) => setAgent(event.currentTarget.files?.[0] ?? null)} />}
        </Field>
        <label class="check"><input type="checkbox" checked={permanent} onChange={(event) => setPermanent(event.currentTarget.checked)} /> It never pauses by itself</label>
        <Problem error={error} />
        <div class="actions end"><Button kind="primary" submit busy={busy !== null}>Create</Button></div>
      </form>
    </Dialog>
  );
}
