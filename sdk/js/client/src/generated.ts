// Made from docs/api/openapi.yaml by tools/generate.js: change that, not this.

export type AuditEntry = {
  seq: number;
  at: string;
  /** The key's id, or that of the key that made the token; empty: nobody known */
  key: string;
  owner: string;
  via: "key" | "token" | "";
  /** The `operationId` of this description; `refused` and `lost` for many at once */
  operation: string;
  /** The id in the path, of a cell, a key or a domain; of what was made */
  target: string;
  /** The client's address */
  from: string;
  /** 0: the client left before an answer */
  status: number;
  /** Of an error */
  code: string;
  requestId: string;
  /** Refusals of one second that are not in the log themselves */
  leftOut: number;
  /** Calls that are not in the log, as they waited for a disk that takes nothing; absent: none */
  lost?: number;
  /** SHA-256 of the line before */
  prev: string;
};

export type Key = {
  id: string;
  name: string;
  owner: string;
  scopes: ("read" | "write" | "admin" | "metrics")[];
  createdAt: string;
  expiresAt: string | null;
  /** Kept on disk within a minute */
  lastUsedAt: string | null;
};

export type Process = {
  id: string;
  /** Its words, the first 256 bytes of them. */
  command: string;
  /** As commands in the cell see it. */
  pid: number;
  terminal: boolean;
  status: "running" | "exited";
  startedAt: string;
  endedAt?: string;
  /** 128 + the number of the signal that ended it. */
  exitCode?: number;
  signal?: number;
  timedOut?: boolean;
  /** Its domain ended under it. */
  lost?: boolean;
  lostBy?: LostBy;
  /** The place of the oldest byte that is kept. */
  outputFirst: number;
  /** The place of the next byte. */
  outputNext: number;
};

export type TerminalSize = {
  columns?: number;
  rows?: number;
};

export type Event = {
  seq: number;
  ts: string;
  type: string;
  /** Whose it is; without it, it is of the cell itself. */
  run?: string;
  /**
   * The ordinal of the step that said it: in `stdout`, `stderr`, `llm.delta`, `llm.usage`, and what is
   * streamed and logged inside of a step. A `reset` and a `step.retry` of that step take back what it said
   * before.
   */
  step?: number;
  /** What the type says. `FilesChanged` of a `files.changed`. */
  data: FilesChanged | unknown;
};

/**
 * The data of an event `files.changed`: what happened to files below `/work`, in its order, but for what
 * search leaves out. A file that came and went meanwhile is not there. With `reset` it is not known what
 * happened before: list the files again.
 */
export type FilesChanged = {
  changes: {
    kind: "created" | "modified" | "deleted" | "renamed";
    /** Relative to `/work`. */
    path: string;
    type: "file" | "directory";
    /** Where one that was renamed was. */
    from?: string;
  }[];
  /** More happened than `changes` names: below `folders`. */
  more?: boolean;
  /**
   * Something happened below these that is not named: list them again. Of a folder that search leaves out
   * (`node_modules`, `.git`, what a `.gitignore` names), that something happened directly in it.
   */
  folders?: string[];
  reset?: boolean;
  /**
   * Of a `reset`. `enabled`: this is the first event. `daemon_restart`: no daemon looked for a time.
   * `overflow`: more happened than the kernel keeps. `unsettled`: it fell asleep while somebody still changed
   * files, or with no room to tell it. `watch_limit`, or another code of an error: they cannot be watched.
   * `watched_again`: now they can.
   */
  reason?: string;
  /** `false`: nothing is told before the next `reset`. */
  watching?: boolean;
  /** Why they cannot be watched. */
  message?: string;
};

/** Records for the domain's DNS, one of which proves whose it is. */
export type DnsRecords = {
  type: "TXT" | "CNAME";
  name: string;
  value: string;
}[];

/**
 * `external`: TLS is ended before the daemon; `none`: nobody has asked for a certificate, or the domain is
 * not verified yet.
 */
export type SslStatus = "external" | "none" | "provisioning" | "active" | "failed" | "expired";

export type Domain = {
  domain: string;
  cellId: string;
  /** The owner. */
  developerId: string;
  /** A verified one is served. */
  domainStatus: "pending" | "verified";
  sslStatus: SslStatus;
  /** Of the certificate that is in use. */
  certExpiresAt?: string;
  /** It has two labels: its DNS may hold no CNAME. */
  isApexDomain: boolean;
  createdAt: string;
  dnsInstructions?: DnsRecords;
};

export type PolicyEntries = string[] | null;

export type DomainPolicy = "allow-all" | "deny-all" | {
  allow?: PolicyEntries;
  deny?: PolicyEntries;
  presets?: PolicyPresets;
  rules?: PolicyRules;
} | null;

export type Secret = {
  /** With `hosts` one line of 8 bytes to 8 KiB. */
  value: string;
  /**
   * Where the value may go: names, or `*.name`, on port 443 or on the one behind a colon. The cell then has a
   * placeholder instead, which is replaced in headers of requests to these hosts, over TLS only. Without it
   * the value itself is a variable of the agent.
   */
  hosts?: string[] | null;
  /** Set this header to the value in each request to `hosts`, whatever the program sends. */
  header?: string | null;
  /** Whether commands have the placeholder, too, and may use it; false where absent. */
  shell?: boolean | null;
};

