// The timeline of a recording, drawn on a canvas: drag to look closer, point at items. What it draws
// is described in live.py. It replaces the image in the element whose id is KEY.
(() => {
  const key = "KEY";
  const data = "DATA";
  const [LEFT, RIGHT, TOP, BOTTOM, WIDTH] = [60, 16, 8, 22, 900];
  const LANE = Math.max(Math.min(18, 600 / data.lanes), 1);
  const HEIGHT = TOP + LANE * data.lanes + BOTTOM;
  const PALETTE = ["#2f81d6", "#2a9d6f", "#c77d1e", "#8250df", "#c2478d", "#4c8a97", "#8a7a2d", "#6e7ff3"];
  const jobs = [...new Set(data.spans.filter((span) => !span[4]).map((span) => span[5]))];

  const make = (tag, text, style, attributes = {}) => {
    const node = document.createElement(tag);
    node.textContent = text;
    node.style.cssText = style;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const time = (seconds) => (seconds < 0.001 ? `${(seconds * 1e6).toFixed(0)} µs`
    : seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`);
  const nameOf = (job) => data.maps[job] ?? (job ? `map ${job}` : "calls");

  function described([, worker, begin, seconds, start, job, index, count, failed]) {
    const what = start ? "starting" : count === 1 ? `item ${index}` : job
      ? `${count} items from ${index} on` : `${count} calls`;
    const parts = [start ? what : `${nameOf(job)}: ${what}`, time(seconds), `at ${time(begin)}`, `worker ${worker}`];
    if (failed) parts.push(count === 1 ? "failed" : `${failed} failed`);
    const known = start ? "" : data.items[`${job}:${index}`] ?? "";
    return parts.join(" · ") + (known ? `\n${count > 1 ? `${index}: ` : ""}${known}` : "");
  }

  function show(place) {
    const font = "font: 12px system-ui, sans-serif;";
    const button = `${font} margin-right: 4px; padding: 1px 8px;`;
    const bar = make("div", "", `${font} margin: 4px 0; display: flex; flex-wrap: wrap; align-items: center; gap: 4px;`);
    const canvas = make("canvas", "", "display: block; cursor: crosshair; touch-action: none; max-width: 100%;", {
      tabindex: 0, role: "img", "aria-label": `timeline of pool ${data.name}: ${time(data.seconds)}, ${data.lanes} lanes; + and - zoom, arrows move, 0 shows all`,
    });
    const tip = make("div", "", `${font} min-height: 3em; white-space: pre-wrap; overflow-wrap: anywhere;`, { role: "status", class: "pp-tip" });
    const legend = make("span", "", "display: inline-flex; flex-wrap: wrap; gap: 0 10px;");
    const colouring = make("select", "", font, { "aria-label": "colours" });
    for (const how of ["by outcome", "by map"]) colouring.append(make("option", how, ""));
    let view = [0, data.seconds];
    let drag = null;

    const colour = (span) => (span[4] ? data.colours.start : span[8] ? data.colours.bad
      : colouring.value === "by map" ? PALETTE[jobs.indexOf(span[5]) % PALETTE.length] : data.colours.item);
    const x = (at) => LEFT + ((at - view[0]) / (view[1] - view[0])) * (WIDTH - LEFT - RIGHT);
    const at = (left) => view[0] + ((left - LEFT) / (WIDTH - LEFT - RIGHT)) * (view[1] - view[0]);
    const set = (from, to) => {
      const length = Math.min(Math.max(to - from, data.seconds / 20000), data.seconds);
      const begin = Math.min(Math.max(from, 0), data.seconds - length);
      view = [begin, begin + length];
      draw();
    };
    const zoom = (factor, middle = (view[0] + view[1]) / 2) =>
      set(middle - (middle - view[0]) * factor, middle + (view[1] - middle) * factor);

    function draw() {
      const scale = window.devicePixelRatio || 1;
      [canvas.width, canvas.height] = [WIDTH * scale, HEIGHT * scale];
      canvas.style.width = `${WIDTH}px`;
      canvas.style.aspectRatio = `${WIDTH} / ${HEIGHT}`;
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      const ink = getComputedStyle(place).color;
      context.font = "11px system-ui, sans-serif";
      axis(context, ink);
      context.fillStyle = ink;
      context.textAlign = "right";
      if (LANE >= 10) for (let lane = 0; lane < data.lanes; lane++) context.fillText(`lane ${lane + 1}`, LEFT - 8, TOP + (lane + 0.5) * LANE + 3);
      context.save();
      context.beginPath();
      context.rect(LEFT, 0, WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM);
      context.clip();
      const bad = [];
      for (const span of data.spans) {
        if (span[2] > view[1] || span[2] + span[3] < view[0]) continue;
        if (span[8]) bad.push(span);
        else block(context, span);
      }
      for (const span of bad) block(context, span); // on top, so that they are seen
      for (const mark of data.marks) flag(context, mark);
      if (drag) {
        context.fillStyle = "#8886";
        context.fillRect(Math.min(drag.from, drag.to), 0, Math.abs(drag.to - drag.from), HEIGHT);
      }
      context.restore();
      canvas.dataset.from = view[0];
      canvas.dataset.to = view[1];
    }

    function block(context, span) {
      context.fillStyle = colour(span);
      const left = x(span[2]);
      const width = Math.max(x(span[2] + span[3]) - left, span[8] ? 2 : 0.6);
      context.fillRect(left, TOP + span[0] * LANE, width > 3 ? width - 0.7 : width, LANE - (LANE >= 8 ? 2 : 0));
    }

    function flag(context, [lane, , when, kind]) {
      context.strokeStyle = data.colours[kind];
      context.lineWidth = lane == null ? 1 : 2;
      context.beginPath();
      if (lane == null) {
        context.moveTo(x(when), 0);
        context.lineTo(x(when), HEIGHT - BOTTOM);
      } else {
        const [size, y] = [Math.max(Math.min(LANE / 2 - 1, 5), 2), TOP + (lane + 0.5) * LANE - 1];
        for (const side of [1, -1]) {
          context.moveTo(x(when) - size, y - side * size);
          context.lineTo(x(when) + size, y + side * size);
        }
      }
      context.stroke();
    }

    function axis(context, ink) {
      const length = view[1] - view[0];
      const power = 10 ** Math.floor(Math.log10(length / 8));
      const step = power * ([1, 2, 5].find((one) => length / (one * power) <= 10) ?? 10);
      context.textAlign = "center";
      for (let tick = Math.ceil(view[0] / step) * step; tick <= view[1]; tick += step) {
        context.fillStyle = "#8884";
        context.fillRect(x(tick), TOP, 1, HEIGHT - TOP - BOTTOM);
        context.fillStyle = ink;
        context.fillText(`${Number(tick.toPrecision(6))} s`, x(tick), HEIGHT - 6);
      }
    }

    function found(left, top) {
      const near = ((view[1] - view[0]) / (WIDTH - LEFT - RIGHT)) * 3;
      const [when, lane] = [at(left), Math.floor((top - TOP) / LANE)];
      const mark = data.marks.find((one) => Math.abs(one[2] - when) <= near && (one[0] ?? lane) === lane);
      if (mark) return `${mark[1] == null ? "the pool" : `worker ${mark[1]}`} ${mark[4]} · at ${time(mark[2])}`;
      const here = data.spans.filter((span) => span[0] === lane && span[2] <= when + near && span[2] + span[3] >= when - near);
      const inside = here.filter((span) => span[2] <= when && span[2] + span[3] >= when);
      const span = here.find((one) => one[8] && one[3] < near) ?? inside[0] ?? here[0];
      return span ? described(span) : "";
    }

    const position = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * (WIDTH / box.width), (event.clientY - box.top) * (HEIGHT / box.height)];
    };
    canvas.onpointerdown = (event) => {
      const [left] = position(event);
      drag = { from: left, to: left };
      try { canvas.setPointerCapture(event.pointerId); } catch { /* it is gone already */ }
    };
    canvas.onpointermove = (event) => {
      const [left, top] = position(event);
      if (drag) {
        drag.to = left;
        draw();
      } else {
        tip.textContent = found(left, top);
      }
    };
    canvas.onpointerup = () => {
      const chosen = drag;
      drag = null;
      if (chosen && Math.abs(chosen.to - chosen.from) > 4) {
        set(at(Math.min(chosen.from, chosen.to)), at(Math.max(chosen.from, chosen.to)));
      } else draw();
    };
    canvas.ondblclick = () => set(0, data.seconds);
    canvas.onpointerleave = () => { if (!drag) tip.textContent = hint; };
    canvas.onwheel = (event) => { // only with a key, as the page scrolls otherwise
      if (!event.ctrlKey && !event.shiftKey) return;
      event.preventDefault();
      zoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, at(position(event)[0]));
    };
    canvas.onkeydown = (event) => {
      const length = view[1] - view[0];
      const act = {
        "+": () => zoom(0.5), "-": () => zoom(2), 0: () => set(0, data.seconds),
        ArrowLeft: () => set(view[0] - length / 4, view[1] - length / 4),
        ArrowRight: () => set(view[0] + length / 4, view[1] + length / 4),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };

    function explain() {
      const names = colouring.value === "by map"
        ? jobs.slice(0, 12).map((job, nth) => [PALETTE[nth % PALETTE.length], nameOf(job)]) : [[data.colours.item, "items"]];
      if (data.spans.some((span) => span[4])) names.push([data.colours.start, "starting"]);
      names.push([data.colours.bad, "failed"]);
      legend.replaceChildren(...names.map(([shade, name]) => {
        const entry = make("span", "", "white-space: nowrap;");
        entry.append(make("i", "", `display: inline-block; width: 9px; height: 9px; margin-right: 4px; background: ${shade};`), name);
        return entry;
      }));
      draw();
    }
    colouring.onchange = explain;
    const act = (label, title, action) => {
      const node = make("button", label, button, { type: "button", title });
      node.onclick = action;
      return node;
    };
    const hint = "Point at an item to see what it is; drag to look closer, double-click to see all.";
    tip.textContent = hint;
    bar.append(make("strong", `pool ${data.name}`, "margin-right: 8px;"),
      act("+", "Look closer", () => zoom(0.5)), act("−", "See more", () => zoom(2)),
      act("all", "See all", () => set(0, data.seconds)), colouring, legend);
    place.setAttribute("data-lm-suppress-shortcuts", "true");
    place.replaceChildren(bar, canvas, tip);
    explain();
  }

  let looks = 0;
  const look = () => { // the page may put it in its place only later
    const place = document.getElementById(key);
    if (place) show(place);
    else if (looks++ < 600) requestAnimationFrame(look);
  };
  look();
})();
