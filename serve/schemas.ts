/** JSON schemas of what the server takes and gives. Unknown fields are refused. */

/** Body of POST /v1/completions. Fields of OpenAI that could change the result and aren't done here are accepted only
 *  with the value that changes nothing, so that clients which always send them work. */
export const completionRequestSchema = {
  type: "object",
  required: ["prompt"],
  additionalProperties: false,
  properties: {
    model: { type: "string", maxLength: 200 },
    prompt: { type: "string" },
    max_tokens: { type: "integer", minimum: 1, maximum: 1_000_000, default: 16 },
    temperature: { type: "number", minimum: 0, maximum: 100, default: 1 },
    top_p: { type: "number", exclusiveMinimum: 0, maximum: 1, default: 1 },
    top_k: { type: "integer", minimum: 0, default: 0 },
    stop: {
      anyOf: [
        { type: "null" },
        { type: "string", minLength: 1, maxLength: 1000 },
        { type: "array", maxItems: 4, items: { type: "string", minLength: 1, maxLength: 1000 } },
      ],
    },
    seed: { type: ["integer", "null"], minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    stream: { type: ["boolean", "null"], default: false },
    stream_options: { type: ["object", "null"] },
    user: { type: "string" },
    moe_experts: { type: "boolean", default: false },
    n: { enum: [1, null] },
    best_of: { enum: [1, null] },
    echo: { enum: [false, null] },
    logprobs: { enum: [null] },
    suffix: { enum: ["", null] },
    logit_bias: { anyOf: [{ type: "null" }, { type: "object", maxProperties: 0 }] },
    presence_penalty: { enum: [0, null] },
    frequency_penalty: { enum: [0, null] },
  },
} as const;

/** The same body as TypeScript sees it after the schema filled in the defaults. */
export interface CompletionRequest {
  readonly model?: string;
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: number;
  readonly top_p: number;
  readonly top_k: number;
  readonly stop?: string | readonly string[] | null;
  readonly seed?: number | null;
  readonly stream: boolean | null;
  readonly moe_experts: boolean;
}

export type FinishReason = "stop" | "length";

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Answer of POST /v1/completions, and each event of its stream. */
export interface CompletionResponse {
  readonly id: string;
  readonly object: "text_completion";
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: 0;
    readonly text: string;
    readonly logprobs: null;
    readonly finish_reason: FinishReason | null;
    /** For each token, for each layer, the ids of the experts that ran; only with moe_experts. */
    readonly moe_experts?: readonly (readonly (readonly number[])[])[];
  }[];
  readonly usage?: Usage;
}

export const completionResponseSchema = {
  type: "object",
  required: ["id", "object", "created", "model", "choices", "usage"],
  properties: {
    id: { type: "string" },
    object: { const: "text_completion" },
    created: { type: "integer" },
    model: { type: "string" },
    choices: {
      type: "array",
      items: {
        type: "object",
        required: ["index", "text", "logprobs", "finish_reason"],
        properties: {
          index: { type: "integer" },
          text: { type: "string" },
          logprobs: { type: "null" },
          finish_reason: { enum: ["stop", "length"] },
          moe_experts: { type: "array", items: { type: "array", items: { type: "array", items: { type: "integer" } } } },
        },
      },
    },
    usage: {
      type: "object",
      required: ["prompt_tokens", "completion_tokens", "total_tokens"],
      properties: { prompt_tokens: { type: "integer" }, completion_tokens: { type: "integer" }, total_tokens: { type: "integer" } },
    },
  },
} as const;
