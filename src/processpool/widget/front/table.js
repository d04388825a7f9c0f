// The table: a row for each worker that the kernel sends. Rows are created once and changed in
// place, so that focus, selection and scroll position are kept.

const HEADINGS = [
  ["worker", "number"], ["pid", "number"], ["state", ""], ["item", ""], ["age", "number"],
  ["ok", "number"], ["failed", "number"], ["CPU", "number"], ["memory", "number"], ["", "act"],
];

const ROWS_IN_SIGHT = 8;
const ROW_HEIGHT = 30;

const NO_WORKERS = {
  new: "The pool is not open: pool.open(), or “with pool:”, starts its workers.",
  broken: "No worker can be started: see the last error.",
};

class Table {
  constructor(store, say) {
    Object.assign(this, { store, say });
    this.rows = new Map();
    this.body = element("tbody");
    this.more = element("div", { class: "pp-more" });
    const head = HEADINGS.map(([name, kind]) =>
      element("th", { scope: "col", class: kind && `pp-${kind}` },
        name || element("span", { class: "pp-unseen" }, "actions")));
    this.box =
      element("div", { class: "pp-scroll", tabindex: 0, role: "region", "aria-label": "workers" },
        element("table", { class: "pp-table" },
          element("caption", { class: "pp-unseen" }, "The workers of the pool"),
          element("colgroup", {}, ...HEADINGS.map(([name]) => element("col", { "data-name": name || "act" }))),
          element("thead", {}, element("tr", {}, ...head)), this.body));
    this.tools = new TableTools(store, say);
    this.node = element("div", { class: "pp-workers" }, this.tools.node, this.box, this.more);
  }

  update() {
    const { order, rows, hidden } = this.store.state;
    const known = new Set(order);
    for (const number of this.rows.keys()) if (!known.has(number)) this.rows.delete(number);
    for (const number of order) {
      if (!this.rows.has(number)) this.rows.set(number, new Row(this.store, this.say, number));
      this.rows.get(number).update(rows[number]);
    }
    arrange(this.body, order.map((number) => this.rows.get(number).node));
    this.tools.update();
    const most = Math.max(order.length, Math.min(this.store.state.size[1], ROWS_IN_SIGHT));
    this.box.style.height = `${ROW_HEIGHT * (Math.min(most, ROWS_IN_SIGHT) + 1)}px`;
    const notes = [];
    if (hidden) notes.push(`${plural(hidden, "more worker")}; the timeline shows all. Failed and long-running ones come first.`);
    else if (!order.length) notes.push(NO_WORKERS[this.store.state.state] ?? "There are no workers.");
    const [ok, failed] = this.store.state.gone;
    if (ok || failed) notes.push(`Elsewhere, such as by workers that have ended: ${amount(ok)} ok, ${amount(failed)} failed.`);
    setText(this.more, notes.join(" "));
  }

  updateAges() {
    for (const row of this.rows.values()) row.updateAge();
  }
}

// Which rows are shown, and in which order; and what can be done with many workers at once.
class TableTools {
  constructor(store, say) {
    this.store = store;
    const choice = (label, names) => element("select", { class: "pp-input", "aria-label": label, onchange: () => this.choose() },
      ...names.map((name) => element("option", { value: name }, name)));
    this.filter = choice("which workers", ["all workers", "busy", "idle", "late", "failed"]);
    this.sort = choice("order", ["usual order", "by age", "by ok", "by failed", "by memory", "by CPU", "by worker"]);
    this.search = element("input", {
      type: "search", class: "pp-input pp-search", placeholder: "search", "aria-label": "search the workers and their items",
      oninput: () => this.choose(),
    });
    this.late = new ActionButton(store, say, {
      label: "Restart all that are late", title: "Replace the workers whose item takes unusually long",
      plan: () => {
        const workers = this.lateOnes;
        return { action: { action: "restart_many", workers }, confirm: `Lose ${plural(workers.length, "item")}?` };
      },
    });
    this.all = new ActionButton(store, say, {
      label: "Restart all", title: "Replace each worker by a new one, as soon as it has done what it has",
      plan: () => ({ action: { action: "restart_many" } }),
    });
    this.node = element("div", { class: "pp-tools" }, this.filter, this.sort, this.search, this.late.node, this.all.node);
  }

