/** Compares rendered chats with Python's Jinja2, installed into build/peers. Runs with PEERS=1. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ChatTemplate, chatMlConfig, chatTokens, type ChatMessage } from "../../toolkit/tokenizer/chatTemplate.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";
import { python, randomTexts, setUpNative } from "./nativeTokenizers.ts";

const RELEASE = "3.1.6";

function setUp(): string | undefined {
  const problem = setUpNative();
  if (problem !== undefined) return problem;
  try {
    execFileSync(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `jinja2==${RELEASE}`], { stdio: "pipe", timeout: 300_000 });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error.message.trim().split("\n").slice(0, 3).join(" ");
  }
}

const problem = setUp();
if (problem !== undefined) console.warn(`tests/peers/chatTemplate.test.ts is skipped: ${problem}`);

/** In the manners of the templates that models come with. */
const templates: Readonly<Record<string, string>> = {
  chatMl: chatMlConfig.chatTemplate ?? "",
  instruct: `{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}
        {{- '[INST] ' + message['content'] | trim + ' [/INST]' }}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] | trim + eos_token }}
    {%- endif %}
{%- endfor %}`,
  headers: `{% set ns = namespace(first=true) %}
{% for message in messages %}
  {% set content = '<|start|>' + message.role + '<|mid|>\\n\\n' + message.content | trim + '<|eot|>' %}
  {% if loop.index0 == 0 and ns.first %}{% set content = bos_token + content %}{% set ns.first = false %}{% endif %}
{{ content }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|start|>assistant<|mid|>' }}
{% endif %}
`,
  tools: `{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}
    {%- for tool in tools %}
        {{- tool | tojson + "\\n" }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages[::-1] if message.role != 'system' %}
    {{- loop.index ~ ':' ~ message.role ~ ':' }}
    {%- if '</think>' in message.content %}{{ message.content.split('</think>')[-1] | trim }}{% else %}{{ message.content }}{% endif %}
    {%- if not loop.last %}{{ eos_token }}{% endif %}
{% endfor %}`,
  generation: `{% for message in messages %}
{% if message.role == 'assistant' %}
{{ '<|im_start|>assistant\\n' }}{% generation %}
{{ message.content + '<|im_end|>' }}{% endgeneration %}
{% else %}
  {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' -}}
{% endif %}
{% endfor %}`,
};

/** Jinja2 knows no generation blocks: `transformers` adds them as blocks that write what is in them. */
const withoutGeneration = (template: string): string => template.replaceAll("{% generation %}", "{% if true %}").replaceAll("{% endgeneration %}", "{% endif %}");

describe.skipIf(problem !== undefined)(`Jinja2 ${RELEASE}${problem === undefined ? "" : ` (skipped: ${problem})`}`, () => {
  test("renders chats of random Unicode to the same text", () => {
    const tokenizer = trainTokenizer("x", { vocabSize: 270, specialTokens: [...chatTokens, "<s>", "</s>", "[INST]", "<|start|>", "<|eot|>"] });
    const contents = randomTexts(400, 23, ["<|im_end|>", "<|im_", "</s>", "[INST]", "</think>", "<think>", "\n", "{{ x }}", "{% if %}"])
      // Python's strip takes these controls for white space and JavaScript's trim does not; for U+FEFF it is the other way round.
      .map((text) => text.replace(/[\u001c-\u001f\u0085\ufeff]/g, ""));
    const jobs = Object.entries(templates).flatMap(([name, template]) => Array.from({ length: 60 }, (_, i) => {
      const messages: ChatMessage[] = Array.from({ length: 1 + (i % 5) }, (_, turn) => ({ role: turn % 2 === 0 ? "user" : "assistant", content: contents[(i * 5 + turn) % contents.length] }));
      const tools = name === "tools" && i % 2 === 0 ? [{ name: "search", parameters: { text: contents[i] } }] : undefined;
      return { name, template, messages, tools, addGenerationPrompt: i % 3 === 0 };
    }));
    const rendered = JSON.parse(execFileSync(python, [join(import.meta.dirname, "renderJinja.py")], {
      input: JSON.stringify(jobs.map(({ template, messages, tools, addGenerationPrompt }) =>
        ({ template: withoutGeneration(template), values: { messages, tools, add_generation_prompt: addGenerationPrompt, bos_token: "<s>", eos_token: "</s>" } }))),
      maxBuffer: 2 ** 28,
    }).toString("utf8")) as string[];
    jobs.forEach(({ name, template, messages, tools, addGenerationPrompt }, i) => {
      const chat = new ChatTemplate(tokenizer, { chatTemplate: template, bosToken: "<s>", eosToken: "</s>" });
      expect(chat.apply(messages, { tools, addGenerationPrompt }), name).toBe(rendered[i]);
    });
  }, 300_000);
});