export type SecretView = {
  name: string;
  hosts?: string[];
  header?: string;
  shell?: boolean;
};

/**
 * For requests to hosts that `allow` has. The first that fits decides; a request that none fits is sent as it
 * is. TLS to these hosts is opened by the daemon.
 */
export type PolicyRules = {
  /** A name or `*.name`, on 80 and 443 or on the port behind a colon. */
  host: string;
  /** Every request to the host where it is absent. */
  match?: {
    method?: string | null;
    /** This path, or, with a `*` at its end, those that begin so. */
    path?: string | null;
  } | null;
  headers?: RuleHeaders;
  /** A base URL to send it to instead; its host must be one of the daemon's `--forward-to`. */
  forward?: string | null;
  /** The answer, given by the daemon; nothing is sent. From 400 on it is told as a refusal. */
  respond?: {
    status: number;
    headers?: RuleHeaders;
    /** At most 64 KiB. */
    body?: string | null;
  } | null;
}[] | null;

/** Take the place of headers of these names. */
export type RuleHeaders = Record<string, string> | null;

export type PolicyPresets = ("npm" | "pypi" | "debian" | "github" | "llm")[] | null;

/**
 * Entries of `deny` are looked at first, then those of `allow` and of the presets; the first that fits
 * decides, and what none fits is refused. `allow-all` is `{allow: ["*"]}`: every name and every public
 * address, on every TCP port. `deny-all` is `{}`.
 */
export type NetworkPolicy = "allow-all" | "deny-all" | {
  allow?: PolicyEntries;
  deny?: PolicyEntries;
  presets?: PolicyPresets;
  rules?: PolicyRules;
  agent?: DomainPolicy;
  shell?: DomainPolicy;
  limits?: {
    /** At a time, of each domain; 256 where absent. */
    connections?: number | null;
    /** Both ways together; any where absent. */
    bytesPerS?: number | null;
    /** The same in the life of the cell. */
    bytes?: number | null;
  } | null;
};

export type Network = {
  policy: NetworkPolicy;
  /** In the life of the cell. A daemon that was killed has forgotten up to ten seconds, and what was open. */
  usage: {
    /** From the cell. */
    bytesUp: number;
    bytesDown: number;
    /** Those that were refused, too. */
    connections: number;
    /** At the moment. */
    connectionsOpen: number;
    refusals: number;
    /** Allowed, but nobody answered. */
    failures: number;
    /** For names. */
    questions: number;
  };
  /**
   * Ports of the policy that a program in the cell had bound before; nothing outside is reached there.
   * Loopback ones, where the machine can do better.
   */
  portsTaken: number[];
  /** The last 100 since the daemon runs, the newest last; the same one once in 10 s. */
  refusals: {
    at: string;
    domain: "agent" | "shell";
    /** A name or an address; `*`: any. */
    host: string;
    /** 53: the name was asked for, and did not resolve. */
    port: number;
    reason: "not_listed" | "denied" | "unknown_address" | "name_mismatch" | "no_name" | "malformed" | "private_address" | "too_many_connections" | "byte_limit" | "rule" | "forward_not_listed" | "bad_certificate" | "distrusted" | "tls_failed" | "secret_elsewhere" | "secret_in_clear" | "secret_misplaced" | "secret_unknown" | "secret_echo";
    /** The entry or rule that refused it; absent where none fits. */
    rule?: string;
    /** The name of the secret whose placeholder was not replaced. */
    secret?: string;
    /** What is wrong with the certificate. */
    detail?: string;
    /** What to change so that it is allowed. */
    remediation?: string;
  }[];
};

export type Ok = {
  ok: true;
};

export type Error = {
  /** For people. */
  error: string;
  /** For programs */
  code: string;
  /** In a stream that has begun only: the status that it would have had as an answer. */
  status?: number;
  /** What to do about it. */
  remediation?: string;
  /** Of input for a process (`input_not_taken`): how many of its bytes were written. */
  taken?: number;
  /** Whether the same call may succeed later. Of a 507 something has to be freed first. */
  retryable: boolean;
  requestId: string;
};

export type RpcFailure = {
  jsonrpc: "2.0";
  id: null;
  error: {
    /** -32700 no JSON, -32600 no message. */
    code: number;
    message: string;
  };
};

