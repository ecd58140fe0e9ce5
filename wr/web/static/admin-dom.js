/** Creates elements without HTML strings. All content is text, so no name can become markup. */

let lastId = 0;

/**
 * Create an element.
 * @param {string} name the tag
 * @param {Record<string, unknown>} attributes `on…` adds a listener. True sets an empty attribute. False, null and
 *   undefined set none
 * @param {...(Node|string|number|null|undefined|false)} children empty ones are left out
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...present(children));
  return made;
}

/** Replace the children of an element. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
  return parent;
}

/** Set a text only if it differs, because screen readers read out every change. */
export function write(node, text) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Return an unused element id. */
export function newId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** Set the filled part of a bar, 0 to 1. A script sets it, because the page forbids style attributes. */
export function setPart(node, part) {
  node.style.setProperty("--part", String(Math.max(0, Math.min(1, part || 0))));
}

/** A label with its input, a hint, and an error. `showError("")` removes the error. */
export function labelled(label, input, hint = "") {
  const hintId = newId("hint");
  const errorId = newId("error");
  input.id ||= newId("input");
  const error = element("p", { class: "field-error", id: errorId });
  input.setAttribute("aria-describedby", hint ? `${hintId} ${errorId}` : errorId);
  const node = element(
    "div",
    { class: "field" },
    element("label", { for: input.id }, label),
    input,
    hint && element("p", { class: "hint", id: hintId }, hint),
    error,
  );
  const showError = (message) => {
    write(error, message);
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  return { node, input, showError };
}

function present(children) {
  return children
    .flat()
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "");
}
