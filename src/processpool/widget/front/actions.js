// Buttons that ask the kernel for something: ⏳ when clicked, ✓ when done, "kernel is busy" if no
// answer comes. What loses work is asked for twice.

const BUSY_AFTER = 1000;
const DONE_FOR = 1500;
const ARMED_FOR = 5000;

class ActionButton {
  // `plan()` says what a click does now: {action, confirm}; `confirm` is the question, if there is one.
  constructor(store, say, { label, title, plan }) {
    Object.assign(this, { store, say, label, plan });
    this.mode = "ready";
    this.node = element("button", {
      type: "button", class: "pp-button", title,
      onclick: () => this.click(),
      onblur: () => this.mode === "armed" && this.become("ready"),
      onkeydown: (event) => event.key === "Escape" && this.become("ready"),
    }, label);
  }

  setLabel(label) {
    this.label = label;
    if (this.mode === "ready") setText(this.node, label);
  }

  click() {
    if (this.mode === "waiting" || this.mode === "busy") return;
    const { action, confirm } = this.plan();
    if (confirm && this.mode !== "armed") {
      this.become("armed", confirm, ARMED_FOR);
      this.say(`${confirm} Press again to confirm.`);
      return;
    }
    this.become("waiting", "⏳");
    const busy = setTimeout(() => {
      this.become("busy", "⏳ kernel is busy");
      this.say("The kernel is busy; it will do this as soon as it can.");
    }, BUSY_AFTER);
    this.store.act(action, (error) => {
      clearTimeout(busy);
      this.become("done", error ? "✖" : "✓", DONE_FOR);
      this.say(error ? `That did not work: ${error}` : `${this.label}: done.`);
    });
  }

  // Change how it looks; back to "ready" after `time` milliseconds, if given.
  become(mode, text, time) {
    clearTimeout(this.timer);
    this.mode = mode;
    setText(this.node, text ?? this.label);
    setAttribute(this.node, "data-mode", mode);
    setAttribute(this.node, "aria-busy", mode === "waiting" || mode === "busy" ? "true" : null);
    if (time) this.timer = setTimeout(() => this.become("ready"), time);
  }
}