export type CreateCell = {
  customerId: string;
  tier?: "starter" | "standard" | "performance" | null;
  permanent?: boolean | null;
  /**
   * The name of an image of this daemon. `default` (also where absent) is the image of that name, or `dev`
   * where none was made; `dev` is a view of the host. For the life of the cell: another one for a cell that
   * is there is a 409.
   */
  image?: string | null;
  /**
   * What runs the cell's processes: the machine's kernel, or gVisor, a kernel of its own in front of it.
   * Where absent, the daemon's floor (`native` where none is set). For the life of the cell: another one for
   * a cell that is there is a 409.
   */
  runtime?: "native" | "gvisor" | null;
  /** The agent's source: CommonJS or ESM, or Python. */
  agent?: string | null;
  /**
   * What `agent` is written in; `javascript` where absent. Runs that are under way stay with the agent, and
   * the language, that they began with.
   */
  agentLanguage?: "javascript" | "python" | null;
  /**
   * Replaces all. A text is a variable of the agent's environment, never of commands. A secret with `hosts`
   * never comes into the cell.
   */
  secrets?: Record<string, string | Secret> | null;
  /** The network policy `{allow: [...]}`, with the limits that the cell has. Not together with `network`. */
  allow?: string[] | null;
  network?: NetworkPolicy | null;
  /**
   * The cell pauses when nothing has kept it awake for so long. Where absent, what the daemon was started
   * with (900).
   */
  idleTimeoutS?: number | null;
  /**
   * A cell that is busy for longer, with nobody asking it for anything meanwhile, is stopped: its runs are
   * paused with the reason `max_awake`, its processes end. 0: never. Where absent, what the daemon was
   * started with (a day).
   */
  maxAwakeS?: number | null;
  llm?: LlmSettings | null;
  /**
   * How long runs are kept after they have ended; they may be removed then, the oldest first, when the cell
   * hibernates or the daemon starts. 0: for ever. Where absent, what the daemon was started with (30 days).
   */
  runRetentionS?: number | null;
  /** Whether its events tell what happens to its files, as `files.changed`. It begins as false. */
  fileEvents?: boolean | null;
  /** Who may see its preview: holders of a link or a key (as it begins), or everybody. */
  previewAccess?: "private" | "public" | null;
  /** Where its preview leads; 0, as it begins: to the lowest port from 1024 on that somebody listens on. */
  previewPort?: number | null;
};

export type Cell = {
  cellId: string;
  customerId: string;
  tier: string;
  status: "active" | "paused";
  state?: "active" | "paused" | "hibernated";
  permanent: boolean;
  /** By name. `dev`: a view of the host, for development. */
  image: string;
  /** Which image that was when the cell was made; absent for `dev`. */
  imageDigest?: string;
  agentDigest?: string;
  agentLanguage?: "javascript" | "python";
  llm: Llm;
  /** Seconds that runs are kept after they have ended; 0: for ever. */
  runRetentionS: number;
  /** Whether its events tell what happens to its files. */
  fileEvents: boolean;
  createdAt: string;
  lastActiveAt: string;
  /** Of the default port. A path on the daemon's own address where it has no `--preview-domain`. */
  previewUrl: string;
  preview: {
    access: "private" | "public";
    /** The default one; absent: the lowest from 1024 on that somebody listens on. */
    port?: number;
  };
  /**
   * TCP ports that programs of the shell domain listen on, the lowest 256 of them; none in a hibernated cell,
   * in a list as they were up to a second ago.
   */
  ports: {
    port: number;
    /** When it was first seen. */
    since: string;
  }[];
  runtime: "native" | "gvisor";
  /** `allow` of its network policy; all of it is at /network. */
  allow: string[];
  limits: {
    memoryBytes: number;
    pids: number;
    cpuMillis: number;
    /** Of /work, /root and what the cell changed of /. */
    diskBytes: number;
    /** Files and folders of the same. */
    inodes: number;
    /**
     * `counted`: the daemon counts, and ends what runs in a cell that has more. `project`: the file system
     * refuses bytes and files above the limits (`EDQUOT`; on xfs `ENOSPC`), ext4 and xfs. `qgroup`: btrfs
     * refuses bytes, files are counted.
     */
    diskEnforcedBy: "counted" | "project" | "qgroup";
    /**
     * Which of these hold nobody back, as the daemon has no cgroups; empty where root started it, or its user
     * was given some. `pids` then holds for each user in the cell.
     */
    notEnforced: ("memory_bytes" | "pids" | "cpu_millis")[];
  };
  /** What the daemon and its machine give to cells. */
  isolation: {
    level: "full" | "reduced";
    /** What `full` has and is not there; as `cellar doctor` names it. */
    missing: {
      id: string;
      means: string;
    }[];
  };
  /** When it was measured last; absent before. */
  disk?: {
    usedBytes: number;
    usedInodes: number;
  };
  idle: {
    /** Nothing has kept it awake since. */
    since: string;
    timeoutS: number;
    /** 0: no limit. */
    maxAwakeS: number;
    /** Absent where it does not pause: it is busy, permanent or paused already. */
    pausesAt?: string;
    /** Whatever goes on in it, unless somebody asks it for something. Absent where there is no such limit. */
    stopsAt?: string;
    blockers: {
      /** `processes`: they use more of a processor than the daemon's `--busy-cpu-percent`. */
      kind: "run" | "request" | "command" | "stream" | "terminal" | "lease" | "processes" | "preview" | "permanent";
      detail: string;
      since: string;
    }[];
  };
  /** When it is brought back; absent where nobody said so. */
  wakeAt?: string;
  /** Of a paused cell. */
  pause?: {
    since: string;
    /**
     * Memory of its processes that this pause moved to swap; absent before that (`--page-out-after-s`). What
     * an earlier pause moved and nobody touched since is there, too, and not counted again. 0 where the
     * machine has no swap.
     */
    pagedOutBytes?: number;
  };
  /**
   * How the cell came back the last time: from a pause (`memory`), from hibernation or a machine that was
   * switched off (`disk`), or to a daemon that was started again.
   */
  resume?: {
    from: "memory" | "disk";
    processes: {
      /** 0 from `disk`. */
      survived: number;
      /**
       * The commands and the agent host that ran and do not run any more, in the order in which they were
       * started. What they had started themselves is lost, too. Runs go on from their last finished step.
       */
      lost: LostProgram[];
    };
    tookMs: number;
  };
};

