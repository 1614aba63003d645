import { objectField, stringField } from "./protocol/json.ts";
import type { JsonObject } from "./protocol/json.ts";

/** What the cells of a notebook are written in. A kernel runs one language: no request tells it the notebook's. */
export type NotebookLanguage = "typescript" | "javascript";

/** How Jupyter and users know the kernel of a language. */
interface LanguageKernel {
  /** Name of its kernelspec. */
  readonly kernelName: string;
  readonly displayName: string;
  /** With its dot. */
  readonly extension: ".ts" | ".js";
}

export const KERNELS: Readonly<Record<NotebookLanguage, LanguageKernel>> = {
  typescript: { kernelName: "moe-lab", displayName: "TypeScript (MoE Lab)", extension: ".ts" },
  javascript: { kernelName: "moe-lab-js", displayName: "JavaScript (MoE Lab)", extension: ".js" },
};

export function isNotebookLanguage(text: string): text is NotebookLanguage {
  return Object.hasOwn(KERNELS, text);
}

/** Names of kernelspecs that say JavaScript without a language: tslab's, IJavascript's and ours. */
const JAVASCRIPT_KERNELS = new Set(["jslab", "javascript", KERNELS.javascript.kernelName]);

/** The language of a notebook, by its metadata: TypeScript unless they say JavaScript.
 *  Source: nbformat.readthedocs.io/en/latest/format_description.html#top-level-structure */
export function languageOf(metadata: JsonObject): NotebookLanguage {
  const kernelspec = objectField(metadata, "kernelspec");
  const language = stringField(kernelspec, "language") || stringField(objectField(metadata, "language_info"), "name");
  const isJavaScript = language === "" ? JAVASCRIPT_KERNELS.has(stringField(kernelspec, "name")) : language.toLowerCase() === "javascript";
  return isJavaScript ? "javascript" : "typescript";
}
