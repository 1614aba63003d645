/** Speed of the ops, each beside what it can be compared with in the same run. `npm run bench -- ops [--case TEXT]` */
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { benchMemoryBound } from "./ops/memoryBound.ts";
import { report } from "./report.ts";

const { filter, bandwidth } = JSON.parse(process.argv[2]) as { filter: string; bandwidth?: string };
const { name, reason, threads } = await chooseBackend();
report("ops", `threads of ${name} (${reason})`, "threads", [threads]);
if (bandwidth !== undefined) benchMemoryBound(bandwidth, threads, filter);
