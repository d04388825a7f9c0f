// The headline: the pool's state, controls and totals, advice, and messages about clicks.

const FIGURES = ["workers", "queued", "ok", "failed", "cancelled", "items/s", "memory"];

class Head {
  constructor(store, say, status) {
    this.store = store;
    this.title = element("span", { class: "pp-name" });
    this.badge = element("span", { class: "pp-badge" });
    this.pause = new ActionButton(store, say, {
      label: "Pause", title: "Hand out no more work; what runs goes on",
      plan: () => ({ action: { action: this.pauseAction } }),
    });
    this.most = element("input", {
      type: "number", min: 1, class: "pp-input",
      onkeydown: (event) => event.key === "Enter" && this.resize.click(),
      onblur: () => !(this.most.value >= 1) && (this.most.value = this.knownMost),
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
        ...FIGURES.map((name) => this.figures[name].node)),
      element("div", { class: "pp-said" }, this.advice = element("div", { class: "pp-advice" }), status));
  }

  update() {
    const { state } = this.store;
    setText(this.title, state.name);
    setAttribute(this.title, "title", state.name);
    setText(this.badge, `${POOL_GLYPHS[state.state] ?? ""} ${state.state}`);
    setAttribute(this.badge, "data-state", state.state);
    this.pauseAction = { paused: "resume", broken: "reset" }[state.state] ?? "pause";
    this.pause.setLabel({ pause: "Pause", resume: "Resume", reset: "Try again" }[this.pauseAction]);
    const idle = !["open", "paused", "broken"].includes(state.state);
    for (const { node } of [this.pause, this.resize]) node.disabled = idle;
    this.most.disabled = idle;
    const most = String(state.size[1]);
    if (this.knownMost !== most) {
      this.knownMost = most;
      this.most.value = most;
    }
    const counts = Object.entries(state.workers).filter(([, count]) => count);
    const workers = counts.reduce((sum, [, count]) => sum + count, 0);
    this.show("workers", amount(workers), counts.map(([word, count]) => `${count} ${word}`).join(" · "));
    this.show("queued", amount(state.queued), state.running ? `${amount(state.running)} with workers` : "");
    this.show("ok", amount(state.ok), "");
    this.show("failed", amount(state.failed), "", state.failed ? "bad" : null);
    this.show("cancelled", amount(state.cancelled), "", state.cancelled ? "left" : null);
    this.show("items/s", rate(state.rate), "");
    const [memory, known] = state.memory;
    this.show("memory", known ? size(memory) : "", known && known < workers ? `from what ${plural(known, "worker")} ${known === 1 ? "has" : "have"}` : "");
    this.drawSparks();
    const [line, why] = state.advice ?? ["", ""];
    setText(this.advice, line);
    setAttribute(this.advice, "title", why ? `${line}\n\n${why}` : null);
  }

  drawSparks() {
    if (CALM.matches && performance.now() < this.drawnAt + CALM_EVERY) return;
    this.drawnAt = performance.now();
    for (const [name, write] of Object.entries(WRITTEN)) this.figures[name].spark.update(this.store.samples, write);
  }

  show(name, value, detail, mood = null) {
    const { number, detail: small, node } = this.figures[name];
    setText(number, value);
    setText(small, detail);
    setAttribute(node, "data-mood", mood);
  }
}

const WRITTEN = { "items/s": rate, queued: amount, memory: size };

function figure(name) {
  const spark = TRENDS[name] ? new Spark(name) : null;
  const number = element("div", { class: "pp-amount" });
  const detail = element("div", { class: "pp-detail" });
  const title = element("div", { class: "pp-detail pp-titled" }, name, ...(spark ? [spark.node] : []));
  const node = element("div", { class: "pp-figure", "data-name": name }, title, number, detail);
  return { node, number, detail, spark };
}
