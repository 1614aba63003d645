import { MoeLabError, RequestError, type ErrorReport } from "../toolkit/errors.ts";

/** What else the HTTP layer has to know of an error. */
export interface ApiErrorReport extends ErrorReport {
  /** HTTP status, 400…599 */
  readonly status: number;
  /** The field of the request that is wrong. */
  readonly param?: string;
  /** Sent as Retry-After. */
  readonly retryAfterSeconds?: number;
}

/** An error that a client gets to see, with its HTTP status. */
export class ApiError extends RequestError {
  readonly status: number;
  readonly param: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(report: ApiErrorReport) {
    super(report);
    this.status = report.status;
    this.param = report.param ?? null;
    this.retryAfterSeconds = report.retryAfterSeconds;
  }
}

/** The body of every answer that isn't a success: OpenAI's shape, and our what, why and fix beside it. */
export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: "invalid_request_error" | "overloaded_error" | "server_error";
    readonly code: string;
    readonly param: string | null;
    readonly what: string;
    readonly why: string;
    readonly fix: string;
  };
}

export function errorBody(error: ApiError): ErrorBody {
  const { message, code, param, what, why, fix, status } = error;
  const type = status < 500 ? "invalid_request_error" : status === 503 ? "overloaded_error" : "server_error";
  return { error: { message, type, code, param, what, why, fix } };
}

/** A field of fastify's errors and of the validator's that tells the client what to change. */
interface HttpFault {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message: string;
  readonly validation?: readonly { readonly instancePath: string; readonly keyword: string; readonly params: Record<string, unknown>; readonly message?: string }[];
}

/** Turns whatever a route threw into an error that a client may see. Texts of unknown errors stay in the log:
 *  they may hold parts of a prompt. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof MoeLabError) {
    const { code, what, why, fix } = error;
    return new ApiError({ code, what, why, fix, status: error instanceof RequestError ? 400 : 500, cause: error });
  }
  const fault: HttpFault = error instanceof Error ? error : { message: "" };
  const [invalid] = fault.validation ?? [];
  if (invalid !== undefined) return invalidField(invalid);
  if (fault.statusCode !== undefined && fault.statusCode >= 400 && fault.statusCode < 500) {
    return new ApiError({
      code: "E_REQUEST_UNREADABLE", status: fault.statusCode, what: "the request can't be read", why: fault.message,
      fix: "send a JSON object with the header content-type: application/json", cause: error,
    });
  }
  return new ApiError({
    code: "E_INTERNAL", status: 500, what: "the server failed to answer", why: "an error that it doesn't know came up",
    fix: "try again; if it stays, report it with the server's log line of this request", cause: error,
  });
}

function invalidField(invalid: NonNullable<HttpFault["validation"]>[number]): ApiError {
  const named = invalid.params["missingProperty"] ?? invalid.params["additionalProperty"];
  const path = invalid.instancePath.slice(1).replaceAll("/", ".");
  const param = typeof named === "string" ? [path, named].filter((part) => part !== "").join(".") : path;
  const isUnknown = invalid.keyword === "additionalProperties";
  const subject = param === "" ? "the body" : `"${param}"`;
  return new ApiError({
    code: isUnknown ? "E_REQUEST_UNKNOWN_FIELD" : "E_REQUEST_INVALID", status: 400, param: param === "" ? "body" : param,
    what: isUnknown ? `${subject} is no field of this request` : invalid.keyword === "required" ? `${subject} is missing` : `${subject} ${invalid.message ?? "is invalid"}`,
    why: isUnknown ? "an unknown field is refused, because a misspelt setting would otherwise be ignored silently" : "the request doesn't fit the schema of this route",
    fix: isUnknown ? "leave it out or correct its spelling" : `send ${subject} as the API describes it`,
  });
}
