// The last minute of every worker, a lane each, drawn on one canvas that moves to the left.
// Each column is a quarter of a second; see lanes.py for the letters.

const COLUMN = 3;
const NAMES = {
  b: "busy", c: "busy", i: "idle", s: "starting", l: "leased", e: "stopping", x: "item failed", k: "item cancelled", r: "item is tried again",
};
const COLOURS = {
  b: "--pp-busy", c: "--pp-busy", i: "--pp-idle", s: "--pp-starting", l: "--pp-leased",
  e: "--pp-stopping", x: "--pp-bad", k: "--pp-left", r: "--pp-warn",
};
const LEGEND = ["busy", "idle", "starting", "leased", "stopping", "item failed", "item cancelled"];
const CALM = window.matchMedia("(prefers-reduced-motion: reduce)");
const CALM_EVERY = 3000;
const MOST_RESERVED = 12;
const GRAIN = 25;
const TALLEST = 250;

const laneHeight = (lanes) =>
  lanes <= 8 ? 14 : lanes <= 24 ? 10 : lanes <= 64 ? 4 : lanes <= 160 ? 2 : 1;

class Timeline {
  constructor(store) {
    this.store = store;
    this.canvas = element("canvas", {
      class: "pp-canvas", role: "img", width: MAX_COLUMNS * COLUMN,
      onmousemove: (event) => this.point(event), onmouseleave: () => setText(this.pointed, ""),
    });
    this.age = 0;
    this.context = this.canvas.getContext("2d", { alpha: true });
    this.labels = element("div", { class: "pp-lanes", "aria-hidden": "true" });
    this.nodes = element("div", { class: "pp-lanes pp-nodes" });
    this.order = [];
    this.pointed = element("span", { class: "pp-pointed" });
    this.crowd = new Crowd(store, (text) => setText(this.pointed, text));
    const times = ["60 s ago", "45", "30", "15", "now"].map((text) => element("span", {}, text));
    this.node = element("div", { class: "pp-timeline" },
      element("div", { class: "pp-margin" }, this.nodes, this.labels),
      element("div", { class: "pp-tape" }, this.canvas, this.crowd.area,
        element("div", { class: "pp-times", "aria-hidden": "true" }, ...times)),
      this.crowd.node,
      element("div", { class: "pp-legend" },
        ...LEGEND.map((name) =>
          element("span", {}, element("i", { class: "pp-swatch", "data-name": name }), name)),
        this.pointed));
    this.lanes = -1;
  }

  update({ columns, history }) {
    if (CALM.matches && !history) { // redraw at times, instead of moving it all the time
      this.waiting = this.waiting || columns.length > 0;
      if (performance.now() < this.drawnAt + CALM_EVERY) return;
      [history, this.waiting] = [this.waiting, false];
    }
    this.drawnAt = performance.now();
    const palette = this.palette();
    const lanes = this.room(columns);
    const crowded = lanes >= CROWD;
    setHidden(this.canvas, crowded);
    setHidden(this.crowd.area, !crowded);
    setHidden(this.crowd.node, !crowded);
    setHidden(this.nodes, crowded);
    if (crowded) {
      if (columns.length || history || palette.key !== this.colours?.key) this.crowd.update(palette);
      [this.lanes, this.colours] = [lanes, palette];
      return;
    }
    if (this.arrange(lanes) || history || lanes !== this.lanes || palette.key !== this.colours?.key) {
      this.colours = palette;
      this.lanes = lanes;
      this.redraw();
    } else {
      this.advance(columns);
    }
    this.label();
  }

  // The order in which lanes are drawn: node by node. Return whether it has changed.
  arrange(lanes) {
    const order = new Set(this.store.state.nodes.flatMap(([, , some]) => some).filter((lane) => lane < lanes));
    for (let lane = 0; lane < lanes; lane++) order.add(lane);
    const before = this.order;
    this.order = [...order];
    return this.order.some((lane, place) => lane !== before[place]);
  }

  // As many lanes as are needed; in steps if there are many, so that growing does not redraw all.
  room(columns) {
    let most = mostLanes(columns);
    if (most <= this.lanes && this.age++ < MAX_COLUMNS) return this.lanes;
    this.age = 0;
    most = Math.max(mostLanes(this.store.columns), Math.min(this.store.state.size[1], MOST_RESERVED));
    return most <= 64 ? most : Math.ceil(most / GRAIN) * GRAIN;
  }

