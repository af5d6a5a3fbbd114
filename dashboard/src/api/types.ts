// What the API answers, as docs/api/openapi.yaml describes it; only what the pages use.

export interface Blocker { kind: string; detail: string; since: string }

export interface Cell {
  cell_id: string;
  customer_id: string;
  tier: string;
  status: "active" | "paused";
  state?: "active" | "paused" | "hibernated";
  permanent: boolean;
  image: string;
  runtime: string;
  agent_digest?: string;
  agent_language?: string;
  created_at: string;
  last_active_at: string;
  preview_url: string;
  preview: { access: "private" | "public"; port?: number };
  ports: { port: number; since: string }[];
  limits: { memory_bytes: number; pids: number; cpu_millis: number; disk_bytes: number; inodes: number; not_enforced: string[] };
  isolation: { level: string; missing: { id: string; means: string }[] };
  disk?: { used_bytes: number; used_inodes: number };
  idle: { since: string; timeout_s: number; max_awake_s: number; pauses_at?: string; stops_at?: string; blockers: Blocker[] };
  wake_at?: string;
  pause?: { since: string; paged_out_bytes?: number };
  resume?: { from: string; processes: { survived: number; lost: { command: string; lost_by: string }[] }; took_ms: number };
}

export interface Tier { id: string; name: string; spec: string }

export interface FileEntry { path: string; type: "file" | "directory" | "symlink" | "other"; size: number; mtime: string }

export type RunStatus = "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled";

export interface Run {
  id: string;
  method: string;
  status: RunStatus;
  reason?: string;
  attempt: number;
  started_at: string;
  ended_at?: string;
  steps_done: number;
  agent_digest?: string;
  restarted_from?: string;
}

export interface Step {
  ordinal: number;
  name: string;
  kind: string;
  status: "running" | "waiting" | "interrupted" | "completed" | "failed";
  sensitive?: string;
  attempts: number;
  executed: number;
  started_at: string;
  ended_at?: string;
  until?: string;
  type?: string;
  run?: string;
  prompt?: string;
  data?: unknown;
}

export interface RunDetail extends Run {
  params: unknown;
  result?: unknown;
  error?: { name?: string; message?: string; stack?: string; code?: string };
  detail?: unknown;
  steps: Step[];
}

export interface CellEvent { seq: number; ts: string; type: string; run?: string; step?: number; data: unknown }

export interface Process {
  id: string;
  command: string;
  pid: number;
  terminal: boolean;
  status: "running" | "exited";
  started_at: string;
  exit_code?: number;
  lost_by?: string;
  output_first: number;
  output_next: number;
}

export interface SearchResult { path: string; content: string; score: number; start_line: number; end_line: number; symbol?: string; language?: string }
export interface SearchAnswer { results: SearchResult[]; left_out?: number; indexing?: number }

export interface Policy {
  allow?: string[] | null;
  deny?: string[] | null;
  presets?: string[] | null;
  agent?: unknown;
  shell?: unknown;
  limits?: unknown;
}

export interface Refusal { at: string; domain: string; host: string; port: number; reason: string; rule?: string; remediation?: string }

export interface Network {
  policy: Policy | string;
  usage: { bytes_up: number; bytes_down: number; connections: number; connections_open: number; refusals: number; failures: number };
  refusals: Refusal[];
}

export interface CellUsage { cpu: { seconds: number; since: string } }
