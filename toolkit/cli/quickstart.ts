import type { Command } from "commander";
import { join, relative, resolve } from "node:path";
import { packageRoot } from "../export/packageRoot.ts";
import { withDeviceOption } from "./device.ts";

/** `moe-lab quickstart`: the notebook that shows the whole path, executed in the kernel. */
export function addQuickstart(program: Command): void {
  withDeviceOption(program.command("quickstart")).description("define, train, analyse, promote and call a MoE language model in one notebook")
    .option("--out <folder>", "run folder; an earlier one is renamed, not overwritten", "runs/quickstart")
    .option("--tiny", "a much smaller model and text: seconds, not minutes")
    .action(async (options: { out: string; tiny?: boolean }) => {
      const runFolder = resolve(options.out);
      const finalPath = join(runFolder, "quickstart.ipynb"), htmlPath = join(runFolder, "report.html");
      const { executeNotebook } = await import("./executeNotebook.ts");
      const { failure } = await executeNotebook(join(packageRoot, "notebooks", "quickstart.ipynb"), {
        finalPath, htmlPath, title: "MoE Lab quickstart", parameters: { runFolder, ...(options.tiny && { tiny: true }) },
      });
      if (failure !== null) { process.exitCode = 1; return; }
      const show = (path: string): string => relative(process.cwd(), path);
      console.log(`Written to ${show(runFolder)}: report.html (open it in a browser), quickstart.ipynb, metrics.jsonl, checkpoints/, bundle/, service/

Next:
  npx moe-lab generate ${show(join(runFolder, "bundle"))} --prompt "Call me"     more text
  npx moe-lab serve ${show(join(runFolder, "bundle"))}                          serve it at http://127.0.0.1:8000
  cd ${show(join(runFolder, "service"))} && docker compose up --build           the same with Prometheus and Grafana
  npx moe-lab kernel install                                     then change notebooks/quickstart.ipynb in Jupyter
  npx moe-lab doctor                                             what this machine has and lacks`);
    });
}
