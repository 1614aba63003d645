/** The value of a formula such as "3x^2 - 4 sin(2x)" or "18 / (2 + 1)": the tests' own reading of what the generators write.
 *  Signs, + - * / ^, products without a sign, sin, cos, exp. */
export function evaluateFormula(formula: string, variables: Readonly<Record<string, number>> = {}): number {
  const tokens = formula.match(/\d+(?:\.\d+)?|sin|cos|exp|[a-z]|[-+*/^()]/g) ?? [];
  if (tokens.join("") !== formula.replace(/\s/g, "")) throw new Error(`${formula} has characters that are no formula`);
  let at = 0;
  const takes = (token: string): boolean => tokens[at] === token && ++at > 0;
  const expect = (token: string): void => {
    if (!takes(token)) throw new Error(`${formula}: ${token} is missing before part ${at}`);
  };
  const sum = (): number => {
    let value = product();
    for (;;) {
      if (takes("+")) value += product();
      else if (takes("-")) value -= product();
      else return value;
    }
  };
  const product = (): number => {
    let value = signed();
    for (;;) {
      if (takes("*")) value *= signed();
      else if (takes("/")) value /= signed();
      else if (at < tokens.length && /^[\da-z(]/.test(tokens[at])) value *= power();
      else return value;
    }
  };
  const signed = (): number => (takes("-") ? -signed() : power());
  const power = (): number => {
    const base = atom();
    return takes("^") ? base ** signed() : base;
  };
  const atom = (): number => {
    const token = tokens[at++] ?? "";
    if (/^\d/.test(token)) return Number(token);
    if (token === "(" || token.length === 3) {
      if (token !== "(") expect("(");
      const value = sum();
      expect(")");
      return token === "sin" ? Math.sin(value) : token === "cos" ? Math.cos(value) : token === "exp" ? Math.exp(value) : value;
    }
    const value = variables[token];
    if (value === undefined) throw new Error(`${formula}: ${token || "the end"} has no value`);
    return value;
  };
  const value = sum();
  if (at < tokens.length) throw new Error(`${formula} goes on after part ${at}`);
  return value;
}

/** How far the two sides of an equation are apart, relative to their size. */
export function equationGap(equation: string, variables: Readonly<Record<string, number>>): number {
  const [left, right] = equation.split("=").map((side) => evaluateFormula(side, variables));
  return Math.abs(left - right) / Math.max(1, Math.abs(left), Math.abs(right));
}
