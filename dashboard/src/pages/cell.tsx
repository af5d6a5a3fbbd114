// One cell: what it is at the moment, what can be done with it, and its parts.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Client } from "../api/client";
import type { Cell } from "../api/types";
import { stateOf } from "../model/cell";
import { duration } from "../model/format";
import { cellAddress, TABS, type Query, type Tab } from "../model/route";
import { useAction, useClient, useResource, useTitle, type Resource } from "../ui/context";
import { Button, Dialog, Empty, Field, Loading, Problem, State } from "../ui/parts";
import { useShortcuts } from "../ui/shortcuts";
import { Events } from "./events";
import { Files } from "./files";
import { NetworkTab } from "./network";
import { Overview } from "./overview";
import { RunPage } from "./run";
import { Runs } from "./runs";
import { Search } from "./search";
import { TerminalTab } from "./terminal";
import { Usage } from "./usage";

const POLL_MS = 2000;

const NAMES: Record<Tab, string> = {
  overview: "Overview", files: "Files", terminal: "Terminal", search: "Search", runs: "Runs", events: "Events", network: "Network", usage: "Usage",
};
// What is on a sleeping cell's disk is read by waking it: nobody does so by looking at a page.
const WAKES: Partial<Record<Tab, string>> = { files: "its files are shown", terminal: "a terminal is opened", search: "its code is searched" };

interface Place extends Query { cell: string; tab: Tab; rest: string }

export function CellPage({ cell: id, tab, rest, line, view }: Place) {
  const cell = useResource((client) => client.call<Cell>(Client.pathOf(id)), id, POLL_MS);
  useTitle(`${NAMES[tab]} · ${cell.value?.customer_id ?? id}`);
  const go = (number: number) => () => (location.hash = cellAddress(id, TABS[number]));
  useShortcuts(Object.fromEntries(TABS.map((_, number) => [String(number + 1), go(number)])));
  const tabs = useRef<HTMLElement>(null);
  useEffect(() => tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [tab]);
  const isGone = cell.error instanceof ApiError && cell.error.status === 404;
  if (isGone) {
    return (
      <Empty title={`There is no cell ${id}`}>
        <p>It was deleted, or belongs to the owner of another key. <a href="#/cells">All cells</a></p>
      </Empty>
    );
  }
  return (
    <div class="page">
      <Head id={id} cell={cell} />
      <nav class="tabs" ref={tabs} aria-label="Parts of the cell">
        {TABS.map((name) => <a key={name} href={cellAddress(id, name)} aria-current={name === tab ? "page" : undefined}>{NAMES[name]}</a>)}
      </nav>
      <Problem error={cell.error} retry={cell.reload} />
      {cell.value === undefined ? !cell.error && <Loading what="the cell" /> : <Part cell={cell.value} reload={cell.reload} tab={tab} rest={rest} line={line} view={view} />}
    </div>
  );
}

function Part({ cell, reload, tab, rest, line, view }: Omit<Place, "cell"> & { cell: Cell; reload(): Promise<void> }) {
  const id = cell.cell_id;
  const awake = (part: ComponentChildren) => <Awake key={tab} cell={cell} why={WAKES[tab]!} reload={reload}>{part}</Awake>;
  switch (tab) {
    case "overview": return <Overview cell={cell} reload={reload} />;
    case "files": return awake(<Files cell={id} path={rest} line={line} />);
    case "terminal": return awake(<TerminalTab cell={id} />);
    case "search": return awake(<Search cell={id} />);
    case "runs": return rest === "" ? <Runs cell={cell} /> : <RunPage key={rest} cell={id} run={rest} view={view ?? "live"} />;
    case "events": return <Events cell={id} view={view ?? "live"} />;
    case "network": return <NetworkTab cell={id} />;
    case "usage": return <Usage cell={cell} />;
  }
}

/** What needs the cell awake, once it is. If it goes to rest under somebody's eyes, what they see stays. */
function Awake({ cell, why, reload, children }: { cell: Cell; why: string; reload(): Promise<void>; children: ComponentChildren }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const [state, setState] = useState<string | null>(null); // as it was when the page was opened
  const path = Client.pathOf(cell.cell_id);
  useEffect(() => {
    // Asked anew: what the page knows of its state may be of before.
    client.call<Cell>(path).then((now) => setState(stateOf(now)), () => setState("active"));
  }, [client, path]);
  const wake = () => run("wake", async () => {
    await client.post(`${path}/resume`);
    await reload();
    setState("active");
  });
  if (state === null) return <Loading what="its state" />;
  if (state === "active") return <>{children}</>;
  return (
    <Empty title={`The cell is ${state}`}>
      <p>It is woken when {why}, and goes to rest by itself again after {duration(cell.idle.timeout_s * 1000)} without use.</p>
      <Problem error={error} />
      <Button kind="primary" busy={busy !== null} onClick={wake}>Wake it</Button>
    </Empty>
  );
}

function Head({ id, cell }: { id: string; cell: Resource<Cell> }) {
  const client = useClient();
  const { busy, error, run, clear } = useAction();
  const [deletes, setDeletes] = useState(false);
  const state = cell.value && stateOf(cell.value);
  const act = (name: string) => run(name, async () => {
    await client.post(Client.pathOf(id, `/${name}`));
    await cell.reload();
  });
  return (
    <>
      <div class="page-head">
        <div>
          <p class="crumbs"><a href="#/cells">Cells</a> <span aria-hidden="true">/</span></p>
          <h1>{cell.value?.customer_id ?? id} {state && <State name={state} />}</h1>
          <p class="faint mono">{id}</p>
        </div>
        <div class="actions" role="group" aria-label="What can be done with the cell">
          {state !== "active" && <Button kind="primary" busy={busy === "resume"} onClick={() => act("resume")}>Resume</Button>}
          {state === "active" && <Button busy={busy === "pause"} onClick={() => act("pause")} title="Freeze its processes; any use brings it back in milliseconds">Pause</Button>}
          {state !== "hibernated" && <Button busy={busy === "hibernate"} onClick={() => act("hibernate")} title="End its processes; what is on disk stays">Hibernate</Button>}
          <Button kind="danger" onClick={() => setDeletes(true)}>Delete…</Button>
        </div>
      </div>
      {error !== null && <div class="row"><Problem error={error} /><Button kind="quiet" onClick={clear}>Dismiss</Button></div>}
      {deletes && <DeleteCell id={id} name={cell.value?.customer_id ?? id} onClose={() => setDeletes(false)} />}
    </>
  );
}

function DeleteCell({ id, name, onClose }: { id: string; name: string; onClose(): void }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const [typed, setTyped] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    void run("delete", async () => {
      await client.call(Client.pathOf(id), { method: "DELETE" });
      location.hash = "#/cells";
    });
  };
  return (
    <Dialog title={`Delete the cell of ${name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p>Its files, its database, its journal and all its runs are deleted. Nothing brings them back.</p>
        <Field label={`Type ${name} to go on`}>
          {(field) => <input id={field} value={typed} autofocus autoComplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />}
        </Field>
        <Problem error={error} />
        <div class="actions end">
          <Button onClick={onClose}>Keep it</Button>
          <Button kind="danger" submit disabled={typed !== name} busy={busy !== null}>Delete for ever</Button>
        </div>
      </form>
    </Dialog>
  );
}
