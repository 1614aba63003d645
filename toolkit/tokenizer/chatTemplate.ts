import { Template } from "@huggingface/jinja";
import { ConfigError, DataError } from "../errors.ts";
import { AddedTokenFinder } from "./addedTokens.ts";
import { withMarks } from "./contentMark.ts";
import { IdBuffer } from "./idBuffer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { TokenizerConfig } from "./tokenizerConfig.ts";
import { END_OF_TEXT } from "./vocabulary.ts";

/** A message of a chat; templates may use more fields, e.g. tool_calls. */
export interface ChatMessage {
  /** A word such as "system", "user", "assistant" or "tool". */
  readonly role: string;
  readonly content?: string | null | readonly Readonly<Record<string, unknown>>[];
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** Ends with what stands before an answer, for the model to go on from; false when left out. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of functions that the model may call. */
  readonly tools?: readonly object[];
  /** More values for the template, e.g. { enable_thinking: false }. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A stretch of a rendered chat. */
export interface ChatPiece {
  readonly text: string;
  /** Written by the assistant, its end-of-turn token included: what the model is trained on. Always false with addGenerationPrompt. */
  readonly isAnswer: boolean;
  /** The text is one special token, and the template wrote it. */
  readonly isSpecial: boolean;
}

/** A chat as token ids. */
export interface EncodedChat {
  /** [tokens] int32 */
  readonly ids: Int32Array;
  /** 1 where the id is part of an answer, else 0, [tokens] uint8 */
  readonly isAnswer: Uint8Array;
}

/** Special tokens of the chats of new models, for trainTokenizer. */
export const chatTokens: readonly string[] = [END_OF_TEXT, "<|im_start|>", "<|im_end|>"];

/** ChatML: each message between "<|im_start|>role" and "<|im_end|>". For new models. */
export const chatMlConfig: TokenizerConfig = {
  chatTemplate: "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  eosToken: "<|im_end|>",
  padToken: END_OF_TEXT,
};

/** Characters that stand for nothing in any text (Unicode noncharacters U+FDD0 to U+FDEF). */
const NONCHARACTERS = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));
const ROLE = /^[A-Za-z_][\w-]*$/;
const GENERATION = /\{%(-?)\s*(end)?generation\s*(-?)%\}/g;

/** The three characters that one rendering uses. */
interface Marks {
  readonly content: string;
  readonly answerStart: string;
  readonly answerEnd: string;
}

/** Turns chats into text and tokens by a Jinja template, as HuggingFace's apply_chat_template does. What messages and tools
 *  say is never read as a special token: it is encoded as ordinary text, whatever stands in it.
 *  The Jinja is @huggingface/jinja's, in which strip, lstrip and rstrip take all white space away whatever they are told to. */
export class ChatTemplate {
  private readonly tokenizer: Tokenizer;
  private readonly config: TokenizerConfig;
  private readonly specialTokens: AddedTokenFinder;
  private readonly template: Template;
  private readonly toolTemplate: Template;
  private readonly source: { readonly chat: string; readonly tools: string };

  /** @param config a model's, as readTokenizerConfig gives it; ChatML when left out, which needs chatTokens in the tokenizer
   *  @throws ConfigError E_CHAT_TEMPLATE, E_CHAT_TOKENS */
  constructor(tokenizer: Tokenizer, config: TokenizerConfig = chatMlConfig) {
    const missing = config === chatMlConfig ? chatTokens.filter((token) => !tokenizer.specialTokens.has(token)) : [];
    if (missing.length > 0) {
      throw new ConfigError({ code: "E_CHAT_TOKENS", what: `the tokenizer has no special token ${missing.join(" ")}`, why: "the template of new models marks turns with them",
        fix: "train it with trainTokenizer(text, { vocabSize, specialTokens: chatTokens }), or pass a config with another template" });
    }
    if (config.chatTemplate === undefined) {
      throw new ConfigError({ code: "E_CHAT_TEMPLATE", what: "the tokenizer's configuration has no chat_template", why: "chats are rendered by it", fix: "pass a config with chatTemplate, or leave the config out for ChatML" });
    }
    this.tokenizer = tokenizer;
    this.config = config;
    this.specialTokens = new AddedTokenFinder(tokenizer.addedTokens.filter(({ special }) => special));
    this.source = { chat: config.chatTemplate, tools: config.toolTemplate ?? config.chatTemplate };
    this.template = parse(this.source.chat);
    this.toolTemplate = parse(this.source.tools);
  }

