import { useState } from "preact/hooks";
import { Client } from "../api/client";
import type { Cell } from "../api/types";
import { blockerText, stateOf } from "../model/cell";
import { bytes, count, duration } from "../model/format";
import { useAction, useClient, useNow } from "../ui/context";
import { Ago, Button, Command, Field, Panel, Problem } from "../ui/parts";

interface Props { cell: Cell; reload(): Promise<void> }

export function Overview({ cell, reload }: Props) {
  return (
    <div class="panels">
      <Awake cell={cell} reload={reload} />
      <Size cell={cell} />
      <Preview cell={cell} reload={reload} />
      <About cell={cell} />
    </div>
  );
}

function Awake({ cell, reload }: Props) {
  const client = useClient();
  const now = useNow();
  const { busy, error, run } = useAction();
  const [minutes, setMinutes] = useState("30");
  const left = (iso: string) => duration(Math.max(0, Math.floor((Date.parse(iso) - now) / 1000)) * 1000);
  const keep = (event: Event) => {
    event.preventDefault();
    void run("keep", async () => {
      await client.post(Client.pathOf(cell.cell_id, "/keep-alive"), { seconds: Math.round(Number(minutes) * 60) });
      await reload();
    });
  };
  return (
    <Panel title="What keeps it awake">
      {cell.idle.blockers.length > 0 ? (
        <ul class="list">
          {cell.idle.blockers.map((blocker) => (
            <li key={blocker.kind + blocker.detail}>{blockerText(blocker)} <span class="faint">since <Ago at={blocker.since} now={now} /></span></li>
          ))}
        </ul>
      ) : stateOf(cell) === "active" ? (
        <p>Nothing, since <Ago at={cell.idle.since} now={now} />.{cell.idle.pauses_at && <> It pauses in <strong>{left(cell.idle.pauses_at)}</strong>.</>}</p>
      ) : (
        <p>It rests{cell.pause && <> since <Ago at={cell.pause.since} now={now} /></>}, and comes back when it is used.
          {cell.pause?.paged_out_bytes !== undefined && ` ${bytes(cell.pause.paged_out_bytes)} of its memory are in swap.`}</p>
      )}
      {cell.wake_at && <p>It is woken at {new Date(cell.wake_at).toLocaleString()}.</p>}
      {cell.resume && (
        <p class="faint">Came back from {cell.resume.from === "disk" ? "disk" : "memory"} in {duration(cell.resume.took_ms)}:
          {" "}{count(cell.resume.processes.survived, "process", "processes")} survived, {cell.resume.processes.lost.length} lost.</p>
      )}
      <form class="inline" onSubmit={keep}>
        <label>Keep awake for <input type="number" min={1} max={1440} value={minutes} onInput={(event) => setMinutes(event.currentTarget.value)} /> minutes</label>
        <Button submit busy={busy !== null}>Keep awake</Button>
      </form>
      <Problem error={error} />
    </Panel>
  );
}

function Meter({ label, used, of, shown }: { label: string; used: number; of: number; shown: string }) {
  const part = of > 0 ? Math.min(1, used / of) : 0;
  return (
    <div class="meter">
      <div><span>{label}</span><span class="faint">{shown}</span></div>
      <meter min={0} max={1} high={0.8} optimum={0} value={part} aria-label={`${label}: ${shown}`}>{Math.round(part * 100)} %</meter>
    </div>
  );
}

