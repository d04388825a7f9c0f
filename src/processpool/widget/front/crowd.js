// What is shown instead of lanes when there are very many workers: how many did what over the last
// minute, and a square for each slot with what it does now.

const CROWD = 65;
const KINDS = ["x", "k", "b", "s", "l", "e", "i"];
const AREA_HEIGHT = 90;
const SQUARE = 10;

const kindOf = (letter) => (letter === "c" ? "b" : letter === "r" ? "x" : letter);

function counted(letters) {
  const counts = {};
  for (const letter of letters) {
    const kind = kindOf(letter);
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

class Crowd {
  constructor(store, point) {
    this.store = store;
    this.known = [];
    this.area = element("canvas", { class: "pp-canvas", role: "img", width: MAX_COLUMNS * COLUMN, height: AREA_HEIGHT });
    this.slots = element("canvas", {
      class: "pp-slots", role: "img", onmousemove: (event) => this.point(event, point), onmouseleave: () => point(""),
    });
    this.node = element("div", { class: "pp-crowd" }, this.slots);
  }

  update(colours) {
    this.drawArea(colours);
    this.drawSlots(colours);
  }

  // Stacked from below: what went wrong first, so that it is seen, then what works, then the rest.
  drawArea(colours) {
    const { columns } = this.store;
    const context = this.area.getContext("2d");
    context.clearRect(0, 0, this.area.width, AREA_HEIGHT);
    const cache = new Map(this.known); // of earlier columns, which most of them are
    const counts = columns.map((letters) => {
      if (!cache.has(letters)) cache.set(letters, counted(letters));
      return cache.get(letters);
    });
    this.known = columns.map((letters, at) => [letters, counts[at]]);
    const most = Math.max(1, ...counts.map((each) => Object.entries(each)
      .reduce((sum, [kind, count]) => sum + (kind === "." ? 0 : count), 0)));
    const first = MAX_COLUMNS - columns.length;
    counts.forEach((each, at) => {
      let y = AREA_HEIGHT;
      for (const kind of KINDS) {
        const height = (AREA_HEIGHT * (each[kind] ?? 0)) / most;
        if (!height) continue;
        context.fillStyle = colours[kind];
        context.fillRect((first + at) * COLUMN, y - height, COLUMN, height);
        y -= height;
      }
    });
    const now = counts.at(-1) ?? {};
    setAttribute(this.area, "aria-label", `How many workers did what in the last minute; now ${
      KINDS.filter((kind) => now[kind]).map((kind) => `${now[kind]} ${NAMES[kind]}`).join(", ") || "none"}`);
  }

  drawSlots(colours) {
    const letters = this.store.columns.at(-1) ?? "";
    const width = Math.max(this.slots.parentElement?.clientWidth ?? 0, 200);
    this.perRow = Math.max(Math.floor(width / SQUARE), 1);
    const rows = Math.ceil(letters.length / this.perRow) || 1;
    if (this.slots.width !== width || this.slots.height !== rows * SQUARE) {
      [this.slots.width, this.slots.height] = [width, rows * SQUARE];
    }
    const context = this.slots.getContext("2d");
    context.clearRect(0, 0, width, rows * SQUARE);
    [...letters].forEach((letter, at) => {
      const colour = colours[kindOf(letter)];
      if (!colour) return;
      context.fillStyle = colour;
      context.fillRect((at % this.perRow) * SQUARE, Math.floor(at / this.perRow) * SQUARE, SQUARE - 2, SQUARE - 2);
    });
    setAttribute(this.slots, "aria-label", "What each slot does now");
  }

  point(event, say) {
    const box = this.slots.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((at) => Math.floor(at / SQUARE));
    const lane = y * this.perRow + x;
    const name = NAMES[(this.store.columns.at(-1) ?? "")[lane]];
    const worker = (this.store.owners.at(-1) ?? {})[lane];
    say(name ? `worker ${worker}: ${name} now` : "");
  }
}
