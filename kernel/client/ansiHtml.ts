import { escapeHtml } from "./highlight.ts";

interface Style { bold: boolean; dim: boolean; italic: boolean; underline: boolean; inverse: boolean; text: string | null; ground: string | null }
const PLAIN: Style = { bold: false, dim: false, italic: false, underline: false, inverse: false, text: null, ground: null };

/** A control sequence: parameters and final byte; or an operating-system command such as a title. Source: ECMA-48, xterm ctlseqs */
const SEQUENCE = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

/** Text with ANSI colours as HTML; of lines rewritten with \r only the last state. Colours 0 to 15 are var(--ansi-0) to var(--ansi-15). */
export function ansiToHtml(text: string): string {
  // What is overwritten goes, but a colour set there holds on.
  const shown = text.replaceAll("\r\n", "\n").replace(/^.*\r(?!\n)/gm, (gone) => (gone.match(SEQUENCE) ?? []).join(""));
  let html = "";
  let end = 0;
  let style: Style = { ...PLAIN };
  for (const match of shown.matchAll(SEQUENCE)) {
    html += styled(shown.slice(end, match.index), style);
    end = match.index + match[0].length;
    if (match[2] === "m") style = restyle(style, match[1] ?? "");
  }
  return html + styled(shown.slice(end), style);
}

function styled(text: string, style: Style): string {
  if (text === "") return "";
  const [color, ground] = style.inverse ? [style.ground ?? "var(--paper)", style.text ?? "var(--ink)"] : [style.text, style.ground];
  const css = [
    color === null ? "" : `color:${color}`, ground === null ? "" : `background:${ground}`, style.bold ? "font-weight:bold" : "",
    style.dim ? "opacity:.7" : "", style.italic ? "font-style:italic" : "", style.underline ? "text-decoration:underline" : "",
  ].filter((rule) => rule !== "").join(";");
  return css === "" ? escapeHtml(text) : `<span style="${css}">${escapeHtml(text)}</span>`;
}

/** Select Graphic Rendition. Source: ECMA-48, 8.3.117; 256 and true colours: xterm */
function restyle(before: Style, parameters: string): Style {
  const codes = parameters === "" ? [0] : parameters.split(/[;:]/).map(Number);
  let style = { ...before };
  while (codes.length > 0) {
    const code = codes.shift() ?? 0;
    if (code === 0) style = { ...PLAIN };
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code === 38) style.text = extendedColor(codes);
    else if (code === 48) style.ground = extendedColor(codes);
    else if (code === 39) style.text = null;
    else if (code === 49) style.ground = null;
    else if (code >= 30 && code <= 37) style.text = paletteColor(code - 30);
    else if (code >= 40 && code <= 47) style.ground = paletteColor(code - 40);
    else if (code >= 90 && code <= 97) style.text = paletteColor(code - 82);
    else if (code >= 100 && code <= 107) style.ground = paletteColor(code - 92);
  }
  return style;
}

/** Takes the codes behind 38 or 48: 5;n or 2;r;g;b. */
function extendedColor(codes: number[]): string | null {
  const form = codes.shift();
  if (form === 5) return paletteColor(codes.shift() ?? 0);
  if (form !== 2) return null;
  const [red = 0, green = 0, blue = 0] = codes.splice(0, 3);
  return `rgb(${red},${green},${blue})`;
}

/** The colours of xterm: 16 named, a cube of 6×6×6, 24 greys. */
function paletteColor(index: number): string | null {
  if (!(index >= 0 && index <= 255)) return null;
  if (index < 16) return `var(--ansi-${index})`;
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return `rgb(${grey},${grey},${grey})`;
  }
  const level = (step: number): number => (step === 0 ? 0 : 55 + 40 * step);
  const place = index - 16;
  return `rgb(${level(Math.floor(place / 36))},${level(Math.floor(place / 6) % 6)},${level(place % 6)})`;
}
