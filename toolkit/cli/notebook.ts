import type { Command } from "commander";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { extname, resolve } from "node:path";
import { parse as parseYaml } from "yaml";
import { ConfigError } from "../errors.ts";
import type { NotebookEnd } from "./executeNotebook.ts";

interface RunOptions {
  out?: string; inPlace?: boolean; html?: string; timeout?: string; param: string[]; paramFile?: string; allowErrors?: boolean; kernelCwd?: string;
}

/** Exit codes of `notebook run` and `notebook html`. */
const EXIT = { cellFailed: 1, badInput: 2, timeout: 3, kernelDied: 4, interrupted: 130, terminated: 143 } as const;

const RUN_HELP = `
Parameters: a cell tagged "parameters" declares names and defaults; --param puts a cell with other values behind it, as
papermill does. A value is read as the declared type wants it; else as JSON where it can be, and as text otherwise.
A name that the cell does not declare is refused. Without such a cell the values go to the top.

Tags of cells: skip-execution leaves a cell out; raises-exception lets it fail.
A cell over its --timeout is interrupted and ends the run. input() is refused: nobody can answer.

Exit codes: 0 every cell ran; 1 a cell failed; 2 wrong options or a bad file; 3 a cell took longer than --timeout;
            4 the kernel died or did not start; 130 Ctrl+C, 143 SIGTERM: the running cell was interrupted.
            The executed notebook is written in all cases but 2.

Examples:
  npx moe-lab notebook run train.ipynb --out runs/train.ipynb --param steps=500 --param 'layers=[2, 4]'
  npx moe-lab notebook run report.ipynb --html report.html --timeout 600 --param-file nightly.yaml`;

function refuse(code: string, what: string, why: string, fix: string): ConfigError {
  return new ConfigError({ code, what, why, fix });
}

function checkedNotebookPath(file: string): string {
  if (!existsSync(file)) throw refuse("E_NO_NOTEBOOK", `${file} isn't there`, "a notebook is an .ipynb file", "check the path");
  if (extname(file) !== ".ipynb") throw refuse("E_NO_NOTEBOOK", `${file} is not an .ipynb file`, "notebooks are JSON files with that ending", "pass a notebook");
  return resolve(file);
}

function isSameFile(a: string, b: string): boolean {
  return existsSync(a) && existsSync(b) && realpathSync(a) === realpathSync(b);
}

function outputPathOf(input: string, { out, inPlace, html }: RunOptions): string | undefined {
  if (inPlace === true && out !== undefined) throw refuse("E_OUT", "--out and --in-place were both given", "they name two places for the executed notebook", "leave one out");
  if (out !== undefined && isSameFile(input, out)) throw refuse("E_OUT", `--out ${out} is the notebook that is read`, "it would be overwritten", "choose another name, or say --in-place if that is meant");
  if (html !== undefined && (isSameFile(input, html) || extname(html) === ".ipynb")) throw refuse("E_OUT", `--html ${html} names a notebook`, "it would be overwritten by a web page", "choose a name such as report.html");
  return inPlace === true ? input : out === undefined ? undefined : resolve(out);
}

function timeoutOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (text.trim() !== "" && Number.isFinite(seconds) && seconds > 0) return seconds;
  throw refuse("E_TIMEOUT", `--timeout ${text} is no time`, "it is the number of seconds that a cell may take, more than 0", "for example --timeout 600");
}

