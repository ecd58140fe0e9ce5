/** The form with the settings of a queue. Each field shows the effect of a change before it is saved. */

import { Left, silentOf, updateQueue } from "./admin-api.js";
import { announce, confirm, say } from "./admin-dialogs.js";
import { element, fill, newId, write } from "./admin-dom.js";
import { effectOf } from "./admin-effects.js";
import { endingPace } from "./admin-forecast.js";
import { count, duration, people } from "./admin-formats.js";
import { GROUPS, inputText, labelOf, makeInput, readInput, valueText } from "./admin-fields.js";

/** Unsaved input, by queue. It is still there when the operator comes back to the queue. */
const drafts = new Map();

/** Forget all unsaved input. */
export const forgetDrafts = () => drafts.clear();

/**
 * The form.
 * @param {string} queueId
 * @param {() => Promise<void>} refresh requests the newest settings
 */
export function settingsForm(queueId, refresh) {
  const typed = drafts.get(queueId) ?? drafts.set(queueId, new Map()).get(queueId);
  const bar = element("div", { class: "save-bar", hidden: true });
  const summary = element("p", {});
  const trouble = element("p", { class: "form-error", role: "alert" });
  const save = element("button", { class: "primary", type: "submit" }, "Save changes");
  const discard = element("button", { type: "button" }, "Discard");
  bar.append(summary, trouble, element("div", { class: "actions" }, discard, save));
  const groups = element("div", { class: "setting-groups" });
  const form = element("form", { novalidate: true, autocomplete: "off" }, groups, bar);
  const rows = new Map();
  const sets = [];
  let saved = null;
  let stats = null;
  let ending = null;
  let isSaving = false;
  let known = 0;

  function update(queue, newest, foreseenSeconds) {
    saved = queue;
    stats = newest;
    ending = endingPace(queue, newest, foreseenSeconds);
    if (Object.keys(saved).length !== known) build();
    for (const row of rows.values()) row.follow();
    show();
  }

  /** Add rows for settings that arrived later, because lists leave them out. */
  function build() {
    known = Object.keys(saved).length;
    for (const [index, group] of GROUPS.entries()) {
      // An older server may not know the setting. Then the response does not contain it.
      const fields = group.fields.filter((field) => field.name in saved && !rows.has(field.name));
      if (!fields.length) continue;
      sets[index] ??= groups.appendChild(element("fieldset", {}, element("legend", {}, group.title)));
      for (const field of fields) {
        const row = settingRow(field, { typed, settings: () => saved, changed: show });
        rows.set(field.name, row);
        sets[index].append(row.node);
      }
    }
  }

  /** Every setting as it would be after saving. */
  function wished() {
    const wish = { ...saved };
    for (const row of rows.values()) {
      if (!row.isChanged()) continue;
      const { value, error } = row.read();
      if (!error) wish[row.field.name] = value;
    }
    return wish;
  }

  function show() {
    const wish = wished();
    for (const row of rows.values())
      row.show(row.isChanged() && row.read().error ? "" : effectOf(row.field.name, wish, stats, ending));
    const changes = [...rows.values()].filter((row) => row.isChanged());
    bar.hidden = !changes.length;
    const told = changes.map(
      (row) => `${row.field.label} ${valueText(row.field.name, saved[row.field.name])} → ${row.wishText()}`,
    );
    write(
      summary,
      changes.length
        ? `${changes.length === 1 ? "1 change" : `${changes.length} changes`}: ${told.join("; ")}`
        : "",
    );
    if (!changes.length) write(trouble, "");
  }

  discard.addEventListener("click", () => {
    typed.clear();
    for (const row of rows.values()) row.reset();
    show();
    rows.values().next().value.input.focus();
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const changed = [...rows.values()].filter((row) => row.isChanged());
    if (isSaving || !changed.length) return;
    const wrong = changed.find((row) => row.read().error);
    if (wrong) {
      wrong.showError(wrong.read().error);
      wrong.input.focus();
      return;
    }
    const changes = Object.fromEntries(changed.map((row) => [row.field.name, row.read().value]));
    isSaving = true;
    save.setAttribute("aria-busy", "true");
    write(trouble, "");
    try {
      const answer = await saveOrAsk(queueId, saved, changes);
      if (!answer) return;
      saved = { ...saved, ...answer };
      for (const row of changed) {
        // Input that was typed during the request belongs to the next change.
        if (row.read().value === changes[row.field.name]) typed.delete(row.field.name);
        row.reset();
      }
      const told = changed.map(
        (row) => `${row.field.label} is now ${valueText(row.field.name, saved[row.field.name])}`,
      );
      if (bar.contains(document.activeElement)) changed[0].input.focus();
      show();
      say(`Saved. ${told.join("; ")}.`);
      await refresh();
    } catch (error) {
      if (error instanceof Left) return;
      const row = rows.get(fieldOf(error, rows));
      if (row) {
        row.showError(error.message);
        row.input.focus();
      } else write(trouble, error.message);
    } finally {
      isSaving = false;
      save.removeAttribute("aria-busy");
    }
  });
  return { node: form, update };
}

