import { useEffect, useState } from "preact/hooks";
import { Client } from "../api/client";
import type { FileEntry } from "../api/types";
import { bytes } from "../model/format";
import { foldersAbove, inOrder, nameOf } from "../model/file";
import { cellAddress } from "../model/route";
import { useAction, useClient, useResource } from "../ui/context";
import { Bounded, Button, Command, Dialog, Empty, Field, Loading, Problem } from "../ui/parts";
import { FileView } from "./file";

const SHOWN = 200; // entries of a folder at first, and with each "more"
const UPLOAD_BYTES_MAX = 256 << 20;

interface Listing { files: FileEntry[]; truncated?: boolean }

export function Files({ cell, path, line }: { cell: string; path: string; line?: number }) {
  const [version, setVersion] = useState(0);
  const [makes, setMakes] = useState(false);
  const [open, setOpen] = useState<Set<string>>(() => new Set(foldersAbove(path)));
  useEffect(() => setOpen((before) => new Set([...before, ...foldersAbove(path)])), [path]);
  const changed = () => setVersion((before) => before + 1);
  const toggle = (folder: string) => setOpen((before) => {
    const after = new Set(before);
    if (!after.delete(folder)) after.add(folder);
    return after;
  });
  return (
    <div class={`files ${path === "" ? "" : "has-file"}`}>
      <section class="tree" aria-label="Files in /work">
        <header>
          <strong>/work</strong>
          <div class="actions">
            <Button kind="quiet" onClick={() => setMakes(true)}>New</Button>
            <Button kind="quiet" onClick={changed}>Refresh</Button>
          </div>
        </header>
        <Folder cell={cell} path="" version={version} open={open} toggle={toggle} current={path} />
      </section>
      <section class="file" aria-label={path === "" ? "No file" : `File ${path}`}>
        {path === "" ? <Empty title="Choose a file"><p>It is shown here, and saved with <kbd>Ctrl S</kbd>.</p></Empty>
          : <FileView key={path} cell={cell} path={path} line={line} onChange={changed} />}
      </section>
      {makes && <NewFile cell={cell} onClose={() => setMakes(false)} onMade={changed} />}
    </div>
  );
}

interface FolderProps { cell: string; path: string; version: number; open: Set<string>; toggle(folder: string): void; current: string }

function Folder({ cell, path, version, open, toggle, current }: FolderProps) {
  const address = path === "" ? Client.pathOf(cell, "/files") : `${Client.fileOf(cell, path)}?list=1`;
  const listing = useResource((client) => client.call<Listing>(address), `${path} ${version}`);
  const [kept, setKept] = useState<Listing>();
  useEffect(() => void (listing.value && setKept(listing.value)), [listing.value]);
  const shown = listing.value ?? kept;
  if (listing.error) return <Problem error={listing.error} retry={listing.reload} />;
  if (shown === undefined) return <Loading what="the folder" />;
  if (shown.files.length === 0) {
    if (path !== "") return <p class="faint pad">Empty</p>;
    return (
      <Empty title="Nothing is in /work">
        <p>Copy a project into it, or make a file with <em>New</em>:</p>
        <Command text={`cellar cp ./project ${cell}:/`} />
      </Empty>
    );
  }
  return (
    <>
      <Bounded items={inOrder(shown.files)} step={SHOWN} what="files">
        {(entries) => (
          <ul class="entries">
            {entries.map((entry) => {
              const whole = entry.path;
              const isOpen = open.has(whole);
              return (
                <li key={whole}>
                  {entry.type === "directory" ? (
                    <button type="button" class="entry" aria-expanded={isOpen} onClick={() => toggle(whole)}>
                      <span class="turn" aria-hidden="true">▸</span>{nameOf(whole)}
                    </button>
                  ) : (
                    <a class="entry" href={cellAddress(cell, "files", whole)} aria-current={whole === current ? "true" : undefined} title={`${whole}, ${bytes(entry.size)}`}>
                      {nameOf(whole)}{entry.type !== "file" && <span class="faint"> {entry.type}</span>}
                    </a>
                  )}
                  {entry.type === "directory" && isOpen && <Folder cell={cell} path={whole} version={version} open={open} toggle={toggle} current={current} />}
                </li>
              );
            })}
          </ul>
        )}
      </Bounded>
      {shown.truncated && <p class="faint pad">There are more than 10,000 entries: the rest is not listed.</p>}
    </>
  );
}

function NewFile({ cell, onClose, onMade }: { cell: string; onClose(): void; onMade(): void }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const [path, setPath] = useState("");
  const [upload, setUpload] = useState<File | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const name = (path.trim() || upload?.name || "").replace(/^(\/work)?\/+/, "");
    void run("make", async () => {
      if (name === "") throw new Error("Type where it is to be, or choose a file.");
      if (upload !== null && upload.size > UPLOAD_BYTES_MAX) throw new Error(`${upload.name} has more than 256 MiB, which is the limit of a file.`);
      const there = await client.fetch(Client.fileOf(cell, name)).then((answer) => answer.body?.cancel().then(() => true), () => false);
      if (there) throw new Error(`There is a file ${name} already. Open it, or choose another name.`);
      const body = upload === null ? "" : new Uint8Array(await upload.arrayBuffer());
      await client.call(Client.fileOf(cell, name), { method: "PUT", body, headers: { "If-None-Match": "*" } });
      onMade();
      onClose();
      location.hash = cellAddress(cell, "files", name);
    });
  };
  return (
    <Dialog title="New file" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Path below /work" hint="Its folders are made. Empty: the name of the file that you choose below.">
          {(id, hint) => <input id={id} aria-describedby={hint} value={path} autofocus placeholder="src/index.js" onInput={(event) => setPath(event.currentTarget.value)} />}
        </Field>
        <Field label="Its contents">
          {(id) => <input id={id} type="file" onChange={(event) => setUpload(event.currentTarget.files?.[0] ?? null)} />}
        </Field>
        <Problem error={error} />
        <div class="actions end"><Button kind="primary" submit busy={busy !== null}>Make it</Button></div>
      </form>
    </Dialog>
  );
}
