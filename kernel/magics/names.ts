import { MagicError } from "../errors.ts";
import type { Magic, MagicContext } from "./magic.ts";

/** More names than this make a list that nobody reads. */
const MAX_LISTED = 500;
/** Longer types are cut, in UTF-16 units. */
const MAX_TYPE = 100;

/** Magics about the names that cells have declared. */
export const NAME_MAGICS: readonly Magic[] = [
  { name: "%who", parameters: "[name …]", summary: "lists the names that cells have declared, with their types", run: who },
  { name: "%reset", parameters: "[name …]", summary: "forgets all names that cells have declared, or those given", run: reset },
];

function who({ argument, names, print }: MagicContext): Promise<boolean> {
  const wanted = wordsOf(argument);
  const known = names.list();
  checkNames(wanted, known.map(({ name }) => name));
  const listed = known.filter(({ name }) => wanted.length === 0 || wanted.includes(name)).slice(-MAX_LISTED);
  const width = Math.max(0, ...listed.map(({ name }) => name.length));
  const lines = listed.map(({ name, type }) => `${name.padEnd(width)}  ${type.length > MAX_TYPE ? `${type.slice(0, MAX_TYPE)}…` : type}\n`);
  if (wanted.length === 0 && known.length > listed.length) lines.unshift(`the newest ${listed.length} of ${known.length} names\n`);
  print(lines.length === 0 ? "no cell has declared a name\n" : lines.join(""));
  return Promise.resolve(true);
}

async function reset({ argument, names, print }: MagicContext): Promise<boolean> {
  const wanted = wordsOf(argument);
  checkNames(wanted, names.list().map(({ name }) => name));
  const count = await names.forget(wanted.length === 0 ? null : wanted);
  print(`Forgotten: ${count} ${count === 1 ? "name" : "names"}. Not undone: modules that are loaded, timers and listeners, new properties of globalThis and of built-in objects,`
    + " files, and what other objects still hold. Restart the kernel for those.\n");
  return true;
}

function wordsOf(argument: string): string[] {
  return argument.split(/[\s,]+/).filter((word) => word !== "");
}

/** @throws MagicError E_MAGIC_NAME */
function checkNames(wanted: readonly string[], known: readonly string[]): void {
  const absent = wanted.find((name) => !known.includes(name));
  if (absent === undefined) return;
  throw new MagicError({
    code: "E_MAGIC_NAME", what: `There is no name ${absent}`, why: "the magic takes names that cells have declared at their top level",
    fix: "list them with %who",
  });
}
