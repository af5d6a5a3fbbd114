// Charts, loaded when the first one is shown.
import uPlot from "uplot";

export interface Line { name: string; colour: string }

export interface Chart {
  show(columns: number[][]): void;
  close(): void;
}

const HEIGHT = 190;

export function openChart(parent: HTMLElement, lines: Line[], format: (value: number) => string): Chart {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot({
    width: parent.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.15)] } },
    axes: [axis, { ...axis, size: 84, values: (_, ticks) => ticks.map(format) }],
    series: [
      { value: (_, at) => (at === null ? "" : new Date(at * 1000).toLocaleTimeString("en-GB")) },
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