/**
 * Why a program has no end of its own: the cell was hibernated, was awake for too long, or was deleted; the
 * daemon that ran it ended, or the machine was switched off; or somebody killed what keeps its domain.
 */
export type LostBy = "domain_ended" | "daemon_ended" | "hibernated" | "max_awake" | "deleted";

export type LostProgram = {
  domain: "shell" | "agent";
  /** As it was in that domain. */
  pid: number;
  /** Its words, with spaces between them. */
  command: string;
  lostBy: LostBy;
};

export type Tier = {
  id: string;
  name: string;
  spec: string;
  activePrice: number;
  pausedPrice: number;
  storage: string;
};

/** Permissions as octal digits, 0 to 777. */
export type FileMode = string;

export type Checkpoint = {
  id: string;
  name?: string;
  message?: string;
  createdAt: string;
  /** The newest event of the cell by then. */
  seq: number;
  files: number;
  /** Of all files; on the disk the same bytes are there once. */
  bytes: number;
  databaseBytes: number;
  /**
   * Why nothing of it can be used: its record on the disk cannot be read. Only `id` is known then; delete it.
   * Absent where it is well.
   */
  damaged?: string;
  /** What is not in it as it was. Absent where everything is. */
  notExact?: {
    /** Pipes, sockets and devices: left out. */
    special: number;
    /** Files above 1 GiB: named, without their bytes. */
    tooLarge: number;
    /** Files that changed each time they were read, or went meanwhile. */
    unsteady: number;
  };
};

export type Diff = {
  from: Checkpoint;
  /** Absent: now. */
  to?: Checkpoint;
  /** All that was found, also what `limit` leaves out. */
  summary: {
    added: number;
    deleted: number;
    modified: number;
    renamed: number;
    modeChanged: number;
  };
  changes: FileChange[];
  truncated?: boolean;
  /**
   * What ended it: `limit` changes, 8 MiB of patches, 10 s, 200,000 files (what is beyond them is not told as
   * deleted), or patterns of a .gitignore that took too long to compare: then no change is told.
   */
  truncatedBy?: "changes" | "bytes" | "time" | "files" | "patterns";
};

export type FileChange = {
  path: string;
  change: "added" | "deleted" | "modified" | "renamed" | "mode_changed";
  before?: FileEntry;
  after?: FileEntry;
  /** It is no text: there is no patch. */
  binary?: boolean;
  /** It is too long for a patch, or its bytes are not kept. */
  tooLarge?: boolean;
  /** For git apply; empty where git keeps nothing of the change. */
  patch?: string;
};

export type FileEntry = {
  path: string;
  type: "file" | "directory" | "symlink" | "other";
  size: number;
  mtime: string;
  /** As octal digits: 0644. */
  mode: string;
  /** Of a link: what it says. */
  target?: string;
};

export type FileStat = FileEntry & {
  /** Of a file: as ETag of a read. */
  etag?: string;
};

export type FileList = {
  files: FileEntry[];
  truncated?: boolean;
};

export type Written = {
  ok: boolean;
  /** Of the file, in bytes. */
  size?: number;
  /** As ETag of a read; absent where a program of the cell has changed the file since. */
  etag?: string;
  /** Of an archive: files and links that were unpacked. */
  files?: number;
  /** Of an archive: the size of its files. */
  bytes?: number;
};

export type GrepResult = {
  matches: {
    path: string;
    line: number;
    /** The line, at most 1,000 bytes of it. */
    text: string;
    before?: string[];
    after?: string[];
    /** The line is longer. */
    cut?: boolean;
  }[];
  /** That were searched. */
  files: number;
  skipped: {
    binary: number;
    tooLarge: number;
  };
  truncated?: boolean;
  /** What ended it: `limit`, 4 MiB of lines or a walk's end, or 10 s. */
  truncatedBy?: "limit" | "size" | "time";
};

export type Exec = {
  cmd: string | string[];
  cwd?: string | null;
  env?: Record<string, string> | null;
  stdin?: string | null;
  timeoutMs?: number | null;
  limits?: {
    outputBytes?: number;
    openFiles?: number;
    fileBytes?: number;
    /**
     * Of all processes of the command together, within the cell's own limit, like the next ones. Beyond it
     * one is killed, and the result has `oom`.
     */
    memoryBytes?: number | null;
    pids?: number | null;
    /** 1000 is one processor. */
    cpuMillis?: number | null;
    /** Its share where others of the cell want the processor, too. 100 is usual. */
    cpuWeight?: number | null;
  } | null;
};

export type ExecResult = {
  stdout: string;
  stderr: string;
  exitCode: number;
  signal?: number;
  timedOut: boolean;
  oom: boolean;
  /** True: the cell's processes ended under it, and its exit code is none of its own. */
  lost?: boolean;
  lostBy?: LostBy;
  truncated: boolean;
  /** Killed, as the cell had more on disk than it may. */
  diskFull?: boolean;
  durationMs: number;
};

export type SearchResult = {
  path: string;
  content: string;
  score: number;
  startLine: number;
  endLine: number;
  symbol?: string;
  language?: string;
};

export type Symbol = {
  name: string;
  kind: "function" | "type" | "module" | "macro" | "value" | "other";
  path: string;
  line: number;
  language?: string;
};

