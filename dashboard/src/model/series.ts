/** Values over time, the newest so many; for charts: [times in s, values, values, …]. */
export class Series {
  readonly columns: number[][];

  constructor(private readonly max: number, values: number) {
    this.columns = Array.from({ length: values + 1 }, () => []);
  }

  add(atMs: number, ...values: number[]): void {
    [atMs / 1000, ...values].forEach((value, index) => {
      const column = this.columns[index]!;
      column.push(value);
      if (column.length > this.max) column.shift();
    });
  }
}

/** How much a second, between two readings of a counter; 0 where it began anew. */
export function rate(before: number, after: number, ms: number): number {
  return ms <= 0 || after < before ? 0 : ((after - before) * 1000) / ms;
}
