// Helpers that create and change elements. Text is only ever added as text, never parsed as HTML.

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// For elements that contain only text. The text node is kept, and with it the user's selection.
function setText(node, text) {
  const inside = node.firstChild;
  if (!inside) node.append(text);
  else if (inside.data !== text) inside.data = text;
}

function setAttribute(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

// Put the children in this order, moving as few as possible, and keep the focus. If the focused
// child is removed, the one in its place is focused.
function arrange(parent, children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...parent.children].findIndex((child) => child.contains(focused)) : -1;
  const wanted = new Set(children);
  for (const child of [...parent.children]) {
    if (!wanted.has(child)) child.remove();
  }
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] ?? null);
  });
  if (!focused || focused === document.activeElement) return;
  const heir = children[Math.min(place, children.length - 1)]?.querySelector("button");
  (parent.contains(focused) ? focused : heir)?.focus({ preventScroll: true });
}
