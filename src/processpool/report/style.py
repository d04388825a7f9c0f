"""How a report looks: light or dark, as the reader's system or notebook is."""

from __future__ import annotations

_LIGHT = """
--page:#ffffff;--ink:#1f2328;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--ok:#2da44e;--bad:#cf222e;
--off:#afb8c1;--busy:#0969da;--mark:#bc4c00;--one:#0969da;--two:#8250df;--three:#bf8700;--four:#1a7f83;
--told:#ddf4ff;
"""
_DARK = """
--page:#0d1117;--ink:#e6edf3;--dim:#9198a1;--line:#3d444d;--soft:#161b22;--ok:#3fb950;--bad:#f85149;
--off:#656c76;--busy:#4493f8;--mark:#f0883e;--one:#4493f8;--two:#ab7df8;--three:#d29922;--four:#39c5cf;
--told:#121d2f;
"""

STYLE = f"""
.pp-report{{{_LIGHT}color:var(--ink);background:var(--page);max-width:940px;margin:0 auto;
padding:20px;
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}}
@media (prefers-color-scheme:dark){{.pp-report{{{_DARK}}}}}
[data-jp-theme-light="true"] .pp-report{{{_LIGHT}}}
[data-jp-theme-light="false"] .pp-report{{{_DARK}}}
.pp-report *{{box-sizing:border-box}}
.pp-report h1{{font-size:22px;margin:0;font-weight:600;overflow-wrap:anywhere}}
.pp-report h2{{font-size:16px;margin:28px 0 6px;font-weight:600}}
.pp-report p{{margin:4px 0}}
.pp-report .dim,.pp-report figcaption{{color:var(--dim)}}
.pp-report .verdict{{background:var(--told);border-left:4px solid var(--busy);padding:10px 14px;
margin:14px 0;border-radius:4px}}
.pp-report .wrong{{border-left-color:var(--bad)}}
.pp-report svg{{display:block;width:100%;height:auto;overflow:visible}}
.pp-report svg text{{font-size:11px;fill:var(--dim)}}
.pp-report .pair{{display:grid;grid-template-columns:1fr 1fr;gap:20px}}
.pp-report figure{{margin:8px 0}}
.pp-report .ok{{fill:var(--ok);background:var(--ok)}}
.pp-report .bad{{fill:var(--bad);background:var(--bad)}}
.pp-report .off{{fill:var(--off);background:var(--off)}}
.pp-report .one{{fill:var(--one);background:var(--one)}}
.pp-report .two{{fill:var(--two);background:var(--two)}}
.pp-report .three{{fill:var(--three);background:var(--three)}}
.pp-report .four{{fill:var(--four);background:var(--four)}}
.pp-report .bar,.pp-report .busy{{fill:var(--busy)}}
.pp-report .area{{fill:var(--busy);opacity:.55}}
.pp-report .wrongs{{fill:var(--bad);opacity:.7}}
.pp-report .ground{{fill:var(--soft)}}
.pp-report .axis,.pp-report .grid,.pp-report .mark{{stroke:var(--line);fill:none}}
.pp-report .mark{{stroke:var(--mark)}}
.pp-report .key{{margin-right:18px;white-space:nowrap}}
.pp-report .key i{{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:5px}}
.pp-report table{{border-collapse:collapse;width:100%;margin:4px 0;color:inherit}}
.pp-report th,.pp-report td{{text-align:left;padding:3px 10px 3px 0;
border-bottom:1px solid var(--line);
vertical-align:top;background:none}}
.pp-report th{{color:var(--dim);font-weight:normal}}
.pp-report .n{{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}}
.pp-report code,.pp-report pre{{
font:12px/1.45 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;
color:inherit;background:none}}
.pp-report code{{overflow-wrap:anywhere}}
.pp-report pre{{background:var(--soft);padding:8px 10px;margin:4px 0 8px;border-radius:4px;
white-space:pre-wrap;overflow-wrap:anywhere}}
.pp-report details{{border:1px solid var(--line);border-radius:4px;padding:6px 10px;margin:6px 0}}
.pp-report summary{{cursor:pointer;overflow-wrap:anywhere}}
.pp-report summary b{{color:var(--bad);margin-right:8px}}
.pp-report footer{{margin-top:28px;color:var(--dim);font-size:12px}}
@media (max-width:640px){{.pp-report .pair{{grid-template-columns:1fr}}}}
""".replace("\n", "")
"""The style sheet of a report; all of it is within `.pp-report`."""

PAGE_STYLE = """
html{background:#ffffff}body{margin:0}
@media (prefers-color-scheme:dark){html{background:#0d1117;color-scheme:dark}}
""".replace("\n", "")
"""That of the page around it."""
