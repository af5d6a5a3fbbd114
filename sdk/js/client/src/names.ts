// snake_case on the wire, camelCase here; what is the application's own keeps its names.

import { FREE_NAMES } from "./generated.js";

const toCamel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const toSnake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function renamed(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, rename));
  if (value === null || typeof value !== "object") return value;
  const made: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    made[rename(name)] = FREE_NAMES.has(name) ? member : renamed(member, rename);
  }
  return made;
}

export const fromWire = <T>(value: unknown): T => renamed(value, toCamel) as T;
export const toWire = (value: unknown): unknown => renamed(value, toSnake);
