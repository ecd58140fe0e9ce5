/** Elements, made without HTML text: what is shown is always text, so that no name can become markup. */

let lastId = 0;

/**
 * Make an element.
 * @param {string} name its tag
 * @param {Record<string, unknown>} attributes `on…` adds a listener; true sets it, false, null and undefined leave it out
 * @param {...(Node|string|number|null|undefined|false)} children those that are nothing are left out
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

/** Put other children into an element. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
  return parent;
}

/** Change a text only where it differs: what has not changed is not read out again. */
export function write(node, text) {
  const wanted = String(text ?? "");
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Give an id that nothing on the page has. */
export function newId(prefix) {
  lastId += 1;
  return `${prefix}-${lastId}`;
}

/** A part of the width of a bar, 0 to 1; set by script, since style attributes are forbidden here. */
export function setPart(node, part) {
  node.style.setProperty("--part", String(Math.max(0, Math.min(1, part || 0))));
}

/** A label, its input, a hint, and a place for an error; `showError("")` takes the error away. */
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