function readParameterFile(path: string): Record<string, unknown> {
  const bad = (why: string): ConfigError => refuse("E_PARAM_FILE", `--param-file ${path} can't be used`, why, "write names and values, e.g. `steps: 100`, one a line");
  if (!existsSync(path)) throw bad("the file does not exist");
  let values: unknown;
  try {
    values = parseYaml(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw bad(`it is neither YAML nor JSON: ${error.message}`);
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) throw bad("it holds no names and values");
  return values as Record<string, unknown>;
}

/** The values of --param-file, and over them those of --param, each as the notebook's own declaration wants it. */
async function parametersOf(input: string, options: RunOptions): Promise<Record<string, unknown> | undefined> {
  const texts = options.param.map((text): [string, string] => {
    const split = text.indexOf("=");
    if (split < 1) throw refuse("E_PARAM", `--param ${text} has no name and value`, "a parameter is written name=value", "for example --param steps=100");
    return [text.slice(0, split), text.slice(split + 1)];
  });
  const fromFile = options.paramFile === undefined ? {} : readParameterFile(options.paramFile);
  if (texts.length === 0 && Object.keys(fromFile).length === 0) return undefined;
  const { readNotebook } = await import("../../kernel/client/notebook.ts");
  const { checkKnown, checkParameter, notebookParameters, parameterValue } = await import("../../kernel/client/parameters.ts");
  const known = notebookParameters(readNotebook(input));
  if (known === null) console.error("note: the notebook has no cell tagged parameters; the values go to its top, and cells may declare them again");
  const kindOf = (name: string): Parameters<typeof checkParameter>[2] => known?.find((parameter) => parameter.name === name)?.kind ?? "other";
  for (const name of [...Object.keys(fromFile), ...texts.map(([textName]) => textName)]) if (known !== null) checkKnown(name, known);
  for (const [name, value] of Object.entries(fromFile)) checkParameter(name, value, kindOf(name));
  return { ...fromFile, ...Object.fromEntries(texts.map(([name, text]) => [name, parameterValue(name, text, kindOf(name))])) };
}

function exitCodeOf({ failure, stoppedBy }: NotebookEnd): number {
  switch (failure?.reason) {
    case undefined: return 0;
    case "error": return EXIT.cellFailed;
    case "timeout": return EXIT.timeout;
    case "died": return EXIT.kernelDied;
    case "stopped": return stoppedBy === "SIGTERM" ? EXIT.terminated : EXIT.interrupted;
  }
}

/** Runs a command whose errors have exit codes of their own; the error itself is reported where all are. */
async function withExitCode(run: () => Promise<number>): Promise<void> {
  const { KernelProcessError } = await import("../../kernel/errors.ts");
  try {
    process.exitCode = await run();
  } catch (error) {
    process.exitCode = error instanceof KernelProcessError ? EXIT.kernelDied : EXIT.badInput;
    throw error;
  }
}

async function runCommand(file: string, options: RunOptions): Promise<number> {
  const input = checkedNotebookPath(file);
  const outputPath = outputPathOf(input, options);
  const timeoutSeconds = timeoutOf(options.timeout);
  const { kernelCwd: cwd, allowErrors, html: htmlPath } = options;
  if (cwd !== undefined && !existsSync(cwd)) throw refuse("E_KERNEL_CWD", `--kernel-cwd ${cwd} isn't there`, "the kernel runs in an existing folder", "create it or name another");
  const parameters = await parametersOf(input, options);
  const { executeNotebook } = await import("./executeNotebook.ts");
  return exitCodeOf(await executeNotebook(input, { outputPath, htmlPath, title: file, timeoutSeconds, parameters, allowErrors, cwd }));
}

async function htmlCommand(file: string, { out, title = file }: { out: string; title?: string }): Promise<number> {
  const input = checkedNotebookPath(file);
  outputPathOf(input, { html: out, param: [] });
  const { readNotebook } = await import("../../kernel/client/notebook.ts");
  const { notebookToHtml } = await import("../../kernel/client/notebookHtml.ts");
  const { writeFileWhole } = await import("../export/sealedFolder.ts");
  writeFileWhole(out, notebookToHtml(readNotebook(input), { title }));
  return 0;
}

/** `moe-lab notebook run | html` */
export function addNotebook(program: Command): void {
  const notebook = program.command("notebook").description("run notebooks and make pages of them, without Jupyter");
  // commander ends with 1 for wrong options, which here means a failed cell.
  const withUsageCode = (command: Command): Command => command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : EXIT.badInput));
  withUsageCode(notebook.command("run")).description("run a notebook from top to bottom in a fresh TypeScript kernel")
    .argument("<file>", "notebook (.ipynb)")
    .option("--out <file>", "write the executed notebook here; its folder is made if need be")
    .option("--in-place", "write the executed notebook over the one that is read")
    .option("--html <file>", "write a self-contained page here; its plots work offline")
    .option("--timeout <seconds>", "longest time for one cell")
    .option("--param <name=value>", "set a value of the cell tagged `parameters`; may be repeated", (text: string, earlier: string[]) => [...earlier, text], [])
    .option("--param-file <file>", "set values from a YAML or JSON file; --param goes before it")
    .option("--allow-errors", "go on behind cells that fail; their errors are in the executed notebook")
    .option("--kernel-cwd <folder>", "folder in which the kernel runs (default: the notebook's)")
    .addHelpText("after", RUN_HELP)
    .action((file: string, options: RunOptions) => withExitCode(() => runCommand(file, options)));
  withUsageCode(notebook.command("html")).description("make one HTML page of a notebook and its stored outputs, without running it; exit code 2 for a bad file")
    .argument("<file>", "notebook (.ipynb)")
    .requiredOption("--out <file>", "the page; it needs no other file and no network")
    .option("--title <text>", "title of the page (default: the notebook's path)")
    .addHelpText("after", "\nHTML and SVG outputs are taken into the page as they are, scripts too: make pages of notebooks you trust.")
    .action((file: string, options: { out: string; title?: string }) => withExitCode(() => htmlCommand(file, options)));
}
