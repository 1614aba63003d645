import { join } from "node:path";
import { userDataFolder } from "./kernelspec/folders.ts";
import type { JupyterMachine } from "./kernelspec/folders.ts";

/** Where the history of this user's kernels is kept: a folder in Jupyter's data folder, or the one that the variable
 *  MOE_LAB_HISTORY names; its value "off" keeps nothing.
 *  @returns null when nothing is to be kept, or the user has no home folder */
export function historyFolder(machine: JupyterMachine): string | null {
  const { MOE_LAB_HISTORY: chosen = "", JUPYTER_DATA_DIR: data = "" } = machine.environment;
  if (chosen === "off") return null;
  if (chosen !== "") return chosen;
  return machine.homeFolder === "" && data === "" ? null : join(userDataFolder(machine), "moe-lab", "history");
}