/** Save changes. If visitors may lose their places, ask first. Returns nothing if the operator cancels. */
async function saveOrAsk(queueId, saved, changes) {
  const run = () => updateQueue(queueId, changes);
  const seconds = changes.heartbeat_timeout_seconds;
  if (!(seconds < saved.heartbeat_timeout_seconds)) return run();
  const { silent, waiting } = await silentOf(queueId, seconds);
  if (!silent) return run();
  return confirm({
    title: `Drop places after ${duration(seconds)} of silence?`,
    text: [
      `${count(silent)} of ${people(waiting)} in line have been silent for that long.`,
      `The new time applies to each of them from the next heartbeat. Anyone who stays silent for the current ${duration(saved.heartbeat_timeout_seconds)} loses the place.`,
    ],
    action: "Save changes",
    isDanger: true,
    run,
  });
}

/** The row of the setting that the server's error names. */
export function fieldOf(error, known) {
  const named = String(error.field ?? "").replace(/^\$\./, "");
  if (known.has(named)) return named;
  return "";
}

function settingRow(field, { typed, settings, changed }) {
  const input = makeInput(field);
  input.id = newId("setting");
  const effect = element("p", { class: "effect", id: newId("effect") });
  const was = element("p", { class: "was" });
  const error = element("p", { class: "field-error", id: newId("error") });
  const hint = field.hint && element("p", { class: "hint", id: newId("hint") }, field.hint);
  input.setAttribute("aria-describedby", [hint && hint.id, effect.id, error.id].filter(Boolean).join(" "));
  const unit = field.unit ?? "";
  const swatch = field.kind === "colour" && element("span", { class: "swatch", "aria-hidden": "true" });
  const node = element(
    "div",
    { class: `field setting ${field.kind}` },
    element(
      "label",
      { for: input.id },
      field.label,
      unit && element("span", { class: "visually-hidden" }, `, ${unit}`),
    ),
    element(
      "div",
      { class: "with-unit" },
      input,
      unit && element("span", { class: "unit", "aria-hidden": "true" }, unit),
      swatch,
    ),
    hint,
    was,
    effect,
    error,
  );
  const text = () => inputText(settings()[field.name]);
  const read = () => readInput(field, input.value);

  const row = {
    field,
    node,
    input,
    read,
    isChanged: () => typed.has(field.name),
    wishText: () => (read().error ? input.value || "nothing" : valueText(field.name, read().value)),
    /** Show the server's value, unless there is unsaved input. */
    follow() {
      if (document.activeElement === input) return;
      const wanted = typed.get(field.name) ?? text();
      if (input.value !== wanted) input.value = wanted;
    },
    reset() {
      input.value = typed.get(field.name) ?? text();
      row.showError("");
    },
    show(told) {
      node.classList.toggle("changed", row.isChanged());
      write(was, row.isChanged() ? `Now ${valueText(field.name, settings()[field.name])}` : "");
      write(effect, told);
      if (swatch)
        swatch.style.backgroundColor = CSS.supports("color", input.value) ? input.value : "transparent";
    },
    showError(message) {
      write(error, message);
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
  input.addEventListener("input", () => {
    const { value, error: wrong } = read();
    const isSame = !wrong && value === settings()[field.name];
    if (isSame) typed.delete(field.name);
    else typed.set(field.name, input.value);
    row.showError("");
    changed();
  });
  input.addEventListener("blur", () => row.follow());
  input.addEventListener("change", () => {
    const { error: wrong } = read();
    if (row.isChanged() && wrong) row.showError(wrong);
    else if (row.isChanged() && effect.textContent) announce(`${labelOf(field.name)}: ${effect.textContent}`);
  });
  return row;
}
