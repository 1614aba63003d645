// Runs on Node.js's loader thread, registered by importer.ts when a cell first imports a local file.
import { readFileSync } from "node:fs";
import type { LoadHook, ResolveFnOutput, ResolveHook, ResolveHookContext } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { MessagePort } from "node:worker_threads";
import { systemErrorCode } from "../errors.ts";
import { meansOwnPackage } from "../ownPackage.ts";
import { existingFile, isLocal, isTypeScript } from "./localPaths.ts";
import type { ModuleAnswer, ModuleQuestion } from "./moduleQuestion.ts";

const VERSION_QUERY = "moe-lab";

/** The kernel's own module of that name, for local files that import it. */
const TSLAB_URL = new URL("../display/tslabModule.js", import.meta.url).href;

let port: MessagePort | null = null;
let cellUrl = "";
let nextId = 1;
const waiting = new Map<number, { resolve: (answer: ModuleAnswer) => void; reject: (error: Error) => void }>();

/** Called by Node.js with what register() was given. The port stays referenced: Node.js takes a loader thread whose
 *  event loop is empty for one that will never answer. */
export function initialize(data: { port: MessagePort; cellUrl: string }): void {
  port = data.port;
  cellUrl = data.cellUrl;
  port.on("message", (answer: ModuleAnswer) => {
    const question = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error === undefined) question?.resolve(answer);
    else question?.reject(new SyntaxError(answer.error));
  });
}

/** Gives local files of a cell, and what they import in turn, a URL that changes when they or their imports change:
 *  Node.js then loads them anew, and keeps the loaded module otherwise. */
export const resolve: ResolveHook = async (specifier, context, nextResolve) => {
  const parent = context.parentURL ?? "";
  if (specifier === "tslab") return { url: TSLAB_URL, shortCircuit: true };
  const isFromCell = parent === cellUrl || new URL(parent || "node:").searchParams.has(VERSION_QUERY);
  if (!isFromCell) return nextResolve(specifier, context);
  if (!isLocal(specifier)) return resolvePackage(specifier, context, nextResolve);
  const wanted = fileURLToPath(new URL(specifier, parent));
  const path = existingFile(wanted) ?? ((await ask("cell", wanted)).text || null);
  if (path === null || path.includes("/node_modules/")) return nextResolve(specifier, context);
  const url = pathToFileURL(path);
  url.searchParams.set(VERSION_QUERY, (await ask("version", path)).text);
  // The format of TypeScript is known when it is loaded.
  if (isTypeScript(path)) return { url: url.href, shortCircuit: true };
  return nextResolve(url.href, context);
};

/** @throws Node.js's own errors */
async function resolvePackage(specifier: string, context: ResolveHookContext, nextResolve: Parameters<ResolveHook>[2]): Promise<ResolveFnOutput> {
  try {
    return await nextResolve(specifier, context);
  } catch (error) {
    if (systemErrorCode(error) !== "ERR_MODULE_NOT_FOUND" || !meansOwnPackage(specifier, fileURLToPath(context.parentURL ?? ""))) throw error;
    return nextResolve(specifier, { ...context, parentURL: import.meta.url });
  }
}

export const load: LoadHook = async (url, context, nextLoad) => {
  const { protocol, searchParams } = new URL(url);
  if (protocol !== "file:" || !searchParams.has(VERSION_QUERY)) return nextLoad(url, context);
  const path = fileURLToPath(url);
  if (isTypeScript(path)) {
    const { text, format } = await ask("source", path);
    return { format, source: text, shortCircuit: true };
  }
  if (path.endsWith(".json") && context.importAttributes.type === undefined) {
    // TypeScript asks for no attribute, Node.js does.
    return { format: "module", source: `export default ${JSON.stringify(JSON.parse(readFileSync(path, "utf8")))}`, shortCircuit: true };
  }
  const loaded = await nextLoad(url, context);
  // Without a source Node.js would take CommonJS from its own cache, by path and thus whatever its version.
  return loaded.format === "commonjs" ? { ...loaded, source: loaded.source ?? readFileSync(path), shortCircuit: true } : loaded;
};

function ask(kind: ModuleQuestion["kind"], path: string): Promise<ModuleAnswer> {
  return new Promise((resolveAnswer, reject) => {
    const id = nextId++;
    waiting.set(id, { resolve: resolveAnswer, reject });
    const question: ModuleQuestion = { id, kind, path };
    port?.postMessage(question);
  });
}
