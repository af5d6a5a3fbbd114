// What the cell uses, as long as somebody looks: the API tells counters and not their past.
import { useEffect, useRef, useState } from "preact/hooks";
import { Client } from "../api/client";
import type { Cell, CellUsage, Network } from "../api/types";
import { bytes } from "../model/format";
import { rate, Series } from "../model/series";
import { useClient } from "../ui/context";
import { Panel, Problem } from "../ui/parts";
import type { Chart, Line } from "../ui/chart";

const POLL_MS = 2000;
const POINTS_MAX = 900; // half an hour of readings

export function Usage({ cell }: { cell: Cell }) {
  const client = useClient();
  const id = cell.cell_id;
  const network = useRef(new Series(POINTS_MAX, 2));
  const connections = useRef(new Series(POINTS_MAX, 1));
  const disk = useRef(new Series(POINTS_MAX, 1));
  const processor = useRef(new Series(POINTS_MAX, 1));
  const newest = useRef(cell);
  newest.current = cell;
  const [, redraw] = useState(0);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    let before: { at: number; up: number; down: number; cpu: number } | null = null;
    let gone = false;
    const read = async () => {
      if (document.hidden) return;
      try {
        const [{ usage }, { cpu }] = await Promise.all([
          client.call<Network>(Client.pathOf(id, "/network")), client.call<CellUsage>(Client.pathOf(id, "/usage")),
        ]);
        if (gone) return;
        const at = Date.now();
        if (before !== null) {
          network.current.add(at, rate(before.up, usage.bytes_up, at - before.at), rate(before.down, usage.bytes_down, at - before.at));
          processor.current.add(at, 100 * rate(before.cpu, cpu.seconds, at - before.at));
        }
        before = { at, up: usage.bytes_up, down: usage.bytes_down, cpu: cpu.seconds };
        connections.current.add(at, usage.connections_open);
        const used = newest.current.disk?.used_bytes;
        if (used !== undefined) disk.current.add(at, used);
        setError(null);
        redraw((count) => count + 1);
      } catch (failure) {
        if (!gone) setError(failure);
      }
    };
    void read();
    const timer = setInterval(read, POLL_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [client, id]);
  return (
    <>
      <h2>Usage</h2>
      <p class="faint">Read every {POLL_MS / 1000} s since you opened this page; nothing of before is kept. Memory is not told by the API yet.</p>
      <Problem error={error} />
      <Panel title="Processor, of one">
        <ChartView lines={[{ name: "used", colour: "accent" }]} columns={processor.current.columns} format={(value) => `${Math.round(value)} %`} least={20} />
      </Panel>
      <Panel title="Network, a second">
        <ChartView lines={[{ name: "sent", colour: "chart-2" }, { name: "received", colour: "accent" }]} columns={network.current.columns} format={(value) => `${bytes(value)}/s`} least={4096} />
      </Panel>
      <div class="panels">
        <Panel title="Open connections"><ChartView lines={[{ name: "open", colour: "accent" }]} columns={connections.current.columns} format={String} least={4} /></Panel>
        <Panel title="Disk">
          {cell.disk ? <ChartView lines={[{ name: "used", colour: "accent" }]} columns={disk.current.columns} format={bytes} least={4 << 20} />
            : <p class="faint">It was not measured yet: that is done while something runs in the cell.</p>}
        </Panel>
      </div>
    </>
  );
}

function ChartView({ lines, columns, format, least }: { lines: Line[]; columns: number[][]; format(value: number): string; least: number }) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const shown = useRef(columns);
  shown.current = columns;
  useEffect(() => {
    let gone = false;
    void import("../ui/chart").then(({ openChart }) => {
      if (gone || place.current === null) return;
      chart.current = openChart(place.current, { lines, format, least });
      chart.current.show(shown.current);
    });
    return () => {
      gone = true;
      chart.current?.close();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.show(columns.map((column) => [...column])));
  const last = columns.slice(1).map((column, index) => `${lines[index]!.name} ${column.length > 0 ? format(column.at(-1)!) : "not known yet"}`).join(", ");
  return <div class="chart" ref={place} role="img" aria-label={last} />;
}
