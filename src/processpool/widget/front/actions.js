// Buttons that request actions of the kernel: ⏳ when clicked, ✓ when done, "kernel is busy" if it
// does not answer. Actions that lose work need a second click. Without a kernel, clicks do nothing.

const BUSY_AFTER = 1000;
const DONE_FOR = 1500;
const SAID_FOR = 4000;
const ARMED_FOR = 5000;

class ActionButton {
  // `plan()` returns what a click does now: {action, confirm}; `confirm` is a question, or missing.
  // `use` takes the result, and returns what to say of it.
  constructor(store, say, { label, title, plan, use = (result) => result }) {
    Object.assign(this, { store, say, label, plan, use });
    this.mode = "ready";
    this.hourglass = element("span", { class: "pp-hourglass" });
    this.text = element("span");
    this.node = element("button", {
      type: "button", class: "pp-button", title,
      onclick: (event) => event.detail < 2 && this.click(), // a double click confirms nothing
      // Later, as it is focused again at once if its output was only rendered anew.
      onblur: () => setTimeout(() => this.mode === "armed" && document.activeElement !== this.node
        && this.become("ready")),
      onkeydown: (event) => this.press(event),
    }, this.hourglass, this.text);
    setText(this.text, label);
  }

  setLabel(label) {
    this.label = label;
    if (this.mode === "ready") setText(this.text, label);
  }

  // The second click is about what is lost by then, so the question goes with the time.
  refresh() {
    if (this.mode === "armed") setText(this.text, this.plan().confirm ?? `${this.label}?`);
  }

  press(event) {
    if (event.repeat) event.preventDefault();
    if (event.key === "Escape" && this.mode === "armed") this.become("ready");
  }

  click() {
    const inert = this.node.getAttribute("aria-disabled") === "true";
    if (inert || this.store.stale || this.mode === "waiting" || this.mode === "busy") return;
    const { action, confirm } = this.plan();
    const { label } = this;
    if (confirm && this.mode !== "armed") {
      this.become("armed", confirm, ARMED_FOR);
      this.say("Press again to confirm, or Escape to leave it.", ARMED_FOR);
      return;
    }
    this.become("waiting", "");
    const busy = setTimeout(() => {
      this.become("busy", "kernel is busy");
      this.say("The kernel is busy; it will do this as soon as it can.");
    }, BUSY_AFTER);
    this.store.act(action, (error, result) => {
      clearTimeout(busy);
      this.become("done", error ? "✖" : "✓", DONE_FOR);
      if (error) this.say(`✖ That did not work: ${error}`);
      else this.say(`${label}: ${this.use(result) ?? "done"}.`, SAID_FOR);
    });
  }

  // Change the look; `time` is how many milliseconds until it is "ready" again, if ever.
  become(mode, text, time) {
    clearTimeout(this.timer);
    this.mode = mode;
    const waits = mode === "waiting" || mode === "busy";
    setText(this.hourglass, waits ? "⏳" : "");
    setText(this.text, text ?? this.label);
    setAttribute(this.node, "data-mode", mode);
    setAttribute(this.node, "aria-busy", waits ? "true" : null);
    if (time) this.timer = setTimeout(() => this.become("ready"), time);
  }
}
