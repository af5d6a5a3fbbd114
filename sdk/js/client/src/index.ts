export type * as api from "./generated.js";
export type { AgentCallOptions } from "./agent.js";
export {
  Cell,
  type Command,
  type DiffOptions,
  type EventsOptions,
  type ExecItem,
  type ExecOptions,
  type SearchOptions,
  type SearchProgress,
} from "./cell.js";
export { Checkpoints, type CheckpointOptions } from "./checkpoints.js";
export { Agents, Cellar, Cells } from "./client.js";
export { Domains } from "./domains.js";
export {
  AgentError,
  CellarError,
  ConflictError,
  ConnectionError,
  ExhaustedError,
  ForbiddenError,
  InternalError,
  InvalidArgumentError,
  NotFoundError,
  PreconditionFailedError,
  RateLimitedError,
  TimedOutError,
  TimeoutError,
  TooLargeError,
  UnauthenticatedError,
  UnavailableError,
  type ErrorFields,
} from "./errors.js";
export {
  FileContent,
  Files,
  type Content,
  type FileChange,
  type FileEntry,
  type FileList,
  type FileStat,
  type GlobOptions,
  type GrepAnswer,
  type GrepMatch,
  type GrepOptions,
  type ReadOptions,
  type WriteOptions,
  type Written,
} from "./files.js";
export type { FollowOptions } from "./follow.js";
export { Items } from "./items.js";
export type { Output } from "./output.js";
export { Processes, type Input, type ProcessItem, type StartOptions } from "./processes.js";
export { Runs, type AwaitOptions, type RunEventsOptions, type View } from "./runs.js";
export { Terminal, type TerminalItem } from "./terminal.js";
export type { CallOptions, CellarOptions } from "./transport.js";
