import type { Policy } from "../api/types";

/** Entries as they are typed: one a line, or with commas or spaces between them. */
export function entriesOf(text: string): string[] {
  return [...new Set(text.split(/[\s,]+/).filter((entry) => entry !== ""))];
}

export function asPolicy(policy: Policy | string): Policy {
  if (policy === "allow-all") return { allow: ["*"] };
  if (typeof policy === "string") return {};
  return policy;
}

/** In one line, for both domains of a cell or one of them. */
export function summary(policy: Policy | string): string {
  const { allow, deny, presets } = asPolicy(policy);
  const parts = [...(presets ?? []).map((name) => `preset ${name}`), ...(allow ?? [])];
  const allowed = parts.length === 0 ? "Nothing is allowed" : `Allowed: ${parts.join(", ")}`;
  return (deny ?? []).length === 0 ? allowed : `${allowed}; denied before: ${deny!.join(", ")}`;
}
