import type { Command } from "commander";

/** Adds --device, which is MOE_LAB_DEVICE for this process and those that it starts. */
export function withDeviceOption(command: Command): Command {
  return command
    .option("--device <device>", "where to compute: auto, cpu, cuda or cuda:N; default: $MOE_LAB_DEVICE or auto, the first GPU that can be used")
    .hook("preAction", (_, action) => {
      const { device } = action.opts<{ device?: string }>();
      if (device !== undefined) process.env.MOE_LAB_DEVICE = device;
    });
}
