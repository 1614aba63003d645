import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { Command } from "commander";

/** `moe-lab promote RUN --out DIR` */
export function addPromote(program: Command): void {
  program.command("promote").description("turn a run's newest checkpoint into a bundle with what a container needs")
    .argument("<run>", "run folder, made by train, or a bundle folder")
    .requiredOption("--out <folder>", "where bundle/, Dockerfile and compose.yaml go")
    .option("--name <name>", "name of the served model; default: the run folder's name")
    .action(async (run: string, options: { out: string; name?: string }) => {
      const { bundleManifestName } = await import("../export/bundle.ts");
      const { promote } = await import("../export/promote.ts");
      if (existsSync(join(run, bundleManifestName))) await promote({ bundleDir: run }, options.out);
      else {
        const { chooseBackend } = await import("../backend/choose.ts");
        const { loadRun } = await import("../train/run.ts");
        await chooseBackend();
        const { model, tokenizer, state } = loadRun(run);
        await promote({ name: options.name ?? basename(resolve(run)), model, tokenizer, metrics: { step: state.step, tokens: state.tokens, ...(Number.isFinite(state.validationLossNats) && { validationLossNats: state.validationLossNats }) } }, options.out);
      }
      console.log(`Promoted ${run} to ${options.out}\n\nServe it here:          npx moe-lab serve ${join(options.out, "bundle")}\n` +
        `Serve it in containers:  cd ${options.out} && docker compose up --build`);
    });
}
