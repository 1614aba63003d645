/** What every error of MoE Lab tells: a stable code, what happened, why it is wrong and what to do. */
export interface ErrorReport {
  /** Stable name, upper case, starts with E_, e.g. "E_SHAPE_CHANNELS". */
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  readonly cause?: unknown;
}

/** The parent of all typed errors; catch it to catch only ours. */
export class MoeLabError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;

  constructor(report: ErrorReport) {
    super(`${report.what}. ${report.why}. Fix: ${report.fix}. [${report.code}]`, { cause: report.cause });
    this.name = new.target.name;
    this.code = report.code;
    this.what = report.what;
    this.why = report.why;
    this.fix = report.fix;
  }

  toJSON(): Omit<ErrorReport, "cause"> & { name: string } {
    return { name: this.name, code: this.code, what: this.what, why: this.why, fix: this.fix };
  }
}

/** Tensor shapes or dtypes that don't fit an op. */
export class ShapeError extends MoeLabError {}
/** Settings that cannot be. */
export class ConfigError extends MoeLabError {}
/** Router input or assignment that cannot be. */
export class RoutingError extends MoeLabError {}
/** The backend, its addon or its device. */
export class BackendError extends MoeLabError {}
/** Text, datasets and readers. */
export class DataError extends MoeLabError {}
/** Training that cannot go on. */
export class TrainingError extends MoeLabError {}
/** Checkpoints, bundles and other files of a run that are missing, corrupt or can't be written. */
export class FileFormatError extends MoeLabError {}
/** A request that generation or the server can't take. */
export class RequestError extends MoeLabError {}
/** A server or a child process that can't start or stop. */
export class ServerError extends MoeLabError {}