/**
 * There is more to read than a search waits for (1 s): only this part of the files was searched. The rest is
 * read meanwhile. Absent once all is.
 */
export type Indexing = number;

export type SearchStatus = {
  /** Those that are searched. */
  files: number;
  /** Known, but binary, minified, above 1 MB or without room. */
  skipped: number;
  documents: number;
  chunks: number;
  symbols: number;
  textBytes: number;
  /** About what the index takes. */
  memoryBytes: number;
  /**
   * Files without room in the index, and those that came after patterns of a .gitignore had taken too long to
   * compare.
   */
  leftOut: number;
  indexing?: Indexing;
  /**
   * Whether changed files are told by the kernel. Where they are not, for too many folders or cells
   * (`fs.inotify`), each query looks at every file, and takes longer.
   */
  watching: boolean;
};

export type Run = {
  id: string;
  method: string;
  status: "running" | "waiting" | "paused" | "completed" | "failed" | "cancelled";
  /**
   * Why it is paused: `crash_loop`, the agent ended five times with no finished step between, or while one
   * step was executed, which `detail` names with what the agent printed last (`output`);
   * `agent_host_missing`, the cell's image has no `node`, or `python3`, that starts, or one that is too old
   * for agents; `replay_mismatch`, the agent asks for something else than the journal holds (`detail` says it
   * in words, `message`, and has both, the `ordinal`, the last five that `matched`, and a likely `cause`);
   * `ambiguous_step`, a step may or may not have been done; `values_sealed`, what a sensitive step gave was
   * sealed with another key; `secrets_sealed`, its cell's secrets were; `budget`, the tokens that it, or its
   * cell, may use of models are used; `user`, by `pause`; `run_too_long`, it has asked for 100,000 things, or
   * their names take 32 MiB; `replay_too_large`, it has recorded more than an agent is given at once;
   * `journal_full`, it says more than there is room for; `max_awake`, its cell was busy too long;
   * `disk_full`, the cell cannot start; or the code of another error. `detail` says more. Or what it waits
   * for: `sleep`, `event`, `approval`, `child`. Or `rollback`, where it undoes what its steps did. Or what it
   * stands still for: `no_capacity`, the machine has no room to wake its cell; `journal_full`, the disk has
   * none for its journal; `backoff`, the pause after its agent has ended; `other_agent`, runs of an agent in
   * another language have the process; `retry`, its steps have failed and are tried again (`retry_at` of the
   * step). Absent where it is executed now.
   */
  reason?: string;
  attempt: number;
  startedAt: string;
  endedAt?: string;
  stepsDone: number;
  /** The version of the agent that it runs on. */
  agentDigest?: string;
  /** How often it began with ctx.continueAs, and one; absent for 1. */
  generation?: number;
  /** Tokens that ctx.llm has taken for it; absent for none. */
  llmTokens?: number;
  /** The run that it was restarted from. */
  restartedFrom?: string;
  /** The run that began it with ctx.spawn. */
  parent?: string;
};

export type LlmBudget = {
  /** Of input and output, of all models together. */
  tokens: number;
  /** Whose they are: the cell's in its life, or each run's. */
  per?: "cell" | "run";
};

/**
 * Whether the cell has ctx.llm, and its budget; without one it has the daemon's. Once it is spent, a run that
 * asks for more is paused (`budget`).
 */
export type LlmSettings = boolean | {
  enabled?: boolean;
  budget?: LlmBudget | null;
};

export type Llm = {
  enabled: boolean;
  budget?: LlmBudget;
};

export type CellUsage = {
  cellId: string;
  /** In the life of the cell. Requests are those that were answered, or broke off within their answers. */
  llm: {
    requests: number;
    inputTokens: number;
    outputTokens: number;
    models: Record<string, {
      requests: number;
      inputTokens: number;
      outputTokens: number;
    }>;
    budget?: LlmBudget;
    /** Who has set it. */
    budgetOf?: "cell" | "daemon";
  };
  network: {
    bytesUp: number;
    bytesDown: number;
    connections: number;
  };
  cpu: {
    /** Of one processor, by all of its processes, as far as the daemon has seen them. */
    seconds: number;
    /** When the daemon began to look. */
    since: string;
  };
  runs: {
    kept: number;
    /** Steps that have ended in the runs that are kept. */
    steps: number;
  };
};

export type RunDetail = Run & {
  /** Of its `generation`: what it was begun with, or what ctx.continueAs gave. */
  params: unknown;
  result?: unknown;
  /**
   * `{name, message, stack, code?, rollback?}`; `rollback` is `{done, failed?: {name, error}, not_run?}`, the
   * names of steps.
   */
  error?: unknown;
  detail?: unknown;
  /** The events that it has got and not waited for yet, by type, the first 100; absent for none. */
  keptEvents?: {
    type: string;
    count: number;
  }[];
  steps: {
    ordinal: number;
    name: string;
    kind: "step" | "shell" | "fetch" | "llm" | "spawn" | "sleep" | "wait" | "approval" | "child";
    /**
     * `interrupted`: it was under way when its run was paused, ended or began to roll back. It is executed
     * again where the run is resumed, unless something else is decided about it.
     */
    status: "running" | "waiting" | "interrupted" | "completed" | "failed";
    /** Its value, its errors and its progress are kept sealed, and redacted wherever they would be shown. */
    sensitive?: "output";
    /** 1, and one for each that failed and was followed by another. */
    attempts: number;
    /** When it is tried again: it has failed, and is in the pause before that. */
    retryAt?: string;
    /** When the wait ends by itself. */
    until?: string;
    /** The type of the event that it waits for. */
    type?: string;
    match?: Record<string, unknown>;
    /** Of a `child`: the run that it waits for, or waited for. */
    run?: string;
    prompt?: string;
    data?: unknown;
    /** How often its body was started. */
    executed: number;
    startedAt: string;
    endedAt?: string;
  }[];
};

