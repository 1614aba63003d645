import fastify, { LogController, type FastifyInstance } from "fastify";
import { Answers } from "./answers.ts";
import { ApiError, errorBody, toApiError } from "./apiErrors.ts";
import type { ServeConfig } from "./config.ts";
import type { Decoder } from "./decoder.ts";
import { registerCompletions } from "./routes/completions.ts";
import { registerHealth } from "./routes/health.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { registerModels } from "./routes/models.ts";
import { Scheduler } from "./scheduler.ts";

/** Prompts are text of at most some 10⁵ tokens. */
const bodyLimitBytes = 4 * 1024 * 1024;

export type AppSettings = Pick<ServeConfig, "modelName" | "maxActive" | "maxQueue" | "expertMetrics" | "logLevel">;

/** The HTTP side of the server over any decoder. It isn't listening yet: tests call app.inject. */
export function buildApp(decoder: Decoder, settings: AppSettings): { app: FastifyInstance; scheduler: Scheduler; answers: Answers } {
  const scheduler = new Scheduler(decoder, settings);
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    // Standard output carries the line with the address; prompts are in bodies, which are never logged.
    logger: { level: settings.logLevel, stream: process.stderr },
    logController: new LogController({ disableRequestLogging: true }),
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: true, allErrors: false } },
  });
  app.setErrorHandler(async (error, request, reply) => {
    const shown = toApiError(error);
    if (shown.status >= 500 && shown.status !== 503) request.log.error({ err: error, route: request.routeOptions.url }, "request failed");
    if (shown.status < 499) scheduler.metrics.fail("invalid"); // 499: the client has gone, which the scheduler counts
    if (shown.retryAfterSeconds !== undefined) reply.header("retry-after", shown.retryAfterSeconds);
    return await reply.code(shown.status).send(errorBody(shown));
  });
  app.setNotFoundHandler(async (request, reply) => {
    const shown = new ApiError({
      code: "E_ROUTE_NOT_FOUND", status: 404, what: `${request.method} ${request.url.split("?")[0] ?? ""} isn't served here`,
      why: "the server has no such route", fix: "use POST /v1/completions, GET /v1/models, /health/live, /health/ready or /metrics",
    });
    return await reply.code(404).send(errorBody(shown));
  });
  app.addHook("onResponse", async (request, reply) => {
    request.log.debug({ method: request.method, route: request.routeOptions.url, status: reply.statusCode, durationMs: reply.elapsedTime }, "answered");
    await Promise.resolve();
  });
  const answers = new Answers(app);
  registerHealth(app, scheduler);
  registerMetrics(app, scheduler.metrics);
  registerModels(app, scheduler);
  registerCompletions(app, scheduler);
  return { app, scheduler, answers };
}