  /** Id of the token that ends an answer, the configuration's eosToken; −1 where there is none. */
  get endOfTurn(): number {
    return this.tokenizer.specialTokens.get(this.config.eosToken ?? "") ?? -1;
  }

  /** The chat as text.
   *  @throws DataError E_CHAT_RENDER when the template refuses the messages, E_CHAT_ROLE, E_CHAT_TOOLS, E_CHAT_CHARACTERS */
  apply(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    return this.pieces(messages, { ...options }, false).map(({ text }) => text).join("");
  }

  /** The chat as text in pieces. Answers are what the template puts into {% generation %} blocks; in a template without
   *  them, what it adds to a chat for an assistant's message after the generation prompt, up to the end-of-turn token.
   *  @throws DataError as apply does, and E_CHAT_ANSWERS when the template has no such blocks and renders an answer
   *    otherwise once the chat goes on */
  pieces(messages: readonly ChatMessage[], options: ChatOptions = {}, marksAnswers = options.addGenerationPrompt !== true): ChatPiece[] {
    const marks = chooseMarks([messages, options.tools, options.variables], this.source);
    const { text, ranges } = splitMarks(this.render(messages, options, marks), marks);
    const hasBlocks = GENERATION.test(this.sourceFor(options));
    GENERATION.lastIndex = 0;
    const answers = !marksAnswers ? [] : hasBlocks ? ranges : this.answersByPrefix(messages, options, marks, text);
    return cutAt(text, answers).flatMap(({ start, end, isAnswer }) =>
      Array.from(this.specialTokens.split(text.slice(start, end), () => true), (span) => ({
        text: text.slice(start + span.start, start + span.end).replaceAll(marks.content, ""), isAnswer, isSpecial: span.tokenId !== undefined,
      }))).filter((piece) => piece.text !== "");
  }

  /** The chat as token ids. Text is cut where an answer begins, as it is when the model goes on from a prompt.
   *  @throws DataError as pieces does */
  encode(messages: readonly ChatMessage[], options: ChatOptions = {}): EncodedChat {
    const ids = new IdBuffer(0);
    const flags: number[] = [];
    for (const { text, isAnswer, isSpecial } of this.pieces(messages, options)) {
      const pieceIds = this.tokenizer.encode(text, { allowedSpecial: isSpecial ? "all" : "none" });
      for (const id of pieceIds) {
        ids.append(id);
        flags.push(isAnswer ? 1 : 0);
      }
    }
    return { ids: ids.toArray(), isAnswer: Uint8Array.from(flags) };
  }

  private sourceFor({ tools }: ChatOptions): string {
    return tools === undefined ? this.source.chat : this.source.tools;
  }

  private render(messages: readonly ChatMessage[], options: ChatOptions, marks: Marks): string {
    const wrongRole = messages.find(({ role }) => !ROLE.test(role));
    if (wrongRole !== undefined) {
      throw new DataError({ code: "E_CHAT_ROLE", what: `a message has the role ${JSON.stringify(wrongRole.role)}`, why: "templates build tokens of it, so it is a word", fix: "use system, user, assistant or tool" });
    }
    if (options.tools !== undefined && !/\btools\b/.test(this.source.tools)) {
      throw new DataError({ code: "E_CHAT_TOOLS", what: "the chat has tools", why: "the template has no place for them and would drop them unseen", fix: "leave tools out, or use a model whose template has them" });
    }
    const special = [...this.tokenizer.specialTokens.keys()];
    const marked = (value: unknown) => withMarks(value, special, marks.content);
    const { bosToken, eosToken, padToken } = this.config;
    const values = {
      ...(marked(options.variables ?? {}) as Record<string, unknown>),
      messages: messages.map((message) => ({ ...(marked(message) as ChatMessage), role: message.role })),
      ...(options.tools !== undefined && { tools: marked(options.tools) }),
      add_generation_prompt: options.addGenerationPrompt === true,
      bos_token: bosToken ?? "", eos_token: eosToken ?? "", pad_token: padToken ?? "",
      [ANSWER_START]: marks.answerStart, [ANSWER_END]: marks.answerEnd,
    };
    try {
      return (options.tools === undefined ? this.template : this.toolTemplate).render(values);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      throw new DataError({ code: "E_CHAT_RENDER", what: `the chat template refuses these messages: ${error.message}`, why: "roles, their order or a field are not as it asks for", fix: "look at chat_template of the tokenizer's configuration", cause: error });
    }
  }