  palette() {
    const style = getComputedStyle(this.node);
    const colours = {};
    for (const [letter, name] of Object.entries(COLOURS)) {
      colours[letter] = style.getPropertyValue(name).trim();
    }
    colours.key = Object.values(colours).join();
    return colours;
  }

  redraw() {
    const { columns } = this.store;
    this.height = laneHeight(this.lanes);
    this.canvas.height = Math.max(this.lanes * this.height, 1);
    this.canvas.style.height = `${Math.min(this.canvas.height, TALLEST)}px`;
    const first = MAX_COLUMNS - columns.length;
    this.order.forEach((lane, place) => this.drawLane(lane, place, columns, first));
  }

  advance(columns) {
    if (!columns.length || !this.lanes) return;
    const { context, canvas } = this;
    const width = columns.length * COLUMN;
    context.globalCompositeOperation = "copy";
    context.drawImage(canvas, -width, 0);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    context.clearRect(canvas.width - width, 0, width, canvas.height);
    const first = MAX_COLUMNS - columns.length;
    this.order.forEach((lane, place) => this.drawLane(lane, place, columns, first));
  }

  // Draw one lane, equal neighbours in one go. A notch marks a new item, or, where there is no room
  // for one, a paler spot; of very many lanes only the colours are drawn.
  drawLane(lane, place, columns, first) {
    const { height, context } = this;
    const gap = height >= 10 ? 2 : height >= 4 ? 1 : 0;
    const notched = height >= 4;
    const marked = height >= 2;
    for (let begin = 0; begin < columns.length;) {
      const letter = columns[begin][lane];
      let end = begin + 1;
      while (end < columns.length && goesOn(letter, columns[end][lane], notched, marked)) end++;
      if (this.colours[letter]) {
        const notch = notched && letter === "b" ? 1 : 0;
        context.fillStyle = this.colours[letter];
        context.globalAlpha = marked && !notched && letter === "b" ? 0.7 : 1;
        context.fillRect((first + begin) * COLUMN + notch, place * height,
          (end - begin) * COLUMN - notch, height - gap);
      }
      begin = end;
    }
  }

  label() {
    const { lanes, workers } = this.store.state;
    const labels = this.labels;
    while (labels.children.length > lanes.length) labels.lastChild.remove();
    while (labels.children.length < lanes.length) labels.append(element("span"));
    this.order.filter((lane) => lane < lanes.length).forEach((lane, place) => {
      labels.children[place].style.height = `${this.height}px`;
      setText(labels.children[place], lanes[lane] ? String(lanes[lane]) : "");
    });
    this.labelNodes();
    const counts = Object.entries(workers).filter(([, count]) => count);
    setAttribute(this.canvas, "aria-label", `The last minute of every worker; now ${
      counts.map(([word, count]) => `${count} ${word}`).join(", ") || "there are none"}`);
  }

  // Beside the lanes of each node stands its name, and whether nothing was heard of it lately.
  labelNodes() {
    const { nodes } = this.store.state;
    const scale = Math.min(this.canvas.height, TALLEST) / this.canvas.height;
    while (this.nodes.children.length > nodes.length) this.nodes.lastChild.remove();
    while (this.nodes.children.length < nodes.length) this.nodes.append(element("span"));
    nodes.forEach(([name, stale, lanes], index) => {
      const text = stale ? `⚠ ${name}: not heard of` : name;
      const label = this.nodes.children[index];
      label.style.height = `${lanes.length * this.height * scale}px`;
      setText(label, text);
      setAttribute(label, "title", text);
      setAttribute(label, "data-stale", stale ? "" : null);
    });
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * MAX_COLUMNS);
    const lane = this.order[Math.floor(((event.clientY - box.top) / box.height) * this.lanes)];
    const { columns, owners } = this.store;
    const column = place - MAX_COLUMNS + columns.length;
    const name = NAMES[columns[column]?.[lane]];
    setText(this.pointed, name
      ? `worker ${owners[column][lane]}: ${name}, ${duration((MAX_COLUMNS - place) / 4)} ago` : "");
  }
}

const mostLanes = (columns) => columns.reduce((most, { length }) => Math.max(most, length), 0);

function goesOn(letter, next, notched, marked) {
  if (next === letter) return !(notched && letter === "b");
  if (notched) return letter === "b" && next === "c";
  return !marked && "bc".includes(letter) && "bc".includes(next);
}
