// The entry points that anywidget calls: once for the model, and once for each view of it.

const stores = new WeakMap();

class View {
  constructor(store) {
    this.store = store;
    this.status = element("div", { class: "pp-status", role: "status" });
    const say = (text) => setText(this.status, text);
    this.say = say;
    this.head = new Head(store, say);
    this.maps = new Maps(store, say);
    this.timeline = new Timeline(store);
    this.table = new Table(store, say);
    this.error = new ErrorPanel(store);
    this.log = new LogPanel(store);
    // Without the attribute JupyterLab takes Enter and letters for its own shortcuts.
    this.node = element("div", { class: "pp-pool", "data-lm-suppress-shortcuts": "true" },
      this.head.node, this.status, this.error.node, this.maps.node, this.timeline.node,
      this.table.node, this.log.node);
    this.listener = (what, news) => this.update(what, news);
  }

  open() {
    this.store.views.add(this.listener);
    if (this.store.state) this.update("frame", { columns: [], lines: [], history: true });
  }

  close() {
    this.store.views.delete(this.listener);
  }

  update(what, news) {
    this.updateStale();
    if (what === "frame") {
      this.head.update();
      this.error.update();
      this.timeline.update(news);
      this.table.update();
      this.log.update(news);
      this.announce();
    }
    if (this.store.state && !this.store.stale) {
      this.maps.update();
      this.table.updateAges();
    }
  }

  updateStale() {
    const { stale } = this.store;
    if (stale === this.stale) return;
    this.stale = stale;
    setAttribute(this.node, "data-stale", stale ? "" : null);
    if (stale) {
      const when = new Date().toLocaleTimeString();
      this.say(`⚠ No news from the kernel since ${when}: it was restarted, or is gone. What is shown is old.`);
    } else if (this.wasStale) {
      this.say("The kernel is back.");
    }
    this.wasStale = stale;
  }

  // What a screen reader says: that something began or ended, not every number.
  announce() {
    const { state, maps, error } = this.store.state;
    const running = maps.map(([number]) => number).join();
    if (this.spoken && this.spoken.state !== state) this.say(`The pool is ${state}.`);
    else if (this.spoken && error && this.spoken.error !== error.at) this.say("An item failed.");
    else if (this.spoken && this.spoken.running !== running) {
      this.say(maps.length ? `Running: ${maps.map(([, label]) => label).join(", ")}.` : "No map is running.");
    }
    this.spoken = { state, running, error: error?.at };
  }
}

function storeOf(model) {
  if (!stores.has(model)) {
    const store = new Store(model);
    stores.set(model, store);
    store.open();
  }
  return stores.get(model);
}

export default {
  initialize({ model }) {
    const store = storeOf(model);
    return () => {
      store.close();
      stores.delete(model);
    };
  },

  render({ model, el }) {
    const view = new View(storeOf(model));
    el.append(view.node);
    view.open();
    return () => view.close();
  },
};
