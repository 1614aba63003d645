import { randomInt, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { ApiError, errorBody, toApiError } from "../apiErrors.ts";
import type { DecodeJob } from "../decodeMessages.ts";
import type { CompletionEvent, Scheduler } from "../scheduler.ts";
import { completionRequestSchema, completionResponseSchema, type CompletionRequest, type CompletionResponse, type FinishReason } from "../schemas.ts";

type Choice = CompletionResponse["choices"][number];
type Started = Extract<CompletionEvent, { kind: "started" }>;

/** POST /v1/completions: one answer, or a stream of server-sent events. */
export function registerCompletions(app: FastifyInstance, scheduler: Scheduler): void {
  app.post<{ Body: CompletionRequest }>("/v1/completions", {
    schema: { body: completionRequestSchema, response: { 200: completionResponseSchema } },
  }, async (request, reply) => {
    const { body } = request;
    const modelName = scheduler.model?.name ?? "";
    if (scheduler.model !== undefined) checkModel(body.model, modelName);
    const events = scheduler.submit(jobOf(body), whenClosed(reply))[Symbol.asyncIterator]();
    // Errors that are known only now, such as a prompt that is too long, still get their own status.
    const first = await events.next();
    if (first.done === true || first.value.kind !== "started") throw new Error("a sequence began without its started event");
    const completion = new Completion(modelName, first.value, body.moe_experts);
    const rest = { [Symbol.asyncIterator]: () => events };
    if (body.stream !== true) return await reply.send(await completion.collect(rest));
    reply.header("cache-control", "no-store").header("x-accel-buffering", "no").type("text/event-stream; charset=utf-8");
    return await reply.send(Readable.from(completion.stream(rest)));
  });
}

/** One answer in the making. */
class Completion {
  private readonly frame: Pick<CompletionResponse, "id" | "object" | "created" | "model">;
  private readonly promptTokens: number;
  private readonly showsExperts: boolean;
  private completionTokens = 0;

  constructor(model: string, { promptTokens }: Started, showsExperts: boolean) {
    this.frame = { id: `cmpl-${randomUUID()}`, object: "text_completion", created: Math.floor(Date.now() / 1000), model };
    this.promptTokens = promptTokens;
    this.showsExperts = showsExperts;
  }

  async collect(events: AsyncIterable<CompletionEvent>): Promise<CompletionResponse> {
    let text = "";
    let reason: FinishReason | null = null;
    const experts: (readonly (readonly number[])[])[] = [];
    for await (const event of events) {
      if (event.kind === "started") continue;
      text += event.text;
      if (event.kind === "finished") reason = event.reason;
      else {
        this.completionTokens += 1;
        if (event.expertIds !== undefined) experts.push(event.expertIds);
      }
    }
    return { ...this.frame, choices: [this.choice(text, reason, experts)], usage: this.usage() };
  }

  /** Server-sent events: one for each token, the last with finish_reason and usage, then [DONE]. */
  async *stream(events: AsyncIterable<CompletionEvent>): AsyncGenerator<string> {
    try {
      for await (const event of events) {
        if (event.kind === "token") {
          this.completionTokens += 1;
          const experts = event.expertIds === undefined ? [] : [event.expertIds];
          yield sse({ ...this.frame, choices: [this.choice(event.text, null, experts)] });
        } else if (event.kind === "finished") {
          yield sse({ ...this.frame, choices: [this.choice(event.text, event.reason, [])], usage: this.usage() });
          yield "data: [DONE]\n\n";
        }
      }
    } catch (error) {
      // The status line is sent already: the error is the stream's last event, and [DONE] doesn't follow.
      yield sse(errorBody(toApiError(error)));
    }
  }

  private choice(text: string, reason: FinishReason | null, experts: Choice["moe_experts"]): Choice {
    return { index: 0, text, logprobs: null, finish_reason: reason, ...(this.showsExperts ? { moe_experts: experts } : {}) };
  }

  private usage(): NonNullable<CompletionResponse["usage"]> {
    const prompt_tokens = this.promptTokens;
    const completion_tokens = this.completionTokens;
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
  }
}

function sse(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

function jobOf(body: CompletionRequest): DecodeJob {
  return {
    prompt: body.prompt, maxTokens: body.max_tokens, temperature: body.temperature, topK: body.top_k, topP: body.top_p,
    seed: body.seed ?? randomInt(2 ** 32), stop: typeof body.stop === "string" ? [body.stop] : (body.stop ?? []),
    wantsExpertIds: body.moe_experts,
  };
}

function checkModel(asked: string | undefined, served: string): void {
  if (asked === undefined || asked === served) return;
  throw new ApiError({
    code: "E_MODEL_NOT_FOUND", status: 404, param: "model", what: `model "${asked}" isn't served here`,
    why: `this server has one model, "${served}"`, fix: `ask for "${served}" or leave "model" out`,
  });
}

/** @returns a signal that aborts when the connection closes before the answer is complete */
function whenClosed({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => {
    if (!raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
