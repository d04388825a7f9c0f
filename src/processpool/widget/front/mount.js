// Where the views are: in the HTML outputs that bear the model's key. The HTML is what a saved
// notebook holds; here it is replaced by a live view. When a page renders such an output anew, the
// view moves into the new element before anything is painted, with focus and scroll positions.

const LOOK_EVERY = 250;

class Mounts {
  constructor(store) {
    this.store = store;
    this.places = []; // {host, view, what}
    this.observer = new MutationObserver(() => this.look());
    this.timer = setInterval(() => this.look(), LOOK_EVERY);
    this.look();
  }

  close() {
    clearInterval(this.timer);
    this.observer.disconnect();
    for (const { view } of this.places) view.close();
  }

  look() {
    const key = this.store.model.get("key");
    if (!key) return;
    for (const host of document.querySelectorAll(`[data-processpool="${key}"]`)) {
      if (!this.places.some((place) => place.host === host)) this.mount(host);
    }
  }

  mount(host) {
    const what = host.dataset.map ?? "";
    let place = this.places.find((known) => known.what === what && !known.host.isConnected);
    if (!place) {
      const view = what ? new Strip(this.store, Number(what)) : new View(this.store);
      place = { view, what };
      this.places.push(place);
      view.open();
    }
    place.host = host;
    const restore = positions(place.view.node);
    host.replaceChildren(place.view.node);
    restore();
    if (host.parentElement) this.observer.observe(host.parentElement, { childList: true });
  }
}

// Return a function that sets focus and scroll positions again after the node has moved.
function positions(node) {
  const boxes = [...node.querySelectorAll(".pp-scroll, .pp-lines, .pp-error-text")]
    .filter((box) => lastScroll.has(box)).map((box) => [box, ...lastScroll.get(box)]);
  const focused = lastFocus.get(node);
  return () => {
    for (const [box, top, left, isAtEnd] of boxes) [box.scrollTop, box.scrollLeft] = [isAtEnd ? box.scrollHeight : top, left];
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  };
}

// An element loses the focus and its scroll position when its output is rendered anew, so these are
// noted beforehand.
const lastFocus = new WeakMap();
const lastScroll = new WeakMap();

function notePlaces(node) {
  node.addEventListener("focusin", ({ target }) => lastFocus.set(node, target));
  node.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && lastFocus.delete(node));
  node.addEventListener("scroll", ({ target }) => {
    const { scrollTop, scrollLeft, clientHeight, scrollHeight } = target;
    if (target.isConnected) lastScroll.set(target, [scrollTop, scrollLeft, scrollTop + clientHeight >= scrollHeight - 8]);
  }, { capture: true });
}
