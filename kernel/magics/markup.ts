import type { Magic } from "./magic.ts";

/** Magics that show the rest of the cell as it is. */
export const MARKUP_MAGICS: readonly Magic[] = [
  markup("%%html", "text/html", "shows the cell as HTML"),
  markup("%%markdown", "text/markdown", "shows the cell as Markdown, with formulas between dollar signs"),
];

function markup(name: string, mimeType: string, summary: string): Magic {
  return {
    name, parameters: "", summary,
    run: async ({ body, show }) => {
      await show({ [mimeType]: body, "text/plain": body });
      return true;
    },
  };
}
