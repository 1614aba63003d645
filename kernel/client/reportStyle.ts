/** Styles of a notebook's HTML page: one readable column, light and dark, no fonts from elsewhere. */
export const REPORT_STYLE = `
:root { --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --panel: #f6f8fa; --line: #d1d9e0; --accent: #0969da;
  --keyword: #cf222e; --string: #0a3069; --number: #0550ae; --comment: #6e7781; --bad: #a40e26; --bad-panel: #fff1f0;
  --ansi-0: #24292f; --ansi-1: #b3202c; --ansi-2: #116329; --ansi-3: #7d4e00; --ansi-4: #0550ae; --ansi-5: #8250df; --ansi-6: #1b6c74; --ansi-7: #57606a;
  --ansi-8: #57606a; --ansi-9: #cf222e; --ansi-10: #1a7f37; --ansi-11: #9a6700; --ansi-12: #218bff; --ansi-13: #a475f9; --ansi-14: #3192aa; --ansi-15: #6e7781; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --paper: #0d1117; --panel: #161b22; --line: #30363d;
  --accent: #4493f8; --keyword: #ff7b72; --string: #a5d6ff; --number: #79c0ff; --comment: #8b949e; --bad: #ff9492; --bad-panel: #2d1517;
  --ansi-0: #8b949e; --ansi-1: #ff7b72; --ansi-2: #3fb950; --ansi-3: #d29922; --ansi-4: #58a6ff; --ansi-5: #bc8cff; --ansi-6: #39c5cf; --ansi-7: #b1bac4;
  --ansi-8: #6e7681; --ansi-9: #ffa198; --ansi-10: #56d364; --ansi-11: #e3b341; --ansi-12: #79c0ff; --ansi-13: #d2a8ff; --ansi-14: #56d4dd; --ansi-15: #f0f6fc; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1, h2, h3, h4 { line-height: 1.25; margin: 2rem 0 .75rem; } h1 { font-size: 2rem; margin-top: 0; } h2 { font-size: 1.45rem; }
a { color: var(--accent); } img, svg { max-width: 100%; height: auto; }
pre, code { font: 13.5px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.text :not(pre) > code { background: var(--panel); border-radius: 4px; padding: .1em .35em; }
pre { margin: 0; overflow-x: auto; } .text pre { background: var(--panel); border-radius: 8px; padding: .9rem 1rem; margin: .9rem 0; }
.cell { margin: 1.25rem 0; }
.code { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.code summary { cursor: pointer; color: var(--soft); font-size: .75rem; padding: .3rem .9rem; user-select: none; }
.code pre { padding: .2rem 1rem .8rem; }
.outputs { padding: .6rem 0 0 1rem; border-left: 2px solid var(--line); margin: .6rem 0 0 .5rem; display: grid; gap: .6rem; min-width: 0; }
.outputs > * { min-width: 0; overflow-x: auto; }
.stream, .result { white-space: pre-wrap; overflow-wrap: anywhere; } .stderr { color: var(--soft); }
.stream { max-height: 30rem; overflow-y: auto; }
.error { color: var(--ink); border-left: 3px solid var(--bad); background: var(--bad-panel); border-radius: 8px; padding: .8rem 1rem; white-space: pre-wrap; }
.plot, .html:has(svg), .image { background: #fff; color: #1f2328; border-radius: 8px; }
table { border-collapse: collapse; font-size: .9rem; } th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid var(--line); color: var(--soft); }
.k { color: var(--keyword); } .s { color: var(--string); } .n { color: var(--number); } .c { color: var(--comment); font-style: italic; }
.widget { border: 1px dashed var(--line); border-radius: 8px; padding: .5rem .9rem; } .widget small { color: var(--soft); }
math { font-size: 1.08em; } math[display="block"] { margin: .8rem 0; overflow-x: auto; overflow-y: hidden; }
.overline { border-top: .07em solid; padding-top: .1em; }
mtable.cases > mtr > mtd, mtable.aligned > mtr > mtd { text-align: left; } mtable.aligned > mtr > mtd:first-child { text-align: right; }
html { scroll-behavior: smooth; } h1, h2, h3 { scroll-margin-top: 1rem; }
nav { max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 0; font-size: .87rem; } nav summary { cursor: pointer; color: var(--soft); }
nav a { display: block; padding: .12rem 0; color: var(--ink); text-decoration: none; } nav a:hover { color: var(--accent); }
nav .level-2 { padding-left: .9rem; } nav .level-3 { padding-left: 1.8rem; color: var(--soft); }
@media (min-width: 88rem) { nav { position: fixed; top: 0; left: 0; width: 15rem; max-height: 100vh; overflow-y: auto; margin: 0; padding: 2.5rem 1rem 1rem 1.5rem; } }
@media print { nav { display: none; } main { max-width: none; padding: 0; } .stream { max-height: none; } pre { white-space: pre-wrap; }
  h1, h2, h3 { break-after: avoid; } .plot, .image, tr { break-inside: avoid; } }
`;
