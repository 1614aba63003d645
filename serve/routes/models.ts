import type { FastifyInstance } from "fastify";
import type { Scheduler } from "../scheduler.ts";

/** GET /v1/models: the one model that is served, empty while it loads. */
export function registerModels(app: FastifyInstance, scheduler: Scheduler): void {
  app.get("/v1/models", () => {
    const { model } = scheduler;
    if (model === undefined) return { object: "list", data: [] };
    const { name, createdSeconds, contextLength, vocabSize, numLayers, numExperts, expertsPerToken, backend } = model;
    return {
      object: "list",
      data: [{
        id: name, object: "model", created: createdSeconds, owned_by: "moe-lab",
        moe: { contextLength, vocabSize, numLayers, numExperts, expertsPerToken, backend },
      }],
    };
  });
}
