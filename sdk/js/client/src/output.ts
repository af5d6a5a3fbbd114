// What programs write: text where it is UTF-8, bytes where it is not.

export type Output = { type: "stdout" | "stderr" } & (
  { text: string; bytes?: undefined } | { bytes: Uint8Array; text?: undefined }
);

/** Of an event's data, `{text}` or `{b64}`. */
export function outputOf(type: "stdout" | "stderr", data: string): Output {
  const piece = JSON.parse(data) as { text?: string; b64?: string };
  return piece.b64 === undefined ? { type, text: piece.text ?? "" } : { type, bytes: bytesOf(piece.b64) };
}

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
