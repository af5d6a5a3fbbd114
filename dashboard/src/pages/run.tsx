// One run, live: its line of time, its steps with what they printed, and what can be done with it.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import type { CellEvent, RunDetail } from "../api/types";
import { count, duration, json } from "../model/format";
import { cellAddress, type View } from "../model/route";
import { TimelineFold } from "../model/timeline";
import { useClient, useNow, useResource, useTitle } from "../ui/context";
import { Ago, Loading, Panel, Problem, State } from "../ui/parts";
import { ViewSwitch } from "../ui/view_switch";
import { RunActions, RunQuestions } from "./run_actions";
import { TimelineView } from "./timeline";

const POLL_MS = 2000;
const REDRAW_MS = 150;
const STREAMED_MAX = 200; // events of the agent's own that are shown, the newest
const LAST = /^run\.(completed|failed|cancelled)$/;

export function RunPage({ cell, run: id, view }: { cell: string; run: string; view: View }) {
  const path = Client.pathOf(cell, `/runs/${encodeURIComponent(id)}`);
  const run = useResource((client) => client.call<RunDetail>(path), id, POLL_MS);
  // What can be done with the run is asked of it as it is; its line of time alone is the committed one.
  const isCommitted = view === "committed";
  const committed = useResource(async (client) => (isCommitted ? client.call<RunDetail>(`${path}?view=committed`) : undefined), `${id} ${view}`, isCommitted ? POLL_MS : 0);
  useTitle(`${run.value?.method ?? "Run"} · ${cell}`);
  const reloads = [run.reload, committed.reload] as const;
  const reload = useCallback(async () => void (await Promise.all(reloads.map((each) => each()))), reloads);
  const stream = useRunEvents(path, view, run.value !== undefined, reload);
  const isLive = run.value?.status === "running" || run.value?.status === "waiting";
  const now = useNow(isLive ? 250 : 0);
  if (run.value === undefined) return run.error ? <Problem error={run.error} retry={run.reload} /> : <Loading what="the run" />;
  const detail = run.value;
  const shown = isCommitted ? { ...(committed.value ?? detail), steps: committed.value?.steps ?? [] } : detail;
  const timeline = stream.fold.view(shown, isLive ? now : 0);
  return (
    <>
      <p class="crumbs"><a href={cellAddress(cell, "runs")}>Runs</a> <span aria-hidden="true">/</span></p>
      <div class="section-head">
        <div>
          <h2>{detail.method} <State name={detail.status} also={detail.reason} /></h2>
          <p class="faint"><span class="mono">{detail.id}</span> · began <Ago at={detail.started_at} now={isLive ? now : Date.now()} />
            {" "}· {duration(timeline.end - timeline.begin)} · {count(detail.steps_done, "step")} done
            {detail.attempt > 1 && <> · <strong>{count(detail.attempt, "attempt")}</strong></>}
            {detail.restarted_from && <> · begun again from <a href={cellAddress(cell, "runs", detail.restarted_from)}>{detail.restarted_from}</a></>}
          </p>
        </div>
        <RunActions cell={cell} run={detail} reload={run.reload} />
      </div>
      <RunQuestions cell={cell} run={detail} reload={run.reload} />
      <Problem error={stream.error} />
      {stream.waits && <p class="faint" role="status">The connection is gone; trying again…</p>}
      {detail.error && (
        <div class="problem">
          <p><strong>{detail.error.name ?? "Error"}: {detail.error.message}</strong></p>
          {detail.error.stack && <details><summary>Stack</summary><pre class="code" tabIndex={0}>{detail.error.stack}</pre></details>}
        </div>
      )}
      <ViewSwitch view={view} addressOf={(each) => cellAddress(cell, "runs", id, { view: each })} />
      <Problem error={committed.error} />
      <TimelineView cell={cell} timeline={timeline} isLive={isLive} view={view} />
      <div class="panels">
        <Panel title="Params"><pre class="code" tabIndex={0}>{json(detail.params)}</pre></Panel>
        {detail.status === "completed" && <Panel title="Result"><pre class="code" tabIndex={0}>{json(detail.result ?? null)}</pre></Panel>}
        {stream.streamed.length > 0 && (
          <Panel title="What the agent told">
            <ol class="told">
              {stream.streamed.map((event) => <li key={event.seq}><span class="faint">{event.type}</span> <code>{typeof event.data === "string" ? event.data : JSON.stringify(event.data)}</code></li>)}
            </ol>
          </Panel>
        )}
      </div>
    </>
  );
}

/** Follows the events of a run from the first one that is kept; redraws some times in a second. */
function useRunEvents(path: string, view: View, isThere: boolean, reload: () => Promise<void>) {
  const client = useClient();
  const fold = useRef(new TimelineFold());
  const streamed = useRef<CellEvent[]>([]);
  const [, redraw] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [waits, setWaits] = useState(false);
  useEffect(() => {
    if (!isThere) return;
    fold.current = new TimelineFold();
    streamed.current = [];
    setError(null);
    redraw((before) => before + 1);
    const over = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    let asks = false;
    const draw = () => {
      timer = null;
      redraw((before) => before + 1);
      if (asks) void reload();
      asks = false;
    };
    const onEvent = (sent: { data: string }) => {
      const event = JSON.parse(sent.data) as CellEvent;
      fold.current.add(event);
      if (event.type === "stream" || event.type === "log") streamed.current = [...streamed.current, event].slice(-STREAMED_MAX);
      if (/^(run|step)\./.test(event.type)) asks = true;
      timer ??= setTimeout(draw, REDRAW_MS);
    };
    client.follow(`${path}/events?view=${view}`, { onEvent, onState: (state) => setWaits(state === "waiting") }, over.signal, (event) => LAST.test(event.type))
      .catch((failure) => over.signal.aborted || setError(failure));
    return () => {
      over.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [client, path, view, isThere, reload]);
  return { fold: fold.current, streamed: streamed.current, error, waits };
}
