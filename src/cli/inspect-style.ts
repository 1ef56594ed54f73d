/** The style sheet of the inspect page. */
export const inspectStyle = `
:root { color-scheme: light dark; --page: light-dark(#f6f5f2, #14151a); --card: light-dark(#fff, #1d1f27); --line: light-dark(#dedbd3, #343845);
  --text: light-dark(#1d1f27, #eceae4); --muted: light-dark(#54565f, #b1b4bf); --track: light-dark(#eceae4, #2a2d38);
  --accent: light-dark(#3d4fd8, #8d9bff); --second: light-dark(#b4632a, #e8a06a); --third: light-dark(#2c7a57, #6fc79c); --ghost: light-dark(#8b8980, #7a7f92);
  --c0: var(--accent); --c1: light-dark(#b4531b, #f0a15e); --c2: light-dark(#23775a, #62cfa0); --c3: light-dark(#a8317f, #f08cc6); --c4: light-dark(#6b6a1c, #cfc75a); --c5: light-dark(#1f7394, #67c3e6); }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 2.5rem) 3rem; max-inline-size: 76rem; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, "Open Sans", sans-serif; }
h1 { margin: 0; font-size: 1.75rem; }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; }
h3 { margin: 1.25rem 0 .35rem; font-size: 1rem; }
p, figcaption { margin: .35rem 0; color: var(--muted); }
section { margin-block-start: 1.25rem; padding: 1.25rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); }
.wide { overflow-x: auto; }
.wide > svg[role=img] { max-inline-size: none; display: block; margin-inline: auto; }
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
.reasons { flex: 1 1 20rem; margin: 0; padding-inline-start: 1.1rem; font-size: .9rem; }
.meter { display: block; block-size: .3rem; min-inline-size: 5rem; border-radius: .15rem; background: var(--track); overflow: hidden; }
.meter span { display: block; block-size: 100%; background: var(--accent); }
details { margin-block-start: .6rem; }
summary { cursor: pointer; }
pre { overflow-x: auto; padding: 1rem; border-radius: .5rem; background: var(--track); font: .8rem/1.45 ui-monospace, "Cousine", monospace; }
article + article { margin-block-start: 2rem; }
.plots { display: flex; flex-wrap: wrap; gap: 1.25rem 1.5rem; align-items: flex-start; }
svg[role=img] { max-inline-size: 100%; block-size: auto; }
.impulses { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 220px)); gap: .5rem 1.25rem; }
.plots > figure { inline-size: 380px; max-inline-size: 100%; }
.plots > .poles { inline-size: 266px; }
.plots > .responses { flex: 1 1 380px; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem .9rem; margin: 0; padding: 0; justify-content: center; list-style: none; font-size: .8rem; }
.legend li::before { content: ""; display: inline-block; inline-size: .9rem; block-size: 0; margin-inline-end: .35rem; border-block-start: 3px solid currentColor; vertical-align: .25em; }
figure > p { text-align: center; font-size: .85rem; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
svg text { fill: var(--text); font: 13px system-ui, "Open Sans", sans-serif; }
svg .shape, svg .tick, svg .title { fill: var(--muted); font-size: 11px; }
.node rect { fill: var(--track); stroke: var(--line); }
.op-ssm rect, .op-conv rect { fill: color-mix(in oklab, var(--accent) 22%, var(--card)); stroke: var(--accent); }
.op-matmul rect, .op-embed rect { fill: color-mix(in oklab, var(--second) 20%, var(--card)); stroke: var(--second); }
.op-input rect, .op-output rect { fill: color-mix(in oklab, var(--third) 20%, var(--card)); stroke: var(--third); }
.node:hover rect { stroke: var(--text); stroke-width: 2; }
.edge { fill: none; stroke: var(--ghost); stroke-width: 1.5; }
.axis { fill: none; stroke: var(--ghost); }
.grid { fill: none; stroke: var(--line); stroke-width: .75; }
.zero { fill: none; stroke: var(--ghost); stroke-width: .75; }
.circle { fill: none; stroke: var(--text); stroke-width: 1; }
.pole { fill: none; stroke: var(--accent); stroke-width: 4.5; stroke-linecap: round; opacity: .75; }
.mirrored { stroke: var(--ghost); }
.curve { fill: none; stroke: currentColor; stroke-width: 1.4; stroke-linejoin: round; }
.dot { fill: none; stroke: currentColor; stroke-width: 5; stroke-linecap: round; }
.bar { fill: var(--accent); }
.threshold { stroke: var(--text); stroke-dasharray: 4 3; }
.memory .name { font-size: 12px; }
.memory .bytes { fill: var(--muted); font-size: 12px; }
.memory rect { fill: var(--accent); }
.memory .kind-prepared { fill: var(--second); }
.memory .kind-state { fill: var(--third); }
.memory .kind-input, .memory .kind-output { fill: var(--ghost); }
`;
