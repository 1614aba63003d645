import type { FastifyInstance } from "fastify";
import type { Scheduler } from "../scheduler.ts";

/** GET /health/live: the process answers. GET /health/ready: it takes requests; 503 while loading or draining. */
export function registerHealth(app: FastifyInstance, scheduler: Scheduler): void {
  app.get("/health/live", () => ({ status: "live" }));
  app.get("/health/ready", async (_request, reply) => {
    const { readiness } = scheduler;
    return await reply.code(readiness === "ready" ? 200 : 503).send({ status: readiness });
  });
}
