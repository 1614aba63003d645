import Module, { createRequire } from "node:module";
import type { Display } from "../runner/display.ts";
import { Object, Reflect } from "../runner/intrinsics.ts";

/** The release whose public functions are offered. */
const TSLAB_VERSION = "1.0.22";

/** What cells import. */
export const TSLAB_NAME = "tslab";
/** Where local modules find it, which have scopes of their own; see tslabModule.ts. */
export const TSLAB_KEY = Symbol.for("moe-lab.tslab");

/** The package "tslab" for cells: notebooks made for that kernel run unchanged, and show their values through ours.
 *  Source: dist/public.d.ts of tslab 1.0.22 (npm) */
export interface Tslab {
  readonly display: TslabDisplay;
  readonly newDisplay: () => TslabDisplay;
  readonly versions: { readonly tslab: string; readonly typescript: string; readonly node: string };
}

/** Methods as in tslab. It is a function too, because `import { display } from "tslab"` puts it in the place of the
 *  kernel's own display, which libraries call. */
export type TslabDisplay = Display & { readonly [Name in keyof typeof TSLAB_TYPES]: (data: string | Uint8Array) => void }
  & { readonly raw: (contentType: string, data: string | Uint8Array) => void };

const TSLAB_TYPES = {
  javascript: "text/javascript", html: "text/html", markdown: "text/markdown", latex: "text/latex", svg: "image/svg+xml", png: "image/png",
  jpeg: "image/jpeg", gif: "image/gif", pdf: "application/pdf", text: "text/plain",
} as const;

export function createTslab(display: Display): Tslab {
  return {
    display: tslabDisplay(display, (bundle) => { display(bundle, { raw: true }); }),
    newDisplay: () => {
      let replace: ((bundle: object) => void) | null = null;
      return tslabDisplay(display, (bundle) => {
        if (replace !== null) {
          replace(bundle);
          return;
        }
        const { id } = display(bundle, { raw: true });
        replace = (next) => { display(next, { raw: true, display_id: id, update: true }); };
      });
    },
    versions: {
      tslab: TSLAB_VERSION, node: process.version,
      get typescript(): string {
        const { version } = createRequire(import.meta.url)("typescript/package.json") as { version: string };
        return version;
      },
    },
  };
}

/** Makes it what require("tslab") returns, in cells and in CommonJS packages, and known to tslabModule.ts. */
export function provideTslab(tslab: Tslab): void {
  Object.defineProperty(globalThis, TSLAB_KEY, { value: tslab, configurable: true });
  // Node.js has a documented hook for require() only from version 22.15 on; require-in-the-middle patches the same function.
  const load = Reflect.get(Module, "_load") as (request: string, ...rest: unknown[]) => unknown;
  Reflect.set(Module, "_load", function (this: unknown, request: string, ...rest: unknown[]) {
    return request === TSLAB_NAME ? tslab : Reflect.apply(load, this, [request, ...rest]);
  });
}

function tslabDisplay(display: Display, show: (bundle: object) => void): TslabDisplay {
  const raw = (contentType: string, data: string | Uint8Array): void => { show({ [contentType]: data }); };
  const methods = Object.fromEntries(Object.entries(TSLAB_TYPES).map(([name, mime]) => [name, (data: string | Uint8Array) => { raw(mime, data); }]));
  const callable: Display = ((value: unknown, options?: object) => display(value, options)) as never;
  return Object.assign(callable, { ...display, ...methods, raw }) as never;
}
