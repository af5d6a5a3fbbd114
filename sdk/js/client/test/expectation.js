// What a case expects, compared with what came (tests/conformance/README.md).

const typeName = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : typeof value);
const shown = (value) => JSON.stringify(value instanceof Uint8Array ? { $b64: Buffer.from(value).toString("base64") } : value);

const MATCHERS = {
  $type: (want, got) => typeName(got) === want && !(got instanceof Uint8Array),
  $match: (want, got) => typeof got === "string" && new RegExp(want, "u").test(got),
  $absent: (want, got) => got === undefined,
  $any: (want, got) => got !== undefined,
  $length: (want, got) => got?.length === want,
  $min: (want, got) => typeof got === "number" && got >= want,
  $not: (want, got) => difference(want, got) !== undefined,
  $some: (want, got) => Array.isArray(got) && want.every((one) => got.some((item) => !difference(one, item))),
  $order: (want, got) =>
    Array.isArray(got) && got.reduce((at, item) => at + (at < want.length && !difference(want[at], item)), 0) === want.length,
  $b64: (want, got) => got instanceof Uint8Array && Buffer.from(got).toString("base64") === want,
  $exactly: (want, got) => !difference(want, got) && Object.keys(got).length === Object.keys(want).length,
};

/** What does not fit, and where; undefined where all does. */
export function difference(want, got, at = "it") {
  if (want !== null && typeof want === "object" && !Array.isArray(want)) {
    const names = Object.keys(want);
    const matcher = names.length === 1 ? MATCHERS[names[0]] : undefined;
    if (matcher) return matcher(want[names[0]], got) ? undefined : `${at} is ${shown(got)}, not ${shown(want)}`;
    if (typeName(got) !== "object") return `${at} is ${shown(got)}, not ${shown(want)}`;
    return first(names.map((name) => () => difference(want[name], got[name], `${at}.${name}`)));
  }
  if (!Array.isArray(want)) return Object.is(want, got) ? undefined : `${at} is ${shown(got)}, not ${shown(want)}`;
  if (!Array.isArray(got) || got.length !== want.length) return `${at} is ${shown(got)}, not ${shown(want)}`;
  return first(want.map((one, index) => () => difference(one, got[index], `${at}.${index}`)));
}

function first(checks) {
  for (const check of checks) {
    const found = check();
    if (found) return found;
  }
  return undefined;
}
