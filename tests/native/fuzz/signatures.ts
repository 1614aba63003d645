/** Arguments of each function of the addon, in order: what the fuzzer makes for it. `>` marks an array that the function
 *  writes; `size` is a count, `rank layout` a block, `window` how a
 *  window moves over an image, `any` an array of any of the three kinds, `list` an array of Float32Arrays, `f32?` and
 *  `i32?` may be absent. */
const binary = "rank layout f32 f32 >f32";
const compare = "rank layout f32 f32 >u8";
const compareInts = "rank layout i32 i32 >u8";
const compareBytes = "rank layout u8 u8 >u8";
const intBinary = "rank layout i32 i32 >i32";
const unary = "size number number f32 >f32";
const reduce = "size size size number f32 >f32";

const all = (names: string, signature: string): Record<string, string> => Object.fromEntries(names.split(" ").map((name) => [name, signature]));

export const signatures: Readonly<Record<string, string>> = {
  setErrorClass: "class", threads: "", setThreads: "threads", instructionSet: "",
  ...all("add subtract multiply divide maximum minimum squaredDifference power prelu modulo atan2", binary),
  ...all("addInts subtractInts multiplyInts maximumInts minimumInts squaredDifferenceInts floorDivideInts moduloInts", intBinary),
  ...all("equal notEqual greater greaterEqual less lessEqual", compare),
  ...all("equalInts notEqualInts greaterInts greaterEqualInts lessInts lessEqualInts", compareInts),
  ...all("logicalAnd logicalOr equalBytes notEqualBytes greaterBytes greaterEqualBytes lessBytes lessEqualBytes", compareBytes),
  ...all("negate exp log sqrt rsqrt square relu relu6 elu leakyRelu sigmoid tanh abs step reciprocal clip sin cos erf log1p expm1 floor ceil", unary),
  ...all("negateInts absInts squareInts signInts reluInts clipInts", "size number number i32 >i32"),
  ...all("tan asin acos atan sinh cosh asinh acosh atanh softplus selu round sign", "size f32 >f32"),
  ...all("isNaN isInf isFinite floatsToBytes", "size f32 >u8"),
  select: "size u8 any any >any",
  bytesToFloats: "size u8 >f32", intsToFloats: "size i32 >f32", floatsToInts: "size f32 >i32", bytesToInts: "size u8 >i32", intsToBytes: "size i32 >u8",
  logicalNot: "size u8 >u8",
  toBfloat16: "size f32 >u16", toFloat16: "size f32 >u16", fromBfloat16: "size u16 >f32", fromFloat16: "size u16 >f32",
  ...all("sum product largest smallest", reduce),
  ...all("indexOfLargest indexOfSmallest", "size size size f32 >i32"),
  ...all("sumInts productInts largestInts smallestInts indexOfLargestInts indexOfSmallestInts", "size size size i32 >i32"),
  ...all("all any", "size size size u8 >u8"),
  ...all("cumulativeSum cumulativeProduct", "size size size flag flag f32 >f32"),
  ...all("cumulativeSumInts cumulativeProductInts", "size size size flag flag i32 >i32"),
  softmax: "size size f32 >f32",
  topK: "size size size f32 >f32 >i32", topKInts: "size size size i32 >i32 >i32",
  copyBlock: "rank layout size size any >any",
  gather: "size size size size size i32 any >any",
  scatterAdd: "size size size i32 f32 >f32", scatterAddInts: "size size size i32 i32 >i32",
  matmul: "size size size size flag flag size size f32 f32 >f32",
  matmulGroups: "size size size size flag i32 f32 f32 >f32",
  matmulGroupsWeightGradient: "size size size size i32 f32 f32 >f32",
  convolve: "size size window size f32 f32 >f32", convolveInputGradient: "size size window size f32 f32 >f32", convolveFilterGradient: "size size window size f32 f32 >f32",
  convolveDepthwise: "size size window size f32 f32 >f32", depthwiseInputGradient: "size size window size f32 f32 >f32", depthwiseFilterGradient: "size size window size f32 f32 >f32",
  ...all("maxPool meanPool", "size size window f32 >f32"),
  maxPoolGradient: "size size window f32 f32 >f32", meanPoolGradient: "size size window f32 >f32",
  rmsNormForward: "size size number f32 f32 >f32 >f32",
  rmsNormBackward: "size size f32 f32 f32 f32 f32? >f32 >f32",
  addRmsNormForward: "size size number f32 f32 f32 >f32 >f32 >f32",
  layerNormForward: "size size number f32 f32 f32 >f32 >f32 >f32",
  layerNormBackward: "size size f32 f32 f32 f32 f32 >f32 >f32 >f32",
  rotary: "size size size size flag f32 f32 f32 >f32",
  queryKeyValueForward: "size size size size size f32 f32 f32 f32 >f32 >f32 >f32",
  queryKeyValueBackward: "size size size size size f32 f32 f32 f32 f32 f32 f32 >f32 >f32 >f32 >f32",
  attentionForward: "size size size size size size f32 f32 f32 >f32 >f32 i32?",
  attentionBackward: "size size size size size size f32 f32 f32 f32 f32 f32 >f32 >f32 >f32 i32?",
  routeTopKForward: "size size size flag f32 >i32 >f32 >f32",
  routeTopKBackward: "size size size flag i32 f32 f32 f32 f32 >f32",
  selectExperts: "size size size size size size f32 f32? >i32",
  chosenScores: "size size size f32 i32 >f32", chosenScoresBackward: "size size size i32 f32 >f32",
  countChoices: "size size size size i32 f32? >f32", limitChoices: "size size size i32 f32? >i32",
  gatherRows: "size size size f32 i32 >f32",
  gatherRowsBackward: "size size size i32 f32 >f32",
  combineRows: "size size size size f32 f32? i32 >f32",
  combineRowsBackward: "size size size size f32 f32 i32 f32 >f32 >f32",
  planDispatch: "size size size i32 >i32 >i32 >i32",
  expertFeedForward: "size size size size size size size i32 i32 i32 f32 f32 f32 f32 >f32 >f32",
  expertFeedForwardBackward: "size size size size size size size i32 i32 i32 f32 f32 f32 f32 f32 >f32 >f32 >f32 >f32 >f32",
  crossEntropyForward: "size size f32 i32 f32 >f32 >f32",
  crossEntropyBackward: "size size f32 f32 i32 f32 f32 >f32",
  balanceLossForward: "size size size i32 f32 f32 >f32 >f32", balanceLossBackward: "size size f32 f32 f32 >f32",
  zLossForward: "size size f32 f32 >f32", zLossBackward: "size size f32 f32 f32 >f32",
  adamwUpdate: "number number number number number number list >list >list >list f32 f32",
  globalNorm: "number list >f32 >f32",
  prepareMemory: "any",
};
