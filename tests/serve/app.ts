import { buildApp, type AppSettings } from "../../serve/app.ts";
import { fakeModel, type FakeSettings } from "./fakeModel.ts";
import { InProcessDecoder } from "./inProcessDecoder.ts";

/** The server's HTTP side over the fake model. */
export function testApp(settings: Partial<AppSettings> & { readonly model?: FakeSettings } = {}) {
  const { model: modelSettings, ...rest } = settings;
  const appSettings: AppSettings = { modelName: undefined, maxActive: 2, maxQueue: 2, expertMetrics: true, logLevel: "silent", ...rest };
  const model = fakeModel(modelSettings);
  const decoder = new InProcessDecoder(model, appSettings.maxActive);
  const { app, scheduler } = buildApp(decoder, appSettings);
  const complete = (payload: object) => app.inject({ method: "POST", url: "/v1/completions", payload });
  const metric = async (name: string): Promise<number | undefined> => {
    const { body } = await app.inject("/metrics");
    const line = body.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };
  return { app, scheduler, decoder, model, complete, metric };
}

/** Payloads of a body of server-sent events. */
export function eventsOf(body: string): string[] {
  return body.split("\n\n").filter((event) => event !== "").map((event) => {
    if (!event.startsWith("data: ")) throw new Error(`no server-sent event: ${event}`);
    return event.slice("data: ".length);
  });
}
