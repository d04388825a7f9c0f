// The state of the pool in the browser: one store per model, however many views it has. It applies
// frames, and requests a full one if one is missing. See feed.py and delta.py.

const MAX_COLUMNS = 240;
const MAX_LINES = 200;
const STALE_AFTER = 3000;
const ASK_AGAIN_AFTER = 1000;
const ROW = {
  pid: 0, state: 1, item: 2, since: 3, ok: 4, failed: 5, cpu: 6, memory: 7, late: 8, progress: 9, slot: 10, what: 11,
};

class Store {
  constructor(model) {
    this.model = model;
    this.state = null;
    this.columns = [];
    this.owners = []; // for each column: lane → the worker that had it
    this.lines = [];
    this.samples = []; // of throughput, queue and memory
    this.seq = 0;
    this.at = 0;
    this.heardAt = performance.now();
    this.views = new Set();
    this.waiting = new Map();
    this.askedAt = -Infinity;
    this.onMessage = (content) => this.receive(content);
  }

  open() {
    this.model.on("msg:custom", this.onMessage);
    this.mounts = new Mounts(this);
    this.timer = setInterval(() => this.tell("tick"), 500);
    this.take(this.model.get("first"));
    this.ask();
  }

  close() {
    this.model.off("msg:custom", this.onMessage);
    clearInterval(this.timer);
    this.mounts.close();
  }

  // Now, in seconds on the pool's clock, which stops while the kernel sends nothing.
  get now() {
    return this.at + Math.min(performance.now() - this.heardAt, STALE_AFTER) / 1000;
  }

  get stale() {
    if (this.over) return false;
    return performance.now() - this.heardAt > STALE_AFTER;
  }

  receive(content) {
    this.heardAt = performance.now();
    if ("done" in content) {
      const settle = this.waiting.get(content.done);
      this.waiting.delete(content.done);
      if (settle) settle(content.error, content.result);
    } else if (content.over) {
      this.over = true;
    } else if (content.maps) {
      this.glance(content);
    } else {
      this.take(content);
    }
  }

  take(frame) {
    if (!frame || !frame.seq) return;
    if (frame.full) {
      if (frame.seq < this.seq) return;
      this.state = frame.full;
    } else if (this.state && frame.seq === this.seq + 1) {
      this.state = applied(this.state, frame.delta);
    } else {
      if (frame.seq > this.seq) this.ask();
      return;
    }
    this.seq = frame.seq;
    this.at = frame.at;
    this.runs = null;
    this.samples = sampled(this.samples, frame, this.state);
    const news = this.collect(frame);
    this.tell("frame", news);
  }

  // What strips show: the maps alone, while no panel is on show.
  glance({ at, maps, ended, state }) {
    this.at = at;
    this.runs = { maps, ended, state };
    this.tell("runs");
  }

  get progress() {
    return this.runs ?? this.state;
  }

  collect(frame) {
    if (frame.history) this.columns = this.owners = [];
    if (frame.history) this.lines = [];
    const columns = [];
    const owners = [];
    let last = this.owners.at(-1) ?? {};
    for (const [count, letters, changes] of frame.columns) {
      if (Object.keys(changes).length) last = { ...last, ...changes };
      for (let each = 0; each < Math.min(count, MAX_COLUMNS); each++) {
        columns.push(letters);
        owners.push(last);
      }
    }
    this.columns = this.columns.concat(columns).slice(-MAX_COLUMNS);
    this.owners = this.owners.concat(owners).slice(-MAX_COLUMNS);
    this.lines = this.lines.concat(frame.log).slice(-MAX_LINES);
    return { columns, lines: frame.log, history: Boolean(frame.history) };
  }

  ask() {
    if (performance.now() < this.askedAt + ASK_AGAIN_AFTER) return;
    this.askedAt = performance.now();
    this.model.send({ kind: "hello" });
  }

  // Request an action of the kernel; `settle` is called with the error's text, or "" on success.
  act(action, settle) {
    const id = `${Date.now()}-${Math.random()}`;
    this.waiting.set(id, settle);
    this.model.send({ kind: "do", id, ...action });
  }

  tell(what, news) {
    for (const view of this.views) view(what, news);
  }
}

function applied(old, changed) {
  const state = { ...old, ...changed };
  const rows = { ...old.rows, ...changed.rows };
  state.rows = Object.fromEntries(state.order.map((number) => [number, rows[number]]));
  return state;
}
