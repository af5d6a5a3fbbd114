import { useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import type { SearchAnswer, SearchResult } from "../api/types";
import { markedParts } from "../model/marks";
import { count } from "../model/format";
import { cellAddress } from "../model/route";
import { useAction, useClient } from "../ui/context";
import { Button, Command, Empty, Problem } from "../ui/parts";
import { useShortcuts } from "../ui/shortcuts";

const STEP = 10;
const RESULTS_MAX = 100; // of the API
const MODES = [["auto", "Words and meaning"], ["lexical", "Words"], ["semantic", "Meaning"], ["regex", "Regular expression"]] as const;

interface Asked { query: string; mode: string; paths: string; limit: number }

export function Search({ cell }: { cell: string }) {
  const client = useClient();
  const box = useRef<HTMLInputElement>(null);
  const [asked, setAsked] = useState<Asked>({ query: "", mode: "auto", paths: "", limit: STEP });
  const [answer, setAnswer] = useState<(SearchAnswer & { asked: Asked; tookMs: number }) | null>(null);
  const { busy, error, run } = useAction();
  useShortcuts({ "/": () => box.current?.focus() });
  const ask = (limit: number) => run("search", async () => {
    if (asked.query.trim() === "") return;
    const wanted = { ...asked, limit };
    const began = performance.now();
    const paths = wanted.paths.split(",").map((each) => each.trim()).filter(Boolean);
    const found = await client.post<SearchAnswer>(Client.pathOf(cell, "/search"), { query: wanted.query, mode: wanted.mode, limit, ...(paths.length > 0 ? { paths } : {}) });
    setAnswer({ ...found, asked: wanted, tookMs: performance.now() - began });
  });
  return (
    <div class="search">
      <form class="search-form" role="search" onSubmit={(event) => { event.preventDefault(); void ask(STEP); }}>
        <input ref={box} type="search" class="grow" aria-label="What to look for" placeholder="where a session expires" value={asked.query} autofocus
          onInput={(event) => setAsked({ ...asked, query: event.currentTarget.value })} />
        <select aria-label="How" value={asked.mode} onChange={(event) => setAsked({ ...asked, mode: event.currentTarget.value })}>
          {MODES.map(([mode, name]) => <option key={mode} value={mode}>{name}</option>)}
        </select>
        <input aria-label="Only in these paths, with commas between them" placeholder="paths: src/, *.ts" value={asked.paths}
          onInput={(event) => setAsked({ ...asked, paths: event.currentTarget.value })} />
        <Button kind="primary" submit busy={busy !== null}>Search</Button>
      </form>
      <Problem error={error} />
      {answer === null && !error && (
        <Empty title="Search the code in /work">
          <p>Ask in words; what means the same is found, too. From a terminal:</p>
          <Command text={`cellar search ${cell} "where a session expires"`} />
        </Empty>
      )}
      {answer !== null && (
        <>
          <p class="faint" role="status">
            {count(answer.results.length, "hit")} in {Math.round(answer.tookMs)} ms.
            {answer.indexing !== undefined && ` So far ${Math.round(answer.indexing * 100)} % of the files are read: ask again for the rest.`}
            {answer.left_out !== undefined && ` ${count(answer.left_out, "file")} had no room in the index.`}
          </p>
          {answer.results.length === 0 && <Empty title="Nothing fits"><p>Try other words, another way, or fewer paths.</p></Empty>}
          {answer.results.map((hit) => <Hit key={`${hit.path}:${hit.start_line}`} cell={cell} hit={hit} asked={answer.asked} />)}
          {answer.results.length >= answer.asked.limit && answer.asked.limit < RESULTS_MAX && (
            <Button busy={busy !== null} onClick={() => ask(Math.min(RESULTS_MAX, answer.asked.limit + 2 * STEP))}>Show more</Button>
          )}
        </>
      )}
    </div>
  );
}

const LINES_SHOWN = 14;

function Hit({ cell, hit, asked }: { cell: string; hit: SearchResult; asked: Asked }) {
  const [all, setAll] = useState(false);
  const lines = hit.content.replace(/\n$/, "").split("\n");
  const shown = all ? lines : lines.slice(0, LINES_SHOWN);
  return (
    <article class="hit">
      <header>
        <a class="mono" href={cellAddress(cell, "files", hit.path, { line: hit.start_line })}>{hit.path}:{hit.start_line}</a>
        {hit.symbol && <code>{hit.symbol}</code>}
        <span class="faint">{hit.language}</span>
        <span class="faint grow right" title="How well it fits">{hit.score.toFixed(2)}</span>
      </header>
      <pre class="code" tabIndex={0} aria-label={`Lines ${hit.start_line} to ${hit.end_line} of ${hit.path}`}>
        {shown.map((line, index) => (
          <span class="line" key={index}>
            <span class="number" aria-hidden="true">{hit.start_line + index}</span>
            <span>{markedParts(line, asked.mode === "regex" ? "" : asked.query).map((part, at) => (part.marked ? <mark key={at}>{part.text}</mark> : part.text))}{"\n"}</span>
          </span>
        ))}
      </pre>
      {lines.length > shown.length && <Button kind="quiet" onClick={() => setAll(true)}>{count(lines.length - shown.length, "more line")}</Button>}
    </article>
  );
}
