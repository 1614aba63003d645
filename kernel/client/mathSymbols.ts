/** Letters of TeX formulas that are written as commands. */
export const LETTERS: Readonly<Record<string, string>> = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ϵ", varepsilon: "ε", zeta: "ζ", eta: "η", theta: "θ", vartheta: "ϑ", iota: "ι", kappa: "κ",
  lambda: "λ", mu: "μ", nu: "ν", xi: "ξ", pi: "π", varpi: "ϖ", rho: "ρ", varrho: "ϱ", sigma: "σ", varsigma: "ς", tau: "τ", upsilon: "υ", phi: "ϕ",
  varphi: "φ", chi: "χ", psi: "ψ", omega: "ω", Gamma: "Γ", Delta: "Δ", Theta: "Θ", Lambda: "Λ", Xi: "Ξ", Pi: "Π", Sigma: "Σ", Upsilon: "Υ", Phi: "Φ",
  Psi: "Ψ", Omega: "Ω", ell: "ℓ", hbar: "ℏ", infty: "∞", partial: "∂", nabla: "∇", emptyset: "∅", varnothing: "∅", Re: "ℜ", Im: "ℑ", aleph: "ℵ", top: "⊤", bot: "⊥",
};

/** Operators, relations, arrows, dots and fences. */
export const OPERATORS: Readonly<Record<string, string>> = {
  cdot: "⋅", times: "×", div: "÷", pm: "±", mp: "∓", ast: "∗", star: "⋆", circ: "∘", bullet: "•", odot: "⊙", oplus: "⊕", otimes: "⊗", le: "≤", leq: "≤", ge: "≥",
  geq: "≥", ne: "≠", neq: "≠", approx: "≈", equiv: "≡", sim: "∼", simeq: "≃", cong: "≅", propto: "∝", ll: "≪", gg: "≫", in: "∈", notin: "∉", ni: "∋",
  subset: "⊂", subseteq: "⊆", supset: "⊃", supseteq: "⊇", cup: "∪", cap: "∩", setminus: "∖", to: "→", rightarrow: "→", leftarrow: "←", gets: "←", leftrightarrow: "↔",
  Rightarrow: "⇒", Leftarrow: "⇐", Leftrightarrow: "⇔", implies: "⟹", iff: "⟺", mapsto: "↦", uparrow: "↑", downarrow: "↓", ldots: "…", dots: "…", cdots: "⋯", vdots: "⋮",
  ddots: "⋱", forall: "∀", exists: "∃", neg: "¬", lnot: "¬", land: "∧", wedge: "∧", lor: "∨", vee: "∨", mid: "∣", parallel: "∥", perp: "⟂", therefore: "∴", prime: "′",
  langle: "⟨", rangle: "⟩", lfloor: "⌊", rfloor: "⌋", lceil: "⌈", rceil: "⌉", lvert: "|", rvert: "|", vert: "|", lVert: "‖", rVert: "‖", Vert: "‖",
  "|": "‖", "{": "{", "}": "}", lbrace: "{", rbrace: "}", backslash: "\\", colon: ":", "%": "%", "#": "#", "&": "&", _: "_", $: "$",
};

/** Large operators; their limits stand below and above in a displayed formula. */
export const LARGE_OPERATORS: Readonly<Record<string, string>> = {
  sum: "∑", prod: "∏", coprod: "∐", bigcup: "⋃", bigcap: "⋂", bigoplus: "⨁", bigotimes: "⨂", bigvee: "⋁", bigwedge: "⋀",
};
/** Integrals keep their limits at the side. */
export const INTEGRALS: Readonly<Record<string, string>> = { int: "∫", iint: "∬", iiint: "∭", oint: "∮" };

/** Functions written upright; of those in LIMIT_FUNCTIONS what is below stands below. */
export const FUNCTIONS: ReadonlySet<string> = new Set([
  "log", "ln", "lg", "exp", "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arg", "deg", "dim", "ker", "hom",
]);
export const LIMIT_FUNCTIONS: ReadonlySet<string> = new Set(["lim", "max", "min", "sup", "inf", "argmax", "argmin", "limsup", "liminf", "det", "gcd", "Pr"]);

export const ACCENTS: Readonly<Record<string, string>> = {
  hat: "^", widehat: "^", tilde: "~", widetilde: "~", vec: "→", dot: "˙", ddot: "¨", check: "ˇ", breve: "˘", overbrace: "⏞",
};
export const UNDER_ACCENTS: Readonly<Record<string, string>> = { underline: "_", underbrace: "⏟" };

/** Widths in em. */
export const SPACES: Readonly<Record<string, number>> = { ",": 0.17, ":": 0.22, ">": 0.22, ";": 0.28, "!": -0.17, " ": 0.25, "~": 0.25, quad: 1, qquad: 2, thinspace: 0.17 };

interface Alphabet { readonly upper: number; readonly lower: number | null; readonly digit: number | null; readonly exceptions: Readonly<Record<string, string>> }
/** Unicode's mathematical alphabets. Source: unicode.org/charts/PDF/U1D400.pdf; the exceptions are older letters */
const ALPHABETS: Readonly<Record<string, Alphabet>> = {
  bold: { upper: 0x1d400, lower: 0x1d41a, digit: 0x1d7ce, exceptions: {} },
  blackboard: { upper: 0x1d538, lower: 0x1d552, digit: 0x1d7d8, exceptions: { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" } },
  script: { upper: 0x1d49c, lower: null, digit: null, exceptions: { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ" } },
  fraktur: { upper: 0x1d504, lower: 0x1d51e, digit: null, exceptions: { C: "ℭ", H: "ℌ", I: "ℑ", R: "ℜ", Z: "ℨ" } },
  monospace: { upper: 0x1d670, lower: 0x1d68a, digit: 0x1d7f6, exceptions: {} },
  sans: { upper: 0x1d5a0, lower: 0x1d5ba, digit: 0x1d7e2, exceptions: {} },
};
/** Commands that choose an alphabet; null is upright. */
export const FONTS: Readonly<Record<string, string | null>> = {
  mathbf: "bold", boldsymbol: "bold", bm: "bold", mathbb: "blackboard", mathcal: "script", mathscr: "script", mathfrak: "fraktur", mathtt: "monospace", mathsf: "sans", mathrm: null, rm: null,
};

/** A letter or digit in one of the alphabets; what the alphabet has not stays. */
export function inAlphabet(character: string, name: string): string {
  const alphabet = ALPHABETS[name];
  if (alphabet === undefined) return character;
  const { upper, lower, digit, exceptions } = alphabet;
  const moved = (first: string, start: number | null): string => (start === null ? character : String.fromCodePoint(start + character.charCodeAt(0) - first.charCodeAt(0)));
  if (exceptions[character] !== undefined) return exceptions[character];
  if (/^[A-Z]$/.test(character)) return moved("A", upper);
  if (/^[a-z]$/.test(character)) return moved("a", lower);
  return /^\d$/.test(character) ? moved("0", digit) : character;
}
