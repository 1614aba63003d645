import { getHashes, randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectionFileError, systemErrorCode } from "../errors.ts";
import { isJsonObject } from "./json.ts";

/** The five channels of a kernel. */
export type Channel = "shell" | "control" | "stdin" | "iopub" | "heartbeat";

/** Where a kernel listens and how messages are signed. */
export interface ConnectionInfo {
  readonly transport: string;
  readonly ip: string;
  readonly ports: Readonly<Record<Channel, number>>;
  /** HMAC key; empty means unsigned. */
  readonly key: string;
  /** Digest name for node:crypto, e.g. "sha256". */
  readonly digest: string;
}

const PORT_NAMES = {
  shell: "shell_port", control: "control_port", stdin: "stdin_port", iopub: "iopub_port", heartbeat: "hb_port",
} as const satisfies Record<Channel, string>;
export const CHANNELS: readonly Channel[] = ["shell", "control", "stdin", "iopub", "heartbeat"];

/** A connection file has a few hundred bytes. */
const MAX_FILE_BYTES = 1 << 20;
const MAX_PORT = 65_535;

/** Reads and checks a connection file.
 *  @throws ConnectionFileError E_CONNECTION_FILE when it is missing, not JSON, or lacks a field or has a wrong one
 *  Source: jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files */
export function readConnectionFile(path: string): ConnectionInfo {
  const refuse = (why: string, cause?: unknown): ConnectionFileError => new ConnectionFileError({
    code: "E_CONNECTION_FILE", what: `The connection file ${path} can't be used`, why,
    fix: "let Jupyter or `moe-lab` start the kernel: they write this file", cause,
  });
  let parsed: unknown;
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw refuse(`it has ${size} bytes`);
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error instanceof ConnectionFileError) throw error;
    const code = systemErrorCode(error);
    throw refuse(code === "ENOENT" ? "there is no such file" : code === undefined ? "it is not JSON" : `it can't be read (${code})`, error);
  }
  if (!isJsonObject(parsed)) throw refuse("it holds no JSON object");
  const { transport = "tcp", ip, key = "", signature_scheme: scheme = "hmac-sha256" } = parsed;
  if (typeof transport !== "string" || typeof ip !== "string" || typeof key !== "string") {
    throw refuse("transport, ip and key must be strings");
  }
  if (transport !== "tcp" && transport !== "ipc") throw refuse("transport must be tcp or ipc");
  if (ip === "") throw refuse("ip must not be empty");
  if (typeof scheme !== "string" || !scheme.startsWith("hmac-") || !getHashes().includes(scheme.slice("hmac-".length))) {
    throw refuse("signature_scheme must be hmac-<digest> with a digest that OpenSSL has, e.g. hmac-sha256");
  }
  const port = (channel: Channel): number => {
    const value = parsed[PORT_NAMES[channel]];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > MAX_PORT) {
      throw refuse(`${PORT_NAMES[channel]} must be a whole number from 1 to ${MAX_PORT}`);
    }
    return value;
  };
  return {
    transport, ip, key, digest: scheme.slice("hmac-".length),
    ports: { shell: port("shell"), control: port("control"), stdin: port("stdin"), iopub: port("iopub"), heartbeat: port("heartbeat") },
  };
}

/** The zeromq address of one channel. */
export function channelAddress(connection: ConnectionInfo, channel: Channel): string {
  const separator = connection.transport === "ipc" ? "-" : ":";
  return `${connection.transport}://${connection.ip}${separator}${connection.ports[channel]}`;
}

/** Writes a connection file on free ports of 127.0.0.1 with a fresh key. Its folder is new and private (0700), the file 0600.
 *  @returns what was written, the file and the folder to delete afterwards */
export async function createConnectionFile(): Promise<{ connection: ConnectionInfo; path: string; folder: string }> {
  const [shell = 0, control = 0, stdin = 0, iopub = 0, heartbeat = 0] = await freePorts(CHANNELS.length);
  const connection: ConnectionInfo = {
    transport: "tcp", ip: "127.0.0.1", ports: { shell, control, stdin, iopub, heartbeat },
    key: randomBytes(32).toString("hex"), digest: "sha256",
  };
  const folder = mkdtempSync(join(tmpdir(), "moe-lab-kernel-"));
  chmodSync(folder, 0o700);
  const path = join(folder, "connection.json");
  const ports = Object.fromEntries(CHANNELS.map((channel) => [PORT_NAMES[channel], connection.ports[channel]]));
  writeFileSync(path, JSON.stringify({
    ...ports, transport: "tcp", ip: connection.ip, key: connection.key, signature_scheme: "hmac-sha256", kernel_name: "moe-lab",
  }), { mode: 0o600 });
  return { connection, path, folder };
}

async function freePorts(count: number): Promise<number[]> {
  // All are held open until the last is known, so that no two are the same.
  const servers = await Promise.all(Array.from({ length: count }, () => listenAnywhere()));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listenAnywhere(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => { resolve(server); });
  });
}
