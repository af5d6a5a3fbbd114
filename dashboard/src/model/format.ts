// Numbers and times for people.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

/** "3 ms", "1.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0).replace(/\.0$/, "")} s`;
  const steps: [number, string, number, string][] = [
    [3_600_000, "min", 60_000, "s"],
    [86_400_000, "h", 3_600_000, "min"],
    [Infinity, "d", 86_400_000, "h"],
  ];
  for (const [limit, name, unit, below] of steps) {
    if (ms >= limit) continue;
    const whole = Math.floor(ms / unit);
    const rest = Math.floor((ms - whole * unit) / (unit / (name === "d" ? 24 : 60)));
    return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${below}`;
  }
  return "";
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** "just now", "5 s ago", "in 3 min": to one unit. */
export function fromNow(iso: string, now: number): string {
  const ms = Date.parse(iso) - now;
  if (Math.abs(ms) < 2000) return "just now";
  const [short = "", unit = ""] = duration(Math.floor(Math.abs(ms) / 1000) * 1000).split(" ");
  return ms < 0 ? `${short} ${unit} ago` : `in ${short} ${unit}`;
}

export function clockTime(iso: string): string {
  const date = new Date(iso);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** As JSON with line breaks; cut off with a word about it beyond `chars`. */
export function json(value: unknown, chars = 20_000): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
  return text.length <= chars ? text : `${text.slice(0, chars)}\n… ${count(text.length - chars, "more character")}`;
}

/** A word for a shell: as it is where nothing in it is special, else quoted. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
