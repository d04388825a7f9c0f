// The strip of one map, in the output of the cell that runs it.

class Strip {
  constructor(store, number) {
    this.store = store;
    this.number = number;
    this.status = element("span", { class: "pp-status", role: "status" });
    const say = (text) => setText(this.status, text);
    this.bar = new MapBar(store, say, number, "");
    this.label = this.bar.node.firstChild;
    this.node = element("div", { class: "pp-pool pp-strip", "data-lm-suppress-shortcuts": "true" },
      element("div", { class: "pp-maps" }, this.bar.node), this.status);
    notePlaces(this.node);
    this.listener = () => this.update();
  }

  open() {
    this.store.views.add(this.listener);
    this.update();
  }

  close() {
    this.store.views.delete(this.listener);
    setAttribute(this.node, "data-stale", "");
    setHidden(this.bar.stop.node, true);
    if (!this.bar.ended) setText(this.status, "The kernel says no more of it.");
  }

  update() {
    const { progress, stale } = this.store;
    setAttribute(this.node, "data-stale", stale ? "" : null);
    if (stale && !this.bar.ended) setText(this.status, "⚠ No news from the kernel: what is shown is old.");
    else if (this.wasStale) setText(this.status, "");
    this.wasStale = stale;
    if (!progress || stale) return;
    const running = progress.maps.find(([number]) => number === this.number);
    const ended = progress.ended.find(([number]) => number === this.number);
    const [, label] = running ?? ended ?? [];
    if (label) {
      setText(this.label, label);
      setAttribute(this.bar.track, "aria-label", label);
    }
    if (running) this.bar.update(running);
    else if (ended) this.bar.end(ended);
  }
}