  private answersByPrefix(messages: readonly ChatMessage[], options: ChatOptions, marks: Marks, full: string): Range[] {
    return messages.flatMap(({ role }, i) => {
      if (role !== "assistant") return [];
      const before = this.render(messages.slice(0, i), { ...options, addGenerationPrompt: true }, marks);
      const through = this.render(messages.slice(0, i + 1), { ...options, addGenerationPrompt: false }, marks);
      if (!through.startsWith(before) || !full.startsWith(through)) {
        throw new DataError({ code: "E_CHAT_ANSWERS", what: `the answer in message ${i} can't be told from the rest of the chat`,
          why: "the template has no {% generation %} blocks, and writes this answer or what precedes it otherwise when the chat goes on",
          fix: "put {% generation %} and {% endgeneration %} around answers in the template, or train on chats that end with their only answer" });
      }
      return [{ start: before.length, end: this.answerEnd(through, before.length) }];
    });
  }

  /** Where an answer ends: behind its last special token when only white space follows it, which the model never writes. */
  private answerEnd(text: string, start: number): number {
    const trimmed = text.trimEnd();
    const isEnded = [...this.tokenizer.specialTokens.keys()].some((token) => trimmed.endsWith(token));
    return isEnded && trimmed.length > start ? trimmed.length : text.length;
  }
}

interface Range {
  readonly start: number;
  readonly end: number;
}

const ANSWER_START = "moe_lab_answer_start";
const ANSWER_END = "moe_lab_answer_end";

/** Jinja's parser does not know {% generation %}: the borders are written as values instead. The `if` keeps the white
 *  space control of a block. */
function parse(source: string): Template {
  const written = source.replace(GENERATION, (_, left: string, end: string | undefined, right: string) =>
    `{%${left} if true %}{{ ${end === undefined ? ANSWER_START : ANSWER_END} }}{% endif ${right}%}`);
  try {
    return new Template(written);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new ConfigError({ code: "E_CHAT_TEMPLATE", what: `the chat template can't be read: ${error.message}`, why: "it is not Jinja as @huggingface/jinja knows it", fix: "look at chat_template of the tokenizer's configuration", cause: error });
  }
}

function chooseMarks(values: unknown, source: object): Marks {
  const used = JSON.stringify([values, source]);
  const [content, answerStart, answerEnd] = NONCHARACTERS.filter((char) => !used.includes(char));
  if (answerEnd === undefined) {
    throw new DataError({ code: "E_CHAT_CHARACTERS", what: "the chat has nearly all of the noncharacters U+FDD0 to U+FDEF", why: "three that it does not have are needed to tell content from template", fix: "remove these characters; they stand for nothing" });
  }
  return { content, answerStart, answerEnd };
}

/** Takes the borders of {% generation %} blocks out of a rendered chat. */
function splitMarks(rendered: string, { answerStart, answerEnd }: Marks): { text: string; ranges: Range[] } {
  const ranges: Range[] = [];
  let text = "";
  let start: number | undefined;
  for (const part of rendered.split(new RegExp(`(${answerStart}|${answerEnd})`))) {
    if (part === answerStart) start ??= text.length;
    else if (part !== answerEnd) text += part;
    else if (start !== undefined) {
      ranges.push({ start, end: text.length });
      start = undefined;
    }
  }
  return { text, ranges };
}

/** The whole text in stretches that are in one of the ranges or in none. */
function cutAt(text: string, ranges: readonly Range[]): (Range & { isAnswer: boolean })[] {
  const stretches: (Range & { isAnswer: boolean })[] = [];
  let at = 0;
  for (const { start, end } of ranges) {
    stretches.push({ start: at, end: start, isAnswer: false }, { start, end, isAnswer: true });
    at = end;
  }
  stretches.push({ start: at, end: text.length, isAnswer: false });
  return stretches.filter(({ start, end }) => end > start);
}
