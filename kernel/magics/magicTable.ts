import { MagicError } from "../errors.ts";
import type { Magic } from "./magic.ts";
import { MARKUP_MAGICS } from "./markup.ts";
import { NAME_MAGICS } from "./names.ts";
import { TIMING_MAGICS } from "./timing.ts";

const HELP_MAGICS: readonly Magic[] = ["%help", "%lsmagic"].map((name) => ({
  name, parameters: "", summary: "lists the magics",
  run: ({ print }) => {
    print(helpText());
    return Promise.resolve(true);
  },
}));

const MAGICS: readonly Magic[] = [...TIMING_MAGICS, ...NAME_MAGICS, ...MARKUP_MAGICS, ...HELP_MAGICS];

/** The names of all magics, with their `%` or `%%`. */
export function magicNames(): readonly string[] {
  return MAGICS.map(({ name }) => name);
}

/** @throws MagicError E_MAGIC_UNKNOWN with the known names */
export function findMagic(name: string): Magic {
  const magic = MAGICS.find((known) => known.name === name);
  if (magic !== undefined) return magic;
  throw new MagicError({
    code: "E_MAGIC_UNKNOWN", what: `There is no magic ${name}`, why: "a % at the start of a cell's first line calls a magic",
    fix: `use one of ${magicNames().join(", ")}`,
  });
}

function helpText(): string {
  const usages = MAGICS.map(({ name, parameters }) => `${name} ${parameters}`.trim());
  const width = Math.max(...usages.map(({ length }) => length));
  const lines = MAGICS.map(({ summary }, index) => `${(usages[index] ?? "").padEnd(width)}  ${summary}`);
  return `A magic stands on the first line of a cell; % takes its line, %% takes the whole cell.\n${lines.join("\n")}\n`;
}
