// The headline: state, controls, totals, and the maps in progress.

const FIGURES = ["workers", "queued", "done", "failed", "items/s"];

class Head {
  constructor(store, say) {
    this.store = store;
    this.title = element("span", { class: "pp-name" });
    this.badge = element("span", { class: "pp-badge" });
    this.pause = new ActionButton(store, say, {
      label: "Pause", title: "Hand out no more work; what runs goes on",
      plan: () => ({ action: { action: this.pauseAction } }),
    });
    this.most = element("input", {
      type: "number", min: 1, class: "pp-input", "aria-label": "most workers",
      onkeydown: (event) => event.key === "Enter" && this.resize.click(),
    });
    this.resize = new ActionButton(store, say, {
      label: "Resize", title: "Change how many workers there may be; busy ones finish first",
      plan: () => ({ action: { action: "resize", max: Math.round(Number(this.most.value)) } }),
    });
    this.figures = Object.fromEntries(FIGURES.map((name) => [name, figure(name)]));
    this.controls = element("span", { class: "pp-controls" },
      this.pause.node,
      element("label", { class: "pp-size" }, "max workers ", this.most),
      this.resize.node);
    this.node = element("div", { class: "pp-head" },
      element("div", { class: "pp-bar" }, this.badge, this.title, this.controls),
      element("div", { class: "pp-figures" },
        ...FIGURES.map((name) => this.figures[name].node)));
  }

  update() {
    const { state } = this.store;
    setText(this.title, state.name);
    setText(this.badge, `${POOL_GLYPHS[state.state] ?? ""} ${state.state}`);
    setAttribute(this.badge, "data-state", state.state);
    this.pauseAction = { paused: "resume", broken: "reset" }[state.state] ?? "pause";
    this.pause.setLabel({ pause: "Pause", resume: "Resume", reset: "Try again" }[this.pauseAction]);
    this.pause.node.disabled = !["open", "paused", "broken"].includes(state.state);
    const most = String(state.size[1]);
    if (this.knownMost !== most) {
      this.knownMost = most;
      this.most.value = most;
    }
    const counts = Object.entries(state.workers).filter(([, count]) => count);
    const workers = counts.reduce((sum, [, count]) => sum + count, 0);
    this.show("workers", amount(workers), counts.map(([word, count]) => `${count} ${word}`).join(" · "));
    this.show("queued", amount(state.queued), state.running ? `${amount(state.running)} with workers` : "");
    this.show("done", amount(state.finished), "");
    this.show("failed", amount(state.failed), "", state.failed ? "bad" : null);
    this.show("items/s", rate(state.rate), "");
  }

  show(name, value, detail, mood = null) {
    const { number, detail: small, node } = this.figures[name];
    setText(number, value);
    setText(small, detail);
    setAttribute(node, "data-mood", mood);
  }
}

function figure(name) {
  const number = element("div", { class: "pp-amount" });
  const detail = element("div", { class: "pp-detail" });
  const title = element("div", { class: "pp-detail" }, name);
  const node = element("div", { class: "pp-figure" }, title, number, detail);
  return { node, number, detail };
}

class Maps {
  constructor(store, say) {
    Object.assign(this, { store, say });
    this.bars = new Map();
    this.node = element("div", { class: "pp-maps" });
  }

  update() {
    const { maps } = this.store.state;
    const known = new Set(maps.map(([number]) => number));
    for (const number of this.bars.keys()) if (!known.has(number)) this.bars.delete(number);
    for (const map of maps) {
      if (!this.bars.has(map[0])) this.bars.set(map[0], new MapBar(this.store, this.say, map));
      this.bars.get(map[0]).update(map);
    }
    arrange(this.node, maps.map(([number]) => this.bars.get(number).node));
  }
}

class MapBar {
  constructor(store, say, [number, label]) {
    this.store = store;
    this.fill = element("div", { class: "pp-fill" });
    this.track = element("div", {
      class: "pp-track", role: "progressbar", "aria-label": label, "aria-valuemin": 0,
    }, this.fill);
    this.text = element("span", { class: "pp-map-text" });
    this.stop = new ActionButton(store, say, {
      label: "Stop", title: `Stop ${label}`,
      plan: () => ({
        action: { action: "stop_map", map: number },
        confirm: "Stop it, losing what runs?",
      }),
    });
    setAttribute(this.stop.node, "aria-label", null);
    this.node = element("div", { class: "pp-map" },
      element("span", { class: "pp-map-label" }, label), this.track, this.text, this.stop.node);
  }

  update([, , done, failed, total, since, eta]) {
    const share = total ? done / total : 0;
    this.fill.style.width = `${100 * share}%`;
    setAttribute(this.track, "data-open", total == null ? "" : null);
    setAttribute(this.track, "aria-valuemax", total);
    setAttribute(this.track, "aria-valuenow", total == null ? null : done);
    const parts = [total == null ? `${amount(done)} done` : `${amount(done)} of ${amount(total)}`];
    if (total) parts.push(`${Math.floor(100 * share)} %`);
    if (failed) parts.push(`${amount(failed)} failed`);
    parts.push(duration(this.store.now - since));
    if (eta) parts.push(`about ${duration(eta)} to go`);
    setText(this.text, parts.join(" · "));
  }
}
