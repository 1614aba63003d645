// Runs the specs that tfjs-core publishes in its npm package against one of our backends.
//   node tests/conformance/tfjs.mjs [--backend native|cpu] [--filter TEXT] [--kernels] [--json]
// --filter runs the specs whose full name holds TEXT; --kernels adds, for each kernel of "native", how many calls it
// computed and how many it passed on to tfjs's cpu kernel; --json prints one object instead of text.
// Exit status 1 when a spec fails or none ran. Needs `npm run setup`.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import Jasmine from "jasmine";

const { values: options } = parseArgs({ options: {
  backend: { type: "string", default: "native" }, filter: { type: "string" },
  kernels: { type: "boolean", default: false }, json: { type: "boolean", default: false } } });
if (!["native", "cpu"].includes(options.backend)) {
  console.error(`--backend ${options.backend}: known are native and cpu`);
  process.exit(2);
}

const root = join(import.meta.dirname, "..", "..");
const buildFolder = join(root, "build", "conformance");
const core = "@tensorflow/tfjs-core/dist";

/** The two specs "Switching cpu backends" move data between two instances of the backend and name it "cpu" where the
 *  rest take the environment's name: the backend under test goes in its place. */
const nameBackendUnderTest = {
  name: "backend-under-test",
  setup({ onLoad }) {
    onLoad({ filter: /tfjs-core[\\/]dist[\\/]engine_test\.js$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { contents: text.replaceAll("'cpu'", JSON.stringify(options.backend)), loader: "js" };
    });
  },
};

/** Specs and backend in one bundle: they must share one tfjs-core, and its modules can't be imported by Node. */
async function bundleSuite() {
  // Both backends keep their values in this process, so dataSync works: without isDataSync two specs are left out.
  const environment = { name: options.backend, backendName: options.backend, isDataSync: true };
  const contents = [
    `import "${core}/register_all_gradients";`,
    `import "${core}/public/chained_ops/register_all_chained_ops";`,
    'import "@tensorflow/tfjs-backend-cpu";',
    'import { countCpuCalls, countNativeCalls } from "./tests/conformance/countCalls.mjs";',
    `import { setTestEnvs } from "${core}/jasmine_util";`,
    `setTestEnvs([${JSON.stringify(environment)}]);`,
    "countCpuCalls();",
    // Kernels are registered when the module runs, which must be after countCpuCalls: hence require.
    ...(options.backend === "native" ? [
      'require("./toolkit/backend/binding.ts").nativeBinding();', // says what to do when the addon is missing
      'require("./toolkit/backend/register.ts");', 'require("./toolkit/ops/missingGradients.ts");', "countNativeCalls();",
    ] : []),
    `require("${core}/tests");`,
  ].join("\n");
  const path = join(buildFolder, `${options.backend}.mjs`);
  await build({
    stdin: { contents, resolveDir: root }, outfile: path, bundle: true, platform: "node", format: "esm",
    mainFields: ["module", "main"], ignoreAnnotations: true, external: ["jasmine-core"], logLevel: "error",
    plugins: [nameBackendUnderTest],
    alias: { "#tfjs-gradients": `${core}/register_all_gradients` },
    banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
  });
  return path;
}

/** Runs the bundle. Specs that tfjs marks as pending count as skipped; those that --filter leaves out don't count. */
async function runSuite(path) {
  const jasmine = new Jasmine({ projectBaseDir: buildFolder });
  jasmine.exitOnCompletion = false;
  jasmine.loadConfig({ spec_dir: ".", random: false });
  jasmine.clearReporters();
  const result = { passed: 0, failed: 0, skipped: 0, failures: [] };
  jasmine.addReporter({
    specDone({ status, fullName, failedExpectations }) {
      if (status === "passed") result.passed += 1;
      if (status === "pending") result.skipped += 1;
      if (status !== "failed") return;
      result.failed += 1;
      result.failures.push({ name: fullName, messages: failedExpectations.map(({ message }) => message) });
    },
  });
  // Specs of the profiler and of debug mode print what they measure.
  const { log } = console;
  console.log = () => {};
  const { overallStatus, incompleteReason } = await jasmine.execute([path], options.filter?.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .finally(() => { console.log = log; });
  if (overallStatus !== "passed" && result.failed === 0 && options.filter === undefined) throw new Error(incompleteReason ?? "a suite failed outside its specs");
  return result;
}

function print(result) {
  for (const { name, messages } of result.failures) console.log(`FAILED ${name}\n  ${messages.join("\n  ").slice(0, 500)}`);
  for (const { name, native, cpu } of result.kernels ?? []) console.log(`${name}: ${native} computed, ${cpu} passed on to cpu`);
  console.log(`${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`);
}

const result = await runSuite(await bundleSuite());
if (options.kernels) result.kernels = globalThis.moeLabKernelCalls?.() ?? [];
if (options.json) console.log(JSON.stringify({ backend: options.backend, ...result }));
else print(result);
// Some specs leave timers behind.
process.exit(result.failed > 0 || result.passed === 0 ? 1 : 0);
