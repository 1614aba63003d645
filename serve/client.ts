import { RequestError, ServerError } from "../toolkit/errors.ts";
import type { ErrorBody } from "./apiErrors.ts";
import type { CompletionResponse, FinishReason } from "./schemas.ts";

/** What is asked of a server. */
export interface CompletionSettings {
  readonly prompt: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly stop?: string | readonly string[];
  /** Report the experts that ran for each token. */
  readonly experts?: boolean;
  readonly signal?: AbortSignal;
}

/** One event of a stream: the text of one token, which may be empty inside a character of many bytes. */
export interface CompletionPiece {
  readonly text: string;
  /** Set in the last piece. */
  readonly finishReason?: FinishReason;
  /** Experts by layer, best first; only with `experts`. */
  readonly expertIds?: readonly (readonly number[])[];
}

/** Streams a completion. Leaving the loop early ends the request on the server.
 *  @param url address of the server, e.g. "http://127.0.0.1:8000"
 *  @throws RequestError or ServerError with the server's own code, what, why and fix; ServerError E_STREAM_BROKEN */
export async function* streamCompletion(url: string, settings: CompletionSettings): AsyncGenerator<CompletionPiece> {
  const { prompt, maxTokens, temperature, topK, topP, seed, stop, experts = false } = settings;
  const leaving = new AbortController();
  const signal = settings.signal === undefined ? leaving.signal : AbortSignal.any([leaving.signal, settings.signal]);
  const response = await request(`${url}/v1/completions`, {
    method: "POST", signal, headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt, max_tokens: maxTokens, temperature, top_k: topK, top_p: topP, seed, stop, stream: true, moe_experts: experts }),
  });
  try {
    for await (const data of serverSentData(response)) {
      if (data === "[DONE]") return;
      const event = JSON.parse(data) as CompletionResponse | ErrorBody;
      if ("error" in event) throw answerError(500, event);
      const [choice] = event.choices;
      if (choice === undefined) continue;
      const expertIds = choice.moe_experts?.[0];
      yield {
        text: choice.text,
        ...(choice.finish_reason === null ? {} : { finishReason: choice.finish_reason }),
        ...(expertIds === undefined ? {} : { expertIds }),
      };
    }
    throw streamBroken();
  } catch (error) {
    if (error instanceof TypeError) throw streamBroken(error); // how fetch says that the connection was cut
    throw error;
  } finally {
    leaving.abort();
  }
}

function streamBroken(cause?: unknown): ServerError {
  return new ServerError({
    code: "E_STREAM_BROKEN", what: "the stream ended before [DONE]", why: "the connection or the server went away",
    fix: "send the request again, and look into the server's log if it happens again", cause,
  });
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch rejects with TypeError when it can't connect
    throw new ServerError({
      code: "E_SERVER_UNREACHABLE", what: `${url} can't be reached`, why: error.cause instanceof Error ? error.cause.message : error.message,
      fix: "start the server with startServer or moe-lab serve, and check its address", cause: error,
    });
  }
  if (response.ok) return response;
  throw answerError(response.status, await response.json() as ErrorBody);
}

function answerError(status: number, { error: { code, what, why, fix } }: ErrorBody): RequestError | ServerError {
  return status < 500 ? new RequestError({ code, what, why, fix }) : new ServerError({ code, what, why, fix });
}

/** The data fields of a stream of server-sent events, one for each event (WHATWG HTML §9.2; our server sends one line each). */
async function* serverSentData({ body }: Response): AsyncGenerator<string> {
  if (body === null) return;
  const decoder = new TextDecoder();
  let buffered = "";
  for await (const bytes of body) {
    buffered += decoder.decode(bytes as Uint8Array, { stream: true });
    const events = buffered.split("\n\n");
    buffered = events.pop() ?? "";
    for (const event of events) if (event.startsWith("data: ")) yield event.slice("data: ".length);
  }
}
