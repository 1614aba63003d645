import type { Command } from "commander";
import { withDeviceOption } from "./device.ts";

interface Options { prompt: string; maxTokens: string; temperature: string; topK: string; topP: string; seed: string }

/** `moe-lab generate BUNDLE --prompt TEXT` */
export function addGenerate(program: Command): void {
  withDeviceOption(program.command("generate")).description("continue a prompt with a bundle's model")
    .argument("<bundle>", "bundle folder, made by promote")
    .requiredOption("--prompt <text>", "text to continue")
    .option("--max-tokens <number>", "most tokens to write", "100")
    .option("--temperature <number>", "0 takes the best token each time", "0.8")
    .option("--top-k <number>", "keep the K best tokens; 0 keeps all", "0")
    .option("--top-p <number>", "keep the best tokens that reach this probability", "1")
    .option("--seed <number>", "the same seed gives the same text", "0")
    .action(async (bundleFolder: string, options: Options) => {
      const { chooseBackend } = await import("../backend/choose.ts");
      const { readBundle } = await import("../export/bundle.ts");
      const { generate } = await import("../generate/generate.ts");
      await chooseBackend();
      const { model, tokenizer } = readBundle(bundleFolder);
      process.stdout.write(options.prompt);
      const settings = {
        maxTokens: Number(options.maxTokens), temperature: Number(options.temperature), topK: Number(options.topK),
        topP: Number(options.topP), seed: Number(options.seed),
      };
      for await (const { text } of generate(model, tokenizer, options.prompt, settings)) process.stdout.write(text);
      process.stdout.write("\n");
    });
}
