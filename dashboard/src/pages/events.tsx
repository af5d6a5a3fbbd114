import { useEffect, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import type { CellEvent } from "../api/types";
import { clockTime, json } from "../model/format";
import { cellAddress, type View } from "../model/route";
import { useClient } from "../ui/context";
import { Button, Command, Empty, Problem, State } from "../ui/parts";
import { useShortcuts } from "../ui/shortcuts";
import { ViewSwitch } from "../ui/view_switch";

const TAIL = 100; // events of before
const SHOWN_MAX = 500; // the newest
const REDRAW_MS = 150;
const SHORT_CHARS = 160;
const TYPES = /^[\w.*,-]*$/;

export function Events({ cell, view }: { cell: string; view: View }) {
  const client = useClient();
  const [typed, setTyped] = useState("");
  const [types, setTypes] = useState("");
  const [held, setHeld] = useState(false);
  const [state, setState] = useState<"open" | "waiting" | "connecting">("connecting");
  const [error, setError] = useState<unknown>(null);
  const [events, setEvents] = useState<CellEvent[]>([]);
  const box = useRef<HTMLInputElement>(null);
  const all = useRef<CellEvent[]>([]);
  const isHeld = useRef(held);
  isHeld.current = held;
  useShortcuts({ "/": () => box.current?.focus() });
  useEffect(() => {
    const over = new AbortController();
    const list: CellEvent[] = (all.current = []);
    let timer: ReturnType<typeof setTimeout> | null = null;
    const draw = () => {
      timer = null;
      if (!isHeld.current) setEvents([...list]);
    };
    setEvents([]);
    setError(null);
    setState("connecting");
    const query = types === "" ? "" : `&types=${encodeURIComponent(types)}`;
    const onEvent = (sent: { data: string }) => {
      list.push(JSON.parse(sent.data));
      if (list.length > SHOWN_MAX) list.shift();
      timer ??= setTimeout(draw, REDRAW_MS);
    };
    client.follow(Client.pathOf(cell, `/events?tail=${TAIL}&view=${view}${query}`), { onEvent, onState: setState }, over.signal)
      .catch((failure) => over.signal.aborted || setError(failure));
    return () => {
      over.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [client, cell, types, view]);
  const hold = () => {
    setHeld(!held);
    if (held) setEvents([...all.current]);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = typed.replaceAll(" ", "");
    if (!TYPES.test(wanted)) return setError(new Error("Types are words with commas between them, such as cell.*,run.completed"));
    setTypes(wanted);
  };
  return (
    <>
      <form class="section-head" onSubmit={submit}>
        <h2>Events <State name={state !== "open" ? "connecting" : held ? "held" : "live"} /></h2>
        <div class="actions">
          <input ref={box} type="search" aria-label="Only these types, with commas between them" placeholder="all types; cell.*,run.*" value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)} />
          <Button submit>Filter</Button>
          <Button pressed={held} onClick={hold}>{held ? "Go on" : "Hold"}</Button>
        </div>
      </form>
      <ViewSwitch view={view} addressOf={(each) => cellAddress(cell, "events", "", { view: each })} />
      <Problem error={error} />
      {events.length === 0 && !error && (
        <Empty title="Nothing has happened yet">
          <p>What happens in the cell and to it is told here at once. The same in a terminal:</p>
          <Command text={`cellar events ${cell} -f`} />
        </Empty>
      )}
      {events.length > 0 && (
        <ol class="events" aria-label="Events, the newest first">
          {[...events].reverse().map((event) => <EventLine key={event.seq} cell={cell} event={event} />)}
        </ol>
      )}
      {events.length === SHOWN_MAX && <p class="faint">The newest {SHOWN_MAX} are shown.</p>}
    </>
  );
}

function EventLine({ cell, event }: { cell: string; event: CellEvent }) {
  const [open, setOpen] = useState(false);
  const short = JSON.stringify(event.data) ?? "";
  return (
    <li>
      <button type="button" class="event" aria-expanded={open} onClick={() => setOpen(!open)}>
        <time dateTime={event.ts} class="faint mono">{clockTime(event.ts)}</time>
        <span class={`type ${event.type.split(".")[0]}`}>{event.type}</span>
        <code>{short.length > SHORT_CHARS ? `${short.slice(0, SHORT_CHARS)}…` : short}</code>
      </button>
      {open && (
        <div class="event-details">
          {event.run && <p>Of the run <a href={cellAddress(cell, "runs", event.run)}>{event.run}</a></p>}
          <pre class="code" tabIndex={0}>{json(event.data)}</pre>
        </div>
      )}
    </li>
  );
}
