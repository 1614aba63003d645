import type { FastifyInstance } from "fastify";
import { ConfigError, MoeLabError, ServerError } from "../toolkit/errors.ts";
import type { Answers } from "./answers.ts";
import { buildApp } from "./app.ts";
import { readServeConfig, serveUsage, type ServeConfig } from "./config.ts";
import { WorkerDecoder } from "./workerDecoder.ts";

/** What a server process says on standard output, one JSON object a line; nothing else is written there. */
export type ServerLine =
  | { readonly event: "listening"; readonly url: string; readonly pid: number }
  | { readonly event: "failed"; readonly error: ReturnType<MoeLabError["toJSON"]> };

/** What was decoded is in the sockets' buffers by then, unless a client doesn't read. */
const flushTimeoutMs = 2000;

/** Serves a bundle until SIGTERM or SIGINT, then drains.
 *  @param args the command line after the program's name
 *  @returns exit code: 0 after a drain, 1 when the server can't start, 2 for wrong settings */
export async function runServer(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(`${serveUsage}\n`);
    return 0;
  }
  try {
    await serve(readServeConfig(args));
    return 0;
  } catch (error) {
    if (!(error instanceof MoeLabError)) throw error;
    say({ event: "failed", error: error.toJSON() });
    process.stderr.write(`${error.message}\n`);
    return error instanceof ConfigError ? 2 : 1;
  }
}

async function serve(config: ServeConfig): Promise<void> {
  const stop = stopRequest(config.stopOnStdinEnd);
  const decoder = new WorkerDecoder(config);
  const { app, scheduler, answers } = buildApp(decoder, config);
  try {
    // Listening comes first, so that /health/ready can say "loading".
    say({ event: "listening", url: await listen(app, config), pid: process.pid });
    const loading = decoder.load();
    await Promise.race([loading, stop]);
    if (scheduler.model !== undefined) app.log.info({ model: scheduler.model }, "ready");
    await stop;
    app.log.info("draining");
    await scheduler.drain(config.drainTimeoutMs);
  } finally {
    await closeApp(app, answers);
    await decoder.close();
  }
}

/** Closes all connections once their answers are sent; a client that doesn't read its answer is cut off after a while. */
async function closeApp(app: FastifyInstance, answers: Answers): Promise<void> {
  await answers.allSent(flushTimeoutMs);
  const closed = app.close();
  // What is left are connections that clients keep alive for a next request.
  app.server.closeAllConnections();
  await closed;
}

async function listen(app: FastifyInstance, { host, port }: ServeConfig): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EADDRINUSE") {
      throw new ServerError({
        code: "E_PORT_IN_USE", what: `port ${port} on ${host} is in use`, why: "another process listens there, perhaps an earlier server",
        fix: "stop that process, choose another port with --port or PORT, or let the system choose one with --port 0", cause: error,
      });
    }
    throw new ServerError({
      code: "E_LISTEN", what: `the server can't listen on ${host}:${port}`, why: error instanceof Error ? error.message : "the system refused",
      fix: "choose an address of this machine with --host or HOST and a port above 1023 with --port or PORT", cause: error,
    });
  }
}

/** @returns a promise that resolves when the server is asked to stop. A second signal ends the process at once. */
async function stopRequest(stopOnStdinEnd: boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    let isAsked = false;
    const ask = (): void => {
      if (isAsked) process.exit(1);
      isAsked = true;
      resolve();
    };
    process.on("SIGTERM", ask);
    process.on("SIGINT", ask);
    if (!stopOnStdinEnd) return;
    process.stdin.once("end", resolve);
    process.stdin.once("error", () => resolve());
    process.stdin.resume();
  });
}

function say(line: ServerLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
