// The entry points for anywidget: `initialize` for the model, and `render` for each view of it.

const stores = new WeakMap();

class View {
  constructor(store) {
    this.store = store;
    this.status = element("div", { class: "pp-status", role: "status" });
    this.whispered = element("div", { class: "pp-whispered pp-unseen", role: "status" });
    const say = (text, time) => this.say(text, time);
    this.head = new Head(store, say, this.status);
    this.maps = new Maps(store, say);
    this.timeline = new Timeline(store);
    this.table = new Table(store, say);
    this.failures = new Failures(store, say);
    this.error = new ErrorPanel(store);
    this.log = new LogPanel(store);
    // Without this attribute, JupyterLab handles Enter and letters as its own shortcuts.
    this.node = element("div", { class: "pp-pool", "data-lm-suppress-shortcuts": "true" },
      this.head.node, this.maps.node, this.timeline.node,
      this.table.node,
      element("div", { class: "pp-notes" },
        element("div", { class: "pp-note" }, this.error.node, this.failures.node), this.log.node),
      this.whispered);
    notePlaces(this.node);
    this.listener = (what, news) => this.update(what, news);
  }

  open() {
    this.store.views.add(this.listener);
    if (this.store.state) this.update("frame", { columns: [], lines: [], history: true });
  }

  // Its last state stays to be seen, greyed; the kernel replaces it by a table where it can.
  close() {
    this.store.views.delete(this.listener);
    for (const button of this.node.querySelectorAll("button, input")) button.disabled = true;
  }

  update(what, news) {
    this.updateStale();
    if (what === "frame") {
      this.head.update();
      this.error.update();
      this.failures.update();
      this.timeline.update(news);
      setHidden(this.timeline.node, this.store.state.state === "new");
      this.table.update();
      this.log.update(news);
      this.announce();
    } else if (this.store.state) {
      this.timeline.update({ columns: [] }); // the theme may have changed
      if (!this.store.stale) this.table.updateAges();
    }
    if (this.store.state && !this.store.stale) this.maps.update();
  }

  // Show a message, for `time` milliseconds if given. It does not replace "the kernel is gone".
  say(text, time) {
    if (this.stale) return;
    clearTimeout(this.silence);
    setText(this.status, text);
    if (time) this.silence = setTimeout(() => setText(this.status, ""), time);
  }

  updateStale() {
    const { stale } = this.store;
    if (stale === this.stale) return;
    const wasStale = this.stale;
    setAttribute(this.node, "data-stale", stale ? "" : null);
    if (stale) {
      const when = new Date().toLocaleTimeString();
      this.say(`⚠ No news from the kernel since ${when}: it was restarted, or is gone. What is shown is old.`);
    }
    this.stale = stale;
    if (wasStale) this.say("The kernel is back.", DONE_FOR);
  }

  // For screen readers only: announce what begins and ends, but not every number.
  announce() {
    const { state, maps, error } = this.store.state;
    const running = maps.map(([number]) => number).join();
    const spoken = this.spoken ?? { state, running, error: error?.at };
    const whisper = (text) => setText(this.whispered, text);
    if (spoken.state !== state) whisper(`The pool is ${state}.`);
    else if (error && spoken.error !== error.at) whisper("Something failed: see the last error.");
    else if (spoken.running !== running) {
      whisper(maps.length ? `Running: ${maps.map(([, label]) => label).join(", ")}.` : "No map is running.");
    }
    this.spoken = { state, running, error: error?.at };
  }
}

// anywidget creates a new proxy of the model on each call, but the attribute's value is the same.
const keyOf = (model) => model.get("first") ?? model;

function storeOf(model) {
  const key = keyOf(model);
  if (!stores.has(key)) {
    const store = new Store(model);
    stores.set(key, store);
    store.open();
  }
  return stores.get(key);
}

export default {
  initialize({ model }) {
    const store = storeOf(model);
    return () => {
      store.close();
      stores.delete(keyOf(model));
    };
  },

  render({ model, el }) {
    const view = new View(storeOf(model));
    el.append(view.node);
    view.open();
    return () => view.close();
  },
};
