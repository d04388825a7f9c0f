// A bar for each running map, and one without colour for each of the last few that have ended.

class Maps {
  constructor(store, say) {
    Object.assign(this, { store, say });
    this.bars = new Map();
    this.node = element("div", { class: "pp-maps" });
  }

  update() {
    const { maps, ended } = this.store.state;
    const past = [...ended].reverse();
    const numbers = [...maps, ...past].map(([number]) => number);
    for (const number of this.bars.keys()) if (!numbers.includes(number)) this.bars.delete(number);
    for (const map of maps) this.bar(map).update(map);
    for (const map of past) this.bar(map).end(map);
    arrange(this.node, numbers.map((number) => this.bars.get(number).node));
  }

  bar([number, label]) {
    if (!this.bars.has(number)) this.bars.set(number, new MapBar(this.store, this.say, number, label));
    return this.bars.get(number);
  }
}

class MapBar {
  constructor(store, say, number, label) {
    this.store = store;
    this.fills = ["ok", "failed", "cancelled"].map((how) =>
      element("div", { class: "pp-fill", "data-how": how }));
    this.track = element("div", {
      class: "pp-track", role: "progressbar", "aria-label": label, "aria-valuemin": 0,
    }, ...this.fills);
    this.text = element("span", { class: "pp-map-text" });
    this.stop = new ActionButton(store, say, {
      label: "Stop", title: `Stop ${label}`,
      plan: () => ({
        action: { action: "stop_map", map: number },
        confirm: "Lose what runs?",
      }),
    });
    this.how = element("span", { class: "pp-how", hidden: true });
    this.node = element("div", { class: "pp-map" },
      element("span", { class: "pp-map-label", title: label }, label), this.track, this.text,
      element("span", { class: "pp-map-act" }, this.stop.node, this.how));
  }

  update([, , ok, failed, cancelled, total, since, eta, pace]) {
    const rest = [duration(this.store.now - since)];
    if (pace) rest.push(`${rate(pace)}/s`);
    if (this.store.progress.state === "paused") rest.push("paused");
    else if (eta) rest.push(`${range(eta)} to go`);
    this.show({ ok, failed, cancelled, total }, rest);
    setAttribute(this.track, "data-open", total == null ? "" : null);
  }

  end([, , ok, failed, cancelled, total, seconds, complete]) {
    if (this.ended) return;
    this.ended = true;
    const left = !complete && total != null;
    this.show({ ok, failed, cancelled, total }, [duration(seconds)]);
    if (document.activeElement === this.stop.node) {
      setAttribute(this.node, "tabindex", -1);
      this.node.focus({ preventScroll: true });
    }
    setHidden(this.stop.node, true);
    setHidden(this.how, false);
    setText(this.how, left ? "■ ended early" : failed ? "✖ done" : "✓ done");
    setAttribute(this.node, "data-ended", left ? "early" : failed ? "failed" : "");
    setAttribute(this.track, "data-open", null);
  }

  show({ ok, failed, cancelled, total }, rest) {
    const ended = ok + failed + cancelled;
    const whole = total ?? ended;
    [ok, failed, cancelled].forEach((count, at) => {
      this.fills[at].style.width = `${whole ? (100 * count) / whole : 0}%`;
    });
    const parts = [total == null ? `${amount(ok)} ok` : `${amount(ok)} of ${amount(total)} ok`];
    if (failed) parts.push(`${amount(failed)} failed`);
    if (cancelled) parts.push(`${amount(cancelled)} cancelled`);
    if (total && ended < total) parts.push(`${Math.floor((100 * ended) / total)} %`);
    setText(this.text, [...parts, ...rest].join(" · "));
    setAttribute(this.track, "aria-valuemax", total);
    setAttribute(this.track, "aria-valuenow", total == null ? null : ended);
    setAttribute(this.track, "aria-valuetext", parts.join(", "));
  }
}
