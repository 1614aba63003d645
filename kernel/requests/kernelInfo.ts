import { createRequire } from "node:module";
import { KERNELS } from "../notebookLanguage.ts";
import { isJsonObject, stringField } from "../protocol/json.ts";
import { PROTOCOL_VERSION } from "../protocol/wire.ts";
import type { RequestHandler } from "./kernelState.ts";

const require = createRequire(import.meta.url);

/** Version of an installed package, without loading the package. */
function packageVersion(name: string): string {
  const manifest: unknown = require(`${name}/package.json`);
  return isJsonObject(manifest) ? stringField(manifest, "version") : "";
}

/** kernel_info_request. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#kernel-info */
export const kernelInfo: RequestHandler = ({ language }) => ({
  status: "ok",
  protocol_version: PROTOCOL_VERSION,
  implementation: "moe-lab",
  implementation_version: packageVersion("moe-lab"),
  language_info: {
    name: language, version: language === "typescript" ? packageVersion("typescript") : process.versions.node,
    mimetype: `text/${language}`, file_extension: KERNELS[language].extension, pygments_lexer: language,
    codemirror_mode: language === "typescript" ? { name: "javascript", typescript: true } : "javascript", nbconvert_exporter: "script",
  },
  banner: `${KERNELS[language].displayName} on Node.js ${process.version}`,
  help_links: [language === "typescript" ? { text: "TypeScript", url: "https://www.typescriptlang.org/docs/" } : { text: "JavaScript", url: "https://developer.mozilla.org/docs/Web/JavaScript" }],
  debugger: true,
  supported_features: ["debugger", "kernel subshells"],
});

/** connect_request: the ports, as the connection file has them, and how many messages were dropped as malformed. */
export const connect: RequestHandler = ({ connection: { ports }, sockets }) => ({
  status: "ok", dropped_messages: sockets.droppedMessages, shell_port: ports.shell, iopub_port: ports.iopub, stdin_port: ports.stdin, hb_port: ports.heartbeat, control_port: ports.control,
});