  get lateOnes() {
    const { order, rows } = this.store.state;
    return order.filter((number) => rows[number][ROW.late]);
  }

  choose() {
    const [filter, sort] = [this.filter.value, this.sort.value];
    this.store.model.send({ kind: "rows", filter, sort, search: this.search.value.slice(0, 80) });
  }

  update() {
    const late = this.lateOnes.length;
    setAttribute(this.late.node, "aria-disabled", late ? null : "true");
    this.late.refresh();
  }
}

class Row {
  constructor(store, say, number) {
    this.store = store;
    this.cells = HEADINGS.slice(1, -1).map(([, kind]) => element("td", { class: kind && `pp-${kind}` }));
    [this.pid, this.state, this.item, this.age, this.ok, this.failed, this.cpu, this.memory] =
      this.cells;
    this.glyph = element("span", { class: "pp-glyph", "aria-hidden": "true" });
    this.word = element("span");
    this.state.append(this.glyph, this.word);
    this.index = element("span");
    this.what = element("span", { class: "pp-what" });
    this.progress = element("span", { class: "pp-progress" });
    this.item.append(this.index, this.progress, this.what);
    this.button = new ActionButton(store, say, {
      label: "Restart", title: `Replace worker ${number} by a new one`,
      plan: () => this.plan(number),
    });
    this.node = element("tr", {},
      this.number = element("th", { scope: "row", class: "pp-number" }, String(number)),
      ...this.cells, element("td", { class: "pp-act" }, this.button.node));
  }

  // Replacing an idle worker loses nothing: if it has become busy meanwhile, the kernel waits.
  plan(number) {
    const working = ["busy", "leased"].includes(this.row[ROW.state]);
    const item = this.row[ROW.item];
    const what = item == null ? "what it has" : `item ${amount(item)}`;
    return {
      action: { action: "restart", worker: number, wait: !working },
      confirm: working ? `Lose ${what}?` : null,
    };
  }

  update(row) {
    this.row = row;
    const named = [["slot", row[ROW.slot]], ["pid", row[ROW.pid]]].filter(([, number]) => number != null);
    setAttribute(this.number, "title", named.map((both) => both.join(" ")).join(", ") || null);
    setText(this.pid, row[ROW.pid] == null ? "" : String(row[ROW.pid]));
    setText(this.word, row[ROW.state]);
    setText(this.glyph, WORKER_GLYPHS[row[ROW.state]] ?? "");
    setAttribute(this.node, "data-state", row[ROW.state]);
    setText(this.index, row[ROW.item] == null ? "" : amount(row[ROW.item]));
    setText(this.what, row[ROW.what]);
    this.updateProgress(row[ROW.progress]);
    setText(this.ok, amount(row[ROW.ok]));
    setText(this.failed, row[ROW.failed] ? `✖ ${amount(row[ROW.failed])}` : "0");
    setAttribute(this.failed, "data-mood", row[ROW.failed] ? "bad" : null);
    setText(this.cpu, row[ROW.cpu] == null ? "" : `${row[ROW.cpu]} %`);
    setText(this.memory, row[ROW.memory] == null ? "" : size(row[ROW.memory]));
    setAttribute(this.node, "data-late", row[ROW.late] ? "" : null);
    setAttribute(this.age, "title", row[ROW.late] ? "More than three times as long as items of this function usually take, and longer than 95 % of them" : null);
    // Not `disabled`, which would lose the focus.
    setAttribute(this.button.node, "aria-disabled", row[ROW.state] === "stopping" ? "true" : null);
    this.button.refresh();
    this.updateAge();
  }

  updateProgress(progress) {
    let text = "";
    if (progress) {
      const [done, total, note] = progress;
      const share = total ? ` · ${Math.floor((100 * done) / total)} %` : ` · ${amount(done)}`;
      text = note ? `${share} ${note}` : share;
    }
    setText(this.progress, text);
    setAttribute(this.item, "title", this.row[ROW.item] == null ? null : [this.index, this.what, this.progress]
      .map((part) => part.textContent).filter(Boolean).join(" "));
  }

  updateAge() {
    const since = this.row[ROW.since];
    const text = since == null ? "" : duration(this.store.now - since);
    setText(this.age, this.row[ROW.late] ? `⚠ ${text}` : text);
  }
}
