import type { FastifyInstance } from "fastify";
import type { Metrics } from "../metrics.ts";

/** GET /metrics in the text format of Prometheus. */
export function registerMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.get("/metrics", async (_request, reply) => await reply.type(metrics.contentType).send(await metrics.scrape()));
}
