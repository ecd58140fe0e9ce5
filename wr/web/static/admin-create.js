/** Creating a queue. */

import { Left, createQueue } from "./admin-api.js";
import { say } from "./admin-dialogs.js";
import { element, labelled, write } from "./admin-dom.js";
import { FIELDS, inputText, makeInput, readInput } from "./admin-fields.js";
import { fieldOf } from "./admin-settings.js";

const FIRST = ["name", "target_url", "admission_rate", "max_active_users"];
const LATER = [
  "max_queue_size",
  "session_timeout_seconds",
  "heartbeat_interval_seconds",
  "heartbeat_timeout_seconds",
  "unique_by",
];

const NEEDED = {
  id: "Enter an id.",
  target_url: "Enter an address, such as https://shop.example/checkout.",
};

/** The form. When it succeeds, the new queue's page opens. */
export function createView({ refresh }) {
  const id = labelled(
    "Id",
    element("input", {
      name: "id",
      type: "text",
      maxlength: "64",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "none",
    }),
    "It appears in web addresses: letters, digits, dots, underscores and hyphens. You cannot change it later.",
  );
  const entries = makeEntries();
  const trouble = element("p", { class: "form-error", role: "alert" });
  const submit = element("button", { class: "primary", type: "submit" }, "Create the queue");
  const paused = element("input", { type: "checkbox", id: "start-paused", name: "paused" });
  const later = element(
    "details",
    {},
    element("summary", {}, "More settings"),
    element(
      "div",
      { class: "form-grid" },
      LATER.map((name) => entries.get(name).node),
    ),
  );
  const form = element(
    "form",
    { class: "panel", novalidate: true, autocomplete: "off" },
    element(
      "div",
      { class: "form-grid" },
      id.node,
      FIRST.map((name) => entries.get(name).node),
    ),
    element(
      "p",
      { class: "check" },
      paused,
      element(
        "label",
        { for: "start-paused" },
        "Start paused: visitors can join, and are let in only after you resume",
      ),
    ),
    later,
    trouble,
    element("div", { class: "actions" }, element("a", { class: "button", href: "#/" }, "Cancel"), submit),
  );

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const all = new Map([["id", id], ...entries]);
    for (const entry of all.values()) entry.showError("");
    write(trouble, "");
    const { wish, wrong } = readEntries(all);
    if (wrong) return reject(wrong.entry, wrong.error);
    if (paused.checked) wish.status = "paused";
    submit.setAttribute("aria-busy", "true");
    try {
      const made = await createQueue(wish);
      await refresh();
      location.hash = `#/queues/${encodeURIComponent(made.id)}`;
      say(`The queue ${made.id} was created.`);
    } catch (error) {
      if (error instanceof Left) return;
      const name = error.code === "CONFLICT" ? "id" : fieldOf(error, all);
      if (name) reject(all.get(name), error.message);
      else write(trouble, error.message);
    } finally {
      submit.removeAttribute("aria-busy");
    }
  });
  function reject(entry, message) {
    entry.showError(message);
    if (later.contains(entry.input)) later.open = true;
    entry.input.focus();
  }
  const node = element(
    "div",
    {},
    element("p", { class: "back" }, element("a", { href: "#/" }, "Queues")),
    element("h1", { tabindex: "-1" }, "New queue"),
    form,
  );
  return { title: "New queue", node };
}

/** All fields except the id, by name, with their defaults. */
function makeEntries() {
  const entries = new Map();
  for (const name of [...FIRST, ...LATER]) {
    const field = FIELDS.find((each) => each.name === name);
    const input = makeInput(field);
    input.value = inputText(field.usual);
    const unit = field.unit ?? "";
    const entry = labelled(
      unit ? `${field.label}, ${unit}` : field.label,
      input,
      name === "name" ? "Visitors see it; if empty, they see the id" : field.hint,
    );
    entries.set(name, { field, ...entry });
  }
  return entries;
}

/** The values of the form. `wrong` is the first invalid entry, with the reason. */
function readEntries(all) {
  const wish = {};
  for (const [name, entry] of all) {
    const text = entry.input.value.trim();
    if (!text && name in NEEDED) return { wish, wrong: { entry, error: NEEDED[name] } };
    if (!text) continue;
    const { value, error } = entry.field ? readInput(entry.field, text) : { value: text, error: "" };
    if (error) return { wish, wrong: { entry, error } };
    wish[name] = value;
  }
  return { wish, wrong: null };
}
