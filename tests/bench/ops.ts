/** Speed of the ops, each beside what it can be compared with in the same run. `npm run bench -- ops [--case TEXT]` */
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { benchEveryOp } from "./ops/everyOp.ts";
import { benchExperts } from "./ops/experts.ts";
import { benchMemoryBound, loadBandwidth, memoryRate } from "./ops/memoryBound.ts";
import { benchProducts } from "./ops/products.ts";
import { report } from "./report.ts";

const { filter, bandwidthAddon } = JSON.parse(process.argv[2]) as { filter: string; bandwidthAddon?: string };
const { name, reason, threads } = await chooseBackend();
report("ops", `threads of ${name} (${reason})`, "threads", [threads]);
const bandwidth = bandwidthAddon === undefined ? undefined : loadBandwidth(bandwidthAddon);
benchEveryOp(filter);
benchProducts(filter);
benchExperts(bandwidth && memoryRate(bandwidth, threads), filter);
if (bandwidth !== undefined) benchMemoryBound(bandwidth, threads, filter);
