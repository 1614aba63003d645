import { spawn } from "node:child_process";
import type { Command } from "commander";
import { compiledEntry } from "../export/packageRoot.ts";
import { withDeviceOption } from "./device.ts";

/** `moe-lab serve BUNDLE`: the server runs as its own process and gets this one's signals. */
export function addServe(program: Command): void {
  withDeviceOption(program.command("serve")).description("serve a bundle over HTTP (OpenAI-compatible completions, health, metrics)")
    .argument("<bundle>", "bundle folder, made by promote")
    .option("--port <number>", "port; 0 takes a free one; default: $PORT or 8000")
    .option("--host <address>", "address to listen on; default: $HOST or 127.0.0.1")
    .option("--expert-metrics", "count tokens for each expert in /metrics")
    .action(async (bundle: string, options: { port?: string; host?: string; expertMetrics?: boolean }) => {
      const args = [
        compiledEntry("serve/main.js"), bundle,
        ...(options.port === undefined ? [] : ["--port", options.port]),
        ...(options.host === undefined ? [] : ["--host", options.host]),
        ...(options.expertMetrics ? ["--expert-metrics"] : []),
      ];
      const child = spawn(process.execPath, args, { stdio: "inherit" });
      // Ctrl-C reaches the child from the terminal; this process only waits for its drain to end.
      process.on("SIGINT", () => undefined);
      process.on("SIGTERM", () => child.kill("SIGTERM"));
      process.exitCode = await new Promise<number>((resolve, reject) => {
        child.once("error", reject);
        child.once("exit", (code) => { resolve(code ?? 1); });
      });
    });
}
