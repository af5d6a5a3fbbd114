/** More is not edited in a browser. */
export const EDITED_BYTES_MAX = 2 << 20;

/** The text of a file, or null where its bytes are none: it could not be written back as it was. */
export function textOf(content: Uint8Array): string | null {
  if (content.includes(0)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return null;
  }
}

/** Folders first, then by name. */
export function inOrder<T extends { path: string; type: string }>(entries: T[]): T[] {
  const rank = (entry: T) => (entry.type === "directory" ? 0 : 1);
  return [...entries].sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path, "en", { numeric: true }));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** All folders above a path: "a/b/c" is in "a" and "a/b". */
export function foldersAbove(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
