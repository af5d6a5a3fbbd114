import { useEffect, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import { openLink, type LinkWay } from "../api/terminal_link";
import type { Process } from "../api/types";
import { useAction, useClient, useNow, useResource } from "../ui/context";
import { Ago, Button, Command, Empty, Loading, Problem, State } from "../ui/parts";

const POLL_MS = 5000;

export function TerminalTab({ cell }: { cell: string }) {
  const client = useClient();
  const now = useNow(5000);
  const list = useResource((asked) => asked.call<{ processes: Process[] }>(Client.pathOf(cell, "/processes")), cell, POLL_MS);
  const [current, setCurrent] = useState<string | null>(null);
  const { busy, error, run } = useAction();
  const start = () => run("start", async () => {
    const made = await client.post<Process>(Client.pathOf(cell, "/processes"), { terminal: true, env: { TERM: "xterm-256color" } });
    await list.reload();
    setCurrent(made.id);
  });
  const end = (id: string) => run(id, async () => {
    await client.call(Client.pathOf(cell, `/processes/${id}`), { method: "DELETE" });
    if (id === current) setCurrent(null);
    await list.reload();
  });
  const running = (list.value?.processes ?? []).filter((each) => each.status === "running");
  return (
    <div class="terminal-tab">
      <Problem error={list.error ?? error} />
      {current !== null && <TerminalView key={current} cell={cell} process={current} onClose={() => { setCurrent(null); void list.reload(); }} />}
      {current === null && list.value === undefined && !list.error && <Loading what="the programs" />}
      {current === null && list.value !== undefined && (
        <Empty title={running.some((each) => each.terminal) ? "Terminals are open already" : "No terminal is open"}>
          <p>A shell in the cell, in <code>/work</code>. It goes on when you leave this page, until you end it.</p>
          <Button kind="primary" busy={busy === "start"} onClick={start}>Open a terminal</Button>
          <p class="faint">The same from your own terminal:</p>
          <Command text={`cellar sh ${cell}`} />
        </Empty>
      )}
      {running.length > 0 && (
        <section class="panel">
          <header><h2 class="small">Running in the background</h2>{current !== null && <Button kind="quiet" busy={busy === "start"} onClick={start}>Another terminal</Button>}</header>
          <ul class="list rows">
            {running.map((each) => (
              <li key={each.id}>
                <span class="grow"><code>{each.command}</code> <span class="faint">pid {each.pid}, since <Ago at={each.started_at} now={now} /></span></span>
                {each.id === current ? <State name="active" also="here" /> : <Button kind="quiet" onClick={() => setCurrent(each.id)}>{each.terminal ? "Attach" : "Show"}</Button>}
                <Button kind="quiet" busy={busy === each.id} onClick={() => end(each.id)} label={`End ${each.command}`}>End</Button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

const WAYS: Record<LinkWay, string> = {
  socket: "By WebSocket, with a token that ends soon.",
  no_tokens: "By requests over HTTP, as this daemon has no tokens for browsers: keys take a round trip each.",
  no_socket: "By requests over HTTP, as no WebSocket could be opened: keys take a round trip each.",
};

function TerminalView({ cell, process, onClose }: { cell: string; process: string; onClose(): void }) {
  const client = useClient();
  const place = useRef<HTMLDivElement>(null);
  const after = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<"connecting" | "open" | "waiting" | "over">("connecting");
  const [way, setWay] = useState<LinkWay | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    let close = () => {};
    let gone = false;
    void import("../ui/terminal").then(({ openScreen }) => {
      if (gone || place.current === null) return;
      const link = openLink(client, cell, process, {
        onBytes: (bytes) => screen.write(bytes),
        onState: (told) => {
          setState(told);
          if (told === "open") setProblem(null);
        },
        onExit: ({ exit_code, lost_by }) => {
          setState("over");
          screen.write(`\r\n[ended${lost_by ? `: ${lost_by}` : ` with ${exit_code}`}]\r\n`);
        },
        onProblem: setProblem,
        onWay: setWay,
      });
      const screen = openScreen({ parent: place.current, onType: link.type, onSize: link.resize, onLeave: () => after.current?.querySelector("button")?.focus() });
      screen.focus();
      close = () => {
        link.close();
        screen.close();
      };
    });
    return () => {
      gone = true;
      close();
    };
  }, [client, cell, process]);
  return (
    <section class="terminal-box" aria-label="Terminal">
      <div class="screen" ref={place} />
      <div class="under" ref={after}>
        <Button kind="quiet" onClick={onClose}>Leave it running</Button>
        <span role="status">{state === "waiting" ? "The connection is gone; trying again…" : state === "over" ? "It has ended." : state === "connecting" ? "Connecting…" : ""}</span>
        <span class="faint grow">{way && WAYS[way]}</span>
        <span class="faint"><kbd>F6</kbd> leaves the terminal</span>
      </div>
      <Problem error={problem} />
    </section>
  );
}
