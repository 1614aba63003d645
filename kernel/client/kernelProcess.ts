import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { createConnectionFile } from "../protocol/connectionFile.ts";
import type { ConnectionInfo } from "../protocol/connectionFile.ts";

/** How to start a kernel. */
export interface KernelCommand {
  /** Program and arguments; "{connection_file}" stands for the file's path. */
  readonly argv: readonly string[];
  /** Folder the kernel runs in: where a notebook's relative imports start. */
  readonly cwd: string;
  /** Variables on top of this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** How a kernel process ended. */
export interface KernelExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr itself (not through a cell). */
  readonly stderr: string;
}

/** So much of a dead kernel's stderr is kept for the error message, in UTF-16 units. */
const STDERR_KEPT = 8192;

/** A running kernel process with its connection file. */
export class KernelProcess {
  readonly connection: ConnectionInfo;
  readonly connectionPath: string;
  /** Resolves when the process has ended. */
  readonly exited: Promise<KernelExit>;
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess, connection: ConnectionInfo, connectionPath: string, folder: string) {
    this.child = child;
    this.connection = connection;
    this.connectionPath = connectionPath;
    this.exited = new Promise((resolve) => {
      let stderr = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => { stderr = (stderr + text).slice(-STDERR_KEPT); });
      const end = (code: number | null, signal: NodeJS.Signals | null): void => {
        rmSync(folder, { recursive: true, force: true });
        resolve({ code, signal, stderr });
      };
      child.once("error", (error) => {
        stderr += error.message;
        end(null, null);
      });
      child.once("close", end);
    });
  }

  /** Starts the process with a fresh connection file in a private folder, which goes with the process. */
  static async start(command: KernelCommand): Promise<KernelProcess> {
    const { connection, path, folder } = await createConnectionFile();
    const [program = process.execPath, ...rest] = command.argv.map((part) => part.replaceAll("{connection_file}", path));
    // With this variable, Jupyter's own, the kernel ends when this process is gone.
    const env = { ...process.env, JPY_PARENT_PID: String(process.pid), ...command.env };
    const child = spawn(program, rest, { cwd: command.cwd, env, stdio: ["ignore", "ignore", "pipe"] });
    return new KernelProcess(child, connection, path, folder);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isAlive(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }
}
