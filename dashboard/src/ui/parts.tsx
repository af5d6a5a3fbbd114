// What pages are made of.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { fromNow } from "../model/format";

type Kind = "plain" | "primary" | "danger" | "quiet";

export function Button(props: { kind?: Kind; busy?: boolean; disabled?: boolean; onClick?: () => void; submit?: boolean; title?: string; label?: string;
  pressed?: boolean; children: ComponentChildren }) {
  return (
    <button type={props.submit ? "submit" : "button"} class={`button ${props.kind ?? "plain"}`} title={props.title} aria-label={props.label}
      aria-pressed={props.pressed} disabled={props.disabled || props.busy} aria-busy={props.busy} onClick={props.onClick}>
      {props.children}
    </button>
  );
}

/** What went wrong, and what to do about it. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  if (error === undefined || error === null) return null;
  const told = error instanceof ApiError ? error : null;
  return (
    <div class="problem" role="alert">
      <p><strong>{error instanceof Error ? error.message : String(error)}</strong></p>
      {told?.remediation && <p>{told.remediation}</p>}
      {told && <p class="faint mono">{[told.status, told.code, told.requestId].filter(Boolean).join(" · ")}</p>}
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return <p class="loading" role="status">Loading {what}…</p>;
}

/** Nothing is there: why, and what to do. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2 class="small">{title}</h2>
      {children}
    </div>
  );
}

/** Lines for a terminal, with a button that copies them. */
export function Command({ text, label = "Copy" }: { text: string; label?: string }) {
  const [state, setState] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState("Copied");
    } catch {
      setState("Select it and copy it yourself: the browser refuses");
    }
  };
  return (
    <div class="command">
      <pre tabIndex={0}>{text}</pre>
      <Button kind="quiet" onClick={copy} label={`${label}: ${text}`}>{label}</Button>
      <span class="said" role="status">{state}</span>
    </div>
  );
}

export function Ago({ at, now }: { at: string; now: number }) {
  return <time dateTime={at} title={new Date(at).toLocaleString()}>{fromNow(at, now)}</time>;
}

const STATES: Record<string, string> = {
  active: "good", running: "busy", completed: "good", paused: "warn", waiting: "warn", hibernated: "calm", failed: "bad", cancelled: "calm",
  interrupted: "warn", exited: "calm",
  live: "good", held: "warn", connecting: "warn",
};

/** A state, by a word and a colour. */
export function State({ name, also }: { name: string; also?: string }) {
  return (
    <span class={`state ${STATES[name] ?? "calm"}`}>
      <span class="dot" aria-hidden="true" />
      {name}
      {also && <span class="faint"> {also}</span>}
    </span>
  );
}

export function Field(props: { label: string; hint?: string; children: (id: string, hint: string | undefined) => ComponentChildren }) {
  const id = useId();
  const hint = props.hint === undefined ? undefined : `${id}-hint`;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.children(id, hint)}
      {props.hint && <p class="hint" id={hint}>{props.hint}</p>}
    </div>
  );
}

/** A dialog of the browser's own: it holds the focus, and Escape closes it. */
export function Dialog({ title, onClose, children }: { title: string; onClose(): void; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <div class="dialog">
        <header>
          <h2 id={id}>{title}</h2>
          <Button kind="quiet" label="Close" onClick={() => dialog.current?.close()}>✕</Button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export function Panel({ title, actions, children }: { title: string; actions?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="panel">
      <header>
        <h2 class="small">{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

/** The first `step` of many, and a button for more. */
export function Bounded<T>({ items, step, children, what }: { items: T[]; step: number; children: (shown: T[]) => ComponentChildren; what: string }) {
  const [shown, setShown] = useState(step);
  return (
    <>
      {children(items.slice(0, shown))}
      {items.length > shown && (
        <p class="more">
          <Button onClick={() => setShown(shown + step)}>Show more {what}</Button>
          <span class="faint">{shown} of {items.length}</span>
        </p>
      )}
    </>
  );
}

export function Mark() {
  return (
    <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" class="mark">
      <rect width="32" height="32" rx="8" />
      <path d="M8 25V14a8 8 0 0 1 16 0v11M13 25v-9a3 3 0 0 1 6 0v9" />
    </svg>
  );
}
