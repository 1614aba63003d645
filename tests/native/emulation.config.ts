import base from "../../vitest.config.ts";

// The tests' own processes run in another Node.js, for example one for Arm under qemu: see .ci/processors. vitest has
// no setting for it, but it forks its workers from this path.
process.execPath = process.env.MOE_LAB_TEST_NODE ?? process.execPath;

export default base;