function Size({ cell }: { cell: Cell }) {
  const { limits, disk } = cell;
  return (
    <Panel title="Size">
      {disk ? (
        <>
          <Meter label="Disk" used={disk.used_bytes} of={limits.disk_bytes} shown={`${bytes(disk.used_bytes)} of ${bytes(limits.disk_bytes)}`} />
          <Meter label="Files" used={disk.used_inodes} of={limits.inodes} shown={`${disk.used_inodes.toLocaleString("en")} of ${limits.inodes.toLocaleString("en")}`} />
        </>
      ) : <p class="faint">Its disk was not measured yet.</p>}
      <dl class="facts">
        <div><dt>Size</dt><dd>{cell.tier}</dd></div>
        <div><dt>Memory, at most</dt><dd>{bytes(limits.memory_bytes)}</dd></div>
        <div><dt>Processors, at most</dt><dd>{limits.cpu_millis / 1000}</dd></div>
        <div><dt>Processes, at most</dt><dd>{limits.pids}</dd></div>
      </dl>
      {limits.not_enforced.length > 0 && <p class="warn-text">Not held to on this machine: {limits.not_enforced.join(", ")}.</p>}
    </Panel>
  );
}

interface Link { url: string; expires_at: string }

function Preview({ cell, reload }: Props) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const [link, setLink] = useState<Link | null>(null);
  const [port, setPort] = useState("");
  const path = Client.pathOf(cell.cell_id);
  const isPublic = cell.preview.access === "public";
  const share = (event: Event) => {
    event.preventDefault();
    void run("link", async () => setLink(await client.post<Link>(`${path}/preview-links`, port === "" ? {} : { port: Number(port) })));
  };
  const change = () => run("access", async () => {
    await client.post(`${path}/preview`, { access: isPublic ? "private" : "public" });
    await reload();
  });
  return (
    <Panel title="Preview" actions={<Button kind="quiet" busy={busy === "access"} onClick={change}>{isPublic ? "Make it private" : "Make it public"}</Button>}>
      <p>{isPublic ? <>Everybody who knows <a href={cell.preview_url} target="_blank" rel="noopener">its address</a> sees it.</> : "Private: holders of a link see it."}</p>
      {cell.ports.length > 0 ? <p>Listening: {cell.ports.map((each) => each.port).join(", ")}</p> : (
        <>
          <p class="faint">Nothing listens in the cell: the files of /work are shown. Start a server:</p>
          <Command text={`cellar start ${cell.cell_id} -- npm run dev`} />
        </>
      )}
      <form class="inline" onSubmit={share}>
        <Field label="Port">
          {(id) => (
            <select id={id} value={port} onChange={(event) => setPort(event.currentTarget.value)}>
              <option value="">all</option>
              {cell.ports.map((each) => <option key={each.port} value={each.port}>{each.port}</option>)}
            </select>
          )}
        </Field>
        <Button submit busy={busy === "link"}>Make a link</Button>
      </form>
      {link && (
        <>
          <p><a href={link.url} target="_blank" rel="noopener">Open the preview</a> <span class="faint">until {new Date(link.expires_at).toLocaleTimeString()}</span></p>
          <Command text={new URL(link.url, location.origin).href} />
        </>
      )}
      <Problem error={error} />
    </Panel>
  );
}

function About({ cell }: { cell: Cell }) {
  return (
    <Panel title="About it">
      <dl class="facts">
        <div><dt>Made</dt><dd>{new Date(cell.created_at).toLocaleString()}</dd></div>
        <div><dt>Image</dt><dd>{cell.image}</dd></div>
        <div><dt>Runtime</dt><dd>{cell.runtime}</dd></div>
        <div><dt>Isolation</dt><dd>{cell.isolation.level}</dd></div>
        <div><dt>Agent</dt><dd>{cell.agent_digest ? <>{cell.agent_language} <span class="mono faint">{cell.agent_digest.slice(0, 12)}</span></> : "none"}</dd></div>
        <div><dt>Pauses after</dt><dd>{cell.permanent ? "never" : duration(cell.idle.timeout_s * 1000)}</dd></div>
      </dl>
      {cell.isolation.missing.length > 0 && (
        <details>
          <summary>What full isolation has, and this machine has not</summary>
          <ul>{cell.isolation.missing.map((each) => <li key={each.id}><code>{each.id}</code>: {each.means}</li>)}</ul>
        </details>
      )}
      {!cell.agent_digest && <Command text={`cellar create ${cell.customer_id} --agent agent.js`} />}
    </Panel>
  );
}
