const WORDS_MAX = 16;

/** A line in parts: those that are words of the query are marked, whatever their case. */
export function markedParts(line: string, query: string): { text: string; marked: boolean }[] {
  const words = [...new Set(query.toLowerCase().match(/[\p{L}\p{N}_]{3,}/gu) ?? [])].slice(0, WORDS_MAX);
  if (words.length === 0) return [{ text: line, marked: false }];
  const pattern = new RegExp(`(${words.sort((a, b) => b.length - a.length).join("|")})`, "giu");
  return line.split(pattern).map((text, index) => ({ text, marked: index % 2 === 1 })).filter((part) => part.text !== "");
}