export type GetHealthAnswer = {
  status: "ok";
  version: string;
};

export type PostMcpQuery = {
  /** The tools are for this cell alone, and take no `cell_id`. */
  cell?: string;
};

export type ListCellsQuery = {
  limit?: number;
  /** `next_cursor` of the page before; cells may be deleted meanwhile */
  cursor?: string;
};

export type ListCellsAnswer = {
  cells: Cell[];
  nextCursor?: string;
};

export type ListTiersAnswer = {
  tiers: Tier[];
};

export type ListEventsQuery = {
  after?: number;
  /**
   * Without `after`, begin with the newest so many, looked for in the newest 4,000 records, or 64 MiB of
   * them.
   */
  tail?: number;
  /** Only these, with commas between them, at most 32: `cell.*,run.completed`. */
  types?: string;
  /**
   * `committed`: only what can never be thrown away again; docs/guide/events.md says what is left out, and
   * what waits. Of a run: `steps` are those that have ended, and waits.
   */
  view?: "live" | "committed";
  /** Of a list. It may hold less while there is more. */
  limit?: number;
};

export type ListEventsAnswer = {
  events: Event[];
  /** What to give as `after` to go on. */
  lastSeq: number;
  more: boolean;
  stale: boolean;
};

export type KeepAliveBody = {
  /** 0: no longer. */
  seconds: number;
};

export type WakeAtBody = {
  /** At most 366 days from now. */
  at: string | null;
};

export type SetPreviewBody = {
  /** `private`: holders of a link or a key. */
  access?: "private" | "public" | null;
  /** The default port; 0: the lowest from 1024 on that somebody listens on. */
  port?: number | null;
};

export type CreatePreviewLinkBody = {
  /** Opens this port only; absent: the whole preview. */
  port?: number | null;
  /** 3600 where absent. */
  expiresInS?: number | null;
};

export type CreatePreviewLinkAnswer = {
  url: string;
  expiresAt: string;
};

export type SetPermanentBody = {
  permanent: boolean;
};

export type ListSecretsAnswer = {
  secrets: SecretView[];
};

export type RequestBody = {
  method: string;
  params?: unknown;
};

export type RequestQuery = {
  /**
   * `committed`: only what can never be thrown away again; docs/guide/events.md says what is left out, and
   * what waits. Of a run: `steps` are those that have ended, and waits.
   */
  view?: "live" | "committed";
};

export type ListRootQuery = {
  /** The entries of a folder, as JSON. */
  list?: "0" | "1";
  /** With list=1: those of all folders in it, too. */
  recursive?: "0" | "1";
  /** What is at the path itself, as JSON; a link is not followed. */
  stat?: "0" | "1";
  /** The folder as a tar archive, piece by piece: files, folders and links. */
  tar?: "0" | "1";
  /**
   * An event stream of what happens below the folder: `ready`, then `created`, `modified`, `deleted`,
   * `renamed` ({path, type, from?}); `overflow` where more happened than is told (list again). Each has an
   * `id`; a client that comes back with the last one (`after` or `Last-Event-ID`) gets `reset` in place of
   * `ready`: what happened between is not told (list again). It neither wakes the cell nor keeps it awake.
   */
  watch?: "0" | "1";
  /** With watch=1: what search leaves out, too. */
  all?: "0" | "1";
  /** With watch=1: the `id` of the event that was seen last. */
  after?: number;
};

export type UnpackRootQuery = {
  tar?: "1";
};

export type RenameFileBody = {
  from: string;
  to: string;
  overwrite?: boolean;
};

export type MakeFolderBody = {
  path: string;
  mode?: FileMode;
};

export type MakeFolderAnswer = {
  ok: boolean;
  made: boolean;
};

export type SetFileModeBody = {
  path: string;
  mode: FileMode;
};

export type GlobFilesBody = {
  /**
   * Relative to `path`: `*`, `?`, `[a-z]` within a name, `**` any folders, `{a,b}` one of these; at its end
   * `/`: folders only.
   */
  pattern: string;
  path?: string;
  limit?: number;
  all?: boolean;
};

export type GrepFilesBody = {
  /** Of RE2; a match is within one line. */
  pattern: string;
  /** A folder, or one file. */
  path?: string;
  /** Only files that these name, as of POST …/search. */
  paths?: string[];
  /** The pattern is a text. */
  literal?: boolean;
  ignoreCase?: boolean;
  /** So many lines before and after. */
  context?: number;
  limit?: number;
  /** What search leaves out, too. */
  all?: boolean;
};

export type ListCheckpointsQuery = {
  limit?: number;
  /** `next_cursor` of the page before; checkpoints may be deleted meanwhile */
  cursor?: string;
};

