// Charts, loaded when the first one is shown.
import uPlot from "uplot";

export interface Line { name: string; colour: string }

export interface Chart {
  show(columns: number[][]): void;
  close(): void;
}

const HEIGHT = 190;
const SHOWN_S_MIN = 60; // A line is never drawn wider than this: two readings are no curve.

export interface ChartOptions {
  lines: Line[];
  format(value: number): string;
  least: number; // what the axis reaches at least
}

const clock = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString("en-GB");

// Nothing was read yet: both are null, and now is what is shown.
function spanOf(min: number | null, max: number | null): [number, number] {
  const end = max ?? Date.now() / 1000;
  return [Math.min(min ?? end, end - SHOWN_S_MIN), end];
}

export function openChart(parent: HTMLElement, { lines, format, least }: ChartOptions): Chart {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot({
    width: parent.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { range: (_, min, max) => spanOf(min, max) },
      y: { range: (_, __, max) => [0, Math.max(least, max * 1.15)] },
    },
    axes: [
      { ...axis, space: 90, values: (_, ticks) => ticks.map(clock) },
      { ...axis, size: 84, space: 40, incrs: stepsFrom(least / 4), values: (_, ticks) => ticks.map(format) },
    ],
    series: [
      { label: "At", value: (_, at) => (at === null ? "" : clock(at)) },
      ...lines.map((line) => ({ label: line.name, stroke: colour(line.colour), width: 2, points: { show: false }, value: (_: uPlot, value: number | null) => (value === null ? "–" : format(value)) })),
    ],
  }, [[], ...lines.map(() => [])], parent);
  const watch = new ResizeObserver(() => parent.clientWidth > 0 && plot.setSize({ width: parent.clientWidth, height: HEIGHT }));
  watch.observe(parent);
  return {
    show: (columns) => plot.setData(columns as uPlot.AlignedData),
    close: () => {
      watch.disconnect();
      plot.destroy();
    },
  };
}

/** Distances between lines of the grid: none so small that its numbers would look alike. */
function stepsFrom(least: number): number[] {
  const powers = Array.from({ length: 44 }, (_, power) => 2 ** power);
  return powers.filter((step) => step >= least);
}
