// What has failed: errors that are alike, opened to their items, opened to all that is known of one.

class Failures {
  constructor(store, say) {
    Object.assign(this, { store, say });
    this.groups = new Map();
    this.title = element("div", { class: "pp-error-title" });
    this.list = element("div", { class: "pp-groups pp-scroll", tabindex: 0, role: "region", "aria-label": "failures" });
    this.node = element("section", { class: "pp-failures", "aria-label": "failures" }, this.title, this.list);
  }

  update() {
    const { failures } = this.store.state;
    const keys = failures.map(([key]) => key);
    for (const key of this.groups.keys()) if (!keys.includes(key)) this.groups.delete(key);
    for (const group of failures) {
      const [key] = group;
      if (!this.groups.has(key)) this.groups.set(key, new FailureGroup(this.store, this.say, key));
      this.groups.get(key).update(group);
    }
    const total = failures.reduce((sum, [, , , count]) => sum + count, 0);
    setText(this.title, total ? `✖ ${plural(total, "failure")}` : "✓ No failures");
    setAttribute(this.node, "data-mood", total ? "bad" : null);
    // The order stays as it is while somebody reads.
    const open = [...this.groups.values()].some((group) => group.node.open);
    const order = open ? [...this.groups.keys()] : keys;
    arrange(this.list, order.map((key) => this.groups.get(key).node));
  }
}

class FailureGroup {
  constructor(store, say, key) {
    Object.assign(this, { store, key });
    this.count = element("span", { class: "pp-count" });
    this.text = element("span", { class: "pp-group-text" });
    this.when = element("span", { class: "pp-when" });
    this.items = element("div", { class: "pp-items" });
    this.known = new Map();
    const button = (label, title, action, extra) => new ActionButton(store, say, {
      label, title, plan: () => ({ action: { action, key } }), ...extra,
    });
    this.retry = button("Retry these", "Run these items again, in this pool", "retry");
    this.code = button("Copy as code", "Copy Python code that runs these items again", "code",
      { use: (code) => this.copy(code) });
    this.snippet = element("textarea", { class: "pp-lines pp-code", readonly: true, hidden: true, rows: 4, "aria-label": "code" });
    this.node = element("details", { class: "pp-group", ontoggle: () => this.load() },
      element("summary", {}, this.count, this.text, this.when),
      element("div", { class: "pp-group-acts" }, this.retry.node, this.code.node),
      this.snippet, this.items);
  }

  update([, text, at, count]) {
    const grown = this.shown !== count;
    this.shown = count;
    setText(this.count, `${amount(count)} ×`);
    setText(this.text, text);
    const ago = Math.floor((this.store.now - at) / 10) * 10;
    setText(this.when, ago < 10 ? "just now" : `${duration(ago)} ago`);
    if (grown && this.node.open) this.load();
  }

  load() {
    if (!this.node.open) return;
    this.store.act({ action: "failures", key: this.key }, (error, items) => {
      if (error) return;
      for (const item of items) {
        const [number] = item;
        if (!this.known.has(number)) this.known.set(number, new FailedItem(this.store, item));
      }
      arrange(this.items, items.map(([number]) => this.known.get(number).node));
    });
  }

  copy(code) {
    setHidden(this.snippet, false);
    this.snippet.value = code;
    this.snippet.select();
    navigator.clipboard?.writeText(code).catch(() => {}); // without permission it can be copied by hand
    return "copied; it is shown, too";
  }
}

class FailedItem {
  constructor(store, [number, map, index, args]) {
    Object.assign(this, { store, number });
    this.body = element("div", { class: "pp-known" });
    const where = map ? `${map}, item ${amount(index)}` : "call";
    this.node = element("details", { class: "pp-item", ontoggle: () => this.load() },
      element("summary", {}, element("span", { class: "pp-where" }, where), args ? `: ${args}` : ""),
      this.body);
  }

  load() {
    if (!this.node.open || this.loaded) return;
    this.loaded = true;
    this.store.act({ action: "failure", number: this.number }, (error, known) => {
      this.body.replaceChildren(...(error ? [error] : facts(known)));
    });
  }
}

function facts(known) {
  const who = [];
  if (known.worker) who.push(`worker ${known.worker} (pid ${known.pid})`);
  who.push(`attempt ${known.attempts}`, `after ${duration(known.seconds)}`);
  const text = (title, value) => (value
    ? [element("div", { class: "pp-detail" }, title), element("pre", { class: "pp-lines" }, value)] : []);
  return [
    element("div", { class: "pp-detail" }, who.join(" · ")),
    ...text("argument", known.argument),
    ...text("traceback", known.traceback || known.error),
    ...text("stdout", known.stdout),
    ...text("stderr", known.stderr),
    ...text("earlier attempts", known.history.join("\n")),
  ];
}
