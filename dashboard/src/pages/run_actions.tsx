import { useState } from "preact/hooks";
import { Client } from "../api/client";
import type { Run, RunDetail, Step } from "../api/types";
import { json } from "../model/format";
import { cellAddress } from "../model/route";
import { useAction, useClient } from "../ui/context";
import { Button, Dialog, Field, Problem } from "../ui/parts";

interface Props { cell: string; run: RunDetail; reload(): Promise<void> }

const isLive = (run: Run) => run.status === "running" || run.status === "waiting";
const isAmbiguous = (run: Run) => run.status === "paused" && run.reason === "ambiguous_step";

function usePost({ cell, run, reload }: Props) {
  const client = useClient();
  const { busy, error, run: act } = useAction();
  const path = Client.pathOf(cell, `/runs/${encodeURIComponent(run.id)}`);
  const post = (name: string, body?: unknown) => act(name, async () => {
    await client.post(`${path}/${name}`, body);
    await reload();
  });
  return { path, busy, error, post };
}

/** What can be done with a run as it is now. */
export function RunActions(props: Props) {
  const { cell, run, reload } = props;
  const { path, busy, error, post } = usePost(props);
  const [cancels, setCancels] = useState(false);
  const [restarts, setRestarts] = useState(false);
  return (
    <div>
      <div class="actions" role="group" aria-label="What can be done with the run">
        {isLive(run) && <Button busy={busy === "pause"} onClick={() => post("pause")}>Pause</Button>}
        {run.status === "paused" && !isAmbiguous(run) && <Button kind="primary" busy={busy === "resume"} onClick={() => post("resume")}>Resume</Button>}
        {(isLive(run) || run.status === "paused") && <Button kind="danger" onClick={() => setCancels(true)}>Cancel…</Button>}
        <Button onClick={() => setRestarts(true)}>Run again…</Button>
      </div>
      <Problem error={error} />
      {cancels && <CancelRun path={path} onClose={() => setCancels(false)} onDone={reload} />}
      {restarts && <RestartRun cell={cell} path={path} run={run} onClose={() => setRestarts(false)} />}
    </div>
  );
}

/** What the run asks somebody, and why it is paused. */
export function RunQuestions(props: Props) {
  const { run } = props;
  const { busy, error, post } = usePost(props);
  const approvals = isLive(run) ? run.steps.filter((step) => step.kind === "approval" && step.status === "waiting") : [];
  return (
    <>
      {isAmbiguous(run) && (
        <div class="ask" role="group" aria-label="A step that may have been done">
          <p><strong>A step may or may not have been done.</strong> Look whether its effect is there, then decide:</p>
          <pre class="code" tabIndex={0}>{json(run.detail ?? null)}</pre>
          <div class="actions">
            <Button kind="primary" busy={busy === "resume"} onClick={() => post("resume", { step: { decision: "retry" } })}>Do it again</Button>
            <Button busy={busy === "resume"} onClick={() => post("resume", { step: { decision: "fail" } })}>Let it fail</Button>
          </div>
        </div>
      )}
      {run.status === "paused" && !isAmbiguous(run) && run.detail !== undefined && run.detail !== null && (
        <details class="ask"><summary>Why it is paused: {run.reason}</summary><pre class="code" tabIndex={0}>{json(run.detail)}</pre></details>
      )}
      {approvals.map((step) => <Approval key={step.ordinal} step={step} busy={busy} onAnswer={(answer) => post("approve", answer)} />)}
      <Problem error={error} />
    </>
  );
}

interface Answer { approved: boolean; step: string; comment?: string }

function Approval({ step, busy, onAnswer }: { step: Step; busy: string | null; onAnswer(answer: Answer): void }) {
  const [comment, setComment] = useState("");
  const answer = (approved: boolean) => onAnswer({ approved, step: step.name, ...(comment.trim() === "" ? {} : { comment: comment.trim() }) });
  return (
    <div class="ask" role="group" aria-label={`Approval of ${step.name}`}>
      <p><strong>{step.prompt ?? `It asks for your approval: ${step.name}`}</strong></p>
      {step.data !== undefined && step.data !== null && <pre class="code" tabIndex={0}>{json(step.data)}</pre>}
      <Field label="A comment, if you like">{(id) => <input id={id} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />}</Field>
      <div class="actions">
        <Button kind="primary" busy={busy === "approve"} onClick={() => answer(true)}>Approve</Button>
        <Button busy={busy === "approve"} onClick={() => answer(false)}>Refuse</Button>
      </div>
    </div>
  );
}

function CancelRun({ path, onClose, onDone }: { path: string; onClose(): void; onDone(): Promise<void> }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const [rollback, setRollback] = useState(false);
  const cancel = () => run("cancel", async () => {
    await client.post(`${path}/cancel`, { rollback });
    await onDone();
    onClose();
  });
  return (
    <Dialog title="Cancel the run?" onClose={onClose}>
      <p>Its commands are ended. What its finished steps did stays, unless it is undone:</p>
      <label class="check"><input type="checkbox" checked={rollback} onChange={(event) => setRollback(event.currentTarget.checked)} /> Undo the finished steps, the last one first</label>
      <Problem error={error} />
      <div class="actions end"><Button onClick={onClose}>Let it go on</Button><Button kind="danger" busy={busy !== null} onClick={cancel}>Cancel the run</Button></div>
    </Dialog>
  );
}

const FROM_MAX = 200; // steps to choose from
const BEGINNING = "beginning";
const END = "end";
const STEP = "step "; // and its name

/** Where the new run begins, as the API takes it. */
function placeOf(from: string): { from?: string; from_end?: boolean } {
  if (from === END) return { from_end: true };
  return from === BEGINNING ? {} : { from: from.slice(STEP.length) };
}

function RestartRun({ cell, path, run, onClose }: { cell: string; path: string; run: RunDetail; onClose(): void }) {
  const client = useClient();
  const { busy, error, run: act } = useAction();
  const [from, setFrom] = useState(BEGINNING);
  const [upgrade, setUpgrade] = useState(false);
  const names = [...new Set(run.steps.map((step) => step.name))].slice(0, FROM_MAX);
  const restart = () => act("restart", async () => {
    const made = await client.post<Run>(`${path}/restart`, { upgrade, ...placeOf(from) });
    onClose();
    location.hash = cellAddress(cell, "runs", made.id);
  });
  return (
    <Dialog title="Run again" onClose={onClose}>
      <p>A new run with the same method and params. Files are as they are.</p>
      <Field label="From">
        {(id) => (
          <select id={id} value={from} onChange={(event) => setFrom(event.currentTarget.value)}>
            <option value={BEGINNING}>the beginning</option>
            <option value={END}>behind all that is recorded</option>
            {names.map((name) => <option key={name} value={STEP + name}>{name.length > 80 ? `${name.slice(0, 80)}…` : name}</option>)}
          </select>
        )}
      </Field>
      <label class="check"><input type="checkbox" checked={upgrade} onChange={(event) => setUpgrade(event.currentTarget.checked)} /> With the cell's agent of today, not the run's version</label>
      <Problem error={error} />
      <div class="actions end"><Button kind="primary" busy={busy !== null} onClick={restart}>Run again</Button></div>
    </Dialog>
  );
}
