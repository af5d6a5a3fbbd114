import { useState } from "preact/hooks";
import { count, duration, json } from "../model/format";
import { cellAddress, type View } from "../model/route";
import { scaleOf, type Scale } from "../model/scale";
import type { Row, Timeline } from "../model/timeline";
import { Bounded, Empty } from "../ui/parts";

const STEP = 100; // rows at first, and with each "more"

export function TimelineView({ cell, timeline, isLive, view }: { cell: string; timeline: Timeline; isLive: boolean; view: View }) {
  const { begin, attempts, rows } = timeline;
  const scale = scaleOf(timeline);
  if (rows.length === 0) {
    return (
      <Empty title={view === "committed" ? "No step has ended" : isLive ? "No step yet" : "It had no steps"}>
        <p>Commands, requests and <code>ctx.step</code> of the agent are shown here {view === "committed" ? "once their end is on disk" : "as they begin"}.</p>
      </Empty>
    );
  }
  return (
    <section class="timeline" aria-label="Steps of the run">
      <div class="axis" aria-hidden="true">
        <span class="name">Step</span>
        <div class="lane">
          {[0, 25, 50, 75, 100].map((part) => <span key={part} class="tick" style={{ left: `${part}%` }}>{duration(scale.at(part) - begin)}</span>)}
        </div>
        <span class="took">Took</span>
      </div>
      {attempts.length > 0 && (
        <div class="attempts">
          <span class="name">{attempts.map((each) => <span key={each.number}>Attempt {each.number} <span class="faint">{each.cause.replaceAll("_", " ")}</span></span>)}</span>
          <div class="lane" aria-hidden="true">{attempts.map((each) => <span key={each.number} class="flag" style={{ left: `${scale.place(each.at)}%` }}>{each.number}</span>)}</div>
          <span class="took" />
        </div>
      )}
      {scale.gaps.length > 0 && <p class="note">Drawn short: {scale.gaps.map((each) => duration(each.ms)).join(", ")} in which it only waited.</p>}
      <Bounded items={rows} step={STEP} what="steps">
        {(shown) => <ol class="rows">{shown.map((row) => <Step key={row.ordinal} cell={cell} row={row} scale={scale} timeline={timeline} />)}</ol>}
      </Bounded>
    </section>
  );
}

function marksOf(row: Row): { text: string; means: string }[] {
  const marks = [];
  if (row.replayedIn.length > 0) marks.push({ text: "replayed", means: `Not executed again: attempt ${row.replayedIn.join(", ")} took its value from the journal` });
  const executed = Math.max(row.step?.executed ?? 0, row.executions.length);
  if (executed > 1 && row.failures.length === 0) marks.push({ text: `executed ${executed}×`, means: "It was interrupted, and executed again" });
  if (row.failures.length > 0) marks.push({ text: `${row.failures.length + 1} tries`, means: "It failed, and was tried again" });
  if (row.sensitive) marks.push({ text: "sealed", means: "A sensitive step: its value is not shown" });
  return marks;
}

const GLYPHS: Record<string, string> = { shell: "$", fetch: "⇅", sleep: "◷", wait: "◌", approval: "?", child: "⤷", spawn: "⤷", step: "•" };

function Step({ cell, row, scale, timeline }: { cell: string; row: Row; scale: Scale; timeline: Timeline }) {
  const [open, setOpen] = useState(false);
  const first = row.executions[0];
  const last = row.executions.at(-1);
  const took = first === undefined ? "" : duration((last?.end ?? timeline.end) - first.start);
  const marks = marksOf(row);
  return (
    <li class={`step ${row.status} ${open ? "open" : ""}`}>
      <button type="button" class="bar-row" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="name">
          <span class="glyph" title={row.kind} aria-hidden="true">{GLYPHS[row.kind] ?? "•"}</span>
          <span class="text">{row.name || row.kind}</span>
          <span class="sr">, {row.kind}, {row.status}</span>
          {marks.map((mark) => <span key={mark.text} class="badge" title={mark.means}>{mark.text}</span>)}
        </span>
        <span class="lane" aria-hidden="true">
          {scale.gaps.map((each) => <span key={each.left} class="gap" style={{ left: `${each.left}%`, width: `${each.width}%` }} />)}
          {timeline.attempts.map((each) => <span key={each.number} class="cut" style={{ left: `${scale.place(each.at)}%` }} />)}
          {row.executions.map((each, index) => {
            const left = scale.place(each.start);
            return <span key={index} class={`bar ${each.outcome} ${row.kind}`} style={{ left: `${left}%`, width: `${scale.place(each.end ?? timeline.end) - left}%` }} />;
          })}
        </span>
        <span class="took">{took}</span>
      </button>
      {open && <Details cell={cell} row={row} marks={marks} begin={timeline.begin} />}
    </li>
  );
}

const OUTCOMES = { running: "running", done: "done", failed: "failed", cut: "interrupted" };

function Details({ cell, row, marks, begin }: { cell: string; row: Row; marks: { text: string; means: string }[]; begin: number }) {
  return (
    <div class="step-details">
      {row.kind === "shell" && <pre class="code" tabIndex={0}>$ {row.name}</pre>}
      <ul class="executions">
        {row.executions.map((each, index) => (
          <li key={index}>
            {row.executions.length > 1 && `${index + 1}. `}begun after {duration(each.start - begin)}, <strong>{OUTCOMES[each.outcome]}</strong>
            {each.end !== null && ` after ${duration(each.end - each.start)}`}
            {row.failures[index] && <>: <span class="bad-text">{row.failures[index]!.message}</span></>}
          </li>
        ))}
        {marks.map((mark) => <li key={mark.text}>{mark.means}.</li>)}
        {row.step?.until && row.status === "waiting" && <li>Waits until {new Date(row.step.until).toLocaleString()}.</li>}
        {row.step?.type && <li>Waits for the event <code>{row.step.type}</code>.</li>}
        {row.step?.run && <li>Waits for <a href={cellAddress(cell, "runs", row.step.run)}>{row.step.run}</a>.</li>}
      </ul>
      {row.error !== null && <p class="bad-text">{row.error}</p>}
      {row.progress !== null && <><p class="faint">Its last progress</p><pre class="code" tabIndex={0}>{json(row.progress, 4000)}</pre></>}
      {row.output.length > 0 ? (
        <>
          {row.cutOff > 0 && <p class="faint">{count(row.cutOff, "earlier character")} of its output are not shown.</p>}
          <pre class="code output" tabIndex={0} aria-label="Output">{row.output.map((each, index) => <span key={index} class={each.stream}>{each.text}</span>)}</pre>
        </>
      ) : row.kind === "shell" && row.status !== "running" && <p class="faint">It printed nothing.</p>}
    </div>
  );
}
