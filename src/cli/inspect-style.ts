/** The style sheet of the inspect page. */
export const inspectStyle = `
:root { color-scheme: light dark; --page: light-dark(#f6f5f2, #14151a); --card: light-dark(#fff, #1d1f27); --line: light-dark(#dedbd3, #343845);
  --text: light-dark(#1d1f27, #eceae4); --muted: light-dark(#62646d, #a3a6b1); --track: light-dark(#eceae4, #2a2d38);
  --accent: light-dark(#3d4fd8, #8d9bff); --second: light-dark(#b4632a, #e8a06a); --third: light-dark(#2c7a57, #6fc79c); --ghost: light-dark(#c9c6bd, #474b5a); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2.5rem) 3rem; max-inline-size: 76rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, "Open Sans", sans-serif; }
h1 { margin: 0; font-size: 1.75rem; }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; }
h3 { margin: 1.25rem 0 .35rem; font-size: 1rem; }
p, figcaption { margin: .35rem 0; color: var(--muted); }
section { margin-block-start: 1.25rem; padding: 1.25rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); }
.wide { overflow-x: auto; }
.wide > svg { display: block; margin-inline: auto; }
figure { margin: 0; }
figcaption { font-size: .85rem; text-align: center; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; text-align: start; font-weight: 400; }
.kernels { inline-size: 100%; }
.kernels td, .kernels thead th:not(:first-child) { text-align: end; }
.kernels thead th { color: var(--muted); border-block-end: 1px solid var(--line); }
.kernels tbody th { font-family: ui-monospace, "Cousine", monospace; font-size: .85rem; }
.entry th { padding-block-start: 1rem; font-weight: 700; }
.kernels .entry th { font-family: inherit; font-size: .95rem; }
.sum th, .sum td { border-block-start: 1px solid var(--line); font-weight: 600; }
.chosen th, .chosen td { font-weight: 700; }
.modes .bar { inline-size: 12rem; }
.meter { display: block; block-size: .7rem; border-radius: .35rem; background: var(--track); overflow: hidden; }
.meter span { display: block; block-size: 100%; background: var(--ghost); }
.chosen .meter span { background: var(--accent); }
details { margin-block-start: .6rem; }
summary { cursor: pointer; }
pre { overflow-x: auto; padding: 1rem; border-radius: .5rem; background: var(--track); font: .8rem/1.45 ui-monospace, "Cousine", monospace; }
.system { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.impulses { display: grid; grid-template-columns: repeat(auto-fill, 220px); gap: .75rem 1.25rem; flex: 1 1 460px; min-inline-size: 220px; }
svg text { fill: var(--text); font: 13px system-ui, "Open Sans", sans-serif; text-anchor: middle; }
svg .shape, svg .tick { fill: var(--muted); font-size: 11px; }
svg .tick[text-anchor="end"] { text-anchor: end; }
svg .tick[text-anchor="start"] { text-anchor: start; }
.node rect { fill: var(--track); stroke: var(--line); }
.op-ssm rect, .op-conv rect { fill: color-mix(in oklab, var(--accent) 22%, var(--card)); stroke: var(--accent); }
.op-matmul rect, .op-embed rect { fill: color-mix(in oklab, var(--second) 20%, var(--card)); stroke: var(--second); }
.op-input rect, .op-output rect { fill: color-mix(in oklab, var(--third) 20%, var(--card)); stroke: var(--third); }
.edge { fill: none; stroke: var(--ghost); stroke-width: 1.5; }
.axis { fill: none; stroke: var(--line); }
.pole { fill: none; stroke: var(--accent); stroke-width: 4.5; stroke-linecap: round; opacity: .55; }
.mirrored { stroke: var(--ghost); }
.response { fill: none; stroke: var(--accent); stroke-width: 1.25; }
.memory .name { text-anchor: end; font-size: 12px; }
.memory .bytes { text-anchor: end; fill: var(--muted); font-size: 12px; }
.memory rect { fill: var(--accent); }
.memory .kind-weight, .memory .kind-table, .memory .kind-prepared { fill: var(--second); }
.memory .kind-state { fill: var(--third); }
.memory .kind-input, .memory .kind-output { fill: var(--ghost); }
`;
