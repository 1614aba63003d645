/** JavaScript for the page that shows a figure. It is text because it runs in the browser, not here.
 *
 *  The page keeps four things on `window`: `Plotly`, once it is there; `moeLabFigures`, figures waiting for it;
 *  `moeLabRestoring`, true once a stored copy of the library was looked for; `moeLabThemes`, true once changes of the
 *  theme are watched. The element of a drawn figure has `moeLabRedraw`. */

/** How long a figure waits for the library before it says what is missing. */
const missingLibraryNoteMs = 4000;
/** A theme says that it changes before its colours are there. */
const themeSettlesMs = 100;

/** JSON as a JavaScript expression that can't end the script element it stands in. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
}

/** Runs `source` as a script of the page and draws what waits for it. */
const startLibrary = `const start = (source) => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    script.remove();
    for (const draw of (window.moeLabFigures ?? []).splice(0)) draw();
  };`;

/** Opens the browser's own store for this site; a page may have none (sandboxed frame): then \`use\` never runs. */
const openStore = `const withStore = (mode, use) => {
    try {
      const opening = indexedDB.open("moe-lab", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("scripts");
      opening.onsuccess = () => use(opening.result.transaction("scripts", mode).objectStore("scripts"));
    } catch (error) { console.debug("moe-lab: no browser store", error); }
  };`;

/** Unpacks plotly.js into the page and stores it: a notebook that is opened again later may have lost the output that
 *  carried the library (its cell ran again), and finds it in the store.
 *  @param packed the script, gzip, base64 */
export function libraryScript(packed: string): string {
  return `(() => {
  if (window.Plotly) return;
  ${startLibrary}
  ${openStore}
  const bytes = Uint8Array.from(atob("${packed}"), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  new Response(unpacked).text().then((source) => {
    if (!window.Plotly) start(source);
    withStore("readwrite", (scripts) => scripts.put(source, "plotly.js"));
  });
})();`;
}

/** Picks the inks for the background that is really behind the figure: JupyterLab, VS Code and plain pages each say
 *  "dark" in another way, but all paint it. */
const adaptToBackground = `const isDark = () => {
    for (let node = place; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      const [red, green, blue, alpha = 1] = (color.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
      if (color.startsWith("rgb") && alpha > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
    }
    const follows = getComputedStyle(document.documentElement).colorScheme.includes("dark");
    return follows && matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const adapt = (look, dark) => {
    const ink = dark ? "#dfe3e8" : "#27313d", grid = dark ? "rgba(255,255,255,0.12)" : "rgba(20,35,55,0.10)";
    look.font.color = ink;
    look.modebar.color = ink;
    for (const axis of [look.xaxis, look.yaxis]) Object.assign(axis, { gridcolor: grid, linecolor: ink, zerolinecolor: grid });
  };`;

/** Draws the figures again when the page turns dark or light. One watcher for all: figures come and go, e.g. live ones. */
const watchTheme = `if (!window.moeLabThemes) {
    window.moeLabThemes = true;
    const changed = () => setTimeout(() => {
      for (const drawn of document.querySelectorAll(".moe-lab-figure")) drawn.moeLabRedraw?.();
    }, ${themeSettlesMs});
    const watcher = new MutationObserver(changed);
    for (const node of [document.documentElement, document.body]) watcher.observe(node, { attributes: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  }`;

/** Draws one figure into the element `id`, now or as soon as the library is there.
 *  @param figure {data, layout, config}; layout.template is the house template */
export function drawScript(id: string, figure: object): string {
  return `(() => {
  const place = document.getElementById("${id}");
  if (!place) return;
  const figure = ${scriptJson(figure)};
  ${adaptToBackground}
  const draw = () => {
    const dark = isDark();
    adapt(figure.layout.template.layout, dark);
    place.replaceChildren();
    window.Plotly.newPlot(place, figure.data, figure.layout, figure.config);
    place.moeLabRedraw = () => { if (isDark() !== dark) draw(); };
  };
  ${watchTheme}
  if (window.Plotly) return draw();
  (window.moeLabFigures ??= []).push(draw);
  setTimeout(() => {
    if (window.Plotly || !place.isConnected) return;
    place.append("plotly.js is not on this page: run plotLibrary() in a cell and it will draw this figure.");
  }, ${missingLibraryNoteMs});
  if (window.moeLabRestoring) return;
  window.moeLabRestoring = true;
  ${startLibrary}
  ${openStore}
  withStore("readonly", (scripts) => {
    const reading = scripts.get("plotly.js");
    reading.onsuccess = () => { if (reading.result && !window.Plotly) start(reading.result); };
  });
})();`;
}
