/** What HuggingFace's native `tokenizers` 0.23.3 makes of these texts (byte-level BPE, add_prefix_space false,
 *  vocab_size 320, special tokens `<|endoftext|>` and `<|end|>`, the ByteLevel alphabet). */

export const trainingText =
  "The whale, the white whale! He'll rise; he's risen, they've seen it: 1851 times, 1852 times.\n" +
  "\n" +
  "  \"Thar she blows!\" cried the mate—“thar she blows!” — naïve café, Ωmega, 鯨は海に、🐋🐋 whales.\t\tend\r\n" +
  "aaaaaaaaaa aaaa aaa aa a  bababa abab\n";

export const vocabSize = 320;
export const specialTokens = ["<|endoftext|>", "<|end|>"];

/** In the order of learning. */
export const merges: readonly (readonly [left: string, right: string])[] = [
  ["a", "a"], ["h", "e"], ["h", "a"], ["Ġ", "t"], ["aa", "aa"], ["a", "b"],
  ["â", "Ģ"], ["Ġ", "w"], ["e", "n"], ["e", "s"], ["r", "i"], ["Ġ", "b"],
  ["Ġ", "s"], ["ha", "l"], ["Ġt", "he"], ["Ġw", "hal"], ["1", "8"], ["i", "m"],
  ["i", "t"], ["l", "o"], ["v", "e"], ["w", "s"], ["ã", "ģ"], ["ð", "Ł"],
  ["Ġ", "c"], ["Ġ", "aa"], ["Ġ", "ri"], ["Ġ", "18"], ["Ĳ", "ĭ"], ["ha", "r"],
  ["Ġt", "im"], ["ab", "ab"], ["âĢ", "Ķ"], ["Ġb", "lo"], ["Ġs", "he"], ["Ġwhal", "e"],
  ["ðŁ", "Ĳĭ"], ["Ġri", "s"], ["Ġ18", "5"], ["Ġtim", "es"], ["Ġblo", "ws"], ["!", "\""],
  ["!", "âĢ"], ["'", "l"], ["'", "s"], ["'", "ve"], ["H", "e"], ["T", "he"],
  ["T", "har"], ["a", "f"], ["a", "t"], ["a", "Ã"], ["e", "d"], ["e", "g"],
  ["e", "en"], ["h", "it"], ["m", "at"], ["m", "eg"], ["n", "aÃ"], ["t", "har"],
  ["¨", "ãģ"], ["©", "meg"],
];

/** Text and its ids. */
export const encodings: readonly (readonly [text: string, ids: readonly number[]])[] = [
  ["", []],
  [" ", [222]],
  ["the whale", [85, 259, 293]],
  [" the  whales\n\n he'll've 'LL 's", [272, 222, 273, 267, 200, 200, 222, 259, 301, 77, 303, 222, 8, 45, 45, 222, 8, 84]],
  ["café naïve Ω鯨🐋", [68, 307, 129, 104, 222, 316, 109, 278, 222, 140, 104, 167, 109, 103, 294]],
  ["a<|endoftext|>b<|end|><|end", [66, 0, 67, 1, 29, 93, 266, 69]],
  ["\n\n\n", [200, 200, 200]],
  ["x \u00a0\u2003y\u0085z\ufeff", [89, 222, 128, 256, 264, 227, 90, 128, 229, 91, 173, 121, 125]],
  ["👩\u200d👩\u200d👧\u200d👦 🏳\ufe0f\u200d🌈", [281, 241, 104, 264, 237, 281, 241, 104, 264, 237, 281, 241, 102, 264, 237, 281, 241, 101, 222, 281, 239, 113, 173, 118, 239, 264, 237, 281, 236, 232]],
  ["aaaaaaaaaaaaa", [262, 262, 262, 66]],
  ["1851st\t12", [274, 22, 18, 84, 85, 199, 18, 19]],
  ["<|endoftext|> <|endoftext|>", [0, 222, 0]],
  ["\u0000\u0001\u007f", [190, 191, 223]],
  ["बिल्ली 고래 кит", [158, 99, 107, 158, 99, 125, 158, 99, 112, 158, 100, 237, 158, 99, 112, 158, 100, 224, 222, 168, 113, 256, 169, 254, 248, 222, 142, 120, 142, 118, 143, 226]],
  ["e\u0301 ½ Ⅷ ²", [70, 138, 225, 222, 128, 123, 222, 160, 229, 102, 222, 128, 112]],
];

/** Text and the words that GPT-2's pre-tokenisation cuts it into. */
export const words: readonly (readonly [text: string, words: readonly string[]])[] = [
  ["Hello  world", ["Hello", " ", " world"]],
  ["it's IT'S we'll we've I'd I'm don't they're ' s '", ["it", "'s", " IT", "'", "S", " we", "'ll", " we", "'ve", " I", "'d", " I", "'m", " don", "'t", " they", "'re", " '", " s", " '"]],
  ["a  b   c \n d\n\n", ["a", " ", " b", "  ", " c", " \n", " d", "\n\n"]],
  ["3.14 x2 2x ½ Ⅷ", ["3", ".", "14", " x", "2", " 2", "x", " ½", " Ⅷ"]],
  ["naïve—“ok” …!?", ["naïve", "—“", "ok", "”", " …!?"]],
  ["日本語 テキスト", ["日本語", " テキスト"]],
  ["a\u00a0b\u2003 c\u0085d\ufeffe\u200bf\u001fg", ["a", "\u00a0", "b", "\u2003", " c", "\u0085", "d", "\ufeff", "e", "\u200b", "f", "\u001f", "g"]],
  ["🐋🐋 🐋a", ["🐋🐋", " 🐋", "a"]],
  ["e\u0301a", ["e", "\u0301", "a"]],
  ["!'s 's ''s 'sa 'llama", ["!'", "s", " '", "s", " ''", "s", " '", "sa", " '", "llama"]],
  ["\t\tx \t y", ["\t", "\t", "x", " \t", " y"]],
  ["foo_bar __proto__ 10'000", ["foo", "_", "bar", " __", "proto", "__", " 10", "'", "000"]],
];
