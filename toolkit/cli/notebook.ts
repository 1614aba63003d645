import type { Command } from "commander";
import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { ConfigError } from "../errors.ts";

interface Options { out?: string; html?: string; timeout?: string; param: Record<string, unknown> }

/** Reads `--param name=value`; the value is JSON where it can be, text otherwise. */
function addParameter(text: string, earlier: Record<string, unknown>): Record<string, unknown> {
  const split = text.indexOf("=");
  if (split < 1) throw new ConfigError({ code: "E_PARAM", what: `--param ${text} has no name and value`, why: "a parameter is written name=value", fix: "for example --param steps=100" });
  const [name, value] = [text.slice(0, split), text.slice(split + 1)];
  try {
    return { ...earlier, [name]: JSON.parse(value) as unknown };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { ...earlier, [name]: value };
  }
}

/** `moe-lab notebook run FILE` */
export function addNotebook(program: Command): void {
  program.command("notebook").description("work with notebooks without Jupyter")
    .command("run").description("run a notebook from top to bottom in the TypeScript kernel; exit code 1 if a cell fails")
    .argument("<file>", "notebook (.ipynb)")
    .option("--out <file>", "write the executed notebook here")
    .option("--html <file>", "write a self-contained report here; its plots work offline")
    .option("--timeout <seconds>", "longest time for one cell")
    .option("--param <name=value>", "set a value of the cell tagged `parameters`; may be repeated", addParameter, {})
    .action(async (file: string, options: Options) => {
      if (!existsSync(file)) throw new ConfigError({ code: "E_NO_NOTEBOOK", what: `${file} isn't there`, why: "a notebook is an .ipynb file", fix: "check the path" });
      if (extname(file) !== ".ipynb") throw new ConfigError({ code: "E_NO_NOTEBOOK", what: `${file} is not an .ipynb file`, why: "notebooks are JSON files with that ending", fix: "pass a notebook" });
      const { executeNotebook } = await import("./executeNotebook.ts");
      const hasWorked = await executeNotebook(resolve(file), {
        outputPath: options.out, htmlPath: options.html, title: file,
        timeoutSeconds: options.timeout === undefined ? undefined : Number(options.timeout), parameters: Object.keys(options.param).length > 0 ? options.param : undefined,
      });
      if (!hasWorked) process.exitCode = 1;
    });
}