export type ListCheckpointsAnswer = {
  checkpoints: Checkpoint[];
  nextCursor?: string;
};

export type CreateCheckpointBody = {
  /** No other checkpoint of the cell has it; not "now", and not beginning with "cp_". */
  name?: string;
  message?: string;
};

export type DiffFilesQuery = {
  /** A checkpoint, by id or name; else the newest one. */
  from?: string;
  /** The same, or `now`. */
  to?: string;
  /** Only what is there, or below. */
  path?: string;
  /** What search leaves out, too: .git, packages, caches, what a .gitignore names. */
  all?: "0" | "1";
  /** No patches. */
  names?: "0" | "1";
  /** So many changes. */
  limit?: number;
  /** `patch`: all patches in one, for git apply. */
  format?: "json" | "patch";
};

export type ReadFileQuery = {
  /** The entries of a folder, as JSON. */
  list?: "0" | "1";
  /** With list=1: those of all folders in it, too. */
  recursive?: "0" | "1";
  /** What is at the path itself, as JSON; a link is not followed. */
  stat?: "0" | "1";
  /** The folder as a tar archive, piece by piece: files, folders and links. */
  tar?: "0" | "1";
  /**
   * An event stream of what happens below the folder: `ready`, then `created`, `modified`, `deleted`,
   * `renamed` ({path, type, from?}); `overflow` where more happened than is told (list again). Each has an
   * `id`; a client that comes back with the last one (`after` or `Last-Event-ID`) gets `reset` in place of
   * `ready`: what happened between is not told (list again). It neither wakes the cell nor keeps it awake.
   */
  watch?: "0" | "1";
  /** With watch=1: what search leaves out, too. */
  all?: "0" | "1";
  /** With watch=1: the `id` of the event that was seen last. */
  after?: number;
};

export type WriteFileQuery = {
  /** Permissions as octal digits; without them a file keeps its own, and a new one has 644. */
  mode?: FileMode;
  /** Add the body at the end of the file (at most 16 MiB). */
  append?: "0" | "1";
  /**
   * The body is a tar archive to be unpacked in the folder; no size limit but the disk of the cell. What came
   * before a refused entry stays. It takes no If-Match and no If-None-Match.
   */
  tar?: "0" | "1";
};

export type ListProcessesAnswer = {
  processes: Process[];
};

export type StartProcessBody = {
  /** A line for /bin/sh, or the words of a command. With a terminal it may be left out, a login shell. */
  cmd?: string | string[];
  cwd?: string;
  env?: Record<string, string>;
  /** It reads what is sent to it; else its input is empty. */
  stdin?: boolean;
  /** It has a terminal of this size for all of its input and output. */
  terminal?: boolean | TerminalSize;
  /** Without it, none. */
  timeoutMs?: number;
  /** As those of a command, but for its output. */
  limits?: Record<string, number>;
};

export type ReadProcessOutputQuery = {
  /** The place to begin at. */
  after?: number;
};

export type ReadProcessOutputAnswer = {
  output: {
    stream: "stdout" | "stderr";
    begin: number;
    text?: string;
    b64?: string;
  }[];
  /** The place of the oldest byte that is kept. */
  first: number;
  /** Where to go on. */
  next: number;
  ended: boolean;
};

export type AttachProcessQuery = {
  /** The place to begin at. */
  after?: number;
};

export type WriteProcessInputQuery = {
  /** 1: nothing follows. */
  end?: 0 | 1;
};

export type SignalProcessBody = {
  /** SIGTERM, TERM or 15. */
  signal: string | number;
};

export type SearchBody = {
  query: string;
  limit?: number | null;
  /**
   * `auto`, by words and by meaning; `semantic`, by meaning only; `lexical`, by words only; `regex`, the
   * query is a regular expression in RE2's syntax, of at most 1024 bytes, and each hit is the lines that a
   * match is on, in the order of paths.
   */
  mode?: "auto" | "semantic" | "lexical" | "regex" | null;
  /**
   * Only files that one of these patterns names, or a folder above them. Patterns are those of a .gitignore
   * in /work (`src/`, `*.ts`, `docs/** /*.md`); one with `!` takes out again, and if the first has it, all
   * other files count.
   */
  paths?: string[] | null;
  /** Only files in these languages, named as `language` in a result. */
  languages?: string[] | null;
  /** At most so many hits in one file; by default 1, for `regex` no limit. */
  chunksPerFile?: number | null;
};

export type SearchAnswer = {
  results: SearchResult[];
  /**
   * There are more files or more text than the index takes in (200,000 files, 256 MiB of text, 1 GiB of
   * memory), or patterns of a .gitignore take too long to compare: so many files are in no result. Absent
   * where none are.
   */
  leftOut?: number;
  /** The expression takes too long: what was found in 1.5 s. */
  truncatedBy?: "time";
  indexing?: Indexing;
};

export type SearchSymbolsBody = {
  /** A name; of `a::b` and `a.b` it is b. */
  query: string;
  limit?: number | null;
};

export type SearchSymbolsAnswer = {
  symbols: Symbol[];
  indexing?: Indexing;
};

export type PutSearchDocumentBody = {
  /** Its name, at most 4096 bytes; it need not be a path. */
  path: string;
  /** At most 1,000,000 bytes. */
  text: string;
};

