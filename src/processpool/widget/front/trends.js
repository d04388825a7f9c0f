// Sparklines: how a figure went over the last minute, a sample each second. See trends.py.

const TREND_SECONDS = 60;
const TRENDS = { "items/s": 1, queued: 2, memory: 3 }; // their places in a sample

// The samples after a frame; those that a frame brings are those of before.
function sampled(samples, frame, state) {
  const second = Math.floor(frame.at);
  const before = (frame.trends ?? samples).filter(([at]) => at !== second && at > second - TREND_SECONDS);
  return [...before, [second, state.rate, state.queued, state.memory[0]]];
}

// An area, cut out of a box, so that its colour is the theme's.
class Spark {
  constructor(name) {
    this.name = name;
    this.area = element("div", { class: "pp-spark-area" });
    this.node = element("div", { class: "pp-spark", role: "img" }, this.area);
  }

  // Where nothing is known of a second, the one before counts. The scale begins at 0.
  update(samples, write) {
    const now = samples.at(-1)?.[0];
    const values = samples.map((sample) => sample[TRENDS[this.name]]);
    const most = Math.max(...values, 0);
    const points = [];
    let level = "100%";
    samples.forEach(([at], place) => {
      const x = `${(100 * (1 - (now - at) / TREND_SECONDS)).toFixed(1)}%`;
      if (!place) points.push(`${x} 100%`);
      points.push(`${x} ${level}`);
      level = `${(most ? 96 - (96 * values[place]) / most : 96).toFixed(0)}%`; // a thin line is left at 0
      points.push(`${x} ${level}`);
    });
    this.area.style.clipPath = `polygon(${[...points, `100% ${level}`, "100% 100%"].join()})`;
    setAttribute(this.node, "aria-label", samples.length
      ? `${this.name} in the last minute: ${write(Math.min(...values))} to ${write(most)}` : this.name);
  }
}
