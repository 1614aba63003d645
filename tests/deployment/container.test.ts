// Builds the image for real and runs it as compose.yaml would. CONTAINERS=1 npx vitest run tests/deployment/container
// needs root, podman, buildah, runc, debootstrap, netavark and Debian's packages; the first run takes some minutes.
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { streamCompletion } from "../../serve/client.ts";
import { promote } from "../../toolkit/export/promote.ts";
import { writeTinyBundle } from "../serve/tinyBundle.ts";

const isAsked = process.env["CONTAINERS"] === "1";
if (!isAsked) console.warn("SKIPPED: the image isn't built and run. Set CONTAINERS=1 where podman is installed.");

const minutes = 60_000;
const names = { runtime: "moe-lab-test-runtime", build: "moe-lab-test-build", server: "moe-lab-test-server" };
/** Kept between runs: the bases take minutes. */
const cache = join(tmpdir(), "moe-lab-test-containers");
const containersConf = join(cache, "containers.conf");
const image = "localhost/";

async function run(program: string, args: readonly string[], cwd = cache): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd, env: { ...process.env, CONTAINERS_CONF: containersConf }, maxBuffer: 64 * 1024 * 1024 });
  return stdout.trim();
}

/** A Debian with this Node.js: what node:20-bookworm-slim is, or with npm and g++ what node:20-bookworm is. No image can
 *  be pulled where this test was written. */
async function makeBase(kind: "runtime" | "build", packages: readonly string[]): Promise<void> {
  const root = join(cache, kind);
  if (!existsSync(join(root, "usr", "local", "bin", "node"))) {
    await run("debootstrap", ["--variant=minbase", `--include=${packages.join(",")}`, "bookworm", root]);
    cpSync("/etc/ssl/certs/ca-certificates.crt", join(root, "etc", "ssl", "certs", "ca-certificates.crt"));
    cpSync(realpathSync(process.execPath), join(root, "usr", "local", "bin", "node"));
    if (kind === "build") {
      const npm = dirname(dirname(realpathSync((await run("which", ["npm"])))));
      cpSync(npm, join(root, "usr", "local", "lib", "node_modules", "npm"), { recursive: true });
      await run("ln", ["-sf", "../lib/node_modules/npm/bin/npm-cli.js", join(root, "usr", "local", "bin", "npm")]);
    }
  }
  writeFileSync(join(cache, `Dockerfile.${kind}`), `FROM scratch\nADD ${kind} /\nENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n`);
  await run("podman", ["build", "--isolation=chroot", "--format=docker", "--layers", "-t", names[kind], "-f", `Dockerfile.${kind}`, "."]);
}

describe.runIf(isAsked)("the image", () => {
  let folder = "";
  let container = "";
  let url = "";

  beforeAll(async () => {
    mkdirSync(cache, { recursive: true });
    // Without systemd: cgroups by hand, events in a file, limits that an unprivileged host also grants.
    writeFileSync(containersConf, '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n[containers]\ndefault_ulimits = ["nofile=4096:8192", "nproc=4096:8192"]\n');
    await makeBase("runtime", ["ca-certificates", "libstdc++6"]);
    await makeBase("build", ["ca-certificates", "g++"]);
    const tiny = await writeTinyBundle();
    folder = tiny.folder;
    const service = await promote({ bundleDir: tiny.bundleDir }, join(folder, "service"));
    await run("podman", [
      "build", "--isolation=chroot", "--format=docker", "--build-arg", `NODE_IMAGE=${image}${names.build}`,
      "--build-arg", `RUNTIME_IMAGE=${image}${names.runtime}`, "-t", names.server, ".",
    ], service.path);
    container = await run("podman", [
      "run", "--detach", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g", "--pids-limit=256",
      "-e", "MOE_LAB_EXPERT_METRICS=true", "-p", "127.0.0.1::8000", names.server,
    ]);
    url = `http://${await run("podman", ["port", container, "8000/tcp"])}`;
  }, 20 * minutes);

  afterAll(async () => {
    if (container !== "") await run("podman", ["rm", "--force", container]);
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  }, minutes);

  test("becomes ready and answers, with the native backend that its build stage compiled", async () => {
    await expect.poll(async () => await fetch(`${url}/health/ready`).then(({ status }) => status, () => 0), { timeout: 30_000, interval: 100 }).toBe(200);
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({ data: [{ id: "tiny", moe: { backend: "native" } }] });
    let pieces = 0;
    for await (const { text } of streamCompletion(url, { prompt: "true places", maxTokens: 20 })) pieces += text.length >= 0 ? 1 : 0;
    expect(pieces).toBeGreaterThan(1);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('moe_expert_tokens_total{layer="0",expert="0"}');
  });

  test("passes its own health check", async () => {
    await run("podman", ["healthcheck", "run", container]); // rejects with the check's exit code
  });

  test("isn't root, can't write to its files and has no compiler or npm", async () => {
    const probe = "const { accessSync, writeFileSync } = require('fs'); let write = 'ok'; try { writeFileSync('/app/x', ''); } catch (error) { write = error.code; }" +
      "const there = (path) => { try { accessSync(path); return true; } catch { return false; } };" +
      "console.log(JSON.stringify({ user: process.getuid(), write, tools: ['/usr/bin/g++', '/usr/local/bin/npm', '/app/moe-lab.tgz'].filter(there) }))";
    expect(JSON.parse(await run("podman", ["exec", container, "node", "-e", probe]))).toEqual({ user: 10001, write: "EROFS", tools: [] });
  });

  test("finishes its streams on SIGTERM and exits with 0", async () => {
    const stream = streamCompletion(url, { prompt: "true", maxTokens: 300 });
    await stream.next();
    const stopped = run("podman", ["stop", "--time=30", container]);
    const reasons: (string | undefined)[] = [];
    for await (const { finishReason } of stream) reasons.push(finishReason);
    expect(reasons.at(-1)).toMatch(/^(stop|length)$/);
    await stopped;
    expect(await run("podman", ["inspect", container, "--format", "{{.State.ExitCode}}"])).toBe("0");
  });
});