export type RemoveSearchDocumentBody = {
  path: string;
};

export type RemoveSearchDocumentAnswer = {
  /** Whether there was one of that name. */
  removed: boolean;
};

export type ListRunsQuery = {
  limit?: number;
  /** `next_cursor` of the page before */
  cursor?: string;
};

export type ListRunsAnswer = {
  runs: Run[];
  nextCursor?: string;
};

export type StartRunBody = {
  method: string;
  params?: unknown;
};

export type AwaitRunQuery = {
  /** Seconds; 30 where there is none. */
  timeout?: number;
  /**
   * `committed`: only what can never be thrown away again; docs/guide/events.md says what is left out, and
   * what waits. Of a run: `steps` are those that have ended, and waits.
   */
  view?: "live" | "committed";
};

export type GetRunQuery = {
  /**
   * `committed`: only what can never be thrown away again; docs/guide/events.md says what is left out, and
   * what waits. Of a run: `steps` are those that have ended, and waits.
   */
  view?: "live" | "committed";
};

export type StreamRunQuery = {
  after?: number;
  /**
   * `committed`: only what can never be thrown away again; docs/guide/events.md says what is left out, and
   * what waits. Of a run: `steps` are those that have ended, and waits.
   */
  view?: "live" | "committed";
};

export type SendEventBody = {
  id?: string;
  type: string;
  payload?: unknown;
};

export type SendEventAnswer = {
  id: string;
  duplicate: boolean;
};

export type ApproveStepBody = {
  approved: boolean;
  /** The name given to `ctx.approve`; may be left out where only one waits. */
  step?: string;
  by?: string;
  comment?: string;
};

export type CancelRunBody = {
  /**
   * For the agent's own clean-up; 1000 where there is none. What has not let go by then is ended. A run that
   * waits, and has left the agent, ends at once.
   */
  graceMs?: number;
  /**
   * Whether the rollbacks of the completed steps are executed, the last one first, before the run is
   * cancelled; so for the runs that it has begun. Rollbacks have the time that their steps have. Another
   * cancel without it ends them.
   */
  rollback?: boolean;
};

export type ResumeRunBody = {
  step?: {
    decision: "retry" | "fail" | "value";
    value?: unknown;
    /** Of the step that is meant. */
    ordinal?: number;
    /** Which execution of it is meant. */
    executed?: number;
  };
  /** On the cell's agent of today. Its trial (`replay`) must pass first: else 409 `upgrade_differs`. */
  upgrade?: boolean;
};

export type ReplayRunBody = {
  /** Its source; where absent, the cell's agent of today. */
  agent?: string | null;
  /**
   * What `agent` is written in; where absent, the language of the run. Another one is 409
   * `replay_unsupported`.
   */
  agentLanguage?: "javascript" | "python" | null;
};

export type ReplayRunAnswer = {
  ok: boolean;
  /** The ordinal that it came to. */
  matched: number;
  agentDigest: string;
  /**
   * What differs: in words (`message`), and `expected`, `got`, `matched`, `ordinal`, a likely `cause`; or the
   * error that was thrown; null where nothing.
   */
  detail: unknown;
};

export type RestartRunBody = {
  /** The name of a step of this run, or its ordinal. */
  from?: string | number | null;
  /** With all that is recorded. 409 `step_undone` also of a run that has rolled back. */
  fromEnd?: boolean;
  /**
   * On the cell's agent of today. With `from` or `from_end` its trial with what is recorded must pass first
   * (as `replay`): else 409 `upgrade_differs`, and nothing has begun.
   */
  upgrade?: boolean;
};

export type CreateTokenBody = {
  scopes: ("read" | "write")[];
  expiresInS?: number;
};

export type CreateTokenAnswer = {
  token: string;
  expiresAt: string;
};

export type ReloadSettingsAnswer = {
  taken: string[];
  /** They hold from the next start on, and are told each time until then. */
  needsRestart: string[];
};

export type ListAuditQuery = {
  /** `next_cursor` of the page before, or the `seq` behind which to begin */
  cursor?: number;
  limit?: number;
};

export type ListAuditAnswer = {
  entries: AuditEntry[];
  nextCursor?: string;
};

export type ListKeysAnswer = {
  keys: Key[];
};

export type CreateKeyBody = {
  /** For people */
  name: string;
  /** Whose cells it reaches; else those of the key that asks */
  owner?: string;
  scopes: ("read" | "write" | "admin" | "metrics")[];
  /** Else it does not expire */
  expiresInS?: number;
};

export type ListDomainsAnswer = {
  domains: Domain[];
};

export type AddDomainBody = {
  domain: string;
  cellId: string;
};

export type ReassignDomainBody = {
  cellId: string;
};

export type VerifyDomainAnswer = {
  dnsVerified: boolean;
  domainStatus: "pending" | "verified";
  dnsInstructions?: DnsRecords;
};

export type ProvisionSslAnswer = {
  sslStatus: SslStatus;
  certExpiresAt?: string;
  message?: string;
};

/** Members, as the wire has them, below which names are the application's own and stay as they are. */
export const FREE_NAMES: ReadonlySet<string> = new Set([
  "data",
  "detail",
  "env",
  "error",
  "headers",
  "match",
  "models",
  "params",
  "payload",
  "result",
  "secrets",
  "value",
]);
