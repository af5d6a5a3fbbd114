// One class for each family of errors: what a caller does about it depends on the family alone.

/** What an error's body says, with what is known besides. */
export interface ErrorFields {
  status?: number;
  code?: string;
  cause?: unknown;
  remediation?: string;
  retryable?: boolean;
  requestId?: string;
  /** How long the server asks to wait before another try. */
  retryAfterMs?: number;
  /** The run that it is of, where the daemon says so. */
  run?: string;
  /** How many bytes of its input a process took before it took no more for too long. */
  taken?: number;
}

/** Everything that this SDK throws by itself, but for the `reason` of an `AbortSignal`. */
export class CellarError extends Error {
  /** The HTTP status; absent where there was no answer. */
  readonly status: number | undefined;
  /** For programs: "cell_not_found". */
  readonly code: string;
  /** What to do about it. */
  readonly remediation: string | undefined;
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly run: string | undefined;
  /** Of input for a process (`input_not_taken`): how many bytes it took. The rest is to be sent again. */
  readonly taken: number | undefined;

  constructor(message: string, fields: ErrorFields = {}) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = new.target.name;
    this.status = fields.status;
    this.code = fields.code ?? "unknown";
    this.remediation = fields.remediation;
    this.retryable = fields.retryable ?? false;
    this.requestId = fields.requestId;
    this.retryAfterMs = fields.retryAfterMs;
    this.run = fields.run;
    this.taken = fields.taken;
  }
}

/** 400, every 4xx that has no class of its own, and a redirect: the call can never succeed as it is. */
export class InvalidArgumentError extends CellarError {}
/** 401: no key, or a wrong one. */
export class UnauthenticatedError extends CellarError {}
/** 403: the key may not do this. */
export class ForbiddenError extends CellarError {}
/** 404. */
export class NotFoundError extends CellarError {}
/** 409: the thing is in another state than the call needs. */
export class ConflictError extends CellarError {}
/** 412: the file is another one than `ifMatch` or `ifNoneMatch` says. */
export class PreconditionFailedError extends CellarError {}
/** 413: a body, a name or a list above its limit. */
export class TooLargeError extends CellarError {}
/** 429: too many calls. */
export class RateLimitedError extends CellarError {}
/** 507: a quota or a limit of the machine; another try helps only after something is freed. */
export class ExhaustedError extends CellarError {}
/** 502, 503: the same call may succeed later. */
export class UnavailableError extends CellarError {}
/** 504: a wait of the server's ended. */
export class TimedOutError extends CellarError {}
/** 500: a fault of the daemon. */
export class InternalError extends CellarError {}
/** The agent's method threw. */
export class AgentError extends CellarError {}
/** Nobody answered, or the answer broke off. */
export class ConnectionError extends CellarError {}
/** The call's own `timeoutMs` was over. */
export class TimeoutError extends CellarError {}

type ErrorClass = new (message: string, fields: ErrorFields) => CellarError;

const CLASSES: Record<number, ErrorClass> = {
  401: UnauthenticatedError,
  403: ForbiddenError,
  404: NotFoundError,
  409: ConflictError,
  412: PreconditionFailedError,
  413: TooLargeError,
  429: RateLimitedError,
  502: UnavailableError,
  503: UnavailableError,
  504: TimedOutError,
  507: ExhaustedError,
};

// What a proxy means by them passes.
export const PASSING: ReadonlySet<number | undefined> = new Set([429, 502, 503, 504]);
// Those that are no fault of the agent, though they are a 500.
const OWN_CODES = new Set(["internal", "corrupt"]);

/** Who answers with a 500: the daemon, or the agent's method that was called. */
export type Callee = "daemon" | "agent";

/** The error that an answer means. Never throws: what is no JSON (a proxy's page) is told by its status. */
export function errorOf(status: number, text: string, headers?: Headers, callee: Callee = "daemon"): CellarError {
  let body: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed !== null && typeof parsed === "object") body = parsed as Record<string, unknown>;
  } catch {
    // Told below.
  }
  const string = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : undefined);
  const code = string("code");
  const ofAgent = callee === "agent" && status === 500 && !OWN_CODES.has(code ?? "internal");
  const kind = ofAgent ? AgentError : (CLASSES[status] ?? (status >= 500 ? InternalError : InvalidArgumentError));
  const location = headers?.get("location");
  const said = location ? `the server answered ${status} to ${location}: give that address as baseUrl` : undefined;
  return new kind(string("error") ?? said ?? `the server answered with ${status}`, {
    status,
    code: code ?? `http_${status}`,
    cause: body["cause"],
    remediation: string("remediation"),
    retryable: typeof body["retryable"] === "boolean" ? body["retryable"] : PASSING.has(status),
    requestId: string("request_id"),
    run: headers?.get("x-cellar-run") ?? undefined,
    retryAfterMs: retryAfter(headers?.get("retry-after")),
    taken: typeof body["taken"] === "number" ? body["taken"] : undefined,
  });
}

/** The error that an event of a stream tells, which has no status. */
export function errorOfEvent(text: string): CellarError {
  const told = errorOf(0, text);
  const kind = told.code.endsWith("_not_found") ? NotFoundError : told.retryable ? UnavailableError : InternalError;
  const { code, cause, remediation, retryable, requestId } = told;
  return new kind(told.message, { code, cause, remediation, retryable, requestId });
}

/** Seconds or a date, as milliseconds from now. */
export function retryAfter(header: string | null | undefined): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
