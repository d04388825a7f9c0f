// The last error, and what the workers wrote to stderr.

class ErrorPanel {
  constructor(store) {
    this.store = store;
    this.title = element("div", { class: "pp-error-title" });
    this.text = element("div", { class: "pp-error-text" });
    this.log = element("pre", { class: "pp-lines" });
    this.details = element("details", {}, element("summary", {}, "its stderr"), this.log);
    this.node = element("section", { class: "pp-error", hidden: true, "aria-label": "last error" },
      this.title, this.text, this.details);
  }

  update() {
    const { error } = this.store.state;
    setHidden(this.node, !error);
    if (!error) return;
    setHidden(this.node, this.store.state.failures.some(([, text]) => text === error.text));
    const who = error.worker ? `worker ${error.worker}, ` : "";
    const ago = Math.floor((this.store.now - error.at) / 10) * 10;
    const when = ago < 10 ? "just now" : `${duration(ago)} ago`;
    setText(this.title, `✖ Last error: ${who}${when}`);
    setText(this.text, error.text);
    setText(this.log, error.log.join("\n"));
    setHidden(this.details, !error.log.length);
  }
}

class LogPanel {
  constructor(store) {
    this.store = store;
    this.atEnd = true;
    this.lines = element("div", {
      class: "pp-lines pp-scroll", role: "log", "aria-live": "off", tabindex: 0,
      "aria-label": "output of the workers",
      onscroll: ({ target: box }) => {
        if (box.clientHeight) this.atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
      },
    });
    this.node = element("section", { class: "pp-log", "aria-label": "what the workers wrote" },
      element("div", { class: "pp-detail" }, "What the workers wrote"), this.lines);
  }

  update({ lines, history }) {
    const box = this.lines;
    if (history) box.replaceChildren();
    for (const [worker, text] of history ? this.store.lines : lines) {
      box.append(element("div", {},
        element("span", { class: "pp-who" }, worker ? `worker ${worker}│` : "│"), text));
    }
    while (box.children.length > MAX_LINES) box.firstChild.remove();
    // Read the scroll height when the page is laid out anyway: now it would force another layout.
    if (lines.length || history) requestAnimationFrame(() => this.follow());
  }

  follow() {
    if (this.atEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }
}
