// One file: shown, edited, and saved unless somebody else has changed it meanwhile.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, Client } from "../api/client";
import { bytes } from "../model/format";
import { EDITED_BYTES_MAX, nameOf, textOf } from "../model/file";
import { cellAddress } from "../model/route";
import { useAction, useClient, useResource } from "../ui/context";
import { Button, Dialog, Loading, Problem } from "../ui/parts";
import type { Editor } from "../ui/editor";

interface Content { bytes: Uint8Array; text: string | null; tag: string | null }

interface Props { cell: string; path: string; line?: number; onChange(): void }

async function read(client: Client, cell: string, path: string): Promise<Content> {
  const answer = await client.fetch(Client.fileOf(cell, path));
  const content = new Uint8Array(await answer.arrayBuffer());
  return { bytes: content, text: content.length > EDITED_BYTES_MAX ? null : textOf(content), tag: answer.headers.get("ETag") };
}

export function FileView({ cell, path, line, onChange }: Props) {
  const client = useClient();
  const file = useResource((asked) => read(asked, cell, path), path);
  const { busy, error, run } = useAction();
  const [removes, setRemoves] = useState(false);
  const remove = () => run("remove", async () => {
    await client.call(Client.fileOf(cell, path), { method: "DELETE" });
    onChange();
    location.hash = cellAddress(cell, "files");
  });
  const download = () => {
    const address = URL.createObjectURL(new Blob([file.value!.bytes as BlobPart]));
    const link = Object.assign(document.createElement("a"), { href: address, download: nameOf(path) });
    link.click();
    URL.revokeObjectURL(address);
  };
  const actions = (
    <>
      <Button kind="quiet" disabled={!file.value} onClick={download}>Download</Button>
      <Button kind="quiet" onClick={() => setRemoves(true)}>Delete…</Button>
    </>
  );
  return (
    <>
      <p class="back"><a href={cellAddress(cell, "files")}>← All files</a></p>
      <Problem error={file.error} retry={file.reload} />
      {file.value === undefined && !file.error && <Loading what={path} />}
      {file.value && file.value.text !== null && (
        <EditedFile cell={cell} path={path} line={line} content={file.value} actions={actions} onSaved={onChange} onReload={file.reload} />
      )}
      {file.value && file.value.text === null && (
        <>
          <header class="file-head"><strong class="mono">{path}</strong><div class="actions">{actions}</div></header>
          <p class="pad">{file.value.bytes.length > EDITED_BYTES_MAX ? "It is too long to be edited here" : "It is not text"}: {bytes(file.value.bytes.length)}.</p>
        </>
      )}
      {removes && (
        <Dialog title={`Delete ${path}?`} onClose={() => setRemoves(false)}>
          <p>It is gone from /work then.</p>
          <Problem error={error} />
          <div class="actions end"><Button onClick={() => setRemoves(false)}>Keep it</Button><Button kind="danger" busy={busy !== null} onClick={remove}>Delete</Button></div>
        </Dialog>
      )}
    </>
  );
}

interface EditedProps { cell: string; path: string; line?: number; content: Content; actions: ComponentChildren; onSaved(): void; onReload(): Promise<void> }

// What was typed and not saved, of files that somebody went away from; the oldest is forgotten first.
const DRAFTS_MAX = 20;
const drafts = new Map<string, { text: string; base: Content }>();

function keepDraft(key: string, text: string, base: Content): void {
  drafts.set(key, { text, base });
  if (drafts.size > DRAFTS_MAX) drafts.delete(drafts.keys().next().value!);
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, index) => byte === b[index]);

function EditedFile({ cell, path, line, content, actions, onSaved, onReload }: EditedProps) {
  const client = useClient();
  const place = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const saved = useRef(content); // what is on disk, as far as this page knows
  const [state, setState] = useState<"same" | "changed" | "saved">("same");
  const [differs, setDiffers] = useState(false);
  const key = `${cell}/${path}`;
  const hasChanged = useRef(false);
  const drops = useRef(false); // what was typed, when the file is read anew
  hasChanged.current = state === "changed";
  const { busy, error, run } = useAction();

  const save = useCallback((over: boolean) => void run("save", async () => {
    const body = new TextEncoder().encode(editor.current!.text());
    const { tag } = saved.current;
    const headers: Record<string, string> = over || tag === null ? {} : { "If-Match": tag };
    if (!over && tag === null) { // A daemon without tags: looked at just before.
      const now = await read(client, cell, path).catch((failure) => {
        if (failure instanceof ApiError && failure.status === 404) return null;
        throw failure;
      });
      if (now !== null && !same(now.bytes, saved.current.bytes)) return setDiffers(true);
    }
    let answer: Response;
    try {
      answer = await client.fetch(Client.fileOf(cell, path), { method: "PUT", body, headers });
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 412) return setDiffers(true);
      throw failure;
    }
    saved.current = { bytes: body, text: null, tag: answer.headers.get("ETag") };
    if (tag !== null && saved.current.tag === null) saved.current = await read(client, cell, path);
    setState("saved");
    onSaved();
  }), [client, cell, path]);

  useEffect(() => {
    let closed = false;
    const draft = drafts.get(key);
    drafts.delete(key);
    void import("../ui/editor").then(({ openEditor }) => {
      if (closed || place.current === null) return;
      const text = draft?.text ?? content.text!;
      editor.current = openEditor({ parent: place.current, text, path, line, onChange: () => setState("changed"), onSave: () => save(false) });
    });
    saved.current = draft?.base ?? content;
    setState(draft === undefined ? "same" : "changed");
    return () => {
      closed = true;
      if (hasChanged.current && !drops.current) keepDraft(key, editor.current!.text(), saved.current);
      drops.current = false;
      editor.current?.close();
      editor.current = null;
    };
  }, [content, path, line, save, key]);
  const loadTheirs = () => {
    drops.current = true;
    setDiffers(false);
    void onReload();
  };
  useEffect(() => {
    if (state !== "changed") return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [state]);

  return (
    <>
      <header class="file-head">
        <strong class="mono">{path}</strong>
        <span class="faint" role="status">{state === "changed" ? "not saved" : state === "saved" ? "saved" : ""}</span>
        <div class="actions">
          {actions}
          <Button kind="primary" disabled={state !== "changed"} busy={busy !== null} onClick={() => save(false)}>Save</Button>
        </div>
      </header>
      <Problem error={error} />
      <div class="editor" ref={place} />
      {differs && (
        <Dialog title="Somebody else has changed it" onClose={() => setDiffers(false)}>
          <p><code>{path}</code> is not what it was when you opened it. Your text is still in the editor.</p>
          <div class="actions end">
            <Button onClick={loadTheirs}>Load theirs, drop mine</Button>
            <Button kind="danger" onClick={() => { setDiffers(false); save(true); }}>Write mine over theirs</Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
