#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { packageRoot } from "../export/packageRoot.ts";
import { addDoctor } from "./doctor.ts";
import { addGenerate } from "./generate.ts";
import { addKernel } from "./kernel.ts";
import { addNotebook } from "./notebook.ts";
import { addPromote } from "./promote.ts";
import { addQuickstart } from "./quickstart.ts";
import { addServe } from "./serve.ts";
import { addTrain } from "./train.ts";

const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string };

/** Says what, why and how to mend it; the stack only of errors that nobody foresaw. */
function report(error: unknown): void {
  const isTyped = error instanceof Error && "what" in error && "why" in error && "fix" in error && "code" in error;
  if (!isTyped) { console.error(error instanceof Error ? error.stack : error); return; }
  const { what, why, fix, code } = error as Error & Record<"what" | "why" | "fix" | "code", string>;
  console.error(`error ${code}: ${what}\n  why: ${why}\n  fix: ${fix}`);
}

const program = new Command("moe-lab")
  .description("Define, train, see and serve Mixture-of-Experts language models from TypeScript notebooks.")
  .version(version)
  .showHelpAfterError()
  .addHelpText("after", "\nStart with `moe-lab quickstart`; `moe-lab doctor` says what this machine has. Settings of the machine:\n" +
    "  MOE_LAB_BACKEND=native|cpu   the engine; default: native where it could be built\n" +
    "  MOE_LAB_DEVICE=auto|cpu|cuda|cuda:N   where the native engine computes; default: the first GPU that can be used\n" +
    "  MOE_LAB_THREADS=N            threads of the native engine; default: the processors this process may use");
for (const add of [addQuickstart, addTrain, addNotebook, addKernel, addPromote, addServe, addGenerate, addDoctor]) add(program);

try {
  await program.parseAsync();
} catch (error) {
  report(error);
  process.exitCode ??= 1;
}
