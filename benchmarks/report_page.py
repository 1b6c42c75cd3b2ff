"""The frame of the report: one page, its style inside, nothing loaded from elsewhere."""

from html import escape
from string import Template

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2329; --soft: #5b6672; --line: #d9dee3;
  --panel: #f5f7f8; --accent: #1f7a8c; --second: #c0612b; --third: #6a5ba8; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181c; --ink: #e6eaee; --soft: #9aa6b2; --line: #333b43;
  --panel: #1d2329; --accent: #4fb3c6; --second: #e39362; --third: #a99be0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: .95rem; margin: 1.2rem 0 .2rem; color: var(--soft); font-weight: 600; }
.subtitle, .note, figcaption { color: var(--soft); }
.subtitle { margin: 0; } .note { font-size: .875rem; margin: .4rem 0; max-width: 44rem; }
.note.warning { color: var(--second); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1rem; }
.tiles div { background: var(--panel); border-radius: .5rem; padding: 1rem 1.1rem; }
.tiles strong { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .875rem; }
svg { display: block; width: 100%; max-width: 46rem; height: auto; }
svg text { font-size: 13px; dominant-baseline: middle; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg .tick { font-size: 12px; fill: var(--soft); }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .bar { fill: var(--accent); } svg .whisker { stroke: var(--ink); stroke-width: 1.5; fill: none; }
svg .grid { stroke: var(--line); } svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .line.series0 { stroke: var(--accent); } svg .dot.series0 { fill: var(--accent); }
svg .line.series1 { stroke: var(--second); stroke-dasharray: 6 3; } svg .dot.series1 { fill: var(--second); }
svg .line.series2 { stroke: var(--third); stroke-dasharray: 2 3; } svg .dot.series2 { fill: var(--third); }
svg .published { fill: var(--paper); stroke: var(--soft); stroke-width: 1.5; } svg .leader { stroke: var(--soft);
  stroke-width: .75; } svg .name { font-size: 12px; }
svg .name, svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; }
.legend { list-style: none; padding: 0; margin: .6rem 0; font-size: .875rem; }
.legend svg { display: inline-block; width: 1rem; height: 1rem; vertical-align: -.15rem; }
.wide { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { white-space: normal; vertical-align: bottom; }
th:first-child { text-align: left; padding-left: 0; font-weight: 500; }
thead th { color: var(--soft); font-weight: 600; }
table.plain td { text-align: left; white-space: normal; }
table.texts th:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 12rem; }
td.words, th.words { text-align: left; white-space: normal; }
td.text { white-space: normal; overflow-wrap: anywhere; text-align: left; min-width: 11rem; }
.pairs { display: grid; gap: 1.4rem; }
.pair { display: flex; gap: .6rem; break-inside: avoid; }
figure { margin: 0; flex: 1; min-width: 0; max-width: 25rem; }
figure img { width: 100%; max-height: 22rem; object-fit: contain; object-position: left top; border-radius: .35rem;
  display: block; }
figcaption { font-size: .8rem; margin-top: .25rem; }
dt { font-weight: 600; margin-top: .8rem; } dd { margin: .2rem 0 0; }
pre { background: var(--panel); padding: .7rem .9rem; border-radius: .35rem; overflow-x: auto; margin: 0; }
code { font: .85rem/1.45 ui-monospace, "SF Mono", Consolas, monospace; }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --panel: #f3f3f3; --accent: #1f7a8c;
  --second: #c0612b; --third: #6a5ba8; } body { max-width: none; padding: 0; font-size: 11pt; }
  section, tr, svg { break-inside: avoid; } pre { white-space: pre-wrap; } }
"""

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<header><h1>$title</h1><p class="subtitle">$subtitle</p></header>
$body
</main>
</body>
</html>
""")


def fill_page(*, title: str, subtitle: str, body: str) -> str:
    """Returns the page; title and subtitle are plain text, the body is HTML."""
    return _PAGE.substitute(title=escape(title), subtitle=escape(subtitle), style=_STYLE, body=body)
