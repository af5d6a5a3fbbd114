import { useState } from "preact/hooks";
import { Client } from "../api/client";
import type { Cell, Run } from "../api/types";
import { duration, shellWord } from "../model/format";
import { cellAddress } from "../model/route";
import { useAction, useClient, useNow, useResource } from "../ui/context";
import { Ago, Button, Command, Dialog, Empty, Field, Loading, Problem, State } from "../ui/parts";

const PAGE = 50;
const POLL_MS = 2000;

interface List { runs: Run[]; next_cursor?: string }

export function Runs({ cell }: { cell: Cell }) {
  const id = cell.cell_id;
  const [cursors, setCursors] = useState<string[]>([]);
  const [begins, setBegins] = useState(false);
  const cursor = cursors.at(-1) ?? "";
  const list = useResource((client) => client.call<List>(Client.pathOf(id, `/runs?limit=${PAGE}${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`)), `${id} ${cursor}`, POLL_MS);
  const now = useNow();
  const runs = list.value?.runs ?? [];
  return (
    <>
      <div class="section-head">
        <h2>Runs</h2>
        <Button kind="primary" disabled={!cell.agent_digest} title={cell.agent_digest ? undefined : "The cell has no agent"} onClick={() => setBegins(true)}>New run</Button>
      </div>
      <Problem error={list.error} retry={list.reload} />
      {list.value === undefined && !list.error && <Loading what="the runs" />}
      {list.value && runs.length === 0 && cursors.length === 0 && <NoRuns cell={cell} />}
      {runs.length > 0 && (
        <div class="table-box">
          <table>
            <thead><tr><th scope="col">Method</th><th scope="col">Status</th><th scope="col">Steps</th><th scope="col">Attempts</th><th scope="col">Began</th><th scope="col">Took</th></tr></thead>
            <tbody>
              {runs.map((run) => (
                <tr key={run.id}>
                  <th scope="row"><a href={cellAddress(id, "runs", run.id)}>{run.method}</a><span class="faint mono id">{run.id}</span></th>
                  <td data-label="Status"><State name={run.status} also={run.reason} /></td>
                  <td data-label="Steps">{run.steps_done}</td>
                  <td data-label="Attempts">{run.attempt > 1 ? <strong>{run.attempt}</strong> : run.attempt}</td>
                  <td data-label="Began"><Ago at={run.started_at} now={now} /></td>
                  <td data-label="Took">{duration((run.ended_at ? Date.parse(run.ended_at) : now) - Date.parse(run.started_at))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {(cursors.length > 0 || list.value?.next_cursor) && (
        <nav class="pager" aria-label="Pages of runs">
          <Button disabled={cursors.length === 0} onClick={() => setCursors(cursors.slice(0, -1))}>← Newer</Button>
          <span class="faint">Page {cursors.length + 1}</span>
          <Button disabled={!list.value?.next_cursor} onClick={() => setCursors([...cursors, list.value!.next_cursor!])}>Older →</Button>
        </nav>
      )}
      {begins && <BeginRun cell={id} method={runs[0]?.method ?? ""} onClose={() => setBegins(false)} />}
    </>
  );
}

function NoRuns({ cell }: { cell: Cell }) {
  if (!cell.agent_digest) {
    return (
      <Empty title="The cell has no agent">
        <p>An agent is one file of yours with the methods that can be called. Give it one:</p>
        <Command text={`cellar create ${shellWord(cell.customer_id)} --agent agent.js`} />
      </Empty>
    );
  }
  return (
    <Empty title="Nothing was run yet">
      <p>Each call of one of the agent's methods is a run. Call one, here or from a terminal:</p>
      <Command text={`cellar request ${cell.cell_id} METHOD '{}'`} />
      <Command text={`curl ${location.origin}${Client.pathOf(cell.cell_id, "/runs")} -H "Authorization: Bearer $CELLAR_API_KEY" -d '{"method": "METHOD", "params": {}}'`} />
    </Empty>
  );
}

function BeginRun({ cell, method: given, onClose }: { cell: string; method: string; onClose(): void }) {
  const client = useClient();
  const [method, setMethod] = useState(given);
  const [params, setParams] = useState("{}");
  const { busy, error, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    void run("begin", async () => {
      let parsed: unknown;
      try {
        parsed = JSON.parse(params || "{}");
      } catch (failure) {
        throw new Error(`The params are no JSON: ${(failure as Error).message}`);
      }
      const made = await client.post<Run>(Client.pathOf(cell, "/runs"), { method: method.trim(), params: parsed });
      location.hash = cellAddress(cell, "runs", made.id);
    });
  };
  return (
    <Dialog title="New run" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Method" hint="Exported by the cell's agent.">
          {(id, hint) => <input id={id} aria-describedby={hint} required maxLength={256} value={method} autofocus onInput={(event) => setMethod(event.currentTarget.value)} />}
        </Field>
        <Field label="Params, as JSON">
          {(id) => <textarea id={id} class="mono" rows={5} spellcheck={false} value={params} onInput={(event) => setParams(event.currentTarget.value)} />}
        </Field>
        <Problem error={error} />
        <div class="actions end"><Button kind="primary" submit busy={busy !== null}>Begin</Button></div>
      </form>
    </Dialog>
  );
}
