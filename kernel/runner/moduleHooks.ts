// Runs on Node.js's loader thread, registered by importer.ts when a cell first imports a local file.
import { existsSync } from "node:fs";
import type { LoadHook, ResolveHook } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";

/** A question to the worker, which has the TypeScript compiler. */
export interface ModuleQuestion { readonly id: number; readonly kind: "version" | "source"; readonly path: string }
export interface ModuleAnswer { readonly id: number; readonly text: string; readonly error?: string }

const VERSION_QUERY = "moe-lab";
/** What a local specifier without a fitting file may mean. */
const EXTENSIONS = [".ts", ".js", ".mts", ".mjs", "/index.ts", "/index.js"];

let port: MessagePort | null = null;
let cellUrl = "";
let nextId = 1;
const waiting = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();

/** Called by Node.js with what register() was given. The port stays referenced: Node.js takes a loader thread whose
 *  event loop is empty for one that will never answer. */
export function initialize(data: { port: MessagePort; cellUrl: string }): void {
  port = data.port;
  cellUrl = data.cellUrl;
  port.on("message", ({ id, text, error }: ModuleAnswer) => {
    const question = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) question?.resolve(text);
    else question?.reject(new SyntaxError(error));
  });
}

/** Gives local files of a cell, and what they import in turn, a URL that changes when they or their imports change:
 *  Node.js then loads them anew, and keeps the loaded module otherwise. */
export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  const parent = context.parentURL ?? "";
  const isFromCell = parent === cellUrl || new URL(parent || "node:").searchParams.has(VERSION_QUERY);
  if (!isFromCell || !/^(\.{0,2}\/|file:)/.test(specifier)) return nextResolve(specifier, context);
  const path = existingFile(fileURLToPath(new URL(specifier, parent)));
  if (path === null || path.includes("/node_modules/")) return nextResolve(specifier, context);
  const url = pathToFileURL(path);
  url.searchParams.set(VERSION_QUERY, await ask("version", path));
  if (isTypeScript(path)) return { url: url.href, format: "module", shortCircuit: true };
  return nextResolve(url.href, context);
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const { protocol, searchParams } = new URL(url);
  const path = protocol === "file:" ? fileURLToPath(url) : "";
  if (!searchParams.has(VERSION_QUERY) || !isTypeScript(path)) return nextLoad(url, context);
  return { format: "module", source: await ask("source", path), shortCircuit: true };
};

function isTypeScript(path: string): boolean {
  return /\.[mc]?ts$/.test(path);
}

function existingFile(path: string): string | null {
  const typescript = path.replace(/\.([mc]?)js$/, ".$1ts");
  return [path, typescript, ...EXTENSIONS.map((extension) => path + extension)].find((candidate) => /\.\w+$/.test(candidate) && existsSync(candidate)) ?? null;
}

function ask(kind: ModuleQuestion["kind"], path: string): Promise<string> {
  return new Promise((resolveAnswer, reject) => {
    const id = nextId++;
    waiting.set(id, { resolve: resolveAnswer, reject });
    const question: ModuleQuestion = { id, kind, path };
    port?.postMessage(question);
  });
}
