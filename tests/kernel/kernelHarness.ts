import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import type { ExecuteOptions } from "../../kernel/client/kernelClient.ts";
import { kernelCommandLine } from "../../kernel/install.ts";
import type { NotebookLanguage } from "../../kernel/notebookLanguage.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";

export const repositoryFolder = resolve(import.meta.dirname, "../..");

/** The kernel runs from dist/: compiles it when a source is newer. */
export function buildKernel(): void {
  const newest = (folder: string): number => Math.max(...readdirSync(folder, { withFileTypes: true }).map((entry) =>
    entry.isDirectory() ? newest(join(folder, entry.name)) : statSync(join(folder, entry.name)).mtimeMs));
  const stamp = join(repositoryFolder, "dist", "kernel", "main.js");
  const dist = join(repositoryFolder, "dist", "kernel");
  if (existsSync(stamp) && newest(dist) > newest(join(repositoryFolder, "kernel"))) return;
  const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
  execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: repositoryFolder, stdio: "inherit" });
}

/** A new folder whose name has a space, as notebooks' folders often have. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "moe lab test "));
}

export async function startKernel(cwd: string = repositoryFolder, language: NotebookLanguage = "typescript"): Promise<KernelClient> {
  buildKernel();
  return KernelClient.start({ argv: kernelCommandLine(language), cwd });
}

/** Starts a kernel with a small heap, in MiB: filling the usual one takes gigabytes. */
export async function startKernelWithHeap(mebibytes: number): Promise<KernelClient> {
  buildKernel();
  const [node = "", ...rest] = kernelCommandLine();
  return KernelClient.start({ argv: [node, `--max-old-space-size=${mebibytes}`, ...rest], cwd: repositoryFolder });
}

/** What a cell did, as a front end sees it. */
export interface CellReport {
  readonly reply: JsonObject;
  /** Types of the iopub messages in order, without status. */
  readonly types: string[];
  readonly messages: Message[];
  readonly stdout: string;
  readonly stderr: string;
  /** text/plain of the execute_result. */
  readonly result: string | undefined;
}

export async function runCell(client: KernelClient, code: string, options: ExecuteOptions = {}): Promise<CellReport> {
  const messages: Message[] = [];
  const reply = await client.execute(code, { ...options, onMessage: (message) => { messages.push(message); options.onMessage?.(message); } });
  const shown = messages.filter(({ header }) => header.msg_type !== "status");
  const stream = (name: string): string => shown.filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
    .map(({ content }) => String(content.text)).join("");
  const result = shown.find(({ header }) => header.msg_type === "execute_result")?.content.data as JsonObject | undefined;
  return {
    reply: reply.content, messages: shown, types: shown.map(({ header }) => header.msg_type),
    stdout: stream("stdout"), stderr: stream("stderr"), result: result?.["text/plain"] as string | undefined,
  };
}

/** Contents of the messages of one type. */
export function contentsOf(report: CellReport, type: string): JsonObject[] {
  return report.messages.filter(({ header }) => header.msg_type === type).map(({ content }) => content);
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => { setTimeout(done, milliseconds); });
}
